//! FreeBSD's uart(4): probe by zero bits, FIFO sizing by overrun in loopback, the flush check
//! behind "UART FCR is broken", interrupt loop.
//!
//! Follows `sys/dev/uart/uart_dev_ns8250.c`; each helper is named after the function it stands for.

mod machine;

use machine::*;

const IIR_PENDING_MASK: u8 = 0x0f;

/// `ns8250_probe`: bits that are zero on every relative.
fn ns8250_probe(port: &mut impl Port) -> bool {
    port.inb(IIR) & 0x30 == 0 && port.inb(MCR) & 0xa0 == 0
}

/// `ns8250_clrint`: services causes until IIR says none. The driver has no bound; 1000 passes are a
/// hang.
fn ns8250_clrint(port: &mut impl Port) {
    for _ in 0..1000 {
        let iir = port.inb(IIR);
        if iir & IIR_NONE != 0 {
            return;
        }
        match iir & IIR_PENDING_MASK {
            0x06 => {
                let lsr = port.inb(LSR);
                if lsr & (LSR_BI | LSR_FE | LSR_PE) != 0 {
                    port.inb(RBR);
                }
            }
            0x04 | 0x0c => {
                port.inb(RBR);
            }
            0x00 => {
                port.inb(MSR);
            }
            _ => {}
        }
    }
    panic!("FreeBSD hangs in ns8250_clrint");
}

/// `ns8250_drain`: TEMT within 10,240 polls, DR gone within 40,960 reads.
fn ns8250_drain(port: &mut impl Port, transmitter: bool, receiver: bool) -> bool {
    // ns8250_delay looks the divisor up first.
    let lcr = port.inb(LCR);
    port.outb(LCR, lcr | LCR_DLAB);
    port.inb(DLL);
    port.inb(DLM);
    port.outb(LCR, lcr);
    if transmitter && !(0..10 * 1024).any(|_| port.inb(LSR) & LSR_TEMT != 0) {
        return false;
    }
    !receiver
        || (0..10 * 4096).any(|_| {
            let empty = port.inb(LSR) & LSR_DR == 0;
            if !empty {
                port.inb(RBR);
            }
            empty
        })
}

/// `ns8250_flush`: newer kernels check that the flush worked. Returns what it would print as
/// broken.
fn ns8250_flush(port: &mut impl Port, transmitter: bool, receiver: bool) -> u8 {
    port.outb(
        FCR,
        0x01 | u8::from(transmitter) << 2 | u8::from(receiver) << 1,
    );
    let lsr = port.inb(LSR);
    let transmitter_broken = transmitter && lsr & LSR_THRE == 0;
    let receiver_broken = receiver && lsr & LSR_DR != 0;
    u8::from(receiver_broken) | u8::from(transmitter_broken) << 1
}

/// `ns8250_init`.
fn ns8250_init(port: &mut impl Port) {
    let ier = port.inb(IER) & 0xe0;
    port.outb(IER, ier);
    // ns8250_param: 115200 8N1.
    port.outb(LCR, LCR_8N1 | LCR_DLAB);
    port.outb(DLL, 1);
    port.outb(DLM, 0);
    port.outb(LCR, LCR_8N1);
    port.outb(FCR, 0x00);
    port.outb(MCR, MCR_OUT2 | MCR_RTS | MCR_DTR);
    ns8250_clrint(port);
}

#[derive(Debug, PartialEq)]
enum Probe {
    NotThere,
    WithoutFifo,
    /// Characters counted before the overrun, and what the flush afterwards found broken.
    WithFifo {
        count: usize,
        flush_broken: u8,
    },
}

/// `ns8250_bus_probe`.
fn ns8250_bus_probe(port: &mut impl Port) -> Probe {
    if !ns8250_probe(port) {
        return Probe::NotThere;
    }
    ns8250_init(port);
    if !ns8250_drain(port, true, false) {
        return Probe::NotThere;
    }
    port.outb(MCR, MCR_LOOP | MCR_OUT2 | MCR_DTR | MCR_RTS);
    port.outb(FCR, 0x01);
    if port.inb(IIR) & 0xc0 == 0 {
        port.outb(MCR, MCR_OUT2);
        return Probe::WithoutFifo;
    }
    port.outb(FCR, 0x07);
    assert!(
        ns8250_drain(port, true, true),
        "the receiver never runs empty"
    );
    let mut count = 0;
    loop {
        port.outb(THR, 0);
        count += 1;
        let mut lsr = 0;
        let sent = (0..30).any(|_| {
            lsr |= port.inb(LSR);
            lsr & LSR_TEMT != 0
        });
        assert!(sent, "the transmitter is stuck in loopback");
        if lsr & LSR_OE != 0 || count >= 260 {
            break;
        }
    }
    count -= 1;
    port.outb(MCR, MCR_OUT2);
    let flush_broken = ns8250_flush(port, true, true);
    Probe::WithFifo {
        count,
        flush_broken,
    }
}

#[derive(Default)]
struct Uart {
    ier: u8,
    received: Vec<u8>,
    breaks: usize,
    transmit_busy: bool,
    latch: EdgeLatch,
}

impl Uart {
    /// `ns8250_bus_attach`: trigger 8, both FIFOs flushed, modem, line status and receive
    /// interrupts on.
    fn attach(port: &mut impl Port) -> Self {
        let mut uart = Self::default();
        port.inb(MCR);
        port.outb(FCR, 0x81);
        assert_eq!(
            ns8250_flush(port, true, true),
            0,
            "uart: ns8250: UART FCR is broken"
        );
        port.outb(FCR, 0x81);
        port.inb(MSR);
        ns8250_clrint(port);
        uart.ier = port.inb(IER) & 0xf0 | 0x0d;
        port.outb(MCR, MCR_OUT2 | MCR_RTS | MCR_DTR);
        uart.latch.acknowledge(port);
        port.outb(IER, uart.ier);
        uart
    }

    /// `ns8250_bus_transmit`: at most sixteen bytes, then the THRE interrupt.
    fn transmit(&mut self, port: &mut impl Port, bytes: &[u8]) {
        assert!(bytes.len() <= 16 && !self.transmit_busy);
        assert!((0..1000).any(|_| port.inb(LSR) & LSR_THRE != 0));
        for &byte in bytes {
            port.outb(THR, byte);
        }
        self.ier |= 0x02;
        port.outb(IER, self.ier);
        self.transmit_busy = true;
    }

    /// `ns8250_bus_receive`.
    fn receive(&mut self, port: &mut impl Port) {
        while port.inb(LSR) & LSR_DR != 0 {
            self.received.push(port.inb(RBR));
        }
    }

    /// `ns8250_bus_ipend` and what `uart_intr` does with its answer; false: nothing pending.
    fn intr(&mut self, port: &mut impl Port) -> bool {
        let iir = port.inb(IIR);
        if iir & IIR_NONE != 0 {
            return false;
        }
        if iir & 0x04 != 0 {
            let lsr = port.inb(LSR);
            self.breaks += usize::from(lsr & LSR_BI != 0);
            if lsr & LSR_DR != 0 {
                self.receive(port);
            }
        } else if iir & 0x02 != 0 {
            self.ier &= !0x02;
            port.outb(IER, self.ier);
            self.transmit_busy = false;
        } else {
            port.inb(MSR);
        }
        true
    }

    /// The interrupt filter: `uart_intr` loops while something is pending, twenty times at most.
    fn interrupts(&mut self, port: &mut impl Port) {
        while self.latch.acknowledge(port) {
            let passes = (0..20).take_while(|_| self.intr(port)).count();
            assert!(passes < 20, "an interrupt storm");
        }
    }
}

#[test]
fn the_probe_finds_zero_bits_and_ignores_what_is_written_to_them() {
    let mut pc = Ours::new();
    assert!(ns8250_probe(&mut pc));
    pc.outb(MCR, !MCR_LOOP);
    pc.outb(IER, 0xff);
    assert!(
        ns8250_probe(&mut pc),
        "MCR 7:5 and IIR 5:4 read 0 whatever is written"
    );
    assert_eq!(pc.inb(IER) & 0xf0, 0);
}

#[test]
fn the_fifo_counts_sixteen_and_the_flush_works() {
    let mut pc = Ours::new();
    assert_eq!(
        ns8250_bus_probe(&mut pc),
        Probe::WithFifo {
            count: 16,
            flush_broken: 0
        }
    );
    assert_eq!(pc.printed(), b"", "the sizing stayed in loopback");
}

#[test]
fn the_flush_check_holds_while_somebody_types() {
    let mut pc = Ours::new();
    pc.outb(FCR, 0x01);
    for _ in 0..8 {
        pc.type_in(b"0123456789abcde");
        assert_eq!(ns8250_flush(&mut pc, true, true), 0, "UART FCR is broken");
    }
}

#[test]
fn clrint_ends_with_everything_pending_at_once() {
    let mut pc = Ours::new();
    pc.outb(FCR, 0x01);
    pc.outb(MCR, MCR_OUT2);
    pc.outb(IER, 0x0f);
    pc.port.set_modem_inputs(vm_uart::ModemInputs {
        cts: false,
        ..vm_uart::ModemInputs::default()
    });
    pc.port
        .line_mut()
        .keyboard
        .push_back(vm_uart::Character::BREAK);
    pc.type_in(b"abc");
    assert!(pc.pin.is_high());
    ns8250_clrint(&mut pc);
    assert!(!pc.pin.is_high());
}

#[test]
fn output_goes_sixteen_bytes_an_interrupt() {
    let mut pc = Ours::new();
    ns8250_bus_probe(&mut pc);
    let mut uart = Uart::attach(&mut pc);
    let text: Vec<u8> = (0..1000u32).map(|n| (n % 251) as u8).collect();
    let before = pc.edges();
    for chunk in text.chunks(16) {
        uart.transmit(&mut pc, chunk);
        uart.interrupts(&mut pc);
        assert!(!uart.transmit_busy, "TXIDLE never came");
    }
    assert_eq!(pc.printed(), text);
    assert_eq!(pc.edges() - before, text.chunks(16).count() as u64);
}

#[test]
fn input_arrives_and_output_is_not_disturbed() {
    let mut pc = Ours::new();
    ns8250_bus_probe(&mut pc);
    let mut uart = Uart::attach(&mut pc);
    let mut typed = Vec::new();
    for n in 0..200u32 {
        let keys = vec![n as u8; (n % 31) as usize];
        pc.type_in(&keys);
        typed.extend(&keys);
        uart.transmit(&mut pc, b"out");
        uart.interrupts(&mut pc);
        assert!(!uart.transmit_busy);
    }
    assert_eq!(uart.received, typed);
    assert_eq!(pc.printed(), b"out".repeat(200));
}

#[test]
fn a_break_is_seen_and_cleared() {
    let mut pc = Ours::new();
    ns8250_bus_probe(&mut pc);
    let mut uart = Uart::attach(&mut pc);
    pc.port
        .line_mut()
        .keyboard
        .push_back(vm_uart::Character::BREAK);
    pc.port.pump();
    uart.interrupts(&mut pc);
    assert_eq!(uart.breaks, 1);
    assert!(!pc.pin.is_high());
}

#[test]
fn a_machine_without_the_port_is_found_out() {
    assert_eq!(
        ns8250_bus_probe(&mut machine::Absent::default()),
        Probe::NotThere
    );
}
