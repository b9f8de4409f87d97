//! The control client finds the answer among all frames that come. The service here is a script, so
//! that frames come in orders that a real service shows only in a race.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use vm_console::client::{ClientError, ControlClient};
use vm_console::protocol::{
    Answer, AttachRequest, Attached, ClientFrame, ClientFrameKind, Decoder, EndCode, ErrorCode,
    FrameError, PowerAction, ServerFrame, SessionEnd, Status, VERSION,
};
use vm_console::{LogId, Start};

/// The longest wait for anything, long enough for the slowest machine. No test measures by it.
const PATIENCE: Duration = Duration::from_secs(30);

fn hello() -> ServerFrame {
    ServerFrame::Hello {
        version: 1,
        console: "vm".into(),
        head: 0,
        epoch: 0,
    }
}

fn attached() -> ServerFrame {
    ServerFrame::Attached(Attached {
        read_only: false,
        start: 0,
        head: 0,
        epoch: 0,
    })
}

fn ended(reason: EndCode) -> ServerFrame {
    ServerFrame::Ended(SessionEnd {
        reason,
        resume: 0,
        epoch: 0,
        by: String::new(),
        text: String::new(),
    })
}

fn error(code: ErrorCode) -> ServerFrame {
    ServerFrame::Error {
        code,
        text: String::new(),
    }
}

fn hello_2() -> [ServerFrame; 2] {
    [
        ServerFrame::Hello {
            version: 2,
            console: "vm".into(),
            head: 0,
            epoch: 0,
        },
        ServerFrame::Welcome {
            version: 2,
            log: LogId::new(5),
        },
    ]
}

fn answer(id: u32, frame: ServerFrame) -> ServerFrame {
    ServerFrame::Answer(Answer {
        id,
        frame: Box::new(frame),
    })
}

/// A status that differs from others by its head.
fn status(head: u64) -> ServerFrame {
    ServerFrame::Status(Status {
        head,
        ..Status::default()
    })
}

/// A client, and a service that has sent all these frames already.
fn scripted(frames: &[ServerFrame]) -> (ControlClient, UnixStream) {
    let mut wire = Vec::new();
    for frame in frames {
        frame.encode(&mut wire);
    }
    scripted_bytes(&wire)
}

fn scripted_bytes(wire: &[u8]) -> (ControlClient, UnixStream) {
    let (client, mut service) = UnixStream::pair().unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    service.set_read_timeout(Some(PATIENCE)).unwrap();
    service.write_all(wire).unwrap();
    (ControlClient::from_stream(client).unwrap(), service)
}

/// The frames that the client has sent.
fn sent(client: ControlClient, mut service: UnixStream) -> Vec<ClientFrame> {
    drop(client);
    let mut wire = Vec::new();
    service.read_to_end(&mut wire).unwrap();
    let mut decoder = Decoder::default();
    decoder.feed(&wire);
    let mut frames = Vec::new();
    while let Some(raw) = decoder.next_frame().unwrap() {
        frames.push(ClientFrame::parse(raw, VERSION).unwrap());
    }
    frames
}

fn is_service_error<T>(result: &Result<T, ClientError>, expected: ErrorCode) -> bool {
    matches!(result, Err(ClientError::Service { code, .. }) if *code == expected)
}

#[test]
fn a_late_keystroke_does_not_fail_the_next_request() {
    let revoked = ended(EndCode::Revoked);
    let late = error(ErrorCode::NotAttached);
    let (mut client, _service) = scripted(&[
        hello(),
        attached(),
        revoked.clone(),
        late.clone(),
        status(7),
    ]);
    client.attach(&AttachRequest::default()).unwrap();
    client.typist().unwrap().type_bytes(b"x").unwrap();
    assert_eq!(client.status().unwrap().head, 7);
    assert_eq!(client.next_frame().unwrap(), Some(revoked));
    assert_eq!(client.next_frame().unwrap(), Some(late));
}

#[test]
fn after_the_end_was_received_detach_neither_waits_nor_takes_it() {
    let revoked = ended(EndCode::Revoked);
    let (mut client, _service) = scripted(&[hello(), attached(), revoked.clone(), status(7)]);
    client.attach(&AttachRequest::default()).unwrap();
    assert!(client.is_attached());
    client.status().unwrap();
    assert!(!client.is_attached());
    assert!(matches!(client.detach(), Err(ClientError::NotAttached)));
    assert_eq!(client.next_frame().unwrap(), Some(revoked));
}

#[test]
fn a_detach_that_crosses_the_end_is_told_that_end() {
    let script = [hello(), attached(), ended(EndCode::Revoked), attached()];
    let (mut client, _service) = scripted(&script);
    client.attach(&AttachRequest::default()).unwrap();
    assert_eq!(client.detach().unwrap().reason, EndCode::Revoked);
    client.attach(&AttachRequest::default()).unwrap();
    assert!(client.is_attached());
}

#[test]
fn power_returns_its_own_verdict_and_leaves_nothing_behind() {
    let (mut client, _service) = scripted(&[
        hello(),
        error(ErrorCode::NotSupported),
        status(1),
        error(ErrorCode::NotAttached),
        status(2),
        status(3),
    ]);
    let refused = client.power(PowerAction::Stop);
    assert!(is_service_error(&refused, ErrorCode::NotSupported));
    // A power request cannot cause this error, so it does not take it for its answer.
    client.power(PowerAction::Stop).unwrap();
    assert_eq!(client.status().unwrap().head, 3);
}

#[test]
fn two_threads_that_send_do_not_cut_each_others_frames() {
    const TYPED: usize = 8 << 20;
    const ASKED: usize = 200;
    let (mut client, mut service) = scripted(&[hello()]);
    let serve = std::thread::spawn(move || {
        let (mut decoder, mut typed, mut asked) = (Decoder::default(), 0, 0);
        let mut buffer = vec![0; 16 << 10];
        while typed < TYPED || asked < ASKED {
            let count = service.read(&mut buffer).unwrap();
            assert_ne!(count, 0, "closed after {typed} bytes and {asked} requests");
            decoder.feed(&buffer[..count]);
            while let Some(raw) = decoder.next_frame().unwrap() {
                match ClientFrame::parse(raw, VERSION).unwrap() {
                    ClientFrame::Hello { .. } => {}
                    ClientFrame::Data(bytes) => {
                        assert!(bytes.iter().all(|byte| *byte == b'.'));
                        typed += bytes.len();
                    }
                    ClientFrame::Status => {
                        asked += 1;
                        let mut answer = Vec::new();
                        status(asked as u64).encode(&mut answer);
                        service.write_all(&answer).unwrap();
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    });
    let mut typist = client.typist().unwrap();
    let types = std::thread::spawn(move || typist.type_bytes(&vec![b'.'; TYPED]).unwrap());
    for count in 1..=ASKED {
        assert_eq!(client.status().unwrap().head, count as u64);
    }
    types.join().unwrap();
    serve.join().unwrap();
}

#[test]
fn an_old_service_is_spoken_to_in_version_1() {
    let (mut client, service) = scripted(&[hello(), status(1), status(2)]);
    assert_eq!((client.version(), client.log()), (1, None));
    client.status().unwrap();
    client.power(PowerAction::Stop).unwrap();
    // Version 1 cannot say this, and sending it would end the connection, so it is not sent.
    let other_log = ClientFrame::Attach(AttachRequest {
        replay: Start::Offset(340),
        log: LogId::new(5),
        ..AttachRequest::default()
    });
    let refused = client.ask(&other_log);
    assert!(matches!(
        refused,
        Err(ClientError::OldService {
            spoken: 1,
            needed: 2
        })
    ));
    let kinds: Vec<_> = sent(client, service)
        .iter()
        .map(ClientFrame::kind)
        .collect();
    assert_eq!(
        kinds,
        [
            ClientFrameKind::Hello,
            ClientFrameKind::Status,
            ClientFrameKind::Power,
            ClientFrameKind::Status
        ]
    );
}

#[test]
fn numbered_answers_are_told_from_stale_ones_and_from_errors_of_others() {
    let [hello, welcome] = hello_2();
    let (mut client, service) = scripted(&[
        hello,
        welcome,
        // One for a request of a client that lost patience, and one for typed input.
        answer(77, status(77)),
        error(ErrorCode::NotPermitted),
        answer(1, status(1)),
        answer(2, error(ErrorCode::NotSupported)),
        answer(3, ServerFrame::Done),
        answer(2, status(2)),
    ]);
    assert_eq!((client.version(), client.log()), (2, LogId::new(5)));
    assert_eq!(client.status().unwrap().head, 1);
    let refused = client.power(PowerAction::Stop);
    assert!(is_service_error(&refused, ErrorCode::NotSupported));
    client.power(PowerAction::Stop).unwrap();
    let other = client.next_frame().unwrap();
    assert_eq!(other, Some(error(ErrorCode::NotPermitted)));
    let ids: Vec<_> = sent(client, service)
        .into_iter()
        .filter_map(|frame| match frame {
            ClientFrame::Request(request) => Some(request.id),
            _ => None,
        })
        .collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn a_numbered_detach_waits_for_the_end_and_not_for_its_answer() {
    let [hello, welcome] = hello_2();
    let (mut client, _service) = scripted(&[
        hello,
        welcome,
        answer(1, attached()),
        answer(2, ServerFrame::Done),
        ended(EndCode::ClientClosed),
        answer(3, attached()),
        // It crossed the detach, which is refused later.
        ended(EndCode::Revoked),
        answer(4, error(ErrorCode::NotAttached)),
        answer(5, status(5)),
    ]);
    client.attach(&AttachRequest::default()).unwrap();
    assert!(client.is_attached());
    assert_eq!(client.detach().unwrap().reason, EndCode::ClientClosed);
    client.attach(&AttachRequest::default()).unwrap();
    assert_eq!(client.detach().unwrap().reason, EndCode::Revoked);
    assert!(!client.is_attached());
    assert_eq!(client.status().unwrap().head, 5);
}

#[test]
fn an_answer_that_the_client_does_not_know_fails_its_request_only() {
    let mut wire = Vec::new();
    for frame in hello_2() {
        frame.encode(&mut wire);
    }
    // From a later version: an answer to request 1, an answer that nobody waits for, and a frame.
    wire.extend([6, 0, 0, 0, 0x8d, 1, 0, 0, 0, 0xf0]);
    wire.extend([6, 0, 0, 0, 0x8d, 9, 0, 0, 0, 0xf0]);
    wire.extend([2, 0, 0, 0, 0xf1, 0]);
    answer(2, status(2)).encode(&mut wire);
    let (mut client, _service) = scripted_bytes(&wire);
    let unknown = client.status();
    assert!(matches!(
        unknown,
        Err(ClientError::Frame(FrameError::InEnvelope { id: 1, .. }))
    ));
    assert_eq!(client.status().unwrap().head, 2);
}
