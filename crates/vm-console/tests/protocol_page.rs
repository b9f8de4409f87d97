//! The protocol page is right: its examples are frames, and its tables list every type and every
//! code.

use std::time::Duration;

use vm_console::protocol::{
    Admission, Answer, AttachRequest, Attached, BootInfo, Boots, ClientFrame, ClientFrameKind,
    Decoder, EndCode, ErrorCode, FrameError, Held, LineTimes, LogData, LogNews, LogRequest,
    LogWait, MachineState, MarkCode, MarkInfo, Observer, Output, PowerAction, RawFrame, Refusal,
    RefusalCode, Request, ServerFrame, ServerFrameKind, SessionEnd, Status, Status2, Status3,
    StatusDetails, SysRq, VERSION, Warning,
};
use vm_console::session::Limit;
use vm_console::{CounterValues, LineTime, LogId, Start, UnixTime};

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

fn one_to_sixteen() -> Option<LogId> {
    LogId::new(u128::from_le_bytes(std::array::from_fn(|at| at as u8 + 1)))
}

fn answer(id: u32, frame: ServerFrame) -> ServerFrame {
    ServerFrame::Answer(Answer {
        id,
        frame: Box::new(frame),
    })
}

fn request(id: u32, frame: ClientFrame) -> ClientFrame {
    ClientFrame::Request(Request {
        id,
        frame: Box::new(frame),
    })
}

/// Seconds after the moment of the examples.
fn moment(seconds: u64) -> UnixTime {
    UnixTime::from_nanos(1_700_000_000_250_000_000 + seconds * 1_000_000_000)
}

fn held_by_ada() -> Held {
    Held {
        by: "ada (uid 1000, pid 42, control socket)".into(),
        held_for: Duration::from_secs(60),
        idle_for: Some(Duration::from_millis(1500)),
    }
}

fn client_examples_of_version_3() -> Vec<ClientFrame> {
    let log_wait = LogWait {
        read: LogRequest {
            id: 9,
            start: Start::Offset(346),
            log: None,
            max: 4096,
        },
        patience: Duration::from_secs(5),
        known: MachineState {
            epoch: 1,
            powered: true,
        },
    };
    let sysrq = SysRq {
        force: true,
        keys: "c".into(),
    };
    let admission = AttachRequest {
        force: true,
        replay: Start::Now,
        name: "bob".into(),
        ..AttachRequest::default()
    };
    let hello = ClientFrame::Hello {
        version: 3,
        program: "demo".into(),
    };
    let asked = [
        ClientFrame::Boots,
        ClientFrame::LineTimes {
            after: 300,
            max: 10,
        },
        ClientFrame::LogWait(log_wait),
        ClientFrame::Observers,
        ClientFrame::SysRq(sysrq),
        ClientFrame::Admission(admission),
        ClientFrame::Status,
        ClientFrame::Power(PowerAction::Nmi),
    ];
    let asked = (1..).zip(asked).map(|(id, frame)| request(id, frame));
    std::iter::once(hello).chain(asked).collect()
}

fn server_examples_of_version_3() -> Vec<ServerFrame> {
    let welcome = ServerFrame::Welcome {
        version: 3,
        log: one_to_sixteen(),
    };
    let boots = Boots {
        oldest: 0,
        head: 346,
        epoch: 1,
        boots: vec![BootInfo {
            epoch: 1,
            kind: MarkCode::PowerOn,
            at: Some(moment(0)),
            start: 0,
            end: 346,
            oldest: 0,
            kept: 346,
        }],
        marks: vec![MarkInfo {
            kind: MarkCode::Attach,
            epoch: 1,
            offset: 340,
            at: moment(1),
        }],
    };
    let times = LineTimes {
        before: Some(moment(0)),
        times: vec![LineTime {
            end: 340,
            at: moment(1),
        }],
    };
    let news = LogNews {
        powered: true,
        data: LogData {
            id: 9,
            asked: 346,
            start: 346,
            next: 348,
            oldest: 0,
            head: 348,
            epoch: 1,
            bytes: b"ok".to_vec(),
        },
    };
    let observer = Observer {
        who: "bob (uid 1001, pid 43, control socket)".into(),
        observing_for: Duration::from_secs(60),
        behind: 48,
        replaying: true,
    };
    let admission = Admission {
        ends: Some(held_by_ada()),
    };
    let details = StatusDetails {
        output_age: Some(Duration::from_millis(250)),
        machine_age: Some(Duration::from_secs(90)),
        idle_limit: Some(Duration::from_secs(600)),
        absolute_limit: None,
        idle_left: Some(Duration::from_millis(598_500)),
        absolute_left: None,
        session: Some(3),
        max_observers: 16,
        connections: 2,
        max_connections: 64,
        input_waiting: 0,
    };
    let status = Status {
        console: "vm-7".into(),
        powered: true,
        boot_log: true,
        holder: Some(held_by_ada()),
        observers: 1,
        oldest: 0,
        head: 348,
        epoch: 1,
        log: one_to_sixteen(),
        counters: vec![("attaches".into(), 3)],
        details: Some(details),
    };
    let error = ServerFrame::Error {
        code: ErrorCode::NotSupported,
        text: "no NMI".into(),
    };
    let answers = [
        ServerFrame::Boots(boots),
        ServerFrame::LineTimes(times),
        ServerFrame::LogNews(news),
        ServerFrame::Observers(vec![observer]),
        ServerFrame::Done,
        ServerFrame::Admission(admission),
        ServerFrame::Status3(Status3(status)),
        error,
    ];
    let answers = (1..).zip(answers).map(|(id, frame)| answer(id, frame));
    std::iter::once(welcome).chain(answers).collect()
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
            log: None,
            max: 4096,
        }),
        ClientFrame::Power(PowerAction::Restart),
        ClientFrame::Hello {
            version: 2,
            program: "demo".into(),
        },
        request(
            1,
            ClientFrame::LogRead(LogRequest {
                id: 1,
                start: Start::Offset(340),
                log: one_to_sixteen(),
                max: 4096,
            }),
        ),
        request(2, ClientFrame::Status),
    ]
}

fn server_examples_of_version_1() -> Vec<ServerFrame> {
    let held = held_by_ada();
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
            remaining: Duration::from_secs(60),
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
            log: None,
            counters: vec![("sessions granted".into(), 3)],
            details: None,
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

fn server_examples_of_version_2() -> Vec<ServerFrame> {
    vec![
        ServerFrame::Welcome {
            version: 2,
            log: one_to_sixteen(),
        },
        answer(
            1,
            ServerFrame::LogData(LogData {
                id: 1,
                asked: 340,
                start: 340,
                next: 340,
                oldest: 0,
                head: 340,
                epoch: 1,
                bytes: Vec::new(),
            }),
        ),
        answer(
            2,
            ServerFrame::Status2(Status2(Status {
                console: "vm-7".into(),
                powered: true,
                boot_log: true,
                head: 340,
                epoch: 1,
                log: one_to_sixteen(),
                counters: vec![("sessions granted".into(), 3)],
                ..Status::default()
            })),
        ),
        answer(3, ServerFrame::Done),
        answer(
            4,
            ServerFrame::Error {
                code: ErrorCode::AnotherLog,
                text: "another log".into(),
            },
        ),
    ]
}

/// Checks that each example is this frame, read and written, and that the page has no other.
fn compare<T: PartialEq + std::fmt::Debug>(
    examples: &[u8],
    frames: &[T],
    encode: fn(&T, &mut Vec<u8>),
    parse: fn(RawFrame<'_>, u16) -> Result<T, FrameError>,
) {
    let mut decoder = Decoder::default();
    decoder.feed(examples);
    let mut rest = examples;
    for frame in frames {
        let raw = decoder.next_frame().unwrap().expect("an example");
        assert_eq!(parse(raw, VERSION).as_ref(), Ok(frame));
        let mut encoded = Vec::new();
        encode(frame, &mut encoded);
        let (example, others) = rest.split_at(encoded.len());
        assert_eq!(example, encoded, "{frame:?}");
        rest = others;
    }
    assert!(rest.is_empty(), "{rest:02x?}");
}

#[test]
fn the_examples_of_clients_are_these_frames() {
    let mut frames = client_examples();
    frames.extend(client_examples_of_version_3());
    compare(
        &examples("client"),
        &frames,
        ClientFrame::encode,
        ClientFrame::parse,
    );
    let shows = |frame: &ClientFrame, kind| match frame {
        ClientFrame::Request(request) if request.frame.kind() == kind => true,
        frame => frame.kind() == kind,
    };
    for kind in ClientFrameKind::ALL {
        let is_shown = frames.iter().any(|frame| shows(frame, *kind));
        assert!(is_shown, "{kind:?} has no example");
    }
}

#[test]
fn the_examples_of_the_service_are_these_frames() {
    let mut frames = server_examples_of_version_1();
    frames.extend(server_examples_of_version_2());
    frames.extend(server_examples_of_version_3());
    compare(
        &examples("service"),
        &frames,
        ServerFrame::encode,
        ServerFrame::parse,
    );
    let shows = |frame: &ServerFrame, kind| match frame {
        ServerFrame::Answer(answer) if answer.frame.kind() == kind => true,
        frame => frame.kind() == kind,
    };
    for kind in ServerFrameKind::ALL {
        let is_shown = frames.iter().any(|frame| shows(frame, *kind));
        assert!(is_shown, "{kind:?} has no example");
    }
}

/// The first word of each row of the table under a heading.
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
    let marks = first_cells("What the log knows (version 3)");
    assert_eq!(marks, numbers(MarkCode::ALL));
}

/// Keys of counters never change, so each has a row, and each has one of these units.
#[test]
fn the_table_of_counters_lists_every_key_with_its_unit() {
    let (_, rows) = PAGE
        .split_once("| key | unit | counts |\n|---|---|---|\n")
        .unwrap();
    let rows = rows.lines().take_while(|line| line.starts_with('|'));
    let keys: Vec<_> = rows
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let ["", key, unit, _, ""] = cells[..] else {
                panic!("{row}")
            };
            assert!(["bytes", "characters", "times"].contains(&unit), "{row}");
            key.trim_matches('`')
        })
        .collect();
    let of_console = CounterValues::default();
    let of_log = ["output_written", "output_overwritten"].map(str::to_owned);
    let of_console = of_console.by_key().map(|(key, _)| key);
    let expected: Vec<_> = of_console.chain(of_log).collect();
    assert_eq!(keys, expected);
    let is_key = |key: &str| key.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_'));
    assert!(keys.iter().all(|key| is_key(key)));
}
