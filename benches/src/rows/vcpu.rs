//! The cost of a transmitted byte on the vCPU thread, the port's lock included.

use std::hint::black_box;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Mutex;

use vm_console::LogConfig;
use vm_uart::registers::{LSR, THR};
use vm_uart::{EdgeLine, Line, SerialPort};

use crate::host::{LoggedPort, Served, lock, logged_port};
use crate::measure::{Bar, Pass, Passes, Row, Skipped, ns_each};
use crate::peers::{BareRing, Irqfd, Memory, Superio, drained, superio, unread_irq};

const BURST: usize = 16;

/// Bytes in a pass: `FAST` where a byte costs nanoseconds, `SLOW` where it costs a system call.
const FAST: usize = 1 << 21;
const SLOW: usize = 1 << 17;

/// The rows of this module.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    let row = Row::a_byte;
    vec![
        row(
            "device-1",
            "device alone, LSR once per 16 bytes",
            "vm-superio into a Vec",
            Bar::None,
            || {
                let port = Mutex::new(SerialPort::new(EdgeLine::new(unread_irq()), ()));
                let peer = superio(Memory::default());
                Ok(Box::new(move || {
                    Ok(Pass::pair(polled(&port, FAST), superio_polled(&peer, FAST)))
                }))
            },
        ),
        row(
            "device-16",
            "device alone, 16 bytes an access",
            "vm-superio into a Vec, byte by byte",
            Bar::None,
            || {
                let port = Mutex::new(SerialPort::new(EdgeLine::new(unread_irq()), ()));
                let peer = superio(Memory::default());
                Ok(Box::new(move || {
                    Ok(Pass::pair(bursts(&port, FAST), superio_polled(&peer, FAST)))
                }))
            },
        ),
        row(
            "log-1",
            "device + log, one byte an access",
            "mutex + ring store",
            Bar::CostRatio(1.5),
            || {
                let port = port()?;
                let ring = Mutex::new(BareRing::new());
                Ok(Box::new(move || {
                    let ours = ns_each(FAST, || {
                        for i in 0..FAST {
                            lock(&port).write(THR, black_box(i as u8));
                        }
                    });
                    let peer = ns_each(FAST, || {
                        for i in 0..FAST {
                            lock(&ring).store(black_box(i as u8));
                        }
                    });
                    Ok(Pass::pair(ours, peer))
                }))
            },
        ),
        row(
            "log-16",
            "device + log, 16 bytes an access",
            "mutex + ring, 16-byte chunks",
            Bar::AtMostAndCostRatio(2.0, 4.0),
            || {
                let port = port()?;
                let ring = Mutex::new(BareRing::new());
                Ok(Box::new(move || {
                    let ours = bursts(&port, FAST);
                    let peer = ns_each(FAST, || {
                        for _ in 0..FAST / BURST {
                            lock(&ring).store_chunk(black_box(&[b'x'; BURST]));
                        }
                    });
                    Ok(Pass::pair(ours, peer))
                }))
            },
        ),
        row(
            "log-1-superio",
            "device + log, LSR once per 16 bytes",
            "vm-superio into a Vec",
            Bar::None,
            || against_superio(FAST, || Ok(Memory::default())),
        ),
        row(
            "log-1-superio-pipe",
            "device + log, LSR once per 16 bytes",
            "vm-superio into a pipe",
            Bar::None,
            || {
                against_superio(SLOW, || {
                    let (mut reader, writer) = std::io::pipe()?;
                    // Ends when the writer is dropped.
                    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
                    Ok(writer)
                })
            },
        ),
        row(
            "log-1-superio-file",
            "device + log, LSR once per 16 bytes",
            "vm-superio into a file",
            Bar::None,
            || against_superio(SLOW, || Ok(tempfile::tempfile()?)),
        ),
        row(
            "client-1",
            "device + log + drained unix client",
            "vm-superio into a drained unix socket",
            Bar::Cheaper(40.0),
            || {
                let served = Served::new(LogConfig::default())?;
                let _reader = drained(served.attach()?);
                let peer = superio(unix_sink()?);
                Ok(Box::new(move || {
                    Ok(Pass::pair(
                        polled(served.port(), FAST),
                        superio_polled(&peer, SLOW),
                    ))
                }))
            },
        ),
    ]
}

fn port() -> Result<Mutex<LoggedPort>, Skipped> {
    Ok(Mutex::new(SerialPort::new(
        EdgeLine::new(unread_irq()),
        logged_port(LogConfig::default())?,
    )))
}

fn unix_sink() -> Result<UnixStream, Skipped> {
    let (ours, theirs) = UnixStream::pair()?;
    let _running = drained(theirs);
    Ok(ours)
}

fn against_superio<W: Write + 'static>(
    count: usize,
    sink: fn() -> Result<W, Skipped>,
) -> Result<Passes, Skipped> {
    let port = port()?;
    let peer = superio(sink()?);
    Ok(Box::new(move || {
        Ok(Pass::pair(
            polled(&port, FAST),
            superio_polled(&peer, count),
        ))
    }))
}

fn polled<L: Line>(port: &Mutex<SerialPort<EdgeLine<Irqfd>, L>>, count: usize) -> f64 {
    ns_each(count, || {
        for i in 0..count {
            if i % BURST == 0 {
                black_box(lock(port).read(LSR));
            }
            lock(port).write(THR, black_box(i as u8));
        }
    })
}

fn bursts<L: Line>(port: &Mutex<SerialPort<EdgeLine<Irqfd>, L>>, count: usize) -> f64 {
    ns_each(count, || {
        for _ in 0..count / BURST {
            lock(port).write_string(THR, black_box(&[b'x'; BURST]));
        }
    })
}

fn superio_polled<W: Write>(port: &Superio<W>, count: usize) -> f64 {
    ns_each(count, || {
        for i in 0..count {
            if i % BURST == 0 {
                black_box(lock(port).read(LSR));
            }
            // Its sink never fails.
            let _ = lock(port).write(THR, black_box(i as u8));
        }
    })
}
