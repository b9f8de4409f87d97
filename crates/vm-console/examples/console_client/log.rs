//! `log`: prints the guest's output up to now.

use std::io::{self, IsTerminal, Write};

use vm_console::Start;
use vm_console::client::ControlClient;
use vm_console::replay_guard::ReplayGuard;

use crate::exit::{Stop, notice};

/// Prints the log from `start` to its present end. A terminal is sent no sequences that make it
/// type, since the next program here would read them as input. `exact` sends them all the same.
pub(crate) fn print(client: &mut ControlClient, start: Start, exact: bool) -> Result<(), Stop> {
    let mut out = io::stdout().lock();
    let mut guard = (!exact && out.is_terminal()).then(ReplayGuard::default);
    let mut shown = Vec::new();
    let (mut from, mut end) = (start, None);
    loop {
        let data = client.read_log(from, u32::MAX)?;
        if let Start::Offset(offset) = from
            && offset > data.head
        {
            let head = data.head;
            return Err(Stop::failed(format_args!(
                "--start {offset}: the log ends at {head}; ask for less"
            )));
        }
        // Otherwise a guest that prints without end would never let this end.
        let end = *end.get_or_insert(data.head);
        if data.start > data.asked {
            if let Some(guard) = &mut guard {
                guard.interrupt();
            }
            notice(format_args!("[{} bytes lost]\n", data.start - data.asked));
        }
        match &mut guard {
            None => shown.extend_from_slice(&data.bytes),
            Some(guard) => guard.filter(&data.bytes, &mut shown),
        }
        let is_last = data.next >= end;
        if let (true, Some(guard)) = (is_last, &mut guard) {
            guard.finish(&mut shown); // an incomplete sequence is not continued
        }
        out.write_all(&shown)
            .and_then(|()| out.flush())
            .map_err(|error| Stop::by_output(&error))?;
        if is_last {
            return Ok(());
        }
        if data.next <= data.start && data.bytes.is_empty() {
            return Err(Stop::failed("the console service sends no more of the log"));
        }
        shown.clear();
        from = Start::Offset(data.next);
    }
}
