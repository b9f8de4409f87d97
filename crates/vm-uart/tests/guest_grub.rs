//! GRUB's `serial` terminal: scratch test, configuration on first use, polled output and input.
//!
//! Follows `grub-core/term/ns8250.c`; each helper is named after the function it stands for. GRUB
//! waits 200 ms a character by the clock; here that is a number of polls.

mod machine;

use machine::*;

/// LSR reads that fit into GRUB's 200 ms when each is an exit of 2 µs.
const POLLS_IN_200_MS: u32 = 100_000;

/// `grub_serial_ns8250_add_port`: the scratch register must hold 5A, then A5.
fn add_port(port: &mut impl Port) -> bool {
    [0x5a, 0xa5].into_iter().all(|pattern| {
        port.outb(SCR, pattern);
        port.inb(SCR) == pattern
    })
}

struct Grub {
    configured: bool,
    /// GRUB's count of characters that timed out: it shortens its patience from 200 to 50 to 0 ms.
    broken: u32,
}

impl Grub {
    fn new() -> Self {
        Self {
            configured: false,
            broken: 0,
        }
    }

    /// `do_real_config`: 115200 8N1, FIFO with trigger 14, DTR RTS OUT2, then drains what was typed
    /// before.
    fn do_real_config(&mut self, port: &mut impl Port) {
        if std::mem::replace(&mut self.configured, true) {
            return;
        }
        port.outb(IER, 0);
        port.outb(LCR, LCR_DLAB);
        port.outb(DLL, 1);
        port.outb(DLM, 0);
        port.outb(LCR, LCR_8N1);
        port.outb(FCR, 0xc7);
        port.outb(MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
        for drained in 0.. {
            if port.inb(LSR) & LSR_DR == 0 {
                break;
            }
            port.inb(RBR);
            if drained > POLLS_IN_200_MS {
                self.broken = 1;
                break;
            }
        }
    }

    /// `serial_hw_put`.
    fn put(&mut self, port: &mut impl Port, byte: u8) {
        self.do_real_config(port);
        let patience = match self.broken {
            0 | 1 => POLLS_IN_200_MS,
            2..=5 => POLLS_IN_200_MS / 4,
            _ => 1,
        };
        if !(0..patience).any(|_| port.inb(LSR) & LSR_THRE != 0) {
            self.broken += 1;
            return;
        }
        self.broken = self.broken.saturating_sub(1);
        port.outb(THR, byte);
    }

    /// `serial_hw_fetch`.
    fn fetch(&mut self, port: &mut impl Port) -> Option<u8> {
        self.do_real_config(port);
        (port.inb(LSR) & LSR_DR != 0).then(|| port.inb(RBR))
    }
}

#[test]
fn the_scratch_register_proves_the_port() {
    assert!(add_port(&mut Ours::new()));
}

#[test]
fn the_menu_is_drawn_without_one_broken_character() {
    let mut pc = Ours::new();
    let mut grub = Grub::new();
    let menu = b"\x1b[H\x1b[J\x1b[1;1H                             GNU GRUB  version 2.06\r\n";
    for &byte in menu {
        grub.put(&mut pc, byte);
        assert_eq!(grub.broken, 0);
    }
    assert_eq!(pc.printed(), menu);
    assert_eq!(
        pc.edges(),
        0,
        "GRUB polls: IER stays 0 although OUT2 is raised"
    );
}

#[test]
fn keys_below_the_trigger_level_are_seen_by_polling() {
    let mut pc = Ours::new();
    let mut grub = Grub::new();
    assert_eq!(grub.fetch(&mut pc), None);
    pc.type_in(b"\x1b[B");
    let keys: Vec<u8> = std::iter::from_fn(|| grub.fetch(&mut pc))
        .take(1000)
        .collect();
    assert_eq!(
        keys, b"\x1b[B",
        "DR does not wait for the trigger level of 14"
    );
}

#[test]
fn what_was_typed_before_the_first_use_is_drained_and_ends() {
    let mut pc = Ours::new();
    let mut grub = Grub::new();
    pc.type_in(&[b'x'; 1000]);
    assert_eq!(grub.fetch(&mut pc), None);
    assert_eq!(grub.broken, 0);
    pc.type_in(b"e");
    assert_eq!(grub.fetch(&mut pc), Some(b'e'));
}

#[test]
fn a_line_that_refuses_for_a_while_marks_nothing_broken_for_ever() {
    let mut pc = Ours::new();
    let mut grub = Grub::new();
    grub.put(&mut pc, b'1');
    pc.port.line_mut().room = Some(0);
    for _ in 0..8 {
        grub.put(&mut pc, b'.');
    }
    assert!(grub.broken > 5, "GRUB has lost its patience");
    pc.port.line_mut().room = None;
    pc.port.pump();
    for _ in 0..16 {
        grub.put(&mut pc, b'!');
    }
    assert_eq!(grub.broken, 0);
    assert!(pc.printed().ends_with(b"!!!!!!!!!!!!!!!!"));
}

#[test]
fn a_machine_without_the_port_is_found_out() {
    assert!(!add_port(&mut machine::Absent::default()));
}
