//! Every counter moves. A counter that always shows zero would tell an operator that all is well.

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::Shutdown;
use std::num::NonZeroU32;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use support::{Client, PATIENCE, Rig, newest_only, pattern, silent_port, wait_until};
use vm_console::Start;
use vm_console::audit::AUDIT_LIMIT;
use vm_console::protocol::{AttachRequest, MachineState, PowerAction};
use vm_console::service::Outcome;
use vm_console::session::{EndReason, Refused};
use vm_console::text_log::TextLog;
use vm_console::transport::Listener;
use vm_console::transport::stdio::FdClient;
use vm_console::transport::tcp::TcpConnector;
use vm_console::{ConsoleConfig, CounterValues, DropLimit, GapPolicy, PowerControl, RateLimit};

/// Runs `play` with a console, and returns the console's counters.
fn counted(change: impl FnOnce(&mut ConsoleConfig), play: impl FnOnce(&Rig)) -> CounterValues {
    let mut config = ConsoleConfig::named("vm");
    change(&mut config);
    let rig = Rig::with_log(config, newest_only(64 << 10));
    play(&rig);
    // Once the service answers, or the console is gone, everything before is counted.
    let _ = rig.console.status(PATIENCE);
    rig.counters()
}

struct NoPower;

impl PowerControl for NoPower {
    fn stop(&self) {}
    fn start(&self) {}
    fn restart(&self) {}
}

fn a_typist_an_observer_and_a_taker() -> Vec<CounterValues> {
    vec![counted(
        |config| config.power = Some(Arc::new(NoPower)),
        |rig| {
            rig.print(b"shown\x1b[6n");
            let mut first = rig.attach("raw");
            first.read(5);
            rig.connect("watch").read(5);
            first.send(&pattern(0, 100));
            wait_until("it is typed", || rig.counters().input == 100);
            assert!(rig.connect("raw").read_to_end().contains("in use"));
            rig.attach("force");
            rig.wait_until_free();
            let mut client = rig.control();
            client.attach(&AttachRequest::default()).unwrap();
            client.typist().unwrap().send_break().unwrap();
            client.power(PowerAction::Restart).unwrap();
            let mut other = rig.control();
            for _ in 0..=AUDIT_LIMIT {
                other.read_log(Start::Now, 1).unwrap();
            }
            other.sysrq("", true).unwrap();
            let known = MachineState::default();
            other
                .wait_log(Start::Now, 1, known, Duration::ZERO)
                .unwrap();
            rig.console.disconnect(EndReason::Revoked);
            let mut bad = rig.control_stream();
            bad.write_all(&[0; 4]).unwrap();
            wait_until("it is understood that it is not", || {
                rig.counters().bad_frames > 0
            });
        },
    )]
}

fn limits() -> Vec<CounterValues> {
    let idle = counted(
        |config| {
            // Most of the time is the warning's, so that even a busy machine has some for it.
            config.session.idle_limit = Duration::from_secs(2);
            config.session.warn_before = Duration::from_millis(1950);
        },
        |rig| drop(rig.attach("raw").read_to_end()),
    );
    let absolute = counted(
        |config| config.session.absolute_limit = Duration::from_millis(50),
        |rig| drop(rig.attach("raw").read_to_end()),
    );
    vec![idle, absolute]
}

fn gates() -> Vec<CounterValues> {
    let power = counted(
        |_| {},
        |rig| {
            let mut holder = rig.attach("raw");
            rig.console.power_off();
            holder.read_to_end();
            rig.connect("raw").read_to_end();
        },
    );
    let log = counted(
        |config| config.session.requires_boot_log = true,
        |rig| {
            let mut holder = rig.attach("raw");
            rig.console.set_boot_log(false);
            holder.read_to_end();
            rig.connect("raw").read_to_end();
        },
    );
    let rights = counted(
        |config| {
            config.authorizer = Arc::new(|_: &str, _: &vm_console::session::Identity, right| {
                right == vm_console::session::Right::ReadLog
            });
            config.max_observers = 0;
        },
        |rig| {
            rig.connect("raw").read_to_end();
            rig.connect("watch").read_to_end();
        },
    );
    let crowd = counted(
        |config| config.max_connections = 1,
        |rig| {
            let _holder = rig.attach("raw");
            rig.connect("raw").read_to_end();
        },
    );
    let closing = counted(
        |_| {},
        |rig| {
            // The console is served until this client has read, or its time is over.
            let mut holder = rig.attach("raw");
            rig.fill_socket();
            rig.console.remove();
            let (ours, theirs) = UnixStream::pair().unwrap();
            let late = rig.console.attach(FdClient::from_socket(theirs.into()));
            assert_eq!(late.wait(), Some(Outcome::Refused(Refused::ShuttingDown)));
            drop(ours);
            assert!(holder.read_to_end().contains("shutting down"));
        },
    );
    vec![power, log, rights, crowd, closing]
}

fn slow_clients() -> Vec<CounterValues> {
    let flood = |rig: &Rig| {
        for chunk in pattern(0, 4 << 20).chunks(4096) {
            rig.print(chunk);
        }
        rig.print(b"END");
    };
    let lost = counted(
        |config| config.gaps = GapPolicy::Silent,
        |rig| {
            let mut clients = [rig.attach("raw"), rig.connect("watch")];
            wait_until("it watches", || rig.status().observers == 1);
            flood(rig);
            for client in &mut clients {
                client.read_until("END");
            }
            wait_until("it is counted", || {
                rig.counters().output_lost > 0 && rig.counters().observed_lost > 0
            });
        },
    );
    let cut = counted(
        |config| config.gaps = GapPolicy::Disconnect,
        |rig| {
            let mut client = rig.attach("raw");
            flood(rig);
            client.read_to_end();
        },
    );
    let throttled = counted(
        |config| {
            let rate = NonZeroU32::new(1000).unwrap();
            config.rate_limit = Some(RateLimit {
                bytes_per_second: rate,
                burst: NonZeroU32::MIN,
            });
        },
        |rig| {
            rig.print(b"slowly");
            rig.attach("raw").read(6);
        },
    );
    let dropped = counted(
        |config| {
            let one = NonZeroU32::MIN;
            let rate = RateLimit {
                bytes_per_second: one,
                burst: one,
            };
            config.drop_limit = Some(DropLimit {
                rate,
                one_time_burst: 0,
            });
        },
        |rig| {
            let mut client = rig.attach("raw");
            rig.print(b"first of many");
            client.read_until("dropped]");
        },
    );
    let held = counted(
        |config| {
            config.lossless = Some(Duration::from_millis(5));
            config.lossless_window = 4096;
        },
        |rig| {
            let mut client = rig.attach("raw");
            rig.print(b"x");
            client.read(1);
            // The line takes as much as it may, and the port keeps the rest.
            wait_until("holding is given up", || {
                rig.print(&pattern(0, 4096));
                rig.counters().output_holds_expired > 0
            });
        },
    );
    vec![lost, cut, throttled, dropped, held]
}

fn a_full_disk_and_a_peer_that_does_not_answer() -> Vec<CounterValues> {
    vec![counted(
        |_| {},
        |rig| {
            let full = File::options().write(true).open("/dev/full").unwrap();
            let text = TextLog::in_file(full.into()).unwrap();
            let text = rig.console.log_text(text).unwrap();
            rig.print(b"output");
            let (_socket, nobody) = silent_port();
            let connector = TcpConnector::new(nobody).unwrap();
            rig.console.listen(Listener::connecting(connector));
            wait_until("it was called", || rig.counters().unreachable_peers > 0);
            rig.console.remove();
            assert!(text.wait_finished(PATIENCE));
        },
    )]
}

#[test]
fn every_counter_moves() {
    let mut moved: BTreeMap<String, u64> = BTreeMap::new();
    for values in [
        a_typist_an_observer_and_a_taker(),
        limits(),
        gates(),
        slow_clients(),
        a_full_disk_and_a_peer_that_does_not_answer(),
    ]
    .concat()
    {
        for (name, value) in values.iter() {
            *moved.entry(name).or_default() += value;
        }
    }
    // `service_descriptors` tests this one, since it needs a process without descriptors.
    moved.remove("listener pauses");
    let still: Vec<_> = moved.iter().filter(|(_, value)| **value == 0).collect();
    assert!(still.is_empty(), "{still:?}");
}

#[test]
fn what_was_taken_of_a_client_that_stopped_is_counted_to_the_byte() {
    let rig = Rig::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    // It holds less than the service writes at once, so that a part of one write is taken.
    rustix::net::sockopt::set_socket_send_buffer_size(&theirs, 16 << 10).unwrap();
    rig.console.attach(FdClient::from_socket(theirs.into()));
    rig.wait_until_held();
    let mut client = Client::new(ours);
    rig.print(&pattern(0, 1 << 20));
    let (mut waiting, mut same) = (0, 0);
    wait_until("the client's socket is full", || {
        rig.status();
        let before = waiting;
        waiting = rustix::io::ioctl_fionread(&client.stream).unwrap();
        same = if waiting == before { same + 1 } else { 0 };
        waiting > 0 && same > 20
    });
    // Nothing more is sent to it, and it can still read what was.
    client.stream.shutdown(Shutdown::Both).unwrap();
    rig.wait_until_free();
    let taken = client.read_to_end().len() as u64;
    assert_eq!(rig.counters().output_delivered, taken);
}

#[test]
fn turns_are_counted_and_the_longest_of_them_is_told() {
    let rig = Rig::new();
    rig.print(b"shown");
    rig.attach("raw").read(5);
    rig.status();
    let longest = rig.service.longest_turn();
    assert!(longest > Duration::ZERO);
    let turns = rig.service.turn_times();
    assert!(turns.count() > 0);
    assert!(turns.percentile(1.0) >= longest, "{turns:?}: {longest:?}");
}
