//! Whatever arrives on a control socket, in whatever pieces: no panic, no growth, and what is
//! understood is understood the same way however it was cut, in every version of the protocol.
//!
//! ```text
//! cargo +nightly fuzz run frames CORPUS fuzz/seeds/frames
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use vm_console::protocol::{ClientFrame, Decoder, FrameError, RawFrame, ServerFrame, VERSION};

// The first byte is the size of the pieces.
fuzz_target!(|input: &[u8]| {
    let Some((&size, stream)) = input.split_first() else {
        return;
    };
    for version in 1..=VERSION {
        let whole = frames(stream, stream.len().max(1), version);
        let cut = frames(stream, usize::from(size).max(1), version);
        assert_eq!(whole, cut);
    }
});

type Understood = (
    Result<ClientFrame, FrameError>,
    Result<ServerFrame, FrameError>,
);

fn frames(stream: &[u8], size: usize, version: u16) -> (Vec<Understood>, Option<FrameError>) {
    let mut decoder = Decoder::default();
    let mut understood = Vec::new();
    for piece in stream.chunks(size) {
        decoder.feed(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    understood.push((
                        ClientFrame::parse(frame, version),
                        ServerFrame::parse(frame, version),
                    ));
                }
                Ok(None) => break,
                // Nothing after a broken length can be trusted.
                Err(error) => return (understood, Some(error)),
            }
        }
        assert!(decoder.pending() <= stream.len());
    }
    for (client, server) in &understood {
        if let Ok(frame) = client {
            assert!(frame.kind().since() <= version && frame.since() <= version);
            let again = |raw: RawFrame<'_>| ClientFrame::parse(raw, version);
            assert_eq!(through(|out| frame.encode(out), again).as_ref(), Ok(frame));
        }
        if let Ok(frame) = server {
            assert!(frame.kind().since() <= version);
            let again = |raw: RawFrame<'_>| ServerFrame::parse(raw, version);
            assert_eq!(through(|out| frame.encode(out), again).as_ref(), Ok(frame));
        }
    }
    (understood, None)
}

/// The frame that is read from what is written.
fn through<T>(encode: impl FnOnce(&mut Vec<u8>), parse: impl FnOnce(RawFrame<'_>) -> T) -> T {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    let mut decoder = Decoder::default();
    decoder.feed(&bytes);
    let raw = decoder.next_frame().expect("a length of our own");
    parse(raw.expect("a whole frame"))
}
