//! Requests of one client beside many other clients.

mod support;

use support::control::Control;
use support::{Rig, wait_until};
use vm_console::ConsoleConfig;
use vm_console::protocol::{ClientFrame, ServerFrame};

/// So many that a look at each takes longer than a turn.
const IDLE: usize = 300;
/// More than are carried out in one turn.
const REQUESTS: usize = 200;

#[test]
fn the_newest_of_many_clients_has_all_its_requests_carried_out() {
    let mut config = ConsoleConfig::named("vm");
    config.max_connections = 2 * IDLE;
    let rig = Rig::with(config);
    let idle: Vec<_> = (0..IDLE).map(|_| rig.control_stream()).collect();
    wait_until("all are connected", || {
        rig.counters().connections == IDLE as u64
    });
    let mut client = Control::connect(&rig);
    client.send(&vec![ClientFrame::Status; REQUESTS]);
    let mut answers = 0;
    while answers < REQUESTS {
        let frame = client.next().expect("the connection goes on");
        answers += usize::from(matches!(frame, ServerFrame::Status(_)));
    }
    drop(idle);
}
