//! The rows, one module for each part that takes time.

use crate::measure::Row;

pub use many::memory_of;

mod by_interrupt;
mod heavy;
mod hostile;
mod input;
mod kvm;
mod log;
mod many;
mod operator;
mod processors;
mod vcpu;

/// Every row, in the order of the table.
#[must_use]
pub fn all() -> Vec<Row> {
    [
        vcpu::rows(),
        kvm::rows(),
        by_interrupt::rows(),
        heavy::rows(),
        input::rows(),
        many::rows(),
        hostile::rows(),
        log::rows(),
        operator::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
