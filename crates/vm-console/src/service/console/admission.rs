//! Who is let in: rights and limits. Nothing else is touched here.

use std::time::Duration;

use super::ServedConsole;
use crate::console::ConsoleConfig;
use crate::session::{EndReason, Ended, Holder, Identity, Lease, Refused, Right, Session};

/// What a client is let in as.
#[derive(Debug)]
pub(super) enum Grant {
    Observe,
    Hold {
        lease: Lease,
        /// The console was taken from somebody.
        by_force: bool,
    },
}

/// Asks for one client.
pub(super) struct Admission<'a> {
    pub(super) console: &'a str,
    pub(super) config: &'a ConsoleConfig,
    pub(super) who: &'a Identity,
}

impl ServedConsole {
    pub(super) fn admission<'a>(&'a self, who: &'a Identity) -> Admission<'a> {
        Admission {
            console: &self.console.name,
            config: &self.console.config,
            who,
        }
    }

    /// Whether `who` may see what was printed before it came.
    pub(super) fn may_read(&self, who: &Identity) -> bool {
        self.session.boot_log_is_on() && self.admission(who).permits(Right::ReadLog)
    }
}

impl Admission<'_> {
    pub(super) fn permits(&self, right: Right) -> bool {
        let authorizer = &self.config.authorizer;
        authorizer.permits(self.console, self.who, right)
    }

    /// The holder whose session [`hold`](Self::hold) would end, or why it would be refused.
    pub(super) fn would_hold<'a>(
        &self,
        session: &'a Session,
        force: bool,
        now: Duration,
    ) -> Result<Option<&'a Holder>, Refused> {
        if !self.permits(Right::Attach) {
            return Err(Refused::NotPermitted);
        }
        session.would_attach(now, force)
    }

    pub(super) fn observe(
        &self,
        session: &Session,
        may_read: bool,
        observers: usize,
    ) -> Result<Grant, Refused> {
        if !session.is_open() {
            Err(Refused::ShuttingDown)
        } else if !session.boot_log_is_on() {
            Err(Refused::BootLogOff)
        } else if !may_read {
            Err(Refused::NotPermitted)
        } else if observers >= self.config.max_observers {
            Err(Refused::TooManyObservers)
        } else {
            Ok(Grant::Observe)
        }
    }

    /// The session that ends on the way comes back too, whether or not this one begins.
    pub(super) fn hold(
        &self,
        session: &mut Session,
        force: bool,
        now: Duration,
    ) -> (Option<Ended>, Result<Grant, Refused>) {
        if !self.permits(Right::Attach) {
            return (None, Err(Refused::NotPermitted));
        }
        let attach = session.attach(now, self.who.clone(), force);
        let by_force = attach
            .ended
            .as_ref()
            .is_some_and(|ended| matches!(ended.reason, EndReason::TakenOver { .. }));
        let grant = attach.lease.map(|lease| Grant::Hold { lease, by_force });
        (attach.ended, grant)
    }
}
