//! Without default features the core needs neither `std` nor an allocator.
//!
//! The toolchain has no bare target, so the proof is a static library with a panic handler of its own (`no_std/bare.rs`); the same library
//! with `std` or `alloc` linked on purpose must fail, which shows that the proof can.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The core as a library without features, built apart from the tests' own target directory.
struct Core {
    directory: PathBuf,
}

impl Core {
    fn build() -> Self {
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
            .env_remove("RUSTFLAGS")
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self {
            directory: directory.join("release"),
        }
    }

    /// Compiles the program without `std` against the core.
    fn compile(&self, name: &str, extra: &[&str]) -> Output {
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
        Command::new(rustc)
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "staticlib",
                "-C",
                "panic=abort",
                "-C",
                "opt-level=3",
            ])
            .args(extra)
            .arg("--extern")
            .arg(format!(
                "vm_uart={}",
                self.directory.join("libvm_uart.rlib").display()
            ))
            .arg("-L")
            .arg(format!(
                "dependency={}",
                self.directory.join("deps").display()
            ))
            .arg("-o")
            .arg(self.directory.join(format!("lib{name}.a")))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/no_std/bare.rs"))
            .output()
            .expect("rustc runs")
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_core_links_without_std_and_without_an_allocator() {
    let core = Core::build();
    let bare = core.compile("bare", &[]);
    assert!(bare.status.success(), "{}", errors(&bare));

    let with_std = core.compile("with_std", &["--cfg", "std_on_purpose"]);
    assert!(
        errors(&with_std).contains("panic_impl"),
        "std must clash: {}",
        errors(&with_std)
    );

    let with_alloc = core.compile("with_alloc", &["--cfg", "alloc_on_purpose"]);
    assert!(
        errors(&with_alloc).contains("no global memory allocator"),
        "alloc must be noticed: {}",
        errors(&with_alloc)
    );
}
