//! A VMM publishes its instance: it makes the entry, takes it over, and gives it up.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use vm_console::instance::{
    ClaimErrorKind, ClaimOptions, Description, Directory, Entry, InstanceId, Liveness,
};
use vm_console::{LogConfig, MarkKind, UnixTime};

fn place() -> (tempfile::TempDir, Directory, InstanceId) {
    let dir = tempfile::tempdir().unwrap();
    let directory = Directory::new(dir.path().join("consoles"));
    (dir, directory, "vm-7".parse().unwrap())
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn an_entry_has_its_files_with_their_modes() {
    let (_dir, directory, id) = place();
    let entry = Entry::claim(&directory, &id, Description::named("build host")).unwrap();
    let _log = entry.boot_log(LogConfig::default()).unwrap();
    let _listener = entry.control_listener().unwrap();
    let path = directory.entry_path(&id);
    assert_eq!(entry.path(), path);
    assert_eq!(mode(directory.path()) & !0o022, 0o755);
    assert_eq!(mode(&path), 0o700);
    for file in ["control.sock", "boot.log", "instance.json", "lock"] {
        assert_eq!(mode(path.join(file)), 0o600, "{file}");
    }
    let found = directory.find(&id).unwrap();
    assert_eq!(&found.record, entry.record());
    assert_eq!(found.liveness, Liveness::Live);
    assert_eq!(found.record.pid, std::process::id());
}

#[test]
fn a_group_of_operators_gets_its_modes() {
    let (_dir, directory, id) = place();
    let group = rustix::process::getegid().as_raw();
    let options = ClaimOptions {
        group: Some(group),
        ..ClaimOptions::default()
    };
    let entry = options
        .claim(&directory, &id, Description::default())
        .unwrap();
    let _log = entry.boot_log(LogConfig::default()).unwrap();
    let _listener = entry.control_listener().unwrap();
    let path = directory.entry_path(&id);
    assert_eq!(
        (mode(&path), mode(path.join("control.sock"))),
        (0o750, 0o660)
    );
    for file in ["boot.log", "instance.json", "lock"] {
        assert_eq!(mode(path.join(file)), 0o640, "{file}");
        assert_eq!(fs::metadata(path.join(file)).unwrap().gid(), group);
    }
    // The next VMM decides anew.
    drop(entry);
    let _entry = Entry::claim(&directory, &id, Description::default()).unwrap();
    assert_eq!(mode(&path), 0o700);
}

#[test]
fn a_live_entry_is_refused_and_a_dropped_one_is_gone() {
    let (_dir, directory, id) = place();
    let entry = Entry::claim(&directory, &id, Description::default()).unwrap();
    let (mut writer, _) = entry.boot_log(LogConfig::default()).unwrap();
    writer.begin_boot(MarkKind::PowerOn, UnixTime::from_nanos(0));
    writer.append(b"before");
    let listener = entry.control_listener().unwrap();

    let refused = Entry::claim(&directory, &id, Description::default()).unwrap_err();
    let ClaimErrorKind::Live {
        holder: Some((pid, since)),
    } = refused.kind
    else {
        panic!("{refused}");
    };
    assert_eq!((pid, since), (std::process::id(), entry.record().started));

    let first = entry.record().incarnation;
    drop((entry, writer, listener));
    let found = directory.find(&id).unwrap();
    assert_eq!(found.liveness, Liveness::Gone);
    assert!(!found.control_socket().exists());
    assert_eq!(
        found.open_boot_log().unwrap().read_at(0, 100).bytes,
        b"before"
    );

    let entry = Entry::claim(&directory, &id, Description::default()).unwrap();
    assert!(entry.record().incarnation > first);
    let (_, log) = entry.boot_log(LogConfig::default()).unwrap();
    assert_eq!(log.read_at(0, 100).bytes, b"before");
}
