//! Why somebody gets no session, as it is told.

use std::time::SystemTime;

use crate::log::UnixTime;
use crate::protocol::{Held, Refusal, RefusalCode};
use crate::session::Refused;
use crate::when::{LastInput, Span};

/// What a refused client is told.
pub(super) fn refusal(why: &Refused, time_of_day: SystemTime) -> Refusal {
    let (holder, text) = match why {
        Refused::Busy {
            holder,
            held_for,
            idle_for,
        } => {
            let since = time_of_day
                .checked_sub(*held_for)
                .unwrap_or(SystemTime::UNIX_EPOCH);
            let text = format!(
                "in use by {holder} since {} ({}), {}",
                UnixTime::from(since),
                Span(*held_for),
                LastInput(*idle_for)
            );
            let holder = Held {
                by: holder.to_string(),
                held_for: *held_for,
                idle_for: *idle_for,
            };
            (Some(holder), text)
        }
        Refused::PoweredOff
        | Refused::BootLogOff
        | Refused::NotPermitted
        | Refused::TooManyObservers
        | Refused::ShuttingDown => (None, why.to_string()),
    };
    Refusal {
        reason: RefusalCode::from(why),
        holder,
        text,
    }
}
