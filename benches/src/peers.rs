//! The peers we are measured against: vm-superio 0.8.2 behind a mutex, as its users link it, and
//! the bare minimum.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::thread::JoinHandle;

use vm_superio::Serial;
use vm_superio::serial::NoEvents;
use vmm_sys_util::eventfd::EventFd;

pub use vm_serial_tests::irqfd::Irqfd;

/// An interrupt line that nobody reads.
///
/// # Panics
///
/// If descriptors are exhausted.
#[must_use]
pub fn unread_irq() -> Irqfd {
    Irqfd(EventFd::new(vmm_sys_util::eventfd::EFD_NONBLOCK).expect("an eventfd"))
}

/// vm-superio's port into a sink.
pub type Superio<W> = Mutex<Serial<Irqfd, NoEvents, W>>;

/// vm-superio's port into `sink`.
pub fn superio<W: Write>(sink: W) -> Superio<W> {
    Mutex::new(Serial::new(unread_irq(), sink))
}

/// A `Vec` that is emptied when it holds a mebibyte: the fastest sink that vm-superio can have.
#[derive(Default)]
pub struct Memory(Vec<u8>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() >= 1 << 20 {
            self.0.clear();
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The bare minimum: a ring with a 64-bit head, to be put under a mutex.
pub struct BareRing {
    head: u64,
    bytes: Box<[u8]>,
}

impl BareRing {
    /// An empty ring of 1 MiB.
    #[must_use]
    pub fn new() -> Self {
        Self {
            head: 0,
            bytes: vec![0; 1 << 20].into(),
        }
    }

    /// Stores one byte.
    #[inline]
    pub fn store(&mut self, byte: u8) {
        let at = self.head as usize & (self.bytes.len() - 1);
        self.bytes[at] = byte;
        self.head += 1;
    }

    /// Stores a chunk.
    #[inline]
    pub fn store_chunk(&mut self, chunk: &[u8]) {
        let at = self.head as usize & (self.bytes.len() - 1);
        let first = chunk.len().min(self.bytes.len() - at);
        self.bytes[at..at + first].copy_from_slice(&chunk[..first]);
        self.bytes[..chunk.len() - first].copy_from_slice(&chunk[first..]);
        self.head += chunk.len() as u64;
    }
}

impl Default for BareRing {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads all that arrives until the other end closes. The thread returns the number of bytes.
#[must_use = "dropping the handle only lets the thread go on by itself"]
pub fn drained(mut stream: UnixStream) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        let mut total = 0;
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            total += n as u64;
        }
        total
    })
}
