//! A bell: threads that found something undone sleep until it rings, and look again.
//!
//! Whoever listens notes how often it has rung, looks, and waits for the next ring after that; so no ring between the look
//! and the sleep is missed.

use super::Lock;
use super::atomic::{AtomicU32, Ordering};
use super::deadline::Deadline;
use super::wait::{Ended, WaitList, WaitNode, Waiter};

/// Rings any number of times.
#[derive(Default)]
pub struct Bell {
    rings: AtomicU32,
    waiting: Lock<WaitList>,
}

/// The outcome of every wait that a ring ended.
const RANG: u32 = 0;

impl Bell {
    /// How often it has rung. Look afterwards, then wait for more.
    pub fn listen(&self) -> u32 {
        // Acquire pairs with the Release in `ring`: the look sees what came before a ring that is not waited for.
        self.rings.load(Ordering::Acquire)
    }

    /// Wakes all who wait. What this thread did before is seen by those who look again. The caller keeps the bell alive until
    /// this returns, even though waiters may go on before.
    pub fn ring(&self) {
        let waiters = {
            let mut waiting = self.waiting.lock();
            self.rings.fetch_add(1, Ordering::Release);
            waiting.claim_all()
        };
        waiters.finish(RANG);
    }

    /// Waits until it has rung more often than `heard`, or until something else ends the wait.
    pub fn wait(&self, heard: u32, deadline: Deadline) -> Ended {
        if deadline == Deadline::Now && self.listen() == heard {
            return Ended::TimedOut;
        }
        self.wait_by(heard, |waiter| waiter.wait(deadline))
    }

    /// Waits until it has rung more often than `heard`, whatever comes.
    pub fn wait_until_rung(&self, heard: u32) {
        self.wait_by(heard, |waiter| Ended::Fired(waiter.wait_until_fired()));
    }

    fn wait_by(&self, heard: u32, wait: impl FnOnce(&Waiter) -> Ended) -> Ended {
        let waiter = Waiter::new();
        let mut node = WaitNode::new(&waiter, std::ptr::null_mut());
        {
            let mut waiting = self.waiting.lock();
            if self.listen() != heard {
                return Ended::Fired(RANG);
            }
            // SAFETY: this frame stays until the wait was fired, or until the node is unlinked below.
            unsafe { waiting.push(&mut node) };
        }
        let ended = wait(&waiter);
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
    use loom::sync::Arc;

    #[test]
    fn loom_bell_wakes_whoever_has_not_seen_it() {
        model(3, || {
            let shared = Arc::new((Bell::default(), AtomicU32::new(0)));
            let others: Vec<_> = (0..2)
                .map(|_| {
                    let shared = shared.clone();
                    loom::thread::spawn(move || {
                        loop {
                            let heard = shared.0.listen();
                            if shared.1.load(Ordering::Relaxed) == 1 {
                                break;
                            }
                            assert_eq!(shared.0.wait(heard, Deadline::Never), Ended::Fired(RANG));
                        }
                    })
                })
                .collect();
            shared.1.store(1, Ordering::Relaxed);
            shared.0.ring();
            others.into_iter().for_each(|other| other.join().unwrap());
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_bell_that_has_rung_is_not_waited_for() {
        let bell = Bell::default();
        let heard = bell.listen();
        assert_eq!(bell.wait(heard, Deadline::Now), Ended::TimedOut);
        assert_eq!(bell.wait(heard, Deadline::At(1)), Ended::TimedOut);
        bell.ring();
        assert_eq!(bell.wait(heard, Deadline::Never), Ended::Fired(RANG));
        assert_eq!(bell.wait(bell.listen(), Deadline::Now), Ended::TimedOut);
    }
}
