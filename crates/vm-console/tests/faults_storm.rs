//! All hostile clients at once, beside honest ones. No honest client is stopped or loses a byte.

mod support;

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use support::clinging::clinging;
use support::control::{encode, hello, log_read, named, try_pass};
use support::{Client, Rig, join, pattern, wait_until};
use vm_console::Start;
use vm_console::protocol::{AttachRequest, ClientFrame, PowerAction};
use vm_console::transport::{Listener, pty::Pty};
use vm_console::{ConsoleConfig, GuestPort, PowerControl};

const HONEST: usize = 20;
const LASTS: Duration = Duration::from_secs(8);

struct Ignored;

impl PowerControl for Ignored {
    fn stop(&self) {}
    fn start(&self) {}
    fn restart(&self) {}
}

/// Connects and sends this, if the service lets it.
fn say(path: &Path, bytes: &[u8]) -> Option<UnixStream> {
    let mut stream = UnixStream::connect(path).ok()?;
    let moment = Some(Duration::from_millis(50));
    stream.set_write_timeout(moment).ok()?;
    stream.set_read_timeout(moment).ok()?;
    stream.write_all(bytes).ok()?;
    Some(stream)
}

/// Sends requests without end, and reads the answers if `reads`.
fn flood(path: &Path, frames: &[ClientFrame], reads: bool) {
    let Some(mut stream) = say(path, &encode(&[hello()])) else {
        return;
    };
    let bytes = encode(frames).repeat(200);
    let mut buffer = vec![0; 256 << 10];
    for _ in 0..200 {
        if stream.write_all(&bytes).is_err() {
            return;
        }
        if reads && stream.read(&mut buffer).is_err() {
            return;
        }
    }
}

fn forced(name: &str) -> AttachRequest {
    AttachRequest {
        force: true,
        ..named(name)
    }
}

/// Hostile clients, each repeated in a thread of its own until told to stop.
fn hostile(dir: &Path, stop: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
    let control = || dir.join("control");
    let (raw, force, watch, pty) = (
        dir.join("raw"),
        dir.join("force"),
        dir.join("watch"),
        dir.join("pty"),
    );
    let flooding = |frames: Vec<ClientFrame>, reads: bool| -> Box<dyn FnMut() + Send> {
        let path = control();
        Box::new(move || flood(&path, &frames, reads))
    };
    let holding = |frame: ClientFrame| {
        let attach = ClientFrame::Attach(forced("mallory"));
        flooding([vec![attach], vec![frame; 50]].concat(), false)
    };
    let searches = || log_read(1, Start::Lines(u64::MAX), 0);
    let session = || vec![ClientFrame::Attach(named("again")), ClientFrame::Detach];
    let mut deeds: Vec<Box<dyn FnMut() + Send>> = vec![
        flooding(vec![searches()], true),
        flooding(vec![searches()], false),
        flooding(vec![log_read(1, Start::Oldest, u32::MAX)], true),
        flooding(vec![log_read(1, Start::Oldest, u32::MAX)], false),
        flooding(vec![ClientFrame::Status], false),
        flooding(session(), true),
        flooding(session(), false),
        flooding(vec![ClientFrame::Attach(named("refused"))], true),
        holding(ClientFrame::Break),
        holding(ClientFrame::Data(vec![b'x'; 1000])),
        holding(ClientFrame::Resize {
            columns: 80,
            rows: 25,
        }),
    ];
    let path = control();
    deeds.push(Box::new(move || {
        let power = encode(&[hello(), ClientFrame::Power(PowerAction::Stop)]);
        drop(say(&path, &power));
    }));
    let path = control();
    deeds.push(Box::new(move || drop(say(&path, &[0xff; 100]))));
    let path = control();
    deeds.push(Box::new(move || {
        let half = encode(&[ClientFrame::Attach(named("never"))]);
        let _silent: Vec<_> = (0..64).map(|_| say(&path, &half[..9])).collect();
        std::thread::sleep(Duration::from_millis(100));
    }));
    for path in [control(), raw.clone(), watch] {
        deeds.push(Box::new(move || cling(&path)));
    }
    let path = control();
    deeds.push(Box::new(move || bite_its_own_tail(&path)));
    deeds.push(Box::new(move || {
        // This one reads nothing, and sends nothing more.
        let stopped = say(&force, b"x");
        std::thread::sleep(Duration::from_millis(50));
        if let Some(stream) = stopped {
            let _ = stream.shutdown(std::net::Shutdown::Write);
            std::thread::sleep(Duration::from_millis(50));
        }
    }));
    deeds.push(Box::new(move || {
        drop(say(&raw, b"typed and gone"));
    }));
    deeds.push(Box::new(move || {
        let flags = rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::NONBLOCK;
        let mut options = std::fs::OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let _both = (options.open(&pty), options.open(&pty));
    }));
    deeds
        .into_iter()
        .map(|mut deed| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    deed();
                    std::thread::yield_now();
                }
            })
        })
        .collect()
}

/// Passes sockets whose close waits.
fn cling(path: &Path) {
    let Some(stream) = say(path, b"") else {
        return;
    };
    let (socket, _peer) = clinging();
    let _ = try_pass(&stream, &encode(&[hello()]), &[socket.as_fd()]);
    // The close waits here too, so another thread does it.
    std::thread::spawn(move || drop(socket));
    drop(stream);
    std::thread::sleep(Duration::from_millis(20));
}

/// Passes both ends of a socket pair, one as holder and one as observer, and leaves.
fn bite_its_own_tail(path: &Path) {
    let Some(stream) = say(path, &encode(&[hello()])) else {
        return;
    };
    let (one, other) = UnixStream::pair().unwrap();
    for (end, read_only) in [(one, false), (other, true)] {
        let request = AttachRequest {
            read_only,
            ..forced("ouroboros")
        };
        let frame = encode(&[ClientFrame::AttachDescriptor(request)]);
        let _ = try_pass(&stream, &frame, &[end.as_fd()]);
    }
    std::thread::sleep(Duration::from_millis(50));
}

/// A client that types a key for each piece that it reads. Returns how many.
fn honest(rig: &Rig, stop: &AtomicBool, shown: &AtomicU64) {
    let mut client = rig.attach("raw");
    let mut at = 0;
    while !stop.load(Ordering::Relaxed) {
        let piece = pattern(at, 100);
        rig.print(&piece);
        assert!(client.read(piece.len()) == piece, "at {at}");
        client.send(b"k");
        assert_eq!(rig.read_input(1), b"k");
        at += piece.len() as u64;
        shown.store(at, Ordering::Relaxed);
    }
    assert_eq!(rig.log.head(), at);
    assert_eq!(rig.counters().output_lost, 0);
}

#[test]
fn honest_clients_get_every_byte_and_the_service_answers_amid_all_hostile_ones() {
    let mut config = ConsoleConfig::named("attacked");
    config.linger = Duration::from_secs(1);
    config.power = Some(Arc::new(Ignored));
    let attacked = Rig::with(config).for_long();
    let link: PathBuf = attacked.path("pty");
    attacked
        .console
        .listen(Listener::pty(Pty::open(&link).unwrap()));
    // One long line, so that a search for lines goes far.
    attacked.port.with_line(&mut |line| {
        line.transmit(&vec![b'x'; 1 << 20]);
    });
    let neighbours: Vec<_> = (0..HONEST)
        .map(|n| Arc::new(attacked.beside(ConsoleConfig::named(&format!("honest {n}")))))
        .collect();

    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicBool::new(false));
    let honest: Vec<_> = neighbours
        .iter()
        .map(|rig| {
            let shown = Arc::new(AtomicU64::new(0));
            let (rig, done, at) = (rig.clone(), done.clone(), shown.clone());
            let thread = std::thread::spawn(move || honest(&rig, &done, &at));
            (thread, shown)
        })
        .collect();
    let hostile = hostile(attacked.dir.path(), &stop);

    let begin = Instant::now();
    let mut answers = 0;
    while begin.elapsed() < LASTS {
        attacked.prompt_status();
        neighbours[answers % HONEST].prompt_status();
        attacked.take_input();
        attacked.print(b"the guest goes on\n");
        answers += 1;
    }
    // All of that was served during the storm.
    let shown: Vec<_> = honest
        .iter()
        .map(|(_, shown)| shown.load(Ordering::Relaxed))
        .collect();
    done.store(true, Ordering::Relaxed);
    for (thread, _) in honest {
        join("an honest client ends", thread).unwrap().unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for thread in hostile {
        // Some of them first wait for the service.
        let _ = join("a hostile client ends", thread).expect("in time");
    }
    println!("{answers} answers; shown to the honest: {shown:?}");
    assert!(answers > 10, "{answers}");
    assert!(shown.iter().all(|bytes| *bytes > 1000), "{shown:?}");

    // The attacked console works as before, once the last requests have been carried out.
    wait_until("it shows its output to whoever comes", || {
        let mut client = attacked.connect("force");
        attacked.print(b"THE END");
        shows(&mut client, b"THE END")
    });
    attacked.prompt_status();
}

/// Whether `text` comes, rather than the end of the session.
fn shows(client: &mut Client, text: &[u8]) -> bool {
    let (mut seen, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    while !seen.ends_with(text) {
        match client.stream.read(&mut buffer) {
            Ok(n) if n > 0 => seen.extend(&buffer[..n]),
            _ => return false,
        }
    }
    true
}
