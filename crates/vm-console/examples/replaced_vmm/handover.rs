//! What goes from a VMM to the one that replaces it: descriptors in one message.
//!
//! The message waits in a socket that becomes the standard input of the next program. So it gets
//! there by `exec` as well as to a process that was started beside this one.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::MemfdFlags;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use vm_console::transport::pty::PtyDescriptors;

/// How many descriptors there are.
const COUNT: usize = 9;

/// All that the console needs. A real VMM adds the guest's memory, its devices' state and so on.
pub(crate) struct Handover {
    /// Where this program reads its commands.
    pub(crate) commands: OwnedFd,
    pub(crate) raw: OwnedFd,
    pub(crate) control: OwnedFd,
    pub(crate) tcp: OwnedFd,
    pub(crate) pty: PtyDescriptors,
    /// The file of the boot log: a memfd.
    pub(crate) log: OwnedFd,
    pub(crate) text: OwnedFd,
    /// A file with the [`State`].
    pub(crate) state: OwnedFd,
}

/// What is no descriptor.
pub(crate) struct State {
    /// The offset of the boot log up to which it is in the text log.
    pub(crate) text_until: u64,
    /// The image of the console, as bytes.
    pub(crate) console: Vec<u8>,
}

impl State {
    pub(crate) fn write(&self) -> io::Result<OwnedFd> {
        let mut file = File::from(memfd("state")?);
        file.write_all(&self.text_until.to_le_bytes())?;
        file.write_all(&self.console)?;
        file.rewind()?;
        Ok(file.into())
    }

    pub(crate) fn read(file: OwnedFd) -> io::Result<Self> {
        let mut file = File::from(file);
        let mut text_until = [0; 8];
        file.read_exact(&mut text_until)?;
        let mut console = Vec::new();
        file.read_to_end(&mut console)?;
        Ok(Self {
            text_until: u64::from_le_bytes(text_until),
            console,
        })
    }
}

/// A file in memory, which lives as long as somebody has it open.
pub(crate) fn memfd(name: &str) -> io::Result<OwnedFd> {
    Ok(rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?)
}

impl Handover {
    /// Returns the socket in which the message waits.
    pub(crate) fn send(&self) -> io::Result<OwnedFd> {
        let lock = self.pty.lock.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let descriptors: [&OwnedFd; COUNT] = [
            &self.commands,
            &self.raw,
            &self.control,
            &self.tcp,
            &self.pty.master,
            lock,
            &self.log,
            &self.text,
            &self.state,
        ];
        let descriptors = descriptors.map(AsFd::as_fd);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(COUNT))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&descriptors));
        let (ours, theirs) = UnixStream::pair()?;
        let byte = [IoSlice::new(&[0])];
        rustix::net::sendmsg(&ours, &byte, &mut rights, SendFlags::empty())?;
        Ok(theirs.into())
    }

    pub(crate) fn receive(socket: impl AsFd) -> io::Result<Self> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(COUNT))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let bytes = &mut [IoSliceMut::new(&mut byte)];
        rustix::net::recvmsg(socket, bytes, &mut rights, RecvFlags::CMSG_CLOEXEC)?;
        let descriptors: Vec<OwnedFd> = rights
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        let descriptors: [OwnedFd; COUNT] = descriptors
            .try_into()
            .map_err(|_| io::Error::other("not the descriptors of a VMM that is replaced"))?;
        let [commands, raw, control, tcp, master, lock, log, text, state] = descriptors;
        Ok(Self {
            commands,
            raw,
            control,
            tcp,
            pty: PtyDescriptors {
                master,
                lock: Some(lock),
            },
            log,
            text,
            state,
        })
    }
}
