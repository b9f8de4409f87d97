//! Each way a session can end, over any transport.

use std::time::Duration;

use vm_console::ConsoleConfig;
use vm_console::session::{EndReason, Identity, SessionPolicy, Transport};
use vm_uart::registers::RBR;

use super::client::Client;
use super::stage::{Served, Stage};
use crate::support::{pattern, wait_until};

/// One reason of each kind.
fn reasons() -> [EndReason; EndReason::KINDS] {
    let limit = Duration::from_millis(100);
    [
        EndReason::ClientClosed,
        EndReason::TakenOver {
            by: Identity::new(Transport::Stdio, ""),
        },
        EndReason::Idle { limit },
        EndReason::MaximumReached { limit },
        EndReason::PoweredOff,
        EndReason::TooSlow,
        EndReason::Revoked,
        EndReason::ShuttingDown,
        EndReason::Error("as told".into()),
    ]
}

/// Whether the client takes its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Reads,
    HasStopped,
}

fn config(name: String, reason: &EndReason) -> ConsoleConfig {
    let mut session = SessionPolicy {
        idle_limit: Duration::ZERO,
        absolute_limit: Duration::ZERO,
        ..SessionPolicy::default()
    };
    let mut max_behind = None;
    match reason {
        EndReason::Idle { limit } => session.idle_limit = *limit,
        EndReason::MaximumReached { limit } => session.absolute_limit = *limit,
        EndReason::TooSlow => max_behind = Some(64 << 10),
        _ => {}
    }
    ConsoleConfig {
        name,
        session,
        max_behind,
        notices: true,
        ..ConsoleConfig::named("")
    }
}

/// Lets sessions over `transport` end in each way, each on a console of its own.
pub fn all(stage: &Stage, transport: Transport) {
    for reading in [Reading::Reads, Reading::HasStopped] {
        for (index, reason) in reasons().iter().enumerate() {
            assert_eq!(reason.index(), index);
            let served = stage.add(config(format!("{reading:?}-{index}"), reason));
            served.open(stage, transport);
            let mut client = served.attach(stage, transport);
            match (reading, reason) {
                // Its time may be over before it has said anything.
                (Reading::Reads, EndReason::Idle { .. } | EndReason::MaximumReached { .. }) => {}
                (Reading::Reads, _) => converse(&served, &mut client),
                // More than any socket, pty or pipe takes.
                (Reading::HasStopped, _) => served.print(&pattern(0, 1 << 20)),
            }
            let (client, taker) = end(stage, &served, transport, client, reason);
            stage.ended(&served, |why| why.index() == index);
            if transport == Transport::Control {
                // Its connection outlives the session.
                served.console.remove();
            }
            if let Some(mut client) = client {
                client.is_let_go();
            }
            drop(taker);
        }
    }
}

fn converse(served: &Served, client: &mut Client) {
    served.print(b"login: ");
    client.reads(b"login: ");
    client.types(b"root\r");
    wait_until("the input arrives", || {
        served.port.lock().unwrap().read(RBR) == b'\r'
    });
}

/// Brings the end about. Returns the client, if it is still there, and the one that has taken the
/// console from it.
fn end(
    stage: &Stage,
    served: &Served,
    transport: Transport,
    client: Client,
    reason: &EndReason,
) -> (Option<Client>, Option<Client>) {
    let mut taker = None;
    match reason {
        EndReason::ClientClosed => return (None, None),
        EndReason::TakenOver { .. } => {
            taker = Some(served.take_over(stage, transport));
        }
        EndReason::Idle { .. } | EndReason::MaximumReached { .. } => {}
        EndReason::PoweredOff => served.console.power_off(),
        EndReason::TooSlow => served.print(&pattern(0, 1 << 20)),
        EndReason::Revoked | EndReason::Error(_) => served.console.disconnect(reason.clone()),
        EndReason::ShuttingDown => served.console.remove(),
    }
    (Some(client), taker)
}
