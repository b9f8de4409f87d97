//! How a console stands.

use std::time::Duration;

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
    /// Every counter: by its key if there are [`details`](Self::details), else by a name for people.
    pub counters: Vec<(String, u64)>,
    /// What version 3 adds. `None` if the service speaks an older version.
    pub details: Option<StatusDetails>,
}

/// What a status tells from version 3 of the protocol on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusDetails {
    /// Time since the last byte of output, to within a second. `None` if none came in the life of
    /// this service.
    pub output_age: Option<Duration>,
    /// Time since the machine was switched on or off, or a boot began, by the host's clock. `None`
    /// if the log does not know.
    pub machine_age: Option<Duration>,
    /// A session ends after this long without input. `None`: never.
    pub idle_limit: Option<Duration>,
    /// A session ends after this long. `None`: never.
    pub absolute_limit: Option<Duration>,
    /// Time left until the idle limit of the present holder. `None` without a holder or a limit.
    pub idle_left: Option<Duration>,
    /// Time left until the absolute limit of the present holder. `None` without a holder or a
    /// limit.
    pub absolute_left: Option<Duration>,
    /// The number of the present session: 1 for the first of this service.
    pub session: Option<u64>,
    /// Most observers at one time.
    pub max_observers: u32,
    /// Connections that there are.
    pub connections: u32,
    /// Most connections at one time.
    pub max_connections: u32,
    /// Input characters that wait for the guest.
    pub input_waiting: u32,
}

impl Value for StatusDetails {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            output_age,
            machine_age,
            idle_limit,
            absolute_limit,
            idle_left,
            absolute_left,
            session,
            max_observers,
            connections,
            max_connections,
            input_waiting,
        } = self;
        to.put(output_age).put(machine_age);
        to.put(idle_limit).put(absolute_limit);
        to.put(idle_left).put(absolute_left);
        to.put(&session.unwrap_or(0)).put(max_observers);
        to.put(connections).put(max_connections).put(input_waiting);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        Ok(Self {
            output_age: from.get()?,
            machine_age: from.get()?,
            idle_limit: from.get()?,
            absolute_limit: from.get()?,
            idle_left: from.get()?,
            absolute_left: from.get()?,
            session: Some(from.get()?).filter(|number| *number != 0),
            max_observers: from.get()?,
            connections: from.get()?,
            max_connections: from.get()?,
            input_waiting: from.get()?,
        })
    }
}

const POWERED: u8 = 1;
const HELD: u8 = 2;
const BOOT_LOG: u8 = 4;

impl Status {
    /// Everything that version 1 has but the counters.
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
            details: _,
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
            details: None,
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
        to.put(&self.0.log).list(&self.0.counters);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let mut status = Status::get_standing(from)?;
        status.log = from.get()?;
        status.counters = from.list()?;
        Ok(Self(status))
    }
}

/// A status as version 3 sends it: with [`details`](Status::details), which are zeros if there are
/// none, and counters by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status3(pub Status);

impl Value for Status3 {
    fn put(&self, to: &mut Writer<'_>) {
        self.0.put_standing(to);
        to.put(&self.0.log).put(&self.0.details.unwrap_or_default());
        to.list(&self.0.counters);
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let mut status = Status::get_standing(from)?;
        status.log = from.get()?;
        status.details = Some(from.get()?);
        status.counters = from.list()?;
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
