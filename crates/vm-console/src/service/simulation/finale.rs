//! How a run ends: all comes to rest, everybody is served, and everything is given back.

use std::time::Duration;

use crossbeam_channel::TryRecvError;

use super::client::Reader;
use super::net::{Nature, Node, lock};
use super::script::Way;
use super::world::{Broken, World};
use crate::log::GapPolicy;
use crate::service::kernel::ConsoleId;

/// Events in which nothing moves, until a service that has nothing new to do must rest.
const EVENTS: u64 = 5000;
/// Alarms after which a service that has nothing new to do must need no more.
const ALARMS: usize = 1000;
/// In this time everybody who reads is served. Longer than any pause of the service's.
const PATIENCE: Duration = Duration::from_secs(10);

impl World {
    pub(super) fn finale(&mut self, clients_act: bool) -> Result<(), Broken> {
        // Nobody does anything, whatever has gone wrong by now.
        self.rest(false)?;
        self.lift();
        self.serve_all()?;
        self.idle()?;
        self.end_all(clients_act)
    }

    /// Hands over events until there are none.
    fn rest(&mut self, clients_act: bool) -> Result<(), Broken> {
        let mut idle_events = 0;
        loop {
            let moved = if clients_act { self.act()? } else { 0 };
            let before = self.tally.events;
            while self.handle_one(0)? {
                idle_events += 1;
                if idle_events > EVENTS {
                    return Err(self.restless());
                }
                if lock(&self.net).work.bytes > 0 {
                    idle_events = idle_events.saturating_sub(10);
                }
            }
            if moved == 0 && self.tally.events == before {
                return Ok(());
            }
            if moved > 0 {
                idle_events = 0;
            }
        }
    }

    fn restless(&mut self) -> Broken {
        self.kernel.collect();
        let net = lock(&self.net);
        let due = net.batch.iter();
        let due: Vec<_> = due.map(|(_, what, ready)| (what, ready)).collect();
        format!("it does not come to rest: {due:?}")
    }

    fn lift(&mut self) {
        let mut net = lock(&self.net);
        net.spare = None;
        net.failing_watches = 0;
        net.cost = Duration::ZERO;
        net.ducts.iter_mut().for_each(super::net::Duct::lift);
        for client in &mut self.clients {
            client.dribble = None;
        }
    }

    /// Clients send and receive what they can, guests take their input. How many bytes moved.
    fn act(&mut self) -> Result<u64, Broken> {
        let mut moved = 0;
        {
            let net = &mut lock(&self.net);
            for client in &mut self.clients {
                moved += client.flush(net) + client.receive(usize::MAX, net)?;
            }
        }
        for console in 0..self.consoles.len() {
            moved += self.take_input(console, usize::MAX)?;
        }
        Ok(moved)
    }

    fn has_rate(&self) -> bool {
        self.consoles.iter().any(|guest| guest.rules.rate.is_some())
    }

    /// Those who read are shown everything, and those who asked are answered.
    fn serve_all(&mut self) -> Result<(), Broken> {
        let until = lock(&self.net).now + PATIENCE;
        loop {
            self.rest(true)?;
            let alarm = lock(&self.net).alarm;
            if alarm.is_none_or(|at| at > until && !self.waits_for_output()) {
                break;
            }
            self.pass_to_alarm();
        }
        self.check_doors()?;
        for client in 0..self.clients.len() {
            self.check_client(client)?;
        }
        for (index, guest) in self.consoles.iter().enumerate() {
            let held = self.is_held(index);
            if guest.rules.carrier && !guest.removed && guest.port.carrier() != held {
                return Err(format!("the session is {held}, and the carrier is not"));
            }
        }
        Ok(())
    }

    /// Whether a client waits for output that does not come, before it is answered what it asked
    /// later.
    fn waits_for_output(&self) -> bool {
        self.clients.iter().any(|client| {
            let has_rate = self.consoles[client.console].rules.rate.is_some();
            let is_there = !client.left && !client.at_end && !has_rate;
            match &client.reader {
                Reader::Control(reader) => is_there && !reader.is_over && reader.waits_for_output(),
                Reader::Raw(_) => false,
            }
        })
    }

    fn is_held(&self, console: usize) -> bool {
        let mut served = self.served.iter().enumerate();
        served.any(|(id, served)| {
            *served == console
                && self
                    .desk
                    .served(ConsoleId(id as u64))
                    .is_some_and(crate::service::console::ServedConsole::is_held)
        })
    }

    fn check_doors(&self) -> Result<(), Broken> {
        let net = lock(&self.net);
        for guest in &self.consoles {
            for (way, door) in guest.doors.iter().enumerate() {
                let door = &net.doors[*door];
                if door.open && Way::ALL[way] == Way::Pty && door.pair.is_none() {
                    return Err("there is no pty any more".into());
                }
                if door.open && (door.changed || !door.backlog.is_empty()) {
                    return Err(format!("a client of way {way} waits to be let in"));
                }
            }
        }
        Ok(())
    }

    /// Whether the connection of a client is there, and whether it has a session.
    fn standing(&self, duct: usize) -> Option<bool> {
        let net = lock(&self.net);
        let consoles = self.desk.all_served();
        let mut states =
            consoles.flat_map(crate::service::console::ServedConsole::connection_states);
        let leads_here = |descriptor| match net.node(descriptor) {
            Some(Node::Both(to) | Node::In(to) | Node::Mailbox(to)) => to == duct,
            _ => false,
        };
        states
            .find(|state| leads_here(state.descriptor))
            .map(|state| state.has_session)
    }

    fn check_client(&self, client: usize) -> Result<(), Broken> {
        let client = &self.clients[client];
        if client.left {
            return Ok(());
        }
        let name = &client.name;
        let rules = &self.consoles[client.console].rules;
        let head = self.consoles[client.console].log.head();
        let standing = self.standing(client.duct);
        let Some(has_session) = standing else {
            return match &client.reader {
                Reader::Control(reader)
                    if !client.at_end
                        && !reader.is_over
                        && !self.consoles[client.console].removed =>
                {
                    Err(format!(
                        "client {name} is not there any more, and was not told"
                    ))
                }
                _ => Ok(()),
            };
        };
        if rules.rate.is_some() {
            return Ok(());
        }
        let ends = lock(&self.net).ducts[client.duct].nature() == Nature::Regular;
        if !ends && !client.is_read(&lock(&self.net)) {
            return Err(format!("what client {name} sent is not read"));
        }
        match &client.reader {
            Reader::Raw(reader) => {
                // A silent gap at the end does not show.
                let knows = reader.knows_place() && rules.gaps != GapPolicy::Silent;
                if has_session && knows && reader.next != Some(head) {
                    return Err(format!("client {name} is at {:?} of {head}", reader.next));
                }
            }
            Reader::Control(reader) => {
                if let Some(ask) = reader.unanswered()
                    && !reader.is_over
                {
                    return Err(format!("client {name} is not answered: {ask:?}"));
                }
                if reader.session.is_some() != has_session {
                    return Err(format!("client {name} is told wrong of its session"));
                }
                let behind = reader.session.is_some_and(|session| session.next != head);
                if behind && rules.gaps != GapPolicy::Silent {
                    return Err(format!(
                        "client {name} is at {:?} of {head}",
                        reader.session
                    ));
                }
            }
        }
        Ok(())
    }

    /// With nothing new to do, it asks for no more alarms than there are limits to come.
    fn idle(&mut self) -> Result<(), Broken> {
        for _ in 0..ALARMS {
            self.rest(true)?;
            if !self.pass_to_alarm() {
                return Ok(());
            }
        }
        if self.has_rate() {
            return Ok(());
        }
        Err("it sets its alarm for ever".into())
    }

    fn end_all(&mut self, clients_act: bool) -> Result<(), Broken> {
        let in_session: Vec<usize> = (0..self.clients.len())
            .filter(|client| {
                let client = &self.clients[*client];
                !client.left && self.standing(client.duct) == Some(true)
            })
            .collect();
        self.service.shut_down();
        for _ in 0..ALARMS {
            self.rest(clients_act)?;
            if !self.pass_to_alarm() {
                break;
            }
        }
        if self.desk.consoles() > 0 || !self.service.is_finished() {
            return Err("it does not finish".into());
        }
        if clients_act && !self.has_rate() {
            // What it left under way.
            self.act()?;
            for client in in_session {
                self.check_farewell(client)?;
            }
        }
        self.check_given_back()
    }

    fn check_farewell(&self, client: usize) -> Result<(), Broken> {
        let client = &self.clients[client];
        let rules = &self.consoles[client.console].rules;
        // Nobody waits for a client to read if that is the rule.
        if rules.linger == 0 {
            return Ok(());
        }
        let told = match &client.reader {
            Reader::Raw(reader) => reader.told_over || !rules.notices || !reader.knows_place(),
            Reader::Control(reader) => reader.session.is_none(),
        };
        if told && client.at_end {
            return Ok(());
        }
        let name = &client.name;
        Err(format!(
            "client {name} is not told that it is over: {client:?}"
        ))
    }

    fn check_given_back(&self) -> Result<(), Broken> {
        let net = lock(&self.net);
        if let Some(broken) = &net.broken {
            return Err(broken.clone());
        }
        if !net.watched.is_empty() {
            return Err(format!("still watched: {:?}", net.watched));
        }
        let open = net.open_count();
        if open > 0 {
            return Err(format!("{open} descriptors are still open"));
        }
        if net.alarm.is_some() {
            return Err("the alarm is still set".into());
        }
        for guest in &self.consoles {
            if guest.port.visit(|line| line.transmit(&[b'.'; 5000])) != 5000 {
                return Err("the guest's output is still held".into());
            }
        }
        for attachment in &self.attachments {
            let outcome = attachment.outcome();
            let told = outcome.try_recv();
            let again = outcome.try_recv();
            if told == Err(TryRecvError::Empty) || again.is_ok() {
                return Err(format!("an attach ends as {told:?}, {again:?}"));
            }
        }
        if self.statuses_left() {
            return Err("a question for the status is not answered".into());
        }
        Ok(())
    }
}
