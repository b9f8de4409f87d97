//! A thread that uses a port as a vCPU does.

use std::sync::atomic::{AtomicBool, Ordering};

use vm_console::MarkKind;
use vm_uart::registers::{IER, LSR, RBR, THR};

use super::stage::{Port, state_of};
use super::strace::mark;
use crate::support::wait_until;

/// Lets a thread use the port as a vCPU does, and wait once for the port's lock.
pub fn uses(port: &Port) {
    let (has_used, is_held) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let guest = || {
            mark();
            drive(port);
            has_used.store(true, Ordering::SeqCst);
            // Without a system call.
            while !is_held.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
            port.lock().unwrap().read(LSR);
            mark();
        };
        let thread = std::thread::Builder::new().name("guest".into());
        thread.spawn_scoped(scope, guest).unwrap();
        wait_until("the guest has used its port", || {
            has_used.load(Ordering::SeqCst)
        });
        let lock = port.lock().unwrap();
        is_held.store(true, Ordering::SeqCst);
        wait_until("the guest waits for the lock", || {
            state_of("guest") == Some('S')
        });
        drop(lock);
    });
}

fn drive(port: &Port) {
    for step in 0..200 {
        let mut port = port.lock().unwrap();
        port.write(THR, b'a' + step % 26);
        port.read(LSR);
        port.read(RBR);
        port.write(IER, step % 4);
        if step == 100 {
            port.reset();
            port.line_mut().begin_boot(MarkKind::Reset);
        }
    }
}
