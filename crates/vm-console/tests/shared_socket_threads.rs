//! Threads that receive from sockets that clients share. Alone in its process, whose threads it
//! counts.

mod support;

use std::os::unix::net::UnixStream;

use support::{Client, Rig};
use vm_console::ConsoleConfig;
use vm_console::transport::stdio::FdClient;

fn receiving() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    // One may end meanwhile.
    let names =
        threads.filter_map(|thread| std::fs::read(thread.unwrap().path().join("comm")).ok());
    names.filter(|name| name == b"vm-console-recv\n").count()
}

/// A thousand who only watch are no thousand threads.
#[test]
fn a_client_that_types_nothing_takes_none() {
    let rig = Rig::with(ConsoleConfig::named("vm"));
    let (ours, theirs) = UnixStream::pair().unwrap();
    let attachment = rig.console.attach(FdClient::from_socket(theirs.into()));
    rig.wait_until_held();
    let mut client = Client::new(ours);
    rig.print(b"watched");
    assert_eq!(client.read(7), b"watched");
    rig.prompt_status();
    assert_eq!(receiving(), 0);
    for typed in [b"one", b"two"] {
        client.send(typed);
        assert_eq!(rig.read_input(3), typed);
        assert_eq!(receiving(), 1);
    }
    drop(client);
    assert!(attachment.wait().is_some());
    rig.wait_until_free();
}
