//! Waiting for the log without an observer's place.

mod support;

use std::time::{Duration, Instant};

use support::control::{Control, error_code};
use support::frames::Frames;
use support::{PATIENCE, Rig, newest_only, pattern, wait_until};
use vm_console::audit::Audited;
use vm_console::client::{ClientError, ControlClient};
use vm_console::protocol::{
    AttachRequest, ClientFrame, ErrorCode, LogNews, LogRequest, LogWait, MachineState, ServerFrame,
    ServerFrameKind, SysRq,
};
use vm_console::{ConsoleConfig, LogConfig, LogId, Start};

/// Longer than any test: whoever waits so long is answered for another reason.
const LONG: Duration = Duration::from_secs(60);

fn machine(client: &mut ControlClient) -> MachineState {
    let status = client.status().unwrap();
    MachineState {
        epoch: status.epoch,
        powered: status.powered,
    }
}

fn log_wait(start: Start, log: Option<LogId>, known: MachineState) -> ClientFrame {
    ClientFrame::LogWait(LogWait {
        read: LogRequest {
            id: 9,
            start,
            log,
            max: 1000,
        },
        patience: LONG,
        known,
    })
}

const RUNS: MachineState = MachineState {
    epoch: 1,
    powered: true,
};

#[test]
fn what_is_there_comes_at_once_and_later_output_when_it_comes() {
    let rig = Rig::new();
    rig.print(b"before");
    let mut client = rig.control();
    let known = machine(&mut client);
    let news = client.wait_log(Start::Oldest, 1000, known, LONG).unwrap();
    assert_eq!(news.data.bytes, b"before");
    assert_eq!(news.machine(), known);
    let waiter = std::thread::spawn(move || {
        let start = Start::Offset(news.data.next);
        client.wait_log(start, 1000, known, LONG).unwrap()
    });
    rig.audited("it waits", |what| {
        matches!(what, Audited::Following { from: 0, .. })
    });
    rig.print(b"after");
    let news = waiter.join().unwrap();
    assert_eq!((news.data.start, &news.data.bytes[..]), (6, &b"after"[..]));
    let counters = rig.counters();
    assert_eq!((counters.log_waits, counters.log_reads), (2, 0));
    assert_eq!((counters.observers, counters.attaches), (0, 0));
}

#[test]
fn it_ends_with_its_time_and_takes_no_observers_place() {
    let mut config = ConsoleConfig::named("vm");
    config.max_observers = 0;
    let rig = Rig::with(config);
    let mut client = rig.control();
    let known = machine(&mut client);
    let begin = Instant::now();
    let patience = Duration::from_millis(100);
    let news = client.wait_log(Start::Now, 1000, known, patience).unwrap();
    assert!(begin.elapsed() >= patience);
    assert_eq!((news.data.next, news.data.bytes.len()), (0, 0));
    // Without patience, it is a log read that also tells the power.
    let news = client
        .wait_log(Start::Now, 1000, known, Duration::ZERO)
        .unwrap();
    assert_eq!(news.machine(), known);
}

#[test]
fn what_is_lost_is_told_at_once() {
    let rig = Rig::with_log(ConsoleConfig::named("vm"), newest_only(4096));
    let all = pattern(0, 10_000);
    rig.print(&all);
    let mut client = rig.control();
    let news = client.wait_log(Start::Offset(5), 100, RUNS, LONG).unwrap();
    let data = news.data;
    assert_eq!((data.asked, data.start), (5, 10_000 - 4096));
    assert_eq!(data.bytes, all[10_000 - 4096..][..100]);
}

#[test]
fn boots_and_power_end_it_also_if_they_came_before() {
    let rig = Rig::new();
    let mut client = Frames::of_version(3, &rig);
    let mut asked = 0;
    let mut wait = |known, act: &dyn Fn()| -> LogNews {
        asked += 1;
        client.request(asked, log_wait(Start::Now, None, known));
        act();
        match client.answer(asked) {
            ServerFrame::LogNews(news) => news,
            other => panic!("{other:?}"),
        }
    };
    let news = wait(RUNS, &|| {
        rig.console.reset();
    });
    let expected = MachineState { epoch: 2, ..RUNS };
    assert_eq!((news.machine(), news.data.id), (expected, 9));
    let news = wait(expected, &|| rig.console.power_off());
    let off = MachineState {
        powered: false,
        ..expected
    };
    assert_eq!(news.machine(), off);
    // What the client knows is told again until it knows better.
    let news = wait(expected, &|| {});
    assert_eq!(news.machine(), off);
    let news = wait(off, &|| rig.console.power_on());
    let on = MachineState { epoch: 3, ..RUNS };
    // The power may be noticed an instant after the boot.
    let last = if news.machine() == on {
        news
    } else {
        wait(news.machine(), &|| {})
    };
    assert_eq!(last.machine(), on);
    assert!(last.data.bytes.is_empty());
}

#[test]
fn it_fails_where_a_log_read_does() {
    let rig = Rig::new();
    let mut client = Frames::of_version(3, &rig);
    let another = LogId::new(rig.log.id().unwrap().get() ^ 1);
    let cases = [
        (
            log_wait(Start::Oldest, another, RUNS),
            ErrorCode::AnotherLog,
        ),
        (log_wait(Start::Boot(7), None, RUNS), ErrorCode::NotYet),
        (
            log_wait(Start::Offset(7), rig.log.id(), RUNS),
            ErrorCode::NotYet,
        ),
    ];
    for (id, (frame, code)) in (1..).zip(cases) {
        client.request(id, frame);
        assert_eq!(error_code(&client.answer(id)), Some(code));
    }
    client.request(7, log_wait(Start::Now, None, RUNS));
    rig.audited("it waits", |what| matches!(what, Audited::Following { .. }));
    rig.console.set_boot_log(false);
    let code = error_code(&client.answer(7));
    assert_eq!(code, Some(ErrorCode::NotPermitted));
}

#[test]
fn requests_behind_it_wait_for_its_answer() {
    let rig = Rig::new();
    let mut client = Frames::of_version(3, &rig);
    client.request(1, log_wait(Start::Now, None, RUNS));
    client.request(2, ClientFrame::Status);
    client.request(3, ClientFrame::Attach(AttachRequest::default()));
    rig.audited("it waits", |what| matches!(what, Audited::Following { .. }));
    assert!(rig.status().holder.is_none());
    rig.print(b"x");
    for (id, kind) in [
        (1, ServerFrameKind::LogNews),
        (2, ServerFrameKind::Status3),
        (3, ServerFrameKind::Attached),
    ] {
        assert_eq!(client.answer(id).kind(), kind);
    }
}

#[test]
fn one_that_is_gone_is_noticed_while_it_waits() {
    let rig = Rig::new();
    let mut client = Frames::of_version(3, &rig);
    client.request(1, log_wait(Start::Now, None, RUNS));
    rig.audited("it waits", |what| matches!(what, Audited::Following { .. }));
    let mut other = rig.control();
    let connections = |other: &mut ControlClient| {
        let details = other.status().unwrap().details.unwrap();
        details.connections
    };
    assert_eq!(connections(&mut other), 2);
    drop(client);
    wait_until("it is let go", || connections(&mut other) == 1);
}

/// Nobody reads the answers then, and no wait stands in the way of a request that was sent.
#[test]
fn all_that_one_has_asked_for_is_carried_out_though_it_is_gone() {
    let rig = Rig::new();
    let mut client = Frames::of_version(3, &rig);
    for id in 0..40 {
        client.request(id, log_wait(Start::Now, None, RUNS));
    }
    client.request(40, ClientFrame::SysRq(SysRq::default()));
    drop(client);
    rig.audited("the last request", |what| {
        matches!(what, Audited::SysRq { .. })
    });
}

/// A follower that goes on where it was is one event of the audit, and not one for each answer.
#[test]
fn following_is_audited_once_for_each_beginning() {
    let rig = Rig::new();
    let mut client = rig.control();
    let mut at = Start::Oldest;
    for line in 0..20 {
        rig.print(b"line\n");
        let news = client.wait_log(at, 1000, RUNS, LONG).unwrap();
        assert_eq!(news.data.next, 5 * (line + 1));
        at = Start::Offset(news.data.next);
    }
    client.wait_log(Start::Offset(7), 10, RUNS, LONG).unwrap();
    let events: Vec<_> = rig
        .service
        .audit()
        .try_iter()
        .map(|event| event.what)
        .collect();
    let begun: Vec<_> = events
        .iter()
        .filter_map(|what| match what {
            Audited::Following { from, .. } => Some(*from),
            _ => None,
        })
        .collect();
    assert_eq!(begun, [0, 7]);
}

#[test]
fn silent_connections_do_not_push_out_one_that_waits() {
    let mut config = ConsoleConfig::named("vm");
    config.max_connections = 4;
    let rig = Rig::with(config);
    let mut waits = Frames::of_version(3, &rig);
    waits.request(1, log_wait(Start::Now, None, RUNS));
    rig.audited("it waits", |what| matches!(what, Audited::Following { .. }));
    let _quiet: Vec<_> = (0..12).map(|_| Control::silent(&rig)).collect();
    rig.prompt_status();
    wait_until("others have made way", || {
        rig.counters().connections_turned_away >= 9
    });
    rig.print(b"still here");
    match waits.answer(1) {
        ServerFrame::LogNews(news) => assert_eq!(news.data.bytes, b"still here"),
        other => panic!("{other:?}"),
    }
}

/// They must not keep out whoever wants the console.
#[test]
fn connections_that_all_wait_lock_nobody_out() {
    let mut config = ConsoleConfig::named("vm");
    config.max_connections = 4;
    let rig = Rig::with(config);
    let mut waiters: Vec<_> = (0..4)
        .map(|_| {
            let mut client = Frames::of_version(3, &rig);
            client.request(1, log_wait(Start::Now, None, RUNS));
            rig.audited("it waits", |what| matches!(what, Audited::Following { .. }));
            client
        })
        .collect();
    let mut client = rig.control();
    client.attach(&AttachRequest::default()).unwrap();
    // The one that has waited longest has made way, and is told so.
    let first = waiters.remove(0).next();
    assert_eq!(error_code(&first), Some(ErrorCode::NotPermitted));
    rig.print(b"x");
    for mut waiter in waiters {
        assert_eq!(waiter.answer(1).kind(), ServerFrameKind::LogNews);
    }
}

/// The connection that has just asked is not the one to go, though it has been there longest.
#[test]
fn the_connection_that_has_asked_for_nothing_for_longest_goes_first() {
    let mut config = ConsoleConfig::named("vm");
    config.max_connections = 3;
    let rig = Rig::with(config);
    let mut old = rig.control();
    let mut quiet: Vec<_> = (0..2).map(|_| Control::silent(&rig)).collect();
    for control in &mut quiet {
        assert!(control.next().is_some());
    }
    for _ in 0..6 {
        old.status().unwrap();
        let mut more = Control::silent(&rig);
        assert!(more.next().is_some());
        quiet.push(more);
    }
    old.status().unwrap();
}

/// Each sees the whole, whatever the others do, and the service still answers others in time.
#[test]
fn many_followers_of_a_flood_see_all_of_it() {
    const FOLLOWERS: usize = 60;
    const BYTES: usize = 1 << 20;
    let sizes = LogConfig {
        tail: 8 << 20,
        head: 0,
        boots: 1,
    };
    let rig = Rig::with_log(ConsoleConfig::named("vm"), sizes);
    let followers: Vec<_> = (0..FOLLOWERS)
        .map(|_| {
            let mut client = rig.control();
            std::thread::spawn(move || {
                let (mut at, mut sum, mut answers) = (0, 0u64, 0);
                while at < BYTES as u64 {
                    let start = Start::Offset(at);
                    let data = client.wait_log(start, u32::MAX, RUNS, LONG).unwrap().data;
                    assert_eq!(data.start, at, "nothing is lost");
                    at = data.next;
                    answers += 1;
                    for byte in &data.bytes {
                        sum = sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
                    }
                }
                (sum, answers)
            })
        })
        .collect();
    let all = pattern(0, BYTES);
    let mut other = rig.control();
    for piece in all.chunks(16 << 10) {
        rig.print(piece);
        other.status().unwrap();
    }
    let expected = all.iter().fold(0u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
    });
    for follower in followers {
        let (sum, _) = follower.join().unwrap();
        assert_eq!(sum, expected);
    }
}

/// Output that trickles is not asked for byte by byte: what comes between two looks comes together.
#[test]
fn a_trickle_is_answered_at_the_looks() {
    let rig = Rig::new();
    let mut client = rig.control();
    let follower = std::thread::spawn(move || {
        let mut at = 0;
        let mut answers = 0u32;
        while at < 4000 {
            let start = Start::Offset(at);
            at = client.wait_log(start, 1000, RUNS, LONG).unwrap().data.next;
            answers += 1;
        }
        answers
    });
    let begin = Instant::now();
    for _ in 0..4000 {
        rig.print(b".");
        std::thread::sleep(Duration::from_micros(100));
    }
    let answers = follower.join().unwrap();
    // A look is 32 ms after the other. One may find nothing, if the guest stands still; then the next
    // byte is answered at once, and those behind it at the next look.
    let looks = begin.elapsed().as_millis() / 32 + 2;
    assert!(u128::from(answers) <= 2 * looks, "{answers}, {looks} looks");
}

#[test]
fn an_older_service_is_not_asked() {
    // A service of version 2, as far as the greeting goes.
    let (here, there) = std::os::unix::net::UnixStream::pair().unwrap();
    here.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut greeting = Vec::new();
    ServerFrame::Hello {
        version: 2,
        console: "old".into(),
        head: 0,
        epoch: 0,
    }
    .encode(&mut greeting);
    ServerFrame::Welcome {
        version: 2,
        log: None,
    }
    .encode(&mut greeting);
    std::io::Write::write_all(&mut &there, &greeting).unwrap();
    let mut client = ControlClient::from_stream(here).unwrap();
    let is_old = |result: Result<(), ClientError>| {
        let old = ClientError::OldService {
            spoken: 2,
            needed: 3,
        };
        result.unwrap_err().to_string() == old.to_string()
    };
    assert!(is_old(client.boots().map(drop)));
    assert!(is_old(client.line_times(0, 1).map(drop)));
    assert!(is_old(client.observers().map(drop)));
    assert!(is_old(client.sysrq("b", false)));
    let asked = client.would_admit(&AttachRequest::default());
    assert!(is_old(asked.map(drop)));
    let wait = client.wait_log(Start::Now, 1, RUNS, LONG);
    assert!(is_old(wait.map(drop)));
    assert!(is_old(client.power(vm_console::protocol::PowerAction::Nmi)));
}
