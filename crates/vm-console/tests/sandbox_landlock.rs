//! The table of Landlock rights is the one that the kernel asks for: with all of them everything
//! works, and without any one of them something does not.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr,
};
use support::{PATIENCE, Rig, open_terminal};
use vm_console::instance::{Description, Directory, Entry, InstanceId};
use vm_console::sandbox::{FILE_RIGHTS, FileRights, Moment};
use vm_console::service::Service;
use vm_console::session::EndReason;
use vm_console::text_log::TextLog;
use vm_console::transport::Listener;
use vm_console::transport::pty::Pty;
use vm_console::transport::unix::{Peers, UnixSocket};
use vm_console::{BootLog, ConsoleConfig, LogConfig, LogError, StreamFiles, StreamLimits};

/// How long to wait for what should not happen.
const SHORTLY: Duration = Duration::from_millis(300);

fn access(right: &str) -> AccessFs {
    match right {
        "read_dir" => AccessFs::ReadDir,
        "read_file" => AccessFs::ReadFile,
        "write_file" => AccessFs::WriteFile,
        "remove_file" => AccessFs::RemoveFile,
        "remove_dir" => AccessFs::RemoveDir,
        "make_dir" => AccessFs::MakeDir,
        "make_reg" => AccessFs::MakeReg,
        "make_sock" => AccessFs::MakeSock,
        "make_sym" => AccessFs::MakeSym,
        "truncate" => AccessFs::Truncate,
        "ioctl_dev" => AccessFs::IoctlDev,
        other => panic!("a right that this test does not know: {other}"),
    }
}

/// Rights at places.
type Rules = Vec<(PathBuf, BitFlags<AccessFs>)>;

/// Takes all rights but these from the calling thread.
fn restrict(rules: &Rules) {
    let all = AccessFs::from_all(ABI::V5);
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(all);
    let mut ruleset = ruleset.unwrap().create().unwrap();
    for (place, rights) in rules {
        if !rights.is_empty() {
            let rule = PathBeneath::new(PathFd::new(place).unwrap(), *rights);
            ruleset = ruleset.add_rule(rule).unwrap();
        }
    }
    ruleset.restrict_self().unwrap();
}

/// Whether the kernel knows all rights that the table names.
fn has_landlock() -> bool {
    let created = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V5))
        .and_then(Ruleset::create);
    if let Err(error) = &created {
        support::skip(&format!("the kernel has no Landlock of version 5: {error}"));
    }
    created.is_ok()
}

/// What can be tried, by its name in the table.
type Attempt = fn(&Path, &Rules, Duration) -> bool;

fn attempt(needed: &FileRights) -> Attempt {
    match (needed.what, needed.moment) {
        ("`UnixSocket::bind`", Moment::Making) => {
            |dir, rules, _| on_a_thread(rules, || UnixSocket::bind(dir.join("socket")).is_ok())
        }
        ("`UnixSocket::bind`", Moment::Serving) => socket_is_served,
        ("`Pty::open`", Moment::Making) => {
            |dir, rules, _| on_a_thread(rules, || Pty::open(dir.join("pty")).is_ok())
        }
        ("`Pty::open`", Moment::Serving) => pty_is_served,
        ("`BootLog::open_or_create_file`", Moment::Making) => |dir, rules, _| {
            let open = || BootLog::open_or_create_file(dir.join("log"), LogConfig::default());
            on_a_thread(rules, || open().is_ok() && open().is_ok())
        },
        ("`BootLog::open_read_only`", Moment::Making) => |dir, rules, _| {
            let log = dir.join("log");
            drop(BootLog::create_file(&log, LogConfig::default()).unwrap());
            on_a_thread(rules, || BootLog::open_read_only(&log).is_ok())
        },
        ("`StreamFiles`", Moment::Making) => stream_is_whole,
        ("`instance::Entry`", Moment::Making) => entry_comes_and_goes,
        ("`instance::Directory::list`", Moment::Making) => |dir, rules, _| {
            let directory = Directory::new(dir);
            let id = "vm-7".parse().unwrap();
            drop(Entry::claim(&directory, &id, Description::default()).unwrap());
            on_a_thread(rules, || {
                let listed = directory.list().unwrap_or_default();
                listed.len() == 1 && listed[0].is_ok()
            })
        },
        ("`TextLog::append_to`", Moment::Making) => |dir, rules, _| {
            let path = dir.join("text");
            text_is_written(rules, || TextLog::append_to(&path)) == 3 && path.exists()
        },
        ("`TextLog::rotating`", Moment::Making) => |dir, rules, _| {
            let limits = StreamLimits {
                file_bytes: 1,
                full_files: 9,
            };
            let rotating = || TextLog::rotating(dir.join("text"), limits);
            text_is_written(rules, rotating) == 3 && dir.join("text.2").exists()
        },
        (what, moment) => panic!("nothing tries {what} while {moment}"),
    }
}

fn on_a_thread(rules: &Rules, act: impl FnOnce() -> bool + Send) -> bool {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            restrict(rules);
            act()
        });
        thread.join().unwrap()
    })
}

/// An entry is made, rewritten, taken over, and removed.
fn entry_comes_and_goes(dir: &Path, rules: &Rules, _: Duration) -> bool {
    let directory = Directory::new(dir);
    let id: InstanceId = "vm-7".parse().unwrap();
    on_a_thread(rules, || {
        let claim = || Entry::claim(&directory, &id, Description::default());
        let Ok(mut entry) = claim() else {
            return false;
        };
        let updated = entry.update(Description::named("renamed")).is_ok();
        drop(entry);
        updated && claim().is_ok_and(|entry| entry.retire().is_ok())
    }) && std::fs::read_dir(dir).unwrap().next().is_none()
}

/// Two owners of the files, one after the other, copy all of the output once.
fn stream_is_whole(dir: &Path, rules: &Rules, _: Duration) -> bool {
    const HALF: &[u8] = b"half of the output, ";
    let name = dir.join("stream");
    let limits = StreamLimits {
        file_bytes: 30,
        full_files: 9,
    };
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let mut copy = || {
        writer.append(HALF);
        StreamFiles::open(&name, limits, &log)?.pump()
    };
    let is_copied = on_a_thread(rules, || copy().is_ok() && copy().is_ok());
    let file = |name: &str| std::fs::read(dir.join(name)).unwrap_or_default();
    is_copied && [file("stream.2"), file("stream.1"), file("stream")].concat() == HALF.repeat(2)
}

/// How many of three bytes get into the text log that `open` opens, whose thread is started with
/// these rights.
fn text_is_written(rules: &Rules, open: impl FnOnce() -> Result<TextLog, LogError> + Send) -> u64 {
    let rig = Rig::new();
    let mut written = 0;
    on_a_thread(rules, || {
        let Ok(text) = open() else { return false };
        let text = rig.console.log_text(text).unwrap();
        rig.print(b"one");
        rig.console.remove();
        assert!(text.wait_finished(PATIENCE));
        written = rig.log.head() - text.lost();
        true
    });
    written
}

/// A console in a service whose thread has no other rights.
fn restricted(rules: &Rules) -> Rig {
    let rules = rules.clone();
    let (service, _) = Service::spawn_with(move || {
        restrict(&rules);
        Ok(())
    })
    .unwrap();
    Rig::in_service(service, ConsoleConfig::named("vm"), LogConfig::default())
}

fn happens(patience: Duration, condition: impl Fn() -> bool) -> bool {
    let end = Instant::now() + patience;
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// The service removes the socket's file in the end.
fn socket_is_served(dir: &Path, rules: &Rules, _: Duration) -> bool {
    let rig = restricted(rules);
    let path = dir.join("socket");
    rig.console
        .listen(Listener::raw(UnixSocket::bind(&path).unwrap()));
    drop(std::os::unix::net::UnixStream::connect(&path).unwrap());
    rig.console.remove();
    assert!(rig.console.wait_removed(PATIENCE));
    rig.service.shut_down();
    !path.exists()
}

/// The service makes another pty after it has disconnected a client, and removes everything in the
/// end.
fn pty_is_served(dir: &Path, rules: &Rules, patience: Duration) -> bool {
    let rig = restricted(rules);
    let link = dir.join("pty");
    rig.console.listen(Listener::pty(Pty::open(&link).unwrap()));
    rig.status();
    let device = || std::fs::read_link(&link).ok();
    let first = device();
    let client = open_terminal(&link);
    rig.wait_until_held();
    rig.console.disconnect(EndReason::Revoked);
    let has_another = happens(patience, || device() != first);
    drop(client);
    rig.console.remove();
    assert!(rig.console.wait_removed(PATIENCE));
    rig.service.shut_down();
    has_another && std::fs::read_dir(dir).unwrap().next().is_none()
}

/// A directory of its own, and the rights at the places that the rows name.
fn rules(dir: &Path, rows: &[FileRights], without: Option<(usize, &str)>) -> Rules {
    let place = |row: &FileRights| match row.place {
        "its directory" => dir.to_owned(),
        place => PathBuf::from(place.trim_matches('`')),
    };
    rows.iter()
        .enumerate()
        .map(|(index, row)| {
            let rights = row
                .rights
                .iter()
                .filter(|right| without != Some((index, right)));
            (place(row), rights.map(|right| access(right)).collect())
        })
        .collect()
}

#[test]
fn what_is_adopted_with_its_file_needs_the_rights_of_serving_only() {
    if !has_landlock() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (link, path) = (dir.path().join("pty"), dir.path().join("socket"));
    let pty = Pty::open(&link).unwrap().keep();
    let pty = pty.into_descriptors().unwrap();
    let socket = UnixSocket::bind(&path).unwrap().keep().unwrap();
    let serving: Vec<_> = FILE_RIGHTS
        .iter()
        .filter(|row| row.moment == Moment::Serving)
        .copied()
        .collect();
    let rules = rules(dir.path(), &serving, None);
    assert!(on_a_thread(&rules, || {
        let socket = UnixSocket::adopt_with_file(socket.into(), Peers::Anyone, &path);
        Pty::adopt(pty, &link).is_ok() && socket.is_ok()
    }));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn each_right_is_needed_and_all_of_them_are_enough() {
    if !has_landlock() {
        return;
    }
    let rows_of = |needed: &FileRights| -> Vec<_> {
        let same = |row: &&FileRights| (row.what, row.moment) == (needed.what, needed.moment);
        FILE_RIGHTS.iter().filter(same).copied().collect()
    };
    let mut wrong = Vec::new();
    for needed in FILE_RIGHTS {
        let rows = rows_of(needed);
        let at = rows.iter().position(|row| row == needed).unwrap();
        let attempt = attempt(needed);
        let works = |without, patience| {
            let dir = tempfile::tempdir().unwrap();
            attempt(dir.path(), &rules(dir.path(), &rows, without), patience)
        };
        if !works(None, PATIENCE) {
            wrong.push(format!("not enough: {rows:?}"));
            continue;
        }
        for right in needed.rights {
            if works(Some((at, right)), SHORTLY) {
                wrong.push(format!("{right} is not needed: {needed:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
