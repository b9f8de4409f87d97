//! Whatever a guest, a host and a damaged snapshot do to a port, it never panics, and its
//! registers never contradict each other.
//!
//! ```text
//! cargo +nightly fuzz run registers CORPUS fuzz/seeds/registers
//! ```
//!
//! The line misbehaves as far as its type allows: it takes nothing, takes more than it was given,
//! and never runs out of input. At the end the exact number of accesses is printed.
#![no_main]

mod tally;

use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use vm_uart::bus::mmio::{Mmio, Stride};
use vm_uart::bus::{Width, pio};
use vm_uart::{
    Character, CharacterErrors, Config, InterruptGate, InterruptLine, Line, ModemInputs,
    SerialPort, Snapshot, Uart,
};

/// The configs that the number in an input chooses from.
static CONFIGS: LazyLock<Vec<Config>> = LazyLock::new(|| Config::every().collect());

#[derive(Arbitrary, Clone, Copy, Debug)]
struct Choices {
    config: u16,
    clock_hz: u32,
}

impl Choices {
    fn config(self) -> Config {
        Config {
            clock_hz: self.clock_hz,
            ..CONFIGS[usize::from(self.config) % CONFIGS.len()]
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Access {
    Read(u8),
    Write(u8, u8),
    ReadString(u8, u8),
    WriteString(u8, Vec<u8>),
    PortRead {
        offset: u64,
        width: u8,
        bytes: u8,
    },
    PortWrite {
        offset: u64,
        width: u8,
        data: Vec<u8>,
    },
    MemoryRead {
        stride: u8,
        offset: u64,
        bytes: u8,
    },
    MemoryWrite {
        stride: u8,
        offset: u64,
        data: Vec<u8>,
    },
    Receive {
        byte: u8,
        errors: u8,
    },
    Line {
        takes: u16,
        gives: u16,
        byte: u8,
        errors: u8,
    },
    Pump,
    Advance(u64),
    ReceiveBytes(Vec<u8>),
    /// The owner's clock may go backwards.
    KeepTime {
        seconds: u32,
        nanoseconds: u32,
    },
    Modem {
        cts: bool,
        dsr: bool,
        ri: bool,
        dcd: bool,
    },
    Reset,
    Migrate,
    /// One byte of the snapshot is damaged on the way.
    Damage {
        at: u16,
        value: u8,
    },
    /// A snapshot out of nothing, its version aside.
    Forge(Vec<u8>),
}

/// The level, and nothing may be told twice.
#[derive(Default)]
struct Level(bool);

impl InterruptLine for Level {
    fn assert(&mut self) {
        assert!(!std::mem::replace(&mut self.0, true), "asserted twice");
    }

    fn deassert(&mut self) {
        assert!(std::mem::replace(&mut self.0, false), "deasserted twice");
    }
}

#[derive(Default)]
struct Rude {
    takes: u16,
    gives: u16,
    character: Character,
}

impl Line for Rude {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        assert!(!bytes.is_empty(), "nothing to transmit");
        // The highest number is a lie.
        if self.takes == u16::MAX {
            usize::MAX
        } else {
            usize::from(self.takes)
        }
    }

    fn receive(&mut self) -> Option<Character> {
        self.gives = self.gives.checked_sub(1)?;
        Some(self.character)
    }
}

type Port = SerialPort<Level, Rude>;

fuzz_target!(|input: (Choices, Vec<Access>)| {
    let (choices, accesses) = input;
    let mut port = SerialPort::with_config(choices.config(), Level::default(), Rude::default());
    for access in &accesses {
        apply(&mut port, access);
        check(&mut port);
    }
    tally::add(accesses.len() as u64);
});

fn apply(port: &mut Port, access: &Access) {
    match access {
        Access::Read(offset) => {
            let value = port.read(*offset);
            assert!(
                *offset < 8 || value == 0xff,
                "offset {offset} is not decoded"
            );
        }
        Access::Write(offset, value) => port.write(*offset, *value),
        Access::ReadString(offset, count) => {
            port.read_string(*offset, &mut vec![0; usize::from(*count)]);
        }
        Access::WriteString(offset, data) => port.write_string(*offset, data),
        Access::PortRead {
            offset,
            width,
            bytes,
        } => {
            pio::read(
                port,
                *offset,
                self::width(*width),
                &mut vec![0; usize::from(*bytes)],
            );
        }
        Access::PortWrite {
            offset,
            width,
            data,
        } => {
            pio::write(port, *offset, self::width(*width), data);
        }
        Access::MemoryRead {
            stride,
            offset,
            bytes,
        } => {
            window(*stride).read(port, *offset, &mut vec![0; usize::from(*bytes)]);
        }
        Access::MemoryWrite {
            stride,
            offset,
            data,
        } => {
            window(*stride).write(port, *offset, data);
        }
        Access::Receive { byte, errors } => {
            let _: vm_uart::Received = port.receive(character(*byte, *errors));
        }
        Access::Line {
            takes,
            gives,
            byte,
            errors,
        } => {
            let character = character(*byte, *errors);
            *port.line_mut() = Rude {
                takes: *takes,
                gives: *gives,
                character,
            };
            port.pump();
        }
        Access::Pump => port.pump(),
        Access::Advance(nanoseconds) => port.advance(*nanoseconds),
        Access::ReceiveBytes(bytes) => {
            let taken = port.receive_bytes(bytes);
            assert!(taken <= bytes.len(), "{taken} of {}", bytes.len());
        }
        Access::KeepTime {
            seconds,
            nanoseconds,
        } => {
            let now = Duration::from_secs((*seconds).into())
                + Duration::from_nanos((*nanoseconds).into());
            let wait = port.keep_time(now);
            assert!(
                wait != Some(Duration::ZERO),
                "a timeout that is due was not raised"
            );
            // Punctual, so the timeout that was waited for is there, or a later one counts.
            if let Some(wait) = wait {
                port.keep_time(now + wait);
            }
        }
        Access::Modem { cts, dsr, ri, dcd } => {
            port.set_modem_inputs(ModemInputs {
                cts: *cts,
                dsr: *dsr,
                ri: *ri,
                dcd: *dcd,
            });
        }
        Access::Reset => port.reset(),
        Access::Migrate => {
            let snapshot = port.snapshot();
            let uart = Uart::restore(*port.uart().config(), &snapshot);
            assert_eq!(
                uart.as_ref(),
                Ok(port.uart()),
                "a snapshot is not the whole chip"
            );
            port.restore(&snapshot).expect("a snapshot of our own");
        }
        Access::Damage { at, value } => {
            let mut bytes = port.snapshot().to_bytes();
            let at = usize::from(*at) % bytes.len();
            bytes[at] = *value;
            restore(port, &bytes);
        }
        Access::Forge(bytes) => {
            let mut whole = [0; Snapshot::SIZE];
            let count = bytes.len().min(whole.len());
            whole[..count].copy_from_slice(&bytes[..count]);
            whole[..2].copy_from_slice(&Snapshot::VERSION.to_le_bytes());
            restore(port, &whole);
            restore(port, bytes);
        }
    }
}

/// Takes a dubious snapshot, or refuses it and changes nothing.
fn restore(port: &mut Port, bytes: &[u8]) {
    let before = port.uart().clone();
    let restored = Snapshot::from_bytes(bytes).and_then(|snapshot| port.restore(&snapshot));
    match restored {
        Ok(()) => assert!(Uart::restore(*port.uart().config(), &port.snapshot()).is_ok()),
        Err(_) => assert!(*port.uart() == before, "a refused snapshot left traces"),
    }
}

/// What holds in every state.
fn check(port: &mut Port) {
    let uart = port.uart();
    let config = *uart.config();
    assert_eq!(
        port.interrupt().0,
        uart.interrupt_asserted(),
        "the line lags behind"
    );
    let received = uart.received().count();
    assert!(
        received <= config.fifo.characters(),
        "{received} characters in the FIFO"
    );

    // Reading has effects: ask a copy.
    let mut asked = uart.clone();
    let iir = asked.read(2);
    let lsr = asked.read(5);
    asked.write(3, 0x03);
    let (ier, mcr) = (asked.read(1), asked.read(4));
    assert!(
        matches!(iir & 0x3f, 0x00 | 0x01 | 0x02 | 0x04 | 0x06 | 0x0c),
        "IIR {iir:02x}"
    );
    assert!(matches!(iir & 0xc0, 0x00 | 0xc0), "IIR {iir:02x}");
    assert!(iir & 0xc0 != 0 || received <= 1, "a FIFO without FIFO");
    assert_eq!(ier & 0xf0, 0, "IER {ier:02x}");
    assert_eq!(
        mcr & if config.auto_flow_control { 0xc0 } else { 0xe0 },
        0,
        "MCR {mcr:02x}"
    );
    assert_eq!(lsr & 0x01 != 0, received > 0, "DR");
    assert_eq!(lsr & 0x20 != 0, lsr & 0x40 != 0, "THRE and TEMT");
    assert!(
        lsr & 0x01 != 0 || lsr & 0x9c == 0,
        "errors without a character"
    );
    let open = config.interrupt_gate == InterruptGate::None || mcr & 0x08 != 0;
    assert_eq!(
        uart.interrupt_asserted(),
        open && iir & 0x01 == 0,
        "IIR and the line"
    );
}

fn character(byte: u8, errors: u8) -> Character {
    Character {
        byte,
        errors: CharacterErrors::from_bits_truncate(errors),
    }
}

fn width(choice: u8) -> Width {
    [Width::Byte, Width::Word, Width::Dword, Width::Qword][usize::from(choice % 4)]
}

fn window(choice: u8) -> Mmio {
    Mmio::new([Stride::One, Stride::Two, Stride::Four, Stride::Eight][usize::from(choice % 4)])
}
