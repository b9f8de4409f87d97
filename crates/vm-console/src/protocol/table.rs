//! How the frames of one direction are declared: a table with one row for each.

/// Makes of a table the frames as types, their type bytes, and both ways between frames and bytes.
///
/// A row is `byte => Name`, with a body or without; `byte since 2 => Name` is unknown to version 1.
/// The body is one value in parentheses, or fields in braces that follow each other on the wire as
/// they stand here. The row named as the envelope holds any other frame of the table.
macro_rules! frames {
    (
        $(#[$meta:meta])*
        $frame:ident,
        $(#[$kind_meta:meta])*
        $kind:ident,
        envelope $envelope:ident,
        $(
            $(#[$doc:meta])*
            $byte:literal $(since $since:literal)? => $variant:ident
                $(($body:ident: $body_type:ty))?
                $({ $($(#[$field_doc:meta])* $field:ident: $field_type:ty,)+ })?,
        )+
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $frame {
            $(
                $(#[$doc])*
                $variant $(($body_type))? $({ $($(#[$field_doc])* $field: $field_type,)+ })?,
            )+
        }

        $(#[$kind_meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $kind {
            $(
                $(#[$doc])*
                $variant = $byte,
            )+
        }

        impl $kind {
            /// Every type, in the order of the bytes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its byte on the wire.
            #[must_use]
            pub const fn byte(self) -> u8 {
                self as u8
            }

            /// The first version of the protocol that has it.
            #[must_use]
            pub const fn since(self) -> u16 {
                match self {
                    $($(Self::$variant => $since,)?)+
                    _ => 1,
                }
            }
        }

        impl $frame {
            /// Its type.
            #[must_use]
            pub const fn kind(&self) -> $kind {
                match self {
                    $(Self::$variant { .. } => $kind::$variant,)+
                }
            }

            /// Appends the frame to `out`.
            pub fn encode(&self, out: &mut Vec<u8>) {
                let mut to = Writer::begin(out);
                self.put(&mut to);
                to.end();
            }

            /// Reads a frame on a connection that speaks `version`. From version 2 on, what follows
            /// the known fields of a frame is skipped.
            ///
            /// # Errors
            /// The type is unknown to that version, or the body is not what the type says.
            pub fn parse(frame: RawFrame<'_>, version: u16) -> Result<Self, FrameError> {
                let mut from = Reader::new(frame, version);
                let parsed = Self::get(frame.kind, &mut from)?;
                from.end()?;
                Ok(parsed)
            }

        }

        impl Frame for $frame {
            const ENVELOPE: u8 = $kind::$envelope.byte();

            fn put(&self, to: &mut Writer<'_>) {
                to.put(&self.kind().byte());
                match self {
                    $(
                        Self::$variant $(($body))? $({ $($field,)+ })? => {
                            $(to.put($body);)?
                            $($(to.put($field);)+)?
                        }
                    )+
                }
            }

            fn get(kind: u8, from: &mut Reader<'_>) -> Result<Self, FrameError> {
                Ok(match kind {
                    $(
                        $byte $(if from.version() >= $since)? => Self::$variant
                            $((from.get::<$body_type>()?))?
                            $({ $($field: from.get()?,)+ })?,
                    )+
                    unknown => return Err(FrameError::UnknownType(unknown)),
                })
            }
        }
    };
}

pub(super) use frames;
