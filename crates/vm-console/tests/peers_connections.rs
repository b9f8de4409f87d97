//! Connections without end beside a holder. The test measures its process, so it runs alone there.

mod support;

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use support::{Rig, resident, wait_until};

#[test]
fn ten_thousand_connections_leave_the_holder_undisturbed_and_memory_bounded() {
    let rig = Rig::new().for_long();
    let mut holder = rig.attach("raw");
    let before = resident();
    let end = Instant::now() + Duration::from_secs(60);
    let mut made = 0u64;
    while made < 10_000 && Instant::now() < end {
        let name = if made.is_multiple_of(2) {
            "raw"
        } else {
            "control"
        };
        if UnixStream::connect(rig.path(name)).is_ok() {
            made += 1;
        }
        if made.is_multiple_of(1000) {
            rig.print(b"y");
            assert_eq!(holder.read(1), b"y");
        }
    }
    assert!(resident() < before + (32 << 20));
    holder.send(b"still me");
    assert_eq!(rig.read_input(8), b"still me");
    wait_until("all were taken in", || rig.counters().connections > made);
}
