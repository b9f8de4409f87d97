//! KVM's coalesced I/O: bytes written to the data register reach the port without an exit to user
//! space.
//!
//! The kernel puts a write to a *coalesced zone* into a ring page, and the guest runs on. The
//! transmit loop of every known driver ends in a read of LSR or IIR or a write of IER, which does
//! exit; the ring is emptied *before* that access is handled. So a burst of 16 bytes takes one exit
//! instead of seventeen.
//!
//! # Why no guest can tell
//!
//! 1. *Program order of one vCPU.* The kernel appends in program order. Every other access to the
//!    port exits, and [`CoalescedRing::before_access`] applies everything in the ring before that
//!    access is handled. So the port sees each vCPU's accesses in program order. That includes
//!    writes to the divisor latch and in loopback: an entry is replayed as a write to offset 0, as
//!    the guest made it, and DLAB can only have been changed by an access that drained first.
//! 2. *Order between vCPUs.* Removing an entry and applying it are one step under the ring's lock.
//!    If vCPU A's write was in the ring before vCPU B's access exited, then B's drain, or the drain
//!    that B waited for, has applied it. Otherwise the two were concurrent, and a port without a
//!    ring could have seen either order.
//! 3. *Answers.* A write has no answer, so none is late. The guest sees the effects of a write
//!    (LSR, IIR, a loopback byte) only by reading, which drains.
//! 4. *The interrupt line* is the one thing that a guest sees without an access: THRE may be raised
//!    late, by [`TICK`] at most, as if the transmitter were slow (a real one takes 87 µs a byte at
//!    115200 baud). The first tick notices a guest that waits for that interrupt: there are bytes
//!    in the ring, and no access since the last tick. From then on the guest's writes exit again. A
//!    byte that comes between that tick and the end of the zone waits for the grace period below.
//! 5. *Ring full.* Then the kernel exits with the write itself. It drains the ring first and so is
//!    handled after all writes before it. The same holds for `rep outsb`: KVM's instruction
//!    emulator passes it on element by element.
//! 6. *Wider writes.* The kernel takes a write only if all of it lies in the zone, which is one
//!    byte. So `outw` to port 0x3f8 exits, and so do drivers that use words on a memory-mapped port
//!    (`reg-io-width`): correct, but without a gain.
//!
//! **Not for SEV-ES guests.** Their string I/O goes to the kernel's bus in one piece, and the
//! kernel drops the part that does not fit into the ring (`emulator_pio_in_out`).
//!
//! # No wakeups while idle
//!
//! A guest that writes and then halts leaves bytes in the ring without an exit. So a timer must run
//! while a zone is registered, and therefore a zone is registered only while the guest is busy:
//! after [`BUSY_WRITES`] writes that exited, and until [`IDLE_TICKS`] ticks without a write. An
//! idle console has no zone, no timer and no wakeup.
//!
//! Opening a zone costs the vCPU's thread a few microseconds. Closing one waits for a grace period
//! of the kernel (8 ms where it was measured), so the timer's thread does it, with no lock held.
//!
//! # In a VMM
//!
//! ```no_run
//! use std::sync::{Arc, Mutex};
//! use kvm_ioctls::{IoEventAddress, Kvm, VcpuExit};
//! use vm_uart::SerialPort;
//! use vm_uart::bus::{Width, coalesced::CoalescedRing, pio};
//!
//! # fn second_descriptor(_: &kvm_ioctls::VcpuFd) -> kvm_ioctls::VcpuFd { unimplemented!() }
//! let vm = Arc::new(Kvm::new()?.create_vm()?);
//! let mut vcpu = vm.create_vcpu(0)?;
//! let com1 = Arc::new(Mutex::new(SerialPort::new((), ())));
//!
//! let ring = CoalescedRing::new(vm.clone(), second_descriptor(&vcpu), Box::new(|_, _| {}))?;
//! ring.add(IoEventAddress::Pio(0x3f8), com1.clone())?;
//! // ... and let the event loop call `ring.tick()` when the ring's descriptor is readable.
//!
//! match vcpu.run()? {
//!     VcpuExit::IoOut(port @ 0x3f8..=0x3ff, data) => {
//!         ring.before_access(port.into(), true);
//!         pio::write(&mut *com1.lock().unwrap(), u64::from(port - 0x3f8), Width::Byte, data);
//!     }
//!     VcpuExit::IoIn(port @ 0x3f8..=0x3ff, data) => {
//!         ring.before_access(port.into(), false);
//!         pio::read(&mut *com1.lock().unwrap(), u64::from(port - 0x3f8), Width::Byte, data);
//!     }
//!     _ => {}
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Sharing
//!
//! The ring belongs to the VM. Entries of zones that somebody else registered go to the handler
//! given to [`CoalescedRing::new`]. The ring tells addresses apart by their number alone: a port
//! and a memory-mapped zone must not have the same number.

use std::fmt;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kvm_ioctls::{Cap, IoEventAddress, VcpuFd, VmFd};
use vmm_sys_util::timerfd::TimerFd;

use crate::bus::Registers;

/// The longest time that a byte stays in the ring of an open zone, as long as the timer is served.
pub const TICK: Duration = Duration::from_millis(5);

/// Writes to the data register that exit before its zone is registered.
pub const BUSY_WRITES: u32 = 16;

/// Ticks without a byte after which the zone is given up.
pub const IDLE_TICKS: u32 = 8;

/// Upper bound of [`BUSY_WRITES`] after it was doubled for guests that wait for the THRE interrupt.
const MOST_BUSY_WRITES: u32 = 4096;

/// More entries than a ring can hold (170 in a page of 4 KiB, 2,730 in one of 64 KiB): a drain that
/// took so many has taken all that were there when it began.
const RING_ENTRIES: usize = 4096;

/// Bytes handed to a port at once.
const LONGEST_RUN: usize = 256;

/// A port that takes replayed writes to its data register (offset 0).
pub trait DataRegister: Send + Sync {
    /// Applies `bytes`, oldest first, as successive one-byte writes to offset 0.
    fn write_data(&self, bytes: &[u8]);
}

impl<R: Registers + Send> DataRegister for Mutex<R> {
    fn write_data(&self, bytes: &[u8]) {
        self.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_string(crate::registers::THR, bytes);
    }
}

/// Takes the address and data of ring entries whose zones somebody else registered. It is called
/// with the ring locked, and must not call the ring.
pub type ForeignWrites = Box<dyn FnMut(u64, &[u8]) + Send>;

/// Why coalescing could not be set up. The port works without it, at one exit a byte.
#[derive(Debug)]
#[non_exhaustive]
pub enum CoalesceError {
    /// The host's KVM lacks `KVM_CAP_COALESCED_PIO` (Linux 4.20) or, for memory-mapped I/O,
    /// `KVM_CAP_COALESCED_MMIO`.
    Unsupported,
    /// The ring page could not be mapped from the vCPU's descriptor.
    Map(kvm_ioctls::Error),
    /// The timer could not be created; most likely the process is out of file descriptors.
    Timer(std::io::Error),
    /// There is a zone at this address already.
    AddressTaken(u64),
}

impl fmt::Display for CoalesceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => {
                f.write_str("this host's KVM has no coalesced I/O of that kind; run without it")
            }
            Self::Map(error) => write!(f, "cannot map KVM's ring of coalesced writes: {error}"),
            Self::Timer(error) => {
                write!(f, "cannot create the timer that empties the ring: {error}")
            }
            Self::AddressTaken(address) => write!(
                f,
                "a zone at {address:#x} exists already; give each port its own"
            ),
        }
    }
}

impl std::error::Error for CoalesceError {}

/// How many bytes came through the ring and how often zones were set up, for benchmarks and
/// operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoalesceCounters {
    /// Bytes that came through the ring.
    pub coalesced: u64,
    /// Bytes of `coalesced` that the timer had to fetch.
    pub by_tick: u64,
    /// Times that a zone was registered.
    pub registered: u64,
    /// Times that registering failed; the port then works by exits.
    pub failed: u64,
}

/// The ring of one VM, and the zones in it. Shared by all vCPU threads and by the thread that
/// serves its timer.
///
/// Call [`before_access`](Self::before_access) on *every* exit that touches a device, before that
/// device is touched. Call [`tick`](Self::tick) when the descriptor is readable. Call
/// [`drain`](Self::drain) with all vCPUs stopped, before a snapshot, a reset or the end. The ring
/// takes its own lock, and inside it the port's: never call the ring with a port locked.
pub struct CoalescedRing {
    vm: Arc<VmFd>,
    timer: RawFd,
    inner: Mutex<Inner>,
}

struct Inner {
    ring: VcpuFd,
    timer: TimerFd,
    zones: Vec<Zone>,
    foreign: ForeignWrites,
    counters: CoalesceCounters,
}

struct Zone {
    address: IoEventAddress,
    port: Arc<dyn DataRegister>,
    policy: Policy,
    /// The drain that is under way has taken bytes of this zone.
    drained: bool,
    /// Since the last tick, a drain before an access has taken bytes of this zone.
    drained_by_access: bool,
}

impl fmt::Debug for CoalescedRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoalescedRing")
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

impl CoalescedRing {
    /// Maps the ring of `vm` through `vcpu`. That is a *second* descriptor of one of its vCPUs
    /// (`VmFd::create_vcpu_from_rawfd` of a duplicate), as the first one is borrowed while its exit
    /// is being handled.
    ///
    /// # Errors
    ///
    /// [`CoalesceError::Map`] or [`CoalesceError::Timer`].
    pub fn new(
        vm: Arc<VmFd>,
        mut vcpu: VcpuFd,
        foreign: ForeignWrites,
    ) -> Result<Self, CoalesceError> {
        vcpu.map_coalesced_mmio_ring().map_err(CoalesceError::Map)?;
        let timer = TimerFd::new()
            .map_err(|e| CoalesceError::Timer(std::io::Error::from_raw_os_error(e.errno())))?;
        Ok(Self {
            vm,
            timer: timer.as_raw_fd(),
            inner: Mutex::new(Inner {
                ring: vcpu,
                timer,
                zones: Vec::new(),
                foreign,
                counters: CoalesceCounters::default(),
            }),
        })
    }

    /// Lets writes of one byte at `address` (the data register's) reach `port` through the ring
    /// while the guest is busy.
    ///
    /// # Errors
    ///
    /// [`CoalesceError::Unsupported`] or [`CoalesceError::AddressTaken`].
    pub fn add(
        &self,
        address: IoEventAddress,
        port: Arc<dyn DataRegister>,
    ) -> Result<(), CoalesceError> {
        let cap = match address {
            IoEventAddress::Pio(_) => Cap::CoalescedPio,
            IoEventAddress::Mmio(_) => Cap::CoalescedMmio,
        };
        if !self.vm.check_extension(cap) {
            return Err(CoalesceError::Unsupported);
        }
        let mut inner = self.lock();
        if inner
            .zones
            .iter()
            .any(|zone| place(zone.address) == place(address))
        {
            return Err(CoalesceError::AddressTaken(place(address)));
        }
        inner.zones.push(Zone {
            address,
            port,
            policy: Policy::new(),
            drained: false,
            drained_by_access: false,
        });
        Ok(())
    }

    /// Applies the ring's entries. Then the caller may handle an access at `address`, a port or a
    /// guest-physical address.
    #[inline]
    pub fn before_access(&self, address: u64, is_write: bool) {
        let mut inner = self.lock();
        if inner.drain() > 0 {
            for zone in &mut inner.zones {
                zone.drained_by_access |= zone.drained;
            }
        }
        if is_write
            && let Some(at) = inner
                .zones
                .iter()
                .position(|zone| place(zone.address) == address)
        {
            inner.write_by_exit(at, &self.vm);
        }
    }

    /// Applies the ring's entries and returns their number.
    pub fn drain(&self) -> usize {
        self.lock().drain()
    }

    /// Serves the timer: applies the ring's entries and gives up zones that are idle or that keep
    /// their guest waiting. Call it on the event loop's thread: it may wait for a grace period of
    /// the kernel, but never for the timer.
    pub fn tick(&self) {
        let closing = self.lock().tick();
        if closing.is_empty() {
            return;
        }
        for &address in &closing {
            // It fails only for a zone that is not there, and then there is nothing to close.
            let _closed = self.vm.unregister_coalesced_mmio(address, 1);
        }
        self.lock().closed(&closing);
    }

    /// The counters so far.
    #[must_use]
    pub fn counters(&self) -> CoalesceCounters {
        self.lock().counters
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The timer: readable when [`CoalescedRing::tick`] is due.
impl AsRawFd for CoalescedRing {
    fn as_raw_fd(&self) -> RawFd {
        self.timer
    }
}

impl Drop for CoalescedRing {
    fn drop(&mut self) {
        let mut inner = self.lock();
        for zone in inner
            .zones
            .iter()
            .filter(|zone| zone.policy.state == State::Open)
        {
            let _closed = self.vm.unregister_coalesced_mmio(zone.address, 1);
        }
        inner.drain();
    }
}

fn place(address: IoEventAddress) -> u64 {
    match address {
        IoEventAddress::Pio(address) | IoEventAddress::Mmio(address) => address,
    }
}

impl Inner {
    /// Takes at most [`RING_ENTRIES`], as another vCPU may refill the ring as fast as it is
    /// emptied.
    fn drain(&mut self) -> usize {
        let mut run = Run {
            bytes: [0; LONGEST_RUN],
            length: 0,
            zone: 0,
        };
        for zone in &mut self.zones {
            zone.drained = false;
        }
        let mut taken = 0;
        while taken < RING_ENTRIES
            && let Ok(Some(entry)) = self.ring.coalesced_mmio_read()
        {
            taken += 1;
            let data = &entry.data[..entry.data.len().min(entry.len as usize)];
            match self
                .zones
                .iter()
                .position(|zone| place(zone.address) == entry.phys_addr)
            {
                Some(zone) => {
                    if zone != run.zone || run.length == LONGEST_RUN {
                        run.deliver(&self.zones);
                        run.zone = zone;
                    }
                    run.push(data);
                    self.zones[zone].drained = true;
                    self.counters.coalesced += 1;
                }
                None => (self.foreign)(entry.phys_addr, data),
            }
        }
        run.deliver(&self.zones);
        taken
    }

    fn write_by_exit(&mut self, at: usize, vm: &VmFd) {
        let zone = &mut self.zones[at];
        if !zone.policy.write_by_exit() {
            return;
        }
        zone.policy.enter(State::Open);
        let address = zone.address;
        // The timer comes first: without it a byte could stay in the ring for ever.
        if self.set_timer() && vm.register_coalesced_mmio(address, 1).is_ok() {
            self.counters.registered += 1;
        } else {
            self.zones[at].policy.enter(State::Closed);
            self.counters.failed += 1;
            self.set_timer();
        }
    }

    /// Returns the zones to close. Closing is slow, so the caller does it without the lock.
    fn tick(&mut self) -> Vec<IoEventAddress> {
        let before = self.counters.coalesced;
        self.drain();
        self.counters.by_tick += self.counters.coalesced - before;
        let closing = self.zones.iter_mut().filter_map(|zone| {
            let by_access = std::mem::take(&mut zone.drained_by_access);
            zone.policy
                .tick(zone.drained, by_access)
                .then_some(zone.address)
        });
        let closing = closing.collect();
        self.set_timer();
        closing
    }

    fn closed(&mut self, addresses: &[IoEventAddress]) {
        // Bytes may have come between the tick's drain and the end of the zone.
        self.drain();
        for zone in &mut self.zones {
            if addresses
                .iter()
                .any(|&address| place(address) == place(zone.address))
            {
                zone.policy.enter(State::Closed);
            }
        }
        self.set_timer();
    }

    /// Lets the timer run as long as there is a zone, and says whether it could be set. Setting it
    /// also clears an expiry; a read could clear it too, but might wait for one.
    fn set_timer(&mut self) -> bool {
        let has_zone = self
            .zones
            .iter()
            .any(|zone| zone.policy.state != State::Closed);
        if has_zone {
            self.timer.reset(TICK, Some(TICK)).is_ok()
        } else {
            self.timer.clear().is_ok()
        }
    }
}

/// Successive bytes for one port, so that a burst takes one lock and one call of the line.
struct Run {
    bytes: [u8; LONGEST_RUN],
    length: usize,
    zone: usize,
}

impl Run {
    fn push(&mut self, data: &[u8]) {
        if let Some(&byte) = data.first() {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
    }

    fn deliver(&mut self, zones: &[Zone]) {
        if self.length > 0 {
            zones[self.zone].port.write_data(&self.bytes[..self.length]);
            self.length = 0;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Every write exits.
    Closed,
    /// Writes go to the ring.
    Open,
    /// The zone is being unregistered: a write may take either way.
    Closing,
}

/// Decides when a zone is worth having. Ticks are its only clock.
#[derive(Debug)]
struct Policy {
    state: State,
    /// Writes by exit since the zone was closed.
    writes: u32,
    /// The number of such writes that opens the zone.
    threshold: u32,
    idle_ticks: u32,
}

impl Policy {
    const fn new() -> Self {
        Self {
            state: State::Closed,
            writes: 0,
            threshold: BUSY_WRITES,
            idle_ticks: 0,
        }
    }

    /// True when the zone should be opened now.
    fn write_by_exit(&mut self) -> bool {
        self.writes = self.writes.saturating_add(1);
        self.state == State::Closed && self.writes >= self.threshold
    }

    const fn enter(&mut self, state: State) {
        self.state = state;
        self.writes = 0;
        self.idle_ticks = 0;
    }

    /// True when the zone should be closed: bytes waited a whole tick for the timer, or there were
    /// none for long.
    fn tick(&mut self, by_tick: bool, by_access: bool) -> bool {
        if self.state != State::Open {
            return false;
        }
        let close = match (by_tick, by_access) {
            (_, true) => {
                self.idle_ticks = 0;
                self.threshold = BUSY_WRITES;
                false
            }
            (true, false) => {
                self.threshold = (self.threshold * 2).min(MOST_BUSY_WRITES);
                true
            }
            (false, false) => {
                self.idle_ticks += 1;
                self.idle_ticks >= IDLE_TICKS
            }
        };
        if close {
            self.state = State::Closing;
        }
        close
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes_until_open(policy: &mut Policy) -> u32 {
        let writes = (1..=MOST_BUSY_WRITES)
            .find(|_| policy.write_by_exit())
            .unwrap_or(0);
        policy.enter(State::Open);
        writes
    }

    #[test]
    fn a_zone_opens_after_a_burst_and_closes_when_idle() {
        let mut policy = Policy::new();
        assert_eq!(writes_until_open(&mut policy), BUSY_WRITES);
        assert!(
            !policy.tick(true, true),
            "drained by accesses: worth having"
        );
        assert_eq!(
            (1..=IDLE_TICKS).find(|_| policy.tick(false, false)),
            Some(IDLE_TICKS)
        );
    }

    #[test]
    fn a_zone_being_closed_is_not_opened() {
        let mut policy = Policy::new();
        writes_until_open(&mut policy);
        assert!(policy.tick(true, false));
        assert!((0..MOST_BUSY_WRITES).all(|_| !policy.write_by_exit()));
    }

    #[test]
    fn a_guest_that_waits_for_its_interrupt_gets_exits_again_and_ever_longer() {
        let mut policy = Policy::new();
        let mut last = 0;
        for _ in 0..20 {
            let writes = writes_until_open(&mut policy);
            assert!(writes >= last && writes <= MOST_BUSY_WRITES);
            last = writes;
            assert!(policy.tick(true, false), "bytes waited for a tick");
            policy.enter(State::Closed);
        }
        assert_eq!(last, MOST_BUSY_WRITES);
        writes_until_open(&mut policy);
        assert!(!policy.tick(false, true));
        policy.enter(State::Closed);
        assert_eq!(
            writes_until_open(&mut policy),
            BUSY_WRITES,
            "forgiven once accesses drain it"
        );
    }
}
