//! `vmcon` beside the tools that people would use without it.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vm_console::instance::{Description, Directory, Entry};
use vm_console::transport::Listener;
use vm_console::{BootLog, LogConfig};

use crate::host::Host;
use crate::measure::{Bar, Pass, Passes, Row, Skipped};

/// The rows of this module.
pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "vmcon-attach",
            what: "start of vmcon attach to the console's first byte, beyond socat's",
            peer: "",
            unit: "ms",
            bar: Bar::AtMost(10.0),
            prepare: first_byte,
        },
        Row {
            name: "vmcon-ls",
            what: "vmcon ls of 1,000 live consoles",
            peer: "",
            unit: "ms",
            bar: Bar::AtMost(100.0),
            prepare: || list(1000),
        },
        Row {
            name: "vmcon-grep",
            what: "vmcon log --grep over a full 64 MiB log",
            peer: "rg over the same bytes in a file",
            unit: "MB/s",
            bar: Bar::Faster(0.3),
            prepare: grep,
        },
    ]
}

/// The program, which has to be built beside this one.
fn vmcon() -> Result<PathBuf, Skipped> {
    let path = std::env::current_exe()?.with_file_name("vmcon");
    if path.is_file() {
        return Ok(path);
    }
    Err(Skipped(
        "vmcon is not built: cargo build --release -p vmcon".into(),
    ))
}

/// Consoles of a host with the entries that make them known.
struct Published {
    host: Host,
    directory: Directory,
    entries: Vec<Entry>,
}

impl Published {
    fn start() -> Result<Self, Skipped> {
        let host = Host::start()?;
        let directory = Directory::new(host.path("instances"));
        Ok(Self {
            host,
            directory,
            entries: Vec::new(),
        })
    }

    /// One more console, on which its guest has printed.
    fn add(&mut self, id: &str, more: Vec<Listener>) -> Result<(), Skipped> {
        let entry = Entry::claim(&self.directory, &id.parse()?, Description::default())?;
        let (mut writer, _) = BootLog::in_memory(LogConfig::default())?;
        writer.append(b"login: ");
        let mut listeners = more;
        listeners.push(entry.control_listener()?);
        self.host.serve((), writer, listeners)?;
        self.entries.push(entry);
        Ok(())
    }

    fn vmcon(&self) -> Result<Command, Skipped> {
        let mut command = Command::new(vmcon()?);
        command.arg("--dir").arg(self.directory.path());
        Ok(command)
    }
}

/// A program that is killed when it is dropped.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// From the start of a program to the first byte it writes.
fn to_first_byte(command: &mut Command) -> Result<f64, Skipped> {
    let begun = Instant::now();
    let mut started = Started(
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let mut byte = [0];
    let mut output = started
        .0
        .stdout
        .take()
        .ok_or_else(|| Skipped("no output".into()))?;
    output.read_exact(&mut byte)?;
    Ok(millis(begun.elapsed()))
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn first_byte() -> Result<Passes, Skipped> {
    let mut host = Published::start()?;
    let raw = Listener::raw(host.host.bind("raw")?);
    host.add("vm-7", vec![raw])?;
    let socket = format!("UNIX-CONNECT:{}", host.host.path("raw").display());
    Ok(Box::new(move || {
        let mut ours = host.vmcon()?;
        let ours = to_first_byte(ours.args(["attach", "--quiet", "--force", "vm-7"]))?;
        // The console is free again once the service has seen the end of that session.
        std::thread::sleep(Duration::from_millis(20));
        let peer = to_first_byte(Command::new("socat").args(["-", &socket]))
            .map_err(|Skipped(why)| Skipped(format!("socat: {why}")))?;
        std::thread::sleep(Duration::from_millis(20));
        Ok(Pass {
            ours: ours - peer,
            peer: None,
            detail: Some(format!("vmcon {ours:.1} ms, socat {peer:.1} ms")),
        })
    }))
}

fn list(count: usize) -> Result<Passes, Skipped> {
    let mut host = Published::start()?;
    for n in 0..count {
        host.add(&format!("vm-{n}"), Vec::new())?;
    }
    Ok(Box::new(move || {
        let begun = Instant::now();
        let listed = host.vmcon()?.arg("ls").output()?;
        let ours = millis(begun.elapsed());
        let text = String::from_utf8_lossy(&listed.stdout);
        let running = text.lines().filter(|line| line.contains("running")).count();
        if running != count {
            return Err(Skipped(format!("{running} of {count} consoles answered")));
        }
        Ok(Pass {
            ours,
            peer: None,
            detail: None,
        })
    }))
}

fn grep() -> Result<Passes, Skipped> {
    const TAIL: u64 = 64 << 20;
    let vmcon = vmcon()?;
    let directory = tempfile::tempdir()?;
    let (log, plain) = (
        directory.path().join("boot.log"),
        directory.path().join("plain"),
    );
    let (mut writer, _) = BootLog::create_file(
        &log,
        LogConfig {
            tail: TAIL,
            head: 0,
            ..LogConfig::default()
        },
    )?;
    let mut bytes = Vec::new();
    for line in 0_u64.. {
        if bytes.len() as u64 >= TAIL {
            break;
        }
        let rare = if line % 10_000 == 0 {
            "oom-killer"
        } else {
            "systemd"
        };
        bytes.extend(
            format!("[{line:>12}.000000] {rare}[1]: Started unit number {line}\r\n").bytes(),
        );
    }
    bytes.truncate(TAIL as usize);
    writer.append(&bytes);
    std::fs::write(&plain, &bytes)?;
    let expression = r"oom-kill\w+";
    #[expect(clippy::cast_precision_loss, reason = "a throughput")]
    let rate = |span: Duration| TAIL as f64 / 1e6 / span.as_secs_f64();
    Ok(Box::new(move || {
        let _ = &directory;
        let begun = Instant::now();
        let ours = Command::new(&vmcon)
            .arg("log")
            .arg(&log)
            .args(["--grep", expression])
            .output()?;
        let ours_took = begun.elapsed();
        let begun = Instant::now();
        let peer = Command::new("rg")
            .args(["--no-line-number", "--text", expression])
            .arg(&plain)
            .output();
        let peer_took = begun.elapsed();
        let peer = peer.map_err(|error| Skipped(format!("rg: {error}; cargo install ripgrep")))?;
        if ours.stdout != peer.stdout {
            return Err(Skipped("vmcon and rg found other lines".into()));
        }
        Ok(Pass::pair(rate(ours_took), rate(peer_took)))
    }))
}
