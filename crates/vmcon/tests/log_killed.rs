//! The log of a VMM that was killed while its guest printed.
//!
//! The VMM is this test program, started again with a directory in its environment.

mod host;

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use host::{Host, until};
use rustix::process::{Pid, Signal};
use vm_console::transport::{Listener, unix::UnixSocket};
use vm_console::{ConsoleConfig, LogConfig, LogWriter, UnixTime};

const DIRECTORY: &str = "VMCON_KILLED_DIRECTORY";
const RAW_SOCKET: &str = "raw.sock";

/// Bytes that a client has received when the VMM is killed.
const RECEIVED: usize = 300_000;

/// Is the VMM if the other test here has started this process; does nothing otherwise.
#[test]
fn a_vmm_to_be_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let config = ConsoleConfig {
        line_times: true,
        notices: false,
        ..ConsoleConfig::named("vm-7")
    };
    let sizes = LogConfig {
        tail: 64 << 20,
        ..LogConfig::default()
    };
    let host = Host::at(directory.into());
    let served = host.console_of("vm-7", config, sizes);
    let raw = UnixSocket::bind(served.entry.path().join(RAW_SOCKET)).unwrap();
    served.console.listen(Listener::raw(raw));
    for number in 0_u64.. {
        served.print(format!("line {number} at {}\r\n", now()));
        // It prints for longer than one line time.
        if number.is_multiple_of(50) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(
            served.log.head() < sizes.tail,
            "nobody has killed this process"
        );
    }
}

fn now() -> u64 {
    UnixTime::from(SystemTime::now()).as_nanos()
}

fn connect(path: &Path) -> UnixStream {
    let mut stream = None;
    until(|| {
        stream = UnixStream::connect(path).ok();
        stream.is_some()
    });
    stream.unwrap()
}

/// A VMM that is killed when this is dropped.
struct Vmm(Child);

impl Drop for Vmm {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a VMM, and receives some of its output.
fn start(host: &Host) -> (Vmm, UnixStream, Vec<u8>) {
    let vmm = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_vmm_to_be_killed", "--nocapture"])
        .env(DIRECTORY, host.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let vmm = Vmm(vmm);
    let client = connect(&host.path().join("vm-7").join(RAW_SOCKET));
    client.set_read_timeout(Some(host::PATIENCE)).unwrap();
    let mut received = Vec::new();
    (&client)
        .take(RECEIVED as u64)
        .read_to_end(&mut received)
        .unwrap();
    (vmm, client, received)
}

#[test]
fn a_stopped_vmms_log_can_be_read() {
    let host = Host::new();
    let (vmm, _client, received) = start(&host);
    rustix::process::kill_process(Pid::from_child(&vmm.0), Signal::STOP).unwrap();
    let done = host.vmcon(&["log", "vm-7"]);
    assert_eq!((done.stderr.as_str(), done.code), ("", 0));
    assert!(
        done.stdout.starts_with(&received),
        "the log differs from what was received"
    );
}

#[test]
fn a_killed_vmms_log_is_what_a_client_received_and_when() {
    let host = Host::new();
    let (vmm, client, mut received) = start(&host);
    drop(vmm);
    // What was on its way.
    let _ = (&client).read_to_end(&mut received);

    let done = host.vmcon(&["log", "vm-7"]);
    assert_eq!((done.stderr.as_str(), done.code), ("", 0));
    assert!(received.len() >= RECEIVED);
    assert!(
        done.stdout.starts_with(&received),
        "the log differs from what was received"
    );

    let timed = host.vmcon(&["log", "vm-7", "-t"]);
    assert_eq!((timed.stderr.as_str(), timed.code), ("", 0));
    let text = timed.text();
    let lines: Vec<(&str, u64)> = text
        .split_inclusive('\n')
        .filter_map(time_and_clock)
        .collect();
    assert!(lines.len() > RECEIVED / 50);
    let resolution = LogWriter::LINE_TIME_RESOLUTION.as_nanos() as u64;
    for pair in lines.windows(2) {
        let ((shown, printed), (_, next_printed)) = (pair[0], pair[1]);
        // The line's own clock was read just before it was printed. Times are shown to the
        // millisecond.
        let shown: jiff::Timestamp = shown.parse().unwrap();
        let shown = u64::try_from(shown.as_nanosecond()).unwrap();
        assert!(shown + resolution + 1_000_000 > printed, "{pair:?}");
        assert!(shown <= next_printed, "{pair:?}");
    }
    // Without the times it is the same output.
    let untimed: String = text.split_inclusive('\n').map(|line| &line[30..]).collect();
    assert!(untimed.as_bytes() == done.stdout);
}

/// The time before a whole line, and the clock that the guest has printed.
fn time_and_clock(line: &str) -> Option<(&str, u64)> {
    let (time, text) = line.split_once(' ')?;
    let clock = text.strip_suffix("\r\n")?.rsplit_once(' ')?.1;
    Some((time, clock.parse().ok()?))
}
