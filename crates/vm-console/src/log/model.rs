//! The protocol under loom, which tries every interleaving of the threads and every value that a
//! relaxed load may return.

use std::sync::atomic::Ordering::{self, Acquire};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, fence};
use loom::thread;

use super::id::{self, LogId};
use super::layout::at;
use super::protocol::{Cells, Records, Ring, RingWriter, Seal, get, put};

struct Modelled(Vec<AtomicU64>);

impl Modelled {
    fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self((0..bytes / 8).map(|_| AtomicU64::new(0)).collect()))
    }
}

impl Cells for Modelled {
    fn load(&self, at: usize, order: Ordering) -> u64 {
        self.0[at / 8].load(order)
    }

    fn store(&self, at: usize, value: u64, order: Ordering) {
        self.0[at / 8].store(value, order);
    }

    fn fence(&self, order: Ordering) {
        fence(order);
    }
}

/// Two words, each a block: as small as a ring that wraps can be.
const RING: Ring = Ring {
    written: 0,
    reserved: 8,
    at: 16,
    bytes: 16,
    block: 8,
};

/// The byte at an offset; differs from lap to lap.
fn byte(offset: u64) -> u8 {
    100 + offset as u8
}

fn append(writer: &mut RingWriter, cells: &Modelled, count: u64) {
    let bytes: Vec<u8> = (writer.written()..writer.written() + count)
        .map(byte)
        .collect();
    writer.append(cells, &bytes);
}

/// Starts with `before` bytes written. Then writes `runs`, while another thread reads the whole
/// ring `reads` times. Returns how many reads were dropped, and how many were not, over all
/// interleavings.
fn model_ring(before: u64, runs: &'static [u64], reads: usize) -> (usize, usize) {
    let dropped = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let valid = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counts = (dropped.clone(), valid.clone());
    loom::model(move || {
        let cells = Modelled::new(32);
        let mut writer = RingWriter::resume(RING, &*cells, 0);
        append(&mut writer, &cells, before);
        let reader = thread::spawn({
            let cells = cells.clone();
            let (dropped, valid) = (dropped.clone(), valid.clone());
            move || {
                for _ in 0..reads {
                    let written = cells.load(RING.written, Acquire);
                    let from = written.saturating_sub(RING.bytes);
                    let mut buf = vec![0; (written - from) as usize];
                    if RING.copy(&*cells, from, &mut buf) {
                        let expected: Vec<u8> = (from..written).map(byte).collect();
                        assert_eq!(buf, expected, "from {from}");
                        valid.fetch_add(1, Ordering::Relaxed);
                    } else {
                        dropped.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        for &run in runs {
            append(&mut writer, &cells, run);
        }
        reader.join().unwrap();
    });
    (
        counts.0.load(Ordering::Relaxed),
        counts.1.load(Ordering::Relaxed),
    )
}

#[test]
fn bytes_are_seen_only_after_they_were_written() {
    let (dropped, valid) = model_ring(0, &[3, 1, 8], 1);
    assert_eq!(dropped, 0, "the ring did not wrap");
    assert!(valid > 0);
}

#[test]
fn bytes_of_a_later_lap_are_never_taken_for_earlier_ones() {
    let (dropped, valid) = model_ring(16, &[8], 2);
    assert!(dropped > 0 && valid > 0);
}

#[test]
fn a_byte_at_a_time_is_as_safe() {
    let (dropped, valid) = model_ring(14, &[1, 1, 1, 1], 1);
    assert!(dropped > 0 && valid > 0);
}

/// A restored log takes over the identity of the image while readers look at its own.
#[test]
fn an_identity_is_never_mixed_with_another() {
    let [own, other] = [1 << 64 | 1, 2 << 64 | 2].map(|value| LogId::new(value).unwrap());
    loom::model(move || {
        let cells = Modelled::new(at::ID_CHECK + 8);
        id::store(&*cells, own);
        let reader = thread::spawn({
            let cells = cells.clone();
            move || match id::load(&*cells) {
                id::Stored::None => {}
                id::Stored::Id(found) => assert!(found == own || found == other),
                id::Stored::Damaged(check) => panic!("check sum {check:x}"),
            }
        });
        id::store(&*cells, other);
        reader.join().unwrap();
        assert_eq!(id::load(&*cells), id::Stored::Id(other));
    });
}

/// A restored log is published with its last store. Here a floor is stored beside the ring.
#[test]
fn a_restored_ring_is_seen_whole_or_not_at_all() {
    const FLOOR: usize = 32;
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = seen.clone();
    loom::model(move || {
        let cells = Modelled::new(40);
        let reader = thread::spawn({
            let (cells, seen) = (cells.clone(), seen.clone());
            move || {
                let written = cells.load(RING.written, Acquire);
                if written == 0 {
                    return;
                }
                let floor = cells.load(FLOOR, Ordering::Relaxed);
                assert_eq!((floor, written), (8, 21));
                let mut buf = vec![0; (written - floor) as usize];
                assert!(RING.copy(&*cells, floor, &mut buf));
                assert_eq!(buf, (floor..written).map(byte).collect::<Vec<_>>());
                seen.fetch_add(1, Ordering::Relaxed);
            }
        });
        let bytes: Vec<u8> = (8..21).map(byte).collect();
        cells.store(FLOOR, 8, Ordering::Relaxed);
        let mut writer = RingWriter::resume_after(RING, &*cells, 21, &bytes);
        reader.join().unwrap();
        append(&mut writer, &cells, 5);
        let mut buf = [0; 10];
        assert!(RING.copy(&*cells, 16, &mut buf));
        assert_eq!(buf.to_vec(), (16..26).map(byte).collect::<Vec<_>>());
    });
    assert!(count.load(Ordering::Relaxed) > 0);
}

#[test]
fn records_are_never_mixed() {
    const TABLE: Records = Records {
        count: 0,
        at: 8,
        capacity: 1,
    };
    loom::model(|| {
        let cells = Modelled::new(8 + 32);
        TABLE.push(&*cells, [0, 0, 0]);
        let reader = thread::spawn({
            let cells = cells.clone();
            move || {
                for index in TABLE.indices(&*cells) {
                    if let Some(fields) = TABLE.get(&*cells, index) {
                        assert_eq!(fields, [index; 3]);
                    }
                }
            }
        });
        TABLE.push(&*cells, [1, 1, 1]);
        reader.join().unwrap();
        assert_eq!(TABLE.get(&*cells, 1), Some([1; 3]));
    });
}

/// The head of a boot is rewritten for the next boot while it is read. Its bytes come after the
/// seal is closed, and the write offset publishes them.
#[test]
fn a_head_is_never_mixed_with_the_next_boots() {
    const WRITTEN: usize = 0;
    const SEAL: Seal = Seal { at: 8 };
    const BYTES: usize = 16;
    fn boot(cells: &Modelled, number: u64) {
        SEAL.open(cells);
        SEAL.close(cells, number);
        put(cells, BYTES, &[number as u8; 12]);
        cells.store(WRITTEN, number * 12, Ordering::Release);
    }
    loom::model(|| {
        let cells = Modelled::new(32);
        boot(&cells, 1);
        let reader = thread::spawn({
            let cells = cells.clone();
            move || {
                let written = cells.load(WRITTEN, Acquire);
                let number = SEAL.number(&*cells);
                // As in the boot table: a boot that begins at the write offset has no bytes yet.
                if number == 0 || number * 12 > written {
                    return;
                }
                let mut buf = [0; 12];
                get(&*cells, BYTES, &mut buf);
                if SEAL.holds(&*cells, number) {
                    assert_eq!(buf, [number as u8; 12]);
                }
            }
        });
        boot(&cells, 2);
        reader.join().unwrap();
    });
}
