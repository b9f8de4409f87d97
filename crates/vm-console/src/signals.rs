//! Signals, for a program that has a terminal in raw mode: before it ends or stops, the terminal is
//! as it was.
//!
//! Nothing in this crate needs it. A program that handles signals already does the same with a
//! [`TerminalRestorer`].
//!
//! ```no_run
//! use vm_console::signals::{Signals, die_by};
//! use vm_console::transport::terminal::Terminal;
//!
//! let signals = Signals::hold()?; // first, so that none can come between
//! let terminal = Terminal::raw(std::io::stdin())?;
//! let restorer = terminal.as_ref().map(Terminal::restorer);
//! signals.answer(restorer.clone(), move |signal| {
//!     if let Some(restorer) = &restorer {
//!         restorer.restore();
//!     }
//!     die_by(signal)
//! })?;
//! # Ok::<(), std::io::Error>(())
//! ```

use std::io;
use std::thread;

use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1,
    SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
};
use signal_hook::low_level::emulate_default_handler;

use crate::transport::terminal::TerminalRestorer;

/// The signals that end a process by default, that it can catch, and that come from outside. Faults
/// (SIGSEGV and its kin) are missing: the instruction that caused one would only cause it again.
pub const DEADLY: [i32; 12] = [
    SIGABRT, SIGALRM, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM,
    SIGXCPU, SIGXFSZ,
];

/// Signals that wait for an answer instead of ending or stopping the process.
#[derive(Debug)]
pub struct Signals {
    waiting: signal_hook::iterator::Signals,
}

impl Signals {
    /// From now on the [`DEADLY`] signals and those of job control (SIGTSTP, SIGCONT) wait.
    ///
    /// A signal that the process was started with ignored stays ignored: `nohup` and shells that
    /// start jobs in the background want it so.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn hold() -> io::Result<Self> {
        let ignored = Ignored::inherited();
        let wanted = DEADLY.iter().chain(&[SIGTSTP, SIGCONT]);
        let waiting =
            signal_hook::iterator::Signals::new(wanted.filter(|signal| !ignored.has(**signal)))?;
        Ok(Self { waiting })
    }

    /// Answers them on a thread of its own, those that wait already first.
    ///
    /// At SIGTSTP `terminal` is put back and the process stops; at SIGCONT the terminal is raw
    /// again. A deadly signal is given to `deadly`, which does what it wants: put the terminal back
    /// and [die](die_by), or begin an orderly end elsewhere.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn answer(
        self,
        terminal: Option<TerminalRestorer>,
        mut deadly: impl FnMut(i32) + Send + 'static,
    ) -> io::Result<()> {
        self.forward(move |signal| match (signal, &terminal) {
            (SIGTSTP, terminal) => {
                if let Some(terminal) = terminal {
                    terminal.suspend();
                }
                stop();
            }
            (SIGCONT, Some(terminal)) => terminal.resume(),
            (SIGCONT, None) => {}
            (signal, _) => deadly(signal),
        })
    }

    /// Gives all of them to `answer`, on a thread of its own, those that wait already first.
    ///
    /// It is for programs that have more to put back than the settings of a terminal, such as those
    /// that draw on the whole screen. At SIGTSTP they put it back and [stop].
    ///
    /// # Errors
    /// No thread can be started.
    pub fn forward(mut self, mut answer: impl FnMut(i32) + Send + 'static) -> io::Result<()> {
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || self.waiting.forever().for_each(&mut answer))?;
        Ok(())
    }
}

/// Stops the process, as SIGTSTP does by default; returns when it goes on.
pub fn stop() {
    // It fails for unknown signals only.
    let _ = emulate_default_handler(SIGTSTP);
}

/// Ends the process by `signal`, so that whoever waits for it sees the truth: a shell ends its
/// script at SIGINT, a service manager counts SIGTERM as success. Nothing is dropped.
pub fn die_by(signal: i32) -> ! {
    // It returns for signals only whose default is not to end a process.
    let _ = emulate_default_handler(signal);
    std::process::exit(128_i32.saturating_add(signal))
}

/// The signals that were ignored when the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ignored(u64);

impl Ignored {
    /// Without /proc there are none as far as we know.
    fn inherited() -> Self {
        std::fs::read_to_string("/proc/self/status")
            .ok()
            .and_then(|status| Self::parse(&status))
            .unwrap_or_default()
    }

    fn parse(status: &str) -> Option<Self> {
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok().map(Self)
    }

    fn has(self, signal: i32) -> bool {
        // Signal 1 is bit 0.
        (1..=64).contains(&signal) && self.0 >> (signal - 1) & 1 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_bits_counted_from_one() {
        let status = "SigBlk:\t0000000000000000\nSigIgn:\t8000000000000001\nSigCgt:\tffff\n";
        let ignored = Ignored::parse(status).unwrap();
        let all: Vec<_> = (-1..=66).filter(|signal| ignored.has(*signal)).collect();
        assert_eq!(all, [SIGHUP, 64]);
        assert_eq!(Ignored::parse("SigCgt:\tffff\n"), None);
        assert_eq!(Ignored::parse("SigIgn:\tnonsense\n"), None);
    }
}
