//! Users who share the directory. Needs root, to be somebody else for a while.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::thread;

use rustix::process::{Gid, Uid};
use vm_console::LogConfig;
use vm_console::instance::{ClaimErrorKind, ClaimOptions, Description, Directory, Entry, Flaw};
use vm_console::instance::{FlawKind, Instance, Liveness};

const ADA: u32 = 61_001;
const BOB: u32 = 61_002;
const OPERATORS: u32 = 61_100;

/// Runs `act` as this user, who is in this group only. Only the calling thread changes.
fn as_user<T: Send>(uid: u32, gid: u32, act: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::thread::set_thread_groups(&[]).unwrap();
            rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
            rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
            act()
        });
        thread.join().unwrap()
    })
}

/// A directory that all may write to.
fn shared() -> Option<(tempfile::TempDir, Directory)> {
    if !rustix::process::geteuid().is_root() {
        support::skip("being another user needs root");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
    let directory = Directory::new(dir.path());
    Some((dir, directory))
}

fn claim(directory: &Directory, id: &str, group: Option<u32>) -> Entry {
    let options = ClaimOptions {
        group,
        ..ClaimOptions::default()
    };
    let claimed = options.claim(directory, &id.parse().unwrap(), Description::default());
    claimed.unwrap()
}

/// Id and flaw of each, as the caller sees them.
fn keys(listed: &[Result<Instance, Flaw>]) -> Vec<(String, &'static str)> {
    let key = |one: &Result<Instance, Flaw>| match one {
        Ok(instance) => (instance.id.to_string(), "sound"),
        Err(flaw) => (flaw.name.to_string_lossy().into(), flaw.kind.key()),
    };
    listed.iter().map(key).collect()
}

#[test]
fn each_sees_their_own_and_root_sees_all() {
    let Some((_dir, directory)) = shared() else {
        return;
    };
    let _ada = as_user(ADA, ADA, || claim(&directory, "ada-1", None));
    let _bob = as_user(BOB, BOB, || claim(&directory, "bob-1", None));
    let _root = claim(&directory, "root-1", None);

    let seen = as_user(ADA, ADA, || keys(&directory.list().unwrap()));
    let wanted = [
        ("ada-1", "sound"),
        ("bob-1", "somebody_elses"),
        ("root-1", "somebody_elses"),
    ];
    assert_eq!(seen, wanted.map(|(id, key)| (id.to_owned(), key)));
    let listed = directory.list().unwrap();
    let owners: Vec<_> = listed.iter().map(|i| i.as_ref().unwrap().uid).collect();
    assert_eq!(owners, [ADA, BOB, 0]);
}

/// Somebody who makes an entry that all can read, under a name that an operator may ask for.
#[test]
fn a_stranger_cannot_lend_a_name() {
    let Some((_dir, directory)) = shared() else {
        return;
    };
    let stranger = as_user(BOB, BOB, || claim(&directory, "vm-7", None));
    let entry = stranger.path();
    fs::set_permissions(entry, Permissions::from_mode(0o755)).unwrap();
    for file in ["instance.json", "lock"] {
        fs::set_permissions(entry.join(file), Permissions::from_mode(0o644)).unwrap();
    }
    let flaw = as_user(ADA, ADA, || directory.list().unwrap().remove(0)).unwrap_err();
    assert!(matches!(flaw.kind, FlawKind::SomebodyElses { uid: BOB }));
    // Nor can it make a VMM rely on what it has put there, not even one of root.
    for uid in [ADA, 0] {
        let refused = as_user(uid, uid, || {
            Entry::claim(&directory, stranger.id(), Description::default()).unwrap_err()
        });
        assert!(matches!(
            refused.kind,
            ClaimErrorKind::SomebodyElses {
                file: None,
                uid: BOB
            }
        ));
    }
}

#[test]
fn files_of_another_user_in_an_own_entry() {
    let Some((_dir, directory)) = shared() else {
        return;
    };
    let path = claim(&directory, "vm-7", None).path().to_owned();
    for file in ["instance.json", "lock"] {
        chown(path.join(file), Some(BOB), None).unwrap();
        let flaw = directory.list().unwrap().remove(0).unwrap_err();
        assert!(
            matches!(flaw.kind, FlawKind::ForeignFile { file: named, uid: BOB } if named == file),
            "{flaw}"
        );
        chown(path.join(file), Some(0), None).unwrap();
    }
    chown(path.join("lock"), Some(BOB), None).unwrap();
    let refused = Entry::claim(&directory, &"vm-7".parse().unwrap(), Description::default());
    assert!(matches!(
        refused.unwrap_err().kind,
        ClaimErrorKind::SomebodyElses {
            file: Some("lock"),
            uid: BOB
        }
    ));
}

#[test]
fn operators_read_what_is_open_to_their_group() {
    let Some((_dir, directory)) = shared() else {
        return;
    };
    let entry = as_user(ADA, OPERATORS, || {
        claim(&directory, "vm-7", Some(OPERATORS))
    });
    let (mut writer, _) = as_user(ADA, OPERATORS, || {
        entry.boot_log(LogConfig::default()).unwrap()
    });
    writer.append(b"printed");
    let look = || {
        let found = directory.find(entry.id()).unwrap();
        let read = found.open_boot_log().unwrap().read_at(0, 100).bytes;
        (found.liveness, found.uid, read)
    };
    let seen = as_user(BOB, OPERATORS, look);
    assert_eq!(seen, (Liveness::Live, ADA, b"printed".to_vec()));
    let stranger = as_user(BOB, BOB, || directory.list().unwrap().remove(0));
    assert_eq!(stranger.unwrap_err().kind.key(), "somebody_elses");
}
