//! Hostile descriptors, passed along with a greeting or a request.

use std::io::{Error, IoSlice, Result, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use vm_console::protocol::{AttachRequest, ClientFrame};

use super::deeds::{Doors, greeting, request};

/// Passes TCP sockets whose last close waits for minutes, at every door.
pub(super) fn pass_clinging(doors: &Doors) -> Result<()> {
    let attach = greeting(&[ClientFrame::AttachDescriptor(request("passed"))]);
    let (mut peers, mut connections) = (Vec::new(), Vec::new());
    for (door, bytes) in [
        (doors.control.as_path(), attach.as_slice()),
        (&doors.raw, b"typed".as_slice()),
        (&doors.watch, b"void".as_slice()),
    ] {
        let (socket, peer) = clinging()?;
        connections.push(pass(door, bytes, &[socket.as_fd()])?);
        peers.push(peer);
    }
    // Ours are closed, so that the last descriptors are with the service.
    std::thread::sleep(Duration::from_millis(20));
    drop(connections);
    // Closing the peers lets whoever waits go.
    drop(peers);
    Ok(())
}

/// The holder and the observer of the same console are each other's peer.
pub(super) fn pass_both_ends(doors: &Doors) -> Result<()> {
    let (one, other) = UnixStream::pair()?;
    let watch = AttachRequest {
        read_only: true,
        ..request("tail")
    };
    let hold = greeting(&[ClientFrame::AttachDescriptor(request("head"))]);
    let watch = greeting(&[ClientFrame::AttachDescriptor(watch)]);
    let holder = pass(&doors.control, &hold, &[one.as_fd()])?;
    let watcher = pass(&doors.control, &watch, &[other.as_fd()])?;
    std::thread::sleep(Duration::from_millis(20));
    drop((holder, watcher));
    Ok(())
}

/// Bytes that are unsent, a peer that reads none, and a close that waits for that.
fn clinging() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let peer = TcpStream::connect(listener.local_addr()?)?;
    let (mut socket, _) = listener.accept()?;
    rustix::net::sockopt::set_socket_send_buffer_size(&socket, 1 << 20)?;
    socket.set_nonblocking(true)?;
    let unsent = vec![b'x'; 64 << 10];
    while socket.write(&unsent).is_ok() {}
    rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::from_secs(600)))?;
    Ok((socket, peer))
}

fn pass(door: &Path, bytes: &[u8], along: &[BorrowedFd<'_>]) -> Result<UnixStream> {
    let stream = UnixStream::connect(door)?;
    let mut space = [MaybeUninit::uninit(); 128];
    let mut message = SendAncillaryBuffer::new(&mut space);
    if !message.push(SendAncillaryMessage::ScmRights(along)) {
        return Err(Error::other("no room for the descriptors"));
    }
    sendmsg(
        &stream,
        &[IoSlice::new(bytes)],
        &mut message,
        SendFlags::NOSIGNAL,
    )?;
    Ok(stream)
}
