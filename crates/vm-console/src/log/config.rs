//! How much of the console's output is kept.

use std::fmt;

use super::error::LogError;

/// Sizes of a [`BootLog`](super::BootLog), chosen when it is made.
///
/// ```
/// use vm_console::LogConfig;
///
/// let config = LogConfig { tail: 4 << 20, ..LogConfig::default() };
/// assert_eq!(config.head, 64 << 10);
/// config.check().unwrap();
/// assert!(LogConfig { tail: 0, ..config }.check().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// How many of the newest bytes are always kept: 1 to [`LogConfig::MAX_TAIL`], 1 MiB by
    /// default. It need not be a power of two.
    pub tail: u64,
    /// How many of the first bytes of each boot are kept: 0 to [`LogConfig::MAX_HEAD`], 64 KiB by
    /// default.
    pub head: u64,
    /// How many boots have their head kept: 1 to [`LogConfig::MAX_BOOTS`], 4 by default. When
    /// another boot begins, the head of the oldest is given up.
    pub boots: u64,
}

impl LogConfig {
    /// Largest [`tail`](Self::tail): 64 GiB.
    pub const MAX_TAIL: u64 = 64 << 30;
    /// Largest [`head`](Self::head): 1 GiB.
    pub const MAX_HEAD: u64 = 1 << 30;
    /// Largest [`boots`](Self::boots).
    pub const MAX_BOOTS: u64 = 16;

    /// Checks every field against its range.
    ///
    /// # Errors
    /// [`LogError::Size`] names the field, its value and the range.
    pub fn check(&self) -> Result<(), LogError> {
        for (field, given, min, max) in [
            ("tail", self.tail, 1, Self::MAX_TAIL),
            ("head", self.head, 0, Self::MAX_HEAD),
            ("boots", self.boots, 1, Self::MAX_BOOTS),
        ] {
            if !(min..=max).contains(&given) {
                return Err(LogError::Size {
                    field,
                    given,
                    min,
                    max,
                });
            }
        }
        Ok(())
    }

    /// Whether it asks for another size than a log has that was `made` before. Nobody has asked for
    /// a default.
    pub(super) fn asks_to_change(&self, made: Self) -> bool {
        let default = Self::default();
        [
            (self.tail, made.tail, default.tail),
            (self.head, made.head, default.head),
            (self.boots, made.boots, default.boots),
        ]
        .iter()
        .any(|(wanted, made, default)| wanted != made && wanted != default)
    }
}

/// As in "tail 1048576, head 65536, boots 4".
impl fmt::Display for LogConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tail, head, boots } = self;
        write!(f, "tail {tail}, head {head}, boots {boots}")
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            tail: 1 << 20,
            head: 64 << 10,
            boots: 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_size_that_was_asked_for_is_missed() {
        let default = LogConfig::default();
        let small = LogConfig {
            tail: 4096,
            ..default
        };
        assert!(small.asks_to_change(default));
        assert!(!small.asks_to_change(small));
        assert!(!default.asks_to_change(small));
        assert!(LogConfig { boots: 2, ..small }.asks_to_change(small));
    }
}
