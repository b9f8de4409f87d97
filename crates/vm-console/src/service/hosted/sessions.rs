//! Who is let in, who is refused, and what follows when a session ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::audit::Audited;
use crate::console::ConsoleConfig;
use crate::log::{MarkKind, Start, UnixTime};
use crate::protocol::{AttachRequest, Held, Refusal, ServerFrame};
use crate::service::client::{Client, Farewell, Leaving, Part};
use crate::service::core::Core;
use crate::service::handle::Outcome;
use crate::session::{EndReason, Ended, Identity, Refused, Right};
use crate::when::Span;

use super::{Hold, Hosted};

impl Hosted {
    pub(super) fn permits(&self, who: &Identity, right: Right) -> bool {
        self.config().authorizer.permits(&self.name, who, right)
    }

    /// Lets a client in as it asks, or tells it why not; gives back why not.
    pub(super) fn attach(
        &mut self,
        client: &mut Client,
        request: &AttachRequest,
        core: &mut Core,
    ) -> Option<Refused> {
        let may_read =
            self.session.boot_log_is_on() && self.permits(&client.identity, Right::ReadLog);
        let granted = if request.read_only {
            self.admit_observer(client, core)
        } else {
            self.admit_holder(client, request.force, core)
        };
        if let Err(why) = granted {
            self.refuse(client, &why, core);
            return Some(why);
        }
        let replay = if may_read { request.replay } else { Start::Now };
        let guarded = self.config().guard_replay && !request.unguarded;
        let start = client.show(
            &self.console.log,
            replay,
            self.config().gaps,
            guarded,
            request.read_only,
        );
        if client.is_control() {
            client.answer(&ServerFrame::Attached {
                read_only: request.read_only,
                start,
                head: client.live_from(),
                epoch: self.console.log.epoch(),
            });
        }
        None
    }

    pub(super) fn admit_observer(
        &mut self,
        client: &mut Client,
        core: &mut Core,
    ) -> Result<(), Refused> {
        let observers = self
            .clients
            .values()
            .filter(|client| client.part == Part::Observer)
            .count();
        if self.shutting_down {
            Err(Refused::ShuttingDown)
        } else if !self.session.boot_log_is_on() {
            Err(Refused::BootLogOff)
        } else if !self.permits(&client.identity, Right::ReadLog) {
            Err(Refused::NotPermitted)
        } else if observers >= self.config().max_observers {
            Err(Refused::TooManyObservers)
        } else {
            client.part = Part::Observer;
            self.console.counters.observers.add(1);
            self.audit(
                core,
                Audited::Observing {
                    who: client.identity.clone(),
                },
            );
            Ok(())
        }
    }

    pub(super) fn admit_holder(
        &mut self,
        client: &mut Client,
        force: bool,
        core: &mut Core,
    ) -> Result<(), Refused> {
        if !self.permits(&client.identity, Right::Attach) {
            return Err(Refused::NotPermitted);
        }
        let attach = self
            .session
            .attach(core.now(), client.identity.clone(), force);
        let took_over = matches!(
            &attach.ended,
            Some(Ended {
                reason: EndReason::TakenOver { .. },
                ..
            })
        );
        self.session_over(attach.ended, None, core);
        let lease = attach.lease?;
        client.part = Part::Holder(lease);
        let counters = Arc::clone(&self.console.counters);
        counters.attaches.add(1);
        if took_over {
            counters.takeovers.add(1);
        }
        // Whatever a former holder typed and the guest has not taken is not this one's.
        let left = self.line(|line| {
            let left = line.input_waiting();
            line.discard_input();
            line.mark(MarkKind::Attach);
            left
        });
        if left > 0 {
            self.audit(
                core,
                Audited::InputDiscarded {
                    characters: left as u64,
                },
            );
        }
        // What is replayed first is not waited for.
        self.hold = Hold::GivenUp;
        if self.config().carrier && self.carrier_low_until.is_none() {
            self.port.set_carrier(true);
        }
        self.audit(
            core,
            Audited::Attached {
                who: client.identity.clone(),
                forced: force,
            },
        );
        Ok(())
    }

    pub(super) fn refuse(&mut self, client: &mut Client, why: &Refused, core: &mut Core) {
        self.console.counters.refused[why.index()].add(1);
        self.audit(
            core,
            Audited::Refused {
                who: client.identity.clone(),
                why: why.clone(),
            },
        );
        let refusal = refusal(why);
        if client.is_control() {
            client.answer(&ServerFrame::Refused(refusal));
        } else {
            let line = self.line_of(&refusal.text);
            client.part = Part::Leaving(Leaving {
                drain_to: 0,
                until: core.now() + self.config().linger,
                farewell: Farewell::Line(line),
            });
        }
        if let Some(outcome) = client.outcome.take() {
            // Who asked may not care any more.
            let _ = outcome.send(Outcome::Refused(why.clone()));
        }
    }

    pub(super) fn line_of(&self, text: &str) -> String {
        format!("console {}: {text}\r\n", self.name)
    }

    /// Draws the consequences of a session's end. Its client is `current`, if it is being handled right now.
    pub(super) fn session_over(
        &mut self,
        ended: Option<Ended>,
        current: Option<&mut Client>,
        core: &mut Core,
    ) {
        let Some(ended) = ended else { return };
        let counters = Arc::clone(&self.console.counters);
        counters.ended[ended.reason.index()].add(1);
        let keeps_input = ended.reason.keeps_input();
        self.line(|line| {
            line.mark(MarkKind::Detach);
            line.hold_output_at(None);
            if !keeps_input {
                line.discard_input();
            }
        });
        self.hold = Hold::Ready;
        if self.config().carrier {
            self.port.set_carrier(false);
            self.carrier_low_until = Some(core.now() + ConsoleConfig::CARRIER_PAUSE);
        }
        self.audit(
            core,
            Audited::Ended {
                who: ended.identity,
                why: ended.reason.clone(),
                held_for: ended.held_for,
            },
        );
        let until = core.now() + self.config().linger;
        let head = self.console.log.head();
        let client = match current {
            Some(client) => Some(client),
            None => self
                .clients
                .values_mut()
                .find(|client| client.lease() == Some(ended.lease)),
        };
        if let Some(client) = client {
            counters.input_discarded.add(client.typed.len() as u64);
            client.typed = VecDeque::new();
            if client.hung_up.is_some() {
                client.gone = true;
            }
            leave(client, ended.reason, head, until);
        }
    }

    /// A client's session, if it has one, ends for `reason`; a client that closed is gone.
    pub(super) fn finish(&mut self, client: &mut Client, reason: EndReason, core: &mut Core) {
        client.gone |= reason == EndReason::ClientClosed;
        self.end_part(client, reason, core);
    }

    pub(super) fn end_part(&mut self, client: &mut Client, reason: EndReason, core: &mut Core) {
        match client.part.clone() {
            Part::Holder(lease) => {
                let ended = self.session.detach(core.now(), lease, reason);
                self.session_over(ended, Some(client), core);
            }
            Part::Observer => {
                self.audit(
                    core,
                    Audited::ObserverLeft {
                        who: client.identity.clone(),
                        why: reason.clone(),
                    },
                );
                leave(
                    client,
                    reason,
                    self.console.log.head(),
                    core.now() + self.config().linger,
                );
            }
            Part::Guest | Part::Leaving(_) | Part::Closing { .. } => client.gone = true,
        }
    }
}

/// What a refused client is told.
pub(super) fn refusal(why: &Refused) -> Refusal {
    let (holder, text) = match why {
        Refused::Busy {
            holder,
            held_for,
            idle_for,
        } => {
            let since = SystemTime::now()
                .checked_sub(*held_for)
                .unwrap_or(SystemTime::UNIX_EPOCH);
            let text = format!(
                "in use by {holder} since {} ({}), last input {} ago",
                UnixTime::from(since),
                Span(*held_for),
                Span(*idle_for)
            );
            let holder = Held {
                by: holder.to_string(),
                held_for: *held_for,
                idle_for: *idle_for,
            };
            (Some(holder), text)
        }
        _ => (None, why.to_string()),
    };
    Refusal {
        reason: why.index() as u8,
        holder,
        text,
    }
}

/// Its session is over; what is left of the output is still its, unless the reason says otherwise.
pub(super) fn leave(client: &mut Client, reason: EndReason, head: u64, until: Duration) {
    if let Some(outcome) = client.outcome.take() {
        // Who asked may not care any more.
        let _ = outcome.send(Outcome::Ended(reason.clone()));
    }
    let drain_to = if reason.lets_output_drain() { head } else { 0 };
    client.part = Part::Leaving(Leaving {
        drain_to,
        until,
        farewell: Farewell::Ended(reason),
    });
}
