//! Connections to control sockets, with a bound on every wait.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use vm_console::client::{ClientError, ControlClient};

use crate::failure::{Code, Failure};

/// How long a console may take to answer a request before it counts as not answering.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Connects to the control socket at `path`; every answer takes `limit` at most.
pub(crate) fn connect(path: &Path, limit: Duration) -> Result<ControlClient, Failure> {
    ControlClient::connect_within(path, limit).map_err(|error| match &error {
        ClientError::Io(io) => match io.kind() {
            ErrorKind::NotFound => Failure::new(Code::Gone, "its socket is not there"),
            ErrorKind::ConnectionRefused => Failure::new(
                Code::Gone,
                "nobody listens at its socket; its VMM has ended",
            ),
            ErrorKind::PermissionDenied => {
                Failure::new(Code::NotPermitted, "no permission to open its socket")
            }
            _ => error.into(),
        },
        ClientError::TimedOut(_) => Failure::new(
            Code::Unreachable,
            "no greeting came; its VMM has stopped, or this is a socket for raw bytes",
        ),
        ClientError::Frame(_) => Failure::new(
            Code::Unreachable,
            "this is no control socket; for one with raw bytes: socat -,raw,echo=0 UNIX:PATH",
        ),
        _ => error.into(),
    })
}
