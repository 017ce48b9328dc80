//! Tasks that are accepted, and wait for something before they are queued.
//!
//! A held task keeps its runtime from ending: a shutdown that drains waits for it, one that discards has it queued at once if
//! it may be dropped, and it is dropped like everything that is queued.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use super::holding::Holding;
use super::runtime::{Core, Place};
use super::task::{Task, Work};
use crate::error::Result;
use crate::sync::Lock;
use crate::sync::cancel::{OnTrigger, Token};

/// A task that waits.
pub struct Held {
    core: Arc<Core>,
    place: Place,
    /// What it still waits for.
    missing: AtomicUsize,
    task: Lock<Option<Task>>,
}

/// Something that a runtime has accepted, and that waits.
pub(super) trait Waiting: Send + Sync {
    /// Need not wait any more, if it may be dropped.
    fn release_droppable(&self);
}

/// What waits in a runtime.
#[derive(Default)]
pub(super) struct AllHeld {
    pub(super) count: Holding,
    all: Lock<Vec<Weak<dyn Waiting>>>,
}

impl AllHeld {
    /// Has those queued that may be dropped.
    pub(super) fn release_droppable(&self) {
        let all = std::mem::take(&mut *self.all.lock());
        all.iter().filter_map(Weak::upgrade).for_each(|held| held.release_droppable());
    }

    pub(super) fn add(&self, held: Weak<dyn Waiting>) {
        let mut all = self.all.lock();
        // Those that have gone are taken out when the list would grow; then there is room for as many as are left.
        if all.len() == all.capacity() {
            all.retain(|held| held.strong_count() > 0);
            let left = all.len();
            all.reserve(left + 1);
        }
        all.push(held);
    }
}

impl Core {
    /// Accepts work that is queued when [`Held::arrived`] has been called `missing` times. Failures as for a spawn.
    pub fn hold<W: Work>(&self, work: W, place: Place, missing: usize) -> Result<Arc<Held>> {
        let task = self.held_task(work)?;
        self.held.count.begin();
        if let Err(failure) = self.may_hold() {
            self.let_go();
            task.refuse();
            return Err(failure);
        }
        let held = Held { core: self.share(), place, missing: AtomicUsize::new(missing), task: Lock::new(Some(task)) };
        let held = Arc::new(held);
        self.held.add(Arc::downgrade(&held) as Weak<dyn Waiting>);
        if self.discards() {
            // It may have looked before the task was there.
            held.release_if(Task::droppable);
        }
        Ok(held)
    }

    /// One that was counted does not wait any more: it is queued, or over.
    pub(super) fn let_go(&self) {
        self.held.count.end();
        if !self.is_open() {
            self.see_to_held();
        }
    }

    /// Something has been queued in a runtime that ends, or does not wait any more: somebody may have waited for that.
    pub(super) fn see_to_held(&self) {
        self.look_again();
        self.finish_held();
    }
}

impl Waiting for Held {
    fn release_droppable(&self) {
        self.release_if(Task::droppable);
    }
}

impl OnTrigger for Held {
    /// It need not wait any more: when its turn comes it is dropped.
    fn triggered(&self) {
        self.release_if(Task::droppable);
    }
}

impl Held {
    /// Does not wait once the token is triggered, if it may be dropped.
    pub fn heed(self: &Arc<Self>, token: &Token) {
        token.tell(Arc::downgrade(self) as Weak<dyn OnTrigger>);
    }

    /// Something that it waits for has happened. Any thread, never blocks.
    pub fn arrived(&self) {
        // AcqRel: what came before any of the arrivals comes before the task.
        if self.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.release_if(|_| true);
        }
    }

    fn release_if(&self, condition: impl FnOnce(&Task) -> bool) {
        let task = {
            let mut place = self.task.lock();
            if !place.as_ref().is_some_and(condition) {
                return;
            }
            place.take()
        };
        let Some(task) = task else { return };
        self.core.queue_held(task, self.place);
        self.core.let_go();
    }
}

#[cfg(test)]
mod tests;
