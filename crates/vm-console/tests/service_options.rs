//! The options of a console: rate limit, lossless mode, carrier, gap policy, too-slow policy,
//! observers and listeners.

mod support;

use std::io::{Read, Write};
use std::num::NonZeroU32;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::{Duration, Instant};

use support::{
    Client, PATIENCE, Rig, control_client, join, newest_only, pattern, received_and_lost,
    wait_until,
};
use vm_console::Start;
use vm_console::audit::Audited;
use vm_console::service::Outcome;
use vm_console::session::{EndReason, Refused};
use vm_console::transport::Listener;
use vm_console::transport::stdio::FdClient;
use vm_console::transport::unix::{Peers, UnixSocket};
use vm_console::{ConsoleConfig, DropLimit, GapPolicy, LogConfig, RateLimit};
use vm_uart::registers::{LSR, Lsr, MSR, Msr, THR};

fn rate(bytes_per_second: u32, burst: u32) -> RateLimit {
    RateLimit {
        bytes_per_second: NonZeroU32::new(bytes_per_second).unwrap(),
        burst: NonZeroU32::new(burst).unwrap(),
    }
}

#[test]
fn a_rate_limit_delays_and_loses_nothing() {
    let mut config = ConsoleConfig::named("vm");
    config.rate_limit = Some(rate(20_000, 1000));
    let rig = Rig::with(config);
    let begin = Instant::now();
    let mut client = rig.attach("raw");
    let all = pattern(0, 11_000);
    rig.print(&all);
    assert!(client.read(all.len()) == all);
    // On no machine can it be faster than this. A slow machine may take longer.
    assert!(begin.elapsed() >= Duration::from_millis(500));
    let counters = rig.counters();
    assert!(counters.throttled > 0);
    // There are about ten wakeups a second, not one for each byte.
    assert!(counters.throttled < 200, "{}", counters.throttled);
}

#[test]
fn lossless_mode_waits_for_a_client_that_reads() {
    lossless_with_window(4096);
}

#[test]
fn a_lossless_window_wider_than_the_log_is_the_log() {
    lossless_with_window(u64::MAX);
}

fn lossless_with_window(window: u64) {
    let mut config = ConsoleConfig::named("vm");
    config.lossless = Some(PATIENCE);
    config.lossless_window = window;
    let rig = Rig::with_log(config, newest_only(8192));
    let mut client = rig.attach("raw");
    let all = pattern(0, 3 << 20);
    let (port, bytes) = (rig.port.clone(), all.clone());
    let guest = std::thread::spawn(move || {
        for byte in bytes {
            // A driver looks at THRE first.
            loop {
                let mut port = port.lock().unwrap();
                if port.read(LSR) & Lsr::THR_EMPTY.bits() != 0 {
                    break port.write(THR, byte);
                }
                drop(port);
                std::thread::yield_now();
            }
        }
    });
    assert!(client.read(all.len()) == all);
    guest.join().unwrap();
    let counters = rig.counters();
    assert_eq!(counters.output_lost, 0);
    assert!(counters.output_holds > 0);
    assert_eq!(counters.output_holds_expired, 0);
}

#[test]
fn lossless_mode_gives_up_on_a_client_that_does_not() {
    let mut config = ConsoleConfig::named("vm");
    config.lossless = Some(Duration::from_millis(5));
    config.lossless_window = 4096;
    let rig = Rig::with_log(config, newest_only(8192));
    let mut client = rig.attach("raw");
    rig.print(b"seen");
    assert_eq!(client.read(4), b"seen");
    let mut printed = 4;
    for byte in pattern(4, 2 << 20) {
        wait_until("the transmitter is empty", || rig.may_send());
        rig.port.lock().unwrap().write(THR, byte);
        printed += 1;
    }
    let counters = rig.counters();
    // Output is held once, and not again before the client has caught up.
    assert_eq!(counters.output_holds_expired, 1);
    wait_until("all of it is in the log", || rig.log.head() == printed);
    drop(client);
    // Without a holder nothing is held.
    rig.wait_until_free();
    rig.print(&pattern(0, 100_000));
    assert_eq!(rig.log.head(), printed + 100_000);
}

#[test]
fn output_that_is_held_goes_on_when_the_session_ends_however_it_ends() {
    let ends: [fn(&Rig); 3] = [
        |rig| rig.console.power_off(),
        |rig| rig.console.disconnect(EndReason::Revoked),
        |rig| drop(rig.attach("force")),
    ];
    for end in ends {
        let mut config = ConsoleConfig::named("vm");
        config.lossless = Some(PATIENCE * 2);
        config.lossless_window = 4096;
        let rig = Rig::with(config);
        let mut client = rig.attach("raw");
        rig.print(b"seen");
        assert_eq!(client.read(4), b"seen");
        let mut printed = 4;
        wait_until("output is held", || {
            for _ in 0..10_000 {
                if rig.may_send() {
                    rig.port.lock().unwrap().write(THR, b'x');
                    printed += 1;
                }
            }
            // Output may wait only for the service to look, so let it look first.
            rig.status();
            !rig.may_send()
        });
        end(&rig);
        wait_until("output goes on", || rig.may_send());
        assert_eq!(rig.log.head(), printed);
    }
}

#[test]
fn a_console_that_floods_does_not_starve_its_neighbour() {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};
    use vm_console::{BootLog, Console};
    let rig = Rig::new();
    let (writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let (line, console) = Console::new(ConsoleConfig::named("flood"), writer).unwrap();
    let port = Arc::new(Mutex::new(line));
    let socket = UnixSocket::bind(rig.path("flood")).unwrap();
    rig.service
        .add(console, port.clone(), vec![Listener::raw(socket)])
        .unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                port.lock().unwrap().transmit(&[b'x'; 256]);
            }
        });
        scope.spawn(|| {
            let mut client = UnixStream::connect(rig.path("flood")).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut buffer = vec![0; 64 << 10];
            while !stop.load(Ordering::Relaxed) {
                assert!(client.read(&mut buffer).unwrap() > 0);
            }
        });
        let mut quiet = rig.attach("raw");
        for round in 0..50u8 {
            let before = log.head();
            quiet.send(&[round]);
            assert_eq!(rig.read_input(1), [round]);
            rig.print(&[round]);
            assert_eq!(quiet.read(1), [round]);
            wait_until("the flood goes on", || log.head() > before);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn carrier_follows_the_session_and_falls_between_two() {
    let mut config = ConsoleConfig::named("vm");
    config.carrier = true;
    let rig = Rig::with(config);
    let msr = || Msr::from_bits_retain(rig.port.lock().unwrap().read(MSR));
    let is_down = || !msr().intersects(Msr::DCD | Msr::DSR);
    wait_until("carrier is down", is_down);
    let first = rig.attach("raw");
    wait_until("carrier is up", || msr().contains(Msr::DCD | Msr::DSR));
    // A takeover drops the carrier for long enough that a guest sees it. The new holder's input
    // waits until it is up again.
    let mut second = rig.attach("force");
    second.send(b"x");
    wait_until("carrier has dropped", || !msr().contains(Msr::DCD));
    let mut up_before_input = false;
    wait_until("the input arrives", || {
        up_before_input |= msr().contains(Msr::DCD);
        !rig.take_input().is_empty()
    });
    assert!(up_before_input);
    drop((first, second));
    wait_until("carrier is down", is_down);
}

#[test]
fn gap_policies() {
    for policy in [GapPolicy::Silent, GapPolicy::Disconnect] {
        let mut config = ConsoleConfig::named("vm");
        config.gaps = policy;
        let rig = Rig::with_log(config, newest_only(4096));
        let mut client = rig.attach("raw");
        for chunk in pattern(0, 4 << 20).chunks(4096) {
            rig.print(chunk);
        }
        rig.print(b"END");
        if policy == GapPolicy::Disconnect {
            let end = client.read_to_end();
            assert!(end.contains("session over: the client was too slow for the output"));
            rig.audited("end", too_slow);
            continue;
        }
        let seen = client.read_until("END");
        assert!(!seen.windows(9).any(|text| text == b"bytes of "));
        let counters = || rig.counters();
        wait_until("it is counted", || {
            counters().output_delivered as usize == seen.len()
        });
        assert_eq!(counters().output_lost as usize + seen.len(), (4 << 20) + 3);
    }
}

fn too_slow(what: &Audited) -> bool {
    matches!(
        what,
        Audited::Ended {
            why: EndReason::TooSlow,
            ..
        }
    )
}

#[test]
fn a_client_too_far_behind_can_be_disconnected() {
    let mut config = ConsoleConfig::named("vm");
    config.max_behind = Some(500_000);
    let rig = Rig::with(config);
    let mut client = rig.attach("raw");
    for chunk in pattern(0, 1_000_000).chunks(1000) {
        rig.print(chunk);
    }
    rig.audited("end", too_slow);
    let end = client.read_to_end();
    assert!(end.contains("too slow"));
    rig.attach("raw");
}

#[test]
fn what_was_written_before_does_not_count_as_behind() {
    let mut config = ConsoleConfig::named("vm");
    config.max_behind = Some(10_000);
    let rig = Rig::with(config);
    let all = pattern(0, 900_000);
    rig.print(&all);
    let mut client = rig.attach("raw");
    assert!(client.read(all.len()) == all);
    rig.print(b"live");
    assert_eq!(client.read(4), b"live");
}

/// epoll refuses to watch epolls that are nested so deep. It also refuses once the user's limit of
/// watches is reached, but a test cannot reach that.
#[test]
fn a_client_that_cannot_be_watched_does_not_keep_the_console() {
    use rustix::event::epoll;
    let rig = Rig::new();
    let make = || epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let mut chain = vec![make()];
    for _ in 0..6 {
        let next = make();
        let inner = chain.last().unwrap();
        if epoll::add(
            &next,
            inner,
            epoll::EventData::new_u64(0),
            epoll::EventFlags::IN,
        )
        .is_err()
        {
            break;
        }
        chain.push(next);
    }
    let screen = std::fs::File::create(rig.path("screen")).unwrap();
    let client = FdClient::from_files(chain.last().unwrap(), &screen).unwrap();
    let outcome = rig.console.attach(client).wait();
    assert!(
        matches!(outcome, Some(Outcome::Ended(EndReason::Error(_)))),
        "{outcome:?}"
    );
    rig.attach("raw");
}

#[test]
fn observers_are_bounded() {
    let mut config = ConsoleConfig::named("vm");
    config.max_observers = 2;
    let rig = Rig::with(config);
    let _watchers: Vec<_> = (0..2).map(|_| rig.connect("watch")).collect();
    wait_until("both watch", || rig.status().observers == 2);
    assert!(
        rig.connect("watch")
            .read_to_end()
            .contains("too many observers")
    );
    rig.attach("raw");
}

#[test]
fn abstract_sockets_let_in_their_own_user() {
    let rig = Rig::new();
    let name = format!("vm-console-test-{}", std::process::id());
    let socket = UnixSocket::bind_abstract(name.as_bytes()).unwrap();
    let taken = UnixSocket::bind_abstract(name.as_bytes()).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    rig.console.listen(Listener::raw(socket));
    rig.print(b"hello");
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let connect = || Client::new(UnixStream::connect_addr(&address).unwrap());
    assert_eq!(connect().read(5), b"hello");
    // Only another user may connect here, so this process is turned away.
    let other = format!("{name}-other");
    let socket = UnixSocket::bind_abstract(other.as_bytes())
        .unwrap()
        .with_peers(Peers::Uids(vec![4_000_000]));
    rig.console.listen(Listener::raw(socket));
    let address = SocketAddr::from_abstract_name(&other).unwrap();
    let mut client = Client::new(UnixStream::connect_addr(&address).unwrap());
    assert_eq!(client.read_to_end(), "console vm: not permitted\r\n");
}

#[test]
fn a_passed_listener_is_served_and_its_file_left_alone() {
    let rig = Rig::new();
    let path = rig.path("passed");
    rig.console
        .listen(Listener::raw(UnixListener::bind(&path).unwrap().into()));
    rig.print(b"hello");
    assert_eq!(
        Client::new(UnixStream::connect(&path).unwrap()).read(5),
        b"hello"
    );
    drop(rig.service.clone());
    rig.console.remove();
    wait_until("it is not served any more", || {
        UnixStream::connect(&path).is_err()
    });
    assert!(path.exists());
    assert!(!rig.path("raw").exists());
}

#[test]
fn pipes_are_a_client_with_escapes_and_an_outcome() {
    let rig = Rig::new();
    rig.print(b"shown\x1b[6n");
    let (keys, mut typing) = std::io::pipe().unwrap();
    let (mut screen, output) = std::io::pipe().unwrap();
    let client = FdClient::from_files(&keys, &output).unwrap().with_escapes();
    let attachment = rig.console.attach(client);
    let mut shown = [0; 5];
    screen.read_exact(&mut shown).unwrap();
    assert_eq!(&shown, b"shown");
    typing.write_all(b"ls\r~~\r").unwrap();
    assert_eq!(rig.read_input(5), b"ls\r~\r");
    // A second client is refused, and its attachment tells so.
    let (keys2, _typing2) = std::io::pipe().unwrap();
    let second = rig
        .console
        .attach(FdClient::from_files(&keys2, &output).unwrap());
    assert!(matches!(
        second.wait(),
        Some(Outcome::Refused(Refused::Busy { .. }))
    ));
    typing.write_all(b"~.").unwrap();
    assert_eq!(
        attachment.wait(),
        Some(Outcome::Ended(EndReason::ClientClosed))
    );
    rig.attach("raw");
}

#[test]
fn a_socket_that_blocks_does_not_stop_the_service() {
    for as_files in [false, true] {
        let rig = Rig::new();
        let (ours, theirs) = UnixStream::pair().unwrap();
        // Less than the service writes at once.
        rustix::net::sockopt::set_socket_send_buffer_size(&theirs, 16 << 10).unwrap();
        let client = if as_files {
            FdClient::from_files(&theirs, &theirs).unwrap()
        } else {
            FdClient::from_socket(theirs.try_clone().unwrap().into())
        };
        if !as_files {
            // Whoever shares the socket may make it blocking.
            theirs.set_nonblocking(false).unwrap();
        }
        rig.console.attach(client);
        rig.wait_until_held();
        let mut client = Client::new(ours);
        client.send(b"x");
        assert_eq!(rig.read_input(1), b"x");
        rig.prompt_status();
        rig.print(&pattern(0, 1 << 20));
        // Of a socket that a client may share, a part of the buffer is left for last words.
        wait_until("the socket is full", || {
            rig.prompt_status();
            rustix::io::ioctl_fionread(&client.stream).unwrap() >= 8 << 10
        });
        for _ in 0..10 {
            rig.prompt_status();
        }
    }
}

#[test]
fn whoever_cannot_answer_by_closing_is_not_waited_for() {
    let mut config = ConsoleConfig::named("vm");
    config.linger = Duration::from_secs(3600);
    let rig = Rig::with(config);
    let (keys, _typing) = std::io::pipe().unwrap();
    let (mut screen, output) = std::io::pipe().unwrap();
    rig.console
        .attach(FdClient::from_files(keys, output).unwrap());
    rig.wait_until_held();
    rig.console.disconnect(EndReason::Revoked);
    let mut end = String::new();
    screen.read_to_string(&mut end).unwrap();
    assert!(end.contains("revoked"), "{end}");
}

#[test]
fn files_that_cannot_be_watched_are_served_all_the_same() {
    let rig = Rig::new();
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    let typed = pattern(0, 20_000);
    std::fs::write(&script, &typed).unwrap();
    let screen = std::fs::File::create(dir.path().join("screen")).unwrap();
    rig.print(b"before ");
    let input = std::fs::File::open(&script).unwrap();
    let client = FdClient::from_files(&input, &screen)
        .unwrap()
        .replay(Start::Oldest);
    let attachment = rig.console.attach(client);
    assert!(rig.read_input(typed.len()) == typed);
    rig.print(b"after");
    wait_until("the file has it", || {
        std::fs::read(dir.path().join("screen")).unwrap() == b"before after"
    });
    rig.console.disconnect(EndReason::Revoked);
    assert_eq!(attachment.wait(), Some(Outcome::Ended(EndReason::Revoked)));
}

#[test]
fn a_restarted_service_goes_on_where_the_old_one_stopped() {
    use std::sync::{Arc, Mutex};
    use vm_console::service::Service;
    use vm_console::{BootLog, Console};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raw");
    let (writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let (line, console) = Console::new(ConsoleConfig::named("vm"), writer).unwrap();
    let port = Arc::new(Mutex::new(vm_uart::SerialPort::new((), line)));
    let mut all = Vec::new();
    for round in 0..3u64 {
        let (service, thread) = Service::spawn().unwrap();
        let socket = UnixSocket::bind(&path).unwrap();
        let handle = service
            .add(console.clone(), port.clone(), vec![Listener::raw(socket)])
            .unwrap();
        let more = pattern(round, 1000);
        port.lock().unwrap().write_string(THR, &more);
        all.extend(more);
        let mut client = Client::new(UnixStream::connect(&path).unwrap());
        assert_eq!(client.read(all.len()), all);
        // The guest goes on printing while no service serves it.
        service.shut_down();
        join("the service ends", thread).unwrap().unwrap();
        assert!(client.read_to_end().contains("shutting down"));
        assert!(!path.exists());
        handle.reset();
        port.lock().unwrap().write_string(THR, b"between");
        all.extend(b"between");
        assert_eq!(log.epoch(), round + 2);
    }
    assert_eq!(console.counters().attaches, 3);
    assert_eq!(log.head(), all.len() as u64);
}

#[test]
fn a_console_moves_with_its_guest_and_its_client_resumes_where_it_stopped() {
    use vm_console::protocol::{AttachRequest, ServerFrame};
    use vm_console::{BootLog, Console, ConsoleImage};
    let here = Rig::new();
    let all = pattern(0, 50_000);
    let mut client = here.control();
    client.attach(&AttachRequest::default()).unwrap();
    here.print(&all[..30_000]);
    here.service.shut_down();
    let mut received = Vec::new();
    let resume = loop {
        match client.next_frame().unwrap().unwrap() {
            ServerFrame::Output(output) => received.extend(output.bytes),
            ServerFrame::Ended(end) => break end.resume,
            other => panic!("{other:?}"),
        }
    };
    let bytes = {
        let port = here.port.lock().unwrap();
        here.console.console().export(port.line()).to_bytes()
    };
    for cut in [0, 7, 8, 12, 15, 16, 100, bytes.len() / 2] {
        assert!(
            ConsoleImage::from_bytes(&bytes[..cut]).is_err(),
            "cut at {cut}"
        );
    }

    let image = ConsoleImage::from_bytes(&bytes).unwrap();
    let (writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let (mut line, console) = Console::resume(ConsoleConfig::named("vm"), writer, &image).unwrap();
    assert_eq!(log.epoch(), here.log.epoch());
    assert_eq!(console.counters(), here.counters());
    line.transmit(&all[30_000..]);
    let port = std::sync::Arc::new(std::sync::Mutex::new(line));
    let there = Rig::new();
    let socket = UnixSocket::bind(there.path("moved")).unwrap();
    there
        .service
        .add(console, port, vec![Listener::control(socket)])
        .unwrap();
    let mut client = control_client(&there.path("moved"));
    let replay = Start::Offset(resume);
    client
        .attach(&AttachRequest {
            replay,
            ..AttachRequest::default()
        })
        .unwrap();
    while received.len() < all.len() {
        match client.next_frame().unwrap().unwrap() {
            ServerFrame::Output(output) => received.extend(output.bytes),
            other => panic!("{other:?}"),
        }
    }
    assert!(received == all);
}

#[test]
fn a_lone_newline_is_typed_as_a_return_only_where_that_is_wanted() {
    let rig = Rig::new();
    let typed = b"dir\ncd\r\n\n";
    let mut plain = rig.attach("raw");
    plain.send(typed);
    assert_eq!(rig.read_input(typed.len()), typed);
    drop(plain);
    rig.wait_until_free();

    let mapped = b"dir\rcd\r\n\r";
    let socket = UnixSocket::bind(rig.path("sac")).unwrap();
    rig.console
        .listen(Listener::raw(socket).newline_as_return());
    let mut client = rig.attach("sac");
    client.send(typed);
    assert_eq!(rig.read_input(typed.len()), mapped);
    drop(client);
    rig.wait_until_free();

    let (ours, theirs) = UnixStream::pair().unwrap();
    rig.console
        .attach(FdClient::from_socket(theirs.into()).newline_as_return());
    Client::new(ours).send(typed);
    assert_eq!(rig.read_input(typed.len()), mapped);
}

#[test]
fn a_limit_that_drops_tells_and_counts_it_and_shows_the_newest() {
    let mut config = ConsoleConfig::named("vm");
    config.drop_limit = Some(DropLimit {
        rate: rate(5000, 1000),
        one_time_burst: 2000,
    });
    let rig = Rig::with(config);
    // The replay does not count.
    let replay = pattern(0, 50_000);
    rig.print(&replay);
    let begin = Instant::now();
    let mut client = rig.attach("raw");
    assert!(client.read(replay.len()) == replay);
    let flood = pattern(50_000, 100_000);
    for part in flood.chunks(10_000) {
        rig.print(part);
    }
    rig.print(b"login:");
    let live = client.read_until("login:");
    let (received, dropped) = {
        let text = String::from_utf8(live).unwrap();
        let told = text.replace("bytes of output dropped", "bytes of output lost");
        received_and_lost(told.as_bytes())
    };
    assert_eq!(received + dropped, flood.len() + 6);
    assert!(dropped > 0);
    let earned = begin.elapsed().as_nanos() * 5000 / 1_000_000_000;
    assert!(received as u128 <= 3000 + earned, "{received} {earned}");
    let counters = rig.counters();
    assert_eq!(counters.output_dropped, dropped as u64);
    assert_eq!(counters.output_lost, dropped as u64);
    wait_until("every byte is accounted for", || {
        let counters = rig.counters();
        counters.output_delivered + counters.output_lost == rig.log.head()
    });
}
