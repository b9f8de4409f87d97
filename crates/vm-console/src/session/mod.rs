//! Who may type: one exclusive holder, chosen by a pure state machine.
//!
//! [`Session`] knows no socket, no clock and no thread. It is told the time as a
//! [`Duration`](std::time::Duration) since any fixed origin, from a monotonic clock, and it returns
//! the consequences as values. So a test can run all of it a million times.
//!
//! ```
//! use std::time::Duration;
//! use vm_console::session::{EndReason, Identity, Refused, Session, SessionPolicy, Transport};
//!
//! let at = Duration::from_secs;
//! let mut session = Session::new(SessionPolicy::default());
//! let ada = Identity::new(Transport::Unix, "ada");
//! let bob = Identity::new(Transport::Unix, "bob");
//!
//! let held = session.attach(at(0), ada.clone(), false).lease.unwrap();
//! assert!(session.input(at(1), held), "the holder may type");
//!
//! // Without force, an attach is refused, and the answer names the holder.
//! let refused = session.attach(at(5), bob.clone(), false).lease.unwrap_err();
//! assert!(matches!(refused, Refused::Busy { holder, .. } if holder == ada));
//!
//! // With force, the old holder's session ends with a reason that names the taker.
//! let taken = session.attach(at(6), bob.clone(), true);
//! assert_eq!(taken.ended.unwrap().reason, EndReason::TakenOver { by: bob });
//! assert!(!session.input(at(7), held), "the old holder cannot type any more");
//! ```
//!
//! # Limits and odd clocks
//!
//! | case | what happens |
//! |---|---|
//! | a limit of zero | there is no such limit |
//! | a deadline beyond [`Duration::MAX`](std::time::Duration::MAX) | there is no such limit |
//! | a warning time that is zero, or not shorter than the limit | no warning before that limit |
//! | the clock stands still | nothing expires, everything else works |
//! | the clock goes back | it counts as standing still until it has caught up |
//! | the clock leaps over a limit | the next [`tick`](Session::tick) or attach ends the session |
//! | both limits fall on one instant | the absolute one is named: no input could have moved it |
//! | input after the idle limit, before a tick | is refused, and does not revive the session |

mod authorizer;
mod machine;
mod reason;

pub use crate::transport::Transport;
pub(crate) use crate::transport::identity::printable;
pub use crate::transport::identity::{Credentials, Identity, NAME_LIMIT};
pub use authorizer::{Authorizer, Everyone, Right};
pub use machine::{Attach, Ended, Holder, Lease, Limit, Session, SessionPolicy, Tick};
pub use reason::{EndReason, Refused};
