//! Recognizes a control socket before a byte is sent.
//!
//! A control socket greets each client. To any other socket nothing is sent, because on a raw
//! console socket that would be typed into the guest.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};
use vm_console::protocol::{Decoder, ServerFrame};

use crate::exit::Stop;

/// The longest wait for the greeting.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connects to the control socket at `path`, and waits for its greeting without taking it.
pub(crate) fn greeted(path: &Path) -> Result<UnixStream, Stop> {
    let name = path.display();
    let stream = UnixStream::connect(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Stop::failed(format_args!("{name}: no such socket")),
        ErrorKind::ConnectionRefused => Stop::failed(format_args!(
            "{name}: nobody listens there; the machine's VMM has ended, or this is no socket"
        )),
        _ => Stop::failed(format_args!("{name}: {error}")),
    })?;
    match first_frame(&stream, Instant::now() + PATIENCE) {
        Ok(First::Hello) => Ok(stream),
        Ok(First::Other) => Err(Stop::failed(format_args!(
            "{name}: not a control socket; for one with raw bytes: socat -,raw,echo=0 UNIX:{name}"
        ))),
        Ok(First::Nothing) => Err(Stop::failed(format_args!(
            "{name}: no greeting came; this may be a socket for raw bytes, \
             or its VMM has stopped"
        ))),
        Err(error) => Err(Stop::failed(format_args!("{name}: {error}"))),
    }
}

/// The first bytes that a socket sends.
enum First {
    Hello,
    Other,
    Nothing,
}

fn first_frame(stream: &UnixStream, deadline: Instant) -> io::Result<First> {
    let mut seen = 0;
    loop {
        let mut buffer = [0; 4096];
        if !readable(stream, deadline)? {
            return Ok(First::Nothing);
        }
        let (_, count) = recv(stream, &mut buffer[..], RecvFlags::PEEK)?;
        let mut decoder = Decoder::default();
        decoder.feed(&buffer[..count]);
        match decoder.next_frame() {
            Ok(Some(frame)) => {
                // The greeting is the same in all versions.
                return Ok(match ServerFrame::parse(frame, 1) {
                    Ok(ServerFrame::Hello { .. } | ServerFrame::Error { .. }) => First::Hello,
                    _ => First::Other,
                });
            }
            Err(_) => return Ok(First::Other),
            // The other side has closed, or the frame is not as long as a greeting.
            Ok(None) if count == 0 || count == buffer.len() => return Ok(First::Other),
            // More of it has come, or all.
            Ok(None) if Instant::now() >= deadline => return Ok(First::Other),
            Ok(None) => {
                if count == seen {
                    // Bytes that were only peeked at still wake a poll.
                    std::thread::sleep(Duration::from_millis(10));
                }
                seen = count;
            }
        }
    }
}

fn readable(stream: &UnixStream, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(stream, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
