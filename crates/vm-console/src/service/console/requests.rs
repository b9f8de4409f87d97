//! What clients of a control socket ask for: one function for each request that needs one.

use super::ServedConsole;
use super::asked::{Asked, Failure, GONE, Reply, fail};
use crate::audit::Audited;
use crate::protocol::{
    ClientFrame, ErrorCode, FrameError, PowerAction, Request, ServerFrame, VERSION,
};
use crate::service::connection::{Role, Wire};
use crate::service::kernel::ConnectionId;
use crate::service::turn::Turn;
use crate::session::{EndReason, Right};

/// Requests of one connection that are carried out before others get their turn.
const REQUESTS_A_TURN: usize = 64;

/// Frames that came with this version of the protocol, or later, come in an envelope only.
const ENVELOPE_ONLY: u16 = 3;

impl ServedConsole {
    /// Carries out what a connection has asked for, as far as it may now.
    pub(super) fn requests(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        self.attach_on_arrival(id, turn);
        for _ in 0..REQUESTS_A_TURN {
            let Some(connection) = self.connections.get_mut(id) else {
                return;
            };
            if !connection.has_request_to_do() || turn.is_over_for_requests() {
                connection.wire.give_back();
                return;
            }
            connection.asked_at = turn.now();
            if let Some(wait) = connection.wire.take_waited() {
                turn.carries_out_request();
                let reply = self.log_news(id, &wait, turn);
                self.answer(id, Asked::Numbered(wait.number), reply);
                continue;
            }
            let frame = match connection.wire.next_request() {
                None => return,
                Some(Ok(frame)) => {
                    turn.carries_out_request();
                    frame
                }
                Some(Err(error)) => {
                    turn.carries_out_request();
                    self.bad_request(id, &error, turn);
                    continue;
                }
            };
            if frame.kind().since() >= ENVELOPE_ONLY {
                let error = FrameError::UnknownType(frame.kind().byte());
                self.bad_request(id, &error, turn);
                continue;
            }
            if !self.has_found(frame.start()) {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.wire.search_for(frame);
                    connection.outbox.pace.wait_for_room();
                }
                return;
            }
            let (frame, asked) = match frame {
                ClientFrame::Request(Request { id, frame }) => (*frame, Asked::Numbered(id)),
                frame => (frame, Asked::Plainly),
            };
            let reply = match (frame, asked) {
                (ClientFrame::LogWait(request), Asked::Numbered(number)) => {
                    match self.begin_log_wait(id, number, request, turn) {
                        // It is answered later.
                        Ok(()) => continue,
                        Err(failure) => Err(failure),
                    }
                }
                (frame, asked) => self.request(id, frame, asked, turn),
            };
            self.answer(id, asked, reply);
        }
    }

    fn answer(&mut self, id: ConnectionId, asked: Asked, reply: Reply) {
        if let (Some(frame), Some(connection)) = (asked.reply(reply), self.connections.get_mut(id))
        {
            connection.outbox.queue(|out| frame.encode(out));
        }
    }

    fn bad_request(&mut self, id: ConnectionId, error: &FrameError, turn: &mut Turn<'_>) {
        self.console.counters.bad_frames.add(1);
        let until = turn.now().saturating_add(self.console.config.linger);
        let Some(connection) = self.connections.get_mut(id) else {
            return;
        };
        let name = &self.console.name;
        turn.warn(|| format!("console {name}: {} sent a {error}", connection.identity()));
        let code = ErrorCode::from(error);
        let text = error.to_string();
        let asked = match error {
            FrameError::InEnvelope { id, .. } => Asked::Numbered(*id),
            _ => Asked::Plainly,
        };
        let answer = asked.answer(ServerFrame::Error { code, text });
        connection.outbox.queue(|out| answer.encode(out));
        if error.is_fatal() {
            connection.inbox.close();
            connection.wire = Wire::control();
            if connection.standing.has_session() {
                self.end_session(id, EndReason::Error(error.to_string()), turn);
            } else {
                connection.standing.close(until);
            }
        }
    }

    fn request(
        &mut self,
        id: ConnectionId,
        frame: ClientFrame,
        asked: Asked,
        turn: &mut Turn<'_>,
    ) -> Reply {
        match frame {
            ClientFrame::Hello { version, .. } => self.hello(id, version),
            ClientFrame::Attach(request) => self.attach_this(id, request, asked, turn),
            ClientFrame::AttachDescriptor(request) => self.attach_passed(id, request, asked, turn),
            ClientFrame::Data(bytes) => self.data(id, &bytes, asked, turn),
            ClientFrame::Break => self.break_condition(id, asked, turn),
            ClientFrame::Resize { columns, rows } => self.resize(id, columns, rows, turn),
            ClientFrame::Status => Ok(Some(self.told_status(id, asked, turn))),
            ClientFrame::LogRead(request) => self.log_read(id, request, asked, turn),
            ClientFrame::Detach => self.detach(id, asked, turn),
            ClientFrame::Power(action) => self.power(id, action, turn),
            ClientFrame::Boots => self.boots(id),
            ClientFrame::LineTimes { after, max } => self.line_times(id, after, max),
            ClientFrame::Observers => Ok(Some(self.observers(turn))),
            ClientFrame::SysRq(request) => self.sysrq(id, request, turn),
            ClientFrame::Admission(request) => self.would_admit(id, request, asked, turn),
            // A wait is answered later. A request was taken out of its envelope, which holds no other.
            ClientFrame::LogWait(_) | ClientFrame::Request(_) => {
                fail(ErrorCode::Malformed, "no request that is answered at once")
            }
        }
    }

    /// The first hello that knows more than version 1 is welcomed; others are of no consequence.
    fn hello(&mut self, id: ConnectionId, highest: u16) -> Reply {
        let connection = self.connections.get_mut(id).ok_or(GONE)?;
        let Wire::Control { version, .. } = &mut connection.wire else {
            return Ok(None);
        };
        if *version > 1 || highest < 2 {
            return Ok(None);
        }
        *version = highest.min(VERSION);
        Ok(Some(ServerFrame::Welcome {
            version: *version,
            log: self.console.log.id(),
        }))
    }

    fn data(&mut self, id: ConnectionId, bytes: &[u8], asked: Asked, turn: &mut Turn<'_>) -> Reply {
        self.may_type(id, "no session to type in")?;
        let is_typed = self.type_bytes(id, bytes, turn);
        typed(is_typed, asked)
    }

    fn break_condition(&mut self, id: ConnectionId, asked: Asked, turn: &mut Turn<'_>) -> Reply {
        self.may_type(id, "no session to send BREAK in")?;
        let is_typed = self.type_break(id, turn);
        typed(is_typed, asked)
    }

    /// Input that crossed the end of its session on the way here is nobody's fault. It is void, and
    /// only a request with a number is told so.
    fn may_type(&self, id: ConnectionId, text: &'static str) -> Result<(), Failure> {
        match self.connections.get(id).ok_or(GONE)?.standing.role() {
            Role::Holder(_) | Role::Leaving { .. } | Role::Guest { had_session: true } => Ok(()),
            Role::Guest { had_session: false } | Role::Observer { .. } => {
                fail(ErrorCode::NotAttached, text)
            }
        }
    }

    /// A hint: of no interest from anybody but the holder, nor if it changes nothing.
    fn resize(&mut self, id: ConnectionId, columns: u16, rows: u16, turn: &mut Turn<'_>) -> Reply {
        let connection = self.connections.get_mut(id).ok_or(GONE)?;
        if connection.standing.lease().is_some() && connection.inbox.resize(columns, rows) {
            self.audit(Audited::Resized { columns, rows }, turn);
        }
        Ok(None)
    }

    /// The session ends and the connection goes on. The answer is the frame that tells the end.
    fn detach(&mut self, id: ConnectionId, asked: Asked, turn: &mut Turn<'_>) -> Reply {
        match self.connections.get(id).ok_or(GONE)?.standing.role() {
            Role::Holder(_) | Role::Observer { .. } => {
                self.end_session(id, EndReason::ClientClosed, turn);
                Ok(None)
            }
            // The frame that tells the end is still to come.
            Role::Leaving { .. } => Ok(None),
            Role::Guest { had_session: true } if !asked.has_number() => Ok(None),
            Role::Guest { .. } => fail(ErrorCode::NotAttached, "no session to detach from"),
        }
    }

    pub(super) fn power(
        &mut self,
        id: ConnectionId,
        action: PowerAction,
        turn: &mut Turn<'_>,
    ) -> Reply {
        let Some(power) = self.console.config.power.clone() else {
            let text = "the machine cannot be stopped or started from here";
            return fail(ErrorCode::NotSupported, text);
        };
        let connection = self.connections.get(id).ok_or(GONE)?;
        let admission = self.admission(connection.identity());
        if !admission.permits(Right::Attach) {
            return fail(ErrorCode::NotPermitted, "not permitted");
        }
        if let Some(holder) = self.session.holder()
            && connection.standing.lease().is_none()
        {
            let holder = holder.identity();
            let text = format!("not permitted while {holder} holds the console");
            let code = ErrorCode::NotPermitted;
            return Ok(Some(ServerFrame::Error { code, text }));
        }
        let who = connection.identity().clone();
        self.console.counters.power_requests.add(1);
        self.audit(Audited::Power { who, action }, turn);
        match action {
            PowerAction::Stop => power.stop(),
            PowerAction::Start => power.start(),
            PowerAction::Restart => power.restart(),
            PowerAction::Nmi if power.nmi() => {}
            PowerAction::Nmi => {
                let text = "the machine cannot be sent an NMI from here";
                return fail(ErrorCode::NotSupported, text);
            }
        }
        Ok(None)
    }
}

/// A limit that has passed ends the session, though nobody has noticed yet.
fn typed(is_typed: bool, asked: Asked) -> Reply {
    if is_typed || !asked.has_number() {
        Ok(None)
    } else {
        fail(ErrorCode::NotAttached, "the session is over")
    }
}
