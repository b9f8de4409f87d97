//! The cases in which other consoles fail, with real clients in processes of their own.

mod support;

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::{Rig, has, join, newest_only, pattern, received_and_lost, wait_until};
use vm_console::ConsoleConfig;
use vm_console::transport::{Listener, pty::Pty};

/// A client program. It is killed if the test ends first.
struct Program(Child);

impl Program {
    fn socat(rig: &Rig, name: &str) -> Option<Self> {
        let address = format!("UNIX-CONNECT:{}", rig.path(name).display());
        Self::start("socat", &["-", &address])
    }

    fn start(program: &str, arguments: &[&str]) -> Option<Self> {
        has(program).then(|| {
            let child = Command::new(program)
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            Self(child.unwrap())
        })
    }

    fn send(&mut self, bytes: &[u8]) {
        let stdin = self.0.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut bytes)
            .unwrap();
        bytes
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // This fails if it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_200_kib_backlog_of_a_silent_guest_arrives_whole_in_socat_and_nc() {
    let rig = Rig::new();
    let backlog = pattern(0, 200 << 10);
    rig.print(&backlog);
    if let Some(mut socat) = Program::socat(&rig, "raw") {
        assert!(socat.read(backlog.len()) == backlog);
        socat.send(b"typed");
        assert_eq!(rig.read_input(5), b"typed");
    }
    rig.wait_until_free();
    if let Some(mut nc) = Program::start("nc", &["-U", rig.path("raw").to_str().unwrap()]) {
        assert!(nc.read(backlog.len()) == backlog);
        nc.send(b"typed");
        assert_eq!(rig.read_input(5), b"typed");
    }
}

#[test]
fn all_byte_values_both_ways_through_socat() {
    let rig = Rig::new();
    let Some(mut socat) = Program::socat(&rig, "raw") else {
        return;
    };
    rig.wait_until_held();
    let all: Vec<u8> = (0..=255).collect();
    rig.print(&all);
    assert_eq!(socat.read(256), all);
    socat.send(&all);
    assert_eq!(rig.read_input(256), all);
}

#[test]
fn a_client_killed_with_unread_output_leaves_the_console_to_the_next() {
    let rig = Rig::new();
    for _ in 0..3 {
        let Some(socat) = Program::socat(&rig, "raw") else {
            return;
        };
        rig.wait_until_held();
        rig.print(&pattern(0, 1 << 20));
        socat.signal(Signal::KILL);
        rig.wait_until_free();
    }
    rig.print(b"next");
    rig.attach("raw").read_until("next");
}

#[test]
fn a_stopped_client_disturbs_nobody_and_is_told_its_exact_gap() {
    let rig = Rig::with_log(ConsoleConfig::named("vm"), newest_only(64 << 10));
    let Some(mut socat) = Program::socat(&rig, "raw") else {
        return;
    };
    rig.wait_until_held();
    let mut observer = rig.connect("watch");
    wait_until("it watches", || rig.status().observers == 1);
    rig.print(b"begin");
    assert_eq!(socat.read(5), b"begin");
    assert_eq!(observer.read(5), b"begin");
    socat.signal(Signal::STOP);
    // More than all buffers on the way hold. The observer follows it live.
    let total = 8 << 20;
    let mut printed = 0;
    for chunk in pattern(0, total).chunks(8192) {
        rig.print(chunk);
        printed += chunk.len();
        assert_eq!(observer.read(chunk.len()), chunk);
    }
    assert_eq!(printed, total);
    assert_eq!(rig.log.head() as usize, total + 5, "the log has all of it");
    socat.signal(Signal::CONT);
    rig.print(b"END");
    let mut seen = Vec::new();
    while !seen.ends_with(b"END") {
        seen.extend(socat.read(1));
    }
    let (received, lost) = received_and_lost(&seen);
    assert!(lost > 0);
    assert_eq!(received + lost, total + 3);
}

#[test]
fn a_pasted_mebibyte_from_socat_arrives_whole_when_the_guest_reads_again() {
    let rig = Rig::new();
    let Some(mut socat) = Program::socat(&rig, "raw") else {
        return;
    };
    let paste = pattern(0, 1 << 20);
    let (bytes, mut stdin) = (paste.clone(), socat.0.stdin.take().unwrap());
    let typist = std::thread::spawn(move || stdin.write_all(&bytes).map(|()| stdin).unwrap());
    wait_until("the queue is full", || rig.counters().input >= 4096);
    assert!(rig.read_input(paste.len()) == paste);
    typist.join().unwrap();
}

#[test]
fn the_holder_is_told_who_took_over_and_the_refused_who_holds_it() {
    let rig = Rig::new();
    let Some(mut first) = Program::socat(&rig, "raw") else {
        return;
    };
    rig.wait_until_held();
    let Some(mut second) = Program::socat(&rig, "raw") else {
        return;
    };
    let mut told = String::new();
    second
        .0
        .stdout
        .as_mut()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert!(told.contains(&format!("pid {}", first.0.id())), "{told}");
    let Some(third) = Program::socat(&rig, "force") else {
        return;
    };
    let mut told = String::new();
    first
        .0
        .stdout
        .as_mut()
        .unwrap()
        .read_to_string(&mut told)
        .unwrap();
    assert!(told.contains(&format!("pid {}", third.0.id())), "{told}");
}

#[test]
fn the_log_reads_the_same_twice_during_a_session() {
    use vm_console::Start;
    let rig = Rig::new();
    rig.print(&pattern(0, 10_000));
    let _holder = rig.attach("raw");
    let mut reader = rig.control();
    let first = reader.read_log(Start::Oldest, 1 << 20).unwrap();
    let second = reader.read_log(Start::Oldest, 1 << 20).unwrap();
    assert_eq!(first.bytes, pattern(0, 10_000));
    assert_eq!(first.bytes, second.bytes);
}

#[test]
fn a_replayed_query_makes_no_terminal_type_into_the_guest() {
    // No real terminal is needed here, since the question must not even reach `socat`.
    let rig = Rig::new();
    rig.print(b"login: \x1b[6n\x1b[c\x05");
    let Some(mut socat) = Program::socat(&rig, "raw") else {
        return;
    };
    rig.wait_until_held();
    rig.print(b"END");
    let mut seen = Vec::new();
    while !seen.ends_with(b"END") {
        seen.extend(socat.read(1));
    }
    assert_eq!(seen, b"login: END");
    // Live output may ask, since the guest waits for the answer.
    rig.print(b"\x1b[6n");
    assert_eq!(socat.read(4), b"\x1b[6n");
}

#[test]
fn thre_interrupts_come_whatever_happens_to_clients() {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};
    use vm_console::service::Service;
    use vm_console::transport::unix::UnixSocket;
    use vm_console::{BootLog, Console};
    use vm_uart::registers::{IER, IIR, Ier, InterruptId, MCR, Mcr, THR};
    struct Count(Arc<AtomicU32>);
    impl vm_uart::InterruptLine for Count {
        fn assert(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        fn deassert(&mut self) {}
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raw");
    let (service, thread) = Service::spawn().unwrap();
    let (writer, _log) = BootLog::in_memory(newest_only(4096)).unwrap();
    let (line, console) = Console::new(ConsoleConfig::named("vm"), writer).unwrap();
    let raised = Arc::new(AtomicU32::new(0));
    let port = Arc::new(Mutex::new(vm_uart::SerialPort::new(
        Count(raised.clone()),
        line,
    )));
    service
        .add(
            console,
            port.clone(),
            vec![Listener::raw(UnixSocket::bind(&path).unwrap())],
        )
        .unwrap();
    // One client never reads, and to the other every write fails.
    let stuck = std::os::unix::net::UnixStream::connect(&path).unwrap();
    drop(std::os::unix::net::UnixStream::connect(&path).unwrap());
    {
        let mut port = port.lock().unwrap();
        port.write(MCR, (Mcr::DTR | Mcr::RTS | Mcr::OUT2).bits());
        port.write(IER, Ier::TRANSMITTER_EMPTY.bits());
    }
    for n in 0..100_000u32 {
        let mut port = port.lock().unwrap();
        assert_eq!(
            port.read(IIR),
            InterruptId::TransmitterEmpty.code(),
            "at byte {n}"
        );
        port.write(THR, b'x');
    }
    assert!(raised.load(Ordering::Relaxed) >= 100_000);
    drop(stuck);
    service.shut_down();
    join("the service ends", thread).unwrap().unwrap();
}

#[test]
fn picocom_works_on_the_pty() {
    let rig = Rig::new();
    let link = rig.path("pty");
    rig.console.listen(Listener::pty(Pty::open(&link).unwrap()));
    rig.print(b"boot log\r\n");
    if !has("picocom") || !has("socat") {
        return;
    }
    // picocom needs a terminal of its own.
    let run = format!(
        "EXEC:picocom --quiet {},pty,setsid,ctty,rawer",
        link.display()
    );
    let Some(mut picocom) = Program::start("socat", &["-", &run]) else {
        return;
    };
    rig.wait_until_held();
    let mut seen = Vec::new();
    while !seen.ends_with(b"boot log\r\n") {
        seen.extend(picocom.read(1));
    }
    picocom.send(b"typed\r");
    assert_eq!(rig.read_input(6), b"typed\r");
    // Ctrl-A Ctrl-X ends picocom.
    picocom.send(b"\x01\x18");
    rig.wait_until_free();
}

#[test]
fn a_killed_terminal_frees_the_console() {
    let rig = Rig::new();
    let Some(program) = Program::socat(&rig, "raw") else {
        return;
    };
    rig.wait_until_held();
    program.signal(Signal::KILL);
    rig.wait_until_free();
}
