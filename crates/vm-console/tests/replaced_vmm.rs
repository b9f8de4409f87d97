//! A VMM that replaces itself by another process, which is the example `replaced_vmm`: whoever waits
//! meanwhile is served, and the log goes on.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use support::{Client, PATIENCE, control_client, example, open_terminal, wait_until};
use vm_console::transport::pty::Pty;
use vm_console::transport::unix::UnixSocket;

struct Vmm {
    child: Child,
    commands: ChildStdin,
    said: Receiver<String>,
}

impl Vmm {
    fn start(dir: &Path) -> Option<Self> {
        let limit = format!("{}", 2 * PATIENCE.as_secs()); // one that hangs fails, and does not stay
        let mut child = Command::new("timeout")
            .args(["--foreground", &limit])
            .arg(example("replaced_vmm")?)
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, said) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Some(Self {
            child,
            commands,
            said,
        })
    }

    fn told(&mut self, command: &str) {
        writeln!(self.commands, "{command}").unwrap();
    }

    fn says(&self) -> String {
        self.said.recv_timeout(PATIENCE).expect("it says something")
    }

    /// What it says once it serves: epoch, offset and TCP address.
    fn serves(&self) -> (u64, u64, SocketAddr) {
        let line = self.says();
        let words: Vec<_> = line.split(' ').collect();
        let [
            "serves",
            "epoch",
            epoch,
            "from",
            "offset",
            offset,
            "at",
            address,
        ] = words[..]
        else {
            panic!("{line}");
        };
        let number = |word: &str| word.parse().unwrap();
        (number(epoch), number(offset), address.parse().unwrap())
    }

    fn ends(mut self) {
        self.told("quit");
        wait_until("it ends", || self.child.try_wait().unwrap().is_some());
        assert!(self.child.wait().unwrap().success());
    }
}

trait ReadWrite: Read + Write {}

impl<S: Read + Write> ReadWrite for S {}

#[test]
fn whoever_waits_is_served_by_the_next_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let connect = || UnixStream::connect(path("raw")).unwrap();
    let Some(mut vmm) = Vmm::start(dir.path()) else {
        return;
    };
    let (epoch, _, address) = vmm.serves();
    vmm.told("print one");
    let mut printed = b"one\r\n".to_vec();
    let mut holder = Client::new(connect());
    holder.read_until("one\r\n");
    let first = control_client(&path("control")).status().unwrap();
    assert_eq!((first.head, first.epoch), (5, epoch));
    let device = std::fs::read_link(path("pty")).unwrap();

    // What was adopted is handed on as what was made, so one restart after the other.
    let mut head = first.head;
    for way in ["raw", "TCP", "pty"] {
        vmm.told("stop");
        assert_eq!(vmm.says(), "stopped");
        if way == "raw" {
            let farewell = holder.read_to_end();
            assert!(farewell.contains("shutting down"), "{farewell}");
        }
        // Nobody serves now. Whoever comes waits, and nobody else can have the place.
        let mut waiting: Client<Box<dyn ReadWrite>> = Client {
            stream: match way {
                "raw" => Box::new(Client::new(connect()).stream),
                "TCP" => Box::new(Client::tcp(TcpStream::connect(address).unwrap()).stream),
                _ => Box::new(open_terminal(&path("pty"))),
            },
        };
        let control = std::thread::spawn({
            let path = path("control");
            move || control_client(&path).status().unwrap()
        });
        UnixSocket::bind(path("raw")).unwrap_err();
        Pty::open(path("pty")).unwrap_err();
        vmm.told("replace");
        assert_eq!(vmm.serves(), (epoch, head, address));
        let next = control.join().unwrap();
        assert_eq!((next.head, next.epoch, next.log), (head, epoch, first.log));
        assert_eq!(std::fs::read_link(path("pty")).unwrap(), device);

        assert_eq!(waiting.read(head as usize), printed);
        vmm.told(&format!("print {way}"));
        waiting.read_until(&format!("{way}\r\n"));
        printed.extend(format!("{way}\r\n").bytes());
        head = printed.len() as u64;
        drop(waiting);
        wait_until("the console is free", || {
            let status = control_client(&path("control")).status().unwrap();
            status.holder.is_none()
        });
    }
    vmm.ends();
    assert_eq!(std::fs::read(path("text")).unwrap(), printed);
    let left = std::fs::read_dir(dir.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(
        left,
        ["text"],
        "sockets and symlink end with the last process"
    );
}

/// If a process gives up before it is replaced, nothing is left, and whoever waits is told.
#[test]
fn whoever_waits_for_a_process_that_does_not_come_sees_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut vmm) = Vmm::start(dir.path()) else {
        return;
    };
    vmm.serves();
    vmm.told("stop");
    assert_eq!(vmm.says(), "stopped");
    let mut waits = Client::new(UnixStream::connect(dir.path().join("raw")).unwrap());
    vmm.ends();
    assert_eq!(waits.read_to_end(), "");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}
