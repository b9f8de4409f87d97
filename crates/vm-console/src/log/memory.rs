//! The mapping that holds a log: anonymous, or a file's.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use rustix::mm::{MapFlags, ProtFlags};
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};

use super::error::LogError;
use super::layout::Layout;
use super::line_counts::LineCounts;
use super::protocol::Cells;

/// A flag that rustix has no name for. It has this value wherever Linux runs virtual machines,
/// except on MIPS.
const MAP_ANONYMOUS: i32 = 0x20;

/// A mapping of exactly the length of its [`Layout`], zero-filled when new.
#[derive(Debug)]
pub(super) struct Memory {
    region: MmapRegion,
    pub(super) layout: Layout,
    /// Counts that readers in this process have made of its content.
    pub(super) line_counts: LineCounts,
    /// Whether another process may cut the file: true for a mapping for reading only.
    watched: bool,
}

impl Memory {
    pub(super) fn anonymous(layout: Layout) -> Result<Self, LogError> {
        // Since Linux 6.7 STACK keeps huge pages away, and does nothing else. Where the kernel
        // gives huge pages to everybody, the first byte of a log would cost 2 MiB. The usual way,
        // madvise, needs `unsafe`.
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::STACK;
        let region = MmapRegion::build(
            None,
            length(layout)?,
            (ProtFlags::READ | ProtFlags::WRITE).bits().cast_signed(),
            flags.bits().cast_signed() | MAP_ANONYMOUS,
        )
        .map_err(LogError::Map)?;
        Ok(Self {
            region,
            layout,
            line_counts: LineCounts::new(layout.most_kept()),
            watched: false,
        })
    }

    /// Maps a file for its one writer. The file must have the layout's length and all its blocks.
    pub(super) fn of_writer(file: File, layout: Layout) -> Result<Self, LogError> {
        let region = MmapRegion::from_file(FileOffset::new(file, 0), length(layout)?)
            .map_err(LogError::Map)?;
        Ok(Self {
            region,
            layout,
            line_counts: LineCounts::new(layout.most_kept()),
            watched: false,
        })
    }

    /// Maps a file for reading.
    pub(super) fn of_reader(file: File, layout: Layout) -> Result<Self, LogError> {
        let region = MmapRegion::build(
            Some(FileOffset::new(file, 0)),
            length(layout)?,
            ProtFlags::READ.bits().cast_signed(),
            MapFlags::SHARED.bits().cast_signed(),
        )
        .map_err(LogError::Map)?;
        Ok(Self {
            region,
            layout,
            line_counts: LineCounts::new(layout.most_kept()),
            watched: true,
        })
    }

    /// The file behind the mapping.
    pub(super) fn file(&self) -> Option<&File> {
        self.region.file_offset().map(FileOffset::file)
    }

    /// False if the file behind the mapping has become shorter: its lost pages must not be touched.
    pub(super) fn is_whole(&self) -> bool {
        match self.file() {
            Some(file) => file
                .metadata()
                .is_ok_and(|meta| meta.len() >= self.region.size() as u64),
            None => true,
        }
    }

    /// As [`is_whole`](Self::is_whole), but asks the system only if another process may cut the
    /// file.
    pub(super) fn is_readable(&self) -> bool {
        !self.watched || self.is_whole()
    }

    #[inline]
    fn word(&self, at: usize) -> Option<&AtomicU64> {
        let word = self.region.get_atomic_ref(at).ok();
        debug_assert!(word.is_some(), "the layout covers every access");
        word
    }
}

fn length(layout: Layout) -> Result<usize, LogError> {
    usize::try_from(layout.length()).map_err(|_| LogError::Size {
        field: "tail and heads together",
        given: layout.length(),
        min: 1,
        max: usize::MAX as u64,
    })
}

impl Cells for Memory {
    #[inline]
    fn load(&self, at: usize, order: Ordering) -> u64 {
        self.word(at)
            .map_or(0, |word| u64::from_le(word.load(order)))
    }

    #[inline]
    fn store(&self, at: usize, value: u64, order: Ordering) {
        if let Some(word) = self.word(at) {
            word.store(value.to_le(), order);
        }
    }

    #[inline]
    fn fence(&self, order: Ordering) {
        fence(order);
    }
}
