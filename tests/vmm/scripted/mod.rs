//! A guest for hosts without KVM: a thread that talks to the port as Linux's 8250 driver does, and
//! otherwise prints and obeys what `guest/guest.asm` does.

mod driver;
mod interrupt;
mod prompt;

use std::sync::Arc;
use std::thread;

use crate::guest::{Ending, SerialIo};
use crate::power::{self, Halt, PowerSwitch};
use driver::Driver;
use interrupt::Stopped;
pub(crate) use interrupt::{Interrupt, InterruptPin};
use prompt::{Prompt, Request};

/// The guest's thread.
pub(crate) struct RunningScript {
    thread: thread::JoinHandle<()>,
    interrupt: Arc<Interrupt>,
    switch: Arc<PowerSwitch>,
}

impl RunningScript {
    /// Asks the guest for something, wherever it waits.
    pub(crate) fn ask(&self, request: power::Request) {
        self.switch.ask(request, || {
            self.interrupt.wake();
            !self.thread.is_finished()
        });
    }

    /// Stops the guest wherever it waits, and waits for its thread.
    pub(crate) fn stop(self) {
        self.ask(power::Request::End);
        drop(self.thread.join()); // a panic there has been reported by its hook
    }
}

/// Runs the guest on its own thread, which calls `enter` first; `ended` is told why it no longer
/// runs. With `stays`, it can be started again after it has switched the machine off.
pub(crate) fn start<P: SerialIo + 'static>(
    port: Arc<P>,
    interrupt: Arc<Interrupt>,
    switch: Arc<PowerSwitch>,
    stays: bool,
    enter: impl FnOnce() -> Result<(), String> + Send + 'static,
    ended: impl FnOnce(Ending) + Send + 'static,
) -> std::io::Result<RunningScript> {
    let running = (interrupt.clone(), switch.clone());
    let thread = thread::Builder::new()
        .name("guest".to_owned())
        .spawn(move || {
            let boots = || {
                Ok(match boot(Driver::new(port.clone(), interrupt.clone())) {
                    Ok(Request::Halt) => Halt::PoweredOff,
                    Ok(Request::Reset) => Halt::Reset,
                    Err(Stopped) => Halt::Asked,
                })
            };
            ended(match enter() {
                Ok(()) => power::live(boots, &*port, &switch, stays),
                Err(why) => Ending::Failed(why),
            });
        })?;
    let (interrupt, switch) = running;
    Ok(RunningScript {
        thread,
        interrupt,
        switch,
    })
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
