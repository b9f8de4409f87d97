//! What a client of a control socket makes of the frames that it gets.

use std::collections::VecDeque;
use std::time::Duration;

use super::guest::printed;
use super::script::Ask;
use crate::log::{GapPolicy, Start};
use crate::protocol::{
    Answer, AttachRequest, Attached, Boots, ClientFrame, Decoder, EndCode, ErrorCode, LogData,
    LogRequest, LogWait, MachineState, PowerAction, Request, ServerFrame, SysRq,
};

/// Keeps what was asked and not answered, and the session as it was told.
#[derive(Debug)]
pub(super) struct ControlReader {
    gaps: GapPolicy,
    decoder: Decoder,
    greeted: bool,
    asked: VecDeque<Ask>,
    /// What was asked under a number.
    numbered: VecDeque<(u32, Ask)>,
    last_number: Option<u32>,
    /// The version of the protocol that it speaks.
    version: u16,
    pub(super) session: Option<Told>,
    /// How sessions ended, as the auditor saw it.
    ends: VecDeque<End>,
    /// It was told that it was in error, or turned away.
    pub(super) is_over: bool,
    pub(super) answers: u64,
    pub(super) now: Duration,
    /// The auditor is not told of everything any more.
    pub(super) auditor_misses: bool,
}

/// The end of a session as the auditor saw it.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// Output before this offset is still shown, by then at most.
    pub(super) drains_to: u64,
    pub(super) until: Duration,
}

/// A session as it was told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub(super) read_only: bool,
    /// The offset of the next byte.
    pub(super) next: u64,
    live_from: u64,
}

impl ControlReader {
    pub(super) fn new(gaps: GapPolicy) -> Self {
        Self {
            gaps,
            decoder: Decoder::default(),
            greeted: false,
            asked: VecDeque::new(),
            numbered: VecDeque::new(),
            last_number: None,
            version: 1,
            session: None,
            ends: VecDeque::new(),
            is_over: false,
            answers: 0,
            now: Duration::ZERO,
            auditor_misses: false,
        }
    }

    /// It sends a frame, perhaps under a number.
    pub(super) fn asks(&mut self, ask: Ask) -> Option<u32> {
        let has_number = !matches!(
            ask,
            Ask::HelloTwo | Ask::HelloThree | Ask::Unknown | Ask::Malformed | Ask::TooLong
        );
        if has_number && let Some(last) = &mut self.last_number {
            *last += 1;
            self.numbered.push_back((*last, ask));
            return Some(*last);
        }
        self.asked.push_back(ask);
        if let Some(version) = says_version(ask) {
            self.version = version;
            self.last_number = Some(0);
        }
        None
    }

    pub(super) fn numbers_requests(&self) -> bool {
        self.last_number.is_some()
    }

    /// Its session ended.
    pub(super) fn ended(&mut self, end: End) {
        self.ends.push_back(end);
    }

    /// Whether the answer that comes next is to a wait for output.
    pub(super) fn waits_for_output(&self) -> bool {
        let next = self.numbered.front();
        next.is_some_and(|(_, ask)| matches!(ask, Ask::LogWait(..)))
    }

    /// What it asked for and was not answered, though it has to be.
    pub(super) fn unanswered(&self) -> Option<Ask> {
        let numbered = self.numbered.front().map(|(_, ask)| *ask);
        let asked = self.asked.iter().copied();
        numbered.or(asked.into_iter().find(|ask| must_be_answered(*ask)))
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.decoder.feed(bytes);
        let version = self.version;
        loop {
            let frame = match self.decoder.next_frame() {
                Ok(Some(frame)) => ServerFrame::parse(frame, version),
                Ok(None) => return Ok(()),
                Err(error) => Err(error),
            };
            let frame = frame.map_err(|error| format!("the service sent a {error}"))?;
            self.frame(frame)?;
        }
    }

    fn frame(&mut self, frame: ServerFrame) -> Result<(), String> {
        self.answers += 1;
        if let ServerFrame::Hello { .. } = frame {
            return wrong_if(self.greeted, "greeted twice").map(|()| self.greeted = true);
        }
        if !self.greeted {
            self.is_over = true;
            let turned_away = matches!(frame, ServerFrame::Error { .. });
            return wrong_if(!turned_away, "a frame before the greeting");
        }
        match frame {
            ServerFrame::Attached(attached) => {
                let ask = self.answer(|ask| matches!(ask, Ask::Attach { .. }))?;
                self.attached(ask, attached)
            }
            ServerFrame::Welcome { version, .. } => {
                let hello = self.answer(|ask| says_version(ask).is_some())?;
                wrong_if(says_version(hello) != Some(version), "another version")
            }
            ServerFrame::Answer(answer) => self.numbered_answer(answer),
            ServerFrame::Output(output) => {
                let gaps = self.gaps;
                let session = self.session()?;
                let skips = gaps == GapPolicy::Silent && output.offset > session.next;
                wrong_if(
                    output.offset != session.next && !skips,
                    "output leaves out bytes, or repeats them",
                )?;
                wrong_if(
                    output.replayed != (output.offset < session.live_from),
                    "replayed is told wrong",
                )?;
                let right = (output.offset..output.next).map(printed);
                wrong_if(
                    !right.eq(output.bytes.iter().copied()),
                    "output is not what was printed",
                )?;
                session.next = output.next;
                Ok(())
            }
            ServerFrame::Gap { from, to } => {
                let session = self.session()?;
                wrong_if(from != session.next || to <= from, "a gap elsewhere")?;
                session.next = to;
                Ok(())
            }
            ServerFrame::Warning(_) => {
                let read_only = self.session()?.read_only;
                wrong_if(read_only, "an observer is warned")
            }
            ServerFrame::Boot { .. } => self.session().map(|_| ()),
            ServerFrame::Ended(end) => {
                let session = *self.session()?;
                self.session = None;
                let seen = self.ends.pop_front();
                let any = End {
                    drains_to: 0,
                    until: Duration::ZERO,
                };
                let seen = seen.or(self.auditor_misses.then_some(any));
                let End { drains_to, until } = seen.ok_or("an end that did not happen")?;
                // A gap that is forbidden ends the draining too.
                // The end was noticed after the event in which it happened.
                let noticed = Duration::from_millis(100);
                let drains = self.now + noticed < until && self.gaps != GapPolicy::Disconnect;
                let skips = self.gaps == GapPolicy::Silent && end.resume > session.next;
                wrong_if(
                    end.resume != session.next && !skips,
                    "resume is not where output ended",
                )?;
                // A gap may reach beyond the end.
                wrong_if(
                    drains && end.resume < drains_to,
                    "output before the end is missing",
                )?;
                wrong_if(matches!(end.reason, EndCode::Other(_)), "no reason")?;
                if let Some(at) = self.asked.iter().position(|ask| *ask == Ask::Detach)
                    && end.reason == EndCode::ClientClosed
                {
                    self.skip_to(at)?;
                    self.asked.pop_front();
                }
                Ok(())
            }
            ServerFrame::Refused(_) => {
                self.answer(|ask| matches!(ask, Ask::Attach { .. }))?;
                wrong_if(self.session.is_some(), "refused within a session")
            }
            ServerFrame::Status(_) => self.answer(|ask| ask == Ask::Status).map(|_| ()),
            ServerFrame::LogData(data) => {
                self.answer(|ask| matches!(ask, Ask::LogRead(..)))?;
                check_log_data(&data)
            }
            ServerFrame::Error { code, text } => self.error(code, &text),
            other => Err(format!("unexpected: {other:?}")),
        }
    }

    fn attached(&mut self, ask: Ask, attached: Attached) -> Result<(), String> {
        wrong_if(self.session.is_some(), "attached twice")?;
        wrong_if(
            attached.start > attached.head,
            "replay begins after its end",
        )?;
        if let Ask::Attach {
            read_only, start, ..
        } = ask
        {
            wrong_if(
                read_only != attached.read_only,
                "attached otherwise than asked",
            )?;
            // Without the right to read, there is no replay.
            let begins = match start {
                Start::Now => attached.start == attached.head,
                Start::Offset(at) => {
                    [at.min(attached.head), attached.head].contains(&attached.start)
                }
                Start::Newest(count) => attached.start >= attached.head.saturating_sub(count),
                _ => true,
            };
            wrong_if(!begins, "replay begins elsewhere than asked")?;
        }
        self.session = Some(Told {
            read_only: attached.read_only,
            next: attached.start,
            live_from: attached.head,
        });
        Ok(())
    }

    /// Numbered requests are answered in their order, each once.
    fn numbered_answer(&mut self, answer: Answer) -> Result<(), String> {
        let (number, ask) = self.numbered.pop_front().ok_or("an answer to nothing")?;
        wrong_if(number != answer.id, "answers are out of order")?;
        match (*answer.frame, ask) {
            (ServerFrame::Attached(attached), Ask::Attach { .. }) => self.attached(ask, attached),
            (ServerFrame::LogData(data), Ask::LogRead(..)) => check_log_data(&data),
            (ServerFrame::LogNews(news), Ask::LogWait(..)) => check_log_data(&news.data),
            (ServerFrame::Boots(boots), Ask::Boots) => check_boots(&boots),
            (ServerFrame::Status2(_), Ask::Status) if self.version == 2 => Ok(()),
            (ServerFrame::Status3(_), Ask::Status) if self.version == 3 => Ok(()),
            (
                ServerFrame::Refused(_),
                Ask::Attach { .. } | Ask::Admission { .. } | Ask::SysRq { .. },
            )
            | (ServerFrame::LineTimes(_), Ask::LineTimes(_))
            | (ServerFrame::Observers(_), Ask::Observers)
            | (ServerFrame::Admission(_), Ask::Admission { .. })
            | (
                ServerFrame::Done,
                Ask::Data(_)
                | Ask::Break
                | Ask::Resize
                | Ask::Power(_)
                | Ask::Hello
                | Ask::Detach
                | Ask::SysRq { .. },
            ) => Ok(()),
            (ServerFrame::Error { code, .. }, ask) => {
                let fits = match code {
                    ErrorCode::UnknownType => self.version < ask.since(),
                    _ if self.version < ask.since() => false,
                    ErrorCode::Malformed => ask == NMI && self.version < 3,
                    ErrorCode::NotAttached => matches!(
                        ask,
                        Ask::Data(_) | Ask::Break | Ask::Detach | Ask::SysRq { .. }
                    ),
                    ErrorCode::NotPermitted => matches!(
                        ask,
                        Ask::LogRead(..)
                            | Ask::LogWait(..)
                            | Ask::Boots
                            | Ask::LineTimes(_)
                            | Ask::Power(_)
                    ),
                    ErrorCode::AlreadyAttached => matches!(
                        ask,
                        Ask::Attach { .. } | Ask::AttachDescriptor | Ask::Admission { .. }
                    ),
                    ErrorCode::NotSupported => ask == Ask::AttachDescriptor || ask == NMI,
                    ErrorCode::NoRoom => matches!(ask, Ask::SysRq { .. }),
                    // The place asked for is not what there is.
                    _ => matches!(
                        ask,
                        Ask::Attach { .. }
                            | Ask::LogRead(..)
                            | Ask::LogWait(..)
                            | Ask::Admission { .. }
                    ),
                };
                wrong_if(!fits, &format!("{ask:?} is answered with {code:?}"))
            }
            (other, ask) => Err(format!("{ask:?} is answered with {other:?}")),
        }
    }

    fn error(&mut self, code: ErrorCode, text: &str) -> Result<(), String> {
        if text.contains("too many connections") {
            // It has made way for another.
            self.is_over = true;
            return wrong_if(
                self.session.is_some() && self.ends.is_empty() && !self.auditor_misses,
                "a client with a session makes way",
            );
        }
        let ask = self.answer(|ask| match code {
            ErrorCode::Malformed => ends_connection(ask),
            ErrorCode::UnknownType => ask == Ask::Unknown || ask.since() == 3,
            ErrorCode::NotAttached => matches!(ask, Ask::Data(_) | Ask::Break | Ask::Detach),
            // Version 1 tells them apart by nothing else.
            ErrorCode::NotPermitted if text.contains("log") => matches!(ask, Ask::LogRead(..)),
            ErrorCode::NotPermitted => matches!(ask, Ask::Power(_)),
            ErrorCode::AlreadyAttached => {
                matches!(ask, Ask::Attach { .. } | Ask::AttachDescriptor)
            }
            ErrorCode::NotSupported => ask == Ask::AttachDescriptor,
            _ => false,
        })?;
        self.is_over |= ends_connection(ask);
        Ok(())
    }

    fn session(&mut self) -> Result<&mut Told, String> {
        self.session
            .as_mut()
            .ok_or("a frame of a session without one".into())
    }

    /// The request that this is the answer to; those before it need none.
    fn answer(&mut self, fits: impl Fn(Ask) -> bool) -> Result<Ask, String> {
        let at = self.asked.iter().position(|ask| fits(*ask));
        let at = at.ok_or("an answer that nothing asked for")?;
        self.skip_to(at)?;
        self.asked.pop_front().ok_or("an answer to nothing".into())
    }

    fn skip_to(&mut self, at: usize) -> Result<(), String> {
        for _ in 0..at {
            if let Some(ask) = self.asked.pop_front() {
                wrong_if(must_be_answered(ask), &format!("{ask:?} was passed over"))?;
            }
        }
        Ok(())
    }
}

fn check_log_data(data: &LogData) -> Result<(), String> {
    let right = (data.start..data.next).map(printed);
    wrong_if(
        !right.eq(data.bytes.iter().copied()),
        "the log is read wrong",
    )?;
    wrong_if(
        data.start < data.asked || data.next > data.head,
        "log data lies",
    )
}

fn check_boots(told: &Boots) -> Result<(), String> {
    let starts = told.boots.iter().skip(1).map(|boot| boot.start);
    let next_starts = starts.chain([told.head]);
    for (boot, next) in told.boots.iter().zip(next_starts) {
        // The head may be told of a later moment than the boots.
        let ends_right = boot.end == next || next == told.head;
        let is_sound = boot.start <= boot.oldest
            && boot.oldest <= boot.end
            && boot.kept <= boot.end - boot.oldest;
        wrong_if(!ends_right || !is_sound, "boots are told wrong")?;
    }
    let in_order = told.boots.is_sorted_by(|a, b| a.epoch < b.epoch);
    wrong_if(!in_order, "boots are out of order")
}

/// To send an NMI, which the machine cannot be sent.
const NMI: Ask = Ask::Power(4);

/// The version that a hello says, if requests have numbers from there on.
fn says_version(ask: Ask) -> Option<u16> {
    match ask {
        Ask::HelloTwo => Some(2),
        Ask::HelloThree => Some(3),
        _ => None,
    }
}

/// Whether it is malformed, without a number.
fn ends_connection(ask: Ask) -> bool {
    matches!(ask, Ask::Malformed | Ask::TooLong | NMI)
}

fn must_be_answered(ask: Ask) -> bool {
    match ask {
        NMI
        | Ask::Boots
        | Ask::LineTimes(_)
        | Ask::LogWait(..)
        | Ask::Observers
        | Ask::SysRq { .. }
        | Ask::Admission { .. }
        | Ask::Attach { .. }
        | Ask::HelloTwo
        | Ask::HelloThree
        | Ask::AttachDescriptor
        | Ask::Status
        | Ask::LogRead(..)
        | Ask::Unknown
        | Ask::Malformed
        | Ask::TooLong => true,
        Ask::Hello | Ask::Data(_) | Ask::Break | Ask::Resize | Ask::Detach | Ask::Power(_) => false,
    }
}

fn wrong_if(condition: bool, what: &str) -> Result<(), String> {
    if condition { Err(what.into()) } else { Ok(()) }
}

/// The bytes of what a client asks; what it types comes from `typed`.
pub(super) fn encode(
    ask: Ask,
    number: Option<u32>,
    name: &str,
    mut typed: impl FnMut() -> u8,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let frame = match ask {
        Ask::Hello | Ask::HelloTwo | Ask::HelloThree => ClientFrame::Hello {
            version: says_version(ask).unwrap_or(1),
            program: "simulation".into(),
        },
        Ask::Attach {
            force,
            read_only,
            start,
        } => ClientFrame::Attach(AttachRequest {
            force,
            read_only,
            replay: start,
            name: name.into(),
            ..AttachRequest::default()
        }),
        Ask::AttachDescriptor => ClientFrame::AttachDescriptor(AttachRequest::default()),
        Ask::Data(count) => ClientFrame::Data((0..count).map(|_| typed()).collect()),
        Ask::Break => ClientFrame::Break,
        Ask::Resize => ClientFrame::Resize {
            columns: 80,
            rows: 24,
        },
        Ask::Status => ClientFrame::Status,
        Ask::LogRead(start, max) => ClientFrame::LogRead(LogRequest {
            id: 7,
            start,
            log: None,
            max,
        }),
        Ask::Detach => ClientFrame::Detach,
        Ask::Power(action) => ClientFrame::Power(match action {
            1 => PowerAction::Stop,
            2 => PowerAction::Start,
            3 => PowerAction::Restart,
            _ => PowerAction::Nmi,
        }),
        Ask::Boots => ClientFrame::Boots,
        Ask::LineTimes(after) => ClientFrame::LineTimes {
            after: after.into(),
            max: u32::MAX,
        },
        Ask::LogWait(start, max, patience) => ClientFrame::LogWait(LogWait {
            read: LogRequest {
                id: 7,
                start,
                log: None,
                max,
            },
            patience: Duration::from_millis(patience.into()),
            known: MachineState {
                epoch: 1,
                powered: true,
            },
        }),
        Ask::Observers => ClientFrame::Observers,
        Ask::SysRq { force, keys } => ClientFrame::SysRq(SysRq {
            force,
            keys: (b'a'..).take(keys.into()).map(char::from).collect(),
        }),
        Ask::Admission {
            force,
            read_only,
            start,
        } => ClientFrame::Admission(AttachRequest {
            force,
            read_only,
            replay: start,
            name: name.into(),
            ..AttachRequest::default()
        }),
        Ask::Unknown => return vec![1, 0, 0, 0, 0x7f],
        Ask::Malformed => return vec![2, 0, 0, 0, 0x06, 0],
        Ask::TooLong => return vec![0xff; 8],
    };
    let frame = match number {
        Some(id) => ClientFrame::Request(Request {
            id,
            frame: Box::new(frame),
        }),
        None => frame,
    };
    frame.encode(&mut bytes);
    bytes
}
