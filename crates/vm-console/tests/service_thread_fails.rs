//! Code before the service fails. The test counts its process's descriptors, so it runs alone there.

use std::io;

use vm_console::service::Service;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn an_error_or_panic_before_the_service_comes_back_and_nothing_is_left() {
    let before = open_descriptors();
    let refused = || Err(io::ErrorKind::PermissionDenied.into());
    let error = Service::spawn_with(refused).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let error = Service::spawn_with(|| panic!("as the test wants it")).unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
    assert_eq!(open_descriptors(), before);
}
