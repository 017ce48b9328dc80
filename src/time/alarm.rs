//! A point in time as a case of a select.

use std::ptr;
use std::sync::Arc;

use super::driver::Timer;
use crate::platform::clock::now_ns;
use crate::sync::select::{Event, Verdict};
use crate::sync::wait::{WaitList, WaitNode};
use crate::sync::{Deadline, Lock};

/// The outcome of the wait.
const RANG: u32 = 0;

/// A point in time. A thread that waits for it has a deadline instead of a timer.
#[derive(Clone, Copy)]
pub struct Alarm {
    at_ns: i64,
    /// Where the timer is kept of what is no thread; null: a thread waits.
    place: *mut *mut Armed,
}

/// A timer with the wait that it ends.
pub struct Armed {
    waits: Arc<Lock<WaitList>>,
    timer: Option<Timer<Box<dyn Fn() + Send + Sync>>>,
}

impl Alarm {
    /// For a thread's select.
    pub fn of_thread(at_ns: i64) -> Self {
        Alarm { at_ns, place: ptr::null_mut() }
    }

    /// For a select that is polled. [`super::prepare`] has been called.
    ///
    /// # Safety
    /// `place` is null at first, and is left alone until the select has ended.
    pub unsafe fn polled(at_ns: i64, place: *mut *mut Armed) -> Self {
        Alarm { at_ns, place }
    }

    fn is_due(&self) -> bool {
        self.at_ns <= now_ns()
    }
}

// SAFETY: the list is behind its lock.
unsafe impl Event for Alarm {
    fn attempt(&self) -> Option<Verdict> {
        self.is_due().then_some(Verdict::Done)
    }

    unsafe fn watch(&self, node: *mut WaitNode) -> bool {
        if self.is_due() {
            return true;
        }
        if self.place.is_null() || self.at_ns == i64::MAX {
            return false;
        }
        let waits = Arc::new(Lock::new(WaitList::new()));
        // SAFETY: promised by the caller.
        unsafe { waits.lock().push(node) };
        let rung = waits.clone();
        let ring: Box<dyn Fn() + Send + Sync> = Box::new(move || {
            let waits = rung.lock().claim_all();
            waits.finish(RANG);
        });
        let timer = Timer::at(self.at_ns, ring).ok();
        // SAFETY: promised to `polled`.
        unsafe { *self.place = Box::into_raw(Box::new(Armed { waits, timer })) };
        false
    }

    unsafe fn let_go(&self, node: *mut WaitNode) {
        if self.place.is_null() {
            return;
        }
        // SAFETY: promised to `polled`; what is there was made in `watch`, for this node.
        unsafe {
            let armed = self.place.replace(ptr::null_mut());
            if !armed.is_null() {
                let Armed { waits, timer } = *Box::from_raw(armed);
                waits.lock().unlink(node);
                drop(timer);
            }
        }
    }

    fn verdict(&self, _rang: u32) -> Option<Verdict> {
        Some(Verdict::Done)
    }

    fn deadline(&self) -> Deadline {
        if self.at_ns == i64::MAX { Deadline::Never } else { Deadline::At(self.at_ns) }
    }
}
