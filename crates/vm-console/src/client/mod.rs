//! A client for the [control socket](crate::protocol), for programs that may block.
//!
//! ```no_run
//! use vm_console::client::ControlClient;
//! use vm_console::protocol::{AttachRequest, ServerFrame};
//!
//! let mut client = ControlClient::connect("/run/vm-7.control")?;
//! let status = client.status()?;
//! println!("{} has printed {} bytes", status.console, status.head);
//!
//! client.attach(&AttachRequest { name: "ada".into(), ..Default::default() })?;
//! client.typist()?.type_bytes(b"uptime\r")?;
//! while let Some(frame) = client.next_frame()? {
//!     match frame {
//!         ServerFrame::Output(output) => print!("{}", String::from_utf8_lossy(&output.bytes)),
//!         ServerFrame::Ended(end) => {
//!             println!("{}", end.text);
//!             break;
//!         }
//!         _ => {}
//!     }
//! }
//! # Ok::<(), vm_console::client::ClientError>(())
//! ```

mod connection;
mod control;
mod deadline;
mod error;
mod questions;
mod sender;
mod typist;
mod version_1;

pub use crate::protocol::Attached;
pub use control::ControlClient;
pub use error::ClientError;
pub use typist::Typist;
