//! What version 3 of the protocol adds, over a real socket: what the log knows, who observes, who
//! would be let in, NMI, and more of the status.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use support::control::{error_code, named};
use support::frames::{Frames, hello};
use support::{Rig, newest_only, wait_until};
use vm_console::audit::Audited;
use vm_console::client::ClientError;
use vm_console::protocol::{
    AttachRequest, BootInfo, ClientFrame, ErrorCode, MachineState, MarkCode, PowerAction,
    RefusalCode, ServerFrameKind, SysRq,
};
use vm_console::session::{Identity, Refused, Right};
use vm_console::{ConsoleConfig, LogConfig, LogId, PowerControl, Start, UnixTime};

fn service_error<T>(result: Result<T, ClientError>) -> ErrorCode {
    match result {
        Err(ClientError::Service { code, .. }) => code,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not an error"),
    }
}

fn refusal<T>(result: Result<T, ClientError>) -> vm_console::protocol::Refusal {
    match result {
        Err(ClientError::Refused(refusal)) => refusal,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    }
}

/// One of each request that version 3 adds.
fn requests_of_version_3() -> Vec<ClientFrame> {
    let wait = vm_console::protocol::LogWait {
        read: vm_console::protocol::LogRequest {
            id: 1,
            start: Start::Oldest,
            log: None,
            max: 10,
        },
        patience: Duration::ZERO,
        known: MachineState::default(),
    };
    vec![
        ClientFrame::Boots,
        ClientFrame::LineTimes { after: 0, max: 10 },
        ClientFrame::LogWait(wait),
        ClientFrame::Observers,
        ClientFrame::SysRq(SysRq::default()),
        ClientFrame::Admission(AttachRequest::default()),
    ]
}

#[test]
fn older_versions_know_nothing_of_it() {
    let rig = Rig::new();
    for version in 1..=2 {
        for frame in requests_of_version_3() {
            let mut client = Frames::connect(&rig);
            client.version = 2;
            client.send(&hello(version));
            if version == 2 {
                client.request(7, frame.clone());
            }
            client.send(&frame);
            client.send(&ClientFrame::Status);
            assert_eq!(client.next().kind(), ServerFrameKind::Hello);
            if version == 2 {
                assert_eq!(client.next().kind(), ServerFrameKind::Welcome);
                let code = error_code(&client.answer(7));
                assert_eq!(code, Some(ErrorCode::UnknownType), "{frame:?}");
            }
            let code = error_code(&client.next());
            assert_eq!(code, Some(ErrorCode::UnknownType), "{frame:?}");
            assert_eq!(client.next().kind(), ServerFrameKind::Status);
        }
    }
    assert_eq!(rig.counters().sysrqs, 0);
    let mut client = Frames::of_version(2, &rig);
    client.request(1, ClientFrame::Status);
    assert_eq!(client.answer(1).kind(), ServerFrameKind::Status2);
    client.request(2, ClientFrame::Power(PowerAction::Nmi));
    let code = error_code(&client.answer(2));
    assert_eq!(code, Some(ErrorCode::Malformed));
}

#[test]
fn what_version_3_adds_comes_in_envelopes_only() {
    let rig = Rig::new();
    let mut client = Frames::of_version(3, &rig);
    for frame in requests_of_version_3() {
        client.send(&frame);
        let code = error_code(&client.next());
        assert_eq!(code, Some(ErrorCode::UnknownType), "{frame:?}");
    }
    let answers = [
        ServerFrameKind::Boots,
        ServerFrameKind::LineTimes,
        ServerFrameKind::LogNews,
        ServerFrameKind::Observers,
        ServerFrameKind::Done,
        ServerFrameKind::Admission,
    ];
    for (id, frame) in (1..).zip(requests_of_version_3()) {
        client.request(id, frame);
    }
    for (id, kind) in (1..).zip(answers) {
        assert_eq!(client.answer(id).kind(), kind);
    }
    client.request(9, ClientFrame::Status);
    assert_eq!(client.answer(9).kind(), ServerFrameKind::Status3);
    assert_eq!(rig.counters().sysrqs, 1);
}

#[test]
fn boots_tell_how_each_began_and_what_is_left_of_it() {
    let sizes = LogConfig {
        tail: 4096,
        head: 4,
        boots: 2,
    };
    let rig = Rig::with_log(ConsoleConfig::named("vm"), sizes);
    rig.print(b"first");
    rig.console.reset();
    rig.print(b"second");
    rig.console.power_off();
    rig.console.power_on();
    rig.print(&[b'.'; 5000]);
    let told = rig.control().boots().unwrap();
    assert_eq!((told.head, told.epoch), (5011, 3));
    let spans: Vec<_> = told
        .boots
        .iter()
        .map(|boot| (boot.epoch, boot.kind, boot.start, boot.end))
        .collect();
    let expected = [
        (1, MarkCode::PowerOn, 0, 5),
        (2, MarkCode::Reset, 5, 11),
        (3, MarkCode::PowerOn, 11, 5011),
    ];
    assert_eq!(spans, expected);
    let left: Vec<_> = told
        .boots
        .iter()
        .map(|boot| (boot.oldest, boot.kept))
        .collect();
    // Of the last one, the first 4 bytes and the newest 4096.
    assert_eq!(left, [(5, 0), (5, 4), (11, 4100)]);
    let is_known = |boot: &BootInfo| boot.at.is_some_and(|at| at > UnixTime::default());
    assert!(told.boots.iter().all(is_known));
    let off: Vec<_> = told
        .marks
        .iter()
        .filter(|mark| mark.kind == MarkCode::PowerOff)
        .map(|mark| (mark.epoch, mark.offset))
        .collect();
    assert_eq!(off, [(2, 11)]);
    assert_eq!(told.marks.len(), rig.log.marks().len());
}

#[test]
fn line_times_are_those_of_the_log() {
    let mut config = ConsoleConfig::named("vm");
    config.line_times = true;
    let rig = Rig::with(config);
    rig.print(b"one\ntwo\nthree");
    let mut client = rig.control();
    let told = client.line_times(0, u32::MAX).unwrap();
    assert_eq!(told.times, rig.log.line_times(0, 10));
    assert_eq!((told.before, told.times[0].end), (None, 4));
    let last = told.times.last().unwrap();
    let none = client.line_times(last.end, u32::MAX).unwrap();
    assert_eq!((none.before, none.times.len()), (Some(last.at), 0));
    assert!(client.line_times(0, 0).unwrap().times.is_empty());
}

#[test]
fn observers_are_told_in_the_order_in_which_they_came() {
    let rig = Rig::with_log(ConsoleConfig::named("vm"), newest_only(8 << 20));
    let mut client = rig.control();
    assert_eq!(client.observers().unwrap(), []);
    let mut first = rig.control();
    let mut second = rig.connect("watch");
    wait_until("the second watches", || rig.status().observers == 1);
    // It came first and watches last.
    let watch = AttachRequest {
        read_only: true,
        ..named("ada")
    };
    rig.print(&vec![b'.'; 4 << 20]);
    first.attach(&watch).unwrap();
    let told = client.observers().unwrap();
    let [raw, ada] = &told[..] else {
        panic!("{told:?}")
    };
    assert!(ada.who.starts_with("ada (uid "), "{}", ada.who);
    assert!(raw.observing_for >= ada.observing_for);
    // It reads nothing, so most of its replay waits.
    assert!(ada.replaying && ada.behind > 0, "{ada:?}");
    assert!(ada.behind <= 4 << 20);
    second.read(4 << 20);
    wait_until("the second has taken everything", || {
        let told = client.observers().unwrap();
        told[0].behind == 0 && !told[0].replaying
    });
}

#[test]
fn asking_first_answers_as_the_attach_would_and_changes_nothing() {
    let mut config = ConsoleConfig::named("vm");
    config.max_observers = 1;
    let rig = Rig::with(config);
    let (mut holder, mut other) = (rig.control(), rig.control());
    let force = AttachRequest {
        force: true,
        ..named("bob")
    };
    let watch = AttachRequest {
        read_only: true,
        ..named("bob")
    };
    assert_eq!(other.would_admit(&named("bob")).unwrap().ends, None);
    assert_eq!(other.would_admit(&force).unwrap().ends, None);
    holder.attach(&named("ada")).unwrap();
    let marks = rig.log.marks_written();
    let before = rig.counters();

    let busy = refusal(other.would_admit(&named("bob")));
    assert_eq!(busy.reason, RefusalCode::Busy);
    assert!(busy.holder.unwrap().by.starts_with("ada (uid "));
    let ends = other.would_admit(&force).unwrap().ends.unwrap();
    assert!(ends.by.starts_with("ada (uid "));
    assert_eq!(ends.idle_for, None);
    assert_eq!(other.would_admit(&watch).unwrap().ends, None);
    let of_log = |log| AttachRequest {
        replay: Start::Offset(0),
        log,
        ..force.clone()
    };
    let another = LogId::new(rig.log.id().unwrap().get() ^ 1);
    let code = service_error(other.would_admit(&of_log(another)));
    assert_eq!(code, ErrorCode::AnotherLog);
    let code = service_error(holder.would_admit(&force));
    assert_eq!(code, ErrorCode::AlreadyAttached);

    assert!(!other.is_attached() && holder.is_attached());
    assert_eq!(rig.log.marks_written(), marks);
    let after = rig.counters();
    assert_eq!(after.refused, before.refused);
    assert_eq!(after.takeovers, 0);
    // The connection still has the name that it came with.
    let busy = other.attach(&AttachRequest::default());
    assert_eq!(refusal(busy).reason, RefusalCode::Busy);
    rig.audited("the refusal", |what| {
        matches!(what, Audited::Refused { who, why: Refused::Busy { .. } } if who.name().is_empty())
    });

    let _watcher = rig.connect("watch");
    wait_until("it watches", || rig.status().observers == 1);
    let full = refusal(other.would_admit(&watch));
    assert_eq!(full.reason, RefusalCode::TooManyObservers);
    rig.console.power_off();
    let off = refusal(other.would_admit(&force));
    assert_eq!(off.reason, RefusalCode::PoweredOff);
}

#[test]
fn no_right_no_answer() {
    let mut config = ConsoleConfig::named("vm");
    config.authorizer = Arc::new(|_: &str, who: &Identity, _: Right| who.name() == "root");
    let rig = Rig::with(config);
    let mut client = rig.control();
    let not_permitted = ErrorCode::NotPermitted;
    assert_eq!(service_error(client.boots()), not_permitted);
    assert_eq!(service_error(client.line_times(0, 1)), not_permitted);
    let known = MachineState::default();
    let wait = client.wait_log(Start::Oldest, 1, known, Duration::ZERO);
    assert_eq!(service_error(wait), not_permitted);
    let refused = refusal(client.would_admit(&named("ada")));
    assert_eq!(refused.reason, RefusalCode::NotPermitted);
    assert_eq!(client.would_admit(&named("root")).unwrap().ends, None);
    // The name of a question is not kept.
    let refused = refusal(client.sysrq("", true));
    assert_eq!(refused.reason, RefusalCode::NotPermitted);
    assert_eq!(client.observers().unwrap(), []);
}

#[derive(Default)]
struct NmiButton(AtomicU32);

impl PowerControl for NmiButton {
    fn stop(&self) {}
    fn start(&self) {}
    fn restart(&self) {}
    fn nmi(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed);
        true
    }
}

struct NoNmi;

impl PowerControl for NoNmi {
    fn stop(&self) {}
    fn start(&self) {}
    fn restart(&self) {}
}

#[test]
fn an_nmi_is_sent_if_the_machine_can_be_sent_one() {
    let button = Arc::new(NmiButton::default());
    let mut config = ConsoleConfig::named("vm");
    config.power = Some(button.clone());
    let rig = Rig::with(config);
    rig.control().power(PowerAction::Nmi).unwrap();
    assert_eq!(button.0.load(Ordering::Relaxed), 1);
    rig.audited("the NMI", |what| {
        matches!(
            what,
            Audited::Power {
                action: PowerAction::Nmi,
                ..
            }
        )
    });
    let mut config = ConsoleConfig::named("vm");
    config.power = Some(Arc::new(NoNmi));
    let rig = Rig::with(config);
    let code = service_error(rig.control().power(PowerAction::Nmi));
    assert_eq!(code, ErrorCode::NotSupported);
}

#[test]
fn the_status_tells_limits_and_what_is_left_of_them() {
    let mut config = ConsoleConfig::named("vm");
    config.session.idle_limit = Duration::from_secs(600);
    config.session.absolute_limit = Duration::ZERO;
    config.max_observers = 5;
    config.max_connections = 9;
    let rig = Rig::with(config);
    let mut client = rig.control();
    let status = client.status().unwrap();
    let details = status.details.unwrap();
    assert_eq!(details.idle_limit, Some(Duration::from_secs(600)));
    assert_eq!(
        (details.absolute_limit, details.absolute_left),
        (None, None)
    );
    assert_eq!((details.session, details.idle_left), (None, None));
    assert_eq!((details.max_observers, details.max_connections), (5, 9));
    assert_eq!(details.connections, 1);
    assert!(details.machine_age.is_some(), "a boot has begun");
    assert_eq!(status.log, rig.log.id());

    client.attach(&AttachRequest::default()).unwrap();
    client.typist().unwrap().type_bytes(b"waits").unwrap();
    let details = client.status().unwrap().details.unwrap();
    assert_eq!(details.session, Some(1));
    let left = details.idle_left.unwrap();
    assert!(left > Duration::ZERO && left <= Duration::from_secs(600));
    assert_eq!(details.absolute_left, None);
    // The receive FIFO has taken one.
    let waiting = rig.port.lock().unwrap().line().input_waiting();
    assert_eq!((details.input_waiting as usize, waiting), (4, 4));
    // A status of the owner has the names of counters for people.
    let status = rig.status();
    assert!(status.details.is_none());
    assert!(
        status
            .counters
            .iter()
            .any(|(name, _)| name == "sessions granted")
    );
}

#[test]
fn the_status_tells_how_long_ago_output_came_though_nobody_reads_it() {
    let rig = Rig::new();
    let mut client = rig.control();
    let mut age = || client.status().unwrap().details.unwrap().output_age;
    assert_eq!(age(), None);
    let wakeups = rig.counters().wakeups;
    rig.print(b"x");
    // Nobody asks for anything meanwhile.
    wait_until("the output is noticed", || rig.counters().wakeups > wakeups);
    std::thread::sleep(Duration::from_millis(100));
    let old = age();
    assert!(old >= Some(Duration::from_millis(100)), "{old:?}");
    wait_until("it is young again", || {
        rig.print(b"y");
        age() < old
    });
}
