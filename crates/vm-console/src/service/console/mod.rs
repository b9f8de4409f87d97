//! One console as it is served.
//!
//! An event is dispatched to the part it is about; then [`settle`](ServedConsole::settle) draws all
//! consequences: time, output, farewells, what is watched, the next alarm. Each part keeps its own
//! state; this is the only place that knows all of them.
//!
//! | file | what |
//! |---|---|
//! | `listeners`, `entrance` | the ways in; what becomes of a client that comes |
//! | `connections`, `departures` | who is connected, and how they go |
//! | `admission`, `sessions` | who is let in; how sessions begin and end |
//! | `requests`, `attaching`, `sysrq`, `log_read`, `log_wait` | what clients of a control socket ask for |
//! | `history`, `status` | what they ask about: the log, the console |
//! | `asked`, `place` | how they asked, and what they are answered; where they want to begin |
//! | `input`, `output` | bytes on their way to the guest, and from it |
//! | `text_logs` | readers of the output on threads of their own |
//! | `flow` | how later output is noticed: doorbell or another look |
//! | `lossless`, `carrier` | the two options that touch the guest |
//! | `time` | what comes with time, and when that is |
//! | `machine`, `timed_port` | what the guest's side tells; its port, and the time of that |

mod admission;
mod asked;
mod attaching;
mod carrier;
mod connections;
mod departures;
mod entrance;
mod flow;
mod history;
mod input;
#[cfg(any(test, fuzzing))]
mod inspection;
mod listeners;
mod log_read;
mod log_wait;
mod lossless;
mod machine;
mod output;
mod output_clock;
mod place;
mod refusal;
mod requests;
mod sessions;
mod status;
mod sysrq;
mod text_logs;
mod time;
mod timed_port;

use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use self::carrier::Carrier;
use self::connections::Connections;
use self::flow::Flow;
use self::listeners::Listeners;
use self::lossless::Lossless;
use self::machine::Machine;
use self::output_clock::OutputClock;
use self::text_logs::TextLogs;
use self::timed_port::TimedPort;
use super::command::Added;
use super::connection::Role;
use super::kernel::{ConnectionId, ConsoleId, Interest, Part, Readiness, Watched};
use super::turn::Turn;
use crate::audit::Audited;
use crate::console::Console;
use crate::serving::Claim;
use crate::session::{EndReason, Session};
use crate::transport::Listener;

pub(super) struct ServedConsole {
    id: ConsoleId,
    console: Console,
    port: TimedPort,
    session: Session,
    machine: Machine,
    listeners: Listeners,
    connections: Connections,
    flow: Flow,
    output_clock: OutputClock,
    lossless: Lossless,
    carrier: Carrier,
    text_logs: TextLogs,
    /// Last, so that the line is let go of when another service may take it.
    _claim: Claim,
}

impl ServedConsole {
    /// Begins to serve a console that was claimed for this service.
    pub(super) fn start(id: ConsoleId, added: Added, claim: Claim, turn: &mut Turn<'_>) -> Self {
        let Added {
            console,
            port,
            listeners,
            // Kept: the console is claimed.
            promise: _promise,
        } = added;
        let mut port = TimedPort::new(port);
        let config = &console.config;
        let power = port.line(turn.now(), |line| {
            // Left by a service that did not end in order.
            line.hold_output_at(None);
            line.power()
        });
        let mut session = Session::new(config.session.clone());
        if !power.on {
            // There is no session yet that could end.
            let _ = session.power_off(turn.now());
        }
        let mut served = Self {
            id,
            machine: Machine::new(power, console.log.epoch()),
            session,
            listeners: Listeners::new(id),
            connections: Connections::default(),
            flow: Flow::new(console.log.config().tail),
            output_clock: OutputClock::new(console.log.head()),
            lossless: Lossless::new(config, console.log.config().tail),
            carrier: Carrier::new(config),
            text_logs: TextLogs::default(),
            _claim: claim,
            console,
            port,
        };
        served.watch_bell(turn);
        served.carrier.start(turn.now(), &mut served.port);
        for listener in listeners {
            served.listen(listener, turn);
        }
        served
    }

    fn watch_bell(&mut self, turn: &mut Turn<'_>) {
        let bell = self.console.bell.as_raw_fd();
        let what = Watched::Console(self.id, Part::Bell);
        if turn.watch(bell, what, Interest::READABLE).is_none() {
            self.flow.could_not_watch(turn.now());
        }
    }

    pub(super) fn listen(&mut self, listener: Listener, turn: &mut Turn<'_>) {
        if self.session.is_open() {
            self.listeners.open(listener, turn.now());
        }
    }

    /// Lets no more clients in, and tells those that are there.
    pub(super) fn shut_down(&mut self, turn: &mut Turn<'_>) {
        self.listeners.shut_down(turn);
        let ended = self.session.shut_down(turn.now());
        self.session_over(ended, turn);
        let until = turn.now().saturating_add(self.console.config.linger);
        self.each_connection(turn, |served, id, turn| {
            let Some(connection) = served.connections.get_mut(id) else {
                return;
            };
            match connection.standing.role() {
                Role::Guest { .. } => connection.standing.close(until),
                Role::Observer { .. } => served.end_session(id, EndReason::ShuttingDown, turn),
                Role::Holder(_) | Role::Leaving { .. } => {}
            }
        });
    }

    pub(super) fn is_done(&self) -> bool {
        !self.session.is_open() && self.connections.is_empty()
    }

    /// Takes everything that is left out of the event loop.
    pub(super) fn stop(&mut self, turn: &mut Turn<'_>) {
        self.listeners.close_all(turn);
        turn.unwatch(self.console.bell.as_raw_fd());
        turn.shared.agenda.wake_at(self.id, None);
        turn.shared.audit.forget(self.id);
    }

    pub(super) fn dispatch(&mut self, part: Part, ready: Readiness, turn: &mut Turn<'_>) {
        match part {
            Part::Bell => self.on_bell(turn),
            Part::Listener(slot) => self.on_listener(slot, ready, turn),
            Part::Connection(id) => self.on_connection(id, ready, turn),
        }
    }

    /// The guest's side rang: output while all had seen everything, room for input, power, a boot.
    fn on_bell(&mut self, turn: &mut Turn<'_>) {
        // Nothing to read is fine: what it rang for was seen already.
        let _ = self.console.bell.read();
        self.flow.rang();
        self.console.counters.wakeups.add(1);
        self.look_at_machine(turn);
        self.lossless.look(turn.now(), &mut self.port);
        self.each_connection(turn, Self::input_may_move);
    }

    fn on_connection(&mut self, id: ConnectionId, ready: Readiness, turn: &mut Turn<'_>) {
        if ready.hung_up {
            let Some(connection) = self.connections.get_mut(id) else {
                return;
            };
            if !connection.stream().has_lost_input_only() {
                return self.hang_up(id, turn);
            }
            // The rest of its input is read, and then it only watches.
            connection.unwatch_input(turn);
            return self.read(id, turn);
        }
        if ready.writable
            && let Some(connection) = self.connections.get_mut(id)
        {
            connection.outbox.pace.room_came();
        }
        if ready.readable {
            self.read(id, turn);
            self.hear_out(id, turn);
        }
    }

    /// Another turn for whatever nothing will wake: descriptors that are always ready, and gone
    /// peers that sent a lot.
    pub(super) fn take_another_turn(&mut self, turn: &mut Turn<'_>) {
        let mut way_round = self.connections.way_round_requests();
        while let Some(id) = self.connections.next_on(&mut way_round) {
            let Some(connection) = self.connections.get_mut(id) else {
                continue;
            };
            let before = turn.requests();
            if connection.is_always_ready() {
                connection.outbox.pace.room_came();
                self.read(id, turn);
            }
            self.input_may_move(id, turn);
            if turn.requests() > before {
                self.connections.had_its_request(id);
            }
        }
    }

    /// Draws all consequences: time, output, farewells, what is watched, the next alarm.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_>) {
        self.on_time(turn);
        self.output_clock.look(self.console.log.head(), turn);
        while let Some(slot) = self.listeners.take_unseen() {
            self.on_listener(slot, Readiness::default(), turn);
            if turn.is_over() {
                break;
            }
        }
        self.send(turn);
        self.reap(turn);
        self.watch(turn);
        // Those that could not be watched.
        self.reap(turn);
        if self.listeners.has_unseen() {
            turn.want_another(self.id);
        }
        let at = self.next_deadline(turn.now());
        turn.shared.agenda.wake_at(self.id, at);
    }

    fn watch(&mut self, turn: &mut Turn<'_>) {
        let mut again = false;
        for (id, connection) in self.connections.iter_mut() {
            let what = Watched::Console(self.id, Part::Connection(id));
            again |= connection.watch(what, turn) || connection.has_request_to_do();
        }
        if again {
            turn.want_another(self.id);
        }
    }

    /// Lets `act` at each connection, at one that is added meanwhile too.
    fn each_connection(
        &mut self,
        turn: &mut Turn<'_>,
        mut act: impl FnMut(&mut Self, ConnectionId, &mut Turn<'_>),
    ) {
        let mut at = None;
        while let Some(id) = self.connections.after(at) {
            at = Some(id);
            act(self, id, turn);
        }
    }

    fn audit(&self, what: Audited, turn: &mut Turn<'_>) {
        turn.audit(self.id, &self.console, what);
    }
}

impl Drop for ServedConsole {
    /// Also when the service panics: the guest goes on, and another service may take over.
    fn drop(&mut self) {
        let Self {
            port,
            lossless,
            carrier,
            ..
        } = self;
        let port = port.untimed();
        let release = || {
            port.line(|line| lossless.release(line));
            carrier.end(port);
        };
        // If the owner's port is what panics, it may do so again, and that would end the process.
        let _ = catch_unwind(AssertUnwindSafe(release));
    }
}
