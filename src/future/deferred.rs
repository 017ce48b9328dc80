//! A call that two sides may run: a worker that takes it from a queue, or the thread that waits for its result.

use crate::sync::atomic::{AtomicBool, Ordering, UnsafeCell};

/// A value that goes to the first who asks.
pub struct Deferred<C> {
    taken: AtomicBool,
    call: UnsafeCell<Option<C>>,
}

// SAFETY: the cell is touched by the one thread that set `taken`, and by the last owner.
unsafe impl<C: Send> Sync for Deferred<C> {}

impl<C> Deferred<C> {
    /// Nobody has asked.
    pub fn new(call: C) -> Self {
        Deferred { taken: AtomicBool::new(false), call: UnsafeCell::new(Some(call)) }
    }

    /// The value, once.
    pub fn take(&self) -> Option<C> {
        // Relaxed: whoever shares this published the value with it; the exchange only picks one taker.
        if self.taken.load(Ordering::Relaxed) || self.taken.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: the one who set `taken`.
        self.call.with_mut(|call| unsafe { (*call).take() })
    }

    /// Whether the value is still there, and fits.
    pub fn is_there(&self) -> bool {
        !self.taken.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use loom::sync::Arc;

    #[test]
    fn loom_deferred_goes_to_one() {
        loom::model(|| {
            let deferred = Arc::new(Deferred::new(5));
            let other = {
                let deferred = deferred.clone();
                loom::thread::spawn(move || deferred.take())
            };
            let mine = deferred.take();
            let theirs = other.join().unwrap();
            assert!(mine.is_some() != theirs.is_some());
        });
    }
}
