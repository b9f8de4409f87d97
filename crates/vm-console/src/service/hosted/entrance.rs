//! Ways in: listeners, the pty, descriptors.

use std::time::Duration;

use crossbeam_channel::Sender;
use event_manager::{EventOps, EventSet};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::audit::Audited;
use crate::protocol::{AttachRequest, Decoder, ServerFrame, VERSION, error_code};
use crate::rate::TokenBucket;
use crate::service::client::{Client, Wire};
use crate::service::core::{Core, Role};
use crate::service::handle::Outcome;
use crate::session::{Credentials, Identity, Transport};
use crate::transport::pty::SETTLE;
use crate::transport::stdio::FdClient;
use crate::transport::stream::Stream;
use crate::transport::{Kind, Source};

use super::{Hosted, HostedListener};

/// Connections accepted before others get their turn.
const ACCEPTS_A_TURN: usize = 16;
/// How long a listener waits when descriptors have run out, unless one is freed here.
const LISTENER_PAUSE: Duration = Duration::from_secs(1);

impl Hosted {
    pub(in crate::service) fn on_listener(
        &mut self,
        index: usize,
        core: &mut Core,
        ops: &mut EventOps<'_>,
    ) {
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
    pub(super) fn accept(&mut self, index: usize, core: &mut Core, ops: &mut EventOps<'_>) -> bool {
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
    pub(super) fn turn_away(&self, mut client: Client, admitted: bool) {
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

    pub(super) fn on_pty(&mut self, index: usize, present: bool, core: &mut Core) {
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

    pub(in crate::service) fn attach_files(
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

    pub(super) fn client(
        &mut self,
        identity: Identity,
        stream: Stream,
        wire: Wire,
        core: &Core,
    ) -> Client {
        let bucket = self
            .config()
            .rate_limit
            .map(|limit| TokenBucket::new(limit, core.now()));
        Client::new(identity, stream, wire, bucket)
    }

    pub(super) fn take_in(&mut self, client: Client) {
        self.clients.insert(self.next_client, client);
        self.next_client = self.next_client.wrapping_add(1);
    }

    /// A pty's client is gone: by itself, or because it is to go.
    pub(super) fn pty_is_free(
        &mut self,
        index: usize,
        left: bool,
        core: &mut Core,
        ops: &mut EventOps<'_>,
    ) {
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
}
