//! A console is removed and added again while one of its clients may still read the rest.

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::gate::Gate;
use support::{Client, PATIENCE, Port, Rig, wait_until};
use vm_console::ConsoleConfig;
use vm_console::service::{ConsoleHandle, Service, ServiceHandle};
use vm_console::transport::{Listener, unix::UnixSocket};

/// A console whose holder does not read the rest of its output, and has time for it.
fn lingering(linger: Duration) -> (Rig, Client) {
    let mut config = ConsoleConfig::named("vm");
    config.linger = linger;
    let rig = Rig::with(config);
    let holder = rig.attach("raw");
    rig.fill_socket();
    (rig, holder)
}

/// Serves the console of `rig` at `name`, in `service`.
fn add(rig: &Rig, service: &ServiceHandle, name: &str) -> ConsoleHandle {
    let port: Arc<Port> = rig.port.clone();
    let socket = UnixSocket::bind(rig.path(name)).unwrap();
    let console = rig.console.console().clone();
    service
        .add(console, port, vec![Listener::raw(socket)])
        .unwrap()
}

/// Checks that output comes after each pause of the guest.
fn is_served(rig: &Rig) {
    let mut client = rig.connect("again");
    for round in 0..50 {
        rig.carries(&mut client, &format!("round {round}\r\n"));
        if round % 10 == 0 {
            // After a longer pause the service does not look for output by itself.
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn a_console_added_again_while_a_client_lingers_hears_its_guest() {
    let (rig, mut old) = lingering(Duration::from_millis(500));
    rig.console.remove();
    let again = add(&rig, &rig.service, "again");
    is_served(&rig);
    // The console is served while the old client is still there, and after that.
    let gone = |error: std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    wait_until("the old client is let go", || {
        std::io::Write::write(&mut old.stream, b"x").is_err_and(gone)
    });
    again.status(support::PROMPT).unwrap();
    wait_until("the console is free", || {
        let status = again.status(support::PROMPT).unwrap();
        status.holder.is_none()
    });
    is_served(&rig);
}

#[test]
fn so_does_one_that_moves_to_another_service() {
    let (rig, _old) = lingering(Duration::from_secs(2));
    rig.console.remove();
    let other = Rig::new();
    let _again = add(&rig, &other.service, "again");
    is_served(&rig);
}

#[test]
fn a_console_removed_and_added_many_times_is_served_each_time() {
    let rig = Rig::new();
    let mut handle = rig.console.clone();
    for round in 0..50 {
        let name = round.to_string();
        handle.remove();
        handle = add(&rig, &rig.service, &name);
        let mut client = rig.connect(&name);
        rig.carries(&mut client, "again");
    }
}

#[test]
fn a_console_added_after_shut_down_is_an_error_and_can_go_to_another_service() {
    let rig = Rig::new();
    let add = |service: &ServiceHandle| {
        let port: Arc<Port> = rig.port.clone();
        let socket = UnixSocket::bind(rig.path("late")).unwrap();
        let console = rig.console.console().clone();
        service.add(console, port, vec![Listener::raw(socket)])
    };
    rig.service.shut_down();
    // At once, and once it has finished.
    for is_finished in [false, true] {
        if is_finished {
            wait_until("the service has finished", || rig.service.is_finished());
        }
        let error = add(&rig.service).unwrap_err();
        assert!(error.to_string().contains("start another one"), "{error}");
        assert!(!rig.path("late").exists(), "its listener is closed");
    }
    let (service, thread) = Service::spawn().unwrap();
    let late = add(&service).unwrap();
    rig.print(b"served again");
    let mut client = rig.connect("late");
    assert_eq!(client.read(12), b"served again");
    late.remove();
    service.shut_down();
    thread.join().unwrap();
}

#[test]
fn a_console_is_not_removed_before_the_service_has_come_to_it() {
    let gate = Gate::default();
    let rig = Rig::with(gate.config());
    let added = gate.while_shut(&rig, || {
        let added = rig.beside(ConsoleConfig::named("added"));
        added.console.remove();
        assert!(!added.console.wait_removed(Duration::ZERO));
        added
    });
    assert!(added.console.wait_removed(PATIENCE));
    assert!(!added.path("raw").exists());
}
