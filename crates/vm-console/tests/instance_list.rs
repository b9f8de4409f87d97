//! Listing many instances.

use std::fs;

use vm_console::instance::{Description, Directory, Entry, Liveness};

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// One test, so that no other has descriptors open meanwhile.
#[test]
fn a_thousand_instances_are_listed_in_order_and_nothing_stays_open() {
    let dir = tempfile::tempdir().unwrap();
    let directory = Directory::new(dir.path());
    let mut live = Vec::new();
    for number in (0..1000).rev() {
        let description = Description {
            name: Some(format!("machine {number}")),
            index: Some(number),
            labels: [("zone".to_owned(), "b".to_owned())].into(),
            ..Description::default()
        };
        let id = format!("vm-{number}").parse().unwrap();
        let entry = Entry::claim(&directory, &id, description).unwrap();
        if number % 10 == 0 {
            live.push(entry);
        }
    }
    let before = open_descriptors();
    let listed = directory.list().unwrap();
    assert_eq!(open_descriptors(), before);
    assert_eq!(listed.len(), 1000);
    for (number, instance) in (0..).zip(listed) {
        let instance = instance.unwrap();
        assert_eq!(instance.record.description.index, Some(number));
        assert_eq!(instance.id.as_str(), format!("vm-{number}"));
        assert_eq!(instance.is_live(), number % 10 == 0);
    }
    // Nobody is in the way of a VMM that comes while others look.
    let found = directory.find(&"vm-1".parse().unwrap()).unwrap();
    assert_eq!(found.liveness, Liveness::Gone);
    Entry::claim(&directory, &found.id, Description::default()).unwrap();
}
