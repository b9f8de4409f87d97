//! The choices of the board designer: the wiring around the chip, and the parts in which its
//! descendants differ.

use crate::registers::{Lcr, Mcr, TriggerLevel};

/// The input clock of the PC's serial ports, in hertz: a divisor of 1 gives 115,200 baud (section
/// 8.3, Table III).
pub const PC_CLOCK_HZ: u32 = 1_843_200;

/// Choices that a guest cannot make. [`Config::default`] is the serial port of a PC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Depth of both FIFOs.
    pub fifo: FifoDepth,
    /// Whether MCR.OUT2 lets the interrupt out.
    pub interrupt_gate: InterruptGate,
    /// Whether MCR bit 5 is that of the TL16C550C: RTS follows the receive FIFO, and CTS starts and
    /// stops the transmitter. If false, the bit always reads 0.
    pub auto_flow_control: bool,
    /// When the character timeout interrupt is raised.
    pub character_timeout: CharacterTimeout,
    /// How much host input is let into the receive FIFO.
    pub receive_ahead: ReceiveAhead,
    /// Whether host input waits for a driver.
    pub receive_gate: ReceiveGate,
    /// What LCR and MCR hold after power-on and reset.
    pub power_on: PowerOn,
    /// Input clock in hertz. It only determines how long a character takes. 0 counts as 1.
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
            power_on: PowerOn::default(),
            clock_hz: PC_CLOCK_HZ,
        }
    }
}

impl Config {
    /// Every combination of the choices, [`Config::default`] first, for a test or a fuzz target
    /// that must hold under all of them.
    ///
    /// [`clock_hz`](Self::clock_hz) is [`PC_CLOCK_HZ`] in each: it is a number, not a choice.
    ///
    /// ```
    /// use vm_uart::{Config, Uart};
    ///
    /// for config in Config::every() {
    ///     assert_eq!(Uart::new(config).read(5), 0x60); // LSR: transmitter empty
    /// }
    /// ```
    pub fn every() -> impl Iterator<Item = Self> {
        (0..).map_while(Self::nth)
    }

    /// The combination whose number is `number`; `None` beyond the last.
    ///
    /// Each choice is a digit of the number. A new option goes last, where its digit is the
    /// highest: then the numbers of all earlier combinations, which the fuzz seeds hold, stay what
    /// they are.
    fn nth(number: usize) -> Option<Self> {
        let mut digits = number;
        // A literal without `..`: a new option does not compile until it is listed here.
        let config = Self {
            fifo: lowest_digit(&mut digits, FifoDepth::ALL),
            interrupt_gate: lowest_digit(&mut digits, InterruptGate::ALL),
            auto_flow_control: lowest_digit(&mut digits, &[false, true]),
            character_timeout: lowest_digit(&mut digits, CharacterTimeout::ALL),
            receive_ahead: lowest_digit(&mut digits, ReceiveAhead::ALL),
            receive_gate: lowest_digit(&mut digits, ReceiveGate::ALL),
            power_on: lowest_digit(&mut digits, PowerOn::ALL),
            clock_hz: PC_CLOCK_HZ,
        };
        (digits == 0).then_some(config)
    }
}

/// Takes the lowest digit off a number and gives the choice it stands for.
fn lowest_digit<T: Copy>(digits: &mut usize, choices: &[T]) -> T {
    let choice = choices[*digits % choices.len()];
    *digits /= choices.len();
    choice
}

/// Gives an option the list of its variants, the default first. A variant that is not named here
/// does not compile: the `match` has no arm for it.
macro_rules! list_variants {
    ($option:ident: $($variant:ident),+) => {
        impl $option {
            const ALL: &'static [Self] = {
                let _ = |option: Self| match option {
                    $(Self::$variant => {})+
                };
                &[$(Self::$variant),+]
            };
        }
    };
}

list_variants!(FifoDepth: Sixteen, SixtyFour);
list_variants!(InterruptGate: Out2, None);
list_variants!(CharacterTimeout: WhenDrained, FourCharacters);
list_variants!(ReceiveAhead: TriggerLevel, Full);
list_variants!(ReceiveGate: Open, UntilInterruptEnabled);
list_variants!(PowerOn: MasterReset, Programmed);

/// Depth of the FIFOs while FCR.0 is 1. With FCR.0 at 0 every chip is one character deep (16450
/// mode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FifoDepth {
    /// The 16550A. Linux's autoconfiguration takes a device with any other depth for another chip.
    #[default]
    Sixteen,
    /// 64 characters with trigger levels of 1, 16, 32 and 56, for platforms whose device tree
    /// states the depth (`fifo-size = <64>`). FCR and IIR bit 5 stay those of the 16550A.
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

    /// A trigger level at this depth, in characters.
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
    /// The gate looks at the register bit, so interrupts still work in loopback (section 8.8), as
    /// in the super-I/O parts that replaced the discrete chip. A discrete chip's OUT2 *pin* would
    /// be inactive there.
    #[default]
    Out2,
    /// No gate: memory-mapped platforms.
    None,
}

/// When the character timeout interrupt is raised (section 8.11).
///
/// The default needs no clock and delays no key. The chip's own timeout spares interrupts where
/// input comes at the pace of a real line, and delays keys that stay below the trigger level:
///
/// | | [`WhenDrained`](Self::WhenDrained) | [`FourCharacters`](Self::FourCharacters) |
/// |---|---|---|
/// | interrupts for 4096 keys | 4096 | 4096 |
/// | interrupts for 4096 bytes pasted at once | 1 | 1 |
/// | interrupts for 4096 bytes, a character's time apart | 4096 | 512 at level 8, 293 at level 14 |
/// | delay of a lone key, 115,200 baud, level 4 or higher | none | 0.35 ms |
/// | the same at 9,600 baud | none | 4.2 ms |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CharacterTimeout {
    /// As soon as the host has nothing more to give. No clock is needed.
    #[default]
    WhenDrained,
    /// After four character times, by the programmed format and divisor, without an arrival or a
    /// read. The owner's event loop keeps the time with
    /// [`SerialPort::keep_time`](crate::SerialPort::keep_time), which needs a timer only while a
    /// timeout counts. Without that, a character below the trigger level is never announced. The
    /// service of the `vm-console` crate keeps the time of its ports, so there this word is enough.
    FourCharacters,
}

/// How much host input is let into the receive FIFO before the guest has read the input already
/// there.
///
/// No input is lost either way: the rest waits in the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiveAhead {
    /// Up to the trigger level.
    ///
    /// A host is far faster than a real line. If it filled the FIFO to the brim, the interrupt
    /// would never fall between two reads. A handler that takes one character per interrupt keeps
    /// up with any real line, but behind an edge-triggered controller it would then see one edge
    /// and no more. With input up to the trigger level, each read that leaves room is followed by
    /// an edge.
    #[default]
    TriggerLevel,
    /// Until the FIFO is full: fewer edges, for guests that are known to drain it and for replaying
    /// traces.
    Full,
}

/// Whether host input waits until a driver is there to take it.
///
/// Linux reads RBR several times while it probes and opens the port, and clears the FIFO. Each of
/// these loses early input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReceiveGate {
    /// Input enters whenever there is room. Guests that poll (GRUB, SeaBIOS, a kernel debugger)
    /// need this.
    #[default]
    Open,
    /// Input enters only while a driver listens by interrupt: IER.0 is 1, DTR is raised, and the
    /// [`InterruptGate`] is open. Probes set IER bits with DTR or OUT2 at 0, so they do not let
    /// input in. The registers alone decide: input waits again while a driver has closed the port,
    /// and a guest that only polls never gets any.
    UntilInterruptEnabled,
}

/// What LCR and MCR hold after power-on and [reset](crate::SerialPort::reset).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PowerOn {
    /// As a master reset leaves them (Table I): both 00, so five data bits, and OUT2 inactive.
    #[default]
    MasterReset,
    /// As a PC's firmware leaves them: LCR 03 (eight data bits, no parity, one stop bit) and MCR 08
    /// (OUT2 active). For VMMs that start a kernel without firmware, or whose present device starts
    /// this way, as vm-superio's and Cloud Hypervisor's do.
    Programmed,
}

impl PowerOn {
    pub(crate) const fn lcr(self) -> Lcr {
        match self {
            Self::MasterReset => Lcr::empty(),
            Self::Programmed => Lcr::WORD_LENGTH_LOW.union(Lcr::WORD_LENGTH_HIGH),
        }
    }

    pub(crate) const fn mcr(self) -> Mcr {
        match self {
            Self::MasterReset => Mcr::empty(),
            Self::Programmed => Mcr::OUT2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_comes_once_and_the_default_first() {
        let every: std::vec::Vec<_> = Config::every().collect();
        assert_eq!(every[0], Config::default());
        for (at, config) in every.iter().enumerate() {
            assert!(!every[..at].contains(config), "twice: {config:?}");
        }
        let combinations = FifoDepth::ALL.len()
            * InterruptGate::ALL.len()
            * 2 // auto_flow_control
            * CharacterTimeout::ALL.len()
            * ReceiveAhead::ALL.len()
            * ReceiveGate::ALL.len()
            * PowerOn::ALL.len();
        assert_eq!(every.len(), combinations);
    }
}
