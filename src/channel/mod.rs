//! A queue with two ends, for any number of producers and consumers.
//!
//! Elements are copied by value; their size and alignment are fixed at creation. There are three flavours:
//!
//! - *ring*, for a capacity of two or more: a ring of slots, a lock on each side ([`door`]) or none if there is one producer or
//!   consumer, and those who wait are told to try again ([`queue`]);
//! - *list*, without a limit: the same with linked blocks in the place of the ring;
//! - *hand-off*, for a capacity of 0 (a rendezvous: each send waits for its receiver) and 1: elements go from frame to frame
//!   ([`hand_off`]).
//!
//! Order: first in, first out for each producer, and for all of them as they came in. The hand-off serves waiting threads in their
//! order; ring and list wake the one that has waited longest, which takes what it finds when it is up.
//!
//! An element that is never received is given to `discard`: when the last receiving end goes, if ends are counted ([`ends`]),
//! else with the channel. No lock is held then.

#[cfg(not(weft_loom))]
mod descriptor;
mod direction;
mod door;
pub mod ends;
pub mod hand_off;
mod list;
mod memory;
mod observers;
pub mod queue;
mod ring;
pub mod select;
#[cfg(weft_loom)]
mod trace;

use std::alloc::Layout;

use crate::error::{Failure, Result, Status};
use crate::sync::Deadline;
use crate::sync::wait::{Ended, WaitNode};
pub use direction::{Attempt, Direction};
use hand_off::HandOff;
use list::List;
pub use observers::Observer;
pub use queue::Fast;
use queue::{Queue, Run, Store};
use ring::Ring;

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

/// How a channel is made.
#[derive(Default)]
pub struct Options {
    /// Takes elements that are never received.
    pub discard: Option<Discard>,
    /// Never do two threads send at once.
    pub single_producer: bool,
    /// Never do two threads receive at once.
    pub single_consumer: bool,
}

/// A channel of elements of one layout.
pub struct Channel {
    flavour: Flavour,
    capacity: Capacity,
    size: usize,
    single_producer: bool,
    discard: Option<Discard>,
    #[cfg(not(weft_loom))]
    descriptors: descriptor::Descriptors,
}

// Programs make channels by the thousand. What else a C program's handle has, and malloc, adds a cache line or two.
#[cfg(not(weft_loom))]
const _: () = assert!(size_of::<Channel>() <= 768);

enum Flavour {
    Ring(Queue<Ring>),
    List(Queue<List>),
    HandOff(HandOff),
}

/// Calls a method that all flavours have.
macro_rules! each {
    ($channel:expr, $flavour:ident => $call:expr) => {
        match &$channel.flavour {
            Flavour::Ring($flavour) => $call,
            Flavour::List($flavour) => $call,
            Flavour::HandOff($flavour) => $call,
        }
    };
}

impl Channel {
    /// A channel for elements of `layout` (their size a multiple of their alignment).
    pub fn new(layout: Layout, capacity: Capacity, options: Options) -> Result<Channel> {
        let single = [options.single_producer, options.single_consumer];
        let flavour = match capacity {
            Capacity::Bounded(capacity @ 0..=1) => Flavour::HandOff(HandOff::new(layout, capacity)?),
            Capacity::Bounded(capacity) => {
                Flavour::Ring(Queue::new(layout, capacity, single, Ring::new(layout, capacity)?))
            }
            Capacity::Unbounded => {
                Flavour::List(Queue::new(layout, usize::MAX, single, (List::new(layout), Run::EMPTY)))
            }
        };
        Ok(Channel {
            flavour,
            capacity,
            size: layout.size(),
            single_producer: options.single_producer,
            discard: options.discard,
            #[cfg(not(weft_loom))]
            descriptors: Default::default(),
        })
    }

    /// How many elements it holds at most.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Whether its users promise that one thread at a time sends.
    pub fn has_single_producer(&self) -> bool {
        self.single_producer
    }

    /// Bytes of an element.
    pub fn elem_size(&self) -> usize {
        self.size
    }

    /// How many elements it holds now.
    pub fn len(&self) -> usize {
        each!(self, flavour => flavour.len())
    }

    /// Whether it holds nothing now.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        each!(self, flavour => flavour.is_closed())
    }

    /// How many threads (or whatever else) wait for this direction, roughly: those that still look around are not counted.
    pub fn waiting(&self, direction: Direction) -> usize {
        each!(self, flavour => flavour.waiting(direction))
    }

    /// Sends an element of 8 or 16 bytes if nothing is in the way. No: use [`Channel::send`], or [`Channel::clear_up`].
    ///
    /// # Safety
    /// `element` points to a readable element of the channel's layout (any alignment).
    #[inline(always)]
    pub unsafe fn fast_send(&self, element: *const u8) -> Fast {
        // SAFETY: promised by the caller; the size is compared.
        unsafe {
            match &self.flavour {
                Flavour::Ring(queue) => fast_push(queue, element),
                Flavour::List(queue) => fast_push(queue, element),
                Flavour::HandOff(_) => Fast::No,
            }
        }
    }

    /// Receives an element of 8 or 16 bytes if nothing is in the way. No: use [`Channel::receive`], or
    /// [`Channel::clear_up`].
    ///
    /// # Safety
    /// `element` points to a writable place of the channel's layout (any alignment).
    #[inline(always)]
    pub unsafe fn fast_receive(&self, element: *mut u8) -> Fast {
        // SAFETY: promised by the caller; the size is compared.
        unsafe {
            match &self.flavour {
                Flavour::Ring(queue) => fast_pop(queue, element),
                Flavour::List(queue) => fast_pop(queue, element),
                Flavour::HandOff(_) => Fast::No,
            }
        }
    }

    /// [`Channel::fast_send`] for elements of 32 and 64 bytes, which are apart so that the smaller ones stay fast.
    ///
    /// # Safety
    /// As for that.
    pub unsafe fn fast_send_larger(&self, element: *const u8) -> Fast {
        // SAFETY: promised by the caller; the size is compared.
        unsafe {
            match &self.flavour {
                Flavour::Ring(queue) => fast_push_larger(queue, element),
                Flavour::List(queue) => fast_push_larger(queue, element),
                Flavour::HandOff(_) => Fast::No,
            }
        }
    }

    /// [`Channel::fast_receive`] for the same.
    ///
    /// # Safety
    /// As for that.
    pub unsafe fn fast_receive_larger(&self, element: *mut u8) -> Fast {
        // SAFETY: promised by the caller; the size is compared.
        unsafe {
            match &self.flavour {
                Flavour::Ring(queue) => fast_pop_larger(queue, element),
                Flavour::List(queue) => fast_pop_larger(queue, element),
                Flavour::HandOff(_) => Fast::No,
            }
        }
    }

    /// What follows [`Fast::Attend`].
    #[cold]
    pub fn attend(&self, direction: Direction) {
        match &self.flavour {
            Flavour::Ring(queue) => queue.attend(direction),
            Flavour::List(queue) => queue.attend(direction),
            Flavour::HandOff(_) => {}
        }
    }

    /// What follows [`Fast::No`] where nothing else does: an attempt would have looked after others in passing.
    pub fn clear_up(&self, direction: Direction) {
        match &self.flavour {
            Flavour::Ring(queue) => queue.clear_up(direction),
            Flavour::List(queue) => queue.clear_up(direction),
            Flavour::HandOff(_) => {}
        }
    }

    /// Copies the element into the channel, waiting for room. On failure it is still the caller's.
    ///
    /// # Safety
    /// `element` points to a readable element of the channel's layout (any alignment).
    pub unsafe fn send(&self, element: *const u8, deadline: Deadline) -> Result<()> {
        // SAFETY: promised by the caller.
        unsafe { self.send_batch(element, 1, deadline, || ()) }.1
    }

    /// Copies the oldest element out of the channel into `element`, waiting for one.
    ///
    /// # Safety
    /// `element` points to a writable place of the channel's layout (any alignment).
    pub unsafe fn receive(&self, element: *mut u8, deadline: Deadline) -> Result<()> {
        // SAFETY: promised by the caller.
        unsafe { self.receive_batch(element, 1, deadline, || ()) }.map(|_| ())
    }

    /// Copies elements into the channel in their order, waiting for room, until all are in or it fails. How many are in;
    /// the others are still the caller's. `keep` is called before it waits, or may: from then on the caller sees to it that the channel
    /// stays.
    ///
    /// # Safety
    /// `elements` points to that many readable elements of the channel's layout (any alignment).
    pub unsafe fn send_batch(
        &self,
        elements: *const u8,
        count: usize,
        deadline: Deadline,
        mut keep: impl FnMut(),
    ) -> (usize, Result<()>) {
        if count == 0 {
            return (0, Ok(()));
        }
        let mut sent = 0;
        // SAFETY: promised by the caller; `sent` is at most `count`.
        let element = |sent: usize| unsafe { elements.add(sent * self.size) };
        let result = match &self.flavour {
            Flavour::HandOff(hand_off) => loop {
                if sent == count {
                    break Ok(());
                }
                if sent + 1 < count {
                    keep();
                }
                // SAFETY: an element of the caller's.
                match unsafe { hand_off.transfer(Direction::Send, element(sent).cast_mut(), deadline, &mut keep) } {
                    Ok(Attempt::Done) => sent += 1,
                    other => break self.result(Direction::Send, other),
                }
            },
            // SAFETY: elements of the caller's.
            Flavour::Ring(queue) => self.wait_until(queue, Direction::Send, deadline, keep, || unsafe {
                let (done, attempt) = queue.push(element(sent), count - sent);
                sent += done;
                attempt
            }),
            // SAFETY: as above.
            Flavour::List(queue) => self.wait_until(queue, Direction::Send, deadline, keep, || unsafe {
                let (done, attempt) = queue.push(element(sent), count - sent);
                sent += done;
                attempt
            }),
        };
        (sent, result)
    }

    /// Copies the oldest elements out of the channel, up to `most`, waiting until there is one. How many, at least one unless
    /// `most` is 0. `keep` as in [`Channel::send_batch`].
    ///
    /// # Safety
    /// `elements` points to that many writable places of the channel's layout (any alignment).
    pub unsafe fn receive_batch(
        &self,
        elements: *mut u8,
        most: usize,
        deadline: Deadline,
        mut keep: impl FnMut(),
    ) -> Result<usize> {
        if most == 0 {
            return Ok(0);
        }
        let mut received = 0;
        // SAFETY: places of the caller's.
        unsafe {
            match &self.flavour {
                Flavour::HandOff(hand_off) => {
                    if most > 1 {
                        keep();
                    }
                    let passed = hand_off.transfer(Direction::Receive, elements, deadline, &mut keep);
                    self.result(Direction::Receive, passed)?;
                    received = 1;
                    while received < most
                        && hand_off.attempt(Direction::Receive, elements.add(received * self.size)) == Attempt::Done
                    {
                        received += 1;
                    }
                }
                Flavour::Ring(queue) => self.wait_until(queue, Direction::Receive, deadline, keep, || {
                    let (done, attempt) = queue.pop(elements, most);
                    received = done;
                    attempt
                })?,
                Flavour::List(queue) => self.wait_until(queue, Direction::Receive, deadline, keep, || {
                    let (done, attempt) = queue.pop(elements, most);
                    received = done;
                    attempt
                })?,
            }
        }
        Ok(received)
    }

    /// Attempts until it is done or fails, with waits in between.
    fn wait_until<S: Store>(
        &self,
        queue: &Queue<S>,
        direction: Direction,
        deadline: Deadline,
        mut keep: impl FnMut(),
        mut attempt: impl FnMut() -> Attempt,
    ) -> Result<()> {
        let mut outcome = attempt();
        while outcome == Attempt::WouldBlock && deadline != Deadline::Now {
            keep();
            match queue.wait(direction, deadline) {
                Ok(told) => {
                    outcome = attempt();
                    if told {
                        queue.pass_on(direction);
                    } else if outcome == Attempt::WouldBlock && deadline.has_passed() {
                        return self.result(direction, Err(Ended::TimedOut));
                    }
                }
                ended => return self.result(direction, ended.map(|_| outcome)),
            }
        }
        self.result(direction, Ok(outcome))
    }

    fn result(&self, direction: Direction, outcome: Result<Attempt, Ended>) -> Result<()> {
        Err(match (outcome, direction) {
            (Ok(Attempt::Done), _) => return Ok(()),
            (Ok(Attempt::Closed), _) => Failure::new(Status::Closed, "the channel is closed"),
            (Ok(Attempt::Failed(failure)), _) => failure,
            (Ok(Attempt::WouldBlock), Direction::Send) => Failure::new(Status::WouldBlock, "the channel is full"),
            (Ok(Attempt::WouldBlock), Direction::Receive) => Failure::new(Status::WouldBlock, "the channel is empty"),
            (Err(ended), _) => ended
                .failure()
                .unwrap_or_else(|| Failure::new(Status::Timeout, "nobody came to the channel's other end in time")),
        })
    }

    /// Whether an attempt might come to something now.
    pub fn might(&self, direction: Direction) -> bool {
        each!(self, flavour => flavour.might(direction))
    }

    /// Does it without waiting.
    ///
    /// # Safety
    /// `element` is a place of the channel's layout (any alignment), to be read or written.
    pub unsafe fn attempt(&self, direction: Direction, element: *mut u8) -> Attempt {
        // SAFETY: promised by the caller.
        unsafe {
            match (&self.flavour, direction) {
                (Flavour::Ring(queue), Direction::Send) => queue.push(element, 1).1,
                (Flavour::Ring(queue), Direction::Receive) => queue.pop(element, 1).1,
                (Flavour::List(queue), Direction::Send) => queue.push(element, 1).1,
                (Flavour::List(queue), Direction::Receive) => queue.pop(element, 1).1,
                (Flavour::HandOff(hand_off), _) => hand_off.attempt(direction, element),
            }
        }
    }

    /// The hand-off that this channel is, if it is one: its waits are met under its lock, and not told.
    pub fn hand_off(&self) -> Option<&HandOff> {
        match &self.flavour {
            Flavour::HandOff(hand_off) => Some(hand_off),
            _ => None,
        }
    }

    /// Queues a wait; not for a hand-off. True: an attempt might come to something, and nobody might tell. The wait is fired with
    /// [`queue::TRY`] or [`queue::ENDED`], and then nothing is done yet: whoever was told attempts it, or not, and then
    /// calls [`Channel::pass_on`].
    ///
    /// # Safety
    /// The node and its waiter stay in place until the wait was fired and has ended, or [`Channel::let_go`].
    pub unsafe fn watch(&self, direction: Direction, node: *mut WaitNode) -> bool {
        // SAFETY: promised by the caller.
        unsafe {
            match &self.flavour {
                Flavour::Ring(queue) => queue.watch(direction, node),
                Flavour::List(queue) => queue.watch(direction, node),
                Flavour::HandOff(_) => unreachable!("a hand-off's waits are pushed under its lock"),
            }
        }
    }

    /// Takes a wait's node out, if it is still in. Takes a hand-off's lock.
    ///
    /// # Safety
    /// The node was queued here for this direction, or nowhere, and is live.
    pub unsafe fn let_go(&self, direction: Direction, node: *mut WaitNode) {
        // SAFETY: promised by the caller.
        unsafe {
            match &self.flavour {
                Flavour::Ring(queue) => queue.let_go(direction, node),
                Flavour::List(queue) => queue.let_go(direction, node),
                Flavour::HandOff(hand_off) => hand_off.lock().unlink(direction, node),
            }
        }
    }

    /// Whoever was told has tried, or will not: the next is told if there is something to be done. Nothing for a hand-off.
    pub fn pass_on(&self, direction: Direction) {
        match &self.flavour {
            Flavour::Ring(queue) => queue.pass_on(direction),
            Flavour::List(queue) => queue.pass_on(direction),
            Flavour::HandOff(_) => {}
        }
    }

    /// Has `observer` told of each operation of either direction from now on, and of the end. From then on operations take the cold way.
    /// False: the direction has one. The observer lives as long as the channel, so it may look at it by a plain pointer.
    pub fn observe(&self, direction: Direction, observer: Observer) -> bool {
        each!(self, flavour => flavour.observe(direction, observer))
    }

    /// Refuses what is sent from now on. What is queued can still be received; those who wait are told.
    pub fn close(&self) {
        each!(self, flavour => flavour.close());
    }

    /// Closes, for nobody receives any more: what is queued is discarded at once.
    pub fn abandon(&self) {
        let discard: &dyn Fn(*mut u8) = match &self.discard {
            Some(discard) => discard,
            None => &|_| {},
        };
        each!(self, flavour => flavour.abandon(discard));
    }
}

/// # Safety
/// As for [`Channel::fast_send`].
#[inline(always)]
unsafe fn fast_push<S: Store>(queue: &Queue<S>, element: *const u8) -> Fast {
    // SAFETY: promised by the caller.
    unsafe {
        match queue.size_at(Direction::Send) {
            8 => queue.fast_push::<u64>(element.cast()),
            16 => queue.fast_push::<[u64; 2]>(element.cast()),
            _ => Fast::No,
        }
    }
}

/// # Safety
/// As for [`Channel::fast_send`].
unsafe fn fast_push_larger<S: Store>(queue: &Queue<S>, element: *const u8) -> Fast {
    // SAFETY: promised by the caller.
    unsafe {
        match queue.size_at(Direction::Send) {
            32 => queue.fast_push::<[u64; 4]>(element.cast()),
            64 => queue.fast_push::<[u64; 8]>(element.cast()),
            _ => Fast::No,
        }
    }
}

/// # Safety
/// As for [`Channel::fast_receive`].
#[inline(always)]
unsafe fn fast_pop<S: Store>(queue: &Queue<S>, element: *mut u8) -> Fast {
    // SAFETY: promised by the caller.
    unsafe {
        match queue.size_at(Direction::Receive) {
            8 => queue.fast_pop::<u64>(element.cast()),
            16 => queue.fast_pop::<[u64; 2]>(element.cast()),
            _ => Fast::No,
        }
    }
}

/// # Safety
/// As for [`Channel::fast_receive`].
unsafe fn fast_pop_larger<S: Store>(queue: &Queue<S>, element: *mut u8) -> Fast {
    // SAFETY: promised by the caller.
    unsafe {
        match queue.size_at(Direction::Receive) {
            32 => queue.fast_pop::<[u64; 4]>(element.cast()),
            64 => queue.fast_pop::<[u64; 8]>(element.cast()),
            _ => Fast::No,
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let discard = self.discard.as_ref().map(|discard| discard as &dyn Fn(*mut u8));
        match &mut self.flavour {
            Flavour::Ring(queue) => queue.end(discard),
            Flavour::List(queue) => queue.end(discard),
            Flavour::HandOff(hand_off) => hand_off.end(discard),
        }
    }
}

#[cfg(all(test, weft_loom))]
mod models;
#[cfg(all(test, not(weft_loom)))]
mod property;
#[cfg(all(test, not(weft_loom)))]
mod tests;
