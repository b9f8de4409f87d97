//! What a transmitted byte costs in accesses and interrupt edges, driver by driver.
//!
//! | driver, for 1,600 bytes | accesses a byte | of them not THR writes | edges a byte |
//! |---|---|---|---|
//! | one LSR read a byte: early console, GRUB, SeaBIOS | 2 | 1 | 0 |
//! | one LSR read for 16: Linux console, EDK2 | 1 + 1/16 | 1/16 | 0 |
//! | by interrupt, IIR until none: Linux tty | 1 + 3/16 | 3/16 | 1 |
//! | the same, bursts merged by coalescing | 1 + 3/16 | 3/16 | 1/16 |
//!
//! Under KVM each access is an exit, unless THR writes are coalesced; then only the others are.
//!
//! *The edges that remain.* With ETBEI set each THR write takes the THRE interrupt away and,
//! transmission taking no time, brings it back: an edge, as on the chip. A driver that reads IIR
//! each time could do with one for sixteen. One that does not (it writes a byte per interrupt and
//! returns) would wait for ever for the edge that was left out, and a port cannot tell the two
//! apart before it is too late. Where several bytes arrive as one, by string I/O or through KVM's
//! ring, they make one edge: the guest could not have taken an interrupt between them and looked.

mod machine;

use machine::{IER, IIR, IIR_NONE, LSR, LSR_THRE, MCR, MCR_OUT2, MSR, Ours, Port, THR};

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
    while port.read(IIR) != IIR_NONE {
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
    assert_eq!(edges, 1 + BYTES as u64);
    let (accesses, edges) = cost(true, tty);
    assert_eq!(accesses, Accesses { thr: BYTES, others });
    assert_eq!(edges, 1 + bursts as u64);
}
