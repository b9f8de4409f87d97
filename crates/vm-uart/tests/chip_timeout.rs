//! The character timeout by an owner's clock (section 8.11): never early, bounded late, and no timer
//! while nothing counts.

mod bits;

use std::collections::VecDeque;
use std::time::Duration;

use bits::{IER_RECEIVED, IIR_NONE, IIR_TIMEOUT, LCR_8N1, LCR_DLAB, MCR_OUT2};
use proptest::prelude::*;
use vm_uart::registers::{DLL, FCR, IER, IIR, InterruptId, LCR, MCR, RBR, THR};
use vm_uart::{Character, CharacterTimeout, Config, Line, SerialPort};

/// Four characters of 8N1 at 115,200 baud.
const FOUR: Duration = Duration::from_nanos(347_222);

#[derive(Default)]
struct Host {
    input: VecDeque<u8>,
    started: usize,
}

impl Line for Host {
    fn transmit(&mut self, bytes: &[u8]) -> usize {
        bytes.len()
    }

    fn receive(&mut self) -> Option<Character> {
        self.input.pop_front().map(Character::from)
    }

    fn timeout_started(&mut self) {
        self.started += 1;
    }
}

type Port = SerialPort<(), Host>;

fn program(port: &mut Port, fcr: u8) {
    for (register, value) in [
        (LCR, LCR_DLAB | LCR_8N1),
        (DLL, 1),
        (LCR, LCR_8N1),
        (FCR, fcr),
        (MCR, MCR_OUT2),
        (IER, IER_RECEIVED),
    ] {
        port.write(register, value);
    }
}

fn port(fcr: u8) -> Port {
    let config = Config {
        character_timeout: CharacterTimeout::FourCharacters,
        ..Config::default()
    };
    let mut port = SerialPort::with_config(config, (), Host::default());
    program(&mut port, fcr);
    port
}

fn type_in(port: &mut Port, keys: &[u8]) {
    port.line_mut().input.extend(keys);
    port.pump();
}

#[test]
fn a_lone_key_is_reported_after_four_characters_and_no_timer_runs_before_or_after() {
    let mut port = port(0x81);
    let mut now = Duration::from_secs(1000);
    assert_eq!(port.keep_time(now), None);
    now += Duration::from_secs(1000);
    type_in(&mut port, b"k");
    assert_eq!(port.until_timeout(), Some(347_222));
    let wait = port.keep_time(now).unwrap();
    assert_eq!(wait + Duration::from_nanos(1), FOUR);
    assert_eq!(port.keep_time(now + wait / 2), wait.checked_sub(wait / 2));
    assert_eq!(port.read(IIR) & 0x0f, IIR_NONE);
    assert_eq!(port.keep_time(now + wait), None);
    assert_eq!(port.read(IIR) & 0x0f, IIR_TIMEOUT);
    assert_eq!(port.read(RBR), b'k');
    assert_eq!(port.keep_time(now + wait), None);
    assert_eq!(port.line().started, 0, "the guest has started none");
}

#[test]
fn every_further_key_starts_the_time_anew() {
    let mut port = port(0x81);
    let mut now = Duration::ZERO;
    for _ in 0..7 {
        type_in(&mut port, b"k");
        port.keep_time(now);
        now += FOUR.saturating_sub(Duration::from_nanos(2));
        assert!(port.keep_time(now).is_some());
        assert_eq!(port.read(IIR) & 0x0f, IIR_NONE);
    }
}

#[test]
fn a_guest_that_starts_a_timeout_is_told_of_once_and_not_while_the_time_is_kept() {
    let mut port = port(0x81);
    type_in(&mut port, b"0123456789"); // 8 in the FIFO, 2 in the line
    assert_eq!(port.keep_time(Duration::ZERO), None, "data is available");
    for left in (0..10).rev() {
        let told = usize::from(left < 8);
        port.read(RBR);
        assert_eq!(port.line().started, told, "{left} left");
    }

    type_in(&mut port, b"k");
    assert!(port.keep_time(Duration::ZERO).is_some());
    port.read(RBR);
    type_in(&mut port, b"kk");
    port.read(RBR);
    assert_eq!(port.line().started, 1, "somebody will call anyway");
    assert!(
        port.keep_time(FOUR).is_some(),
        "the guest has read meanwhile"
    );
    assert_eq!(port.keep_time(FOUR + FOUR), None);
    assert_eq!(port.read(IIR) & 0x0f, IIR_TIMEOUT);
}

#[test]
fn looped_characters_are_told_of_too() {
    let mut port = port(0x81);
    port.write(MCR, MCR_OUT2 | 0x10);
    port.write(THR, b'a');
    assert_eq!(port.line().started, 1);
}

#[test]
fn nothing_is_told_and_no_time_is_needed_where_the_host_decides() {
    let mut port = SerialPort::new((), Host::default());
    program(&mut port, 0x81);
    type_in(&mut port, b"0123456789");
    for _ in 0..9 {
        port.read(RBR);
    }
    assert_eq!(port.keep_time(Duration::ZERO), None);
    assert_eq!(port.line().started, 0);
}

#[test]
fn a_restored_timeout_goes_on_where_it_was_and_is_told_of() {
    let mut old = port(0x81);
    type_in(&mut old, b"k");
    old.keep_time(Duration::from_secs(9));
    old.keep_time(Duration::from_secs(9) + FOUR / 2);

    let mut new = port(0x81);
    new.restore(&old.snapshot()).unwrap();
    assert_eq!(new.line().started, 1);
    // The other host's clock shows another time.
    let now = Duration::from_secs(77);
    let wait = new.keep_time(now).unwrap();
    assert!(wait <= FOUR / 2 && wait > FOUR / 3, "{wait:?}");
    assert_eq!(new.keep_time(now + wait), None);
    assert_eq!(new.read(IIR) & 0x0f, IIR_TIMEOUT);
}

/// An owner with a clock and a timer that calls the port as its docs say.
struct Owner {
    port: Port,
    now: Duration,
    timer: Option<Duration>,
    /// When a character last moved.
    moved: Duration,
    timed_out: bool,
}

impl Owner {
    fn new(fcr: u8) -> Self {
        Self {
            port: port(fcr),
            now: Duration::ZERO,
            timer: None,
            moved: Duration::ZERO,
            timed_out: false,
        }
    }

    fn keep_time(&mut self) {
        let wait = self.port.keep_time(self.now);
        self.timer = wait.map(|wait| self.now + wait);
    }

    fn type_in(&mut self, count: usize) {
        let before = self.port.uart().received().count();
        type_in(&mut self.port, &vec![b'k'; count]);
        if self.port.uart().received().count() != before {
            self.moved = self.now;
        }
        self.keep_time();
        self.look();
    }

    fn guest_reads(&mut self) {
        if self.port.uart().received().count() > 0 {
            self.moved = self.now;
        }
        self.port.read(RBR);
        self.timed_out = false;
        if std::mem::take(&mut self.port.line_mut().started) > 0 {
            self.keep_time();
        }
        self.look();
    }

    /// Lets time pass and serves the timer in it.
    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..1000 {
            let Some(at) = self.timer.filter(|&at| at <= until) else {
                break;
            };
            self.now = at;
            self.timer = None;
            self.keep_time();
            self.look();
        }
        assert!(
            self.timer.is_none_or(|at| at > until),
            "a timer that never rests"
        );
        self.now = until;
    }

    /// A timeout that is new has come after four characters and before eight.
    fn look(&mut self) {
        let id = self.port.uart().pending_interrupt();
        if id == InterruptId::CharacterTimeout && !self.timed_out {
            self.timed_out = true;
            let quiet = self.now.saturating_sub(self.moved);
            let nanosecond = Duration::from_nanos(1);
            assert!(quiet + nanosecond >= FOUR && quiet < 2 * FOUR, "{quiet:?}");
        }
    }
}

proptest! {
    #[test]
    fn with_a_punctual_owner_the_timeout_is_never_early_and_less_than_four_characters_late(
        fcr in prop::sample::select(vec![0x01, 0x41, 0x81, 0xc1]),
        events in prop::collection::vec((0_u64..500_000, 0_usize..40), 1..100),
    ) {
        let mut owner = Owner::new(fcr);
        for (nanoseconds, event) in events {
            owner.wait(Duration::from_nanos(nanoseconds));
            match event {
                0..10 => owner.type_in(event),
                _ => owner.guest_reads(),
            }
        }
        owner.wait(2 * FOUR);
        let id = owner.port.uart().pending_interrupt();
        let empty = owner.port.uart().received().count() == 0;
        prop_assert_eq!(id == InterruptId::None, empty, "a character that nobody is told of");
        prop_assert_eq!(owner.timer, None, "nothing counts");
    }
}
