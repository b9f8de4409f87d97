//! A client that sends requests without end.

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use vm_console::protocol::ClientFrame;

use super::control::{Control, encode};

/// Sends the same frames again and again, as fast as the service reads, until it is dropped.
pub struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    pub fn on(control: &Control, frames: &[ClientFrame]) -> Self {
        let stream = control.stream.try_clone().unwrap();
        // A short limit, so that the thread soon sees that it has to stop.
        let moment = Some(Duration::from_millis(100));
        stream.set_write_timeout(moment).unwrap();
        let bytes = encode(frames).repeat(1000);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || send(stream, &bytes, &stopped));
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Whether the service has closed the connection.
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

fn send(mut stream: UnixStream, bytes: &[u8], stop: &AtomicBool) {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        match stream.write(&bytes[sent..]) {
            // After a partial write the rest comes next.
            Ok(n) => sent = (sent + n) % bytes.len(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
