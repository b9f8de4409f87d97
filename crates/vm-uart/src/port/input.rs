//! Input that the owner pushes into the port. A [`Line`] that is asked needs none of this.

use super::SerialPort;
use crate::fifo::Character;
use crate::irq::InterruptLine;
use crate::line::Line;
use crate::registers::Lsr;
use crate::uart::Received;

impl<I: InterruptLine, L: Line> SerialPort<I, L> {
    /// Characters arrive as far as the receiver [wants](Self::wants_input) them. Returns how many
    /// it took; none is lost. Input that waits in the line goes first. The interrupt line moves
    /// once at most.
    ///
    /// If it takes fewer than all, keep the rest and offer it again: when there is room,
    /// [`Line::room_again`] is called once.
    ///
    /// ```
    /// use vm_uart::{Line, SerialPort};
    ///
    /// /// A VMM that stops polling its input while the guest has no room for it.
    /// #[derive(Default)]
    /// struct Output {
    ///     poll_input: bool, // a real one rings an eventfd here
    /// }
    ///
    /// impl Line for Output {
    ///     fn transmit(&mut self, bytes: &[u8]) -> usize {
    ///         bytes.len()
    ///     }
    ///     fn room_again(&mut self) {
    ///         self.poll_input = true;
    ///     }
    /// }
    ///
    /// let mut port = SerialPort::new((), Output::default());
    /// port.write(2, 0x41); // FIFO on, trigger level 4
    /// assert_eq!(port.receive_bytes(b"typed"), 4);
    /// assert!(!port.line().poll_input);
    /// assert_eq!(port.read(0), b't');
    /// assert!(port.line().poll_input);
    /// assert_eq!(port.receive_bytes(b"d"), 1);
    /// ```
    pub fn receive_bytes(&mut self, bytes: &[u8]) -> usize {
        self.room_wanted = false;
        self.pull_input();
        let mut taken = 0;
        for &byte in bytes {
            if !self.uart.wants_input() {
                break;
            }
            let _: Received = self.uart.receive(byte.into());
            taken += 1;
        }
        self.room_wanted = taken < bytes.len();
        self.uart.receiver_idle();
        self.tell_outputs();
        self.settle_from_outside();
        taken
    }

    /// A character or a break arrives unasked, as on a wire that nobody can stop. Without room for
    /// it, it or its predecessor is lost as on the chip; in loopback it never arrives. Both are
    /// [counted](Self::missed). To lose none, ask [`wants_input`](Self::wants_input) first, or hand
    /// out characters from the [`Line`].
    pub fn receive(&mut self, character: Character) -> Received {
        let received = self.uart.receive(character);
        self.missed += u64::from(received != Received::Stored);
        // If more characters follow, this is called again.
        self.uart.receiver_idle();
        self.tell_outputs();
        self.settle_from_outside();
        received
    }

    /// Whether a character would be welcome now: see [`Uart::wants_input`](crate::Uart::wants_input).
    #[inline]
    pub fn wants_input(&self) -> bool {
        self.uart.wants_input()
    }

    /// LSR as a read would show it now, without the effects of a read.
    #[inline]
    pub fn line_status(&self) -> Lsr {
        self.uart.line_status()
    }

    /// Characters given to [`receive`](Self::receive) that the guest will never read: lost by an
    /// overrun, or cut off by loopback.
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// Tells the line of room if input was refused for want of it.
    pub(super) fn tell_room(&mut self) {
        if self.room_wanted && self.uart.wants_input() {
            self.room_wanted = false;
            self.line.room_again();
        }
    }
}
