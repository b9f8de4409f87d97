//! `--replay`: what to show of what was printed before.

use vm_console::Start;

/// Parses what `--replay` says.
pub(super) fn parse(text: &str) -> Result<Start, String> {
    let number = |text: &str| {
        text.parse()
            .map_err(|_| format!("{text:?} is no whole number"))
    };
    match text.split_once('=') {
        None => match text {
            "all" => Ok(Start::Oldest),
            "none" => Ok(Start::Now),
            "boot" => Ok(Start::ThisBoot),
            lines => lines
                .parse()
                .map(Start::Lines)
                .map_err(|_| "all, none, a number of lines, boot, boot=N, or offset=N".to_owned()),
        },
        Some(("boot", epoch)) => number(epoch).map(Start::Boot),
        Some(("offset", offset)) => number(offset).map(Start::Offset),
        Some((other, _)) => Err(format!("{other:?}: only boot=N and offset=N take a number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_a_start() {
        for (text, start) in [
            ("all", Start::Oldest),
            ("none", Start::Now),
            ("0", Start::Lines(0)),
            ("25", Start::Lines(25)),
            ("boot", Start::ThisBoot),
            ("boot=3", Start::Boot(3)),
            ("offset=18446744073709551615", Start::Offset(u64::MAX)),
        ] {
            assert_eq!(parse(text), Ok(start), "{text}");
        }
        for text in ["", "some", "-1", "boot=", "boot=-1", "offset=x", "lines=3"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
