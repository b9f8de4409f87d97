//! A pty with a stable name.

mod support;

use std::fs::File;
use std::io::{Read, Write};

use rustix::fs::FileType;
use support::{Rig, join, open_terminal, wait_until};
use vm_console::session::EndReason;
use vm_console::transport::{Listener, pty::Pty};

fn read(file: &mut File, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    file.read_exact(&mut bytes).unwrap();
    bytes
}

fn rig() -> (Rig, std::path::PathBuf) {
    let rig = Rig::new();
    let link = rig.path("pty");
    rig.console.listen(Listener::pty(Pty::open(&link).unwrap()));
    (rig, link)
}

#[test]
fn a_session_begins_with_opening_and_ends_with_closing() {
    let (rig, link) = rig();
    rig.print(b"boot log\r\n");
    assert!(
        rig.status().holder.is_none(),
        "nobody is there until somebody opens it"
    );
    for round in 1..=3 {
        let mut pty = open_terminal(&link);
        wait_until("the session is granted", || {
            rig.counters().attaches == round
        });
        // The pty is raw from the start. Otherwise CR LF would come out as something else.
        assert_eq!(read(&mut pty, 10), b"boot log\r\n");
        pty.write_all(b"typed\r").unwrap();
        assert_eq!(rig.read_input(6), b"typed\r");
        assert!(rig.status().holder.unwrap().by.contains("pty"));
        drop(pty);
        rig.wait_until_free();
    }
}

#[test]
fn all_byte_values_both_ways() {
    let (rig, link) = rig();
    let mut pty = open_terminal(&link);
    rig.wait_until_held();
    let all: Vec<u8> = (0..=255).collect();
    rig.print(&all);
    assert_eq!(read(&mut pty, 256), all);
    pty.write_all(&all).unwrap();
    assert_eq!(rig.read_input(256), all);
}

#[test]
fn what_one_left_unread_is_not_shown_to_the_next() {
    let (rig, link) = rig();
    let pty = open_terminal(&link);
    rig.wait_until_held();
    rig.print(&vec![b'x'; 100_000]);
    drop(pty);
    rig.wait_until_free();
    let mut pty = open_terminal(&link);
    // The whole log comes, from its beginning and once.
    rig.print(b"END");
    let mut bytes = read(&mut pty, 100_003);
    assert_eq!(bytes.split_off(100_000), b"END");
    assert!(bytes.iter().all(|byte| *byte == b'x'));
}

#[test]
fn a_pty_is_hung_up_when_the_console_is_taken_and_its_name_stays() {
    let (rig, link) = rig();
    let mut pty = open_terminal(&link);
    rig.wait_until_held();
    let before = std::fs::read_link(&link).unwrap();
    let holder = rig.attach("force");
    let mut text = Vec::new();
    // A terminal that hangs up gives end-of-file or EIO.
    let _ = pty.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(
        text.is_empty() || text.contains("taken over by uid"),
        "{text}"
    );
    wait_until("the name leads to another pty", || {
        std::fs::read_link(&link).is_ok_and(|now| now != before || !before.exists())
    });
    // While the console is taken, a client that opens the pty is told so and hung up.
    drop(pty);
    let mut refused = open_terminal(&link);
    let mut text = Vec::new();
    let _ = refused.read_to_end(&mut text);
    drop((refused, holder));
    rig.wait_until_free();
    wait_until("the pty can be had again", || {
        let _pty = open_terminal(&link);
        let granted = rig.counters().attaches;
        for _ in 0..200 {
            if rig.status().holder.is_some() || rig.counters().attaches > granted {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        false
    });
}

#[test]
fn the_owner_is_told_the_device_that_is_there_now() {
    let rig = Rig::new();
    let link = rig.path("pty");
    let pty = Pty::open(&link).unwrap();
    let device = pty.device();
    rig.console.listen(Listener::pty(pty));
    let first = device.path();
    assert_eq!(std::fs::read_link(&link).unwrap(), first);
    let _pty = open_terminal(&first);
    rig.wait_until_held();
    rig.console.disconnect(EndReason::Revoked);
    wait_until("there is another device", || {
        std::fs::read_link(&link).is_ok_and(|now| now != first && now == device.path())
    });
}

#[test]
fn the_symlink_replaces_only_a_symlink_and_goes_with_the_pty() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("pty");
    std::os::unix::fs::symlink("/dev/pts/nothing-there", &link).unwrap();
    let pty = Pty::open(&link).unwrap();
    assert_eq!(std::fs::read_link(&link).unwrap(), pty.device().path());
    drop(pty);
    assert!(link.symlink_metadata().is_err());
    std::fs::write(&link, "mine").unwrap();
    let in_the_way = Pty::open(&link).unwrap_err();
    assert_eq!(in_the_way.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(
        in_the_way.to_string(),
        format!(
            "pty {}: a file that is no symlink is in the way: remove it, or choose another path",
            link.display()
        )
    );
    assert_eq!(std::fs::read_to_string(&link).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_link_whose_owner_lives_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("vm.pty");
    let first = Pty::open(&link).unwrap();
    let device = first.device().path();
    let error = Pty::open(&link).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{error}");
    let begin = format!("pty {}: another server", link.display());
    assert!(error.to_string().starts_with(&begin), "{error}");
    assert_eq!(std::fs::read_link(&link).unwrap(), device);
    drop(first);
    // A killed owner leaves a symlink and a lock file that nobody has locked. Both are replaced.
    std::os::unix::fs::symlink("/dev/pts/0", &link).unwrap();
    std::fs::write(dir.path().join("vm.pty.lock"), "").unwrap();
    let second = Pty::open(&link).unwrap();
    assert_eq!(std::fs::read_link(&link).unwrap(), second.device().path());
    drop(second);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_lock_file_that_is_none_is_an_error_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (link, lock) = (dir.path().join("vm.pty"), dir.path().join("vm.pty.lock"));
    let elsewhere = dir.path().join("elsewhere");
    std::os::unix::fs::symlink(&elsewhere, &lock).unwrap();
    Pty::open(&link).expect_err("the lock file is a symlink");
    assert!(!elsewhere.exists(), "nothing is made through a symlink");
    std::fs::remove_file(&lock).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &lock, FileType::Fifo, mode, 0).unwrap();
    // Opening a FIFO usually waits for its reader.
    let opens = std::thread::spawn(move || Pty::open(&link));
    let opened = join("the error comes", opens).expect("it comes in time");
    opened.unwrap().expect_err("the lock file is a FIFO");
}

#[test]
fn its_end_is_no_end_for_others() {
    let (rig, link) = rig();
    let mut watcher = rig.connect("watch");
    wait_until("it watches", || rig.status().observers == 1);
    for round in 0..5 {
        let pty = open_terminal(&link);
        rig.wait_until_held();
        drop(pty);
        rig.wait_until_free();
        let text = format!("round {round}");
        rig.print(text.as_bytes());
        watcher.read_until(&text);
    }
}

#[test]
fn it_is_hung_up_at_once_however_long_others_may_read() {
    let mut config = vm_console::ConsoleConfig::named("vm");
    config.linger = std::time::Duration::from_secs(3600);
    let rig = Rig::with(config);
    let link = rig.path("pty");
    rig.console.listen(Listener::pty(Pty::open(&link).unwrap()));
    let mut pty = open_terminal(&link);
    rig.wait_until_held();
    rig.console.disconnect(EndReason::Revoked);
    // A terminal that has hung up fails the read, or ends it. What it was told may be lost.
    let _ = pty.read_to_end(&mut Vec::new());
}

#[test]
fn who_was_turned_away_does_not_keep_the_next_one_out() {
    let mut config = vm_console::ConsoleConfig::named("vm");
    config.max_connections = 1;
    let rig = Rig::with(config);
    let link = rig.path("pty");
    rig.console.listen(Listener::pty(Pty::open(&link).unwrap()));
    let holder = rig.attach("raw");
    let turned_away = open_terminal(&link);
    wait_until("it is turned away", || {
        rig.counters().connections_turned_away == 1
    });
    drop(turned_away);
    drop(holder);
    rig.wait_until_free();
    let _pty = open_terminal(&link);
    wait_until("the session is granted", || rig.counters().attaches == 2);
}
