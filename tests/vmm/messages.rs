//! What this program says on standard error: one line at a time, on a terminal that may be raw.
//!
//! Nobody may be there to read it, or somebody may have stopped reading. Neither is a reason to end
//! or to wait: a thread of its own writes, and lines that find its queue full are dropped.

use std::fmt::Display;
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use log::{LevelFilter, Log, Metadata, Record};

/// Lines that may wait for their reader.
const QUEUE: usize = 256;
/// How long a reader may keep [`flush`] waiting.
const PATIENCE: Duration = Duration::from_millis(500);

static WRITER: OnceLock<Sender<Message>> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// A raw terminal does not turn LF into CR LF.
static RAW: AtomicBool = AtomicBool::new(false);

enum Message {
    Line(String),
    /// Everything before it has been written when this is dropped.
    Mark(#[expect(dead_code, reason = "dropping it is the answer")] Sender<()>),
}

/// Shows what this program says, and what the libraries report from warnings on.
pub(crate) fn start() {
    let (writer, lines) = crossbeam_channel::bounded(QUEUE);
    let thread = thread::Builder::new()
        .name("messages".to_owned())
        .spawn(move || write_all(&lines));
    if thread.is_ok() {
        // It fails only if this was done before.
        let _ = WRITER.set(writer);
    }
    if log::set_logger(&Reports).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

/// From now on lines end as a raw terminal wants it, or no more.
pub(crate) fn terminal_is_raw(raw: bool) {
    RAW.store(raw, Ordering::Relaxed);
}

/// Says one line.
pub(crate) fn say(text: impl Display) {
    queue(format!("vmm: {text}"));
}

/// Ends the line on which the guest's prompt stands.
pub(crate) fn end_line() {
    queue(String::new());
}

/// Waits until everything said has been written, but not for a reader that does not read: before
/// the process ends, and before somebody else writes to the same terminal.
pub(crate) fn flush() {
    let (mark, passed) = crossbeam_channel::bounded(0);
    if let Some(writer) = WRITER.get()
        && writer.send_timeout(Message::Mark(mark), PATIENCE).is_ok()
    {
        // An error either way: the mark is gone, or time is.
        let _ = passed.recv_timeout(PATIENCE);
    }
}

fn queue(line: String) {
    match WRITER.get() {
        None => write(&line), // no thread could be started, and this will be one of the last lines
        Some(writer) => {
            if writer.try_send(Message::Line(line)).is_err() {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn write_all(messages: &Receiver<Message>) {
    for message in messages {
        let Message::Line(line) = message else {
            continue;
        };
        write(&line);
        match DROPPED.swap(0, Ordering::Relaxed) {
            0 => {}
            dropped => write(&format!(
                "vmm: {dropped} messages dropped: nobody read them\n"
            )),
        }
    }
}

fn write(line: &str) {
    let end = if RAW.load(Ordering::Relaxed) {
        "\r\n"
    } else {
        "\n"
    };
    // An error means that nobody reads any more, and there is nobody else to tell.
    let _ = std::io::stderr().write_all(format!("{line}{end}").as_bytes());
}

/// What the libraries report.
struct Reports;

impl Log for Reports {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        say(format_args!("{}: {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}
