//! The replay example keeps its exit code when nobody reads what it prints.

use std::process::{Command, Stdio};

use vm_serial_tests::process::{Process, example};

#[test]
fn a_closed_reader_does_not_change_the_exit_code() {
    let Some(program) = example("a_closed_reader_does_not_change_the_exit_code", "replay") else {
        return;
    };
    for (arguments, code) in [(&[][..], 2), (&["missing"], 2), (&["-"], 0)] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer);
        let mut replay = Process::start(&mut command);
        assert_eq!(replay.wait().code(), Some(code), "{arguments:?}");
    }
}
