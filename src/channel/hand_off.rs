//! The flavour for capacities 0 and 1, where nearly every operation meets somebody: one lock around the one element and the lists of
//! those who wait. A sender that finds a receiver waiting copies the element straight into the receiver's frame (and a receiver
//! takes it straight out of a waiting sender's), under the claim word of `sync::wait`, so a timeout on the other side
//! can neither lose nor double an element. Those who wait are served in their order.

use std::alloc::Layout;
use std::mem::{ManuallyDrop, MaybeUninit};

use super::direction::{Attempt, Direction};
use super::memory::{Memory, copy};
use super::observers::{Observer, Observers};
use crate::error::Result;
use crate::sync::Deadline;
use crate::sync::atomic::{AtomicBool, Ordering, UnsafeCell};
use crate::sync::lock::Bolt;
use crate::sync::wait::{Claimed, Ended, WaitList, WaitNode, Waiter};

/// Outcome of a wait: the element has passed.
pub const SERVED: u32 = 0;
/// Outcome of a wait: the channel has been closed.
pub const CLOSED: u32 = 1;

/// A channel that holds one element or none. What every operation changes lies on one cache line, the rest on others.
#[repr(C, align(64))]
pub struct HandOff {
    lock: Bolt,
    /// Set under the lock; read without it by `is_closed`.
    closed: AtomicBool,
    /// Set under the lock.
    observed: AtomicBool,
    state: UnsafeCell<State>,
    size: usize,
    /// For the one element, if it holds one.
    place: Option<Memory>,
    observers: Observers,
}

#[derive(Default)]
struct State {
    full: bool,
    /// Nobody receives any more.
    abandoned: bool,
    senders: WaitList,
    receivers: WaitList,
}

impl State {
    fn of(&mut self, direction: Direction) -> &mut WaitList {
        match direction {
            Direction::Send => &mut self.senders,
            Direction::Receive => &mut self.receivers,
        }
    }
}

// SAFETY: the lock says whose the state is; elements may move between threads, as the channel's user promised.
unsafe impl Send for HandOff {}
// SAFETY: as above.
unsafe impl Sync for HandOff {}

/// The other side of an element that has passed, to be told when the lock is free.
pub type Other = Option<(Claimed, u32)>;

/// The lock is held.
pub struct Locked<'a>(&'a HandOff);

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        // SAFETY: a Locked stands for holding it.
        unsafe { self.0.lock.unlock() };
    }
}

impl Locked<'_> {
    fn state<R>(&mut self, f: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: locked.
        self.0.state.with_mut(|state| f(unsafe { &mut *state }))
    }

    /// Does it, if nobody has to come first; the other side is told by [`HandOff::finish`], when the lock is free. It meets whoever is queued, so
    /// it never meets the caller's own wait as long as that is not. Whoever gets the element may be the last to know the channel, so
    /// when the lock is free that is left alone unless it is observed, which is told here.
    ///
    /// # Safety
    /// `element` is an element's place, to be read or written.
    pub unsafe fn attempt(&mut self, direction: Direction, element: *mut u8) -> (Attempt, Other, bool) {
        let channel = self.0;
        let place = channel.place.as_ref().map(|place| place.at(0));
        // SAFETY: places of the channel's size; a claimed wait's stays until it is finished.
        let pass = |from: *mut u8, to: *mut u8| unsafe { copy(channel.size, from, to, 1) };
        let (attempt, other) = self.state(|state| match direction {
            Direction::Send => {
                if channel.is_closed() {
                    return (Attempt::Closed, None);
                }
                if let Some(receiver) = state.receivers.claim_first() {
                    pass(element, receiver.slot);
                    return (Attempt::Done, Some((receiver, SERVED)));
                }
                match place {
                    Some(place) if !state.full => {
                        pass(element, place);
                        state.full = true;
                        (Attempt::Done, None)
                    }
                    _ => (Attempt::WouldBlock, None),
                }
            }
            Direction::Receive => {
                if state.abandoned {
                    return (Attempt::Closed, None);
                }
                let sender = state.senders.claim_first();
                match (place, &sender) {
                    (Some(place), _) if state.full => {
                        pass(place, element);
                        state.full = sender.is_some();
                        if let Some(sender) = &sender {
                            pass(sender.slot, place);
                        }
                    }
                    (_, Some(sender)) => pass(sender.slot, element),
                    _ if channel.is_closed() => return (Attempt::Closed, None),
                    _ => return (Attempt::WouldBlock, None),
                }
                (Attempt::Done, sender.map(|sender| (sender, SERVED)))
            }
        });
        // Relaxed: set under the lock.
        let observed = attempt == Attempt::Done && channel.observed.load(Ordering::Relaxed);
        (attempt, other, observed)
    }

    /// Queues a wait; its node's slot is the element's place. It may be fired with [`SERVED`] or [`CLOSED`].
    ///
    /// # Safety
    /// Node, waiter and slot stay in place until the wait was fired and has ended, or the node was unlinked.
    pub unsafe fn push(&mut self, direction: Direction, node: *mut WaitNode) {
        // SAFETY: promised by the caller.
        self.state(|state| unsafe { state.of(direction).push(node) });
    }

    /// Takes a wait's node out, if it is still in.
    ///
    /// # Safety
    /// It was pushed with this direction, or not at all, and is live.
    pub unsafe fn unlink(&mut self, direction: Direction, node: *mut WaitNode) {
        // SAFETY: promised by the caller.
        self.state(|state| unsafe { state.of(direction).unlink(node) });
    }
}

impl HandOff {
    /// A channel that holds `capacity` elements, at most one.
    pub fn new(element: Layout, capacity: usize) -> Result<HandOff> {
        let place = if capacity == 0 { None } else { Some(Memory::new(element, 1)?) };
        Ok(HandOff {
            size: element.size(),
            place,
            closed: AtomicBool::new(false),
            observed: AtomicBool::new(false),
            observers: Observers::default(),
            lock: Bolt::default(),
            state: UnsafeCell::new(State::default()),
        })
    }

    /// Takes the lock. Those of several channels are taken in the order of the channels' addresses.
    pub fn lock(&self) -> Locked<'_> {
        self.lock.lock();
        Locked(self)
    }

    /// What is done with the lock that the calling thread holds by [`Meeting`](crate::sync::select::Meeting).
    ///
    /// # Safety
    /// It does.
    pub unsafe fn held<R>(&self, f: impl FnOnce(&mut Locked<'_>) -> R) -> R {
        f(&mut ManuallyDrop::new(Locked(self)))
    }

    /// Frees that lock.
    ///
    /// # Safety
    /// As for `held`; it does not any more.
    pub unsafe fn free(&self) {
        drop(Locked(self));
    }

    /// How many elements it holds now.
    pub(super) fn len(&self) -> usize {
        usize::from(self.lock().state(|state| state.full))
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        // Acquire pairs with `close`.
        self.closed.load(Ordering::Acquire)
    }

    /// How many wait.
    pub fn waiting(&self, direction: Direction) -> usize {
        self.lock().state(|state| state.of(direction).len())
    }

    /// Whether an attempt might come to something now.
    pub fn might(&self, direction: Direction) -> bool {
        let has_room = self.place.is_some();
        self.is_closed()
            || self.lock().state(|state| match direction {
                Direction::Send => !state.receivers.is_empty() || has_room && !state.full,
                Direction::Receive => state.full || !state.senders.is_empty(),
            })
    }

    /// What follows an attempt when the lock is free.
    pub fn finish(&self, observed: bool, other: Other) {
        if let Some((other, outcome)) = other {
            other.finish(outcome);
        }
        if observed {
            self.observers.tell();
        }
    }

    /// What follows any change of who or what is here, when the lock is free.
    pub fn changed(&self) {
        // Relaxed: set under the lock, which has been held since, or not yet seen by anyone.
        if self.observed.load(Ordering::Relaxed) {
            self.observers.tell();
        }
    }

    /// Does it without waiting.
    ///
    /// # Safety
    /// As for [`Locked::attempt`].
    pub unsafe fn attempt(&self, direction: Direction, element: *mut u8) -> Attempt {
        // SAFETY: promised by the caller.
        let (attempt, other, observed) = unsafe { self.lock().attempt(direction, element) };
        self.finish(observed, other);
        attempt
    }

    /// Does it, waiting for the other side; calls `keep` before it waits, or looks at the channel after the element has passed.
    ///
    /// # Safety
    /// As for [`Locked::attempt`].
    pub unsafe fn transfer(
        &self,
        direction: Direction,
        element: *mut u8,
        deadline: Deadline,
        keep: &mut impl FnMut(),
    ) -> Result<Attempt, Ended> {
        /// On as few cache lines as may be, for both sides use all of it.
        #[repr(C, align(128))]
        struct Frame {
            waiter: Waiter,
            node: MaybeUninit<WaitNode>,
        }
        let mut frame = Frame { waiter: Waiter::new(), node: MaybeUninit::uninit() };
        let node = frame.node.as_mut_ptr();
        {
            let mut locked = self.lock();
            // SAFETY: promised by the caller.
            let (attempt, other, observed) = unsafe { locked.attempt(direction, element) };
            if attempt != Attempt::WouldBlock || deadline == Deadline::Now {
                if observed {
                    keep();
                }
                drop(locked);
                self.finish(observed, other);
                return Ok(attempt);
            }
            keep();
            // SAFETY: its place. Node and waiter stay in this frame until the wait was fired or the node is unlinked.
            unsafe {
                node.write(WaitNode::new(&frame.waiter, element));
                locked.push(direction, node);
            }
        }
        self.changed();
        match frame.waiter.wait(deadline) {
            Ended::Fired(SERVED) => Ok(Attempt::Done),
            Ended::Fired(_) => Ok(Attempt::Closed),
            ended => {
                // SAFETY: as above.
                unsafe { self.lock().unlink(direction, node) };
                self.changed();
                Err(ended)
            }
        }
    }

    /// Refuses what is sent from now on, and tells all who wait.
    pub fn close(&self) {
        let (senders, receivers) = self.lock().state(|state| {
            // Release pairs with `is_closed`.
            self.closed.store(true, Ordering::Release);
            (state.senders.claim_all(), state.receivers.claim_all())
        });
        senders.finish(CLOSED);
        receivers.finish(CLOSED);
        self.observers.tell();
    }

    /// Closes, and gives the element that is left to `discard`: nobody receives any more.
    pub fn abandon(&self, discard: &dyn Fn(*mut u8)) {
        self.close();
        self.lock().state(|state| state.abandoned = true);
        self.discard_rest(discard);
        self.observers.tell();
    }

    /// Nobody sends or receives any more.
    fn discard_rest(&self, discard: &dyn Fn(*mut u8)) {
        let full = self.lock().state(|state| std::mem::take(&mut state.full));
        if full && let Some(place) = &self.place {
            discard(place.at(0));
        }
    }

    /// Discards what is left. For its owner.
    pub fn end(&mut self, discard: Option<&dyn Fn(*mut u8)>) {
        if let Some(discard) = discard {
            self.discard_rest(discard);
        }
    }

    /// Has `observer` told from now on of each operation, of who comes and goes to wait, and of the end.
    pub fn observe(&self, direction: Direction, observer: Observer) -> bool {
        let added = self.observers.add(direction, observer);
        if added {
            let _locked = self.lock();
            self.observed.store(true, Ordering::Relaxed);
        }
        added
    }

    #[cfg(all(test, weft_loom))]
    pub fn nobody_waits(&self) -> bool {
        [Direction::Send, Direction::Receive].iter().all(|&direction| self.waiting(direction) == 0)
    }
}
