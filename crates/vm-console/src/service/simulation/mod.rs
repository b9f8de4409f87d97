//! The service over a simulated kernel, clock, clients and guest.
//!
//! The code of the service is the real one, beginning with [`Desk`](super::Desk). What it asks for
//! through [`Kernel`](super::kernel::Kernel), [`Stream`](crate::transport::stream::Stream) and
//! [`Accepts`](crate::transport::accept::Accepts) comes from here; only the eventfds are real. A
//! script says what happens, so that a run can be repeated and made shorter.
//!
//! | file | what |
//! |---|---|
//! | `script`, `shrink` | what happens, as a value; how it is made shorter |
//! | `net`, `kernel` | descriptors and what epoll would say of them; the event loop |
//! | `stream`, `doors` | connections, and the ways in |
//! | `guest` | the port, what it prints, what it is sent |
//! | `client`, `raw_client`, `control_client` | clients, and what they check of what they get |
//! | `world` | all of it together, and the steps of a script |
//! | `checks`, `finale` | what must hold after each event, and at the end |
//! | `watchdog` | the time limit of a test |

mod checks;
mod client;
mod control_client;
mod doors;
mod finale;
mod guest;
mod kernel;
mod net;
mod raw_client;
mod script;
#[cfg(test)]
mod shrink;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod watchdog;
mod world;

use self::script::Script;
use self::world::{Broken, Tally, World};

/// Runs the script that `bytes` stand for, and answers how many events the service has handled.
///
/// # Panics
/// The service broke a promise.
#[cfg(fuzzing)]
pub fn run(bytes: &[u8]) -> u64 {
    let script = Script::from_bytes(bytes);
    match follow(&script) {
        Ok(tally) => tally.events,
        Err(broken) => panic!("{broken}\n{script}"),
    }
}

/// Follows a script to its end.
fn follow(script: &Script) -> Result<Tally, Broken> {
    let mut world = World::new(script)?;
    for step in &script.steps {
        world
            .step(*step)
            .map_err(|broken| format!("{broken} (at {step:?})"))?;
    }
    world.finale(script.steps.len().is_multiple_of(2))?;
    Ok(world.tally)
}
