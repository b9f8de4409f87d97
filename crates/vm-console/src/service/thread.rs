//! The service on a thread of its own.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use event_manager::{EventManager, MutEventSubscriber, SubscriberOps};

use super::Service;
use super::handle::ServiceHandle;

impl Service {
    /// Starts a service on a thread of its own, which ends after [`ServiceHandle::shut_down`].
    ///
    /// If an owner's callback panics on that thread, the service ends, and joining the thread
    /// returns the panic. Guests go on.
    ///
    /// # Errors
    /// Descriptors or threads have run out.
    pub fn spawn() -> io::Result<(ServiceHandle, JoinHandle<()>)> {
        Self::spawn_with(|| Ok(()))
    }

    /// As [`spawn`](Self::spawn), but the new thread first runs `before`: to give itself a seccomp
    /// filter (see [`sandbox`](crate::sandbox)), a priority, or another name than `vm-console`.
    /// This returns once that is done.
    ///
    /// The threads that the service starts later inherit the filter and the priority.
    ///
    /// ```
    /// use vm_console::service::Service;
    ///
    /// let (service, thread) = Service::spawn_with(|| {
    ///     rustix::thread::set_name(c"serial-console")?;
    ///     // And here: `seccompiler::apply_filter(&filter)`.
    ///     Ok(())
    /// })?;
    /// service.shut_down();
    /// thread.join().unwrap();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error of `before`, or an error of its own if `before` panics: nothing is served then,
    /// and the thread is gone. Otherwise descriptors or threads have run out.
    pub fn spawn_with(
        before: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<(ServiceHandle, JoinHandle<()>)> {
        let (service, handle) = Self::new()?;
        let events = || EventManager::new().map_err(io::Error::other);
        let mut events: EventManager<Box<dyn MutEventSubscriber + Send>> = events()?;
        events.add_subscriber(Box::new(service));
        let progress = Arc::clone(&handle.progress);
        let (told, outcome) = crossbeam_channel::bounded(1);
        let thread = std::thread::Builder::new()
            .name("vm-console".into())
            .spawn(move || {
                let outcome = before();
                let serves = outcome.is_ok();
                // The caller waits for it.
                let _ = told.send(outcome);
                while serves && !progress.is_finished() {
                    if let Err(error) = events.run() {
                        ::log::error!("the console service stops: {error}");
                        return;
                    }
                }
            })?;
        let panicked = |_| Err(io::Error::other("the code before the service panicked"));
        match outcome.recv().unwrap_or_else(panicked) {
            Ok(()) => Ok((handle, thread)),
            Err(error) => {
                // It ends at once. A panic there was reported by its hook.
                drop(thread.join());
                Err(error)
            }
        }
    }
}
