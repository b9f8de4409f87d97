//! A look at every console of a host.

use std::io::ErrorKind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use vm_console::instance::{Directory, Flaw, Instance, Liveness};
use vm_console::protocol::Status;

use crate::connect::connect;
use crate::failure::{Code, Failure};
use crate::pattern::Pattern;

/// How long a console may take to answer. The others are asked meanwhile.
const PATIENCE: Duration = Duration::from_secs(1);
/// Consoles that are asked at the same time.
const AT_ONCE: usize = 32;

/// An entry of the directory.
#[derive(Debug)]
pub(super) enum Found {
    Answers(Instance, Box<Status>),
    /// Its VMM lives, but this came of asking it.
    Silent(Instance, Failure),
    Gone(Instance),
    Flawed(Flaw),
}

/// Looks at all whose id or name match.
pub(super) fn look(directory: &Directory, pattern: Option<&str>) -> Result<Vec<Found>, Failure> {
    let mut listed = directory.list().map_err(|error| {
        let code = match error.kind() {
            ErrorKind::NotFound => Code::NoSuchConsole,
            ErrorKind::PermissionDenied => Code::NotPermitted,
            _ => Code::Failed,
        };
        Failure::new(code, error)
    })?;
    if let Some(pattern) = pattern {
        let pattern = Pattern::new(pattern)?;
        listed.retain(|entry| match entry {
            Ok(Instance { id, record, .. }) => {
                pattern.matches_instance(id, record.description.name.as_deref())
            }
            Err(flaw) => pattern.matches(&flaw.name.to_string_lossy()),
        });
    }
    let queue: Vec<_> = listed
        .into_iter()
        .map(|entry| Mutex::new(Some(entry)))
        .collect();
    let next = AtomicUsize::new(0);
    let ask_some = || {
        let mut answers = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(entry) = queue.get(index) else {
                return answers;
            };
            let entry = entry.lock().ok().and_then(|mut entry| entry.take());
            answers.extend(entry.map(|entry| (index, ask(entry))));
        }
    };
    let mut found: Vec<_> = thread::scope(|scope| {
        let askers: Vec<_> = (0..AT_ONCE.min(queue.len()))
            .map(|_| scope.spawn(ask_some))
            .collect();
        askers
            .into_iter()
            .flat_map(|asker| asker.join().unwrap_or_default())
            .collect()
    });
    // In the order of the directory again, whoever answered first.
    found.sort_by_key(|(index, _)| *index);
    Ok(found.into_iter().map(|(_, found)| found).collect())
}

fn ask(entry: Result<Instance, Flaw>) -> Found {
    match entry {
        Err(flaw) => Found::Flawed(flaw),
        Ok(instance) if instance.liveness == Liveness::Gone => Found::Gone(instance),
        Ok(instance) => {
            let status = connect(&instance.control_socket(), PATIENCE)
                .and_then(|mut client| Ok(client.status()?));
            match status {
                Ok(status) => Found::Answers(instance, Box::new(status)),
                Err(failure) => Found::Silent(instance, failure),
            }
        }
    }
}
