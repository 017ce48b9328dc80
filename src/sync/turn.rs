//! A value that one thread at a time uses, for as long as it likes: it may wait while it has its turn. So those who want
//! it wait by the one protocol, with deadlines, and can be cancelled and interrupted.
//!
//! The word is FREE, HELD or CONTENDED: held, and somebody may be in the list. Free of others a turn costs two exchanges. Who
//! leaves a contended turn tells the first in the list to try; those who come meanwhile may be faster, and then it queues
//! again. Whoever was told tries, or passes that on ([`Turn::pass_on`]); so no turn is free while somebody waits who knows nothing
//! of it.

#[cfg(not(weft_loom))]
use std::ops::{Deref, DerefMut};
use std::ptr;

use super::atomic::{AtomicU32, Ordering, UnsafeCell};
use super::wait::{Ended, WaitList, WaitNode, Waiter};
use super::{Deadline, Lock, park, spin};

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// The outcome of waits that are to try.
pub const TRY: u32 = 0;

/// A value for one thread at a time.
pub struct Turn<T> {
    word: AtomicU32,
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
        Turn { word: AtomicU32::new(FREE), waits: Lock::default(), value: UnsafeCell::new(value) }
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
        let mut waits = self.waits.lock();
        if self.word.swap(CONTENDED, Ordering::Acquire) == FREE {
            if waits.is_empty() {
                // Nobody queues without the lock.
                self.word.store(HELD, Ordering::Relaxed);
            }
            return Some(InTurn(self));
        }
        // SAFETY: promised by the caller.
        unsafe { waits.push(node) };
        None
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
        let waits = self.waits.lock();
        // Acquire, as it is a turn for a moment.
        if !waits.is_empty() && self.word.swap(CONTENDED, Ordering::Acquire) == FREE {
            drop(waits);
            self.leave();
        }
    }

    #[inline(always)]
    fn leave(&self) {
        // Release pairs with the Acquire of who takes it next.
        if self.word.swap(FREE, Ordering::Release) == CONTENDED {
            self.tell();
        }
    }

    #[cold]
    fn tell(&self) {
        let claimed = self.waits.lock().claim_first();
        if let Some(claimed) = claimed {
            claimed.finish(TRY);
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
    use crate::sync::model;
    use loom::sync::Arc;

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
            model(if threads == 1 { 4 } else { 2 }, move || {
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
        model(2, || {
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
