//! A pseudo-terminal with a program at its slave end and a test at its master end.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OutputModes, Termios, tcgetattr};

use crate::running::Output;

/// Both ends of a pty. The slave stays open, so that its settings can be looked at when the program
/// is gone.
#[derive(Debug)]
pub struct Terminal {
    master: File,
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
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap();
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path.to_str().unwrap())
            .unwrap();
        let master = File::from(master);
        let output = Output::collect(master.try_clone().unwrap());
        Self {
            master,
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
        (&self.master).write_all(keys.as_bytes()).unwrap();
    }

    /// The settings, as `stty` shows them.
    ///
    /// # Panics
    /// If the pty is gone.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings::of(&tcgetattr(&self.slave).unwrap())
    }
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
