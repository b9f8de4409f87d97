//! The requests of one client delay the others by no more than a turn.

mod support;

use support::control::{Control, hello, log_read, named};
use support::flood::Flood;
use support::{Client, Rig, wait_until};
use vm_console::Start;
use vm_console::protocol::{AttachRequest, ClientFrame, ServerFrame};
use vm_console::{BootLog, ConsoleConfig, GuestPort, LogConfig, MarkKind};

/// The bytes that the guest has printed, without a newline.
const PRINTED: usize = 8 << 20;

fn rig() -> Rig {
    let sizes = LogConfig {
        tail: PRINTED as u64,
        ..LogConfig::default()
    };
    let rig = Rig::with_log(ConsoleConfig::named("vm"), sizes);
    let chunk = vec![b'x'; 64 << 10];
    for _ in 0..PRINTED / chunk.len() {
        rig.port.with_line(&mut |line| {
            line.transmit(&chunk);
        });
    }
    rig
}

/// Checks that other clients are served while a flood lasts.
fn serves(rig: &Rig, beside: &Rig, neighbour: &mut Client) {
    for round in 0..3 {
        rig.prompt_status();
        beside.carries(neighbour, &format!("round {round}"));
    }
}

#[test]
fn a_search_through_the_whole_log_takes_many_turns() {
    let rig = rig();
    let mut control = Control::connect(&rig);
    rig.prompt_status();
    let before = rig.service.turn_times();
    control.send(&[log_read(1, Start::Lines(u64::MAX), 0)]);
    control.next_that("the answer", |frame| {
        matches!(frame, ServerFrame::LogData(_)).then_some(())
    });
    let turns = rig.service.turn_times().since(&before).count();
    // A turn makes a step or two.
    let steps = PRINTED as u64 / BootLog::LOOKUP_BUDGET;
    assert!(turns >= steps / 4, "{turns} turns for {steps} steps");
}

#[test]
fn a_burst_of_searches_through_the_whole_log_does_not_stop_the_service() {
    // As many as fit into one turn's reading.
    const SEARCHES: u32 = 744;
    let rig = rig();
    let beside = rig.beside(ConsoleConfig::named("beside"));
    let mut neighbour = beside.attach("raw");
    let searches: Vec<_> = (0..SEARCHES)
        .map(|id| log_read(id, Start::Lines(u64::MAX), 0))
        .collect();
    let mut control = Control::connect(&rig);
    control.send(&searches);
    serves(&rig, &beside, &mut neighbour);
    // Each of them is answered.
    for id in 0..SEARCHES {
        let data = control.next_that("the answer", |frame| match frame {
            ServerFrame::LogData(data) => Some(data),
            ServerFrame::Hello { .. } => None,
            other => panic!("{other:?}"),
        });
        assert_eq!((data.id, data.asked, data.bytes.len()), (id, 0, 0));
    }
}

#[test]
fn attaches_that_search_the_whole_log_do_not_stop_the_service() {
    let rig = rig();
    let beside = rig.beside(ConsoleConfig::named("beside"));
    let mut neighbour = beside.attach("raw");
    let request = AttachRequest {
        read_only: true,
        // More lines than the log has.
        replay: Start::Lines(1000),
        ..named("reader")
    };
    let session = [ClientFrame::Attach(request), ClientFrame::Detach];
    let _controls: Vec<_> = (0..10)
        .map(|_| {
            let mut control = Control::silent(&rig);
            let sessions = std::iter::repeat_n(session.clone(), 50).flatten();
            let frames: Vec<_> = std::iter::once(hello()).chain(sessions).collect();
            control.send(&frames);
            control
        })
        .collect();
    serves(&rig, &beside, &mut neighbour);
}

#[test]
fn a_flood_of_breaks_neither_stops_the_service_nor_buries_the_boots() {
    let rig = Rig::new();
    let beside = rig.beside(ConsoleConfig::named("beside"));
    let mut neighbour = beside.attach("raw");
    rig.print(b"first boot\n");
    rig.console.reset();
    rig.print(b"second boot\n");
    let boots = |rig: &Rig| {
        let marks = rig.log.marks();
        let kinds = marks.iter().map(|mark| mark.kind);
        kinds.filter(|kind| *kind == MarkKind::Reset).count()
    };
    assert_eq!(boots(&rig), 1);
    let mut control = Control::connect(&rig);
    control.attach(&named("ada"));
    let flood = Flood::on(&control, &[ClientFrame::Break]);
    // While the guest takes them ...
    wait_until("many breaks have come", || {
        rig.take_input();
        rig.counters().input_taken >= 20_000 || flood.is_over()
    });
    // ... and while it does not.
    serves(&rig, &beside, &mut neighbour);
    drop(flood);
    assert_eq!(boots(&rig), 1, "the boot is still to be found");
    let newest = rig.log.boots().last().map(|boot| boot.epoch);
    assert_eq!(newest, Some(rig.log.epoch()));
}
