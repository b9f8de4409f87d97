//! A gate that stops the service's thread. All that happens meanwhile comes to it at once.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender, bounded};
use vm_console::ConsoleConfig;
use vm_console::Start;
use vm_console::session::{Authorizer, Identity, Right};
use vm_console::transport::stdio::FdClient;

use super::control::{Control, log_read};
use super::{PATIENCE, Rig};

/// Permits everything. While it is shut, the thread that asks has to wait for the answer.
#[derive(Clone, Default)]
pub struct Gate(Arc<Mutex<Option<Visit>>>);

struct Visit {
    entered: Sender<()>,
    leave: Receiver<()>,
}

impl Authorizer for Gate {
    fn permits(&self, _console: &str, _who: &Identity, _right: Right) -> bool {
        let visit = self.0.lock().unwrap().take();
        if let Some(visit) = visit {
            let _ = visit.entered.send(());
            // With a limit, since the test may fail and never open it.
            let _ = visit.leave.recv_timeout(PATIENCE);
        }
        true
    }
}

impl Gate {
    pub fn config(&self) -> ConsoleConfig {
        let mut config = ConsoleConfig::named("vm");
        config.authorizer = Arc::new(self.clone());
        config
    }

    /// Runs `act` while the service of `rig`, whose gate this is, is stopped in a client's request.
    pub fn while_shut<T>(&self, rig: &Rig, act: impl FnOnce() -> T) -> T {
        let mut control = Control::connect(rig);
        let ask = || control.send(&[log_read(0, Start::Now, 0)]);
        self.shut(ask, act)
    }

    /// As [`while_shut`](Self::while_shut), but in a command of the owner. Further commands wait in
    /// the same queue.
    pub fn while_shut_at_a_command<T>(&self, rig: &Rig, act: impl FnOnce() -> T) -> T {
        let (_client, socket) = UnixStream::pair().unwrap();
        let watcher = FdClient::from_socket(socket.into()).read_only();
        let ask = || drop(rig.console.attach(watcher));
        self.shut(ask, act)
    }

    fn shut<T>(&self, ask: impl FnOnce(), act: impl FnOnce() -> T) -> T {
        let (entered, has_entered) = bounded(1);
        let (open, leave) = bounded(1);
        *self.0.lock().unwrap() = Some(Visit { entered, leave });
        ask();
        has_entered
            .recv_timeout(PATIENCE)
            .expect("the service asks whether it may");
        let done = act();
        // It fails if the service's thread has waited too long and gone on.
        let _ = open.send(());
        done
    }
}
