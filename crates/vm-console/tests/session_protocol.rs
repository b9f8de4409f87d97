//! The frames: what is written is read back, cut anywhere, and bad input has a defined answer.

use std::time::Duration;

use proptest::prelude::*;
use vm_console::Start;
use vm_console::protocol::{
    AttachRequest, ClientFrame, Decoder, FRAME_LIMIT, FrameError, Held, LogData, Output,
    PowerAction, Refusal, ServerFrame, SessionEnd, Status, Warning,
};
use vm_console::session::Limit;

fn replay() -> impl Strategy<Value = Start> {
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

fn request() -> impl Strategy<Value = AttachRequest> {
    (any::<(bool, bool, bool)>(), replay(), ".{0,40}").prop_map(
        |((force, read_only, unguarded), replay, name)| AttachRequest {
            force,
            read_only,
            unguarded,
            replay,
            name,
        },
    )
}

fn client_frame() -> impl Strategy<Value = ClientFrame> {
    prop_oneof![
        (any::<u16>(), ".{0,40}")
            .prop_map(|(version, program)| ClientFrame::Hello { version, program }),
        request().prop_map(ClientFrame::Attach),
        request().prop_map(ClientFrame::AttachDescriptor),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(ClientFrame::Data),
        Just(ClientFrame::Break),
        any::<(u16, u16)>().prop_map(|(columns, rows)| ClientFrame::Resize { columns, rows }),
        Just(ClientFrame::Status),
        (any::<u32>(), replay(), any::<u32>()).prop_map(|(id, start, max)| ClientFrame::LogRead {
            id,
            start,
            max
        }),
        Just(ClientFrame::Detach),
        prop::sample::select(vec![
            PowerAction::Stop,
            PowerAction::Start,
            PowerAction::Restart
        ])
        .prop_map(ClientFrame::Power),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

fn held() -> impl Strategy<Value = Held> {
    (".{0,40}", any::<u32>(), any::<u32>()).prop_map(|(by, held, idle)| Held {
        by,
        held_for: Duration::from_millis(held.into()),
        idle_for: Duration::from_millis(idle.into()),
    })
}

fn server_frame() -> impl Strategy<Value = ServerFrame> {
    prop_oneof![
        (any::<u16>(), ".{0,9}", any::<u64>(), any::<u64>()).prop_map(
            |(version, console, head, epoch)| ServerFrame::Hello {
                version,
                console,
                head,
                epoch
            }
        ),
        any::<(bool, u64, u64, u64)>().prop_map(|(read_only, start, head, epoch)| {
            ServerFrame::Attached {
                read_only,
                start,
                head,
                epoch,
            }
        }),
        (any::<bool>(), any::<u64>(), any::<u64>(), bytes()).prop_map(
            |(replayed, offset, next, bytes)| ServerFrame::Output(Output {
                replayed,
                offset,
                next,
                bytes
            })
        ),
        any::<(u64, u64)>().prop_map(|(from, to)| ServerFrame::Gap { from, to }),
        (
            prop::sample::select(vec![Limit::Idle, Limit::Absolute]),
            any::<u32>()
        )
            .prop_map(|(limit, ms)| {
                ServerFrame::Warning(Warning {
                    limit,
                    remaining: Duration::from_millis(ms.into()),
                })
            }),
        (any::<u8>(), any::<u64>(), any::<u64>(), ".{0,9}", ".{0,9}").prop_map(
            |(reason, resume, epoch, by, text)| {
                ServerFrame::Ended(SessionEnd {
                    reason,
                    resume,
                    epoch,
                    by,
                    text,
                })
            }
        ),
        (held(), ".{0,9}").prop_map(|(held, text)| {
            ServerFrame::Refused(Refusal {
                reason: 0,
                holder: Some(held),
                text,
            })
        }),
        (1u8.., ".{0,9}").prop_map(|(reason, text)| ServerFrame::Refused(Refusal {
            reason,
            holder: None,
            text
        })),
        (
            any::<(bool, bool, u64, u64, u64, u32)>(),
            prop::option::of(held()),
            prop::collection::vec((".{0,9}", any::<u64>()), 0..9)
        )
            .prop_map(
                |((powered, boot_log, oldest, head, epoch, observers), holder, counters)| {
                    ServerFrame::Status(Status {
                        console: "vm".into(),
                        powered,
                        boot_log,
                        holder,
                        observers,
                        oldest,
                        head,
                        epoch,
                        counters,
                    })
                }
            ),
        (any::<u32>(), any::<[u64; 6]>(), bytes()).prop_map(
            |(id, [asked, start, next, oldest, head, epoch], bytes)| {
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
            }
        ),
        (any::<u8>(), ".{0,9}").prop_map(|(code, text)| ServerFrame::Error { code, text }),
        any::<(u64, u64)>().prop_map(|(epoch, offset)| ServerFrame::Boot { epoch, offset }),
    ]
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
