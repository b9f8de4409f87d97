//! Linux's interrupt handler while other CPUs write to the tty and the host types without pause.
//!
//! Follows `serial8250_interrupt` (`drivers/tty/serial/8250/8250_core.c`), which serves the port
//! until IIR says none, and gives up after 512 passes with "too much work for irq4". The port's lock
//! is held within a pass, so the other CPUs come between two passes; here they always do.

mod machine;

use std::collections::VecDeque;

use machine::{
    FCR, IER, IIR, IIR_NONE, LCR, LCR_8N1, LSR, LSR_DR, LSR_THRE, MCR, MCR_DTR, MCR_OUT2, MCR_RTS,
    MSR, Ours, Port, RBR, THR,
};
use vm_uart::{Config, ReceiveAhead, SerialPort};

/// `PASS_LIMIT`.
const PASS_LIMIT: usize = 512;
/// `UART_XMIT_SIZE` with pages of 4 KiB.
const TRANSMIT_BUFFER: usize = 4096;
/// `tx_loadsz` of a 16550A.
const TX_LOAD_SIZE: usize = 16;

struct Linux {
    pc: Ours,
    ier: u8,
    transmit_buffer: VecDeque<u8>,
    /// What the writers on other CPUs still have, and what the host still types.
    unwritten: usize,
    untyped: usize,
    received: usize,
    interrupts: usize,
    most_passes: usize,
    /// The time that a pass takes on this host, if the port is told.
    pass_ns: u64,
}

impl Linux {
    fn new(config: Config, unwritten: usize, untyped: usize) -> Self {
        let mut pc = Ours::with_config(config);
        for (register, value) in [
            (LCR, LCR_8N1),
            (FCR, 0x81),
            (MCR, MCR_DTR | MCR_RTS | MCR_OUT2),
            (IER, 0x05),
        ] {
            pc.outb(register, value);
        }
        Self {
            pc,
            ier: 0x05,
            transmit_buffer: VecDeque::new(),
            unwritten,
            untyped,
            received: 0,
            interrupts: 0,
            most_passes: 0,
            pass_ns: 0,
        }
    }

    /// Each writer fills the buffer (`uart_write`) and has it sent (`__uart_start`); the host types
    /// as much as it may.
    fn others(&mut self) {
        let room = TRANSMIT_BUFFER - self.transmit_buffer.len();
        let written = room.min(self.unwritten);
        self.unwritten -= written;
        self.transmit_buffer
            .extend(std::iter::repeat_n(b'x', written));
        if written > 0 && self.ier & 0x02 == 0 {
            self.ier |= 0x02;
            self.pc.outb(IER, self.ier);
        }
        let typed = self.untyped.min(4096);
        self.untyped -= typed;
        self.pc.type_in(&vec![b'k'; typed]);
    }

    /// `serial8250_handle_irq`; false: "not mine".
    fn handle_irq(&mut self) -> bool {
        if self.pc.inb(IIR) & IIR_NONE != 0 {
            return false;
        }
        let mut lsr = self.pc.inb(LSR);
        for _ in 0..256 {
            if lsr & LSR_DR == 0 {
                break;
            }
            self.pc.inb(RBR);
            self.received += 1;
            lsr = self.pc.inb(LSR);
        }
        self.pc.inb(MSR);
        if lsr & LSR_THRE != 0 && self.ier & 0x02 != 0 {
            for _ in 0..TX_LOAD_SIZE {
                let Some(byte) = self.transmit_buffer.pop_front() else {
                    break;
                };
                self.pc.outb(THR, byte);
            }
            if self.transmit_buffer.is_empty() {
                self.ier &= !0x02;
                self.pc.outb(IER, self.ier);
            }
        }
        true
    }

    /// `serial8250_interrupt` on one CPU, for as long as the controller has an edge.
    fn run(&mut self) {
        let mut seen = 0;
        self.others();
        for _ in 0..100_000 {
            if std::mem::replace(&mut seen, self.pc.edges()) == self.pc.edges() {
                return;
            }
            self.interrupts += 1;
            let mut passes = 0;
            while self.handle_irq() {
                self.others();
                self.pc.port.advance(self.pass_ns);
                passes += 1;
                assert!(passes <= PASS_LIMIT, "serial8250: too much work for irq4");
            }
            self.most_passes = self.most_passes.max(passes);
        }
        panic!("an interrupt storm");
    }
}

fn boards() -> [Config; 2] {
    [ReceiveAhead::TriggerLevel, ReceiveAhead::Full].map(|receive_ahead| Config {
        receive_ahead,
        ..Config::default()
    })
}

#[test]
fn writers_on_other_cpus_never_make_too_much_work() {
    for config in boards() {
        let mut linux = Linux::new(config, 100_000, 0);
        linux.run();
        assert_eq!(linux.pc.printed().len(), 100_000);
        assert!(linux.interrupts < 2 * 100_000 / TX_LOAD_SIZE / 400 + 2);
    }
}

/// A slow host, on which a pass takes a fifth of the time of its characters.
#[test]
fn nor_if_the_port_is_told_the_time_that_this_takes() {
    let mut linux = Linux::new(Config::default(), 100_000, 0);
    linux.pass_ns = 300_000;
    linux.pc.outb(LCR, 0x83);
    linux.pc.outb(THR, 1); // 115,200 baud
    linux.pc.outb(LCR, LCR_8N1);
    linux.run();
    assert_eq!(linux.pc.printed().len(), 100_000);
}

#[test]
fn a_host_that_types_without_pause_never_makes_too_much_work() {
    for config in boards() {
        let mut linux = Linux::new(config, 0, 400_000);
        linux.run();
        assert_eq!(linux.received, 400_000);
    }
}

#[test]
fn both_at_once_never_make_too_much_work() {
    for config in boards() {
        let mut linux = Linux::new(config, 50_000, 300_000);
        linux.run();
        assert_eq!(
            (linux.pc.printed().len(), linux.received),
            (50_000, 300_000)
        );
    }
}

#[test]
fn a_buffer_that_nobody_fills_again_is_sent_in_one_run() {
    let mut linux = Linux::new(Config::default(), TRANSMIT_BUFFER, 0);
    linux.run();
    assert_eq!(linux.most_passes, TRANSMIT_BUFFER / TX_LOAD_SIZE);
}

/// The same accesses with the chip's own time between them: there, each character has left by then.
#[test]
fn passes_that_take_as_long_as_on_the_chip_have_no_end() {
    for characters in [1, TX_LOAD_SIZE] {
        let mut port = SerialPort::new((), ());
        port.write(FCR, 0x01);
        port.write(IER, 0x02);
        for pass in 0..2000 {
            assert_eq!(port.read(IIR), 0xc2, "after {pass} passes");
            port.read(LSR);
            for _ in 0..characters {
                port.write(THR, b'x');
            }
            port.advance(port.uart().character_ns() * characters as u64);
        }
    }
}

/// Looking at IIR again and again without serving anything is no pass.
#[test]
fn iir_says_the_same_for_as_long_as_nothing_is_served() {
    let mut linux = Linux::new(Config::default(), 0, 1);
    linux.others();
    for _ in 0..1000 {
        assert_eq!(linux.pc.inb(IIR), 0xcc);
    }
}
