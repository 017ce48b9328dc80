//! A queue with two ends, for any number of producers and consumers.
//!
//! Elements are copied by value; their size and alignment are fixed at creation. One lock guards the queue and
//! the lists of those who wait; a sender that finds a receiver waiting copies the element straight into the
//! receiver's frame (and a receiver takes it straight out of a waiting sender's), under the claim word of
//! `sync::wait`, so a timeout on the other side can neither lose nor double an element.
//!
//! Order: first in, first out for each producer, and for all of them as the lock ordered them. A receiver
//! waits only while the queue is empty, a sender only while it is full, so waiting threads are served in order, too.

mod storage;

use std::alloc::Layout;

use crate::error::{Failure, Result, Status};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::wait::{Claimed, Ended, WaitList, WaitNode, Waiter};
use crate::sync::{Deadline, Lock};
use storage::Storage;

/// How many elements a channel holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// This many; 0 is a rendezvous: each send waits for its receiver.
    Bounded(usize),
    /// As many as there is memory for.
    Unbounded,
}

/// Called with each element that is never received. The pointer is good during the call.
pub type Discard = Box<dyn Fn(*mut u8) + Send + Sync>;

/// A channel of elements of one layout.
pub struct Channel {
    layout: Layout,
    capacity: Capacity,
    discard: Option<Discard>,
    /// Set under the lock; read without it by `is_closed`.
    closed: AtomicBool,
    state: Lock<State>,
}

struct State {
    queue: Storage,
    receivers: WaitList,
    senders: WaitList,
}

/// Outcomes of a wait.
const SERVED: u32 = 0;
const CLOSED: u32 = 1;

impl Channel {
    /// A channel for elements of `layout` (their size a multiple of their alignment).
    pub fn new(layout: Layout, capacity: Capacity, discard: Option<Discard>) -> Result<Channel> {
        let queue = Storage::new(layout, capacity)?;
        Ok(Channel {
            layout,
            capacity,
            discard,
            closed: AtomicBool::new(false),
            state: Lock::new(State { queue, receivers: WaitList::new(), senders: WaitList::new() }),
        })
    }

    /// Size and alignment of its elements.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// How many elements it holds.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// How many elements it holds now.
    pub fn len(&self) -> usize {
        self.state.lock().queue.len()
    }

    /// Whether it holds nothing now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn is_full(&self, state: &State) -> bool {
        matches!(self.capacity, Capacity::Bounded(limit) if state.queue.len() >= limit)
    }

    /// Copies the element into the channel, waiting for room. On failure it is still the caller's.
    ///
    /// # Safety
    /// `element` points to a readable element of the channel's layout (any alignment).
    pub unsafe fn send(&self, element: *const u8, deadline: Deadline) -> Result<()> {
        let waiter;
        let mut node;
        {
            let mut state = self.state.lock();
            if self.is_closed() {
                return Err(CHANNEL_CLOSED);
            }
            if let Some(receiver) = state.receivers.claim_first() {
                drop(state);
                // SAFETY: a claimed receiver's place stays until it is finished; it has the channel's layout.
                unsafe { self.copy(element, receiver.slot) };
                receiver.finish(SERVED);
                return Ok(());
            }
            if !self.is_full(&state) {
                // SAFETY: the caller's element has the channel's layout.
                return unsafe { state.queue.push(element) };
            }
            if deadline == Deadline::Now {
                return Err(Failure::new(Status::WouldBlock, "the channel is full"));
            }
            waiter = Waiter::new();
            node = WaitNode::new(&waiter, element.cast_mut());
            // SAFETY: node and waiter stay in this frame until the wait was fired or `settle` has unlinked the node.
            unsafe { state.senders.push(&mut node) };
        }
        self.settle(&waiter, &mut node, deadline, |state| &mut state.senders)
    }

    /// Copies the oldest element out of the channel into `element`, waiting for one.
    ///
    /// # Safety
    /// `element` points to a writable place of the channel's layout (any alignment).
    pub unsafe fn receive(&self, element: *mut u8, deadline: Deadline) -> Result<()> {
        let waiter;
        let mut node;
        {
            let mut state = self.state.lock();
            // SAFETY: the caller's place has the channel's layout.
            if unsafe { state.queue.pop(element) } {
                let sender = state.senders.claim_first();
                if let Some(sender) = &sender {
                    // SAFETY: a claimed sender's element stays until it is finished. There is room: one was taken out.
                    unsafe { state.queue.push(sender.slot) }.expect("a full ring has its memory");
                }
                drop(state);
                sender.into_iter().for_each(|sender| sender.finish(SERVED));
                return Ok(());
            }
            // Nothing is queued, so a sender waits here only at a rendezvous.
            if let Some(sender) = state.senders.claim_first() {
                drop(state);
                return self.take_from(sender, element);
            }
            if self.is_closed() {
                return Err(CHANNEL_CLOSED);
            }
            if deadline == Deadline::Now {
                return Err(Failure::new(Status::WouldBlock, "the channel is empty"));
            }
            waiter = Waiter::new();
            node = WaitNode::new(&waiter, element);
            // SAFETY: as for senders.
            unsafe { state.receivers.push(&mut node) };
        }
        self.settle(&waiter, &mut node, deadline, |state| &mut state.receivers)
    }

    fn take_from(&self, sender: Claimed, element: *mut u8) -> Result<()> {
        // SAFETY: a claimed sender's element stays until it is finished; both have the channel's layout.
        unsafe { self.copy(sender.slot, element) };
        sender.finish(SERVED);
        Ok(())
    }

    unsafe fn copy(&self, from: *const u8, to: *mut u8) {
        // SAFETY: both are places of the channel's layout, in different frames.
        unsafe { copy_element(self.layout.size(), from, to) }
    }

    /// Waits until the queued node was served, or takes it back.
    fn settle(
        &self,
        waiter: &Waiter,
        node: *mut WaitNode,
        deadline: Deadline,
        list: impl FnOnce(&mut State) -> &mut WaitList,
    ) -> Result<()> {
        let ended = waiter.wait(deadline);
        if ended == Ended::Fired(SERVED) {
            return Ok(());
        }
        let Some(failure) = (match ended {
            Ended::TimedOut => Some(Failure::new(Status::Timeout, "nobody came to the channel's other end in time")),
            ended => ended.failure(),
        }) else {
            return Err(CHANNEL_CLOSED);
        };
        // SAFETY: the node was pushed to this list by our caller.
        unsafe { list(&mut self.state.lock()).unlink(node) };
        Err(failure)
    }

    /// Refuses what is sent from now on. What is queued can still be received; those who wait are told.
    pub fn close(&self) {
        let (receivers, senders) = {
            let mut state = self.state.lock();
            // Release pairs with is_closed.
            self.closed.store(true, Ordering::Release);
            (state.receivers.claim_all(), state.senders.claim_all())
        };
        receivers.finish(CLOSED);
        senders.finish(CLOSED);
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let Some(discard) = &self.discard else { return };
        // Nobody else has the channel any more. The lock is free all the same while the callback runs.
        while let Some(element) = { self.state.lock().queue.front() } {
            discard(element);
            self.state.lock().queue.skip_front();
        }
    }
}

const CHANNEL_CLOSED: Failure = Failure::new(Status::Closed, "the channel is closed");

/// Copies an element. Pointer-sized ones, the common case, become a load and a store.
///
/// # Safety
/// `from` is readable and `to` writable for `size` bytes, and they do not overlap.
unsafe fn copy_element(size: usize, from: *const u8, to: *mut u8) {
    // SAFETY: promised by the caller.
    unsafe {
        match size {
            8 => to.cast::<[u8; 8]>().write(from.cast::<[u8; 8]>().read()),
            16 => to.cast::<[u8; 16]>().write(from.cast::<[u8; 16]>().read()),
            _ => std::ptr::copy_nonoverlapping(from, to, size),
        }
    }
}

#[cfg(all(test, weft_loom))]
mod models;
#[cfg(all(test, not(weft_loom)))]
mod tests;
