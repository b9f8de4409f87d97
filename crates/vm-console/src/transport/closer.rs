//! Closing descriptors from outside, on threads that do nothing else.
//!
//! `close` can wait: for a TCP socket with `SO_LINGER` until its peer has read, for a file on a
//! FUSE mount until its server answers. So the service's thread never closes a descriptor that a
//! client has passed.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Most threads at one time. One would not do: a descriptor whose close does not return holds up
/// its thread.
const THREADS: usize = 16;
/// Most descriptors that wait to be closed. If there are as many, all threads are stuck in calls
/// that do not return. A further descriptor then stays open for good, since the service must not
/// stop.
const WAITING: usize = 1024;
/// How long a thread without work waits before it ends.
const IDLE: Duration = Duration::from_secs(1);

struct Closers {
    waiting: VecDeque<OwnedFd>,
    threads: usize,
    idle: usize,
}

static CLOSERS: Mutex<Closers> = Mutex::new(Closers {
    waiting: VecDeque::new(),
    threads: 0,
    idle: 0,
});
static MORE: Condvar = Condvar::new();

/// Closes `descriptor` on another thread, and returns at once.
pub(crate) fn close_elsewhere(descriptor: OwnedFd) {
    // A socket without linger time closes at once. This only makes the usual case cheap, since
    // another owner of the socket can set a time again.
    let _ = rustix::net::sockopt::set_socket_linger(&descriptor, None);
    let mut closers = CLOSERS.lock().unwrap_or_else(PoisonError::into_inner);
    if closers.waiting.len() >= WAITING {
        std::mem::forget(descriptor);
        return;
    }
    closers.waiting.push_back(descriptor);
    if closers.idle >= closers.waiting.len() {
        MORE.notify_one();
    } else if closers.threads < THREADS {
        let thread = std::thread::Builder::new().name("vm-console-close".into());
        // If no thread can be started, one that runs closes the descriptor, or the next call tries
        // again.
        if thread.spawn(close_all).is_ok() {
            closers.threads += 1;
        }
    }
}

fn close_all() {
    let mut closers = CLOSERS.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if let Some(descriptor) = closers.waiting.pop_front() {
            drop(closers);
            drop(descriptor);
            closers = CLOSERS.lock().unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        closers.idle += 1;
        let (woken, wait) = MORE
            .wait_timeout_while(closers, IDLE, |closers| closers.waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        closers = woken;
        closers.idle -= 1;
        if wait.timed_out() && closers.waiting.is_empty() {
            closers.threads -= 1;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn descriptors_that_do_not_close_hold_up_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut peers = Vec::new();
        for _ in 0..4 {
            // Its close waits, since its peer does not read the rest.
            let mut ours = TcpStream::connect(address).unwrap();
            peers.push(listener.accept().unwrap());
            ours.set_nonblocking(true).unwrap();
            while ours.write(&[0; 4096]).is_ok() {}
            let shared = ours.try_clone().unwrap();
            close_elsewhere(OwnedFd::from(ours));
            // A hostile client would set the linger time again after it was taken back.
            let minute = Some(Duration::from_secs(60));
            rustix::net::sockopt::set_socket_linger(&shared, minute).unwrap();
            CLOSERS.lock().unwrap().waiting.push_back(shared.into());
        }
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        close_elsewhere(writer);
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
}
