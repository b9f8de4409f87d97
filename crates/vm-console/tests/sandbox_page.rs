//! The page about sandboxes shows the tables that the crate exports.

use std::fmt::Write as _;

use vm_console::sandbox::{FILE_RIGHTS, Made, SYSTEM_CALLS, SystemCall, Thread, system_calls};
use vm_console::session::Transport;

const PAGE: &str = include_str!("../SANDBOX.md");

fn quoted(names: impl Iterator<Item = &'static str>) -> String {
    names
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn row(call: &SystemCall) -> String {
    let parts: Vec<_> = call.parts.iter().map(ToString::to_string).collect();
    let when = match call.made {
        Made::Always => String::new(),
        Made::WithGnu => "; GNU C library".into(),
        Made::Rarely(why) => format!("; {why}"),
    };
    format!(
        "| {} | {} | {}{when} |\n",
        quoted(call.names()),
        parts.join(", "),
        call.purpose
    )
}

/// The table as the page should show it.
fn calls_of(thread: Thread) -> String {
    let mut table = "| call | needed by | for |\n|---|---|---|\n".to_owned();
    let calls = SYSTEM_CALLS.iter().filter(|call| call.thread == thread);
    table.extend(calls.map(row));
    table
}

fn file_rights() -> String {
    let mut table = "| what | when | where | rights |\n|---|---|---|---|\n".to_owned();
    for needed in FILE_RIGHTS {
        let rights = quoted(needed.rights.iter().copied());
        let (what, when, place) = (needed.what, needed.moment, needed.place);
        writeln!(table, "| {what} | {when} | {place} | {rights} |").unwrap();
    }
    table
}

#[test]
fn the_page_shows_the_tables() {
    for table in Thread::ALL.map(calls_of).into_iter().chain([file_rights()]) {
        assert!(PAGE.contains(&table), "not on the page:\n\n{table}");
    }
}

#[test]
fn no_call_has_two_rows_for_the_same() {
    for (at, call) in SYSTEM_CALLS.iter().enumerate() {
        assert!(!call.parts.is_empty(), "{call:?}");
        for other in &SYSTEM_CALLS[..at] {
            let same = call.thread == other.thread && call.name == other.name;
            let part = call.parts.iter().find(|part| other.parts.contains(part));
            assert!(!same || part.is_none(), "{call:?}, {other:?}");
        }
    }
}

#[test]
fn a_filter_holds_for_the_threads_that_the_service_starts() {
    let all = [Transport::Unix, Transport::Control, Transport::Passed];
    let service = system_calls(Thread::Service, &all);
    for helper in [Thread::Log, Thread::Close] {
        assert!(system_calls(helper, &all).is_subset(&service));
    }
    assert!(!system_calls(Thread::Guest, &all).contains("epoll_wait"));
    let without_pty = service;
    let with_pty = system_calls(Thread::Service, &[Transport::Pty]);
    assert!(with_pty.contains("symlink") && !without_pty.contains("symlink"));
}
