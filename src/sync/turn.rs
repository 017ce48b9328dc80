//! A value that one thread at a time uses, for as long as it likes: it may wait while it has its turn. So those who want
//! it wait by the one protocol, with deadlines, and can be cancelled and interrupted.
//!
//! The word is FREE or HELD. Whoever comes takes it by an exchange; who leaves frees it by a plain store and looks at the flags
//! afterwards: WAITERS says that somebody may be in the list. Who queues sets that flag, runs a barrier on all threads
//! ([`asymmetric::heavy`]) and looks at the word once more: one of the two sees the other. So a turn that nobody waits for costs
//! one exchange, and those who wait pay for it. (Where the system has no such barrier, FENCED sends all who leave by a fence.)
//!
//! Who leaves and sees WAITERS tells the first in the list to try; those who come meanwhile may be faster, and then it queues
//! again. Whoever was told tries, or passes that on ([`Turn::pass_on`]); so no turn is free while somebody waits who knows nothing
//! of it.

#[cfg(not(weft_loom))]
use std::ops::{Deref, DerefMut};
use std::ptr;

use super::atomic::{AtomicU32, Ordering, UnsafeCell, fence};
use super::wait::{Ended, WaitList, WaitNode, Waiter};
use super::{Deadline, Lock, asymmetric, park, spin};

const FREE: u32 = 0;
const HELD: u32 = 1;

/// Somebody may be in the list. Changed with the list's lock.
const WAITERS: u32 = 1;
/// Who leaves needs a fence.
const FENCED: u32 = 2;
/// Whoever leaves has seen FENCED.
const ALL_FENCED: u32 = 4;

/// The outcome of waits that are to try.
pub const TRY: u32 = 0;

/// A value for one thread at a time.
pub struct Turn<T> {
    word: AtomicU32,
    flags: AtomicU32,
    waits: Lock<WaitList>,
    value: UnsafeCell<T>,
}

// SAFETY: the word gives the value to one thread at a time.
unsafe impl<T: Send> Sync for Turn<T> {}
// SAFETY: nothing in it is bound to a thread.
unsafe impl<T: Send> Send for Turn<T> {}

/// Somebody's turn; it ends with this.
pub struct InTurn<'a, T>(&'a Turn<T>);

impl<T> Turn<T> {
    /// Nobody's turn.
    pub fn new(value: T) -> Self {
        let flags = if asymmetric::is_available() { 0 } else { FENCED | ALL_FENCED };
        Turn {
            word: AtomicU32::new(FREE),
            flags: AtomicU32::new(flags),
            waits: Lock::default(),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes it if it is free.
    #[inline(always)]
    pub fn try_take(&self) -> Option<InTurn<'_, T>> {
        // The load first: a failed exchange would take the line from whoever has the turn. Acquire pairs with the Release in
        // `leave`.
        let free = self.word.load(Ordering::Relaxed) == FREE
            && self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok();
        // Not then_some: the end of an InTurn that is not returned would end the turn.
        free.then(|| InTurn(self))
    }

    /// Takes it, waiting for who has it. Asks for the deadline only if it has to wait.
    #[inline(always)]
    pub fn take(&self, deadline: impl FnOnce() -> Deadline) -> Result<InTurn<'_, T>, Ended> {
        match self.try_take() {
            Some(turn) => Ok(turn),
            None => self.take_contended(deadline()),
        }
    }

    #[cold]
    fn take_contended(&self, deadline: Deadline) -> Result<InTurn<'_, T>, Ended> {
        if deadline == Deadline::Now {
            return Err(Ended::TimedOut);
        }
        if !park::interruptible()
            && spin::until(|| self.word.load(Ordering::Relaxed) == FREE)
            && let Some(turn) = self.try_take()
        {
            return Ok(turn);
        }
        loop {
            let waiter = Waiter::new();
            let mut node = WaitNode::new(&waiter, ptr::null_mut());
            // SAFETY: the frame stays until the wait was fired or the node is unlinked.
            if let Some(turn) = unsafe { self.take_or_queue(&mut node) } {
                return Ok(turn);
            }
            match waiter.wait(deadline) {
                Ended::Fired(_) => {}
                ended => {
                    // SAFETY: queued here.
                    unsafe { self.let_go(&mut node) };
                    return Err(ended);
                }
            }
        }
    }

    /// Takes it if it is free; else queues the node, whose wait is fired with [`TRY`].
    ///
    /// # Safety
    /// As for [`WaitList::push`], and [`Turn::let_go`] unlinks the node.
    pub unsafe fn take_or_queue(&self, node: *mut WaitNode) -> Option<InTurn<'_, T>> {
        if let Some(turn) = self.try_take() {
            return Some(turn);
        }
        let mut waits = self.waits.lock();
        // SAFETY: promised by the caller.
        unsafe { waits.push(node) };
        // Where the flag is set, whoever set it has run the barrier before this thread got the lock.
        if self.flags.load(Ordering::Relaxed) & WAITERS == 0 {
            self.flags.fetch_or(WAITERS, Ordering::Relaxed);
            self.barrier();
        }
        let turn = self.try_take()?;
        // SAFETY: just queued, and nobody else takes nodes out without the lock.
        unsafe { waits.unlink(node) };
        self.unless_anybody_waits(&waits);
        Some(turn)
    }

    /// Takes a node out, if it is still in.
    ///
    /// # Safety
    /// The node was queued here, or nowhere, and is live.
    pub unsafe fn let_go(&self, node: *mut WaitNode) {
        // SAFETY: promised by the caller.
        unsafe { self.waits.lock().unlink(node) }
    }

    /// Whoever was told to try will not.
    pub fn pass_on(&self) {
        self.tell_first(false);
    }

    #[inline(always)]
    fn leave(&self) {
        // Release pairs with the Acquire of who takes it next.
        self.word.store(FREE, Ordering::Release);
        // Pairs with `barrier` in who has queued.
        asymmetric::light();
        if self.flags.load(Ordering::Relaxed) != 0 {
            self.tell();
        }
    }

    #[cold]
    fn tell(&self) {
        // In the place of `light` where FENCED is set.
        fence(Ordering::SeqCst);
        if self.flags.load(Ordering::Relaxed) & WAITERS != 0 {
            self.tell_first(true);
        }
    }

    fn tell_first(&self, even_if_held: bool) {
        let mut waits = self.waits.lock();
        // Relaxed: the lock brings what those in the list have seen of the word after their barrier. Whoever holds it since then,
        // or still, will see their flag and tell.
        if !even_if_held && self.word.load(Ordering::Relaxed) != FREE {
            return;
        }
        let claimed = waits.claim_first();
        self.unless_anybody_waits(&waits);
        drop(waits);
        if let Some(claimed) = claimed {
            claimed.finish(TRY);
        }
    }

    fn unless_anybody_waits(&self, waits: &WaitList) {
        if waits.is_empty() {
            self.flags.fetch_and(!WAITERS, Ordering::Relaxed);
        }
    }

    /// Between the flag and the last look at the word.
    #[cold]
    fn barrier(&self) {
        if self.flags.load(Ordering::Relaxed) & ALL_FENCED != 0 {
            return fence(Ordering::SeqCst);
        }
        asymmetric::heavy();
        if !asymmetric::is_available() {
            // Taken away from the process meanwhile.
            self.flags.fetch_or(FENCED, Ordering::SeqCst);
            asymmetric::heavy();
            self.flags.fetch_or(ALL_FENCED, Ordering::SeqCst);
        }
    }
}

impl<T> Drop for InTurn<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cfg(not(weft_loom))]
impl<T> Deref for InTurn<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: ours while it is our turn.
        unsafe { &*self.0.value.with(|value| value) }
    }
}

#[cfg(not(weft_loom))]
impl<T> DerefMut for InTurn<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and borrowed mutably.
        unsafe { &mut *self.0.value.with_mut(|value| value) }
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::asymmetric::modelled::set_available;
    use crate::sync::model;
    use loom::sync::Arc;

    fn on_both_systems(preemptions: usize, f: impl Fn() + Send + Sync + Clone + 'static) {
        for available in [true, false] {
            set_available(available);
            model(preemptions, f.clone());
        }
        set_available(true);
    }

    fn count(turn: &InTurn<'_, u32>) -> u32 {
        turn.0.value.with_mut(|value| unsafe {
            *value += 1;
            *value
        })
    }

    /// One after the other, and whoever waits is told.
    #[test]
    fn loom_turn_goes_to_one_by_one() {
        for threads in [1, 2] {
            on_both_systems(if threads == 1 { 4 } else { 2 }, move || {
                let turn = Arc::new(Turn::new(0));
                let others: Vec<_> = (0..threads)
                    .map(|_| {
                        let turn = turn.clone();
                        loom::thread::spawn(move || {
                            count(&turn.take(|| Deadline::Never).ok().unwrap());
                        })
                    })
                    .collect();
                count(&turn.take(|| Deadline::Never).ok().unwrap());
                others.into_iter().for_each(|other| other.join().unwrap());
                assert_eq!(count(&turn.try_take().unwrap()), threads + 2);
            });
        }
    }

    /// One that gives up, and one that was told and passes it on, swallow nobody's turn.
    #[test]
    fn loom_turn_is_passed_on() {
        on_both_systems(2, || {
            let turn = Arc::new(Turn::new(0));
            let held = turn.try_take().unwrap();
            let patient = {
                let turn = turn.clone();
                loom::thread::spawn(move || {
                    count(&turn.take(|| Deadline::Never).ok().unwrap());
                })
            };
            let other = {
                let turn = turn.clone();
                loom::thread::spawn(move || {
                    let waiter = Waiter::new();
                    let mut node = WaitNode::new(&waiter, ptr::null_mut());
                    if unsafe { turn.take_or_queue(&mut node) }.is_some() {
                        return;
                    }
                    match waiter.wait(Deadline::At(0)) {
                        Ended::Fired(_) => turn.pass_on(),
                        _ => unsafe { turn.let_go(&mut node) },
                    }
                })
            };
            drop(held);
            patient.join().unwrap();
            other.join().unwrap();
            assert!(turn.try_take().is_some());
        });
    }
}
