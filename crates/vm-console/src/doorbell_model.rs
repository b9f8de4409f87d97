//! The handshakes between the guest's thread and the service's, under loom, which tries every
//! interleaving.
//!
//! The two share the line, behind the port's lock, and the eventfd, whose writes add up until one
//! read takes all of them. The guest's side here is the real [`ConsoleLine`]. The service's side is
//! a model of `service::console`, step by step. The property is always the same: when the service
//! sleeps and the doorbell is silent, nothing is left to do.

use std::sync::Arc;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, Ordering};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::counters::Counters;
use crate::line::{ConsoleLine, INPUT_LIMIT, Power};
use crate::log::{BootLog, LogConfig};

/// The state that both threads share.
struct Shared {
    line: Mutex<ConsoleLine>,
    bell: Arc<EventFd>,
    log: BootLog,
    /// Loaded in steps that take no lock, since loom switches threads only at its own operations.
    step: AtomicBool,
}

impl Shared {
    fn new() -> loom::sync::Arc<Self> {
        let sizes = LogConfig {
            tail: 4096,
            head: 0,
            boots: 1,
        };
        let (mut writer, log) = BootLog::in_memory(sizes).unwrap();
        let bell = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
        writer.set_doorbell(Arc::clone(&bell));
        let line = ConsoleLine::new(
            writer,
            Arc::clone(&bell),
            Arc::new(Counters::default()),
            false,
            true,
        );
        loom::sync::Arc::new(Self {
            line: Mutex::new(line),
            bell,
            log,
            step: AtomicBool::new(false),
        })
    }

    fn head(&self) -> u64 {
        self.step.load(Ordering::Acquire);
        self.log.head()
    }

    fn rang(&self) -> bool {
        self.step.load(Ordering::Acquire);
        self.bell.read().is_ok()
    }
}

/// The part of the service that deals with the doorbell.
#[derive(Default)]
struct Service {
    seen: u64,
    armed: bool,
    /// A timer is set, and the doorbell is not armed.
    look_again: bool,
    /// How many more times it sets the timer when it finds output.
    looks: u32,
    typed: usize,
    power: Power,
    sessions_ended: u64,
}

impl Service {
    /// Handles one wakeup, if there is a cause. Returns whether there was.
    fn turn(&mut self, shared: &Shared) -> bool {
        let rang = shared.rang();
        if !rang && !std::mem::take(&mut self.look_again) {
            return false;
        }
        self.look_again = false;
        if rang {
            self.armed = false;
            let power = shared.line.lock().unwrap().power();
            if power.off_in != self.power.off_in {
                self.sessions_ended += 1;
            }
            self.power = power;
            self.type_rest(shared);
        }
        self.send(shared);
        true
    }

    fn send(&mut self, shared: &Shared) {
        loop {
            let head = shared.head();
            let flows = head != self.seen;
            self.seen = head;
            if flows && self.looks > 0 {
                self.looks -= 1;
                self.look_again = true;
                return;
            }
            if self.armed && shared.head() == self.seen {
                return;
            }
            self.armed = shared.line.lock().unwrap().arm(self.seen);
            if self.armed {
                return;
            }
        }
    }

    fn type_rest(&mut self, shared: &Shared) {
        if self.typed == 0 {
            return;
        }
        let mut line = shared.line.lock().unwrap();
        self.typed -= line.type_bytes(&vec![b'x'; self.typed]);
        if self.typed > 0 {
            line.want_room();
        }
    }
}

/// Lets a guest race a service that has `typed` characters for it. The first `looks` times that the
/// service finds output it sets a timer; after that it arms the doorbell. In the end the service is
/// woken for as long as there is a cause.
fn race(typed: usize, looks: u32, guest: fn(&Shared), asleep: fn(&Service, &Shared)) {
    loom::model(move || {
        let shared = Shared::new();
        let mut service = Service {
            looks,
            typed,
            ..Service::default()
        };
        service.type_rest(&shared);
        let thread = loom::thread::spawn({
            let shared = shared.clone();
            move || guest(&shared)
        });
        service.send(&shared);
        service.turn(&shared);
        thread.join().unwrap();
        while service.turn(&shared) {}
        asleep(&service, &shared);
    });
}

#[test]
fn no_output_is_slept_over() {
    for looks in [0, 1] {
        race(
            0,
            looks,
            |shared| {
                for _ in 0..2 {
                    shared.line.lock().unwrap().transmit(b"x");
                }
            },
            |service, shared| assert_eq!(service.seen, shared.log.head()),
        );
    }
}

#[test]
fn no_room_for_input_is_slept_over() {
    const MORE: usize = INPUT_LIMIT / 2;
    race(
        INPUT_LIMIT + MORE,
        0,
        |shared| {
            for _ in 0..3 {
                let mut line = shared.line.lock().unwrap();
                // With output in between, as from an echo.
                line.transmit(b"x");
                for _ in 0..INPUT_LIMIT / 4 {
                    line.receive();
                }
            }
        },
        |service, shared| {
            let waiting = shared.line.lock().unwrap().input_waiting();
            assert_eq!(service.typed, 0);
            assert_eq!(waiting, INPUT_LIMIT + MORE - 3 * INPUT_LIMIT / 4);
        },
    );
}

#[test]
fn an_off_and_on_is_seen_however_it_falls() {
    race(
        0,
        1,
        |shared| {
            for on in [false, true] {
                shared.line.lock().unwrap().set_power(on);
            }
        },
        |service, _| {
            assert_eq!(service.sessions_ended, 1);
            assert!(service.power.on);
        },
    );
}
