//! What becomes of the VMM whose log is followed.

use super::walk::{Follow, Look};
use crate::commands::Context;
use crate::open_log;
use crate::source::LogSource;
use crate::target::{Console, Target};

/// A console that is followed.
pub(super) struct Followed<'a> {
    context: &'a Context,
    target: &'a Target,
    outlives_vmm: bool,
}

impl<'a> Followed<'a> {
    pub(super) fn new(context: &'a Context, target: &'a Target, outlives_vmm: bool) -> Self {
        Self {
            context,
            target,
            outlives_vmm,
        }
    }

    fn living(&self) -> Option<Console> {
        self.context
            .find(self.target)
            .ok()
            .filter(Console::may_live)
    }
}

impl Follow for Followed<'_> {
    fn look(&mut self, source: &dyn LogSource) -> Look {
        let Ok(console) = self.context.find(self.target) else {
            return Look::Gone;
        };
        if console.is_only_a_file() {
            return Look::Lives;
        }
        if !console.may_live() {
            return Look::Gone;
        }
        // A socket tells by itself. A file does not tell that another is in its place.
        let is_file = console.log().filter(|_| source.is_file());
        match is_file.map(vm_console::BootLog::open_read_only) {
            Some(Ok(log)) if log.id() != source.id() => Look::Replaced,
            _ => Look::Lives,
        }
    }

    fn reopen(&mut self) -> Option<Box<dyn LogSource>> {
        open_log::open(&self.living()?).ok()
    }

    fn outlives_vmm(&self) -> bool {
        self.outlives_vmm
    }
}
