//! Reads the directory again and again, and opens the logs in it.

use std::collections::HashMap;
use std::io;
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;
use vm_console::BootLog;
use vm_console::instance::{Directory, DirectoryError, Instance, InstanceId};

use super::event::{Event, Listed, Listing};
use super::tile::Entry;

/// Between two readings.
const PAUSE: Duration = Duration::from_secs(1);

/// The directory, and the logs that are open.
#[derive(Debug)]
pub(super) struct Lister {
    directory: Directory,
    open: HashMap<InstanceId, (u64, BootLog)>,
}

impl Lister {
    pub(super) fn new(directory: Directory) -> Self {
        Self {
            directory,
            open: HashMap::new(),
        }
    }

    /// What is there now.
    pub(super) fn list(&mut self) -> Result<Listing, DirectoryError> {
        let mut listing = Listing::default();
        let mut before = std::mem::take(&mut self.open);
        for found in self.directory.list()? {
            let Ok(instance) = found else {
                listing.damaged += 1;
                continue;
            };
            let incarnation = instance.record.incarnation;
            let log = match before.remove(&instance.id) {
                Some((then, log)) if then == incarnation => Some(log),
                // Without a log there is the VMM to ask.
                _ => instance.open_boot_log().ok(),
            };
            if let Some(log) = &log {
                let open = (incarnation, log.clone());
                self.open.insert(instance.id.clone(), open);
            }
            listing.entries.push(listed(instance, log));
        }
        Ok(listing)
    }

    /// Goes on for as long as somebody wants to know.
    pub(super) fn start(mut self, events: Sender<Event>) -> io::Result<()> {
        let read = move || {
            loop {
                thread::sleep(PAUSE);
                let event = match self.list() {
                    Ok(listing) => Event::Listed(listing),
                    Err(error) => Event::NotListed(error.to_string()),
                };
                if events.send(event).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("listing".to_owned());
        thread.spawn(read).map(drop)
    }
}

fn listed(instance: Instance, log: Option<BootLog>) -> Listed {
    Listed {
        entry: Entry {
            name: instance.record.description.name.clone(),
            is_live: instance.is_live(),
            incarnation: instance.record.incarnation,
            log: log.as_ref().and_then(BootLog::id),
        },
        control_socket: instance.control_socket(),
        id: instance.id,
        log,
    }
}
