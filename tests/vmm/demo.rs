//! `--demo`: a handful of machines at once, to try `vmcon` on. Each is this program once more.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use vm_console::client::{ClientError, ControlClient};
use vm_console::instance::{Directory, Instance};
use vm_console::protocol::{AttachRequest, ClientFrame, PowerAction};
use vm_console::signals::Signals;
use vm_console::{Start, printable};

use crate::exit::Exit;
use crate::messages::say;

/// How long a machine may take to start, or its console to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two lines that the machine with something to say is made to say.
const BEAT: Duration = Duration::from_secs(2);

/// What becomes of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It runs.
    Runs,
    /// It runs, and prints again and again.
    Talks,
    /// It was switched off.
    Stopped,
    /// It is killed, so that its log is all that is left.
    Killed,
}

/// A machine of the demonstration.
struct Machine {
    id: &'static str,
    title: &'static str,
    /// Whether it needs no KVM even where there is one.
    scripted: bool,
    /// What is typed at it once it runs.
    typed: &'static str,
    fate: Fate,
}

const MACHINES: [Machine; 6] = [
    Machine {
        id: "web-1",
        title: "web server, north",
        scripted: true,
        typed: "help\r",
        fate: Fate::Runs,
    },
    Machine {
        id: "web-2",
        title: "web server, south",
        scripted: true,
        typed: "# 200 GET /index.html\r",
        fate: Fate::Talks,
    },
    Machine {
        id: "db-1",
        title: "database, under KVM where there is one",
        scripted: false,
        typed: "flood 2048\r",
        fate: Fate::Runs,
    },
    Machine {
        id: "build-1",
        title: "build host: 64 MiB of output",
        scripted: true,
        typed: "flood 67108864\r",
        fate: Fate::Runs,
    },
    Machine {
        id: "old-1",
        title: "panicked, and its VMM is gone",
        scripted: true,
        typed: "# Kernel panic - not syncing: Attempted to kill init!\r",
        fate: Fate::Killed,
    },
    Machine {
        id: "spare-1",
        title: "switched off",
        scripted: true,
        typed: "# bye\r",
        fate: Fate::Stopped,
    },
];

/// Starts the machines in `directory`, and ends them at a signal. Without a directory they are in a
/// new one, which is removed at the end.
pub(crate) fn run(directory: Option<PathBuf>) -> Result<Exit, String> {
    let signals = Signals::hold().map_err(|e| format!("cannot watch signals: {e}"))?;
    let (told, ends) = crossbeam_channel::bounded(1);
    signals
        .answer(None, move |signal| {
            let _ = told.try_send(signal); // one is enough
        })
        .map_err(|e| format!("cannot watch signals: {e}"))?;
    let (path, _removed_at_the_end) = if let Some(path) = directory {
        (path, None)
    } else {
        let temporary = tempfile::Builder::new().prefix("vm-console-").tempdir();
        let temporary = temporary.map_err(|e| format!("cannot make a directory: {e}"))?;
        (temporary.path().to_owned(), Some(temporary))
    };
    // The first machine's socket needs it, which is made before its entry.
    std::fs::create_dir_all(&path).map_err(|e| format!("--demo: {}: {e}", path.display()))?;
    let directory = Directory::new(&path);
    let mut running = Vec::new();
    for machine in &MACHINES {
        running.push(Running::start(machine, &directory)?);
    }
    say(format_args!(
        "{} machines in {}; try in another terminal:",
        MACHINES.len(),
        path.display()
    ));
    let shown = printable(&path.to_string_lossy(), 4096);
    for line in [
        "export VMCON_DIR=",
        "vmcon ls",
        "vmcon attach web-1",
        "vmcon log old-1",
        "vmcon top",
    ] {
        let value = if line.ends_with('=') { &shown } else { "" };
        say(format_args!("  {line}{value}"));
    }
    say("Ctrl-C ends them");
    Ok(Exit::Signal(talk_until_the_end(&running, &ends)))
}

/// A machine's process. It ends in order when this is dropped.
struct Running {
    machine: &'static Machine,
    process: Child,
    instance: Instance,
}

impl Running {
    fn start(machine: &'static Machine, directory: &Directory) -> Result<Self, String> {
        let cannot = |why: String| format!("--demo: {}: {why}", machine.id);
        let program = std::env::current_exe().map_err(|e| cannot(e.to_string()))?;
        let mut command = Command::new(program);
        command
            .args([
                "--detached",
                "--stays",
                "--name",
                machine.id,
                "--title",
                machine.title,
                "--dir",
            ])
            .arg(directory.path())
            .arg("--socket")
            .arg(directory.path().join(format!(".{}.raw", machine.id)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if machine.scripted {
            command.arg("--no-kvm");
        }
        let process = command.spawn().map_err(|e| cannot(e.to_string()))?;
        let instance = wait_until_served(machine, directory).map_err(cannot)?;
        let mut running = Self {
            machine,
            process,
            instance,
        };
        running
            .type_line(machine.typed)
            .map_err(|e| cannot(e.to_string()))?;
        running.meet_its_fate().map_err(|e| cannot(e.to_string()))?;
        Ok(running)
    }

    /// Types as a client does, and leaves once the console has taken it.
    fn type_line(&self, line: &str) -> Result<(), ClientError> {
        let mut client = self.connect()?;
        client.attach(&AttachRequest {
            replay: Start::Now,
            name: "demo".into(),
            ..AttachRequest::default()
        })?;
        client.ask(&ClientFrame::Data(line.into()))?;
        client.detach().map(drop)
    }

    fn connect(&self) -> Result<ControlClient, ClientError> {
        ControlClient::connect_within(self.instance.control_socket(), PATIENCE)
    }

    fn meet_its_fate(&mut self) -> Result<(), ClientError> {
        match self.machine.fate {
            Fate::Runs | Fate::Talks => Ok(()),
            Fate::Stopped => self.connect()?.power(PowerAction::Stop),
            Fate::Killed => {
                let mut client = self.connect()?;
                let begun = Instant::now();
                // Its last words are in the log first.
                let words = self.machine.typed.trim_end().as_bytes();
                while !client
                    .read_log(Start::Oldest, u32::MAX)?
                    .bytes
                    .windows(words.len())
                    .any(|bytes| bytes == words)
                    && begun.elapsed() < PATIENCE
                {
                    std::thread::sleep(Duration::from_millis(10));
                }
                self.process.kill()?;
                self.process.wait().map(drop)?;
                Ok(())
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let id = rustix::process::Pid::from_child(&self.process);
        // It may have ended already; and what does not end by itself is killed.
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let begun = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) {
            if begun.elapsed() > PATIENCE {
                let _ = self.process.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn wait_until_served(machine: &Machine, directory: &Directory) -> Result<Instance, String> {
    let id = machine
        .id
        .parse()
        .map_err(|e: vm_console::instance::IdError| e.to_string())?;
    let begun = Instant::now();
    loop {
        let found = directory.find(&id);
        match found {
            Ok(instance)
                if ControlClient::connect_within(instance.control_socket(), PATIENCE).is_ok() =>
            {
                return Ok(instance);
            }
            _ if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(10)),
            Ok(_) => return Err("its console does not answer".into()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Gives the signal that ends it.
fn talk_until_the_end(running: &[Running], ends: &Receiver<i32>) -> i32 {
    loop {
        match ends.recv_timeout(BEAT) {
            Ok(signal) => return signal,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(BEAT),
        }
        for talker in running
            .iter()
            .filter(|running| running.machine.fate == Fate::Talks)
        {
            // Somebody may hold its console, who can type for himself.
            let _ = talker.type_line(talker.machine.typed);
        }
    }
}
