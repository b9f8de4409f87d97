//! A guest for hosts without KVM: a thread that talks to the port as Linux's 8250 driver does, and
//! otherwise prints and obeys what `guest/guest.asm` does.

mod driver;
mod interrupt;
mod prompt;

use std::sync::Arc;
use std::thread;

use crate::guest::{Ending, SerialIo};
use driver::Driver;
use interrupt::Stopped;
pub(crate) use interrupt::{Interrupt, InterruptPin};
use prompt::{Prompt, Request};

/// The guest's thread.
pub(crate) struct RunningScript {
    thread: thread::JoinHandle<()>,
    interrupt: Arc<Interrupt>,
}

impl RunningScript {
    /// Stops the guest wherever it waits, and waits for its thread.
    pub(crate) fn stop(self) {
        self.interrupt.stop();
        drop(self.thread.join()); // a panic there has been reported by its hook
    }
}

/// Runs the guest on its own thread, which calls `enter` first; `ended` is told why it no longer runs.
pub(crate) fn start<P: SerialIo + 'static>(
    port: Arc<P>,
    interrupt: Arc<Interrupt>,
    enter: impl FnOnce() -> Result<(), String> + Send + 'static,
    ended: impl FnOnce(Ending) + Send + 'static,
) -> std::io::Result<RunningScript> {
    let irq = interrupt.clone();
    let thread = thread::Builder::new()
        .name("guest".to_owned())
        .spawn(move || {
            ended(match enter() {
                Ok(()) => run(&port, &irq),
                Err(why) => Ending::Failed(why),
            });
        })?;
    Ok(RunningScript { thread, interrupt })
}

fn run<P: SerialIo>(port: &Arc<P>, interrupt: &Arc<Interrupt>) -> Ending {
    loop {
        match boot(Driver::new(port.clone(), interrupt.clone())) {
            Ok(Request::Halt) => return Ending::PoweredOff,
            Ok(Request::Reset) => port.reset(),
            Err(Stopped) => return Ending::Stopped,
        }
    }
}

/// A look at the port: is it as a 16550A is?
type Probe<P> = fn(&Driver<P>) -> bool;

/// From power-on to the request that ends it.
fn boot<P: SerialIo>(mut driver: Driver<P>) -> Result<Request, Stopped> {
    driver.set_format();
    driver.print("\r\nSerial guest on ttyS0\r\n[boot] probing the port at 0x3f8\r\n")?;
    let probes: [(&str, Probe<P>); 5] = [
        ("scratch register", Driver::scratch_is_there),
        ("interrupt enable register", Driver::ier_is_there),
        ("loopback", Driver::loopback_works),
        ("FIFO", Driver::fifo_is_there),
        ("FIFO of 16", Driver::fifo_is_16),
    ];
    for (name, probe) in probes {
        driver.print("[boot]   ")?;
        driver.print(name)?;
        let result = if probe(&driver) {
            "ok"
        } else {
            "NOT AS A 16550A"
        };
        driver.print(&format!(": {result}\r\n"))?;
    }
    driver.set_format();
    driver.print("[boot] 115200 8n1, FIFO on, trigger level 8\r\n")?;
    driver.print("[boot] IRQ 4 by a condition variable\r\n")?;
    driver.print("[boot] ready, `help` lists the commands\r\n")?;
    driver.open();
    Prompt::new(driver).serve()
}
