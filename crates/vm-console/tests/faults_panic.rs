//! The owner's code panics on the service's thread. The guests go on, and can be served again.

mod support;

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::RecvTimeoutError;
use support::control::{Control, named};
use support::{PATIENCE, Rig, join, wait_until};
use vm_console::protocol::{ClientFrame, PowerAction};
use vm_console::session::{Identity, Right};
use vm_console::transport::Listener;
use vm_console::transport::pty::Pty;
use vm_console::transport::stdio::FdClient;
use vm_console::{ConsoleConfig, PowerControl};

const DCD: u8 = 0x80;

struct Broken;

impl PowerControl for Broken {
    fn stop(&self) {
        panic!("planted: the owner's code fails");
    }
    fn start(&self) {}
    fn restart(&self) {}
}

fn is_cleared_away(config: ConsoleConfig, provoke: impl FnOnce(&Rig)) {
    let mut rig = Rig::with(config);
    let mut carrier = ConsoleConfig::named("beside");
    carrier.carrier = true;
    let beside = rig.beside(carrier);
    let link = beside.path("pty");
    beside
        .console
        .listen(Listener::pty(Pty::open(&link).unwrap()));
    let (ours, theirs) = UnixStream::pair().unwrap();
    let attachment = beside.console.attach(FdClient::from_socket(theirs.into()));
    beside.wait_until_held();
    let carrier = || beside.port.lock().unwrap().read(6) & DCD != 0;
    wait_until("carrier is up", carrier);

    provoke(&rig);
    let ended = join("the service ends", rig.take_thread());
    assert!(ended.expect("in time").is_err(), "the owner is told");
    assert!(rig.service.is_finished() && beside.service.is_finished());
    // Waiting for an outcome ends.
    assert!(!matches!(
        attachment.outcome().recv_timeout(PATIENCE),
        Err(RecvTimeoutError::Timeout)
    ));
    assert!(beside.console.status(PATIENCE).is_err());
    support::Client::new(ours).read_to_end();
    // Neither a socket nor a carrier is left.
    for rig in [&rig, &beside] {
        for name in ["raw", "force", "watch", "control"] {
            assert!(!rig.path(name).exists(), "{name}");
        }
    }
    assert!(link.symlink_metadata().is_err());
    assert!(!carrier());
    // The guests go on.
    for rig in [&rig, &beside] {
        let printed = rig.log.head();
        assert!(rig.may_send());
        rig.print(b"still running");
        assert_eq!(rig.log.head(), printed + 13);
        rig.console.reset();
        rig.console.power_off();
        rig.console.power_on();
    }
    // Another service can serve them.
    let other = Rig::new();
    let console = beside.console.console().clone();
    let socket = vm_console::transport::unix::UnixSocket::bind(beside.path("raw")).unwrap();
    other
        .service
        .add(console, beside.port.clone(), vec![Listener::raw(socket)])
        .unwrap();
    let mut client = beside.connect("raw");
    beside.carries(&mut client, "again");
}

#[test]
fn a_panic_of_the_power_control_is_cleared_away() {
    let mut config = ConsoleConfig::named("vm");
    config.power = Some(Arc::new(Broken));
    is_cleared_away(config, |rig| {
        Control::connect(rig).send(&[ClientFrame::Power(PowerAction::Stop), ClientFrame::Status]);
    });
}

#[test]
fn a_panic_of_the_authorizer_is_cleared_away() {
    let armed = Arc::new(AtomicBool::new(false));
    let is_armed = armed.clone();
    let mut config = ConsoleConfig::named("vm");
    config.authorizer = Arc::new(move |_: &str, who: &Identity, _: Right| {
        assert!(
            !is_armed.load(Ordering::Relaxed) || who.name() != "mallory",
            "planted: the owner's code fails"
        );
        true
    });
    armed.store(true, Ordering::Relaxed);
    is_cleared_away(config, |rig| {
        let mut control = Control::connect(rig);
        control.send(&[ClientFrame::Attach(named("mallory"))]);
        // The connection ends with the service.
        while control.next().is_some() {}
    });
}
