//! The log of a living console, over its control socket.

use std::thread;
use std::time::Duration;

use vm_console::client::{ClientError, ControlClient};
use vm_console::protocol::{Boots, LineTimes, MachineState};
use vm_console::{LogId, Start};

use super::{LogSource, Piece, SourceError, Span};

/// A log that a console's service reads to us. This takes no observer's place.
#[derive(Debug)]
pub(crate) struct SocketSource {
    client: ControlClient,
    /// The machine as the last wait has left it.
    known: Option<MachineState>,
}

/// Between two looks at a service that is too old to say when there is news.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

impl SocketSource {
    pub(crate) fn new(client: ControlClient) -> Self {
        Self {
            client,
            known: None,
        }
    }

    fn known(&mut self) -> Result<MachineState, SourceError> {
        if let Some(known) = self.known {
            return Ok(known);
        }
        let status = self.client.status()?;
        let known = MachineState {
            epoch: status.epoch,
            powered: status.powered,
        };
        Ok(*self.known.insert(known))
    }
}

impl LogSource for SocketSource {
    fn id(&self) -> Option<LogId> {
        self.client.log()
    }

    fn is_file(&self) -> bool {
        false
    }

    fn span(&mut self) -> Result<Span, SourceError> {
        let data = self.client.read_log(Start::Now, 0)?;
        Ok(Span {
            oldest: data.oldest,
            head: data.head,
            epoch: data.epoch,
        })
    }

    fn read(&mut self, at: u64, room: &mut [u8]) -> Result<Piece, SourceError> {
        let max = u32::try_from(room.len()).unwrap_or(u32::MAX);
        let data = self.client.read_log(Start::Offset(at), max)?;
        if data.start > at {
            return Ok(Piece::Lost { to: data.start });
        }
        let count = data.bytes.len().min(room.len());
        if count == 0 || data.start < at {
            return Ok(Piece::End);
        }
        room[..count].copy_from_slice(&data.bytes[..count]);
        Ok(Piece::Bytes(count))
    }

    fn boots(&mut self) -> Result<Boots, SourceError> {
        Ok(self.client.boots()?)
    }

    fn line_times(&mut self, after: u64) -> Result<LineTimes, SourceError> {
        Ok(self.client.line_times(after, u32::MAX)?)
    }

    fn wait(&mut self, at: u64, limit: Duration) -> Result<(), SourceError> {
        let known = self.known()?;
        match self.client.wait_log(Start::Offset(at), 1, known, limit) {
            Ok(news) => {
                self.known = Some(news.machine());
                Ok(())
            }
            Err(ClientError::OldService { .. }) => {
                thread::sleep(BETWEEN_LOOKS.min(limit));
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}
