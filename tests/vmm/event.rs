//! What the main thread waits for.

use std::panic;

use crossbeam_channel::Sender;

use vm_console::protocol::PowerAction;
use vm_console::session::EndReason;

use crate::guest::Ending;

/// Something that the main thread has to answer.
#[derive(Debug)]
pub(crate) enum Event {
    /// The guest no longer runs.
    Guest(Ending),
    /// Standard input has left the console.
    TerminalLeft(EndReason),
    /// Somebody has pressed a button at the control socket.
    Power(PowerAction),
    /// One of [`DEADLY`](vm_console::signals::DEADLY).
    Signal(i32),
    /// A thread has panicked.
    Panicked,
}

/// Makes a panic in any thread the end of the machine: a guest whose thread is gone would never end
/// by itself.
pub(crate) fn watch_panics(events: Sender<Event>) {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |what| {
        report(what);
        // If nobody listens any more, the machine is ending anyway.
        let _ = events.send(Event::Panicked);
    }));
}
