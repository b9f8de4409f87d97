//! Ways in, logs and files that begin with descriptors in place of paths, and that go on when the
//! service has let go of them.

mod support;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use support::{Client, PATIENCE, Rig, open_terminal};
use vm_console::text_log::TextLog;
use vm_console::transport::Listener;
use vm_console::transport::pty::{Pty, PtyDescriptors};
use vm_console::transport::tcp::TcpSocket;
use vm_console::transport::unix::{Peers, UnixSocket};
use vm_console::{
    BootLog, Console, ConsoleConfig, ImageError, LogConfig, StreamFiles, StreamLimits,
};

/// Ends the service of `rig`, and so all its listeners.
fn end(rig: &Rig) {
    rig.console.remove();
    assert!(rig.console.wait_removed(PATIENCE));
}

#[test]
fn a_kept_unix_socket_outlives_its_listener_and_ends_with_its_holder() {
    for is_handed_over in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("raw");
        let socket = UnixSocket::bind(&path).unwrap();
        let kept = socket.keep().unwrap();
        let rig = Rig::new();
        rig.console.listen(Listener::raw(socket));
        rig.carries(
            &mut Client::new(UnixStream::connect(&path).unwrap()),
            "first",
        );
        end(&rig);
        let mut waits = Client::new(UnixStream::connect(&path).unwrap());
        if !is_handed_over {
            drop(kept);
            assert_eq!(waits.read_to_end(), "");
            assert!(!path.exists());
            continue;
        }
        let socket = OwnedFd::from(kept);
        let socket = UnixSocket::adopt_with_file(socket, Peers::Anyone, &path).unwrap();
        assert_eq!(socket.path(), Some(path.as_path()));
        let rig = Rig::new();
        rig.console.listen(Listener::raw(socket));
        rig.carries(&mut waits, "next");
        drop(waits);
        end(&rig);
        assert!(!path.exists(), "it is the file of the one that adopted it");
    }
}

#[test]
fn what_was_handed_over_is_not_ended_by_a_listener_that_is_still_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raw");
    let socket = UnixSocket::bind(&path).unwrap();
    let handed_over = OwnedFd::from(socket.keep().unwrap());
    drop(socket);
    let _waits = UnixStream::connect(&path).unwrap();
    UnixListener::from(handed_over).accept().unwrap();
}

#[test]
fn a_kept_tcp_socket_is_adopted_with_its_address() {
    let socket = TcpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (kept, address) = (socket.keep().unwrap(), socket.address());
    let rig = Rig::new();
    rig.console.listen(Listener::tcp(socket));
    rig.carries(
        &mut Client::tcp(TcpStream::connect(address).unwrap()),
        "first",
    );
    end(&rig);
    let mut waits = Client::tcp(TcpStream::connect(address).unwrap());
    let socket = TcpSocket::adopt(kept.into()).unwrap();
    assert_eq!(socket.address(), address);
    let rig = Rig::new();
    rig.console.listen(Listener::tcp(socket));
    rig.carries(&mut waits, "next");
    TcpSocket::adopt(UnixStream::pair().unwrap().0.into()).unwrap_err();
}

#[test]
fn a_socket_is_adopted_only_with_a_file_on_which_somebody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let kind = |path: &Path| {
        let socket = UnixListener::bind(dir.path().join("passed")).unwrap();
        fs::remove_file(dir.path().join("passed")).unwrap();
        let adopted = UnixSocket::adopt_with_file(socket.into(), Peers::Anyone, path);
        adopted.unwrap_err().kind()
    };
    assert_eq!(kind(&path("missing")), ErrorKind::NotFound);
    fs::write(path("file"), "mine").unwrap();
    assert_eq!(kind(&path("file")), ErrorKind::AlreadyExists);
    drop(UnixListener::bind(path("dead")).unwrap());
    assert_eq!(kind(&path("dead")), ErrorKind::ConnectionRefused);
    assert_eq!(kind(Path::new("/")), ErrorKind::InvalidInput);
    assert!(path("file").exists() && path("dead").exists());
}

#[test]
fn a_kept_pty_keeps_its_device_and_whoever_opens_it_waits() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("pty");
    let pty = Pty::open(&link).unwrap();
    let kept = pty.keep();
    let rig = Rig::new();
    rig.console.listen(Listener::pty(pty));
    let client = open_terminal(&link);
    rig.wait_until_held();
    end(&rig);
    drop(client);
    let device = fs::read_link(&link).unwrap();
    let mut waits = open_terminal(&link);
    let descriptors = kept.into_descriptors().unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), device);
    assert_eq!(Pty::open(&link).unwrap_err().kind(), ErrorKind::AddrInUse);

    let pty = Pty::adopt(descriptors, &link).unwrap();
    assert_eq!(pty.device().path(), device);
    let rig = Rig::new();
    rig.console.listen(Listener::pty(pty));
    rig.wait_until_held();
    rig.print(b"next");
    let mut seen = [0; 4];
    waits.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"next");
    waits.write_all(b"typed").unwrap();
    assert_eq!(rig.read_input(5), b"typed");
    drop(waits);
    end(&rig);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_kept_pty_that_nobody_adopts_goes_with_its_holder() {
    let dir = tempfile::tempdir().unwrap();
    let pty = Pty::open(dir.path().join("pty")).unwrap();
    let kept = pty.keep();
    drop(pty);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    drop(kept);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_pty_that_somebody_else_has_made_gets_a_symlink() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("pty");
    let descriptors = |master| PtyDescriptors { master, lock: None };
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&master).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let rig = Rig::new();
    let pty = Pty::adopt(descriptors(master), &link).unwrap();
    rig.console.listen(Listener::pty(pty));
    // Nobody has opened it yet, and it is raw.
    assert!(rig.status().holder.is_none());
    let mut client = open_terminal(&link);
    rig.wait_until_held();
    rig.print(b"\r\n");
    let mut seen = [0; 2];
    client.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"\r\n");

    let file = File::open("/dev/null").unwrap();
    let other = dir.path().join("other");
    Pty::adopt(descriptors(file.into()), &other).expect_err("it is no pty");
    assert!(!dir.path().join("other.lock").exists());
}

fn open(directory: &Path) -> OwnedFd {
    rustix::fs::open(directory, OFlags::DIRECTORY | OFlags::PATH, Mode::empty()).unwrap()
}

const LIMITS: StreamLimits = StreamLimits {
    file_bytes: 5,
    full_files: 9,
};

#[test]
fn files_that_rotate_in_an_opened_directory_stay_there() {
    let dir = tempfile::tempdir().unwrap();
    let before = dir.path().join("before");
    fs::create_dir(&before).unwrap();
    let (stream, text) = (open(&before), open(&before));
    // From here on it cannot be the names that lead there.
    let after = dir.path().join("after");
    fs::rename(&before, &after).unwrap();
    let rig = Rig::new();
    let text = TextLog::rotating_in(text, "text", LIMITS).unwrap();
    let text = rig.console.log_text(text).unwrap();
    let mut stream = StreamFiles::open_in(stream, "stream", LIMITS, &rig.log).unwrap();
    rig.print(b"one\ntwo\nthree");
    stream.pump().unwrap();
    end(&rig);
    assert!(text.wait_finished(PATIENCE));
    let files = |name: &str| {
        [2, 1]
            .map(|number| fs::read_to_string(after.join(format!("{name}.{number}"))).unwrap())
            .into_iter()
            .chain([fs::read_to_string(after.join(name)).unwrap()])
            .collect::<Vec<_>>()
    };
    assert_eq!(files("stream"), ["one\nt", "wo\nth", "ree"]);
    assert_eq!(files("text"), ["one\n", "two\n", "three"]);

    // The next owner goes on where this one has ended.
    drop(stream);
    let mut stream = StreamFiles::open_in(open(&after), "stream", LIMITS, &rig.log).unwrap();
    rig.print(b"!");
    stream.pump().unwrap();
    assert_eq!(fs::read_to_string(after.join("stream")).unwrap(), "ree!");
}

#[test]
fn a_console_goes_on_in_place_in_its_own_log_only() {
    let config = || ConsoleConfig::named("vm");
    let file = || tempfile::tempfile().unwrap();
    let (writer, log) = BootLog::in_file(file(), LogConfig::default()).unwrap();
    let (mut line, console) = Console::new(config(), writer).unwrap();
    line.transmit(b"first");
    let early = console.export(&line);
    line.transmit(b", second");
    let image = console.export_in_place(&line);
    let log_file = log.file().unwrap().try_clone().unwrap();
    let marks = log.marks_written();
    drop(line);

    let (other, _) = BootLog::in_file(file(), LogConfig::default()).unwrap();
    let (mut older, _) = BootLog::in_file(file(), LogConfig::default()).unwrap();
    older.restore(&early.log).unwrap();
    for (what, writer) in [("another log", other), ("an older copy", older)] {
        let resumed = Console::resume_in_place(config(), writer, &image);
        assert!(matches!(resumed, Err(ImageError::OtherLog)), "{what}");
    }
    let (writer, log) = BootLog::in_file(log_file, LogConfig::default()).unwrap();
    let (mut line, _) = Console::resume_in_place(config(), writer, &image).unwrap();
    line.transmit(b", third");
    assert_eq!(log.read_at(0, 100).bytes, b"first, second, third");
    assert_eq!((log.epoch(), log.marks_written()), (1, marks));
}
