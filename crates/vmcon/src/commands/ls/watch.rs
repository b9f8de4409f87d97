//! A list that is drawn again and again at one place of the terminal.

use std::io;
use std::thread;
use std::time::Duration;

use vm_console::signals::{Signals, die_by};

use crate::output::{Stop, print};

/// The alternate screen without a cursor, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Draws until a signal ends the program. The terminal is as before then.
pub(super) fn watch(
    every: Duration,
    mut draw: impl FnMut() -> Result<String, Stop>,
) -> Result<(), Stop> {
    let signals = Signals::hold().map_err(failed)?;
    signals
        .answer(None, |signal| {
            // It fails if the terminal is closed.
            let _ = print(LEAVE);
            die_by(signal)
        })
        .map_err(failed)?;
    print(ENTER)?;
    let end = loop {
        // Each line clears its rest, so that nothing flickers.
        let drawn = draw().and_then(|table| {
            let lines = table.replace('\n', "\x1b[K\r\n");
            print(format_args!("\x1b[H{lines}\x1b[J"))
        });
        if let Err(stop) = drawn {
            break stop;
        }
        thread::sleep(every);
    };
    print(LEAVE)?;
    Err(end)
}

fn failed(error: io::Error) -> Stop {
    crate::failure::Failure::new(crate::failure::Code::Failed, error).into()
}
