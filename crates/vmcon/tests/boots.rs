//! `boots`: what a log knows of a machine's boots.

mod host;

use host::{Host, Served};
use vm_console::{ConsoleConfig, LogConfig};

/// Three boots. Of the second, only the beginning is kept.
fn served(host: &Host) -> Served {
    let sizes = LogConfig {
        tail: 2000,
        head: 100,
        boots: 4,
    };
    let served = host.console_of("vm-7", ConsoleConfig::named("vm-7"), sizes);
    served.print("\x1b[2J\r\nSeaBIOS (version 1)\r\n\x1b[31mKernel panic\x1b[0m\r\n\r\n");
    served.reset();
    served.print("second boot\n");
    served.print(vec![b'.'; 5000]);
    served.print("\nlost\n");
    served.reset();
    served.print(vec![b'x'; 1990]);
    served.print("\nlogin: ");
    served
}

#[test]
fn boots_are_listed_with_what_is_left_of_them() {
    let host = Host::new();
    let served = served(&host);
    let listed = || {
        let done = host.vmcon(&["boots", "vm-7"]);
        assert_eq!((done.stderr.as_str(), done.code), ("", 0));
        done.text()
    };
    let text = listed();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    let is_line = |line: &str, parts: &[&str]| {
        let mut rest = line;
        parts.iter().all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    };
    assert!(
        is_line(
            lines[1],
            &[
                "1",
                "power-on",
                "20",
                "52",
                "SeaBIOS (version 1)",
                "Kernel panic"
            ]
        ),
        "{text}"
    );
    assert!(
        is_line(
            lines[2],
            &["2", "reset", "20", "102 of 4.9K", "second boot"]
        ),
        "{text}"
    );
    // This much of the line "lost" is left.
    assert!(lines[2].ends_with(" t"), "{text}");
    assert!(
        is_line(lines[3], &["3", "reset", "20", "1.9K", "xxx", "login:"]),
        "{text}"
    );
    served.end();
    assert_eq!(listed(), text);
}

#[test]
fn json_has_exact_numbers() {
    let host = Host::new();
    let _served = served(&host);
    let done = host.vmcon(&["boots", "vm-7", "--json"]);
    assert_eq!((done.stderr.as_str(), done.code), ("", 0));
    let boots: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let numbers = |key: &str| -> Vec<_> {
        let boots = boots.as_array().unwrap();
        boots
            .iter()
            .map(|boot| boot[key].as_u64().unwrap())
            .collect()
    };
    assert_eq!(numbers("epoch"), [1, 2, 3]);
    let (start, end) = (numbers("start"), numbers("end"));
    assert_eq!((start[0], &start[1..]), (0, &end[..2]));
    assert_eq!(numbers("written")[1], 12 + 5000 + 6);
    assert_eq!(boots[0]["kind"], "power_on");
    assert_eq!(boots[1]["kind"], "reset");
    assert_eq!(boots[0]["first_line"], "SeaBIOS (version 1)");
    assert_eq!(boots[0]["last_line"], "Kernel panic");
    assert!(boots[2]["time"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn failures_are_json_too_if_that_was_asked() {
    let host = Host::new();
    let done = host.vmcon(&["boots", "vm-8", "--json"]);
    assert_eq!((done.stdout.len(), done.code), (0, 3));
    let error: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(error["error"]["code"], "no_such_console");
}
