//! The table of Landlock rights. `tests/sandbox_landlock.rs` holds it against the kernel.

use std::fmt;

/// When a right is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// While the owner makes, opens or writes it, on the owner's thread. A text log's own thread is
    /// started there too, and has the same rights.
    Making,
    /// While it is served and when it is dropped, on the service's thread.
    Serving,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Making => "making",
            Self::Serving => "serving",
        })
    }
}

/// Landlock rights that something needs in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileRights {
    /// What needs them.
    pub what: &'static str,
    /// When.
    pub moment: Moment,
    /// The file, or the directory and all below it.
    pub place: &'static str,
    /// The names of `LANDLOCK_ACCESS_FS_*`, in small letters and without that prefix.
    pub rights: &'static [&'static str],
}

const fn rights(
    what: &'static str,
    moment: Moment,
    place: &'static str,
    rights: &'static [&'static str],
) -> FileRights {
    FileRights {
        what,
        moment,
        place,
        rights,
    }
}

const SOCKET: &str = "`UnixSocket::bind`";
const PTY: &str = "`Pty::open`";
const LOG: &str = "`BootLog::open_or_create_file`";
const READER: &str = "`BootLog::open_read_only`";
const STREAM: &str = "`StreamFiles`";
const ENTRY: &str = "`instance::Entry`";
const LISTING: &str = "`instance::Directory::list`";
const TEXT: &str = "`TextLog::append_to`";
const ROTATING_TEXT: &str = "`TextLog::rotating`";

const DIRECTORY: &str = "its directory";
const PTMX: &str = "`/dev/ptmx`";
const SLAVES: &str = "`/dev/pts`";

const TERMINAL: &[&str] = &["read_file", "write_file", "ioctl_dev"];

/// All file rights. Whatever is not in it needs none: abstract and adopted sockets, terminals and
/// files of the owner, logs in memory or in a passed file.
pub const FILE_RIGHTS: &[FileRights] = &[
    rights(
        SOCKET,
        Moment::Making,
        DIRECTORY,
        &["make_sock", "remove_file"],
    ),
    rights(SOCKET, Moment::Serving, DIRECTORY, &["remove_file"]),
    rights(
        PTY,
        Moment::Making,
        DIRECTORY,
        &["make_reg", "write_file", "make_sym", "remove_file"],
    ),
    rights(PTY, Moment::Making, PTMX, TERMINAL),
    rights(PTY, Moment::Making, SLAVES, TERMINAL),
    rights(
        PTY,
        Moment::Serving,
        DIRECTORY,
        &["make_sym", "remove_file"],
    ),
    rights(PTY, Moment::Serving, PTMX, TERMINAL),
    rights(PTY, Moment::Serving, SLAVES, TERMINAL),
    rights(
        LOG,
        Moment::Making,
        DIRECTORY,
        &["make_reg", "read_file", "write_file", "truncate"],
    ),
    rights(READER, Moment::Making, DIRECTORY, &["read_file"]),
    rights(
        STREAM,
        Moment::Making,
        DIRECTORY,
        &["make_reg", "read_file", "write_file", "remove_file"],
    ),
    rights(
        ENTRY,
        Moment::Making,
        DIRECTORY,
        &[
            "make_dir",
            "make_reg",
            "read_file",
            "write_file",
            "remove_file",
            "remove_dir",
        ],
    ),
    rights(
        LISTING,
        Moment::Making,
        DIRECTORY,
        &["read_dir", "read_file"],
    ),
    rights(TEXT, Moment::Making, DIRECTORY, &["make_reg", "write_file"]),
    rights(
        ROTATING_TEXT,
        Moment::Making,
        DIRECTORY,
        &["make_reg", "write_file", "remove_file"],
    ),
];
