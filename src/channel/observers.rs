//! Who is told of every operation on a channel: a file descriptor that has to be kept readable as long as an element is there.

use std::ptr;

use super::direction::Direction;
use crate::sync::atomic::{AtomicPtr, Ordering};

/// Called after each operation, by the thread that did it, which holds no lock; several threads may be in it at once. It looks at
/// the channel itself.
pub type Observer = Box<dyn Fn() + Send + Sync>;

/// Up to one for each direction. They stay.
pub struct Observers([AtomicPtr<Observer>; 2]);

impl Default for Observers {
    fn default() -> Self {
        Observers([0, 1].map(|_| AtomicPtr::new(ptr::null_mut())))
    }
}

impl Observers {
    /// False: the direction has one.
    pub fn add(&self, direction: Direction, observer: Observer) -> bool {
        let place = &self.0[direction as usize];
        let observer = Box::into_raw(Box::new(observer));
        // Release pairs with the Acquire in `tell`.
        let added = place.compare_exchange(ptr::null_mut(), observer, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if !added {
            // SAFETY: from `into_raw` above, and nobody else's.
            drop(unsafe { Box::from_raw(observer) });
        }
        added
    }

    pub fn tell(&self) {
        for place in &self.0 {
            // SAFETY: it stays until the channel goes.
            if let Some(observer) = unsafe { place.load(Ordering::Acquire).as_ref() } {
                observer();
            }
        }
    }
}

impl Drop for Observers {
    fn drop(&mut self) {
        for place in &self.0 {
            let observer = place.load(Ordering::Acquire);
            if !observer.is_null() {
                // SAFETY: from `into_raw` in `add`; nobody uses it any more.
                drop(unsafe { Box::from_raw(observer) });
            }
        }
    }
}
