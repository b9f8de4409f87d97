//! What the documentation says of size and cost in memory.

use vm_uart::{Snapshot, Uart};

#[test]
fn a_chip_is_as_small_as_the_front_page_says() {
    assert_eq!(size_of::<Uart>(), 200);
    assert_eq!(Snapshot::SIZE, 176);
}
