//! What happens in a run: rules for each console, then one step after the other.
//!
//! A script is made of bytes, so that a fuzzer can change it, and is a list of values, so that
//! steps can be taken out of it and what is left can be read.

use std::fmt;

use crate::log::{GapPolicy, Start};

/// Everything that happens in one run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Script {
    pub(super) consoles: Vec<Rules>,
    pub(super) steps: Vec<Step>,
}

/// The rules of one console, as far as a script chooses them.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent options")]
pub(super) struct Rules {
    pub(super) tail: u64,
    pub(super) head: u64,
    pub(super) gaps: GapPolicy,
    pub(super) replay: Start,
    pub(super) notices: bool,
    pub(super) guard: bool,
    /// Bytes per second.
    pub(super) rate: Option<u32>,
    /// Bytes per second, beyond which output is dropped.
    pub(super) drop: Option<u32>,
    pub(super) max_behind: Option<u64>,
    /// Milliseconds.
    pub(super) lossless: Option<u64>,
    pub(super) carrier: bool,
    /// Milliseconds.
    pub(super) linger: u64,
    /// Milliseconds; 0: none.
    pub(super) idle_limit: u64,
    /// Milliseconds; 0: none.
    pub(super) absolute_limit: u64,
    pub(super) requires_boot_log: bool,
    pub(super) max_connections: usize,
    pub(super) max_observers: usize,
}

impl Rules {
    pub(super) const PLAIN: Self = Self {
        tail: 10_000,
        head: 16,
        gaps: GapPolicy::Note,
        replay: Start::Oldest,
        notices: true,
        guard: true,
        rate: None,
        drop: None,
        max_behind: None,
        lossless: None,
        carrier: false,
        linger: 1000,
        idle_limit: 0,
        absolute_limit: 0,
        requires_boot_log: false,
        max_connections: 6,
        max_observers: 2,
    };
}

/// A way into a console. Each console has one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Raw,
    Forcing,
    Observers,
    Control,
    Pty,
    Tcp,
}

impl Way {
    pub(super) const ALL: [Self; 6] = [
        Self::Raw,
        Self::Forcing,
        Self::Observers,
        Self::Control,
        Self::Pty,
        Self::Tcp,
    ];
}

/// What a client of a control socket sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Hello,
    /// From here on requests have numbers.
    HelloTwo,
    /// The same, and there are more of them.
    HelloThree,
    Attach {
        force: bool,
        read_only: bool,
        start: Start,
    },
    AttachDescriptor,
    Data(u16),
    Break,
    Resize,
    Status,
    LogRead(Start, u32),
    Detach,
    Power(u8),
    Boots,
    LineTimes(u16),
    /// Where, how many bytes, and for how many milliseconds.
    LogWait(Start, u32, u32),
    Observers,
    SysRq {
        force: bool,
        keys: u8,
    },
    Admission {
        force: bool,
        read_only: bool,
        start: Start,
    },
    Unknown,
    Malformed,
    /// A length beyond the limit.
    TooLong,
}

/// What goes wrong, once, the next time that the service reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hindrance {
    /// At most so many bytes are read.
    ShortRead(u8),
    /// At most so many bytes are taken.
    ShortWrite(u8),
    ReadInterrupted,
    WriteInterrupted,
}

/// One thing that happens. Indexes are taken modulo what there is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// The event loop hands over one of the events that are due.
    Handle(u8),
    /// It hands over so many.
    HandleAll(u8),
    /// An event that is not due: readable, writable.
    Spurious(u8, bool, bool),
    /// Time passes, in milliseconds.
    Pass(u16),
    /// Each call to the kernel takes so many times 16 microseconds from now on.
    Slow(u8),
    /// Time passes until the alarm.
    ToAlarm,
    /// Only so many descriptors are left, or any number.
    Spare(Option<u8>),
    /// So many of the next attempts to watch a descriptor fail.
    FailWatches(u8),
    Connect {
        console: u8,
        way: Way,
        uid: u8,
        room: u8,
    },
    /// The owner hands over a pair of descriptors.
    Attach {
        console: u8,
        files: Files,
        force: bool,
        read_only: bool,
        room: u8,
    },
    Type {
        client: u8,
        count: u16,
    },
    /// A control client sends a frame so many times.
    Ask {
        client: u8,
        ask: Ask,
        times: u8,
    },
    /// Only so many bytes of what the client sends leave it, from now on at each step.
    Dribble {
        client: u8,
        most: Option<u8>,
    },
    Receive {
        client: u8,
        most: u16,
    },
    Hinder(u8, Hindrance),
    HalfClose(u8),
    Close(u8),
    Print {
        console: u8,
        count: u16,
    },
    TakeInput {
        console: u8,
        count: u16,
    },
    Reset(u8),
    Power(u8, bool),
    Disconnect(u8),
    BootLog(u8, bool),
    Status(u8),
    Remove(u8),
    /// Adds a removed console again.
    Add(u8),
    ShutDown,
}

/// What the owner hands over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    Socket,
    /// A socket that another thread receives from.
    Shared,
    /// A pipe for each way.
    Pipes,
    /// Input from a regular file, output into one.
    Regular,
}

/// Bytes as an endless source of choices; zeros once they are used up.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    /// One in so many.
    fn rarely(&mut self, of: u8) -> bool {
        self.byte() % of == of - 1
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    /// Mostly small.
    fn count(&mut self) -> u16 {
        match self.byte() {
            small @ 0..=199 => small.into(),
            255 => 60_000,
            large => (u16::from(large) - 199) * 97,
        }
    }

    fn start(&mut self) -> Start {
        match self.byte() % 8 {
            0 => Start::Now,
            1 => Start::Newest(self.count().into()),
            2 => Start::Offset(self.count().into()),
            3 => Start::Lines(self.byte().into()),
            4 => Start::Boot(self.byte().into()),
            5 => Start::ThisBoot,
            _ => Start::Oldest,
        }
    }
}

/// As it is written in a test.
impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rules in &self.consoles {
            let fields = |rules: &Rules| {
                let shown = format!("{rules:?}");
                shown.replace("Rules { ", "").replace(" }", "")
            };
            let (rules, plain) = (fields(rules), fields(&Rules::PLAIN));
            let differs = rules.split(", ").zip(plain.split(", "));
            let differs = differs.filter(|(rule, plain)| rule != plain);
            write!(f, "Rules {{ ")?;
            for (rule, _) in differs {
                write!(f, "{rule}, ")?;
            }
            writeln!(f, "..Rules::PLAIN }}")?;
        }
        for step in &self.steps {
            writeln!(f, "{step:?},")?;
        }
        Ok(())
    }
}

impl Script {
    /// Every sequence of bytes is a script.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let mut choices = Choices(bytes);
        let count = [1, 1, 2][usize::from(choices.byte() % 3)];
        let consoles = (0..count).map(|_| Rules::choose(&mut choices)).collect();
        let mut steps = Vec::new();
        while !choices.0.is_empty() {
            steps.push(Step::choose(&mut choices));
        }
        Self { consoles, steps }
    }
}

impl Rules {
    fn choose(from: &mut Choices<'_>) -> Self {
        let drop;
        Self {
            tail: from.of(&[100, 1000, 10_000, 30_000]),
            head: from.of(&[0, 16, 500]),
            gaps: from.of(&[
                GapPolicy::Note,
                GapPolicy::Note,
                GapPolicy::Silent,
                GapPolicy::Disconnect,
            ]),
            replay: from.of(&[Start::Oldest, Start::Newest(300), Start::Now]),
            notices: !from.rarely(4),
            guard: !from.rarely(3),
            rate: {
                let choice = usize::from(from.byte());
                // One byte for both, so that older scripts mean what they meant.
                drop = [None, None, Some(300), Some(20_000)][choice / 64];
                [None, None, None, Some(1), Some(100), Some(10_000)][choice % 6]
            },
            drop,
            max_behind: from.of(&[None, None, Some(500), Some(5000)]),
            lossless: from.of(&[None, None, Some(5), Some(300)]),
            carrier: from.rarely(3),
            linger: from.of(&[0, 1000, 5000]),
            idle_limit: from.of(&[0, 0, 3000, 600_000]),
            absolute_limit: from.of(&[0, 0, 7000, 600_000]),
            requires_boot_log: from.rarely(4),
            max_connections: from.of(&[2, 4, 8]),
            max_observers: from.of(&[1, 3]),
        }
    }
}

impl Step {
    fn choose(from: &mut Choices<'_>) -> Self {
        match from.byte() {
            0..=59 => Self::Handle(from.byte()),
            60..=84 => Self::HandleAll(from.byte()),
            85..=89 => Self::Spurious(from.byte(), from.flag(), from.flag()),
            90..=96 => Self::Pass(from.count()),
            97..=106 => Self::ToAlarm,
            107..=109 => Self::Spare(from.rarely(3).then(|| from.byte() % 4)),
            110 if from.flag() => Self::Slow(from.byte()),
            110 => Self::FailWatches(from.byte() % 3),
            111..=130 => Self::Connect {
                console: from.byte(),
                way: from.of(&Way::ALL),
                uid: from.byte() % 4,
                room: from.byte(),
            },
            131..=135 => Self::Attach {
                console: from.byte(),
                files: from.of(&[Files::Socket, Files::Pipes, Files::Regular, Files::Shared]),
                force: from.flag(),
                read_only: from.rarely(4),
                room: from.byte(),
            },
            136..=149 => Self::Type {
                client: from.byte(),
                count: from.count(),
            },
            150..=179 => Self::Ask {
                client: from.byte(),
                ask: Ask::choose(from),
                times: if from.rarely(8) { from.byte() } else { 1 },
            },
            180..=182 => Self::Dribble {
                client: from.byte(),
                most: from.flag().then(|| from.byte() % 40),
            },
            183..=197 => Self::Receive {
                client: from.byte(),
                most: from.count(),
            },
            198..=203 => Self::Hinder(from.byte(), {
                let count = from.byte();
                from.of(&[
                    Hindrance::ShortRead(count % 40),
                    Hindrance::ShortWrite(count % 40),
                    Hindrance::ReadInterrupted,
                    Hindrance::WriteInterrupted,
                ])
            }),
            204..=206 => Self::HalfClose(from.byte()),
            207..=213 => Self::Close(from.byte()),
            214..=228 => Self::Print {
                console: from.byte(),
                count: from.count(),
            },
            229..=238 => Self::TakeInput {
                console: from.byte(),
                count: from.count(),
            },
            239..=240 => Self::Reset(from.byte()),
            241..=243 => Self::Power(from.byte(), !from.rarely(3)),
            244..=245 => Self::Disconnect(from.byte()),
            246..=247 => Self::BootLog(from.byte(), !from.rarely(3)),
            248..=249 => Self::Status(from.byte()),
            250..=251 => Self::Remove(from.byte()),
            252..=254 => Self::Add(from.byte()),
            255 => {
                if from.rarely(32) {
                    Self::ShutDown
                } else {
                    Self::ToAlarm
                }
            }
        }
    }
}

#[cfg(test)]
impl Step {
    /// The same with smaller numbers, the smallest first.
    pub(super) fn simpler(self) -> Vec<Self> {
        let mut simpler = self.with_smaller_counts();
        for index in 0..16 {
            let mut step = self;
            let Some(place) = step.index() else { break };
            if index < *place {
                *place = index;
                simpler.push(step);
            }
        }
        simpler
    }

    /// Which console or client it is about.
    fn index(&mut self) -> Option<&mut u8> {
        match self {
            Self::Handle(_)
            | Self::HandleAll(_)
            | Self::Pass(_)
            | Self::Slow(_)
            | Self::ToAlarm
            | Self::Spare(_)
            | Self::FailWatches(_)
            | Self::ShutDown => None,
            Self::Spurious(index, ..)
            | Self::Connect { console: index, .. }
            | Self::Attach { console: index, .. }
            | Self::Type { client: index, .. }
            | Self::Ask { client: index, .. }
            | Self::Dribble { client: index, .. }
            | Self::Receive { client: index, .. }
            | Self::Hinder(index, _)
            | Self::HalfClose(index)
            | Self::Close(index)
            | Self::Print { console: index, .. }
            | Self::TakeInput { console: index, .. }
            | Self::Reset(index)
            | Self::Power(index, _)
            | Self::Disconnect(index)
            | Self::BootLog(index, _)
            | Self::Status(index)
            | Self::Remove(index)
            | Self::Add(index) => Some(index),
        }
    }

    pub(super) fn brings_client(self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Attach { .. })
    }

    /// Client `gone` is not there any more.
    pub(super) fn renumber(&mut self, gone: u8) {
        let is_client = matches!(
            self,
            Self::Type { .. }
                | Self::Ask { .. }
                | Self::Dribble { .. }
                | Self::Receive { .. }
                | Self::Hinder(..)
                | Self::HalfClose(_)
                | Self::Close(_)
        );
        if let Some(index) = self.index()
            && is_client
            && *index > gone
        {
            *index -= 1;
        }
    }

    fn with_smaller_counts(self) -> Vec<Self> {
        let smaller = |count: u16| {
            [1, 16, count / 2]
                .into_iter()
                .filter(move |less| *less < count)
        };
        match self {
            Self::Handle(pick) if pick > 0 => vec![Self::Handle(0), Self::HandleAll(255)],
            Self::Handle(_) => vec![Self::HandleAll(255)],
            Self::HandleAll(most) if most < 255 => vec![Self::HandleAll(255)],
            Self::Type { client, count } => smaller(count)
                .map(|count| Self::Type { client, count })
                .collect(),
            Self::Print { console, count } => smaller(count)
                .map(|count| Self::Print { console, count })
                .collect(),
            Self::Ask { client, ask, times } => smaller(times.into())
                .map(|times| Self::Ask {
                    client,
                    ask,
                    times: times as u8,
                })
                .collect(),
            Self::Connect {
                console,
                way,
                uid,
                room,
            } => [0, uid]
                .into_iter()
                .flat_map(|uid| {
                    [3, room].map(|room| Self::Connect {
                        console,
                        way,
                        uid,
                        room,
                    })
                })
                .filter(|step| *step != self && room != 3)
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl Ask {
    fn choose(from: &mut Choices<'_>) -> Self {
        match from.byte() % 32 {
            0..=8 => Self::Attach {
                force: from.flag(),
                read_only: from.rarely(3),
                start: from.start(),
            },
            9 => Self::AttachDescriptor,
            10..=13 => Self::Data(from.count()),
            14 => Self::choose_question(from),
            15..=16 => Self::Break,
            17 => Self::Resize,
            18..=19 => Self::Status,
            20..=21 => Self::choose_wait(from),
            22..=24 => Self::LogRead(from.start(), from.count().into()),
            25..=26 => Self::Detach,
            27 => Self::SysRq {
                force: from.flag(),
                keys: from.byte() % 9,
            },
            28 => Self::Power(1 + from.byte() % 4),
            29 => from.of(&[Self::Unknown, Self::HelloTwo, Self::HelloThree]),
            30 => from.of(&[
                Self::Hello,
                Self::HelloTwo,
                Self::HelloThree,
                Self::HelloThree,
            ]),
            _ => from.of(&[Self::Malformed, Self::TooLong]),
        }
    }

    fn choose_question(from: &mut Choices<'_>) -> Self {
        match from.byte() % 4 {
            0 => Self::Boots,
            1 => Self::LineTimes(from.count()),
            2 => Self::Observers,
            _ => Self::Admission {
                force: from.flag(),
                read_only: from.rarely(3),
                start: from.start(),
            },
        }
    }

    fn choose_wait(from: &mut Choices<'_>) -> Self {
        let start = if from.flag() {
            Start::Now
        } else {
            from.start()
        };
        let patience = from.of(&[0, 10, 500, 20_000, u32::MAX]);
        Self::LogWait(start, from.count().into(), patience)
    }

    /// The first version of the protocol that has it.
    pub(super) fn since(self) -> u16 {
        match self {
            Self::Boots
            | Self::LineTimes(_)
            | Self::LogWait(..)
            | Self::Observers
            | Self::SysRq { .. }
            | Self::Admission { .. } => 3,
            _ => 1,
        }
    }
}
