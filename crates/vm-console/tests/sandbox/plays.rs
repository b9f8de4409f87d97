//! What the scenarios do.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::pty::OpenptFlags;
use vm_console::audit::Audited;
use vm_console::client::ControlClient;
use vm_console::protocol::{AttachRequest, PowerAction};
use vm_console::session::{EndReason, Transport};
use vm_console::text_log::{TextLog, TextLogHandle};
use vm_console::transport::Listener;
use vm_console::transport::stdio::{FdClient, Terminal};
use vm_console::transport::tcp::TcpConnector;
use vm_console::transport::unix::{Peers, UnixSocket};
use vm_console::{ConsoleConfig, PowerControl, Start, StreamLimits};
use vm_uart::registers::RBR;

use super::stage::{Served, Stage, state_of};
use super::{ends, guest};
use crate::support::control::pass;
use crate::support::{PATIENCE, open_terminal, pattern, silent_port, wait_until};

pub fn nobody(stage: &Stage) {
    let served = stage.add(ConsoleConfig::named("vm"));
    // Often, so that the caller waits for an answer at least once.
    for _ in 0..30 {
        served.settle();
    }
    guest::uses(&served.port);
    served.console.power_off();
    served.console.power_on();
    served.settle();
    served.console.remove();
    // The service drops the last handle to this one, and with it the log.
    drop(stage.add(ConsoleConfig::named("dropped")));
}

pub fn text_log(stage: &Stage) {
    let served = stage.add(ConsoleConfig::named("vm"));
    let text = TextLog::append_to(stage.path("text")).unwrap();
    let text = served.console.log_text(text.with_times()).unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let fails = TextLog::in_file(full.into()).unwrap();
    let fails = served.console.log_text(fails).unwrap();
    served.print(b"one\r\n");
    wait_until("it is written", || text.written_until() == 5);
    served.print(b"two\r\n");
    wait_until("it has tried again", || fails.failures() > 1);
    ends_with_its_console(&served, &text);
    assert!(fails.wait_finished(PATIENCE));
}

/// A text log that keeps full files, and one that does not.
pub fn rotation(stage: &Stage) {
    for full_files in [0, 2] {
        let served = stage.add(ConsoleConfig::named(&format!("vm-{full_files}")));
        let limits = StreamLimits {
            file_bytes: 5,
            full_files,
        };
        let path = stage.path(&format!("text-{full_files}"));
        let text = TextLog::rotating(path, limits).unwrap();
        let text = served.console.log_text(text).unwrap();
        served.print(b"one\r\ntwo\r\nsix\r\n");
        ends_with_its_console(&served, &text);
    }
}

fn ends_with_its_console(served: &Served, text: &TextLogHandle) {
    served.console.remove();
    assert!(text.wait_finished(PATIENCE));
}

pub fn clients(stage: &Stage, transport: Transport) {
    ends::all(stage, transport);
    match transport {
        Transport::Unix => unix(stage),
        Transport::Control => control(stage),
        Transport::Stdio => terminal(stage),
        Transport::Passed => tcp(stage),
        Transport::Tcp => calling(stage),
        // A second client cannot come in.
        _ => {}
    }
    // And one that is still there when the service shuts down.
    let served = stage.add(ConsoleConfig::named("last"));
    served.open(stage, transport);
    let client = served.attach(stage, transport);
    std::mem::forget(client);
}

/// All that a unix socket can be asked for.
fn unix(stage: &Stage) {
    let served = stage.add(ConsoleConfig::named("unix"));
    let [raw, force, watch] = ["raw", "force", "watch"].map(|name| stage.path(name));
    let bind = |path| UnixSocket::bind(path).unwrap();
    served.console.listen(Listener::raw(bind(&raw)));
    served.console.listen(Listener::raw_forcing(bind(&force)));
    served.console.listen(Listener::observers(bind(&watch)));
    let nobody = UnixSocket::bind_abstract(raw.as_os_str().as_encoded_bytes()).unwrap();
    let nobody = nobody.with_peers(Peers::Uids(Vec::new()));
    let address = SocketAddr::from_abstract_name(raw.as_os_str().as_encoded_bytes()).unwrap();
    served.console.listen(Listener::raw(nobody));
    let connect = |path| UnixStream::connect(path).unwrap();
    let holder = connect(&raw);
    stage.audited(&served, |what| matches!(what, Audited::Attached { .. }));
    let _refused = connect(&raw);
    stage.audited(&served, |what| matches!(what, Audited::Refused { .. }));
    let _observer = connect(&watch);
    stage.audited(&served, |what| matches!(what, Audited::Observing { .. }));
    let taker = connect(&force);
    stage.ended(&served, |why| matches!(why, EndReason::TakenOver { .. }));
    drop(holder);
    taker.shutdown(std::net::Shutdown::Write).unwrap();
    let mut turned_away = UnixStream::connect_addr(&address).unwrap();
    turned_away.read_to_end(&mut Vec::new()).unwrap();
}

/// All that a control socket can be asked for.
fn control(stage: &Stage) {
    let config = ConsoleConfig {
        power: Some(Arc::new(Switch)),
        ..ConsoleConfig::named("control")
    };
    let served = stage.add(config);
    served.open(stage, Transport::Control);
    let connect = || ControlClient::connect(stage.path("control")).unwrap();
    let mut client = connect();
    client.attach(&AttachRequest::default()).unwrap();
    let typist = &mut client.typist().unwrap();
    typist.send_break().unwrap();
    typist.resize(80, 25).unwrap();
    served.print(b"one\r\ntwo\r\n");
    client.read_log(Start::Lines(1), 100).unwrap();
    client.status().unwrap();
    client.power(PowerAction::Restart).unwrap();
    client.detach().unwrap();
}

#[derive(Debug)]
struct Switch;

impl PowerControl for Switch {
    fn stop(&self) {}

    fn start(&self) {}

    fn restart(&self) {}
}

/// A terminal, and files that epoll cannot watch.
fn terminal(stage: &Stage) {
    let served = stage.add(ConsoleConfig::named("terminal"));
    let terminal = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::pty::grantpt(&terminal).unwrap();
    rustix::pty::unlockpt(&terminal).unwrap();
    let slave = rustix::pty::ptsname(&terminal, Vec::new()).unwrap();
    let slave = open_terminal(Path::new(slave.to_str().unwrap()));
    let _raw = Terminal::raw(&slave).unwrap();
    let client = FdClient::from_files(&slave, &slave).unwrap();
    served.console.attach(client.with_escapes());
    stage.audited(&served, |what| matches!(what, Audited::Attached { .. }));
    served.print(b"login: ");
    let mut terminal = File::from(terminal);
    terminal.write_all(b"root\r~.").unwrap();
    stage.ended(&served, |why| *why == EndReason::ClientClosed);
    let keys = stage.path("keys");
    std::fs::write(&keys, b"typed\r").unwrap();
    let file = File::options().read(true).write(true).open(&keys).unwrap();
    served
        .console
        .attach(FdClient::from_files(&file, &file).unwrap());
    stage.audited(&served, |what| matches!(what, Audited::Attached { .. }));
    served.console.disconnect(EndReason::Revoked);
    served.settle();
}

/// TCP clients from the owner: one that leaves, and one that is told why it has to, though it has
/// stopped to read.
fn tcp(stage: &Stage) {
    let served = stage.add(ConsoleConfig::named("tcp"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let attach = || {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        rustix::net::sockopt::set_socket_send_buffer_size(&ours, 4096).unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&client, 4096).unwrap();
        served
            .console
            .attach(FdClient::from_socket(OwnedFd::from(ours)));
        stage.audited(&served, |what| matches!(what, Audited::Attached { .. }));
        client
    };
    drop(attach());
    stage.ended(&served, |why| *why == EndReason::ClientClosed);
    let mut stopped = attach();
    for at in 0..64 {
        served.print(&pattern(at << 14, 1 << 14));
        served.settle();
    }
    served.console.disconnect(EndReason::Revoked);
    stage.ended(&served, |why| *why == EndReason::Revoked);
    // Its time to read what was printed is over, too.
    std::thread::sleep(Duration::from_millis(200));
    served.settle();
    stopped.read_to_end(&mut Vec::new()).unwrap();
}

/// A console that calls a peer: one that is not there yet, that answers, and that closes.
fn calling(stage: &Stage) {
    let served = stage.add(ConsoleConfig::named("calling"));
    let (socket, address) = silent_port();
    let connector = TcpConnector::new(address).unwrap();
    let often = connector.retry_after(Duration::from_millis(20));
    served.console.listen(Listener::connecting(often));
    wait_until("it has called twice", || {
        served.console.console().counters().unreachable_peers > 1
    });
    rustix::net::listen(&socket, 8).unwrap();
    let (peer, _) = TcpListener::from(socket).accept().unwrap();
    stage.audited(&served, |what| matches!(what, Audited::Attached { .. }));
    drop(peer);
    stage.ended(&served, |why| *why == EndReason::ClientClosed);
}

/// Descriptors that nobody asked for, a listener that was made elsewhere, and a client that is
/// warned of.
pub fn helpers(stage: &Stage) {
    ::log::set_logger(&Stderr).unwrap();
    ::log::set_max_level(::log::LevelFilter::Warn);
    let served = stage.add(ConsoleConfig::named("helpers"));
    let path = stage.path("adopted");
    served
        .console
        .listen(Listener::raw(UnixListener::bind(&path).unwrap().into()));
    let null = File::open("/dev/null").unwrap();
    let holder = UnixStream::connect(&path).unwrap();
    pass(&holder, b"x", &[null.as_fd(), null.as_fd()]);
    wait_until("the byte arrives", || {
        served.port.lock().unwrap().read(RBR) == b'x'
    });
    // It never reads its refusal, and leaves bytes with a descriptor.
    let refused = UnixStream::connect(&path).unwrap();
    pass(&refused, b"y", &[null.as_fd()]);
    drop(refused);
    drop(holder);
    stage.ended(&served, |why| *why == EndReason::ClientClosed);
    served.open(stage, Transport::Control);
    let mut senseless = UnixStream::connect(stage.path("helpers")).unwrap();
    senseless.write_all(&[0xff; 64]).unwrap();
    assert!(senseless.read_to_end(&mut Vec::new()).is_ok());
    wait_until(
        "the warning is written, and its thread waits for another",
        || WRITTEN.load(Ordering::SeqCst) && state_of("vm-console-log") == Some('S'),
    );
}

/// The owner's logger.
struct Stderr;

static WRITTEN: AtomicBool = AtomicBool::new(false);

impl ::log::Log for Stderr {
    fn enabled(&self, _: &::log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, _: &::log::Record<'_>) {
        WRITTEN.store(true, Ordering::SeqCst);
    }

    fn flush(&self) {}
}

/// Sockets over a control socket: one that is served, and one of a kind that is not.
pub fn passing(stage: &Stage) {
    let served = stage.add(ConsoleConfig::named("passing"));
    served.open(stage, Transport::Control);
    let mut control = ControlClient::connect(stage.path("passing")).unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    control
        .attach_socket(&AttachRequest::default(), &theirs)
        .unwrap();
    drop(theirs);
    served.print(b"login: ");
    ours.read_exact(&mut [0; 7]).unwrap();
    let null = File::open("/dev/null").unwrap();
    pass(&ours, b"root\r", &[null.as_fd()]);
    drop(ours);
    stage.ended(&served, |why| *why == EndReason::ClientClosed);
    let pipe = rustix::pipe::pipe().unwrap();
    control
        .attach_socket(&AttachRequest::default(), &pipe.0)
        .unwrap_err();
}
