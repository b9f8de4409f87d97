//! Which boot a number means.

use std::fmt::Write as _;

use vm_console::protocol::{BootInfo, Boots};

use crate::failure::{Code, Failure};

/// The boot of this number; from 0 down, so many before the present one.
pub(super) fn boot(boots: &Boots, number: i64) -> Result<BootInfo, Failure> {
    let epoch = match u64::try_from(number) {
        Ok(0) => Some(boots.epoch),
        Ok(epoch) => Some(epoch),
        Err(_) => boots.epoch.checked_sub(number.unsigned_abs()),
    };
    let refuse = |why: &str| {
        let kept = kept(boots);
        Failure::new(
            Code::Usage,
            format_args!("--boot {number}: {why}; kept: {kept}"),
        )
    };
    let Some(epoch) = epoch.filter(|epoch| (1..=boots.epoch).contains(epoch)) else {
        let why = match boots.epoch {
            0 => "the machine was never started".to_owned(),
            1 => "there was only one boot".to_owned(),
            count => format!("there were only {count} boots"),
        };
        return Err(refuse(&why));
    };
    let boot = boots.boots.iter().find(|boot| boot.epoch == epoch);
    match boot {
        Some(boot) if boot.kept > 0 || boot.start == boot.end => Ok(*boot),
        _ => Err(refuse(&format!("nothing of boot {epoch} is left"))),
    }
}

/// The numbers of the boots of which something is left: `3, 5-7`.
fn kept(boots: &Boots) -> String {
    let mut text = String::new();
    let kept: Vec<u64> = boots
        .boots
        .iter()
        .filter(|boot| boot.kept > 0)
        .map(|boot| boot.epoch)
        .collect();
    for run in kept.chunk_by(|a, b| a + 1 == *b) {
        let comma = if text.is_empty() { "" } else { ", " };
        // Nothing that is written to a string fails.
        let _ = match run {
            [one] => write!(text, "{comma}{one}"),
            [first, .., last] => write!(text, "{comma}{first}-{last}"),
            [] => Ok(()),
        };
    }
    if text.is_empty() {
        "none".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vm_console::protocol::MarkCode;

    fn known(numbers: &[(u64, u64)]) -> Boots {
        let boots = numbers.iter().map(|&(epoch, kept)| BootInfo {
            epoch,
            kind: MarkCode::Reset,
            at: None,
            start: epoch * 100,
            end: epoch * 100 + 100,
            oldest: epoch * 100,
            kept,
        });
        Boots {
            epoch: numbers.last().map_or(0, |last| last.0),
            boots: boots.collect(),
            ..Boots::default()
        }
    }

    #[test]
    fn boots_are_counted_from_the_first_or_back_from_the_present() {
        let boots = known(&[(3, 1), (4, 0), (5, 9), (6, 9), (7, 9)]);
        let epoch = |number| {
            boot(&boots, number)
                .map(|boot| boot.epoch)
                .map_err(|e| e.message)
        };
        assert_eq!(epoch(7), Ok(7));
        assert_eq!(epoch(0), Ok(7));
        assert_eq!(epoch(-1), Ok(6));
        assert_eq!(epoch(3), Ok(3));
        let refused = |text: &str| Err(text.to_owned());
        assert_eq!(
            epoch(4),
            refused("--boot 4: nothing of boot 4 is left; kept: 3, 5-7")
        );
        assert_eq!(
            epoch(-5),
            refused("--boot -5: nothing of boot 2 is left; kept: 3, 5-7")
        );
        assert_eq!(
            epoch(8),
            refused("--boot 8: there were only 7 boots; kept: 3, 5-7")
        );
        assert_eq!(epoch(i64::MIN).map_err(|_| ()), Err(()));
        assert!(boot(&known(&[]), 0).is_err());
    }
}
