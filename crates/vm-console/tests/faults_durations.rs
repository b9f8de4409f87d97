//! The longest possible durations work as any other.

mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use support::{Rig, pattern, wait_until};
use vm_console::session::EndReason;
use vm_console::{ConsoleConfig, LogConfig, RateLimit};

/// A session of every kind of client, with everything that its end causes.
fn is_served(change: impl FnOnce(&mut ConsoleConfig)) {
    let mut config = ConsoleConfig::named("vm");
    change(&mut config);
    let rig = Rig::with(config);
    let mut holder = rig.attach("raw");
    let mut watcher = rig.connect("watch");
    rig.carries(&mut holder, "first");
    watcher.read_until("first");
    assert!(rig.connect("raw").read_to_end().contains("in use by"));
    let mut second = rig.attach("force");
    assert!(holder.read_to_end().contains("taken over by"));
    rig.carries(&mut second, "second");
    let mut control = rig.control();
    assert!(control.status().unwrap().holder.is_some());
    rig.console.disconnect(EndReason::Revoked);
    assert!(second.read_to_end().contains("revoked"));
    control.attach(&support::control::named("third")).unwrap();
    control.detach().unwrap();
    let mut holder = rig.attach("raw");
    rig.console.power_off();
    assert!(holder.read_to_end().contains("powered off"));
    rig.console.power_on();
    let mut holder = rig.attach("raw");
    rig.carries(&mut holder, "third");
    drop((holder, watcher, control));
    rig.wait_until_free();
    rig.prompt_status();
}

#[test]
fn clients_may_take_for_ever_to_read_what_is_left() {
    is_served(|config| config.linger = Duration::MAX);
}

#[test]
fn sessions_may_be_idle_for_ever() {
    is_served(|config| config.session.idle_limit = Duration::MAX);
}

#[test]
fn sessions_may_last_for_ever() {
    is_served(|config| config.session.absolute_limit = Duration::MAX);
}

#[test]
fn a_warning_may_come_for_ever_before_a_limit() {
    is_served(|config| config.session.warn_before = Duration::MAX);
}

#[test]
fn all_of_them_at_once_with_the_largest_of_all_numbers() {
    is_served(|config| {
        config.linger = Duration::MAX;
        config.session.idle_limit = Duration::MAX;
        config.session.absolute_limit = Duration::MAX;
        config.session.warn_before = Duration::MAX;
        config.lossless = Some(Duration::MAX);
        config.lossless_window = u64::MAX;
        config.max_behind = Some(u64::MAX);
        config.max_observers = usize::MAX;
        config.max_connections = usize::MAX;
        config.carrier = true;
        config.rate_limit = Some(RateLimit {
            bytes_per_second: NonZeroU32::MAX,
            burst: NonZeroU32::MAX,
        });
    });
}

#[test]
fn a_rate_of_a_byte_a_second_is_a_rate() {
    let mut config = ConsoleConfig::named("vm");
    config.linger = Duration::MAX;
    config.rate_limit = Some(RateLimit {
        bytes_per_second: NonZeroU32::MIN,
        burst: NonZeroU32::MIN,
    });
    let rig = Rig::with(config);
    let mut holder = rig.attach("raw");
    rig.print(b"slow");
    assert_eq!(holder.read(1), b"s");
    rig.prompt_status();
}

#[test]
fn output_may_be_held_for_ever() {
    let mut config = ConsoleConfig::named("vm");
    config.lossless = Some(Duration::MAX);
    config.lossless_window = 4096;
    let sizes = LogConfig {
        tail: 8192,
        head: 0,
        ..LogConfig::default()
    };
    let rig = Rig::with_log(config, sizes);
    let mut holder = rig.attach("raw");
    let all = pattern(0, 1 << 20);
    let mut printed = 0;
    wait_until("output is held", || {
        while rig.may_send() && printed < all.len() {
            rig.print(&all[printed..=printed]);
            printed += 1;
        }
        rig.prompt_status();
        printed == all.len() || !rig.may_send()
    });
    assert!(printed < all.len(), "it was never held");
    let mut seen = Vec::new();
    while seen.len() < all.len() {
        while rig.may_send() && printed < all.len() {
            rig.print(&all[printed..=printed]);
            printed += 1;
        }
        let behind = rig.log.head() as usize - seen.len();
        seen.extend(holder.read(behind.min(4096)));
    }
    assert!(seen == all);
}
