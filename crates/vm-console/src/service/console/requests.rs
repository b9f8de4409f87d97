//! What clients of a control socket ask for: one function for each request that needs one.

use super::ServedConsole;
use super::admission::Admission;
use super::sessions::{Attached, refusal};
use crate::audit::Audited;
use crate::protocol::{
    self, AttachRequest, ClientFrame, ErrorCode, FrameError, PowerAction, ServerFrame,
};
use crate::service::connection::{Connection, Role, Wire};
use crate::service::kernel::ConnectionId;
use crate::service::turn::Turn;
use crate::session::{EndReason, Identity, Right, Transport};
use crate::transport::stream::Socket;

/// Requests of one connection that are carried out before others get their turn.
const REQUESTS_A_TURN: usize = 64;

/// What a request is answered with, if with anything.
pub(super) type Answer = Result<Option<ServerFrame>, Failure>;

/// Why a request is not carried out.
pub(super) struct Failure {
    code: ErrorCode,
    text: &'static str,
}

impl ServedConsole {
    /// Carries out what a connection has asked for, as far as it may now.
    pub(super) fn requests(&mut self, id: ConnectionId, turn: &mut Turn<'_>) {
        for _ in 0..REQUESTS_A_TURN {
            let Some(connection) = self.connections.get_mut(id) else {
                return;
            };
            if !connection.has_request_to_do() {
                return;
            }
            let Wire::Control(decoder) = &mut connection.wire else {
                return;
            };
            let parsed = match decoder.next_frame() {
                Ok(None) => return,
                Ok(Some(frame)) => ClientFrame::parse(frame, 1),
                Err(error) => Err(error),
            };
            match parsed {
                Ok(frame) => {
                    let answer = self.request(id, frame, turn);
                    self.answer(id, answer);
                }
                Err(error) => self.bad_request(id, &error, turn),
            }
        }
    }

    fn answer(&mut self, id: ConnectionId, answer: Answer) {
        let answer = match answer {
            Ok(None) => return,
            Ok(Some(answer)) => answer,
            Err(Failure { code, text }) => {
                let text = text.to_owned();
                ServerFrame::Error { code, text }
            }
        };
        if let Some(connection) = self.connections.get_mut(id) {
            connection.outbox.queue(|out| answer.encode(out));
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
        let answer = ServerFrame::Error { code, text };
        connection.outbox.queue(|out| answer.encode(out));
        if error.is_fatal() {
            connection.inbox.close();
            connection.wire = Wire::Control(protocol::Decoder::default());
            if connection.standing.has_session() {
                self.end_session(id, EndReason::Error(error.to_string()), turn);
            } else {
                connection.standing.close(until);
            }
        }
    }

    fn request(&mut self, id: ConnectionId, frame: ClientFrame, turn: &mut Turn<'_>) -> Answer {
        match frame {
            ClientFrame::Hello { .. } => Ok(None),
            ClientFrame::Attach(request) => self.attach_this(id, &request, turn),
            ClientFrame::AttachDescriptor(request) => self.attach_passed(id, &request, turn),
            ClientFrame::Data(bytes) => self.data(id, &bytes, turn),
            ClientFrame::Break => self.break_condition(id, turn),
            ClientFrame::Resize { columns, rows } => self.resize(id, columns, rows, turn),
            ClientFrame::Status => Ok(Some(ServerFrame::Status(self.status(turn)))),
            ClientFrame::LogRead(request) => self.log_read(id, request, turn),
            ClientFrame::Detach => self.detach(id, turn),
            ClientFrame::Power(action) => self.power(id, action, turn),
            ClientFrame::Request(_) => fail(ErrorCode::NotSupported, "version 2 is not served"),
        }
    }

    fn attach_this(
        &mut self,
        id: ConnectionId,
        request: &AttachRequest,
        turn: &mut Turn<'_>,
    ) -> Answer {
        let connection = self.connections.get_mut(id).ok_or(GONE)?;
        if !matches!(connection.standing.role(), Role::Guest { .. }) {
            return already_attached();
        }
        connection.rename(renamed(connection, Transport::Control, &request.name));
        // Told to the connection by the attach itself, whichever way it goes.
        let _ = self.attach(id, request, turn);
        Ok(None)
    }

    /// Serves the socket that came along, as another connection.
    fn attach_passed(
        &mut self,
        id: ConnectionId,
        request: &AttachRequest,
        turn: &mut Turn<'_>,
    ) -> Answer {
        let connection = self.connections.get_mut(id).ok_or(GONE)?;
        let passed = connection.take_passed();
        if connection.standing.has_session() {
            return already_attached();
        }
        let Some(socket) = passed else {
            return fail(ErrorCode::NotSupported, "no descriptor came along");
        };
        // Anything but a socket can be made blocking by whoever else holds it, and would then stop
        // the service.
        if rustix::net::sockopt::socket_type(&socket) != Ok(rustix::net::SocketType::STREAM) {
            let text = "the descriptor is no stream socket";
            return fail(ErrorCode::NotSupported, text);
        }
        let identity = renamed(connection, Transport::Passed, &request.name);
        if self.connections.len() + 1 >= self.console.config.max_connections {
            return fail(ErrorCode::NotPermitted, "too many connections");
        }
        let stream = Box::new(Socket::new(socket));
        let passed = self.take_in(identity, stream, self.raw(None), turn);
        Ok(Some(match self.attach(passed, request, turn) {
            Ok(Attached { read_only, shown }) => ServerFrame::Attached(protocol::Attached {
                read_only,
                start: shown.0,
                head: shown.1,
                epoch: self.console.log.epoch(),
            }),
            Err(why) => ServerFrame::Refused(refusal(&why, turn.time_of_day())),
        }))
    }

    fn data(&mut self, id: ConnectionId, bytes: &[u8], turn: &mut Turn<'_>) -> Answer {
        match self.connections.get(id).ok_or(GONE)?.standing.role() {
            Role::Holder(_) => {
                self.type_bytes(id, bytes, turn);
                Ok(None)
            }
            // It crossed the end of the session on its way here, which is nobody's fault.
            Role::Leaving { .. } | Role::Guest { had_session: true } => Ok(None),
            Role::Guest { had_session: false } | Role::Observer => {
                fail(ErrorCode::NotAttached, "no session to type in")
            }
        }
    }

    fn break_condition(&mut self, id: ConnectionId, turn: &mut Turn<'_>) -> Answer {
        match self.connections.get(id).ok_or(GONE)?.standing.role() {
            Role::Holder(_) => {
                self.type_break(id, turn);
                Ok(None)
            }
            Role::Leaving { .. } | Role::Guest { had_session: true } => Ok(None),
            Role::Guest { had_session: false } | Role::Observer => {
                fail(ErrorCode::NotAttached, "no session to send BREAK in")
            }
        }
    }

    /// A hint: of no interest from anybody but the holder.
    fn resize(&mut self, id: ConnectionId, columns: u16, rows: u16, turn: &mut Turn<'_>) -> Answer {
        if self
            .connections
            .get(id)
            .ok_or(GONE)?
            .standing
            .lease()
            .is_some()
        {
            self.audit(Audited::Resized { columns, rows }, turn);
        }
        Ok(None)
    }

    /// The session ends and the connection goes on. The answer is the frame that tells the end.
    fn detach(&mut self, id: ConnectionId, turn: &mut Turn<'_>) -> Answer {
        match self.connections.get(id).ok_or(GONE)?.standing.role() {
            Role::Holder(_) | Role::Observer => {
                self.end_session(id, EndReason::ClientClosed, turn);
                Ok(None)
            }
            Role::Leaving { .. } | Role::Guest { had_session: true } => Ok(None),
            Role::Guest { had_session: false } => {
                fail(ErrorCode::NotAttached, "no session to detach from")
            }
        }
    }

    fn power(&mut self, id: ConnectionId, action: PowerAction, turn: &mut Turn<'_>) -> Answer {
        let Some(power) = self.console.config.power.clone() else {
            let text = "the machine cannot be stopped or started from here";
            return fail(ErrorCode::NotSupported, text);
        };
        let connection = self.connections.get(id).ok_or(GONE)?;
        let elsewhere = self.session.holder().is_some() && connection.standing.lease().is_none();
        let admission = Admission {
            console: &self.console.name,
            config: &self.console.config,
            who: connection.identity(),
        };
        if elsewhere || !admission.permits(Right::Attach) {
            let text = "not permitted while somebody else holds the console";
            return fail(ErrorCode::NotPermitted, text);
        }
        let who = connection.identity().clone();
        self.console.counters.power_requests.add(1);
        self.audit(Audited::Power { who, action }, turn);
        match action {
            PowerAction::Stop => power.stop(),
            PowerAction::Start => power.start(),
            PowerAction::Restart => power.restart(),
        }
        Ok(None)
    }
}

/// The client under the name that it gives, its credentials kept.
fn renamed(connection: &Connection, transport: Transport, name: &str) -> Identity {
    let renamed = Identity::new(transport, name);
    match connection.identity().credentials() {
        Some(credentials) => renamed.with_credentials(credentials),
        None => renamed,
    }
}

fn already_attached() -> Answer {
    let text = "there is a session on this connection";
    fail(ErrorCode::AlreadyAttached, text)
}

pub(super) fn fail(code: ErrorCode, text: &'static str) -> Answer {
    Err(Failure { code, text })
}

/// Whoever asked is not there any more, and nobody reads this.
pub(super) const GONE: Failure = Failure {
    code: ErrorCode::NotAttached,
    text: "the connection is gone",
};
