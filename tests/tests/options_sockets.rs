//! The ways in that the command line makes.

use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use vm_serial_tests::output::Output;
use vm_serial_tests::patience::PATIENCE;
use vm_serial_tests::running::{Mode, Vmm};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");

fn output_of(stream: &UnixStream) -> Output {
    Output::collect(stream.try_clone().unwrap())
}

#[test]
fn a_forcing_socket_takes_the_console_and_an_observers_socket_watches() {
    let dir = tempfile::tempdir().unwrap();
    let (force, watch) = (dir.path().join("force"), dir.path().join("watch"));
    let arguments = [
        "--forcing-socket",
        force.to_str().unwrap(),
        "--observer-socket",
        watch.to_str().unwrap(),
        "--socket-mode",
        "660",
    ];
    let vmm = Vmm::start(VMM, Mode::Scripted, &arguments);
    for path in [&force, &watch, &vmm.socket()] {
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o660);
    }
    let holder = vmm.attach();
    holder.output().wait_for("commands\r\n> ");
    let observer = output_of(&UnixStream::connect(&watch).unwrap());
    holder.send("# seen\r");
    observer.wait_for("# seen\r\n> ");

    let taker = UnixStream::connect(&force).unwrap();
    output_of(&taker).wait_for("commands\r\n> ");
    holder.output().wait_for("taken over by");
    let _ = taker.shutdown(std::net::Shutdown::Both);
    vmm.serves_the_next();
}

#[test]
fn an_abstract_socket_is_named_by_an_at_sign() {
    let name = format!("vm-serial-test-{}", std::process::id());
    let arguments = ["--observer-socket", &format!("@{name}")];
    let vmm = Vmm::start(VMM, Mode::Scripted, &arguments);
    vmm.attach().output().wait_for("commands\r\n> ");
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let observer = UnixStream::connect_addr(&address).unwrap();
    output_of(&observer).wait_for("commands\r\n> ");
}

#[test]
fn other_users_than_the_peers_are_turned_away() {
    let stranger = (rustix::process::geteuid().as_raw() + 1).to_string();
    let vmm = Vmm::start(VMM, Mode::Scripted, &["--peers", &stranger]);
    let mut stream = UnixStream::connect(vmm.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut told = Vec::new();
    // A reset, if it was closed before we read.
    let _ = stream.read_to_end(&mut told);
    let told = String::from_utf8_lossy(&told);
    assert!(!told.contains("Serial guest"), "{told}");
}
