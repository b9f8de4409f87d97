//! What a board designer chooses: the wiring around the chip and the few parts that differ between its descendants.

use crate::registers::TriggerLevel;

/// The input clock of the PC's serial ports, in hertz: a divisor of 1 gives 115,200 baud (section 8.3, Table III).
pub const PC_CLOCK_HZ: u32 = 1_843_200;

/// Choices that a guest cannot make. [`Config::default`] is the serial port of a PC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Depth of both FIFOs.
    pub fifo: FifoDepth,
    /// Whether MCR.OUT2 lets the interrupt out.
    pub interrupt_gate: InterruptGate,
    /// MCR bit 5 of the TL16C550C: RTS follows the receive FIFO, and CTS starts and stops the transmitter.
    /// Off, the bit reads 0 whatever is written.
    pub auto_flow_control: bool,
    /// When the character timeout interrupt is raised.
    pub character_timeout: CharacterTimeout,
    /// How much host input is let into the receive FIFO.
    pub receive_ahead: ReceiveAhead,
    /// Whether host input waits for a driver.
    pub receive_gate: ReceiveGate,
    /// Input clock in hertz; it gives character times their length and nothing else. 0 counts as 1.
    pub clock_hz: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            fifo: FifoDepth::default(),
            interrupt_gate: InterruptGate::default(),
            auto_flow_control: false,
            character_timeout: CharacterTimeout::default(),
            receive_ahead: ReceiveAhead::default(),
            receive_gate: ReceiveGate::default(),
            clock_hz: PC_CLOCK_HZ,
        }
    }
}

/// Depth of the FIFOs while FCR.0 is 1. With FCR.0 at 0 every chip is one character deep (16450 mode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FifoDepth {
    /// The 16550A. Linux's autoconfiguration takes a device with any other depth for another chip.
    #[default]
    Sixteen,
    /// 64 characters with trigger levels of 1, 16, 32 and 56: for platforms whose device tree states the depth
    /// (`fifo-size = <64>`). FCR and IIR bit 5 stay those of the 16550A.
    SixtyFour,
}

impl FifoDepth {
    /// The depth in characters.
    #[must_use]
    pub const fn characters(self) -> usize {
        match self {
            Self::Sixteen => 16,
            Self::SixtyFour => 64,
        }
    }

    /// What a trigger level means at this depth, in characters.
    #[must_use]
    pub const fn trigger(self, level: TriggerLevel) -> usize {
        match self {
            Self::Sixteen => level.of_sixteen() as usize,
            Self::SixtyFour => level.of_sixty_four() as usize,
        }
    }
}

/// Whether MCR.OUT2 gates the interrupt line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InterruptGate {
    /// The PC's wiring: no interrupt leaves while OUT2 is 0. Windows relies on it.
    ///
    /// The gate looks at the register bit, as the super-I/O parts do that replaced the discrete chip, so interrupts
    /// still work in loopback (section 8.8); a discrete chip's OUT2 *pin* would be inactive there.
    #[default]
    Out2,
    /// No gate: memory-mapped platforms.
    None,
}

/// When the character timeout interrupt is raised (section 8.11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CharacterTimeout {
    /// As soon as the host has nothing more to give: no clock is needed.
    #[default]
    WhenDrained,
    /// After four character times of the programmed format and divisor without arrival or read. The owner passes
    /// time in with [`SerialPort::advance`](crate::SerialPort::advance).
    FourCharacters,
}

/// How far host input is let into the receive FIFO before the guest has read what is there.
///
/// Nothing is lost either way: what is not let in waits in the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiveAhead {
    /// Up to the trigger level.
    ///
    /// A host is far faster than the line a driver was written for. With a FIFO filled to the brim the interrupt
    /// never falls between two reads, and a handler behind an edge-triggered controller that takes one character
    /// per interrupt, which keeps up with any real line, would see one edge and then nothing. Held at the trigger
    /// level, each read that leaves room is followed by an edge.
    #[default]
    TriggerLevel,
    /// Until the FIFO is full: fewer edges for guests known to drain it, and the choice for replaying traces.
    Full,
}

/// Whether host input waits until a driver is there to take it.
///
/// Linux reads RBR several times while it probes and opens the port, and clears the FIFO: each of these eats what
/// was typed early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiveGate {
    /// Input enters whenever there is room. Guests that poll (GRUB, SeaBIOS, a kernel debugger) need this.
    #[default]
    Open,
    /// Input enters only while a driver listens by interrupt: IER.0 is 1, DTR is raised, and the interrupt can get
    /// out (OUT2, where it gates). Probes set IER bits with DTR or OUT2 at 0, so they do not open it. Derived from the
    /// registers: input waits again while a driver has closed the port, and guests that only poll never get any.
    UntilInterruptEnabled,
}
