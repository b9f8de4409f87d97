//! The service with everything around it, and the steps that a script takes in it.

use std::sync::Arc;
use std::time::Duration;

use super::client::{Client, Reader};
use super::control_client::ControlReader;
use super::doors::{SimulatedPty, SimulatedSocket};
use super::guest::{SimulatedPort, SysRqReader, printed, typed_by};
use super::kernel::SimulatedKernel;
use super::net::{Duct, Nature, Net, Node, Shared, Work, lock};
use super::raw_client::RawReader;
use super::script::{Ask, Files, Rules, Script, Step, Way};
use super::stream::SimulatedStream;
use crossbeam_channel::TryRecvError;

use crate::console::{Console, ConsoleConfig, PowerControl};
use crate::drop_limit::DropLimit;
use crate::line::Input;
use crate::log::{BootLog, LogConfig, MarkKind};
use crate::protocol::Status;
use crate::rate::RateLimit;
use crate::service::command::Command;
use crate::service::kernel::{ConsoleId, Readiness, Watched};
use crate::service::{Attachment, ConsoleHandle, Desk, Service, ServiceHandle};
use crate::session::{EndReason, Identity, Right, SessionPolicy, Transport};
use crate::transport::stdio::FdClient;
use crate::transport::{Kind, Listener};

/// Clients of one run. What they type tells them apart, so there cannot be more.
const CLIENTS: usize = 16;

/// A broken promise, in words.
pub(super) type Broken = String;

pub(super) struct World {
    pub(super) desk: Desk,
    pub(super) kernel: SimulatedKernel,
    pub(super) net: Shared,
    pub(super) timer: std::os::fd::RawFd,
    pub(super) service: ServiceHandle,
    pub(super) consoles: Vec<Guest>,
    /// Which of `consoles` each console of the service is.
    pub(super) served: Vec<usize>,
    pub(super) clients: Vec<Client>,
    pub(super) shut_down: bool,
    pub(super) tally: Tally,
    pub(super) attachments: Vec<Attachment>,
    statuses: Vec<crossbeam_channel::Receiver<Status>>,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Events handled.
    pub(super) events: u64,
    /// The most bytes read and written in one of them.
    pub(super) most_bytes: u64,
    /// The most calls to the kernel in one of them.
    pub(super) most_calls: u64,
    /// The most memory of one connection, in bytes.
    pub(super) most_memory: u64,
    /// Sessions that began.
    pub(super) sessions: u64,
    /// Bytes of output and answers that clients received and that were right.
    pub(super) received: u64,
}

/// One guest and its console.
pub(super) struct Guest {
    pub(super) rules: Rules,
    console: Console,
    pub(super) port: Arc<SimulatedPort>,
    pub(super) log: BootLog,
    pub(super) handle: ConsoleHandle,
    pub(super) doors: Vec<usize>,
    pub(super) removed: bool,
    pub(super) is_held: bool,
    sysrqs: SysRqReader,
}

struct Buttons;

impl PowerControl for Buttons {
    fn stop(&self) {}
    fn start(&self) {}
    fn restart(&self) {}
}

#[cfg(test)]
impl Tally {
    /// Takes in what another run came to.
    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.sessions += other.sessions;
        self.received += other.received;
        self.most_bytes = self.most_bytes.max(other.most_bytes);
        self.most_calls = self.most_calls.max(other.most_calls);
        self.most_memory = self.most_memory.max(other.most_memory);
    }
}

fn limit(rate: u32) -> Option<RateLimit> {
    Some(RateLimit {
        bytes_per_second: rate.try_into().ok()?,
        burst: 100.try_into().ok()?,
    })
}

impl Rules {
    fn config(&self, name: &str) -> ConsoleConfig {
        let ms = Duration::from_millis;
        ConsoleConfig {
            session: SessionPolicy {
                idle_limit: ms(self.idle_limit),
                absolute_limit: ms(self.absolute_limit),
                warn_before: ms(1000),
                requires_boot_log: self.requires_boot_log,
                ..SessionPolicy::default()
            },
            authorizer: Arc::new(|_: &str, who: &Identity, right: Right| {
                let uid = who.credentials().map_or(0, |user| user.uid);
                !(uid == 2 && right == Right::ReadLog || uid == 1 && right == Right::Attach)
            }),
            power: Some(Arc::new(Buttons)),
            replay: self.replay,
            guard_replay: self.guard,
            gaps: self.gaps,
            notices: self.notices,
            max_observers: self.max_observers,
            max_connections: self.max_connections,
            rate_limit: self.rate.and_then(limit),
            drop_limit: self.drop.and_then(|rate| {
                Some(DropLimit {
                    rate: limit(rate)?,
                    one_time_burst: 500,
                })
            }),
            max_behind: self.max_behind,
            lossless: self.lossless.map(ms),
            lossless_window: self.tail.min(200),
            carrier: self.carrier,
            linger: ms(self.linger),
            ..ConsoleConfig::named(name)
        }
    }
}

impl World {
    pub(super) fn new(script: &Script) -> Result<Self, Broken> {
        let real = |error: std::io::Error| error.to_string();
        let net = Shared::default();
        let mut kernel = SimulatedKernel::new(net.clone()).map_err(real)?;
        let (Service { mut desk, .. }, service) = Service::new().map_err(real)?;
        let timer = lock(&net).open(Node::Timer).map_err(real)?;
        desk.begin(timer, &mut kernel).map_err(real)?;
        let mut world = Self {
            desk,
            kernel,
            net,
            timer,
            service,
            consoles: Vec::new(),
            served: Vec::new(),
            clients: Vec::new(),
            shut_down: false,
            tally: Tally::default(),
            attachments: Vec::new(),
            statuses: Vec::new(),
        };
        for (index, rules) in script.consoles.iter().enumerate() {
            let sizes = LogConfig {
                tail: rules.tail,
                head: rules.head,
                boots: 2,
            };
            let (writer, log) = BootLog::in_memory(sizes).map_err(|error| error.to_string())?;
            let config = rules.config(&format!("vm{index}"));
            let (line, console) = Console::new(config, writer).map_err(real)?;
            let port = Arc::new(SimulatedPort::new(line));
            let (handle, doors) = world.add(&console, &port)?;
            world.served.push(index);
            world.consoles.push(Guest {
                rules: *rules,
                console,
                port,
                log,
                handle,
                doors,
                removed: false,
                is_held: false,
                sysrqs: SysRqReader::default(),
            });
        }
        Ok(world)
    }

    /// Adds a console with a way in of each kind.
    fn add(
        &self,
        console: &Console,
        port: &Arc<SimulatedPort>,
    ) -> Result<(ConsoleHandle, Vec<usize>), Broken> {
        let mut doors = Vec::new();
        let mut listeners = Vec::new();
        for way in Way::ALL {
            let raw = |force, read_only| Kind::Raw {
                force,
                read_only,
                newlines: None,
            };
            let kind = match way {
                Way::Raw | Way::Pty | Way::Tcp => raw(false, false),
                Way::Forcing => raw(true, false),
                Way::Observers => raw(false, true),
                Way::Control => Kind::Control,
            };
            let transport = if way == Way::Tcp {
                Transport::Tcp
            } else {
                Transport::Unix
            };
            let listener = if way == Way::Pty {
                SimulatedPty::open(&self.net).map(|(pty, door)| {
                    doors.push(door);
                    Listener {
                        source: Box::new(pty),
                        kind,
                    }
                })
            } else {
                SimulatedSocket::open(&self.net, transport).map(|(socket, door)| {
                    doors.push(door);
                    Listener {
                        source: Box::new(socket),
                        kind,
                    }
                })
            };
            // Nobody has descriptors to spare who then adds a console.
            listeners.push(listener.map_err(|error| error.to_string())?);
        }
        let handle = self
            .service
            .add(console.clone(), port.clone(), listeners)
            .expect("it was not told to shut down");
        Ok((handle, doors))
    }

    pub(super) fn step(&mut self, step: Step) -> Result<(), Broken> {
        match step {
            Step::Handle(pick) => self.handle_one(pick).map(|_| ()),
            Step::HandleAll(most) => {
                for _ in 0..most {
                    if !self.handle_one(0)? {
                        break;
                    }
                }
                Ok(())
            }
            Step::Spurious(pick, readable, writable) => self.handle_undue(pick, readable, writable),
            Step::Pass(ms) => {
                lock(&self.net).now += Duration::from_millis(ms.into());
                Ok(())
            }
            Step::Slow(cost) => {
                // Up to four turns, so that one call may be all that fits into a turn.
                lock(&self.net).cost = Duration::from_micros(u64::from(cost) * 16);
                Ok(())
            }
            Step::ToAlarm => {
                self.pass_to_alarm();
                Ok(())
            }
            Step::Spare(spare) => {
                lock(&self.net).spare = spare.map(usize::from);
                Ok(())
            }
            Step::FailWatches(count) => {
                lock(&self.net).failing_watches = count;
                Ok(())
            }
            Step::Connect {
                console,
                way,
                uid,
                room,
            } => {
                self.connect(console, way, uid, room);
                Ok(())
            }
            Step::Attach {
                console,
                files,
                force,
                read_only,
                room,
            } => {
                self.attach(console, files, force, read_only, room);
                Ok(())
            }
            Step::Type { .. }
            | Step::Ask { .. }
            | Step::Dribble { .. }
            | Step::Receive { .. }
            | Step::Hinder(..)
            | Step::HalfClose(_)
            | Step::Close(_) => self.client_step(step),
            _ => self.owner_step(step),
        }
    }

    /// Whether time passed: whether there was an alarm.
    pub(super) fn pass_to_alarm(&mut self) -> bool {
        let mut net = lock(&self.net);
        let Some(at) = net.alarm else { return false };
        net.now = net.now.max(at);
        true
    }

    /// Hands over one of the events that are due. Whether there was one.
    pub(super) fn handle_one(&mut self, pick: u8) -> Result<bool, Broken> {
        self.kernel.collect();
        let event = {
            let mut net = lock(&self.net);
            let count = net.batch.len();
            (count > 0).then(|| net.batch.swap_remove(usize::from(pick) % count))
        };
        let Some((fd, what, ready)) = event else {
            return Ok(false);
        };
        if fd == self.timer {
            // Reading the timer takes its expiry.
            let mut net = lock(&self.net);
            if net.alarm.is_some_and(|at| at <= net.now) {
                net.alarm = None;
            }
        }
        self.handle(what, ready)?;
        Ok(true)
    }

    fn handle_undue(&mut self, pick: u8, readable: bool, writable: bool) -> Result<(), Broken> {
        let what = {
            let net = lock(&self.net);
            let count = net.watched.len().max(1);
            let watched = net.watched.get(usize::from(pick) % count);
            watched.map(|(_, what, _)| *what)
        };
        let Some(what) = what else { return Ok(()) };
        if what == Watched::Alarm {
            return Ok(());
        }
        let ready = Readiness {
            readable,
            writable,
            hung_up: false,
        };
        self.handle(what, ready)
    }

    fn handle(&mut self, what: Watched, ready: Readiness) -> Result<(), Broken> {
        lock(&self.net).work = Work::default();
        self.desk.handle(what, ready, &mut self.kernel);
        if self.desk.has_nothing_left() {
            self.desk.finish(self.timer, &mut self.kernel);
        }
        self.tally.events += 1;
        self.check(what)
    }

    fn console(&self, index: u8) -> usize {
        usize::from(index) % self.consoles.len()
    }

    fn connect(&mut self, console: u8, way: Way, uid: u8, room: u8) {
        let console = self.console(console);
        let door = self.consoles[console].doors[way as usize];
        let mut net = lock(&self.net);
        if !net.doors[door].open {
            return;
        }
        let gaps = self.consoles[console].rules.gaps;
        if way == Way::Pty {
            let Some(pair) = net.doors[door].pair else {
                return;
            };
            if net.doors[door].present {
                return;
            }
            let known = self.clients.iter().position(|client| client.duct == pair);
            if let Some(client) = known {
                self.clients[client].reopen();
            } else {
                let Some(slot) = self.slot(console, &net) else {
                    return;
                };
                let reader = Reader::Raw(RawReader::new(gaps));
                let mut client = Client::new(slot, console, pair, reader);
                client.pty = Some(door);
                seat(&mut self.clients, client);
            }
            net.doors[door].present = true;
            net.doors[door].changed = true;
            return;
        }
        let Some(slot) = self.slot(console, &net) else {
            return;
        };
        let duct = net.ducts.len();
        let nature = if way == Way::Tcp {
            Nature::Tcp
        } else {
            Nature::Socket
        };
        net.ducts.push(Duct::new(nature, room_of(room)));
        net.doors[door].backlog.push_back((duct, uid));
        let reader = if way == Way::Control {
            Reader::Control(Box::new(ControlReader::new(gaps)))
        } else {
            Reader::Raw(RawReader::new(gaps))
        };
        let mut client = Client::new(slot, console, duct, reader);
        client.can_type = way != Way::Observers;
        client.asks(Ask::Hello);
        seat(&mut self.clients, client);
    }

    fn attach(&mut self, console: u8, files: Files, force: bool, read_only: bool, room: u8) {
        let console = self.console(console);
        if self.shut_down {
            return;
        }
        let (slot, duct) = {
            let mut net = lock(&self.net);
            let Some(slot) = self.slot(console, &net) else {
                return;
            };
            let duct = net.ducts.len();
            net.ducts
                .push(Duct::new(Nature::from(files), room_of(room)));
            (slot, duct)
        };
        // The owner cannot open them: there is nothing to attach.
        let Ok(stream) = SimulatedStream::open(&self.net, duct) else {
            return;
        };
        let guest = &self.consoles[console];
        let reader = Reader::Raw(RawReader::new(guest.rules.gaps));
        let mut client = Client::new(slot, console, duct, reader);
        client.can_type = !read_only;
        let files = FdClient {
            stream: Box::new(stream),
            identity: Identity::new(Transport::Stdio, &client.name),
            escape: Some(crate::escape::Escape::default()),
            force,
            read_only,
            replay: None,
            has_limits: true,
            newlines: None,
        };
        self.attachments.push(guest.handle.attach(files));
        seat(&mut self.clients, client);
    }

    /// A place for another client: one that was never taken, or one whose client is gone for good.
    fn slot(&self, console: usize, net: &Net) -> Option<usize> {
        if self.clients.len() < CLIENTS {
            return Some(self.clients.len());
        }
        self.clients
            .iter()
            .position(|client| client.console == console && !net.ducts[client.duct].served)
    }

    fn client_step(&mut self, step: Step) -> Result<(), Broken> {
        let index = match step {
            Step::Type { client, .. }
            | Step::Ask { client, .. }
            | Step::Dribble { client, .. }
            | Step::Receive { client, .. }
            | Step::Hinder(client, _)
            | Step::HalfClose(client)
            | Step::Close(client) => usize::from(client),
            _ => return Ok(()),
        };
        let count = self.clients.len().max(1);
        let Some(client) = self.clients.get_mut(index % count) else {
            return Ok(());
        };
        let net = &mut lock(&self.net);
        match step {
            Step::Type { count, .. } => client.types(count),
            Step::Ask { ask, times, .. } => (0..times).for_each(|_| client.asks(ask)),
            Step::Dribble { most, .. } => client.dribble = most,
            Step::Receive { most, .. } => {
                self.tally.received += client.receive(most.into(), net)?;
            }
            Step::Hinder(_, how) => net.ducts[client.duct].hinder(how),
            Step::HalfClose(_) => {
                let _ = client.flush(net);
                client.half_close(net);
            }
            Step::Close(_) => {
                let _ = client.flush(net);
                client.close(net);
            }
            _ => {}
        }
        client.flush(net);
        Ok(())
    }

    fn owner_step(&mut self, step: Step) -> Result<(), Broken> {
        match step {
            Step::Print { console, count } => self.print(self.console(console), count),
            Step::TakeInput { console, count } => {
                self.take_input(self.console(console), count.into())?;
            }
            Step::Reset(console) => self.consoles[self.console(console)].port.visit(|line| {
                line.begin_boot(MarkKind::Reset);
            }),
            Step::Power(console, on) => {
                let guest = &self.consoles[self.console(console)];
                guest.port.visit(|line| line.set_power(on));
            }
            Step::Disconnect(console) => {
                let guest = &self.consoles[self.console(console)];
                guest.handle.disconnect(EndReason::Revoked);
            }
            Step::BootLog(console, on) => {
                let guest = &self.consoles[self.console(console)];
                guest.handle.set_boot_log(on);
            }
            Step::Status(console) if !self.shut_down => {
                let (sender, answer) = crossbeam_channel::bounded(1);
                let console = self.console(console);
                let id = self.served.iter().rposition(|served| *served == console);
                let id = ConsoleId(id.unwrap_or_default() as u64);
                self.service.send(Command::Status(id, sender));
                self.statuses.push(answer);
            }
            Step::Remove(console) => {
                let console = self.console(console);
                self.consoles[console].handle.remove();
                self.consoles[console].removed = true;
            }
            Step::Add(console) => {
                let console = self.console(console);
                let has_room = lock(&self.net).spare.is_none();
                if self.consoles[console].removed && !self.shut_down && has_room {
                    let guest = &self.consoles[console];
                    let (handle, doors) = self.add(&guest.console, &guest.port)?;
                    self.served.push(console);
                    let guest = &mut self.consoles[console];
                    guest.handle = handle;
                    guest.doors = doors;
                    guest.removed = false;
                }
            }
            Step::ShutDown => {
                self.shut_down = true;
                self.service.shut_down();
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn print(&self, console: usize, count: u16) {
        self.consoles[console].port.visit(|line| {
            let from = line.head();
            let bytes: Vec<u8> = (from..from + u64::from(count)).map(printed).collect();
            line.transmit(&bytes);
        });
    }

    /// The guest takes its input, and sees that it is whole.
    pub(super) fn take_input(&mut self, console: usize, most: usize) -> Result<u64, Broken> {
        let mut count = 0;
        let guest = &mut self.consoles[console];
        let losses = guest.console.counters().input_discarded > 0;
        for _ in 0..most {
            let Some(input) = guest.port.visit(crate::line::ConsoleLine::receive) else {
                break;
            };
            count += 1;
            let is_whole = guest.sysrqs.takes(input);
            let Input::Byte(byte) = input else { continue };
            if byte.is_ascii() {
                if is_whole {
                    continue;
                }
                return Err(format!("SysRq {byte:#04x} has something in between"));
            }
            let (who, number) = typed_by(byte);
            let Some(client) = self.clients.get_mut(who) else {
                return Err(format!(
                    "the guest was sent {byte:#04x}, which nobody typed"
                ));
            };
            let missing = number.wrapping_sub(client.taken) & 7;
            if client.console != console || !client.can_type {
                return Err(format!("client {who} types where it must not"));
            }
            if missing != 0 && !losses && !client.typed_in_vain {
                return Err(format!(
                    "input of client {who} arrives as {number} instead of {}",
                    client.taken & 7
                ));
            }
            client.taken += missing + 1;
        }
        Ok(count)
    }

    pub(super) fn statuses_left(&self) -> bool {
        let mut statuses = self.statuses.iter();
        statuses.any(|answer| answer.try_recv() == Err(TryRecvError::Empty))
    }
}

/// Lets a client take its place, and perhaps another's.
fn seat(clients: &mut Vec<Client>, mut client: Client) {
    match clients.get_mut(client.index) {
        Some(last) => {
            client.follows(last);
            *last = client;
        }
        None => clients.push(client),
    }
}

fn room_of(class: u8) -> usize {
    [16, 300, 4096, 200_000][usize::from(class) % 4]
}
