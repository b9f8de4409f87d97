//! A list that is drawn again and again at one place of the terminal.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGCONT, SIGTSTP};
use vm_console::signals::{Signals, die_by};

use crate::job::stop_until_in_foreground;
use crate::output::{Stop, height, print};

/// The alternate screen without a cursor, and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Draws until a signal ends the program. The terminal is as before then.
pub(super) fn watch(
    every: Duration,
    mut draw: impl FnMut() -> Result<String, Stop>,
) -> Result<(), Stop> {
    let signals = Signals::hold().map_err(Stop::failed)?;
    let drawing = Arc::new(Mutex::new(()));
    let undisturbed = Arc::clone(&drawing);
    signals
        .forward(move |signal| match signal {
            SIGCONT => {}
            SIGTSTP => {
                // Nothing is drawn between the two screens.
                let _guard = undisturbed.lock();
                let _ = print(LEAVE);
                stop_until_in_foreground();
                let _ = print(ENTER);
            }
            signal => {
                // It fails if the terminal is closed.
                let _ = print(LEAVE);
                die_by(signal)
            }
        })
        .map_err(Stop::failed)?;
    print(ENTER)?;
    let end = loop {
        let drawn = draw().and_then(|table| {
            let _guard = drawing.lock();
            print(picture(&table, height()))
        });
        if let Err(stop) = drawn {
            break stop;
        }
        thread::sleep(every);
    };
    print(LEAVE)?;
    Err(end)
}

/// What draws `table` over the one before, on a screen of `height` lines. Of a longer one the last
/// line tells how much is not shown.
fn picture(table: &str, height: Option<usize>) -> String {
    let mut lines: Vec<_> = table.lines().collect();
    let height = height.unwrap_or(usize::MAX).max(1);
    let more = if lines.len() > height {
        let hidden = lines.len() - (height - 1);
        lines.truncate(height - 1);
        Some(format!("... and {hidden} more; a PATTERN shows fewer"))
    } else {
        None
    };
    lines.extend(more.as_deref());
    // A line clears its place first: after a full one the cursor is still on its last column. There
    // is no line end after the last one, which would scroll the screen.
    let lines: Vec<_> = lines.iter().map(|line| format!("\x1b[K{line}")).collect();
    let end = if lines.len() < height {
        "\r\n\x1b[J"
    } else {
        ""
    };
    format!("\x1b[H{}{end}", lines.join("\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_never_scrolls_the_screen() {
        let table = "ID\na\nb\nc\n";
        for (height, expected) in [
            (
                None,
                "\x1b[H\x1b[KID\r\n\x1b[Ka\r\n\x1b[Kb\r\n\x1b[Kc\r\n\x1b[J",
            ),
            (Some(4), "\x1b[H\x1b[KID\r\n\x1b[Ka\r\n\x1b[Kb\r\n\x1b[Kc"),
            (
                Some(3),
                "\x1b[H\x1b[KID\r\n\x1b[Ka\r\n\x1b[K... and 2 more; a PATTERN shows fewer",
            ),
            (Some(1), "\x1b[H\x1b[K... and 4 more; a PATTERN shows fewer"),
        ] {
            assert_eq!(picture(table, height), expected, "{height:?}");
        }
    }
}
