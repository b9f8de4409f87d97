//! The service in a plain epoll loop of its owner.

mod support;

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec};
use support::{Client, Rig, join, letter_at, wait_until};
use vm_console::service::{PolledService, Service, ServiceHandle};
use vm_console::{ConsoleConfig, LogConfig, Start};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};

/// How the loop is told that the service has something to do.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// As long as it has.
    Level,
    /// Once for each change.
    Edge,
}

/// A loop written by hand, which ends with the service.
fn host(told: Told) -> (ServiceHandle, JoinHandle<PolledService>) {
    let (service, handle) = Service::new().unwrap();
    let mut service = service.polled().unwrap();
    let thread = std::thread::spawn(move || {
        let epoll = Epoll::new().unwrap();
        let fd = service.as_raw_fd();
        let set = match told {
            Told::Level => EventSet::IN,
            Told::Edge => EventSet::IN | EventSet::EDGE_TRIGGERED,
        };
        epoll
            .ctl(ControlOperation::Add, fd, EpollEvent::new(set, 0))
            .unwrap();
        while !service.is_finished() {
            let mut events = [EpollEvent::default(); 4];
            // The owner's other descriptors would be among these.
            let count = epoll.wait(-1, &mut events).unwrap();
            assert!(events[..count].iter().all(|event| event.data() == 0));
            match told {
                Told::Level => {
                    service.dispatch().unwrap();
                }
                Told::Edge => while service.dispatch().unwrap() > 0 {},
            }
        }
        service
    });
    (handle, thread)
}

fn serves(told: Told) {
    let (service, thread) = host(told);
    let rig = Rig::in_service(
        service.clone(),
        ConsoleConfig::named("a"),
        LogConfig::default(),
    );
    let other = rig.beside(ConsoleConfig::named("b"));
    let mut client = rig.attach("raw");
    rig.carries(&mut client, "first");
    other.carries(&mut other.attach("raw"), "second");
    // Descriptors come, go and are used again while others have something to tell.
    for round in 0..30 {
        let crowd: Vec<_> = (0..20).map(|_| rig.connect("raw")).collect();
        rig.print(&[letter_at(round)]);
        drop(crowd);
        assert_eq!(client.read(1), [letter_at(round)]);
    }
    let data = rig.control().read_log(Start::Oldest, 5).unwrap();
    assert_eq!(data.bytes, b"first");
    // A deadline is kept, too: what is printed while output flows waits for the next look.
    let mut watcher = rig.connect("watch");
    watcher.read_until("first");
    rig.carries(&mut client, "after the crowd");
    service.shut_down();
    let mut service = join("the loop ends", thread)
        .expect("in time")
        .expect("in order");
    assert!(client.read_to_end().contains("shutting down"));
    assert_eq!(service.dispatch().unwrap(), 0);
    assert!(UnixStream::connect(rig.path("raw")).is_err());
}

#[test]
fn a_plain_epoll_loop_hosts_it() {
    serves(Told::Level);
}

#[test]
fn an_edge_triggered_loop_hosts_it() {
    serves(Told::Edge);
}

fn is_readable(service: &PolledService) -> bool {
    let mut polled = [PollFd::new(service, PollFlags::IN)];
    rustix::event::poll(&mut polled, Some(&Timespec::default())).unwrap() > 0
}

/// Lets it do all that it can do now.
fn settle(service: &mut PolledService) {
    wait_until("nothing is left to do", || {
        service.dispatch().unwrap() == 0 && !is_readable(service)
    });
}

#[test]
fn it_is_readable_only_while_there_is_something_to_do() {
    let (service, handle) = Service::new().unwrap();
    let mut service = service.polled().unwrap();
    let rig = Rig::in_service(handle, ConsoleConfig::named("vm"), LogConfig::default());
    assert!(is_readable(&service), "a console is to be added");
    settle(&mut service);
    let mut client = Client::new(UnixStream::connect(rig.path("raw")).unwrap());
    assert!(is_readable(&service), "a client is there");
    settle(&mut service);
    rig.print(b"login: ");
    assert!(is_readable(&service), "the guest rang");
    settle(&mut service);
    assert_eq!(client.read(7), b"login: ");
    client.send(b"root\r");
    assert!(is_readable(&service), "the client typed");
    settle(&mut service);
    assert_eq!(rig.take_input(), b"root\r");
    // Dropped without a word, the service closes what it has.
    drop(service);
    client.read_to_end();
}

/// Whoever prints one of its own values, in which these are, sees which console it is about.
#[test]
fn a_service_and_a_handle_show_what_they_serve() {
    let (service, handle) = Service::new().unwrap();
    assert!(format!("{service:?}").contains("consoles: 0"));
    let mut service = service.polled().unwrap();
    let rig = Rig::in_service(handle, ConsoleConfig::named("vm-7"), LogConfig::default());
    settle(&mut service);
    assert!(format!("{service:?}").contains("consoles: 1"));
    assert!(format!("{:?}", rig.console).contains("vm-7"));
}
