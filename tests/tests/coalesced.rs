//! Coalesced port I/O shows a guest nothing that plain port I/O would not: the same guest programs, run both ways.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kvm_ioctls::IoEventAddress;
use rustix::event::{PollFd, PollFlags, poll};
use vm_serial_tests::bare_guest::{
    Access, COM1, Device, Exits, Guest, Program, interrupt_driven, polled, script, take_turns,
    write_and_halt,
};
use vm_serial_tests::requirement;
use vm_superio::Trigger;
use vm_uart::bus::coalesced::{BUSY_WRITES, CoalescedRing};
use vm_uart::{Character, EdgeLine, Line, SerialPort};
use vmm_sys_util::eventfd::EventFd;

struct Irq(EventFd);

impl Trigger for Irq {
    type E = std::io::Error;

    fn trigger(&self) -> std::io::Result<()> {
        self.0.write(1)
    }
}

/// Keeps what was sent; gives what it was given.
#[derive(Default)]
struct Wire {
    sent: Vec<u8>,
    input: VecDeque<u8>,
}

impl Line for Wire {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        self.sent.extend(bytes);
        bytes.len()
    }

    fn receive(&mut self) -> Option<Character> {
        self.input.pop_front().map(Character::from)
    }
}

type Port = SerialPort<EdgeLine<Irq>, Wire>;

fn port(guest: &Guest) -> Arc<Mutex<Port>> {
    let wire = Wire {
        sent: Vec::new(),
        input: (0..=255).collect(),
    };
    Arc::new(Mutex::new(SerialPort::new(
        EdgeLine::new(Irq(guest.irq.try_clone().unwrap())),
        wire,
    )))
}

struct Com1 {
    port: Arc<Mutex<Port>>,
    ring: Option<Arc<CoalescedRing>>,
}

impl Device for Com1 {
    fn read(&mut self, offset: u8) -> u8 {
        self.port.lock().unwrap().read(offset)
    }

    fn write(&mut self, offset: u8, value: u8) {
        self.port.lock().unwrap().write(offset, value);
    }

    fn before_access(&mut self, port: u16, is_write: bool) {
        if let Some(ring) = &self.ring {
            ring.before_access(port.into(), is_write);
        }
    }
}

/// A ring whose timer is served by a thread, as an event loop would.
struct Ticking {
    ring: Arc<CoalescedRing>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Ticking {
    fn new(guest: &Guest, port: &Arc<Mutex<Port>>) -> Self {
        let unclaimed =
            Box::new(|address, _: &[u8]| panic!("an entry for {address:#x}, where no zone is"));
        let ring = CoalescedRing::new(
            guest.vm.clone(),
            guest.second_vcpu_descriptor().unwrap(),
            unclaimed,
        )
        .unwrap();
        ring.add(IoEventAddress::Pio(COM1.into()), port.clone())
            .unwrap();
        let ring = Arc::new(ring);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (ring, stop) = (ring.clone(), stop.clone());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    // SAFETY: the ring is kept alive by this thread.
                    let timer = unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) };
                    let timeout = rustix::time::Timespec {
                        tv_sec: 0,
                        tv_nsec: 50_000_000,
                    };
                    if poll(
                        &mut [PollFd::from_borrowed_fd(timer, PollFlags::IN)],
                        Some(&timeout),
                    )
                    .unwrap()
                        > 0
                    {
                        ring.tick();
                    }
                }
            }
        });
        Self {
            ring,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn guest(test: &str, vcpus: u64) -> Option<Guest> {
    if !requirement::has_kvm() {
        requirement::skip(test, "/dev/kvm");
        return None;
    }
    Some(Guest::new(vcpus).unwrap())
}

/// What the host got from a run, and how often the guest exited.
fn run(guest: &mut Guest, program: &Program, coalesced: bool) -> (Vec<u8>, Exits, u64) {
    let port = port(guest);
    let ticking = coalesced.then(|| Ticking::new(guest, &port));
    let ring = ticking.as_ref().map(|ticking| ticking.ring.clone());
    let mut com1 = Com1 {
        port: port.clone(),
        ring,
    };
    let exits = guest.vcpus[0].run(program, &mut com1).unwrap();
    let counted = ticking.map_or(0, |ticking| ticking.ring.counters().coalesced);
    let sent = std::mem::take(&mut port.lock().unwrap().line_mut().sent);
    (sent, exits, counted)
}

/// A small generator: what is random here must be the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

fn random_accesses(seed: u64) -> Vec<Access> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
    let mut accesses: Vec<Access> = (0..BUSY_WRITES as u8)
        .map(|byte| Access::Write(0, byte))
        .collect();
    while accesses.len() < 1500 {
        let value = random.next(256) as u8;
        match random.next(10) {
            0..6 => {
                let burst = random.next(20);
                accesses.extend((0..burst).map(|i| Access::Write(0, value.wrapping_add(i as u8))));
            }
            6 => accesses.push(Access::Write(1 + random.next(7) as u8, value)),
            // Divisor latch, loopback and FIFO control, which change what a write to offset 0 means.
            7 => accesses.push(Access::Write(3, if value & 1 == 0 { 0x83 } else { 0x03 })),
            8 => accesses.push(Access::Write(4, if value & 1 == 0 { 0x1b } else { 0x0b })),
            _ => accesses.push(Access::Read(random.next(8) as u8)),
        }
    }
    accesses.truncate(1500);
    accesses
}

#[test]
fn every_answer_and_every_byte_is_the_same_both_ways() {
    let Some(mut guest) = guest("every_answer_and_every_byte_is_the_same_both_ways", 1) else {
        return;
    };
    let mut through_the_ring = 0;
    for seed in 0..12 {
        let accesses = random_accesses(seed);
        let reads = accesses
            .iter()
            .filter(|access| matches!(access, Access::Read(_)))
            .count();
        // What the port answers when nothing lies between.
        let alone = port(&guest);
        let mut answers = Vec::new();
        for &access in &accesses {
            match access {
                Access::Read(offset) => answers.push(alone.lock().unwrap().read(offset)),
                Access::Write(offset, value) => alone.lock().unwrap().write(offset, value),
            }
        }
        let sent = alone.lock().unwrap().line().sent.clone();
        for coalesced in [false, true] {
            let (bytes, _, counted) = run(&mut guest, &script(&accesses), coalesced);
            assert_eq!(
                guest.answers(reads).unwrap(),
                answers,
                "seed {seed}, coalesced {coalesced}"
            );
            assert_eq!(bytes, sent, "seed {seed}, coalesced {coalesced}");
            through_the_ring += counted;
        }
    }
    assert!(
        through_the_ring > 1000,
        "the ring was used: {through_the_ring}"
    );
}

#[test]
fn a_burst_of_sixteen_exits_once() {
    let Some(mut guest) = guest("a_burst_of_sixteen_exits_once", 1) else {
        return;
    };
    let program = polled(16, 500);
    let (sent, exits, _) = run(&mut guest, &program, true);
    assert_eq!(sent.len(), program.bytes);
    assert!(exits.serial <= 500 + u64::from(BUSY_WRITES), "{exits:?}");
    let (sent, exits, _) = run(&mut guest, &program, false);
    assert_eq!((sent.len(), exits.serial), (program.bytes, 500 * 17));
}

#[test]
fn an_interrupt_driven_guest_gets_all_its_interrupts() {
    let Some(mut guest) = guest("an_interrupt_driven_guest_gets_all_its_interrupts", 1) else {
        return;
    };
    for coalesced in [false, true] {
        let program = interrupt_driven(200);
        let (sent, ..) = run(&mut guest, &program, coalesced);
        assert_eq!(sent.len(), program.bytes, "coalesced {coalesced}");
    }
}

#[test]
fn bytes_written_before_a_halt_arrive_though_nothing_exits() {
    let Some(mut guest) = guest("bytes_written_before_a_halt_arrive_though_nothing_exits", 1)
    else {
        return;
    };
    let port = port(&guest);
    let ticking = Ticking::new(&guest, &port);
    let mut com1 = Com1 {
        port: port.clone(),
        ring: Some(ticking.ring.clone()),
    };
    let program = write_and_halt(100);
    let mut vcpu = guest.vcpus.remove(0);
    // The vCPU halts for good: its thread is left behind and ends with the process.
    std::thread::spawn(move || vcpu.run(&program, &mut com1));
    let deadline = Instant::now() + Duration::from_secs(30);
    while port.lock().unwrap().line().sent.len() < 100 {
        assert!(
            Instant::now() < deadline,
            "{} of 100",
            port.lock().unwrap().line().sent.len()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    let expected: Vec<u8> = (1..=100).rev().collect();
    assert_eq!(port.lock().unwrap().line().sent, expected);
    let counters = ticking.ring.counters();
    assert!(counters.by_tick > 0, "{counters:?}");
}

#[test]
fn a_ring_that_is_full_loses_and_reorders_nothing() {
    let Some(mut guest) = guest("a_ring_that_is_full_loses_and_reorders_nothing", 1) else {
        return;
    };
    // Longer than the ring, and nothing that exits in between but the full ring itself.
    let bytes: Vec<u8> = (0..=250).cycle().take(1500).collect();
    let accesses: Vec<Access> = bytes.iter().map(|&byte| Access::Write(0, byte)).collect();
    let (sent, exits, _) = run(&mut guest, &script(&accesses), true);
    assert_eq!(sent, bytes);
    assert!(exits.serial < 500, "{exits:?}");
}

#[test]
fn two_vcpus_that_take_turns_keep_their_order() {
    let Some(mut guest) = guest("two_vcpus_that_take_turns_keep_their_order", 2) else {
        return;
    };
    let port = port(&guest);
    let ticking = Ticking::new(&guest, &port);
    let (burst, rounds) = (3, 200);
    let programs = [
        take_turns(b'a', burst, 0, 1, rounds),
        take_turns(b'b', burst, 1, 0, rounds),
    ];
    std::thread::scope(|scope| {
        for (vcpu, program) in guest.vcpus.iter_mut().zip(&programs) {
            let mut com1 = Com1 {
                port: port.clone(),
                ring: Some(ticking.ring.clone()),
            };
            scope.spawn(move || vcpu.run(program, &mut com1).unwrap());
        }
    });
    ticking.ring.drain();
    let expected = [[b'a'; 3], [b'b'; 3]].concat().repeat(rounds.into());
    assert_eq!(port.lock().unwrap().line().sent, expected);
}
