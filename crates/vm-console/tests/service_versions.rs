//! The first two versions of the protocol over a real socket: version 1 as it always was, and the
//! request numbers and log identities of version 2.

mod support;

use std::io::{ErrorKind, Write};
use std::time::Duration;

use support::control::error_code;
use support::frames::{Frames, hello};
use support::{PATIENCE, Rig};
use vm_console::client::{ClientError, ControlClient};
use vm_console::protocol::{
    AttachRequest, ClientFrame, EndCode, ErrorCode, LogRequest, PowerAction, ServerFrame,
    ServerFrameKind, Status3, VERSION,
};
use vm_console::session::EndReason;
use vm_console::{ConsoleConfig, LogConfig, LogId, Start};

fn attach(replay: Start, log: Option<LogId>) -> ClientFrame {
    ClientFrame::Attach(AttachRequest {
        replay,
        log,
        ..AttachRequest::default()
    })
}

fn log_read(start: Start, log: Option<LogId>) -> ClientFrame {
    ClientFrame::LogRead(LogRequest {
        id: 1,
        start,
        log,
        max: 100,
    })
}

fn service_error<T>(result: &Result<T, ClientError>) -> Option<ErrorCode> {
    match result {
        Err(ClientError::Service { code, .. }) => Some(*code),
        _ => None,
    }
}

#[test]
fn a_client_of_version_1_meets_nothing_of_version_2() {
    let rig = Rig::new();
    for greeting in [None, Some(hello(1)), Some(hello(0))] {
        let mut client = Frames::connect(&rig);
        if let Some(greeting) = greeting {
            client.send(&greeting);
        }
        assert!(matches!(client.next(), ServerFrame::Hello { .. }));
        client.send(&attach(Start::Now, None));
        client.send(&ClientFrame::Status);
        client.send(&log_read(Start::Boot(7), None));
        client.send(&ClientFrame::Power(PowerAction::Stop));
        client.send(&ClientFrame::Detach);
        for kind in [
            ServerFrameKind::Attached,
            ServerFrameKind::Status,
            ServerFrameKind::LogData,
            ServerFrameKind::Error,
            ServerFrameKind::Ended,
        ] {
            assert_eq!(client.next().kind(), kind);
        }
        // Version 1 does not have this type, so the service does not know it from this client.
        client.request(1, ClientFrame::Status);
        assert_eq!(error_code(&client.next()), Some(ErrorCode::UnknownType));
        // Version 1 does not have this start kind.
        client.send(&attach(Start::Now, LogId::new(1)));
        assert_eq!(error_code(&client.next()), Some(ErrorCode::Malformed));
        assert_eq!(client.next_or_end(), None);
    }
}

#[test]
fn only_the_first_hello_that_says_more_is_welcomed() {
    let rig = Rig::new();
    let mut client = Frames::connect(&rig);
    client.version = VERSION;
    for version in [1, u16::MAX, 2, 1] {
        client.send(&hello(version));
    }
    client.request(9, ClientFrame::Status);
    assert!(matches!(client.next(), ServerFrame::Hello { .. }));
    let welcome = ServerFrame::Welcome {
        version: VERSION,
        log: rig.log.id(),
    };
    assert_eq!(client.next(), welcome);
    let ServerFrame::Status3(Status3(status)) = client.answer(9) else {
        panic!("no status")
    };
    assert_eq!(status.log, rig.log.id());
    assert!(status.log.is_some());
}

#[test]
fn every_numbered_request_has_one_answer_in_its_order() {
    let rig = Rig::new();
    let mut client = Frames::of_version(2, &rig);
    let asked = [
        attach(Start::Now, None),
        ClientFrame::Data(b"typed".to_vec()),
        ClientFrame::Break,
        ClientFrame::Resize {
            columns: 80,
            rows: 25,
        },
        log_read(Start::Oldest, None),
        ClientFrame::Power(PowerAction::Stop),
        attach(Start::Now, None),
        hello(2),
        ClientFrame::Status,
    ];
    let answered = [
        ServerFrameKind::Attached,
        ServerFrameKind::Done,
        ServerFrameKind::Done,
        ServerFrameKind::Done,
        ServerFrameKind::LogData,
        ServerFrameKind::Error,
        ServerFrameKind::Error,
        ServerFrameKind::Done,
        ServerFrameKind::Status2,
    ];
    // Any numbers will do, since they mean nothing to the service.
    for (id, frame) in (7..).zip(asked) {
        client.request(id, frame);
    }
    for (id, kind) in (7..).zip(answered) {
        assert_eq!(client.answer(id).kind(), kind, "request {id}");
    }
    // The guest reads BREAK as NUL.
    assert_eq!(rig.read_input(6), b"typed\0");
    // The end comes as a frame of its own, after the answer.
    client.request(3, ClientFrame::Detach);
    assert_eq!(client.answer(3), ServerFrame::Done);
    assert_eq!(client.next().kind(), ServerFrameKind::Ended);
    // A late request with a number gets an error, and one without a number is void.
    client.request(4, ClientFrame::Data(b"late".to_vec()));
    client.request(5, ClientFrame::Break);
    client.request(6, ClientFrame::Detach);
    client.send(&ClientFrame::Data(b"late".to_vec()));
    client.send(&ClientFrame::Detach);
    client.request(7, ClientFrame::Status);
    for id in 4..=6 {
        let code = error_code(&client.answer(id));
        assert_eq!(code, Some(ErrorCode::NotAttached));
    }
    assert_eq!(client.answer(7).kind(), ServerFrameKind::Status2);
}

#[test]
fn an_attach_behind_a_detach_is_carried_out_after_the_end() {
    let rig = Rig::new();
    // This is more than a socket holds, so the end waits until the client reads.
    rig.print(&vec![b'.'; 1 << 20]);
    let mut client = Frames::connect(&rig);
    client.send(&attach(Start::Oldest, None));
    client.send(&ClientFrame::Detach);
    client.send(&attach(Start::Now, None));
    client.send(&ClientFrame::Status);
    let mut kinds = Vec::new();
    while kinds.last() != Some(&ServerFrameKind::Status) {
        let kind = client.next().kind();
        if kind != ServerFrameKind::Output {
            kinds.push(kind);
        }
    }
    assert_eq!(
        kinds,
        [
            ServerFrameKind::Hello,
            ServerFrameKind::Attached,
            ServerFrameKind::Ended,
            ServerFrameKind::Attached,
            ServerFrameKind::Status
        ]
    );
    assert!(rig.status().holder.is_some());
}

#[test]
fn requests_that_wait_for_the_end_are_bounded() {
    const MOST: usize = 8 << 20;
    let mut config = ConsoleConfig::named("vm");
    config.linger = PATIENCE;
    let rig = Rig::with(config);
    rig.print(&vec![b'.'; 1 << 20]);
    let mut client = Frames::connect(&rig);
    client.send(&attach(Start::Oldest, None));
    client.send(&ClientFrame::Detach);
    rig.wait_until_free();
    // The client does not read from here on, so the end cannot be sent.
    client.stream.set_nonblocking(true).unwrap();
    let mut wire = Vec::new();
    ClientFrame::Data(vec![0; 60 << 10]).encode(&mut wire);
    let (mut sent, mut full) = (0, 0);
    while full < 50 {
        assert!(sent < MOST, "it reads on and on");
        let rest = &wire[sent % wire.len()..];
        match client.stream.write(rest) {
            Ok(count) => (sent, full) = (sent + count, 0),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                full += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
    // The client reads again, and the end comes.
    client.stream.set_nonblocking(false).unwrap();
    while client.next().kind() != ServerFrameKind::Ended {}
}

#[test]
fn a_bad_frame_in_a_request_is_answered_and_the_session_goes_on() {
    let rig = Rig::new();
    let mut client = Frames::of_version(2, &rig);
    client.request(1, attach(Start::Now, None));
    assert_eq!(client.answer(1).kind(), ServerFrameKind::Attached);
    for (id, inner, code) in [
        (2, &[0x7f, 1, 2, 3][..], ErrorCode::UnknownType),
        (3, &[0x0a, 9], ErrorCode::Malformed),
        (4, &[0x0b, 4, 0, 0, 0, 0x07], ErrorCode::Malformed),
        (5, &[], ErrorCode::Malformed),
    ] {
        let length = 5 + inner.len() as u8;
        let mut wire = vec![length, 0, 0, 0, 0x0b, id, 0, 0, 0];
        wire.extend(inner);
        client.stream.write_all(&wire).unwrap();
        assert_eq!(error_code(&client.answer(id.into())), Some(code));
    }
    assert_eq!(rig.counters().bad_frames, 4);
    // This frame is longer, as one of a later version may be.
    let grown = [8, 0, 0, 0, 0x0b, 6, 0, 0, 0, 0x07, 0xaa, 0xbb];
    client.stream.write_all(&grown).unwrap();
    assert_eq!(client.answer(6).kind(), ServerFrameKind::Status2);
    client.send(&ClientFrame::Data(b"typed".to_vec()));
    assert_eq!(rig.read_input(5), b"typed");
}

#[test]
fn resuming_on_another_log_is_told_and_takes_nothing_from_anybody() {
    let rig = Rig::new();
    rig.print(b"0123456789");
    let mut holder = rig.control();
    holder.attach(&AttachRequest::default()).unwrap();
    let own = holder.log();
    assert!(own.is_some());
    let other = LogId::new(own.unwrap().get() ^ 1);

    let mut client = Frames::of_version(2, &rig);
    let by_force = |log| {
        ClientFrame::Attach(AttachRequest {
            force: true,
            replay: Start::Offset(4),
            log,
            ..AttachRequest::default()
        })
    };
    client.request(1, by_force(other));
    client.request(2, log_read(Start::Offset(4), other));
    client.request(3, log_read(Start::Oldest, other));
    for id in 1..=3 {
        let code = error_code(&client.answer(id));
        assert_eq!(code, Some(ErrorCode::AnotherLog));
    }
    assert!(holder.is_attached());
    assert!(holder.status().unwrap().holder.is_some());
    assert_eq!(rig.counters().takeovers, 0);

    client.request(4, log_read(Start::Offset(4), own));
    let ServerFrame::LogData(data) = client.answer(4) else {
        panic!("no log data")
    };
    assert_eq!(data.bytes, b"456789");
    // An offset beyond the head fails only if the request names the log.
    client.request(5, log_read(Start::Offset(11), own));
    assert_eq!(error_code(&client.answer(5)), Some(ErrorCode::NotYet));
    client.request(6, log_read(Start::Offset(11), None));
    assert_eq!(client.answer(6).kind(), ServerFrameKind::LogData);
    client.request(7, by_force(own));
    let ServerFrame::Attached(attached) = client.answer(7) else {
        panic!("not attached")
    };
    assert_eq!((attached.start, attached.head), (4, 10));
    assert_eq!(rig.counters().takeovers, 1);
}

#[test]
fn a_boot_is_the_one_asked_for_or_said_to_be_gone() {
    let sizes = LogConfig {
        boots: 2,
        ..LogConfig::default()
    };
    let rig = Rig::with_log(ConsoleConfig::named("vm"), sizes);
    rig.print(b"11111");
    for boot in 2..=3u8 {
        rig.console.reset();
        rig.print(&[b'0' + boot; 5]);
    }
    let mut client = rig.control();
    let read = |client: &mut ControlClient, boot| client.read_log(Start::Boot(boot), 5);
    assert_eq!(read(&mut client, 3).unwrap().bytes, b"33333");
    assert_eq!(service_error(&read(&mut client, 1)), Some(ErrorCode::Gone));
    assert_eq!(
        service_error(&read(&mut client, 4)),
        Some(ErrorCode::NotYet)
    );
    let of_boot = |boot| AttachRequest {
        replay: Start::Boot(boot),
        ..AttachRequest::default()
    };
    assert_eq!(
        service_error(&client.attach(&of_boot(1))),
        Some(ErrorCode::Gone)
    );
    assert!(!client.is_attached());
    let attached = client.attach(&of_boot(2)).unwrap();
    assert_eq!((attached.start, attached.head), (5, 15));
    // Without a number the answer is that of version 1: the next boot that is kept.
    let mut old = Frames::connect(&rig);
    old.send(&log_read(Start::Boot(1), None));
    assert!(matches!(old.next(), ServerFrame::Hello { .. }));
    let ServerFrame::LogData(data) = old.next() else {
        panic!("no log data")
    };
    assert_eq!(data.bytes, b"2222233333");
}

#[test]
fn keystrokes_that_cross_a_revocation_spoil_nothing() {
    let rig = Rig::new();
    let mut client = rig.control();
    let mut typist = client.typist().unwrap();
    for detaches in [false, true, false, true] {
        client.attach(&AttachRequest::default()).unwrap();
        rig.console.disconnect(EndReason::Revoked);
        // The service knows the type, but the client does not.
        rig.wait_until_free();
        assert!(client.is_attached());
        typist.type_bytes(b"x").unwrap();
        typist.send_break().unwrap();
        if detaches {
            assert_eq!(client.detach().unwrap().reason, EndCode::Revoked);
        }
        client.status().unwrap();
        assert!(!client.is_attached());
        assert!(matches!(client.detach(), Err(ClientError::NotAttached)));
        client.status().unwrap();
        if !detaches {
            let end = client.next_frame().unwrap();
            assert_eq!(end.map(|frame| frame.kind()), Some(ServerFrameKind::Ended));
        }
    }
    assert!(rig.take_input().is_empty());
}
