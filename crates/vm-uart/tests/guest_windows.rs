//! Windows' serial.sys: "does the port exist", reset with OUT2 low, THRE forced by toggling IER,
//! and an ISR that knows five IIR codes.
//!
//! Follows Microsoft's serial driver sample (`initunlo.c`/`pnp.c`, `isr.c`, `serial.h`); each
//! helper is named after the routine it stands for.

mod machine;

use std::collections::VecDeque;

use machine::*;

const FIFO_SIZE: usize = 16;
const MSR_DELTAS: u8 = 0x0f;
/// `SERIAL_FCR_ENABLE`, trigger 8 as the default of `RxFIFO`, both resets.
const FIFO_CONTROL: u8 = 0x01 | 0x80 | 0x02 | 0x04;

/// `SerialDoesPortExist`. Returns whether a FIFO was found too; `None`: no port.
fn serial_does_port_exist(port: &mut impl Port) -> Option<bool> {
    let lcr = port.inb(LCR);
    port.outb(LCR, lcr & !LCR_DLAB);
    let ier = port.inb(IER);
    port.outb(IER, 0x0f);
    let registers = u16::from(port.inb(IER)) << 8 | u16::from(port.inb(RBR));
    // READ_DIVISOR_LATCH
    let format = port.inb(LCR);
    port.outb(LCR, format | LCR_DLAB);
    let divisor = u16::from(port.inb(DLL)) | u16::from(port.inb(DLM)) << 8;
    port.outb(LCR, format);
    port.outb(LCR, lcr);
    port.outb(IER, ier);
    if registers == divisor {
        return None;
    }

    port.outb(IER, 0x00);
    port.outb(MCR, 0x00);
    port.outb(FCR, 0x01);
    let fifo = port.inb(IIR) & 0xc0 != 0;
    if fifo {
        port.outb(FCR, 0x00);
        port.inb(RBR);
        port.outb(FCR, FIFO_CONTROL);
    }
    Some(fifo)
}

#[derive(Default)]
struct Serial {
    to_write: VecDeque<u8>,
    received: Vec<u8>,
    holding_empty: bool,
    line_errors: Vec<u8>,
    modem_changes: usize,
    latch: EdgeLatch,
}

impl Serial {
    /// `SerialReset`: OUT2 low, FIFO off, one read, FIFO on; then everything is read until it is
    /// quiet, all interrupts are enabled, and IIR is read until "none", five times at most.
    fn reset(&mut self, port: &mut impl Port) {
        let mcr = port.inb(MCR);
        port.outb(MCR, mcr & !MCR_OUT2);
        port.outb(FCR, 0x00);
        port.inb(RBR);
        port.outb(FCR, FIFO_CONTROL);
        let lcr = port.inb(LCR);
        port.outb(LCR, lcr & !(LCR_DLAB | LCR_BREAK));
        for _ in 0..5 {
            port.inb(RBR);
            if port.inb(LSR) & LSR_DR == 0 {
                break;
            }
        }
        assert!(
            (0..1000).any(|_| port.inb(MSR) & MSR_DELTAS == 0),
            "the modem deltas never calm down"
        );
        // SerialSetLineControl, SerialSetBaud
        port.outb(LCR, LCR_8N1);
        port.outb(LCR, LCR_8N1 | LCR_DLAB);
        port.outb(DLL, 1);
        port.outb(DLM, 0);
        port.outb(LCR, LCR_8N1);
        // ENABLE_ALL_INTERRUPTS, with OUT2 still low.
        port.outb(IER, 0x0f);
        let quiet = (0..5).position(|_| port.inb(IIR) & IIR_NONE != 0);
        assert!(
            quiet.is_some_and(|reads| reads <= 1),
            "only the THRE of the enabled transmitter may be pending"
        );
        self.holding_empty = true;
    }

    /// `SerialMarkOpen`: OUT2 (and DTR, RTS by hand-shake) let the interrupt through.
    fn mark_open(&mut self, port: &mut impl Port) {
        self.latch.acknowledge(port);
        port.outb(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    }

    fn open(port: &mut impl Port) -> Self {
        assert_eq!(serial_does_port_exist(port), Some(true));
        let mut serial = Self::default();
        serial.reset(port);
        serial.mark_open(port);
        serial.interrupts(port);
        serial
    }

    /// `SerialGiveWriteToIsr`: IER cleared and set again makes THRE interrupt if the holding
    /// register is empty.
    fn write(&mut self, port: &mut impl Port, bytes: &[u8]) {
        self.to_write.extend(bytes);
        if self.holding_empty {
            port.outb(IER, 0x00);
            port.outb(IER, 0x0f);
        }
    }

    /// `SerialProcessLSR`.
    fn process_lsr(&mut self, port: &mut impl Port) -> u8 {
        let lsr = port.inb(LSR);
        self.holding_empty = lsr & LSR_THRE != 0;
        if lsr & (LSR_OE | LSR_PE | LSR_FE | LSR_BI) != 0 {
            self.line_errors.push(lsr & 0x1e);
        }
        lsr
    }

    fn transmit(&mut self, port: &mut impl Port) {
        self.holding_empty = true;
        for _ in 0..FIFO_SIZE.min(self.to_write.len()) {
            port.outb(THR, self.to_write.pop_front().unwrap());
            self.holding_empty = false;
        }
    }

    /// `SerialISR`. Returns false for "not mine".
    fn isr(&mut self, port: &mut impl Port) -> bool {
        let mut iir = port.inb(IIR);
        if iir & IIR_NONE != 0 {
            return false;
        }
        loop {
            // An exact switch: a code that is not one of the five is a broken chip.
            match iir & !0xc0 {
                0x06 => {
                    self.process_lsr(port);
                }
                0x04 | 0x0c => loop {
                    self.received.push(port.inb(RBR));
                    if self.process_lsr(port) & LSR_DR == 0 {
                        break;
                    }
                },
                0x02 => self.transmit(port),
                0x00 => {
                    port.inb(MSR);
                    self.modem_changes += 1;
                }
                code => panic!("serial.sys has no case for IIR {code:#04x}"),
            }
            iir = port.inb(IIR);
            if iir & IIR_NONE != 0 {
                break;
            }
        }
        // Catches chips that lost a THRE; on a good one there is nothing left to do.
        let idle = self.process_lsr(port) & LSR_THRE != 0;
        assert!(
            !idle || self.to_write.is_empty(),
            "a THRE interrupt got lost"
        );
        true
    }

    fn interrupts(&mut self, port: &mut impl Port) {
        // An edge that came while the ISR was looping has been served by then: the next call finds
        // nothing, and says so.
        for _ in 0..1000 {
            if !self.latch.acknowledge(port) {
                return;
            }
            self.isr(port);
        }
        panic!("an interrupt storm");
    }
}

#[test]
fn the_port_exists_and_has_a_fifo() {
    assert_eq!(serial_does_port_exist(&mut Ours::new()), Some(true));
}

#[test]
fn the_port_exists_whatever_was_typed_and_whatever_the_divisor() {
    for key in [0x00, 0x01, 0x0f, 0x41, 0xff] {
        let mut pc = Ours::new();
        pc.outb(LCR, LCR_DLAB | LCR_8N1);
        pc.outb(DLL, 0x01);
        pc.outb(DLM, 0x00);
        pc.outb(LCR, LCR_8N1);
        pc.type_in(&[key]);
        assert_eq!(
            serial_does_port_exist(&mut pc),
            Some(true),
            "IER<<8 | RBR must not be the divisor"
        );
    }
}

#[test]
fn the_probe_leaves_interrupts_and_modem_lines_off() {
    let mut pc = Ours::new();
    pc.outb(MCR, 0x0b);
    pc.outb(IER, 0x05);
    serial_does_port_exist(&mut pc);
    assert_eq!((pc.inb(IER), pc.inb(MCR)), (0, 0));
    assert!(!pc.pin.is_high());
}

#[test]
fn reset_with_out2_low_interrupts_nobody() {
    let mut pc = Ours::new();
    serial_does_port_exist(&mut pc);
    let mut serial = Serial::default();
    serial.reset(&mut pc);
    assert_eq!(pc.inb(IER), 0x0f);
    pc.type_in(b"x");
    assert_eq!(
        pc.edges(),
        0,
        "IER=0F, data waiting, OUT2 low: no interrupt"
    );
    serial.mark_open(&mut pc);
    assert_eq!(pc.edges(), 1, "raising OUT2 lets it through");
    serial.interrupts(&mut pc);
    assert_eq!(serial.received, b"x");
}

#[test]
fn a_write_starts_by_toggling_ier_and_runs_on_interrupts() {
    let mut pc = Ours::new();
    let mut serial = Serial::open(&mut pc);
    let text: Vec<u8> = (0..1000u32).map(|n| (n % 251) as u8).collect();
    serial.write(&mut pc, &text);
    serial.interrupts(&mut pc);
    assert_eq!(pc.printed(), text);
    serial.write(&mut pc, b"again");
    serial.interrupts(&mut pc);
    assert!(
        pc.printed().ends_with(b"again"),
        "the toggle works a second time"
    );
}

#[test]
fn toggling_ier_while_data_waits_reports_each_cause_by_its_own_code() {
    let mut pc = Ours::new();
    let mut serial = Serial::open(&mut pc);
    // Data and THRE at once: an IIR of or-ed bits would read 06, line status, and the byte would
    // never be read.
    pc.type_in(b"k");
    serial.write(&mut pc, b"out");
    serial.interrupts(&mut pc);
    assert_eq!(serial.received, b"k");
    assert_eq!(pc.printed(), b"out");
    assert!(serial.line_errors.is_empty());
}

#[test]
fn a_break_comes_as_line_status_with_its_character() {
    let mut pc = Ours::new();
    let mut serial = Serial::open(&mut pc);
    pc.type_in(b"ab");
    serial.interrupts(&mut pc);
    pc.port
        .line_mut()
        .keyboard
        .push_back(vm_uart::Character::BREAK);
    pc.type_in(b"c");
    serial.interrupts(&mut pc);
    assert_eq!(serial.received, b"ab\0c");
    assert_eq!(serial.line_errors, [LSR_BI | LSR_FE]);
}

#[test]
fn modem_status_interrupts_once_a_change_and_calms_down() {
    let mut pc = Ours::new();
    let mut serial = Serial::open(&mut pc);
    let carrier_lost = vm_uart::ModemInputs {
        dcd: false,
        ..vm_uart::ModemInputs::default()
    };
    pc.port.set_modem_inputs(carrier_lost);
    serial.interrupts(&mut pc);
    pc.port.set_modem_inputs(carrier_lost);
    serial.interrupts(&mut pc);
    assert_eq!(serial.modem_changes, 1);
}

#[test]
fn input_and_output_cross_without_loss() {
    let mut pc = Ours::new();
    let mut serial = Serial::open(&mut pc);
    let (mut typed, mut written) = (Vec::new(), Vec::new());
    for n in 0..200u32 {
        let keys = vec![n as u8; (n % 37) as usize];
        pc.type_in(&keys);
        typed.extend(&keys);
        let chunk = vec![!n as u8; (n % 29) as usize];
        serial.write(&mut pc, &chunk);
        written.extend(&chunk);
        serial.interrupts(&mut pc);
    }
    assert_eq!(serial.received, typed);
    assert_eq!(pc.printed(), written);
}

#[test]
fn a_machine_without_the_port_is_found_out() {
    assert_eq!(
        serial_does_port_exist(&mut machine::Absent::default()),
        None
    );
}
