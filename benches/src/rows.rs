//! The rows, one module for each place where time goes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::measure::Row;

pub use many::memory_of;

mod heavy;
mod input;
mod kvm;
mod log;
mod many;
mod vcpu;

/// Every row, in the order of the table.
#[must_use]
pub fn all() -> Vec<Row> {
    [
        vcpu::rows(),
        kvm::rows(),
        heavy::rows(),
        input::rows(),
        many::rows(),
        log::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
