//! Typed input and the machine's power move with the guest, and the counters balance on both hosts.

mod support;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use support::{Client, PATIENCE, Rig, newest_only, wait_until};
use vm_console::{
    BootLog, Console, ConsoleConfig, ConsoleImage, ConsoleLine, INPUT_LIMIT, Input, LogConfig,
};
use vm_uart::SerialPort;
use vm_uart::registers::{FCR, Fcr, LSR, Lsr, RBR};

fn console() -> (ConsoleLine, Console) {
    let (writer, _) = BootLog::in_memory(newest_only(1000)).unwrap();
    Console::new(ConsoleConfig::named("vm"), writer).unwrap()
}

/// The same console on another host, whose image has gone through bytes.
fn moved(line: &ConsoleLine, console: &Console) -> (ConsoleLine, Console) {
    let bytes = console.export(line).to_bytes();
    let image = ConsoleImage::from_bytes(&bytes).unwrap();
    assert_eq!(image.to_bytes(), bytes);
    let (writer, _) = BootLog::in_memory(newest_only(1000)).unwrap();
    Console::resume(ConsoleConfig::named("vm"), writer, &image).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Type(Vec<u8>),
    Break,
    Take(usize),
    Power(bool),
    Move,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..3000).prop_map(Step::Type),
        2 => Just(Step::Break),
        3 => (0_usize..3000).prop_map(Step::Take),
        1 => any::<bool>().prop_map(Step::Power),
        2 => Just(Step::Move),
    ];
    prop::collection::vec(step, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn input_moves_in_its_order_and_all_that_was_accepted_is_accounted_for(steps in steps()) {
        let (mut line, mut console) = console();
        let mut queue = VecDeque::new();
        let mut is_on = true;
        for step in steps {
            match step {
                Step::Type(bytes) => {
                    let accepted = line.type_bytes(&bytes);
                    prop_assert_eq!(accepted, bytes.len().min(INPUT_LIMIT - queue.len()));
                    queue.extend(bytes[..accepted].iter().map(|byte| Input::Byte(*byte)));
                }
                Step::Break => {
                    if line.type_break() {
                        queue.push_back(Input::Break);
                    }
                }
                Step::Take(count) => {
                    for _ in 0..count.min(queue.len() + 1) {
                        prop_assert_eq!(line.receive(), queue.pop_front());
                    }
                }
                Step::Power(on) => {
                    line.set_power(on);
                    if is_on && !on {
                        queue.clear();
                    }
                    is_on = on;
                }
                Step::Move => {
                    let there = moved(&line, &console);
                    prop_assert_eq!(console.export(&line), there.1.export(&there.0));
                    (line, console) = there;
                }
            }
            let now = console.counters();
            let waiting = line.input_waiting() as u64;
            prop_assert_eq!(waiting, queue.len() as u64);
            prop_assert_eq!(now.input_waiting(), waiting);
            prop_assert_eq!(now.input + now.breaks, now.input_taken + now.input_discarded + waiting);
            prop_assert_eq!(console.export(&line).powered, is_on);
        }
    }
}

/// Lets the guest read all that its port has.
fn read_all<I: vm_uart::InterruptLine>(port: &mut SerialPort<I, ConsoleLine>) -> Vec<u8> {
    let mut taken = Vec::new();
    while port.read(LSR) & Lsr::DATA_READY.bits() != 0 && taken.len() < 2 * INPUT_LIMIT {
        taken.push(port.read(RBR));
    }
    taken
}

/// Firecracker's `test_restore_from_state`: "abc" is typed, the device saved, and read on the other
/// side. A guest without FIFOs has one character in the chip and two in the line.
#[test]
fn what_was_typed_is_read_after_a_restore() {
    for fifos in [0, Fcr::ENABLE.bits()] {
        let (line, console) = console();
        let mut port = SerialPort::new((), line);
        port.write(FCR, fifos);
        assert_eq!(port.line_mut().type_bytes(b"abc"), 3);
        port.pump();
        let (line, _console) = moved(port.line(), &console);
        let mut restored = SerialPort::new((), line);
        restored.restore(&port.snapshot()).unwrap();
        assert_eq!(read_all(&mut restored), b"abc", "FCR {fifos}");
    }
}

#[test]
fn a_clients_line_of_text_moves_whole() {
    let here = Rig::new();
    let text = [b'x'; 100];
    let mut client = here.attach("raw");
    client.send(&text);
    wait_until("it is typed", || here.counters().input == 100);
    // So that nothing of it is on its way between the service and the line.
    here.status();
    let (image, chip) = {
        let port = here.port.lock().unwrap();
        let image = here.console.console().export(port.line());
        (image, port.snapshot())
    };
    let (writer, _) = BootLog::in_memory(LogConfig::default()).unwrap();
    let (line, console) = Console::resume(ConsoleConfig::named("vm"), writer, &image).unwrap();
    let port = Arc::new(Mutex::new(SerialPort::new((), line)));
    port.lock().unwrap().restore(&chip).unwrap();
    let there = here
        .service
        .add(console.clone(), port.clone(), Vec::new())
        .unwrap();
    there.status(PATIENCE).unwrap();
    assert_eq!(read_all(&mut port.lock().unwrap()), text);
    let counters = console.counters();
    assert_eq!((counters.input, counters.input_taken), (100, 100));
    assert_eq!((counters.input_discarded, counters.input_waiting()), (0, 0));
    // On the host that it has left, the rest is dropped with the session, and counted.
    here.console.remove();
    assert!(here.console.wait_removed(PATIENCE));
    let left = here.counters();
    assert_eq!(left.input, left.input_taken + left.input_discarded);
    there.remove();
}

#[test]
fn a_console_that_was_off_does_not_come_back_on() {
    let rig = Rig::new();
    let (mut line, console) = console();
    line.set_power(false);
    let (line, console) = moved(&line, &console);
    let epoch = console.log().epoch();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let port = Arc::new(Mutex::new(line));
    let handle = rig.service.add(console.clone(), port, Vec::new()).unwrap();
    let client = vm_console::transport::stdio::FdClient::from_socket(theirs.into());
    let _ = handle.attach(client);
    let refusal = Client::new(ours).read_to_end();
    assert!(refusal.contains("powered off"), "{refusal}");
    assert_eq!(console.log().epoch(), epoch, "no boot begins by the move");
    handle.power_on();
    assert_eq!(console.log().epoch(), epoch + 1);
    handle.remove();
}
