//! The private stack of join halves that a thread shares only when somebody is hungry.
//!
//! Every thread that runs tasks has a region: a few words and a stack of slots, one for each half that has been forked
//! and not yet synced. C programs fork and sync inline (`weft/join.h`): a `weft_worker *` is a slot's address, and
//! since a region is aligned to its size, masking it gives the words. [`Region::fork`] and [`Region::sync`] are the same
//! code in Rust, and what the models check.
//!
//! Slots below `split` are shared, those from there up to `head` are private: no other thread touches them, so a fork
//! and its sync cost a few stores and two compares. `limit` is the address of the slot at `split`, and `sync`
//! compares with it; a thief asks for work by storing [`ASKED`], which makes the owner's next fork or sync leave the
//! fast path. Then the owner shares the older half of what is private, and wakes somebody. It stays asked until it has
//! shared something, and a thread that lies down leaves all others asked, so a half forked while everybody sleeps
//! is shared by its fork.
//!
//! Thieves take the oldest shared half by moving `tail` in the word {life, split, tail}; the owner takes shared halves back
//! by moving `split` down in the same word. A half's owner that finds it taken may meanwhile take halves of its
//! thief's, but only such as descend from its own, for it holds the locks of whoever called it (leapfrogging). These
//! are the halves that the thief forks during one *life*: a number in the word that is the thief's own for each half it
//! runs. When there are none, the owner parks.
//!
//! The last slot is never shared, and is its own successor: a full region runs everything serially, in order.
//!
//! Private stacks that are split on demand are Lace's (van Dijk, van de Pol: Lace: non-blocking split deque for
//! work-stealing, 2014); leapfrogging is Wagner's and Calder's (Leapfrogging: a portable technique for implementing
//! efficient futures, 1993).

use std::ffi::c_void;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::ptr;

use crate::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, UnsafeCell, fence};
use crate::sync::futex::{Futex, PARKED};
use crate::sync::waits::{self, Awaited, Party};
use crate::sync::{Deadline, park, spin};

/// Bytes of a region, and its alignment.
pub const SIZE: usize = 64 << 10;
/// `limit` when somebody asks for work: above every slot.
pub const ASKED: usize = usize::MAX;
/// Where C finds `limit`.
pub const LIMIT_AT: usize = 0;
/// Where C finds `head`.
pub const HEAD_AT: usize = 128;
const FIRST_SLOT_AT: usize = 384;

#[cfg(not(weft_loom))]
const SLOTS: usize = (SIZE - FIRST_SLOT_AT) / size_of::<Slot>();
#[cfg(weft_loom)]
const SLOTS: usize = 4;
/// Its own successor, never shared.
const LAST: usize = SLOTS - 1;

/// A half of a join. It gets the position from which it may fork, and its argument.
pub type Half = unsafe extern "C-unwind" fn(*mut Slot, *mut c_void);

/// What a half inherits from the task that forked it. The region only hands the address on.
#[cfg(not(weft_loom))]
pub use super::frame::Frame;
#[cfg(weft_loom)]
pub struct Frame;

/// A forked half. Private: what to run. Taken: who runs it.
#[repr(C)]
pub struct Slot {
    half: UnsafeCell<Half>,
    /// The argument; once taken, the thief's region.
    arg: UnsafeCell<*mut c_void>,
    state: Futex,
    /// Shared: its `Frame`'s address; once taken, the thief's life.
    context: UnsafeCell<u64>,
    _pinned: PhantomPinned,
}

/// Where C puts a half's function.
pub const HALF_AT: usize = std::mem::offset_of!(Slot, half);
/// Where C puts a half's argument.
pub const ARG_AT: usize = std::mem::offset_of!(Slot, arg);

/// `Slot::state` of a shared half that nobody has taken. Private slots have none: it is not initialised.
const OFFERED: u32 = 0;
/// Its thief's region and life can be read.
const TAKEN: u32 = 1;
const DONE: u32 = 2;
const PANICKED: u32 = 4;

/// {life: 40, split: 12, tail: 12}
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shared(u64);

impl Shared {
    const FIELD: u32 = 12;
    const MASK: u64 = (1 << Self::FIELD) - 1;

    fn new(life: u64, split: usize, tail: usize) -> Self {
        Shared(life << (2 * Self::FIELD) | (split as u64) << Self::FIELD | tail as u64)
    }

    fn tail(self) -> usize {
        (self.0 & Self::MASK) as usize
    }

    fn split(self) -> usize {
        (self.0 >> Self::FIELD & Self::MASK) as usize
    }

    fn life(self) -> u64 {
        self.0 >> (2 * Self::FIELD)
    }

    fn is_empty(self) -> bool {
        self.tail() == self.split()
    }
}

/// What the owner's slow paths need to know and do.
pub trait Host {
    /// Whether some thread could run more than it has.
    fn hungry(&self) -> bool;
    /// A half has been shared.
    fn notify(&self);
    /// The frame of the task that forked the half in slot `index`.
    fn frame_of(&self, index: usize) -> *const Frame;
    /// A half has been taken, and its owner is about to wait for it.
    fn must_wait(&self);
    /// Runs a half that this thread has taken, on top of what it is in.
    fn run(&self, stolen: Stolen);
}

/// How a sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// Nobody took the half: the caller runs it.
    Mine,
    /// It has been run.
    Done,
    /// It has been run, and panicked.
    Panicked,
}

/// A thread's region. Its owner is one thread at a time; `steal`, `steal_from`, `ask` and `has_shared` are for
/// everybody, the other methods for the owner.
#[repr(C, align(65536))]
pub struct Region {
    /// Written by the owner's slow paths and by those who ask; read at each fork and sync.
    limit: AtomicUsize,
    _line: [u64; 15],
    /// The owner's line. `head`: the address of the next free slot.
    head: AtomicUsize,
    /// The address of what the owner is to its scheduler.
    pub worker: AtomicUsize,
    lives: AtomicU64,
    /// Who the thread is to those who wait for it; null: it has not said yet.
    pub party: AtomicPtr<Party>,
    /// Whether somebody has asked who does not count as hungry: who waits for a half, or is about to finish one.
    asked_by_name: AtomicU32,
    _owners_line: [u32; 23],
    /// The thieves' line.
    shared: AtomicU64,
    _thieves_line: [u64; 15],
    slots: [MaybeUninit<Slot>; SLOTS],
}

#[cfg(not(weft_loom))]
const _: () = {
    assert!(size_of::<Region>() == SIZE && size_of::<Slot>() == 32 && SLOTS <= Shared::MASK as usize);
    assert!(std::mem::offset_of!(Region, limit) == LIMIT_AT && std::mem::offset_of!(Region, head) == HEAD_AT);
    assert!(std::mem::offset_of!(Region, slots) == FIRST_SLOT_AT);
};

// SAFETY: everything that two threads touch is atomic, but for the contents of slots: private ones are the owner's; a
// shared one is its thief's from the exchange that takes it to DONE, or the owner's again from the exchange that takes
// it back. The halves themselves may run on any thread, as whoever forks them promises.
unsafe impl Sync for Region {}
// SAFETY: as above.
unsafe impl Send for Region {}

/// A half that this thread has taken and must run and finish.
#[must_use = "its owner waits for it"]
pub struct Stolen {
    slot: *const Slot,
    /// What to run.
    pub half: Half,
    /// Its argument.
    pub arg: *mut c_void,
    /// The frame of the task that forked it, which lives until it is finished.
    pub frame: *const Frame,
    /// Whether it was the last one shared.
    pub last: bool,
}

impl Region {
    /// An empty region, or None when there is no memory. Slots that are never used are never touched.
    pub fn new() -> Option<Box<Region>> {
        // SAFETY: the layout of a Region has a size.
        let memory = unsafe { std::alloc::alloc(std::alloc::Layout::new::<Region>()) }.cast::<Region>();
        if memory.is_null() {
            return None;
        }
        // SAFETY: allocated for a Region by the global allocator; every field but the slots, which may be
        // uninitialised, is written before the box is made.
        let region = unsafe {
            let first = (&raw const (*memory).slots).addr();
            (&raw mut (*memory).limit).write(AtomicUsize::new(first));
            (&raw mut (*memory).head).write(AtomicUsize::new(first));
            (&raw mut (*memory).worker).write(AtomicUsize::new(0));
            (&raw mut (*memory).lives).write(AtomicU64::new(0));
            (&raw mut (*memory).party).write(AtomicPtr::new(ptr::null_mut()));
            (&raw mut (*memory).asked_by_name).write(AtomicU32::new(0));
            (&raw mut (*memory).shared).write(AtomicU64::new(0));
            // Who takes a position for a handle finds none.
            (&raw mut (*memory).slots[0]).write(MaybeUninit::zeroed());
            (&raw mut (*memory)._line).write([0; 15]);
            (&raw mut (*memory)._owners_line).write([0; 23]);
            (&raw mut (*memory)._thieves_line).write([0; 15]);
            Box::from_raw(memory)
        };
        #[cfg(weft_loom)]
        for index in 0..SLOTS {
            unsafe extern "C-unwind" fn nothing(_: *mut Slot, _: *mut c_void) {}
            let slot = Slot {
                half: UnsafeCell::new(nothing),
                arg: UnsafeCell::new(ptr::null_mut()),
                state: Futex::new(DONE),
                context: UnsafeCell::new(0),
                _pinned: PhantomPinned,
            };
            unsafe { region.slot(index).cast_mut().write(slot) };
        }
        Some(region)
    }

    /// The region around a position.
    ///
    /// # Safety
    /// `position` is a slot of a region that outlives the result.
    pub unsafe fn of<'a>(position: *const Slot) -> &'a Region {
        // SAFETY: regions are aligned to their size; live, by contract.
        unsafe { &*position.map_addr(|address| address & !(SIZE - 1)).cast() }
    }

    fn slot(&self, index: usize) -> *const Slot {
        debug_assert!(index < SLOTS);
        self.slots.as_ptr().cast::<Slot>().wrapping_add(index)
    }

    fn address(&self, index: usize) -> usize {
        self.slot(index).addr()
    }

    /// The slot's number.
    pub fn index(&self, position: *const Slot) -> usize {
        (position.addr() - self.address(0)) / size_of::<Slot>()
    }

    /// The next free slot.
    pub fn head(&self) -> *mut Slot {
        // Relaxed, as everywhere: only the owner reads and writes it.
        self.slots.as_ptr().cast_mut().cast::<Slot>().with_addr(self.head.load(Ordering::Relaxed))
    }

    /// The position after this one.
    pub fn next(&self, position: *mut Slot) -> *mut Slot {
        if position.addr() == self.address(LAST) { position } else { position.wrapping_add(1) }
    }

    fn load(&self, order: Ordering) -> Shared {
        Shared(self.shared.load(order))
    }

    /// Offers a half at the head. Returns its position, for `sync`.
    ///
    /// # Safety
    /// The half may be run once with this argument by any thread until `sync` has returned, which the caller calls in the
    /// reverse order of its forks.
    pub unsafe fn fork(&self, half: Half, arg: *mut c_void, host: &impl Host) -> *mut Slot {
        let position = self.head();
        // SAFETY: the slot at the head is free, and the owner's alone.
        unsafe {
            (*position).half.with_mut(|place| *place = half);
            (*position).arg.with_mut(|place| *place = arg);
        }
        self.head.store(self.next(position).addr(), Ordering::Relaxed);
        if self.limit.load(Ordering::Relaxed) == ASKED {
            self.answer(self.index(self.head()), host);
        }
        position
    }

    /// Ends the half forked last, at `position`, unless it has been taken: then waits for it.
    pub fn sync(&self, position: *mut Slot, host: &impl Host) -> Synced {
        self.head.store(position.addr(), Ordering::Relaxed);
        // Relaxed: what is shared the owner shared itself, and an ask is a hint.
        if position.addr() >= self.limit.load(Ordering::Relaxed) {
            return Synced::Mine;
        }
        self.sync_slow(position, host)
    }

    /// The rest of a sync whose position is below `limit`.
    #[cold]
    pub fn sync_slow(&self, position: *mut Slot, host: &impl Host) -> Synced {
        let index = self.index(position);
        let mut shared = self.load(Ordering::Relaxed);
        if shared.split() > index + 1 {
            // Forks above this one have not been synced: a mistake. Nobody may run in their slots when they are used again.
            self.sync_slow(self.slot(shared.split() - 1).cast_mut(), host);
            self.head.store(position.addr(), Ordering::Relaxed);
            return self.sync_slow(position, host);
        }
        if index >= shared.split() {
            // Private: somebody asked. This half is about to be run here; older ones can be shared.
            self.answer(index, host);
            return Synced::Mine;
        }
        while shared.tail() <= index {
            // Takes back the younger half of what is shared, this one included.
            let split = shared.tail() + (index - shared.tail()) / 2;
            let new = Shared::new(shared.life(), split, shared.tail());
            // Relaxed, both: a slot that comes back was last written by the owner, and one that does not is waited for below.
            match self.shared.compare_exchange_weak(shared.0, new.0, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    self.set_limit(split, !new.is_empty());
                    return Synced::Mine;
                }
                Err(now) => shared = Shared(now),
            }
        }
        host.must_wait();
        // The slot is its thief's, so what runs here meanwhile forks above it.
        self.head.store(self.next(position).addr(), Ordering::Relaxed);
        let state = self.wait(index, host);
        self.head.store(position.addr(), Ordering::Relaxed);
        // Every slot from here up is free, and everything below has been taken: nothing is shared. No thief's exchange can
        // meet this store, for none succeeds while tail and split are equal, and they were.
        // Relaxed: who takes something next reads what `share` released after this.
        self.shared.store(Shared::new(self.load(Ordering::Relaxed).life(), index, index).0, Ordering::Relaxed);
        self.set_limit(index, false);
        if state & PANICKED != 0 { Synced::Panicked } else { Synced::Done }
    }

    /// Moves `limit` with `split`. An ask stays, unless something is shared.
    fn set_limit(&self, split: usize, satisfied: bool) {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit != ASKED || satisfied {
            // A failed exchange is an ask that came meanwhile.
            let _ = self.limit.compare_exchange(limit, self.address(split), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Somebody asked: shares the older half of what is private below `end`.
    #[cold]
    pub fn answer(&self, end: usize, host: &impl Host) {
        let shared = self.load(Ordering::Relaxed);
        if !shared.is_empty() {
            // Still there to be taken. Whoever takes the last one asks again if need be.
            self.limit.store(self.address(shared.split()), Ordering::Relaxed);
            return;
        }
        if self.asked_by_name.load(Ordering::Relaxed) == 0 && !host.hungry() {
            self.limit.store(self.address(shared.split()), Ordering::Relaxed);
            // A thread that becomes hungry says so first, and asks then; the ask may have come before the store above.
            fence(Ordering::SeqCst);
            if !host.hungry() {
                return;
            }
            self.limit.store(ASKED, Ordering::Relaxed);
        }
        if end > shared.split() {
            self.asked_by_name.store(0, Ordering::Relaxed);
            self.share(shared, (end - shared.split()).div_ceil(2), host);
        }
    }

    /// Shares all private halves: the owner is about to block.
    pub fn share_all(&self, host: &impl Host) {
        let shared = self.load(Ordering::Relaxed);
        let count = self.index(self.head()) - shared.split();
        if count > 0 {
            self.share(shared, count, host);
        }
    }

    fn share(&self, shared: Shared, count: usize, host: &impl Host) {
        for index in shared.split()..shared.split() + count {
            let slot = self.slot(index);
            // SAFETY: the slot is private, so this thread has it alone. Its state is written as a whole because a slot that
            // was never shared has none.
            unsafe {
                #[cfg(not(weft_loom))]
                (&raw const (*slot).state).cast_mut().write(Futex::new(OFFERED));
                #[cfg(weft_loom)]
                (*slot).state.store(OFFERED, Ordering::Relaxed);
                (*slot).context.with_mut(|place| *place = host.frame_of(index).expose_provenance() as u64);
            }
        }
        // Release: whoever takes a half sees what was written for it.
        self.shared.fetch_add((count as u64) << Shared::FIELD, Ordering::Release);
        self.limit.store(self.address(shared.split() + count), Ordering::Relaxed);
        host.notify();
    }

    /// Asks the owner to share something.
    pub fn ask(&self) {
        if self.limit.load(Ordering::Relaxed) != ASKED {
            self.limit.store(ASKED, Ordering::Relaxed);
        }
    }

    fn ask_by_name(&self) {
        self.asked_by_name.store(1, Ordering::Relaxed);
        self.ask();
    }

    /// Whether somebody has asked and got nothing.
    pub fn is_asked(&self) -> bool {
        self.limit.load(Ordering::Relaxed) == ASKED
    }

    /// Whether there is something to take.
    pub fn has_shared(&self) -> bool {
        // Relaxed: ordered by the fences of `idle` (rule 1 there), or a hint.
        !self.load(Ordering::Relaxed).is_empty()
    }

    /// Takes the oldest shared half. None: there is none, or somebody else took it this moment.
    pub fn steal(&self) -> Option<Stolen> {
        self.steal_when(self.load(Ordering::Relaxed))
    }

    /// The same for halves that were forked in one life of this region's owner.
    fn steal_from(&self, life: u64) -> Option<Stolen> {
        let shared = self.load(Ordering::Relaxed);
        // What is shared now was forked in this life or below it; what is below has been taken, see `begin_life`.
        if shared.life() != life {
            return None;
        }
        self.steal_when(shared)
    }

    fn steal_when(&self, shared: Shared) -> Option<Stolen> {
        if shared.is_empty() {
            return None;
        }
        let taken = Shared::new(shared.life(), shared.split(), shared.tail() + 1);
        // Acquire pairs with the Release in `share`: by the time this succeeds the word may have gone through other values,
        // but the slot is what was shared last. The life makes sure of whose half it is.
        self.shared.compare_exchange(shared.0, taken.0, Ordering::Acquire, Ordering::Relaxed).ok()?;
        let slot = self.slot(shared.tail());
        // SAFETY: the exchange gave this thread the slot, until `finish`.
        unsafe {
            Some(Stolen {
                slot,
                half: (*slot).half.with(|half| *half),
                arg: (*slot).arg.with(|arg| *arg),
                frame: ptr::with_exposed_provenance((*slot).context.with(|frame| *frame) as usize),
                last: taken.is_empty(),
            })
        }
    }

    /// Waits for a taken half: runs what descends from it as far as there is some, then parks. Returns its final state.
    fn wait(&self, index: usize, host: &impl Host) -> u32 {
        // SAFETY: slots live as long as the region; a shared one is initialised.
        let slot = unsafe { &*self.slot(index) };
        // Acquire pairs with the Release in `sign` and `finish`.
        let state = || slot.state.load(Ordering::Acquire);
        loop {
            let mut now = state();
            if now & DONE != 0 {
                return now;
            }
            if now & TAKEN != 0 {
                // SAFETY: written before TAKEN was, and by nobody until the owner has seen DONE. Regions live as long as the
                // runtime.
                let (thief, life) = unsafe {
                    let thief = slot.arg.with(|region| (*region).cast::<Region>());
                    (&*thief, slot.context.with(|life| *life))
                };
                if let Some(stolen) = thief.steal_from(life) {
                    host.run(stolen);
                    continue;
                }
                if thief.load(Ordering::Relaxed).life() == life {
                    thief.ask_by_name();
                }
                let more = || thief.load(Ordering::Relaxed).life() == life && thief.has_shared();
                if spin::until(|| state() & DONE != 0 || more()) {
                    continue;
                }
            } else if spin::until(|| state() & (TAKEN | DONE) != 0) {
                continue;
            }
            // AcqRel: as `state`; and a thief that finds the mark wakes this thread.
            now = slot.state.fetch_or(PARKED, Ordering::AcqRel) | PARKED;
            if now & DONE == 0 {
                let park = || {
                    while now & DONE == 0 {
                        slot.state.wait(now, None);
                        now = state();
                    }
                };
                waits::awaiting(Some(&Taken(slot)), Deadline::Never, || park::around(park));
            }
        }
    }

    /// The owner begins to run a half that it has taken. Nothing of its own is shared at this moment: it had no work,
    /// or waits for a half, which the thieves took after all older ones. So whatever can be taken from here
    /// during this life was forked during it. Returns the new life, and the old one for `end_life`.
    pub fn begin_life(&self) -> (u64, u64) {
        let life = self.lives.load(Ordering::Relaxed) + 1;
        self.lives.store(life, Ordering::Relaxed);
        (life, self.live(life))
    }

    /// The half has been run: the life that it interrupted goes on.
    pub fn end_life(&self, outer: u64) {
        self.live(outer);
    }

    fn live(&self, life: u64) -> u64 {
        let shared = self.load(Ordering::Relaxed);
        debug_assert!(shared.is_empty());
        // As in `sync_slow`: no thief's exchange can meet this store, and it publishes nothing.
        self.shared.store(Shared::new(life, shared.split(), shared.tail()).0, Ordering::Relaxed);
        shared.life()
    }
}

#[cfg(weft_loom)]
impl Drop for Region {
    fn drop(&mut self) {
        (0..SLOTS).for_each(|index| unsafe { self.slot(index).cast_mut().drop_in_place() });
    }
}

/// A half that another thread has taken, as its owner waits for it.
struct Taken<'a>(&'a Slot);

// SAFETY: who looks at it keeps the owner in its wait; see `wait` for what may be read then.
unsafe impl Sync for Taken<'_> {}

impl Awaited for Taken<'_> {
    fn by(&self) -> Option<&'static Party> {
        // Acquire pairs with the Release in `sign`.
        let is_run = || self.0.state.load(Ordering::Acquire) & (TAKEN | DONE) == TAKEN;
        if !is_run() {
            return None;
        }
        // SAFETY: as in `wait`. Parties are never freed.
        let party = unsafe {
            let thief = self.0.arg.with(|region| (*region).cast::<Region>());
            (*thief).party.load(Ordering::Acquire).as_ref()
        };
        // Once more: another thread may have come to the thief's region when the half had been run.
        party.filter(|_| is_run())
    }

    fn describe(&self) -> String {
        "the half of a join".into()
    }

    fn can_be_stopped(&self) -> bool {
        false
    }
}

impl Stolen {
    /// Tells the half's owner who runs it.
    pub fn sign(&self, thief: &Region, life: u64) {
        // SAFETY: this thread has the slot until `finish`; slots live as long as the region.
        unsafe {
            (*self.slot).arg.with_mut(|place| *place = ptr::from_ref(thief).cast_mut().cast());
            (*self.slot).context.with_mut(|place| *place = life);
            // Release pairs with the Acquire in `wait`. An RMW, for the owner may have parked.
            (*self.slot).state.fetch_or(TAKEN, Ordering::Release);
        }
    }

    fn owner(&self) -> &Region {
        // SAFETY: the slot is in a region, which lives as long as the runtime.
        unsafe { Region::of(self.slot) }
    }

    /// Asks where it came from, for others.
    pub fn ask_again(&self) {
        self.owner().ask();
    }

    /// Asks where it came from, because this thread has nothing else to do. Its owner may go on and fork the next half the
    /// moment this one is finished, so this comes before.
    pub fn ask_for_more(&self) {
        self.owner().ask_by_name();
    }

    /// The half has been run; its owner goes on.
    pub fn finish(self, panicked: bool) {
        let outcome = if panicked { DONE | PANICKED } else { DONE };
        // SAFETY: the slot is this thread's until the outcome is stored; the memory stays.
        unsafe { Futex::publish(&raw const (*self.slot).state, outcome) }
    }
}

#[cfg(all(test, weft_loom))]
mod models;
