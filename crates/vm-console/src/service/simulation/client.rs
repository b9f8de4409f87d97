//! A simulated client: what it wants to send, and what it makes of what it gets.

use std::collections::VecDeque;

use super::control_client::{ControlReader, encode};
use super::guest::typed;
use super::net::Net;
use super::raw_client::RawReader;
use super::script::Ask;

/// Bytes that it wants to send at one time; more than that it would not buffer.
const WANTED: usize = 64 << 10;

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent conditions")]
pub(super) struct Client {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) console: usize,
    pub(super) duct: usize,
    pub(super) reader: Reader,
    /// What it wants to send and could not yet.
    wants: VecDeque<u8>,
    /// So many bytes leave it at a time.
    pub(super) dribble: Option<u8>,
    typed: u64,
    /// How much of what it typed the guest has taken.
    pub(super) taken: u64,
    /// What it typed may be dropped without a count: it typed without a session.
    pub(super) typed_in_vain: bool,
    pub(super) can_type: bool,
    /// It has closed its end, or a half of it.
    pub(super) left: bool,
    /// The service has closed its end, and all before was received.
    pub(super) at_end: bool,
    /// The pty that it came through.
    pub(super) pty: Option<usize>,
}

#[derive(Debug)]
pub(super) enum Reader {
    Raw(RawReader),
    Control(Box<ControlReader>),
}

impl Client {
    pub(super) fn new(index: usize, console: usize, duct: usize, reader: Reader) -> Self {
        Self {
            name: format!("c{index}"),
            index,
            console,
            duct,
            reader,
            wants: VecDeque::new(),
            dribble: None,
            typed: 0,
            taken: 0,
            typed_in_vain: false,
            can_type: true,
            left: false,
            at_end: false,
            pty: None,
        }
    }

    /// Takes the place of one that is gone, some of whose input may still be on its way.
    pub(super) fn follows(&mut self, last: &Self) {
        self.typed = last.typed;
        self.taken = last.taken;
        self.typed_in_vain = true;
        self.can_type |= last.can_type;
    }

    pub(super) fn types(&mut self, count: u16) {
        if matches!(self.reader, Reader::Control(_)) {
            return self.asks(Ask::Data(count));
        }
        if self.left || self.wants.len() > WANTED {
            return;
        }
        for _ in 0..count {
            self.wants.push_back(typed(self.index, self.typed));
            self.typed += 1;
        }
    }

    pub(super) fn asks(&mut self, ask: Ask) {
        let Reader::Control(reader) = &mut self.reader else {
            return;
        };
        if self.left || self.wants.len() > WANTED {
            return;
        }
        if matches!(ask, Ask::HelloTwo | Ask::HelloThree) && reader.numbers_requests() {
            return;
        }
        if matches!(ask, Ask::Attach { .. }) {
            // A session before this one may have ended while it typed.
            self.typed_in_vain |= self.typed > 0;
        }
        if matches!(ask, Ask::Data(_)) {
            self.typed_in_vain |= reader.session.is_none_or(|session| session.read_only);
        }
        let (index, count) = (self.index, &mut self.typed);
        let number = reader.asks(ask);
        let bytes = encode(ask, number, &self.name, || {
            *count += 1;
            typed(index, *count - 1)
        });
        self.wants.extend(bytes);
    }

    /// Sends what it can.
    pub(super) fn flush(&mut self, net: &mut Net) -> u64 {
        let most = self.dribble.map_or(usize::MAX, usize::from);
        let most = most.min(self.wants.len());
        let (front, back) = self.wants.as_slices();
        let duct = &mut net.ducts[self.duct];
        let mut sent = duct.send(&front[..front.len().min(most)]);
        if sent == front.len() && sent < most {
            sent += duct.send(&back[..most - sent]);
        }
        self.wants.drain(..sent);
        sent as u64
    }

    /// Receives at most so many bytes, and checks them.
    pub(super) fn receive(&mut self, most: usize, net: &mut Net) -> Result<u64, String> {
        if self.left && !net.ducts[self.duct].client_open {
            return Ok(0);
        }
        let Some(bytes) = net.ducts[self.duct].receive(most) else {
            self.at_end = true;
            return Ok(0);
        };
        match &mut self.reader {
            Reader::Raw(reader) => reader.feed(&bytes),
            Reader::Control(reader) => {
                reader.now = net.now;
                reader.feed(&bytes)
            }
        }
        .map_err(|what| format!("client {}: {what}", self.name))?;
        Ok(bytes.len() as u64)
    }

    pub(super) fn half_close(&mut self, net: &mut Net) {
        if self.pty.is_none() {
            self.left = true;
            self.wants.clear();
            net.ducts[self.duct].half_close();
        }
    }

    pub(super) fn close(&mut self, net: &mut Net) {
        self.left = true;
        self.wants.clear();
        match self.pty {
            Some(door) => {
                let door = &mut net.doors[door];
                if door.pair == Some(self.duct) && door.present {
                    door.present = false;
                    door.changed = true;
                }
            }
            None => net.ducts[self.duct].close(),
        }
    }

    /// Opens its pty once more.
    pub(super) fn reopen(&mut self) {
        self.left = false;
        self.at_end = false;
        // What it typed before may have found no session.
        self.typed_in_vain = true;
        if let Reader::Raw(reader) = &mut self.reader {
            reader.lose_place();
        }
    }

    /// Whether all that it wants to say is said and read.
    pub(super) fn is_read(&self, net: &Net) -> bool {
        self.wants.is_empty() && net.ducts[self.duct].is_read()
    }
}
