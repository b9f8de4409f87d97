//! Frames are read back as they were written, cut anywhere, and bad input has a defined answer.

use std::time::Duration;

use proptest::prelude::*;
use vm_console::protocol::{
    Admission, Answer, AttachRequest, Attached, BootInfo, Boots, ClientFrame, ClientFrameKind,
    Decoder, EndCode, ErrorCode, FRAME_LIMIT, FrameError, Held, LineTimes, LogData, LogNews,
    LogRequest, LogWait, MachineState, MarkCode, MarkInfo, Observer, Output, PowerAction, RawFrame,
    Refusal, RefusalCode, Request, ServerFrame, ServerFrameKind, SessionEnd, Status, Status2,
    Status3, StatusDetails, SysRq, VERSION, Warning,
};
use vm_console::session::{EndReason, Identity, Limit, Refused, Transport};
use vm_console::{LineTime, LogId, Start, UnixTime};

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        Just(Start::Now),
        Just(Start::Oldest),
        any::<u64>().prop_map(Start::Lines),
        any::<u64>().prop_map(Start::Newest),
        any::<u64>().prop_map(Start::Offset),
        Just(Start::ThisBoot),
        any::<u64>().prop_map(Start::Boot),
    ]
}

fn log_id() -> impl Strategy<Value = Option<LogId>> {
    prop_oneof![Just(None), any::<u128>().prop_map(LogId::new)]
}

fn text() -> impl Strategy<Value = String> {
    ".{0,40}"
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

fn span() -> impl Strategy<Value = Duration> {
    any::<u32>().prop_map(|ms| Duration::from_millis(ms.into()))
}

fn held() -> impl Strategy<Value = Held> {
    (text(), span(), proptest::option::of(span())).prop_map(|(by, held_for, idle_for)| Held {
        by,
        held_for,
        idle_for,
    })
}

fn attach_request() -> impl Strategy<Value = AttachRequest> {
    (any::<[bool; 3]>(), start(), log_id(), text()).prop_map(
        |([force, read_only, unguarded], replay, log, name)| AttachRequest {
            force,
            read_only,
            unguarded,
            replay,
            log,
            name,
        },
    )
}

fn log_request() -> impl Strategy<Value = LogRequest> {
    (any::<u32>(), start(), log_id(), any::<u32>()).prop_map(|(id, start, log, max)| LogRequest {
        id,
        start,
        log,
        max,
    })
}

fn log_wait() -> impl Strategy<Value = LogWait> {
    let known = any::<(u64, bool)>().prop_map(|(epoch, powered)| MachineState { epoch, powered });
    (log_request(), span(), known).prop_map(|(read, patience, known)| LogWait {
        read,
        patience,
        known,
    })
}

fn log_data() -> impl Strategy<Value = LogData> {
    (any::<u32>(), any::<[u64; 6]>(), bytes()).prop_map(
        |(id, [asked, start, next, oldest, head, epoch], bytes)| LogData {
            id,
            asked,
            start,
            next,
            oldest,
            head,
            epoch,
            bytes,
        },
    )
}

fn moment() -> impl Strategy<Value = UnixTime> {
    any::<u64>().prop_map(UnixTime::from_nanos)
}

/// A moment, or none, which is 0 on the wire.
fn known_moment() -> impl Strategy<Value = Option<UnixTime>> {
    moment().prop_map(|at| Some(at).filter(|at| at.as_nanos() != 0))
}

fn boots() -> impl Strategy<Value = Boots> {
    let boot = (any::<[u64; 5]>(), any::<u8>(), known_moment()).prop_map(
        |([epoch, start, end, oldest, kept], kind, at)| BootInfo {
            epoch,
            kind: MarkCode::from(kind),
            at,
            start,
            end,
            oldest,
            kept,
        },
    );
    let mark =
        (any::<[u64; 2]>(), any::<u8>(), moment()).prop_map(|([epoch, offset], kind, at)| {
            MarkInfo {
                kind: MarkCode::from(kind),
                epoch,
                offset,
                at,
            }
        });
    (
        any::<[u64; 3]>(),
        prop::collection::vec(boot, 0..9),
        prop::collection::vec(mark, 0..9),
    )
        .prop_map(|([oldest, head, epoch], boots, marks)| Boots {
            oldest,
            head,
            epoch,
            boots,
            marks,
        })
}

fn line_times() -> impl Strategy<Value = LineTimes> {
    let line = (any::<u64>(), moment()).prop_map(|(end, at)| LineTime { end, at });
    (known_moment(), prop::collection::vec(line, 0..9))
        .prop_map(|(before, times)| LineTimes { before, times })
}

fn observer() -> impl Strategy<Value = Observer> {
    (text(), span(), any::<u64>(), any::<bool>()).prop_map(
        |(who, observing_for, behind, replaying)| Observer {
            who,
            observing_for,
            behind,
            replaying,
        },
    )
}

fn details() -> impl Strategy<Value = StatusDetails> {
    let spans = prop::array::uniform6(prop::option::of(span()));
    (spans, any::<u64>(), any::<[u32; 4]>()).prop_map(|(spans, session, numbers)| {
        let [
            output_age,
            machine_age,
            idle_limit,
            absolute_limit,
            idle_left,
            absolute_left,
        ] = spans;
        let [max_observers, connections, max_connections, input_waiting] = numbers;
        StatusDetails {
            output_age,
            machine_age,
            idle_limit,
            absolute_limit,
            idle_left,
            absolute_left,
            session: Some(session).filter(|number| *number != 0),
            max_observers,
            connections,
            max_connections,
            input_waiting,
        }
    })
}

/// A request that holds any frame but a request.
fn request() -> impl Strategy<Value = Request> {
    let kinds: Vec<_> = ClientFrameKind::ALL
        .iter()
        .copied()
        .filter(|kind| *kind != ClientFrameKind::Request)
        .collect();
    let frame = prop::sample::select(kinds).prop_flat_map(client_frame_of);
    (any::<u32>(), frame).prop_map(|(id, frame)| Request {
        id,
        frame: Box::new(frame),
    })
}

/// An answer that holds any frame but an answer.
fn answer() -> impl Strategy<Value = Answer> {
    let kinds: Vec<_> = ServerFrameKind::ALL
        .iter()
        .copied()
        .filter(|kind| *kind != ServerFrameKind::Answer)
        .collect();
    let frame = prop::sample::select(kinds).prop_flat_map(server_frame_of);
    (any::<u32>(), frame).prop_map(|(id, frame)| Answer {
        id,
        frame: Box::new(frame),
    })
}

/// Frames of one kind. A kind without an arm does not compile.
fn client_frame_of(kind: ClientFrameKind) -> BoxedStrategy<ClientFrame> {
    match kind {
        ClientFrameKind::Hello => (any::<u16>(), text())
            .prop_map(|(version, program)| ClientFrame::Hello { version, program })
            .boxed(),
        ClientFrameKind::Attach => attach_request().prop_map(ClientFrame::Attach).boxed(),
        ClientFrameKind::AttachDescriptor => attach_request()
            .prop_map(ClientFrame::AttachDescriptor)
            .boxed(),
        ClientFrameKind::Data => bytes().prop_map(ClientFrame::Data).boxed(),
        ClientFrameKind::Break => Just(ClientFrame::Break).boxed(),
        ClientFrameKind::Resize => any::<(u16, u16)>()
            .prop_map(|(columns, rows)| ClientFrame::Resize { columns, rows })
            .boxed(),
        ClientFrameKind::Status => Just(ClientFrame::Status).boxed(),
        ClientFrameKind::LogRead => log_request().prop_map(ClientFrame::LogRead).boxed(),
        ClientFrameKind::Detach => Just(ClientFrame::Detach).boxed(),
        ClientFrameKind::Power => prop_oneof![
            Just(PowerAction::Stop),
            Just(PowerAction::Start),
            Just(PowerAction::Restart),
            Just(PowerAction::Nmi),
        ]
        .prop_map(ClientFrame::Power)
        .boxed(),
        ClientFrameKind::Request => request().prop_map(ClientFrame::Request).boxed(),
        ClientFrameKind::Boots => Just(ClientFrame::Boots).boxed(),
        ClientFrameKind::LineTimes => any::<(u64, u32)>()
            .prop_map(|(after, max)| ClientFrame::LineTimes { after, max })
            .boxed(),
        ClientFrameKind::LogWait => log_wait().prop_map(ClientFrame::LogWait).boxed(),
        ClientFrameKind::Observers => Just(ClientFrame::Observers).boxed(),
        ClientFrameKind::SysRq => (any::<bool>(), "[ -~]{0,16}")
            .prop_map(|(force, keys)| ClientFrame::SysRq(SysRq { force, keys }))
            .boxed(),
        ClientFrameKind::Admission => attach_request().prop_map(ClientFrame::Admission).boxed(),
    }
}

fn client_frame() -> impl Strategy<Value = ClientFrame> {
    prop::sample::select(ClientFrameKind::ALL).prop_flat_map(|kind| {
        client_frame_of(kind).prop_map(move |frame| {
            assert_eq!(frame.kind(), kind);
            frame
        })
    })
}

fn status() -> impl Strategy<Value = Status> {
    (
        (text(), any::<[bool; 2]>(), any::<[u64; 3]>(), any::<u32>()),
        prop::option::of(held()),
        prop::collection::vec((text(), any::<u64>()), 0..9),
    )
        .prop_map(
            |(
                (console, [powered, boot_log], [oldest, head, epoch], observers),
                holder,
                counters,
            )| {
                Status {
                    console,
                    powered,
                    boot_log,
                    holder,
                    observers,
                    oldest,
                    head,
                    epoch,
                    log: None,
                    counters,
                    details: None,
                }
            },
        )
}

/// A refusal. It names a holder only if the console is busy.
fn refusal() -> impl Strategy<Value = Refusal> {
    (any::<u8>(), held(), text()).prop_map(|(reason, held, text)| {
        let reason = RefusalCode::from(reason);
        Refusal {
            reason,
            holder: (reason == RefusalCode::Busy).then_some(held),
            text,
        }
    })
}

/// Frames of one kind. A kind without an arm does not compile.
fn server_frame_of(kind: ServerFrameKind) -> BoxedStrategy<ServerFrame> {
    match kind {
        ServerFrameKind::Hello => (any::<u16>(), text(), any::<[u64; 2]>())
            .prop_map(|(version, console, [head, epoch])| ServerFrame::Hello {
                version,
                console,
                head,
                epoch,
            })
            .boxed(),
        ServerFrameKind::Attached => (any::<bool>(), any::<[u64; 3]>())
            .prop_map(|(read_only, [start, head, epoch])| {
                ServerFrame::Attached(Attached {
                    read_only,
                    start,
                    head,
                    epoch,
                })
            })
            .boxed(),
        ServerFrameKind::Output => (any::<bool>(), any::<[u64; 2]>(), bytes())
            .prop_map(|(replayed, [offset, next], bytes)| {
                ServerFrame::Output(Output {
                    replayed,
                    offset,
                    next,
                    bytes,
                })
            })
            .boxed(),
        ServerFrameKind::Gap => any::<[u64; 2]>()
            .prop_map(|[from, to]| ServerFrame::Gap { from, to })
            .boxed(),
        ServerFrameKind::Warning => (
            prop_oneof![Just(Limit::Idle), Just(Limit::Absolute)],
            span(),
        )
            .prop_map(|(limit, remaining)| ServerFrame::Warning(Warning { limit, remaining }))
            .boxed(),
        ServerFrameKind::Ended => (any::<u8>(), any::<[u64; 2]>(), text(), text())
            .prop_map(|(reason, [resume, epoch], by, text)| {
                ServerFrame::Ended(SessionEnd {
                    reason: EndCode::from(reason),
                    resume,
                    epoch,
                    by,
                    text,
                })
            })
            .boxed(),
        ServerFrameKind::Refused => refusal().prop_map(ServerFrame::Refused).boxed(),
        ServerFrameKind::Status => status().prop_map(ServerFrame::Status).boxed(),
        ServerFrameKind::LogData => log_data().prop_map(ServerFrame::LogData).boxed(),
        ServerFrameKind::Error => (any::<u8>(), text())
            .prop_map(|(code, text)| ServerFrame::Error {
                code: ErrorCode::from(code),
                text,
            })
            .boxed(),
        ServerFrameKind::Boot => any::<[u64; 2]>()
            .prop_map(|[epoch, offset]| ServerFrame::Boot { epoch, offset })
            .boxed(),
        ServerFrameKind::Welcome => (any::<u16>(), log_id())
            .prop_map(|(version, log)| ServerFrame::Welcome { version, log })
            .boxed(),
        ServerFrameKind::Answer => answer().prop_map(ServerFrame::Answer).boxed(),
        ServerFrameKind::Done => Just(ServerFrame::Done).boxed(),
        ServerFrameKind::Status2 => (status(), log_id())
            .prop_map(|(status, log)| ServerFrame::Status2(Status2(Status { log, ..status })))
            .boxed(),
        ServerFrameKind::Status3 => (status(), log_id(), details().prop_map(Some))
            .prop_map(|(status, log, details)| {
                ServerFrame::Status3(Status3(Status {
                    log,
                    details,
                    ..status
                }))
            })
            .boxed(),
        ServerFrameKind::Boots => boots().prop_map(ServerFrame::Boots).boxed(),
        ServerFrameKind::LineTimes => line_times().prop_map(ServerFrame::LineTimes).boxed(),
        ServerFrameKind::LogNews => (any::<bool>(), log_data())
            .prop_map(|(powered, data)| ServerFrame::LogNews(LogNews { powered, data }))
            .boxed(),
        ServerFrameKind::Observers => prop::collection::vec(observer(), 0..9)
            .prop_map(ServerFrame::Observers)
            .boxed(),
        ServerFrameKind::Admission => prop::option::of(held())
            .prop_map(|ends| ServerFrame::Admission(Admission { ends }))
            .boxed(),
    }
}

fn server_frame() -> impl Strategy<Value = ServerFrame> {
    prop::sample::select(ServerFrameKind::ALL).prop_flat_map(|kind| {
        server_frame_of(kind).prop_map(move |frame| {
            assert_eq!(frame.kind(), kind);
            frame
        })
    })
}

proptest! {
    #[test]
    fn client_frames_survive_any_cut(frames in prop::collection::vec(client_frame(), 0..8), cuts in prop::collection::vec(1usize..9, 0..300)) {
        let mut wire = Vec::new();
        for frame in &frames {
            frame.encode(&mut wire);
        }
        let mut decoder = Decoder::default();
        let mut read = Vec::new();
        let mut rest = &wire[..];
        for cut in cuts.into_iter().chain([wire.len()]) {
            let (chunk, tail) = rest.split_at(cut.min(rest.len()));
            rest = tail;
            decoder.feed(chunk);
            while let Some(frame) = decoder.next_frame().unwrap() {
                read.push(ClientFrame::parse(frame, VERSION).unwrap());
            }
        }
        prop_assert_eq!(read, frames);
        prop_assert_eq!(decoder.pending(), 0);
    }

    #[test]
    fn server_frames_survive_any_cut(frames in prop::collection::vec(server_frame(), 0..8), cut in 1usize..50) {
        let mut wire = Vec::new();
        for frame in &frames {
            frame.encode(&mut wire);
        }
        let mut decoder = Decoder::default();
        let mut read = Vec::new();
        for chunk in wire.chunks(cut) {
            decoder.feed(chunk);
            while let Some(frame) = decoder.next_frame().unwrap() {
                read.push(ServerFrame::parse(frame, VERSION).unwrap());
            }
        }
        prop_assert_eq!(read, frames);
    }

    #[test]
    fn any_bytes_parse_or_fail_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 1usize..50) {
        let mut decoder = Decoder::default();
        for chunk in bytes.chunks(cut) {
            decoder.feed(chunk);
            while let Ok(Some(frame)) = decoder.next_frame() {
                for version in 1..=VERSION {
                    let _ = ClientFrame::parse(frame, version);
                    let _ = ServerFrame::parse(frame, version);
                }
            }
        }
    }

    #[test]
    fn a_body_cut_short_is_malformed(frame in client_frame()) {
        let body = &encoded(&frame)[4..];
        if ends_in_bytes(&frame) || body.len() < 2 {
            return Ok(());
        }
        for version in frame.since()..=VERSION {
            let cut = parse_client(&body[..body.len() - 1], version);
            prop_assert!(cut.is_err_and(|error| is_malformed(&error)));
        }
    }

    #[test]
    fn what_follows_the_known_fields_is_malformed_in_version_1_and_skipped_later(
        frame in client_frame(),
        extra in 1usize..5,
    ) {
        if ends_in_bytes(&frame) {
            return Ok(());
        }
        let longer = [&encoded(&frame)[4..], &vec![0; extra]].concat();
        for version in frame.since().max(2)..=VERSION {
            prop_assert_eq!(parse_client(&longer, version), Ok(frame.clone()));
        }
        if frame.since() == 1 {
            let old = parse_client(&longer, 1);
            prop_assert!(old.is_err_and(|error| is_malformed(&error)));
        }
    }

    #[test]
    fn the_service_may_say_more_than_a_client_knows(frame in server_frame(), extra in 1usize..5) {
        fn can_grow(frame: &ServerFrame) -> bool {
            match frame {
                ServerFrame::Output(_)
                | ServerFrame::Status(_)
                | ServerFrame::LogData(_)
                | ServerFrame::LogNews(_) => false,
                ServerFrame::Answer(answer) => can_grow(&answer.frame),
                _ => true,
            }
        }
        if can_grow(&frame) {
            let mut wire = Vec::new();
            frame.encode(&mut wire);
            wire.extend(vec![0; extra]);
            let raw = RawFrame { kind: wire[4], body: &wire[5..] };
            prop_assert_eq!(ServerFrame::parse(raw, VERSION), Ok(frame));
        }
    }

    #[test]
    fn a_version_does_not_know_what_came_later(frame in client_frame()) {
        let wire = encoded(&frame);
        for version in 1..=VERSION {
            let parsed = parse_client(&wire[4..], version);
            if frame.since() <= version {
                prop_assert_eq!(parsed.as_ref(), Ok(&frame));
            } else {
                prop_assert!(parsed.is_err());
            }
        }
    }
}

fn encoded(frame: &ClientFrame) -> Vec<u8> {
    let mut wire = Vec::new();
    frame.encode(&mut wire);
    wire
}

/// Reads a frame without its length.
fn parse_client(frame: &[u8], version: u16) -> Result<ClientFrame, FrameError> {
    let (&kind, body) = frame.split_first().unwrap();
    ClientFrame::parse(RawFrame { kind, body }, version)
}

/// Whether the last field takes all bytes up to the end of the frame.
fn ends_in_bytes(frame: &ClientFrame) -> bool {
    match frame {
        ClientFrame::Data(_) => true,
        ClientFrame::Request(request) => ends_in_bytes(&request.frame),
        _ => false,
    }
}

fn is_malformed(error: &FrameError) -> bool {
    match error {
        FrameError::Malformed { .. } => true,
        FrameError::InEnvelope { error, .. } => is_malformed(error),
        _ => false,
    }
}

#[test]
fn lengths_of_zero_and_beyond_the_limit_are_refused_at_once() {
    for (length, error) in [
        (0u32, FrameError::Empty),
        (
            FRAME_LIMIT as u32 + 1,
            FrameError::TooLong(FRAME_LIMIT as u32 + 1),
        ),
        (u32::MAX, FrameError::TooLong(u32::MAX)),
    ] {
        let mut decoder = Decoder::default();
        decoder.feed(&length.to_le_bytes()[..3]);
        assert_eq!(decoder.next_frame(), Ok(None));
        decoder.feed(&length.to_le_bytes()[3..]);
        assert_eq!(decoder.next_frame(), Err(error.clone()));
        assert!(error.is_fatal());
        assert_eq!(
            decoder.next_frame(),
            Err(error),
            "it does not get out of step by asking again"
        );
    }
}

#[test]
fn an_unknown_type_can_be_skipped() {
    let mut decoder = Decoder::default();
    decoder.feed(&[2, 0, 0, 0, 0x7f, 1]);
    ClientFrame::Break.encode(&mut Vec::new());
    let mut wire = Vec::new();
    ClientFrame::Break.encode(&mut wire);
    decoder.feed(&wire);
    let error = ClientFrame::parse(decoder.next_frame().unwrap().unwrap(), VERSION).unwrap_err();
    assert_eq!(error, FrameError::UnknownType(0x7f));
    assert!(!error.is_fatal());
    assert_eq!(
        ClientFrame::parse(decoder.next_frame().unwrap().unwrap(), VERSION),
        Ok(ClientFrame::Break)
    );
}

#[test]
fn every_byte_of_a_reason_or_an_error_survives() {
    for byte in 0..=u8::MAX {
        assert_eq!(u8::from(EndCode::from(byte)), byte);
        assert_eq!(u8::from(RefusalCode::from(byte)), byte);
        assert_eq!(u8::from(ErrorCode::from(byte)), byte);
        assert_eq!(u8::from(MarkCode::from(byte)), byte);
    }
}

#[test]
fn reasons_and_errors_have_the_bytes_of_the_protocol_page() {
    let who = || Identity::new(Transport::Control, "ada");
    let ends = [
        (EndReason::ClientClosed, 0),
        (EndReason::TakenOver { by: who() }, 1),
        (
            EndReason::Idle {
                limit: Duration::ZERO,
            },
            2,
        ),
        (
            EndReason::MaximumReached {
                limit: Duration::ZERO,
            },
            3,
        ),
        (EndReason::PoweredOff, 4),
        (EndReason::TooSlow, 5),
        (EndReason::Revoked, 6),
        (EndReason::ShuttingDown, 7),
        (EndReason::Error(String::new()), 8),
    ];
    assert_eq!(ends.len(), EndReason::KINDS);
    for (reason, byte) in &ends {
        assert_eq!(u8::from(EndCode::from(reason)), *byte, "{reason:?}");
    }
    let refusals = [
        (
            Refused::Busy {
                holder: who(),
                held_for: Duration::ZERO,
                idle_for: Some(Duration::ZERO),
            },
            0,
        ),
        (Refused::PoweredOff, 1),
        (Refused::BootLogOff, 2),
        (Refused::NotPermitted, 3),
        (Refused::TooManyObservers, 4),
        (Refused::ShuttingDown, 5),
    ];
    assert_eq!(refusals.len(), Refused::KINDS);
    for (refused, byte) in &refusals {
        assert_eq!(u8::from(RefusalCode::from(refused)), *byte, "{refused:?}");
    }
    let errors = [
        (ErrorCode::Malformed, 1),
        (ErrorCode::UnknownType, 2),
        (ErrorCode::NotAttached, 3),
        (ErrorCode::NotPermitted, 4),
        (ErrorCode::AlreadyAttached, 5),
        (ErrorCode::NotSupported, 6),
        (ErrorCode::AnotherLog, 7),
        (ErrorCode::Gone, 8),
        (ErrorCode::NotYet, 9),
        (ErrorCode::NoRoom, 10),
    ];
    assert_eq!(errors.map(|(code, _)| code), ErrorCode::ALL);
    for (code, byte) in errors {
        assert_eq!(u8::from(code), byte, "{code:?}");
    }
}

#[test]
fn a_bad_frame_in_a_request_is_named_and_the_next_one_is_read() {
    for (inner, code, fatal_outside) in [
        (&[0x7f][..], ErrorCode::UnknownType, false),
        (&[0x0a, 9], ErrorCode::Malformed, true),
        (&[0x02], ErrorCode::Malformed, true),
        // This is a request in a request.
        (&[0x0b, 1, 0, 0, 0, 0x07], ErrorCode::Malformed, false),
    ] {
        let mut wire = vec![0x0b, 7, 0, 0, 0];
        wire.extend(inner);
        let error = parse_client(&wire, 2).unwrap_err();
        assert!(matches!(error, FrameError::InEnvelope { id: 7, .. }));
        assert!(!error.is_fatal());
        assert_eq!(ErrorCode::from(&error), code, "{inner:02x?}");
        if fatal_outside {
            assert!(parse_client(inner, 2).unwrap_err().is_fatal());
        }
    }
    // Without a whole request number no answer is possible.
    assert!(parse_client(&[0x0b, 7, 0, 0], 2).unwrap_err().is_fatal());
    // This has a number and no request.
    assert!(!parse_client(&[0x0b, 7, 0, 0, 0], 2).unwrap_err().is_fatal());
}
