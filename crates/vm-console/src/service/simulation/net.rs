//! The simulated kernel's objects: connections, ways in, and the descriptors that lead to them.
//!
//! Readiness is derived from the state of an object, as epoll derives it; nothing of it is stored.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;

use super::script::{Files, Hindrance};
use crate::service::kernel::{Interest, Readiness, Watched};

/// Simulated descriptors begin here, well above any real one.
const FIRST: RawFd = 1 << 20;

/// What the service and its surroundings share.
pub(super) type Shared = Arc<Mutex<Net>>;

pub(super) fn lock(net: &Shared) -> MutexGuard<'_, Net> {
    net.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default)]
pub(super) struct Net {
    pub(super) now: Duration,
    pub(super) alarm: Option<Duration>,
    nodes: BTreeMap<RawFd, Node>,
    /// In the order in which they were watched: the numbers of real descriptors are not the same
    /// each time.
    pub(super) watched: Vec<(RawFd, Watched, Interest)>,
    /// Reported by the event loop, and not handed over yet.
    pub(super) batch: Vec<(RawFd, Watched, Readiness)>,
    /// How many batches there were.
    pub(super) batches: u64,
    pub(super) ducts: Vec<Duct>,
    pub(super) doors: Vec<Door>,
    /// Descriptors that can still be had.
    pub(super) spare: Option<usize>,
    pub(super) failing_watches: u8,
    pub(super) work: Work,
    /// What each call takes.
    pub(super) cost: Duration,
    /// The first promise that was broken in here.
    pub(super) broken: Option<String>,
}

/// What one event has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// Calls into the kernel.
    pub(super) calls: u64,
    /// Bytes read from and written to clients.
    pub(super) bytes: u64,
    /// Calls, and looks at the clock.
    asked: u64,
}

/// Far more than one event asks for. The event of a service that asks for more does not end.
const ENDLESS: u64 = 100_000;

/// What a descriptor leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Timer,
    /// Both ways of a connection.
    Both(usize),
    In(usize),
    Out(usize),
    /// What another thread has received.
    Mailbox(usize),
    Door(usize),
}

/// How the two ends of a connection behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nature {
    Socket,
    /// A socket that another thread receives from.
    Shared,
    Tcp,
    Pty,
    Pipes,
    Regular,
}

impl From<Files> for Nature {
    fn from(files: Files) -> Self {
        match files {
            Files::Socket => Self::Socket,
            Files::Shared => Self::Shared,
            Files::Pipes => Self::Pipes,
            Files::Regular => Self::Regular,
        }
    }
}

/// A connection: what is under way in each direction, and who is still there.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent conditions")]
pub(super) struct Duct {
    nature: Nature,
    /// From the client to the service.
    typed: VecDeque<u8>,
    /// From the service to the client.
    shown: VecDeque<u8>,
    room: usize,
    /// The client may still write.
    pub(super) client_writes: bool,
    /// The client is there.
    pub(super) client_open: bool,
    /// The service, or a backlog, has the other end.
    pub(super) served: bool,
    /// The service has said that it writes no more.
    finished: bool,
    /// The client closed with something unread, and the service was not told yet.
    reset: bool,
    hindrance: Option<Hindrance>,
    mailbox: Mailbox,
}

/// What the thread that receives was asked for, and what it has answered.
#[derive(Debug)]
enum Mailbox {
    Idle,
    Asked(usize),
    /// No bytes are the end.
    Answered(Result<VecDeque<u8>, Errno>),
}

/// A way in.
#[derive(Debug, Default)]
pub(super) struct Door {
    pub(super) open: bool,
    /// Those that have connected: connection and user.
    pub(super) backlog: VecDeque<(usize, u8)>,
    /// A pty's present pair.
    pub(super) pair: Option<usize>,
    /// The pty's client is there.
    pub(super) present: bool,
    /// It came or left, and nobody has looked since.
    pub(super) changed: bool,
}

impl Duct {
    pub(super) fn new(nature: Nature, room: usize) -> Self {
        Self {
            nature,
            typed: VecDeque::new(),
            shown: VecDeque::new(),
            room,
            client_writes: true,
            client_open: true,
            served: true,
            finished: false,
            reset: false,
            hindrance: None,
            mailbox: Mailbox::Idle,
        }
    }

    /// A stream socket of any kind.
    fn is_socket(&self) -> bool {
        matches!(self.nature, Nature::Socket | Nature::Shared | Nature::Tcp)
    }

    pub(super) fn hinder(&mut self, how: Hindrance) {
        self.hindrance = Some(how);
    }

    /// Nothing is in the way any more.
    pub(super) fn lift(&mut self) {
        self.hindrance = None;
        self.room = self.room.max(64 << 10);
    }

    /// The client sends, and learns how much was taken.
    pub(super) fn send(&mut self, bytes: &[u8]) -> usize {
        if !self.served || !self.client_writes {
            return 0;
        }
        let room = self.room.saturating_sub(self.typed.len()).min(bytes.len());
        self.typed.extend(&bytes[..room]);
        room
    }

    /// The client receives; `None` at the end.
    pub(super) fn receive(&mut self, most: usize) -> Option<Vec<u8>> {
        if self.shown.is_empty() && (self.finished || !self.served) {
            return None;
        }
        let most = most.min(self.shown.len());
        Some(self.shown.drain(..most).collect())
    }

    pub(super) fn half_close(&mut self) {
        if self.nature != Nature::Pty {
            self.client_writes = false;
        }
    }

    pub(super) fn close(&mut self) {
        if self.client_open && self.nature != Nature::Pty {
            self.reset = self.is_socket() && !self.shown.is_empty();
            self.client_writes = false;
            self.client_open = false;
            self.shown.clear();
        }
    }

    /// Whether everything that was sent has been read.
    pub(super) fn is_read(&self) -> bool {
        let is_taken = match &self.mailbox {
            Mailbox::Answered(Ok(bytes)) => bytes.is_empty(),
            _ => true,
        };
        self.typed.is_empty() && is_taken
    }

    pub(super) fn is_receiving(&self) -> bool {
        matches!(self.mailbox, Mailbox::Asked(_))
    }

    /// The thread receives, if it was asked to and there is something. Whether it did.
    pub(super) fn deliver(&mut self) -> bool {
        let Mailbox::Asked(most) = self.mailbox else {
            return false;
        };
        let mut buffer = vec![0; most];
        let answer = match self.read(&mut buffer) {
            Err(Errno::AGAIN | Errno::INTR) => return false,
            Ok(count) => Ok(buffer[..count].iter().copied().collect()),
            Err(error) => Err(error),
        };
        self.mailbox = Mailbox::Answered(answer);
        true
    }

    /// Takes what was delivered, or asks for something. `None`: nothing yet.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> Option<Result<usize, Errno>> {
        match &mut self.mailbox {
            Mailbox::Idle => {
                self.mailbox = Mailbox::Asked(buffer.len());
                None
            }
            Mailbox::Asked(_) => None,
            Mailbox::Answered(Err(error)) => Some(Err(*error)),
            Mailbox::Answered(Ok(bytes)) if bytes.is_empty() => Some(Ok(0)),
            Mailbox::Answered(Ok(bytes)) => {
                let count = bytes.len().min(buffer.len());
                for (to, byte) in buffer.iter_mut().zip(bytes.drain(..count)) {
                    *to = byte;
                }
                if bytes.is_empty() {
                    self.mailbox = Mailbox::Idle;
                }
                Some(Ok(count))
            }
        }
    }

    /// A new client of a pty inherits nothing that the last one left unread.
    pub(super) fn flush(&mut self) {
        self.shown.clear();
    }

    fn input(&self) -> Readiness {
        let end = !self.client_writes;
        Readiness {
            readable: !self.typed.is_empty() || end && self.nature != Nature::Pipes,
            writable: false,
            hung_up: end && self.nature == Nature::Pipes,
        }
    }

    fn output(&self) -> Readiness {
        Readiness {
            readable: false,
            writable: self.has_room(),
            hung_up: match self.nature {
                Nature::Pipes => !self.client_open,
                Nature::Shared => self.both().hung_up,
                _ => false,
            },
        }
    }

    /// A stream socket is writable again when it is much less than full.
    fn has_room(&self) -> bool {
        self.shown.len() <= self.room / 4
    }

    fn both(&self) -> Readiness {
        // A TCP peer that has closed everything looks like one that has closed its sending side.
        let is_gone = !self.client_open && self.nature != Nature::Tcp;
        let shut = !self.client_writes && (self.finished || is_gone);
        Readiness {
            readable: self.input().readable || self.reset,
            writable: self.has_room(),
            hung_up: self.is_socket() && (shut || self.reset),
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let limit = match self.hindrance {
            Some(Hindrance::ReadInterrupted) => {
                self.hindrance = None;
                return Err(Errno::INTR);
            }
            Some(Hindrance::ShortRead(most)) => {
                self.hindrance = None;
                usize::from(most).max(1)
            }
            _ => usize::MAX,
        };
        if !self.typed.is_empty() {
            let count = self.typed.len().min(buffer.len()).min(limit);
            for (to, byte) in buffer.iter_mut().zip(self.typed.drain(..count)) {
                *to = byte;
            }
            Ok(count)
        } else if std::mem::take(&mut self.reset) {
            Err(Errno::CONNRESET)
        } else if self.client_writes && self.nature != Nature::Regular {
            Err(Errno::AGAIN)
        } else {
            Ok(0)
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let limit = match self.hindrance {
            Some(Hindrance::WriteInterrupted) => {
                self.hindrance = None;
                return Err(Errno::INTR);
            }
            Some(Hindrance::ShortWrite(most)) => {
                self.hindrance = None;
                usize::from(most).max(1)
            }
            _ => usize::MAX,
        };
        if self.finished || !self.client_open {
            let reset = std::mem::take(&mut self.reset);
            return Err(if reset { Errno::CONNRESET } else { Errno::PIPE });
        }
        let room = if self.nature == Nature::Regular {
            usize::MAX
        } else {
            self.room.saturating_sub(self.shown.len())
        };
        let count = bytes.len().min(room).min(limit);
        if count == 0 && !bytes.is_empty() {
            return Err(Errno::AGAIN);
        }
        self.shown.extend(&bytes[..count]);
        Ok(count)
    }

    pub(super) fn make_room(&mut self) {
        if self.is_socket() {
            self.room *= 2;
        }
    }

    /// Whether the client can answer by closing.
    pub(super) fn finish(&mut self) -> bool {
        self.finished |= self.is_socket();
        self.is_socket()
    }

    pub(super) fn nature(&self) -> Nature {
        self.nature
    }
}

impl Net {
    /// A descriptor for `node`, the lowest that is free.
    pub(super) fn open(&mut self, node: Node) -> io::Result<RawFd> {
        if let Some(spare) = &mut self.spare {
            *spare = spare.checked_sub(1).ok_or(io::Error::from(Errno::MFILE))?;
        }
        let mut fd = FIRST;
        for used in self.nodes.keys() {
            if *used != fd {
                break;
            }
            fd += 1;
        }
        self.nodes.insert(fd, node);
        Ok(fd)
    }

    /// Lets the threads receive that were asked to. Whether something has come.
    pub(super) fn deliver(&mut self) -> bool {
        let Self {
            watched,
            nodes,
            ducts,
            ..
        } = self;
        let mut has_come = false;
        for (fd, ..) in watched {
            if let Some(Node::Mailbox(duct)) = nodes.get(fd) {
                has_come |= ducts[*duct].deliver();
            }
        }
        has_come
    }

    /// Closes a descriptor of the service's.
    pub(super) fn close(&mut self, fd: RawFd) {
        if self.nodes.remove(&fd).is_none() {
            self.breaks(format!("descriptor {fd} is closed twice"));
        }
        if self.is_watched(fd) {
            self.breaks(format!("descriptor {fd} is closed while it is watched"));
        }
        if let Some(spare) = &mut self.spare {
            *spare += 1;
        }
    }

    /// The service calls the kernel.
    pub(super) fn called(&mut self) {
        self.work.calls += 1;
        self.now += self.cost;
        self.asked();
    }

    /// The service asks for the time.
    ///
    /// # Panics
    /// It has asked for so much in one event that the event does not end.
    pub(super) fn asked(&mut self) {
        self.work.asked += 1;
        // Once: what is dropped while it unwinds calls the kernel too.
        assert_ne!(self.work.asked, ENDLESS, "an event does not end");
    }

    pub(super) fn breaks(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    pub(super) fn is_watched(&self, fd: RawFd) -> bool {
        self.watched.iter().any(|(watched, ..)| *watched == fd)
    }

    pub(super) fn node(&self, fd: RawFd) -> Option<Node> {
        self.nodes.get(&fd).copied()
    }

    /// Descriptors of connections and ways in that the service has open.
    pub(super) fn open_count(&self) -> usize {
        self.nodes
            .values()
            .filter(|node| **node != Node::Timer)
            .count()
    }

    /// Whether epoll would refuse to watch it.
    pub(super) fn is_always_ready(&self, fd: RawFd) -> bool {
        let duct = match self.node(fd) {
            Some(Node::Both(duct) | Node::In(duct) | Node::Out(duct) | Node::Mailbox(duct)) => duct,
            Some(Node::Timer | Node::Door(_)) | None => return false,
        };
        self.ducts[duct].nature == Nature::Regular
    }

    /// What epoll would report of a simulated descriptor that is watched for this.
    pub(super) fn readiness(&self, fd: RawFd, interest: Interest) -> Readiness {
        let level = match self.node(fd) {
            Some(Node::Timer) => Readiness {
                readable: self.alarm.is_some_and(|at| at <= self.now),
                ..Readiness::default()
            },
            Some(Node::Both(duct)) => self.ducts[duct].both(),
            Some(Node::In(duct)) => self.ducts[duct].input(),
            Some(Node::Out(duct)) => self.ducts[duct].output(),
            Some(Node::Mailbox(duct)) => Readiness {
                readable: !self.ducts[duct].is_receiving(),
                ..Readiness::default()
            },
            Some(Node::Door(door)) => Readiness {
                readable: self.doors[door].changed || !self.doors[door].backlog.is_empty(),
                ..Readiness::default()
            },
            None => Readiness::default(),
        };
        Readiness {
            readable: level.readable && interest.readable,
            writable: level.writable && interest.writable,
            hung_up: level.hung_up,
        }
    }
}
