//! What is measured: each scenario is played by a process of its own.

use vm_console::sandbox::Part;
use vm_console::session::Transport;

use super::plays;
use super::stage::Stage;
use crate::support::watchdog::Watchdog;

/// The environment variable that names the scenario to be played.
pub const VARIABLE: &str = "SANDBOX_SCENARIO";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// No client at all, and a guest that uses its port.
    Nobody,
    /// Clients of one transport, and each way their sessions can end.
    Clients(Transport),
    /// Descriptors that have to be closed, and a warning.
    Helpers,
    /// A text log that grows without bound, on a full disk too.
    TextLog,
    /// A text log that rotates.
    Rotation,
    /// Sockets passed over a control socket.
    Passing,
}

impl Scenario {
    pub const ALL: [Self; 11] = [
        Self::Nobody,
        Self::Clients(Transport::Unix),
        Self::Clients(Transport::Control),
        Self::Clients(Transport::Pty),
        Self::Clients(Transport::Stdio),
        Self::Clients(Transport::Passed),
        Self::Clients(Transport::Tcp),
        Self::Helpers,
        Self::TextLog,
        Self::Rotation,
        Self::Passing,
    ];

    pub fn name(self) -> String {
        match self {
            Self::Nobody => "nobody".into(),
            Self::Clients(transport) => transport.to_string().replace(' ', "-"),
            Self::Helpers => "helpers".into(),
            Self::TextLog => "text-log".into(),
            Self::Rotation => "rotation".into(),
            Self::Passing => "passing".into(),
        }
    }

    /// The parts of the table that it needs.
    pub fn parts(self) -> Vec<Part> {
        let transport = Part::Transport;
        match self {
            Self::Nobody | Self::TextLog => vec![Part::Core],
            Self::Rotation => vec![Part::Core, Part::Rotation],
            // Passed sockets are closed elsewhere, since their clients share them. A peer that does
            // not answer is warned of.
            Self::Clients(by @ (Transport::Passed | Transport::Tcp)) => {
                vec![Part::Core, transport(by), Part::HelperThreads]
            }
            Self::Clients(by) => vec![Part::Core, transport(by)],
            Self::Helpers => vec![
                Part::Core,
                Part::HelperThreads,
                transport(Transport::Unix),
                transport(Transport::Control),
            ],
            Self::Passing => vec![
                Part::Core,
                Part::HelperThreads,
                transport(Transport::Control),
                transport(Transport::Passed),
            ],
        }
    }

    pub fn play(self) {
        let _watchdog = Watchdog::new();
        let stage = Stage::new();
        match self {
            Self::Nobody => plays::nobody(&stage),
            Self::Clients(transport) => plays::clients(&stage, transport),
            Self::Helpers => plays::helpers(&stage),
            Self::TextLog => plays::text_log(&stage),
            Self::Rotation => plays::rotation(&stage),
            Self::Passing => plays::passing(&stage),
        }
        stage.shut_down();
    }
}
