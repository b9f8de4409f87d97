//! The service's own thread, and what it runs first.

mod support;

use std::sync::mpsc;

use support::{Rig, join};
use vm_console::service::Service;
use vm_console::{ConsoleConfig, LogConfig};

fn own_name() -> String {
    let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
    name.trim().to_owned()
}

#[test]
fn code_before_the_service_runs_on_its_thread_and_the_service_serves() {
    let (told, names) = mpsc::channel();
    let (service, thread) = Service::spawn_with(move || {
        told.send(own_name()).unwrap();
        rustix::thread::set_name(c"serial")?;
        told.send(own_name()).unwrap();
        Ok(())
    })
    .unwrap();
    // It has run by now.
    assert_eq!(
        names.try_iter().collect::<Vec<_>>(),
        ["vm-console", "serial"]
    );
    let config = ConsoleConfig::named("vm");
    let rig = Rig::in_service(service.clone(), config, LogConfig::default());
    let mut client = rig.attach("raw");
    rig.carries(&mut client, "hello");
    drop(rig);
    service.shut_down();
    let ended = join("the service ends", thread);
    ended.expect("it ends in time").expect("it ends in order");
}
