//! A client of any transport.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec};
use vm_console::client::ControlClient;
use vm_console::protocol::{AttachRequest, ServerFrame};

use crate::support::{open_terminal, wait_until};

pub struct Client {
    /// What hangs up when the service lets go of it. A TCP socket sees only the end of its input.
    hangs_up: Option<OwnedFd>,
    kind: Kind,
}

enum Kind {
    Bytes { from: File, to: File },
    Control(Box<ControlClient>),
}

impl Client {
    fn of_files(from: File, to: File) -> Self {
        Self {
            hangs_up: Some(from.try_clone().unwrap().into()),
            kind: Kind::Bytes { from, to },
        }
    }

    fn of_socket(stream: &UnixStream) -> Self {
        let half = || File::from(OwnedFd::from(stream.try_clone().unwrap()));
        Self::of_files(half(), half())
    }

    pub fn of_unix(path: &Path) -> Self {
        Self::of_socket(&UnixStream::connect(path).unwrap())
    }

    pub fn of_tcp(stream: &TcpStream) -> Self {
        let half = || File::from(OwnedFd::from(stream.try_clone().unwrap()));
        Self {
            hangs_up: None,
            ..Self::of_files(half(), half())
        }
    }

    pub fn of_pair() -> (Self, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Self::of_socket(&ours), theirs)
    }

    pub fn of_control(path: &Path, force: bool) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        let hangs_up = Some(stream.try_clone().unwrap().into());
        let mut client = ControlClient::from_stream(stream).unwrap();
        let request = AttachRequest {
            force,
            ..AttachRequest::default()
        };
        client.attach(&request).unwrap();
        let kind = Kind::Control(Box::new(client));
        Self { hangs_up, kind }
    }

    pub fn of_pty(link: &Path) -> Self {
        let pty = open_terminal(link);
        Self::of_files(pty.try_clone().unwrap(), pty)
    }

    /// With the other ends of both pipes: the console's input and output.
    pub fn of_pipes() -> (Self, PipeReader, PipeWriter) {
        let (input, typing) = std::io::pipe().unwrap();
        let (screen, output) = std::io::pipe().unwrap();
        let client = Self::of_files(OwnedFd::from(screen).into(), OwnedFd::from(typing).into());
        (client, input, output)
    }

    pub fn types(&mut self, bytes: &[u8]) {
        match &mut self.kind {
            Kind::Bytes { to, .. } => to.write_all(bytes).unwrap(),
            Kind::Control(client) => client.typist().unwrap().type_bytes(bytes).unwrap(),
        }
    }

    /// Reads until `text` has come.
    pub fn reads(&mut self, text: &[u8]) {
        let mut seen = Vec::new();
        while !seen.ends_with(text) {
            match &mut self.kind {
                Kind::Bytes { from, .. } => {
                    let mut byte = [0];
                    from.read_exact(&mut byte).unwrap();
                    seen.extend(byte);
                }
                Kind::Control(client) => {
                    if let Some(ServerFrame::Output(output)) = client.next_frame().unwrap() {
                        seen.extend(output.bytes);
                    }
                }
            }
        }
    }

    /// Waits until the service has let go of it. Only a TCP client reads meanwhile.
    pub fn is_let_go(&mut self) {
        let Some(hangs_up) = &self.hangs_up else {
            if let Kind::Bytes { from, .. } = &mut self.kind {
                // A reset is an end too.
                let _ = from.read_to_end(&mut Vec::new());
            }
            return;
        };
        wait_until("the service lets go of its client", || {
            let mut poll = [PollFd::new(hangs_up, PollFlags::empty())];
            rustix::event::poll(&mut poll, Some(&Timespec::default())).unwrap();
            poll[0].revents().contains(PollFlags::HUP)
        });
    }
}
