//! One client on a raw unix socket.

mod support;

use std::error::Error;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use support::{Client, Rig, newest_only, pattern, received_and_lost, wait_until};
use vm_console::ConsoleConfig;
use vm_console::audit::Audited;
use vm_console::session::{EndReason, SessionPolicy};
use vm_console::transport::unix::{BindOptions, UnixSocket};
use vm_uart::registers::THR;

#[test]
fn bytes_go_both_ways() {
    let rig = Rig::new();
    let mut client = rig.attach("raw");
    rig.print(b"login: ");
    assert_eq!(client.read(7), b"login: ");
    client.send(b"root\r");
    assert_eq!(rig.read_input(5), b"root\r");
}

#[test]
fn all_byte_values_both_ways() {
    let rig = Rig::new();
    let all: Vec<u8> = (0..=255).collect();
    let mut client = rig.attach("raw");
    for _ in 0..3 {
        rig.print(&all);
        assert_eq!(client.read(256), all);
        client.send(&all);
        assert_eq!(rig.read_input(256), all);
    }
}

#[test]
fn a_backlog_of_a_silent_guest_arrives_whole() {
    let rig = Rig::new();
    let backlog = pattern(0, 200 << 10);
    rig.print(&backlog);
    assert_eq!(rig.attach("raw").read(backlog.len()), backlog);
}

#[test]
fn replay_and_live_meet_without_gap_or_duplicate() {
    let rig = Rig::new();
    let all = pattern(0, 600_000);
    let (port, bytes) = (rig.port.clone(), all.clone());
    let guest = std::thread::spawn(move || {
        for chunk in bytes.chunks(7) {
            port.lock().unwrap().write_string(THR, chunk);
        }
    });
    for _ in 0..5 {
        wait_until("some output is there", || rig.log.head() > 1000);
        let mut client = rig.attach("raw");
        assert_eq!(client.read(100_000), all[..100_000]);
        drop(client);
        rig.wait_until_free();
    }
    assert!(rig.attach("raw").read(all.len()) == all);
    guest.join().unwrap();
}

#[test]
fn a_second_client_is_told_who_holds_it_and_the_first_is_undisturbed() {
    let rig = Rig::new();
    let mut holder = rig.attach("raw");
    let refusal = rig.connect("raw").read_to_end();
    let expected = format!(
        "console vm: in use by uid {} (pid {}, unix socket) since 20",
        uid(),
        std::process::id()
    );
    assert!(refusal.starts_with(&expected), "{refusal}");
    assert!(refusal.contains("no input yet"), "{refusal}");
    assert_eq!(refusal.matches('\n').count(), 1);
    rig.print(b"still here");
    assert_eq!(holder.read(10), b"still here");
    holder.send(b"me too");
    assert_eq!(rig.read_input(6), b"me too");
    let refusal = rig.connect("raw").read_to_end();
    assert!(refusal.contains("last input"), "{refusal}");
    assert_eq!(rig.counters().refused[0], 2);
}

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[test]
fn the_kicked_client_is_told_by_whom() {
    let rig = Rig::new();
    let mut old = rig.attach("raw");
    let mut new = rig.attach("force");
    let farewell = old.read_to_end();
    let by = format!(
        "session over: taken over by uid {} (pid {}",
        uid(),
        std::process::id()
    );
    assert!(farewell.contains(&by), "{farewell}");
    rig.print(b"yours");
    assert_eq!(new.read(5), b"yours");
}

#[test]
fn the_old_holders_input_does_not_reach_the_guest_as_the_new_ones() {
    let rig = Rig::new();
    let mut old = rig.attach("raw");
    // More than the chip's FIFO holds. The guest reads nothing.
    old.send(&[b'x'; 100]);
    wait_until("it is queued", || rig.counters().input == 100);
    let mut new = rig.attach("force");
    new.send(b"new");
    let mut input = Vec::new();
    wait_until("the new input arrives", || {
        input.extend(rig.take_input());
        input.ends_with(b"new")
    });
    // The guest still gets the characters that the chip has taken: 16 at most.
    let in_the_chip = input.len() - 3;
    assert!(in_the_chip <= 16, "{}", input.escape_ascii());
    assert_eq!(rig.counters().input_discarded as usize, 100 - in_the_chip);
}

#[test]
fn a_client_that_closes_at_once_is_still_heard() {
    let rig = Rig::new();
    let mut client = Client::new(UnixStream::connect(rig.path("raw")).unwrap());
    client.send(b"reboot\r");
    drop(client);
    assert_eq!(rig.read_input(7), b"reboot\r");
    rig.wait_until_free();
}

#[test]
fn one_mebibyte_pasted_at_a_guest_that_does_not_read_arrives_whole_later() {
    let rig = Rig::new();
    let paste = pattern(0, 1 << 20);
    let client = rig.attach("raw");
    let (mut stream, bytes) = (client.stream.try_clone().unwrap(), paste.clone());
    let typist = std::thread::spawn(move || stream.write_all(&bytes).unwrap());
    // The service reads no more than fits into the queue and the chip, and one read.
    wait_until("the queue is full", || rig.counters().input >= 4096);
    // Each answer takes a turn, in which the service would read more if it could.
    for _ in 0..10 {
        rig.status();
    }
    assert!(rig.counters().input <= 2 * 4096 + 16);
    assert!(rig.read_input(paste.len()) == paste);
    typist.join().unwrap();
    // The service is woken once for each half queue, and not for each byte.
    assert!(rig.counters().wakeups < 3 * (paste.len() as u64 / 2048));
}

#[test]
fn a_killed_client_with_unread_output_leaves_the_console_to_the_next() {
    let rig = Rig::new();
    for round in 0..20 {
        let client = rig.attach("raw");
        rig.print(&pattern(round, 300_000));
        drop(client);
        rig.wait_until_free();
    }
    rig.print(b"next");
    let mut client = rig.attach("raw");
    client.read_until("next");
}

#[test]
fn power_off_disconnects_and_refuses_until_power_on() {
    let rig = Rig::new();
    let mut client = rig.attach("raw");
    rig.print(b"Power down.");
    rig.console.power_off();
    let end = client.read_to_end();
    assert!(
        end.starts_with("Power down.") && end.contains("the machine was powered off"),
        "{end}"
    );
    assert!(
        rig.connect("raw")
            .read_to_end()
            .contains("the machine is powered off")
    );
    // Observing needs no running machine, since it only reads the log.
    assert_eq!(rig.connect("watch").read(11), b"Power down.");
    rig.console.power_on();
    rig.print(b"boot");
    rig.attach("raw").read_until("boot");
}

#[test]
fn an_off_and_on_in_one_go_still_ends_the_session() {
    let rig = Rig::new();
    let mut client = rig.attach("raw");
    rig.console.power_off();
    rig.console.power_on();
    assert!(client.read_to_end().contains("powered off"));
    rig.attach("raw");
}

#[test]
fn reset_keeps_the_session_and_marks_a_new_boot() {
    let rig = Rig::new();
    let mut client = rig.attach("raw");
    rig.print(b"one");
    let epoch = rig.log.epoch();
    rig.console.reset();
    rig.print(b"two");
    assert_eq!(client.read(6), b"onetwo");
    assert_eq!(rig.log.epoch(), epoch + 1);
    rig.audited("boot", |what| *what == Audited::Boot { epoch: epoch + 1 });
    client.send(b"x");
    assert_eq!(rig.read_input(1), b"x");
}

#[test]
fn an_idle_session_is_warned_and_ends() {
    let mut config = ConsoleConfig::named("vm");
    config.session = SessionPolicy {
        idle_limit: std::time::Duration::from_millis(600),
        warn_before: std::time::Duration::from_millis(300),
        ..SessionPolicy::default()
    };
    let rig = Rig::with(config);
    let mut client = rig.attach("raw");
    rig.print(b"output does not count");
    let end = client.read_to_end();
    let warned = end.find("without input the session ends in").expect(&end);
    let ended = end.find("session over: no input for 600 ms").expect(&end);
    assert!(warned < ended);
    rig.audited("ended", |what| {
        matches!(
            what,
            Audited::Ended {
                why: EndReason::Idle { .. },
                ..
            }
        )
    });
    rig.attach("raw");
}

#[test]
fn the_absolute_limit_ends_a_busy_session() {
    let mut config = ConsoleConfig::named("vm");
    config.session.absolute_limit = std::time::Duration::from_millis(400);
    let rig = Rig::with(config);
    let mut client = rig.attach("raw");
    let mut stream = client.stream.try_clone().unwrap();
    let typist = std::thread::spawn(move || {
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    });
    assert!(
        client
            .read_to_end()
            .contains("session over: the maximum of 400 ms is reached")
    );
    drop(client);
    typist.join().unwrap();
}

#[test]
fn an_observer_sees_everything_and_types_nothing() {
    let rig = Rig::new();
    rig.print(b"before ");
    let mut holder = rig.attach("raw");
    let mut observer = rig.connect("watch");
    assert_eq!(observer.read(7), b"before ");
    observer.send(b"rm -rf /\r");
    rig.print(b"after");
    assert_eq!(observer.read(5), b"after");
    assert_eq!(holder.read(12), b"before after");
    holder.send(b"ok");
    assert_eq!(rig.read_input(2), b"ok");
    assert_eq!(rig.status().observers, 1);
}

#[test]
fn a_gap_is_told_in_one_note_of_its_exact_size() {
    let rig = Rig::with_log(ConsoleConfig::named("vm"), newest_only(4096));
    let mut client = rig.attach("raw");
    rig.print(b"first");
    assert_eq!(client.read(5), b"first");
    // More than a socket's buffer holds.
    let flood = pattern(0, 8 << 20);
    for chunk in flood.chunks(4096) {
        rig.print(chunk);
    }
    rig.print(b"END");
    let seen = client.read_until("END");
    let (received, lost) = received_and_lost(&seen);
    assert!(lost > 0);
    assert_eq!(received + lost, flood.len() + 3);
    wait_until("it is counted", || {
        rig.counters().output_delivered as usize == received + 5
    });
    assert_eq!(rig.counters().output_lost as usize, lost);
}

#[test]
fn the_socket_is_private_replaced_only_if_dead_and_removed_when_done() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sock");
    let socket = UnixSocket::bind(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let taken = UnixSocket::bind(&path).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    assert_eq!(
        taken.to_string(),
        format!(
            "{}: another server listens there: stop it, or choose another path",
            path.display()
        )
    );
    drop(socket);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    // A server that was killed leaves its socket behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let socket = BindOptions {
        mode: 0o660,
        ..BindOptions::default()
    }
    .bind(&path)
    .unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o660
    );
    UnixStream::connect(&path).unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);

    // A file that has replaced the socket stays when the socket is dropped.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    drop(socket);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    assert!(
        UnixSocket::bind(&path)
            .unwrap_err()
            .to_string()
            .contains("no socket")
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(UnixSocket::bind(dir.path().join("no/such/dir")).is_err());
}

#[test]
fn a_socket_deep_down_can_be_had() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let socket = UnixSocket::bind(deep.join("sock")).unwrap();
    assert_eq!(socket.path(), Some(deep.join("sock").as_path()));
}

#[test]
fn firmware_is_reachable_the_log_from_byte_0_and_input_before_any_driver() {
    let rig = Rig::new();
    {
        // A boot loader finds the chip as after a reset: no FIFO, no interrupts, nothing set up.
        let mut port = rig.port.lock().unwrap();
        port.reset();
        for byte in *b"GRUB loading.\r\n" {
            port.write(THR, byte);
        }
    }
    let mut client = rig.attach("raw");
    assert_eq!(client.read(15), b"GRUB loading.\r\n");
    client.send(b"c\x1b[B\r");
    assert_eq!(rig.read_input(5), b"c\x1b[B\r");
    // A guest that panics prints its last message, and never reads again.
    rig.print(b"Kernel panic");
    assert_eq!(client.read(12), b"Kernel panic");
}

#[test]
fn asking_whether_somebody_listens_disturbs_nobody() {
    let rig = Rig::new();
    let mut holder = rig.attach("raw");
    let before = rig.counters();
    // On the last of these, a connection would end the holder's session.
    for name in ["raw", "watch", "control", "force"] {
        let taken = UnixSocket::bind(rig.path(name)).unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    }
    // The holder's input comes after all that the attempts may have caused.
    holder.send(b"still me");
    assert_eq!(rig.read_input(8), b"still me");
    let after = rig.counters();
    assert_eq!(after.connections, before.connections);
    assert_eq!(after.ended, before.ended);
    // A socket of another kind is in use, too.
    let path = rig.path("datagrams");
    let _theirs = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let taken = UnixSocket::bind(&path).unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn what_one_typed_and_the_guest_has_not_taken_is_not_the_next_ones() {
    let rig = Rig::new();
    let mut first = rig.attach("raw");
    first.send(&[b'o'; 100]);
    let counters = || rig.counters();
    wait_until("it is typed", || counters().input == 100);
    // Input stays valid after its client has closed, until the next session begins.
    drop(first);
    rig.wait_until_free();
    assert_eq!(counters().input_discarded, 0);
    let mut second = rig.attach("raw");
    second.send(b"new");
    wait_until("it is typed", || counters().input == 103);
    // The guest still gets the characters that the chip's FIFO has taken.
    let mut taken = Vec::new();
    wait_until("the new one's arrives", || {
        taken.extend(rig.take_input());
        taken.ends_with(b"new")
    });
    let old = taken.len() - 3;
    assert!(old <= 16 && taken[..old].iter().all(|byte| *byte == b'o'));
    assert_eq!(counters().input_discarded, 100 - old as u64);
}

#[test]
fn a_holder_that_stands_still_is_taken_over_at_once_and_let_go_in_bounded_time() {
    let mut config = vm_console::ConsoleConfig::named("vm");
    config.linger = Duration::from_millis(100);
    let rig = Rig::with(config);
    let mut first = rig.attach("raw");
    rig.fill_socket();
    let mut second = rig.attach("force");
    second.send(b"mine");
    assert_eq!(rig.read_input(4), b"mine");
    rig.print(b"END");
    second.read_until("END");
    // The first client still has not read a byte, and the service no longer waits for that.
    let gone = |error: std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    wait_until("it is let go", || first.stream.write(b"x").is_err_and(gone));
    first.read_to_end();
}

#[test]
fn an_error_at_binding_says_what_the_system_said() {
    let dir = tempfile::tempdir().unwrap();
    let error = UnixSocket::bind(dir.path().join("no directory/sock")).unwrap_err();
    let source = error.source().expect("what the system said");
    let system: &io::Error = source.downcast_ref().expect("an error of the system");
    assert_eq!(system.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().ends_with(&system.to_string()), "{error}");
}
