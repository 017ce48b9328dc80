//! A gate that opens once and stays open: any number of threads wait for one event.

use super::Lock;
use super::atomic::{AtomicBool, Ordering};
use super::deadline::Deadline;
use super::wait::{Ended, WaitList, WaitNode, Waiter};

/// Closed until it is opened.
#[derive(Default)]
pub struct Gate {
    open: AtomicBool,
    waiting: Lock<WaitList>,
}

/// The outcome of every wait on a gate.
const OPENED: u32 = 0;

impl Gate {
    /// Opens the gate and wakes everyone who waits. What this thread did before is seen by those who find it open.
    /// The caller keeps the gate alive until this returns, even though waiters may go on before.
    pub fn open(&self) {
        let waits = {
            let mut waiting = self.waiting.lock();
            // Release pairs with the Acquire in is_open.
            self.open.store(true, Ordering::Release);
            waiting.claim_all()
        };
        waits.finish(OPENED);
    }

    /// Whether the gate is open.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Waits until the gate is open. [`Deadline::Now`] only looks.
    pub fn wait(&self, deadline: Deadline) -> Ended {
        if self.is_open() {
            return Ended::Fired(OPENED);
        }
        if deadline == Deadline::Now {
            return Ended::TimedOut;
        }
        let waiter = Waiter::new();
        let mut node = WaitNode::new(&waiter, std::ptr::null_mut());
        {
            let mut waiting = self.waiting.lock();
            if self.is_open() {
                return Ended::Fired(OPENED);
            }
            // SAFETY: this frame stays until the wait was fired, or until the node is unlinked below.
            unsafe { waiting.push(&mut node) };
        }
        let ended = waiter.wait(deadline);
        if !matches!(ended, Ended::Fired(_)) {
            // SAFETY: the node was pushed to this list above.
            unsafe { self.waiting.lock().unlink(&mut node) };
        }
        ended
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;

    #[test]
    fn loom_gate_opens_for_all() {
        model(2, || {
            let shared = Arc::new((Gate::default(), UnsafeCell::new(0)));
            let waiters: Vec<_> = (0..2)
                .map(|_| {
                    let shared = shared.clone();
                    loom::thread::spawn(move || {
                        assert_eq!(shared.0.wait(Deadline::Never), Ended::Fired(OPENED));
                        assert_eq!(shared.1.with(|value| unsafe { *value }), 5);
                    })
                })
                .collect();
            shared.1.with_mut(|value| unsafe { *value = 5 });
            shared.0.open();
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_closed_gate_times_out_and_an_open_one_does_not() {
        let gate = Gate::default();
        assert_eq!(gate.wait(Deadline::Now), Ended::TimedOut);
        assert_eq!(gate.wait(Deadline::At(1)), Ended::TimedOut);
        assert!(gate.waiting.lock().is_empty());
        gate.open();
        assert_eq!(gate.wait(Deadline::Now), Ended::Fired(OPENED));
    }
}
