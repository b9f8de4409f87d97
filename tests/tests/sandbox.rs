//! The console's thread and the guest's do all their work under seccomp filters, and no other.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use rustix::process::Signal;
use vm_console::client::ControlClient;
use vm_console::protocol::{AttachRequest, ServerFrame};
use vm_serial_tests::output::Output;
use vm_serial_tests::patience::{PATIENCE, wait_until};
use vm_serial_tests::process::{DEFAULT_SIGNALS, Process, command};
use vm_serial_tests::running::{Mode, Vmm, modes};
use vm_serial_tests::terminal::Terminal;

const VMM: &str = env!("CARGO_BIN_EXE_vmm");

fn guest_thread(mode: Mode) -> &'static str {
    match mode {
        Mode::Kvm => "vcpu0",
        Mode::Scripted => "guest",
    }
}

/// The names of the threads that have a filter.
fn filtered(vmm: &Vmm) -> Vec<String> {
    let tasks = format!("/proc/{}/task", vmm.process().id().as_raw_nonzero());
    let tasks = std::fs::read_dir(tasks).unwrap().flatten();
    let statuses =
        tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    let mut names: Vec<_> = statuses
        .filter(|status| status.contains("\nSeccomp:\t2\n"))
        .map(|status| status.lines().next().unwrap().replace("Name:\t", ""))
        // A thread of the kernel's, which starts at the vCPU's first run.
        .filter(|name| !name.starts_with("kvm-"))
        .collect();
    names.sort();
    names
}

/// What is typed comes back, with the guest's next prompt.
#[track_caller]
fn converses(from: impl Read + AsFd + Send + 'static, mut to: impl Write, text: &str) {
    let (seen, _tap) = Output::collect_until_closed(from);
    to.write_all(format!("# {text}\r").as_bytes()).unwrap();
    seen.wait_for(&format!("# {text}\r\n> "));
}

fn control_client(path: &Path) -> ControlClient {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    ControlClient::from_stream(stream).unwrap()
}

fn wait_until_free(control: &mut ControlClient) {
    wait_until("the console is free", || {
        control.status().unwrap().holder.is_none()
    });
}

fn over_pty(link: &Path) {
    let pty = File::options()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NOCTTY.bits().cast_signed())
        .open(link)
        .unwrap();
    converses(pty.try_clone().unwrap(), pty, "pty");
}

fn over_control_socket(client: &mut ControlClient) {
    client.attach(&AttachRequest::default()).unwrap();
    client.typist().unwrap().type_bytes(b"# control\r").unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(b"# control\r\n> ") {
        if let Some(ServerFrame::Output(output)) = client.next_frame().unwrap() {
            seen.extend(output.bytes);
        }
    }
    client.detach().unwrap();
}

fn over_passed_socket(client: &mut ControlClient) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    client
        .attach_socket(&AttachRequest::default(), &theirs)
        .unwrap();
    converses(ours.try_clone().unwrap(), ours, "passed");
}

#[test]
fn a_session_over_each_transport() {
    for mode in modes("a_session_over_each_transport") {
        let directory = tempfile::tempdir().unwrap();
        let [control, link] = ["control", "pty"].map(|name| directory.path().join(name));
        let terminal = Terminal::open();
        let arguments = [
            "--sandbox",
            "--control-socket",
            control.to_str().unwrap(),
            "--pty",
            link.to_str().unwrap(),
        ];
        let mut vmm = Vmm::start_at(&terminal, VMM, mode, &arguments);
        terminal.output().wait_for("commands\r\n> ");
        assert_eq!(filtered(&vmm), [guest_thread(mode), "vm-console"]);
        terminal.type_keys("reset\r");
        terminal.output().wait_for_nth("commands\r\n> ", 2);
        terminal.type_keys("\r~.");
        vmm.messages().wait_for("left the console");

        vmm.serves_the_next();
        let control = &mut control_client(&control);
        wait_until_free(control);
        over_pty(&link);
        wait_until_free(control);
        over_control_socket(control);
        over_passed_socket(control);

        // The symlink leads to another pty after this.
        wait_until_free(control);
        let first = std::fs::read_link(&link).unwrap();
        let held = File::open(&first).unwrap();
        wait_until("the pty has the console", || {
            control.status().unwrap().holder.is_some()
        });
        let by_force = AttachRequest {
            force: true,
            ..AttachRequest::default()
        };
        control.attach(&by_force).unwrap();
        wait_until("there is another pty", || {
            std::fs::read_link(&link).unwrap() != first
        });
        drop(held);

        vmm.signal(Signal::TERM);
        let (status, messages) = vmm.wait();
        assert_eq!(status.signal(), Some(Signal::TERM.as_raw()), "{messages}");
        assert!(messages.contains("bytes written"), "{messages}");
        assert!(!vmm.socket().exists() && std::fs::symlink_metadata(&link).is_err());
    }
}

#[test]
fn a_warning_and_the_end_of_the_machine_by_itself() {
    for mode in modes("a_warning_and_the_end_of_the_machine_by_itself") {
        let directory = tempfile::tempdir().unwrap();
        let [control, log] = ["control", "log"].map(|name| directory.path().join(name));
        let arguments = [
            "--sandbox",
            "--control-socket",
            control.to_str().unwrap(),
            "--log-file",
            log.to_str().unwrap(),
        ];
        let mut vmm = Vmm::start(VMM, mode, &arguments);
        // A thread that the service starts writes it.
        let mut senseless = UnixStream::connect(&control).unwrap();
        senseless.write_all(&[0xff; 64]).unwrap();
        vmm.messages().wait_for("WARN");
        let client = vmm.attach_when_free();
        client.output().wait_for("commands\r\n> ");
        client.send("halt\r");
        let (status, messages) = vmm.wait();
        assert_eq!(status.code(), Some(0), "{messages}");
    }
}

#[test]
fn without_the_option_no_thread_has_a_filter() {
    let arguments = ["--trespass", "service"];
    let vmm = Vmm::start(VMM, Mode::Scripted, &arguments);
    vmm.serves_the_next();
    assert!(filtered(&vmm).is_empty());
}

/// Runs a machine of which one thread makes a call that no filter allows.
fn trespass(mode: Mode, sandbox: &str, thread: &str) -> (Option<i32>, Option<i32>, String) {
    let directory = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut vmm = command(DEFAULT_SIGNALS, VMM);
    vmm.args([sandbox, "--trespass", thread, "--detached", "--socket"])
        .arg(directory.path().join("console"))
        .env_remove("VM_SERIAL_NO_KVM")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(writer);
    if mode == Mode::Scripted {
        vmm.arg("--no-kvm");
    }
    let mut process = Process::start(&mut vmm);
    drop(vmm);
    let status = process.wait();
    let messages = Output::collect(reader).wait_for_end();
    let messages = String::from_utf8_lossy(&messages).into_owned();
    (status.signal(), status.code(), messages)
}

#[test]
fn a_call_that_the_filter_does_not_allow_is_refused_on_that_thread() {
    for mode in modes("a_call_that_the_filter_does_not_allow_is_refused_on_that_thread") {
        for thread in ["service", "guest"] {
            let (signal, _, messages) = trespass(mode, "--sandbox", thread);
            assert_eq!(signal, Some(Signal::SYS.as_raw()), "{thread}: {messages}");
        }
        let (_, code, messages) = trespass(mode, "--sandbox=errno", "service");
        assert_eq!(code, Some(2), "{messages}");
        assert!(messages.contains("Operation not permitted"), "{messages}");
        let (_, code, messages) = trespass(mode, "--sandbox=errno", "guest");
        assert_eq!(code, Some(1), "{messages}");
        assert!(messages.contains("Operation not permitted"), "{messages}");
    }
}
