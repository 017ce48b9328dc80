//! Whether a caller-owned task is queued: one word in it, which decides between submissions that race.
//!
//! The upper half tells that the word is one of ours, so that memory that was never initialised is noticed. The lower
//! half is 0 while the task is free, else 1 + the process epoch it was queued in: what was queued when the process
//! forked is not queued in the child, which has none of the parent's queues.
//!
//! A claim makes the task the runtime's; the release before its function runs is the runtime's last access.

use crate::sync::atomic::{AtomicU64, Ordering};

const MARK: u64 = (u32::from_le_bytes(*b"Wtsk") as u64) << 32;

/// Why a task cannot be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is queued.
    Busy,
    /// The word is none of ours.
    Unknown,
}

/// The word.
pub struct Claim(AtomicU64);

impl Default for Claim {
    fn default() -> Self {
        Claim(AtomicU64::new(MARK))
    }
}

impl Claim {
    /// Makes the task the caller's, who queues it or releases it. `epoch` is the process'.
    pub fn claim(&self, epoch: u32) -> Result<(), Refusal> {
        let claimed = MARK | (u64::from(epoch) + 1);
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word & !u64::from(u32::MAX) != MARK {
                return Err(Refusal::Unknown);
            }
            if word == claimed {
                return Err(Refusal::Busy);
            }
            // Acquire pairs with the Release in `release`: whoever had the task has read what it needed, and the claimant may
            // write the link. Nothing to release: the queue publishes.
            match self.0.compare_exchange_weak(word, claimed, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
    }

    /// Frees the task for the next submission. The caller has it, and does not touch it again.
    pub fn release(&self) {
        self.0.store(MARK, Ordering::Release);
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::scheduler::node::{Node, Queue};
    use crate::sync::{Lock, model};
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use std::ptr::NonNull;

    struct Task {
        node: Node<()>,
        claim: Claim,
        /// Stands for what the runtime reads before it enters the function and the owner may write when it is free.
        body: UnsafeCell<u32>,
    }

    struct Shared {
        task: Task,
        queue: Lock<Queue<()>>,
    }

    // The claim decides who touches the task; loom watches its cells.
    unsafe impl Send for Shared {}
    unsafe impl Sync for Shared {}

    impl Shared {
        fn submit(&self) -> bool {
            let claimed = self.task.claim.claim(0);
            if claimed.is_ok() {
                self.task.body.with_mut(|body| unsafe { *body += 1 });
                unsafe { self.queue.lock().push(NonNull::from(&self.task.node)) };
            }
            assert_ne!(claimed, Err(Refusal::Unknown));
            claimed.is_ok()
        }

        fn run(&self) -> usize {
            let popped = self.queue.lock().pop();
            if popped.is_some() {
                self.task.body.with(|body| assert!(unsafe { *body } > 0));
                self.task.claim.release();
            }
            popped.is_some().into()
        }
    }

    /// Two threads submit one task while a third runs it: it is queued as often as a submission succeeded, and never twice
    /// at once (its link and body would race).
    #[test]
    fn loom_claim_a_task_is_queued_once_at_a_time() {
        model(3, || {
            let task = Task { node: Node::new(()), claim: Claim::default(), body: UnsafeCell::new(0) };
            let shared = Arc::new(Shared { task, queue: Lock::new(Queue::default()) });
            let submitter = {
                let shared = shared.clone();
                loom::thread::spawn(move || usize::from(shared.submit()))
            };
            let runner = {
                let shared = shared.clone();
                loom::thread::spawn(move || shared.run())
            };
            let mut submitted = usize::from(shared.submit());
            submitted += submitter.join().unwrap();
            let mut ran = runner.join().unwrap();
            assert!(submitted >= 1);
            ran += shared.run();
            assert_eq!((ran, shared.queue.lock().len()), (submitted, 0));
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_claimed_task_is_busy_until_released_or_forked() {
        let claim = Claim::default();
        assert_eq!(claim.claim(0), Ok(()));
        assert_eq!(claim.claim(0), Err(Refusal::Busy));
        assert_eq!(claim.claim(1), Ok(()), "queued in the parent, free in the child");
        assert_eq!(claim.claim(1), Err(Refusal::Busy));
        claim.release();
        assert_eq!(claim.claim(u32::MAX - 1), Ok(()));
    }

    #[test]
    fn memory_that_is_no_task_is_told() {
        for garbage in [0, 1, u64::MAX, 0xA5A5_A5A5_A5A5_A5A5, MARK.swap_bytes()] {
            assert_eq!(Claim(AtomicU64::new(garbage)).claim(0), Err(Refusal::Unknown));
        }
    }
}
