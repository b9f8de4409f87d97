//! The time of the character timeout, which only the owner can know.

use core::time::Duration;

use super::SerialPort;
use crate::irq::InterruptLine;
use crate::line::Line;

impl<I: InterruptLine, L: Line> SerialPort<I, L> {
    /// Keeps the time of
    /// [`CharacterTimeout::FourCharacters`](crate::CharacterTimeout::FourCharacters): raises the
    /// character timeout if it is due `now`. Returns how long to wait before the next call, or
    /// `None` while no timeout counts: then no timer is needed.
    ///
    /// `now` is the time since any fixed moment, from a clock that does not go backwards. Call this
    ///
    /// 1. after giving the port input ([`pump`](Self::pump), [`receive`](Self::receive),
    ///    [`receive_bytes`](Self::receive_bytes)),
    /// 2. when the returned time is over, and
    /// 3. soon after [`Line::timeout_started`], which tells of a timeout that an access of the guest
    ///    has started.
    ///
    /// A call too many does no harm. The port cannot see when the guest read a character, only that
    /// it did since the last call; the time then starts anew with this call. So the timeout comes
    /// after four characters or later, and before eight if the calls are punctual.
    ///
    /// ```
    /// use core::time::Duration;
    /// use vm_uart::{CharacterTimeout, Config, SerialPort};
    ///
    /// let config = Config {
    ///     character_timeout: CharacterTimeout::FourCharacters,
    ///     ..Config::default()
    /// };
    /// let mut port = SerialPort::with_config(config, (), ());
    /// for (register, value) in [(3, 0x83), (0, 1), (3, 0x03)] {
    ///     port.write(register, value); // 115,200 baud, 8N1
    /// }
    /// port.write(2, 0x81); // FIFO on, trigger level 8
    /// port.write(1, 0x01); // data available
    ///
    /// let mut now = Duration::from_secs(5);
    /// assert_eq!(port.keep_time(now), None);
    /// port.receive_bytes(b"k");
    /// let wait = port.keep_time(now).unwrap();
    /// assert_eq!(wait.as_micros(), 347);
    /// assert_eq!(port.read(2), 0xc1); // IIR: no interrupt yet
    ///
    /// now += wait;
    /// assert_eq!(port.keep_time(now), None);
    /// assert_eq!(port.read(2), 0xcc); // IIR: character timeout
    /// ```
    pub fn keep_time(&mut self, now: Duration) -> Option<Duration> {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let since = self.time_kept_at.replace(now);
        // Time that the chip has not counted before begins now, as it may have begun at any moment
        // since the last call. The single nanosecond marks it as begun.
        let elapsed = match since {
            Some(since) if self.uart.is_counting() => now.saturating_sub(since),
            _ => 0,
        };
        self.advance(elapsed.max(1));
        let left = self.awaited_timeout();
        self.time_is_kept = left.is_some();
        left.map(Duration::from_nanos)
    }

    /// Lets `nanoseconds` pass, for
    /// [`CharacterTimeout::FourCharacters`](crate::CharacterTimeout::FourCharacters). An owner who
    /// does not know to the nanosecond when the guest reads has an easier life with
    /// [`keep_time`](Self::keep_time).
    pub fn advance(&mut self, nanoseconds: u64) {
        self.uart.advance(nanoseconds);
        self.passes.advance(nanoseconds, self.uart.character_ns());
        self.settle_from_outside();
    }

    /// Nanoseconds until [`advance`](Self::advance) would raise the character timeout; `None` if
    /// nothing counts towards it.
    pub fn until_timeout(&self) -> Option<u64> {
        self.uart.until_timeout()
    }

    /// As [`until_timeout`](Self::until_timeout), but `None` if IIR would not show the timeout.
    fn awaited_timeout(&self) -> Option<u64> {
        self.uart
            .until_timeout()
            .filter(|_| !self.uart.is_at_trigger_level())
    }

    /// Tells the line of a timeout whose time nobody keeps.
    pub(super) fn tell_timeout(&mut self) {
        if !self.time_is_kept && self.awaited_timeout().is_some() {
            self.time_is_kept = true;
            self.line.timeout_started();
        }
    }
}
