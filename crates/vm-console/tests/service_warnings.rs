//! What the service warns of in the owner's log.

mod support;

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use support::{Rig, wait_until};

/// The owner's log.
struct Told(Mutex<Vec<String>>);

static TOLD: Told = Told(Mutex::new(Vec::new()));

impl Log for Told {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        texts.push(record.args().to_string());
    }

    fn flush(&self) {}
}

fn has_told(fits: impl Fn(&str) -> bool) -> bool {
    let texts = TOLD.0.lock().unwrap_or_else(PoisonError::into_inner);
    texts.iter().any(|text| fits(text))
}

/// Sends what is no frame.
fn send_nonsense(rig: &Rig) {
    let bad = rig.counters().bad_frames;
    rig.control_stream().write_all(&[0; 4]).unwrap();
    wait_until("it is noticed", || rig.counters().bad_frames > bad);
}

#[test]
fn bad_frames_are_told_with_their_sender_and_then_only_how_many_more_there_were() {
    log::set_logger(&TOLD).expect("no other test of this program sets one");
    log::set_max_level(LevelFilter::Warn);
    let rig = Rig::new();
    send_nonsense(&rig);
    wait_until("the owner is told", || {
        has_told(|text| text.starts_with("console vm: ") && text.contains("uid"))
    });
    wait_until("the owner is told how many there were", || {
        send_nonsense(&rig);
        std::thread::sleep(Duration::from_millis(10));
        has_told(|text| text.ends_with(" other warnings were held back)"))
    });
}
