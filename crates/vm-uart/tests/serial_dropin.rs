//! The drop-in keeps what `vm_superio::Serial` promises.
//!
//! Each test states an expectation of vm-superio's own test suite in our words, and most run it on
//! both, so that the expectation is known to be vm-superio's. Where the chip differs, the test says
//! so and names the row of the table in `vm_uart::serial`.
#![cfg(feature = "vm-superio")]

mod bits;

use std::cell::{Cell, RefCell};
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bits::{IER_RECEIVED, IER_THRE, LSR_DR, MCR_LOOP, MCR_OUT2};
use vm_uart::registers::{FCR, IER, IIR, LCR, LSR, MCR, MSR, RBR, SCR, THR};

/// Only the crate's name differs between the two: what a VMM has to change.
macro_rules! for_both {
    ($(#[$meta:meta])* fn $name:ident($module:ident) $body:block) => {
        mod $name {
            use super::*;

            #[test]
            fn superio() {
                use vm_superio as $module;
                $body
            }

            #[test]
            fn ours() {
                use vm_uart as $module;
                $body
            }
        }
    };
}

/// An eventfd: a counter that a read empties.
#[derive(Clone, Debug, Default)]
struct Event(Rc<Cell<u64>>);

impl Event {
    fn take(&self) -> u64 {
        self.0.take()
    }
}

impl vm_uart::Trigger for Event {
    type E = io::Error;

    fn trigger(&self) -> io::Result<()> {
        self.0.set(self.0.get() + 1);
        Ok(())
    }
}

/// Fails on demand.
#[derive(Clone, Debug, Default)]
struct Faulty(Rc<Cell<bool>>);

impl vm_uart::Trigger for Faulty {
    type E = io::Error;

    fn trigger(&self) -> io::Result<()> {
        if self.0.get() {
            Err(io::ErrorKind::BrokenPipe.into())
        } else {
            Ok(())
        }
    }
}

#[derive(Debug, Default)]
struct Counters {
    reads: AtomicU64,
    out: AtomicU64,
    lost: AtomicU64,
    empty: AtomicU64,
}

impl Counters {
    fn all(&self) -> [u64; 4] {
        [&self.reads, &self.out, &self.lost, &self.empty].map(|counter| counter.load(Relaxed))
    }
}

impl vm_uart::serial::SerialEvents for Counters {
    fn buffer_read(&self) {
        self.reads.fetch_add(1, Relaxed);
    }
    fn out_byte(&self) {
        self.out.fetch_add(1, Relaxed);
    }
    fn tx_lost_byte(&self) {
        self.lost.fetch_add(1, Relaxed);
    }
    fn in_buffer_empty(&self) {
        self.empty.fetch_add(1, Relaxed);
    }
}

for_both! {
    fn what_the_guest_writes_reaches_the_writer(uart) {
        let mut serial = uart::Serial::new(Event::default(), Vec::new());
        for byte in *b"abc" {
            serial.write(THR, byte).unwrap();
        }
        assert_eq!(serial.writer(), b"abc");
        serial.writer_mut().clear();
        serial.write(THR, b'd').unwrap();
        assert_eq!(serial.into_writer(), b"d");
    }
}

for_both! {
    fn input_sets_data_ready_interrupts_once_and_is_read_in_order(uart) {
        let event = Event::default();
        let mut serial = uart::Serial::new(event.clone(), io::sink());
        serial.write(IER, IER_RECEIVED).unwrap();

        assert_eq!(serial.enqueue_raw_bytes(&[]).unwrap(), 0);
        assert_eq!(event.take(), 0, "nothing was enqueued");
        assert_eq!(serial.read(LSR) & LSR_DR, 0);

        assert_eq!(serial.enqueue_raw_bytes(b"abc").unwrap(), 3);
        assert_eq!(event.take(), 1);
        for byte in *b"abc" {
            assert_ne!(serial.read(LSR) & LSR_DR, 0);
            assert_eq!(serial.read(RBR), byte);
        }
        assert_eq!(serial.read(LSR) & LSR_DR, 0);
        assert_eq!(serial.read(IIR) & 0x0f, 0x01, "nothing is pending any more");
    }
}

for_both! {
    fn data_that_came_while_masked_interrupts_when_ier_is_restored(uart) {
        let event = Event::default();
        let mut serial = uart::Serial::new(event.clone(), io::sink());
        serial.write(IER, IER_RECEIVED).unwrap();
        let saved = serial.read(IER);
        serial.write(IER, 0).unwrap();
        serial.enqueue_raw_bytes(b"abc").unwrap();
        assert_ne!(serial.read(LSR) & LSR_DR, 0);
        assert_eq!(event.take(), 0);
        assert_eq!(serial.read(IIR) & 0x0f, 0x01);

        serial.write(IER, saved).unwrap();
        assert_eq!(event.take(), 1);
        assert_eq!(serial.read(IIR) & 0x0f, 0x04);

        for byte in *b"abc" {
            assert_eq!(serial.read(RBR), byte);
        }
        event.take();
        serial.write(IER, saved).unwrap();
        assert_eq!(event.take(), 0, "nothing waits");
    }
}

/// Table: "writes IER over a condition that has been told". vm-superio triggers a second time here.
#[test]
fn rewriting_ier_over_waiting_data_stays_silent() {
    let event = Event::default();
    let mut serial = vm_uart::Serial::new(event.clone(), io::sink());
    serial.write(IER, IER_RECEIVED).unwrap();
    serial.enqueue_raw_bytes(b"abc").unwrap();
    assert_eq!(event.take(), 1);
    serial.read(IIR);
    serial.write(IER, IER_RECEIVED).unwrap();
    assert_eq!(event.take(), 0);
}

/// Table: "reads the first of several characters" and the row below it.
#[test]
fn the_data_interrupt_stands_until_the_last_character_is_read() {
    let read_two_of_three =
        |read: &mut dyn FnMut(u8) -> u8| [read(RBR), read(IIR) & 0x07, read(RBR), read(IIR) & 0x07];

    let event = Event::default();
    let mut ours = vm_uart::Serial::new(event.clone(), io::sink());
    ours.write(IER, IER_RECEIVED).unwrap();
    ours.enqueue_raw_bytes(b"abc").unwrap();
    assert_eq!(
        read_two_of_three(&mut |register| ours.read(register)),
        [b'a', 0x04, b'b', 0x04]
    );
    assert_eq!(event.take(), 3);

    let event = Event::default();
    let mut theirs = vm_superio::Serial::new(event.clone(), io::sink());
    theirs.write(IER, IER_RECEIVED).unwrap();
    theirs.enqueue_raw_bytes(b"abc").unwrap();
    assert_eq!(
        read_two_of_three(&mut |register| theirs.read(register)),
        [b'a', 0x01, b'b', 0x01]
    );
    assert_eq!(event.take(), 1);
}

/// Table: "writes THR with IER bit 1 set".
#[test]
fn each_thr_write_gives_an_edge() {
    let event = Event::default();
    let mut ours = vm_uart::Serial::new(event.clone(), io::sink());
    ours.write(IER, IER_THRE).unwrap();
    ours.write(THR, b'a').unwrap();
    ours.write(THR, b'b').unwrap();
    assert_eq!(event.take(), 3);

    let mut theirs = vm_superio::Serial::new(event.clone(), io::sink());
    theirs.write(IER, IER_THRE).unwrap();
    theirs.write(THR, b'a').unwrap();
    theirs.write(THR, b'b').unwrap();
    assert_eq!(event.take(), 1);
}

/// Table: "clears OUT2".
#[test]
fn out2_gates_the_interrupt_unless_the_board_has_no_gate() {
    let ungated = vm_uart::Config {
        interrupt_gate: vm_uart::InterruptGate::None,
        ..vm_uart::Config::default()
    };
    for (config, edges) in [(vm_uart::Config::default(), 0), (ungated, 1)] {
        let event = Event::default();
        let mut serial = vm_uart::Serial::with_config(
            config,
            event.clone(),
            vm_uart::serial::NoEvents,
            io::sink(),
        );
        serial.write(MCR, 0).unwrap();
        serial.write(IER, IER_RECEIVED).unwrap();
        serial.enqueue_raw_bytes(b"k").unwrap();
        assert_eq!(event.take(), edges, "{:?}", config.interrupt_gate);
        serial.write(MCR, MCR_OUT2).unwrap();
        assert_eq!(event.take(), 1 - edges, "{:?}", config.interrupt_gate);
    }
}

/// Table: "reads RBR with nothing there".
#[test]
fn an_empty_rbr_reads_zero_with_the_fifo_on_and_the_last_character_without() {
    let mut serial = vm_uart::Serial::new(Event::default(), io::sink());
    for (fcr, after) in [(0x00, b'k'), (0x01, 0)] {
        serial.write(FCR, fcr).unwrap();
        serial.enqueue_raw_bytes(b"k").unwrap();
        assert_eq!(serial.read(RBR), b'k');
        assert_eq!(serial.read(RBR), after);
    }
}

/// Table: "restores a `SerialState` with the THRE interrupt enabled".
#[test]
fn a_restored_thre_interrupt_comes_once_even_if_the_state_forgot_it() {
    let state = vm_uart::SerialState {
        interrupt_enable: IER_THRE,
        ..vm_uart::SerialState::default()
    };
    let event = Event::default();
    let mut ours =
        vm_uart::Serial::from_state(&state, event.clone(), vm_uart::serial::NoEvents, io::sink())
            .unwrap();
    assert_eq!(event.take(), 1);
    assert_eq!(ours.read(IIR) & 0x0f, 0x02);
    assert_eq!(ours.read(IIR) & 0x0f, 0x01);
    vm_superio::Serial::from_state(&state, event.clone(), vm_uart::serial::NoEvents, io::sink())
        .unwrap();
    assert_eq!(event.take(), 0);
}

for_both! {
    fn enabling_the_thre_interrupt_triggers_it_at_once(uart) {
        let event = Event::default();
        let mut serial = uart::Serial::new(event.clone(), io::sink());
        serial.write(IER, IER_THRE).unwrap();
        assert_eq!(event.take(), 1);
        assert_eq!(serial.read(IIR) & 0x0f, 0x02);
        serial.write(IER, IER_RECEIVED).unwrap();
        assert_eq!(event.take(), 0);
        assert_eq!(serial.read(IIR) & 0x0f, 0x01);
    }
}

for_both! {
    fn a_write_raises_the_thre_interrupt(uart) {
        let event = Event::default();
        let mut serial = uart::Serial::new(event.clone(), io::sink());
        serial.write(IER, IER_THRE).unwrap();
        serial.read(IIR);
        event.take();
        serial.write(THR, b'a').unwrap();
        assert_eq!(event.take(), 1);
        assert_eq!(serial.read(IER) & 0x0f, IER_THRE);
        assert_eq!(serial.read(IIR) & 0x0f, 0x02);
        assert_eq!(serial.read(IIR) & 0x0f, 0x01, "told and cleared");
    }
}

/// Table: "reads IIR bits 7:6" and "writes FCR".
#[test]
fn the_fifo_bits_of_iir_wait_for_a_driver_to_turn_it_on() {
    let mut serial = vm_uart::Serial::new(Event::default(), io::sink());
    assert_eq!(serial.read(IIR), 0x01);
    serial.write(FCR, 0x01).unwrap();
    assert_eq!(serial.read(IIR), 0xc1);
    assert_eq!(
        vm_superio::Serial::new(Event::default(), io::sink()).read(IIR),
        0xc1
    );
}

for_both! {
    fn loopback_returns_each_byte_with_an_interrupt(uart) {
        let event = Event::default();
        let mut serial = uart::Serial::new(event.clone(), io::sink());
        serial.write(MCR, MCR_LOOP | MCR_OUT2).unwrap();
        serial.write(IER, IER_RECEIVED).unwrap();
        for value in 0..64 {
            serial.write(THR, value).unwrap();
            assert_eq!(event.take(), 1);
            assert_eq!(serial.read(RBR), value);
        }
        assert_eq!(serial.read(LSR) & LSR_DR, 0);
        assert_eq!(serial.enqueue_raw_bytes(b"from outside").unwrap(), 0, "cut off");
    }
}

/// Table: "sets loopback" and "sets loopback with OUT2 low". vm-superio holds 64 and interrupts
/// regardless.
#[test]
fn loopback_holds_a_fifo_and_out2_gates_it() {
    let event = Event::default();
    let mut serial = vm_uart::Serial::new(event.clone(), io::sink());
    serial.write(FCR, 0x01).unwrap();
    serial.write(MCR, MCR_LOOP).unwrap();
    serial.write(IER, IER_RECEIVED).unwrap();
    for value in 0..64 {
        serial.write(THR, value).unwrap();
    }
    assert_eq!(event.take(), 0);
    for value in 0..16 {
        assert_ne!(serial.read(LSR) & LSR_DR, 0);
        assert_eq!(serial.read(RBR), value);
    }
    assert_eq!(serial.read(LSR) & LSR_DR, 0);
}

for_both! {
    fn the_divisor_latch_is_behind_dlab(uart) {
        let mut serial = uart::Serial::new(Event::default(), io::sink());
        serial.write(LCR, 0x80).unwrap();
        serial.write(1, 0x12).unwrap();
        assert_eq!((serial.read(0), serial.read(1)), (0x0c, 0x12));
        serial.write(0, 0x34).unwrap();
        assert_eq!((serial.read(0), serial.read(1)), (0x34, 0x12));
        serial.write(LCR, 0x00).unwrap();
        assert_ne!(serial.read(0), 0x34);
        assert_ne!(serial.read(1), 0x12);
    }
}

for_both! {
    fn plain_registers_keep_what_is_written(uart) {
        let mut serial = uart::Serial::new(Event::default(), io::sink());
        for register in [LCR, MCR, SCR] {
            serial.write(register, 0x12).unwrap();
            assert_eq!(serial.read(register), 0x12);
        }
    }
}

for_both! {
    fn an_offset_beyond_seven_reads_zero_and_vanishes(uart) {
        let mut serial = uart::Serial::new(Event::default(), Vec::new());
        let before = serial.state();
        for offset in 8..=u8::MAX {
            serial.write(offset, 5).unwrap();
            assert_eq!(serial.read(offset), 0);
        }
        assert_eq!(serial.state(), before);
    }
}

for_both! {
    fn the_modem_status_follows_the_modem_control_in_loopback(uart) {
        let mut serial = uart::Serial::new(Event::default(), io::sink());
        assert_eq!(serial.read(MSR), 0xb0);
        for (control, status) in [(0x00, 0x00), (0x08, 0x80), (0x04, 0x40), (0x03, 0x30), (0x0f, 0xf0)] {
            serial.write(MCR, MCR_LOOP | control).unwrap();
            // The first read also shows the chip's deltas (table: "reads MSR after a change"); the
            // second is bare.
            assert_eq!(serial.read(MSR) & 0xf0, status);
            assert_eq!(serial.read(MSR), status);
        }
    }
}

for_both! {
    fn sixty_four_bytes_are_taken_and_no_more(uart) {
        let mut serial = uart::Serial::new(Event::default(), io::sink());
        let many = [1; 65];
        assert_eq!(serial.fifo_capacity(), 64);
        assert_eq!(serial.enqueue_raw_bytes(&many).unwrap(), 64);
        assert_eq!(serial.fifo_capacity(), 0);
        assert_eq!(serial.enqueue_raw_bytes(&[]).unwrap(), 0);
        assert!(matches!(serial.enqueue_raw_bytes(&[1]), Err(uart::serial::Error::FullFifo)));
        serial.read(RBR);
        assert_eq!(serial.enqueue_raw_bytes(&many[..2]).unwrap(), 1);
        assert_eq!(serial.fifo_capacity(), 0);
    }
}

for_both! {
    fn the_events_count_reads_writes_losses_and_an_empty_buffer(uart) {
        let counters = Arc::new(Counters::default());
        let mut one_byte = [0; 1];
        let mut serial = uart::Serial::with_events(Event::default(), counters.clone(), one_byte.as_mut());
        assert_eq!(counters.all(), [0, 0, 0, 0]);
        serial.read(RBR);
        assert_eq!(counters.all(), [1, 0, 0, 1], "an empty buffer tells that it is empty when read");
        serial.write(THR, 1).unwrap();
        assert_eq!(counters.all(), [1, 1, 0, 1]);
        serial.write(THR, 1).unwrap_err();
        assert_eq!(counters.all(), [1, 1, 1, 1]);
        serial.enqueue_raw_bytes(&[1, 2]).unwrap();
        serial.read(RBR);
        assert_eq!(counters.all(), [2, 1, 1, 1], "one byte is left");
        serial.read(RBR);
        assert_eq!(counters.all(), [3, 1, 1, 2]);
        // Reads of other registers, and of the divisor latch, are no reads of the buffer.
        serial.write(LCR, 0x80).unwrap();
        for register in 0..8 {
            serial.read(register);
        }
        assert_eq!(counters.all(), [3, 1, 1, 2]);
        assert_eq!(serial.events().all(), [3, 1, 1, 2]);
    }
}

for_both! {
    fn a_failing_writer_is_reported_and_thre_comes_all_the_same(uart) {
        let event = Event::default();
        let mut no_room = [0; 0];
        let mut serial = uart::Serial::new(event.clone(), no_room.as_mut());
        serial.write(IER, IER_THRE).unwrap();
        serial.read(IIR);
        event.take();
        for _ in 0..3 {
            let error = serial.write(THR, 5).unwrap_err();
            assert!(matches!(error, uart::serial::Error::IOError(error) if error.kind() == io::ErrorKind::WriteZero));
            assert_eq!(event.take(), 1);
            assert_eq!(serial.read(IIR) & 0x0f, 0x02);
        }
        serial.write(SCR, 1).unwrap();
    }
}

for_both! {
    fn a_flush_follows_each_byte(uart) {
        struct Buffered(Vec<u8>, Rc<RefCell<Vec<u8>>>);
        impl Write for Buffered {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.extend(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                self.1.borrow_mut().append(&mut self.0);
                Ok(())
            }
        }
        let seen = Rc::new(RefCell::new(Vec::new()));
        let mut serial = uart::Serial::new(Event::default(), Buffered(Vec::new(), seen.clone()));
        serial.write(THR, b'$').unwrap();
        assert_eq!(*seen.borrow(), b"$");
    }
}

for_both! {
    fn a_failing_trigger_is_reported_by_the_call_that_needed_it(uart) {
        let faulty = Faulty::default();
        let mut serial = uart::Serial::new(faulty.clone(), Vec::new());
        faulty.0.set(true);
        assert!(matches!(serial.write(IER, IER_THRE), Err(uart::serial::Error::Trigger(_))));
        assert!(matches!(serial.write(IER, IER_THRE | IER_RECEIVED), Ok(())));
        serial.read(IIR);
        assert!(matches!(serial.enqueue_raw_bytes(b"k"), Err(uart::serial::Error::Trigger(_))));
        faulty.0.set(false);
        assert_eq!(serial.read(RBR), b'k', "the byte was taken");
        serial.write(THR, b'x').unwrap();
        assert_eq!(serial.writer(), b"x");
    }
}

for_both! {
    fn a_new_port_has_the_default_state(uart) {
        assert_eq!(uart::Serial::new(Event::default(), Vec::new()).state(), uart::SerialState::default());
    }
}

for_both! {
    fn a_state_with_more_input_than_fits_is_refused(uart) {
        let state = uart::SerialState { in_buffer: vec![1; 65], ..uart::SerialState::default() };
        let refused = uart::Serial::from_state(&state, Event::default(), uart::serial::NoEvents, io::sink());
        assert!(matches!(refused, Err(uart::serial::Error::FullFifo)));
        let state = uart::SerialState { in_buffer: vec![1; 64], ..uart::SerialState::default() };
        assert!(uart::Serial::from_state(&state, Event::default(), uart::serial::NoEvents, io::sink()).is_ok());
    }
}

for_both! {
    fn a_pending_thre_interrupt_survives_a_restore(uart) {
        let mut before = uart::Serial::new(Event::default(), io::sink());
        before.write(IER, IER_THRE).unwrap();
        before.write(THR, b'a').unwrap();
        let event = Event::default();
        let mut after = uart::Serial::from_state(&before.state(), event.clone(), uart::serial::NoEvents, io::sink()).unwrap();
        assert_eq!(event.take(), 1);
        assert_eq!(after.read(IER), IER_THRE);
        assert_eq!(after.read(IIR) & 0x0f, 0x02);
    }
}

for_both! {
    fn a_pending_data_interrupt_survives_a_restore(uart) {
        let mut before = uart::Serial::new(Event::default(), io::sink());
        before.write(IER, IER_RECEIVED).unwrap();
        before.enqueue_raw_bytes(b"abc").unwrap();
        let event = Event::default();
        let mut after = uart::Serial::from_state(&before.state(), event.clone(), uart::serial::NoEvents, io::sink()).unwrap();
        assert_eq!(event.take(), 1);
        assert_eq!(after.read(IER), IER_RECEIVED);
        assert_eq!(after.read(IIR) & 0x0f, 0x04);
        for byte in *b"abc" {
            assert_eq!(after.read(RBR), byte);
        }
    }
}

/// A guest in the middle of its work moves from one to the other, either way.
mod snapshots_cross {
    use super::*;

    fn busy() -> vm_superio::SerialState {
        let mut guest = vm_superio::Serial::new(Event::default(), io::sink());
        guest.write(LCR, 0x80).unwrap();
        guest.write(0, 0x01).unwrap();
        guest.write(1, 0x02).unwrap();
        guest.write(LCR, 0x1b).unwrap();
        guest.write(MCR, 0x0b).unwrap();
        guest.write(SCR, 0x5a).unwrap();
        guest.write(IER, 0x07).unwrap();
        guest
            .enqueue_raw_bytes(&(0..64).collect::<Vec<u8>>())
            .unwrap();
        guest.state()
    }

    #[test]
    fn a_board_without_the_out2_gate_has_none_after_a_restore() {
        let state = vm_uart::SerialState {
            interrupt_enable: IER_RECEIVED,
            modem_control: 0,
            in_buffer: b"k".to_vec(),
            ..vm_uart::SerialState::default()
        };
        for (interrupt_gate, edges) in [
            (vm_uart::InterruptGate::None, 1),
            (vm_uart::InterruptGate::Out2, 0),
        ] {
            let event = Event::default();
            let config = vm_uart::Config {
                interrupt_gate,
                ..vm_uart::Config::default()
            };
            let events = vm_uart::serial::NoEvents;
            let restored = vm_uart::Serial::from_state_with_config(
                config,
                &state,
                event.clone(),
                events,
                Vec::new(),
            );
            assert_eq!(restored.unwrap().state().in_buffer, b"k");
            assert_eq!(event.take(), edges);
        }
    }

    #[test]
    fn an_old_snapshot_loads_with_every_register_and_byte() {
        let event = Event::default();
        let mut serial = vm_uart::Serial::from_state(
            &busy(),
            event.clone(),
            vm_uart::serial::NoEvents,
            Vec::new(),
        )
        .unwrap();
        assert_eq!(event.take(), 1);
        assert_eq!(serial.fifo_capacity(), 0);
        let registers = [LCR, MCR, SCR, IER].map(|register| serial.read(register));
        assert_eq!(registers, [0x1b, 0x0b, 0x5a, 0x07]);
        assert_eq!(
            serial.read(IIR),
            0xc4,
            "the FIFO is on, as vm-superio showed it"
        );
        for byte in 0..64 {
            assert_eq!(serial.read(RBR), byte);
        }
        serial.write(LCR, 0x80).unwrap();
        assert_eq!((serial.read(0), serial.read(1)), (0x01, 0x02));
    }

    #[test]
    fn a_driver_that_reads_one_byte_per_interrupt_gets_them_all() {
        let event = Event::default();
        let mut serial = vm_uart::Serial::from_state(
            &busy(),
            event.clone(),
            vm_uart::serial::NoEvents,
            Vec::new(),
        )
        .unwrap();
        let mut received = Vec::new();
        for _ in 0..1000 {
            if event.take() == 0 {
                break;
            }
            match serial.read(IIR) & 0x0f {
                0x04 | 0x0c => received.push(serial.read(RBR)),
                0x06 => drop(serial.read(LSR)),
                _ => {}
            }
        }
        assert_eq!(received, (0..64).collect::<Vec<u8>>());
    }

    #[test]
    fn a_new_snapshot_loads_in_vm_superio_too() {
        let mut ours = vm_uart::Serial::from_state(
            &busy(),
            Event::default(),
            vm_uart::serial::NoEvents,
            Vec::new(),
        )
        .unwrap();
        assert_eq!(ours.read(RBR), 0);
        let event = Event::default();
        let mut theirs = vm_superio::Serial::from_state(
            &ours.state(),
            event.clone(),
            vm_superio::serial::NoEvents,
            io::sink(),
        )
        .unwrap();
        assert!(event.take() > 0);
        for byte in 1..64 {
            assert_eq!(theirs.read(RBR), byte);
        }
        assert_eq!(theirs.read(MCR), 0x0b);
    }

    #[test]
    fn what_was_looped_back_is_restored_into_the_fifo() {
        let mut old = vm_superio::Serial::new(Event::default(), io::sink());
        old.write(MCR, MCR_LOOP | MCR_OUT2).unwrap();
        for byte in 0..16 {
            old.write(THR, byte).unwrap();
        }
        let mut new = vm_uart::Serial::from_state(
            &old.state(),
            Event::default(),
            vm_uart::serial::NoEvents,
            io::sink(),
        )
        .unwrap();
        for byte in 0..16 {
            assert_eq!(new.read(RBR), byte);
        }
    }

    #[test]
    fn any_register_values_load_without_panic() {
        for value in 0..=u8::MAX {
            let state = vm_uart::SerialState {
                baud_divisor_low: value,
                baud_divisor_high: value,
                interrupt_enable: value,
                interrupt_identification: value,
                line_control: value,
                line_status: value,
                modem_control: value,
                modem_status: value,
                scratch: value,
                in_buffer: vec![value; usize::from(value) % 65],
            };
            let mut serial = vm_uart::Serial::from_state(
                &state,
                Event::default(),
                vm_uart::serial::NoEvents,
                Vec::new(),
            )
            .unwrap();
            for register in 0..8 {
                serial.read(register);
            }
            serial.write(LCR, 0).unwrap();
            assert_eq!(serial.read(IER) & 0xf0, 0);
            assert_eq!(serial.read(MCR) & 0xe0, 0);
        }
    }
}

fn same_trait<T: vm_superio::Trigger>(trigger: &T) -> &impl vm_uart::Trigger {
    trigger
}

fn same_events<T: vm_superio::serial::SerialEvents>(
    events: &T,
) -> &impl vm_uart::serial::SerialEvents {
    events
}

for_both! {
    fn a_guest_that_polls_reads_restored_input_at_once(uart) {
        let state = uart::SerialState {
            line_status: 0x61,
            in_buffer: b"ab".to_vec(),
            ..uart::SerialState::default()
        };
        let events = uart::serial::NoEvents;
        let mut serial =
            uart::Serial::from_state(&state, Event::default(), events, io::sink()).unwrap();
        assert_eq!([serial.read(RBR), serial.read(RBR)], *b"ab");
        let mut serial =
            uart::Serial::from_state(&state, Event::default(), events, io::sink()).unwrap();
        assert_eq!(serial.read(LSR), 0x61);
    }
}

for_both! {
    fn every_public_item_is_there_with_its_type(uart) {
        use uart::serial::{Error, NoEvents, SerialEvents};
        use uart::{Serial, SerialState, Trigger};

        /// A VMM's own wrapper.
        #[derive(Debug)]
        struct Device<T: Trigger, EV: SerialEvents, W: Write>(Serial<T, EV, W>);

        fn sends_between_threads<T: Send>(_: &T) {}

        fn explained(error: &Error<io::Error>) -> String {
            match error {
                Error::Trigger(error) | Error::IOError(error) => error.to_string(),
                Error::FullFifo => (error as &dyn std::error::Error).to_string(),
            }
        }

        #[derive(Clone, Debug)]
        struct Silent;
        impl Trigger for Silent {
            type E = io::Error;
            fn trigger(&self) -> Result<(), Self::E> {
                Ok(())
            }
        }

        let state = SerialState {
            baud_divisor_low: 1,
            baud_divisor_high: 0,
            interrupt_enable: 0,
            interrupt_identification: 1,
            line_control: 3,
            line_status: 0x60,
            modem_control: 8,
            modem_status: 0xb0,
            scratch: 0x5a,
            in_buffer: b"k".to_vec(),
        };
        assert_eq!(state, state.clone());
        let counters = Arc::new(Counters::default());
        let sink: Vec<u8> = Vec::new();
        let restored: Result<Serial<Silent, Arc<Counters>, Vec<u8>>, Error<io::Error>> =
            Serial::from_state(&state, Silent, Arc::clone(&counters), sink);
        let mut device = Device(restored.unwrap());
        sends_between_threads(&device);
        let _: (&Silent, &Arc<Counters>) = (device.0.interrupt_evt(), device.0.events());
        let capacity: usize = device.0.fifo_capacity();
        assert_eq!((capacity, device.0.read(7)), (63, 0x5a));
        let written: Result<(), Error<io::Error>> = device.0.write(THR, b'x');
        written.unwrap();
        let taken: Result<usize, Error<io::Error>> = device.0.enqueue_raw_bytes(&[0; 100]);
        assert_eq!(taken.unwrap(), 63);
        let full = device.0.enqueue_raw_bytes(b"x").unwrap_err();
        assert_eq!(explained(&full), "No space left in FIFO");
        assert_eq!(device.0.read(RBR), b'k');
        assert_eq!(counters.all(), [1, 1, 0, 0]);
        let saved: SerialState = device.0.state();
        assert_eq!((saved.scratch, saved.in_buffer.len()), (0x5a, 63));
        let writer: &mut Vec<u8> = device.0.writer_mut();
        writer.push(b'y');
        let writer: &Vec<u8> = device.0.writer();
        assert_eq!(writer, b"xy");
        assert!(format!("{device:?}").contains("Device"));
        let writer: Vec<u8> = device.0.into_writer();
        assert_eq!(writer, b"xy");

        let events = NoEvents;
        let copy = events;
        events.out_byte();
        let _: Serial<Silent, NoEvents, io::Sink> = Serial::with_events(Silent, copy, io::sink());
        let _: Serial<Silent, NoEvents, io::Sink> = Serial::new(Silent, io::sink());
        assert_eq!(SerialState::default().line_status, 0x60);
    }
}

/// What VMMs import, by the paths they import it from.
#[test]
fn the_paths_of_vm_superio_exist() {
    type Ours = vm_uart::Serial<Event, vm_uart::serial::NoEvents, Vec<u8>>;
    let serial: vm_uart::serial::Serial<Event, vm_superio::serial::NoEvents, Vec<u8>> =
        Ours::new(Event::default(), Vec::new());
    let state: vm_superio::serial::SerialState = serial.state();
    let state: vm_uart::serial::SerialState = state;
    let state: vm_uart::SerialState = state;
    let _: vm_superio::SerialState = state;
    let error: vm_uart::serial::Error<()> = vm_superio::serial::Error::FullFifo;
    assert!(matches!(error, vm_uart::serial::Error::FullFifo));
    let _ = (
        same_trait(serial.interrupt_evt()),
        same_events(serial.events()),
    );
}
