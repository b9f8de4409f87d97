//! `log`: what the guest has printed.

use std::io::{self, IsTerminal, Write};

use vm_console::Start;
use vm_console::client::ControlClient;
use vm_console::replay_guard::ReplayGuard;

use crate::exit::{Stop, notice};

/// Prints the log from `start` to its end as it is now. A terminal is shown no questions, since its
/// answers would be typed into whatever runs here next; `exact` shows them all the same.
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
        // A guest that prints without end does not keep us here for ever.
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
            guard.finish(&mut shown); // nothing follows a sequence that is incomplete here
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
