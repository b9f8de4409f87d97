//! How a console stands.

use super::codec::FrameError;
use super::held::Held;
use super::value::{Reader, Value, Writer, flags};

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
    /// Every counter by name.
    pub counters: Vec<(String, u64)>,
}

const POWERED: u8 = 1;
const HELD: u8 = 2;
const BOOT_LOG: u8 = 4;

impl Value for Status {
    fn put(&self, to: &mut Writer<'_>) {
        let Self {
            console,
            powered,
            boot_log,
            holder,
            observers,
            oldest,
            head,
            epoch,
            counters,
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
        for (name, value) in counters {
            to.put(name).put(value);
        }
    }

    fn get(from: &mut Reader<'_>) -> Result<Self, FrameError> {
        let flags = from.get::<u8>()?;
        let (oldest, head, epoch, observers) = (from.get()?, from.get()?, from.get()?, from.get()?);
        let spans = (from.get()?, from.get()?);
        let (console, by) = (from.get()?, from.get()?);
        let mut counters = Vec::new();
        while !from.is_at_end() {
            counters.push((from.get()?, from.get()?));
        }
        Ok(Self {
            console,
            powered: flags & POWERED != 0,
            boot_log: flags & BOOT_LOG != 0,
            holder: (flags & HELD != 0).then(|| Held::of(by, spans)),
            observers,
            oldest,
            head,
            epoch,
            counters,
        })
    }
}
