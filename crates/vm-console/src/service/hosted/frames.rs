//! What clients of a control socket ask for.

use crate::audit::Audited;
use crate::log::{Read, Start};
use crate::protocol::{
    AttachRequest, ClientFrame, Decoder, FrameError, Held, LogData, PowerAction, ServerFrame,
    Status, error_code,
};
use crate::service::client::{Client, Part, Wire};
use crate::service::core::Core;
use crate::session::{EndReason, Identity, Right, Transport};
use crate::transport::stream::Stream;

use super::Hosted;
use super::sessions::refusal;

/// Most bytes in the answer to one log read.
const LOG_READ: usize = 64 << 10;

impl Hosted {
    pub(super) fn frames(&mut self, client: &mut Client, core: &mut Core) {
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

    pub(super) fn bad_frame(&mut self, client: &mut Client, error: &FrameError, core: &mut Core) {
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

    pub(super) fn frame(&mut self, client: &mut Client, frame: ClientFrame, core: &mut Core) {
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
            // A hint: of no interest from anybody but the holder.
            ClientFrame::Resize { columns, rows } => {
                if client.lease().is_some() {
                    self.audit(core, Audited::Resized { columns, rows });
                }
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

    pub(super) fn attach_descriptor(
        &mut self,
        client: &mut Client,
        request: &AttachRequest,
        core: &mut Core,
    ) {
        let Wire::Control { passed, .. } = &mut client.wire else {
            return;
        };
        let passed = passed.take();
        if client.has_session() {
            let text = "there is a session on this connection";
            return fail(client, error_code::ALREADY_ATTACHED, text);
        }
        let Some(socket) = passed else {
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
        let answer = match self.attach(&mut other, request, core) {
            None => ServerFrame::Attached {
                read_only: other.part == Part::Observer,
                start: other.resume_offset(),
                head: other.live_from(),
                epoch: self.console.log.epoch(),
            },
            Some(why) => ServerFrame::Refused(refusal(&why)),
        };
        client.answer(&answer);
        self.take_in(other);
    }

    pub(super) fn power(&mut self, client: &mut Client, action: PowerAction, core: &mut Core) {
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

    pub(super) fn read_log(
        &mut self,
        client: &mut Client,
        id: u32,
        start: Start,
        max: u32,
        core: &mut Core,
    ) {
        if !self.session.boot_log_is_on() || !self.permits(&client.identity, Right::ReadLog) {
            return fail(
                client,
                error_code::NOT_PERMITTED,
                "no right to read the log, or it is off",
            );
        }
        let log = &self.console.log;
        let mut cursor = log.cursor(start);
        let asked = match start {
            Start::Offset(offset) => offset.min(log.head()),
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

    pub(super) fn held(&self, core: &Core) -> Option<Held> {
        self.session.holder().map(|holder| Held {
            by: holder.identity().to_string(),
            held_for: core.now().saturating_sub(holder.since()),
            idle_for: core.now().saturating_sub(holder.last_input()),
        })
    }

    pub(in crate::service) fn status(&self, core: &Core) -> Status {
        self.status_with(core, None)
    }

    /// `current` is a client that is being handled and so is not among the others.
    pub(super) fn status_with(&self, core: &Core, current: Option<&Client>) -> Status {
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
