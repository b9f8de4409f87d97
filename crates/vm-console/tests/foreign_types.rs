//! A VMM names the types of other crates in the interface without depending on those crates.

mod support;

use std::sync::Mutex;

use support::{PATIENCE, Rig};
use vm_console::audit::AuditEvent;
use vm_console::crossbeam_channel::{Receiver, RecvTimeoutError};
use vm_console::event_manager::{EventManager, SubscriberOps};
use vm_console::service::{Outcome, Service};
use vm_console::transport::stdio::FdClient;
use vm_console::vmm_sys_util::eventfd::EventFd;
use vm_console::{BootLog, ConsoleLine, LogConfig, LogError, vm_memory, vm_uart};

#[test]
fn each_can_be_named_through_this_crate() {
    let rig = Rig::new();
    let _: Receiver<AuditEvent> = rig.service.audit();
    let (_ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let attachment = rig.console.attach(FdClient::from_socket(theirs.into()));
    let _: &Receiver<Outcome> = attachment.outcome();
    rig.console.remove();
    assert!(rig.console.wait_removed(PATIENCE));
    let gone: RecvTimeoutError = rig.console.status(PATIENCE).unwrap_err();
    assert_eq!(gone, RecvTimeoutError::Disconnected);

    let (mut writer, _) = BootLog::in_memory(LogConfig::default()).unwrap();
    writer.set_doorbell(EventFd::new(0).unwrap());
    let _: fn(vm_memory::mmap::MmapRegionError) -> LogError = LogError::Map;
    let _: &Mutex<vm_uart::SerialPort<(), ConsoleLine>> = &rig.port;
    let (service, _handle) = Service::new().unwrap();
    EventManager::new().unwrap().add_subscriber(service);
}
