//! A 32-bit word that threads can sleep on, with a model that loom can run.

use std::ops::Deref;

use super::atomic::{AtomicU32, Ordering};
pub use crate::platform::futex::Woken;

/// The bit by which a waiter says that it sleeps, so that whoever changes the word knows to wake it.
pub const PARKED: u32 = 1 << 31;

/// An atomic word with a queue of sleepers, kept by the kernel (by loom in models).
pub struct Futex {
    word: AtomicU32,
    #[cfg(weft_loom)]
    sleepers: loom::sync::Arc<(loom::sync::Mutex<()>, loom::sync::Condvar)>,
}

impl Deref for Futex {
    type Target = AtomicU32;
    fn deref(&self) -> &AtomicU32 {
        &self.word
    }
}

#[cfg(not(weft_loom))]
impl Futex {
    /// A word with this value.
    pub const fn new(value: u32) -> Self {
        Futex { word: AtomicU32::new(value) }
    }

    /// Sleeps while the word is `expected`, until the deadline. May return for no reason.
    pub fn wait(&self, expected: u32, deadline: Option<i64>) -> Woken {
        crate::platform::futex::wait(&self.word, expected, deadline)
    }

    /// Wakes up to `count` sleepers.
    pub fn wake(&self, count: u32) {
        crate::platform::futex::wake(&self.word, count);
    }

    /// Stores `value` and wakes the sleeper if the old value says that there is one. The word may be freed by
    /// another thread as soon as it has the new value; nothing of it is touched after that.
    ///
    /// # Safety
    /// `this` is live until `value` is stored.
    pub unsafe fn publish(this: *const Futex, value: u32) {
        // SAFETY: the caller keeps `this` alive until the swap. AcqRel: releases what the waiter is to see;
        // acquires the waiter's frame for a publisher that hands it on.
        let (address, old) = unsafe { (&raw const (*this).word, (*this).word.swap(value, Ordering::AcqRel)) };
        if old & PARKED != 0 {
            crate::platform::futex::wake(address, 1);
        }
    }
}

#[cfg(weft_loom)]
impl Futex {
    pub fn new(value: u32) -> Self {
        Futex { word: AtomicU32::new(value), sleepers: Default::default() }
    }

    /// In a model a deadline of 0 has passed and any other never does.
    pub fn wait(&self, expected: u32, deadline: Option<i64>) -> Woken {
        if deadline == Some(0) {
            return Woken::TimedOut;
        }
        let (mutex, condvar) = &*self.sleepers;
        let guard = mutex.lock().unwrap();
        // The kernel compares under its own lock, so a change before the sleep is never missed.
        if self.word.load(Ordering::SeqCst) == expected {
            drop(condvar.wait(guard).unwrap());
        }
        Woken::Maybe
    }

    pub fn wake(&self, count: u32) {
        Self::wake_sleepers(&self.sleepers, count);
    }

    pub unsafe fn publish(this: *const Futex, value: u32) {
        // The kernel's queue outlives the word; the clone plays its part.
        let sleepers = unsafe { (*this).sleepers.clone() };
        if unsafe { (*this).word.swap(value, Ordering::AcqRel) } & PARKED != 0 {
            Self::wake_sleepers(&sleepers, 1);
        }
    }

    fn wake_sleepers(sleepers: &(loom::sync::Mutex<()>, loom::sync::Condvar), count: u32) {
        let _guard = sleepers.0.lock().unwrap();
        if count == 1 { sleepers.1.notify_one() } else { sleepers.1.notify_all() }
    }
}
