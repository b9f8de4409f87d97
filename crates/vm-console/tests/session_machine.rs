//! The session machine alone: never two holders, one reason for each end, and limits that hold on
//! any clock.

use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use vm_console::session::{
    EndReason, Identity, Lease, Limit, Refused, Session, SessionPolicy, Tick, Transport,
};

fn who(name: &str) -> Identity {
    Identity::new(Transport::Unix, name)
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ticks(session: &mut Session, now: Duration) -> Vec<Tick> {
    std::iter::from_fn(|| session.tick(now)).collect()
}

#[test]
fn a_second_attach_is_refused_and_the_holder_keeps_typing() {
    let mut session = Session::new(SessionPolicy::default());
    let ada = session.attach(s(10), who("ada"), false).lease.unwrap();
    let refused = session.attach(s(12), who("bob"), false).lease.unwrap_err();
    assert!(refused.to_string().ends_with("for 2 s, no input yet"));
    assert!(session.input(s(15), ada));
    let refused = session.attach(s(20), who("bob"), false).lease.unwrap_err();
    assert_eq!(
        refused,
        Refused::Busy {
            holder: who("ada"),
            held_for: s(10),
            idle_for: Some(s(5))
        }
    );
    assert!(session.input(s(21), ada));
}

#[test]
fn force_ends_the_old_session_and_names_the_taker() {
    let mut session = Session::new(SessionPolicy::default());
    let ada = session.attach(s(0), who("ada"), false).lease.unwrap();
    let taken = session.attach(s(5), who("bob"), true);
    let (bob, ended) = (taken.lease.unwrap(), taken.ended.unwrap());
    assert_eq!(
        (ended.lease, ended.identity, ended.held_for),
        (ada, who("ada"), s(5))
    );
    assert_eq!(ended.reason, EndReason::TakenOver { by: who("bob") });
    assert!(!session.input(s(6), ada));
    assert!(session.input(s(6), bob));
}

#[test]
fn limits_can_be_lifted_for_one_session() {
    let mut session = Session::new(SessionPolicy::default());
    let owner = session.attach(s(0), who("owner"), false).lease.unwrap();
    session.lift_limits(owner);
    assert_eq!(
        (session.next_deadline(), session.tick(s(1_000_000))),
        (None, None)
    );
    assert!(session.input(s(1_000_001), owner));
    let ada = session
        .attach(s(1_000_002), who("ada"), true)
        .lease
        .unwrap();
    // It is over, and so is its privilege.
    session.lift_limits(owner);
    assert!(session.next_deadline().is_some());
    assert!(!session.input(s(2_000_000), ada));
}

#[test]
fn only_input_keeps_a_session_alive_unless_output_counts() {
    for output_counts in [false, true] {
        let mut session = Session::new(SessionPolicy {
            output_counts,
            ..SessionPolicy::default()
        });
        let lease = session.attach(s(0), who("ada"), false).lease.unwrap();
        assert!(session.input(s(100), lease));
        session.output(s(500), lease);
        let end = if output_counts { 1100 } else { 700 };
        assert!(ticks(&mut session, s(end - 61)).is_empty());
        assert_eq!(
            ticks(&mut session, s(end - 60)),
            [Tick::Warn {
                lease,
                limit: Limit::Idle,
                remaining: s(60)
            }]
        );
        assert!(
            ticks(
                &mut session,
                s(end).checked_sub(Duration::from_nanos(1)).unwrap()
            )
            .is_empty()
        );
        let [Tick::End(ended)] = &ticks(&mut session, s(end))[..] else {
            panic!("no end")
        };
        assert_eq!(ended.reason, EndReason::Idle { limit: s(600) });
        assert!(session.holder().is_none());
    }
}

#[test]
fn input_after_the_warning_takes_it_back_and_is_warned_again() {
    let mut session = Session::new(SessionPolicy::default());
    let lease = session.attach(s(0), who("ada"), false).lease.unwrap();
    assert_eq!(ticks(&mut session, s(545)).len(), 1);
    assert!(session.input(s(550), lease));
    assert!(ticks(&mut session, s(1089)).is_empty());
    assert_eq!(
        ticks(&mut session, s(1090)),
        [Tick::Warn {
            lease,
            limit: Limit::Idle,
            remaining: s(60)
        }]
    );
}

#[test]
fn the_absolute_limit_holds_whatever_the_activity() {
    let mut session = Session::new(SessionPolicy::default());
    let lease = session.attach(s(0), who("ada"), false).lease.unwrap();
    let mut warned = 0;
    for now in 1..3600 {
        warned += ticks(&mut session, s(now)).len();
        assert!(session.input(s(now), lease));
    }
    assert_eq!(warned, 1);
    assert!(!session.input(s(3600), lease));
    let [Tick::End(ended)] = &ticks(&mut session, s(3600))[..] else {
        panic!("no end")
    };
    assert_eq!(ended.reason, EndReason::MaximumReached { limit: s(3600) });
}

#[test]
fn input_that_comes_after_the_limit_does_not_revive_the_session() {
    let mut session = Session::new(SessionPolicy::default());
    let lease = session.attach(s(0), who("ada"), false).lease.unwrap();
    assert!(!session.input(s(600), lease));
    // An attach does not find the console busy, either.
    let next = session.attach(s(601), who("bob"), false);
    assert!(next.lease.is_ok());
    assert_eq!(
        next.ended.unwrap().reason,
        EndReason::Idle { limit: s(600) }
    );
}

#[test]
fn power_off_disconnects_and_refuses_until_power_on() {
    let mut session = Session::new(SessionPolicy::default());
    session.attach(s(0), who("ada"), false).lease.unwrap();
    assert_eq!(
        session.power_off(s(1)).unwrap().reason,
        EndReason::PoweredOff
    );
    assert_eq!(
        session.attach(s(2), who("ada"), true).lease,
        Err(Refused::PoweredOff)
    );
    session.power_on();
    assert!(session.attach(s(3), who("ada"), false).lease.is_ok());
}

#[test]
fn no_session_unless_the_boot_log_is_on() {
    let policy = SessionPolicy {
        requires_boot_log: true,
        ..SessionPolicy::default()
    };
    let mut session = Session::new(policy);
    session.attach(s(0), who("ada"), false).lease.unwrap();
    assert!(matches!(
        session.set_boot_log(s(1), false).unwrap().reason,
        EndReason::Error(_)
    ));
    assert_eq!(
        session.attach(s(2), who("ada"), false).lease,
        Err(Refused::BootLogOff)
    );
    assert!(session.set_boot_log(s(3), true).is_none());
    assert!(session.attach(s(4), who("ada"), false).lease.is_ok());
    // Without the requirement a session does not need the boot log.
    let mut session = Session::new(SessionPolicy::default());
    session.attach(s(0), who("ada"), false).lease.unwrap();
    assert!(session.set_boot_log(s(1), false).is_none());
}

#[test]
fn a_holder_that_hung_up_stands_in_nobodys_way() {
    let mut session = Session::new(SessionPolicy::default());
    let ada = session.attach(s(0), who("ada"), false).lease.unwrap();
    session.hang_up(ada);
    let next = session.attach(s(1), who("bob"), false);
    assert!(next.lease.is_ok());
    assert_eq!(next.ended.unwrap().reason, EndReason::ClientClosed);
}

#[test]
fn shutting_down_ends_and_refuses_for_good() {
    let mut session = Session::new(SessionPolicy::default());
    session.attach(s(0), who("ada"), false).lease.unwrap();
    assert_eq!(
        session.shut_down(s(1)).unwrap().reason,
        EndReason::ShuttingDown
    );
    assert_eq!(
        session.attach(s(2), who("ada"), true).lease,
        Err(Refused::ShuttingDown)
    );
}

#[test]
fn zero_and_huge_limits_never_end_a_session() {
    for limit in [Duration::ZERO, Duration::MAX] {
        let policy = SessionPolicy {
            idle_limit: limit,
            absolute_limit: limit,
            ..SessionPolicy::default()
        };
        let mut session = Session::new(policy);
        let lease = session.attach(s(1), who("ada"), false).lease.unwrap();
        assert_eq!(session.next_deadline(), None);
        assert!(ticks(&mut session, Duration::MAX).is_empty());
        assert!(session.input(Duration::MAX, lease));
    }
}

#[test]
fn a_clock_that_goes_back_stands_still() {
    let mut session = Session::new(SessionPolicy::default());
    let lease = session.attach(s(1000), who("ada"), false).lease.unwrap();
    assert!(session.input(s(10), lease));
    assert_eq!(session.next_deadline(), Some(s(1540)));
    assert!(ticks(&mut session, s(0)).is_empty());
    assert_eq!(session.holder().unwrap().last_input(), Some(s(1000)));
}

#[test]
fn a_warning_as_long_as_the_limit_is_none() {
    for warn_before in [Duration::ZERO, s(600), s(601), Duration::MAX] {
        let policy = SessionPolicy {
            warn_before,
            absolute_limit: Duration::ZERO,
            ..SessionPolicy::default()
        };
        let mut session = Session::new(policy);
        session.attach(s(0), who("ada"), false).lease.unwrap();
        assert_eq!(session.next_deadline(), Some(s(600)));
        assert!(ticks(&mut session, s(599)).is_empty());
    }
}

/// A call of the machine.
#[derive(Clone, Debug)]
enum Step {
    Attach { force: bool },
    Input { which: usize },
    Output { which: usize },
    Detach { which: usize },
    HangUp { which: usize },
    PowerOff,
    PowerOn,
    BootLog(bool),
    Tick,
}

fn step() -> impl Strategy<Value = (i64, Step)> {
    let step = prop_oneof![
        4 => any::<bool>().prop_map(|force| Step::Attach { force }),
        4 => (0usize..4).prop_map(|which| Step::Input { which }),
        1 => (0usize..4).prop_map(|which| Step::Output { which }),
        1 => (0usize..4).prop_map(|which| Step::Detach { which }),
        1 => (0usize..4).prop_map(|which| Step::HangUp { which }),
        1 => Just(Step::PowerOff),
        2 => Just(Step::PowerOn),
        1 => any::<bool>().prop_map(Step::BootLog),
        3 => Just(Step::Tick),
    ];
    (-5i64..40, step)
}

proptest! {
    #[test]
    fn never_two_holders_and_every_session_ends_once(
        idle in 0u64..60, absolute in 0u64..120, warn in 0u64..30, output_counts: bool, requires_boot_log: bool,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let policy = SessionPolicy {
            idle_limit: s(idle), absolute_limit: s(absolute), warn_before: s(warn), output_counts, requires_boot_log,
        };
        let mut session = Session::new(policy);
        let mut given: Vec<Lease> = Vec::new();
        let mut ended: Vec<Lease> = Vec::new();
        let mut now = 1000i64;
        let mut latest = Duration::ZERO;
        for (pause, step) in steps {
            now += pause;
            let at = s(now.unsigned_abs());
            let lease = |which: usize| given.len().checked_sub(which + 1).map(|i| given[i]);
            let mut ends = Vec::new();
            let mut fresh = None;
            match step {
                Step::Attach { force } => {
                    let before = session.holder().map(vm_console::session::Holder::lease);
                    let would = session.would_attach(at, force);
                    let would = would.map(|holder| holder.map(vm_console::session::Holder::lease));
                    let attach = session.attach(at, who("x"), force);
                    match would {
                        Ok(Some(gives_way)) => prop_assert_eq!(attach.ended.as_ref().map(|end| end.lease), Some(gives_way)),
                        Ok(None) => prop_assert!(attach.lease.is_ok()),
                        Err(refused) => prop_assert_eq!(attach.lease.as_ref(), Err(&refused)),
                    }
                    ends.extend(attach.ended);
                    match attach.lease {
                        Ok(lease) => fresh = Some(lease),
                        Err(Refused::Busy { .. }) => {
                            prop_assert!(!force);
                            prop_assert_eq!(session.holder().map(vm_console::session::Holder::lease), before);
                        }
                        Err(_) => prop_assert!(session.holder().is_none()),
                    }
                }
                Step::Input { which } => if let Some(lease) = lease(which) {
                    let accepted = session.input(at, lease);
                    prop_assert!(!accepted || session.holder().map(vm_console::session::Holder::lease) == Some(lease));
                },
                Step::Output { which } => if let Some(lease) = lease(which) { session.output(at, lease) },
                Step::Detach { which } => if let Some(lease) = lease(which) {
                    ends.extend(session.detach(at, lease, EndReason::ClientClosed));
                },
                Step::HangUp { which } => if let Some(lease) = lease(which) { session.hang_up(lease) },
                Step::PowerOff => ends.extend(session.power_off(at)),
                Step::PowerOn => session.power_on(),
                Step::BootLog(on) => ends.extend(session.set_boot_log(at, on)),
                Step::Tick => for tick in ticks(&mut session, at) {
                    match tick {
                        Tick::End(end) => ends.push(end),
                        Tick::Warn { lease, .. } => prop_assert_eq!(session.holder().map(vm_console::session::Holder::lease), Some(lease)),
                    }
                },
            }
            for end in ends {
                prop_assert!(!ended.contains(&end.lease), "{:?} ended twice", end);
                prop_assert!(given.contains(&end.lease));
                ended.push(end.lease);
            }
            if let Some(lease) = fresh {
                prop_assert!(!given.contains(&lease));
                given.push(lease);
            }
            // The holder's lease is the only one that was given and has not ended.
            let open: Vec<_> = given.iter().filter(|lease| !ended.contains(lease)).copied().collect();
            prop_assert_eq!(open, session.holder().map(vm_console::session::Holder::lease).into_iter().collect::<Vec<_>>());
            // A limit ends the session when the time left to it is over.
            latest = latest.max(at);
            for limit in [Limit::Idle, Limit::Absolute] {
                if let Some(left) = session.time_left(limit, at) {
                    let mut later = session.clone();
                    let all = ticks(&mut later, latest + left);
                    prop_assert!(matches!(all.last(), Some(Tick::End(_))), "{:?}", all);
                }
            }
            // At the deadline there is something to do, and then the next one lies ahead.
            if let Some(deadline) = session.next_deadline() {
                let mut later = session.clone();
                prop_assert!(later.tick(deadline.max(at)).is_some());
            }
        }
    }
}

#[test]
fn a_million_racing_takeovers_leave_one_holder_each_time() {
    let mut session = Session::new(SessionPolicy::default());
    let (ada, bob) = (who("ada"), who("bob"));
    let mut holder = None;
    for n in 0..1_000_000u64 {
        let taker = if n % 2 == 0 { &ada } else { &bob };
        let attach = session.attach(Duration::from_micros(n), taker.clone(), true);
        let lease = attach.lease.unwrap();
        assert_eq!(attach.ended.map(|e| e.lease), holder);
        if let Some(old) = holder {
            assert!(!session.input(Duration::from_micros(n), old));
        }
        assert!(session.input(Duration::from_micros(n), lease));
        holder = Some(lease);
    }
}

#[test]
fn a_million_takeovers_from_threads_that_race_leave_one_holder_each_time() {
    const RACERS: u64 = 8;
    const EACH: u64 = 125_000;
    let session = Mutex::new(Session::new(SessionPolicy::default()));
    std::thread::scope(|scope| {
        for racer in 0..RACERS {
            let session = &session;
            scope.spawn(move || {
                let me = who(&racer.to_string());
                for _ in 0..EACH {
                    let taken = session.lock().unwrap().attach(s(0), me.clone(), true);
                    let lease = taken.lease.unwrap();
                    // This attach has ended exactly the session before it.
                    let ended = taken
                        .ended
                        .map(|ended| (ended.lease.number(), ended.reason));
                    let before = lease.number() - 1;
                    let by_me = EndReason::TakenOver { by: me.clone() };
                    assert_eq!(ended, (before > 0).then_some((before, by_me)));
                    // Others may have attached meanwhile. Only the holder may type.
                    let mut session = session.lock().unwrap();
                    let holds = session.holder().map(vm_console::session::Holder::lease);
                    assert_eq!(session.input(s(0), lease), holds == Some(lease));
                }
            });
        }
    });
    let session = session.into_inner().unwrap();
    let last = session.holder().unwrap().lease().number();
    assert_eq!(last, RACERS * EACH);
}
