//! Linux at the port: probe, start-up tests, console output under typed input, and the interrupt
//! handler.
//!
//! Follows `drivers/tty/serial/8250/8250_port.c` (and `8250_core.c` for the interrupt chain); each
//! helper is named after the function it stands for and makes the same accesses in the same order.

mod machine;

use std::collections::VecDeque;

use machine::*;
use vm_uart::{Config, FifoDepth, ReceiveGate};

/// What `autoconfig` may call the chip.
#[derive(Debug, PartialEq)]
enum Type {
    Unknown(&'static str),
    Ns16450,
    Ns16550,
    Ns16550A,
    St16650,
    Ti16750,
    NsSuperIo,
    Xscale,
    U6With64Bytes,
}

/// Passes of `serial8250_interrupt` after which the kernel prints "too much work for irq4".
const PASS_LIMIT: u32 = 512;
/// Bytes per pass for a 16550A (`tx_loadsz`).
const TX_LOAD_SIZE: usize = 16;

#[derive(Default)]
struct Linux {
    ier: u8,
    bug_thre: bool,
    bug_tx_enable: bool,
    transmit_buffer: VecDeque<u8>,
    received: Vec<u8>,
    breaks: usize,
    overruns: usize,
    latch: EdgeLatch,
    most_passes: u32,
}

/// `serial8250_clear_fifos`.
fn clear_fifos(port: &mut impl Port) {
    port.outb(FCR, 0x01);
    port.outb(FCR, 0x07);
    port.outb(FCR, 0x00);
}

/// `size_fifo`: 256 bytes at once into loopback, then counts what comes back.
fn size_fifo(port: &mut impl Port) -> usize {
    let lcr = port.inb(LCR);
    port.outb(LCR, 0);
    let fcr = port.inb(FCR);
    let mcr = port.inb(MCR);
    port.outb(FCR, 0x07);
    port.outb(MCR, MCR_LOOP);
    port.outb(LCR, LCR_DLAB);
    let divisor = (port.inb(DLL), port.inb(DLM));
    port.outb(DLL, 1);
    port.outb(DLM, 0);
    port.outb(LCR, LCR_8N1);
    for count in 0..=255 {
        port.outb(THR, count);
    }
    let mut size = 0;
    while port.inb(LSR) & LSR_DR != 0 && size < 256 {
        port.inb(RBR);
        size += 1;
    }
    port.outb(FCR, fcr);
    port.outb(MCR, mcr);
    port.outb(LCR, LCR_DLAB);
    port.outb(DLL, divisor.0);
    port.outb(DLM, divisor.1);
    port.outb(LCR, lcr);
    size
}

/// `autoconfig_8250`: no FIFO; a scratch register makes it a 16450.
fn autoconfig_8250(port: &mut impl Port) -> Type {
    let scratch = port.inb(SCR);
    port.outb(SCR, 0xa5);
    let first = port.inb(SCR);
    port.outb(SCR, 0x5a);
    let second = port.inb(SCR);
    port.outb(SCR, scratch);
    if (first, second) == (0xa5, 0x5a) {
        Type::Ns16450
    } else {
        Type::Unknown("8250")
    }
}

/// `autoconfig_16550a`: rules out every relative with more registers.
fn autoconfig_16550a(port: &mut impl Port) -> Type {
    // An EFR behind DLAB (16650) would read 0 here; IIR with the FIFO on does not.
    port.outb(LCR, LCR_DLAB);
    if port.inb(IIR) == 0 {
        return Type::St16650;
    }
    // An EFR behind LCR=BF (16650V2 and its heirs).
    port.outb(LCR, 0xbf);
    if port.inb(IIR) == 0 {
        return Type::St16650;
    }
    // Bank 2 of National's SuperI/O: its EXCR1 would follow the LOOP bit.
    port.outb(LCR, 0);
    let mcr = port.inb(MCR);
    port.outb(LCR, 0xe0);
    let excr1 = port.inb(2);
    if (excr1 ^ mcr) & MCR_LOOP == 0 {
        port.outb(LCR, 0);
        port.outb(MCR, mcr ^ MCR_LOOP);
        port.outb(LCR, 0xe0);
        let excr1 = port.inb(2);
        port.outb(LCR, 0);
        port.outb(MCR, mcr);
        if (excr1 ^ mcr) & MCR_LOOP != 0 {
            return Type::NsSuperIo;
        }
    }
    // 64-byte mode of a TI16750 shows in IIR bit 5, and there only behind DLAB.
    port.outb(LCR, 0);
    port.outb(FCR, 0x21);
    let plain = port.inb(IIR) >> 5;
    port.outb(FCR, 0x01);
    port.outb(LCR, LCR_DLAB);
    port.outb(FCR, 0x21);
    let behind_dlab = port.inb(IIR) >> 5;
    port.outb(FCR, 0x01);
    port.outb(LCR, 0);
    if (plain, behind_dlab) == (6, 7) {
        return Type::Ti16750;
    }
    // Bit 6 of an Xscale's IER enables the whole unit.
    let ier = port.inb(IER);
    port.outb(IER, ier & !0x40);
    if port.inb(IER) & 0x40 == 0 {
        port.outb(IER, ier | 0x40);
        if port.inb(IER) & 0x40 != 0 {
            return Type::Xscale;
        }
    }
    port.outb(IER, ier);
    if size_fifo(port) == 64 {
        Type::U6With64Bytes
    } else {
        Type::Ns16550A
    }
}

/// `autoconfig`.
fn autoconfig(port: &mut impl Port) -> Type {
    let ier = port.inb(IER);
    port.outb(IER, 0x00);
    let none = port.inb(IER) & 0x0f;
    port.outb(IER, 0x0f);
    let all = port.inb(IER) & 0x0f;
    port.outb(IER, ier);
    if (none, all) != (0x00, 0x0f) {
        return Type::Unknown("IER test failed");
    }

    let mcr = port.inb(MCR);
    let lcr = port.inb(LCR);
    port.outb(MCR, MCR_LOOP | 0x0a);
    let msr = port.inb(MSR) & 0xf0;
    port.outb(MCR, mcr);
    if msr != 0x90 {
        return Type::Unknown("LOOP test failed");
    }

    // Where an EFR would be; on a 16550A this is an FCR write with DLAB set.
    port.outb(LCR, 0xbf);
    port.outb(FCR, 0x00);
    port.outb(LCR, 0x00);
    port.outb(FCR, 0x01);
    let kind = match port.inb(IIR) >> 6 {
        0 => autoconfig_8250(port),
        2 => Type::Ns16550,
        3 => autoconfig_16550a(port),
        _ => Type::Unknown("IIR 7:6 read 01"),
    };
    port.outb(LCR, lcr);
    port.outb(MCR, mcr);
    clear_fifos(port);
    port.inb(RBR);
    port.outb(IER, 0x00);
    kind
}

/// `wait_for_xmitr`: 10,000 polls a microsecond apart, then it goes on regardless. Returns whether
/// it had to give up.
fn wait_for_xmitr(port: &mut impl Port, bits: u8) -> bool {
    !(0..10_000).any(|_| port.inb(LSR) & bits == bits)
}

/// `serial8250_console_write` without a FIFO: IER saved and cleared, each byte after THRE, THRE and
/// TEMT awaited, IER restored.
fn console_write(port: &mut impl Port, message: &[u8]) {
    let ier = port.inb(IER);
    port.outb(IER, 0x00);
    for &byte in message {
        assert!(
            !wait_for_xmitr(port, LSR_THRE),
            "10 ms gone with interrupts off"
        );
        port.outb(THR, byte);
    }
    assert!(
        !wait_for_xmitr(port, LSR_THRE | LSR_TEMT),
        "10 ms gone with interrupts off"
    );
    port.outb(IER, ier);
}

/// `serial8250_console_fifo_write`: one LSR for each FIFO full of bytes.
fn console_fifo_write(port: &mut impl Port, message: &[u8]) {
    let ier = port.inb(IER);
    port.outb(IER, 0x00);
    for burst in message.chunks(TX_LOAD_SIZE) {
        assert!(
            !wait_for_xmitr(port, LSR_THRE),
            "10 ms gone with interrupts off"
        );
        for &byte in burst {
            port.outb(THR, byte);
        }
    }
    assert!(
        !wait_for_xmitr(port, LSR_THRE | LSR_TEMT),
        "10 ms gone with interrupts off"
    );
    port.outb(IER, ier);
}

impl Linux {
    /// `autoconfig_irq`: raises every interrupt and sees whether a line of the controller moves.
    fn autoconfig_irq(&mut self, port: &mut impl Port) -> bool {
        let mcr = port.inb(MCR);
        let ier = port.inb(IER);
        port.outb(MCR, MCR_OUT1 | MCR_OUT2);
        self.latch.acknowledge(port);
        port.outb(MCR, 0);
        port.outb(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
        port.outb(IER, 0x0f);
        port.inb(LSR);
        port.inb(RBR);
        port.inb(IIR);
        port.inb(MSR);
        port.outb(THR, 0xff);
        let found = self.latch.acknowledge(port);
        port.outb(MCR, mcr);
        port.outb(IER, ier);
        found
    }

    /// `serial8250_do_startup`. `None`: "LSR safety check engaged".
    fn startup(&mut self, port: &mut impl Port) -> Option<()> {
        clear_fifos(port);
        for register in [LSR, RBR, IIR, MSR] {
            port.inb(register);
        }
        if port.inb(LSR) == 0xff {
            return None;
        }

        // THRE test: enabling the interrupt must show it, every time.
        wait_for_xmitr(port, LSR_THRE);
        port.outb(IER, 0x02);
        let first = port.inb(IIR);
        port.outb(IER, 0x00);
        port.outb(IER, 0x02);
        let second = port.inb(IIR);
        port.outb(IER, 0x00);
        self.bug_thre = first & IIR_NONE == 0 && second & IIR_NONE != 0;

        port.outb(LCR, LCR_8N1);
        port.outb(MCR, MCR_OUT2);

        // TXEN test.
        port.outb(IER, 0x02);
        let lsr = port.inb(LSR);
        let iir = port.inb(IIR);
        port.outb(IER, 0x00);
        self.bug_tx_enable = lsr & LSR_TEMT != 0 && iir & IIR_NONE != 0;

        for register in [LSR, RBR, IIR, MSR] {
            port.inb(register);
        }
        self.ier = 0x05;
        self.latch.acknowledge(port);
        Some(())
    }

    /// `serial8250_do_set_termios` at 115200 8N1: FIFO on with trigger 8, in two steps, then the
    /// modem lines.
    fn set_termios(&mut self, port: &mut impl Port) {
        port.outb(IER, self.ier);
        port.outb(LCR, LCR_8N1 | LCR_DLAB);
        port.outb(DLL, 1);
        port.outb(DLM, 0);
        port.outb(LCR, LCR_8N1);
        port.outb(FCR, 0x01);
        port.outb(FCR, 0x81);
        port.outb(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
    }

    fn open(port: &mut impl Port) -> Self {
        let mut linux = Self::default();
        linux.startup(port).expect("a port");
        linux.set_termios(port);
        linux
    }

    /// A `write(2)` on the tty: `serial8250_start_tx` only enables the interrupt; the handler does
    /// the rest.
    fn tty_write(&mut self, port: &mut impl Port, bytes: &[u8]) {
        self.transmit_buffer.extend(bytes);
        if self.ier & 0x02 == 0 {
            self.ier |= 0x02;
            port.outb(IER, self.ier);
        }
    }

    /// `serial8250_rx_chars`: up to 256 characters, one LSR each.
    fn rx_chars(&mut self, port: &mut impl Port, mut lsr: u8) -> u8 {
        for _ in 0..256 {
            let byte = port.inb(RBR);
            if lsr & LSR_BI != 0 {
                self.breaks += 1;
            } else {
                self.received.push(byte);
            }
            self.overruns += usize::from(lsr & LSR_OE != 0);
            lsr = port.inb(LSR);
            if lsr & (LSR_DR | LSR_BI) == 0 {
                break;
            }
        }
        lsr
    }

    /// `serial8250_tx_chars` and `__stop_tx`: sixteen bytes without an LSR read; nothing left: THRE
    /// interrupt off.
    fn tx_chars(&mut self, port: &mut impl Port) {
        for _ in 0..TX_LOAD_SIZE {
            let Some(byte) = self.transmit_buffer.pop_front() else {
                break;
            };
            port.outb(THR, byte);
        }
        if self.transmit_buffer.is_empty() {
            self.ier &= !0x02;
            port.outb(IER, self.ier);
        }
    }

    /// `serial8250_handle_irq`. Returns whether the port had something to say.
    fn handle_irq(&mut self, port: &mut impl Port) -> bool {
        if port.inb(IIR) & IIR_NONE != 0 {
            return false;
        }
        let mut lsr = port.inb(LSR);
        if lsr & (LSR_DR | LSR_BI) != 0 {
            lsr = self.rx_chars(port, lsr);
        }
        port.inb(MSR);
        if lsr & LSR_THRE != 0 && self.ier & 0x02 != 0 {
            self.tx_chars(port);
        }
        true
    }

    /// `serial8250_interrupt`, for as long as the controller has an edge: loops until the port is
    /// quiet.
    fn interrupts(&mut self, port: &mut impl Port) {
        while self.latch.acknowledge(port) {
            let mut passes = 0;
            while self.handle_irq(port) {
                passes += 1;
                assert!(passes <= PASS_LIMIT, "serial8250: too much work for irq4");
            }
            self.most_passes = self.most_passes.max(passes);
        }
    }

    /// `serial8250_do_shutdown`.
    fn shutdown(&mut self, port: &mut impl Port) {
        self.ier = 0;
        port.outb(IER, 0);
        port.outb(MCR, MCR_DTR | MCR_RTS);
        let lcr = port.inb(LCR);
        port.outb(LCR, lcr & !LCR_BREAK);
        clear_fifos(port);
        port.inb(RBR);
    }
}

#[test]
fn autoconfig_calls_it_a_16550a() {
    let mut pc = Ours::new();
    assert_eq!(autoconfig(&mut pc), Type::Ns16550A);
    assert_eq!(
        pc.printed(),
        b"",
        "256 bytes of FIFO sizing stayed in loopback"
    );
    assert_eq!(pc.edges(), 0, "OUT2 was never raised");
}

/// What the docs of `Outputs::break_` warn of.
#[test]
fn autoconfig_pulses_the_break_pin() {
    let mut pc = Ours::new();
    autoconfig(&mut pc);
    let line = pc.port.line();
    assert!(line.spacings > 0);
    assert!(line.outputs.is_some_and(|outputs| !outputs.break_));
}

#[test]
fn autoconfig_is_not_confused_by_somebody_typing() {
    let mut pc = Ours::new();
    pc.type_in(&[b'k'; 100]);
    assert_eq!(autoconfig(&mut pc), Type::Ns16550A);
}

#[test]
fn autoconfig_finds_it_in_whatever_state_firmware_left_it() {
    for (lcr, fcr, mcr, ier) in [
        (0x03, 0xc7, 0x0b, 0x00),
        (0x1b, 0x01, 0x00, 0x0f),
        (0x00, 0x00, 0x0f, 0x05),
    ] {
        let mut pc = Ours::new();
        pc.outb(LCR, lcr);
        pc.outb(FCR, fcr);
        pc.outb(MCR, mcr);
        pc.outb(IER, ier);
        assert_eq!(autoconfig(&mut pc), Type::Ns16550A);
        assert_eq!((pc.inb(LCR), pc.inb(MCR), pc.inb(IER)), (lcr, mcr, 0));
    }
}

#[test]
fn size_fifo_counts_sixteen() {
    assert_eq!(size_fifo(&mut Ours::new()), 16);
}

#[test]
fn size_fifo_counts_sixty_four_where_the_platform_says_so() {
    let mut board = Ours::with_config(Config {
        fifo: FifoDepth::SixtyFour,
        ..Config::default()
    });
    board.outb(FCR, 0x21);
    assert_eq!(size_fifo(&mut board), 64);
}

#[test]
fn autoconfig_irq_sees_the_line_move() {
    let mut pc = Ours::new();
    assert!(Linux::default().autoconfig_irq(&mut pc));
    assert!(!pc.pin.is_high(), "IER is back to 0");
}

#[test]
fn startup_finds_neither_the_thre_nor_the_txen_bug() {
    let mut pc = Ours::new();
    let mut linux = Linux::default();
    linux.startup(&mut pc).expect("LSR safety check engaged");
    assert!(
        !linux.bug_thre,
        "a backup timer would poll the port for ever"
    );
    assert!(!linux.bug_tx_enable);
    assert_eq!(pc.inb(IIR) & 0x0f, IIR_NONE);
}

#[test]
fn startup_eats_what_was_typed_before_and_nothing_after() {
    let mut pc = Ours::new();
    pc.type_in(b"early");
    let mut linux = Linux::open(&mut pc);
    pc.type_in(b"login");
    linux.interrupts(&mut pc);
    assert!(linux.received.ends_with(b"login"));
}

#[test]
fn a_line_typed_during_console_output_is_read_after_it() {
    // Ten of ten commands were lost on vm-superio before 0.8.2 (its issue 135).
    let mut pc = Ours::new();
    let mut linux = Linux::open(&mut pc);
    let message = b"[    1.234567] random: crng init done\r\n";
    for command in 0..10 {
        let typed = format!("command {command}\r");
        let ier = pc.inb(IER);
        pc.outb(IER, 0x00);
        for (n, &byte) in message.iter().enumerate() {
            assert!(!wait_for_xmitr(&mut pc, LSR_THRE));
            pc.outb(THR, byte);
            if let Some(&key) = typed.as_bytes().get(n) {
                pc.type_in(&[key]);
            }
        }
        assert!(!wait_for_xmitr(&mut pc, LSR_THRE | LSR_TEMT));
        let before = pc.edges();
        pc.outb(IER, ier);
        assert_eq!(
            pc.edges(),
            before + 1,
            "restoring IER asserts what is waiting, once"
        );
        linux.interrupts(&mut pc);
        assert_eq!(linux.received, typed.as_bytes());
        linux.received.clear();
    }
    assert_eq!(pc.printed(), message.repeat(10));
}

#[test]
fn printk_goes_out_with_one_poll_a_fifo() {
    let mut pc = Ours::new();
    let mut linux = Linux::open(&mut pc);
    let message: Vec<u8> = (0..1000u32).map(|n| b' ' + (n % 90) as u8).collect();
    console_fifo_write(&mut pc, &message);
    console_write(&mut pc, b"\r\n");
    assert_eq!(pc.printed(), [&message[..], b"\r\n"].concat());
    assert!(
        !linux.latch.acknowledge(&pc),
        "no interrupt while IER was 0"
    );
}

#[test]
fn a_tty_write_is_finished_by_the_interrupt_handler_alone() {
    let mut pc = Ours::new();
    let mut linux = Linux::open(&mut pc);
    // The tty layer's whole buffer (UART_XMIT_SIZE).
    let text: Vec<u8> = (0..4096u32).map(|n| (n % 251) as u8).collect();
    let before = pc.edges();
    linux.tty_write(&mut pc, &text);
    linux.interrupts(&mut pc);
    assert_eq!(pc.printed(), text);
    let edges = pc.edges() - before;
    assert!(edges <= 2 * 4096 / 16, "{edges} edges for 4096 bytes");
    assert_eq!(linux.ier & 0x02, 0, "__stop_tx");
    assert!(
        linux.most_passes <= 4096 / 16 + 1,
        "{} passes",
        linux.most_passes
    );
}

#[test]
fn one_byte_writes_raise_one_interrupt_each() {
    let mut pc = Ours::new();
    let mut linux = Linux::open(&mut pc);
    let before = pc.edges();
    for byte in 0..=255 {
        linux.tty_write(&mut pc, &[byte]);
        linux.interrupts(&mut pc);
    }
    assert_eq!(pc.printed(), (0..=255).collect::<Vec<u8>>());
    assert!(
        pc.edges() - before <= 2 * 256,
        "{} edges for 256 bytes",
        pc.edges() - before
    );
}

#[test]
fn a_paste_arrives_whole_and_in_order() {
    let mut pc = Ours::new();
    let mut linux = Linux::open(&mut pc);
    let paste: Vec<u8> = (0..4096u32).map(|n| (n % 253) as u8).collect();
    let before = pc.edges();
    pc.type_in(&paste);
    linux.interrupts(&mut pc);
    assert_eq!(linux.received, paste);
    assert_eq!(
        linux.overruns, 0,
        "the line hands over only what the FIFO has room for"
    );
    assert!(pc.edges() - before <= paste.len() as u64);
}

#[test]
fn keys_below_the_trigger_level_still_interrupt() {
    let mut pc = Ours::new();
    let mut linux = Linux::open(&mut pc);
    for key in *b"ls -l\r" {
        pc.type_in(&[key]);
        linux.interrupts(&mut pc);
        assert_eq!(
            linux.received.last(),
            Some(&key),
            "trigger level 8, one character, nothing more to come"
        );
    }
}

#[test]
fn input_and_output_cross_without_loss() {
    let mut pc = Ours::new();
    let mut linux = Linux::open(&mut pc);
    let mut typed = Vec::new();
    let mut written = Vec::new();
    for n in 0..200u32 {
        let chunk = vec![n as u8; (n % 40) as usize];
        linux.tty_write(&mut pc, &chunk);
        written.extend(&chunk);
        let keys = vec![!n as u8; (n % 23) as usize];
        pc.type_in(&keys);
        typed.extend(&keys);
        linux.interrupts(&mut pc);
    }
    assert_eq!(pc.printed(), written);
    assert_eq!(linux.received, typed);
}

#[test]
fn sysrq_by_break_reaches_the_driver_between_the_keys() {
    let mut pc = Ours::new();
    let mut linux = Linux::open(&mut pc);
    pc.type_in(b"a");
    pc.port
        .line_mut()
        .keyboard
        .push_back(vm_uart::Character::BREAK);
    pc.type_in(b"h");
    linux.interrupts(&mut pc);
    assert_eq!((linux.breaks, &linux.received[..]), (1, &b"ah"[..]));
}

#[test]
fn the_port_is_quiet_after_shutdown_and_opens_again() {
    let mut pc = Ours::new();
    let mut linux = Linux::open(&mut pc);
    linux.shutdown(&mut pc);
    let before = pc.edges();
    pc.type_in(b"nobody listens");
    assert_eq!(pc.edges(), before);
    let mut linux = Linux::open(&mut pc);
    linux.tty_write(&mut pc, b"back");
    linux.interrupts(&mut pc);
    assert!(pc.printed().ends_with(b"back"));
}

#[test]
fn a_held_line_stalls_the_tty_and_resumes_by_interrupt() {
    let mut pc = Ours::new();
    let mut linux = Linux::open(&mut pc);
    pc.port.line_mut().room = Some(5);
    linux.tty_write(&mut pc, b"hello, world\r\n");
    linux.interrupts(&mut pc);
    assert_eq!(pc.printed(), b"hello");
    pc.port.line_mut().room = None;
    pc.port.pump();
    linux.interrupts(&mut pc);
    assert_eq!(pc.printed(), b"hello, world\r\n");
}

#[test]
fn a_machine_without_the_port_is_found_out() {
    assert_eq!(
        autoconfig(&mut machine::Absent::default()),
        Type::Unknown("IER test failed")
    );
}

#[test]
fn the_receive_gate_keeps_what_was_typed_while_the_port_was_probed_and_opened() {
    let gated = Config {
        receive_gate: ReceiveGate::UntilInterruptEnabled,
        ..Config::default()
    };
    let mut pc = Ours::with_config(gated);
    pc.type_in(b"root\r");
    assert_eq!(autoconfig(&mut pc), Type::Ns16550A);
    pc.type_in(b"secret\r");
    // (Not `autoconfig_irq`, which looks like a driver at work; a PC's kernel is told the
    // interrupt.)
    let mut linux = Linux::open(&mut pc);
    linux.interrupts(&mut pc);
    assert_eq!(linux.received, b"root\rsecret\r");
}
