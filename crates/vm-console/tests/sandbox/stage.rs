//! A service whose thread is marked, and consoles in it.

use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use vm_console::audit::Audited;
use vm_console::service::{ConsoleHandle, Service, ServiceHandle};
use vm_console::session::{EndReason, Transport};
use vm_console::transport::Listener;
use vm_console::transport::pty::Pty;
use vm_console::transport::stdio::FdClient;
use vm_console::transport::tcp::TcpSocket;
use vm_console::transport::unix::UnixSocket;
use vm_console::{BootLog, Console, ConsoleConfig, ConsoleLine, GuestPort, LogConfig};
use vm_uart::registers::{FCR, Fcr, IER, Ier};
use vm_uart::{EdgeLine, SerialPort, Trigger};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::client::Client;
use super::strace::mark;
use crate::support::{PATIENCE, join, wait_until};

/// An eventfd as an interrupt line, as a VMM on KVM has it.
pub struct Irqfd(EventFd);

impl Trigger for Irqfd {
    type E = std::io::Error;

    fn trigger(&self) -> std::io::Result<()> {
        self.0.write(1)
    }
}

pub type Port = Mutex<SerialPort<EdgeLine<Irqfd>, ConsoleLine>>;

pub struct Stage {
    pub dir: tempfile::TempDir,
    pub service: ServiceHandle,
    thread: JoinHandle<()>,
}

impl Stage {
    pub fn new() -> Self {
        let (service, thread) = Service::spawn_with(|| {
            mark();
            Ok(())
        })
        .unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            service,
            thread,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn add(&self, config: ConsoleConfig) -> Served {
        let linger = Duration::from_millis(100);
        let config = ConsoleConfig { linger, ..config };
        let name = config.name.clone();
        let path = self.path(&format!("{name}.log"));
        let (writer, _) = BootLog::create_file(path, LogConfig::default()).unwrap();
        let (line, console) = Console::new(config, writer).unwrap();
        let irq = EventFd::new(EFD_NONBLOCK).unwrap();
        let port: Arc<Port> =
            Arc::new(Mutex::new(SerialPort::new(EdgeLine::new(Irqfd(irq)), line)));
        {
            let mut port = port.lock().unwrap();
            port.write(FCR, Fcr::ENABLE.bits());
            port.write(IER, Ier::RECEIVED_DATA.bits());
        }
        Served {
            console: self.service.add(console, port.clone(), Vec::new()).unwrap(),
            name,
            port,
        }
    }

    /// Waits until a session on `served` has ended, and checks why.
    pub fn ended(&self, served: &Served, fits: impl Fn(&EndReason) -> bool) {
        self.audited(served, |what| match what {
            Audited::Ended { why, .. } => {
                assert!(fits(why), "{}: {why}", served.name);
                true
            }
            _ => false,
        });
    }

    pub fn audited(&self, served: &Served, fits: impl Fn(&Audited) -> bool) {
        let audit = self.service.audit();
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let event = audit.recv_deadline(end).expect("an audit event");
            if *event.console == *served.name && fits(&event.what) {
                return;
            }
        }
    }

    /// Ends the service and all threads that it has started.
    pub fn shut_down(self) {
        self.service.shut_down();
        let ended = join("the service ends", self.thread);
        ended.expect("it ends in time").expect("it ends in order");
        wait_until("its other threads end", || {
            let others = ["log", "close", "recv", "text"].map(|name| format!("vm-console-{name}"));
            others.into_iter().all(|name| state_of(&name).is_none())
        });
    }
}

/// The state of the thread of this name, as in `/proc/PID/stat`: `S` if it sleeps in a system call.
pub fn state_of(name: &str) -> Option<char> {
    // The kernel keeps 15 bytes of a name.
    let name = format!("({}) ", &name[..name.len().min(15)]);
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok())
        .find_map(|stat| stat.split_once(&name)?.1.chars().next())
}

/// A console and its port.
pub struct Served {
    pub name: String,
    pub console: ConsoleHandle,
    pub port: Arc<Port>,
}

impl Served {
    pub fn print(&self, bytes: &[u8]) {
        self.port.with_line(&mut |line| {
            line.transmit(bytes);
        });
    }

    /// Answers when the service has carried out all commands.
    pub fn settle(&self) {
        self.console.status(PATIENCE).expect("the service answers");
    }

    /// Opens a way in for clients of `transport`, if they come in by themselves.
    pub fn open(&self, stage: &Stage, transport: Transport) {
        let path = stage.path(&self.name);
        let bind = || UnixSocket::bind(&path).unwrap();
        let listener = match transport {
            Transport::Unix => Listener::raw(bind()),
            Transport::Control => Listener::control(bind()),
            Transport::Pty => Listener::pty(Pty::open(&path).unwrap()),
            // A TCP client brings its listener.
            Transport::Stdio | Transport::Passed | Transport::Tcp => return,
            other => panic!("no scenario for {other}: write one"),
        };
        self.console.listen(listener);
    }

    /// A client that has the console.
    pub fn attach(&self, stage: &Stage, transport: Transport) -> Client {
        let path = stage.path(&self.name);
        let client = match transport {
            Transport::Unix => Client::of_unix(&path),
            Transport::Control => Client::of_control(&path, false),
            Transport::Pty => {
                self.settle();
                Client::of_pty(&path)
            }
            Transport::Stdio => {
                let (client, input, output) = Client::of_pipes();
                self.console
                    .attach(FdClient::from_files(input, output).unwrap().with_limits());
                client
            }
            Transport::Passed => {
                let (client, theirs) = Client::of_pair();
                self.console
                    .attach(FdClient::from_socket(OwnedFd::from(theirs)));
                client
            }
            Transport::Tcp => self.serve_tcp(Listener::tcp),
            other => panic!("no scenario for {other}: write one"),
        };
        stage.audited(self, |what| matches!(what, Audited::Attached { .. }));
        client
    }

    /// A client of a TCP listener of its own.
    fn serve_tcp(&self, listener: impl FnOnce(TcpSocket) -> Listener) -> Client {
        let socket = TcpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.address();
        self.console.listen(listener(socket));
        Client::of_tcp(&TcpStream::connect(address).unwrap())
    }

    /// A client that takes the console by force, by the same transport if that can.
    pub fn take_over(&self, stage: &Stage, transport: Transport) -> Client {
        let path = stage.path(&self.name);
        match transport {
            Transport::Unix => {
                let force = path.with_extension("force");
                let socket = UnixSocket::bind(&force).unwrap();
                self.console.listen(Listener::raw_forcing(socket));
                Client::of_unix(&force)
            }
            Transport::Control => Client::of_control(&path, true),
            Transport::Tcp => self.serve_tcp(|socket| Listener::tcp(socket).forcing()),
            Transport::Passed => {
                let (client, theirs) = Client::of_pair();
                let theirs = FdClient::from_socket(OwnedFd::from(theirs));
                self.console.attach(theirs.forcing());
                client
            }
            _ => {
                let (client, input, output) = Client::of_pipes();
                let files = FdClient::from_files(input, output).unwrap();
                self.console.attach(files.forcing());
                client
            }
        }
    }
}
