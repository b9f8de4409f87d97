//! A console: its rules, its log and its doorbell.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use vmm_sys_util::eventfd::EventFd;

use crate::counters::{CounterValues, Counters};
use crate::drop_limit::DropLimit;
use crate::line::{ConsoleLine, doorbell};
use crate::log::{BootLog, GapPolicy, LogWriter, MarkKind, Start};
use crate::rate::RateLimit;
use crate::serving::Serving;
use crate::session::{Authorizer, Everyone, SessionPolicy, printable};

/// Lets clients of a control socket stop, start, restart and interrupt the machine. The owner implements it.
///
/// It is called on the service's thread, and every console waits for its return: pass the request
/// on to another thread and return. Once the machine's power has changed, tell the
/// [`ConsoleHandle`](crate::service::ConsoleHandle); these calls change nothing by themselves.
pub trait PowerControl: Send + Sync {
    /// A client asks to power the machine off.
    fn stop(&self);
    /// A client asks to power the machine on.
    fn start(&self);
    /// A client asks to reset the machine.
    fn restart(&self);
    /// A client asks to send the machine a non-maskable interrupt. Returns whether the machine can
    /// be sent one: not unless this is implemented.
    fn nmi(&self) -> bool {
        false
    }
}

/// Longest name of a console, in bytes. A longer one is cut at a character border.
const NAME_LIMIT: usize = 255;

/// The rules of one console.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use vm_console::ConsoleConfig;
///
/// let mut config = ConsoleConfig::named("vm-7");
/// config.session.idle_limit = Duration::from_secs(300);
/// config.carrier = true;
/// ```
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent options")]
pub struct ConsoleConfig {
    /// The console's name, as clients see it. Control, invisible and unassigned characters become
    /// `?`, and it is cut to 255 bytes. Default: `console`.
    pub name: String,
    /// The limits of a session.
    pub session: SessionPolicy,
    /// Decides who may attach, and who may read the log. Default: [`Everyone`] who can connect.
    pub authorizer: Arc<dyn Authorizer>,
    /// Lets clients that may attach stop, start and restart the machine. Default: not available.
    pub power: Option<Arc<dyn PowerControl>>,
    /// Where the replay begins for a client that does not ask for a place. Default: the oldest byte
    /// that is kept.
    pub replay: Start,
    /// Takes sequences that make a terminal type out of replays, unless a client asks for them; see
    /// [`replay_guard`](crate::replay_guard). Default: on.
    pub guard_replay: bool,
    /// What a client sees where output was overwritten before it could read it. Default: a note.
    /// Clients of a control socket are sent a gap frame in any case.
    pub gaps: GapPolicy,
    /// Sends raw clients a line for each warning and for the end of their session. If this is off,
    /// they are sent console bytes only, and a line if they are refused. Default: on.
    pub notices: bool,
    /// Most observers (read-only clients) at one time. Default: 16.
    pub max_observers: usize,
    /// Most connections at one time, with or without a session. One more takes the place of one that
    /// has no session, and has asked for nothing for longest; if all have one, it is turned away. Clients that the owner
    /// [attaches](crate::service::ConsoleHandle::attach) are let in all the same. Default: 64.
    pub max_connections: usize,
    /// Delays output to each client that is over a limit. Default: no limit.
    pub rate_limit: Option<RateLimit>,
    /// Drops output to each client that is over a limit, and tells it how much, as
    /// [`gaps`](Self::gaps) says of overwritten output; this ends no session. Default: no limit.
    pub drop_limit: Option<DropLimit>,
    /// Ends the session of a holder or an observer that is more than this many bytes behind. Output
    /// from before it attached does not count. Default: no limit.
    pub max_behind: Option<u64>,
    /// Holds the guest's output (THRE stays low) while the holder is more than
    /// [`lossless_window`](Self::lossless_window) behind, for at most this long at a time. After
    /// that the guest goes on, and the holder may miss output until it has caught up.
    ///
    /// Linux waits 10 ms for each character, so stay well below that. The guest never waits for
    /// observers, nor for the holder to read its replay. Default: never.
    pub lossless: Option<Duration>,
    /// How far the holder may be behind before [`lossless`](Self::lossless) holds output, in bytes.
    /// A value above the log's [tail](crate::LogConfig::tail) means the tail. Default: 64 KiB.
    pub lossless_window: u64,
    /// Makes DCD and DSR follow the session: a getty hangs up when it ends, and the next holder
    /// does not inherit a shell. After a session both stay low for
    /// [`CARRIER_PAUSE`](Self::CARRIER_PAUSE) at least, and input waits for so long. They are low
    /// too once the service has ended. Default: off, so both are always high.
    pub carrier: bool,
    /// Stores the time of each line in the log; [`TimedLines`](crate::TimedLines) shows them. Each
    /// line then reads the clock. Default: off.
    pub line_times: bool,
    /// How long a client may take to read the rest of its output after its session has ended.
    /// Default: 5 s.
    pub linger: Duration,
    /// The machine is off when the console is made. Its first boot then begins with
    /// [`power_on`](crate::service::ConsoleHandle::power_on), and nobody has a session before.
    /// Default: no, so it is on, and its first boot begins when the console is made.
    pub starts_off: bool,
}

impl ConsoleConfig {
    /// How long [`carrier`](Self::carrier) keeps DCD low between two sessions: 500 ms, long enough
    /// for a busy guest to notice.
    pub const CARRIER_PAUSE: Duration = Duration::from_millis(500);

    /// The defaults, with this name.
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
            drop_limit: None,
            max_behind: None,
            lossless: None,
            lossless_window: 64 << 10,
            carrier: false,
            line_times: false,
            linger: Duration::from_secs(5),
            starts_off: false,
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

/// One guest's console: its rules, its log and its counters.
///
/// It outlives the service. After a service was shut down the same console can be added to another
/// one, and the log, its offsets, the boot count and the counters go on. Clones are the same
/// console.
#[derive(Clone, Debug)]
pub struct Console {
    pub(crate) config: Arc<ConsoleConfig>,
    /// The name from `config`, in a form that many events can share.
    pub(crate) name: Arc<str>,
    pub(crate) log: BootLog,
    pub(crate) bell: Arc<EventFd>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) serving: Arc<Serving>,
}

impl Console {
    /// Makes a console on the log of `writer`, and the line to put into the guest's port.
    ///
    /// A boot begins in the log, since a machine starts with its console: the next one in a log that
    /// an earlier VMM has left, else the first. If the machine is still off, say so in
    /// [`starts_off`](ConsoleConfig::starts_off). Begin each later boot with
    /// [`reset`](crate::service::ConsoleHandle::reset) or
    /// [`power_on`](crate::service::ConsoleHandle::power_on).
    ///
    /// # Errors
    /// The doorbell's eventfd cannot be made, since no descriptor is left (`EMFILE`, `ENFILE`). The
    /// log has not changed then.
    pub fn new(config: ConsoleConfig, mut writer: LogWriter) -> io::Result<(ConsoleLine, Self)> {
        let bell = doorbell()?;
        let powered = !config.starts_off;
        if powered {
            writer.begin_boot(MarkKind::PowerOn, SystemTime::now().into());
        }
        Ok(Self::assemble(config, writer, bell, powered))
    }

    /// A console on the log as it is.
    pub(crate) fn assemble(
        mut config: ConsoleConfig,
        mut writer: LogWriter,
        bell: Arc<EventFd>,
        powered: bool,
    ) -> (ConsoleLine, Self) {
        // The field is public, so the name may not have come through `named`.
        config.name = printable(&config.name, NAME_LIMIT);
        writer.set_doorbell(Arc::clone(&bell));
        let counters = Arc::new(Counters::default());
        let log = writer.log();
        let line = ConsoleLine::new(
            writer,
            Arc::clone(&bell),
            Arc::clone(&counters),
            config.line_times,
            powered,
        );
        (
            line,
            Self {
                name: config.name.as_str().into(),
                config: Arc::new(config),
                log,
                bell,
                counters,
                serving: Arc::default(),
            },
        )
    }

    /// The rules it was made with.
    #[must_use]
    pub fn config(&self) -> &ConsoleConfig {
        &self.config
    }

    /// A handle for reading its log.
    #[must_use]
    pub fn log(&self) -> &BootLog {
        &self.log
    }

    /// Reads its counters, without a lock and without waiting. They are read one after the other,
    /// so two of them may differ by what happened in between.
    #[must_use]
    pub fn counters(&self) -> CounterValues {
        self.counters.values()
    }

    /// Sets the counters to `values`, which came with the guest from another host; counting goes on
    /// from there. [`resume`](Self::resume) does so by itself.
    pub fn restore_counters(&self, values: &CounterValues) {
        self.counters.restore(values);
    }
}
