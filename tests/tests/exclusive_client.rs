//! One client at a time on the raw socket, driven with `socat` as an operator does.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use vm_serial_tests::flood;
use vm_serial_tests::output::Output;
use vm_serial_tests::patience::wait_for;
use vm_serial_tests::requirement;
use vm_serial_tests::running::{Vmm, modes};

const VMM: &str = env!("CARGO_BIN_EXE_vmm");

/// `socat -,raw,echo=0 UNIX:…` in a terminal of its own.
struct Socat {
    child: Child,
    terminal: vm_serial_tests::terminal::Terminal,
}

impl Socat {
    fn attach(socket: &Path) -> Self {
        let terminal = vm_serial_tests::terminal::Terminal::open();
        let child = Command::new("socat")
            .arg("-,raw,echo=0")
            .arg(format!("UNIX:{}", socket.display()))
            .stdin(terminal.slave())
            .stdout(terminal.slave())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self { child, terminal }
    }

    fn output(&self) -> &Output {
        self.terminal.output()
    }
}

impl Drop for Socat {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_second_client_is_told_who_holds_the_console_and_served_afterwards() {
    let test = "the_second_client_is_told_who_holds_the_console_and_served_afterwards";
    if !requirement::has_program("socat") {
        return requirement::skip(test, "socat");
    }
    for mode in modes(test) {
        let vmm = Vmm::start(VMM, mode, &[]);
        let holder = vmm.attach();
        holder.output().wait_for("commands\r\n> ");

        let mut refused = Socat::attach(&vmm.socket());
        let told = refused.output().wait_for("in use by");
        assert!(refused.child.wait().unwrap().success());
        let told = [told, refused.output().bytes()].concat();
        let told = String::from_utf8_lossy(&told);
        let pid = format!("pid {}", std::process::id());
        assert!(told.contains(&pid), "{mode:?}: {pid} in {told:?}");

        // The holder has noticed nothing.
        holder.send("# still here\r");
        let seen_by_holder = holder.output().wait_for("# still here\r\n> ");
        drop(holder);

        let attach = || {
            let socat = Socat::attach(&vmm.socket());
            let first = socat.output().wait_for("\n");
            (!String::from_utf8_lossy(&first).contains("in use by")).then_some(socat)
        };
        let served = wait_for(attach, || format!("{mode:?}: the console never gets free"));
        // First the backlog, as the holder saw it, then what happens from now on.
        served.terminal.type_keys("sum\r");
        let seen = served.output().wait_for(" bytes\r\n> ");
        assert!(seen.starts_with(&seen_by_holder), "{mode:?}");
        assert_eq!(
            String::from_utf8_lossy(&seen[seen_by_holder.len()..])
                .lines()
                .count(),
            3,
            "{mode:?}"
        );
    }
}

#[test]
fn backlog_and_live_output_meet_without_gap_or_duplicate_under_load() {
    const FLOOD: usize = 200_000;
    for mode in modes("backlog_and_live_output_meet_without_gap_or_duplicate_under_load") {
        let vmm = Vmm::start(VMM, mode, &[]);
        let first = vmm.attach();
        first.output().wait_for("commands\r\n> ");
        first.send(&format!("flood {FLOOD}\r"));
        first.output().wait_for("00000010 ");
        drop(first);
        // Each of these comes in the middle of the flood, reads a while and leaves again.
        for line in ["00000020 ", "00000080 "] {
            let client = vmm.attach_when_free();
            client.output().wait_for(line);
        }
        let last = vmm.attach_when_free();
        let all = last.output().wait_for(&flood::last_line(FLOOD));
        let echo = format!("> flood {FLOOD}\r\n");
        let start = all
            .windows(echo.len())
            .position(|w| w == echo.as_bytes())
            .unwrap()
            + echo.len();
        assert!(
            all[start..].starts_with(&flood::bytes(FLOOD)),
            "{mode:?}: not the flood's bytes"
        );
    }
}
