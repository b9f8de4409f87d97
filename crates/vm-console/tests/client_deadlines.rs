//! A client that bounds its waits: a service that was stopped still has its socket, and a hostile one
//! may answer byte by byte. The services here are scripts.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use vm_console::client::{ClientError, ControlClient};
use vm_console::protocol::{Answer, Output, ServerFrame, Status, Status3, VERSION};

/// The longest wait for anything, long enough for the slowest machine. No test measures by it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Long enough to notice that somebody waits, and short for a test.
const SHORT: Duration = Duration::from_millis(50);

fn encode(frames: &[ServerFrame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        frame.encode(&mut bytes);
    }
    bytes
}

fn greeting() -> [ServerFrame; 2] {
    [
        ServerFrame::Hello {
            version: VERSION,
            console: "vm".into(),
            head: 0,
            epoch: 0,
        },
        ServerFrame::Welcome {
            version: VERSION,
            log: None,
        },
    ]
}

/// The answer to request `id`: a status that differs from others by its head.
fn status(id: u32, head: u64) -> ServerFrame {
    let status = Status {
        head,
        ..Status::default()
    };
    ServerFrame::Answer(Answer {
        id,
        frame: Box::new(ServerFrame::Status3(Status3(status))),
    })
}

fn output(bytes: &[u8]) -> ServerFrame {
    ServerFrame::Output(Output {
        replayed: false,
        offset: 0,
        next: bytes.len() as u64,
        bytes: bytes.to_vec(),
    })
}

/// A client that waits `limit` for answers, and its service, which has greeted.
fn greeted(limit: Duration) -> (ControlClient, UnixStream) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control");
    let listener = UnixListener::bind(&path).unwrap();
    let service = std::thread::spawn(move || {
        let (mut service, _) = listener.accept().unwrap();
        service.write_all(&encode(&greeting())).unwrap();
        service
    });
    let mut client = ControlClient::connect_within(&path, PATIENCE).unwrap();
    client.set_answer_limit(Some(limit));
    (client, service.join().unwrap())
}

fn is_late<T>(result: &Result<T, ClientError>) -> bool {
    matches!(result, Err(ClientError::TimedOut(limit)) if *limit == SHORT)
}

#[test]
fn a_service_that_never_greets_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control");
    let _listener = UnixListener::bind(&path).unwrap();
    let begin = Instant::now();
    assert!(is_late(&ControlClient::connect_within(&path, SHORT)));
    assert!(begin.elapsed() >= SHORT);
}

/// As that of a VMM that was stopped for so long that many have tried it.
#[test]
fn a_full_backlog_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control");
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    // The first one comes into the backlog, and stays there.
    for _ in 0..4 {
        assert!(is_late(&ControlClient::connect_within(&path, SHORT)));
    }
    // Somebody takes one out, and the next one comes in.
    let accepting = std::thread::spawn(move || {
        let mut taken = Vec::new();
        for _ in 0..2 {
            let accepted = rustix::net::accept(&socket).unwrap();
            let mut stream = UnixStream::from(accepted);
            // Who was late is gone.
            let _ = stream.write_all(&encode(&greeting()));
            taken.push(stream);
        }
        taken
    });
    let client = ControlClient::connect_within(&path, PATIENCE).unwrap();
    assert_eq!(client.console(), "vm");
    drop(accepting.join().unwrap());
}

#[test]
fn nobody_there_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control");
    let nobody = ControlClient::connect_within(&path, PATIENCE);
    assert!(matches!(nobody, Err(ClientError::Io(_))));
    drop(UnixListener::bind(&path).unwrap());
    let nobody = ControlClient::connect_within(&path, PATIENCE);
    assert!(matches!(nobody, Err(ClientError::Io(_))));
    let long = dir.path().join("x".repeat(200));
    let nobody = ControlClient::connect_within(long, PATIENCE);
    assert!(matches!(nobody, Err(ClientError::Io(_))));
}

#[test]
fn an_answer_that_comes_late_is_not_taken_for_another() {
    let (mut client, mut service) = greeted(SHORT);
    assert!(is_late(&client.status()));
    client.set_answer_limit(None);
    let late = [status(1, 111), status(2, 222)];
    service.write_all(&encode(&late)).unwrap();
    assert_eq!(client.status().unwrap().head, 222);
}

#[test]
fn an_answer_byte_by_byte_is_bounded_as_a_whole() {
    let (mut client, mut service) = greeted(SHORT);
    let bytes = encode(&[status(1, 1)]);
    let dripping = std::thread::spawn(move || {
        for byte in bytes {
            std::thread::sleep(SHORT / 2);
            if service.write_all(&[byte]).is_err() {
                return;
            }
        }
    });
    assert!(is_late(&client.status()));
    drop(client);
    dripping.join().unwrap();
}

#[test]
fn a_frame_that_has_come_in_part_is_kept() {
    let (mut client, mut service) = greeted(PATIENCE);
    assert!(is_late(&client.next_frame_within(SHORT)));
    let frame = output(b"whole");
    let bytes = encode(std::slice::from_ref(&frame));
    let (first, rest) = bytes.split_at(9);
    service.write_all(first).unwrap();
    assert!(is_late(&client.next_frame_within(SHORT)));
    assert!(!client.has_frame());
    service.write_all(rest).unwrap();
    assert_eq!(client.next_frame_within(PATIENCE).unwrap(), Some(frame));
    service.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.next_frame_within(PATIENCE).unwrap(), None);
}

#[test]
fn a_frame_that_came_before_an_answer_needs_no_reading() {
    let (mut client, mut service) = greeted(PATIENCE);
    let frames = [output(b"first"), status(1, 7)];
    service.write_all(&encode(&frames)).unwrap();
    assert_eq!(client.status().unwrap().head, 7);
    assert!(client.has_frame());
    let first = client.next_frame_within(Duration::ZERO).unwrap();
    assert_eq!(first, Some(output(b"first")));
    assert!(!client.has_frame());
}
