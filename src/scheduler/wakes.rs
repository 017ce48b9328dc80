//! The word of a poll task: whether it is queued, and whether it has been woken.
//!
//! ```text
//! IDLE --wake--> SCHEDULED --begin--> RUNNING --rest--> IDLE
//!                    ^                   |  \--wake--> NOTIFIED
//!                    \------ rest -------+----------------/
//!                                        \--finish--> DONE, from either
//! ```
//!
//! A wake during a poll is not lost: the task is queued again after it. Wakes of a task that is queued, or that is done, do
//! nothing, and still hand over what was written before them.

use crate::sync::atomic::{AtomicU32, Ordering};

const IDLE: u32 = 0;
const SCHEDULED: u32 = 1;
const RUNNING: u32 = 2;
const NOTIFIED: u32 = 3;
const DONE: u32 = 4;

/// The word.
pub struct Wakes(AtomicU32);

impl Default for Wakes {
    /// Queued, for the first time.
    fn default() -> Self {
        Wakes(AtomicU32::new(SCHEDULED))
    }
}

impl Wakes {
    /// It has something to do. True: the caller queues it.
    pub fn wake(&self) -> bool {
        let mut state = self.0.load(Ordering::Relaxed);
        loop {
            let next = match state {
                IDLE => SCHEDULED,
                RUNNING => NOTIFIED,
                DONE => return false,
                // Written again all the same, so that the poll to come sees what came before this wake.
                same => same,
            };
            // Release pairs with the Acquire of `begin`, and in `rest`.
            match self.0.compare_exchange_weak(state, next, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return state == IDLE,
                Err(now) => state = now,
            }
        }
    }

    /// It is taken from the queue.
    pub fn begin(&self) {
        // Acquire pairs with the Release of the wakes.
        let before = self.0.swap(RUNNING, Ordering::Acquire);
        debug_assert_eq!(before, SCHEDULED, "a poll task is queued once");
    }

    /// The poll is over, and waits for a wake. True: there has been one, and the caller queues it.
    pub fn rest(&self) -> bool {
        // Release: the next poll, on whatever thread, sees this one. Acquire: a wake that has come is seen by the next
        // poll, which begins with this store.
        if self.0.compare_exchange(RUNNING, IDLE, Ordering::Release, Ordering::Acquire).is_ok() {
            return false;
        }
        self.0.swap(SCHEDULED, Ordering::AcqRel);
        true
    }

    /// It is never polled again.
    pub fn finish(&self) {
        self.0.store(DONE, Ordering::Relaxed);
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use loom::sync::Arc;

    #[derive(Default)]
    struct Task {
        word: Wakes,
        /// What the wakers want it to see.
        told: [AtomicU32; 2],
        queue: AtomicU32,
        /// The task's own, which only polls touch.
        polls: loom::cell::UnsafeCell<u32>,
    }

    impl Task {
        /// One poll; true when it has seen all.
        fn poll(&self) -> bool {
            self.word.begin();
            self.polls.with_mut(|polls| unsafe { *polls += 1 });
            let all = self.told.iter().all(|told| told.load(Ordering::Relaxed) == 1);
            match all {
                true => self.word.finish(),
                false => {
                    if self.word.rest() {
                        self.queue.fetch_add(1, Ordering::Release);
                    }
                }
            }
            all
        }

        fn wake(&self) {
            if self.word.wake() {
                self.queue.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Two wakes against polls on another thread: nothing is lost, it is queued once at a time, and ends when both have
    /// been seen.
    #[test]
    fn loom_wakes_no_wake_is_lost() {
        model(3, || {
            let task = Arc::new(Task::default());
            let wakers = [0, 1].map(|which| {
                let task = task.clone();
                loom::thread::spawn(move || {
                    task.told[which].store(1, Ordering::Relaxed);
                    task.wake();
                })
            });
            let mut done = task.poll();
            let take =
                |task: &Task| task.queue.load(Ordering::Acquire) > 0 && task.queue.fetch_sub(1, Ordering::AcqRel) > 0;
            if !done && take(&task) {
                done = task.poll();
            }
            wakers.into_iter().for_each(|waker| waker.join().unwrap());
            while !done && take(&task) {
                done = task.poll();
            }
            assert!(done, "a wake was lost");
            assert_eq!(task.queue.load(Ordering::Relaxed), 0, "queued twice");
            assert!(!task.word.wake());
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn wakes_count_once() {
        let word = Wakes::default();
        assert!(!word.wake());
        word.begin();
        assert!(!word.rest());
        assert!(word.wake());
        assert!(!word.wake());
        word.begin();
        assert!(!word.wake() && !word.wake());
        assert!(word.rest());
        word.begin();
        word.finish();
        assert!(!word.wake());
    }
}
