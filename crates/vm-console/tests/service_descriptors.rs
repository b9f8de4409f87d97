//! Descriptors run out. The test uses up those of its process, so it runs alone there.

mod support;

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use support::{Client, Rig, wait_until};

#[test]
fn when_descriptors_run_out_the_holder_is_undisturbed_and_others_wait() {
    let rig = Rig::new();
    let mut holder = rig.attach("raw");
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let low = rustix::process::Rlimit {
        current: Some(200),
        maximum: limit.maximum,
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, low).unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    // The client's own end needs one descriptor. Then none is left to accept it with.
    drop(hoard.pop());
    let waiting = UnixStream::connect(rig.path("watch")).unwrap();
    let counters = || rig.counters();
    wait_until("the listener pauses", || counters().listener_pauses > 0);
    rig.print(b"output");
    assert_eq!(holder.read(6), b"output");
    holder.send(b"input");
    assert_eq!(rig.read_input(5), b"input");
    // The listener tries again once a second, and not in a loop.
    assert_eq!(counters().connections, 1, "it waits");
    let pauses = counters().listener_pauses;
    std::thread::sleep(Duration::from_millis(300));
    assert!(counters().listener_pauses <= pauses + 1);
    drop(hoard);
    let mut client = Client::new(waiting);
    assert_eq!(client.read(6), b"output");
}
