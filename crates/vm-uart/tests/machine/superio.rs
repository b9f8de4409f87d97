//! `vm_superio::Serial` as a [`Port`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::{Patience, Port};

/// Counts what `vm_superio` rings.
#[derive(Clone, Default)]
pub(crate) struct Bell(Rc<Cell<u64>>);

impl Bell {
    pub(crate) fn rung(&self) -> u64 {
        self.0.get()
    }
}

impl vm_superio::Trigger for Bell {
    type E = std::convert::Infallible;

    fn trigger(&self) -> Result<(), Self::E> {
        self.0.set(self.0.get() + 1);
        Ok(())
    }
}

/// A writer that shares what it was given.
#[derive(Clone, Default)]
pub(crate) struct Paper(pub(crate) Rc<RefCell<Vec<u8>>>);

impl std::io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `vm_superio::Serial`, fed the way a VMM feeds it: whenever its buffer has run empty.
pub(crate) struct Superio {
    pub(crate) serial: vm_superio::Serial<Bell, vm_superio::serial::NoEvents, Paper>,
    bell: Bell,
    paper: Paper,
    keyboard: VecDeque<u8>,
    patience: Patience,
}

impl Superio {
    pub(crate) fn new() -> Self {
        let (bell, paper) = (Bell::default(), Paper::default());
        Self {
            serial: vm_superio::Serial::new(bell.clone(), paper.clone()),
            bell,
            paper,
            keyboard: VecDeque::new(),
            patience: Patience::default(),
        }
    }

    fn feed(&mut self) {
        let room = self.serial.fifo_capacity().min(self.keyboard.len());
        if room > 0 {
            let chunk: Vec<u8> = self.keyboard.iter().copied().take(room).collect();
            let taken = self.serial.enqueue_raw_bytes(&chunk).unwrap();
            self.keyboard.drain(..taken);
        }
    }
}

impl Port for Superio {
    fn inb(&mut self, register: u8) -> u8 {
        self.patience.one_more();
        let value = self.serial.read(register);
        self.feed();
        value
    }

    fn outb(&mut self, register: u8, value: u8) {
        self.patience.one_more();
        self.serial.write(register, value).unwrap();
        self.feed();
    }

    fn type_in(&mut self, keys: &[u8]) {
        self.keyboard.extend(keys);
        self.feed();
    }

    fn printed(&self) -> Vec<u8> {
        self.paper.0.borrow().clone()
    }

    fn edges(&self) -> u64 {
        self.bell.rung()
    }
}
