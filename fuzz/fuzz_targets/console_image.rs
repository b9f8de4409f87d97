//! Any bytes as the image of a console: refused, or restored into a console that works and whose
//! own image is the same again.
//!
//! ```text
//! cargo +nightly fuzz run console_image CORPUS fuzz/seeds/console_image
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use vm_console::{
    BootLog, Console, ConsoleConfig, ConsoleImage, INPUT_LIMIT, Input, LogConfig, MarkKind,
};

fuzz_target!(|bytes: &[u8]| {
    restore(bytes);
    restore(&sealed(bytes));
});

/// The same bytes under right check sums, which no fuzzer finds: of the first part, and of the log.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let length = bytes.get(12..16).and_then(|field| field.try_into().ok());
    let end = length.map_or(0, u32::from_le_bytes) as usize + 16;
    for (from, to) in [
        (0, end),
        (end.saturating_add(8), bytes.len().saturating_sub(8)),
    ] {
        let Some(check) = bytes.get(from..to).map(fnv) else {
            continue;
        };
        if let Some(field) = bytes.get_mut(to..to + 8) {
            field.copy_from_slice(&check.to_le_bytes());
        }
    }
    bytes
}

fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn restore(bytes: &[u8]) {
    let Ok(image) = ConsoleImage::from_bytes(bytes) else {
        return;
    };
    assert!(image.input.len() <= INPUT_LIMIT);
    assert_eq!(
        ConsoleImage::from_bytes(&image.to_bytes()).expect("its own bytes"),
        image
    );
    let config = LogConfig {
        tail: 4096,
        head: 64,
        boots: 2,
    };
    let (writer, log) = BootLog::in_memory(config).expect("memory");
    let (mut line, console) = Console::resume(ConsoleConfig::named("vm"), writer, &image)
        .expect("an image that was read can be restored");
    let before = log.head();
    line.transmit(b"after");
    line.begin_boot(MarkKind::Reset);
    line.type_break();
    assert_eq!(log.head(), before + 5);
    let mut taken = Vec::new();
    while let Some(input) = line.receive() {
        taken.push(input);
    }
    assert!(taken.starts_with(&image.input));
    assert!(taken.len() == INPUT_LIMIT || taken.last() == Some(&Input::Break));
    let _ = (
        console.counters().to_string(),
        console.counters().input_waiting(),
    );
}
