//! Whatever arrives on a control socket, in whatever pieces: no panic, no growth, and what is understood is understood the
//! same way however it was cut.
//!
//! ```text
//! cargo +nightly fuzz run frames CORPUS fuzz/seeds/frames
//! ```
#![no_main]

use libfuzzer_sys::fuzz_target;
use vm_console::protocol::{ClientFrame, Decoder, FrameError, ServerFrame};

// The first byte is the size of the pieces.
fuzz_target!(|input: &[u8]| {
    let Some((&size, stream)) = input.split_first() else {
        return;
    };
    let whole = frames(stream, stream.len().max(1));
    assert_eq!(whole, frames(stream, usize::from(size).max(1)));
});

type Understood = (
    Result<ClientFrame, FrameError>,
    Result<ServerFrame, FrameError>,
);

fn frames(stream: &[u8], size: usize) -> (Vec<Understood>, Option<FrameError>) {
    let mut decoder = Decoder::default();
    let mut understood = Vec::new();
    for piece in stream.chunks(size) {
        decoder.feed(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    understood.push((ClientFrame::parse(frame), ServerFrame::parse(frame)));
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
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            assert_eq!(
                ClientFrame::parse(only_frame(&mut decoder_of(&bytes))).as_ref(),
                Ok(frame)
            );
        }
        if let Ok(frame) = server {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            assert_eq!(
                ServerFrame::parse(only_frame(&mut decoder_of(&bytes))).as_ref(),
                Ok(frame)
            );
        }
    }
    (understood, None)
}

fn decoder_of(bytes: &[u8]) -> Decoder {
    let mut decoder = Decoder::default();
    decoder.feed(bytes);
    decoder
}

fn only_frame(decoder: &mut Decoder) -> vm_console::protocol::RawFrame<'_> {
    decoder
        .next_frame()
        .expect("a length of our own")
        .expect("a whole frame")
}
