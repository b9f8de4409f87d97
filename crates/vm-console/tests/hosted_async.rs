//! The service in an asynchronous VMM: the example `async_vmm`, run as a program.

mod support;

use std::process::Command;

use support::{PATIENCE, skip};

#[test]
fn the_example_in_tokio_serves_its_client_and_ends() {
    let tests = std::env::current_exe().unwrap();
    let built = tests.parent().and_then(|deps| deps.parent()).unwrap();
    let program = built.join("examples/async_vmm");
    if !program.is_file() {
        return skip(&format!("{} is not built", program.display()));
    }
    let output = Command::new("timeout")
        .arg(PATIENCE.as_secs().to_string())
        .arg(program)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    assert_eq!(output.stdout, b"login: \n");
}
