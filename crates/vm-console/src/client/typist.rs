//! Typing on a connection that somebody else reads from.

use std::io;

use super::sender::Sender;
use crate::protocol::{ClientFrame, FRAME_LIMIT};

/// Bytes typed in one frame.
const TYPED: usize = FRAME_LIMIT / 2;

/// Types on a connection while somebody else reads from it.
#[derive(Debug)]
pub struct Typist {
    sender: Sender,
}

impl Typist {
    pub(super) fn new(sender: Sender) -> Self {
        Self { sender }
    }

    /// Types bytes. Blocks while the guest does not read.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn type_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        for chunk in bytes.chunks(TYPED) {
            self.sender.send(&ClientFrame::Data(chunk.to_vec()), None)?;
        }
        Ok(())
    }

    /// Sends BREAK; with a Linux guest the first half of a SysRq.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send_break(&mut self) -> io::Result<()> {
        self.sender.send(&ClientFrame::Break, None)
    }

    /// Tells the size of the window.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn resize(&mut self, columns: u16, rows: u16) -> io::Result<()> {
        self.sender
            .send(&ClientFrame::Resize { columns, rows }, None)
    }

    /// Asks for the end of the session; it comes as a frame.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn detach(&mut self) -> io::Result<()> {
        self.sender.send(&ClientFrame::Detach, None)
    }
}
