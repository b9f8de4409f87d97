//! Stop, start and restart at the control socket do that to the guest.

use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use vm_console::Start;
use vm_console::client::{ClientError, ControlClient};
use vm_console::instance::{Directory, Instance, MachineState};
use vm_console::protocol::{AttachRequest, PowerAction, RefusalCode, ServerFrame, Status};

use vm_serial_tests::patience::{PATIENCE, wait_until};
use vm_serial_tests::running::{Mode, Vmm, modes};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");
const READY: &[u8] = b"commands\r\n> ";

/// A published machine.
struct Published {
    vmm: Vmm,
    dir: TempDir,
}

impl Published {
    fn start(mode: Mode, arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let named = ["--name", "vm-7", "--dir", dir.path().to_str().unwrap()];
        let vmm = Vmm::start(VMM, mode, &[&named, arguments].concat());
        Self { vmm, dir }
    }

    fn instance(&self) -> Instance {
        let directory = Directory::new(self.dir.path());
        directory.find(&"vm-7".parse().unwrap()).unwrap()
    }

    fn client(&self) -> Client {
        Client::connect(&self.instance().control_socket())
    }
}

/// A client of the control socket that waits for nothing without a bound.
struct Client(ControlClient);

impl Client {
    fn connect(path: &Path) -> Self {
        let stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(ControlClient::from_stream(stream).unwrap())
    }

    fn status(&mut self) -> Status {
        self.0.status().unwrap()
    }

    fn log(&mut self, start: Start) -> Vec<u8> {
        self.0.read_log(start, 1 << 20).unwrap().bytes
    }

    fn press(&mut self, button: PowerAction) {
        self.0.power(button).unwrap();
    }

    fn wait_until_powered(&mut self, on: bool) {
        wait_until("the power has changed", || self.status().powered == on);
    }

    /// Waits until the guest of this boot takes commands.
    fn wait_until_ready(&mut self, epoch: u64) {
        wait_until("the guest is ready", || {
            self.status().epoch == epoch && self.log(Start::ThisBoot).ends_with(READY)
        });
    }
}

fn count(all: &[u8], part: &[u8]) -> usize {
    all.windows(part.len()).filter(|at| *at == part).count()
}

fn goes_through_power_cycles(mode: Mode, arguments: &[&str]) {
    let machine = Published::start(mode, arguments);
    let mut client = machine.client();
    client.wait_until_ready(1);
    for cycle in 1..=5 {
        client.press(PowerAction::Stop);
        client.wait_until_powered(false);
        let head = client.status().head;

        // Stopped: the log can be read, and nobody has the console.
        let state = MachineState::of(machine.instance().liveness, client.status().powered);
        assert_eq!(state, MachineState::Stopped);
        let refused = client.0.attach(&AttachRequest::default()).unwrap_err();
        assert!(
            matches!(&refused, ClientError::Refused(no) if no.reason == RefusalCode::PoweredOff),
            "{refused}"
        );
        client.press(PowerAction::Stop);
        client.press(PowerAction::Restart);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(
            client.status().head,
            head,
            "a machine that is off is silent"
        );

        client.press(PowerAction::Start);
        client.wait_until_ready(cycle + 1);
    }
    // The one who holds it keeps it over a reset.
    client.press(PowerAction::Start);
    client.0.attach(&AttachRequest::default()).unwrap();
    client.press(PowerAction::Restart);
    let mut other = machine.client();
    other.wait_until_ready(7);
    assert!(other.status().holder.is_some());
    assert_eq!(
        count(&other.log(Start::Oldest), b"Serial guest on ttyS0"),
        7
    );
}

#[test]
fn a_machine_is_stopped_started_and_restarted() {
    for mode in modes("a_machine_is_stopped_started_and_restarted") {
        goes_through_power_cycles(mode, &[]);
    }
}

#[test]
fn a_machine_in_a_sandbox_is_stopped_started_and_restarted() {
    for mode in modes("a_machine_in_a_sandbox_is_stopped_started_and_restarted") {
        goes_through_power_cycles(mode, &["--sandbox"]);
    }
}

/// The holder is told why its session ends, and the guest is stopped in the midst of its output.
#[test]
fn a_machine_that_floods_is_stopped_and_started() {
    for mode in modes("a_machine_that_floods_is_stopped_and_started") {
        let machine = Published::start(mode, &["--log-size", "65536"]);
        let mut client = machine.client();
        for epoch in 1..=3 {
            client.wait_until_ready(epoch);
            let mut holder = machine.client();
            wait_until("the console is free", || client.status().holder.is_none());
            holder.0.attach(&AttachRequest::default()).unwrap();
            let flood = ["flood", "poll", "burst"][epoch as usize - 1];
            let mut typist = holder.0.typist().unwrap();
            typist
                .type_bytes(format!("{flood} 999999999\r").as_bytes())
                .unwrap();
            let head = client.status().head;
            wait_until("it floods", || client.status().head > head + 20_000);
            // While somebody holds it, only they may.
            holder.press(PowerAction::Stop);
            let patience = Instant::now() + PATIENCE;
            let end = loop {
                assert!(Instant::now() < patience, "it floods on");
                if let Some(ServerFrame::Ended(end)) = holder.0.next_frame().unwrap() {
                    break end;
                }
            };
            assert!(end.text.contains("powered off"), "{}", end.text);
            client.wait_until_powered(false);
            client.press(PowerAction::Start);
        }
    }
}

#[test]
fn a_machine_that_starts_off_waits_for_its_start() {
    for mode in modes("a_machine_that_starts_off_waits_for_its_start") {
        let machine = Published::start(mode, &["--starts-off"]);
        let mut client = machine.client();
        let status = client.status();
        assert!(!status.powered);
        assert_eq!((status.epoch, status.head), (0, 0));
        client.press(PowerAction::Start);
        client.wait_until_ready(1);
        assert!(client.status().powered);
    }
}

#[test]
fn a_machine_that_stays_is_started_again_after_its_guest_switched_it_off() {
    for mode in modes("a_machine_that_stays_is_started_again_after_its_guest_switched_it_off") {
        let machine = Published::start(mode, &["--stays"]);
        let mut client = machine.client();
        for epoch in 1..=3 {
            client.wait_until_ready(epoch);
            machine.vmm.attach_when_free().send("halt\r");
            client.wait_until_powered(false);
            client.press(PowerAction::Start);
        }
    }
}
