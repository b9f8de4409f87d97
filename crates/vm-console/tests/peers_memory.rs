//! Memory stays bounded with a stopped client and a gibibyte of output. The test measures its
//! process, so it runs alone there.

mod support;

use support::{Rig, resident, wait_until};

#[test]
fn a_gibibyte_past_a_client_that_does_not_read_stays_within_bounds() {
    let rig = Rig::new().for_long();
    let _stuck = rig.attach("raw");
    let _watchers: Vec<_> = (0..4).map(|_| rig.connect("watch")).collect();
    wait_until("all are there", || rig.status().observers == 4);
    let chunk = vec![b'x'; 64 << 10];
    // First the log's own pages are all touched once.
    for _ in 0..32 {
        rig.print(&chunk);
    }
    let before = resident();
    for _ in 0..(1 << 30) / chunk.len() {
        rig.print(&chunk);
    }
    assert_eq!(rig.log.head(), (1 << 30) + (2 << 20));
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes more");
}
