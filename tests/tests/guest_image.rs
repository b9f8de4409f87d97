//! The guest's source and its assembled bytes, both committed, are the same program.

use std::path::Path;
use std::process::Command;

use vm_serial_tests::requirement;

#[test]
fn the_assembled_guest_agrees_with_its_source() {
    if !requirement::has_program("nasm") {
        return requirement::skip("the_assembled_guest_agrees_with_its_source", "nasm");
    }
    let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest");
    let directory = tempfile::tempdir().unwrap();
    let assembled = directory.path().join("guest.bin");
    let status = Command::new("nasm")
        .args(["-f", "bin", "-Wall", "-Werror", "-o"])
        .arg(&assembled)
        .arg(guest.join("guest.asm"))
        .status()
        .unwrap();
    assert!(status.success());
    assert!(
        std::fs::read(assembled).unwrap() == std::fs::read(guest.join("guest.bin")).unwrap(),
        "guest.bin is not what guest.asm gives: nasm -f bin -o guest.bin guest.asm"
    );
}
