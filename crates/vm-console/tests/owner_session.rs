//! The session of the owner's own terminal.

mod support;

use std::io::{PipeWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use support::{Client, PATIENCE, Rig, wait_until};
use vm_console::service::Outcome;
use vm_console::session::EndReason;
use vm_console::transport::stdio::FdClient;
use vm_console::{ConsoleConfig, PowerControl, Start};

const LIMIT: Duration = Duration::from_millis(100);

fn limited() -> ConsoleConfig {
    let mut config = ConsoleConfig::named("vm");
    config.session.idle_limit = LIMIT;
    config
}

/// A client as of a terminal, whose keys come through the pipe.
fn terminal() -> (FdClient, PipeWriter) {
    let (keys, typist) = std::io::pipe().unwrap();
    let screen = std::fs::File::create("/dev/null").unwrap();
    (FdClient::from_files(&keys, &screen).unwrap(), typist)
}

#[test]
fn a_session_of_the_owners_terminal_has_no_limits() {
    let rig = Rig::with(limited());
    let (client, _typist) = terminal();
    // Nothing has to be done with what it returns.
    rig.console.attach(client);
    assert!(rig.status().holder.is_some());
    // Another session, which begins later, reaches its limit.
    let other = rig.beside(limited());
    let farewell = other.attach("raw").read_to_end();
    assert!(farewell.contains("no input for 100 ms"), "{farewell}");
    assert!(rig.status().holder.is_some());
}

#[test]
fn it_has_limits_if_they_are_asked_for_and_on_a_socket() {
    let ended = |rig: &Rig, client| {
        let attachment = rig.console.attach(client);
        let outcome = attachment.outcome().recv_timeout(PATIENCE).unwrap();
        assert_eq!(outcome, Outcome::Ended(EndReason::Idle { limit: LIMIT }));
    };
    let rig = Rig::with(limited());
    let (client, _typist) = terminal();
    ended(&rig, client.with_limits());
    let (_client, served) = UnixStream::pair().unwrap();
    ended(&rig, FdClient::from_socket(served.into()));
}

#[derive(Default)]
struct Restarts(AtomicU32);

impl PowerControl for Restarts {
    fn stop(&self) {}
    fn start(&self) {}
    fn restart(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_escape_resets_the_machine_if_it_can_be_reset_from_here() {
    let restarts = Arc::new(Restarts::default());
    let mut config = ConsoleConfig::named("vm");
    config.power = Some(restarts.clone());
    let can = Rig::with(config);
    let (mut keyboard, served) = UnixStream::pair().unwrap();
    can.console
        .attach(FdClient::from_socket(served.into()).with_escapes());
    keyboard.write_all(b"~R").unwrap();
    wait_until("the machine restarts", || {
        restarts.0.load(Ordering::Relaxed) == 1
    });

    let cannot = Rig::new();
    let (mut keyboard, served) = UnixStream::pair().unwrap();
    keyboard.set_read_timeout(Some(PATIENCE)).unwrap();
    cannot
        .console
        .attach(FdClient::from_socket(served.into()).with_escapes());
    keyboard.write_all(b"~R").unwrap();
    let told = b"\r\n[the machine cannot be stopped or started from here]\r\n";
    let mut shown = vec![0; told.len()];
    keyboard.read_exact(&mut shown).unwrap();
    assert_eq!(shown, told);
}

#[test]
fn its_replay_begins_where_the_owner_says_and_otherwise_as_on_a_socket() {
    let mut config = ConsoleConfig::named("vm");
    config.replay = Start::Newest(3);
    let rig = Rig::with(config);
    rig.print(b"one two");
    let shown = |place: Option<Start>| {
        let (client, served) = UnixStream::pair().unwrap();
        let served = FdClient::from_socket(served.into()).read_only();
        rig.console.attach(match place {
            Some(place) => served.replay(place),
            None => served,
        });
        Client::new(client).read(3)
    };
    assert_eq!(shown(Some(Start::Newest(5))), b"e t");
    assert_eq!(shown(None), b"two");
    assert_eq!(rig.connect("raw").read(3), b"two");
}

/// Opened anew it would begin with its first byte.
#[test]
fn a_regular_file_is_read_and_written_from_where_its_owner_is() {
    let rig = Rig::new();
    let mut keys = tempfile::tempfile().unwrap();
    let mut screen = tempfile::tempfile().unwrap();
    keys.write_all(b"read before|typed").unwrap();
    keys.seek(SeekFrom::Start(12)).unwrap();
    screen.write_all(b"written before|").unwrap();
    let _attachment = rig
        .console
        .attach(FdClient::from_files(&keys, &screen).unwrap());
    assert_eq!(rig.read_input(5), b"typed");
    rig.print(b"output");
    let wanted = b"written before|output";
    wait_until("the output is written", || {
        screen.metadata().unwrap().len() >= wanted.len() as u64
    });
    let mut written = Vec::new();
    screen.seek(SeekFrom::Start(0)).unwrap();
    screen.read_to_end(&mut written).unwrap();
    assert!(written.starts_with(wanted), "{}", written.escape_ascii());
}
