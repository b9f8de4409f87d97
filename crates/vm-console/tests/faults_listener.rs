//! A listener that somebody has shut down. The test measures the service's thread, so it runs alone
//! in its process.

mod support;

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use support::service_thread::activity;
use support::{Rig, wait_until};
use vm_console::transport::Listener;

/// The number of this process's descriptors of this socket.
fn descriptors_of(listener: &UnixListener) -> usize {
    let link = |fd: i32| std::fs::read_link(format!("/proc/self/fd/{fd}")).ok();
    let socket = link(listener.as_raw_fd());
    let all = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    all.filter(|entry| std::fs::read_link(entry.path()).ok() == socket)
        .count()
}

#[test]
fn a_listener_that_is_shut_down_by_others_is_let_go_and_costs_nothing() {
    let rig = Rig::new();
    let listener = UnixListener::bind(rig.path("adopted")).unwrap();
    let shared = listener.try_clone().unwrap();
    rig.console.listen(Listener::raw(listener.into()));
    let mut client = rig.connect("adopted");
    rig.carries(&mut client, "served");
    drop(client);
    rig.wait_until_free();
    assert_eq!(descriptors_of(&shared), 2);

    rustix::net::shutdown(&shared, rustix::net::Shutdown::Both).unwrap();
    rig.prompt_status();
    let before = activity().1;
    std::thread::sleep(Duration::from_secs(1));
    let used = activity().1 - before;
    assert!(used < 20, "{used} ticks in a second of idleness");
    wait_until("it is let go", || descriptors_of(&shared) == 1);

    // The other listeners work as before.
    let mut client = rig.attach("raw");
    rig.carries(&mut client, "undisturbed");
}
