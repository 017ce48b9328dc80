//! A mutual-exclusion lock for short critical sections: one word, no poisoning, no thread-locals.
//!
//! The word is UNLOCKED, LOCKED, or CONTENDED (locked, and somebody may sleep); this is the three-state futex
//! mutex of Drepper's "Futexes Are Tricky" (mutex3). Not std's, because ThreadSanitizer cannot see into
//! the uninstrumented std, and because a panic under one of our locks must not poison it for everybody else.
//!
//! In models other than its own, [`Lock`] is loom's mutex: its protocol is proved once, here.

#[cfg(not(weft_loom))]
use std::cell::UnsafeCell;
#[cfg(not(weft_loom))]
use std::ops::{Deref, DerefMut};

use super::atomic::Ordering;
use super::futex::Futex;
use super::spin;

const UNLOCKED: u32 = 0;
const LOCKED: u32 = 1;
const CONTENDED: u32 = 2;

/// The lock word alone.
pub struct RawLock {
    word: Futex,
}

impl Default for RawLock {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! maybe_const_fn {
    ($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block) => {
        $(#[$doc])* #[cfg(not(weft_loom))] pub const fn $name($($arg: $ty),*) -> $ret $body
        $(#[$doc])* #[cfg(weft_loom)] pub fn $name($($arg: $ty),*) -> $ret $body
    };
}

impl RawLock {
    maybe_const_fn! {
        /// An unlocked lock.
        pub fn new() -> Self {
            RawLock { word: Futex::new(UNLOCKED) }
        }
    }

    /// Waits until the lock is free and takes it.
    pub fn lock(&self) {
        // Acquire pairs with the Release of unlock.
        if self.word.compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.lock_contended();
        }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> bool {
        // The load first: a failed exchange would take the line from whoever holds the lock.
        self.word.load(Ordering::Relaxed) == UNLOCKED
            && self.word.compare_exchange(UNLOCKED, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn lock_contended(&self) {
        spin::until(|| self.word.load(Ordering::Relaxed) == UNLOCKED);
        // From here on the word is only taken as CONTENDED: we cannot know whether others sleep.
        while self.word.swap(CONTENDED, Ordering::Acquire) != UNLOCKED {
            self.word.wait(CONTENDED, None);
        }
    }

    /// Frees the lock.
    ///
    /// # Safety
    /// The calling thread holds it.
    pub unsafe fn unlock(&self) {
        // Release pairs with the Acquire of whoever locks next.
        if self.word.swap(UNLOCKED, Ordering::Release) == CONTENDED {
            self.word.wake(1);
        }
    }
}

/// A lock that is taken and freed by calls, for whoever holds several at once. In models other than its own, loom's mutex.
#[cfg(not(weft_loom))]
pub type Bolt = RawLock;

/// A value behind a lock.
#[cfg(not(weft_loom))]
#[derive(Default)]
pub struct Lock<T> {
    raw: RawLock,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands the value to one thread at a time.
#[cfg(not(weft_loom))]
unsafe impl<T: Send> Sync for Lock<T> {}

#[cfg(not(weft_loom))]
impl<T> Lock<T> {
    /// An unlocked value.
    pub const fn new(value: T) -> Self {
        Lock { raw: RawLock::new(), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock; it is held until the guard goes.
    pub fn lock(&self) -> Guard<'_, T> {
        self.raw.lock();
        Guard { lock: self }
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.raw.try_lock().then(|| Guard { lock: self })
    }
}

/// Holds the lock.
#[cfg(not(weft_loom))]
pub struct Guard<'a, T> {
    lock: &'a Lock<T>,
}

#[cfg(not(weft_loom))]
impl<T> Deref for Guard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the guard's thread holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

#[cfg(not(weft_loom))]
impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard's thread holds the lock, and `self` is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

#[cfg(not(weft_loom))]
impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the guard's thread locked it.
        unsafe { self.lock.raw.unlock() };
    }
}

#[cfg(weft_loom)]
#[derive(Default)]
pub struct Lock<T>(loom::sync::Mutex<T>);

#[cfg(weft_loom)]
pub type Guard<'a, T> = loom::sync::MutexGuard<'a, T>;

#[cfg(weft_loom)]
impl<T> Lock<T> {
    pub fn new(value: T) -> Self {
        Lock(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> Guard<'_, T> {
        self.0.lock().unwrap()
    }

    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.0.try_lock().ok()
    }
}

#[cfg(weft_loom)]
#[derive(Default)]
pub struct Bolt {
    mutex: loom::sync::Mutex<()>,
    guard: std::cell::UnsafeCell<Option<loom::sync::MutexGuard<'static, ()>>>,
}

#[cfg(weft_loom)]
impl Bolt {
    pub fn lock(&self) {
        let guard = self.mutex.lock().unwrap();
        // SAFETY: the guard goes before the mutex; the cell belongs to whoever holds it.
        unsafe { *self.guard.get() = Some(std::mem::transmute(guard)) };
    }

    /// # Safety
    /// As for `RawLock::unlock`.
    pub unsafe fn unlock(&self) {
        // SAFETY: as above. Taken out first: the next owner has the cell as soon as the guard goes.
        let guard = unsafe { (*self.guard.get()).take() };
        drop(guard);
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;

    #[test]
    fn loom_lock_excludes_and_wakes() {
        model(3, || {
            let shared = Arc::new((RawLock::new(), UnsafeCell::new(0)));
            let add = |shared: &(RawLock, UnsafeCell<i32>)| {
                shared.0.lock();
                shared.1.with_mut(|n| unsafe { *n += 1 });
                unsafe { shared.0.unlock() };
            };
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let shared = shared.clone();
                    loom::thread::spawn(move || add(&shared))
                })
                .collect();
            add(&shared);
            others.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!(shared.1.with(|n| unsafe { *n }), 3);
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn counts_from_many_threads_are_exact() {
        let total = Lock::new(0u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        *total.lock() += 1;
                    }
                });
            }
        });
        assert_eq!(*total.lock(), 80_000);
    }

    #[test]
    fn a_lock_that_is_held_is_not_taken() {
        let lock = Lock::new(1);
        let held = lock.try_lock();
        assert!(held.is_some() && lock.try_lock().is_none());
        drop(held);
        assert_eq!(lock.try_lock().map(|value| *value), Some(1));
    }

    #[test]
    fn a_panic_under_the_lock_does_not_poison_it() {
        let lock = Lock::new(1);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = lock.lock();
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(caught.is_err());
        assert_eq!(*lock.lock(), 1);
    }
}
