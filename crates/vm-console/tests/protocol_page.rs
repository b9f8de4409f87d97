//! The protocol page tells the truth: its examples are frames, and its tables list every type and
//! every code.

use std::time::Duration;

use vm_console::Start;
use vm_console::protocol::{
    AttachRequest, Attached, ClientFrame, ClientFrameKind, Decoder, EndCode, ErrorCode, Held,
    LogData, LogRequest, Output, PowerAction, Refusal, RefusalCode, ServerFrame, ServerFrameKind,
    SessionEnd, Status, Warning,
};
use vm_console::session::Limit;

const PAGE: &str = include_str!("../PROTOCOL.md");

/// The bytes of every example whose lines begin with `sender`.
fn examples(sender: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut is_example = false;
    let mut is_sender = false;
    for line in PAGE.lines() {
        if line.starts_with("```") {
            is_example = line == "```text";
            is_sender = false;
            continue;
        }
        let mut words = line.split_whitespace().peekable();
        if is_example && !line.starts_with(' ') {
            is_sender = words.next() == Some(sender);
        }
        if is_example && is_sender {
            bytes.extend(words.map(|word| u8::from_str_radix(word, 16).expect(line)));
        }
    }
    bytes
}

fn client_examples() -> Vec<ClientFrame> {
    vec![
        ClientFrame::Hello {
            version: 1,
            program: "demo".into(),
        },
        ClientFrame::Attach(AttachRequest {
            force: true,
            replay: Start::Lines(10),
            name: "ada".into(),
            ..AttachRequest::default()
        }),
        ClientFrame::Data(b"ls\r".to_vec()),
        ClientFrame::Resize {
            columns: 80,
            rows: 25,
        },
        ClientFrame::Break,
        ClientFrame::Detach,
        ClientFrame::AttachDescriptor(AttachRequest {
            read_only: true,
            unguarded: true,
            replay: Start::Oldest,
            ..AttachRequest::default()
        }),
        ClientFrame::Status,
        ClientFrame::LogRead(LogRequest {
            id: 7,
            start: Start::Offset(340),
            max: 4096,
        }),
        ClientFrame::Power(PowerAction::Restart),
    ]
}

fn server_examples() -> Vec<ServerFrame> {
    let held = Held {
        by: "ada (uid 1000, pid 42, control socket)".into(),
        held_for: Duration::from_mins(1),
        idle_for: Duration::from_millis(1500),
    };
    vec![
        ServerFrame::Hello {
            version: 1,
            console: "vm-7".into(),
            head: 340,
            epoch: 1,
        },
        ServerFrame::Attached(Attached {
            read_only: true,
            start: 300,
            head: 340,
            epoch: 1,
        }),
        ServerFrame::Output(Output {
            replayed: true,
            offset: 300,
            next: 340,
            bytes: b"login: ".to_vec(),
        }),
        ServerFrame::Gap {
            from: 340,
            to: 1024,
        },
        ServerFrame::Boot {
            epoch: 2,
            offset: 1024,
        },
        ServerFrame::Warning(Warning {
            limit: Limit::Idle,
            remaining: Duration::from_mins(1),
        }),
        ServerFrame::Ended(SessionEnd {
            reason: EndCode::TakenOver,
            resume: 1024,
            epoch: 1,
            by: "bob".into(),
            text: "taken over by bob".into(),
        }),
        ServerFrame::Refused(Refusal {
            reason: RefusalCode::Busy,
            holder: Some(held.clone()),
            text: "in use".into(),
        }),
        ServerFrame::Status(Status {
            console: "vm-7".into(),
            powered: true,
            boot_log: true,
            holder: Some(held),
            observers: 2,
            oldest: 0,
            head: 340,
            epoch: 1,
            counters: vec![("sessions granted".into(), 3)],
        }),
        ServerFrame::LogData(LogData {
            id: 7,
            asked: 340,
            start: 344,
            next: 346,
            oldest: 0,
            head: 346,
            epoch: 1,
            bytes: b"ok".to_vec(),
        }),
        ServerFrame::Error {
            code: ErrorCode::NotAttached,
            text: "no session".into(),
        },
    ]
}

#[test]
fn the_examples_of_clients_are_these_frames() {
    let bytes = examples("client");
    let frames = client_examples();
    let mut encoded = Vec::new();
    for frame in &frames {
        frame.encode(&mut encoded);
    }
    assert_eq!(encoded, bytes);
    let mut decoder = Decoder::default();
    decoder.feed(&bytes);
    for frame in &frames {
        let raw = decoder.next_frame().unwrap().unwrap();
        assert_eq!(ClientFrame::parse(raw).as_ref(), Ok(frame));
    }
    for kind in ClientFrameKind::ALL {
        assert!(
            frames.iter().any(|frame| frame.kind() == *kind),
            "{kind:?} has no example"
        );
    }
}

#[test]
fn the_examples_of_the_service_are_these_frames() {
    let bytes = examples("service");
    let frames = server_examples();
    let mut encoded = Vec::new();
    for frame in &frames {
        frame.encode(&mut encoded);
    }
    assert_eq!(encoded, bytes);
    let mut decoder = Decoder::default();
    decoder.feed(&bytes);
    for frame in &frames {
        let raw = decoder.next_frame().unwrap().unwrap();
        assert_eq!(ServerFrame::parse(raw).as_ref(), Ok(frame));
    }
    for kind in ServerFrameKind::ALL {
        assert!(
            frames.iter().any(|frame| frame.kind() == *kind),
            "{kind:?} has no example"
        );
    }
}

/// The first cells of the table under a heading, up to the first space.
fn first_cells(heading: &str) -> Vec<&'static str> {
    let (_, section) = PAGE.split_once(&format!("\n# {heading}\n")).expect(heading);
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2);
    rows.filter_map(|row| row.trim_start_matches('|').split_whitespace().next())
        .collect()
}

#[test]
fn the_tables_list_every_type() {
    let bytes = |kinds: Vec<u8>| -> Vec<String> {
        kinds.iter().map(|byte| format!("`{byte:#04x}`")).collect()
    };
    let client = ClientFrameKind::ALL.iter().map(|kind| kind.byte());
    assert_eq!(first_cells("From the client"), bytes(client.collect()));
    let server = ServerFrameKind::ALL.iter().map(|kind| kind.byte());
    assert_eq!(first_cells("From the service"), bytes(server.collect()));
}

#[test]
fn the_tables_list_every_code() {
    fn numbers<T: Copy>(codes: &[T]) -> Vec<String>
    where
        u8: From<T>,
    {
        codes
            .iter()
            .map(|code| u8::from(*code).to_string())
            .collect()
    }
    assert_eq!(first_cells("The end of a session"), numbers(EndCode::ALL));
    assert_eq!(first_cells("Reasons of refused"), numbers(RefusalCode::ALL));
    assert_eq!(first_cells("Codes of error"), numbers(ErrorCode::ALL));
}
