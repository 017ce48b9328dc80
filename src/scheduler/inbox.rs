//! Where tasks from outside the runtime arrive: first in, first out, under a lock.
//!
//! The lock is what makes shutdown exact: once the inbox is closed, no task can slip in behind the last look at it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::task::{Task, TaskQueue};
use crate::sync::Lock;

/// Tasks in a share at most: as many as keep the lock out of the way, and few enough to be shared out.
pub const BATCH: usize = 32;

#[derive(Default)]
pub struct Inbox {
    state: Lock<State>,
    /// A copy of the queue's length, to look at without the lock.
    len: AtomicUsize,
}

#[derive(Default)]
struct State {
    queue: TaskQueue,
    len: usize,
    accepted: u64,
    closed: bool,
}

impl Inbox {
    /// Appends a task, or gives it back when the inbox is closed.
    pub fn push(&self, task: Task) -> Result<(), Task> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(task);
        }
        state.queue.push(task);
        state.accepted += 1;
        self.set_len(&mut state, |len| len + 1);
        Ok(())
    }

    /// Takes the oldest tasks, a fair share for one of `sharers`, in order. Returns how many.
    pub fn take_share(&self, sharers: usize, share: &mut [Option<Task>; BATCH]) -> usize {
        if self.is_empty() {
            return 0;
        }
        let mut state = self.state.lock();
        let count = state.len.div_ceil(sharers).min(BATCH);
        for place in &mut share[..count] {
            *place = state.queue.pop();
        }
        self.set_len(&mut state, |len| len - count);
        count
    }

    /// Whether there is nothing to take. Ordered by the fences of `idle` (rule 1 there).
    pub fn is_empty(&self) -> bool {
        self.len.load(Ordering::Relaxed) == 0
    }

    /// Refuses what comes from now on.
    pub fn close(&self) {
        self.state.lock().closed = true;
    }

    /// Tasks accepted so far.
    pub fn accepted(&self) -> u64 {
        self.state.lock().accepted
    }

    fn set_len(&self, state: &mut State, change: impl Fn(usize) -> usize) {
        state.len = change(state.len);
        self.len.store(state.len, Ordering::Relaxed);
    }
}
