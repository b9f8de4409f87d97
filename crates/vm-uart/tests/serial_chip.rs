//! What the drop-in has beyond `vm_superio::Serial`: all that the chip has.
#![cfg(feature = "vm-superio")]

mod machine;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use machine::{Bell, DLL, FCR, IER, IIR, LCR, LSR, MCR, MSR, RBR, SCR, THR};
use vm_uart::bus::{Width, pio};
use vm_uart::serial::{Error, NoEvents, SerialEvents};
use vm_uart::{Character, CharacterTimeout, Config, Line, ModemInputs, Outputs, Received, Serial};

/// Counts how often the VMM was told that it may read its input again.
#[derive(Clone, Default)]
struct Empty(Rc<Cell<u32>>);

impl SerialEvents for Empty {
    fn buffer_read(&self) {}
    fn out_byte(&self) {}
    fn tx_lost_byte(&self) {}
    fn in_buffer_empty(&self) {
        self.0.set(self.0.get() + 1);
    }
}

type Drop = Serial<Bell, NoEvents, Vec<u8>>;

fn with(config: Config) -> (Drop, Bell) {
    let bell = Bell::default();
    (
        Serial::with_config(config, bell.clone(), NoEvents, Vec::new()),
        bell,
    )
}

fn write(serial: &mut Drop, accesses: &[(u8, u8)]) {
    for &(register, value) in accesses {
        serial.write(register, value).unwrap();
    }
}

#[test]
fn a_vmm_is_told_when_a_reset_takes_the_last_input_away() {
    for clear in [
        (|serial| serial.write(FCR, 0x03)) as fn(&mut Serial<Bell, Empty, io::Sink>) -> _,
        |serial| serial.write(FCR, 0x00),
        |serial| serial.write_string(FCR, &[0x03]),
        Serial::reset,
    ] {
        let empty = Empty::default();
        let mut serial = Serial::with_events(Bell::default(), empty.clone(), io::sink());
        serial.write(FCR, 0xc1).unwrap();
        serial.enqueue_raw_bytes(&[7; 5]).unwrap();
        assert_eq!(empty.0.get(), 0);
        clear(&mut serial).unwrap();
        assert_eq!((empty.0.get(), serial.fifo_capacity()), (1, 64));
        clear(&mut serial).unwrap();
        assert_eq!(empty.0.get(), 1, "there was nothing to take away");
    }
}

#[test]
fn a_vmm_is_not_told_while_input_still_waits() {
    let empty = Empty::default();
    let mut serial = Serial::with_events(Bell::default(), empty.clone(), io::sink());
    serial.write(FCR, 0xc1).unwrap();
    serial.enqueue_raw_bytes(&[7; 20]).unwrap();
    serial.write(FCR, 0xc3).unwrap();
    assert_eq!((empty.0.get(), serial.fifo_capacity()), (0, 58));
    serial.read(LSR); // input enters with the access after a flush
    for _ in 0..6 {
        serial.read(RBR);
    }
    assert_eq!(empty.0.get(), 1);
}

#[test]
fn modem_inputs_change_msr_and_interrupt() {
    let (mut serial, bell) = with(Config::default());
    write(&mut serial, &[(IER, 0x08)]);
    let inputs = ModemInputs {
        dcd: false,
        ..ModemInputs::default()
    };
    serial.set_modem_inputs(inputs).unwrap();
    assert_eq!(bell.rung(), 1);
    assert_eq!((serial.read(IIR), serial.read(MSR)), (0x00, 0x38));
}

#[test]
fn a_break_comes_in_its_place() {
    let (mut serial, _) = with(Config::default());
    write(&mut serial, &[(FCR, 0xc1), (IER, 0x05)]);
    serial.enqueue_raw_bytes(b"a").unwrap();
    assert!(serial.enqueue_break().unwrap());
    serial.enqueue_raw_bytes(b"b").unwrap();
    assert_eq!((serial.read(LSR), serial.read(RBR)), (0xe1, b'a'));
    assert_eq!((serial.read(LSR), serial.read(RBR)), (0xf9, 0));
    assert_eq!((serial.read(LSR), serial.read(RBR)), (0x61, b'b'));

    serial.enqueue_raw_bytes(&[7; 64]).unwrap();
    assert!(matches!(serial.enqueue_break(), Err(Error::FullFifo)));
    write(&mut serial, &[(MCR, 0x18)]);
    assert!(!serial.enqueue_break().unwrap());
}

#[test]
fn characters_that_arrive_unasked_are_lost_as_on_the_chip_and_counted() {
    let (mut serial, _) = with(Config::default());
    write(&mut serial, &[(FCR, 0x01)]);
    for _ in 0..16 {
        assert_eq!(serial.receive(b'a'.into()).unwrap(), Received::Stored);
    }
    assert_eq!(serial.receive(Character::BREAK).unwrap(), Received::Overrun);
    assert_eq!((serial.missed(), serial.read(LSR)), (1, 0x63));
}

#[test]
fn the_character_timeout_comes_by_the_owners_clock() {
    let (mut serial, bell) = with(Config {
        character_timeout: CharacterTimeout::FourCharacters,
        ..Config::default()
    });
    write(
        &mut serial,
        &[(LCR, 0x83), (DLL, 1), (LCR, 0x03), (FCR, 0x81), (IER, 0x01)],
    );
    serial.enqueue_raw_bytes(b"k").unwrap();
    let now = Duration::from_secs(1);
    let wait = serial.keep_time(now).unwrap().unwrap();
    assert_eq!(bell.rung(), 0);
    assert_eq!(serial.keep_time(now + wait).unwrap(), None);
    assert_eq!((bell.rung(), serial.read(IIR)), (1, 0xcc));

    serial.enqueue_raw_bytes(&[7; 9]).unwrap();
    assert!(!serial.timeout_started());
    serial.read(RBR);
    serial.read(RBR);
    serial.read(RBR);
    assert!(serial.timeout_started());
    assert!(!serial.timeout_started(), "once");
    serial.advance(347_222).unwrap();
    assert_eq!(serial.read(IIR), 0xcc);
}

#[test]
fn a_reset_port_is_as_new_and_keeps_the_input_that_waits() {
    let (mut serial, _) = with(Config::default());
    write(&mut serial, &[(FCR, 0xc1), (MCR, 0x03), (SCR, 0x5a)]);
    serial.enqueue_raw_bytes(&[7; 20]).unwrap();
    serial.reset().unwrap();
    assert_eq!(
        [LCR, MCR, SCR].map(|register| serial.read(register)),
        [3, 8, 0]
    );
    assert_eq!(serial.fifo_capacity(), 58, "14 were in the FIFO");
    assert_eq!(serial.read(RBR), 7);
}

#[test]
fn a_snapshot_holds_what_a_vm_superio_state_cannot() {
    let (mut old, _) = with(Config::default());
    write(&mut old, &[(FCR, 0x81), (IER, 0x07)]);
    old.enqueue_raw_bytes(&[7; 10]).unwrap();
    old.enqueue_break().unwrap();
    let waiting: Vec<_> = old.waiting_input().collect();
    assert_eq!(waiting, [7.into(), 7.into(), Character::BREAK]);

    let (mut new, bell) = with(Config::default());
    new.restore(&old.snapshot(), waiting.clone()).unwrap();
    assert_eq!(bell.rung(), 1);
    assert_eq!(new.snapshot(), old.snapshot());
    assert!(new.waiting_input().eq(old.waiting_input()));

    let many = vec![Character::from(7); 57];
    assert!(matches!(
        new.restore(&old.snapshot(), many),
        Err(Error::FullFifo)
    ));
    let mut damaged = old.snapshot();
    damaged.ier = 0xff;
    assert!(matches!(
        new.restore(&damaged, None),
        Err(Error::IOError(_))
    ));
    assert!(new.waiting_input().eq(waiting), "nothing has changed");
}

#[test]
fn the_bus_adapters_take_it() {
    let (mut serial, bell) = with(Config::default());
    write(&mut serial, &[(IER, 0x02)]);
    pio::write(&mut serial, u64::from(THR), Width::Byte, b"string");
    assert_eq!(serial.writer(), b"string");
    assert_eq!(bell.rung(), 2, "one for IER, one for the string");
    serial.enqueue_raw_bytes(b"ab").unwrap();
    let mut read = [0; 2];
    pio::read(&mut serial, u64::from(RBR), Width::Byte, &mut read);
    assert_eq!(&read, b"ab");
}

#[test]
fn what_the_trigger_refuses_is_counted() {
    struct Refuses;
    impl vm_uart::Trigger for Refuses {
        type E = &'static str;
        fn trigger(&self) -> Result<(), Self::E> {
            Err("full")
        }
    }
    let mut serial = Serial::new(Refuses, Vec::new());
    pio::write(&mut serial, u64::from(IER), Width::Byte, &[0x02]);
    assert_eq!(serial.trigger_failures(), 1);
    assert!(matches!(serial.reset(), Ok(())));
    serial.write(IER, 0x08).unwrap();
    let inputs = ModemInputs {
        cts: false,
        ..ModemInputs::default()
    };
    assert!(matches!(
        serial.set_modem_inputs(inputs),
        Err(Error::Trigger("full"))
    ));
}

/// Paper and keyboard that a writer could not be.
#[derive(Default)]
struct Teletype {
    paper: Vec<u8>,
    room: usize,
    keys: Vec<u8>,
    outputs: Option<Outputs>,
}

impl io::Write for Teletype {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Line for Teletype {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        let taken = self.room.min(bytes.len());
        self.room -= taken;
        self.paper.extend(&bytes[..taken]);
        taken
    }
    fn receive(&mut self) -> Option<Character> {
        self.keys.pop().map(Character::from)
    }
    fn outputs(&mut self, outputs: Outputs) {
        self.outputs = Some(outputs);
    }
}

#[test]
fn a_writer_that_is_a_line_is_used_as_one() {
    let mut serial = Serial::new(Bell::default(), Teletype::default());
    serial.write(THR, b'.').unwrap();
    serial.use_line();
    assert!(serial.writer().outputs.is_some_and(|outputs| outputs.out2));

    serial.writer_mut().room = 2;
    serial.write(FCR, 0x01).unwrap();
    serial.write_string(THR, b"abc").unwrap();
    assert_eq!(
        (serial.read(LSR), &serial.writer().paper[..]),
        (0, &b"ab"[..])
    );
    serial.writer_mut().room = 9;
    serial.pump().unwrap();
    assert_eq!(
        (serial.read(LSR), &serial.writer().paper[..]),
        (0x60, &b"abc"[..])
    );

    serial.enqueue_raw_bytes(b"1").unwrap();
    serial.writer_mut().keys = b"32".to_vec();
    assert_eq!([(); 3].map(|()| serial.read(RBR)), *b"123");
    serial.write(MCR, 0x01).unwrap();
    assert!(serial.writer().outputs.is_some_and(|outputs| outputs.dtr));
}
