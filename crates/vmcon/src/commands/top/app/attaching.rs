//! The terminal goes to `vmcon attach`, and comes back.

use std::time::Duration;

use crossterm::event as keyboard;
use rustix::process::Signal;
use signal_hook::consts::{SIGCONT, SIGTSTP};
use vm_console::instance::InstanceId;

use super::{App, End, LOOK};
use crate::commands::top::attached::Attached;
use crate::commands::top::event::Event;
use crate::output::{Stop, notice};

/// Between two looks whether it has ended.
const CHILD: Duration = Duration::from_millis(20);

impl App {
    /// Lets `vmcon attach` have the terminal. What happens meanwhile is seen all the same.
    pub(super) fn attach(&mut self, id: &InstanceId) -> Result<Option<End>, Stop> {
        self.screen.suspend();
        let attached = match Attached::start(&self.directory, id) {
            Ok(attached) => attached,
            Err(error) => {
                self.screen.resume()?;
                self.model.message = Some(format!("vmcon attach: {error}"));
                return Ok(None);
            }
        };
        let mut killed = None;
        let code = loop {
            if let Some(code) = attached.look().map_err(Stop::failed)? {
                break code;
            }
            match self.events.recv_timeout(CHILD) {
                // Those of job control it has got as well.
                Ok(Event::Signal(SIGTSTP | SIGCONT)) | Err(_) => {}
                Ok(Event::Signal(signal)) => {
                    killed = Some(signal);
                    attached.pass_on(Signal::from_named_raw(signal).unwrap_or(Signal::TERM));
                }
                Ok(event) => self.take(event),
            }
            self.look();
        };
        if let Some(signal) = killed {
            return Ok(Some(End::Killed(signal)));
        }
        if code != 0 {
            self.wait_for_key(code)?;
        }
        self.screen.resume()?;
        self.model.change();
        Ok(None)
    }

    /// Leaves time to read why `vmcon attach` has ended.
    fn wait_for_key(&mut self, code: i32) -> Result<(), Stop> {
        notice(format_args!(
            "vmcon top: attach ended with {code}; press a key to go back\n"
        ));
        self.screen.restorer().resume();
        while !keyboard::poll(LOOK)? {
            self.look();
        }
        keyboard::read()?;
        Ok(())
    }
}
