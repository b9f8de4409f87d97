//! Getting a session: finding the console, connecting, attaching, and trying again.
//!
//! All of it may have to wait, so a thread does it, and the terminal stays alive meanwhile.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use vm_console::Start;
use vm_console::client::{ClientError, ControlClient};
use vm_console::instance::Directory;
use vm_console::protocol::{AttachRequest, Attached, Held, MachineState};

use super::resume::Resume;
use crate::failure::{Code, Failure};
use crate::target::{Console, Target};

/// Between two attempts, at first and at last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long a service is asked to wait for its machine to start; then it is asked again.
const POWER_WAIT: Duration = Duration::from_secs(20);

/// What is wanted.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) directory: Directory,
    pub(super) target: Target,
    /// How to attach; where to begin is up to `resume`.
    pub(super) request: AttachRequest,
    pub(super) resume: Resume,
    /// Try again while there is hope.
    pub(super) wait: bool,
    /// If somebody else holds the console, the user is to be asked.
    pub(super) ask: bool,
}

/// What has come of it so far.
#[derive(Debug)]
pub(super) enum News {
    /// It takes longer, for this reason.
    Waiting(Failure),
    /// Somebody else holds the console: the user decides. This is the last news.
    InUse(Held),
    /// It cannot be had. This is the last news.
    Failed(Failure),
    /// There is a session. This is the last news.
    Attached(Box<Arrival>),
}

/// A session that has just begun.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) client: ControlClient,
    pub(super) attached: Attached,
    /// The machine is on.
    pub(super) powered: bool,
    /// The output received up to now, with the start of this session.
    pub(super) resume: Resume,
    /// Bytes that were lost before the start.
    pub(super) lost: u64,
    /// The console has another log than before.
    pub(super) another_log: bool,
}

/// An attempt under way.
#[derive(Debug)]
pub(super) struct Contact {
    news: Receiver<News>,
    bell: PipeReader,
}

impl Contact {
    pub(super) fn begin(plan: Plan) -> io::Result<Self> {
        let (bell, ringer) = io::pipe()?;
        let (to, news) = channel();
        thread::Builder::new()
            .name("contact".to_owned())
            .spawn(move || Attempts::new(plan, to, ringer).run())?;
        Ok(Self { news, bell })
    }

    /// What has come, if anything has. Waits for nothing once the descriptor is readable.
    pub(super) fn news(&mut self) -> Option<News> {
        // The byte was written after the news.
        let _ = rustix::io::read(&self.bell, &mut [0]);
        match self.news.try_recv() {
            Ok(news) => Some(news),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => {
                let text = "the thread that connects has failed";
                Some(News::Failed(Failure::new(Code::Failed, text)))
            }
        }
    }
}

impl AsFd for Contact {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

struct Attempts {
    plan: Plan,
    resume: Resume,
    another_log: bool,
    to: Sender<News>,
    ringer: PipeWriter,
    /// The last reason that was told.
    told: Option<Code>,
    pause: Duration,
}

impl Attempts {
    fn new(plan: Plan, to: Sender<News>, ringer: PipeWriter) -> Self {
        Self {
            resume: plan.resume,
            another_log: false,
            plan,
            to,
            ringer,
            told: None,
            pause: PAUSES.0,
        }
    }

    fn run(mut self) {
        loop {
            let failure = match self.attempt() {
                Ok(arrival) => return self.tell(News::Attached(Box::new(arrival))),
                Err(failure) => failure,
            };
            if let (true, Some(held)) = (self.plan.ask, &failure.holder) {
                return self.tell(News::InUse(held.clone()));
            }
            if !self.plan.wait || !may_pass(failure.code) {
                return self.tell(News::Failed(failure));
            }
            let is_absent = matches!(failure.code, Code::NoSuchConsole | Code::Gone);
            if is_absent && self.resume.request().0 == Start::Now {
                // All of what it prints when it is there comes after now.
                self.resume = Resume::new(Start::ThisBoot);
            }
            self.tell_waiting(failure);
            thread::sleep(self.pause);
            self.pause = (self.pause * 2).min(PAUSES.1);
        }
    }

    fn attempt(&mut self) -> Result<Arrival, Failure> {
        let console = Console::find(&self.plan.directory, &self.plan.target)?;
        let mut client = console.connect()?;
        loop {
            match self.attach(&mut client) {
                Ok(attached) => {
                    let mut resume = self.resume;
                    let lost = resume.attached(client.log(), attached.start);
                    // Only observers are let in while it is off.
                    let powered = !attached.read_only || is_powered(&mut client);
                    return Ok(Arrival {
                        client,
                        attached,
                        powered,
                        resume,
                        lost,
                        another_log: self.another_log,
                    });
                }
                Err(ClientError::Service { code, .. }) if self.resume.is_elsewhere(code) => {
                    self.another_log = true;
                }
                Err(error) => {
                    let failure = console.refused(error, ADVICE);
                    if !self.plan.wait || !matches!(failure.code, Code::PoweredOff | Code::InUse) {
                        return Err(with_advice(failure));
                    }
                    self.begin_here(&mut client)
                        .map_err(|error| console.failed(error))?;
                    if failure.code == Code::InUse {
                        return Err(failure);
                    }
                    self.tell_waiting(failure.clone());
                    Self::wait_for_power(&mut client).map_err(|error| {
                        // A service that cannot tell when it starts is asked again and again.
                        match error {
                            ClientError::OldService { .. } | ClientError::Service { .. } => failure,
                            error => console.failed(error),
                        }
                    })?;
                    self.pause = PAUSES.0;
                }
            }
        }
    }

    fn attach(&self, client: &mut ControlClient) -> Result<Attached, ClientError> {
        let (replay, log) = self.resume.request();
        client.attach(&AttachRequest {
            replay,
            log,
            ..self.plan.request.clone()
        })
    }

    /// Whoever wants only what comes from now on wants it from before the wait.
    fn begin_here(&mut self, client: &mut ControlClient) -> Result<(), ClientError> {
        if self.resume.request().0 == Start::Now {
            let status = client.status()?;
            self.resume.attached(client.log(), status.head);
        }
        Ok(())
    }

    fn wait_for_power(client: &mut ControlClient) -> Result<(), ClientError> {
        let status = client.status()?;
        let off = MachineState {
            epoch: status.epoch,
            powered: false,
        };
        // Nothing is read: it is only a way to wait.
        let start = Start::Offset(status.head);
        client.wait_log(start, 0, off, POWER_WAIT).map(drop)
    }

    /// Tells the reason once, even if it is found again and again.
    fn tell_waiting(&mut self, failure: Failure) {
        if self.told.replace(failure.code) != Some(failure.code) {
            self.tell(News::Waiting(failure));
        }
    }

    fn tell(&self, news: News) {
        // Both fail when nobody waits any more.
        let _ = self.to.send(news);
        let _ = rustix::io::write(&self.ringer, &[0]);
    }
}

fn is_powered(client: &mut ControlClient) -> bool {
    client.status().is_ok_and(|status| status.powered)
}

/// A machine that is off is not started by whoever only wants to look.
fn with_advice(mut failure: Failure) -> Failure {
    if failure.code == Code::PoweredOff {
        failure.message += "; `vmcon power start` starts it, --wait waits, --read-only watches";
    }
    failure
}

const ADVICE: &str = "--force takes it, --read-only watches, --wait waits";

/// Whether time alone may mend it.
fn may_pass(code: Code) -> bool {
    matches!(
        code,
        Code::NoSuchConsole
            | Code::Gone
            | Code::Unreachable
            | Code::InUse
            | Code::PoweredOff
            | Code::ShuttingDown
    )
}
