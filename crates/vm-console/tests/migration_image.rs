//! The bytes of a console's image: old ones restore, damaged and hostile ones are refused.

mod check_sum;
mod damage;
mod numbered;

use check_sum::fnv;
use damage::refuses_damage;
use proptest::prelude::*;
use vm_console::{
    BootLog, Console, ConsoleConfig, ConsoleImage, CounterValues, INPUT_LIMIT, ImageError, Input,
    LogConfig,
};

/// Where the fields of the first part are.
const VERSION: usize = 8;
const LENGTH: usize = 12;
const POWER: usize = 16;
const INPUT_COUNT: usize = 17;
const INPUT: usize = 19;

fn console() -> (vm_console::ConsoleLine, Console) {
    let sizes = LogConfig {
        tail: 64,
        head: 16,
        boots: 2,
    };
    let (writer, _) = BootLog::in_memory(sizes).unwrap();
    Console::new(ConsoleConfig::named("vm"), writer).unwrap()
}

fn sample() -> Vec<u8> {
    let (mut line, console) = console();
    line.transmit(&numbered::bytes_at(0..100));
    line.type_bytes(b"ls");
    line.type_break();
    line.type_bytes(b"\xff");
    console.export(&line).to_bytes()
}

fn resume(image: &ConsoleImage) -> Result<(vm_console::ConsoleLine, Console), ImageError> {
    let (writer, _) = BootLog::in_memory(LogConfig::default()).unwrap();
    Console::resume(ConsoleConfig::named("vm"), writer, image)
}

#[test]
fn an_image_that_is_restored_twice_into_one_file_gives_advice() {
    let image = ConsoleImage::from_bytes(&sample()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ttyS0.log");
    let restore = || {
        let (writer, _) = BootLog::open_or_create_file(&path, LogConfig::default()).unwrap();
        Console::resume(ConsoleConfig::named("vm"), writer, &image)
    };
    restore().unwrap();
    let error = restore().unwrap_err().to_string();
    let advice = "remove its file or choose another, or go on with it without the image";
    assert!(error.contains(advice), "{error}");
    assert!(
        !error.contains("image's log"),
        "it is not the image's fault: {error}"
    );
}

/// Puts a right check sum behind the first part.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = u32::from_le_bytes(bytes[LENGTH..POWER].try_into().unwrap());
    let end = POWER + length as usize;
    if end + 8 <= bytes.len() {
        let check = fnv(&bytes[..end]);
        bytes[end..end + 8].copy_from_slice(&check.to_le_bytes());
    }
    bytes
}

#[test]
fn an_image_says_what_the_console_had() {
    let image = ConsoleImage::from_bytes(&sample()).unwrap();
    let typed = [
        Input::Byte(b'l'),
        Input::Byte(b's'),
        Input::Break,
        Input::Byte(255),
    ];
    assert_eq!((image.input.as_slice(), image.powered), (&typed[..], true));
    assert_eq!((image.counters.input, image.counters.breaks), (3, 1));
    assert_eq!(image.log.head(), 100);
}

/// Written by the last version without input. 11 characters were accepted, of which 3 were taken and
/// 2 discarded. The rest did not move.
#[test]
fn an_image_of_version_1_still_restores() {
    let bytes = include_bytes!("images/console_version_1.image");
    let image = ConsoleImage::from_bytes(bytes).unwrap();
    let mut expected = CounterValues::default();
    expected.connections = 1;
    expected.attaches = 936;
    expected.input = 10;
    expected.breaks = 1;
    expected.input_taken = 3;
    expected.input_discarded = 2;
    expected.wakeups = 7;
    expected.audit_lost = 5;
    expected.bad_frames = 9;
    expected.ended = std::array::from_fn(|index| 100 + index as u64);
    expected.refused = std::array::from_fn(|index| 200 + index as u64);
    assert_eq!(image.counters, expected);
    assert_eq!((image.powered, image.input.len()), (true, 0));
    let (line, console) = resume(&image).unwrap();
    assert_eq!(console.log().read_at(0, 100).bytes, b"SeaBIOS\r\nlogin: ");
    assert_eq!((console.log().epoch(), line.input_waiting()), (1, 0));
    expected.input_discarded = 8;
    assert_eq!(console.counters(), expected);
}

#[test]
fn an_image_damaged_at_any_byte_or_cut_at_any_length_is_refused() {
    refuses_damage(
        &sample(),
        ConsoleImage::from_bytes,
        |error| {
            matches!(
                error,
                ImageError::NotAnImage | ImageError::Length | ImageError::Log(_)
            )
        },
        |error| matches!(error, ImageError::Log(_)),
    );
}

#[test]
fn sizes_and_values_beyond_their_range_are_refused_by_the_rule_they_break() {
    let with = |at: usize, value: &[u8]| {
        let mut bytes = sample();
        bytes[at..at + value.len()].copy_from_slice(value);
        ConsoleImage::from_bytes(&sealed(bytes)).unwrap_err()
    };
    let invalid = |error: ImageError| match error {
        ImageError::Invalid { rule, value } => (rule, value),
        other => panic!("{other}"),
    };
    assert!(matches!(
        with(VERSION, &7_u32.to_le_bytes()),
        ImageError::Version { found: 7, known: 2 }
    ));
    assert_eq!(invalid(with(POWER, &[2])), ("the power is 0 or 1", 2));
    let (rule, value) = invalid(with(INPUT, &257_u16.to_le_bytes()));
    assert!(rule.contains("BREAK") && value == 257, "{rule}, {value}");
    let (rule, value) = invalid(with(INPUT_COUNT, &4097_u16.to_le_bytes()));
    assert!(rule.contains("4096") && value == 4097, "{rule}, {value}");
    // Within the limit, and more than there is.
    let error = with(INPUT_COUNT, &4096_u16.to_le_bytes());
    assert!(matches!(error, ImageError::Length), "{error}");
    let error = with(LENGTH, &u32::MAX.to_le_bytes());
    assert!(matches!(error, ImageError::Length), "{error}");
    // A value that the owner has put together is not trusted either.
    let mut image = ConsoleImage::from_bytes(&sample()).unwrap();
    image.input = vec![Input::Break; INPUT_LIMIT + 1];
    assert_eq!(invalid(resume(&image).unwrap_err()).1, 4097);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_under_a_right_check_sum_are_refused_or_restored(
        changes in prop::collection::vec((VERSION..600_usize, any::<u8>()), 1..6),
    ) {
        let mut bytes = sample();
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        if let Ok(image) = ConsoleImage::from_bytes(&sealed(bytes)) {
            let (mut line, console) = resume(&image).unwrap();
            prop_assert!(line.input_waiting() <= INPUT_LIMIT);
            prop_assert_eq!(line.input_waiting(), image.input.len());
            line.type_bytes(b"goes on");
            line.transmit(b"goes on");
            while line.receive().is_some() {}
            let _ = (console.counters().input_waiting(), console.export(&line).to_bytes());
        }
    }
}
