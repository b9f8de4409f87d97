//! Random scripts, and those that once broke a promise.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::client::Reader;
use super::net::lock;
use super::script::Ask;
use super::script::Step::{
    Attach, BootLog, Connect, FailWatches, HandleAll, Pass, Power, Print, Remove, ShutDown, Spare,
};
use super::script::{Files, Rules, Script, Step, Way};
use super::shrink::shrink;
use super::watchdog::Watchdog;
use super::world::{Broken, Tally, World};
use crate::log::{GapPolicy, Start};
use crate::port::GuestPort;
use crate::transport::closer::{LIMIT, has_ended, is_left_behind};

/// Follows a script, which ends in time or fails the test.
fn follow(script: &Script) -> Result<Tally, Broken> {
    let _watchdog = Watchdog::new();
    super::follow(script)
}

/// What a script breaks; a panic counts too.
fn broken(script: &Script) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| follow(script))) {
        Ok(Ok(_)) => None,
        Ok(Err(broken)) => Some(broken),
        Err(panic) => Some(format!("panic: {:?}", panic.downcast_ref::<String>())),
    }
}

/// Broken promises are told apart by their first words, without numbers and names.
fn kind(broken: &str) -> String {
    let words = broken.split(' ').take(4);
    let words = words.filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

/// The shortest script that breaks the same promise, as it is written in a test.
fn report(script: &Script, what: &str) -> String {
    let shortest = shrink(script, |script| {
        broken(script).is_some_and(|other| kind(&other) == kind(what))
    });
    format!("{what}\n{shortest}")
}

fn random_script(seed: u64) -> Script {
    let mut random = fastrand::Rng::with_seed(seed);
    let length = random.usize(20..20_000);
    let bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
    Script::from_bytes(&bytes)
}

/// `SIMULATED_SCRIPTS` and `SIMULATED_SEED` choose how many scripts and which; what they came to is
/// printed.
#[test]
fn no_random_script_breaks_a_promise() {
    let from_environment = |name| {
        let value = std::env::var(name).ok()?;
        value.parse::<u64>().ok()
    };
    let scripts = from_environment("SIMULATED_SCRIPTS").unwrap_or(40);
    let first = from_environment("SIMULATED_SEED").unwrap_or(1) << 32;
    let mut sum = Tally::default();
    let mut seen = BTreeSet::new();
    let started = Instant::now();
    for seed in first..first + scripts {
        let script = random_script(seed);
        if let Ok(Ok(tally)) = catch_unwind(AssertUnwindSafe(|| follow(&script))) {
            sum.add(&tally);
        } else {
            let what = broken(&script).unwrap_or_else(|| "nothing the second time".into());
            if seen.insert(kind(&what)) {
                eprintln!("script {seed}: {}", report(&script, &what));
            }
        }
    }
    eprintln!("{sum:?} in {:?}", started.elapsed());
    assert!(seen.is_empty(), "broken: {seen:?}");
}

// The same scripts each time: looking for new ones is the fuzz target's work.
proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        max_shrink_iters: 0,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]
    #[test]
    fn no_script_breaks_a_promise(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
        let script = Script::from_bytes(&bytes);
        if let Some(what) = broken(&script) {
            prop_assert!(false, "{}", report(&script, &what));
        }
    }
}

#[test]
fn a_script_runs_the_same_each_time() {
    for seed in 0..20 {
        let script = random_script(seed);
        assert_eq!(follow(&script), follow(&script), "script {seed}");
    }
}

#[track_caller]
fn holds(consoles: &[Rules], steps: &[Step]) {
    let script = Script {
        consoles: consoles.to_vec(),
        steps: steps.to_vec(),
    };
    assert_eq!(broken(&script), None);
}

fn comes(way: Way) -> Step {
    Connect {
        console: 0,
        way,
        uid: 0,
        room: 3,
    }
}

fn is_handed_over(files: Files, force: bool) -> Step {
    Attach {
        console: 0,
        files,
        force,
        read_only: false,
        room: 3,
    }
}

fn attaches(read_only: bool, start: Start) -> Step {
    Step::Ask {
        client: 0,
        ask: Ask::Attach {
            force: true,
            read_only,
            start,
        },
        times: 1,
    }
}

const ALL: Step = HandleAll(255);

/// `epoll_ctl` failed once, and nothing tried again.
#[test]
fn a_way_in_that_cannot_be_watched_is_tried_again() {
    let steps = [
        comes(Way::Pty),
        ALL,
        FailWatches(2),
        Step::Close(0),
        ALL,
        comes(Way::Pty),
    ];
    holds(&[Rules::PLAIN], &steps);
}

/// The session of an observer ended without a word to the auditor.
#[test]
fn an_observer_that_is_shut_down_is_audited() {
    let steps = [
        comes(Way::Control),
        ALL,
        attaches(true, Start::Now),
        ALL,
        ShutDown,
    ];
    holds(&[Rules::PLAIN], &steps);
}

/// A read jumped over the gap, and its bytes were given the offset before it.
#[test]
fn output_after_a_silent_gap_has_its_own_offset() {
    let rules = Rules {
        gaps: GapPolicy::Silent,
        ..Rules::PLAIN
    };
    let steps = [
        comes(Way::Control),
        Print {
            console: 0,
            count: 10_967,
        },
        attaches(false, Start::Oldest),
    ];
    holds(&[rules], &steps);
}

/// Its pty could not be replaced, and so it was not hung up, and was given a session later.
#[test]
fn a_refused_pty_is_hung_up_though_descriptors_have_run_out() {
    let steps = [
        Power(0, false),
        Spare(Some(1)),
        comes(Way::Pty),
        ALL,
        Power(0, true),
        Pass(171),
        ALL,
        Step::Spurious(5, true, false),
        ALL,
    ];
    holds(&[Rules::PLAIN], &steps);
}

/// The rest of the replay was left out without a word.
#[test]
fn a_raw_client_is_told_what_is_withheld() {
    let rules = Rules {
        rate: Some(10_000),
        ..Rules::PLAIN
    };
    let steps = [
        Print {
            console: 0,
            count: 174,
        },
        is_handed_over(Files::Socket, true),
        BootLog(0, false),
    ];
    holds(&[rules], &steps);
}

/// It made way for another, as one that had no session.
#[test]
fn whoever_is_leaving_is_told_why_though_others_want_its_place() {
    let script = Script {
        consoles: vec![Rules {
            max_connections: 4,
            ..Rules::PLAIN
        }],
        steps: vec![
            comes(Way::Pty),
            ALL,
            comes(Way::Observers),
            is_handed_over(Files::Socket, false),
            comes(Way::Forcing),
            comes(Way::Raw),
            ALL,
        ],
    };
    let _watchdog = Watchdog::new();
    let mut world = World::new(&script).unwrap();
    for step in &script.steps {
        world.step(*step).unwrap();
    }
    world.finale(true).unwrap();
    let Reader::Raw(reader) = &world.clients[0].reader else {
        panic!("a pty is read raw")
    };
    assert!(reader.told_over, "it was taken over: {reader:?}");
}

/// The doorbell was watched twice, and the console was deaf.
#[test]
fn a_console_that_is_removed_and_added_at_once_is_served() {
    let steps = [
        comes(Way::Pty),
        ALL,
        Remove(0),
        Step::Add(0),
        ALL,
        comes(Way::Raw),
    ];
    holds(&[Rules::PLAIN], &steps);
}

#[test]
fn connections_come_to_rest_though_every_turn_is_over_early() {
    for others in [1, 4, 8, 16, 30] {
        let mut steps = vec![comes(Way::Forcing), Step::Slow(255)];
        steps.extend(std::iter::repeat_n(comes(Way::Forcing), others));
        holds(&[Rules::PLAIN], &steps);
    }
}

/// How long one batch takes in which `others` connections of one console and one of another have
/// asked for something.
fn batch_beside(others: u8) -> Duration {
    let rules = Rules {
        max_connections: 64,
        ..Rules::PLAIN
    };
    let script = Script {
        consoles: vec![rules, rules],
        steps: Vec::new(),
    };
    let _watchdog = Watchdog::new();
    let mut world = World::new(&script).unwrap();
    let connect = |console| Connect {
        console,
        way: Way::Control,
        uid: 0,
        room: 3,
    };
    for console in std::iter::repeat_n(0, others.into()).chain([1]) {
        world.step(connect(console)).unwrap();
        world.step(Step::HandleAll(255)).unwrap();
    }
    for client in 0..=others {
        let asks = |ask| Step::Ask {
            client,
            ask,
            times: 1,
        };
        world.step(asks(Ask::HelloTwo)).unwrap();
        world.step(asks(Ask::Status)).unwrap();
    }
    // A call takes as long as a console's share.
    world.step(Step::Slow(4)).unwrap();
    let now = |world: &World| lock(&world.net).now;
    let before = now(&world);
    for _ in 0..=others {
        world.step(Step::Handle(0)).unwrap();
    }
    let took = now(&world).saturating_sub(before);
    world.step(Step::Slow(0)).unwrap();
    world.finale(true).unwrap();
    took
}

#[test]
fn a_console_takes_one_share_of_a_batch_however_many_its_clients_are() {
    let (few, many) = (batch_beside(2), batch_beside(40));
    assert!(many < 2 * few, "{few:?}, {many:?}");
}

/// It would wait for a second otherwise.
#[test]
fn who_waits_for_a_descriptor_gets_one_that_is_freed_at_once() {
    let script = Script {
        consoles: vec![Rules::PLAIN],
        steps: Vec::new(),
    };
    let _watchdog = Watchdog::new();
    let mut world = World::new(&script).unwrap();
    let steps = [
        Spare(Some(1)),
        comes(Way::Control),
        ALL,
        comes(Way::Control),
        ALL,
    ];
    for step in steps {
        world.step(step).unwrap();
    }
    let connections = |world: &World| world.consoles[0].handle.console().counters().connections;
    assert_eq!(connections(&world), 1);
    let now = lock(&world.net).now;
    world.step(Step::Close(0)).unwrap();
    world.step(ALL).unwrap();
    assert_eq!((connections(&world), lock(&world.net).now), (2, now));
    world.finale(true).unwrap();
}

/// Each of them made the listener pause for a second.
#[test]
fn a_crowd_of_a_user_who_has_too_many_descriptors_delays_nobody() {
    // One that no script has.
    let hostile = 77;
    (0..=LIMIT).for_each(|_| is_left_behind(Some(hostile.into())));
    let rules = Rules {
        max_connections: 64,
        ..Rules::PLAIN
    };
    let script = Script {
        consoles: vec![rules],
        steps: Vec::new(),
    };
    let _watchdog = Watchdog::new();
    let mut world = World::new(&script).unwrap();
    let crowd = 15;
    for client in 0..crowd {
        let comes = Connect {
            console: 0,
            way: Way::Raw,
            uid: hostile,
            room: 3,
        };
        world.step(comes).unwrap();
        world.step(Step::Type { client, count: 1 }).unwrap();
    }
    world.step(comes(Way::Raw)).unwrap();
    let before = (lock(&world.net).now, world.tally.events);
    world.step(ALL).unwrap();
    let after = (lock(&world.net).now, world.tally.events);
    let counters = world.consoles[0].handle.console().counters();
    assert_eq!(counters.connections_turned_away, u64::from(crowd));
    assert_eq!((counters.attaches, after.0), (1, before.0));
    // Less than two for each client.
    assert!(
        after.1 - before.1 < 2 * u64::from(crowd),
        "{before:?} {after:?}"
    );
    world.finale(true).unwrap();
    (0..=LIMIT).for_each(|_| has_ended(Some(hostile.into())));
}

#[test]
fn output_is_held_for_a_holder_whose_turn_was_over_when_it_came() {
    let rules = Rules {
        notices: false,
        lossless: Some(300),
        ..Rules::PLAIN
    };
    let script = Script {
        consoles: vec![rules],
        steps: Vec::new(),
    };
    let mut world = World::new(&script).unwrap();
    world.step(Step::Slow(255)).unwrap();
    world.step(comes(Way::Forcing)).unwrap();
    world.step(Step::HandleAll(255)).unwrap();
    world.print(0, 1000);
    let mut is_held = false;
    world.consoles[0]
        .port
        .with_line(&mut |line| is_held = line.output_is_held());
    assert!(is_held);
    world.step(Step::Slow(0)).unwrap();
    world.finale(true).unwrap();
}

/// Clients that wait for the log from the head on.
fn world_of_waiters(count: u8) -> World {
    let rules = Rules {
        max_connections: count.into(),
        ..Rules::PLAIN
    };
    let script = Script {
        consoles: vec![rules],
        steps: Vec::new(),
    };
    let mut world = World::new(&script).unwrap();
    for client in 0..count {
        world.step(comes(Way::Control)).unwrap();
        world.step(ALL).unwrap();
        world.step(ask_once(client, Ask::HelloThree)).unwrap();
    }
    all_wait(&mut world);
    world
}

fn ask_once(client: u8, ask: Ask) -> Step {
    Step::Ask {
        client,
        ask,
        times: 1,
    }
}

fn all_wait(world: &mut World) {
    for client in 0..world.clients.len() {
        let wait = Ask::LogWait(Start::Now, 100, u32::MAX);
        world.step(ask_once(client as u8, wait)).unwrap();
    }
    world.step(ALL).unwrap();
}

/// How many of the clients are still to be answered.
fn waiting(world: &mut World) -> usize {
    for client in 0..world.clients.len() {
        let receive = Step::Receive {
            client: client as u8,
            most: u16::MAX,
        };
        world.step(receive).unwrap();
    }
    let waits = |client: &&super::client::Client| match &client.reader {
        super::client::Reader::Control(reader) => reader.waits_for_output(),
        super::client::Reader::Raw(_) => false,
    };
    world.clients.iter().filter(waits).count()
}

#[test]
fn waits_for_the_log_cost_no_turn_and_are_answered_together() {
    const WAITERS: u8 = 12;
    let _watchdog = Watchdog::new();
    let mut world = world_of_waiters(WAITERS);
    assert_eq!(waiting(&mut world), usize::from(WAITERS));
    let events = world.tally.events;
    for _ in 0..10 {
        world.step(Step::Pass(2000)).unwrap();
        world.step(ALL).unwrap();
    }
    assert_eq!(world.tally.events, events, "nothing came");
    // All are answered by what one ring leads to: no time passes.
    world.print(0, 10);
    world.step(ALL).unwrap();
    assert_eq!(waiting(&mut world), 0);
    assert!(world.tally.events <= events + u64::from(WAITERS) + 4);
    // Those who ask again at once are answered together at the next look.
    all_wait(&mut world);
    world.print(0, 10);
    world.step(ALL).unwrap();
    assert_eq!(waiting(&mut world), usize::from(WAITERS));
    world.step(Step::ToAlarm).unwrap();
    world.step(ALL).unwrap();
    assert_eq!(waiting(&mut world), 0);
    world.finale(true).unwrap();
}

/// Every call takes so long that a turn is over before it has come to all of them.
#[test]
fn waits_for_the_log_are_answered_though_turns_are_short() {
    const WAITERS: u8 = 12;
    let _watchdog = Watchdog::new();
    let mut world = world_of_waiters(WAITERS);
    world.step(Step::Slow(20)).unwrap();
    world.print(0, 10);
    for _ in 0..2 * WAITERS {
        world.step(ALL).unwrap();
    }
    assert_eq!(waiting(&mut world), 0);
    world.step(Step::Slow(0)).unwrap();
    world.finale(true).unwrap();
}
