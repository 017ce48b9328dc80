//! A counting semaphore whose waits end like all others: by what they wait for, a deadline, a signal, or a request to stop.
//!
//! Idle guests of a runtime sleep on one. Its own threads, whose sleep nothing else ends, have the lighter [`super::tokens`].

use super::Lock;
use super::deadline::Deadline;
use super::wait::{Ended, WaitList, WaitNode, Waiter};

/// Permits to be taken.
#[derive(Default)]
pub struct Semaphore {
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    permits: u32,
    waiting: WaitList,
}

/// The outcome of every wait that got a permit.
const TAKEN: u32 = 0;

impl Semaphore {
    /// Adds a permit, which goes to who has waited longest, or else to the next who comes.
    pub fn post(&self) {
        let claimed = {
            let mut state = self.state.lock();
            let claimed = state.waiting.claim_first();
            state.permits += u32::from(claimed.is_none());
            claimed
        };
        if let Some(claimed) = claimed {
            claimed.finish(TAKEN);
        }
    }

    /// Takes a permit, or waits for one until something ends the wait.
    pub fn take(&self, deadline: Deadline) -> Ended {
        self.take_by(|waiter| waiter.wait(deadline))
    }

    /// Takes a permit that is sure to come.
    pub fn take_coming(&self) {
        self.take_by(|waiter| Ended::Fired(waiter.wait_until_fired()));
    }

    fn take_by(&self, wait: impl FnOnce(&Waiter) -> Ended) -> Ended {
        let waiter = Waiter::new();
        let mut node = WaitNode::new(&waiter, std::ptr::null_mut());
        {
            let mut state = self.state.lock();
            if state.permits > 0 {
                state.permits -= 1;
                return Ended::Fired(TAKEN);
            }
            // SAFETY: this frame stays until the wait was fired, or until the node is unlinked below.
            unsafe { state.waiting.push(&mut node) };
        }
        let ended = wait(&waiter);
        if !matches!(ended, Ended::Fired(_)) {
            // SAFETY: the node was pushed to this list above.
            unsafe { self.state.lock().waiting.unlink(&mut node) };
        }
        ended
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use loom::sync::Arc;

    /// One waits, one gives up, two permits come: each permit is taken once, or left.
    #[test]
    fn loom_semaphore_loses_no_permit() {
        model(3, || {
            let semaphore = Arc::new(Semaphore::default());
            let hasty = {
                let semaphore = semaphore.clone();
                loom::thread::spawn(move || semaphore.take(Deadline::At(0)))
            };
            let patient = {
                let semaphore = semaphore.clone();
                loom::thread::spawn(move || semaphore.take_coming())
            };
            semaphore.post();
            semaphore.post();
            patient.join().unwrap();
            let taken = 1 + u32::from(hasty.join().unwrap() == Ended::Fired(TAKEN));
            let state = semaphore.state.lock();
            assert_eq!((state.permits + taken, state.waiting.len()), (2, 0));
        });
    }
}
