//! Timers that any thread arms and stops, and one thread drives.
//!
//! One lock guards the wheel, and decides: what is in the wheel has not expired, so who takes it out under the lock has
//! stopped it, and who is given it by the wheel runs it. The lock is held for a few dozen instructions; when much expires
//! at once it is let go in between.
//!
//! The alarm of the clock is set under the same lock, to when the wheel wants to be asked next, and moved by whoever arms
//! something earlier: no wake-up can get lost between the two. What is stopped does not move it: the driver wakes once
//! for nothing, and arming and stopping over and over costs no system call.

use std::cell::UnsafeCell;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::clock::Clock;
use super::entry::{Action, Entry, Links};
use super::wheel::{self, Node, Wheel};
use crate::platform::fork;
use crate::sync::Lock;
use crate::sync::atomic::{AtomicBool, Ordering, fence};

/// How many entries expire, and how many steps the wheel makes, under one hold of the lock.
const BATCH: usize = 32;
const STEPS: usize = 256;

/// What has expired, and whether it is to be called.
type Batch = [Option<(NonNull<Links>, bool)>; BATCH];

/// Timers on a clock.
pub struct Timers<C> {
    clock: C,
    /// The process they are of: a forked child must not touch the lock.
    epoch: u32,
    state: Lock<State>,
}

struct State {
    wheel: Wheel,
    /// The tick that the alarm is set to.
    alarm: u64,
}

/// Entries that can be stopped together, for good. In place while any of them is armed.
#[derive(Default)]
pub struct Group {
    /// Guarded by the lock of the timers.
    first: UnsafeCell<Option<NonNull<Links>>>,
    /// Whether anything has ever been armed in it.
    used: AtomicBool,
    closed: AtomicBool,
}

// SAFETY: the list is touched under the lock of the timers only; so are what its pointers lead to.
unsafe impl Sync for Group {}
// SAFETY: as above.
unsafe impl Send for Group {}

impl Group {
    /// Nothing can be armed in it any more. Whether something may have been: then [`Timers::close`] is called next.
    pub fn close(&self) -> bool {
        self.closed.store(true, Ordering::Relaxed);
        // Pairs with the fence in `admits`: either the first who arms sees it closed, or it is seen here to be used.
        fence(Ordering::SeqCst);
        self.used.load(Ordering::Relaxed)
    }

    /// Whether an entry may be armed. Under the lock: who closes a used group takes it afterwards, and finds the entry.
    fn admits(&self) -> bool {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
        !self.closed.load(Ordering::Relaxed)
    }

    /// # Safety
    /// The lock is held; the entry is live and in no group.
    unsafe fn link(&self, links: NonNull<Links>) {
        // SAFETY: promised by the caller; the first of the list is live, as it is armed.
        unsafe {
            let first = (*self.first.get()).replace(links);
            let links = links.as_ptr();
            (*links).group = self;
            (*links).previous = ptr::null_mut();
            (*links).next = first.map_or(ptr::null_mut(), NonNull::as_ptr);
            if let Some(first) = first {
                (*first.as_ptr()).previous = links;
            }
        }
    }
}

/// Takes an entry out of its group, if it is in one.
///
/// # Safety
/// The lock is held; the entry is live.
unsafe fn leave_group(links: NonNull<Links>) {
    // SAFETY: promised by the caller; the group is in place, and its entries are live.
    unsafe {
        let links = links.as_ptr();
        let Some(group) = (*links).group.as_ref() else { return };
        let (next, previous) = ((*links).next, (*links).previous);
        match previous.as_mut() {
            Some(previous) => previous.next = next,
            None => *group.first.get() = NonNull::new(next),
        }
        if let Some(next) = next.as_mut() {
            next.previous = previous;
        }
        (*links).group = ptr::null();
    }
}

impl State {
    /// Takes an entry out. The wheel's reference is the caller's then.
    ///
    /// # Safety
    /// It is armed.
    unsafe fn take_out(&mut self, links: NonNull<Links>) {
        // SAFETY: promised by the caller, who has the lock.
        unsafe {
            self.wheel.disarm(links.cast::<Node>());
            leave_group(links);
        }
    }
}

impl<C: Clock> Timers<C> {
    /// Timers of which none is armed.
    pub fn new(clock: C) -> Self {
        let state = State { wheel: Wheel::default(), alarm: wheel::NEVER };
        Timers { clock, epoch: fork::epoch(), state: Lock::new(state) }
    }

    /// The clock.
    pub fn clock(&self) -> &C {
        &self.clock
    }

    fn is_inherited(&self) -> bool {
        self.epoch != fork::epoch()
    }

    /// Arms an entry, anew if it is armed: its time comes at `deadline_ns`, and then every `period_ns`; 0: once. The periods
    /// count from the deadline, not from when the driver got to it; those that it is too late for are left out.
    pub fn arm<A: Action>(&self, entry: &Arc<Entry<A>>, deadline_ns: i64, period_ns: i64) {
        // SAFETY: there is no group.
        let armed = unsafe { self.arm_in(None, entry, deadline_ns, period_ns) };
        debug_assert!(armed);
    }

    /// `arm`, in a group; false if that is closed. An entry stays in the group it was armed in first.
    ///
    /// # Safety
    /// The group stays in place while the entry is armed.
    pub unsafe fn arm_in<A: Action>(
        &self,
        group: Option<&Group>,
        entry: &Arc<Entry<A>>,
        deadline_ns: i64,
        period_ns: i64,
    ) -> bool {
        let links = Entry::links(entry);
        let mut state = self.state.lock();
        if group.is_some_and(|group| !group.admits()) {
            return false;
        }
        // SAFETY: the entry is live, and its links are touched under the lock only. An armed entry has a reference that the
        // wheel owns; here it gets one if it was not armed.
        unsafe {
            let place = links.as_ptr();
            if (*place).node.is_armed() {
                state.wheel.disarm(links.cast());
            } else {
                std::mem::forget(entry.clone());
                if let Some(group) = group {
                    group.link(links);
                }
            }
            (*place).deadline_ns = deadline_ns.max(0);
            (*place).period_ns = period_ns.max(0);
            let wake = state.wheel.arm(links.cast(), deadline_ns);
            if wake < state.alarm {
                self.set_alarm(&mut state, wake);
            }
        }
        true
    }

    fn set_alarm(&self, state: &mut State, tick: u64) {
        state.alarm = tick;
        self.clock.set_alarm(wheel::begin_of(tick));
    }

    /// Stops an entry: true if it was armed. Then its time will not come any more; what it has come to before may still
    /// be about to be called.
    pub fn stop<A: Action>(&self, entry: &Arc<Entry<A>>) -> bool {
        self.stop_and(entry, || {})
    }

    /// `stop`, and if it was armed, calls something short under the lock.
    pub fn stop_and<A: Action>(&self, entry: &Arc<Entry<A>>, then: impl FnOnce()) -> bool {
        if self.is_inherited() {
            return false;
        }
        let links = Entry::links(entry);
        {
            let mut state = self.state.lock();
            // SAFETY: live, and under the lock.
            unsafe {
                if !(*links.as_ptr()).node.is_armed() {
                    return false;
                }
                state.take_out(links);
            }
            then();
        }
        // SAFETY: the wheel's reference, taken over above. The caller has another, so this frees nothing.
        unsafe { Arc::decrement_strong_count(Arc::as_ptr(entry)) };
        true
    }

    /// Stops everything that is armed in a group which has been closed, and tells each.
    pub fn close(&self, group: &Group) {
        if self.is_inherited() {
            return;
        }
        loop {
            let first = {
                let mut state = self.state.lock();
                // SAFETY: under the lock; what is in a group is armed.
                unsafe {
                    let first = *group.first.get();
                    if let Some(links) = first {
                        state.take_out(links);
                    }
                    first
                }
            };
            let Some(links) = first else { return };
            // SAFETY: the wheel's reference, taken over above.
            unsafe { (links.as_ref().table.closed)(links) };
        }
    }

    /// Calls what is due by now, and sets the alarm to when something is due again.
    pub fn turn(&self) {
        let now = self.clock.now_ns();
        loop {
            let (batch, is_all) = self.take_due(now);
            for (links, call) in batch.into_iter().flatten() {
                // SAFETY: live, and the reference is this batch's.
                unsafe {
                    let table = (*links.as_ptr()).table;
                    if call { (table.expired)(links) } else { (table.drop)(links) }
                }
            }
            if is_all {
                return;
            }
        }
    }

    /// Some of what is due, with a reference to each and whether it is to be called; and whether that is all.
    fn take_due(&self, now: i64) -> (Batch, bool) {
        let mut batch: Batch = [None; BATCH];
        let (mut taken, mut steps) = (0, STEPS);
        let mut state = self.state.lock();
        while taken < BATCH
            && let Some(node) = state.wheel.expire(now, &mut steps)
        {
            let links = node.cast::<Links>();
            let place = links.as_ptr();
            // SAFETY: live through the wheel's reference, which is kept for the next time or goes into the batch; nodes
            // are the beginning of links, which are touched under the lock.
            let (is_last, call) = unsafe {
                let (table, period) = ((*place).table, (*place).period_ns);
                let is_last = period == 0;
                if is_last {
                    leave_group(links);
                } else {
                    // After now, so that the wheel does not give it again below.
                    (*place).deadline_ns = next_deadline((*place).deadline_ns, period, now);
                    state.wheel.arm(node, (*place).deadline_ns);
                }
                let call = (table.due)(links, is_last);
                if call && !is_last {
                    (table.retain)(links);
                }
                (is_last, call)
            };
            if call || is_last {
                batch[taken] = Some((links, call));
                taken += 1;
            }
        }
        let is_all = taken < BATCH && steps > 0;
        if is_all {
            let wake = state.wheel.wake();
            self.set_alarm(&mut state, wake);
        }
        (batch, is_all)
    }
}

/// The first of the deadlines that follow each other at this distance which comes after `now`.
fn next_deadline(deadline_ns: i64, period_ns: i64, now: i64) -> i64 {
    let missed = now.saturating_sub(deadline_ns).max(0) / period_ns;
    deadline_ns.saturating_add(period_ns.saturating_mul(missed.saturating_add(1)))
}

#[cfg(all(test, weft_loom))]
mod models;
#[cfg(all(test, not(weft_loom)))]
mod tests;
