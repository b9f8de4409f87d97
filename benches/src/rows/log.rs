//! The log by itself.

use std::hint::black_box;

use vm_console::{BootLog, LogConfig, LogWriter, Read, Start};

use crate::measure::{Bar, Pass, Row, ns_each};

const CHUNK: usize = 4096;
const BYTES: usize = 1 << 24;

/// The rows of this module.
pub(super) fn rows() -> Vec<Row> {
    let row = |name, what, peer, prepare| Row::a_byte(name, what, peer, Bar::None, prepare);
    vec![
        row("log-append", "append in 4 KiB chunks", "memcpy", || {
            let (mut writer, _) = BootLog::in_memory(LogConfig::default())?;
            let chunk = vec![b'x'; CHUNK];
            let mut copy = vec![0; 1 << 20];
            Ok(Box::new(move || {
                let ours = append(&mut writer, &chunk);
                let peer = ns_each(BYTES, || {
                    for at in 0..BYTES / CHUNK {
                        let at = at * CHUNK % copy.len();
                        black_box(&mut copy)[at..at + CHUNK].copy_from_slice(black_box(&chunk));
                    }
                });
                Ok(Pass::pair(ours, peer))
            }))
        }),
        row("log-snapshot", "read a full 1 MiB log", "memcpy", || {
            let (mut writer, log) = BootLog::in_memory(LogConfig::default())?;
            append(&mut writer, &vec![b'x'; CHUNK]);
            let whole = LogConfig::default().tail as usize;
            let mut buffer = vec![0; whole];
            let source = vec![b'y'; whole];
            Ok(Box::new(move || {
                let ours = ns_each(whole * 8, || {
                    for _ in 0..8 {
                        read_tail(&log, &mut buffer);
                    }
                });
                let peer = ns_each(whole * 8, || {
                    for _ in 0..8 {
                        black_box(&mut buffer).copy_from_slice(black_box(&source));
                    }
                });
                Ok(Pass::pair(ours, peer))
            }))
        }),
        row(
            "log-file",
            "append 4 KiB chunks to a mapped file",
            "in memory",
            || {
                let directory = tempfile::tempdir()?;
                let (mut mapped, _) =
                    BootLog::create_file(directory.path().join("log"), LogConfig::default())?;
                let (mut heap, _) = BootLog::in_memory(LogConfig::default())?;
                let chunk = vec![b'x'; CHUNK];
                Ok(Box::new(move || {
                    // Keeps the file until the last pass.
                    let _ = &directory;
                    Ok(Pass::pair(
                        append(&mut mapped, &chunk),
                        append(&mut heap, &chunk),
                    ))
                }))
            },
        ),
    ]
}

fn append(writer: &mut LogWriter, chunk: &[u8]) -> f64 {
    ns_each(BYTES, || {
        for _ in 0..BYTES / CHUNK {
            writer.append(black_box(chunk));
        }
    })
}

fn read_tail(log: &BootLog, buffer: &mut [u8]) {
    let mut cursor = log.cursor(Start::Newest(buffer.len() as u64));
    while let Read::Bytes(1..) | Read::Gap { .. } = cursor.read(buffer) {}
}
