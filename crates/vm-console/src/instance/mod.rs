//! Where consoles are found on a host: an entry for each instance in one directory.
//!
//! A VMM [publishes](Entry::claim) its machine there. Whoever serves people, such as `vmcon`,
//! [lists](Directory::list) the entries, connects to the control sockets of live machines, and reads
//! the logs of dead ones.
//!
//! ```
//! use vm_console::instance::{Description, Directory, Entry, InstanceId, Liveness};
//! use vm_console::{Console, ConsoleConfig, LogConfig};
//!
//! # let dir = tempfile::tempdir()?;
//! # let directory = Directory::new(dir.path());
//! # let _ = stringify! {
//! let directory = Directory::from_env(); // $VMCON_DIR, or /run/vm-console
//! # };
//! let id: InstanceId = "vm-7".parse()?;
//!
//! // In the VMM, before it gives up rights or enters a sandbox:
//! let entry = Entry::claim(&directory, &id, Description::named("build host"))?;
//! let (writer, log) = entry.boot_log(LogConfig::default())?;
//! let (line, console) = Console::new(ConsoleConfig::named(id.as_str()), writer)?;
//! let listener = entry.control_listener()?; // for `service.add(console, port, vec![listener])`
//!
//! // In another process:
//! let found = directory.find(&id)?;
//! assert_eq!(found.liveness, Liveness::Live);
//! assert_eq!(found.record.description.name.as_deref(), Some("build host"));
//! assert!(found.control_socket().exists());
//!
//! // The VMM ends, or is killed. What it printed stays.
//! drop((listener, line, console, entry));
//! let found = directory.find(&id)?;
//! assert_eq!(found.liveness, Liveness::Gone);
//! assert_eq!(found.open_boot_log()?.epoch(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The place
//!
//! The directory is [`DEFAULT_DIRECTORY`], or the one that [`$VMCON_DIR`](DIRECTORY_VARIABLE) names.
//! Its entries are directories named by the [id](InstanceId). In each:
//!
//! | file | what | mode |
//! |---|---|---|
//! | `control.sock` | the [control socket](crate::protocol); there while the VMM serves it | 0600 |
//! | `boot.log` | the [boot log](crate::BootLog) in a mapped file | 0600 |
//! | `instance.json` | the [record](InstanceRecord) | 0600 |
//! | `lock` | an empty file, locked while the VMM lives | 0600 |
//!
//! The entry itself has mode 0700. With [a group](ClaimOptions::group) of operators the modes are
//! 0750 for the entry, 0660 for the socket and 0640 for the files. A VMM may have further files
//! there.
//!
//! # Liveness
//!
//! A VMM that has an entry holds a write lock on the whole of `lock`: an open file description lock
//! (`F_OFD_SETLK`). The kernel drops it when the VMM ends, however it ends. A reader asks by
//! `F_OFD_GETLK`, which takes no lock and needs no more than leave to read, and so it knows without
//! connecting whether somebody would answer. A process id would not do: it can be in use again.
//!
//! The boot log's own writer lock is another one (`flock`), which cannot be asked about without
//! taking it. `instance.json` has no lock because each update replaces the file.
//!
//! # Other users
//!
//! A VMM refuses an entry that belongs to another user, is a symbolic link, or can be written to by
//! others; the same for the files in it. It refuses a directory in which others could replace its
//! entry: one that is writable for group or others needs the sticky bit (1777).
//!
//! A reader relies on its own entries, those of root, and those that are open to a group in which it
//! is. Root reads all. What else is in the directory is told as a [`Flaw`] in its place, and hides
//! nothing.
//!
//! Members of the group of operators can take a read lock on `lock` or on `boot.log`, and so keep
//! the machine's next VMM from starting.
//!
//! # In a jail or a sandbox
//!
//! The calls of this module are made on the threads of its callers, so they are not in the tables of
//! [`sandbox`](crate::sandbox). Claiming makes, on x86_64: `open`, `openat`, `mkdir`, `mkdirat`,
//! `newfstatat`, `fstat`, `fcntl`, `fchmod`, `fchmodat`, `geteuid`, `read`, `write`, `unlinkat`,
//! `renameat`, `close`, with a group `fchown` and `fchownat`; besides those of binding a socket and
//! opening a log. Later [`Entry::update`] makes `openat`, `fstat`, `geteuid`, `unlinkat`, `fchmod`,
//! `write`, `renameat` and `close`, and dropping the entry makes `unlinkat`, `fcntl` and `close`.
//!
//! In a jail, make the entry's directory beforehand, as the user that the VMM will have, and mount
//! it there under the same id; its parent needs the sticky bit, or not to be writable for others.

mod access;
mod claim;
mod claim_error;
mod directory;
mod entry;
mod file;
mod flaw;
mod id;
mod inspection;
mod liveness;
mod names;
mod natural_order;
mod record;
mod state;

pub use self::claim::ClaimOptions;
pub use self::claim_error::{ClaimError, ClaimErrorKind};
pub use self::directory::{
    DEFAULT_DIRECTORY, DIRECTORY_VARIABLE, Directory, DirectoryError, FindError,
};
pub use self::entry::Entry;
pub use self::flaw::{Flaw, FlawKind};
pub use self::id::{IdError, InstanceId};
pub use self::inspection::Instance;
pub use self::liveness::Liveness;
pub use self::record::{Description, InstanceRecord};
pub use self::state::MachineState;
