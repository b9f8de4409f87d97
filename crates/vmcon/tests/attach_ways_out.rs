//! Every way out of `attach` at a terminal: the terminal is as it was, and the exit code says why.

mod host;
mod seat;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use host::Host;
use rustix::process::Signal;
use vm_console::session::SessionPolicy;
use vm_console::{ConsoleConfig, LogConfig};
use vm_serial_tests::output::Output;
use vm_serial_tests::process::Process;
use vm_serial_tests::terminal::{DEADLY, Terminal, restored_after, survives_stops};

const PROMPT: &str = "login: ";

/// A host with a guest that has printed a prompt.
fn prompting() -> (Host, host::Served) {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print(PROMPT);
    (host, served)
}

fn attached(host: &Host, terminal: &Terminal, arguments: &[&str]) -> Process {
    seat::attached(host, terminal, &[&["vm-7"], arguments].concat(), PROMPT)
}

#[test]
fn the_escape() {
    let (host, served) = prompting();
    restored_after(|terminal| {
        let mut vmcon = attached(&host, terminal, &[]);
        let shown = terminal.output().text();
        let greeting = "attached to vm-7 (boot 1, running); Enter ~ . leaves, Enter ~ ? helps\r\n";
        assert!(shown.contains(greeting), "{shown:?}");
        terminal.type_keys("root\r~.");
        assert_eq!(vmcon.wait().code(), Some(0));
        host::until(|| served.input(1).is_empty());
    });
}

#[test]
fn the_escape_of_ones_own() {
    let (host, _served) = prompting();
    restored_after(|terminal| {
        let mut vmcon = attached(&host, terminal, &["--escape", "^]"]);
        terminal.type_keys("\r~.\r\x1d.");
        assert_eq!(vmcon.wait().code(), Some(0));
    });
}

#[test]
fn the_escape_while_the_guest_takes_nothing() {
    let (host, _served) = prompting();
    restored_after(|terminal| {
        let mut vmcon = attached(&host, terminal, &[]);
        // More than the console and the socket hold.
        let pasted = "x".repeat(1000) + "\r";
        for _ in 0..600 {
            terminal.type_keys(&pasted);
        }
        terminal.type_keys("~.");
        assert_eq!(vmcon.wait().code(), Some(0));
    });
}

#[test]
fn the_escape_while_nobody_reads_the_output() {
    let (host, served) = prompting();
    restored_after(|terminal| {
        let mut command = seat::vmcon_through(&[], host.path(), terminal, &["attach", "vm-7"]);
        let (reader, writer) = std::io::pipe().unwrap();
        let mut vmcon = Process::start(command.stdout(writer));
        drop(command);
        terminal.wait_until_raw();
        served.print(vec![b'x'; 900_000]);
        terminal.type_keys("\r~.");
        assert_eq!(vmcon.wait().code(), Some(0));
        drop(reader);
    });
}

#[test]
fn the_end_of_a_script() {
    let (host, served) = prompting();
    restored_after(|terminal| {
        let mut command = seat::vmcon_through(
            &[],
            host.path(),
            terminal,
            &["attach", "vm-7", "--quiet-time", "100ms"],
        );
        let (reader, writer) = std::io::pipe().unwrap();
        rustix::io::write(&writer, b"~.root\r").unwrap();
        drop(writer);
        let mut vmcon = Process::start(command.stdin(reader));
        drop(command);
        let mut typed = Vec::new();
        host::until(|| {
            typed.extend(served.input(100));
            typed == b"~.root\r"
        });
        assert_eq!(vmcon.wait().code(), Some(0));
    });
}

#[test]
fn a_signal() {
    let (host, _served) = prompting();
    for signal in DEADLY.into_iter().chain([Signal::USR1]) {
        restored_after(|terminal| {
            let mut vmcon = attached(&host, terminal, &["--force"]);
            vmcon.signal(signal);
            assert_eq!(vmcon.wait().signal(), Some(signal.as_raw()));
        });
    }
}

#[test]
fn a_stop_and_the_way_back() {
    let (host, served) = prompting();
    restored_after(|terminal| {
        let mut vmcon = attached(&host, terminal, &[]);
        survives_stops(terminal, &vmcon);
        // In a cooked terminal this would end it.
        terminal.type_keys("\x03");
        host::until(|| served.input(1) == b"\x03");
        terminal.type_keys("\r~.");
        assert_eq!(vmcon.wait().code(), Some(0));
    });
}

#[test]
fn a_closed_terminal() {
    let (host, _served) = prompting();
    let setsid: &[&str] = &["setsid", "--ctty"];
    for (through, hangs_up) in [(&[][..], false), (setsid, true)] {
        let mut terminal = Terminal::open();
        let arguments = ["attach", "vm-7", "--force"];
        let mut command = seat::vmcon_through(through, host.path(), &terminal, &arguments);
        let mut vmcon = Process::start(&mut command);
        terminal.output().wait_for(PROMPT);
        terminal.wait_until_raw();
        drop(command);
        terminal.close();
        let status = vmcon.wait();
        let hung_up = hangs_up && status.signal() == Some(Signal::HUP.as_raw());
        assert!(hung_up || status.success(), "{through:?}: {status:?}");
    }
}

#[test]
fn a_closed_pipe() {
    let (host, _served) = prompting();
    restored_after(|terminal| {
        let mut command = seat::vmcon_through(&[], host.path(), terminal, &["attach", "vm-7"]);
        let (reader, writer) = std::io::pipe().unwrap();
        let mut vmcon = Process::start(command.stdout(writer));
        drop(command);
        terminal.wait_until_raw();
        // Even if the guest prints nothing any more.
        drop(reader);
        assert_eq!(vmcon.wait().code(), Some(0));
    });
}

/// The VMM of the next test.
#[test]
#[ignore = "a test runs it in a process of its own"]
fn vmm() {
    let (host, served) = prompting();
    let place = std::env::var_os("PLACE").expect("where to tell the directory");
    std::fs::write(place, host.path().as_os_str().as_encoded_bytes()).unwrap();
    served.print("ready");
    std::thread::sleep(host::PATIENCE);
}

#[test]
fn a_killed_vmm() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("place");
    let mut vmm = Command::new(std::env::current_exe().unwrap());
    let vmm = vmm
        .args(["vmm", "--exact", "--ignored"])
        .env("PLACE", &place);
    let mut vmm = Process::start(vmm.stdout(Stdio::null()));
    let mut path = String::new();
    host::until(|| {
        path = std::fs::read_to_string(&place).unwrap_or_default();
        !path.is_empty()
    });
    restored_after(|terminal| {
        let arguments = ["attach", "vm-7"];
        let mut command = seat::vmcon_through(&[], path.as_ref(), terminal, &arguments);
        let mut vmcon = Process::start(&mut command);
        terminal.output().wait_for(PROMPT);
        terminal.wait_until_raw();
        vmm.signal(Signal::KILL);
        vmm.wait();
        assert_eq!(vmcon.wait().code(), Some(4));
        terminal.output().wait_for("vm-7: the connection is lost");
    });
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_takeover() {
    let (host, _served) = prompting();
    restored_after(|terminal| {
        let mut vmcon = attached(&host, terminal, &["--quiet"]);
        let _taker = seat::taker(&host, "vm-7", "bob");
        assert_eq!(vmcon.wait().code(), Some(8));
        terminal.output().wait_for("vm-7: taken over by bob");
    });
}

/// A console with these limits.
fn limited(session: SessionPolicy) -> (Host, host::Served) {
    let host = Host::new();
    let config = ConsoleConfig {
        session,
        ..ConsoleConfig::named("vm-7")
    };
    let served = host.console_of("vm-7", config, LogConfig::default());
    served.print(PROMPT);
    (host, served)
}

#[test]
fn the_idle_limit() {
    let (host, _served) = limited(SessionPolicy {
        idle_limit: Duration::from_secs(2),
        warn_before: Duration::from_secs(1),
        ..SessionPolicy::default()
    });
    restored_after(|terminal| {
        let mut vmcon = attached(&host, terminal, &[]);
        assert_eq!(vmcon.wait().code(), Some(9));
        terminal.output().wait_for("[the session ends in 1s]");
        terminal.output().wait_for("vm-7: no input for 2 s");
    });
}

#[test]
fn the_absolute_limit() {
    let (host, _served) = limited(SessionPolicy {
        absolute_limit: Duration::from_secs(2),
        ..SessionPolicy::default()
    });
    restored_after(|terminal| {
        // Waiting would only get round it.
        let mut vmcon = attached(&host, terminal, &["--wait"]);
        assert_eq!(vmcon.wait().code(), Some(9));
        terminal
            .output()
            .wait_for("vm-7: the maximum of 2 s is reached");
    });
}

#[test]
fn power_off() {
    let (host, served) = prompting();
    restored_after(|terminal| {
        let mut vmcon = attached(&host, terminal, &[]);
        served.print("bye");
        served.console.power_off();
        assert_eq!(vmcon.wait().code(), Some(6));
        terminal.output().wait_for("bye\r\n");
        terminal
            .output()
            .wait_for("vmcon: vm-7: the machine was powered off\r\n");
    });
}

#[test]
fn the_title_is_put_back() {
    let (host, _served) = prompting();
    let shown = |way_out: &dyn Fn(&Terminal, &Process)| {
        let terminal = Terminal::open();
        let mut vmcon = attached(&host, &terminal, &["--force"]);
        way_out(&terminal, &vmcon);
        vmcon.wait();
        let output: Output = terminal.output().clone();
        output.wait_for("\x1b[22;2t\x1b]2;vm-7 - vmcon\x07");
        output.wait_for("\x1b[23;2t");
    };
    shown(&|terminal, _| terminal.type_keys("\r~."));
    shown(&|_, vmcon| vmcon.signal(Signal::TERM));
}
