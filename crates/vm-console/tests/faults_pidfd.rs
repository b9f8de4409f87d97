//! A client sets options on a socket that it passes and keeps. Alone in its process, whose
//! descriptors it counts.

mod support;

use std::process::Command;

use support::{Rig, has, wait_until};

/// `SO_PASSPIDFD` is 76; each message then brings a descriptor of its sender's process.
const CLIENT: &str = r#"
import array, socket, struct, sys, time
control = socket.socket(socket.AF_UNIX)
control.connect(sys.argv[1])
ours, theirs = socket.socketpair()
theirs.setsockopt(socket.SOL_SOCKET, 76, 1)
attach = struct.pack('<IBBBQH', 13, 3, 0, 0, 0, 0)
control.sendmsg([attach], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [theirs.fileno()]))])
while b'\x82' not in control.recv(4096): pass
for _ in range(400):
    # Each by itself: what is read together brings one.
    ours.send(b"x"); time.sleep(0.003)
ours.recv(1)
"#;

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn no_descriptor_stays_of_a_socket_that_brings_one_with_each_message() {
    if !has("python3") {
        return;
    }
    let rig = Rig::new();
    rig.prompt_status();
    let before = descriptors();
    let mut client = Command::new("python3")
        .args(["-c", CLIENT])
        .arg(rig.path("control"))
        .spawn()
        .unwrap();
    let mut taken = 0;
    wait_until("all is typed", || {
        taken += rig.take_input().len();
        taken >= 400
    });
    let after = descriptors();
    client.kill().unwrap();
    client.wait().unwrap();
    assert!(
        after < before + 50,
        "{before} descriptors, and then {after}"
    );
}
