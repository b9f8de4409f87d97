//! What the owner does or lets happen: consoles that wait for their turn, callbacks that panic.

mod support;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::{PATIENCE, Port, Rig, join, wait_until};
use vm_console::service::Service;
use vm_console::transport::{Listener, unix::UnixSocket};
use vm_console::{BootLog, Console, ConsoleConfig, ConsoleLine, GuestPort, LogConfig};

#[test]
fn a_console_that_is_removed_while_it_waits_closes_its_listeners() {
    let rig = Rig::new();
    let (service, thread) = Service::spawn().unwrap();
    let path = rig.path("another");
    let listener = Listener::raw(UnixSocket::bind(&path).unwrap());
    // It is still served elsewhere.
    let waiting = service
        .add(
            rig.console.console().clone(),
            rig.port.clone(),
            vec![listener],
        )
        .unwrap();
    waiting.remove();
    wait_until("nobody listens", || UnixStream::connect(&path).is_err());
    wait_until("its socket is removed", || !path.exists());
    rig.prompt_status();
    service.shut_down();
    join("the service", thread).unwrap().unwrap();
}

/// A port whose owner has made a mistake.
struct Faulty {
    port: Port,
    panics: AtomicBool,
}

impl GuestPort for Faulty {
    fn with_line(&self, visit: &mut dyn FnMut(&mut ConsoleLine)) {
        self.port.with_line(visit);
        assert!(
            !self.panics.load(Ordering::Relaxed),
            "a mistake of the owner's"
        );
    }
}

fn faulty(panics: bool) -> (Console, Arc<Faulty>) {
    let (writer, _) = BootLog::in_memory(LogConfig::default()).unwrap();
    let (line, console) = Console::new(ConsoleConfig::named("vm"), writer).unwrap();
    let port = Port::new(vm_uart::SerialPort::new((), line));
    let panics = AtomicBool::new(panics);
    (console, Arc::new(Faulty { port, panics }))
}

/// The service is gone, and another one can serve the console.
fn is_free(console: Console, port: Arc<Faulty>) {
    port.panics.store(false, Ordering::Relaxed);
    let (service, thread) = Service::spawn().unwrap();
    let console = service.add(console, port, Vec::new()).unwrap();
    assert_eq!(console.status(PATIENCE).unwrap().console, "vm");
    service.shut_down();
    join("the next service", thread).unwrap().unwrap();
}

#[test]
fn a_port_that_panics_ends_the_service_and_not_the_process() {
    let (service, thread) = Service::spawn().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("raw");
    let listener = Listener::raw(UnixSocket::bind(&path).unwrap());
    let (console, port) = faulty(false);
    let served = service
        .add(console.clone(), port.clone(), vec![listener])
        .unwrap();
    served.status(PATIENCE).unwrap();
    port.panics.store(true, Ordering::Relaxed);
    let _client = UnixStream::connect(&path).unwrap();
    assert!(join("the service", thread).unwrap().is_err());
    assert!(service.is_finished());
    is_free(console, port);
}

#[test]
fn a_port_that_panics_at_first_sight_does_not_keep_the_console() {
    let (service, thread) = Service::spawn().unwrap();
    let (console, port) = faulty(true);
    let _served = service
        .add(console.clone(), port.clone(), Vec::new())
        .unwrap();
    assert!(join("the service", thread).unwrap().is_err());
    is_free(console, port);
}
