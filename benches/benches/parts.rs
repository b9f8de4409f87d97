//! The parts by themselves, for `cargo bench`: they show which part changed a figure of the table.

use std::hint::black_box;
use std::sync::Mutex;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use vm_console::{BootLog, LogConfig};
use vm_serial_bench::host::{lock, logged_port};
use vm_serial_bench::peers::{BareRing, Irqfd, Memory, superio, unread_irq};
use vm_uart::registers::{LSR, THR};
use vm_uart::{EdgeLine, Line, SerialPort};

const BURST: [u8; 16] = [b'x'; 16];

fn port<L: Line>(line: L) -> Mutex<SerialPort<EdgeLine<Irqfd>, L>> {
    Mutex::new(SerialPort::new(EdgeLine::new(unread_irq()), line))
}

fn a_byte(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("byte");
    group.throughput(Throughput::Bytes(1));
    let device = port(());
    group.bench_function("device", |b| {
        b.iter(|| lock(&device).write(THR, black_box(b'x')));
    });
    group.bench_function("device-lsr", |b| {
        b.iter(|| lock(&device).read(black_box(LSR)));
    });
    let logged = port(logged_port(LogConfig::default()).expect("memory for a log"));
    group.bench_function("device+log", |b| {
        b.iter(|| lock(&logged).write(THR, black_box(b'x')));
    });
    let peer = superio(Memory::default());
    group.bench_function("vm-superio", |b| {
        b.iter(|| lock(&peer).write(THR, black_box(b'x')));
    });
    let ring = Mutex::new(BareRing::new());
    group.bench_function("mutex+ring", |b| {
        b.iter(|| lock(&ring).store(black_box(b'x')));
    });
    group.finish();
}

fn a_burst(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("burst");
    group.throughput(Throughput::Bytes(BURST.len() as u64));
    let device = port(());
    group.bench_function("device", |b| {
        b.iter(|| lock(&device).write_string(THR, black_box(&BURST)));
    });
    let logged = port(logged_port(LogConfig::default()).expect("memory for a log"));
    group.bench_function("device+log", |b| {
        b.iter(|| lock(&logged).write_string(THR, black_box(&BURST)));
    });
    let ring = Mutex::new(BareRing::new());
    group.bench_function("mutex+ring", |b| {
        b.iter(|| lock(&ring).store_chunk(black_box(&BURST)));
    });
    group.finish();
}

fn the_log(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log");
    let (mut writer, log) = BootLog::in_memory(LogConfig::default()).expect("memory for a log");
    let page = [b'x'; 4096];
    group.throughput(Throughput::Bytes(page.len() as u64));
    group.bench_function("append-4096", |b| {
        b.iter(|| writer.append(black_box(&page)));
    });
    group.bench_function("read-4096", |b| b.iter(|| log.read_at(-4096, 4096)));
    group.finish();
}

criterion_group!(parts, a_byte, a_burst, the_log);
criterion_main!(parts);
