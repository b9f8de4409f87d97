//! A VMM whose event loop is tokio's: the console service is one of its tasks.
//!
//! ```text
//! cargo run -p vm-console --example async_vmm
//! ```
//!
//! The service needs no thread and no lock of the runtime. A guest that prints never waits for it,
//! whatever the runtime is busy with.

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use vm_console::service::{PolledService, Service};
use vm_console::transport::{Listener, unix::UnixSocket};
use vm_console::{BootLog, Console, ConsoleConfig, LogConfig};
use vm_uart::SerialPort;

/// Serves until the service is told to shut down.
async fn serve(service: PolledService) -> io::Result<()> {
    #[allow(deprecated, reason = "the newer way is unsafe")]
    let mut service = AsyncFd::new(service)?;
    while !service.get_ref().is_finished() {
        let mut ready = service.readable_mut().await?;
        // Tokio tells of each change once, so go on until nothing is left, but let other tasks run
        // in between: a turn of the service is short, and its work may not end.
        if ready.get_inner_mut().dispatch()? == 0 {
            ready.clear_ready();
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn read(client: &UnixStream, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        client.readable().await?;
        let mut buffer = [0; 64];
        match client.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(some) => bytes.extend(&buffer[..some]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

async fn run() -> Result<(), Box<dyn Error>> {
    let path = std::env::temp_dir().join(format!("vm-7.{}.sock", std::process::id()));
    let (service, handle) = Service::new()?;
    let (writer, _log) = BootLog::in_memory(LogConfig::default())?;
    let (line, console) = Console::new(ConsoleConfig::named("vm-7"), writer)?;
    let com1 = Arc::new(Mutex::new(SerialPort::new((), line)));
    let socket = Listener::raw(UnixSocket::bind(&path)?);
    handle.add(console, com1.clone(), vec![socket])?;
    let serving = tokio::task::spawn_local(serve(service.polled()?));

    // The vCPU is a thread of its own, as always.
    let vcpu = std::thread::spawn(move || {
        if let Ok(mut com1) = com1.lock() {
            com1.write_string(0, b"login: ");
        }
    });
    let client = UnixStream::connect(&path).await?;
    let shown = read(&client, 7).await?;
    println!("{}", String::from_utf8_lossy(&shown));

    handle.shut_down();
    serving.await??;
    vcpu.join().map_err(|_| "the vCPU panicked")?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run())
}
