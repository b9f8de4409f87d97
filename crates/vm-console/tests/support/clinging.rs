//! Sockets whose close waits.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::control::pass;

/// A TCP socket whose last close waits for minutes, because it has unsent bytes and its peer does
/// not read. Closing the peer ends the wait.
pub fn clinging() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    // More than the peer's buffers take.
    rustix::net::sockopt::set_socket_send_buffer_size(&socket, 1 << 20).unwrap();
    socket.set_nonblocking(true).unwrap();
    while socket.write(&[b'x'; 4096]).is_ok() {}
    let linger = Some(Duration::from_secs(600));
    rustix::net::sockopt::set_socket_linger(&socket, linger).unwrap();
    (socket.into(), peer)
}

/// Passes clinging sockets. If the service is stopped meanwhile, it is left with their last
/// descriptors.
pub fn pass_clinging(stream: &UnixStream, bytes: &[u8], count: usize) -> Vec<TcpStream> {
    let (sockets, peers): (Vec<_>, Vec<_>) = (0..count).map(|_| clinging()).unzip();
    let along: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
    pass(stream, bytes, &along);
    peers
}
