//! How many may run at once: permits that are handed on in the order of priority, then of coming.
//!
//! A permit that is given back goes straight to who waits, so there is a free one only while nobody waits, and nobody who comes
//! later overtakes.

use crate::error::{Failure, Result, Status};
use crate::sync::wait::{Ended, WaitList, WaitNode, Waiter};
use crate::sync::{Deadline, Lock};

/// How many priorities there are; the last is the most urgent.
pub const PRIORITIES: usize = 4;

/// The outcomes of waits.
const GRANTED: u32 = 0;
const CLOSED: u32 = 1;

/// Permits to be taken and given back.
pub struct Permits {
    max: u32,
    state: Lock<State>,
}

#[derive(Default)]
struct State {
    taken: u32,
    peak: u32,
    closed: bool,
    waiting: [WaitList; PRIORITIES],
}

/// What is taken, and who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Permits that are taken.
    pub taken: u32,
    /// The most that were at once.
    pub peak: u32,
    /// Who waits for one.
    pub waiting: u32,
}

const NO_MORE: Failure = Failure::new(Status::Closed, "the pool is closed");

impl Permits {
    /// So many.
    pub fn new(max: u32) -> Self {
        Permits { max, state: Lock::default() }
    }

    /// How many there are.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// Takes one, or waits for one.
    pub fn take(&self, priority: usize, deadline: Deadline) -> Result<()> {
        let waiter = Waiter::new();
        let mut node = WaitNode::new(&waiter, std::ptr::null_mut());
        {
            let mut state = self.state.lock();
            if state.closed {
                return Err(NO_MORE);
            }
            if state.taken < self.max {
                state.taken += 1;
                state.peak = state.peak.max(state.taken);
                return Ok(());
            }
            if deadline == Deadline::Now {
                return Err(Failure::new(Status::WouldBlock, "the pool is at its limit"));
            }
            // SAFETY: this frame stays until the wait was fired, or until the node is unlinked below.
            unsafe { state.waiting[priority].push(&mut node) };
        }
        let ended = waiter.wait(deadline);
        if let Ended::Fired(outcome) = ended {
            return if outcome == GRANTED { Ok(()) } else { Err(NO_MORE) };
        }
        // SAFETY: the node was pushed to this list above.
        unsafe { self.state.lock().waiting[priority].unlink(&mut node) };
        Err(ended.failure().unwrap_or(Failure::new(Status::Timeout, "the pool is still at its limit")))
    }

    /// Gives one back: to who waits with the highest priority, for the longest time.
    pub fn give(&self) {
        let claimed = {
            let mut state = self.state.lock();
            let claimed = state.waiting.iter_mut().rev().find_map(WaitList::claim_first);
            state.taken -= u32::from(claimed.is_none());
            claimed
        };
        if let Some(claimed) = claimed {
            claimed.finish(GRANTED);
        }
    }

    /// Nobody gets one any more, nor waits.
    pub fn close(&self) {
        let waits = {
            let mut state = self.state.lock();
            state.closed = true;
            [0, 1, 2, 3].map(|priority| state.waiting[priority].claim_all())
        };
        waits.into_iter().for_each(|waits| waits.finish(CLOSED));
    }

    /// What is taken, and who waits.
    pub fn usage(&self) -> Usage {
        let state = self.state.lock();
        let waiting = state.waiting.iter().map(|list| list.len() as u32).sum();
        Usage { taken: state.taken, peak: state.peak, waiting }
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use loom::sync::Arc;

    /// Three want the only permit, one of them has no patience: never two have it, and nobody is forgotten.
    #[test]
    fn loom_permits_are_had_by_one_at_a_time() {
        model(2, || {
            let shared = Arc::new((Permits::new(1), loom::cell::UnsafeCell::new(0)));
            let patient: Vec<_> = [0, 3]
                .map(|priority| {
                    let shared = shared.clone();
                    loom::thread::spawn(move || {
                        shared.0.take(priority, Deadline::Never).unwrap();
                        shared.1.with_mut(|value| unsafe { *value += 1 });
                        shared.0.give();
                    })
                })
                .into();
            if shared.0.take(1, Deadline::At(0)).is_ok() {
                shared.1.with_mut(|value| unsafe { *value += 1 });
                shared.0.give();
            }
            patient.into_iter().for_each(|one| one.join().unwrap());
            let usage = shared.0.usage();
            assert_eq!((usage.taken, usage.peak, usage.waiting), (0, 1, 0));
        });
    }

    /// A permit comes back while the pool is closed: who waits gets it or is sent home, and it is not lost.
    #[test]
    fn loom_permits_close_sends_home() {
        model(3, || {
            let permits = Arc::new(Permits::new(1));
            permits.take(0, Deadline::Now).unwrap();
            let waiter = {
                let permits = permits.clone();
                loom::thread::spawn(move || permits.take(0, Deadline::Never).is_ok())
            };
            let closer = {
                let permits = permits.clone();
                loom::thread::spawn(move || permits.close())
            };
            permits.give();
            let granted = waiter.join().unwrap();
            closer.join().unwrap();
            assert_eq!(permits.usage().taken, u32::from(granted));
            assert!(permits.take(0, Deadline::Never).is_err_and(|failure| failure.is(Status::Closed)));
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_the_peak_is_kept() {
        let permits = Permits::new(2);
        assert_eq!(permits.max(), 2);
        (0..2).for_each(|_| permits.take(0, Deadline::Now).unwrap());
        assert!(permits.take(3, Deadline::Now).is_err_and(|failure| failure.is(Status::WouldBlock)));
        assert!(permits.take(3, Deadline::At(1)).is_err_and(|failure| failure.is(Status::Timeout)));
        permits.give();
        permits.take(3, Deadline::Never).unwrap();
        (0..2).for_each(|_| permits.give());
        assert_eq!(permits.usage(), Usage { taken: 0, peak: 2, waiting: 0 });
    }
}
