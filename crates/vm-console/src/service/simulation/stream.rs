//! The service's end of a simulated connection.

use std::io;
use std::os::fd::RawFd;

use rustix::io::Errno;

use super::net::{Nature, Node, Shared, lock};
use crate::transport::stream::{Arrived, Stream};

#[derive(Debug)]
pub(super) struct SimulatedStream {
    net: Shared,
    duct: usize,
    descriptors: (RawFd, Option<RawFd>),
}

impl SimulatedStream {
    /// # Errors
    /// No descriptor is left.
    pub(super) fn open(net: &Shared, duct: usize) -> io::Result<Self> {
        let mut table = lock(net);
        let descriptors = match table.ducts[duct].nature() {
            Nature::Socket | Nature::Tcp | Nature::Pty => (table.open(Node::Both(duct))?, None),
            nature @ (Nature::Shared | Nature::Pipes | Nature::Regular) => {
                let input = table.open(match nature {
                    Nature::Shared => Node::Mailbox(duct),
                    _ => Node::In(duct),
                })?;
                match table.open(Node::Out(duct)) {
                    Ok(output) => (input, Some(output)),
                    Err(error) => {
                        table.close(input);
                        return Err(error);
                    }
                }
            }
        };
        drop(table);
        Ok(Self {
            net: net.clone(),
            duct,
            descriptors,
        })
    }
}

impl Stream for SimulatedStream {
    fn descriptors(&self) -> (RawFd, Option<RawFd>) {
        self.descriptors
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        let mut net = lock(&self.net);
        net.called();
        let duct = &mut net.ducts[self.duct];
        let read = if duct.nature() == Nature::Shared {
            let Some(taken) = duct.take(buffer) else {
                return Ok(Arrived::Later);
            };
            taken
        } else {
            duct.read(buffer)
        };
        match read {
            Ok(0) => Ok(Arrived::End),
            Ok(count) => {
                net.work.bytes += count as u64;
                Ok(Arrived::Bytes(count))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Arrived::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    fn is_receiving(&self) -> bool {
        lock(&self.net).ducts[self.duct].is_receiving()
    }

    fn has_unread(&self) -> bool {
        !lock(&self.net).ducts[self.duct].is_read()
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut net = lock(&self.net);
        net.called();
        match net.ducts[self.duct].write(bytes) {
            Ok(count) => {
                net.work.bytes += count as u64;
                Ok(count)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    fn tells_when_closed(&self) -> bool {
        lock(&self.net).ducts[self.duct].nature() != Nature::Tcp
    }

    fn make_room(&mut self) {
        let mut net = lock(&self.net);
        net.called();
        net.ducts[self.duct].make_room();
    }

    fn finish_output(&mut self) -> bool {
        let mut net = lock(&self.net);
        net.called();
        net.ducts[self.duct].finish()
    }
}

impl Drop for SimulatedStream {
    fn drop(&mut self) {
        let mut net = lock(&self.net);
        net.called();
        let (input, output) = self.descriptors;
        net.close(input);
        if let Some(output) = output {
            net.close(output);
        }
        // A pty's pair stays until another takes its place.
        if net.ducts[self.duct].nature() != Nature::Pty {
            net.ducts[self.duct].served = false;
        }
    }
}
