//! Moving a console with its guest: to another host, or into the VMM that replaces this one.

mod error;
mod format;

use self::error::rule_holds;
use crate::console::{Console, ConsoleConfig};
use crate::counters::CounterValues;
use crate::line::{ConsoleLine, INPUT_LIMIT, Input, doorbell};
use crate::log::{LogImage, LogWriter};

pub use self::error::ImageError;

/// The part of a console that moves with the guest: the log with its offsets, marks and boot count,
/// the input that waits in the line, the machine's power, and the counters.
///
/// Sessions do not move. They end with [`ShuttingDown`](crate::session::EndReason::ShuttingDown),
/// and a client of a control socket is told the offset to resume at. If it attaches on the other
/// host with [`Start::Offset`](crate::Start::Offset) it misses nothing that the log still has, and
/// sees nothing twice.
///
/// Input moves as far as it is in the line, which holds [`INPUT_LIMIT`] characters. On the other
/// host it waits as after its client has left: until the guest takes it, or until the next session
/// begins. Further input that the service still had for the line counts as
/// [discarded](CounterValues::input_discarded) in the image.
///
/// ```
/// use vm_console::{BootLog, Console, ConsoleConfig, ConsoleImage, Input, LogConfig};
///
/// let (writer, _) = BootLog::in_memory(LogConfig::default())?;
/// let (mut line, console) = Console::new(ConsoleConfig::named("vm-7"), writer)?;
/// line.transmit(b"before the move");
/// line.type_bytes(b"l");
/// let bytes = console.export(&line).to_bytes();
///
/// let (writer, log) = BootLog::in_memory(LogConfig::default())?;
/// let image = ConsoleImage::from_bytes(&bytes)?;
/// let (mut line, console) = Console::resume(ConsoleConfig::named("vm-7"), writer, &image)?;
/// line.transmit(b", and after");
/// assert_eq!(log.head(), 26);
/// assert_eq!(line.receive(), Some(Input::Byte(b'l')));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// As bytes ([`to_bytes`](Self::to_bytes)) it consists of little-endian fields:
///
/// | bytes | what |
/// |---|---|
/// | 8 | `vmconsol` |
/// | 4 | version (2) |
/// | 4 | number of bytes from here to the check sum |
/// | 1 | 1 if the machine is on, else 0 |
/// | 2 | number of input characters |
/// | 2 each | input characters, oldest first: a byte, or 256 for a BREAK |
/// | 2 | number of counters |
/// | 9 and more each | counters: length of the name (1), name, value (8) |
/// | 8 | check sum: FNV-1a of everything before |
/// | | the log, in [its own format](LogImage) |
///
/// Version 1 has neither power nor input nor a check sum. A console that is restored from it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsoleImage {
    /// The log.
    pub log: LogImage,
    /// The counters.
    pub counters: CounterValues,
    /// The input that waits in the line, oldest first. At most [`INPUT_LIMIT`] characters.
    pub input: Vec<Input>,
    /// Whether the machine is on.
    pub powered: bool,
}

impl Console {
    /// Exports the part that moves with the guest. `line` has to be the one that was made with this
    /// console. Call it while the guest is paused, under the same lock as the device's snapshot, and
    /// before the console is removed from its service, which would drop the input.
    #[must_use]
    pub fn export(&self, line: &ConsoleLine) -> ConsoleImage {
        self.image(line, line.export_log())
    }

    /// As [`export`](Self::export), for a VMM that replaces this one on the same host and goes on
    /// in the same file. The image has the place that the log has come to, and none of its output,
    /// so it takes no more time if the log is large.
    #[must_use]
    pub fn export_in_place(&self, line: &ConsoleLine) -> ConsoleImage {
        self.image(line, line.export_place())
    }

    fn image(&self, line: &ConsoleLine, log: LogImage) -> ConsoleImage {
        let input = line.waiting();
        ConsoleImage {
            log,
            counters: self.counters().with_input_waiting(input.len() as u64),
            input,
            powered: line.power().on,
        }
    }

    /// Makes a console that goes on where `image` was taken, and the line for the guest's port. It
    /// puts the image's log into that of `writer`. No boot begins, and the machine is on or off as
    /// it was, whatever [`starts_off`](ConsoleConfig::starts_off) says.
    ///
    /// # Errors
    /// [`Log`](ImageError::Log) if the log is damaged or does not fit into `writer`'s;
    /// [`Invalid`](ImageError::Invalid) if there is more input than a line holds;
    /// [`Io`](ImageError::Io) if no descriptor is left.
    pub fn resume(
        config: ConsoleConfig,
        writer: LogWriter,
        image: &ConsoleImage,
    ) -> Result<(ConsoleLine, Self), ImageError> {
        Self::from_image(config, writer, image, |writer| {
            writer.restore(&image.log).map_err(ImageError::Log)
        })
    }

    /// As [`resume`](Self::resume), in the log that the image was taken from, which goes on as it is:
    /// the one of [`export_in_place`](Self::export_in_place).
    ///
    /// ```
    /// use vm_console::{BootLog, Console, ConsoleConfig, Input, LogConfig};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("ttyS0.log");
    /// let (writer, log) = BootLog::create_file(&path, LogConfig::default())?;
    /// let file = log.file().ok_or("it is in a file")?.try_clone()?;
    /// let (mut line, console) = Console::new(ConsoleConfig::named("vm-7"), writer)?;
    /// line.transmit(b"before");
    /// line.type_bytes(b"l");
    /// let image = console.export_in_place(&line);
    /// drop(line);
    ///
    /// // In the VMM that replaces it, which was handed the file:
    /// let (writer, log) = BootLog::in_file(file, LogConfig::default())?;
    /// let (mut line, _) = Console::resume_in_place(ConsoleConfig::named("vm-7"), writer, &image)?;
    /// line.transmit(b" and after");
    /// assert_eq!((log.read_at(0, 100).bytes, log.epoch()), (b"before and after".to_vec(), 1));
    /// assert_eq!(line.receive(), Some(Input::Byte(b'l')));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`OtherLog`](ImageError::OtherLog) if it is another log, or an older copy of it;
    /// [`Invalid`](ImageError::Invalid) and [`Io`](ImageError::Io) as for [`resume`](Self::resume).
    pub fn resume_in_place(
        config: ConsoleConfig,
        writer: LogWriter,
        image: &ConsoleImage,
    ) -> Result<(ConsoleLine, Self), ImageError> {
        Self::from_image(config, writer, image, |writer| {
            if writer.has_come_to(&image.log) {
                Ok(())
            } else {
                Err(ImageError::OtherLog)
            }
        })
    }

    fn from_image(
        config: ConsoleConfig,
        mut writer: LogWriter,
        image: &ConsoleImage,
        ready_log: impl FnOnce(&mut LogWriter) -> Result<(), ImageError>,
    ) -> Result<(ConsoleLine, Self), ImageError> {
        let waiting = image.input.len();
        rule_holds(
            waiting <= INPUT_LIMIT,
            "at most 4096 characters of input wait",
            waiting as u64,
        )?;
        let bell = doorbell().map_err(ImageError::Io)?;
        ready_log(&mut writer)?;
        let (mut line, console) = Self::assemble(config, writer, bell, image.powered);
        line.restore_input(&image.input);
        console.restore_counters(&image.counters.with_input_waiting(waiting as u64));
        Ok((line, console))
    }
}
