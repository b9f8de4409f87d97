//! Memory stays bounded whatever a client sends and however it reads. The test measures its
//! process, so it runs alone there.

mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use support::control::{Control, log_read, named};
use support::flood::Flood;
use support::{Rig, pattern, resident, wait_until};
use vm_console::Start;
use vm_console::protocol::{ClientFrame, ServerFrame};
use vm_console::{ConsoleConfig, RateLimit};

/// The memory that buffers may take: more than all of them together, and less than the bytes that a
/// run would leak.
const ROOM: usize = 16 << 20;

fn check(what: &str, before: usize) {
    let grown = resident().saturating_sub(before);
    assert!(grown < ROOM, "{what}: {grown} bytes more");
}

#[test]
fn memory_is_bounded_whatever_is_sent() {
    reads_of_the_log_under_a_rate_limit();
    reads_of_the_log_by_a_slow_reader();
    for frame in [
        ClientFrame::Break,
        ClientFrame::Data(vec![b'x'; 1000]),
        ClientFrame::Resize {
            columns: 80,
            rows: 25,
        },
        ClientFrame::Status,
        ClientFrame::Attach(named("again")),
    ] {
        requests_of_a_holder_that_reads_nothing(frame);
    }
}

fn read() -> ClientFrame {
    log_read(1, Start::Oldest, u32::MAX)
}

/// Takes answers until they have brought `bytes` bytes of the log.
fn take(control: &mut Control, bytes: usize, mut each: impl FnMut()) {
    let mut taken = 0;
    control.next_that("answers", |frame| {
        if let ServerFrame::LogData(data) = frame {
            taken += data.bytes.len();
            each();
        }
        (taken >= bytes).then_some(())
    });
}

fn reads_of_the_log_under_a_rate_limit() {
    let mut config = ConsoleConfig::named("vm");
    config.rate_limit = Some(RateLimit {
        bytes_per_second: NonZeroU32::new(20_000_000).unwrap(),
        // Less than an answer, so there is always an answer that is sent in part.
        burst: NonZeroU32::new(20_000).unwrap(),
    });
    let rig = Rig::with(config).for_long();
    rig.print(&pattern(0, 100_000));
    let mut control = Control::connect(&rig);
    take_first(&mut control);
    let before = resident();
    let _flood = Flood::on(&control, &[read()]);
    take(&mut control, 4 * ROOM, || {});
    check("log reads under a rate limit", before);
}

fn reads_of_the_log_by_a_slow_reader() {
    let rig = Rig::new().for_long();
    rig.print(&pattern(0, 100_000));
    let mut control = Control::connect(&rig);
    take_first(&mut control);
    let before = resident();
    let _flood = Flood::on(&control, &[read()]);
    take(&mut control, 2 * ROOM, || {
        std::thread::sleep(Duration::from_millis(2));
    });
    check("log reads of a slow reader", before);
}

/// Takes one answer, so that memory which is allocated once is there already.
fn take_first(control: &mut Control) {
    control.send(&[read()]);
    take(control, 1, || {});
}

fn requests_of_a_holder_that_reads_nothing(frame: ClientFrame) {
    let what = format!("{frame:?}").chars().take(20).collect::<String>();
    let rig = Rig::new().for_long();
    let mut control = Control::connect(&rig);
    control.attach(&named("ada"));
    rig.prompt_status();
    let before = resident();
    let flood = Flood::on(&control, &[frame]);
    for _ in 0..100 {
        rig.prompt_status();
        rig.take_input();
        std::thread::sleep(Duration::from_millis(10));
    }
    check(&what, before);
    drop((flood, control));
    wait_until("the console is free", || {
        rig.take_input();
        rig.prompt_status().holder.is_none()
    });
}
