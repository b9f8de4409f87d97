//! A console: its rules, its log and its doorbell.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::counters::{CounterValues, Counters};
use crate::line::ConsoleLine;
use crate::log::{BootLog, GapPolicy, LogWriter, Start};
use crate::rate::RateLimit;
use crate::serving::Serving;
use crate::session::{Authorizer, Everyone, SessionPolicy, printable};

/// Stop and restart beside the console, for the owner to implement. Called on the service's thread: pass the request on
/// and return.
pub trait PowerControl: Send + Sync {
    /// Power the machine off.
    fn stop(&self);
    /// Power it on.
    fn start(&self);
    /// Reset it.
    fn restart(&self);
}

/// Longest name of a console that is kept, in bytes.
const NAME_LIMIT: usize = 255;

/// The rules of one console.
///
/// ```
/// use std::time::Duration;
/// use vm_console::ConsoleConfig;
///
/// let mut config = ConsoleConfig::named("vm-7");
/// config.session.idle_limit = Duration::from_secs(300);
/// config.carrier = true;
/// ```
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent options")]
pub struct ConsoleConfig {
    /// Its name, as clients see it. Default: `console`.
    pub name: String,
    /// Who may hold it and for how long.
    pub session: SessionPolicy,
    /// Who may attach, and who may read the log. Default: [`Everyone`] who can connect.
    pub authorizer: Arc<dyn Authorizer>,
    /// Stop and restart, for clients that may attach. Default: not available.
    pub power: Option<Arc<dyn PowerControl>>,
    /// What a client is shown at attach that does not say. Default: everything kept.
    pub replay: Start,
    /// Takes terminal queries out of replays to raw clients; see [`replay_guard`](crate::replay_guard). Default: on.
    pub guard_replay: bool,
    /// What a client sees where output was overwritten before it could read it. Default: a note.
    /// Clients of a control socket are sent a gap frame in any case.
    pub gaps: GapPolicy,
    /// Tells raw clients in one line each what happens to their session: warnings, and why it ends. Off: nothing but
    /// console bytes; refusals are told all the same. Default: on.
    pub notices: bool,
    /// Read-only clients at one time. Default: 16.
    pub max_observers: usize,
    /// Connections at one time, observers and those without a session included. Default: 64.
    pub max_connections: usize,
    /// A limit on the output sent to each client. Default: none.
    pub rate_limit: Option<RateLimit>,
    /// Disconnects a client that is behind by more than this many bytes, those not counted that were written before it
    /// attached. Default: never.
    pub max_behind: Option<u64>,
    /// Holds the guest's output (THRE stays low) while the holder is more than
    /// [`lossless_window`](Self::lossless_window) behind, for at most this long at a time. After that
    /// the guest goes on, and the holder may miss output until it has caught up. Linux waits 10 ms
    /// for each character: stay well below. Observers are never waited for. Default: never.
    pub lossless: Option<Duration>,
    /// How far the holder may be behind before [`lossless`](Self::lossless) holds output, in bytes. A
    /// value above the log's [tail](crate::LogConfig::tail) means the tail. Default: 64 KiB.
    pub lossless_window: u64,
    /// DCD and DSR follow the session, so that a getty hangs up when it ends and the next holder does not inherit a
    /// shell. Between two sessions they stay low for [`CARRIER_PAUSE`](Self::CARRIER_PAUSE), during which input waits.
    /// Default: off; both are always up.
    pub carrier: bool,
    /// Stores the time of each line beside the log, for a view of the log with times. Default: off.
    pub line_times: bool,
    /// How long a client may take to read what is left for it when its session has ended. Default: 5 s.
    pub linger: Duration,
}

impl ConsoleConfig {
    /// Long enough for a busy guest to see that DCD fell.
    pub const CARRIER_PAUSE: Duration = Duration::from_millis(500);

    /// The defaults, under a name. Control characters in it become `?`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: printable(name, NAME_LIMIT),
            session: SessionPolicy::default(),
            authorizer: Arc::new(Everyone),
            power: None,
            replay: Start::Oldest,
            guard_replay: true,
            gaps: GapPolicy::Note,
            notices: true,
            max_observers: 16,
            max_connections: 64,
            rate_limit: None,
            max_behind: None,
            lossless: None,
            lossless_window: 64 << 10,
            carrier: false,
            line_times: false,
            linger: Duration::from_secs(5),
        }
    }
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self::named("console")
    }
}

impl fmt::Debug for ConsoleConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsoleConfig")
            .field("name", &self.name)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// One guest's console, before and while a service serves it.
///
/// It outlives the service: after a service was shut down, the same console can be added to another one, and log,
/// offsets, boot count and counters go on.
#[derive(Clone, Debug)]
pub struct Console {
    pub(crate) config: Arc<ConsoleConfig>,
    /// As in the configuration, in a form that many events can share.
    pub(crate) name: Arc<str>,
    pub(crate) log: BootLog,
    pub(crate) bell: Arc<EventFd>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) serving: Arc<Serving>,
}

impl Console {
    /// A console over a log, and the line to put into the guest's port.
    ///
    /// # Errors
    /// No descriptor is left for the doorbell (`EMFILE`).
    pub fn new(
        mut config: ConsoleConfig,
        mut writer: LogWriter,
    ) -> io::Result<(ConsoleLine, Self)> {
        // It may have been set without `named`.
        config.name = printable(&config.name, NAME_LIMIT);
        let bell = Arc::new(EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?);
        writer.set_doorbell(Arc::clone(&bell));
        let counters = Arc::new(Counters::default());
        let log = writer.log();
        let line = ConsoleLine::new(
            writer,
            Arc::clone(&bell),
            Arc::clone(&counters),
            config.line_times,
        );
        Ok((
            line,
            Self {
                name: config.name.as_str().into(),
                config: Arc::new(config),
                log,
                bell,
                counters,
                serving: Arc::default(),
            },
        ))
    }

    /// Its rules.
    #[must_use]
    pub fn config(&self) -> &ConsoleConfig {
        &self.config
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &BootLog {
        &self.log
    }

    /// Its counters, now. Never waits for anything.
    #[must_use]
    pub fn counters(&self) -> CounterValues {
        self.counters.values()
    }

    /// Goes on counting from `values`, which came with the guest from another host.
    pub fn restore_counters(&self, values: &CounterValues) {
        self.counters.restore(values);
    }
}
