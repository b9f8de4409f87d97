//! The program as a job of its shell.

use std::io;

use vm_console::signals::stop;

/// Stops the program until its shell has it in the foreground. In the background it would draw over
/// what others write.
pub(crate) fn stop_until_in_foreground() {
    loop {
        stop();
        if is_in_foreground() {
            return;
        }
    }
}

/// Whether the terminal is this program's and not that of another job.
pub(crate) fn is_in_foreground() -> bool {
    // Without job control there is nobody else.
    rustix::termios::tcgetpgrp(io::stdin())
        .map_or(true, |foreground| foreground == rustix::process::getpgrp())
}
