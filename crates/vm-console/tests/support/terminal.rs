//! Real terminal emulators in the place of a client's terminal: they show the bytes that they are
//! sent, and give back the bytes that they type.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::{PATIENCE, has, wait_until};

/// Cancels an unfinished sequence, then asks a question that every terminal answers in the same
/// way.
const SENTINEL: &[u8] = b"\x18\x1b\\\x1b[5n";
const ANSWER: &[u8] = b"\x1b[0n";

/// A terminal emulator that runs only `socat`, which is connected to the test.
pub struct Terminal {
    pub name: &'static str,
    dir: tempfile::TempDir,
    stream: UnixStream,
    screen: Screen,
    pages: usize,
}

enum Screen {
    Tmux,
    Xterm { emulator: Child, server: Child },
}

impl Terminal {
    /// A pane of a tmux server of its own; `None` if tmux or `socat` is not installed.
    pub fn tmux() -> Option<Self> {
        if !(has("tmux") && has("socat")) {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("pane")).unwrap();
        let mut command = tmux(dir.path());
        command.args(["-u", "-f", "/dev/null", "new-session", "-d"]);
        command
            .args(["-x", "100", "-y", "30"])
            .arg(joined(dir.path()).join(" "));
        assert!(command.status().unwrap().success(), "tmux starts");
        Some(Self {
            name: "tmux",
            stream: accept(&listener),
            screen: Screen::Tmux,
            dir,
            pages: 0,
        })
    }

    /// An xterm that answers every question, on an X server of its own without a screen.
    pub fn xterm(utf8: bool) -> Option<Self> {
        if !(has("xterm") && has("Xvfb") && has("socat")) {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("pane")).unwrap();
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1024x768x24"])
            .args(["-nolisten", "tcp", "-noreset"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut display = String::new();
        let mut told = BufReader::new(server.stdout.take().unwrap());
        // Xvfb prints the display's number, or ends.
        told.read_line(&mut display).unwrap();
        let printer = format!(
            "*printerCommand: cat >> {}",
            dir.path().join("print").display()
        );
        let emulator = Command::new("xterm")
            .args(["-display", &format!(":{}", display.trim())])
            .args(if utf8 { ["-u8"] } else { ["+u8"] })
            .args(["-geometry", "100x30"])
            .args(["-xrm", &printer])
            .args(RESOURCES.iter().flat_map(|resource| ["-xrm", resource]))
            .arg("-e")
            .args(joined(dir.path()))
            .env("LC_ALL", if utf8 { "C.UTF-8" } else { "C" })
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self {
            name: if utf8 { "xterm" } else { "xterm in 8 bits" },
            stream: accept(&listener),
            screen: Screen::Xterm { emulator, server },
            dir,
            pages: 0,
        })
    }

    /// Shows `bytes` and returns what the terminal typed because of them.
    pub fn typed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.stream.write_all(bytes).unwrap();
        self.stream.write_all(SENTINEL).unwrap();
        let mut typed = Vec::new();
        let mut piece = [0; 4096];
        while !typed.ends_with(ANSWER) {
            let count = self.stream.read(&mut piece).unwrap_or_else(|error| {
                panic!("{}: {error} after {}", self.name, typed.escape_ascii())
            });
            assert!(count > 0, "{} is gone", self.name);
            typed.extend_from_slice(&piece[..count]);
        }
        typed.truncate(typed.len() - ANSWER.len());
        typed
    }

    /// Resets the terminal to its state at the start.
    pub fn reset(&mut self) {
        self.typed(b"\x18\x1b\\\x1b[?38l\x1b<\x1bc");
    }

    /// The text on the screen after a reset and `bytes`, as lines.
    pub fn screen(&mut self, bytes: &[u8]) -> String {
        self.reset();
        self.typed(bytes);
        if matches!(self.screen, Screen::Tmux) {
            let captured = tmux(self.dir.path())
                .args(["capture-pane", "-p"])
                .output()
                .unwrap();
            return String::from_utf8_lossy(&captured.stdout).into_owned();
        }
        // xterm prints its screen. It is complete once the test's own line at the bottom is there.
        self.pages += 1;
        let last = format!("page {} ends", self.pages);
        let print = self.dir.path().join("print");
        let _ = std::fs::remove_file(&print);
        self.typed(format!("\x1b[30;1H{last}\x1b[0i").as_bytes());
        let mut page = String::new();
        wait_until("the screen is printed", || {
            page = String::from_utf8_lossy(&std::fs::read(&print).unwrap_or_default()).into_owned();
            page.contains(&last)
        });
        page.replace(&last, "")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        match &mut self.screen {
            Screen::Tmux => {
                let _ = tmux(self.dir.path())
                    .arg("kill-server")
                    .stderr(Stdio::null())
                    .status();
            }
            Screen::Xterm { emulator, server } => {
                for child in [emulator, server] {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        }
    }
}

/// Allows all that xterm refuses by default, since the guard must not rely on refusals.
const RESOURCES: &[&str] = &[
    "*allowColorOps: true",
    "*allowFontOps: true",
    "*allowMouseOps: true",
    "*allowTcapOps: true",
    "*allowTitleOps: true",
    "*allowWindowOps: true",
    "*disallowedColorOps:",
    "*disallowedFontOps:",
    "*disallowedMouseOps:",
    "*disallowedTcapOps:",
    "*disallowedWindowOps:",
    "*answerbackString: answerback",
    "*decTerminalID: 525",
    "*printAttributes: 0",
    "*printerAutoClose: true",
];

fn tmux(dir: &Path) -> Command {
    let mut command = Command::new("tmux");
    command
        .arg("-S")
        .arg(dir.join("tmux"))
        .env("LC_ALL", "C.UTF-8")
        .env_remove("TMUX");
    command
}

/// The program that runs in the terminal.
fn joined(dir: &Path) -> [String; 3] {
    let pane = dir.join("pane");
    [
        "socat".into(),
        "-,raw,echo=0".into(),
        format!("UNIX-CONNECT:{}", pane.display()),
    ]
}

fn accept(listener: &UnixListener) -> UnixStream {
    listener.set_nonblocking(true).unwrap();
    let mut accepted = None;
    wait_until("the terminal has started", || {
        accepted = listener.accept().ok();
        accepted.is_some()
    });
    let (stream, _) = accepted.unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}
