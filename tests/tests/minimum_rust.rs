//! The compiler that the crates say suffices also suffices for all that they depend on.
//!
//! What they themselves use of the standard library is checked by clippy (`incompatible_msrv`).

use std::process::Command;

use serde_json::Value;

/// `1.88` and `1.88.0` are the same.
fn version(text: &str) -> Vec<u32> {
    let mut numbers: Vec<u32> = text.split('.').map(|part| part.parse().unwrap()).collect();
    numbers.resize(3, 0);
    numbers
}

#[test]
fn no_dependency_needs_a_newer_compiler_than_the_crates() {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--all-features",
            "--locked",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let needs = |package: &Value| Some(version(package["rust_version"].as_str()?));
    let declared = |name: &str| {
        let mut all = packages.iter();
        let package = all.find(|package| package["name"] == name).unwrap();
        needs(package).unwrap()
    };
    let lowest = declared("vm-uart").min(declared("vm-console"));
    let is_ours = |package: &Value| package["source"].is_null();
    let too_new: Vec<_> = packages
        .iter()
        .filter(|package| !is_ours(package) && needs(package).is_some_and(|needs| needs > lowest))
        .map(|package| format!("{} {}", package["name"], package["version"]))
        .collect();
    assert!(
        too_new.is_empty(),
        "need more than Rust {lowest:?}: {too_new:?}"
    );
}
