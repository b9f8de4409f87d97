//! The table of system calls is the one that `strace` sees.
//!
//! Each scenario is this test program again, started under `strace` with the scenario's name in its
//! environment.

mod sandbox;
mod support;

use std::collections::BTreeSet;

use sandbox::scenario::{self, Scenario};
use sandbox::strace::{self, Calls};
use vm_console::sandbox::{Made, Part, SYSTEM_CALLS, SystemCall, Thread};

/// Plays a scenario if the other test has started this process; does nothing otherwise.
#[test]
fn play_a_scenario() {
    let Ok(name) = std::env::var(scenario::VARIABLE) else {
        return;
    };
    let scenario = Scenario::ALL
        .into_iter()
        .find(|scenario| scenario.name() == name);
    scenario.expect(&name).play();
}

#[test]
fn the_table_is_what_strace_sees() {
    if !support::has("strace") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let measured = Scenario::ALL.map(|scenario| (scenario, strace::measure(scenario, dir.path())));
    if std::env::var_os("SANDBOX_PRINT").is_some() {
        for (scenario, calls) in &measured {
            println!("MEASURED {scenario:?}: {calls:?}");
        }
    }
    let mut wrong = BTreeSet::new();
    for (scenario, calls) in &measured {
        wrong.extend(not_in_table(*scenario, calls));
    }
    let always = SYSTEM_CALLS.iter().filter(|call| match call.made {
        Made::Always => true,
        Made::WithGnu => cfg!(target_env = "gnu"),
        Made::Rarely(_) => false,
    });
    wrong.extend(always.flat_map(|call| not_measured(call, &measured)));
    let wrong: Vec<_> = wrong.into_iter().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn not_in_table(scenario: Scenario, calls: &Calls) -> Vec<String> {
    let parts = scenario.parts();
    let allows = |thread, name: &str| {
        SYSTEM_CALLS.iter().any(|call| {
            call.thread == thread
                && call.names().any(|known| known == name)
                && call.parts.iter().any(|part| parts.contains(part))
        })
    };
    let made = calls
        .iter()
        .flat_map(|(thread, names)| names.iter().map(move |name| (*thread, name)));
    made.filter(|(thread, name)| !allows(*thread, name))
        .map(|(thread, name)| format!("{thread}: {name} is not in the table for {scenario:?}"))
        .collect()
}

/// Each part that needs the call has to make it where no other part can be the reason.
fn not_measured(call: &SystemCall, measured: &[(Scenario, Calls)]) -> Vec<String> {
    let counts = |part, scenario: &Scenario| match part {
        // The other threads need the rest whatever there is.
        Part::Core => call.thread != Thread::Service || scenario.parts() == [Part::Core],
        Part::HelperThreads | Part::Rotation => scenario.parts().contains(&part),
        Part::Transport(transport) => *scenario == Scenario::Clients(transport),
    };
    let is_made = |part| {
        measured.iter().any(|(scenario, calls)| {
            let names = calls.get(&call.thread);
            counts(part, scenario)
                && names.is_some_and(|names| call.names().any(|name| names.contains(name)))
        })
    };
    let parts = call.parts.iter().filter(|part| !is_made(**part));
    parts
        .map(|part| format!("{}: {} is never made for {part}", call.thread, call.name))
        .collect()
}
