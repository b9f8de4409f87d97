//! A VMM in a jail without /proc has its sockets all the same.

mod support;

use std::env;
use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;

use support::{Client, Rig, skip, wait_until};
use vm_console::transport::{Listener, unix::UnixSocket};

/// Where a copy of this program that is to be in a jail has it.
const JAIL: &str = "VM_CONSOLE_TEST_JAIL";

#[test]
fn a_socket_is_had_in_a_jail_without_proc() {
    if let Some(jail) = env::var_os(JAIL) {
        rustix::process::chroot(PathBuf::from(jail)).unwrap();
        rustix::process::chdir("/").unwrap();
        assert!(!PathBuf::from("/proc").exists());
        return in_jail();
    }
    if !rustix::process::geteuid().is_root() {
        return skip("a jail needs root");
    }
    let jail = tempfile::tempdir().unwrap();
    // What the service itself needs is in the jail: a place for sockets.
    std::fs::create_dir_all(jail.path().join("run")).unwrap();
    std::fs::create_dir_all(jail.path().join("tmp")).unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "a_socket_is_had_in_a_jail_without_proc",
            "--nocapture",
        ])
        .env(JAIL, jail.path())
        .env("TMPDIR", "/tmp")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Operation not permitted") {
        return skip("chroot is not permitted");
    }
    assert!(output.status.success(), "{said}");
    let left = std::fs::read_dir(jail.path().join("run")).unwrap().count();
    assert_eq!(left, 0, "all that was made is removed");
}

fn in_jail() {
    // A client comes in, and the guest's output and its input get through.
    let rig = Rig::new();
    let path = PathBuf::from("/run/vm-7.sock");
    rig.console
        .listen(Listener::raw(UnixSocket::bind(&path).unwrap()));
    wait_until("it listens", || UnixStream::connect(&path).is_ok());
    rig.wait_until_free();
    let mut client = Client::new(UnixStream::connect(&path).unwrap());
    rig.carries(&mut client, "from the jail");
    // The one that listens is found out, and a dead one is replaced.
    assert_eq!(
        UnixSocket::bind(&path).unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    drop(UnixListener::bind("/run/dead").unwrap());
    UnixSocket::bind("/run/dead").unwrap();
    // A relative path, and the longest one that a client can connect to.
    rustix::process::chdir("/run").unwrap();
    let relative = UnixSocket::bind("vm-8.sock").unwrap();
    UnixStream::connect("vm-8.sock").unwrap();
    drop(relative);
    let longest = format!("/run/{}", "s".repeat(102));
    let socket = UnixSocket::bind(&longest).unwrap();
    UnixStream::connect(&longest).unwrap();
    drop(socket);
    // A longer one cannot be had, and the error tells which and why.
    let deep = format!("/run/{}", "d".repeat(103));
    let longer = format!("{deep}/sock");
    std::fs::create_dir(&deep).unwrap();
    let error = UnixSocket::bind(&longer).unwrap_err().to_string();
    assert!(
        error.contains(&longer) && error.contains("/proc"),
        "{error}"
    );
    std::fs::remove_dir(&deep).unwrap();
}
