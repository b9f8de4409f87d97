//! What a transmitted byte costs in accesses and interrupt edges, driver by driver.
//!
//! | driver, for 1,600 bytes | accesses a byte | of them not THR writes | edges a byte |
//! |---|---|---|---|
//! | one LSR read a byte: early console, GRUB, SeaBIOS | 2 | 1 | 0 |
//! | one LSR read for 16: Linux console, EDK2 | 1 + 1/16 | 1/16 | 0 |
//! | by interrupt, IIR until none: Linux tty | 1 + 3/16 | 3/16 | 1/16, and 15 more at the first burst |
//! | the same, bursts merged by coalescing | 1 + 3/16 | 3/16 | 1/16 |
//! | a byte per interrupt, nothing read | 1 | 0 | 1 |
//!
//! Under KVM each access is an exit, unless THR writes are coalesced; then only the others are.
//!
//! *The edges that remain.* With ETBEI set each THR write takes the THRE interrupt away and,
//! transmission taking no time, brings it back: an edge, as on the chip. A driver that reads IIR
//! before it fills the FIFO can do with one for sixteen. One that reads nothing (it writes a byte per
//! interrupt and returns) would wait for ever for an edge that was left out. The port spares edges
//! once it has seen the driver fill the FIFO between two answers of IIR. Where several bytes arrive
//! as one, by string I/O or through KVM's ring, they make one edge in any case: the guest could not
//! have taken an interrupt between them and looked.
//!
//! Received bytes, with Linux's handler (it reads until LSR.DR is 0, then IIR until none) at trigger
//! level 8 or 14, 115,200 baud, and a guest that answers each interrupt at once:
//!
//! | 4,096 bytes come as | interrupts a byte, `WhenDrained` | `FourCharacters`, level 8 | level 14 |
//! |---|---|---|---|
//! | single keys, 100 ms apart | 1 | 1 | 1 |
//! | a paste, all at once | 1/4096 | 1/4096 | 1/4096 |
//! | a steady line, one every 87 µs | 1 | 1/8 | 1/14 |
//! | delay of a lone key | 0 | 347 µs | 347 µs |
//!
//! `WhenDrained` costs an interrupt for each arrival and no delay; `FourCharacters` is the chip. The
//! delay goes with the programmed speed: 4.2 ms at 9,600 baud, which Linux leaves set unless told
//! otherwise.

mod machine;

use std::time::Duration;

use machine::{
    DLL, FCR, IER, IIR, IIR_NONE, LCR, LSR, LSR_DR, LSR_THRE, MCR, MCR_OUT2, MSR, Ours, Port, RBR,
    THR,
};
use vm_uart::{Character, CharacterTimeout, Config};

const BYTES: usize = 1600;
const BURST: usize = 16;

/// Accesses to THR, and to other registers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Accesses {
    thr: usize,
    others: usize,
}

struct Counted<'a> {
    port: &'a mut Ours,
    accesses: Accesses,
    /// THR writes wait in a ring until another access, as in KVM's.
    ring: Option<Vec<u8>>,
}

impl Counted<'_> {
    fn drain(&mut self) {
        if let Some(ring) = &mut self.ring {
            self.port.port.write_string(THR, &std::mem::take(ring));
        }
    }

    fn read(&mut self, register: u8) -> u8 {
        self.drain();
        self.accesses.others += 1;
        self.port.inb(register)
    }

    fn write(&mut self, register: u8, value: u8) {
        if register == THR {
            self.accesses.thr += 1;
            if let Some(ring) = &mut self.ring {
                ring.push(value);
                return;
            }
        } else {
            self.drain();
            self.accesses.others += 1;
        }
        self.port.outb(register, value);
    }

    fn burst(&mut self, length: usize) {
        assert_ne!(self.read(LSR) & LSR_THRE, 0);
        for _ in 0..length {
            self.write(THR, b'x');
        }
    }
}

fn cost(coalesced: bool, driver: impl FnOnce(&mut Counted<'_>)) -> (Accesses, u64) {
    let mut port = Ours::new();
    port.outb(FCR, 0x01);
    port.outb(MCR, MCR_OUT2);
    let mut counted = Counted {
        port: &mut port,
        accesses: Accesses::default(),
        ring: coalesced.then(Vec::new),
    };
    driver(&mut counted);
    counted.drain();
    let accesses = counted.accesses;
    assert_eq!(port.printed().len(), BYTES);
    (accesses, port.edges())
}

/// `serial8250_handle_irq` with a full transmit buffer: IIR, LSR, MSR, sixteen bytes, and again
/// until IIR says none.
fn tty(port: &mut Counted<'_>) {
    port.write(IER, 0x02);
    let mut left = BYTES;
    while port.read(IIR) & 0x0f != IIR_NONE {
        if left == 0 {
            port.write(IER, 0);
            continue;
        }
        port.burst(BURST);
        port.read(MSR);
        left -= BURST;
    }
}

#[test]
fn a_driver_that_polls_for_each_byte() {
    let polled = |port: &mut Counted<'_>| (0..BYTES).for_each(|_| port.burst(1));
    assert_eq!(
        cost(false, polled),
        (
            Accesses {
                thr: BYTES,
                others: BYTES
            },
            0
        )
    );
}

#[test]
fn a_driver_that_polls_for_each_burst() {
    let polled = |port: &mut Counted<'_>| (0..BYTES / BURST).for_each(|_| port.burst(BURST));
    assert_eq!(
        cost(false, polled),
        (
            Accesses {
                thr: BYTES,
                others: BYTES / BURST
            },
            0
        )
    );
}

#[test]
fn a_driver_that_is_driven_by_interrupts() {
    let bursts = BYTES / BURST;
    // Besides three for a burst: two writes of IER, and two reads of IIR that find the end.
    let others = 3 * bursts + 4;
    let (accesses, edges) = cost(false, tty);
    assert_eq!(accesses, Accesses { thr: BYTES, others });
    assert_eq!(edges, 1 + 15 + bursts as u64);
    let (accesses, edges) = cost(true, tty);
    assert_eq!(accesses, Accesses { thr: BYTES, others });
    assert_eq!(edges, 1 + bursts as u64);
}

#[test]
fn a_driver_that_writes_a_byte_for_each_interrupt_and_reads_nothing() {
    let blind = |port: &mut Counted<'_>| {
        port.write(IER, 0x02);
        for _ in 0..BYTES {
            port.write(THR, b'x');
        }
    };
    let (accesses, edges) = cost(false, blind);
    assert_eq!((accesses.thr, accesses.others), (BYTES, 1));
    assert_eq!(edges, 1 + BYTES as u64);
}

/// Bytes from a sender that never lets the guest rest.
const RECEIVED: usize = 4096;
/// Four characters of 8N1 at 115,200 baud, and one.
const FOUR: Duration = Duration::from_nanos(347_222);
const ONE: Duration = Duration::from_nanos(86_806);

/// A guest that answers each interrupt at once, and an owner who keeps the time of its timeouts.
struct Receiving {
    machine: Ours,
    now: Duration,
    timer: Option<Duration>,
    interrupts: usize,
    received: usize,
}

impl Receiving {
    fn new(character_timeout: CharacterTimeout, fcr: u8) -> Self {
        let mut machine = Ours::with_config(Config {
            character_timeout,
            ..Config::default()
        });
        for (register, value) in [
            (LCR, 0x83),
            (DLL, 1),
            (LCR, 0x03),
            (FCR, fcr),
            (MCR, MCR_OUT2),
            (IER, 0x05),
        ] {
            machine.outb(register, value);
        }
        Self {
            machine,
            now: Duration::ZERO,
            timer: None,
            interrupts: 0,
            received: 0,
        }
    }

    /// `serial8250_handle_irq` while the pin is high.
    fn interrupt(&mut self) {
        if !self.machine.pin.is_high() {
            return;
        }
        self.interrupts += 1;
        while self.machine.inb(IIR) & 0x0f != IIR_NONE {
            let before = self.received;
            while self.machine.inb(LSR) & LSR_DR != 0 {
                self.machine.inb(RBR);
                self.received += 1;
                assert!(self.received <= RECEIVED, "more than was sent");
            }
            assert!(self.received > before, "an interrupt for nothing");
        }
    }

    fn keep_time(&mut self) {
        let wait = self.machine.port.keep_time(self.now);
        self.timer = wait.map(|wait| self.now + wait);
        self.interrupt();
    }

    fn arrive(&mut self, count: usize) {
        let keys = std::iter::repeat_n(Character::from(b'k'), count);
        self.machine.port.line_mut().keyboard.extend(keys);
        self.machine.port.pump();
        self.keep_time();
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..4 {
            if let Some(at) = self.timer.take_if(|at| *at <= until) {
                self.now = at;
                self.keep_time();
            }
        }
        self.now = until;
    }
}

/// Interrupts for [`RECEIVED`] bytes that come `count` at a time, `pause` apart.
fn interrupts(timeout: CharacterTimeout, fcr: u8, count: usize, pause: Duration) -> usize {
    let mut receiving = Receiving::new(timeout, fcr);
    for _ in 0..RECEIVED / count {
        receiving.arrive(count);
        receiving.wait(pause);
    }
    receiving.wait(2 * FOUR);
    assert_eq!(receiving.received, RECEIVED);
    receiving.interrupts
}

#[test]
fn interrupts_for_received_bytes() {
    use CharacterTimeout::{FourCharacters, WhenDrained};
    let keys = (1, Duration::from_millis(100));
    let paste = (RECEIVED, Duration::ZERO);
    let line = (1, ONE);
    for ((count, pause), drained, level_8, level_14) in [
        (keys, RECEIVED, RECEIVED, RECEIVED),
        (paste, 1, 1, 1),
        // The last bytes of a steady line are below the level and wait for the timeout.
        (line, RECEIVED, RECEIVED / 8, RECEIVED.div_ceil(14)),
    ] {
        for fcr in [0x81, 0xc1] {
            assert_eq!(interrupts(WhenDrained, fcr, count, pause), drained);
        }
        assert_eq!(interrupts(FourCharacters, 0x81, count, pause), level_8);
        assert_eq!(interrupts(FourCharacters, 0xc1, count, pause), level_14);
    }
}

#[test]
fn the_delay_of_a_lone_key() {
    for (timeout, delay) in [
        (CharacterTimeout::WhenDrained, Duration::ZERO),
        (CharacterTimeout::FourCharacters, FOUR),
    ] {
        let mut receiving = Receiving::new(timeout, 0x81);
        receiving.arrive(1);
        receiving.wait(delay.saturating_sub(Duration::from_nanos(2)));
        assert_eq!(receiving.received, usize::from(delay.is_zero()));
        receiving.wait(Duration::from_nanos(2));
        assert_eq!(receiving.received, 1);
    }
}
