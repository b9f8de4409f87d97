//! Output that is held for a client goes on when no service serves the client any more.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use support::own_loop::OwnLoop;
use support::{Client, PATIENCE, Rig, join, wait_until};
use vm_console::session::{Identity, Right};
use vm_console::transport::{Listener, unix::UnixSocket};
use vm_console::{ConsoleConfig, LogConfig};

fn lossless() -> ConsoleConfig {
    let mut config = ConsoleConfig::named("vm");
    // Longer than any test waits.
    config.lossless = Some(PATIENCE * 10);
    config.lossless_window = 4096;
    config
}

/// Attaches a holder that reads nothing, and prints until output is held.
fn hold(rig: &Rig) -> Client {
    let client = rig.attach("raw");
    wait_until("output is held", || {
        for _ in 0..10_000 {
            if rig.may_send() {
                rig.print(b"x");
            }
        }
        // Output may wait only for the service to look, so let it look first.
        rig.prompt_status();
        !rig.may_send()
    });
    client
}

/// Checks that the guest prints as if there were no service.
fn goes_on(rig: &Rig) {
    wait_until("output goes on", || rig.may_send());
    let printed = rig.log.head();
    for _ in 0..100_000 {
        assert!(rig.may_send(), "it is held again");
        rig.print(b"y");
    }
    assert_eq!(rig.log.head(), printed + 100_000);
}

#[test]
fn held_output_goes_on_when_the_service_is_dropped() {
    let (service, own_loop) = OwnLoop::begin();
    let rig = Rig::in_service(service, lossless(), LogConfig::default());
    let _holder = hold(&rig);
    own_loop.end();
    goes_on(&rig);
}

#[test]
fn held_output_goes_on_when_the_service_shuts_down() {
    let mut rig = Rig::with(lossless());
    let _holder = hold(&rig);
    rig.service.shut_down();
    goes_on(&rig);
    let ended = join("the service ends", rig.take_thread());
    ended.expect("in time").expect("in order");
    goes_on(&rig);
}

#[test]
fn held_output_goes_on_when_the_console_is_removed() {
    let rig = Rig::with(lossless());
    let _holder = hold(&rig);
    rig.console.remove();
    goes_on(&rig);
}

/// Permits everything, and panics at the first observer.
fn panics_at_observers(_console: &str, _who: &Identity, right: Right, armed: &AtomicBool) -> bool {
    assert!(
        right != Right::ReadLog || !armed.load(Ordering::Relaxed),
        "planted: the owner's code fails"
    );
    true
}

#[test]
fn held_output_goes_on_when_the_service_panics() {
    let armed = Arc::new(AtomicBool::new(false));
    let mut config = lossless();
    let is_armed = armed.clone();
    config.authorizer = Arc::new(move |console: &str, who: &Identity, right| {
        panics_at_observers(console, who, right, &is_armed)
    });
    let mut rig = Rig::with(config);
    let _holder = hold(&rig);
    armed.store(true, Ordering::Relaxed);
    let _watcher = rig.connect("watch");
    goes_on(&rig);
    let ended = join("the service ends", rig.take_thread());
    assert!(ended.expect("in time").is_err(), "the owner is told");
}

#[test]
fn the_next_service_holds_for_its_own_client_only() {
    let (service, own_loop) = OwnLoop::begin();
    let rig = Rig::in_service(service, lossless(), LogConfig::default());
    let _holder = hold(&rig);
    own_loop.end();
    let other = Rig::new();
    let socket = UnixSocket::bind(other.path("again")).unwrap();
    let console = rig.console.console().clone();
    let again = other
        .service
        .add(console, rig.port.clone(), vec![Listener::raw(socket)])
        .unwrap();
    again.status(support::PROMPT).unwrap();
    goes_on(&rig);
    let mut client = other.connect("again");
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    wait_until("the next one holds it", || {
        again
            .status(Duration::from_secs(10))
            .unwrap()
            .holder
            .is_some()
    });
    rig.print(b"END");
    client.read_until("END");
}
