//! Reasons and errors as numbers on the wire.
//!
//! These numbers are the protocol's own. The order in which [`session`](crate::session) counts its
//! reasons can change without a client noticing.

use super::codec::FrameError;
use super::value::{Reader, Value, Writer};
use crate::log::MarkKind;
use crate::session::{EndReason, Refused};

macro_rules! codes {
    ($(
        $(#[$meta:meta])*
        $name:ident { $($(#[$doc:meta])* $byte:literal => $variant:ident,)+ }
    )+) => {$(
        $(#[$meta])*
        ///
        /// A program reads numbers that this version does not know as `Other`, and passes them on
        /// unchanged. Numbers that it knows are never `Other` when made by `from`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// Not known to this version.
            Other(u8),
        }

        impl $name {
            /// Every code with a name, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
        }

        impl From<u8> for $name {
            fn from(byte: u8) -> Self {
                match byte {
                    $($byte => Self::$variant,)+
                    other => Self::Other(other),
                }
            }
        }

        impl From<$name> for u8 {
            fn from(code: $name) -> Self {
                match code {
                    $($name::$variant => $byte,)+
                    $name::Other(other) => other,
                }
            }
        }

        impl Value for $name {
            fn put(&self, to: &mut Writer<'_>) {
                to.put(&u8::from(*self));
            }

            fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
                from.get::<u8>().map(Self::from)
            }
        }
    )+};
}

codes! {
    /// Why a session ended, as *ended* frames say it.
    EndCode {
        /// The client closed its side, detached or died.
        0 => ClientClosed,
        /// Somebody else took the console by force.
        1 => TakenOver,
        /// No input for the idle limit.
        2 => Idle,
        /// The absolute limit was reached.
        3 => MaximumReached,
        /// The machine was powered off.
        4 => PoweredOff,
        /// The client fell too far behind.
        5 => TooSlow,
        /// The owner withdrew the right to be here.
        6 => Revoked,
        /// The service is shutting down.
        7 => ShuttingDown,
        /// Something failed; the frame's text names what.
        8 => Error,
    }

    /// Why an attach was refused, as *refused* frames say it.
    RefusalCode {
        /// Somebody holds the console, and the attach did not ask to force.
        0 => Busy,
        /// The machine is off.
        1 => PoweredOff,
        /// The policy wants the boot log on, and it is off.
        2 => BootLogOff,
        /// This client has no right to attach.
        3 => NotPermitted,
        /// As many observers as are allowed are there already.
        4 => TooManyObservers,
        /// The service is shutting down.
        5 => ShuttingDown,
    }

    /// What could not be done, as *error* frames say it.
    ErrorCode {
        /// A frame could not be parsed. The connection is closed after this, unless it answers a
        /// request that carries a number.
        1 => Malformed,
        /// A frame type is not known here.
        2 => UnknownType,
        /// The request needs a session, and there is none on this connection.
        3 => NotAttached,
        /// No right to do this.
        4 => NotPermitted,
        /// There is a session on this connection already.
        5 => AlreadyAttached,
        /// Not available on this console.
        6 => NotSupported,
        /// The request names another log than the console's: its offsets say nothing about this
        /// one.
        7 => AnotherLog,
        /// The boot asked for is not kept any more.
        8 => Gone,
        /// The boot or the offset asked for has not come yet.
        9 => NotYet,
        /// There is no room in the guest's input, since the guest does not read. Nothing was typed.
        10 => NoRoom,
    }

    /// What a mark in the log stands for.
    MarkCode {
        /// The log does not know any more.
        0 => Unknown,
        /// The machine was switched on.
        1 => PowerOn,
        /// The machine was reset, or rebooted by itself.
        2 => Reset,
        /// The machine was switched off.
        3 => PowerOff,
        /// A BREAK was sent to the guest.
        4 => Break,
        /// A client became the holder of the console.
        5 => Attach,
        /// The holder left, or was disconnected.
        6 => Detach,
        /// The holder missed bytes.
        7 => Gap,
        /// The log came from another host, or from a snapshot.
        8 => Imported,
        /// A restarted VMM took the log up again.
        9 => Reopened,
    }
}

impl From<&EndReason> for EndCode {
    fn from(reason: &EndReason) -> Self {
        match reason {
            EndReason::ClientClosed => Self::ClientClosed,
            EndReason::TakenOver { .. } => Self::TakenOver,
            EndReason::Idle { .. } => Self::Idle,
            EndReason::MaximumReached { .. } => Self::MaximumReached,
            EndReason::PoweredOff => Self::PoweredOff,
            EndReason::TooSlow => Self::TooSlow,
            EndReason::Revoked => Self::Revoked,
            EndReason::ShuttingDown => Self::ShuttingDown,
            EndReason::Error(_) => Self::Error,
        }
    }
}

impl From<&Refused> for RefusalCode {
    fn from(refused: &Refused) -> Self {
        match refused {
            Refused::Busy { .. } => Self::Busy,
            Refused::PoweredOff => Self::PoweredOff,
            Refused::BootLogOff => Self::BootLogOff,
            Refused::NotPermitted => Self::NotPermitted,
            Refused::TooManyObservers => Self::TooManyObservers,
            Refused::ShuttingDown => Self::ShuttingDown,
        }
    }
}

impl From<MarkKind> for MarkCode {
    fn from(kind: MarkKind) -> Self {
        match kind {
            MarkKind::PowerOn => Self::PowerOn,
            MarkKind::Reset => Self::Reset,
            MarkKind::PowerOff => Self::PowerOff,
            MarkKind::Break => Self::Break,
            MarkKind::Attach => Self::Attach,
            MarkKind::Detach => Self::Detach,
            MarkKind::Gap => Self::Gap,
            MarkKind::Imported => Self::Imported,
            MarkKind::Reopened => Self::Reopened,
        }
    }
}

impl From<&FrameError> for ErrorCode {
    fn from(error: &FrameError) -> Self {
        match error {
            FrameError::Empty | FrameError::TooLong(_) | FrameError::Malformed { .. } => {
                Self::Malformed
            }
            FrameError::UnknownType(_) => Self::UnknownType,
            FrameError::InEnvelope { error, .. } => Self::from(&**error),
        }
    }
}
