//! What hostile clients do, one deed for each kind of client.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use vm_console::Start;
use vm_console::protocol::{AttachRequest, ClientFrame, LogRequest};

use super::descriptors;

/// A while that keeps a deed going.
const MOMENT: Duration = Duration::from_millis(50);

/// One kind of hostile client.
pub(super) struct Deed {
    pub(super) name: &'static str,
    /// Done again and again, for a moment each time.
    pub(super) act: Box<dyn FnMut() -> Result<()> + Send>,
}

/// The ways into one console.
#[derive(Clone)]
pub(super) struct Doors {
    pub(super) raw: PathBuf,
    pub(super) force: PathBuf,
    pub(super) watch: PathBuf,
    pub(super) control: PathBuf,
}

impl Doors {
    pub(super) fn name(console: usize, door: &str) -> String {
        format!("victim-{console}-{door}")
    }

    pub(super) fn new(directory: &Path, console: usize) -> Self {
        let path = |door| directory.join(Self::name(console, door));
        Self {
            raw: path("raw"),
            force: path("force"),
            watch: path("watch"),
            control: path("control"),
        }
    }
}

/// A deed for each kind, spread over the consoles.
pub(super) fn all(doors: &[Doors]) -> Vec<Deed> {
    let mut console = (0..).map(|n: usize| doors[n % doors.len()].clone());
    let mut at = || console.next().unwrap_or_else(|| doors[0].clone());
    // The first console has the largest log.
    let (large, other) = (at(), at());
    let searches = vec![search(); 744];
    let session = [watch_lines(), ClientFrame::Detach];
    let sessions = std::iter::repeat_n(session, 50)
        .flatten()
        .collect::<Vec<_>>();
    let read = vec![read_all(); 500];
    let mut deeds = vec![
        flood(
            "searches through the whole log, answers read",
            &large,
            &searches,
            true,
        ),
        flood(
            "searches through the whole log, answers not read",
            &large,
            &searches,
            false,
        ),
        flood(
            "sessions that search the whole log",
            &large,
            &sessions,
            true,
        ),
        flood(
            "log reads under a rate limit, by a slow reader",
            &other,
            &read,
            true,
        ),
        flood(
            "log reads under a rate limit, answers not read",
            &other,
            &read,
            false,
        ),
        flood("log reads, by a slow reader", &at(), &read, true),
        flood(
            "questions for the status, answers not read",
            &at(),
            &vec![ClientFrame::Status; 1000],
            false,
        ),
        flood(
            "a holder's flood of BREAK",
            &at(),
            &holding(ClientFrame::Break),
            false,
        ),
        flood(
            "a holder's flood of typed bytes",
            &at(),
            &holding(ClientFrame::Data(vec![b'x'; 1000])),
            false,
        ),
        Deed {
            name: "a holder's flood of window sizes",
            act: resizes(&at()),
        },
    ];
    deeds.extend(visits(at));
    deeds
}

/// Deeds that begin with new connections each time.
fn visits(mut at: impl FnMut() -> Doors) -> Vec<Deed> {
    let mut deeds = Vec::new();
    let mut deed = |name, act: fn(&Doors) -> Result<()>| {
        let doors = at();
        deeds.push(Deed {
            name,
            act: Box::new(move || act(&doors)),
        });
    };
    deed("silent connections, as many as there may be", |doors| {
        let half = &encode(&[attach("never")])[..9];
        let _silent: Vec<_> = (0..70).map(|_| say(&doors.control, half)).collect();
        sleep(MOMENT);
        Ok(())
    });
    deed("connections opened and closed", |doors| {
        for door in [&doors.raw, &doors.watch, &doors.control, &doors.force] {
            drop(say(door, b"typed and gone"));
        }
        Ok(())
    });
    deed("bad frames", |doors| {
        let unknown = [2, 0, 0, 0, 0x7f, 0].repeat(2000);
        drop(say(&doors.control, &unknown));
        drop(say(&doors.control, &[0xff; 100]));
        Ok(())
    });
    deed("forced takeovers over control sockets", |doors| {
        let take = AttachRequest {
            force: true,
            ..request("taker")
        };
        drop(say(
            &doors.control,
            &encode(&[hello(), ClientFrame::Attach(take)]),
        ));
        Ok(())
    });
    deed("forced takeovers by clients that read nothing", |doors| {
        let _stopped: Vec<_> = (0..8).map(|_| say(&doors.force, b"mine")).collect();
        sleep(MOMENT);
        Ok(())
    });
    deed("half-closed clients", |doors| {
        let stream = say(&doors.force, b"x")?;
        stream.shutdown(Shutdown::Write)?;
        sleep(MOMENT);
        Ok(())
    });
    deed("observers of a full log that read nothing", |doors| {
        let _stopped: Vec<_> = (0..16).map(|_| say(&doors.watch, b"")).collect();
        sleep(MOMENT);
        Ok(())
    });
    deed("observers of a full log that read it once", |doors| {
        let mut stream = say(&doors.watch, b"")?;
        let mut left = 1 << 20;
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            match stream.read(&mut buffer)? {
                0 => return Ok(()),
                n => left -= n.min(left),
            }
        }
        Ok(())
    });
    deed(
        "sockets passed that cling when they are closed",
        descriptors::pass_clinging,
    );
    deed(
        "both ends of a socket pair passed",
        descriptors::pass_both_ends,
    );
    deeds
}

fn hello() -> ClientFrame {
    ClientFrame::Hello {
        version: 1,
        program: "hostile".into(),
    }
}

pub(super) fn request(name: &str) -> AttachRequest {
    AttachRequest {
        name: name.into(),
        ..AttachRequest::default()
    }
}

fn attach(name: &str) -> ClientFrame {
    ClientFrame::Attach(request(name))
}

fn search() -> ClientFrame {
    read(Start::Lines(u64::MAX), 0)
}

fn read_all() -> ClientFrame {
    read(Start::Oldest, u32::MAX)
}

fn read(start: Start, max: u32) -> ClientFrame {
    ClientFrame::LogRead(LogRequest {
        id: 1,
        start,
        log: None,
        max,
    })
}

/// More lines than there are.
fn watch_lines() -> ClientFrame {
    ClientFrame::Attach(AttachRequest {
        read_only: true,
        replay: Start::Lines(1000),
        ..request("reader")
    })
}

/// A session taken by force, and then one frame without end.
fn holding(frame: ClientFrame) -> Vec<ClientFrame> {
    let take = AttachRequest {
        force: true,
        replay: Start::Now,
        ..request("holder")
    };
    let mut frames = vec![ClientFrame::Attach(take)];
    frames.resize(1000, frame);
    frames
}

fn resizes(doors: &Doors) -> Box<dyn FnMut() -> Result<()> + Send> {
    let mut frames = holding(ClientFrame::Detach);
    for (size, frame) in (1u16..).zip(frames.iter_mut().skip(1)) {
        *frame = ClientFrame::Resize {
            columns: size,
            rows: size,
        };
    }
    flood("", doors, &frames, false).act
}

pub(super) fn encode(frames: &[ClientFrame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for frame in frames {
        frame.encode(&mut bytes);
    }
    bytes
}

/// The greeting of a client, and what it asks for.
pub(super) fn greeting(frames: &[ClientFrame]) -> Vec<u8> {
    [encode(&[hello()]), encode(frames)].concat()
}

/// Connects and says this.
pub(super) fn say(door: &Path, bytes: &[u8]) -> Result<UnixStream> {
    let mut stream = UnixStream::connect(door)?;
    stream.set_write_timeout(Some(MOMENT))?;
    stream.set_read_timeout(Some(MOMENT))?;
    stream.write_all(bytes)?;
    Ok(stream)
}

/// Asks the same again and again on one connection for as long as that lasts. A reader reads
/// slowly.
fn flood(name: &'static str, doors: &Doors, frames: &[ClientFrame], reads: bool) -> Deed {
    let door = doors.control.clone();
    let bytes = encode(frames);
    let mut open: Option<(UnixStream, usize)> = None;
    let mut buffer = vec![0; 64 << 10];
    let once = move || {
        let (mut stream, at) = match open.take() {
            Some(open) => open,
            None => (say(&door, &encode(&[hello()]))?, 0),
        };
        let sent = match stream.write(&bytes[at..]) {
            Ok(sent) => sent,
            Err(error) if is_full(&error) => 0,
            Err(error) => return Err(error),
        };
        if reads {
            match stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_full(&error) => {}
                Err(error) => return Err(error),
            }
        }
        open = Some((stream, (at + sent) % bytes.len()));
        Ok(())
    };
    Deed {
        name,
        act: Box::new(once),
    }
}

fn is_full(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
