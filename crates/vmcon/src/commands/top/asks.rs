//! Asks VMMs how their consoles stand, beside the drawing: one that does not answer holds up nobody
//! but those who ask.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use vm_console::client::ControlClient;
use vm_console::instance::InstanceId;
use vm_console::protocol::Status;
use vm_console::{Start, printable};

use super::event::{Asked, AskedOutput, Event};
use super::looks::SEARCHED;
use super::model::Newest;
use super::tile::{Answer, Seen};
use crate::connect::connect;

/// Threads that ask.
const ASKERS: usize = 12;
/// Threads that ask those that did not answer before.
const PATIENT_ASKERS: usize = 4;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a console is asked: one on the screen; one there without a log in a file, whose output
/// comes with the answers; any other.
const VISIBLE: Duration = Duration::from_secs(1);
const WITHOUT_FILE: Duration = Duration::from_millis(300);
const HIDDEN: Duration = Duration::from_secs(2);
/// One that does not answer is asked less and less often, down to this.
const SILENT: Duration = Duration::from_secs(30);
/// Consoles that are asked in one turn, so that not all of them are at the same time.
const AT_ONCE: usize = 60;
/// Longest name of a holder, in bytes.
const NAME: usize = 128;

/// A console to ask.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: InstanceId,
    pub(super) incarnation: u64,
    pub(super) socket: PathBuf,
    pub(super) wants: Wants,
}

/// What of its output is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// Nothing: it is in a file.
    Nothing,
    /// The newest.
    Newest,
    /// The newest, unless it is still this many bytes.
    NewestUnless(u64),
}

/// When who is asked.
#[derive(Debug)]
pub(super) struct Asks {
    jobs: Sender<Job>,
    patient: Sender<Job>,
    plans: HashMap<InstanceId, Plan>,
}

#[derive(Debug)]
struct Plan {
    asked: Instant,
    /// The answer has not come yet.
    is_waiting: bool,
    /// How often in a row it did not answer.
    silent: u32,
}

impl Plan {
    fn is_due(&self, now: Instant, is_visible: bool, has_file: bool) -> bool {
        let pause = match (is_visible, has_file) {
            (true, true) => VISIBLE,
            (true, false) => WITHOUT_FILE,
            (false, _) => HIDDEN,
        };
        let pause = match self.silent {
            0 => pause,
            silent => (VISIBLE * 2_u32.pow(silent.min(5))).min(SILENT),
        };
        !self.is_waiting && now.duration_since(self.asked) >= pause
    }
}

impl Asks {
    pub(super) fn start(events: &Sender<Event>) -> io::Result<Self> {
        let pool = |count| {
            let (jobs, taken) = unbounded();
            for _ in 0..count {
                let (taken, events) = (taken.clone(), events.clone());
                let thread = thread::Builder::new().name("asking".to_owned());
                thread.spawn(move || ask_all(&taken, &events))?;
            }
            io::Result::Ok(jobs)
        };
        Ok(Self {
            jobs: pool(ASKERS)?,
            patient: pool(PATIENT_ASKERS)?,
            plans: HashMap::new(),
        })
    }

    /// Asks those whose turn it is. The visible ones come first.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        visible: impl Iterator<Item = Job>,
        hidden: impl Iterator<Item = Job>,
    ) {
        let all = visible
            .map(|job| (job, true))
            .chain(hidden.map(|job| (job, false)));
        let mut left = AT_ONCE;
        for (job, is_visible) in all {
            let has_file = job.wants == Wants::Nothing;
            let plan = self.plans.get(&job.id);
            if left == 0 || plan.is_some_and(|plan| !plan.is_due(now, is_visible, has_file)) {
                continue;
            }
            let silent = plan.map_or(0, |plan| plan.silent);
            let plan = Plan {
                asked: now,
                is_waiting: true,
                silent,
            };
            self.plans.insert(job.id.clone(), plan);
            left -= 1;
            let pool = if silent > 0 {
                &self.patient
            } else {
                &self.jobs
            };
            // It fails once the threads have ended, as the program does.
            let _ = pool.send(job);
        }
    }

    pub(super) fn answered(&mut self, asked: &Asked) {
        if let Some(plan) = self.plans.get_mut(&asked.id) {
            plan.is_waiting = false;
            plan.silent = match asked.answer {
                Answer::Status(_) => 0,
                Answer::Silent(_) => plan.silent.saturating_add(1),
            };
        }
    }

    /// Forgets consoles that are gone.
    pub(super) fn retain(&mut self, mut is_there: impl FnMut(&InstanceId) -> bool) {
        self.plans
            .retain(|id, plan| plan.is_waiting || is_there(id));
    }
}

fn ask_all(jobs: &Receiver<Job>, events: &Sender<Event>) {
    for job in jobs {
        if events.send(Event::Asked(ask(job))).is_err() {
            return;
        }
    }
}

fn ask(job: Job) -> Asked {
    let mut output = None;
    let answer = connect(&job.socket, PATIENCE).and_then(|mut client| {
        let status = client.status()?;
        output = read_output(&mut client, job.wants, status.head);
        Ok(status)
    });
    Asked {
        id: job.id,
        incarnation: job.incarnation,
        answer: match answer {
            Ok(status) => Answer::Status(seen(&status)),
            Err(failure) => Answer::Silent(printable(&failure.message, NAME)),
        },
        output,
    }
}

fn read_output(client: &mut ControlClient, wants: Wants, head: u64) -> Option<AskedOutput> {
    match wants {
        Wants::Nothing => return None,
        Wants::NewestUnless(known) if known == head => {
            return Some(AskedOutput { head, newest: None });
        }
        Wants::Newest | Wants::NewestUnless(_) => {}
    }
    let start = Start::Newest(SEARCHED as u64);
    let newest = client.read_log(start, SEARCHED as u32);
    let newest = newest.map(|data| Newest {
        bytes: data.bytes,
        end: data.next,
        epoch: data.epoch,
    });
    Some(AskedOutput {
        head,
        newest: Some(newest.map_err(|error| printable(&error.to_string(), NAME))),
    })
}

fn seen(status: &Status) -> Seen {
    Seen {
        powered: status.powered,
        holder: status.holder.as_ref().map(|held| printable(&held.by, NAME)),
        observers: status.observers,
        epoch: status.epoch,
        log: status.log,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_answer_is_asked_less_often() {
        let asked = Instant::now();
        let plan = |silent, is_waiting| Plan {
            asked,
            is_waiting,
            silent,
        };
        let after = |seconds| asked + Duration::from_secs(seconds);
        assert!(plan(0, false).is_due(after(1), true, true));
        assert!(!plan(0, false).is_due(after(1), false, true));
        assert!(plan(0, false).is_due(after(2), false, true));
        assert!(!plan(0, true).is_due(after(100), true, true));
        assert!(!plan(1, false).is_due(after(1), true, false));
        assert!(plan(1, false).is_due(after(2), true, false));
        assert!(!plan(99, false).is_due(after(29), true, true));
        assert!(plan(99, false).is_due(after(30), true, true));
    }
}
