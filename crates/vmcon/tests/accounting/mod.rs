//! Checks that output which was shown, and output that was told as lost, are all that was printed.

/// How output is accounted for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accounted {
    /// Bytes that were told as lost.
    pub lost: usize,
    /// Where the last byte that was shown or told ends.
    pub end: usize,
}

/// Goes through what `vmcon attach` has shown, with its notices at their place, of what was
/// `printed`. Guests print neither `[` nor `a`, with which notices begin.
///
/// # Panics
/// If a byte is not the one that was printed there.
#[track_caller]
pub(crate) fn accounted(shown: &[u8], printed: &[u8]) -> Accounted {
    let (mut lost, mut end) = (0, 0);
    let mut rest = shown;
    while let [first, others @ ..] = rest {
        if matches!(first, b'[' | b'a') {
            let length = rest.iter().position(|byte| *byte == b'\n').unwrap();
            let notice = String::from_utf8_lossy(&rest[..length]).into_owned();
            if let Some(count) = notice.strip_suffix(" bytes of output lost]") {
                let count: usize = count.trim_start_matches('[').parse().unwrap();
                lost += count;
                end += count;
            }
            rest = &rest[length + 1..];
            continue;
        }
        assert_eq!(
            printed.get(end),
            Some(first),
            "at {end}, before {:?}",
            String::from_utf8_lossy(&others[..others.len().min(100)])
        );
        end += 1;
        rest = others;
    }
    Accounted { lost, end }
}
