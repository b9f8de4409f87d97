//! The name of an instance, by the one rule that holds everywhere.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::natural_order;

/// The identity of one instance (a virtual machine) on this host.
///
/// **The rule:** 1 to 63 ASCII letters, digits, `-` and `_`, beginning with a letter or a digit.
/// Upper and lower case differ.
///
/// An id is a directory name, a segment of a URL's path, a user name for SSH and a label of a host
/// name. That is why it has no dot (an SSH user name `vm-7.force` has options behind one, and a
/// host name has labels there), no slash, no space, nothing that a shell or a terminal takes for an
/// order, and no more than the 63 bytes of a label.
///
/// Ids are ordered as people count: `vm-2` comes before `vm-10`.
///
/// ```
/// use vm_console::instance::InstanceId;
///
/// let id: InstanceId = "vm-7".parse()?;
/// assert_eq!(id.as_str(), "vm-7");
/// assert!(id < "vm-10".parse()?);
/// for hostile in ["", ".", "..", "a/b", "a b", "-rf", "vm-7.force", "a\0", "é"] {
///     assert!(hostile.parse::<InstanceId>().is_err());
/// }
/// # Ok::<(), vm_console::instance::IdError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstanceId(String);

impl InstanceId {
    /// The longest id, in bytes: the longest label of a host name (RFC 1035, 2.3.4).
    pub const MAX_LEN: usize = 63;

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text cannot be the id of an instance.
///
/// Its message shows at most one character of the text, and that one escaped, so it can be printed
/// whatever the text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdError {
    /// The text is empty.
    Empty,
    /// The text has too many bytes.
    TooLong {
        /// How many it has.
        len: usize,
    },
    /// The first character is a `-` or a `_`.
    Beginning {
        /// The character.
        character: char,
    },
    /// A character is not allowed anywhere.
    Character {
        /// The character.
        character: char,
        /// How many bytes stand before it.
        at: usize,
    },
    /// The text is not UTF-8, and a byte is not allowed anywhere.
    Byte {
        /// The byte.
        byte: u8,
        /// How many bytes stand before it.
        at: usize,
    },
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the id of an instance: ")?;
        match self {
            Self::Empty => f.write_str("it is empty")?,
            Self::TooLong { len } => write!(f, "it has {len} bytes")?,
            Self::Beginning { character } => {
                write!(f, "it begins with '{}'", character.escape_default())?;
            }
            Self::Character { character, at } => {
                write!(f, "'{}' at byte {at}", character.escape_default())?;
            }
            Self::Byte { byte, at } => write!(f, "byte {byte:#04x} at byte {at}")?,
        }
        f.write_str(
            "; give 1 to 63 letters, digits, '-' and '_', beginning with a letter or a digit",
        )
    }
}

impl std::error::Error for IdError {}

impl FromStr for InstanceId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        check(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for InstanceId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        check(&text)?;
        Ok(Self(text))
    }
}

/// The name of a file, which may be no UTF-8.
impl TryFrom<&[u8]> for InstanceId {
    type Error = IdError;

    fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
        if bytes.len() > Self::MAX_LEN {
            return Err(IdError::TooLong { len: bytes.len() });
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => text.parse(),
            Err(error) => {
                let at = error.valid_up_to();
                let byte = bytes.get(at).copied().unwrap_or_default();
                Err(IdError::Byte { byte, at })
            }
        }
    }
}

fn check(text: &str) -> Result<(), IdError> {
    if text.len() > InstanceId::MAX_LEN {
        return Err(IdError::TooLong { len: text.len() });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if let Some((at, character)) = text.char_indices().find(|(_, c)| !allowed(*c)) {
        return Err(IdError::Character { character, at });
    }
    match text.chars().next() {
        None => Err(IdError::Empty),
        Some(character) if !character.is_ascii_alphanumeric() => {
            Err(IdError::Beginning { character })
        }
        Some(_) => Ok(()),
    }
}

impl From<InstanceId> for String {
    fn from(id: InstanceId) -> Self {
        id.0
    }
}

impl AsRef<str> for InstanceId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for InstanceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Ord for InstanceId {
    fn cmp(&self, other: &Self) -> Ordering {
        natural_order::compare(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl PartialOrd for InstanceId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
