//! A pseudo-terminal with a program at its slave end and a test at its master end.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, OutputModes, Termios, tcgetattr, tcsetattr};

use crate::output::{Output, Tap};
use crate::patience::wait_until;
use crate::process::Process;

/// Both ends of a pty. The slave stays open, so that its settings can be looked at when the program
/// is gone.
#[derive(Debug)]
pub struct Terminal {
    master: Option<(File, Tap)>,
    slave: File,
    output: Output,
}

impl Terminal {
    /// Opens a new pty, in the cooked mode that a shell leaves to its children.
    ///
    /// # Panics
    /// If the host has no ptys left.
    #[must_use]
    pub fn open() -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap();
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path.to_str().unwrap())
            .unwrap();
        let master = File::from(master);
        let (output, tap) = Output::collect_until_closed(master.try_clone().unwrap());
        Self {
            master: Some((master, tap)),
            slave,
            output,
        }
    }

    /// The program's end.
    ///
    /// # Panics
    /// If the process has no descriptors left.
    #[must_use]
    pub fn slave(&self) -> OwnedFd {
        self.slave.try_clone().unwrap().into()
    }

    /// What the program has written so far.
    #[must_use]
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Types.
    ///
    /// # Panics
    /// If the pty is gone.
    pub fn type_keys(&self, keys: &str) {
        let (master, _) = self.master.as_ref().expect("it is open");
        (&mut &*master).write_all(keys.as_bytes()).unwrap();
    }

    /// Closes it, as a terminal emulator does whose window is closed. The program's end hangs up.
    pub fn close(&mut self) {
        self.master = None;
        self.output.wait_for_end();
    }

    /// Waits until a program has made it raw.
    ///
    /// # Panics
    /// If none does.
    #[track_caller]
    pub fn wait_until_raw(&self) {
        wait_until("the terminal is raw", || self.settings().is_raw());
    }

    /// Makes it behave as `settings` say, as a shell does before it gives the terminal to a job.
    ///
    /// # Panics
    /// If the pty is gone.
    pub fn set(&self, settings: &Termios) {
        tcsetattr(&self.slave, OptionalActions::Now, settings).unwrap();
    }

    /// The settings, to be [set](Self::set) again.
    ///
    /// # Panics
    /// If the pty is gone.
    #[must_use]
    pub fn termios(&self) -> Termios {
        tcgetattr(&self.slave).unwrap()
    }

    /// The settings, as `stty` shows them.
    ///
    /// # Panics
    /// If the pty is gone.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings::of(&self.termios())
    }
}

/// Opens a terminal, lets `use_it` start a program there and bring it to its end, and waits until
/// the terminal is as it was before.
///
/// # Panics
/// If it never is.
#[track_caller]
pub fn restored_after(use_it: impl FnOnce(&Terminal)) {
    let terminal = Terminal::open();
    let before = terminal.settings();
    assert!(!before.is_raw());
    use_it(&terminal);
    wait_until("the terminal is as before", || {
        terminal.settings() == before
    });
}

/// The signals that end a process, that it can catch, and that come from outside.
pub const DEADLY: [Signal; 11] = [
    Signal::TERM,
    Signal::INT,
    Signal::HUP,
    Signal::QUIT,
    Signal::ALARM,
    Signal::ABORT,
    Signal::USR2,
    Signal::VTALARM,
    Signal::PROF,
    Signal::XCPU,
    Signal::XFSZ,
];

/// Stops `program`, which has made `terminal` raw, and lets it go on, by job control and by force:
/// the terminal is cooked meanwhile, and raw again afterwards.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn survives_stops(terminal: &Terminal, program: &Process) {
    let cooked = Terminal::open().termios();
    // Twice, since the first stop must not use up the way back.
    for _ in 0..2 {
        program.signal(Signal::TSTP);
        wait_until("it stops", || program.is_stopped());
        assert!(!terminal.settings().is_raw());
        program.signal(Signal::CONT);
        terminal.wait_until_raw();
    }
    program.signal(Signal::STOP);
    wait_until("it stops", || program.is_stopped());
    terminal.set(&cooked); // as a shell does when a job of it stops
    program.signal(Signal::CONT);
    terminal.wait_until_raw();
}

/// All of a terminal's settings that a program may change, in a form that can be compared and
/// shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    modes: [u32; 4],
    special: String,
    raw: bool,
}

impl Settings {
    fn of(termios: &Termios) -> Self {
        let local = termios.local_modes;
        Self {
            modes: [
                termios.input_modes.bits(),
                termios.output_modes.bits(),
                termios.control_modes.bits(),
                local.bits(),
            ],
            special: format!("{:?}", termios.special_codes),
            raw: !local.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
                && !termios.output_modes.contains(OutputModes::OPOST),
        }
    }

    /// Neither lines, nor echo, nor signals, nor output processing.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.raw
    }
}
