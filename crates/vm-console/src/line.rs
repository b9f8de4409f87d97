//! The end of the serial line: output goes to the log, input waits in a bounded queue.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::counters::Counters;
use crate::log::{BootLog, LogConfig, LogImage, LogWriter, MarkKind, UnixTime};

/// Input characters that may wait in the line for the guest. The service keeps about as many more;
/// the rest stays in the kernel's socket buffer until the sender has to wait.
pub const INPUT_LIMIT: usize = 4096;

/// A character on its way to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A byte.
    Byte(u8),
    /// A break condition.
    Break,
}

/// Where the guest's output ends and its input begins.
///
/// It lives in the serial port, behind the port's lock. That lock is the only one on a byte's way,
/// and it makes the doorbell safe without atomics. With the `vm-uart` feature this is a
/// [`vm_uart::Line`]; without it, a device of another kind calls [`transmit`](Self::transmit) and
/// [`receive`](Self::receive).
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent conditions, all behind one lock"
)]
pub struct ConsoleLine {
    writer: LogWriter,
    input: VecDeque<Input>,
    bell: Arc<EventFd>,
    /// The service has more input than there was room for, and wants to know when there is room.
    room_wanted: bool,
    /// Output at and after this offset is refused for now.
    hold_at: Option<u64>,
    output_refused: bool,
    /// Output was refused before, and can be taken now.
    retry_output: bool,
    line_times: bool,
    power: Power,
    counters: Arc<Counters>,
}

/// The machine's power, as the owner last set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Power {
    pub(crate) on: bool,
    /// The boot that a power-off ended last. Each ends another one, so this shows the service that
    /// the machine was off and on again since it last looked, and which boots began before that.
    pub(crate) off_in: Option<u64>,
}

impl Default for Power {
    fn default() -> Self {
        Self {
            on: true,
            off_in: None,
        }
    }
}

impl ConsoleLine {
    pub(crate) fn new(
        writer: LogWriter,
        bell: Arc<EventFd>,
        counters: Arc<Counters>,
        line_times: bool,
        powered: bool,
    ) -> Self {
        Self {
            writer,
            input: VecDeque::new(),
            bell,
            room_wanted: false,
            hold_at: None,
            output_refused: false,
            retry_output: false,
            line_times,
            power: Power {
                on: powered,
                off_in: None,
            },
            counters,
        }
    }

    /// A line that leads nowhere: its log is nobody's, and nobody types into it.
    pub(crate) fn unplugged() -> io::Result<Self> {
        let sizes = LogConfig {
            tail: 1,
            head: 0,
            boots: 1,
        };
        let (writer, _) = BootLog::in_memory(sizes).map_err(io::Error::other)?;
        let bell = doorbell()?;
        Ok(Self::new(writer, bell, Arc::default(), false, true))
    }

    /// Takes bytes that the guest has sent. Returns how many were taken: all of them, unless
    /// [lossless](crate::ConsoleConfig::lossless) mode holds output. Send the rest again when
    /// [`takes_output_again`](Self::takes_output_again) says so.
    #[inline]
    pub fn transmit(&mut self, bytes: &[u8]) -> usize {
        if self.hold_at.is_some() || self.line_times {
            return self.transmit_with_options(bytes);
        }
        match bytes {
            [byte] => self.writer.append_byte(*byte),
            bytes => self.writer.append(bytes),
        }
        bytes.len()
    }

    #[inline(never)]
    fn transmit_with_options(&mut self, bytes: &[u8]) -> usize {
        let room = self
            .hold_at
            .map_or(u64::MAX, |limit| limit.saturating_sub(self.writer.head()));
        let taken = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        if self.line_times {
            for line in bytes[..taken].split_inclusive(|byte| *byte == b'\n') {
                self.writer.append(line);
                if line.ends_with(b"\n") {
                    self.writer.stamp(now());
                }
            }
        } else {
            self.writer.append(&bytes[..taken]);
        }
        if taken < bytes.len() && !self.output_refused {
            self.output_refused = true;
            self.counters.output_holds.add(1);
            self.ring();
        }
        taken
    }

    /// Takes the next character for the guest out of the queue; `None` if it is empty.
    #[inline]
    pub fn receive(&mut self) -> Option<Input> {
        let next = self.input.pop_front()?;
        self.counters.input_taken.add(1);
        if self.room_wanted && self.input.len() <= INPUT_LIMIT / 2 {
            self.room_wanted = false;
            self.ring();
        }
        Some(next)
    }

    /// Types for the guest, as far as there is [room](Self::input_room). Returns how many bytes
    /// were accepted.
    pub fn type_bytes(&mut self, bytes: &[u8]) -> usize {
        let accepted = self.queue_bytes(bytes);
        self.counters.input.add(accepted as u64);
        accepted
    }

    /// Sends the guest a break condition, and marks it in the log. Returns `false`, with no effect,
    /// if there is no room.
    pub fn type_break(&mut self) -> bool {
        let accepted = self.queue_break();
        self.counters.breaks.add(u64::from(accepted));
        accepted
    }

    /// Types a BREAK before each of `keys`, or one BREAK if there are none. Returns `false`, with no
    /// effect, if there is no room for all of it.
    pub(crate) fn type_sysrq(&mut self, keys: &[u8]) -> bool {
        if self.input_room() < keys.len().max(1) + keys.len() {
            return false;
        }
        if keys.is_empty() {
            return self.type_break();
        }
        keys.iter()
            .all(|key| self.type_break() && self.type_bytes(&[*key]) == 1)
    }

    /// Queues bytes that are counted already, as far as there is room. Returns how many.
    pub(crate) fn queue_bytes(&mut self, bytes: &[u8]) -> usize {
        let fitting = bytes.len().min(self.input_room());
        self.input
            .extend(bytes[..fitting].iter().map(|byte| Input::Byte(*byte)));
        fitting
    }

    /// Queues a break condition that is counted already, if there is room.
    pub(crate) fn queue_break(&mut self) -> bool {
        let fits = self.input_room() > 0;
        if fits {
            self.input.push_back(Input::Break);
            self.mark(MarkKind::Break);
        }
        fits
    }

    /// How many more characters the queue can take: 0 to [`INPUT_LIMIT`].
    #[must_use]
    pub fn input_room(&self) -> usize {
        INPUT_LIMIT.saturating_sub(self.input.len())
    }

    /// How many characters wait for the guest: 0 to [`INPUT_LIMIT`].
    #[must_use]
    pub fn input_waiting(&self) -> usize {
        self.input.len()
    }

    /// The log offset of the next byte of output.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.writer.head()
    }

    /// Begins a new boot in the log, because the machine was reset or rebooted itself. Returns the
    /// number of the new boot, which is the boot count (epoch) from now on.
    ///
    /// Call it under the port's lock, after the last output of the old boot and before the first of
    /// the new one. The service tells the clients. The first boot begins by itself when the console
    /// is made, and a later one with [`set_power`](Self::set_power).
    ///
    /// No effect while the machine is off: its next boot begins when it is powered on.
    pub fn begin_boot(&mut self, kind: MarkKind) -> u64 {
        if !self.power.on {
            return self.writer.epoch();
        }
        let epoch = self.writer.begin_boot(kind, now());
        self.ring();
        epoch
    }

    /// Records that the machine was powered on or off. No effect if that is known already.
    ///
    /// On begins a new boot in the log. Off ends the session, and drops the input that the guest
    /// has not taken.
    pub fn set_power(&mut self, on: bool) {
        if self.power.on == on {
            return;
        }
        self.power.on = on;
        if on {
            self.begin_boot(MarkKind::PowerOn);
        } else {
            self.power.off_in = Some(self.writer.epoch());
            self.mark(MarkKind::PowerOff);
            self.discard_input();
            self.hold_output_at(None);
        }
        self.ring();
    }

    pub(crate) fn power(&self) -> Power {
        self.power
    }

    pub(crate) fn mark(&mut self, kind: MarkKind) {
        self.writer.mark(kind, now());
    }

    pub(crate) fn export_log(&self) -> LogImage {
        self.writer.export()
    }

    pub(crate) fn export_place(&self) -> LogImage {
        self.writer.export_place()
    }

    /// The input that waits, oldest first.
    pub(crate) fn waiting(&self) -> Vec<Input> {
        self.input.iter().copied().collect()
    }

    /// Takes over the input that waited in another host's line.
    pub(crate) fn restore_input(&mut self, input: &[Input]) {
        self.input = input.iter().copied().collect();
    }

    /// See [`LogWriter::arm`].
    pub(crate) fn arm(&mut self, seen: u64) -> bool {
        self.writer.arm(seen)
    }

    /// Has the doorbell rung once when half of the queue is free.
    pub(crate) fn want_room(&mut self) {
        self.room_wanted = true;
    }

    /// Drops the input that the guest has not taken, and frees its memory.
    pub(crate) fn discard_input(&mut self) {
        self.counters.input_discarded.add(self.input.len() as u64);
        self.input = VecDeque::new();
        if std::mem::take(&mut self.room_wanted) {
            self.ring();
        }
    }

    /// Refuses output from offset `limit` on; `None` takes all output again. Returns whether the
    /// guest has output that was refused and still is.
    pub(crate) fn hold_output_at(&mut self, limit: Option<u64>) -> bool {
        self.hold_at = limit;
        let head = self.writer.head();
        if limit.is_none_or(|limit| head < limit) {
            self.retry_output |= self.output_refused;
            self.output_refused = false;
        }
        self.output_refused
    }

    /// Takes all output, refused output too, until the limit is set again. Returns that limit.
    pub(crate) fn suspend_hold(&mut self) -> Option<u64> {
        let limit = self.hold_at;
        self.hold_output_at(None);
        limit
    }

    /// Whether output that was refused can be taken now. It is true once for each time, so send the
    /// output again then.
    #[must_use]
    pub fn takes_output_again(&mut self) -> bool {
        std::mem::take(&mut self.retry_output)
    }

    pub(crate) fn output_is_held(&self) -> bool {
        self.output_refused
    }

    /// Wakes the service.
    pub(crate) fn ring(&self) {
        // The only possible error is a full counter, and that wakes the service just as well.
        let _ = self.bell.write(1);
    }
}

/// What wakes the service. No other part of a console takes a descriptor, so it is made before the
/// log is touched.
pub(crate) fn doorbell() -> io::Result<Arc<EventFd>> {
    Ok(Arc::new(EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?))
}

pub(crate) fn now() -> UnixTime {
    UnixTime::from(SystemTime::now())
}
