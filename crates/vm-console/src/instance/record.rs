//! What `instance.json` says about an instance.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::InstanceId;
use crate::log::UnixTime;
use crate::transport::printable::printable;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// What a VMM tells about its machine; all of it is optional, and none is checked.
///
/// Texts may hold anything, so a reader makes them fit for its terminal, page or log line first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whose machine it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The scale set, or another group, that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its number in that group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Whatever else is to be known about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The unix socket of its VNC server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vnc: Option<PathBuf>,
    /// Where its SSH server listens, as `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<String>,
}

impl Description {
    /// Only a name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..Self::default()
        }
    }
}

/// What `instance.json` holds: one JSON object, with these fields and those of the [`Description`]
/// side by side.
///
/// ```json
/// {"version":1,"id":"vm-7","incarnation":1763950000123,"pid":4711,"started":1763950000123,
///  "name":"build host","labels":{"zone":"b"}}
/// ```
///
/// A reader ignores fields that it does not know, so that there can be more; it refuses a greater
/// `version`, which says that known fields mean something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InstanceRecord {
    /// The version of the file's format.
    version: u32,
    /// The instance.
    pub id: InstanceId,
    /// Grows with each start of a VMM for this instance: the time of the start, as `started`, or one
    /// more than the last if the clock was set back. So it goes on growing when the directory has
    /// been lost (`/run` is empty after a boot of the host), and when the instance moves between
    /// hosts whose clocks agree.
    pub incarnation: u64,
    /// The VMM's process, as the VMM itself sees it: in a jail that may be another number. It is
    /// for people. Whether the VMM lives is known by its [lock](super#liveness) only.
    pub pid: u32,
    /// When the VMM published the instance; in the file, milliseconds of Unix time.
    #[serde(with = "milliseconds")]
    pub started: UnixTime,
    /// What the VMM tells.
    #[serde(flatten)]
    pub description: Description,
}

/// Why the bytes of `instance.json` are no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RecordError {
    Version {
        found: u64,
    },
    NotJson {
        line: usize,
        column: usize,
        what: String,
    },
}

impl InstanceRecord {
    /// The version of the format that this crate writes, and the newest that it reads.
    pub const VERSION: u32 = 1;
    /// The largest file that is read or written, in bytes: 64 KiB.
    pub const MAX_LEN: usize = 64 << 10;

    /// The record of a machine that this process starts now.
    pub(super) fn new(id: InstanceId, description: Description) -> Self {
        let now = UnixTime::from(SystemTime::now()).as_nanos() / NANOS_PER_MILLI;
        Self {
            version: Self::VERSION,
            id,
            incarnation: now,
            pid: std::process::id(),
            // As the file will have it.
            started: UnixTime::from_nanos(now * NANOS_PER_MILLI),
            description,
        }
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec(self)?;
        json.push(b'\n');
        Ok(json)
    }

    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, RecordError> {
        let newer = |found: u64| found > Self::VERSION.into();
        match serde_json::from_slice::<Self>(bytes) {
            Ok(record) if newer(record.version.into()) => Err(RecordError::Version {
                found: record.version.into(),
            }),
            Ok(record) => Ok(record),
            Err(error) => match serde_json::from_slice::<Versioned>(bytes) {
                Ok(Versioned { version }) if newer(version) => {
                    Err(RecordError::Version { found: version })
                }
                // The message may quote the file.
                _ => Err(RecordError::NotJson {
                    line: error.line(),
                    column: error.column(),
                    what: printable(&error.to_string(), 200),
                }),
            },
        }
    }
}

/// All that has to be the same in a record of any version.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

/// A time as whole milliseconds, which every JSON reader holds exactly.
mod milliseconds {
    use super::{Deserialize, Deserializer, NANOS_PER_MILLI, Serialize, Serializer, UnixTime};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    pub(super) fn serialize<S: Serializer>(time: &UnixTime, to: S) -> Result<S::Ok, S::Error> {
        (time.as_nanos() / NANOS_PER_MILLI).serialize(to)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<UnixTime, D::Error> {
        let millis = u64::deserialize(from)?;
        Ok(UnixTime::from_nanos(millis.saturating_mul(NANOS_PER_MILLI)))
    }
}
