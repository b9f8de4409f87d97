//! Which service serves a console: one at a time, and the next one waits.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use vmm_sys_util::eventfd::EventFd;

/// Held by the service that serves the console. Two would share one doorbell, and each would miss
/// what the other hears.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_claimed: bool,
    /// Services that were told to serve it and have not claimed it yet.
    promised: usize,
    waiting: Vec<Arc<EventFd>>,
}

impl State {
    fn is_wanted(&self) -> bool {
        self.is_claimed || self.promised > 0
    }
}

/// The right to serve the console, given back when it is dropped: also when the service panics before
/// it has begun.
#[derive(Debug)]
pub(crate) struct Claim(Arc<Serving>);

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// A service was told to serve the console. Dropped once it has claimed the console, or never will.
#[derive(Debug)]
pub(crate) struct Promise(Arc<Serving>);

impl Drop for Promise {
    fn drop(&mut self) {
        self.0.state().promised -= 1;
        self.0.released.notify_all();
    }
}

impl Serving {
    pub(crate) fn promise(self: &Arc<Self>) -> Promise {
        self.state().promised += 1;
        Promise(Arc::clone(self))
    }

    /// Claims the console, or has `kick` written when it is free.
    pub(crate) fn claim(self: &Arc<Self>, kick: &Arc<EventFd>) -> Option<Claim> {
        let mut state = self.state();
        if !state.is_claimed {
            state.is_claimed = true;
            return Some(Claim(Arc::clone(self)));
        }
        if !state.waiting.iter().any(|other| Arc::ptr_eq(other, kick)) {
            state.waiting.push(Arc::clone(kick));
        }
        None
    }

    fn release(&self) {
        let mut state = self.state();
        state.is_claimed = false;
        for kick in state.waiting.drain(..) {
            // The one error is a full counter, and that wakes the service just as well.
            let _ = kick.write(1);
        }
        drop(state);
        self.released.notify_all();
    }

    /// Waits until no service serves the console or is about to. False if one still does after
    /// `patience`.
    pub(crate) fn wait_released(&self, patience: Duration) -> bool {
        let state = self.state();
        let (state, _) = self
            .released
            .wait_timeout_while(state, patience, |state| state.is_wanted())
            .unwrap_or_else(PoisonError::into_inner);
        !state.is_wanted()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
