//! Coalesced port I/O shows a guest nothing that plain port I/O would not: the same guest programs,
//! run both ways.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use kvm_ioctls::IoEventAddress;
use rustix::event::{PollFd, PollFlags, poll};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vm_serial_tests::bare_guest::{
    Access, COM1, DONE, Device, Exits, Guest, Program, interrupt_driven, polled, script,
    take_turns, write_and_halt,
};
use vm_serial_tests::irqfd::Irqfd;
use vm_serial_tests::patience::wait_for;
use vm_serial_tests::requirement;
use vm_serial_tests::ticking::ticking;
use vm_uart::bus::coalesced::{BUSY_WRITES, CoalescedRing, DataRegister, IDLE_TICKS};
use vm_uart::bus::mmio::{Mmio, Stride};
use vm_uart::{Character, EdgeLine, Line, SerialPort};

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

type Port = SerialPort<EdgeLine<Irqfd>, Wire>;

fn port(guest: &Guest) -> Arc<Mutex<Port>> {
    let wire = Wire {
        sent: Vec::new(),
        input: (0..=255).collect(),
    };
    Arc::new(Mutex::new(SerialPort::new(
        EdgeLine::new(Irqfd(guest.irq.try_clone().unwrap())),
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

fn ring(guest: &Guest) -> CoalescedRing {
    let unclaimed =
        Box::new(|address, _: &[u8]| panic!("an entry for {address:#x}, where no zone is"));
    let vcpu = guest.second_vcpu_descriptor().unwrap();
    CoalescedRing::new(guest.vm.clone(), vcpu, unclaimed).unwrap()
}

/// A port and a ring that leads to it; whoever ticks the ring is up to the test.
struct Ringed {
    port: Arc<Mutex<Port>>,
    ring: Arc<CoalescedRing>,
}

impl Ringed {
    fn new(guest: &Guest) -> Self {
        let (port, ring) = (port(guest), Arc::new(ring(guest)));
        ring.add(IoEventAddress::Pio(COM1.into()), port.clone())
            .unwrap();
        Self { port, ring }
    }

    fn com1(&self) -> Com1 {
        Com1 {
            port: self.port.clone(),
            ring: Some(self.ring.clone()),
        }
    }
}

/// Whether the timer of the ring becomes readable within this time.
fn is_due(ring: &CoalescedRing, milliseconds: i64) -> bool {
    // SAFETY: the ring is borrowed for as long as its descriptor.
    let timer = unsafe { BorrowedFd::borrow_raw(ring.as_raw_fd()) };
    let timeout = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: milliseconds * 1_000_000,
    };
    let mut timer = [PollFd::from_borrowed_fd(timer, PollFlags::IN)];
    poll(&mut timer, Some(&timeout)).unwrap() > 0
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
    let mut com1 = if coalesced {
        Ringed::new(guest).com1()
    } else {
        Com1 {
            port: port(guest),
            ring: None,
        }
    };
    let timer = com1.ring.clone().map(|ring| ticking(ring).unwrap());
    let exits = guest.vcpus[0].run(program, &mut com1).unwrap();
    drop(timer);
    let counted = com1.ring.map_or(0, |ring| ring.counters().coalesced);
    let sent = std::mem::take(&mut com1.port.lock().unwrap().line_mut().sent);
    (sent, exits, counted)
}

/// As [`run`] through a ring whose timer is never served: what exits does not depend on how the
/// host schedules its threads.
fn run_without_ticks(guest: &mut Guest, program: &Program) -> (Vec<u8>, Exits) {
    let Ringed { port, ring } = Ringed::new(guest);
    let mut com1 = Com1 {
        port: port.clone(),
        ring: Some(ring),
    };
    let exits = guest.vcpus[0].run(program, &mut com1).unwrap();
    let sent = std::mem::take(&mut port.lock().unwrap().line_mut().sent);
    (sent, exits)
}

fn random_accesses(seed: u64) -> Vec<Access> {
    let mut random = Rng::with_seed(seed);
    let mut accesses: Vec<Access> = (0..BUSY_WRITES as u8)
        .map(|byte| Access::Write(0, byte))
        .collect();
    while accesses.len() < 1500 {
        let value = random.u8(..);
        match random.u8(..10) {
            0..6 => {
                let burst = random.u8(..20);
                accesses.extend((0..burst).map(|i| Access::Write(0, value.wrapping_add(i))));
            }
            6 => accesses.push(Access::Write(1 + random.u8(..7), value)),
            // Divisor latch, loopback and FIFO control, which change what a write to offset 0
            // means.
            7 => accesses.push(Access::Write(3, if value & 1 == 0 { 0x83 } else { 0x03 })),
            8 => accesses.push(Access::Write(4, if value & 1 == 0 { 0x1b } else { 0x0b })),
            _ => accesses.push(Access::Read(random.u8(..8))),
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
    let (sent, exits) = run_without_ticks(&mut guest, &program);
    assert_eq!(sent.len(), program.bytes);
    assert_eq!(exits.serial, 500 + u64::from(BUSY_WRITES));
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
    let ringed = Ringed::new(&guest);
    let (mut com1, port) = (ringed.com1(), &ringed.port);
    let _timer = ticking(ringed.ring.clone()).unwrap();
    let program = write_and_halt(100);
    let mut vcpu = guest.vcpus.remove(0);
    // The vCPU halts for good: its thread is left behind and ends with the process.
    std::thread::spawn(move || vcpu.run(&program, &mut com1));
    let sent = || port.lock().unwrap().line().sent.len();
    wait_for(
        || (sent() >= 100).then_some(()),
        || format!("{} of 100", sent()),
    );
    let expected: Vec<u8> = (1..=100).rev().collect();
    assert_eq!(port.lock().unwrap().line().sent, expected);
    let counters = ringed.ring.counters();
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
    let (sent, exits) = run_without_ticks(&mut guest, &script(&accesses));
    assert_eq!(sent, bytes);
    assert!(exits.serial < 500, "{exits:?}");
}

#[test]
fn two_vcpus_that_take_turns_keep_their_order() {
    let Some(mut guest) = guest("two_vcpus_that_take_turns_keep_their_order", 2) else {
        return;
    };
    let ringed = Ringed::new(&guest);
    let _timer = ticking(ringed.ring.clone()).unwrap();
    let (burst, rounds) = (3, 200);
    let programs = [
        take_turns(b'a', burst, 0, 1, rounds),
        take_turns(b'b', burst, 1, 0, rounds),
    ];
    std::thread::scope(|scope| {
        for (vcpu, program) in guest.vcpus.iter_mut().zip(&programs) {
            let mut com1 = ringed.com1();
            scope.spawn(move || vcpu.run(program, &mut com1).unwrap());
        }
    });
    ringed.ring.drain();
    let expected = [[b'a'; 3], [b'b'; 3]].concat().repeat(rounds.into());
    assert_eq!(ringed.port.lock().unwrap().line().sent, expected);
}

const COM2: u16 = 0x2f8;

/// Two ports on one ring.
struct TwoPorts {
    com1: Com1,
    com2: Arc<Mutex<Port>>,
}

impl Device for TwoPorts {
    fn read(&mut self, offset: u8) -> u8 {
        self.com1.read(offset)
    }

    fn write(&mut self, offset: u8, value: u8) {
        self.com1.write(offset, value);
    }

    fn before_access(&mut self, port: u16, is_write: bool) {
        self.com1.before_access(port, is_write);
    }

    fn write_elsewhere(&mut self, address: u64, data: &[u8]) {
        self.before_access(address as u16, true);
        if address == u64::from(COM2) {
            self.com2.lock().unwrap().write_string(0, data);
        }
    }
}

/// `rounds` times: a byte to COM1 and its complement to COM2 four times over, then a read of COM1's
/// LSR.
fn both_ports(rounds: u8) -> Program {
    let mut code = vec![0xb9, rounds, 0]; // mov cx, rounds
    let again = code.len();
    for _ in 0..4 {
        code.extend([0x88, 0xc8, 0xba, 0xf8, 0x03, 0xee]); // mov al, cl; mov dx, COM1; out dx, al
        code.extend([0xf6, 0xd0, 0xba, 0xf8, 0x02, 0xee]); // not al; mov dx, COM2; out dx, al
    }
    code.extend([0xba, 0xfd, 0x03, 0xec]); // mov dx, COM1 + 5; in al, dx
    let back = code.len() + 2 - again;
    code.extend([0xe2, 0u8.wrapping_sub(back as u8)]); // loop again
    code.extend([0xe6, DONE as u8, 0xf4]); // out DONE, al; hlt
    Program {
        code,
        bytes: 8 * usize::from(rounds),
    }
}

#[test]
fn two_ports_on_one_ring_get_each_its_own_bytes() {
    let Some(mut guest) = guest("two_ports_on_one_ring_get_each_its_own_bytes", 1) else {
        return;
    };
    let (com1, com2) = (port(&guest), port(&guest));
    let ring = Arc::new(ring(&guest));
    for (address, port) in [(COM1, &com1), (COM2, &com2)] {
        let address = IoEventAddress::Pio(address.into());
        ring.add(address, port.clone()).unwrap();
        assert!(
            ring.add(address, com1.clone()).is_err(),
            "one port for each address"
        );
    }
    let mut ports = TwoPorts {
        com1: Com1 {
            port: com1.clone(),
            ring: Some(ring.clone()),
        },
        com2: com2.clone(),
    };
    guest.vcpus[0].run(&both_ports(250), &mut ports).unwrap();
    let expected: Vec<u8> = (1..=250).rev().flat_map(|byte| [byte; 4]).collect();
    assert_eq!(com1.lock().unwrap().line().sent, expected);
    let complement: Vec<u8> = expected.iter().map(|byte| !byte).collect();
    assert_eq!(com2.lock().unwrap().line().sent, complement);
    let by_exit = 2 * u64::from(BUSY_WRITES);
    assert_eq!(ring.counters().coalesced, 2000 - by_exit);
}

/// Memory that is none: the guest has 64 KiB.
const WINDOW: u64 = 0x2_0000;

/// A port in memory whose registers are four bytes apart.
struct InMemory {
    port: Arc<Mutex<Port>>,
    ring: Arc<CoalescedRing>,
    writes_by_exit: usize,
}

impl Device for InMemory {
    fn read(&mut self, _offset: u8) -> u8 {
        0xff
    }

    fn write(&mut self, _offset: u8, _value: u8) {}

    fn read_elsewhere(&mut self, address: u64, data: &mut [u8]) {
        self.ring.before_access(address, false);
        let window = Mmio::new(Stride::Four);
        window.read(&mut *self.port.lock().unwrap(), address - WINDOW, data);
    }

    fn write_elsewhere(&mut self, address: u64, data: &[u8]) {
        self.ring.before_access(address, true);
        self.writes_by_exit += 1;
        let window = Mmio::new(Stride::Four);
        window.write(&mut *self.port.lock().unwrap(), address - WINDOW, data);
    }
}

/// `rounds` times: three bytes to THR in memory, the third in a word, then a read of LSR.
fn in_memory(rounds: u8) -> Program {
    let mut code = vec![0xb8, 0x00, 0x20, 0x8e, 0xd8]; // mov ax, WINDOW >> 4; mov ds, ax
    code.extend([0xb9, rounds, 0]); // mov cx, rounds
    let again = code.len();
    code.extend([0x88, 0x0e, 0, 0]); // mov [0], cl
    code.extend([0xb0, b'-', 0xa2, 0, 0]); // mov al, '-'; mov [0], al
    code.extend([0x89, 0x0e, 0, 0]); // mov [0], cx
    code.extend([0xa0, 0x14, 0]); // mov al, [5 * 4]
    let back = code.len() + 2 - again;
    code.extend([0xe2, 0u8.wrapping_sub(back as u8)]); // loop again
    code.extend([0xe6, DONE as u8, 0xf4]); // out DONE, al; hlt
    Program {
        code,
        bytes: 3 * usize::from(rounds),
    }
}

#[test]
fn a_port_in_memory_is_coalesced_and_wider_writes_keep_their_place() {
    let test = "a_port_in_memory_is_coalesced_and_wider_writes_keep_their_place";
    let Some(mut guest) = guest(test, 1) else {
        return;
    };
    let port = port(&guest);
    let ring = Arc::new(ring(&guest));
    ring.add(IoEventAddress::Mmio(WINDOW), port.clone())
        .unwrap();
    let mut device = InMemory {
        port: port.clone(),
        ring: ring.clone(),
        writes_by_exit: 0,
    };
    guest.vcpus[0].run(&in_memory(200), &mut device).unwrap();
    let expected: Vec<u8> = (1..=200)
        .rev()
        .flat_map(|byte| [byte, b'-', byte])
        .collect();
    assert_eq!(port.lock().unwrap().line().sent, expected);
    // Each word by exit, and the bytes up to when the zone was opened.
    assert_eq!(
        device.writes_by_exit as u64 + ring.counters().coalesced,
        600
    );
    assert!(
        device.writes_by_exit <= 200 + BUSY_WRITES as usize,
        "{}",
        device.writes_by_exit
    );
}

/// A port whose VMM stops the guest without a drain.
struct Undrained(Com1);

impl Device for Undrained {
    fn read(&mut self, offset: u8) -> u8 {
        self.0.read(offset)
    }

    fn write(&mut self, offset: u8, value: u8) {
        self.0.write(offset, value);
    }

    fn before_access(&mut self, port: u16, is_write: bool) {
        if port != DONE {
            self.0.before_access(port, is_write);
        }
    }
}

#[test]
fn what_the_ring_holds_is_in_the_snapshot_after_a_drain() {
    let Some(mut guest) = guest("what_the_ring_holds_is_in_the_snapshot_after_a_drain", 1) else {
        return;
    };
    let ringed = Ringed::new(&guest);
    let (ring, port) = (&ringed.ring, &ringed.port);
    let mut accesses = vec![Access::Write(0, b'.'); BUSY_WRITES as usize];
    // Looped back: what the ring holds will be in the receiver.
    accesses.extend([(3, 0x03), (2, 0x01), (4, 0x10)].map(|(at, value)| Access::Write(at, value)));
    accesses.extend(b"held".map(|byte| Access::Write(0, byte)));
    let mut device = Undrained(ringed.com1());
    guest.vcpus[0].run(&script(&accesses), &mut device).unwrap();
    assert_eq!(port.lock().unwrap().snapshot().received_len, 0);
    assert_eq!(ring.drain(), 4);
    let snapshot = port.lock().unwrap().snapshot();
    assert_eq!(snapshot.received[..snapshot.received_len.into()], *b"held");
}

#[test]
fn where_no_zone_can_be_opened_every_byte_exits_and_no_timer_runs() {
    let test = "where_no_zone_can_be_opened_every_byte_exits_and_no_timer_runs";
    let Some(mut guest) = guest(test, 1) else {
        return;
    };
    // As many devices as the kernel's bus takes.
    let full = (0x4000..0x8000).any(|at| {
        guest
            .vm
            .register_coalesced_mmio(IoEventAddress::Pio(at), 1)
            .is_err()
    });
    assert!(full, "this kernel's bus has no bound");
    let ringed = Ringed::new(&guest);
    let (mut com1, ring, port) = (ringed.com1(), &ringed.ring, &ringed.port);
    let program = polled(16, 10);
    let exits = guest.vcpus[0].run(&program, &mut com1).unwrap();
    assert_eq!(
        (exits.serial, port.lock().unwrap().line().sent.len()),
        (170, 160)
    );
    let counters = ring.counters();
    assert!(
        counters.failed > 0 && counters.registered == 0,
        "{counters:?}"
    );
    assert!(!is_due(ring, 30));
}

#[test]
fn an_idle_port_has_no_timer() {
    let Some(mut guest) = guest("an_idle_port_has_no_timer", 1) else {
        return;
    };
    let ringed = Ringed::new(&guest);
    let (mut com1, ring, port) = (ringed.com1(), &ringed.ring, &ringed.port);
    assert!(!is_due(ring, 30), "not before it is used");
    guest.vcpus[0].run(&polled(16, 10), &mut com1).unwrap();
    let mut ticks = 0;
    while is_due(ring, 999) {
        ticks += 1;
        assert!(ticks < 1000, "it never ends");
        ring.tick();
    }
    assert!(ticks > 0, "it ran while the port was busy");
    // What it takes up again.
    guest.vcpus[0].run(&polled(16, 10), &mut com1).unwrap();
    assert_eq!(ring.counters().registered, 2);
    assert_eq!(port.lock().unwrap().line().sent.len(), 320);
}

#[test]
fn a_port_that_falls_idle_loses_its_zone_though_another_is_busy() {
    let test = "a_port_that_falls_idle_loses_its_zone_though_another_is_busy";
    let Some(mut guest) = guest(test, 1) else {
        return;
    };
    let (com1, com2) = (port(&guest), port(&guest));
    let ring = Arc::new(ring(&guest));
    for (address, port) in [(COM1, &com1), (COM2, &com2)] {
        ring.add(IoEventAddress::Pio(address.into()), port.clone())
            .unwrap();
    }
    let mut ports = TwoPorts {
        com1: Com1 {
            port: com1,
            ring: Some(ring.clone()),
        },
        com2,
    };
    guest.vcpus[0].run(&both_ports(250), &mut ports).unwrap();
    assert_eq!(ring.counters().registered, 2);
    for _ in 0..=IDLE_TICKS {
        guest.vcpus[0].run(&polled(16, 10), &mut ports).unwrap();
        ring.tick();
    }
    guest.vcpus[0].run(&both_ports(250), &mut ports).unwrap();
    assert_eq!(ring.counters().registered, 3, "COM2's anew, COM1's still");
}

/// Where [`two_steps`] and the test tell each other how far they are.
const STEP: GuestAddress = GuestAddress(0x500);

/// Sends a dot as often as it takes to open the zone and once more, and makes [`STEP`] 1; when it
/// is 2, sends "last" and makes it 3; when it is 4, ends. Nothing exits in between.
fn two_steps() -> Program {
    let mut code = vec![0x31, 0xc0, 0x8e, 0xd8, 0xba, 0xf8, 0x03]; // xor ax, ax; mov ds, ax; mov dx, COM1
    let send = |code: &mut Vec<u8>, bytes: &[u8]| {
        code.extend(bytes.iter().flat_map(|&byte| [0xb0, byte, 0xee])); // mov al, byte; out dx, al
    };
    let step = |step| [0xc6, 0x06, 0x00, 0x05, step]; // mov byte [STEP], step
    let wait = |step| [0x80, 0x3e, 0x00, 0x05, step, 0x75, 0xf9]; // again: cmp byte [STEP], step; jne again
    send(&mut code, &[b'.'; BUSY_WRITES as usize + 1]);
    code.extend(step(1));
    code.extend(wait(2));
    send(&mut code, b"last");
    code.extend(step(3));
    code.extend(wait(4));
    code.extend([0xe6, DONE as u8, 0xf4]); // out DONE, al; hlt
    Program {
        code,
        bytes: BUSY_WRITES as usize + 5,
    }
}

/// Waits until the guest has come to this step.
fn until(memory: &GuestMemoryMmap, step: u8) {
    let at = || memory.read_obj::<u8>(STEP).unwrap();
    wait_for(
        || (at() == step).then_some(()),
        || format!("the guest is at step {}, not {step}", at()),
    );
}

/// A data register at whose first byte from the ring the guest sends more.
struct Slow {
    memory: Arc<GuestMemoryMmap>,
    sent: Mutex<Vec<u8>>,
}

impl DataRegister for Slow {
    fn write_data(&self, bytes: &[u8]) {
        let mut sent = self.sent.lock().unwrap();
        sent.extend(bytes);
        if sent.len() == 1 {
            self.memory.write_obj(2_u8, STEP).unwrap();
            until(&self.memory, 3);
        }
    }
}

#[test]
fn what_comes_while_a_zone_is_being_closed_is_fetched_at_its_end() {
    let test = "what_comes_while_a_zone_is_being_closed_is_fetched_at_its_end";
    let Some(mut guest) = guest(test, 1) else {
        return;
    };
    let memory = guest.memory();
    let slow = Arc::new(Slow {
        memory: memory.clone(),
        sent: Mutex::default(),
    });
    let ring = Arc::new(ring(&guest));
    ring.add(IoEventAddress::Pio(COM1.into()), slow.clone())
        .unwrap();
    let mut device = Undrained(Com1 {
        port: port(&guest),
        ring: Some(ring.clone()),
    });
    std::thread::scope(|scope| {
        let vcpu = &mut guest.vcpus[0];
        scope.spawn(move || vcpu.run(&two_steps(), &mut device).unwrap());
        until(&memory, 1);
        // It finds a dot that no access has fetched, and closes the zone.
        ring.tick();
        let sent = slow.sent.lock().unwrap().clone();
        memory.write_obj(4_u8, STEP).unwrap();
        assert_eq!(sent, b".last");
    });
    assert!(!is_due(&ring, 30));
}
