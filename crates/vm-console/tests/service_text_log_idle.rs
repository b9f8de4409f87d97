//! A text log of a guest that prints nothing costs nothing. The test measures threads of its
//! process, so it runs alone there.

mod support;

use std::time::Duration;

use support::service_thread::activity_of;
use support::{Rig, wait_until};
use vm_console::text_log::TextLog;

#[test]
fn while_the_guest_is_silent_the_threads_sleep() {
    let rig = Rig::new();
    let text = TextLog::append_to(rig.path("text")).unwrap();
    let text = rig.console.log_text(text).unwrap();
    rig.print(b"output");
    wait_until("it is written", || text.written_until() == 6);
    let activity = || ["vm-console", "vm-console-text"].map(activity_of);
    let mut last = activity();
    wait_until("both sleep for half a second", || {
        std::thread::sleep(Duration::from_millis(500));
        let now = activity();
        std::mem::replace(&mut last, now) == now
    });
}
