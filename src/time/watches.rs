//! What waits for descriptors to become ready: any thread arms and takes back, one thread is told what is ready.
//!
//! One lock guards the map from keys to what waits, and decides: what is in the map has not been told, so who takes it out
//! under the lock has taken it back, and who is told that it is ready runs it. A key is never used again, so what the
//! system says of a watch that has been taken back meanwhile finds nothing. The system call that puts a descriptor into the
//! epoll set is made under the lock, too: what is ready at once is told when the watch is known.
//!
//! The watch that runs is named beside the map. Whoever comes too late to take it back waits until it has returned.

use std::collections::BTreeMap;
use std::ptr;

use crate::error::{Failure, Result, Status};
use crate::platform::fork;
use crate::sync::wait::{Ended, WaitList, WaitNode, Waiter};
use crate::sync::{Deadline, Lock};

/// No watch has this key.
pub const NOBODY: u64 = 0;

/// The outcome of waits for what runs.
const RETURNED: u32 = 0;

/// What waits for descriptors. `W` has all that belongs to a watch.
pub struct Watches<W> {
    /// The process they are of: a forked child must not touch the lock.
    epoch: u32,
    state: Lock<State<W>>,
}

struct State<W> {
    armed: BTreeMap<u64, W>,
    /// The key given last.
    last: u64,
    /// What is running, or NOBODY; and who waits for its return.
    running: u64,
    waiting: WaitList,
    /// The process is ending: nothing is run any more.
    closed: bool,
}

impl<W> Default for Watches<W> {
    fn default() -> Self {
        let state =
            State { armed: BTreeMap::new(), last: NOBODY, running: NOBODY, waiting: WaitList::new(), closed: false };
        Watches { epoch: fork::epoch(), state: Lock::new(state) }
    }
}

impl<W> Watches<W> {
    /// Whether they are of the process that this one was forked from.
    pub fn is_inherited(&self) -> bool {
        self.epoch != fork::epoch()
    }

    /// Arms a watch: `add` has it said to be ready under a key, and `then` has the key before it is run. Both are short, and run
    /// under the lock; a watch that is refused is dropped under none.
    pub fn arm<R>(&self, watch: W, add: impl FnOnce(u64, &W) -> Result<()>, then: impl FnOnce(u64) -> R) -> Result<R> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Failure::new(Status::Shutdown, "the process is ending"));
        }
        let key = state.last + 1;
        add(key, &watch)?;
        state.last = key;
        state.armed.insert(key, watch);
        Ok(then(key))
    }

    /// Something is ready: runs it, unless it has been taken back. One thread alone calls this.
    pub fn ready(&self, key: u64, run: impl FnOnce(W)) {
        let watch = {
            let mut state = self.state.lock();
            if state.closed {
                return;
            }
            let Some(watch) = state.armed.remove(&key) else { return };
            state.running = key;
            watch
        };
        run(watch);
        if self.is_inherited() {
            fork::refuse_to_return();
        }
        let waits = {
            let mut state = self.state.lock();
            state.running = NOBODY;
            state.waiting.claim_all()
        };
        waits.finish(RETURNED);
    }

    /// Takes a watch back; None: it runs, has run or was taken back before.
    pub fn take_back(&self, key: u64) -> Option<W> {
        if self.is_inherited() {
            return None;
        }
        self.state.lock().armed.remove(&key)
    }

    /// The same, and it is dropped: true. If it runs right now, waits until it has returned, where that is allowed: not on
    /// the thread that runs it.
    pub fn off(&self, key: u64, may_wait: bool) -> bool {
        if self.is_inherited() {
            return false;
        }
        let waiter = Waiter::new();
        let mut node = WaitNode::new(&waiter, ptr::null_mut());
        let taken = {
            let mut state = self.state.lock();
            let taken = state.armed.remove(&key);
            if taken.is_none() {
                if state.running != key || !may_wait {
                    return false;
                }
                // SAFETY: this frame stays until the wait was fired.
                unsafe { state.waiting.push(&mut node) };
            }
            taken
        };
        // What is taken back is dropped under no lock.
        let is_taken = taken.map(drop).is_some();
        if !is_taken {
            waiter.wait_until_fired();
        }
        is_taken
    }

    /// Nothing is run any more. Waits until what runs right now has returned, or the deadline has passed.
    pub fn close(&self, deadline: Deadline) {
        if self.is_inherited() {
            return;
        }
        let waiter = Waiter::new();
        let mut node = WaitNode::new(&waiter, ptr::null_mut());
        {
            let mut state = self.state.lock();
            state.closed = true;
            if state.running == NOBODY {
                return;
            }
            // SAFETY: this frame stays until the wait was fired, or until the node is unlinked below.
            unsafe { state.waiting.push(&mut node) };
        }
        if !matches!(waiter.wait(deadline), Ended::Fired(_)) {
            // SAFETY: the node was pushed to this list above.
            unsafe { self.state.lock().waiting.unlink(&mut node) };
        }
    }
}

#[cfg(all(test, weft_loom))]
mod models;
