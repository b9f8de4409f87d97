//! Requests are carried out, all of them and in their order.

mod support;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use support::control::{Control, encode, hello, log_read, named};
use support::gate::Gate;
use support::{PATIENCE, Rig, pattern, wait_until};
use vm_console::Start;
use vm_console::client::ControlClient;
use vm_console::protocol::{ClientFrame, PowerAction, ServerFrame};
use vm_console::service::{Attachment, Outcome};
use vm_console::session::{EndReason, Refused};
use vm_console::transport::stdio::FdClient;
use vm_console::{ConsoleConfig, PowerControl};

#[derive(Default)]
struct Stops(AtomicU32);

impl PowerControl for Stops {
    fn stop(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
    fn start(&self) {}
    fn restart(&self) {}
}

/// A console with a power button, and the count of its presses.
fn with_power() -> (Rig, Arc<Stops>) {
    let stops = Arc::new(Stops::default());
    let mut config = ConsoleConfig::named("vm");
    config.power = Some(stops.clone());
    (Rig::with(config), stops)
}

#[test]
fn a_request_is_carried_out_though_its_client_closes_at_once() {
    const ROUNDS: u32 = 300;
    let (rig, stops) = with_power();
    for round in 0..ROUNDS {
        if round % 2 == 0 {
            let mut client = ControlClient::connect(rig.path("control")).unwrap();
            client.power(PowerAction::Stop).unwrap();
        } else {
            // This client leaves the service's hello unread.
            Control::connect(&rig).send(&[ClientFrame::Power(PowerAction::Stop)]);
        }
    }
    let pressed = || stops.0.load(Ordering::Relaxed);
    wait_until("all are carried out", || {
        rig.prompt_status();
        pressed() == ROUNDS
    });
}

#[test]
fn a_request_behind_answers_that_nobody_reads_is_carried_out() {
    let (rig, stops) = with_power();
    rig.print(&pattern(0, 500_000));
    let mut control = Control::connect(&rig);
    let read = log_read(1, Start::Oldest, u32::MAX);
    let mut frames = vec![read; 100];
    frames.push(ClientFrame::Power(PowerAction::Stop));
    control.send(&frames);
    drop(control);
    wait_until("it is carried out", || stops.0.load(Ordering::Relaxed) == 1);
}

#[test]
fn what_was_typed_reaches_the_guest_though_the_client_closes_at_once() {
    let rig = Rig::new();
    for round in 0..100 {
        let text = format!("round {round}\r");
        let typed = ClientFrame::Data(text.clone().into_bytes());
        let frames = [hello(), ClientFrame::Attach(named("ada")), typed];
        Control::silent(&rig).send(&frames);
        assert_eq!(rig.read_input(text.len()), text.as_bytes());
        rig.wait_until_free();
    }
}

#[test]
fn a_break_reaches_the_guest_though_the_client_closes_at_once() {
    let rig = Rig::new();
    for _ in 0..100 {
        let frames = [
            hello(),
            ClientFrame::Attach(named("ada")),
            ClientFrame::Break,
        ];
        Control::silent(&rig).send(&frames);
        wait_until("the guest sees a break", || {
            let mut port = rig.port.lock().unwrap();
            let status = port.read(5);
            let came = status & 1 != 0;
            if came {
                assert_eq!((port.read(0), status & 0x10), (0, 0x10));
            }
            came
        });
        rig.wait_until_free();
    }
}

#[test]
fn all_of_a_long_last_word_is_carried_out_in_order() {
    let (rig, stops) = with_power();
    // More than the line's queue and the chip hold together.
    let typed = pattern(0, 10_000);
    let frames = [
        hello(),
        ClientFrame::Attach(named("ada")),
        ClientFrame::Data(typed.clone()),
        ClientFrame::Break,
        ClientFrame::Power(PowerAction::Stop),
    ];
    Control::silent(&rig).send(&frames);
    assert!(rig.read_input(typed.len() + 1) == [typed, vec![0]].concat());
    wait_until("the rest is carried out", || {
        stops.0.load(Ordering::Relaxed) == 1
    });
    rig.wait_until_free();
    assert_eq!(rig.counters().breaks, 1);
}

/// An attach by the owner whose client has left at once.
struct Left(Attachment);

impl Left {
    fn attach(rig: &Rig) -> Self {
        let (_ours, theirs) = UnixStream::pair().unwrap();
        let client = FdClient::from_socket(OwnedFd::from(theirs));
        Self(rig.console.attach(client))
    }

    fn outcome(&self) -> Outcome {
        let outcome = self.0.outcome().recv_timeout(PATIENCE);
        outcome.expect("it is told")
    }
}

#[test]
fn an_attach_after_power_on_is_granted_and_one_after_power_off_refused() {
    let rig = Rig::new();
    for _ in 0..200 {
        rig.console.power_off();
        assert_eq!(
            Left::attach(&rig).outcome(),
            Outcome::Refused(Refused::PoweredOff)
        );
        rig.console.power_on();
        assert_eq!(
            Left::attach(&rig).outcome(),
            Outcome::Ended(EndReason::ClientClosed)
        );
    }
}

#[test]
fn power_and_attach_are_in_order_though_the_service_sees_them_together() {
    let gate = Gate::default();
    let rig = Rig::with(gate.config());
    let outcomes = |act: &dyn Fn() -> Left| gate.while_shut_at_a_command(&rig, act).outcome();
    let on = outcomes(&|| {
        rig.console.power_off();
        rig.console.power_on();
        Left::attach(&rig)
    });
    assert_eq!(on, Outcome::Ended(EndReason::ClientClosed));
    let off = outcomes(&|| {
        rig.console.power_off();
        Left::attach(&rig)
    });
    assert_eq!(off, Outcome::Refused(Refused::PoweredOff));
    let on = outcomes(&|| {
        rig.console.power_on();
        Left::attach(&rig)
    });
    assert_eq!(on, Outcome::Ended(EndReason::ClientClosed));
}

#[test]
fn who_connects_after_power_on_is_let_in_and_after_power_off_refused() {
    let gate = Gate::default();
    let rig = Rig::with(gate.config());
    for _ in 0..20 {
        let mut refused = gate.while_shut(&rig, || {
            rig.console.power_off();
            rig.connect("raw")
        });
        assert!(refused.read_to_end().contains("the machine is powered off"));
        let mut granted = gate.while_shut(&rig, || {
            rig.console.power_on();
            rig.connect("raw")
        });
        rig.print(b"hello");
        granted.read_until("hello");
        drop(granted);
        rig.wait_until_free();
    }
}

#[test]
fn a_detach_and_an_attach_sent_together_leave_a_session() {
    for backlog in [0, 900_000] {
        let rig = Rig::new();
        rig.print(&pattern(0, backlog));
        let frames = [
            hello(),
            ClientFrame::Attach(named("first")),
            ClientFrame::Detach,
            ClientFrame::Attach(named("second")),
            ClientFrame::Data(b"typed".to_vec()),
            ClientFrame::Status,
        ];
        let mut control = Control::silent(&rig);
        control.send(&frames);
        let mut seen = VecDeque::new();
        let status = control.next_that("the status", |frame| match frame {
            ServerFrame::Status(status) => Some(status),
            ServerFrame::Output(_) => None,
            other => {
                seen.push_back(other);
                None
            }
        });
        assert!(
            matches!(
                seen.make_contiguous(),
                [
                    ServerFrame::Hello { .. },
                    ServerFrame::Attached { .. },
                    ServerFrame::Ended(_),
                    ServerFrame::Attached { .. }
                ]
            ),
            "{seen:?}"
        );
        let holder = status.holder.expect("it holds the console");
        assert!(holder.by.starts_with("second"), "{}", holder.by);
        assert_eq!(rig.read_input(5), b"typed");
    }
}

#[test]
fn many_sessions_sent_together_are_all_had() {
    const ROUNDS: usize = 200;
    let rig = Rig::new();
    let session = encode(&[
        ClientFrame::Attach(named("again")),
        ClientFrame::Data(b"x".to_vec()),
        ClientFrame::Detach,
    ]);
    let mut control = Control::connect(&rig);
    let (mut stream, bytes) = (control.stream.try_clone().unwrap(), session.repeat(ROUNDS));
    let typist =
        std::thread::spawn(move || std::io::Write::write_all(&mut stream, &bytes).unwrap());
    let mut ended = 0;
    control.next_that("all to end", |frame| {
        rig.take_input();
        match frame {
            ServerFrame::Ended(_) => ended += 1,
            ServerFrame::Error { .. } | ServerFrame::Refused(_) => panic!("{frame:?}"),
            _ => {}
        }
        (ended == ROUNDS).then_some(())
    });
    support::join("all is sent", typist).unwrap().unwrap();
    assert_eq!(rig.counters().attaches as usize, ROUNDS);
}
