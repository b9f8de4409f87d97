//! `log --follow`: over resets, to the end of a VMM, and over it.

mod host;

use std::path::PathBuf;

use host::{Done, Host, Running, Served, until};
use rustix::io::ioctl_fionread;
use rustix::process::Signal;
use vm_console::{ConsoleConfig, LogConfig};
use vm_serial_tests::output::Output;
use vm_serial_tests::process::Process;

/// Starts to follow, and waits until the output so far is shown.
fn follow(host: &Host, arguments: &[&str], shown: &str) -> Running {
    let mut running = host.start(&[&["log"], arguments].concat());
    running.until(shown);
    running
}

/// What the command line calls `vm-7`, so that its log is read in its file or over its socket.
fn name(served: &Served, by_socket: bool) -> PathBuf {
    if by_socket {
        served.socket()
    } else {
        "vm-7".into()
    }
}

fn rest(done: &Done) -> (String, &str, i32) {
    (done.text(), done.stderr.as_str(), done.code)
}

#[test]
fn output_is_shown_as_it_comes_over_resets() {
    for by_socket in [false, true] {
        let host = Host::new();
        let served = host.console("vm-7");
        let name = name(&served, by_socket);
        served.print("first\n");
        let mut running = follow(&host, &[name.to_str().unwrap(), "-f"], "first\n");
        // Without an end of the line.
        served.print("login: ");
        running.until("login: ");
        served.reset();
        served.print("second\n");
        running.until("second\n");
        served.print("bye");
        if by_socket {
            // What was not asked for before the VMM's end has gone with it.
            running.until("bye");
        }
        served.end();
        let done = running.wait();
        let last = if by_socket { "" } else { "bye" };
        let told = "[boot 2]\n[the VMM has ended]\n";
        assert_eq!(rest(&done), (last.into(), told, 0));
    }
}

#[test]
fn each_boot_is_told_at_its_first_byte() {
    let host = Host::new();
    let served = host.console("vm-7");
    // Output and notices in one pipe, so that their order is seen.
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = host.command(&["log", "vm-7", "-f"]);
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut process = Process::start(&mut command);
    drop(command);
    let flood = "123456789\n".repeat(50_000);
    served.print(&flood);
    // The follower waits for the pipe, while the next boots begin.
    until(|| ioctl_fionread(&reader).unwrap() >= 60_000);
    let mut expected = flood;
    for boot in 2..5 {
        served.reset();
        let output = format!("the output of {boot}\n");
        served.print(&output);
        expected = format!("{expected}[boot {boot}]\n{output}");
    }
    served.end();
    expected += "[the VMM has ended]\n";
    let shown = Output::collect(reader).wait_for_end();
    let shown = String::from_utf8(shown).unwrap();
    assert!(
        shown == expected,
        "the end is {:?}",
        &shown[shown.len().saturating_sub(200)..]
    );
    assert!(process.wait().success());
}

#[test]
fn a_boot_is_followed_to_its_end() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("one\n");
    let mut running = follow(&host, &["vm-7", "-f", "--boot", "0"], "one\n");
    served.print("more\n");
    running.until("more\n");
    served.print("last");
    served.reset();
    served.print("of the next boot");
    assert_eq!(rest(&running.wait()), ("last".into(), "", 0));
    // A boot that is over is shown, and there is nothing to follow.
    let done = host.vmcon(&["log", "vm-7", "-f", "--boot", "1"]);
    assert_eq!(rest(&done), ("one\nmore\nlast".into(), "", 0));
}

#[test]
fn a_dead_vms_log_is_shown_and_not_followed() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("all there is\n");
    let entry = served.entry.path().to_owned();
    served.end();
    for name in ["vm-7", entry.to_str().unwrap()] {
        let done = host.vmcon(&["log", name, "-f"]);
        let all = "all there is\n".to_owned();
        assert_eq!(rest(&done), (all, "[the VMM has ended]\n", 0));
    }
}

#[test]
fn the_next_vm_with_the_same_log_is_followed_if_asked() {
    let host = Host::new();
    let mut served = host.console("vm-7");
    served.print("life 1\n");
    let mut running = follow(&host, &["vm-7", "-F"], "life 1\n");
    for life in 2..5 {
        served.end();
        served = host.console("vm-7");
        served.print(format!("life {life}\n"));
        running.until(&format!("life {life}\n"));
    }
    running.signal(Signal::TERM);
    let done = running.wait();
    assert_eq!((done.text().as_str(), done.code), ("", -15));
    // Whether an end was noticed before the next VMM came is chance.
    let boots: Vec<_> = done
        .stderr
        .lines()
        .filter(|line| line.starts_with("[boot"))
        .collect();
    assert_eq!(boots, ["[boot 2]", "[boot 3]", "[boot 4]"]);
}

#[test]
fn another_log_is_not_taken_for_the_one_that_is_followed() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("one\n");
    let running = follow(&host, &["vm-7", "-F"], "one\n");
    let path = served.log_path();
    served.end();
    std::fs::remove_file(path).unwrap();
    let served = host.console("vm-7");
    served.print("of another log\n");
    let done = running.wait();
    let told = "vmcon: vm-7: another log has taken the place of the one that was followed\n";
    assert!(done.stderr.ends_with(told), "{done:?}");
    assert_eq!((done.text().as_str(), done.code), ("", 4));
}

#[test]
fn grep_goes_on_too() {
    let host = Host::new();
    let served = host.console("vm-7");
    served.print("a BUG\nnothing\n");
    let mut running = follow(&host, &["vm-7", "-f", "--grep", "BUG", "-t"], " a BUG\n");
    served.print("another ");
    served.print("BUG\n");
    running.until(" another BUG\n");
    served.reset();
    served.print("BUG at the end");
    served.end();
    let done = running.wait();
    assert!(done.text().ends_with(" BUG at the end\n"), "{done:?}");
    assert_eq!(
        (done.stderr.as_str(), done.code),
        ("[boot 2]\n[the VMM has ended]\n", 0)
    );
}

#[test]
fn nobody_reads_any_more_and_it_ends() {
    for by_socket in [false, true] {
        let host = Host::new();
        let served = host.console("vm-7");
        let name = name(&served, by_socket);
        served.print("first\n");
        let running = follow(&host, &[name.to_str().unwrap(), "-f"], "first\n");
        // The guest is silent: no write tells.
        let done = running.close_output();
        assert_eq!((done.stderr.as_str(), done.code), ("", 0));
    }
}

#[test]
fn a_follower_that_was_left_behind_is_told_what_is_lost() {
    let host = Host::new();
    let sizes = LogConfig {
        tail: 1000,
        head: 0,
        boots: 1,
    };
    let served = host.console_of("vm-7", ConsoleConfig::named("vm-7"), sizes);
    served.print("first\n");
    let running = follow(&host, &["vm-7", "-f"], "first\n");
    running.signal(Signal::STOP);
    let flood = "123456789\n".repeat(1000);
    served.print(&flood);
    running.signal(Signal::CONT);
    served.end();
    let done = running.wait();
    let told: u64 = done
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.strip_suffix(" bytes lost]"))
        .map(|count| count.parse::<u64>().unwrap())
        .sum();
    assert_eq!(
        told + done.stdout.len() as u64,
        flood.len() as u64,
        "{}",
        done.stderr
    );
    assert!(told > 0 && flood.ends_with(&done.text()));
}
