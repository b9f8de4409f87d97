//! One console as it is served: its session, its listeners, its clients.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam_channel::Sender;
use event_manager::{EventOps, EventSet};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::client::{Client, Farewell, Leaving, Part, Sent, Wire, start_of};
use super::core::{ConsoleId, Core, Role};
use super::handle::Outcome;
use crate::audit::Audited;
use crate::console::{Console, ConsoleConfig};
use crate::escape::Typed;
use crate::line::{ConsoleLine, Input, Power};
use crate::log::{MarkKind, Read, UnixTime};
use crate::port::GuestPort;
use crate::protocol::{
    AttachRequest, ClientFrame, Decoder, FrameError, Held, LogData, PowerAction, Refusal, Replay,
    ServerFrame, SessionEnd, Status, VERSION, Warning, error_code,
};
use crate::rate::TokenBucket;
use crate::session::{
    Credentials, EndReason, Ended, Identity, Limit, Refused, Right, Session, Tick, Transport,
};
use crate::transport::pty::SETTLE;
use crate::transport::stdio::FdClient;
use crate::transport::stream::{Arrived, Stream};
use crate::transport::{Kind, Listener, Source};
use crate::when::Span;

/// Connections accepted before others get their turn.
const ACCEPTS_A_TURN: usize = 16;
/// Reads from one client before others get their turn.
const READS_A_TURN: usize = 4;
/// Bytes read from a client at a time.
const READ: usize = 4096;
/// Rounds of sending and arming the doorbell before others get their turn.
const ROUNDS_A_TURN: usize = 4;
/// While output flows it is looked for at this interval, and the doorbell stays unarmed: a ring is a system call on the
/// vCPU's thread, and wakes this one for a byte or two. What follows a silence rings and is sent at once.
const OUTPUT_INTERVAL: Duration = Duration::from_millis(1);
/// How long a listener waits when descriptors have run out, unless one is freed here.
const LISTENER_PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked how far a client is behind that takes nothing, where there is a bound.
const LAG_INTERVAL: Duration = Duration::from_millis(500);
/// Most bytes in the answer to one log read.
const LOG_READ: usize = 64 << 10;

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

    // --- beginning and end ---

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

    // --- what happens ---

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
            client.answer(&ServerFrame::Boot {
                epoch,
                offset: begins,
            });
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

    /// The peer is gone. What it typed before is still passed on, in bounded time; what it was to read is void.
    fn hung_up(&mut self, client: &mut Client, core: &mut Core) {
        client.hung_up = Some(core.now() + self.config().linger);
        match client.lease() {
            Some(lease) => {
                self.session.hang_up(lease);
                self.read_rest(client, core);
            }
            None => self.finish(client, EndReason::ClientClosed, core),
        }
    }

    fn read_rest(&mut self, client: &mut Client, core: &mut Core) {
        while client.listens() {
            self.read(client, core);
        }
        if client.typed.is_empty() {
            self.finish(client, EndReason::ClientClosed, core);
        }
    }

    pub(super) fn on_listener(&mut self, index: usize, core: &mut Core, ops: &mut EventOps<'_>) {
        let Some(hosted) = self.listeners.get_mut(index).and_then(Option::as_mut) else {
            return;
        };
        match &mut hosted.listener.source {
            Source::Pty(pty) => {
                let present = pty.update_presence();
                self.on_pty(index, present, core);
            }
            Source::Socket(_) => {
                for _ in 0..ACCEPTS_A_TURN {
                    if !self.accept(index, core, ops) {
                        break;
                    }
                }
            }
        }
    }

    /// Whether there may be more to accept.
    fn accept(&mut self, index: usize, core: &mut Core, ops: &mut EventOps<'_>) -> bool {
        let Some(hosted) = self.listeners.get_mut(index).and_then(Option::as_mut) else {
            return false;
        };
        let Source::Socket(socket) = &hosted.listener.source else {
            return false;
        };
        let connection = match rustix::net::accept_with(
            &socket.socket,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        ) {
            Ok(connection) => connection,
            Err(Errno::AGAIN) => return false,
            Err(Errno::INTR | Errno::CONNABORTED) => return true,
            Err(error) => {
                // Out of descriptors or memory: the connection stays in the backlog, and asking at once again
                // would only burn time.
                hosted.paused_until = Some(core.now() + LISTENER_PAUSE);
                core.rewatch(ops, hosted.listener.fd(), EventSet::empty());
                self.console.counters.listener_pauses.add(1);
                core.warn(|| format!("console {}: cannot accept a client: {error}", self.name));
                self.audit(core, Audited::ListenerPaused);
                return false;
            }
        };
        let kind = hosted.listener.kind;
        let credentials = rustix::net::sockopt::socket_peercred(&connection)
            .ok()
            .map(|peer| Credentials {
                uid: peer.uid.as_raw(),
                gid: peer.gid.as_raw(),
                pid: rustix::process::Pid::as_raw(Some(peer.pid)).unsigned_abs(),
            });
        let admitted = socket.peers.admit(credentials.map(|c| c.uid));
        self.console.counters.connections.add(1);
        let transport = if kind == Kind::Control {
            Transport::Control
        } else {
            Transport::Unix
        };
        let mut identity = Identity::new(transport, "");
        if let Some(credentials) = credentials {
            identity = identity.with_credentials(credentials);
        }
        let wire = match kind {
            Kind::Raw { .. } => Wire::Raw { escape: None },
            Kind::Control => Wire::Control {
                decoder: Decoder::default(),
                passed: None,
            },
        };
        let mut client = self.client(identity, Stream::Socket(connection), wire, core);
        if !admitted || self.clients.len() >= self.config().max_connections {
            self.turn_away(client, admitted);
            return true;
        }
        match kind {
            Kind::Raw { force, read_only } => {
                let request = AttachRequest {
                    force,
                    read_only,
                    replay: self.config().replay,
                    ..Default::default()
                };
                self.attach(&mut client, &request, core);
            }
            Kind::Control => client.answer(&ServerFrame::Hello {
                version: VERSION,
                console: self.name.to_string(),
                head: self.console.log.head(),
                epoch: self.console.log.epoch(),
            }),
        }
        self.take_in(client);
        true
    }

    /// One line, at once, and no more: there is no state for it.
    fn turn_away(&self, mut client: Client, admitted: bool) {
        self.console.counters.connections_turned_away.add(1);
        let why = if admitted {
            "too many connections"
        } else {
            "not permitted"
        };
        let line = if client.is_control() {
            let mut frame = Vec::new();
            ServerFrame::Error {
                code: error_code::NOT_PERMITTED,
                text: why.into(),
            }
            .encode(&mut frame);
            frame
        } else {
            self.line_of(why).into_bytes()
        };
        // The first bytes on a new connection always find room.
        let _ = client.stream.write(&line);
        client.gone = true;
    }

    fn on_pty(&mut self, index: usize, present: bool, core: &mut Core) {
        let current = self
            .clients
            .values()
            .any(|client| client.listener == Some(index));
        if present && !current {
            let Some(Source::Pty(pty)) = self.listeners[index]
                .as_ref()
                .map(|hosted| &hosted.listener.source)
            else {
                return;
            };
            match pty.stream() {
                Ok(master) => {
                    let identity = Identity::new(Transport::Pty, "");
                    let mut client = self.client(
                        identity,
                        Stream::File(master),
                        Wire::Raw { escape: None },
                        core,
                    );
                    client.listener = Some(index);
                    client.quiet_until = Some(core.now() + SETTLE);
                    let request = AttachRequest {
                        replay: self.config().replay,
                        ..Default::default()
                    };
                    self.attach(&mut client, &request, core);
                    self.take_in(client);
                }
                Err(error) => {
                    core.warn(|| format!("console {}: cannot serve the pty: {error}", self.name));
                }
            }
        } else if !present {
            self.each_client(core, |hosted, client, core| {
                if client.listener == Some(index) && client.hung_up.is_none() {
                    hosted.hung_up(client, core);
                }
            });
        }
    }

    pub(super) fn attach_files(
        &mut self,
        files: FdClient,
        outcome: Sender<Outcome>,
        core: &mut Core,
    ) {
        let FdClient {
            stream,
            identity,
            escape,
            force,
            read_only,
            replay,
        } = files;
        let mut client = self.client(identity, stream, Wire::Raw { escape }, core);
        client.outcome = Some(outcome);
        let replay = replay.unwrap_or(self.config().replay);
        self.attach(
            &mut client,
            &AttachRequest {
                force,
                read_only,
                replay,
                ..Default::default()
            },
            core,
        );
        self.take_in(client);
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

    // --- sessions ---

    fn client(&mut self, identity: Identity, stream: Stream, wire: Wire, core: &Core) -> Client {
        let bucket = self
            .config()
            .rate_limit
            .map(|limit| TokenBucket::new(limit, core.now()));
        Client::new(identity, stream, wire, bucket)
    }

    fn take_in(&mut self, client: Client) {
        self.clients.insert(self.next_client, client);
        self.next_client = self.next_client.wrapping_add(1);
    }

    fn permits(&self, who: &Identity, right: Right) -> bool {
        self.config().authorizer.permits(&self.name, who, right)
    }

    fn attach(&mut self, client: &mut Client, request: &AttachRequest, core: &mut Core) {
        let may_read =
            self.session.boot_log_is_on() && self.permits(&client.identity, Right::ReadLog);
        let granted = if request.read_only {
            self.admit_observer(client, core)
        } else {
            self.admit_holder(client, request.force, core)
        };
        if let Err(why) = granted {
            self.refuse(client, why, core);
            return;
        }
        let replay = if may_read {
            request.replay
        } else {
            Replay::Nothing
        };
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
    }

    fn admit_observer(&mut self, client: &mut Client, core: &mut Core) -> Result<(), Refused> {
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

    fn admit_holder(
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

    fn refuse(&mut self, client: &mut Client, why: Refused, core: &mut Core) {
        self.console.counters.refused[why.index()].add(1);
        self.audit(
            core,
            Audited::Refused {
                who: client.identity.clone(),
                why: why.clone(),
            },
        );
        let mut text = why.to_string();
        if let Refused::Busy {
            holder,
            held_for,
            idle_for,
        } = &why
        {
            let since = SystemTime::now()
                .checked_sub(*held_for)
                .unwrap_or(SystemTime::UNIX_EPOCH);
            text = format!(
                "in use by {holder} since {} ({}), last input {} ago",
                UnixTime::from(since),
                Span(*held_for),
                Span(*idle_for)
            );
        }
        if client.is_control() {
            let holder = match &why {
                Refused::Busy {
                    holder,
                    held_for,
                    idle_for,
                } => Some(Held {
                    by: holder.to_string(),
                    held_for: *held_for,
                    idle_for: *idle_for,
                }),
                _ => None,
            };
            client.answer(&ServerFrame::Refused(Refusal {
                reason: why.index() as u8,
                holder,
                text,
            }));
        } else {
            let line = self.line_of(&text);
            client.part = Part::Leaving(Leaving {
                drain_to: 0,
                until: core.now() + self.config().linger,
                farewell: Farewell::Line(line),
            });
        }
        if let Some(outcome) = client.outcome.take() {
            // Who asked may not care any more.
            let _ = outcome.send(Outcome::Refused(why));
        }
    }

    fn line_of(&self, text: &str) -> String {
        format!("console {}: {text}\r\n", self.name)
    }

    /// Draws the consequences of a session's end. Its client is `current`, if it is being handled right now.
    fn session_over(
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
    fn finish(&mut self, client: &mut Client, reason: EndReason, core: &mut Core) {
        client.gone |= reason == EndReason::ClientClosed;
        self.end_part(client, reason, core);
    }

    fn end_part(&mut self, client: &mut Client, reason: EndReason, core: &mut Core) {
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

    // --- input ---

    fn read(&mut self, client: &mut Client, core: &mut Core) {
        let mut buffer = [0; READ];
        for _ in 0..READS_A_TURN {
            if !client.listens() {
                return;
            }
            let passed = match &mut client.wire {
                Wire::Control { passed, .. } => Some(passed),
                Wire::Raw { .. } => None,
            };
            match client.stream.read(&mut buffer, passed) {
                Ok(Arrived::Bytes(n)) => self.arrived(client, &buffer[..n], core),
                Ok(Arrived::Nothing) => {
                    // After a hang-up, nothing now is nothing ever.
                    client.input_open &= client.hung_up.is_none();
                    return;
                }
                Ok(Arrived::End) => {
                    client.input_open = false;
                    // A raw client that has closed only its own side still watches. Frames go both ways or not at all.
                    let watches = !client.is_control() && client.has_session();
                    if !watches
                        && client.typed.is_empty()
                        && !matches!(client.part, Part::Leaving(_))
                    {
                        self.finish(client, EndReason::ClientClosed, core);
                    }
                    return;
                }
                Err(_) => {
                    client.input_open = false;
                    self.finish(client, EndReason::ClientClosed, core);
                    return;
                }
            }
        }
    }

    fn arrived(&mut self, client: &mut Client, bytes: &[u8], core: &mut Core) {
        match &mut client.wire {
            Wire::Control { decoder, .. } => {
                decoder.feed(bytes);
                self.frames(client, core);
            }
            Wire::Raw { escape: None } => self.type_bytes(client, bytes, core),
            Wire::Raw {
                escape: Some(escape),
            } => {
                let mut typed = Vec::new();
                escape.feed(bytes, |what| typed.push(what));
                for what in typed {
                    match what {
                        Typed::Byte(byte) => self.type_bytes(client, &[byte], core),
                        Typed::Break => self.type_break(client, core),
                        Typed::Help => {
                            client.say("\r\n~. leave   ~B send BREAK   ~~ a tilde   ~? this\r\n");
                        }
                        Typed::Leave => self.finish(client, EndReason::ClientClosed, core),
                    }
                }
            }
        }
    }

    fn type_bytes(&mut self, client: &mut Client, bytes: &[u8], core: &mut Core) {
        let counters = Arc::clone(&self.console.counters);
        match client.lease() {
            Some(lease) if self.session.input(core.now(), lease) => {}
            Some(_) => {
                counters.input_discarded.add(bytes.len() as u64);
                return;
            }
            None => return,
        }
        counters.input.add(bytes.len() as u64);
        let mut taken = 0;
        if client.typed.is_empty() && self.carrier_low_until.is_none() {
            taken = self.line(|line| {
                let taken = line.type_bytes(bytes);
                if taken < bytes.len() {
                    line.want_room();
                }
                taken
            });
        }
        client
            .typed
            .extend(bytes[taken..].iter().map(|byte| Input::Byte(*byte)));
    }

    fn type_break(&mut self, client: &mut Client, core: &mut Core) {
        if client
            .lease()
            .is_some_and(|lease| self.session.input(core.now(), lease))
        {
            self.console.counters.breaks.add(1);
            self.audit(
                core,
                Audited::Break {
                    who: client.identity.clone(),
                },
            );
            client.typed.push_back(Input::Break);
            self.pass_on_input(client);
        }
    }

    /// Moves what did not fit before into the line's queue.
    fn pass_on_input(&self, client: &mut Client) {
        if client.typed.is_empty() || self.carrier_low_until.is_some() || client.lease().is_none() {
            return;
        }
        let typed = &mut client.typed;
        self.port.with_line(&mut |line| {
            while let Some(input) = typed.front() {
                let fits = match input {
                    Input::Byte(byte) => line.type_bytes(&[*byte]) == 1,
                    Input::Break => line.type_break(),
                };
                if !fits {
                    line.want_room();
                    return;
                }
                typed.pop_front();
            }
        });
        if client.typed.is_empty() {
            client.typed = VecDeque::new();
        }
    }

    fn frames(&mut self, client: &mut Client, core: &mut Core) {
        while client.has_frame_to_do() {
            let Wire::Control { decoder, .. } = &mut client.wire else {
                return;
            };
            let parsed = match decoder.next_frame() {
                Ok(None) => return,
                Ok(Some(frame)) => ClientFrame::parse(frame),
                Err(error) => Err(error),
            };
            match parsed {
                Ok(frame) => self.frame(client, frame, core),
                Err(error) => self.bad_frame(client, &error, core),
            }
        }
    }

    fn bad_frame(&mut self, client: &mut Client, error: &FrameError, core: &mut Core) {
        self.console.counters.bad_frames.add(1);
        core.warn(|| format!("console {}: {} sent a {error}", self.name, client.identity));
        let number = if error.is_fatal() {
            error_code::MALFORMED
        } else {
            error_code::UNKNOWN_TYPE
        };
        client.answer(&ServerFrame::Error {
            code: number,
            text: error.to_string(),
        });
        if error.is_fatal() {
            client.input_open = false;
            client.wire = Wire::Control {
                decoder: Decoder::default(),
                passed: None,
            };
            client.closes_after = true;
            match client.part {
                Part::Holder(_) | Part::Observer => {
                    self.finish(client, EndReason::Error(error.to_string()), core);
                }
                _ => {
                    client.part = Part::Closing {
                        until: core.now() + self.config().linger,
                    }
                }
            }
        }
    }

    fn frame(&mut self, client: &mut Client, frame: ClientFrame, core: &mut Core) {
        match frame {
            ClientFrame::Hello { .. } => {}
            ClientFrame::Attach(request) => {
                if client.part == Part::Guest {
                    client.identity = renamed(&client.identity, Transport::Control, &request.name);
                    self.attach(client, &request, core);
                } else {
                    fail(
                        client,
                        error_code::ALREADY_ATTACHED,
                        "there is a session on this connection",
                    );
                }
            }
            ClientFrame::AttachDescriptor(request) => {
                self.attach_descriptor(client, &request, core);
            }
            ClientFrame::Data(bytes) => match client.part {
                Part::Holder(_) => self.type_bytes(client, &bytes, core),
                // What crossed the end of the session on the wire is nobody's fault.
                Part::Leaving(_) | Part::Closing { .. } => {}
                Part::Guest | Part::Observer => {
                    fail(client, error_code::NOT_ATTACHED, "no session to type in");
                }
            },
            ClientFrame::Break => match client.part {
                Part::Holder(_) => self.type_break(client, core),
                _ => fail(
                    client,
                    error_code::NOT_ATTACHED,
                    "no session to send BREAK in",
                ),
            },
            ClientFrame::Resize { columns, rows } => {
                self.audit(core, Audited::Resized { columns, rows });
            }
            ClientFrame::Status => {
                let status = self.status_with(core, Some(&*client));
                client.answer(&ServerFrame::Status(status));
            }
            ClientFrame::LogRead { id, start, max } => self.read_log(client, id, start, max, core),
            ClientFrame::Detach => match client.part {
                // The connection itself goes on.
                Part::Holder(_) | Part::Observer => {
                    self.end_part(client, EndReason::ClientClosed, core);
                }
                _ => fail(
                    client,
                    error_code::NOT_ATTACHED,
                    "no session to detach from",
                ),
            },
            ClientFrame::Power(action) => self.power(client, action, core),
        }
    }

    fn attach_descriptor(&mut self, client: &mut Client, request: &AttachRequest, core: &mut Core) {
        let Wire::Control { passed, .. } = &mut client.wire else {
            return;
        };
        let Some(socket) = passed.take() else {
            return fail(
                client,
                error_code::NOT_SUPPORTED,
                "no descriptor came along",
            );
        };
        // Anything but a socket can be made blocking by whoever else holds it, and would then stop the service.
        if rustix::net::sockopt::socket_type(&socket) != Ok(rustix::net::SocketType::STREAM) {
            return fail(
                client,
                error_code::NOT_SUPPORTED,
                "the descriptor is no stream socket",
            );
        }
        if self.clients.len() + 1 >= self.config().max_connections {
            return fail(client, error_code::NOT_PERMITTED, "too many connections");
        }
        let identity = renamed(&client.identity, Transport::Passed, &request.name);
        let mut other = self.client(
            identity,
            Stream::Socket(socket),
            Wire::Raw { escape: None },
            core,
        );
        self.attach(&mut other, request, core);
        if other.has_session() {
            client.answer(&ServerFrame::Attached {
                read_only: other.part == Part::Observer,
                start: other.resume_offset(),
                head: other.live_from(),
                epoch: self.console.log.epoch(),
            });
        } else if let Part::Leaving(Leaving {
            farewell: Farewell::Line(line),
            ..
        }) = &other.part
        {
            let text = line.trim_end().to_owned();
            client.answer(&ServerFrame::Refused(Refusal {
                reason: 0,
                holder: self.held(core),
                text,
            }));
        }
        self.take_in(other);
    }

    fn power(&mut self, client: &mut Client, action: PowerAction, core: &mut Core) {
        let config = self.config();
        let Some(power) = &config.power else {
            return fail(
                client,
                error_code::NOT_SUPPORTED,
                "the machine cannot be stopped or started from here",
            );
        };
        let elsewhere = self.session.holder().is_some() && client.lease().is_none();
        if elsewhere || !self.permits(&client.identity, Right::Attach) {
            return fail(
                client,
                error_code::NOT_PERMITTED,
                "not permitted while somebody else holds the console",
            );
        }
        self.console.counters.power_requests.add(1);
        self.audit(
            core,
            Audited::Power {
                who: client.identity.clone(),
                action,
            },
        );
        match action {
            PowerAction::Stop => power.stop(),
            PowerAction::Start => power.start(),
            PowerAction::Restart => power.restart(),
        }
    }

    fn read_log(&mut self, client: &mut Client, id: u32, start: Replay, max: u32, core: &mut Core) {
        if !self.session.boot_log_is_on() || !self.permits(&client.identity, Right::ReadLog) {
            return fail(
                client,
                error_code::NOT_PERMITTED,
                "no right to read the log, or it is off",
            );
        }
        let log = &self.console.log;
        let mut cursor = log.cursor(start_of(start, log));
        let asked = match start {
            Replay::Offset(offset) => offset.min(log.head()),
            _ => cursor.offset(),
        };
        let mut bytes = vec![0; LOG_READ.min(max as usize)];
        let mut filled = 0;
        let mut begins = cursor.offset();
        while filled < bytes.len() {
            match cursor.read(&mut bytes[filled..]) {
                Read::Bytes(n) => filled += n,
                Read::Gap { to, .. } if filled == 0 => begins = to,
                _ => break,
            }
        }
        bytes.truncate(filled);
        let next = begins + filled as u64;
        let data = LogData {
            id,
            asked,
            start: begins,
            next,
            oldest: log.oldest(),
            head: log.head(),
            epoch: log.epoch(),
            bytes,
        };
        self.console.counters.log_reads.add(1);
        self.audit(
            core,
            Audited::LogRead {
                who: client.identity.clone(),
                from: begins,
                to: next,
            },
        );
        client.answer(&ServerFrame::LogData(data));
    }

    fn held(&self, core: &Core) -> Option<Held> {
        self.session.holder().map(|holder| Held {
            by: holder.identity().to_string(),
            held_for: core.now().saturating_sub(holder.since()),
            idle_for: core.now().saturating_sub(holder.last_input()),
        })
    }

    pub(super) fn status(&self, core: &Core) -> Status {
        self.status_with(core, None)
    }

    /// `current` is a client that is being handled and so is not among the others.
    fn status_with(&self, core: &Core, current: Option<&Client>) -> Status {
        let log = &self.console.log;
        let clients = self.clients.values().chain(current);
        let mut counters: Vec<_> = self.console.counters().iter().collect();
        let accounting = log.accounting();
        counters.push(("output bytes written".into(), accounting.written));
        counters.push(("output bytes overwritten".into(), accounting.overwritten));
        Status {
            console: self.name.to_string(),
            powered: self.session.is_powered(),
            boot_log: self.session.boot_log_is_on(),
            holder: self.held(core),
            observers: clients
                .filter(|client| client.part == Part::Observer)
                .count() as u32,
            oldest: log.oldest(),
            head: log.head(),
            epoch: log.epoch(),
            counters,
        }
    }

    // --- after each event ---

    /// Draws all consequences: time, output, farewells, what is watched, the next alarm.
    pub(super) fn settle(&mut self, core: &mut Core, ops: &mut EventOps<'_>) {
        self.time_passes(core, ops);
        self.send(core);
        self.reap(core, ops);
        self.watch(core, ops);
        let at = self.next_deadline(core.now());
        core.wake_at(self.id, &mut self.alarm, at);
    }

    fn time_passes(&mut self, core: &mut Core, ops: &mut EventOps<'_>) {
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

    fn client_time(&mut self, client: &mut Client, now: Duration, core: &mut Core) {
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

    /// Sends to every client what it can take; then, if some have seen everything, asks to be woken for more.
    fn send(&mut self, core: &mut Core) {
        for _ in 0..ROUNDS_A_TURN {
            let mut seen: Option<u64> = None;
            self.each_client(core, |hosted, client, core| {
                if let Some(offset) = hosted.send_to(client, core) {
                    seen = Some(seen.map_or(offset, |seen| seen.min(offset)));
                }
            });
            let Some(seen) = seen else { return };
            if std::mem::take(&mut self.output_flows) {
                self.look_again = Some(next_look(core.now()));
            }
            if self.look_again.is_some() {
                return;
            }
            if self.bell_armed && self.console.log.head() == seen {
                return;
            }
            self.bell_armed = self.line(|line| line.arm(seen));
            if self.bell_armed {
                return;
            }
        }
        // Output comes faster than it can be waited for. Whoever would have waited is behind, and is served again when
        // others have had their turn.
        for client in self.clients.values_mut() {
            client.behind |= client.has_session() && client.quiet_until.is_none();
        }
    }

    /// The offset that the client has seen, if it has seen everything and waits for more.
    fn send_to(&mut self, client: &mut Client, core: &mut Core) -> Option<u64> {
        if client.gone || client.behind || client.quiet_until.is_some() {
            return None;
        }
        self.frames(client, core);
        let counters = Arc::clone(&self.console.counters);
        let now = core.now();
        let before = client.resume_offset();
        let sent = client.send(now, &mut core.scratch, &counters);
        if client.resume_offset() != before {
            self.output_flows = true;
            if let Some(lease) = client.lease() {
                self.session.output(now, lease);
            }
        }
        self.hold_for(client, &sent);
        match sent {
            Sent::All | Sent::Throttled => {}
            Sent::Behind => client.behind = true,
            Sent::GapForbidden => {
                self.line(|line| line.mark(MarkKind::Gap));
                self.finish(client, EndReason::TooSlow, core);
            }
            Sent::Failed(reason) => self.finish(client, reason, core),
        }
        self.say_goodbye(client, core);
        // Frames that had to wait for room for their answers go on in the next turn.
        client.behind |= client.has_frame_to_do();
        let waits =
            client.has_session() && !client.gone && !client.behind && client.quiet_until.is_none();
        waits.then(|| client.resume_offset())
    }

    /// Lossless mode: lets output go only so far beyond what the holder has taken.
    fn hold_for(&mut self, client: &Client, sent: &Sent) {
        if self.console.config.lossless.is_none() || client.lease().is_none() {
            return;
        }
        match (self.hold, sent) {
            (Hold::GivenUp, Sent::All) => self.hold = Hold::Ready,
            (Hold::GivenUp, _) => return,
            _ => {}
        }
        let limit = client
            .resume_offset()
            .saturating_add(self.console.config.lossless_window);
        if !self.line(|line| line.hold_output_at(Some(limit))) {
            self.hold = Hold::Ready;
        }
    }

    /// Once a leaving client has seen what it was to see, tells it why it leaves.
    fn say_goodbye(&mut self, client: &mut Client, core: &mut Core) {
        if let Part::Leaving(leaving) = &client.part
            && !client.has_pending()
            && client.has_seen(leaving.drain_to) != Some(false)
        {
            let leaving = leaving.clone();
            self.goodbye(client, leaving, core);
        }
        if matches!(client.part, Part::Closing { .. }) && !client.has_pending() {
            match client.stream {
                Stream::Socket(_) => client.stream.finish_output(),
                // Nothing tells when the other side has seen it.
                Stream::File(_) | Stream::Files { .. } => client.gone = true,
            }
        }
    }

    fn goodbye(&mut self, client: &mut Client, leaving: Leaving, core: &mut Core) {
        let resume = client.resume_offset();
        client.stop_showing(&self.console.counters);
        let closing = Part::Closing {
            until: leaving.until,
        };
        match leaving.farewell {
            Farewell::Line(line) => {
                client.say(&line);
                client.part = closing;
            }
            Farewell::Ended(reason) if client.is_control() => {
                let by = match &reason {
                    EndReason::TakenOver { by } => by.to_string(),
                    _ => String::new(),
                };
                client.answer(&ServerFrame::Ended(SessionEnd {
                    reason: reason.index() as u8,
                    resume,
                    epoch: self.console.log.epoch(),
                    by,
                    text: reason.to_string(),
                }));
                client.part = if client.closes_after {
                    closing
                } else {
                    Part::Guest
                };
            }
            Farewell::Ended(reason) => {
                if self.config().notices {
                    client.say(&format!(
                        "\r\n[console {}: session over: {reason}]\r\n",
                        self.name
                    ));
                }
                client.part = closing;
            }
        }
        let counters = Arc::clone(&self.console.counters);
        if let Sent::Behind = client.send(core.now(), &mut core.scratch, &counters) {
            client.behind = true;
        }
    }

    fn reap(&mut self, core: &mut Core, ops: &mut EventOps<'_>) {
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

    /// A pty's client is gone: by itself, or because it is to go.
    fn pty_is_free(&mut self, index: usize, left: bool, core: &mut Core, ops: &mut EventOps<'_>) {
        let Some(HostedListener { listener, .. }) =
            self.listeners.get_mut(index).and_then(Option::as_mut)
        else {
            return;
        };
        let old = listener.fd();
        let Source::Pty(pty) = &mut listener.source else {
            return;
        };
        if left {
            pty.drop_unread();
            return;
        }
        core.unwatch(ops, old);
        if let Err(error) = pty.renew() {
            core.warn(|| format!("console {}: cannot make another pty: {error}", self.name));
        }
        if let Err(error) = core.watch(
            ops,
            listener.fd(),
            Role::Listener(self.id, index),
            EventSet::IN,
        ) {
            core.warn(|| format!("console {}: cannot watch the pty: {error}", self.name));
        }
    }

    fn watch(&mut self, core: &mut Core, ops: &mut EventOps<'_>) {
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
        if again {
            core.again.push(console);
        }
    }

    fn next_deadline(&self, now: Duration) -> Option<Duration> {
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

    // --- small things ---

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

    /// Lets `act` at each client with the console at hand. No client is added meanwhile.
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

/// Its session is over; what is left of the output is still its, unless the reason says otherwise.
fn leave(client: &mut Client, reason: EndReason, head: u64, until: Duration) {
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

fn unwatch(client: &mut Client, core: &mut Core, ops: &mut EventOps<'_>) {
    let (input, output) = client.stream.descriptors();
    if client.watched.take().is_some() {
        core.unwatch(ops, input);
    }
    if let (Some(_), Some(output)) = (client.watched_output.take(), output) {
        core.unwatch(ops, output);
    }
}

fn renamed(identity: &Identity, transport: Transport, name: &str) -> Identity {
    let renamed = Identity::new(transport, name);
    match identity.credentials() {
        Some(credentials) => renamed.with_credentials(credentials),
        None => renamed,
    }
}

fn fail(client: &mut Client, code: u8, text: &str) {
    client.answer(&ServerFrame::Error {
        code,
        text: text.into(),
    });
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

/// The end of the interval that `now` lies in: busy consoles look at the same instants, at one wakeup for all.
fn next_look(now: Duration) -> Duration {
    let interval = OUTPUT_INTERVAL.as_nanos() as u64;
    Duration::from_nanos((now.as_nanos() as u64 / interval + 1).saturating_mul(interval))
}
