//! The console's rules, from the command line.

use std::sync::Arc;

use vm_console::ConsoleConfig;
use vm_console::session::{Identity, Right};
use vm_console::transport::stdio::FdClient;

use crate::arguments::{Arguments, SessionArguments};

/// The rules of the console.
pub(super) fn of(arguments: &Arguments) -> ConsoleConfig {
    let (session, flow) = (&arguments.session, &arguments.flow);
    let name = arguments.machine.name.as_ref();
    let mut config = ConsoleConfig::named(name.map_or("vmm", |id| id.as_str()));
    config.session = session.policy();
    if let Some(users) = Users::of(session) {
        config.authorizer =
            Arc::new(move |_: &str, who: &Identity, right| users.permit(who, right));
    }
    if let Some(count) = session.max_observers {
        config.max_observers = count;
    }
    if let Some(count) = session.max_connections {
        config.max_connections = count;
    }
    if let Some(time) = session.linger {
        config.linger = time;
    }
    config.carrier = session.carrier;
    if let Some(start) = flow.replay {
        config.replay = start;
    }
    config.guard_replay = !flow.no_replay_guard;
    if let Some(gaps) = flow.gaps {
        config.gaps = gaps.into();
    }
    config.notices = !flow.no_notices;
    config.rate_limit = flow.rate_limit;
    config.drop_limit = flow.drop_limit;
    config.max_behind = flow.max_behind;
    config.lossless = flow.lossless;
    if let Some(bytes) = flow.lossless_window {
        config.lossless_window = bytes;
    }
    config.line_times = arguments.log.line_times;
    config.starts_off = arguments.machine.starts_off;
    config
}

/// The rules of standard input and output as a client.
pub(super) fn of_terminal(mut client: FdClient, arguments: &Arguments) -> FdClient {
    if arguments.session.terminal_limits {
        client = client.with_limits();
    }
    if arguments.sockets.read_only {
        client = client.read_only();
    }
    if arguments.flow.newline_as_return {
        client = client.newline_as_return();
    }
    client
}

/// Who has which right.
struct Users {
    may_attach: Option<Vec<u32>>,
    may_read_log: Option<Vec<u32>>,
}

impl Users {
    fn of(arguments: &SessionArguments) -> Option<Self> {
        let users = Self {
            may_attach: arguments.may_attach.clone(),
            may_read_log: arguments.may_read_log.clone(),
        };
        (users.may_attach.is_some() || users.may_read_log.is_some()).then_some(users)
    }

    /// A client without credentials has no right that only some users have.
    fn permit(&self, who: &Identity, right: Right) -> bool {
        let users = match right {
            Right::Attach => &self.may_attach,
            Right::ReadLog => &self.may_read_log,
        };
        let uid = who.credentials().map(|known| known.uid);
        users
            .as_ref()
            .is_none_or(|users| uid.is_some_and(|uid| users.contains(&uid)))
    }
}
