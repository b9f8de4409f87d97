//! The register side of Linux's `8250_port.c`, without Linux: probes, polled console,
//! interrupt-driven tty.

use std::collections::VecDeque;
use std::sync::Arc;

use super::interrupt::{Interrupt, Stopped};
use crate::guest::SerialIo;

const RBR: u8 = 0;
const THR: u8 = 0;
const DLL: u8 = 0;
const DLM: u8 = 1;
const IER: u8 = 1;
const IIR: u8 = 2;
const FCR: u8 = 2;
const LCR: u8 = 3;
const MCR: u8 = 4;
const LSR: u8 = 5;
const MSR: u8 = 6;
const SCR: u8 = 7;

const IER_RDI: u8 = 0x01;
const IER_THRI: u8 = 0x02;
const IER_RLSI: u8 = 0x04;
const LSR_DR: u8 = 0x01;
const LSR_BI: u8 = 0x10;
const LSR_THRE: u8 = 0x20;
const LSR_TEMT: u8 = 0x40;
const MCR_OPEN: u8 = 0x0b; // DTR RTS OUT2
const FCR_CLEAR: u8 = 0x07;
const FCR_NORMAL: u8 = 0x87; // trigger level 8

/// Bytes that one THRE makes room for.
const FIFO: usize = 16;
/// Of the driver's own two buffers.
const RING: usize = 255;

/// A received character, or a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    Byte(u8),
    Break,
}

/// The driver's state: the port, copies of what it wrote, and its buffers.
pub(super) struct Driver<P> {
    port: Arc<P>,
    interrupt: Arc<Interrupt>,
    ier: u8,
    sending: VecDeque<u8>,
    received: VecDeque<Received>,
}

impl<P: SerialIo> Driver<P> {
    pub(super) fn new(port: Arc<P>, interrupt: Arc<Interrupt>) -> Self {
        Self {
            port,
            interrupt,
            ier: 0,
            sending: VecDeque::with_capacity(RING),
            received: VecDeque::with_capacity(RING),
        }
    }

    fn read(&self, offset: u8) -> u8 {
        let mut value = [0];
        self.port.read(offset, &mut value);
        value[0]
    }

    fn write(&self, offset: u8, value: u8) {
        self.port.write(offset, &[value]);
    }

    fn set_ier(&mut self, ier: u8) {
        self.ier = ier;
        self.write(IER, ier);
    }

    /// 115200 8n1, FIFO on and empty, no interrupt enabled, not open yet.
    pub(super) fn set_format(&mut self) {
        self.write(LCR, 0x80);
        self.write(DLL, 1);
        self.write(DLM, 0);
        self.write(LCR, 0x03);
        self.set_ier(0);
        self.write(FCR, FCR_NORMAL);
        self.write(MCR, 0);
    }

    /// Opens the port: from now on input arrives, by interrupt.
    pub(super) fn open(&mut self) {
        self.write(MCR, MCR_OPEN);
        self.set_ier(IER_RDI | IER_RLSI);
    }

    // ---- probes: true if the port is as a 16550A is

    pub(super) fn scratch_is_there(&self) -> bool {
        [0x5a, 0xa5].into_iter().all(|value| {
            self.write(SCR, value);
            self.read(SCR) == value
        })
    }

    pub(super) fn ier_is_there(&self) -> bool {
        [(0x0f, 0x0f), (0xff, 0x0f), (0, 0)]
            .into_iter()
            .all(|(written, expected)| {
                self.write(IER, written);
                self.read(IER) == expected
            })
    }

    pub(super) fn loopback_works(&self) -> bool {
        self.write(MCR, 0x1a);
        let inputs = self.read(MSR);
        self.write(MCR, 0);
        inputs & 0xf0 == 0x90
    }

    pub(super) fn fifo_is_there(&self) -> bool {
        self.write(FCR, 0x01);
        self.read(IIR) >> 6 == 3
    }

    /// How many of 256 bytes sent to itself are kept.
    pub(super) fn fifo_is_16(&self) -> bool {
        self.write(MCR, 0x13);
        self.write(FCR, FCR_CLEAR);
        for value in 0..=255 {
            self.write(THR, value);
        }
        let mut kept = 0;
        while kept < 256 && self.read(LSR) & LSR_DR != 0 {
            self.read(RBR);
            kept += 1;
        }
        self.write(FCR, FCR_CLEAR);
        self.write(MCR, 0);
        kept == FIFO
    }

    // ---- polled output

    fn wait_for(&self, lsr_bits: u8) -> Result<(), Stopped> {
        // At first too: the transmitter is always ready, and a long output is to be stopped.
        self.interrupt.check_stop()?;
        while self.read(LSR) & lsr_bits != lsr_bits {
            std::thread::yield_now();
            self.interrupt.check_stop()?;
        }
        Ok(())
    }

    /// As the kernel's console does: interrupts off at the chip, bytes, wait until all is out,
    /// interrupts back.
    pub(super) fn print(&mut self, text: &str) -> Result<(), Stopped> {
        let ier = self.ier;
        self.set_ier(0);
        for chunk in text.as_bytes().chunks(FIFO) {
            self.wait_for(LSR_THRE)?;
            self.fill(chunk);
        }
        self.wait_for(LSR_THRE | LSR_TEMT)?;
        self.set_ier(ier);
        Ok(())
    }

    /// Bytes into the transmit FIFO, one access each.
    fn fill(&self, bytes: &[u8]) {
        for &byte in bytes {
            self.write(THR, byte);
        }
    }

    /// One look at LSR, then up to 16 bytes one by one.
    pub(super) fn send_polled(&self, bytes: &[u8]) -> Result<(), Stopped> {
        self.wait_for(LSR_THRE)?;
        self.fill(bytes);
        Ok(())
    }

    /// One look at LSR, then up to 16 bytes by one string instruction.
    pub(super) fn send_burst(&self, bytes: &[u8]) -> Result<(), Stopped> {
        self.wait_for(LSR_THRE)?;
        self.port.write(THR, bytes);
        Ok(())
    }

    // ---- interrupt-driven input and output

    /// Queues a byte; with the queue full it sends, and sleeps until half of it is free.
    pub(super) fn put(&mut self, byte: u8) -> Result<(), Stopped> {
        if self.sending.len() == RING {
            self.kick();
            while self.sending.len() > RING / 2 {
                self.sleep()?;
            }
        }
        self.sending.push_back(byte);
        Ok(())
    }

    /// Starts the transmitter if something is queued: IER.1 going 0 to 1 raises the interrupt.
    pub(super) fn kick(&mut self) {
        if !self.sending.is_empty() && self.ier & IER_THRI == 0 {
            self.set_ier(self.ier | IER_THRI);
        }
    }

    /// Sleeps until everything queued has been sent.
    pub(super) fn flush(&mut self) -> Result<(), Stopped> {
        self.kick();
        while !self.sending.is_empty() {
            self.sleep()?;
        }
        Ok(())
    }

    /// The next received character; sleeps until there is one.
    pub(super) fn next(&mut self) -> Result<Received, Stopped> {
        loop {
            if let Some(received) = self.received.pop_front() {
                if self.ier & IER_RDI == 0 && self.received.len() <= RING / 2 {
                    self.set_ier(self.ier | IER_RDI);
                }
                return Ok(received);
            }
            self.sleep()?;
        }
    }

    /// `hlt`: until the line is asserted, then the handler.
    fn sleep(&mut self) -> Result<(), Stopped> {
        self.interrupt.wait()?;
        self.handle_interrupt();
        Ok(())
    }

    fn handle_interrupt(&mut self) {
        loop {
            let iir = self.read(IIR);
            if iir & 1 != 0 {
                return;
            }
            match iir & 0x0e {
                0x02 => self.transmit(),
                0x04 | 0x06 | 0x0c => self.receive(),
                _ => {
                    self.read(MSR);
                }
            }
        }
    }

    fn receive(&mut self) {
        loop {
            let lsr = self.read(LSR);
            if lsr & LSR_DR == 0 {
                return;
            }
            if self.received.len() == RING {
                // The rest waits in the FIFO, and behind it at the host.
                self.set_ier(self.ier & !IER_RDI);
                return;
            }
            let byte = self.read(RBR);
            self.received.push_back(if lsr & LSR_BI == 0 {
                Received::Byte(byte)
            } else {
                Received::Break
            });
        }
    }

    fn transmit(&mut self) {
        for _ in 0..FIFO {
            let Some(byte) = self.sending.pop_front() else {
                self.set_ier(self.ier & !IER_THRI);
                return;
            };
            self.write(THR, byte);
        }
    }
}
