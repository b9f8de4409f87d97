//! A console for which no descriptor is left. Alone in its process, whose descriptors it limits.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use vm_console::{BootLog, Console, ConsoleConfig, ConsoleImage, ImageError, LogConfig};

/// Calls `act` while no descriptor can be opened.
fn without_descriptors<T>(act: impl FnOnce() -> T) -> T {
    let limit = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(0),
        ..limit
    };
    setrlimit(Resource::Nofile, none).unwrap();
    let result = act();
    setrlimit(Resource::Nofile, limit).unwrap();
    result
}

fn image() -> ConsoleImage {
    let (writer, _) = BootLog::in_memory(LogConfig::default()).unwrap();
    let (mut line, console) = Console::new(ConsoleConfig::named("vm"), writer).unwrap();
    line.transmit(b"before the move");
    console.export(&line)
}

#[test]
fn a_console_that_cannot_be_made_leaves_no_boot_and_no_image_in_its_log() {
    let config = || ConsoleConfig::named("vm");
    let (writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let made = without_descriptors(|| Console::new(config(), writer).map(drop));
    assert_eq!(
        made.unwrap_err().raw_os_error(),
        Some(rustix::io::Errno::MFILE.raw_os_error())
    );
    assert_eq!((log.epoch(), log.marks().len()), (0, 0));

    let image = image();
    let (writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let resumed = without_descriptors(|| Console::resume(config(), writer, &image).map(drop));
    assert!(matches!(resumed, Err(ImageError::Io(_))), "{resumed:?}");
    assert_eq!((log.epoch(), log.head()), (0, 0));
}
