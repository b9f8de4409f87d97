//! A service in the owner's event loop, which the owner can end at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};
use vm_console::service::{Service, ServiceHandle};

use super::join;

pub struct OwnLoop {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl OwnLoop {
    /// Starts a loop that runs until [`end`](Self::end), even after the service has finished.
    pub fn begin() -> (ServiceHandle, Self) {
        let (service, handle) = Service::new().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut events: EventManager<Box<dyn MutEventSubscriber + Send>> =
                EventManager::new().unwrap();
            events.add_subscriber(Box::new(service));
            while !stopped.load(Ordering::Relaxed) {
                events.run_with_timeout(10).unwrap();
            }
        });
        (handle, Self { stop, thread })
    }

    /// Drops the loop, and the service with it.
    pub fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = join("the event loop ends", self.thread);
        ended.expect("in time").expect("in order");
    }
}
