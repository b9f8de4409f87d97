//! Consoles whose guests print and echo, and whose clients type and check what they see.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use vm_console::transport::Listener;
use vm_console::{BootLog, LogConfig};
use vm_uart::EdgeLine;
use vm_uart::registers::{RBR, THR};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::EventFd;

use crate::host::{Host, SharedPort, TRIGGER_1, lock, open_port};
use crate::measure::Skipped;
use crate::peers::Irqfd;

/// After so long without a sign, the service is taken for stopped.
const PATIENCE: Duration = Duration::from_secs(20);

/// One console with a guest that waits for interrupts and a client that holds it.
pub struct HonestConsole {
    port: SharedPort,
    irq: EventFd,
    interrupts: Epoll,
    client: UnixStream,
    /// What the guest has printed and the client has not received.
    under_way: VecDeque<u8>,
    /// Bytes that the client received and the guest had not printed.
    wrong: usize,
}

impl HonestConsole {
    /// Serves it on `host`, and attaches its client, at a socket named `name`.
    ///
    /// # Errors
    ///
    /// If memory or descriptors are exhausted, or the service does not answer.
    pub fn new(host: &Host, name: &str) -> Result<Self, Skipped> {
        let irq = EventFd::new(0)?;
        let interrupt = EdgeLine::new(Irqfd(irq.try_clone()?));
        let interrupts = Epoll::new()?;
        let wanted = EpollEvent::new(EventSet::IN, 0);
        interrupts.ctl(ControlOperation::Add, irq.as_raw_fd(), wanted)?;
        let (log, _) = BootLog::in_memory(LogConfig::default())?;
        let listeners = vec![Listener::raw(host.bind(name)?)];
        let (console, port) = host.serve(interrupt, log, listeners)?;
        open_port(&port, TRIGGER_1);
        let client = host.connect(name)?;
        client.set_read_timeout(Some(PATIENCE))?;
        // The client is let in before this is answered.
        console.status(PATIENCE)?;
        Ok(Self {
            port,
            irq,
            interrupts,
            client,
            under_way: VecDeque::new(),
            wrong: 0,
        })
    }

    /// The guest prints.
    pub fn print(&mut self, bytes: &[u8]) {
        lock(&self.port).write_string(THR, bytes);
        self.under_way.extend(bytes);
    }

    /// The client types a key, the guest echoes it at the interrupt, and the client reads until it
    /// has all that the guest has printed. Returns how long that took.
    ///
    /// # Errors
    ///
    /// If the service has closed the connection, or nothing came for long.
    pub fn type_key(&mut self, key: u8) -> Result<Duration, Skipped> {
        let start = Instant::now();
        self.client.write_all(&[key])?;
        self.wait_for_interrupt()?;
        let echo = {
            let mut port = lock(&self.port);
            let key = port.read(RBR);
            port.write(THR, key);
            key
        };
        self.under_way.push_back(echo);
        self.receive()?;
        Ok(start.elapsed())
    }

    /// The client reads what the guest has printed.
    ///
    /// # Errors
    ///
    /// If the service has closed the connection, or nothing came for long.
    pub fn receive(&mut self) -> Result<(), Skipped> {
        let mut buffer = [0; 4096];
        while !self.under_way.is_empty() {
            match self.client.read(&mut buffer)? {
                0 => return Err(Skipped("an honest client was disconnected".into())),
                n => self.check(&buffer[..n]),
            }
        }
        Ok(())
    }

    /// Bytes that the client received wrongly, or beyond what the guest has printed.
    ///
    /// # Errors
    ///
    /// As of [`receive`](Self::receive).
    pub fn wrong_bytes(&mut self) -> Result<usize, Skipped> {
        self.receive()?;
        self.client.set_nonblocking(true)?;
        let more = self.client.read(&mut [0; 4096]);
        self.client.set_nonblocking(false)?;
        match more {
            Ok(n) => self.wrong += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.wrong)
    }

    fn check(&mut self, received: &[u8]) {
        for byte in received {
            if self.under_way.pop_front() != Some(*byte) {
                self.wrong += 1;
            }
        }
    }

    fn wait_for_interrupt(&self) -> Result<(), Skipped> {
        let mut event = [EpollEvent::default()];
        if self
            .interrupts
            .wait(PATIENCE.as_millis() as i32, &mut event)?
            == 0
        {
            return Err(Skipped("a key did not reach its guest".into()));
        }
        self.irq.read()?;
        Ok(())
    }
}
