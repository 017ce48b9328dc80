//! The one waiting protocol.
//!
//! A [`Waiter`] is one wait. Its claim word goes
//!
//! ```text
//! WAITING --claim--> CLAIMED --finish--> DONE + outcome
//!    \---give up---> ABORTED
//! ```
//!
//! and carries the PARKED bit while the thread sleeps on it. Whoever fires the wait must win the
//! exchange from WAITING to CLAIMED; only then may it write into the waiter's frame (an element's
//! place, say), and `finish` is its last access. A timeout or an interrupt must win the exchange to ABORTED; if
//! it loses, the wait has been fired and the waiter stays until DONE. So nobody writes into a frame that has
//! gone, and no wake-up is swallowed: a fired wait always reports that it was fired. Whoever cancels a wait
//! ([`super::cancel`]) fires it, too, with an outcome of its own.
//!
//! Who waits is a thread, which sleeps on the word, or whatever a [`Waker`] stands for (a poll task, a callback, a file
//! descriptor): that is called instead, once, by whoever has fired the wait, after DONE.
//!
//! A [`WaitList`] is the queue of waits on one object. It is intrusive (nodes live in the waiters' frames)
//! and is guarded by the object's own lock. A waiter that gave up unlinks its node under that lock before its
//! frame goes. A waiter may have a node in each of several lists; the *case* of the node by which it was fired is left with it.

use std::marker::PhantomPinned;
use std::ptr;
use std::task::Waker;

use super::atomic::{Ordering, UnsafeCell};
use super::cancel::{self, CANCELLED, SHUTDOWN};
use super::deadline::Deadline;
use super::futex::{Futex, PARKED, Woken};
use super::interrupt::{self, INTERRUPTED};
use super::{park, spin};
use crate::error::{Failure, Status};

const WAITING: u32 = 0;
const CLAIMED: u32 = 1;
const ABORTED: u32 = 2;
/// DONE with outcome n is DONE + n.
const DONE: u32 = 4;

/// The case of nodes that stand for the wait as a whole: in the thread's sources, and for its interruption.
pub const ITSELF: usize = usize::MAX;

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was fired, with this outcome.
    Fired(u32),
    /// The deadline passed first.
    TimedOut,
    /// The thread was interrupted first, or a signal came, on a thread that asked for that.
    Interrupted,
    /// What waited was asked to stop.
    Cancelled,
    /// The runtime of the task that waited discards what it has.
    Shutdown,
}

impl Ended {
    fn of(outcome: u32) -> Ended {
        match outcome {
            CANCELLED => Ended::Cancelled,
            SHUTDOWN => Ended::Shutdown,
            INTERRUPTED => Ended::Interrupted,
            outcome => Ended::Fired(outcome),
        }
    }

    /// What to tell who waited, unless the wait was fired or timed out.
    pub fn failure(self) -> Option<Failure> {
        match self {
            Ended::Fired(_) | Ended::TimedOut => None,
            Ended::Interrupted => Some(Failure::new(Status::Interrupted, "the wait was interrupted")),
            Ended::Shutdown => {
                Some(Failure::new(Status::Shutdown, "the runtime of the task that waits is shutting down"))
            }
            Ended::Cancelled => Some(cancel::failure()),
        }
    }
}

/// One wait.
#[repr(C)]
pub struct Waiter {
    /// Who is told instead of a thread. Belongs to whoever has claimed the wait, or to its owner when that has given it up.
    waker: UnsafeCell<Option<Waker>>,
    word: Futex,
    /// There is no waker: it is a thread that waits, which goes on as soon as it is told.
    is_thread: bool,
    /// Of the node by which it was fired. Whoever has claimed the wait writes it.
    case: UnsafeCell<usize>,
}

// SAFETY: the claim word says whose the cells are.
unsafe impl Sync for Waiter {}

impl Default for Waiter {
    fn default() -> Self {
        Self::new()
    }
}

impl Waiter {
    /// A wait of this thread that nobody has fired.
    pub fn new() -> Self {
        Waiter { word: Futex::new(WAITING), case: UnsafeCell::new(0), waker: UnsafeCell::new(None), is_thread: true }
    }

    /// A wait that ends in a call of `waker`, on the thread that fires it, which holds no lock of Weft's.
    pub fn with_waker(waker: Waker) -> Self {
        Waiter { waker: UnsafeCell::new(Some(waker)), is_thread: false, ..Self::new() }
    }

    /// Wins the right to end this wait; false when it has ended already. Whoever wins must finish.
    pub fn claim(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & !PARKED == WAITING {
            // AcqRel: acquires the frame that the waiter filled before it queued, in case the queue's lock did not.
            match self.word.compare_exchange_weak(word, CLAIMED | word & PARKED, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Ends a claimed wait. The waiter's frame may be gone as soon as this has stored the outcome.
    ///
    /// # Safety
    /// The caller won `claim` on this waiter, finishes once, and does not touch it afterwards.
    pub unsafe fn finish(this: *const Waiter, case: usize, outcome: u32) {
        // SAFETY: a claimed waiter stays in its frame until DONE is stored, and its cells are the claimer's. The store
        // releases what was written into the frame to the Acquire load in `done`.
        let waker = unsafe {
            (*this).case.with_mut(|place| *place = case);
            let waker = if (*this).is_thread { None } else { (*this).waker.with_mut(|waker| (*waker).take()) };
            Futex::publish(&raw const (*this).word, DONE + outcome);
            waker
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn done(&self) -> Option<u32> {
        // Acquire pairs with the Release in finish.
        let word = self.word.load(Ordering::Acquire) & !PARKED;
        (word >= DONE).then(|| word - DONE)
    }

    /// The case of the node by which it was fired and the outcome, if it was. [`ITSELF`]: by what ends waits whatever they are for.
    pub fn fired(&self) -> Option<(usize, u32)> {
        let outcome = self.done()?;
        // SAFETY: fired, so nobody writes it any more.
        Some((self.case.with(|case| unsafe { *case }), outcome))
    }

    /// Ends the wait from the waiter's side; false when it has been fired, and DONE is about to come.
    pub fn give_up(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & !PARKED == WAITING {
            // Relaxed: the waiter publishes nothing here; what it unlinks afterwards, a lock guards.
            match self.word.compare_exchange_weak(word, ABORTED, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Waits until fired, until the deadline, until what the thread runs is asked to stop, or until the thread is interrupted,
    /// by another or by a signal if it asked for that. Spins a little, then parks, between the calls of the thread's hook.
    pub fn wait(&self, deadline: Deadline) -> Ended {
        let interruptible = park::interruptible();
        self.wait_by(interruptible, || self.sleep_watched(deadline, interruptible))
    }

    /// Waits until fired, whatever comes; the outcome.
    pub fn wait_until_fired(&self) -> u32 {
        self.wait_by(false, || self.sleep(Deadline::Never, false));
        self.done().expect("nothing else ends this wait")
    }

    fn wait_by(&self, interruptible: bool, sleep: impl FnOnce() -> Ended) -> Ended {
        // A signal that arrives during a spin would go unnoticed, so an interruptible wait does not spin.
        if !interruptible {
            spin::until(|| self.done().is_some());
        }
        match self.done() {
            Some(outcome) => Ended::of(outcome),
            None => park::around(sleep),
        }
    }

    /// `sleep` that the thread's sources may end, and whoever interrupts the thread.
    fn sleep_watched(&self, deadline: Deadline, interruptible: bool) -> Ended {
        let (sources, thread) = (park::sources(), interrupt::this_thread());
        if thread.is_none() && sources.iter().all(Option::is_none) {
            return self.sleep(deadline, interruptible);
        }
        let mut nodes = [0, 1].map(|_| WaitNode::of_case(self, ITSELF, ptr::null_mut()));
        let mut own = WaitNode::of_case(self, ITSELF, ptr::null_mut());
        let mut stopped = None;
        for (source, node) in sources.iter().zip(&mut nodes) {
            // SAFETY: a hook's sources stay during the wait. The node stays in this frame until it is unlinked below.
            if let Some(Err(outcome)) = source.map(|source| unsafe { source.as_ref().watch(node) }) {
                stopped = Some(outcome);
            }
        }
        let mut ended = match stopped {
            Some(outcome) if self.give_up() => Some(Ended::of(outcome)),
            _ => None,
        };
        if ended.is_none()
            && let Some(thread) = thread
        {
            // SAFETY: as above.
            ended = unsafe { thread.watch(self, &mut own) }.then_some(Ended::Interrupted);
        }
        let ended = ended.unwrap_or_else(|| match stopped {
            // Claimed by another: DONE is about to come.
            Some(_) => self.sleep(Deadline::Never, false),
            None => self.sleep(deadline, interruptible),
        });
        for (source, node) in sources.iter().zip(&mut nodes) {
            if let Some(source) = source {
                // SAFETY: as above; the node was given to this source, or to none.
                unsafe { source.as_ref().let_go(node) };
            }
        }
        if let Some(thread) = thread {
            // SAFETY: as above.
            unsafe { thread.let_go(&mut own) };
        }
        ended
    }

    fn sleep(&self, deadline: Deadline, mut interruptible: bool) -> Ended {
        /// The kernel restarts a sleep without a deadline after a signal handler that says so (SA_RESTART), never one
        /// with a deadline. So an interruptible wait has one, centuries away.
        const FAR: i64 = i64::MAX;
        let mut deadline = match deadline {
            Deadline::Never if interruptible => Some(FAR),
            Deadline::Never => None,
            Deadline::At(at) => Some(at),
            Deadline::Now => Some(0),
        };
        loop {
            // AcqRel: the sleeper's frame is released to a claimer, and a finished wait is acquired by `done` below.
            let word = self.word.fetch_or(PARKED, Ordering::AcqRel) | PARKED;
            if let Some(outcome) = self.done() {
                return Ended::of(outcome);
            }
            let woken = self.word.wait(word, deadline);
            if let Some(outcome) = self.done() {
                return Ended::of(outcome);
            }
            let ended = match woken {
                Woken::TimedOut => Ended::TimedOut,
                Woken::Interrupted if interruptible => Ended::Interrupted,
                _ => continue,
            };
            if self.give_up() {
                return ended;
            }
            // Claimed: DONE is a few instructions of the claimer away, and must be awaited.
            (deadline, interruptible) = (None, false);
        }
    }
}

/// A waiter's place in a queue, with the place in its frame that whoever fires it may fill.
pub struct WaitNode {
    next: *mut WaitNode,
    previous: *mut WaitNode,
    linked: bool,
    /// As its waiter.
    is_thread: bool,
    waiter: *const Waiter,
    /// Which of its waiter's nodes it is.
    case: usize,
    /// Where an element goes to or comes from; what it means is the object's business.
    pub slot: *mut u8,
    _pinned: PhantomPinned,
}

impl WaitNode {
    /// A node for `waiter`. Both must stay where they are while the node is linked.
    pub fn new(waiter: &Waiter, slot: *mut u8) -> Self {
        Self::of_case(waiter, 0, slot)
    }

    /// One of several nodes of `waiter`.
    pub fn of_case(waiter: &Waiter, case: usize, slot: *mut u8) -> Self {
        WaitNode {
            next: ptr::null_mut(),
            previous: ptr::null_mut(),
            linked: false,
            is_thread: waiter.is_thread,
            waiter,
            case,
            slot,
            _pinned: PhantomPinned,
        }
    }
}

/// A first-in, first-out queue of waits, guarded by its owner's lock.
pub struct WaitList {
    head: *mut WaitNode,
    tail: *mut WaitNode,
    len: u32,
    /// How many of them are threads.
    threads: u32,
}

// SAFETY: the pointers lead to nodes whose owners keep them in place until they are unlinked; the lock that guards
// the list makes every access exclusive.
unsafe impl Send for WaitList {}

impl Default for WaitList {
    fn default() -> Self {
        Self::new()
    }
}

/// A wait that this thread has claimed and must finish.
#[must_use = "a claimed waiter waits for finish"]
pub struct Claimed {
    waiter: *const Waiter,
    case: usize,
    /// Whether it is a thread that waits.
    pub is_thread: bool,
    /// The node's slot.
    pub slot: *mut u8,
}

impl Claimed {
    /// Ends the wait with this outcome.
    pub fn finish(self, outcome: u32) {
        // SAFETY: a Claimed exists only for a waiter whose claim was won, and is consumed here.
        unsafe { Waiter::finish(self.waiter, self.case, outcome) }
    }
}

impl WaitList {
    /// An empty list.
    pub const fn new() -> Self {
        WaitList { head: ptr::null_mut(), tail: ptr::null_mut(), len: 0, threads: 0 }
    }

    /// Number of waits, those that have given up and not yet unlinked themselves included.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a node.
    ///
    /// # Safety
    /// The node and its waiter stay in place until the node is unlinked or its waiter is DONE.
    pub unsafe fn push(&mut self, node: *mut WaitNode) {
        // SAFETY: `node` is live by the contract, the tail because it is linked.
        unsafe {
            (*node).next = ptr::null_mut();
            (*node).previous = self.tail;
            (*node).linked = true;
            match self.tail.as_mut() {
                Some(tail) => tail.next = node,
                None => self.head = node,
            }
        }
        self.tail = node;
        self.len += 1;
        // SAFETY: as above.
        self.threads += u32::from(unsafe { (*node).is_thread });
    }

    /// Takes a node out, if it is still in.
    ///
    /// # Safety
    /// `node` was pushed to this list, or to none, and is live.
    pub unsafe fn unlink(&mut self, node: *mut WaitNode) {
        // SAFETY: the node is live by the contract; its neighbours are, because they are linked.
        unsafe {
            if !(*node).linked {
                return;
            }
            (*node).linked = false;
            let (previous, next) = ((*node).previous, (*node).next);
            match previous.as_mut() {
                Some(previous) => previous.next = next,
                None => self.head = next,
            }
            match next.as_mut() {
                Some(next) => next.previous = previous,
                None => self.tail = previous,
            }
            self.threads -= u32::from((*node).is_thread);
        }
        self.len -= 1;
    }

    /// Unlinks and claims the first wait that has not given up.
    pub fn claim_first(&mut self) -> Option<Claimed> {
        while !self.head.is_null() {
            // SAFETY: linked.
            let claimed = unsafe { self.claim(self.head) };
            if claimed.is_some() {
                return claimed;
            }
        }
        None
    }

    /// Unlinks and claims the first thread's wait that has not given up.
    pub fn claim_first_thread(&mut self) -> Option<Claimed> {
        let mut node = self.head;
        while self.threads > 0 && !node.is_null() {
            // SAFETY: a linked node is live.
            let (this, is_thread) = unsafe { (node, (*node).is_thread) };
            // SAFETY: as above.
            node = unsafe { (*node).next };
            if is_thread {
                // SAFETY: linked.
                let claimed = unsafe { self.claim(this) };
                if claimed.is_some() {
                    return claimed;
                }
            }
        }
        None
    }

    /// Unlinks a wait, and claims it unless it has given up.
    ///
    /// # Safety
    /// The node is in this list.
    unsafe fn claim(&mut self, node: *mut WaitNode) -> Option<Claimed> {
        // SAFETY: a linked node is live. After a lost claim its owner still has to take the list's lock
        // before the frame goes; after a won one the frame stays until we finish.
        unsafe {
            self.unlink(node);
            let (waiter, case, is_thread, slot) = ((*node).waiter, (*node).case, (*node).is_thread, (*node).slot);
            (*waiter).claim().then_some(Claimed { waiter, case, is_thread, slot })
        }
    }

    /// Unlinks and claims all waits, for finishing them outside the lock.
    pub fn claim_all(&mut self) -> ClaimedAll {
        let mut first = ptr::null_mut();
        let mut last: *mut WaitNode = ptr::null_mut();
        while !self.head.is_null() {
            let node = self.head;
            // SAFETY: as in claim_first; claimed nodes stay in their frames and are chained through `next`.
            unsafe {
                self.unlink(node);
                (*node).next = ptr::null_mut();
                if (*(*node).waiter).claim() {
                    match last.as_mut() {
                        Some(last) => last.next = node,
                        None => first = node,
                    }
                    last = node;
                }
            }
        }
        ClaimedAll { first }
    }
}

/// Waits that this thread has claimed and must finish.
#[must_use = "claimed waiters wait for finish"]
pub struct ClaimedAll {
    first: *mut WaitNode,
}

impl ClaimedAll {
    /// Ends all of them with this outcome.
    pub fn finish(self, outcome: u32) {
        let mut node = self.first;
        while !node.is_null() {
            // SAFETY: the chain consists of claimed nodes; each is read before its waiter is finished.
            unsafe {
                let (waiter, case, next) = ((*node).waiter, (*node).case, (*node).next);
                Waiter::finish(waiter, case, outcome);
                node = next;
            }
        }
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::{Lock, model};
    use loom::sync::Arc;

    /// A frame that a waiter owns: freed (dropped) as soon as its wait is over.
    struct Frame {
        waiter: Waiter,
        value: UnsafeCell<u32>,
    }

    unsafe impl Send for Frame {}
    unsafe impl Sync for Frame {}

    #[test]
    fn loom_fire_reaches_a_parked_waiter() {
        loom::model(|| {
            let frame = Box::into_raw(Box::new(Frame { waiter: Waiter::new(), value: UnsafeCell::new(0) }));
            let address = frame as usize;
            let firer = loom::thread::spawn(move || {
                let frame = address as *const Frame;
                unsafe {
                    assert!((*frame).waiter.claim());
                    (*frame).value.with_mut(|value| *value = 7);
                    Waiter::finish(&raw const (*frame).waiter, 0, 3);
                }
            });
            unsafe {
                assert_eq!((*frame).waiter.wait(Deadline::Never), Ended::Fired(3));
                assert_eq!((*frame).value.with(|value| *value), 7);
                drop(Box::from_raw(frame));
            }
            firer.join().unwrap();
        });
    }

    /// Two firers and a waiter that gives up: exactly one of the three ends the wait, and what it says is true.
    #[test]
    fn loom_fire_against_fire_against_timeout() {
        loom::model(|| {
            let list = Arc::new(Lock::new(WaitList::new()));
            let waiter = Waiter::new();
            let mut value = 0u32;
            let mut node = WaitNode::new(&waiter, (&raw mut value).cast());
            unsafe { list.lock().push(&mut node) };
            let firers: Vec<_> = (1..=2u32)
                .map(|id| {
                    let list = list.clone();
                    loom::thread::spawn(move || {
                        let claimed = list.lock().claim_first();
                        match claimed {
                            Some(claimed) => {
                                unsafe { *claimed.slot.cast::<u32>() += id };
                                claimed.finish(id);
                                true
                            }
                            None => false,
                        }
                    })
                })
                .collect();
            let gave_up = waiter.give_up();
            if gave_up {
                unsafe { list.lock().unlink(&mut node) };
                assert_eq!(value, 0);
            } else {
                let Ended::Fired(id) = waiter.wait(Deadline::Never) else { panic!("fired waits say so") };
                assert_eq!(value, id);
            }
            let fired = firers.into_iter().filter(|_| true).map(|f| f.join().unwrap()).filter(|&f| f).count();
            assert_eq!(fired + gave_up as usize, 1);
        });
    }

    /// One wait for two objects: it is fired by one of them, by the case that is told, or given up, and nothing is linked.
    #[test]
    fn loom_fire_by_one_of_two_cases() {
        model(3, || {
            let lists = Arc::new([0, 1].map(|_| Lock::new(WaitList::new())));
            let waiter = Waiter::new();
            let mut nodes = [0, 1].map(|case| WaitNode::of_case(&waiter, case, ptr::null_mut()));
            for (list, node) in lists.iter().zip(&mut nodes) {
                unsafe { list.lock().push(node) };
            }
            let firers = [0, 1].map(|case| {
                let lists = lists.clone();
                loom::thread::spawn(move || {
                    let claimed = lists[case].lock().claim_first();
                    let fired = claimed.is_some();
                    claimed.into_iter().for_each(|claimed| claimed.finish(case as u32));
                    fired
                })
            });
            let ended = waiter.wait(Deadline::At(0));
            for (list, node) in lists.iter().zip(&mut nodes) {
                unsafe { list.lock().unlink(node) };
            }
            let fired = firers.map(|firer| firer.join().unwrap());
            match ended {
                Ended::Fired(outcome) => {
                    let case = outcome as usize;
                    assert_eq!(waiter.fired(), Some((case, outcome)));
                    assert!(fired[case] && !fired[1 - case]);
                }
                _ => assert_eq!(fired, [false; 2]),
            }
            assert!(lists.iter().all(|list| list.lock().is_empty()));
        });
    }

    /// A waiter that is no thread, and is freed by whoever ends the wait: its waker is called once if it was fired, and never
    /// if it has given up.
    #[test]
    fn loom_fire_calls_the_waker_or_nobody() {
        struct Count(loom::sync::atomic::AtomicU32);
        impl std::task::Wake for Count {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        model(3, || {
            let calls = std::sync::Arc::new(Count(loom::sync::atomic::AtomicU32::new(0)));
            let list = Arc::new(Lock::new(WaitList::new()));
            let waiter = Box::new(Waiter::with_waker(calls.clone().into()));
            let mut node = Box::new(WaitNode::new(&waiter, ptr::null_mut()));
            unsafe { list.lock().push(&mut *node) };
            let firer = {
                let list = list.clone();
                loom::thread::spawn(move || {
                    let claimed = list.lock().claim_first();
                    let fired = claimed.is_some();
                    claimed.into_iter().for_each(|claimed| claimed.finish(0));
                    fired
                })
            };
            let gave_up = waiter.give_up();
            if gave_up {
                unsafe { list.lock().unlink(&mut *node) };
                drop((node, waiter));
            }
            assert_eq!(firer.join().unwrap(), !gave_up);
            assert_eq!(calls.0.load(Ordering::Relaxed), u32::from(!gave_up));
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn nodes_unlink_from_any_place() {
        let waiters = [Waiter::new(), Waiter::new(), Waiter::new()];
        let mut nodes = [0, 1, 2].map(|i| WaitNode::new(&waiters[i], ptr::null_mut()));
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
            let mut list = WaitList::new();
            for node in &mut nodes {
                // SAFETY: nodes and waiters outlive the list.
                unsafe { list.push(node) };
            }
            for (i, &which) in order.iter().enumerate() {
                // SAFETY: as above.
                unsafe {
                    list.unlink(&mut nodes[which]);
                    list.unlink(&mut nodes[which]);
                }
                assert_eq!(list.len(), 2 - i);
            }
            assert!(list.claim_first().is_none());
        }
    }

    #[test]
    fn a_deadline_in_the_past_gives_up() {
        assert_eq!(Waiter::new().wait(Deadline::At(1)), Ended::TimedOut);
    }

    #[test]
    fn a_wait_that_gave_up_cannot_be_claimed() {
        let waiter = Waiter::new();
        let mut node = WaitNode::new(&waiter, ptr::null_mut());
        let mut list = WaitList::new();
        // SAFETY: node and waiter outlive the list.
        unsafe { list.push(&mut node) };
        assert!(waiter.give_up());
        assert!(list.claim_first().is_none());
        assert!(list.is_empty());
    }
}
