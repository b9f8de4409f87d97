//! The control client takes the right frame for the answer, whatever else comes. The service is a
//! script here, so that frames come in orders that a real one shows only in a race.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use vm_console::client::{ClientError, ControlClient};
use vm_console::protocol::{
    AttachRequest, Attached, ClientFrame, Decoder, EndCode, ErrorCode, PowerAction, ServerFrame,
    SessionEnd, Status,
};

/// Long enough for the slowest machine; never a measure of anything.
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

/// A status that can be told from others.
fn status(head: u64) -> ServerFrame {
    ServerFrame::Status(Status {
        head,
        ..Status::default()
    })
}

/// A client, and a service that has sent all this already.
fn scripted(frames: &[ServerFrame]) -> (ControlClient, UnixStream) {
    let (client, mut service) = UnixStream::pair().unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    service.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut wire = Vec::new();
    for frame in frames {
        frame.encode(&mut wire);
    }
    service.write_all(&wire).unwrap();
    (ControlClient::from_stream(client).unwrap(), service)
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
    // An error that power cannot have is not its verdict.
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
                match ClientFrame::parse(raw).unwrap() {
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
