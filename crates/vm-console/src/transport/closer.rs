//! Closing descriptors from outside, on threads that do nothing else.
//!
//! `close` can wait: for a TCP socket with `SO_LINGER` until its peer has read, for a file on a
//! FUSE mount until its server answers. So the service's thread never closes a descriptor that a
//! client has passed.
//!
//! Some never close. So what waits is counted for each user, and whoever reads from a user's
//! connections asks first [what may be read](super::quota). One user's descriptors take no thread
//! from another's. [Threads that receive](super::receiving_thread) close their sockets
//! themselves, and are counted here once their sessions are over.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most descriptors of one user that are open only because they were not closed yet. If there are
/// more, nothing that could bring further ones is read from that user. Twice as many as one message
/// may bring, so that one alone ends nobody's session.
pub(crate) const LIMIT: usize = 512;

/// Most of them in all. If there are more, nothing is read that brings further ones, whoever sends
/// it, so that many users together cannot use up the process's descriptors.
const LIMIT_IN_ALL: usize = 4 * LIMIT;

/// Most threads that close for one user at one time. One would not do: a close that does not return
/// holds up its thread.
const THREADS: usize = 4;

/// The user that a descriptor comes from; `None` if that is the owner, or nobody knows.
pub(crate) type Sender = Option<u32>;

/// A descriptor to be closed.
#[derive(Debug)]
pub(super) enum Unwanted {
    Owned(OwnedFd),
    /// One that the kernel has made, and that nothing owns.
    Number(RawFd),
}

#[derive(Default)]
struct Account {
    waiting: VecDeque<Unwanted>,
    /// Each is closing one.
    threads: usize,
    /// Threads that receive from a socket whose session is over, and close it when they come back.
    left_behind: usize,
}

static ACCOUNTS: Mutex<BTreeMap<Sender, Account>> = Mutex::new(BTreeMap::new());

/// Closes a descriptor on another thread, and returns at once.
pub(super) fn close_elsewhere(descriptor: impl Into<Unwanted>, sender: Sender) {
    let mut accounts = accounts();
    let account = accounts.entry(sender).or_default();
    account.waiting.push_back(descriptor.into());
    account.start_thread(sender);
}

/// Whether more than [`LIMIT`] descriptors of this user are not closed yet.
pub(crate) fn has_too_many(sender: Sender) -> bool {
    let mut accounts = accounts();
    accounts.get_mut(&sender).is_some_and(|account| {
        // None could be started before, perhaps.
        account.start_thread(sender);
        account.unclosed() > LIMIT
    })
}

/// Whether there are more than [`LIMIT_IN_ALL`].
pub(super) fn are_too_many() -> bool {
    unclosed_in_all(&accounts()) > LIMIT_IN_ALL
}

/// Whether not even connections of this user should be accepted faster than need be, each of which
/// may be one more that does not close: there are twice as many as the limits say.
pub(crate) fn costs_too_much(sender: Sender) -> bool {
    let accounts = accounts();
    let own = accounts.get(&sender).map_or(0, Account::unclosed);
    own > 2 * LIMIT || unclosed_in_all(&accounts) > 2 * LIMIT_IN_ALL
}

/// The session of a thread that receives from this user's socket is over.
pub(crate) fn is_left_behind(sender: Sender) {
    accounts().entry(sender).or_default().left_behind += 1;
}

/// A thread that was left behind has closed its socket.
pub(crate) fn has_ended(sender: Sender) {
    let mut accounts = accounts();
    if let Some(account) = accounts.get_mut(&sender) {
        account.left_behind -= 1;
        if account.unclosed() == 0 {
            accounts.remove(&sender);
        }
    }
}

fn unclosed_in_all(accounts: &BTreeMap<Sender, Account>) -> usize {
    accounts.values().map(Account::unclosed).sum()
}

fn accounts() -> MutexGuard<'static, BTreeMap<Sender, Account>> {
    ACCOUNTS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Account {
    fn unclosed(&self) -> usize {
        self.waiting.len() + self.threads + self.left_behind
    }

    /// Starts another thread if there is work for one. If that fails, one that runs closes what
    /// waits, or the next call tries again.
    fn start_thread(&mut self, sender: Sender) {
        if self.threads >= THREADS || self.waiting.is_empty() {
            return;
        }
        let thread = std::thread::Builder::new().name("vm-console-close".into());
        if thread.spawn(move || close_all(sender)).is_ok() {
            self.threads += 1;
        }
    }
}

fn close_all(sender: Sender) {
    while let Some(descriptor) = next(sender) {
        descriptor.close();
    }
}

/// The next one of `sender`. If there is none, the thread that asked ends.
fn next(sender: Sender) -> Option<Unwanted> {
    let mut accounts = accounts();
    let account = accounts.get_mut(&sender)?;
    let next = account.waiting.pop_front();
    if next.is_none() {
        account.threads -= 1;
        if account.unclosed() == 0 {
            accounts.remove(&sender);
        }
    }
    next
}

impl Unwanted {
    fn close(self) {
        match self {
            Self::Owned(descriptor) => {
                // A socket without linger time closes at once. This only makes the usual case cheap,
                // since another owner of the socket can set a time again. It may wait, too, for the
                // socket's lock.
                let _ = rustix::net::sockopt::set_socket_linger(&descriptor, None);
            }
            Self::Number(number) => {
                // Whatever it answers, the number is free.
                let _ = nix::unistd::close(number);
            }
        }
    }
}

impl From<OwnedFd> for Unwanted {
    fn from(descriptor: OwnedFd) -> Self {
        Self::Owned(descriptor)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::IntoRawFd;
    use std::time::Duration;

    use super::*;

    /// A socket whose close waits as long as the peer does not read.
    fn clinging() -> (OwnedFd, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (peer, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        while ours.write(&[0; 4096]).is_ok() {}
        let minute = Some(Duration::from_secs(60));
        rustix::net::sockopt::set_socket_linger(&ours, minute).unwrap();
        (ours.into(), peer)
    }

    /// Lets go of a pipe's end, and checks that it is closed.
    fn closes(sender: Sender) {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        close_elsewhere(writer, sender);
        // The reader sees the end of the file once the other end is closed.
        let mut ready = [rustix::event::PollFd::new(
            &reader,
            rustix::event::PollFlags::IN,
        )];
        let patience = rustix::time::Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        };
        assert_eq!(rustix::event::poll(&mut ready, Some(&patience)), Ok(1));
    }

    #[test]
    fn threads_that_do_not_come_back_count_against_their_user() {
        let hostile = Some(4_000_000_003);
        for count in 0..=LIMIT {
            assert!(!has_too_many(hostile), "{count}");
            is_left_behind(hostile);
        }
        assert!(has_too_many(hostile));
        has_ended(hostile);
        assert!(!has_too_many(hostile));
        // Those that run to their end do not settle the account of the others.
        closes(hostile);
        is_left_behind(hostile);
        assert!(has_too_many(hostile));
        (0..=LIMIT).for_each(|_| has_ended(hostile));
        // Its closing thread may not have ended yet.
        let settles = std::iter::repeat_with(|| accounts().contains_key(&hostile));
        let mut settles = settles.inspect(|_| std::thread::sleep(Duration::from_millis(1)));
        assert!(settles.by_ref().take(20_000).any(|is_open| !is_open));
    }

    #[test]
    fn descriptors_that_do_not_close_count_against_their_user_only() {
        let hostile = Some(4_000_000_001);
        let honest = Some(4_000_000_002);
        let mut peers = Vec::new();
        for _ in 0..THREADS - 1 {
            // Its linger time is not taken back, since a hostile client would set it again.
            let (socket, peer) = clinging();
            close_elsewhere(Unwanted::Number(socket.into_raw_fd()), hostile);
            peers.push(peer);
        }
        // A thread is left for those that close.
        closes(hostile);
        let (socket, peer) = clinging();
        close_elsewhere(Unwanted::Number(socket.into_raw_fd()), hostile);
        peers.push(peer);
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        for count in THREADS..=LIMIT {
            assert!(!has_too_many(hostile), "{count}");
            close_elsewhere(null(), hostile);
        }
        assert!(has_too_many(hostile));
        assert!(!has_too_many(honest));
        closes(honest);
        // The account is settled once its descriptors close.
        drop(peers);
        closes(hostile);
        assert!(!has_too_many(hostile));
    }
}
