//! TCP clients leave no descriptor behind. The test counts those of its process, so it runs alone
//! there.

mod support;

use std::net::TcpStream;
use std::time::Duration;

use support::{Client, Rig, wait_until};
use vm_console::transport::Listener;
use vm_console::transport::tcp::{TcpConnector, TcpSocket};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn clients_and_tries_that_come_and_go_leave_no_descriptor() {
    let rig = Rig::new();
    rig.status();
    let before = descriptors();
    let socket = TcpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = socket.address();
    rig.console.listen(Listener::tcp(socket));
    let (_socket, nobody) = support::silent_port();
    let pause = Duration::from_millis(1);
    for address in [nobody, to] {
        // The second one calls this very console, which is in use then.
        let connector = TcpConnector::new(address).unwrap().retry_after(pause);
        rig.console.listen(Listener::connecting(connector));
    }
    for _ in 0..20 {
        let mut client = Client::tcp(TcpStream::connect(to).unwrap());
        let mut greeting = [0; 1];
        rig.print(b"output");
        assert!(std::io::Read::read(&mut client.stream, &mut greeting).is_ok());
    }
    wait_until("there were many tries", || {
        let counters = rig.counters();
        counters.unreachable_peers > 50 && counters.connections > 100
    });
    rig.console.remove();
    assert!(rig.console.wait_removed(support::PATIENCE));
    // The rig has its own four listeners, which are gone too.
    wait_until("all are closed", || descriptors() <= before);
}
