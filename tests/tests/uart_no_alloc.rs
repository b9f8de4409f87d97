//! The device never allocates, whatever guest and host do to it.
//!
//! The one allocator of this process counts; the file is a test of its own so that nothing else is
//! counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use fastrand::Rng;
use vm_uart::bus::mmio::{Mmio, Stride};
use vm_uart::bus::{Width, pio};
use vm_uart::{Character, Config, InterruptLine, Line, ModemInputs, SerialPort, Snapshot};

struct Counting;

thread_local! {
    // Per thread, as the test harness has threads of its own; const, so that counting does not
    // allocate.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// A line that gives and takes by turns, so that the FIFOs fill, drain and stall; it owns no heap
/// memory itself.
#[derive(Default)]
struct Moody {
    turn: u32,
}

impl Line for Moody {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        self.turn = self.turn.wrapping_add(1);
        if self.turn.is_multiple_of(5) {
            0
        } else {
            bytes.len().min(9)
        }
    }

    fn receive(&mut self) -> Option<Character> {
        self.turn = self.turn.wrapping_add(1);
        match self.turn % 7 {
            0 => None,
            1 => Some(Character::BREAK),
            _ => Some(Character::from(self.turn as u8)),
        }
    }
}

#[derive(Default)]
struct Pin(bool);

impl InterruptLine for Pin {
    fn assert(&mut self) {
        self.0 = true;
    }
    fn deassert(&mut self) {
        self.0 = false;
    }
}

fn traffic(port: &mut SerialPort<Pin, Moody>, random: &mut Rng, snapshot: &mut Snapshot) {
    let mut data = [0; 64];
    let dice = random.u32(..);
    let (offset, value) = ((dice >> 8) as u8 & 0x0f, (dice >> 16) as u8);
    let length = usize::from(value) % data.len();
    match dice % 16 {
        0..5 => port.write(offset, value),
        5..9 => drop(port.read(offset)),
        9 => port.write_string(offset, &data[..length]),
        10 => port.read_string(offset, &mut data[..length]),
        11 => pio::write(port, offset.into(), Width::Word, &data[..length]),
        12 => Mmio::new(Stride::Four).read(port, u64::from(value), &mut data[..4]),
        13 => port.pump(),
        14 => {
            port.advance(dice.into());
            port.set_modem_inputs(ModemInputs {
                cts: dice & 0x20 != 0,
                ..ModemInputs::default()
            });
        }
        _ => {
            if dice & 0x100 != 0 {
                *snapshot = port.snapshot();
                assert_eq!(
                    Snapshot::from_bytes(&snapshot.to_bytes()).as_ref(),
                    Ok(&*snapshot)
                );
            } else {
                // Of this very port, so it fits; a reset follows now and then.
                port.restore(snapshot).unwrap();
                if dice & 0x600 == 0 {
                    port.reset();
                }
            }
        }
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(
        allocations(|| drop(std::hint::black_box(Box::new(1u64)))),
        1
    );
}

#[test]
fn a_million_accesses_allocate_nothing() {
    let accesses_each = 1_000_000_usize.div_ceil(Config::every().count());
    let mut random = Rng::with_seed(0x1655_0a01);
    for config in Config::every() {
        let count = allocations(|| {
            let mut port = SerialPort::with_config(config, Pin::default(), Moody::default());
            let mut snapshot = port.snapshot();
            for _ in 0..accesses_each {
                traffic(&mut port, &mut random, &mut snapshot);
            }
        });
        assert_eq!(count, 0, "{config:?}");
    }
}
