//! Frames as a test sends them, in any version of the protocol.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use vm_console::protocol::{Answer, ClientFrame, Decoder, Request, ServerFrame};

use super::Rig;

/// A connection without a client's logic: it sends the frames of the test, in the test's order.
pub struct Frames {
    pub stream: UnixStream,
    decoder: Decoder,
    /// The version that it understands. In version 1 it has to know every byte that comes.
    pub version: u16,
}

impl Frames {
    pub fn connect(rig: &Rig) -> Self {
        Self {
            stream: rig.control_stream(),
            decoder: Decoder::default(),
            version: 1,
        }
    }

    /// A connection that has had the service's hello and welcome.
    pub fn of_version(version: u16, rig: &Rig) -> Self {
        let mut frames = Self::connect(rig);
        frames.version = version;
        frames.send(&hello(version));
        assert!(matches!(frames.next(), ServerFrame::Hello { .. }));
        assert!(matches!(frames.next(), ServerFrame::Welcome { .. }));
        frames
    }

    pub fn send(&mut self, frame: &ClientFrame) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    pub fn request(&mut self, id: u32, frame: ClientFrame) {
        let frame = Box::new(frame);
        self.send(&ClientFrame::Request(Request { id, frame }));
    }

    /// The next frame; `None` if the service has closed the connection.
    pub fn next_or_end(&mut self) -> Option<ServerFrame> {
        loop {
            if let Some(raw) = self.decoder.next_frame().unwrap() {
                return Some(ServerFrame::parse(raw, self.version).unwrap());
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).unwrap() {
                0 => return None,
                count => self.decoder.feed(&buffer[..count]),
            }
        }
    }

    pub fn next(&mut self) -> ServerFrame {
        self.next_or_end().expect("the service is there")
    }

    /// The next frame, which has to be the answer to request `id`.
    pub fn answer(&mut self, id: u32) -> ServerFrame {
        match self.next() {
            ServerFrame::Answer(Answer { id: named, frame }) if named == id => *frame,
            other => panic!("{other:?} in place of answer {id}"),
        }
    }
}

pub fn hello(version: u16) -> ClientFrame {
    ClientFrame::Hello {
        version,
        program: "test".into(),
    }
}
