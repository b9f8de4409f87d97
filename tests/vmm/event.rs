//! What the main thread waits for.

use std::io;
use std::panic;
use std::thread;

use crossbeam_channel::Sender;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;

use vm_console::session::EndReason;

use crate::guest::Ending;

// Exit codes that are no signal's.
pub(crate) const POWERED_OFF: u8 = 0;
pub(crate) const GUEST_FAILED: u8 = 1;
pub(crate) const PANICKED: u8 = 101;

/// Something that the main thread has to answer.
#[derive(Debug)]
pub(crate) enum Event {
    /// The guest no longer runs.
    Guest(Ending),
    /// Standard input has left the console.
    TerminalLeft(EndReason),
    /// SIGUSR1.
    AccountingWanted,
    /// A signal that ends the process.
    Signal(u8),
    /// A thread has panicked.
    Panicked,
}

/// Turns signals into events, on a thread of their own.
pub(crate) fn watch_signals(events: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1])?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                let event = match signal {
                    SIGUSR1 => Event::AccountingWanted,
                    other => Event::Signal(u8::try_from(other).unwrap_or_default()),
                };
                if events.send(event).is_err() {
                    return;
                }
            }
        })?;
    Ok(())
}

/// Makes a panic in any thread the end of the machine: a guest whose thread is gone would never end by itself.
pub(crate) fn watch_panics(events: Sender<Event>) {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        report(what);
        // If nobody listens any more, the machine is ending anyway.
        let _ = events.send(Event::Panicked);
    }));
}
