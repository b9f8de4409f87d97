//! One console as it is served: its session, its listeners, its clients.

mod entrance;
mod frames;
mod input;
mod output;
mod sessions;
mod settle;

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use event_manager::{EventOps, EventSet};

use crate::audit::Audited;
use crate::console::{Console, ConsoleConfig};
use crate::line::{ConsoleLine, Power};
use crate::port::GuestPort;
use crate::service::client::{Client, Part};
use crate::service::core::{ConsoleId, Core, Role};
use crate::session::{EndReason, Session};
use crate::transport::{Listener, Source};

use sessions::leave;

pub(super) struct Hosted {
    id: ConsoleId,
    name: Arc<str>,
    console: Console,
    port: Arc<dyn GuestPort>,
    session: Session,
    listeners: Vec<Option<HostedListener>>,
    clients: BTreeMap<u32, Client>,
    next_client: u32,
    power: Power,
    epoch: u64,
    /// The doorbell will ring for the next output.
    bell_armed: bool,
    /// Output has been sent since the last look at the log.
    output_flows: bool,
    /// The next look at the log, in place of the doorbell.
    look_again: Option<Duration>,
    alarm: Option<Duration>,
    hold: Hold,
    carrier_low_until: Option<Duration>,
    shutting_down: bool,
}

struct HostedListener {
    listener: Listener,
    paused_until: Option<Duration>,
}

/// Lossless mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Output may be held when the holder falls behind.
    Ready,
    /// Output is being held, until then at most.
    Holding(Duration),
    /// The holder did not read in time; it has to catch up first.
    GivenUp,
}

impl Hosted {
    pub(super) fn new(id: ConsoleId, console: Console, port: Arc<dyn GuestPort>) -> Self {
        Self {
            id,
            name: console.config.name.as_str().into(),
            session: Session::new(console.config.session.clone()),
            epoch: console.log.epoch(),
            console,
            port,
            listeners: Vec::new(),
            clients: BTreeMap::new(),
            next_client: 0,
            power: Power::default(),
            bell_armed: false,
            output_flows: false,
            look_again: None,
            alarm: None,
            hold: Hold::Ready,
            carrier_low_until: None,
            shutting_down: false,
        }
    }

    fn config(&self) -> Arc<ConsoleConfig> {
        Arc::clone(&self.console.config)
    }

    pub(super) fn start(
        &mut self,
        listeners: Vec<Listener>,
        core: &mut Core,
        ops: &mut EventOps<'_>,
    ) {
        let bell = self.console.bell.as_raw_fd();
        if let Err(error) = core.watch(ops, bell, Role::Bell(self.id), EventSet::IN) {
            core.warn(|| format!("console {}: cannot watch its doorbell: {error}", self.name));
        }
        self.power = self.line(|line| line.power());
        if !self.power.on {
            self.session.power_off(core.now());
        }
        if self.config().carrier {
            self.port.set_carrier(false);
        }
        for listener in listeners {
            self.listen(listener, core, ops);
        }
    }

    pub(super) fn listen(&mut self, listener: Listener, core: &mut Core, ops: &mut EventOps<'_>) {
        if self.shutting_down {
            return;
        }
        let index = self.listeners.len();
        let fd = listener.fd();
        match core.watch(ops, fd, Role::Listener(self.id, index), EventSet::IN) {
            Ok(_) => self.listeners.push(Some(HostedListener {
                listener,
                paused_until: None,
            })),
            Err(error) => {
                core.warn(|| format!("console {}: cannot watch a listener: {error}", self.name));
            }
        }
    }

    pub(super) fn shut_down(&mut self, core: &mut Core, ops: &mut EventOps<'_>) {
        self.shutting_down = true;
        for slot in &mut self.listeners {
            // A pty stays until its client was told.
            if let Some(hosted) =
                slot.take_if(|hosted| matches!(hosted.listener.source, Source::Socket(_)))
            {
                core.unwatch(ops, hosted.listener.fd());
            }
        }
        let ended = self.session.shut_down(core.now());
        self.session_over(ended, None, core);
        let until = core.now() + self.config().linger;
        for client in self.clients.values_mut() {
            client.closes_after = true;
            match client.part {
                Part::Guest => client.part = Part::Closing { until },
                Part::Observer => leave(
                    client,
                    EndReason::ShuttingDown,
                    self.console.log.head(),
                    until,
                ),
                Part::Holder(_) | Part::Leaving(_) | Part::Closing { .. } => {}
            }
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.shutting_down && self.clients.is_empty()
    }

    /// Takes everything that is left out of the event loop.
    pub(super) fn stop(&mut self, core: &mut Core, ops: &mut EventOps<'_>) {
        for hosted in self.listeners.drain(..).flatten() {
            core.unwatch(ops, hosted.listener.fd());
        }
        core.unwatch(ops, self.console.bell.as_raw_fd());
        core.wake_at(self.id, &mut self.alarm, None);
    }

    /// The guest (or its owner) rang: output while all clients had seen everything, room for input, power, a new boot.
    pub(super) fn on_bell(&mut self, core: &mut Core) {
        // Nothing to read is fine: what it rang for was seen already.
        let _ = self.console.bell.read();
        self.bell_armed = false;
        self.console.counters.wakeups.add(1);
        let (power, held) = self.line(|line| (line.power(), line.output_is_held()));
        self.on_power(power, core);
        self.on_epoch(core);
        if let (true, Hold::Ready, Some(patience)) = (held, self.hold, self.console.config.lossless)
        {
            self.hold = Hold::Holding(core.now() + patience);
        }
        self.each_client(core, |hosted, client, core| {
            if !client.typed.is_empty() {
                hosted.pass_on_input(client);
                hosted.frames(client, core);
                if client.hung_up.is_some() {
                    hosted.read_rest(client, core);
                }
            }
        });
    }

    fn on_power(&mut self, power: Power, core: &mut Core) {
        if power.times_off != self.power.times_off {
            let ended = self.session.power_off(core.now());
            self.audit(core, Audited::PoweredOff);
            self.session_over(ended, None, core);
        }
        if power.on && !self.session.is_powered() {
            self.session.power_on();
            self.audit(core, Audited::PoweredOn);
        }
        self.power = power;
    }

    fn on_epoch(&mut self, core: &mut Core) {
        let epoch = self.console.log.epoch();
        if epoch == self.epoch {
            return;
        }
        self.epoch = epoch;
        self.audit(core, Audited::Boot { epoch });
        let begins = self.console.log.boots().last().map_or(0, |boot| boot.start);
        for client in self
            .clients
            .values_mut()
            .filter(|client| client.is_control() && client.has_session())
        {
            client.boot = Some((epoch, begins));
        }
    }

    pub(super) fn on_client(
        &mut self,
        id: u32,
        events: EventSet,
        core: &mut Core,
        ops: &mut EventOps<'_>,
    ) {
        let Some(mut client) = self.clients.remove(&id) else {
            return;
        };
        if events.intersects(EventSet::HANG_UP | EventSet::ERROR) {
            // Reported again and again as long as the descriptor is watched.
            unwatch(&mut client, core, ops);
            self.hung_up(&mut client, core);
        } else {
            if events.contains(EventSet::OUT) {
                client.behind = false;
            }
            if events.contains(EventSet::IN) {
                self.read(&mut client, core);
            }
        }
        self.clients.insert(id, client);
    }

    pub(super) fn disconnect(&mut self, reason: EndReason, core: &mut Core) {
        let ended = self.session.end(core.now(), reason);
        self.session_over(ended, None, core);
    }

    pub(super) fn set_boot_log(&mut self, on: bool, core: &mut Core) {
        let ended = self.session.set_boot_log(core.now(), on);
        self.session_over(ended, None, core);
    }

    pub(super) fn alarm_rang(&mut self) {
        self.alarm = None;
    }

    /// Descriptors that cannot be watched get their turn.
    pub(super) fn serve_always_ready(&mut self, core: &mut Core) {
        self.each_client(core, |hosted, client, core| {
            if client.always_ready {
                client.behind = false;
                hosted.read(client, core);
            }
        });
    }

    fn line<T>(&self, visit: impl FnOnce(&mut ConsoleLine) -> T) -> T
    where
        T: Default,
    {
        let mut visit = Some(visit);
        let mut answer = T::default();
        self.port.with_line(&mut |line| {
            if let Some(visit) = visit.take() {
                answer = visit(line);
            }
        });
        answer
    }

    fn audit(&self, core: &Core, what: Audited) {
        core.audit(&self.name, &self.console.counters, what);
    }

    /// Lets `act` at each client with the console at hand; at one that is added meanwhile, too.
    fn each_client(
        &mut self,
        core: &mut Core,
        mut act: impl FnMut(&mut Self, &mut Client, &mut Core),
    ) {
        let mut at = 0;
        while let Some(id) = self.clients.range(at..).next().map(|(id, _)| *id) {
            if let Some(mut client) = self.clients.remove(&id) {
                act(self, &mut client, core);
                self.clients.insert(id, client);
            }
            match id.checked_add(1) {
                Some(next) => at = next,
                None => return,
            }
        }
    }
}

impl Listener {
    fn fd(&self) -> std::os::fd::RawFd {
        match &self.source {
            Source::Socket(socket) => socket.socket.as_raw_fd(),
            Source::Pty(pty) => pty.watch().as_raw_fd(),
        }
    }
}

fn unwatch(client: &mut Client, core: &mut Core, ops: &mut EventOps<'_>) {
    let (input, output) = client.stream.descriptors();
    if client.watched.take().is_some() {
        core.unwatch(ops, input);
    }
    if let (Some(_), Some(output)) = (client.watched_output.take(), output) {
        core.unwatch(ops, output);
    }
}
