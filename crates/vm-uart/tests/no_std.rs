//! Without default features the core needs neither `std` nor an allocator, and no panic is compiled
//! into it.
//!
//! The toolchain has no bare target, so the proof is a static library with a panic handler of its
//! own (`no_std/bare.rs`). Each claim is also broken on purpose, and must then be noticed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

/// The core as a library without features, built for link-time optimisation and apart from the
/// tests' own target directory.
static CORE: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std");
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "vm-uart",
            "--lib",
            "--no-default-features",
        ])
        .arg("--manifest-path")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&directory)
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    directory.join("release")
});

/// Compiles the program without `std` against the core; fails with what the compiler said.
fn compile(output: &str, extra: &[&str]) -> Result<PathBuf, String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let path = CORE.join(output);
    let Output { status, stderr, .. } = Command::new(rustc)
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "staticlib",
            "-C",
            "panic=abort",
            "-C",
            "opt-level=3",
            "-C",
            "lto=fat",
        ])
        .args(extra)
        .arg("--extern")
        .arg(format!(
            "vm_uart={}",
            CORE.join("libvm_uart.rlib").display()
        ))
        .arg("-L")
        .arg(format!("dependency={}", CORE.join("deps").display()))
        .arg("-o")
        .arg(&path)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/no_std/bare.rs"))
        .output()
        .expect("rustc runs");
    if status.success() {
        Ok(path)
    } else {
        Err(String::from_utf8_lossy(&stderr).into_owned())
    }
}

#[test]
fn the_core_links_without_std() {
    compile("bare.a", &[]).unwrap();
    let clash = compile("with_std.a", &["--cfg", "std_on_purpose"]).unwrap_err();
    assert!(clash.contains("panic_impl"), "{clash}");
}

#[test]
fn the_core_links_without_an_allocator() {
    compile("bare_too.a", &[]).unwrap();
    let missing = compile("with_alloc.a", &["--cfg", "alloc_on_purpose"]).unwrap_err();
    assert!(missing.contains("no global memory allocator"), "{missing}");
}

/// The whole optimised program as assembly text: if a panic could be reached from any entry, its
/// function would be named there.
#[test]
fn no_panic_is_compiled_into_any_entry() {
    let assembly = |name, extra: &[&str]| {
        let path = compile(name, &[&["--emit", "asm"], extra].concat()).unwrap();
        std::fs::read_to_string(path).unwrap()
    };
    let panics = |text: &str| {
        text.lines()
            .any(|line| line.contains("panic") || line.contains("_fail"))
    };
    let core = assembly("bare.s", &[]);
    assert!(core.contains("vm_uart"), "the core is in it");
    assert!(!panics(&core), "a panic can be reached");
    assert!(panics(&assembly(
        "with_panic.s",
        &["--cfg", "panic_on_purpose"]
    )));
}
