//! No descriptor of this crate is inherited by a program that its process starts.

mod support;

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::Command;

use rustix::pty::OpenptFlags;
use support::control::{Control, named};
use support::{Rig, open_terminal, wait_until};
use vm_console::protocol::{AttachRequest, ClientFrame, ServerFrame};
use vm_console::transport::stdio::FdClient;
use vm_console::transport::terminal::Terminal;
use vm_console::transport::{Listener, pty::Pty};

/// The descriptors that a program has when it starts.
fn inherited() -> BTreeSet<String> {
    let program = Command::new("ls").arg("/proc/self/fd").output().unwrap();
    assert!(program.status.success());
    let list = String::from_utf8(program.stdout).unwrap();
    list.lines().map(str::to_owned).collect()
}

#[test]
fn a_program_inherits_no_descriptor() {
    let before = inherited();
    let rig = Rig::new();
    let pty = Pty::open(rig.path("pty")).unwrap();
    let slave = open_terminal(&rig.path("pty"));
    rig.console.listen(Listener::pty(pty));
    let _terminal = Terminal::raw(&slave).unwrap().expect("it is a terminal");
    wait_until("the pty is served", || rig.status().holder.is_some());
    let _holder = rig.connect("force");
    let _observer = rig.connect("watch");

    let file = tempfile::tempfile().unwrap();
    let (keys, _typing) = std::io::pipe().unwrap();
    let (_screen, output) = std::io::pipe().unwrap();
    let own = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
    let (socket, _peer) = UnixStream::pair().unwrap();
    for client in [
        FdClient::from_files(&keys, &output).unwrap(),
        FdClient::from_files(&keys, &file).unwrap(),
        FdClient::from_files(own.as_ref().unwrap(), own.as_ref().unwrap()).unwrap(),
        FdClient::from_files(&socket, &socket).unwrap(),
    ] {
        rig.console.attach(client.read_only());
    }
    let mut control = Control::connect(&rig);
    let (passed, _peer) = UnixStream::pair().unwrap();
    let request = AttachRequest {
        read_only: true,
        ..named("ada")
    };
    let frame = ClientFrame::AttachDescriptor(request);
    control.pass(&[frame], &[passed.as_fd()]);
    drop(passed);
    control.next_that("attached", |frame| {
        matches!(frame, ServerFrame::Attached(_)).then_some(())
    });
    wait_until("all observe", || rig.status().observers == 6);
    assert_eq!(inherited(), before);
}
