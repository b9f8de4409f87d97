//! The files of an entry.

/// The control socket.
pub(super) const SOCKET: &str = "control.sock";
/// The boot log.
pub(super) const LOG: &str = "boot.log";
/// The record.
pub(super) const RECORD: &str = "instance.json";
/// The next record, until it is renamed.
pub(super) const NEXT_RECORD: &str = ".instance.json.next";
/// The file whose lock the VMM holds.
pub(super) const LOCK: &str = "lock";
