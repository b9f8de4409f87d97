//! Reading from a unix socket, with the descriptors that come along.
//!
//! The kernel would close descriptors for which there is no room on the reading thread, and that
//! might wait. So there is always room for as many as one message can bring.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use nix::libc;
use nix::sys::socket::MsgFlags;
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags};

/// Most descriptors in one message: `SCM_MAX_FD` of the kernel.
pub(super) const PASSED: usize = 253;

/// Room for what else may come along: the sender's credentials, a descriptor of its process, its
/// security label.
const BESIDES: usize = 8192;

const SPACE: usize = rustix::cmsg_space!(ScmRights(PASSED)) + BESIDES;

/// The kernel's number for a control message with a descriptor of the sender's process. It comes if
/// `SO_PASSPIDFD` is set on the receiving socket.
const SCM_PIDFD: i32 = 4;

/// Reads once from a socket that no other process has, and gives `take` the descriptors that came
/// along.
///
/// Only `SCM_RIGHTS` brings descriptors here: a client reaches its own end of the connection, and
/// `SO_PASSPIDFD` counts at ours.
pub(super) fn receive(
    fd: impl AsFd,
    buffer: &mut [u8],
    take: impl FnMut(OwnedFd),
) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = rustix::net::recvmsg(fd, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
    let rights = control.drain().filter_map(|ancillary| match ancillary {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    rights.flatten().for_each(take);
    Ok(message.bytes)
}

/// Reads once from a socket that its client may share, and gives `take` the numbers of all
/// descriptors that came along. The client can set `SO_PASSPIDFD` on it at any time, and can make
/// this wait.
pub(super) fn receive_shared(
    fd: impl AsFd,
    buffer: &mut [u8],
    take: impl FnMut(RawFd),
) -> Result<usize, Errno> {
    let mut space = Space([0; SPACE]);
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let fd = fd.as_fd().as_raw_fd();
    let mut slices = [IoSliceMut::new(buffer)];
    let message = nix::sys::socket::recvmsg::<()>(fd, &mut slices, Some(&mut space.0), flags);
    let bytes = message
        .map(|message| message.bytes)
        .map_err(|error| Errno::from_raw_os_error(error as i32))?;
    // The kernel has filled the buffer from its start, so the rest of it is zero. The library's own
    // iterator gives nothing if something was left out, and then descriptors may have come all the
    // same: the process had no number left for the last of them.
    numbers(&space.0).for_each(take);
    Ok(bytes)
}

/// How many of the bytes that a read into `buffer` would bring can be read without a descriptor that
/// comes along; `None` if one does. Everything stays where it is.
pub(super) fn plain_bytes(fd: impl AsFd, buffer: &mut [u8]) -> Result<Option<usize>, Errno> {
    let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
    let mut nowhere = RecvAncillaryBuffer::default();
    let message = rustix::net::recvmsg(fd, &mut [IoSliceMut::new(buffer)], &mut nowhere, flags)?;
    // There is no room for descriptors, and the kernel says so if some are left out.
    let is_plain = !message.flags.contains(ReturnFlags::CTRUNC);
    Ok(is_plain.then_some(message.bytes))
}

/// Aligned as the headers in it have to be.
#[repr(align(8))]
struct Space([u8; SPACE]);

/// Length, level and type.
const HEADER: usize = size_of::<usize>() + 2 * size_of::<i32>();

/// The descriptors in a buffer of control messages that ends with zeros.
fn numbers(mut control: &[u8]) -> impl Iterator<Item = RawFd> {
    let messages = std::iter::from_fn(move || {
        let (length, rest) = control.split_first_chunk()?;
        let (level, rest) = rest.split_first_chunk()?;
        let (kind, _) = rest.split_first_chunk()?;
        let length = usize::from_ne_bytes(*length);
        let data = control.get(HEADER..length)?;
        let next = length.next_multiple_of(size_of::<usize>());
        control = control.get(next..).unwrap_or_default();
        Some((i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind), data))
    });
    messages
        .filter(|(level, kind, _)| {
            *level == libc::SOL_SOCKET && [libc::SCM_RIGHTS, SCM_PIDFD].contains(kind)
        })
        .flat_map(|(_, _, data)| data.as_chunks().0)
        .map(|number| RawFd::from_ne_bytes(*number))
        // A process that is gone has no descriptor, and an error comes in its place.
        .filter(|number| *number >= 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut message = (HEADER + data.len()).to_ne_bytes().to_vec();
        message.extend(level.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(data);
        message.resize(message.len().next_multiple_of(size_of::<usize>()), 0);
        message
    }

    fn bytes(numbers: &[RawFd]) -> Vec<u8> {
        numbers.iter().flat_map(|n| n.to_ne_bytes()).collect()
    }

    proptest! {
        #[test]
        fn all_descriptors_are_found_among_other_messages(
            rights in proptest::collection::vec(0..RawFd::MAX, 0..=PASSED),
            process in proptest::option::of(-100..RawFd::MAX),
            label in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let credentials = message(libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &[1; 12]);
            let mut control = [credentials, message(libc::SOL_SOCKET, 3, &label)].concat();
            if !rights.is_empty() {
                control.extend(message(libc::SOL_SOCKET, libc::SCM_RIGHTS, &bytes(&rights)));
            }
            if let Some(process) = process {
                control.extend(message(libc::SOL_SOCKET, SCM_PIDFD, &process.to_ne_bytes()));
            }
            prop_assert!(control.len() <= SPACE);
            control.resize(SPACE, 0);
            let wanted: Vec<_> = rights
                .into_iter()
                .chain(process.filter(|number| *number >= 0))
                .collect();
            prop_assert_eq!(numbers(&control).collect::<Vec<_>>(), wanted);
        }

        #[test]
        fn any_bytes_are_read_to_an_end(control in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(numbers(&control).count() <= control.len());
        }
    }
}
