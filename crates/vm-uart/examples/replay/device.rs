//! Our device, driven by a script.

use vm_uart::{Character, CharacterTimeout, Config, InterruptLine, Line, SerialPort};

use crate::script::{Answer, Chip, Op};

/// Counts rising edges.
#[derive(Default)]
struct EdgeCounter {
    level: bool,
    edges: u64,
}

impl InterruptLine for EdgeCounter {
    fn assert(&mut self) {
        self.level = true;
        self.edges += 1;
    }

    fn deassert(&mut self) {
        self.level = false;
    }
}

/// Keeps what was sent. Characters arrive unasked, as on a wire.
#[derive(Default)]
struct Sent(Vec<u8>);

impl Line for Sent {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        self.0.extend_from_slice(bytes);
        bytes.len()
    }
}

/// A PC's serial port with the chip's own character timeout.
pub(crate) struct Device(SerialPort<EdgeCounter, Sent>);

impl Device {
    /// Power-on.
    pub(crate) fn new() -> Self {
        let config = Config {
            character_timeout: CharacterTimeout::FourCharacters,
            ..Config::default()
        };
        Self(SerialPort::with_config(
            config,
            EdgeCounter::default(),
            Sent::default(),
        ))
    }
}

impl Chip for Device {
    fn apply(&mut self, op: &Op) -> Option<Answer> {
        let port = &mut self.0;
        match op {
            Op::Read { offset } => return Some(Answer::Register(port.read(*offset))),
            Op::Level => return Some(Answer::Level(port.interrupt().level)),
            Op::Edges => {
                return Some(Answer::Edges(std::mem::take(
                    &mut port.interrupt_mut().edges,
                )));
            }
            Op::Sent => return Some(Answer::Sent(std::mem::take(&mut port.line_mut().0))),
            Op::Write { offset, value } => port.write(*offset, *value),
            Op::Receive(bytes) => {
                for &byte in bytes {
                    let _: vm_uart::Received = port.receive(byte.into());
                }
            }
            Op::ReceiveBreak => {
                let _: vm_uart::Received = port.receive(Character::BREAK);
            }
            Op::Advance(nanoseconds) => port.advance(*nanoseconds),
            Op::Reset => port.reset(),
            Op::PowerCycle => {
                let old = std::mem::replace(self, Self::new());
                let (_, interrupt, line) = old.0.into_parts();
                let port = &mut self.0;
                *port.line_mut() = line;
                port.interrupt_mut().edges = interrupt.edges;
            }
            Op::Offer(_) | Op::OfferBreak | Op::Nothing => {}
        }
        None
    }
}
