//! Our port and the model side by side: each access goes to both, and everything that can be seen
//! from outside must be the same afterwards.
//!
//! The property tests, the walk and the fuzz targets include this file by path; whoever does also
//! has the model as `crate::model`.
#![allow(dead_code, missing_docs, unreachable_pub)] // each of its users needs another part
#![allow(clippy::missing_panics_doc, clippy::must_use_candidate)] // panicking is what it is for

use std::collections::VecDeque;
use std::sync::LazyLock;

use vm_uart::config::PC_CLOCK_HZ;
use vm_uart::{
    Character, CharacterErrors, CharacterTimeout, Config, FifoDepth, InterruptGate, InterruptLine,
    Line, ModemInputs, PowerOn, ReceiveAhead, ReceiveGate, SerialPort,
};

use crate::model::{Arrival, Inputs, Model, OUT2, Timeout, Wiring};

/// Anything that can happen to a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    Read(u8),
    Write(u8, u8),
    /// `rep insb` of so many bytes.
    ReadString(u8, u8),
    /// `rep outsb`.
    WriteString(u8, Vec<u8>),
    /// The host puts characters where the port can fetch them.
    Offer(Vec<Arrival>),
    /// A character arrives unasked.
    Arrive(Arrival),
    Advance(u64),
    /// CTS, DSR, RI and DCD in bits 4 to 7.
    Inputs(u8),
    /// The line takes this many more bytes, or any number.
    LineTakes(Option<u8>),
    Reset,
    /// The port goes through a snapshot in bytes, into a new port.
    Migrate,
}

/// The configs that the numbers in scripts and seeds stand for.
static CONFIGS: LazyLock<Vec<Config>> = LazyLock::new(|| Config::every().collect());

/// The model chip with the host's side of the port: what waits outside, and when it enters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::struct_excessive_bools)] // independent conditions
pub struct ModelPort {
    pub chip: Model,
    pub host: VecDeque<Arrival>,
    /// Input enters only up to the trigger level.
    up_to_trigger: bool,
    /// Input waits for a driver.
    gated: bool,
    /// FCR was written by a guest that does not listen: its next access comes before input.
    waits: bool,
    /// Answers of IIR in a row that named an interrupt, each after RBR or THR had been used.
    pub passes: u16,
    pub served: bool,
    pub looked: bool,
}

/// Passes of a handler after which IIR says none once.
const PASSES: u16 = 400;

impl ModelPort {
    /// Power-on. The model has to know every option: without `..`, a new one does not compile here.
    fn new(config: &Config) -> Self {
        let Config {
            fifo,
            interrupt_gate,
            auto_flow_control,
            character_timeout,
            receive_ahead,
            receive_gate,
            power_on,
            clock_hz,
        } = *config;
        assert_eq!(clock_hz, PC_CLOCK_HZ, "the model has the PC's crystal");
        let wiring = Wiring {
            out2_gates: match interrupt_gate {
                InterruptGate::Out2 => true,
                InterruptGate::None => false,
            },
            timeout: match character_timeout {
                CharacterTimeout::WhenDrained => Timeout::WhenDrained,
                CharacterTimeout::FourCharacters => Timeout::FourCharacters,
            },
            fifo_depth: match fifo {
                FifoDepth::Sixteen => 16,
                FifoDepth::SixtyFour => 64,
            },
            auto_flow: auto_flow_control,
            programmed: match power_on {
                PowerOn::MasterReset => false,
                PowerOn::Programmed => true,
            },
        };
        Self {
            chip: Model::new(wiring),
            host: VecDeque::new(),
            up_to_trigger: match receive_ahead {
                ReceiveAhead::TriggerLevel => true,
                ReceiveAhead::Full => false,
            },
            gated: match receive_gate {
                ReceiveGate::Open => false,
                ReceiveGate::UntilInterruptEnabled => true,
            },
            waits: false,
            passes: 0,
            served: false,
            looked: false,
        }
    }

    fn listens(&self) -> bool {
        self.chip.ier & 1 != 0 && (!self.chip.wiring.out2_gates || self.chip.mcr & OUT2 != 0)
    }

    fn admits(&self) -> bool {
        let limit = if !self.chip.fifo_on {
            1
        } else if self.up_to_trigger {
            self.chip.trigger
        } else {
            self.chip.depth()
        };
        let gate_open = !self.gated || self.listens() && self.chip.mcr & 1 != 0;
        !self.chip.in_loopback() && self.chip.rx.len() < limit && !self.chip.rts_held && gate_open
    }

    fn pull(&mut self) {
        self.waits = false;
        while self.admits() {
            let Some(arrival) = self.host.pop_front() else {
                break;
            };
            self.chip.receive(arrival);
        }
        self.chip.host_ran_dry();
    }

    fn read(&mut self, offset: u8) -> u8 {
        if offset == 2 && self.passes_are_over() {
            // The line has been low for a moment.
            self.chip.edges += u64::from(self.chip.line());
            return 1 | if self.chip.fifo_on { 0xc0 } else { 0 };
        }
        let value = self.chip.read(offset);
        self.served |= offset == 0 && !self.chip.dlab();
        self.looked |= offset == 5;
        self.pull();
        value
    }

    fn passes_are_over(&mut self) -> bool {
        let looked = std::mem::take(&mut self.looked);
        self.passes += u16::from(std::mem::take(&mut self.served) && looked);
        let pending = self.chip.interrupt_id() != 1;
        let over = self.passes > PASSES;
        if over || !pending {
            self.passes = 0;
        }
        over && pending
    }

    fn write(&mut self, offset: u8, value: u8) {
        self.served |= offset == 0 && !self.chip.dlab();
        self.chip.write(offset, value);
        match offset {
            2 if !self.listens() => self.waits = true,
            // What waits goes on waiting; a looped character is the last.
            0 => self.chip.host_ran_dry(),
            7 => {}
            _ => self.pull(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Probe {
    level: bool,
    edges: u64,
}

impl InterruptLine for Probe {
    fn assert(&mut self) {
        assert!(!self.level, "asserted twice");
        self.level = true;
        self.edges += 1;
    }

    fn deassert(&mut self) {
        assert!(self.level, "deasserted twice");
        self.level = false;
    }

    fn next_cause(&mut self) {
        assert!(self.level, "a next cause without a first");
    }
}

#[derive(Clone, Debug, Default)]
struct Wire {
    takes: Option<usize>,
    sent: Vec<u8>,
    host: VecDeque<Character>,
    outputs: u8,
}

impl Line for Wire {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        assert!(!bytes.is_empty(), "nothing to transmit");
        let taken = self
            .takes
            .map_or(bytes.len(), |takes| takes.min(bytes.len()));
        self.sent.extend_from_slice(&bytes[..taken]);
        if let Some(takes) = &mut self.takes {
            *takes -= taken;
        }
        taken
    }

    fn receive(&mut self) -> Option<Character> {
        self.host.pop_front()
    }

    fn outputs(&mut self, outputs: vm_uart::Outputs) {
        self.outputs = u8::from(outputs.dtr)
            | u8::from(outputs.rts) << 1
            | u8::from(outputs.out1) << 2
            | u8::from(outputs.out2) << 3
            | u8::from(outputs.break_) << 6;
    }
}

/// The two, always after the same accesses.
#[derive(Clone, Debug)]
pub struct Pair {
    config: Config,
    port: SerialPort<Probe, Wire>,
    pub model: ModelPort,
}

impl Pair {
    /// Power-on.
    ///
    /// # Panics
    ///
    /// If the clock is not the PC's: the model knows no other.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            port: SerialPort::with_config(config, Probe::default(), Wire::default()),
            model: ModelPort::new(&config),
        }
    }

    /// The port's chip as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        self.port.snapshot().to_bytes().to_vec()
    }

    /// Does one access to both and compares them.
    ///
    /// # Panics
    ///
    /// If they differ.
    pub fn apply(&mut self, access: &Access) {
        let (port, model) = (&mut self.port, &mut self.model);
        let edges = (port.interrupt().edges, model.chip.edges);
        let mut is_string = false;
        match access {
            Access::Read(offset) => {
                assert_eq!(port.read(*offset), model.read(*offset), "{access:?}");
            }
            Access::Write(offset, value) => {
                port.write(*offset, *value);
                model.write(*offset, *value);
            }
            Access::ReadString(offset, count) => {
                let mut ours = vec![0; usize::from(*count)];
                port.read_string(*offset, &mut ours);
                let theirs: Vec<_> = (0..*count).map(|_| model.read(*offset)).collect();
                assert_eq!(ours, theirs, "{access:?}");
                is_string = true;
            }
            Access::WriteString(offset, bytes) => {
                port.write_string(*offset, bytes);
                for &byte in bytes {
                    model.write(*offset, byte);
                }
                is_string = true;
            }
            Access::Offer(arrivals) => {
                port.line_mut()
                    .host
                    .extend(arrivals.iter().copied().map(character));
                model.host.extend(arrivals);
                port.pump();
                model.pull();
            }
            Access::Arrive(arrival) => {
                let _: vm_uart::Received = port.receive(character(*arrival));
                model.chip.receive(*arrival);
                model.chip.host_ran_dry();
            }
            Access::Advance(nanoseconds) => {
                port.advance(*nanoseconds);
                model.chip.advance(*nanoseconds);
            }
            Access::Inputs(bits) => {
                let pin = |bit: u8| bits >> bit & 1 != 0;
                let (cts, dsr, ri, dcd) = (pin(4), pin(5), pin(6), pin(7));
                port.set_modem_inputs(ModemInputs { cts, dsr, ri, dcd });
                model.chip.set_inputs(Inputs { cts, dsr, ri, dcd });
                model.pull();
            }
            Access::LineTakes(takes) => {
                let takes = takes.map(usize::from);
                port.line_mut().takes = takes;
                port.pump();
                model.chip.set_line_takes(takes);
                model.pull();
            }
            Access::Reset => {
                port.reset();
                model.chip.reset();
                model.pull();
            }
            Access::Migrate => self.migrate(),
        }
        let (port, model) = (&mut self.port, &mut self.model);
        let edges = (port.interrupt().edges - edges.0, model.chip.edges - edges.1);
        if is_string {
            // Edges within a string are merged, and count only if the line stays high.
            assert_eq!(
                edges.0,
                edges.1.min(u64::from(model.chip.line())),
                "edges of {access:?}"
            );
        } else {
            assert_eq!(edges.0, edges.1, "edges of {access:?}");
        }
        self.compare(access);
    }

    /// The snapshot goes into a new port, with the line that the old one had.
    fn migrate(&mut self) {
        let bytes = self.port.snapshot().to_bytes();
        let snapshot = vm_uart::Snapshot::from_bytes(&bytes).expect("bytes of our own");
        let old = self.port.line_mut();
        let wire = std::mem::take(old);
        let edges = self.port.interrupt().edges;
        let lost = self.port.lost();
        let mut port = SerialPort::with_config(
            self.config,
            Probe {
                level: false,
                edges,
            },
            wire,
        );
        port.restore(&snapshot).expect("a snapshot of our own");
        assert_eq!(port.snapshot().to_bytes().len(), bytes.len());
        self.port = port;
        // The new port counts losses from 0, and rings again for what is pending.
        self.model.chip.lost -= lost;
        (self.model.passes, self.model.served, self.model.looked) = (0, false, false);
        self.model.chip.was_high = false;
        self.model.chip.watch_line();
    }

    fn compare(&mut self, access: &Access) {
        let (port, model) = (&mut self.port, &mut self.model);
        let (uart, chip) = (port.uart(), &mut model.chip);
        assert_eq!(port.interrupt().level, chip.line(), "line after {access:?}");
        assert_eq!(
            uart.interrupt_asserted(),
            chip.line(),
            "line of Uart after {access:?}"
        );
        assert_eq!(
            uart.pending_interrupt().code(),
            chip.interrupt_id(),
            "IIR after {access:?}"
        );
        assert!(
            uart.received().eq(chip.rx.iter().copied().map(character)),
            "receiver after {access:?}"
        );
        assert_eq!(
            port.line().outputs,
            chip.outputs(),
            "outputs after {access:?}"
        );
        assert_eq!(port.lost(), chip.lost, "lost after {access:?}");
        assert_eq!(
            port.line().host.len(),
            model.host.len(),
            "waiting input after {access:?}"
        );
        let chip = &mut model.chip;
        assert_eq!(port.line().sent, chip.sent, "sent after {access:?}");
        port.line_mut().sent.clear();
        chip.sent.clear();
    }
}

fn character(arrival: Arrival) -> Character {
    let mut errors = CharacterErrors::empty();
    errors.set(CharacterErrors::PARITY, arrival.parity);
    errors.set(CharacterErrors::FRAMING, arrival.framing);
    errors.set(CharacterErrors::BREAK, arrival.break_);
    Character {
        byte: arrival.byte,
        errors,
    }
}

/// Reads accesses out of arbitrary bytes: most bytes are an access of their own with one operand.
/// The first two choose one of [`Config::every`], for [`Pair::new`].
pub struct Script<'a> {
    bytes: std::slice::Iter<'a, u8>,
}

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> (Config, Self) {
        let mut bytes = bytes.iter();
        let mut choice = || bytes.next().copied().unwrap_or_default();
        let choice = u16::from_le_bytes([choice(), choice()]);
        let config = CONFIGS[usize::from(choice) % CONFIGS.len()];
        (config, Self { bytes })
    }

    /// The next access; `None` when the bytes are used up.
    fn decode(&mut self) -> Option<Access> {
        const STEPS: [u64; 8] = [
            1,
            1_000,
            43_403,
            86_805,
            347_222,
            1_041_667,
            4_166_667,
            u64::MAX,
        ];
        let verb = *self.bytes.next()?;
        let mut operand = || self.bytes.next().copied();
        Some(match verb {
            0..64 => Access::Read(verb & 7),
            64..128 => Access::Write(0, operand()?),
            128..144 => Access::Write(1, operand()?),
            144..156 => Access::Write(2, operand()?),
            // Half of them without DLAB.
            156..166 => Access::Write(3, operand()? & if verb & 1 == 0 { 0x7f } else { 0xff }),
            166..176 => Access::Write(4, operand()?),
            176..184 => Access::Write(verb & 7, operand()?),
            184..200 => {
                let count = usize::from(verb - 183);
                let bytes = self.bytes.by_ref().take(count);
                Access::Offer(bytes.map(|&byte| Arrival::clean(byte)).collect())
            }
            200 => Access::Offer(vec![Arrival::BREAK]),
            201 => Access::Offer(vec![Arrival::clean(b'a'), bad(operand()?), Arrival::BREAK]),
            202..206 => Access::Arrive(Arrival::clean(operand()?)),
            206 => Access::Arrive(bad(operand()?)),
            207 => Access::Arrive(Arrival::BREAK),
            208..216 => {
                let step = STEPS[usize::from(verb & 7)];
                Access::Advance(step.saturating_mul(u64::from(operand()? % 8)))
            }
            216..220 => Access::Inputs(operand()?),
            220..224 => Access::LineTakes(Some(operand()? % 20)),
            224..228 => Access::LineTakes(None),
            228 => Access::Reset,
            229..232 => Access::Migrate,
            232..240 => Access::ReadString(verb & 7, operand()? % 40),
            240..=255 => {
                let offset = if verb & 8 == 0 { 0 } else { verb & 7 };
                let count = usize::from(operand()? % 40);
                Access::WriteString(offset, self.bytes.by_ref().take(count).copied().collect())
            }
        })
    }
}

impl Iterator for Script<'_> {
    type Item = Access;

    fn next(&mut self) -> Option<Access> {
        self.decode()
    }
}

/// A character with at least one error.
fn bad(bits: u8) -> Arrival {
    Arrival {
        byte: bits,
        parity: bits & 1 != 0,
        framing: bits & 3 != 1,
        break_: bits & 7 == 7,
    }
}

/// Runs what the bytes say and counts the accesses.
pub fn run(bytes: &[u8]) -> u64 {
    let (config, script) = Script::new(bytes);
    let mut pair = Pair::new(config);
    let mut count = 0;
    for access in script {
        // What the host has on offer is bounded elsewhere; here by this.
        if matches!(access, Access::Offer(_)) && pair.model.host.len() > 200 {
            continue;
        }
        pair.apply(&access);
        count += 1;
    }
    count
}
