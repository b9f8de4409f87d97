//! What others may put into the directory: each is told in its place, and hides nothing.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, mknodat};
use vm_console::instance::{
    ClaimErrorKind, Description, Directory, Entry, FindError, Flaw, FlawKind, InstanceRecord,
    Liveness,
};
use vm_console::{BootLog, LogConfig};

/// A directory with a sound instance at each end of the order, `aa-1` (live) and `zz-1` (gone).
struct Place {
    dir: tempfile::TempDir,
    directory: Directory,
    _live: Entry,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::new(dir.path());
        let claim = |id: &str| {
            Entry::claim(&directory, &id.parse().unwrap(), Description::default()).unwrap()
        };
        let live = claim("aa-1");
        drop(claim("zz-1"));
        Self {
            dir,
            directory,
            _live: live,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A sound entry whose VMM is gone, to be spoilt.
    fn gone(&self, id: &str) -> PathBuf {
        let claimed = Entry::claim(
            &self.directory,
            &id.parse().unwrap(),
            Description::default(),
        );
        let entry = claimed.unwrap();
        drop(entry.boot_log(LogConfig::default()).unwrap());
        entry.path().to_owned()
    }

    /// The one flaw, after the sound ones have been checked.
    fn flaw(&self) -> Flaw {
        let mut listed = self.directory.list().unwrap();
        assert_eq!(listed.len(), 3, "{listed:?}");
        let last = listed.pop().unwrap().unwrap();
        let flaw = listed.pop().unwrap().unwrap_err();
        let first = listed.pop().unwrap().unwrap();
        assert_eq!(
            (first.id.as_str(), first.liveness),
            ("aa-1", Liveness::Live)
        );
        assert_eq!((last.id.as_str(), last.liveness), ("zz-1", Liveness::Gone));
        let line = flaw.to_string();
        assert!(line.bytes().all(|b| (b' '..=b'~').contains(&b)), "{line:?}");
        flaw
    }

    /// The key of the one flaw.
    fn key(&self) -> &'static str {
        self.flaw().kind.key()
    }
}

fn fifo(path: &Path) {
    mknodat(rustix::fs::CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}

fn replace(path: &Path, by: impl FnOnce(&Path)) {
    let _ = fs::remove_file(path);
    by(path);
}

#[test]
fn names_that_are_no_ids() {
    for name in [
        &b"b b"[..],
        b"b\x1b[2J",
        b"b\n",
        b"b\xff\xfe",
        b"b.force",
        &[b'b'; 255],
    ] {
        let place = Place::new();
        fs::create_dir(place.dir.path().join(OsStr::from_bytes(name))).unwrap();
        let flaw = place.flaw();
        assert_eq!((flaw.kind.key(), flaw.name.as_bytes()), ("not_an_id", name));
    }
}

#[test]
fn names_with_a_dot_first_are_left_out() {
    let place = Place::new();
    fs::create_dir(place.path(".draft")).unwrap();
    assert_eq!(place.directory.list().unwrap().len(), 2);
}

#[test]
fn something_else_than_a_directory() {
    type Make = fn(&Path);
    let makers: [(&str, Make); 4] = [
        ("not_a_directory", |path| drop(File::create(path).unwrap())),
        ("not_a_directory", fifo),
        ("not_a_directory", |path| {
            drop(UnixListener::bind(path).unwrap());
        }),
        ("symbolic_link", |path| {
            symlink("aa-1", path).unwrap();
        }),
    ];
    for (key, make) in makers {
        let place = Place::new();
        let path = place.path("b-1");
        make(&path);
        assert_eq!(place.key(), key);
        let claimed = Entry::claim(
            &place.directory,
            &"b-1".parse().unwrap(),
            Description::default(),
        );
        let refused = claimed.unwrap_err();
        assert!(
            matches!(refused.kind, ClaimErrorKind::NotADirectory { .. }),
            "{refused}"
        );
        assert!(fs::symlink_metadata(&path).is_ok(), "it is left alone");
    }
}

#[test]
fn an_entry_without_a_record() {
    let place = Place::new();
    fs::create_dir(place.path("b-1")).unwrap();
    assert!(matches!(
        place.flaw().kind,
        FlawKind::NoRecord {
            liveness: Liveness::Gone
        }
    ));
    // A VMM that was killed so early keeps the next from nothing.
    let claimed = Entry::claim(
        &place.directory,
        &"b-1".parse().unwrap(),
        Description::default(),
    );
    let entry = claimed.unwrap();
    fs::remove_file(entry.path().join("instance.json")).unwrap();
    assert!(matches!(
        place.flaw().kind,
        FlawKind::NoRecord {
            liveness: Liveness::Live
        }
    ));
}

#[test]
fn records_that_are_none() {
    let newer = r#"{"version":2,"id":["of","another","form"]}"#;
    let deep = "[".repeat(60_000);
    for (json, key) in [
        ("", "not_json"),
        ("{", "not_json"),
        (&*deep, "not_json"),
        ("\u{1b}[2J", "not_json"),
        (r#"{"version":1}"#, "not_json"),
        (
            r#"{"version":1,"id":"\u001b[2J","incarnation":1}"#,
            "not_json",
        ),
        (newer, "version"),
        (
            r#"{"version":1,"id":"zz-1","incarnation":1,"pid":1,"started":1}"#,
            "other_id",
        ),
    ] {
        let place = Place::new();
        let entry = place.gone("b-1");
        fs::write(entry.join("instance.json"), json).unwrap();
        assert_eq!(place.key(), key, "{:.60}", json.escape_debug());
        // Such a record is no reason to refuse a machine its console.
        let claimed = Entry::claim(
            &place.directory,
            &"b-1".parse().unwrap(),
            Description::default(),
        );
        claimed.unwrap();
    }
}

/// A file with holes, so nothing of it is on the disk; to read it would take its length in memory.
#[test]
fn a_record_that_is_too_large() {
    let place = Place::new();
    let record = place.gone("b-1").join("instance.json");
    for len in [InstanceRecord::MAX_LEN as u64 + 1, 1 << 40] {
        let file = File::options().write(true).open(&record).unwrap();
        if file.set_len(len).is_ok() {
            assert!(matches!(place.flaw().kind, FlawKind::TooLarge { len: told } if told == len));
        }
    }
}

#[test]
fn files_that_are_none() {
    let makers: [fn(&Path); 4] = [
        |path| symlink("/etc/passwd", path).unwrap(),
        fifo,
        |path| drop(UnixListener::bind(path).unwrap()),
        |path| fs::create_dir(path).unwrap(),
    ];
    for make in makers {
        for name in ["instance.json", "lock"] {
            let place = Place::new();
            let entry = place.gone("b-1");
            replace(&entry.join(name), make);
            let flaw = place.flaw().kind;
            assert!(
                matches!(flaw, FlawKind::NotAFile { file, .. } if file == name),
                "{flaw}"
            );
        }
        let place = Place::new();
        let entry = place.gone("b-1");
        replace(&entry.join("boot.log"), make);
        let found = place.directory.find(&"b-1".parse().unwrap()).unwrap();
        assert!(found.open_boot_log().is_err());
        let claimed = Entry::claim(&place.directory, &found.id, Description::default());
        assert!(claimed.unwrap().boot_log(LogConfig::default()).is_err());
        let target = fs::read("/etc/passwd").unwrap();
        assert!(!target.is_empty(), "nothing is written through a link");
    }
}

#[test]
fn a_lock_that_is_no_file_is_refused_by_a_vmm() {
    let place = Place::new();
    let entry = place.gone("b-1");
    replace(&entry.join("lock"), fifo);
    let claimed = Entry::claim(
        &place.directory,
        &"b-1".parse().unwrap(),
        Description::default(),
    );
    let refused = claimed.unwrap_err();
    assert!(
        matches!(refused.kind, ClaimErrorKind::NotAFile { file: "lock", .. }),
        "{refused}"
    );
}

#[test]
fn entries_and_directories_that_others_can_write_to() {
    let place = Place::new();
    let entry = place.gone("b-1");
    fs::set_permissions(&entry, Permissions::from_mode(0o770)).unwrap();
    assert_eq!(place.key(), "open_to_others");
    let claim = |id: &str| {
        Entry::claim(
            &place.directory,
            &id.parse().unwrap(),
            Description::default(),
        )
    };
    let open = |refused: ClaimErrorKind| matches!(refused, ClaimErrorKind::OpenToOthers { .. });
    assert!(open(claim("b-1").unwrap_err().kind));

    fs::set_permissions(place.dir.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(open(claim("c-1").unwrap_err().kind));
    fs::set_permissions(place.dir.path(), Permissions::from_mode(0o1777)).unwrap();
    claim("c-1").unwrap();
}

#[test]
fn damaged_logs_are_no_flaw_of_the_instance() {
    let place = Place::new();
    let entry = place.gone("b-1");
    fs::write(entry.join("boot.log"), b"VMBOOTLG and no more").unwrap();
    let found = place.directory.find(&"b-1".parse().unwrap()).unwrap();
    let error = found.open_boot_log().unwrap_err();
    assert!(error.to_string().contains("cut short"), "{error}");
    fs::remove_file(entry.join("boot.log")).unwrap();
    assert!(found.open_boot_log().is_err());
    assert!(!entry.join("boot.log").exists());
}

#[test]
fn looking_for_one_tells_the_same() {
    let place = Place::new();
    symlink("aa-1", place.path("b-1")).unwrap();
    let find = |id: &str| place.directory.find(&id.parse().unwrap());
    assert!(matches!(
        find("b-1"),
        Err(FindError::Flaw(Flaw {
            kind: FlawKind::SymbolicLink,
            ..
        }))
    ));
    assert!(matches!(find("b-2"), Err(FindError::NoSuchInstance { .. })));
    assert!(find("zz-1").is_ok());
    let nowhere = Directory::new(place.path("nowhere"));
    assert!(matches!(
        nowhere.find(&"b-1".parse().unwrap()),
        Err(FindError::Directory(error)) if error.kind() == std::io::ErrorKind::NotFound
    ));
}

#[test]
fn a_log_that_is_no_log_is_left_as_it_is() {
    let place = Place::new();
    let path = place.gone("b-1").join("boot.log");
    fs::write(&path, b"somebody's diary").unwrap();
    let claimed = Entry::claim(
        &place.directory,
        &"b-1".parse().unwrap(),
        Description::default(),
    );
    assert!(claimed.unwrap().boot_log(LogConfig::default()).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"somebody's diary");
    assert!(BootLog::open_read_only(&path).is_err());
}
