//! The frames: what is written is read back, cut anywhere, and bad input has a defined answer.

use std::time::Duration;

use proptest::prelude::*;
use vm_console::Start;
use vm_console::protocol::{
    AttachRequest, Attached, ClientFrame, ClientFrameKind, Decoder, EndCode, ErrorCode,
    FRAME_LIMIT, FrameError, Held, LogData, LogRequest, Output, PowerAction, Refusal, RefusalCode,
    ServerFrame, ServerFrameKind, SessionEnd, Status, Warning,
};
use vm_console::session::{EndReason, Identity, Limit, Refused, Transport};

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
    (text(), span(), span()).prop_map(|(by, held_for, idle_for)| Held {
        by,
        held_for,
        idle_for,
    })
}

fn attach_request() -> impl Strategy<Value = AttachRequest> {
    (any::<[bool; 3]>(), start(), text()).prop_map(
        |([force, read_only, unguarded], replay, name)| AttachRequest {
            force,
            read_only,
            unguarded,
            replay,
            name,
        },
    )
}

fn log_request() -> impl Strategy<Value = LogRequest> {
    (any::<u32>(), start(), any::<u32>()).prop_map(|(id, start, max)| LogRequest { id, start, max })
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
        ]
        .prop_map(ClientFrame::Power)
        .boxed(),
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
                    counters,
                }
            },
        )
}

/// Only a busy console has a holder to name.
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
        ServerFrameKind::LogData => (any::<u32>(), any::<[u64; 6]>(), bytes())
            .prop_map(|(id, [asked, start, next, oldest, head, epoch], bytes)| {
                ServerFrame::LogData(LogData {
                    id,
                    asked,
                    start,
                    next,
                    oldest,
                    head,
                    epoch,
                    bytes,
                })
            })
            .boxed(),
        ServerFrameKind::Error => (any::<u8>(), text())
            .prop_map(|(code, text)| ServerFrame::Error {
                code: ErrorCode::from(code),
                text,
            })
            .boxed(),
        ServerFrameKind::Boot => any::<[u64; 2]>()
            .prop_map(|[epoch, offset]| ServerFrame::Boot { epoch, offset })
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
                read.push(ClientFrame::parse(frame).unwrap());
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
                read.push(ServerFrame::parse(frame).unwrap());
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
                let _ = (ClientFrame::parse(frame), ServerFrame::parse(frame));
            }
        }
    }

    #[test]
    fn a_body_cut_short_or_too_long_is_malformed(frame in client_frame(), extra in 1usize..5) {
        let mut wire = Vec::new();
        frame.encode(&mut wire);
        let parse = |body: &[u8]| {
            let mut decoder = Decoder::default();
            decoder.feed(&(body.len() as u32).to_le_bytes());
            decoder.feed(body);
            ClientFrame::parse(decoder.next_frame().unwrap().unwrap())
        };
        if !matches!(frame, ClientFrame::Data(_)) {
            let longer = [&wire[4..], &vec![0; extra]].concat();
            let is_malformed = matches!(parse(&longer), Err(FrameError::Malformed { .. }));
            prop_assert!(is_malformed);
            if wire.len() > 5 {
                let is_malformed = matches!(parse(&wire[4..wire.len() - 1]), Err(FrameError::Malformed { .. }));
                prop_assert!(is_malformed);
            }
        }
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
    let error = ClientFrame::parse(decoder.next_frame().unwrap().unwrap()).unwrap_err();
    assert_eq!(error, FrameError::UnknownType(0x7f));
    assert!(!error.is_fatal());
    assert_eq!(
        ClientFrame::parse(decoder.next_frame().unwrap().unwrap()),
        Ok(ClientFrame::Break)
    );
}

#[test]
fn every_byte_of_a_reason_or_an_error_survives() {
    for byte in 0..=u8::MAX {
        assert_eq!(u8::from(EndCode::from(byte)), byte);
        assert_eq!(u8::from(RefusalCode::from(byte)), byte);
        assert_eq!(u8::from(ErrorCode::from(byte)), byte);
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
                idle_for: Duration::ZERO,
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
    ];
    assert_eq!(errors.map(|(code, _)| code), ErrorCode::ALL);
    for (code, byte) in errors {
        assert_eq!(u8::from(code), byte, "{code:?}");
    }
}
