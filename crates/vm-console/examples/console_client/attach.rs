//! `attach`: a session at this terminal.

use std::io::{self, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use vm_console::client::{ClientError, ControlClient, Typist};
use vm_console::escape::{Escape, Typed};
use vm_console::protocol::{AttachRequest, ServerFrame};
use vm_console::signals::{Signals, die_by};
use vm_console::transport::terminal::Terminal;

use crate::exit::{Stop, notice};
use crate::greeting::greeted;

/// Most reads of the keyboard that wait while the guest does not take its input.
const AHEAD: usize = 256;
/// How long leaving may wait for a guest that takes no input.
const HURRY: Duration = Duration::from_secs(1);

pub(crate) fn attach(path: &Path, request: &AttachRequest) -> Result<(), Stop> {
    let stream = greeted(path)?;
    let connection = stream.try_clone().map_err(Stop::failed)?;
    let mut client = ControlClient::from_stream(stream)?;
    client.attach(&AttachRequest {
        // With a terminal at neither end nothing answers the sequences of a replay.
        unguarded: !io::stdin().is_terminal() && !io::stdout().is_terminal(),
        ..request.clone()
    })?;
    let signals = Signals::hold().map_err(Stop::failed)?;
    let terminal = Terminal::raw(io::stdin()).map_err(Stop::failed)?;
    let restorer = terminal.as_ref().map(Terminal::restorer);
    signals
        .answer(restorer.clone(), move |signal| {
            if let Some(restorer) = &restorer {
                restorer.restore();
            }
            die_by(signal)
        })
        .map_err(Stop::failed)?;

    let leaving = Arc::new(AtomicBool::new(false));
    let (typed, to_send) = sync_channel(AHEAD);
    let typist = client.typist().map_err(Stop::failed)?;
    thread::spawn(move || send(&to_send, typist));
    let keyboard = Keyboard {
        typed,
        connection,
        leaving: Arc::clone(&leaving),
        read_only: request.read_only,
    };
    thread::spawn(move || keyboard.read());

    let end = show(&mut client);
    drop(terminal);
    let left = leaving.load(Ordering::Acquire);
    match end? {
        Some(text) => notice(format_args!("\nsession over: {text}\n")),
        None if left => notice("\nleft; the guest had not taken all that was typed\n"),
        None => notice("\nthe console service is gone\n"),
    }
    if left { Ok(()) } else { Err(Stop::Told) }
}

/// An item on its way to the service.
enum Input {
    Bytes(Vec<u8>),
    Break,
    Detach,
}

/// Standard input. It is read even while the guest takes nothing, so that the user can always
/// leave.
struct Keyboard {
    typed: SyncSender<Input>,
    connection: UnixStream,
    leaving: Arc<AtomicBool>,
    read_only: bool,
}

impl Keyboard {
    fn read(&self) {
        let mut escape = Escape::default();
        let mut buffer = [0; 4096];
        loop {
            let count = match io::stdin().read(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => 0, // a terminal that was closed
            };
            if count == 0 {
                if !self.read_only {
                    self.leaving.store(true, Ordering::Release);
                    self.pass(Input::Detach);
                }
                return;
            }
            let mut keys = Vec::new();
            escape.feed(&buffer[..count], |key| keys.push(key));
            let mut bytes = Vec::new();
            for key in keys {
                if let Typed::Byte(byte) = key {
                    bytes.push(byte);
                    continue;
                }
                self.pass(Input::Bytes(std::mem::take(&mut bytes)));
                match key {
                    Typed::Byte(_) => {}
                    Typed::Reset => notice("\r\n[not built into this example]\r\n"),
                    Typed::Break => self.pass(Input::Break),
                    Typed::Help => notice("\r\n~. leave   ~B send BREAK   ~~ a tilde\r\n"),
                    Typed::Leave => return self.leave_in_time(),
                }
            }
            self.pass(Input::Bytes(bytes));
        }
    }

    /// Leaves. The connection is closed after a while even if the guest does not take earlier
    /// input.
    fn leave_in_time(&self) {
        self.leaving.store(true, Ordering::Release);
        // If there is no room, the sender is stuck and would not see it.
        let _ = self.typed.try_send(Input::Detach);
        thread::sleep(HURRY);
        let _ = self.connection.shutdown(Shutdown::Both);
    }

    fn pass(&self, input: Input) {
        if self.read_only && !matches!(input, Input::Detach) {
            return;
        }
        // This fails if the sender has ended, which happens at the end of the connection. The
        // session is over then.
        let _ = self.typed.send(input);
    }
}

/// Sends the typed input, and waits while the guest does not take it.
fn send(inputs: &Receiver<Input>, mut typist: Typist) {
    for input in inputs {
        let sent = match input {
            Input::Bytes(bytes) => typist.type_bytes(&bytes),
            Input::Break => typist.send_break(),
            Input::Detach => typist.detach(),
        };
        if sent.is_err() {
            return; // the connection is gone, as `show` will see
        }
    }
}

/// Shows output until the session is over. Returns the reason, if the service told one.
fn show(client: &mut ControlClient) -> Result<Option<String>, Stop> {
    let mut out = io::stdout().lock();
    while let Some(frame) = next_frame(client)? {
        match frame {
            ServerFrame::Output(output) => out
                .write_all(&output.bytes)
                .and_then(|()| out.flush())
                .map_err(|error| Stop::by_output(&error))?,
            ServerFrame::Gap { from, to } => notice(format_args!(
                "\r\n[{} bytes of output lost]\r\n",
                to.saturating_sub(from)
            )),
            ServerFrame::Warning(warning) => notice(format_args!(
                "\r\n[the session ends in {} s]\r\n",
                warning.remaining.as_secs()
            )),
            ServerFrame::Boot { epoch, .. } => notice(format_args!("\r\n[boot {epoch}]\r\n")),
            ServerFrame::Error { text, .. } => notice(format_args!("\r\n[{text}]\r\n")),
            ServerFrame::Ended(end) => return Ok(Some(end.text)),
            _ => {}
        }
    }
    Ok(None)
}

fn next_frame(client: &mut ControlClient) -> Result<Option<ServerFrame>, ClientError> {
    match client.next_frame() {
        // The service is gone, and has not read all of the input.
        Err(ClientError::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
        other => other,
    }
}
