//! The thread of a text log: woken by the service, and never waited for by it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::copier::Copier;
use super::file::Append;
use crate::console::Console;

/// How long it waits before it tries again to write.
const RETRY: Duration = Duration::from_secs(1);

/// What the thread tells.
#[derive(Debug, Default)]
struct Progress {
    written_until: AtomicU64,
    lost: AtomicU64,
    failures: AtomicU64,
}

/// The owner's view of a text log. Dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct TextLogHandle {
    progress: Arc<Progress>,
    /// Closed when the thread is gone.
    thread: Receiver<()>,
}

impl TextLogHandle {
    /// The offset of the boot log up to which all output is in the file, or told there as lost.
    #[must_use]
    pub fn written_until(&self) -> u64 {
        self.progress.written_until.load(Ordering::Relaxed)
    }

    /// Bytes that are not in the file, because the boot log overwrote them first, or because
    /// writing failed at the end.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.progress.lost.load(Ordering::Relaxed)
    }

    /// How often writing failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.progress.failures.load(Ordering::Relaxed)
    }

    /// Waits until the thread has ended, for at most `patience`, and returns whether it has. It
    /// ends once the service has let go of the console and what was left is written: after
    /// [`remove`](crate::service::ConsoleHandle::remove) or
    /// [`shut_down`](crate::service::ServiceHandle::shut_down).
    #[must_use]
    pub fn wait_finished(&self, patience: Duration) -> bool {
        self.thread.recv_timeout(patience) == Err(RecvTimeoutError::Disconnected)
    }
}

/// The service's end of a text log. Dropping it lets the thread write what is left, and end.
#[derive(Debug)]
pub(crate) struct Waker {
    thread: Thread,
    is_ending: Arc<AtomicBool>,
}

impl Waker {
    /// There is output that the thread may not have seen. Never waits.
    pub(crate) fn wake(&self) {
        self.thread.unpark();
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Release);
        self.wake();
    }
}

/// Starts the thread.
pub(super) fn start<F: Append + Send + 'static>(
    copier: Copier<F>,
    console: &Console,
) -> io::Result<(Waker, TextLogHandle)> {
    let progress = Arc::new(Progress::default());
    let is_ending = Arc::new(AtomicBool::new(false));
    let (alive, thread) = crossbeam_channel::bounded(0);
    let writer = Writer {
        copier,
        console: console.clone(),
        progress: Arc::clone(&progress),
        is_ending: Arc::clone(&is_ending),
        _alive: alive,
    };
    let handle = TextLogHandle { progress, thread };
    let name = "vm-console-text".to_owned();
    let spawned = std::thread::Builder::new()
        .name(name)
        .spawn(|| writer.run())?;
    let thread = spawned.thread().clone();
    Ok((Waker { thread, is_ending }, handle))
}

struct Writer<F> {
    copier: Copier<F>,
    console: Console,
    progress: Arc<Progress>,
    is_ending: Arc<AtomicBool>,
    _alive: Sender<()>,
}

impl<F: Append> Writer<F> {
    fn run(mut self) {
        let mut failed_in_a_row = 0;
        loop {
            // Before it writes, so that what was printed by then is written.
            let is_ending = self.is_ending.load(Ordering::Acquire);
            let result = self.copier.copy();
            self.note_progress();
            match result {
                Ok(()) => {
                    if failed_in_a_row > 0 {
                        self.warn(format_args!("goes on after {failed_in_a_row} failures"));
                    }
                    failed_in_a_row = 0;
                    if is_ending {
                        return;
                    }
                    // The service unparks it for output after this too.
                    std::thread::park();
                }
                Err(error) => {
                    self.progress.failures.fetch_add(1, Ordering::Relaxed);
                    self.console.counters.text_failures.add(1);
                    if failed_in_a_row == 0 {
                        self.warn(format_args!("{error}; tries again each second"));
                    }
                    failed_in_a_row += 1;
                    if is_ending {
                        return self.give_up();
                    }
                    self.wait_to_try_again();
                }
            }
        }
    }

    fn wait_to_try_again(&self) {
        let until = Instant::now() + RETRY;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_ending.load(Ordering::Acquire) {
                return;
            }
            std::thread::park_timeout(left);
        }
    }

    /// What is left is nobody's to write any more.
    fn give_up(&mut self) {
        let left = self.copier.unwritten();
        self.progress.lost.fetch_add(left, Ordering::Relaxed);
        self.console.counters.text_lost.add(left);
        self.warn(format_args!("ends with {left} bytes that are not written"));
    }

    fn note_progress(&self) {
        let Progress {
            written_until,
            lost,
            failures: _,
        } = &*self.progress;
        written_until.store(self.copier.written_until(), Ordering::Relaxed);
        let now = self.copier.lost();
        let before = lost.swap(now, Ordering::Relaxed);
        self.console.counters.text_lost.add(now - before);
    }

    fn warn(&self, what: std::fmt::Arguments<'_>) {
        ::log::warn!("console {}: text log: {what}", self.console.name);
    }
}
