//! What the two kinds of guest have in common: they see a port, and they come to an end.

/// COM1's registers, as a guest reaches them. Shared between the guest's thread and the console's.
pub(crate) trait SerialIo: Send + Sync {
    /// Fills `data` from the register at `offset`: one byte, or as many as a string instruction
    /// asks for.
    fn read(&self, offset: u8, data: &mut [u8]);
    /// Writes each byte of `data` to the register at `offset`.
    fn write(&self, offset: u8, data: &[u8]);
    /// Resets the chip with the rest of the machine; the log notes that a new boot begins here.
    fn reset(&self);
    /// The machine is on: if it was off, with its chip as after a reset and a new boot in the log.
    fn power_on(&self);
    /// The machine is off: the log notes it, and nobody has the console.
    fn power_off(&self);
    /// Brings to the port what the guest has written and nobody has fetched yet; before the guest
    /// is held or ends.
    fn settle(&self) {}
}

/// Why a guest no longer runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It has switched the machine off.
    PoweredOff,
    /// It was told to stop.
    Stopped,
    /// It cannot go on; the text says why.
    Failed(String),
}
