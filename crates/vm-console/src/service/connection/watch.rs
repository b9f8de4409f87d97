//! What a connection's descriptors are watched for, against what they should be.

use std::os::fd::RawFd;

use crate::service::kernel::{Interest, Watched};
use crate::service::turn::Turn;

/// What is watched now.
#[derive(Debug, Default)]
pub(super) struct Watch {
    input: Option<Interest>,
    output: Option<Interest>,
    /// A descriptor is of a kind that is always ready and cannot be watched.
    always_ready: bool,
    /// The input's writer is gone, so it is always ready too: for the rest of it, or its end.
    input_is_over: bool,
}

/// What watching came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watching {
    /// The kernel tells when there is something to do.
    Told,
    /// There is something to do, and nothing will tell.
    Untold,
    /// A descriptor cannot be watched.
    Failed,
}

impl Watch {
    /// Watches for `wanted`, which is for the input side and the output side.
    pub(super) fn sync(
        &mut self,
        (input, output): (RawFd, Option<RawFd>),
        wanted: (Interest, Interest),
        what: Watched,
        turn: &mut Turn<'_>,
    ) -> Watching {
        self.always_ready = false;
        let sides = [
            (Some(input), &mut self.input, wanted.0),
            (output, &mut self.output, wanted.1),
        ];
        let mut result = Watching::Told;
        for (fd, watched, wanted) in sides {
            let Some(fd) = fd else { continue };
            match *watched {
                None if fd == input && self.input_is_over => {
                    self.always_ready = true;
                    if !wanted.is_empty() {
                        result = Watching::Untold;
                    }
                }
                Some(set) if set == wanted => {}
                Some(_) => {
                    turn.rewatch(fd, wanted);
                    *watched = Some(wanted);
                }
                None => match turn.watch(fd, what, wanted) {
                    Some(true) => *watched = Some(wanted),
                    Some(false) => {
                        self.always_ready = true;
                        if !wanted.is_empty() {
                            result = Watching::Untold;
                        }
                    }
                    None => return Watching::Failed,
                },
            }
        }
        result
    }

    pub(super) fn is_always_ready(&self) -> bool {
        self.always_ready
    }

    /// Stops to watch the input, and takes it for always ready.
    pub(super) fn stop_input(&mut self, input: RawFd, turn: &mut Turn<'_>) {
        self.input_is_over = true;
        if self.input.take().is_some() {
            turn.unwatch(input);
        }
    }

    pub(super) fn stop(&mut self, (input, output): (RawFd, Option<RawFd>), turn: &mut Turn<'_>) {
        if self.input.take().is_some() {
            turn.unwatch(input);
        }
        if let (Some(_), Some(output)) = (self.output.take(), output) {
            turn.unwatch(output);
        }
    }
}
