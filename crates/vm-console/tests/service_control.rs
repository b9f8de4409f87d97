//! The control socket: frames over a real socket, with the crate's client and with bad ones.

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use support::{PATIENCE, Rig, newest_only, pattern, wait_until};
use vm_console::Start;
use vm_console::audit::Audited;
use vm_console::client::{ClientError, ControlClient};
use vm_console::protocol::{
    AttachRequest, ClientFrame, Decoder, EndCode, ErrorCode, FRAME_LIMIT, LogRequest, PowerAction,
    RefusalCode, ServerFrame, SessionEnd,
};
use vm_console::session::{Identity, Limit, Right};
use vm_console::transport::stdio::FdClient;
use vm_console::{ConsoleConfig, LogConfig, MarkKind, PowerControl};
use vm_uart::registers::{LSR, Lsr, RBR};

fn named(name: &str) -> AttachRequest {
    AttachRequest {
        name: name.into(),
        ..AttachRequest::default()
    }
}

/// Reads output until offset `end`. Checks that no byte is missing or comes twice.
fn output(client: &mut ControlClient, mut at: u64, end: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while at < end {
        match client.next_frame().unwrap().expect("the service is there") {
            ServerFrame::Output(output) => {
                assert_eq!(output.offset, at);
                at = output.next;
                bytes.extend(output.bytes);
            }
            ServerFrame::Boot { .. } | ServerFrame::Warning(_) => {}
            other => panic!("{other:?}"),
        }
    }
    bytes
}

fn ended(client: &mut ControlClient) -> SessionEnd {
    loop {
        match client.next_frame().unwrap().expect("the service is there") {
            ServerFrame::Ended(end) => return end,
            ServerFrame::Output(_) | ServerFrame::Boot { .. } | ServerFrame::Warning(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn attach_type_watch_and_detach() {
    let rig = Rig::new();
    rig.print(b"before");
    let mut client = rig.control();
    assert_eq!(client.console(), "vm");
    let attached = client.attach(&named("ada")).unwrap();
    assert_eq!((attached.start, attached.head), (0, 6));
    rig.print(b"after");
    assert_eq!(output(&mut client, 0, 11), b"beforeafter");
    client.typist().unwrap().type_bytes(b"typed").unwrap();
    assert_eq!(rig.read_input(5), b"typed");
    let end = client.detach().unwrap();
    assert_eq!((end.reason, end.resume), (EndCode::ClientClosed, 11));
    // The connection goes on, and so do the offsets.
    rig.print(b"more");
    let request = AttachRequest {
        replay: Start::Offset(end.resume),
        ..named("ada")
    };
    client.attach(&request).unwrap();
    assert_eq!(output(&mut client, 11, 15), b"more");
}

#[test]
fn all_byte_values_both_ways() {
    let rig = Rig::new();
    let all: Vec<u8> = (0..=255).collect();
    let mut client = rig.control();
    client.attach(&named("")).unwrap();
    rig.print(&all);
    assert_eq!(output(&mut client, 0, 256), all);
    client.typist().unwrap().type_bytes(&all).unwrap();
    assert_eq!(rig.read_input(256), all);
}

#[test]
fn refused_with_the_holder_and_forced_with_the_taker() {
    let rig = Rig::new();
    let (mut ada, mut bob) = (rig.control(), rig.control());
    ada.attach(&named("ada")).unwrap();
    let Err(ClientError::Refused(refusal)) = bob.attach(&named("bob")) else {
        panic!("not refused")
    };
    assert_eq!(refusal.reason, RefusalCode::Busy);
    assert!(refusal.holder.unwrap().by.starts_with("ada (uid "));
    bob.attach(&AttachRequest {
        force: true,
        ..named("bob")
    })
    .unwrap();
    let end = ended(&mut ada);
    assert_eq!(end.reason, EndCode::TakenOver);
    assert!(end.by.starts_with("bob (uid "), "{}", end.by);
    // The old holder is still connected. It may ask, and take the console back.
    assert!(ada.status().unwrap().holder.unwrap().by.starts_with("bob"));
    ada.attach(&AttachRequest {
        force: true,
        ..named("ada")
    })
    .unwrap();
    assert_eq!(ended(&mut bob).reason, EndCode::TakenOver);
}

#[test]
fn break_reaches_the_guest_as_a_break() {
    let rig = Rig::new();
    let mut client = rig.control();
    client.attach(&named("")).unwrap();
    let mut typist = client.typist().unwrap();
    typist.type_bytes(b"a").unwrap();
    typist.send_break().unwrap();
    typist.type_bytes(b"h").unwrap();
    let mut seen = Vec::new();
    wait_until("all three arrive", || {
        let mut port = rig.port.lock().unwrap();
        let lsr = Lsr::from_bits_retain(port.read(LSR));
        if lsr.contains(Lsr::DATA_READY) {
            seen.push((port.read(RBR), lsr.contains(Lsr::BREAK)));
        }
        seen.len() == 3
    });
    assert_eq!(seen, [(b'a', false), (0, true), (b'h', false)]);
    assert!(
        rig.log
            .marks()
            .iter()
            .any(|mark| mark.kind == MarkKind::Break)
    );
}

#[test]
fn the_log_can_be_read_without_a_session_and_with_the_power_off() {
    let rig = Rig::new();
    rig.print(b"one\ntwo\nthree\n");
    let mut holder = rig.control();
    holder.attach(&named("ada")).unwrap();
    let mut reader = rig.control();
    let all = reader.read_log(Start::Oldest, 1000).unwrap();
    assert_eq!(
        (all.start, all.next, all.bytes.as_slice()),
        (0, 14, &b"one\ntwo\nthree\n"[..])
    );
    // The same bytes are read again during a session.
    assert_eq!(
        reader.read_log(Start::Oldest, 1000).unwrap().bytes,
        all.bytes
    );
    assert_eq!(
        reader.read_log(Start::Lines(1), 1000).unwrap().bytes,
        b"three\n"
    );
    assert_eq!(
        reader.read_log(Start::Newest(4), 1000).unwrap().bytes,
        b"ree\n"
    );
    assert_eq!(reader.read_log(Start::Offset(4), 3).unwrap().bytes, b"two");
    assert_eq!(reader.read_log(Start::Offset(99), 3).unwrap().bytes, b"");
    rig.console.power_off();
    assert_eq!(ended(&mut holder).reason, EndCode::PoweredOff);
    assert_eq!(
        reader.read_log(Start::Oldest, 1000).unwrap().bytes,
        all.bytes
    );
    rig.console.power_on();
    rig.print(b"new");
    assert_eq!(
        reader.read_log(Start::ThisBoot, 1000).unwrap().bytes,
        b"new"
    );
}

#[test]
fn a_log_read_shows_what_is_lost() {
    let rig = Rig::with_log(ConsoleConfig::named("vm"), newest_only(4096));
    rig.print(&pattern(0, 10_000));
    let data = rig.control().read_log(Start::Offset(100), 1 << 20).unwrap();
    assert_eq!((data.asked, data.next, data.head), (100, 10_000, 10_000));
    assert!(data.start >= 10_000 - 4096);
    assert_eq!(data.bytes, pattern(0, 10_000)[data.start as usize..]);
}

#[test]
fn a_log_read_ends_where_output_is_missing_and_the_next_one_tells_how_much() {
    let sizes = LogConfig {
        tail: 5000,
        head: 300,
        ..LogConfig::default()
    };
    let rig = Rig::with_log(ConsoleConfig::named("vm"), sizes);
    rig.print(&pattern(0, 20_000));
    let mut reader = rig.control();
    let first = reader.read_log(Start::Oldest, 1 << 16).unwrap();
    assert_eq!((first.start, first.next), (0, 300));
    assert_eq!(first.bytes, pattern(0, 300));
    let rest = reader.read_log(Start::Offset(300), 1 << 16).unwrap();
    assert_eq!((rest.asked, rest.next), (300, 20_000));
    assert!(rest.start > 300);
    assert_eq!(rest.bytes, pattern(rest.start, rest.bytes.len()));
}

#[test]
fn the_owner_is_asked_once_for_each_right_at_an_attach() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let asks = Arc::clone(&asked);
    let mut config = ConsoleConfig::named("vm");
    config.authorizer = Arc::new(move |_: &str, _: &Identity, right| {
        asks.lock().unwrap().push(right);
        true
    });
    let rig = Rig::with(config);
    let watches = AttachRequest {
        read_only: true,
        ..named("ada")
    };
    for (request, rights) in [
        (named("ada"), vec![Right::ReadLog, Right::Attach]),
        (watches, vec![Right::ReadLog]),
    ] {
        let mut client = rig.control();
        client.attach(&request).unwrap();
        assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), rights);
        drop(client);
        rig.wait_until_free();
    }
    drop(rig.attach("raw"));
    let rights = std::mem::take(&mut *asked.lock().unwrap());
    assert_eq!(rights, [Right::ReadLog, Right::Attach]);
}

#[test]
fn attach_and_read_log_are_separate_rights() {
    let mut config = ConsoleConfig::named("vm");
    config.authorizer = Arc::new(|_: &str, who: &Identity, right| match who.name() {
        "typist" => right == Right::Attach,
        "auditor" => right == Right::ReadLog,
        _ => false,
    });
    let rig = Rig::with(config);
    rig.print(b"secret");
    // This one may type, and is shown no earlier output.
    let mut typist = rig.control();
    let attached = typist.attach(&named("typist")).unwrap();
    assert_eq!(attached.start, 6);
    assert!(matches!(
        typist.read_log(Start::Oldest, 9),
        Err(ClientError::Service {
            code: ErrorCode::NotPermitted,
            ..
        })
    ));
    // This one may watch, and not type.
    let mut auditor = rig.control();
    let refused = auditor.attach(&named("auditor")).unwrap_err();
    assert!(
        matches!(refused, ClientError::Refused(refusal) if refusal.reason == RefusalCode::NotPermitted)
    );
    auditor
        .attach(&AttachRequest {
            read_only: true,
            ..named("auditor")
        })
        .unwrap();
    assert_eq!(output(&mut auditor, 0, 6), b"secret");
    assert_eq!(auditor.read_log(Start::Oldest, 9).unwrap().bytes, b"secret");
    auditor.typist().unwrap().type_bytes(b"x").unwrap();
    let error = auditor.next_frame().unwrap();
    assert!(matches!(
        error,
        Some(ServerFrame::Error {
            code: ErrorCode::NotAttached,
            ..
        })
    ));
    assert!(rig.control().attach(&named("nobody")).is_err());
    assert!(rig.connect("raw").read_to_end().contains("not permitted"));
}

#[test]
fn no_session_unless_the_boot_log_is_on() {
    let mut config = ConsoleConfig::named("vm");
    config.session.requires_boot_log = true;
    let rig = Rig::with(config);
    let mut client = rig.control();
    client.attach(&named("ada")).unwrap();
    rig.console.set_boot_log(false);
    assert_eq!(ended(&mut client).reason, EndCode::Error);
    assert!(
        matches!(client.attach(&named("ada")), Err(ClientError::Refused(refusal)) if refusal.reason == RefusalCode::BootLogOff)
    );
    rig.console.set_boot_log(true);
    wait_until("it is on again", || rig.status().boot_log);
    client.attach(&named("ada")).unwrap();
}

#[test]
fn warnings_come_before_the_end() {
    for (limit, reason) in [
        (Limit::Idle, EndCode::Idle),
        (Limit::Absolute, EndCode::MaximumReached),
    ] {
        let mut config = ConsoleConfig::named("vm");
        config.session.warn_before = Duration::from_millis(200);
        let span = Duration::from_millis(400);
        match limit {
            Limit::Idle => config.session.idle_limit = span,
            Limit::Absolute => config.session.absolute_limit = span,
        }
        let rig = Rig::with(config);
        let mut client = rig.control();
        client.attach(&named("")).unwrap();
        let Some(ServerFrame::Warning(warning)) = client.next_frame().unwrap() else {
            panic!("no warning")
        };
        assert_eq!(warning.limit, limit);
        assert!(warning.remaining <= Duration::from_millis(200));
        assert_eq!(ended(&mut client).reason, reason);
    }
}

#[test]
fn empty_data_does_not_keep_a_session_alive() {
    let mut config = ConsoleConfig::named("vm");
    config.session.idle_limit = Duration::from_millis(300);
    let rig = Rig::with(config);
    let mut client = rig.control();
    client.attach(&named("")).unwrap();
    let end = Instant::now() + PATIENCE;
    // If the session has ended, the end comes before the answer.
    while client.is_attached() {
        assert!(Instant::now() < end, "empty frames count as input");
        client.ask(&ClientFrame::Data(Vec::new())).ok();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(ended(&mut client).reason, EndCode::Idle);
}

#[derive(Default)]
struct Levers([AtomicU32; 3]);

impl PowerControl for Levers {
    fn stop(&self) {
        self.0[0].fetch_add(1, Ordering::Relaxed);
    }
    fn start(&self) {
        self.0[1].fetch_add(1, Ordering::Relaxed);
    }
    fn restart(&self) {
        self.0[2].fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn stop_and_restart_beside_the_console() {
    let levers = Arc::new(Levers::default());
    let mut config = ConsoleConfig::named("vm");
    config.power = Some(levers.clone());
    let rig = Rig::with(config);
    let (mut holder, mut other) = (rig.control(), rig.control());
    holder.attach(&named("ada")).unwrap();
    for action in [
        PowerAction::Stop,
        PowerAction::Start,
        PowerAction::Restart,
        PowerAction::Restart,
    ] {
        holder.power(action).unwrap();
    }
    assert_eq!(
        levers
            .0
            .each_ref()
            .map(|lever| lever.load(Ordering::Relaxed)),
        [1, 1, 2]
    );
    // Power is refused while another client holds the console.
    assert!(matches!(
        other.power(PowerAction::Stop),
        Err(ClientError::Service {
            code: ErrorCode::NotPermitted,
            ..
        })
    ));
    // The error belongs to that request and to no later one.
    other.status().unwrap();
    // Power is refused where the owner has not built it in.
    let rig = Rig::new();
    let mut client = rig.control();
    assert!(matches!(
        client.power(PowerAction::Stop),
        Err(ClientError::Service {
            code: ErrorCode::NotSupported,
            ..
        })
    ));
}

#[test]
fn a_reset_is_told_and_the_session_goes_on() {
    let rig = Rig::new();
    let mut client = rig.control();
    client.attach(&named("")).unwrap();
    rig.print(b"old");
    assert_eq!(output(&mut client, 0, 3), b"old");
    rig.console.reset();
    let Some(ServerFrame::Boot { epoch, offset }) = client.next_frame().unwrap() else {
        panic!("not told")
    };
    assert_eq!((epoch, offset), (rig.log.epoch(), 3));
    client.typist().unwrap().type_bytes(b"x").unwrap();
    assert_eq!(rig.read_input(1), b"x");
}

#[test]
fn a_passed_socket_is_served_raw() {
    let rig = Rig::new();
    rig.print(b"backlog");
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut control = rig.control();
    control.attach_socket(&named("ada"), &theirs).unwrap();
    drop(theirs);
    let mut client = support::Client::new(ours);
    assert_eq!(client.read(7), b"backlog");
    client.send(b"typed");
    assert_eq!(rig.read_input(5), b"typed");
    assert!(rig.status().holder.unwrap().by.starts_with("ada (uid "));
    // A second socket is refused, since the console is busy. So is a pipe, which its other owner
    // could make blocking.
    let (_, second) = UnixStream::pair().unwrap();
    assert!(matches!(
        control.attach_socket(&named("bob"), &second),
        Err(ClientError::Refused(_))
    ));
    let (_reader, pipe) = std::io::pipe().unwrap();
    let error = control.attach_socket(&named("bob"), &pipe).unwrap_err();
    assert!(matches!(
        error,
        ClientError::Service {
            code: ErrorCode::NotSupported,
            ..
        }
    ));
    drop(client);
    rig.wait_until_free();
    // The passed socket's end leaves the control connection open.
    assert!(control.status().unwrap().holder.is_none());
    // A refused client is told the reason, and no holder.
    rig.console.power_off();
    wait_until("it is off", || !rig.status().powered);
    assert!(
        matches!(control.attach_socket(&named("bob"), &second), Err(ClientError::Refused(refusal)) if refusal.reason == RefusalCode::PoweredOff && refusal.holder.is_none())
    );
}

#[test]
fn frames_cut_at_each_byte_are_put_together() {
    let rig = Rig::new();
    let mut wire = Vec::new();
    ClientFrame::Hello {
        version: 1,
        program: "cut".into(),
    }
    .encode(&mut wire);
    ClientFrame::Attach(named("cut")).encode(&mut wire);
    ClientFrame::Data(b"hello".to_vec()).encode(&mut wire);
    ClientFrame::Detach.encode(&mut wire);
    for cut in 1..wire.len() {
        let mut stream = rig.control_stream();
        stream.write_all(&wire[..cut]).unwrap();
        // The first part has to arrive alone.
        wait_until("the connection is taken in", || {
            rig.counters().connections == cut as u64
        });
        stream.write_all(&wire[cut..]).unwrap();
        let mut decoder = Decoder::default();
        let mut kinds = Vec::new();
        while kinds.last() != Some(&0x86) {
            let mut buffer = [0; 1024];
            let n = stream.read(&mut buffer).unwrap();
            assert_ne!(n, 0);
            decoder.feed(&buffer[..n]);
            while let Some(frame) = decoder.next_frame().unwrap() {
                kinds.push(frame.kind);
            }
        }
        assert_eq!(kinds, [0x81, 0x82, 0x86], "cut at {cut}");
        assert_eq!(rig.read_input(5), b"hello");
    }
}

#[test]
fn bad_frames_have_a_defined_answer_and_the_holder_does_not_notice() {
    let rig = Rig::new();
    let mut holder = rig.control();
    holder.attach(&named("ada")).unwrap();
    let bad: [(&[u8], ErrorCode); 6] = [
        (&[0, 0, 0, 0], ErrorCode::Malformed),
        (&[0xff, 0xff, 0xff, 0xff], ErrorCode::Malformed),
        (
            &(FRAME_LIMIT as u32 + 1).to_le_bytes(),
            ErrorCode::Malformed,
        ),
        (&[2, 0, 0, 0, 0x02, 0x00], ErrorCode::Malformed),
        (&[2, 0, 0, 0, 0x7f, 0x00], ErrorCode::UnknownType),
        (&[2, 0, 0, 0, 0x0a, 0x09], ErrorCode::Malformed),
    ];
    for (bytes, code) in bad {
        let stream = rig.control_stream();
        let mut raw = stream.try_clone().unwrap();
        let mut client = ControlClient::from_stream(stream).unwrap();
        raw.write_all(bytes).unwrap();
        let Some(ServerFrame::Error { code: answered, .. }) = client.next_frame().unwrap() else {
            panic!("no answer")
        };
        assert_eq!(answered, code, "{bytes:02x?}");
        if code == ErrorCode::UnknownType {
            assert!(client.status().unwrap().holder.is_some(), "it can go on");
        } else {
            assert_eq!(client.next_frame().unwrap(), None, "it is closed");
        }
    }
    assert_eq!(rig.counters().bad_frames, 6);
    rig.print(b"fine");
    assert_eq!(output(&mut holder, 0, 4), b"fine");
}

#[test]
fn a_client_that_asks_and_never_reads_is_bounded() {
    let rig = Rig::new();
    rig.print(&pattern(0, 100_000));
    let mut stream = rig.control_stream();
    stream.set_nonblocking(true).unwrap();
    let mut request = Vec::new();
    ClientFrame::LogRead(LogRequest {
        id: 1,
        start: Start::Oldest,
        log: None,
        max: u32::MAX,
    })
    .encode(&mut request);
    // The service stops reading once too many answers wait for the client.
    let mut asked = 0u32;
    let mut refused = 0;
    while refused < 50 {
        if let Ok(n) = stream.write(&request) {
            assert_eq!(n, request.len());
            asked += 1;
            refused = 0;
            assert!(asked < 1_000_000, "it reads on and on");
        } else {
            refused += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let answered = rig.counters().log_reads;
    // As many as the socket's buffer holds, and a few that wait in the service.
    assert!(answered < 30, "{answered} answers of 64 KiB are held");
    rig.control().attach(&named("others are served")).unwrap();
}

#[test]
fn replayed_queries_are_taken_out_and_live_ones_are_not() {
    let rig = Rig::new();
    rig.print(b"a\x1b[6nb\x1b[c");
    let mut client = rig.control();
    let attached = client.attach(&named("")).unwrap();
    let replayed = output(&mut client, attached.start, attached.head);
    assert_eq!(replayed, b"ab");
    rig.print(b"\x1b[6n");
    assert_eq!(
        output(&mut client, attached.head, attached.head + 4),
        b"\x1b[6n"
    );
    // A client that asks for it gets the log unaltered.
    client.detach().unwrap();
    client
        .attach(&AttachRequest {
            unguarded: true,
            ..named("")
        })
        .unwrap();
    assert_eq!(
        output(&mut client, 0, attached.head + 4),
        b"a\x1b[6nb\x1b[c\x1b[6n"
    );
    assert_eq!(
        client.read_log(Start::Oldest, 99).unwrap().bytes,
        b"a\x1b[6nb\x1b[c\x1b[6n"
    );
    assert_eq!(rig.counters().guarded, 7);
}

#[test]
fn replay_choices() {
    let rig = Rig::new();
    rig.print(b"old boot\n");
    rig.console.reset();
    rig.print(b"one\ntwo\nthree");
    let mut client = rig.control();
    for (replay, shown) in [
        (Start::Now, &b""[..]),
        (Start::Oldest, b"old boot\none\ntwo\nthree"),
        (Start::Lines(2), b"two\nthree"),
        (Start::Newest(3), b"ree"),
        (Start::Offset(9), b"one\ntwo\nthree"),
        (Start::Offset(1000), b""),
        (Start::ThisBoot, b"one\ntwo\nthree"),
    ] {
        let attached = client
            .attach(&AttachRequest {
                replay,
                ..named("")
            })
            .unwrap();
        assert_eq!(
            output(&mut client, attached.start, attached.head),
            shown,
            "{replay:?}"
        );
        client.detach().unwrap();
    }
}

#[test]
fn counters_status_and_audit_tell_the_same_story() {
    let rig = Rig::new();
    let mut client = rig.control();
    client.attach(&named("ada")).unwrap();
    client.typist().unwrap().resize(80, 25).unwrap();
    let status = client.status().unwrap();
    let counter = |name: &str| {
        status
            .counters
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| *v)
    };
    assert_eq!(counter("attaches"), Some(1));
    assert_eq!(counter("connections"), Some(1));
    assert!(rig.counters().to_string().contains("sessions granted"));
    rig.audited(
        "attach",
        |what| matches!(what, Audited::Attached { who, forced: false } if who.name() == "ada"),
    );
    rig.audited("resize", |what| {
        *what
            == Audited::Resized {
                columns: 80,
                rows: 25,
            }
    });
    drop(client);
    rig.audited("end", |what| matches!(what, Audited::Ended { .. }));
}

#[test]
fn boots_without_end_are_told_in_bounded_memory() {
    const RESETS: u64 = 5000;
    let rig = Rig::new();
    let mut client = rig.control();
    client.attach(&named("asleep")).unwrap();
    for _ in 0..RESETS {
        rig.console.reset();
        // When it answers, the service has seen the reset.
        rig.status();
    }
    rig.print(b".");
    let mut told = Vec::new();
    while let Some(ServerFrame::Boot { epoch, .. }) = client.next_frame().unwrap() {
        told.push(epoch);
    }
    // They are those that fitted into the socket's buffer, and the newest.
    assert!(told.len() < RESETS as usize / 2, "{} are held", told.len());
    assert_eq!(told.last(), Some(&rig.log.epoch()));
    assert!(told.is_sorted());
}

#[test]
fn a_tcp_peer_that_goes_frees_the_console_of_a_silent_guest() {
    let rig = Rig::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    // Only the owner can attach one, since closing a TCP socket of a client might wait.
    let refused = rig.control().attach_socket(&named("ada"), &ours);
    assert!(matches!(
        refused,
        Err(ClientError::Service {
            code: ErrorCode::NotSupported,
            ..
        })
    ));
    let _attachment = rig.console.attach(FdClient::from_socket(ours.into()));
    peer.write_all(b"bye").unwrap();
    drop(peer);
    assert_eq!(rig.read_input(3), b"bye");
    rig.wait_until_free();
}

#[test]
fn descriptors_passed_along_are_not_leaked() {
    use std::os::fd::AsFd;
    let rig = Rig::new();
    let (passed, mut other_end) = std::io::pipe().unwrap();
    let mut status = Vec::new();
    ClientFrame::Status.encode(&mut status);
    let stream = rig.control_stream();
    for count in [1, 2, 3, 100, 0, 1] {
        let along = vec![passed.as_fd(); count];
        let mut space = vec![std::mem::MaybeUninit::uninit(); 1024];
        let mut message = rustix::net::SendAncillaryBuffer::new(&mut space);
        if count > 0 {
            assert!(message.push(rustix::net::SendAncillaryMessage::ScmRights(&along)));
        }
        let slices = [std::io::IoSlice::new(&status)];
        let flags = rustix::net::SendFlags::empty();
        rustix::net::sendmsg(&stream, &slices, &mut message, flags).unwrap();
    }
    let mut client = ControlClient::from_stream(stream).unwrap();
    for _ in 0..6 {
        let answer = client.next_frame().unwrap();
        assert!(matches!(answer, Some(ServerFrame::Status(_))), "{answer:?}");
    }
    // Writing to a pipe fails once all its readers are closed.
    drop((client, passed));
    wait_until("all are closed", || other_end.write(b"x").is_err());
}
