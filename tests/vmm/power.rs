//! The machine's power: who asks for a change, and how a guest's thread goes through it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::Sender;
use vm_console::PowerControl;
use vm_console::protocol::PowerAction;

use crate::event::Event;
use crate::guest::{Ending, SerialIo};

/// What a running guest is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// To stand still until it is powered on again.
    Off,
    /// To begin anew.
    Reset,
    /// To end its thread.
    End,
}

#[derive(Debug)]
struct State {
    on: bool,
    request: Option<Request>,
}

/// The switch between the main thread, which asks, and the guest's thread, which stands still first.
#[derive(Debug)]
pub(crate) struct PowerSwitch {
    state: Mutex<State>,
    changed: Condvar,
    /// Whether there is a request, for a look that costs nothing.
    pending: AtomicBool,
}

impl PowerSwitch {
    /// Of a machine that is on or off.
    pub(crate) fn new(on: bool) -> Self {
        Self {
            state: Mutex::new(State { on, request: None }),
            changed: Condvar::new(),
            pending: AtomicBool::new(false),
        }
    }

    /// Powers the machine on. No change if it is on.
    pub(crate) fn on(&self) {
        self.state().on = true;
        self.changed.notify_all();
    }

    /// Asks the guest's thread, and waits until it has taken the request. `interrupt` gets it out of
    /// whatever it does, and says whether it still runs. A machine that is off has only its end to
    /// be asked for.
    pub(crate) fn ask(&self, request: Request, interrupt: impl Fn() -> bool) {
        {
            let mut state = self.state();
            if !state.on && request != Request::End {
                return;
            }
            state.request = Some(request);
            self.pending.store(true, Ordering::SeqCst);
            self.changed.notify_all();
        }
        // An interrupt that comes a moment too early is lost, hence again and again.
        while self.has_request() && interrupt() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Whether there is a request that was not taken yet.
    pub(crate) fn has_request(&self) -> bool {
        self.pending.load(Ordering::SeqCst)
    }

    fn take(&self) -> Option<Request> {
        let mut state = self.state();
        self.pending.store(false, Ordering::SeqCst);
        let request = state.request.take();
        if request == Some(Request::Off) {
            state.on = false;
        }
        request
    }

    /// The guest has switched the machine off. What else it was asked for meanwhile, but its end,
    /// is settled with that.
    fn went_off(&self) {
        let mut state = self.state();
        state.on = false;
        if state.request != Some(Request::End) {
            state.request = None;
            self.pending.store(false, Ordering::SeqCst);
        }
    }

    /// Waits until the machine is on. False if its end was asked for meanwhile.
    fn wait_until_on(&self) -> bool {
        let state = self.state();
        let waits = |state: &mut State| !state.on && state.request.is_none();
        let state = self
            .changed
            .wait_while(state, waits)
            .unwrap_or_else(PoisonError::into_inner);
        state.on
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a guest stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// It has reset the machine.
    Reset,
    /// It has switched the machine off.
    PoweredOff,
    /// There is a request at the switch.
    Asked,
}

/// Lets a guest live from power-on to power-off, again and again: on its own thread. `boot` runs it
/// until it stands still. With `stays`, a guest that switches the machine off can be started again.
pub(crate) fn live(
    mut boot: impl FnMut() -> Result<Halt, String>,
    port: &dyn SerialIo,
    switch: &PowerSwitch,
    stays: bool,
) -> Ending {
    let ending = loop {
        if !switch.wait_until_on() {
            break Ending::Stopped;
        }
        port.power_on();
        match boot() {
            Err(why) => break Ending::Failed(why),
            Ok(Halt::Reset) => port.reset(),
            Ok(Halt::PoweredOff) if !stays => break Ending::PoweredOff,
            Ok(Halt::PoweredOff) => {
                port.power_off();
                switch.went_off();
            }
            Ok(Halt::Asked) => match switch.take() {
                Some(Request::End) => break Ending::Stopped,
                Some(Request::Off) => port.power_off(),
                Some(Request::Reset) => port.reset(),
                None => {}
            },
        }
    };
    port.settle();
    ending
}

/// The buttons at the control socket. The main thread does what they ask for: the service, whose
/// thread this is called on, must not wait for the guest.
pub(crate) struct Buttons(pub(crate) Sender<Event>);

impl Buttons {
    fn press(&self, action: PowerAction) {
        // If nobody listens any more, the machine is ending anyway.
        let _ = self.0.send(Event::Power(action));
    }
}

impl PowerControl for Buttons {
    fn stop(&self) {
        self.press(PowerAction::Stop);
    }

    fn start(&self) {
        self.press(PowerAction::Start);
    }

    fn restart(&self) {
        self.press(PowerAction::Restart);
    }
}
