//! What must hold after each event.

use std::time::Duration;

use super::client::Reader;
use super::control_client::End;
use super::net::{Node, lock};
use super::world::{Broken, World};
use crate::audit::Audited;
use crate::service::kernel::{ConsoleId, Watched};
use crate::session::{EndReason, Identity};

/// The most that waits to be sent to one connection: an answer of 64 KiB behind almost as much.
const OUTBOX: usize = 400 << 10;
/// The most that waits for the guest: what one frame carries.
const INBOX: usize = 140 << 10;
/// The most that waits to be understood: one frame, and what was read with its end.
const UNDECODED: usize = 160 << 10;
/// The most that one event may move, and the most calls that it may make.
const BYTES: u64 = 8 << 20;
const CALLS: u64 = 4000;

impl World {
    pub(super) fn check(&mut self, what: Watched) -> Result<(), Broken> {
        let (work, broken) = {
            let net = lock(&self.net);
            (net.work, net.broken.clone())
        };
        if let Some(broken) = broken {
            return Err(broken);
        }
        self.tally.most_bytes = self.tally.most_bytes.max(work.bytes);
        self.tally.most_calls = self.tally.most_calls.max(work.calls);
        if work.bytes > BYTES || work.calls > CALLS {
            return Err(format!("one event ({what:?}) costs {work:?}"));
        }
        self.check_audit()?;
        match what {
            Watched::Console(id, _) => self.check_console(self.served[id.0 as usize]),
            Watched::Commands | Watched::Alarm => {
                (0..self.consoles.len()).try_for_each(|console| self.check_console(console))
            }
        }
    }

    /// The auditor is told of one holder at a time, and of each end once.
    fn check_audit(&mut self) -> Result<(), Broken> {
        while let Ok(event) = self.service.audit().try_recv() {
            let index = event.console.strip_prefix("vm");
            let index: usize = index.and_then(|index| index.parse().ok()).unwrap_or(0);
            let head = self.consoles[index].log.head();
            let counters = self.consoles[index].handle.console().counters();
            if counters.audit_lost > 0 {
                // There were too many, and what is missing cannot be told.
                continue;
            }
            match event.what {
                Audited::Attached { .. } => {
                    if std::mem::replace(&mut self.consoles[index].is_held, true) {
                        return Err("a session begins while there is one".into());
                    }
                    self.tally.sessions += 1;
                }
                Audited::Ended { who, why, .. } => {
                    if !std::mem::take(&mut self.consoles[index].is_held) {
                        return Err("a session ends that did not begin".into());
                    }
                    self.note_end(&who, &why, head);
                }
                Audited::ObserverLeft { who, why } => self.note_end(&who, &why, head),
                _ => {}
            }
        }
        Ok(())
    }

    fn note_end(&mut self, who: &Identity, why: &EndReason, head: u64) {
        let mut clients = self.clients.iter_mut();
        if let Some(client) = clients.find(|client| client.name == who.name())
            && let Reader::Control(reader) = &mut client.reader
        {
            let linger = Duration::from_millis(self.consoles[client.console].rules.linger);
            let drains = why.lets_output_drain();
            reader.ended(End {
                drains_to: if drains { head } else { 0 },
                until: lock(&self.net).now + linger,
            });
        }
    }

    fn check_console(&mut self, console: usize) -> Result<(), Broken> {
        let (mut held, mut holders, mut inboxes) = (0u64, 0u64, 0u64);
        for (id, served) in self.served.iter().enumerate() {
            if *served != console {
                continue;
            }
            let Some(served) = self.desk.served(ConsoleId(id as u64)) else {
                continue;
            };
            held += u64::from(served.is_held());
            for state in served.connection_states() {
                holders += u64::from(state.holds);
                inboxes += state.inbox as u64;
                let memory = state.outbox + 2 * state.inbox + state.undecoded;
                self.tally.most_memory = self.tally.most_memory.max(memory as u64);
                if state.outbox > OUTBOX || state.inbox > INBOX || state.undecoded > UNDECODED {
                    return Err(format!("a connection grows: {state:?}"));
                }
                let net = lock(&self.net);
                let Some(Node::Both(duct) | Node::In(duct) | Node::Mailbox(duct)) =
                    net.node(state.descriptor)
                else {
                    return Err("a connection has a descriptor that is none".into());
                };
                if let Some(from) = state.shown_from
                    && let Some(client) = self.clients.iter_mut().find(|c| c.duct == duct)
                    && let Reader::Raw(reader) = &mut client.reader
                {
                    reader.begins_at(from);
                }
            }
        }
        if held > 1 || held != holders {
            return Err(format!("{held} sessions have {holders} holders"));
        }
        let guest = &self.consoles[console];
        let counters = guest.handle.console().counters();
        if counters.audit_lost > 0 {
            for client in &mut self.clients {
                if let Reader::Control(reader) = &mut client.reader {
                    reader.auditor_misses |= client.console == console;
                }
            }
        }
        let ended: u64 = counters.ended.iter().sum();
        if counters.attaches != ended + held {
            return Err(format!(
                "{} sessions, {ended} ends, {held} held",
                counters.attaches
            ));
        }
        let waiting = guest.port.visit(|line| line.input_waiting() as u64) + inboxes;
        let typed = counters.input + counters.breaks;
        let known = counters.input_taken + counters.input_discarded + waiting;
        if typed != known {
            return Err(format!("{typed} characters typed, {known} accounted for"));
        }
        Ok(())
    }
}
