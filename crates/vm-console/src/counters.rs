//! Counters of a console: one for every transition, and one for every cause of loss.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::session::{EndReason, Refused};

/// One counter. Any thread may read it at any time, and no lock is taken.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }
}

/// What the names of counters by reason begin with in images. [`EndReason::NAMES`] and
/// [`Refused::NAMES`] follow, so those must not change.
const ENDED: &str = "ended.";
const REFUSED: &str = "refused.";

macro_rules! counters {
    ($($(#[$doc:meta])+ $field:ident: $label:literal,)+) => {
        /// A console's live counters.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $field: Counter,)+
            /// Ended sessions, by reason.
            pub(crate) ended: [Counter; EndReason::KINDS],
            /// Refused attaches, by reason.
            pub(crate) refused: [Counter; Refused::KINDS],
        }

        /// The values of a console's counters. [`Display`](fmt::Display) prints one line for each
        /// that is not zero. There will be more of them: make one from
        /// [`default`](Default::default).
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct CounterValues {
            $($(#[$doc])+ pub $field: u64,)+
            /// Ended sessions, by [`EndReason::index`].
            pub ended: [u64; EndReason::KINDS],
            /// Refused attaches, by [`Refused::index`].
            pub refused: [u64; Refused::KINDS],
        }

        impl Counters {
            pub(crate) fn values(&self) -> CounterValues {
                CounterValues {
                    $($field: self.$field.get(),)+
                    ended: self.ended.each_ref().map(Counter::get),
                    refused: self.refused.each_ref().map(Counter::get),
                }
            }

            /// Sets all counters, to go on from where another host stopped counting.
            pub(crate) fn restore(&self, values: &CounterValues) {
                let CounterValues { $($field,)+ ended, refused } = values;
                $(self.$field.set(*$field);)+
                self.ended.iter().zip(ended).for_each(|(counter, value)| counter.set(*value));
                self.refused.iter().zip(refused).for_each(|(counter, value)| counter.set(*value));
            }
        }

        impl CounterValues {
            /// Every counter, with the name that it keeps in images.
            pub(crate) fn by_name(&self) -> Vec<(String, u64)> {
                let fields = [$((stringify!($field), self.$field)),+].map(|(name, value)| (name.to_owned(), value));
                let ended = EndReason::NAMES.iter().zip(self.ended).map(|(why, n)| (format!("{ENDED}{why}"), n));
                let refused = Refused::NAMES.iter().zip(self.refused).map(|(why, n)| (format!("{REFUSED}{why}"), n));
                fields.into_iter().chain(ended).chain(refused).collect()
            }

            /// Sets the counter that [`by_name`](Self::by_name) gives this name, if there is one.
            pub(crate) fn set_by_name(&mut self, name: &str, value: u64) {
                let counter = match name {
                    $(stringify!($field) => Some(&mut self.$field),)+
                    name => if let Some(why) = name.strip_prefix(ENDED) {
                        EndReason::NAMES.iter().position(|known| *known == why).map(|index| &mut self.ended[index])
                    } else if let Some(why) = name.strip_prefix(REFUSED) {
                        Refused::NAMES.iter().position(|known| *known == why).map(|index| &mut self.refused[index])
                    } else {
                        None
                    },
                };
                if let Some(counter) = counter {
                    *counter = value;
                }
            }

            /// Every counter, zero or not, with its name for operators.
            pub fn iter(&self) -> impl Iterator<Item = (String, u64)> + '_ {
                let fields = [$(($label, self.$field)),+].into_iter().map(|(name, value)| (name.to_owned(), value));
                let ended = EndReason::NAMES.iter().zip(self.ended).map(|(why, n)| (format!("sessions ended: {why}"), n));
                let refused = Refused::NAMES.iter().zip(self.refused).map(|(why, n)| (format!("attaches refused: {why}"), n));
                fields.chain(ended).chain(refused)
            }
        }
    };
}

counters! {
    /// Connections accepted on any listener.
    connections: "connections accepted",
    /// Connections closed because there were too many (the new one, or an older one without a
    /// session to make room for it), or because their user may not connect.
    connections_turned_away: "connections turned away",
    /// Times a listener was paused because descriptors or memory had run out.
    listener_pauses: "listener pauses",
    /// Times a peer that the console connects to could not be reached.
    unreachable_peers: "peers not reached",
    /// Sessions granted to holders, with and without force.
    attaches: "sessions granted",
    /// Sessions granted by force that ended another one.
    takeovers: "sessions granted by force",
    /// Read-only clients let in.
    observers: "observers let in",
    /// Warnings before a limit of a session. Raw clients without notices are not shown them.
    warnings: "warnings before a limit",
    /// Output bytes handed to holders, including those that the replay guard took out.
    output_delivered: "output bytes delivered to holders",
    /// Output bytes that holders missed, because they were overwritten first. Each holder was told
    /// as [`gaps`](crate::ConsoleConfig::gaps) says.
    output_lost: "output bytes lost to holders",
    /// Output bytes that a limit dropped, for holders and observers. They are among those that these
    /// missed.
    output_dropped: "output bytes dropped by a limit",
    /// Output bytes handed to observers, including those that the replay guard took out.
    observed: "output bytes delivered to observers",
    /// Output bytes that observers missed.
    observed_lost: "output bytes lost to observers",
    /// Bytes that the replay guard took out of replays.
    guarded: "replayed query bytes taken out",
    /// Times a client had to wait for its rate limit.
    throttled: "waits for the rate limit",
    /// Input bytes accepted: from holders, for SysRq, or [typed](crate::ConsoleLine::type_bytes) by
    /// the owner. BREAKs are not among them.
    input: "input bytes accepted",
    /// Input characters that the guest's port has taken, BREAKs included.
    input_taken: "input characters taken by the port",
    /// Input characters dropped because their session ended before the guest took them, because
    /// they arrived after a limit of the session, or because they did not move with the guest.
    input_discarded: "input characters discarded",
    /// BREAKs accepted: from holders, for SysRq, or [typed](crate::ConsoleLine::type_break) by the
    /// owner.
    breaks: "BREAKs sent",
    /// Times lossless mode held the guest's output.
    output_holds: "times output was held",
    /// Times lossless mode let the guest go on, because the holder did not read before the
    /// deadline.
    output_holds_expired: "times holding output was given up",
    /// Output bytes that text logs miss, because they were overwritten first, or because writing
    /// failed at the end.
    text_lost: "output bytes lost to text logs",
    /// Failed writes of text logs.
    text_failures: "failed writes of text logs",
    /// Reads of the log over a control socket.
    log_reads: "log reads",
    /// Answered waits for the log over a control socket.
    log_waits: "log waits",
    /// Frames that were malformed or of an unknown type.
    bad_frames: "frames not understood",
    /// SysRq sequences typed, with or without a session.
    sysrqs: "SysRq sequences",
    /// Requests to stop, start, restart or interrupt the machine that were passed on.
    power_requests: "power requests",
    /// Audit events lost, because the channel was full or the console had used up its share of it.
    audit_lost: "audit events lost",
    /// Times this console's doorbell woke the service.
    wakeups: "wakeups by the guest",
}

impl CounterValues {
    /// Every counter, zero or not, with the key that it keeps for ever. The keys are those of the
    /// [control socket](crate::protocol): lower-case words with underscores, such as `output_lost`
    /// and `ended_taken_over`.
    pub fn by_key(&self) -> impl Iterator<Item = (String, u64)> {
        let by_name = self.by_name().into_iter();
        by_name.map(|(name, value)| (name.replace(['.', ' '], "_"), value))
    }

    /// Input characters, BREAKs included, that were accepted and wait for the guest's port: in the
    /// line, or in the service. Exactly `input + breaks - input_taken - input_discarded`.
    #[must_use]
    pub fn input_waiting(&self) -> u64 {
        self.accepted()
            .saturating_sub(self.input_taken)
            .saturating_sub(self.input_discarded)
    }

    /// The same, with all input counted as discarded that was not taken and is not among those
    /// `waiting` characters.
    pub(crate) fn with_input_waiting(self, waiting: u64) -> Self {
        Self {
            input_discarded: self
                .accepted()
                .saturating_sub(self.input_taken)
                .saturating_sub(waiting),
            ..self
        }
    }

    fn accepted(&self) -> u64 {
        self.input.saturating_add(self.breaks)
    }
}

impl fmt::Display for CounterValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter().filter(|(_, value)| *value != 0) {
            writeln!(f, "{value:>14}  {name}")?;
        }
        Ok(())
    }
}
