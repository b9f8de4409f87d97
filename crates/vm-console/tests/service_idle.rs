//! Many consoles that do nothing cost nothing. The test measures the service's thread and the
//! memory of its process, so it runs alone there.

mod support;

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::service_thread::activity;
use support::{Client, join, open_terminal, resident, wait_until};
use vm_console::service::Service;
use vm_console::transport::{Listener, pty::Pty, unix::UnixSocket};
use vm_console::{BootLog, Console, ConsoleConfig, LogConfig};
use vm_uart::registers::{FCR, Lsr, RBR, THR};
use vm_uart::{CharacterTimeout, Config, SerialPort};

const CONSOLES: usize = 500;

#[test]
fn idle_consoles_take_no_time_and_little_memory() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, wanted).unwrap();
    let room = limit.maximum.unwrap_or(u64::MAX);
    let consoles = CONSOLES.min(usize::try_from(room / 8).unwrap_or(CONSOLES));

    let dir = tempfile::tempdir().unwrap();
    let (service, thread) = Service::spawn().unwrap();
    let before = resident();
    // The service keeps the time of their character timeouts.
    let config = Config {
        character_timeout: CharacterTimeout::FourCharacters,
        ..Config::default()
    };
    let mut ports = Vec::new();
    for n in 0..consoles {
        let (writer, _log) = BootLog::in_memory(LogConfig::default()).unwrap();
        let (line, console) = Console::new(ConsoleConfig::named("vm"), writer).unwrap();
        let port = Arc::new(Mutex::new(SerialPort::with_config(config, (), line)));
        let socket = UnixSocket::bind(dir.path().join(n.to_string())).unwrap();
        let handle = service
            .add(console, port.clone(), vec![Listener::raw(socket)])
            .unwrap();
        ports.push((port, handle));
    }
    for (_, console) in &ports {
        console.status(support::PATIENCE).unwrap();
    }
    let each = (resident() - before) / consoles;
    assert!(
        each <= 16 << 10,
        "{each} bytes for each console, its log's touched pages included"
    );

    // Every tenth console has a client.
    let mut clients: Vec<_> = (0..consoles)
        .step_by(10)
        .map(|n| Client::new(UnixStream::connect(dir.path().join(n.to_string())).unwrap()))
        .collect();
    for (n, client) in clients.iter_mut().enumerate() {
        let port = &ports[n * 10].0;
        port.lock().unwrap().write(FCR, 0x81);
        port.lock().unwrap().write(THR, b'x');
        assert_eq!(client.read(1), b"x");
        client.send(b"k");
        wait_until("the timeout has come", || {
            let port = port.lock().unwrap();
            port.line_status().contains(Lsr::DATA_READY) && port.until_timeout().is_none()
        });
        // Every second guest never reads its key.
        if n % 2 == 0 {
            assert_eq!(port.lock().unwrap().read(RBR), b'k');
        }
    }
    // One of the others has a client at a terminal.
    let link = dir.path().join("pty");
    let console = &ports[1].1;
    console.listen(Listener::pty(Pty::open(&link).unwrap()));
    let _terminal = open_terminal(&link);
    wait_until("the client is there", || {
        console.console().counters().attaches > 0
    });

    let mut last = activity();
    wait_until("the service sleeps for half a second", || {
        std::thread::sleep(Duration::from_millis(500));
        let now = activity();
        std::mem::replace(&mut last, now) == now
    });
    service.shut_down();
    join("the service ends", thread).unwrap().unwrap();
}
