//! Real guests, replayed register by register into the port with the console at its other end.
//!
//! Every byte that a guest sent reaches the boot log in order, and every answer that does not
//! depend on time is the one that the guest's driver saw.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use vm_console::{BootLog, Console, ConsoleConfig, LogConfig};
use vm_serial_tests::requirement;
use vm_uart::{Config, ReceiveAhead, SerialPort};

/// One line of a replay, as the traces' README has them.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Write { offset: u8, value: u8 },
    Read { offset: u8, value: u8 },
    Break,
    Byte(u8),
}

fn unpacked(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(path).unwrap())
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

fn hex(text: &str) -> u8 {
    u8::from_str_radix(text, 16).unwrap()
}

fn operations(replay: &str) -> Vec<Operation> {
    let mut operations = Vec::new();
    for line in replay.lines() {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap();
        match next() {
            "w" => operations.push(Operation::Write {
                offset: hex(next()),
                value: hex(next()),
            }),
            "r" => operations.push(Operation::Read {
                offset: hex(next()),
                value: hex(next()),
            }),
            "d" => match next() {
                "B" => operations.push(Operation::Break),
                bytes => operations.extend(
                    bytes
                        .as_bytes()
                        .chunks(2)
                        .map(|digits| Operation::Byte(hex(std::str::from_utf8(digits).unwrap()))),
                ),
            },
            "#" | "i" => {}
            other => panic!("{other:?} is not in a guest's replay"),
        }
    }
    operations
}

/// Replays one guest; says what differs.
fn replay(directory: &Path, name: &str) -> String {
    let text = String::from_utf8(unpacked(&directory.join(format!("{name}.replay.gz")))).unwrap();
    let sent = unpacked(&directory.join(format!("{name}.out.gz")));
    let (writer, log) = BootLog::in_memory(LogConfig::default()).unwrap();
    let (line, _console) = Console::new(ConsoleConfig::named(name), writer).unwrap();
    // The recorded emulator lets input in up to the FIFO's depth; what it let in is what the replay
    // feeds.
    let config = Config {
        receive_ahead: ReceiveAhead::Full,
        ..Config::default()
    };
    let mut port = SerialPort::with_config(config, (), line);
    let mut differences = String::new();
    for (operation, number) in operations(&text).into_iter().zip(1..) {
        match operation {
            Operation::Write { offset, value } => port.write(offset, value),
            Operation::Byte(byte) => {
                assert_eq!(
                    port.line_mut().type_bytes(&[byte]),
                    1,
                    "{name}: operation {number}"
                );
                port.pump();
            }
            Operation::Break => {
                assert!(port.line_mut().type_break(), "{name}: operation {number}");
                port.pump();
            }
            Operation::Read { offset, value } => {
                let answer = port.read(offset);
                if answer != value && !depends_on_time(offset, answer, value) {
                    writeln!(
                        differences,
                        "{name}: operation {number}: register {offset} reads {answer:02x}, the guest saw {value:02x}"
                    )
                    .unwrap();
                }
            }
        }
    }
    if log.head() != sent.len() as u64 {
        writeln!(
            differences,
            "{name}: {} bytes in the log, {} sent",
            log.head(),
            sent.len()
        )
        .unwrap();
    }
    if log.read_at(0, sent.len()).bytes != sent {
        writeln!(differences, "{name}: the log is not what the guest sent").unwrap();
    }
    differences
}

/// Data available and character timeout are told apart by how long the last character has been
/// there.
fn depends_on_time(offset: u8, ours: u8, theirs: u8) -> bool {
    offset == 2 && matches!((ours, theirs), (0xc4, 0xcc) | (0xcc, 0xc4))
}

#[test]
fn real_guests_find_the_answers_they_saw_and_their_output_in_the_log() {
    let test = "real_guests_find_the_answers_they_saw_and_their_output_in_the_log";
    let Some(directory) = requirement::guest_traces() else {
        return requirement::skip(test, "../shared/traces/guests");
    };
    let mut names: Vec<String> = std::fs::read_dir(&directory)
        .unwrap()
        .filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".replay.gz").map(str::to_owned)
        })
        .collect();
    names.sort();
    assert!(
        names.iter().any(|name| name == "linux-6.1-q35"),
        "{names:?}"
    );
    let differences: String = names.iter().map(|name| replay(&directory, name)).collect();
    assert!(differences.is_empty(), "{differences}");
}
