//! Requests to attach: this connection, or a socket that came along.

use super::ServedConsole;
use super::asked::{Asked, Failure, GONE, Reply, fail};
use super::refusal::refusal;
use super::sessions::held;
use crate::log::Start;
use crate::protocol::{Admission, AttachRequest, ErrorCode, ServerFrame};
use crate::service::connection::{Connection, Role};
use crate::service::kernel::ConnectionId;
use crate::service::turn::Turn;
use crate::session::{Identity, Transport};
use crate::transport::shared_socket::SharedSocket;

impl ServedConsole {
    pub(super) fn attach_this(
        &mut self,
        id: ConnectionId,
        request: AttachRequest,
        asked: Asked,
        turn: &mut Turn<'_>,
    ) -> Reply {
        let connection = self.connections.get_mut(id).ok_or(GONE)?;
        if !matches!(connection.standing.role(), Role::Guest { .. }) {
            return already_attached();
        }
        let identity = renamed(connection, Transport::Control, &request.name);
        connection.rename(identity.clone());
        let may_read = self.may_read(&identity);
        let request = self.placed(request, may_read, asked)?;
        Ok(Some(self.attach_as_asked(id, &request, may_read, turn)))
    }

    /// Serves the socket that came along, as another connection that lasts as long as this one.
    pub(super) fn attach_passed(
        &mut self,
        id: ConnectionId,
        request: AttachRequest,
        asked: Asked,
        turn: &mut Turn<'_>,
    ) -> Reply {
        let connection = self.connections.get_mut(id).ok_or(GONE)?;
        // A socket that is not served is closed as one that is.
        let uid = connection.identity().credentials().map(|peer| peer.uid);
        let passed = connection.take_passed();
        let passed = passed.map(|socket| SharedSocket::new(socket, uid));
        if connection.standing.has_session() {
            return already_attached();
        }
        let Some(socket) = passed else {
            let text = "no unix stream socket came along";
            return fail(ErrorCode::NotSupported, text);
        };
        let identity = renamed(connection, Transport::Passed, &request.name);
        if !self.make_room(Some(id), turn) {
            return fail(ErrorCode::NotPermitted, "too many connections");
        }
        let may_read = self.may_read(&identity);
        let request = self.placed(request, may_read, asked)?;
        let passed = self.add_connection(identity, Box::new(socket), self.raw(None, None), turn);
        if let Some(connection) = self.connections.get_mut(passed) {
            connection.passed_by = Some(id);
        }
        Ok(Some(self.attach_as_asked(passed, &request, may_read, turn)))
    }

    /// Answers what an attach of this connection would come to. Nothing happens by it.
    pub(super) fn would_admit(
        &mut self,
        id: ConnectionId,
        request: AttachRequest,
        asked: Asked,
        turn: &mut Turn<'_>,
    ) -> Reply {
        self.catch_up_with_machine(turn);
        let connection = self.connections.get(id).ok_or(GONE)?;
        if !matches!(connection.standing.role(), Role::Guest { .. }) {
            return already_attached();
        }
        let identity = renamed(connection, Transport::Control, &request.name);
        let may_read = self.may_read(&identity);
        let request = self.placed(request, may_read, asked)?;
        let admission = self.admission(&identity);
        let ends = if request.read_only {
            let observers = self.connections.observers();
            let grant = admission.observe(&self.session, may_read, observers);
            grant.map(|_| None)
        } else {
            let ends = admission.would_hold(&self.session, request.force, turn.now());
            ends.map(|holder| holder.map(|holder| held(holder, turn.now())))
        };
        Ok(Some(match ends {
            Ok(ends) => ServerFrame::Admission(Admission { ends }),
            Err(why) => ServerFrame::Refused(refusal(&why, turn.time_of_day())),
        }))
    }

    /// The request with the place where its replay begins. It fails before anybody loses a session.
    fn placed(
        &self,
        request: AttachRequest,
        may_read: bool,
        asked: Asked,
    ) -> Result<AttachRequest, Failure> {
        // A client without the right to read is shown nothing, and told nothing of what is kept.
        let wanted = if may_read { request.replay } else { Start::Now };
        let replay = self.place(wanted, request.log, asked)?;
        Ok(AttachRequest { replay, ..request })
    }

    fn attach_as_asked(
        &mut self,
        id: ConnectionId,
        request: &AttachRequest,
        may_read: bool,
        turn: &mut Turn<'_>,
    ) -> ServerFrame {
        match self.attach(id, request, may_read, turn) {
            Ok(attached) => ServerFrame::Attached(attached),
            Err(why) => ServerFrame::Refused(refusal(&why, turn.time_of_day())),
        }
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

fn already_attached() -> Reply {
    let text = "there is a session on this connection";
    fail(ErrorCode::AlreadyAttached, text)
}
