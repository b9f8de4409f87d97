//! The file behind a log: its header, its length and its blocks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::error::LogError;
use super::layout::{BLOCK, FIXED, Layout, MAGIC, fitting};

/// Makes an empty log: header first, then length. A writer killed in between leaves only the
/// header, and the next one finishes the work.
pub(super) fn format(file: &File, layout: Layout) -> Result<(), LogError> {
    file.write_all_at(&layout.fixed_header(), 0)
        .map_err(|e| LogError::io("write", e))?;
    file.set_len(layout.length())
        .map_err(|e| LogError::io("size", e))?;
    allocate(file, layout)
}

/// Allocates every block of the file, so that no store into the mapping can meet a full disk
/// (SIGBUS). This also fills the holes of a file that was copied with holes.
pub(super) fn allocate(file: &File, layout: Layout) -> Result<(), LogError> {
    match fallocate(file, FallocateFlags::empty(), 0, layout.length()) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            rewrite(file, layout.length()).map_err(|e| LogError::io("allocate", e))
        }
        Err(error) => Err(LogError::io("allocate", error)),
    }
}

/// Allocates by writing each block as it is, for file systems without fallocate.
fn rewrite(file: &File, len: u64) -> io::Result<()> {
    let mut block = [0; BLOCK as usize];
    for at in (0..len).step_by(block.len()) {
        file.read_exact_at(&mut block, at)?;
        file.write_all_at(&block, at)?;
    }
    Ok(())
}

pub(super) fn regular_len(file: &File) -> Result<u64, LogError> {
    let meta = file.metadata().map_err(|e| LogError::io("examine", e))?;
    if meta.is_file() {
        Ok(meta.len())
    } else {
        Err(LogError::NotALog)
    }
}

/// The sizes of a file that is a log and has its full length.
pub(super) fn whole_layout(file: &File) -> Result<Layout, LogError> {
    let len = regular_len(file)?;
    let layout = fixed_header(file, len)?;
    if len < layout.length() {
        return Err(LogError::CutShort {
            len,
            expected: layout.length(),
        });
    }
    Ok(layout)
}

pub(super) fn fixed_header(file: &File, len: u64) -> Result<Layout, LogError> {
    let mut header = [0; FIXED];
    let there = fitting(header.len(), len);
    file.read_exact_at(&mut header[..there], 0)
        .map_err(|e| LogError::io("read", e))?;
    if there < FIXED {
        let ours = there >= 8 && header[..8] == MAGIC.to_le_bytes();
        return Err(if ours {
            LogError::CutShort {
                len,
                expected: FIXED as u64,
            }
        } else {
            LogError::NotALog
        });
    }
    Layout::parse(&header)
}
