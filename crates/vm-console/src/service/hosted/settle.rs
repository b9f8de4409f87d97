//! What follows from each event: time, who is gone, what is watched, the next alarm.

use std::time::Duration;

use event_manager::{EventOps, EventSet};

use crate::audit::Audited;
use crate::console::ConsoleConfig;
use crate::protocol::{ServerFrame, Warning};
use crate::service::client::{Client, Part};
use crate::service::core::{Core, Role};
use crate::session::{EndReason, Limit, Tick};
use crate::when::Span;

use super::{Hold, Hosted, unwatch};

/// How often it is looked how far a client is behind that takes nothing, where there is a bound.
const LAG_INTERVAL: Duration = Duration::from_millis(500);

impl Hosted {
    /// Draws all consequences: time, output, farewells, what is watched, the next alarm.
    pub(in crate::service) fn settle(&mut self, core: &mut Core, ops: &mut EventOps<'_>) {
        self.time_passes(core, ops);
        self.send(core);
        self.reap(core, ops);
        self.watch(core, ops);
        // Those that could not be watched.
        self.reap(core, ops);
        let at = self.next_deadline(core.now());
        core.wake_at(self.id, &mut self.alarm, at);
    }

    pub(super) fn time_passes(&mut self, core: &mut Core, ops: &mut EventOps<'_>) {
        let now = core.now();
        self.look_again.take_if(|at| *at <= now);
        while let Some(tick) = self.session.tick(now) {
            match tick {
                Tick::End(ended) => self.session_over(Some(ended), None, core),
                Tick::Warn {
                    lease,
                    limit,
                    remaining,
                } => {
                    self.console.counters.warnings.add(1);
                    self.audit(core, Audited::Warned { limit });
                    let config = self.config();
                    if let Some(client) = self
                        .clients
                        .values_mut()
                        .find(|client| client.lease() == Some(lease))
                    {
                        warn(client, &config, limit, remaining);
                    }
                }
            }
        }
        if let Hold::Holding(until) = self.hold {
            if !self.line(|line| line.output_is_held()) {
                self.hold = Hold::Ready;
            } else if until <= now {
                self.console.counters.output_holds_expired.add(1);
                self.hold = Hold::GivenUp;
                self.line(|line| line.hold_output_at(None));
            }
        }
        if self.carrier_low_until.is_some_and(|until| until <= now) {
            self.carrier_low_until = None;
            if self.session.holder().is_some() {
                self.port.set_carrier(true);
            }
            self.each_client(core, |hosted, client, core| {
                hosted.pass_on_input(client);
                hosted.frames(client, core);
            });
        }
        for hosted in self.listeners.iter_mut().flatten() {
            if hosted.paused_until.take_if(|until| *until <= now).is_some() {
                core.rewatch(ops, hosted.listener.fd(), EventSet::IN);
            }
        }
        self.each_client(core, |hosted, client, core| {
            hosted.client_time(client, now, core);
        });
    }

    pub(super) fn client_time(&mut self, client: &mut Client, now: Duration, core: &mut Core) {
        client.quiet_until.take_if(|until| *until <= now);
        match &client.part {
            Part::Leaving(leaving) if leaving.until <= now => client.gone = true,
            Part::Closing { until } if *until <= now => client.gone = true,
            _ => {}
        }
        if client.hung_up.is_some_and(|until| until <= now) {
            self.finish(client, EndReason::ClientClosed, core);
        }
        let most = self.console.config.max_behind;
        if most.is_some_and(|most| client.has_session() && client.bytes_behind() > most) {
            self.finish(client, EndReason::TooSlow, core);
        }
    }

    pub(super) fn reap(&mut self, core: &mut Core, ops: &mut EventOps<'_>) {
        let gone: Vec<u32> = self
            .clients
            .iter()
            .filter(|(_, client)| client.gone)
            .map(|(id, _)| *id)
            .collect();
        if gone.is_empty() {
            return;
        }
        for id in gone {
            let Some(mut client) = self.clients.remove(&id) else {
                continue;
            };
            if client.has_session() {
                let why = EndReason::Error("its descriptor cannot be watched".into());
                self.end_part(&mut client, why, core);
            }
            client.stop_showing(&self.console.counters);
            unwatch(&mut client, core, ops);
            if let Some(index) = client.listener {
                self.pty_is_free(index, client.hung_up.is_some(), core, ops);
            }
        }
        // A descriptor is free now: whoever waited for one may try again.
        for hosted in self.listeners.iter_mut().flatten() {
            if hosted.paused_until.take().is_some() {
                core.rewatch(ops, hosted.listener.fd(), EventSet::IN);
            }
        }
    }

    pub(super) fn watch(&mut self, core: &mut Core, ops: &mut EventOps<'_>) {
        let console = self.id;
        let mut again = false;
        for (id, client) in &mut self.clients {
            if client.hung_up.is_some() {
                continue;
            }
            let role = Role::Client(console, *id);
            let (input, output) = client.interest();
            let (input_fd, output_fd) = client.stream.descriptors();
            let mut fit = |watched: &mut Option<EventSet>, fd, wanted: EventSet| match *watched {
                Some(set) if set == wanted => {}
                Some(_) => {
                    core.rewatch(ops, fd, wanted);
                    *watched = Some(wanted);
                }
                None => match core.watch(ops, fd, role, wanted) {
                    Ok(true) => *watched = Some(wanted),
                    // It is always ready: it gets a turn whenever it wants one.
                    Ok(false) => again |= !wanted.is_empty(),
                    Err(error) => {
                        core.warn(|| format!("cannot watch a client: {error}"));
                        client.gone = true;
                    }
                },
            };
            fit(&mut client.watched, input_fd, input);
            if let Some(fd) = output_fd {
                fit(&mut client.watched_output, fd, output);
            }
            client.always_ready =
                client.watched.is_none() || output_fd.is_some() && client.watched_output.is_none();
        }
        if again && !core.again.contains(&console) {
            core.again.push(console);
        }
    }

    pub(super) fn next_deadline(&self, now: Duration) -> Option<Duration> {
        // Nothing tells that a client who takes nothing has fallen further behind.
        let watches = self.console.config.max_behind.is_some();
        let lags = watches
            && self
                .clients
                .values()
                .any(|client| client.has_session() && client.behind);
        let lag = lags.then(|| now + LAG_INTERVAL);
        let clients = self.clients.values().flat_map(|client| {
            let part = match &client.part {
                Part::Leaving(leaving) => Some(leaving.until),
                Part::Closing { until } => Some(*until),
                Part::Guest | Part::Holder(_) | Part::Observer => None,
            };
            [part, client.quiet_until, client.hung_up]
        });
        let listeners = self
            .listeners
            .iter()
            .flatten()
            .map(|hosted| hosted.paused_until);
        let hold = match self.hold {
            Hold::Holding(until) => Some(until),
            Hold::Ready | Hold::GivenUp => None,
        };
        let own = [
            self.session.next_deadline(),
            self.carrier_low_until,
            hold,
            self.look_again,
            lag,
        ];
        clients.chain(listeners).chain(own).flatten().min()
    }
}

fn warn(client: &mut Client, config: &ConsoleConfig, limit: Limit, remaining: Duration) {
    if client.is_control() {
        client.answer(&ServerFrame::Warning(Warning { limit, remaining }));
    } else if config.notices {
        let why = match limit {
            Limit::Idle => "without input the session ends",
            Limit::Absolute => "the session ends",
        };
        client.say(&format!(
            "\r\n[console {}: {why} in {}]\r\n",
            config.name,
            Span(remaining)
        ));
    }
}
