//! What may be read of a user, since descriptors that do not close may come along.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;

use super::ancillary::plain_bytes;
use super::closer::{Sender, are_too_many, has_too_many};

/// The reason that a user is given who has passed too many.
pub(crate) const TOO_MANY: &str = "too many descriptors that you passed do not close";

/// The reason that a user is given who passes one while there are too many of all users.
const TOO_MANY_IN_ALL: &str = "too many descriptors do not close, so none can be passed";

/// Most reads from a socket that is closed. Its buffer holds fewer messages.
const UNREAD: usize = 4096;

/// Nothing more is read of the connection, for this reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded(pub(super) &'static str);

/// How many bytes may be read at most from a unix socket of user `sender`, where `buffer` has room:
/// 0 if there are none. While there are too many descriptors in all, those are the bytes before the
/// next descriptor, so that the connections of users who pass none go on.
pub(super) fn readable(
    socket: impl AsFd,
    sender: Sender,
    buffer: &mut [u8],
) -> Result<usize, Exceeded> {
    if has_too_many(sender) {
        return Err(Exceeded(TOO_MANY));
    }
    if !are_too_many() {
        return Ok(buffer.len());
    }
    match plain_bytes(socket, buffer) {
        // The end, which the read itself tells, as it does an error.
        Ok(Some(0)) => Ok(buffer.len()),
        Ok(Some(plain)) => Ok(plain),
        Ok(None) => Err(Exceeded(TOO_MANY_IN_ALL)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(_) => Ok(buffer.len()),
    }
}

/// Reads what is left in a socket of user `sender` that is closed, as far as the account allows.
pub(super) fn drain(sender: Sender, mut receive: impl FnMut(&mut [u8]) -> Result<usize, Errno>) {
    let mut buffer = [0; 4096];
    for _ in 0..UNREAD {
        if has_too_many(sender) {
            return;
        }
        match receive(&mut buffer) {
            Ok(0) => return,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

impl From<Exceeded> for io::Error {
    fn from(Exceeded(why): Exceeded) -> Self {
        Self::new(io::ErrorKind::QuotaExceeded, why)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::mem::MaybeUninit;
    use std::os::unix::net::UnixStream;

    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

    use super::super::closer::{LIMIT, has_ended, is_left_behind};
    use super::super::socket::Socket;
    use super::super::stream::{Arrived, Stream};
    use super::*;

    fn pass(stream: &UnixStream, bytes: &[u8]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut message = SendAncillaryBuffer::new(&mut space);
        let along = [rustix::stdio::stderr()];
        assert!(message.push(SendAncillaryMessage::ScmRights(&along)));
        let slices = [io::IoSlice::new(bytes)];
        rustix::net::sendmsg(stream, &slices, &mut message, SendFlags::empty()).unwrap();
    }

    fn pair(user: u32) -> (UnixStream, Socket) {
        let (peer, ours) = UnixStream::pair().unwrap();
        (peer, Socket::new(ours.into(), Some(user)))
    }

    /// Many users, of whom none has more than one may have.
    #[test]
    fn no_descriptor_is_taken_while_there_are_too_many_in_all() {
        let many = 4_000_001_000..4_000_001_005;
        let (mut passing, mut passes) = pair(4_000_002_001);
        let (mut plain, mut is_plain) = pair(4_000_002_002);
        let mut buffer = [0; 4096];
        pass(&passing, b"one");
        assert!(matches!(passes.read(&mut buffer), Ok(Arrived::Bytes(3))));
        for user in many.clone() {
            (0..LIMIT).for_each(|_| is_left_behind(Some(user)));
            assert!(!has_too_many(Some(user)));
        }
        assert!(are_too_many());
        plain.write_all(b"two").unwrap();
        plain.write_all(b"three").unwrap();
        assert!(matches!(is_plain.read(&mut buffer), Ok(Arrived::Bytes(8))));
        assert!(matches!(is_plain.read(&mut buffer), Ok(Arrived::Nothing)));
        // Behind bytes that bring none, in the same read.
        passing.write_all(b"four").unwrap();
        pass(&passing, b"five");
        let error = passes.read(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        drop(plain);
        assert!(matches!(is_plain.read(&mut buffer), Ok(Arrived::End)));
        for user in many {
            (0..LIMIT).for_each(|_| has_ended(Some(user)));
        }
        assert!(matches!(passes.read(&mut buffer), Ok(Arrived::Bytes(8))));
    }
}
