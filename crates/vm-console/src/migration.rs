//! Moving a console to another host with its guest.

use std::fmt;
use std::io;

use crate::console::{Console, ConsoleConfig};
use crate::counters::CounterValues;
use crate::line::ConsoleLine;
use crate::log::{LogError, LogImage, LogWriter};

const MAGIC: &[u8; 8] = b"vmconsol";
const VERSION: u32 = 1;

/// The part of a console that moves with the guest: the log with its offsets, marks and boot count,
/// and the counters.
///
/// Sessions do not move. They end with [`ShuttingDown`](crate::session::EndReason::ShuttingDown),
/// and a client of a control socket is told the offset to resume at. If it attaches on the other
/// host with [`Start::Offset`](crate::Start::Offset) it misses nothing that the log still has, and
/// sees nothing twice.
///
/// ```
/// use vm_console::{BootLog, Console, ConsoleConfig, ConsoleImage, LogConfig};
///
/// let (writer, _) = BootLog::in_memory(LogConfig::default())?;
/// let (mut line, console) = Console::new(ConsoleConfig::named("vm-7"), writer)?;
/// line.transmit(b"before the move");
/// let bytes = console.export(&line).to_bytes();
///
/// let (writer, log) = BootLog::in_memory(LogConfig::default())?;
/// let image = ConsoleImage::from_bytes(&bytes)?;
/// let (mut line, console) = Console::resume(ConsoleConfig::named("vm-7"), writer, &image)?;
/// line.transmit(b", and after");
/// assert_eq!(log.head(), 26);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleImage {
    /// The log.
    pub log: LogImage,
    /// The counters.
    pub counters: CounterValues,
}

/// Why an image cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ImageError {
    /// It does not begin as an image of a version known here.
    NotAnImage,
    /// It is shorter than it says.
    Length,
    /// Its log is damaged, or does not fit into the writer's log.
    Log(LogError),
    /// No descriptor is left for the console's doorbell.
    Io(io::Error),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnImage => f.write_str("not a console image of a version known here"),
            Self::Length => {
                f.write_str("the console image is cut short or has something behind it")
            }
            Self::Log(error) => write!(f, "the console image's log: {error}"),
            Self::Io(error) => write!(f, "cannot make the console: {error}"),
        }
    }
}

impl std::error::Error for ImageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotAnImage | Self::Length => None,
            Self::Log(error) => Some(error),
            Self::Io(error) => Some(error),
        }
    }
}

impl ConsoleImage {
    /// The image as bytes, little-endian: 8 bytes of magic, `u32` version, `u32` number of
    /// counters, the counters as `u64` in the order of [`CounterValues::iter`], and to the end the
    /// log's own format ([`LogImage::to_bytes`]).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        let counters: Vec<u64> = self.counters.iter().map(|(_, value)| value).collect();
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((counters.len() as u32).to_le_bytes());
        bytes.extend(counters.iter().flat_map(|value| value.to_le_bytes()));
        bytes.extend(self.log.to_bytes());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Counters that a newer version has added are
    /// dropped. Counters that an older version did not have are 0.
    ///
    /// # Errors
    /// [`NotAnImage`](ImageError::NotAnImage), [`Length`](ImageError::Length) or
    /// [`Log`](ImageError::Log).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ImageError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(ImageError::NotAnImage)?;
        let (version, rest) = rest.split_first_chunk().ok_or(ImageError::Length)?;
        if u32::from_le_bytes(*version) != VERSION {
            return Err(ImageError::NotAnImage);
        }
        let (count, rest) = rest.split_first_chunk().ok_or(ImageError::Length)?;
        let length = (u32::from_le_bytes(*count) as usize)
            .checked_mul(8)
            .ok_or(ImageError::Length)?;
        let (counters, log) = rest.split_at_checked(length).ok_or(ImageError::Length)?;
        let (values, _) = counters.as_chunks::<8>();
        let counters =
            CounterValues::from_values(values.iter().map(|value| u64::from_le_bytes(*value)));
        Ok(Self {
            log: LogImage::from_bytes(log).map_err(ImageError::Log)?,
            counters,
        })
    }
}

impl Console {
    /// Exports the part that moves with the guest. `line` has to be the one that was made with this
    /// console. Call it while the guest is paused, when the device's snapshot is taken.
    #[must_use]
    pub fn export(&self, line: &ConsoleLine) -> ConsoleImage {
        ConsoleImage {
            log: line.export_log(),
            counters: self.counters(),
        }
    }

    /// Makes a console that goes on where `image` was taken, and the line for the guest's port. It
    /// puts the image's log into that of `writer`.
    ///
    /// # Errors
    /// [`Log`](ImageError::Log) if the log is damaged or does not fit into `writer`'s;
    /// [`Io`](ImageError::Io) if no descriptor is left.
    pub fn resume(
        config: ConsoleConfig,
        mut writer: LogWriter,
        image: &ConsoleImage,
    ) -> Result<(ConsoleLine, Self), ImageError> {
        writer.restore(&image.log).map_err(ImageError::Log)?;
        let (line, console) = Self::new(config, writer).map_err(ImageError::Io)?;
        console.restore_counters(&image.counters);
        Ok((line, console))
    }
}
