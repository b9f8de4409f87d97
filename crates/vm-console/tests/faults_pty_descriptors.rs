//! A pty is opened while no descriptor is left. The test uses up those of its process, so it runs
//! alone there.

mod support;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use support::{Rig, wait_until};
use vm_console::session::EndReason;
use vm_console::transport::{Listener, pty::Pty};

fn open(link: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags.bits().cast_signed())
        .open(link)
}

/// Takes all descriptors that are left.
fn hoard() -> Vec<File> {
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    hoard
}

#[test]
fn a_pty_opened_or_to_be_replaced_while_descriptors_are_exhausted_is_served_later() {
    let rig = Rig::new();
    let link = rig.path("pty");
    rig.console.listen(Listener::pty(Pty::open(&link).unwrap()));
    rig.status();
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let low = rustix::process::Rlimit {
        current: Some(200),
        maximum: limit.maximum,
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, low).unwrap();

    // The last descriptor is used to open it.
    let mut hoarded = hoard();
    drop(hoarded.pop());
    let pty = open(&link).unwrap();
    for _ in 0..3 {
        rig.prompt_status();
    }
    drop(hoarded);
    rig.wait_until_held();

    // The pty is hung up, and no descriptor is left for the next one.
    let hoarded = hoard();
    rig.console.disconnect(EndReason::Revoked);
    wait_until("the session is over", || {
        rig.prompt_status().holder.is_none()
    });
    drop(pty);
    for _ in 0..3 {
        rig.prompt_status();
    }
    drop(hoarded);
    let granted = rig.counters().attaches;
    let mut ptys = Vec::new();
    wait_until("it can be had again", || {
        // A client whose pty was hung up opens the name again.
        ptys.clear();
        ptys.extend(open(&link));
        for _ in 0..200 {
            if rig.counters().attaches > granted {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        false
    });
}
