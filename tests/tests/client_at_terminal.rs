//! The example client at a terminal: what it shows there, and every way out.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use rustix::process::Signal;
use tempfile::TempDir;
use vm_console::{BootLog, LogConfig};
use vm_serial_tests::output::Output;
use vm_serial_tests::process::{self, DEFAULT_SIGNALS, Process};
use vm_serial_tests::running::{Mode, Vmm};
use vm_serial_tests::terminal::{DEADLY, Terminal, restored_after, survives_stops};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");

/// A machine with a control socket, and the client's program.
struct Machine {
    vmm: Vmm,
    program: PathBuf,
    directory: TempDir,
}

impl Machine {
    /// `None` if the client has not been built.
    fn start(test: &str, arguments: &[&str]) -> Option<Self> {
        let program = process::example(test, "console_client")?;
        let directory = tempfile::tempdir().unwrap();
        let control = directory.path().join("control");
        let all = [&["--control-socket", control.to_str().unwrap()], arguments].concat();
        let vmm = Vmm::start(VMM, Mode::Scripted, &all);
        let client = vmm.attach();
        client.output().wait_for("commands\r\n> ");
        drop(client);
        drop(vmm.attach_when_free());
        Some(Self {
            vmm,
            program,
            directory,
        })
    }

    /// A client at `terminal`, by way of other programs.
    fn client(&self, through: &[&str], terminal: &Terminal, arguments: &[&str]) -> Process {
        let mut command = process::command(through, &self.program);
        command
            .arg(self.directory.path().join("control"))
            .args(arguments)
            .stdin(terminal.slave())
            .stdout(terminal.slave())
            .stderr(terminal.slave());
        Process::start(&mut command)
    }

    /// A client that is attached, and has made the terminal raw.
    fn attached(&self, through: &[&str], terminal: &Terminal) -> Process {
        let client = self.client(through, terminal, &["attach", "--force"]);
        terminal.output().wait_for("commands\r\n> ");
        terminal.wait_until_raw();
        client
    }
}

#[test]
fn every_way_out_gives_the_terminal_back() {
    let Some(mut machine) = Machine::start("every_way_out_gives_the_terminal_back", &[]) else {
        return;
    };
    restored_after(|terminal| {
        let mut client = machine.attached(DEFAULT_SIGNALS, terminal);
        terminal.type_keys("sum\r");
        terminal.output().wait_for(" bytes\r\n> ");
        terminal.type_keys("~.");
        assert_eq!(client.wait().code(), Some(0));
    });
    for signal in DEADLY.into_iter().chain([Signal::USR1]) {
        restored_after(|terminal| {
            let mut client = machine.attached(DEFAULT_SIGNALS, terminal);
            client.signal(signal);
            assert_eq!(client.wait().signal(), Some(signal.as_raw()));
        });
    }
    restored_after(|terminal| {
        let mut client = machine.attached(DEFAULT_SIGNALS, terminal);
        let _taker = machine.attached(DEFAULT_SIGNALS, &Terminal::open());
        assert_eq!(client.wait().code(), Some(1));
        terminal.output().wait_for("taken over by");
    });
    restored_after(|terminal| {
        let mut client = machine.attached(DEFAULT_SIGNALS, terminal);
        machine.vmm.signal(Signal::KILL);
        machine.vmm.wait();
        assert_eq!(client.wait().code(), Some(1));
    });
}

#[test]
fn a_stop_gives_the_terminal_back_until_it_goes_on() {
    let Some(machine) = Machine::start("a_stop_gives_the_terminal_back_until_it_goes_on", &[])
    else {
        return;
    };
    restored_after(|terminal| {
        let mut client = machine.attached(DEFAULT_SIGNALS, terminal);
        survives_stops(terminal, &client);
        terminal.type_keys("# typed\x03sum\r");
        terminal.output().wait_for(" bytes\r\n> ");
        terminal.type_keys("~.");
        assert_eq!(client.wait().code(), Some(0));
    });
}

#[test]
fn a_closed_terminal_ends_it_in_order() {
    let Some(machine) = Machine::start("a_closed_terminal_ends_it_in_order", &[]) else {
        return;
    };
    let setsid = [DEFAULT_SIGNALS, &["setsid", "--ctty"]].concat();
    let nohup = [&setsid[..], &["env", "--ignore-signal=HUP"]].concat();
    for (through, hangs_up) in [(DEFAULT_SIGNALS, false), (&setsid, true), (&nohup, false)] {
        let mut terminal = Terminal::open();
        let mut client = machine.attached(through, &terminal);
        terminal.close();
        let status = client.wait();
        // The kernel sends SIGHUP after it has told the reader, who may leave in between.
        let hung_up = hangs_up && status.signal() == Some(Signal::HUP.as_raw());
        assert!(hung_up || status.success(), "{through:?}: {status:?}");
    }
    drop(machine.vmm.attach_when_free());
}

#[test]
fn the_log_is_safe_for_a_terminal_unless_exact_bytes_are_asked_for() {
    const ASKS: &str = "\x1b[6n";
    // Longer than a boot, and never ended: everything that the guest prints is in it.
    const UNFINISHED: &str = "\x1b]0;";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (mut writer, _) = BootLog::create_file(&path, LogConfig::default()).unwrap();
    writer.append(format!("before {ASKS}{UNFINISHED}").as_bytes());
    drop(writer);
    let test = "the_log_is_safe_for_a_terminal_unless_exact_bytes_are_asked_for";
    let Some(machine) = Machine::start(test, &["--log-file", path.to_str().unwrap()]) else {
        return;
    };
    let shown = |arguments: &[&str]| {
        let terminal = Terminal::open();
        let mut client = machine.client(DEFAULT_SIGNALS, &terminal, arguments);
        assert_eq!(client.wait().code(), Some(0));
        text_within(terminal.output(), "commands\r\n> ")
    };
    assert!(!shown(&["log"]).contains(ASKS));
    assert!(shown(&["log", "--raw"]).contains(ASKS));
}

/// All up to `last`; the terminal turns LF into CR LF once more.
fn text_within(output: &Output, last: &str) -> String {
    let last = last.replace('\n', "\r\n");
    String::from_utf8_lossy(&output.wait_for(&last)).into_owned()
}
