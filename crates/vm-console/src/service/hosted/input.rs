//! What clients type, on its way to the guest.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::audit::Audited;
use crate::escape::Typed;
use crate::line::Input;
use crate::service::client::{Client, Part, Wire};
use crate::service::core::Core;
use crate::session::EndReason;
use crate::transport::stream::Arrived;

use super::Hosted;

/// Reads from one client before others get their turn.
const READS_A_TURN: usize = 4;
/// Bytes read from a client at a time.
const READ: usize = 4096;

impl Hosted {
    /// The peer is gone. What it typed before is still passed on, in bounded time; what it was to read is void.
    pub(super) fn hung_up(&mut self, client: &mut Client, core: &mut Core) {
        client.hung_up = Some(core.now() + self.config().linger);
        match client.lease() {
            Some(lease) => {
                self.session.hang_up(lease);
                self.read_rest(client, core);
            }
            None => self.finish(client, EndReason::ClientClosed, core),
        }
    }

    pub(super) fn read_rest(&mut self, client: &mut Client, core: &mut Core) {
        while client.listens() {
            self.read(client, core);
        }
        if client.typed.is_empty() {
            self.finish(client, EndReason::ClientClosed, core);
        }
    }

    pub(super) fn read(&mut self, client: &mut Client, core: &mut Core) {
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
                    let watches = !client.is_control()
                        && client.has_session()
                        && client.stream.tells_when_closed();
                    if !watches && !matches!(client.part, Part::Leaving(_)) {
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

    pub(super) fn arrived(&mut self, client: &mut Client, bytes: &[u8], core: &mut Core) {
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

    pub(super) fn type_bytes(&mut self, client: &mut Client, bytes: &[u8], core: &mut Core) {
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

    pub(super) fn type_break(&mut self, client: &mut Client, core: &mut Core) {
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
    pub(super) fn pass_on_input(&self, client: &mut Client) {
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
}
