//! A client's descriptors of any kind, read and written without waiting.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

/// A client's input and output. No method may wait, whatever the peer does.
pub(crate) trait Stream: fmt::Debug + Send {
    /// The descriptor for input, and the one for output if it is another.
    fn descriptors(&self) -> (RawFd, Option<RawFd>);

    /// Reads once.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrived>;

    /// Whether another thread receives now. The descriptor for input tells when it has done so, also
    /// after the peer has hung up.
    fn is_receiving(&self) -> bool {
        false
    }

    /// Writes once, and returns how many bytes were taken: 0 if none can be taken now.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Takes out the descriptor that came with the bytes read so far, if any.
    fn take_passed(&mut self) -> Option<OwnedFd> {
        None
    }

    /// Whether there is input that was not read, so that closing it may take long.
    fn has_unread(&self) -> bool {
        false
    }

    /// Whether the descriptor for output tells of input, too, because that for input does not yet.
    fn output_tells_of_input(&self) -> bool {
        false
    }

    /// Whether a peer that has closed everything can be told from one that has only closed its
    /// sending side.
    fn tells_when_closed(&self) -> bool;

    /// Whether only the input has hung up, so that output still reaches the peer.
    fn has_lost_input_only(&self) -> bool {
        false
    }

    /// Makes room for a few last bytes, where the buffer for output is on this side, or was kept.
    fn make_room(&mut self) {}

    /// Tells the peer that nothing more will be written. Returns whether the peer can answer by
    /// closing, so that waiting for that makes sense.
    fn finish_output(&mut self) -> bool;
}

/// The outcome of one read.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// So many bytes, never 0.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// Nothing yet, though there may be something: another thread receives it.
    Later,
    /// The end: nothing will ever come.
    End,
}

/// A non-blocking file for both input and output: the master of a pty.
#[derive(Debug)]
pub(crate) struct File(pub(crate) OwnedFd);

impl Stream for File {
    fn descriptors(&self) -> (RawFd, Option<RawFd>) {
        (self.0.as_raw_fd(), None)
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        arrived(rustix::io::read(&self.0, buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        taken(rustix::io::write(&self.0, bytes))
    }

    fn tells_when_closed(&self) -> bool {
        true
    }

    fn finish_output(&mut self) -> bool {
        false
    }
}

/// A non-blocking file each for input and output: a terminal, or pipes.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) input: OwnedFd,
    pub(crate) output: OwnedFd,
}

impl Stream for Files {
    fn descriptors(&self) -> (RawFd, Option<RawFd>) {
        (self.input.as_raw_fd(), Some(self.output.as_raw_fd()))
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        arrived(rustix::io::read(&self.input, buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        taken(rustix::io::write(&self.output, bytes))
    }

    fn has_lost_input_only(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        // A reader of a pipe that is gone is an error at its writer's end.
        let gone = PollFlags::HUP | PollFlags::ERR;
        let mut output = [PollFd::new(&self.output, PollFlags::empty())];
        let at_once = Timespec::default();
        poll(&mut output, Some(&at_once)).is_ok() && !output[0].revents().intersects(gone)
    }

    fn tells_when_closed(&self) -> bool {
        true
    }

    fn finish_output(&mut self) -> bool {
        false
    }
}

pub(super) fn arrived(read: Result<usize, Errno>) -> io::Result<Arrived> {
    match read {
        Ok(0) => Ok(Arrived::End),
        Ok(n) => Ok(Arrived::Bytes(n)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(Arrived::Nothing),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn taken(written: Result<usize, Errno>) -> io::Result<usize> {
    match written {
        Ok(n) => Ok(n),
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}
