//! How a console stands.

use super::codec::FrameError;
use super::held::Held;
use super::value::{Reader, Value, Writer, flags};
use crate::log::LogId;

/// How a console stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The console's name.
    pub console: String,
    /// Whether the machine is powered.
    pub powered: bool,
    /// Whether the boot log is on.
    pub boot_log: bool,
    /// Who holds it.
    pub holder: Option<Held>,
    /// Read-only clients.
    pub observers: u32,
    /// Lowest offset the log still holds.
    pub oldest: u64,
    /// Offset of the next byte of output.
    pub head: u64,
    /// Boot count.
    pub epoch: u64,
    /// Which log these offsets count in. `None` if the service speaks version 1 of the protocol.
    pub log: Option<LogId>,
    /// Every counter by name.
    pub counters: Vec<(String, u64)>,
}

const POWERED: u8 = 1;
const HELD: u8 = 2;
const BOOT_LOG: u8 = 4;

impl Status {
    /// Everything but the identity of the log and the counters.
    fn put_standing(&self, to: &mut Writer<'_>) {
        let Self {
            console,
            powered,
            boot_log,
            holder,
            observers,
            oldest,
            head,
            epoch,
            log: _,
            counters: _,
        } = self;
        let holder = holder.as_ref();
        let flags = flags(&[
            (*powered, POWERED),
            (holder.is_some(), HELD),
            (*boot_log, BOOT_LOG),
        ]);
        let (held_for, idle_for) = Held::spans(holder);
        to.put(&flags)
            .put(oldest)
            .put(head)
            .put(epoch)
            .put(observers);
        to.put(&held_for).put(&idle_for).put(console);
        to.str(holder.map_or("", |held| &held.by));
    }

    fn get_standing(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let flags = from.get::<u8>()?;
        let (oldest, head, epoch, observers) = (from.get()?, from.get()?, from.get()?, from.get()?);
        let spans = (from.get()?, from.get()?);
        let (console, by) = (from.get()?, from.get()?);
        Ok(Self {
            console,
            powered: flags & POWERED != 0,
            boot_log: flags & BOOT_LOG != 0,
            holder: (flags & HELD != 0).then(|| Held::of(by, spans)),
            observers,
            oldest,
            head,
            epoch,
            log: None,
            counters: Vec::new(),
        })
    }
}

/// As version 1 has it: without the log's identity, and the counters reach to the end of the frame.
impl Value for Status {
    fn put(&self, to: &mut Writer<'_>) {
        self.put_standing(to);
        for counter in &self.counters {
            to.put(counter);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let mut status = Self::get_standing(from)?;
        while !from.is_at_end() {
            status.counters.push(from.get()?);
        }
        Ok(status)
    }
}

/// A status as version 2 sends it: it names the log, counts its counters, and can grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status2(pub Status);

impl Value for Status2 {
    fn put(&self, to: &mut Writer<'_>) {
        self.0.put_standing(to);
        let counters = &self.0.counters;
        let count = u16::try_from(counters.len()).unwrap_or(u16::MAX);
        to.put(&self.0.log).put(&count);
        for counter in &counters[..usize::from(count)] {
            to.put(counter);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let mut status = Status::get_standing(from)?;
        status.log = from.get()?;
        for _ in 0..from.get::<u16>()? {
            status.counters.push(from.get()?);
        }
        Ok(Self(status))
    }
}

/// A counter by name.
impl Value for (String, u64) {
    fn put(&self, to: &mut Writer<'_>) {
        to.put(&self.0).put(&self.1);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok((from.get()?, from.get()?))
    }
}
