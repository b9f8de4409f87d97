//! The outside of the chip: the serial line and the modem signals.

use crate::fifo::Character;
use crate::registers::Msr;

/// The far end of the serial line: where transmitted bytes go and received characters come from.
///
/// A line must never block: it is called on the thread that runs the guest. It cannot fail either:
/// a line that has to drop a byte counts it itself.
///
/// ```
/// use vm_uart::{Line, SerialPort};
///
/// #[derive(Default)]
/// struct Screen(String);
///
/// impl Line for Screen {
///     fn transmit(&mut self, bytes: &[u8]) -> usize {
///         self.0.extend(bytes.iter().map(|&byte| char::from(byte)));
///         bytes.len()
///     }
/// }
///
/// let mut port = SerialPort::new((), Screen::default());
/// port.write(0, b'x');
/// assert_eq!(port.line().0, "x");
/// ```
pub trait Line {
    /// Takes bytes that leave the transmitter, in order, and says how many of them it took.
    ///
    /// Fewer than all is back-pressure: the rest waits in the transmit FIFO with THRE and TEMT low
    /// until [`SerialPort::pump`](crate::SerialPort::pump) is called. A number beyond `bytes.len()`
    /// counts as all.
    fn transmit(&mut self, bytes: &[u8]) -> usize;

    /// The next character from outside, if there is one. The port asks only while its receiver
    /// wants one, so that no character is lost for want of room. `None` means that there is none
    /// *now*; when one comes, the owner calls [`SerialPort::pump`](crate::SerialPort::pump).
    fn receive(&mut self) -> Option<Character> {
        None
    }

    /// The receiver has room again for input that
    /// [`SerialPort::receive_bytes`](crate::SerialPort::receive_bytes) refused. It is called once
    /// for each refusal, on the thread that runs the guest: ring whoever pushes, and return.
    fn room_again(&mut self) {}

    /// An access of the guest has started a character timeout whose time nobody keeps, as it read
    /// from the FIFO or let input in: [`SerialPort::keep_time`](crate::SerialPort::keep_time) should
    /// be called soon. Only with
    /// [`CharacterTimeout::FourCharacters`](crate::CharacterTimeout::FourCharacters), and once until
    /// that call. It is called on the thread that runs the guest: ring whoever keeps time, and
    /// return.
    fn timeout_started(&mut self) {}

    /// Tells the modem outputs and the break signal whenever they change.
    fn outputs(&mut self, outputs: Outputs) {
        let _ = outputs;
    }
}

/// A line with nothing at its end: sent bytes are gone, and nothing arrives.
impl Line for () {
    #[inline]
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }
}

/// Passes all on to the line behind a pointer.
macro_rules! behind_a_pointer {
    ($pointer:ty) => {
        impl<L: Line + ?Sized> Line for $pointer {
            #[inline]
            fn transmit(&mut self, bytes: &[u8]) -> usize {
                (**self).transmit(bytes)
            }

            #[inline]
            fn receive(&mut self) -> Option<Character> {
                (**self).receive()
            }

            #[inline]
            fn room_again(&mut self) {
                (**self).room_again();
            }

            #[inline]
            fn timeout_started(&mut self) {
                (**self).timeout_started();
            }

            #[inline]
            fn outputs(&mut self, outputs: Outputs) {
                (**self).outputs(outputs);
            }
        }
    };
}

behind_a_pointer!(&mut L);
#[cfg(feature = "std")]
behind_a_pointer!(std::boxed::Box<L>);

/// The chip's outputs as the outside sees them: in loopback all are inactive (section 8.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "five independent pins")]
pub struct Outputs {
    /// Data terminal ready.
    pub dtr: bool,
    /// Request to send; with auto flow control, low while the receive FIFO has enough.
    pub rts: bool,
    /// User output 1.
    pub out1: bool,
    /// User output 2.
    pub out2: bool,
    /// The line is held spacing (LCR.6). Characters written meanwhile only time the break and never
    /// reach the line.
    ///
    /// This is the pin, so not every pulse of it is a break. Linux probes for other chips by LCR = BF,
    /// which holds the pin for a few accesses whenever the port is set up. A receiver takes only
    /// what lasts longer than a character for a break (section 8.4, bit 4); a line that forwards
    /// breaks has to wait as long:
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use vm_uart::{Line, Outputs, SerialPort};
    ///
    /// #[derive(Default)]
    /// struct Modem {
    ///     spacing_since: Option<Instant>,
    /// }
    ///
    /// impl Line for Modem {
    ///     fn transmit(&mut self, bytes: &[u8]) -> usize {
    ///         bytes.len()
    ///     }
    ///     fn outputs(&mut self, outputs: Outputs) {
    ///         if !outputs.break_ {
    ///             self.spacing_since = None;
    ///         } else if self.spacing_since.is_none() {
    ///             self.spacing_since = Some(Instant::now()); // and have the event loop look
    ///         }
    ///     }
    /// }
    ///
    /// /// Asked by the event loop, a character's time after the pin went active.
    /// fn is_break(port: &SerialPort<(), Modem>, now: Instant) -> bool {
    ///     let character = Duration::from_nanos(port.uart().character_ns());
    ///     let since = port.line().spacing_since;
    ///     since.is_some_and(|since| now.duration_since(since) > character)
    /// }
    ///
    /// let mut port = SerialPort::new((), Modem::default());
    /// let second = Duration::from_secs(1);
    /// port.write(3, 0xbf);
    /// assert!(!is_break(&port, Instant::now()));
    /// port.write(3, 0x00); // Linux's probe is over
    /// assert!(!is_break(&port, Instant::now() + second));
    /// port.write(3, 0x43);
    /// assert!(is_break(&port, Instant::now() + second));
    /// ```
    pub break_: bool,
}

/// The modem inputs, driven from outside (section 8.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent pins")]
pub struct ModemInputs {
    /// Clear to send.
    pub cts: bool,
    /// Data set ready.
    pub dsr: bool,
    /// Ring indicator.
    pub ri: bool,
    /// Data carrier detect.
    pub dcd: bool,
}

impl Default for ModemInputs {
    /// A terminal that is there and ready: CTS, DSR and DCD active, nobody ringing. MSR reads 0xb0.
    fn default() -> Self {
        Self {
            cts: true,
            dsr: true,
            ri: false,
            dcd: true,
        }
    }
}

impl ModemInputs {
    /// As MSR bits 7 to 4 show them.
    #[must_use]
    pub fn to_msr(self) -> Msr {
        let mut msr = Msr::empty();
        msr.set(Msr::CTS, self.cts);
        msr.set(Msr::DSR, self.dsr);
        msr.set(Msr::RI, self.ri);
        msr.set(Msr::DCD, self.dcd);
        msr
    }

    /// From MSR bits 7 to 4.
    #[must_use]
    pub const fn from_msr(msr: Msr) -> Self {
        Self {
            cts: msr.contains(Msr::CTS),
            dsr: msr.contains(Msr::DSR),
            ri: msr.contains(Msr::RI),
            dcd: msr.contains(Msr::DCD),
        }
    }
}
