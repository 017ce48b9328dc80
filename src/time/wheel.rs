//! A hierarchical timing wheel (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987), told the time from outside.
//!
//! Time is cut into ticks of 2^16 ns (65.5 us). A tick's number has 48 bits, which is enough for every deadline in an `i64`:
//! eight levels of 64 slots, one for each six bits, and nothing overflows. An entry is at the level of the highest six bits in
//! which its tick differs from the wheel's, in the slot that these bits name. So arming and stopping take the same time
//! whatever there is, and the earliest entries are in the first occupied slot of the lowest occupied level, which two
//! bitmaps tell.
//!
//! When the wheel reaches a slot above the lowest level, its entries go further down, one at a time: the caller says how many
//! at once, and may let others in between. What is armed meanwhile and belongs below goes through that slot, too, so that
//! entries of one tick expire in the order they were armed in, always.
//!
//! A deadline is rounded up to a tick and the time down, so nothing is early, and a wheel that is asked at each
//! [`Wheel::wake`] is late by a tick at most. That point is the earliest deadline in the first slot, not the beginning of the
//! slot: a wheel in which nothing is due for hours asks for nothing for hours. Only a slot that holds many is taken apart
//! ahead of its first deadline, by the time that takes.

use std::ptr::{self, NonNull};

/// log2 of a tick in nanoseconds. 65.5 us: about what the kernel's own slack for sleeping threads comes to (50 us), so finer
/// ticks would promise what no thread keeps; and coarse enough for timers of one burst to share a wake-up.
const TICK: u32 = 16;
const BITS: u32 = 6;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 8;

/// log2 of how many entries are moved down in one tick, at least: 128 ns for each, several times what it takes.
const MOVED: u32 = 9;

/// A tick that never comes.
pub const NEVER: u64 = u64::MAX;

// The latest deadline has a place.
const _: () = assert!(tick_after(i64::MAX) < 1 << (BITS * LEVELS as u32));

/// The first tick that begins at this point or later.
const fn tick_after(ns: i64) -> u64 {
    if ns <= 0 { 0 } else { (ns as u64).div_ceil(1 << TICK) }
}

/// The last tick that has begun at this point.
const fn tick_at(ns: i64) -> u64 {
    if ns <= 0 { 0 } else { ns as u64 >> TICK }
}

/// When a tick begins; None: later than any point in time.
pub fn begin_of(tick: u64) -> Option<i64> {
    (tick <= i64::MAX as u64 >> TICK).then_some((tick << TICK) as i64)
}

/// The beginning of everything that can be armed. Belongs to the wheel while it is armed.
pub struct Node {
    next: *mut Node,
    previous: *mut Node,
    tick: u64,
    /// Which slot it is in; NOWHERE: it is not armed.
    slot: usize,
}

const NOWHERE: usize = usize::MAX;

impl Default for Node {
    fn default() -> Self {
        Node { next: ptr::null_mut(), previous: ptr::null_mut(), tick: 0, slot: NOWHERE }
    }
}

impl Node {
    /// Whether it is in a wheel.
    pub fn is_armed(&self) -> bool {
        self.slot != NOWHERE
    }
}

#[derive(Clone, Copy)]
struct Slot {
    head: *mut Node,
    tail: *mut Node,
    len: u64,
    /// Not after the earliest tick in it. Stopping does not raise it.
    earliest: u64,
}

const EMPTY: Slot = Slot { head: ptr::null_mut(), tail: ptr::null_mut(), len: 0, earliest: NEVER };

/// The wheel.
pub struct Wheel {
    /// The tick it stands at. No armed entry has an earlier one.
    now: u64,
    /// Boxed, and made on the heap: it is too large for some stacks.
    slots: Box<[Slot]>,
    /// A bit for each occupied slot.
    occupied: [u64; LEVELS],
    /// The level whose slot at `now` is being taken apart; 0: none.
    moving: usize,
    len: usize,
}

// SAFETY: the pointers lead to nodes that stay in place while they are armed; whoever has the wheel has them exclusively.
unsafe impl Send for Wheel {}

impl Default for Wheel {
    fn default() -> Self {
        let slots = vec![EMPTY; SLOTS * LEVELS].into_boxed_slice();
        Wheel { now: 0, slots, occupied: [0; LEVELS], moving: 0, len: 0 }
    }
}

/// The number of the slot of a tick at a level.
fn slot_of(level: usize, tick: u64) -> usize {
    level * SLOTS + (tick >> (BITS * level as u32)) as usize % SLOTS
}

impl Wheel {
    /// How many are armed.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Arms a node. The tick by which the wheel wants to be asked for its sake.
    ///
    /// # Safety
    /// The node is live and in place until it is disarmed or has expired, nobody else touches it meanwhile, and it is not armed.
    pub unsafe fn arm(&mut self, node: NonNull<Node>, deadline_ns: i64) -> u64 {
        let node = node.as_ptr();
        // What is overdue is due now.
        // SAFETY: live, and ours from here on.
        unsafe { (*node).tick = tick_after(deadline_ns).max(self.now) };
        self.len += 1;
        // SAFETY: as above.
        let slot = unsafe { self.put(node) };
        self.wake_of(slot)
    }

    /// Takes a node out.
    ///
    /// # Safety
    /// It is armed, in this wheel.
    pub unsafe fn disarm(&mut self, node: NonNull<Node>) {
        self.len -= 1;
        // SAFETY: promised by the caller.
        unsafe { self.unlink(node.as_ptr()) };
    }

    /// Links a node where it belongs. Returns the slot.
    ///
    /// # Safety
    /// As for `arm`; the tick is set.
    unsafe fn put(&mut self, node: *mut Node) -> usize {
        // SAFETY: live by contract; a slot's tail is an armed node.
        unsafe {
            let tick = (*node).tick;
            let level = ((tick ^ self.now).checked_ilog2().unwrap_or(0) / BITS) as usize;
            // What belongs below a slot that is being taken apart comes after those in it.
            let index = if level < self.moving { slot_of(self.moving, self.now) } else { slot_of(level, tick) };
            let slot = &mut self.slots[index];
            (*node).slot = index;
            (*node).next = ptr::null_mut();
            (*node).previous = slot.tail;
            match slot.tail.as_mut() {
                Some(tail) => tail.next = node,
                None => slot.head = node,
            }
            slot.tail = node;
            slot.len += 1;
            slot.earliest = slot.earliest.min(tick);
            self.occupied[index / SLOTS] |= 1 << (index % SLOTS);
            index
        }
    }

    /// Takes a node out of its slot.
    ///
    /// # Safety
    /// It is in one.
    unsafe fn unlink(&mut self, node: *mut Node) {
        // SAFETY: live, as armed nodes and their neighbours are.
        unsafe {
            let (next, previous, index) = ((*node).next, (*node).previous, (*node).slot);
            (*node).slot = NOWHERE;
            let slot = &mut self.slots[index];
            match previous.as_mut() {
                Some(previous) => previous.next = next,
                None => slot.head = next,
            }
            match next.as_mut() {
                Some(next) => next.previous = previous,
                None => slot.tail = previous,
            }
            slot.len -= 1;
            if slot.head.is_null() {
                slot.earliest = NEVER;
                self.occupied[index / SLOTS] &= !(1 << (index % SLOTS));
                if self.moving > 0 && index == slot_of(self.moving, self.now) {
                    self.moving = 0;
                }
            }
        }
    }

    /// The level of the first occupied slot, and the tick that the slot begins with.
    fn first(&self) -> Option<(usize, u64)> {
        if self.moving > 0 {
            return Some((self.moving, self.now));
        }
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        // All of a level's slots are ahead, for its entries agree with `now` in the bits above.
        let slot = u64::from(self.occupied[level].trailing_zeros());
        let shift = BITS * level as u32;
        let above = self.now >> shift >> BITS << BITS;
        Some((level, (above | slot) << shift))
    }

    /// By when the wheel wants to be asked for what is in an occupied slot.
    fn wake_of(&self, index: usize) -> u64 {
        let (slot, level) = (&self.slots[index], index / SLOTS);
        if level == 0 {
            return slot.earliest;
        }
        // Before its beginning a slot cannot be taken apart.
        let shift = BITS * level as u32;
        let begin = slot.earliest >> shift << shift;
        slot.earliest.saturating_sub(slot.len >> MOVED).max(begin)
    }

    /// By when the wheel wants to be asked again; NEVER: it is empty. Not later than the first deadline; earlier if much has to
    /// be moved before, or if what was armed for that point has been stopped.
    pub fn wake(&self) -> u64 {
        self.first().map_or(NEVER, |(level, begin)| self.wake_of(slot_of(level, begin)))
    }

    /// The next node that is due at this point in time, disarmed. None: there is none, or `budget`, the number of steps that
    /// may be made (it is counted down), is used up.
    pub fn expire(&mut self, now_ns: i64, budget: &mut usize) -> Option<NonNull<Node>> {
        let now = tick_at(now_ns);
        while *budget > 0 {
            let Some((level, begin)) = self.first().filter(|&(_, begin)| begin <= now) else {
                // Nothing lies between, so what is armed stays at its level.
                self.now = self.now.max(now);
                return None;
            };
            *budget -= 1;
            self.now = begin;
            self.moving = level;
            let node = self.slots[slot_of(level, begin)].head;
            // SAFETY: the head of an occupied slot is armed. Moving or expiring, it is taken out first.
            unsafe {
                self.unlink(node);
                if level == 0 {
                    self.len -= 1;
                    return NonNull::new(node);
                }
                self.drop_down(node, level);
            }
        }
        None
    }

    /// Puts a node of the slot that is being taken apart where it belongs now.
    ///
    /// # Safety
    /// As for `put`.
    unsafe fn drop_down(&mut self, node: *mut Node, level: usize) {
        let moving = std::mem::replace(&mut self.moving, 0);
        // SAFETY: promised by the caller.
        let slot = unsafe { self.put(node) };
        debug_assert!(slot < level * SLOTS);
        self.moving = moving;
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests;
