//! The machine among the consoles of its host.

use vm_console::instance::Entry;
use vm_console::transport::Listener;
use vm_console::{BootLog, LogConfig, LogError, LogWriter};

use crate::arguments::MachineArguments;
use crate::messages::say;

/// The machine's entry. Once this is dropped, the machine is gone, and its log stays.
pub(crate) struct Publication(Entry);

impl Publication {
    /// Publishes the machine, if it has been given a name.
    pub(crate) fn make(arguments: &MachineArguments) -> Result<Option<Self>, String> {
        let Some(id) = &arguments.name else {
            return Ok(None);
        };
        let options = vm_console::instance::ClaimOptions {
            group: arguments.operators,
            ..Default::default()
        };
        // The error names the entry, and says what to do.
        let entry = options
            .claim(&arguments.directory(), id, arguments.description())
            .map_err(|e| format!("--name {id}: {e}"))?;
        say(format_args!(
            "published as {id} in {}",
            arguments.directory().path().display()
        ));
        Ok(Some(Self(entry)))
    }

    /// The log in the entry: that of an earlier VMM, or a new one.
    pub(crate) fn boot_log(&self, sizes: LogConfig) -> Result<(LogWriter, BootLog), LogError> {
        self.0.boot_log(sizes)
    }

    /// The control socket in the entry.
    pub(crate) fn control_listener(&self) -> Result<Listener, String> {
        let listener = self.0.control_listener();
        listener.map_err(|e| format!("--name {}: {e}; choose another --dir", self.0.id()))
    }
}
