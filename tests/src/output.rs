//! What a program writes, collected while it runs.

use std::io::{self, PipeReader, PipeWriter, Read};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};

use crate::patience::PATIENCE;

/// What a program writes, collected by a thread so that the program never waits for the test.
#[derive(Clone, Debug)]
pub struct Output(Arc<(Mutex<Collected>, Condvar)>);

#[derive(Debug, Default)]
struct Collected {
    bytes: Vec<u8>,
    ended: bool,
}

#[expect(clippy::must_use_candidate, reason = "most callers only want to wait")]
impl Output {
    /// Collects what `source` gives until its end.
    #[must_use]
    pub fn collect(mut source: impl Read + Send + 'static) -> Self {
        let output = Self(Arc::default());
        let to = output.clone();
        thread::spawn(move || {
            let mut chunk = vec![0; 65536];
            loop {
                let count = source.read(&mut chunk).unwrap_or(0); // a pty ends with an error
                to.update(|collected| {
                    collected.bytes.extend(&chunk[..count]);
                    collected.ended = count == 0;
                });
                if count == 0 {
                    return;
                }
            }
        });
        output
    }

    /// Collects likewise, but only until the [`Tap`] is dropped: then nobody reads `source` any
    /// more, and it is closed.
    ///
    /// # Panics
    /// If the process has no descriptors left.
    #[must_use]
    pub fn collect_until_closed(source: impl Read + AsFd + Send + 'static) -> (Self, Tap) {
        let (closed, open) = io::pipe().unwrap();
        (Self::collect(Tapped { source, closed }), Tap(open))
    }

    fn update(&self, change: impl FnOnce(&mut Collected)) {
        let (collected, changed) = &*self.0;
        change(&mut collected.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
    }

    /// All of it so far.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
            .clone()
    }

    /// All of it so far, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Waits until `text` has come, and gives all that came up to its end.
    ///
    /// # Panics
    /// If the source ends, or [`PATIENCE`] does, without it.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> Vec<u8> {
        self.wait_for_nth(text, 1)
    }

    /// Waits until `text` has come `count` times, and gives all that came up to the end of the
    /// last.
    ///
    /// # Panics
    /// If the source ends, or [`PATIENCE`] does, without that.
    #[track_caller]
    pub fn wait_for_nth(&self, text: &str, count: usize) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        let (collected, changed) = &*self.0;
        let mut collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut seen, mut found) = (0, 0);
        loop {
            while let Some(at) = find(&collected.bytes[seen..], text.as_bytes()) {
                seen += at + text.len();
                found += 1;
                if found == count {
                    return collected.bytes[..seen].to_vec();
                }
            }
            // What cannot be the beginning of a match any more is not looked at again.
            seen = seen.max(collected.bytes.len().saturating_sub(text.len() - 1));
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !collected.ended && !left.is_zero(),
                "no {text:?} ({count} times) in: …{}",
                String::from_utf8_lossy(
                    &collected.bytes[collected.bytes.len().saturating_sub(2000)..]
                )
            );
            collected = changed
                .wait_timeout(collected, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits for anything at all, and gives it; empty if the source ends before.
    #[must_use]
    pub fn first_bytes(&self) -> Vec<u8> {
        let (collected, changed) = &*self.0;
        let guard = collected.lock().unwrap_or_else(PoisonError::into_inner);
        let (collected, _) = changed
            .wait_timeout_while(guard, PATIENCE, |c| !c.ended && c.bytes.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        collected.bytes.clone()
    }

    /// Waits until the source has ended, and gives all of it.
    ///
    /// # Panics
    /// If it does not end within [`PATIENCE`].
    #[track_caller]
    pub fn wait_for_end(&self) -> Vec<u8> {
        let (collected, changed) = &*self.0;
        let guard = collected.lock().unwrap_or_else(PoisonError::into_inner);
        let (collected, waited) = changed
            .wait_timeout_while(guard, PATIENCE, |c| !c.ended)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "the output does not end");
        collected.bytes.clone()
    }
}

/// Keeps a source open; see [`Output::collect_until_closed`].
#[derive(Debug)]
pub struct Tap(#[expect(dead_code, reason = "it is held open")] PipeWriter);

/// A source that ends when its [`Tap`] is gone.
struct Tapped<R> {
    source: R,
    closed: PipeReader,
}

impl<R: Read + AsFd> Read for Tapped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut either = [
            PollFd::new(&self.source, PollFlags::IN),
            PollFd::new(&self.closed, PollFlags::IN),
        ];
        poll(&mut either, None)?;
        if either[1].revents().is_empty() {
            self.source.read(buffer)
        } else {
            Ok(0)
        }
    }
}

fn find(all: &[u8], part: &[u8]) -> Option<usize> {
    all.windows(part.len()).position(|window| window == part)
}
