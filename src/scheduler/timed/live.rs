//! The timer itself.

use std::cell::UnsafeCell;
use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};

use super::word::{Outcome, Word};
use crate::error::Result;
use crate::scheduler::runtime::{Core, ENDING, Place};
use crate::scheduler::task::{Owner, Slot, Task};
use crate::scheduler::worker::Worker;
use crate::sync::cancel::{OnTrigger, Token};
use crate::time::driver::Live;
use crate::time::{self, Action, Entry};

/// What a timer's task does.
pub trait Job: Send + Sync + 'static {
    /// Its time has come. Not called twice at once. Does not unwind: whatever of the user's it calls, it calls within
    /// [`Worker::protect`].
    fn run(&self, worker: &Worker, token: Option<&Token>);

    /// It will never run again: once, on whatever thread has brought that about. Does not unwind.
    fn over(&self);
}

/// A timer, until it is over.
struct Body<J> {
    slot: UnsafeCell<Slot>,
    core: Arc<Core>,
    timers: &'static Live,
    word: Word,
    token: Option<Token>,
    job: J,
}

// SAFETY: the slot belongs to whoever the word lets queue or begin the task; the rest is shared as its types allow.
unsafe impl<J: Job> Sync for Body<J> {}
// SAFETY: as above.
unsafe impl<J: Job> Send for Body<J> {}

type TimerEntry<J> = Entry<Body<J>>;

/// A handle to a timer. Dropped, it leaves the timer armed.
pub struct Timed<J: Job>(Arc<TimerEntry<J>>);

impl Core {
    /// Has the job run on a worker at `first_ns`, or as soon as possible after it, and then every `period_ns` (0: once), for
    /// what goes by `token`. On failure nothing of the job has been called.
    pub fn timer<J: Job>(&self, first_ns: i64, period_ns: i64, token: Option<Token>, job: J) -> Result<Timed<J>> {
        let timer = self.untold_timer(first_ns, period_ns, token, job)?;
        timer.heed();
        Ok(timer)
    }

    /// The same, and it does not hear of its token before [`Timed::heed`].
    pub fn untold_timer<J: Job>(
        &self,
        first_ns: i64,
        period_ns: i64,
        token: Option<Token>,
        job: J,
    ) -> Result<Timed<J>> {
        let timers = time::prepare()?;
        let slot = UnsafeCell::new(Slot::new::<Body<J>>());
        let entry = Entry::new(Body { slot, core: self.share(), timers, word: Word::default(), token, job });
        // SAFETY: the group is in the runtime, which the entry holds.
        if !unsafe { timers.arm_in(Some(&self.timers), &entry, first_ns, period_ns) } {
            return Err(ENDING);
        }
        Ok(Timed(entry))
    }
}

impl<J: Job> Timed<J> {
    /// Has its token stop it.
    pub fn heed(&self) {
        if let Some(token) = &self.0.action.token {
            token.tell(Arc::downgrade(&self.0) as Weak<dyn OnTrigger>);
        }
    }

    /// Sees to it that the job does not run any more, and is over. False: it runs now or ends, on another thread or around this
    /// call; it will not run again after that.
    pub fn stop(&self) -> bool {
        !self.halt().busy
    }

    /// The same; true: the job is over by this call, not by its last run or an earlier end.
    pub fn end(&self) -> bool {
        self.halt().over
    }

    fn halt(&self) -> Outcome {
        let body = &self.0.action;
        body.timers.stop(&self.0);
        let outcome = body.word.stop();
        body.follow(outcome);
        outcome
    }

    /// Its time has come, for the last time, before the clock says so; nothing if it is not armed any more. Never blocks.
    pub fn expire(&self) {
        let entry = &self.0;
        let mut queued = false;
        entry.action.timers.stop_and(entry, || queued = Body::due(entry, true));
        if queued {
            Body::expired(entry.clone());
        }
    }

    /// What it does.
    pub fn job(&self) -> &J {
        &self.0.action.job
    }
}

impl<J: Job> Clone for Timed<J> {
    fn clone(&self) -> Self {
        Timed(self.0.clone())
    }
}

impl<J: Job> Body<J> {
    /// Calls `over`, if that is the caller's.
    fn follow(&self, outcome: Outcome) {
        if outcome.over {
            self.job.over();
            self.word.gone();
        }
    }

    /// The entry that a slot is in.
    fn around(slot: NonNull<Slot>) -> *const TimerEntry<J> {
        let offset = offset_of!(TimerEntry<J>, action) + offset_of!(Body<J>, slot);
        // SAFETY: the slot is this far inside an entry; its pointer was made from the entry's.
        unsafe { slot.as_ptr().cast::<u8>().sub(offset).cast() }
    }

    /// Makes the entry's task, with a reference to the entry. The word lets the caller queue it.
    fn task(entry: &Arc<TimerEntry<J>>) -> Option<Task> {
        let pointer = Arc::into_raw(entry.clone());
        // SAFETY: the entry stays through the reference. The slot's pointer comes from the entry's.
        unsafe {
            let slot = NonNull::new_unchecked(UnsafeCell::raw_get(&raw const (*pointer).action.slot));
            let task = Slot::claim::<Body<J>>(slot);
            debug_assert!(task.is_ok(), "the word says that it is free");
            task.ok()
        }
    }

    /// The reference that its task stands for. The slot is free again.
    ///
    /// # Safety
    /// The slot was queued by `task`, and is the caller's.
    unsafe fn opened(slot: NonNull<Slot>) -> Arc<TimerEntry<J>> {
        // SAFETY: promised by the caller; the entry outlives the slot's release.
        unsafe {
            let entry = Arc::from_raw(Self::around(slot));
            Slot::release(slot);
            entry
        }
    }
}

impl<J: Job> Owner for Body<J> {
    unsafe fn run(slot: NonNull<Slot>, worker: &Worker) {
        // SAFETY: queued by `task`, by the caller's contract.
        let entry = unsafe { Self::opened(slot) };
        let body = &entry.action;
        if body.token.as_ref().is_some_and(Token::is_triggered) {
            // Its trigger may still be on the way.
            body.word.cancel(false);
        }
        let mut outcome = body.word.begin();
        if outcome.begin {
            body.job.run(worker, body.token.as_ref());
            if worker.is_inherited() {
                // A child that was forked inside the job does not go on from here.
                return std::mem::forget(entry);
            }
            outcome = body.word.end();
        }
        if outcome.queue
            && let Some(task) = Self::task(&entry)
        {
            body.core.queue_held(task, Place::default());
        }
        body.follow(outcome);
    }

    unsafe fn inherit(_: NonNull<Slot>) {}

    unsafe fn disinherit(_: NonNull<Slot>) {}

    unsafe fn droppable(_: NonNull<Slot>) -> bool {
        true
    }

    unsafe fn discard(slot: NonNull<Slot>) {
        // SAFETY: queued by `task`, by the caller's contract.
        let entry = unsafe { Self::opened(slot) };
        entry.action.follow(entry.action.word.discard());
    }
}

impl<J: Job> Action for Body<J> {
    fn due(entry: &Arc<Entry<Self>>, last: bool) -> bool {
        let outcome = entry.action.word.expire(last);
        if outcome.queue
            && let Some(task) = Self::task(entry)
        {
            entry.action.core.accept(task, Place::default());
        }
        outcome.queue
    }

    fn expired(entry: Arc<Entry<Self>>) {
        entry.action.core.notify();
    }

    fn closed(entry: Arc<Entry<Self>>) {
        entry.action.follow(entry.action.word.disarm());
    }
}

impl<J: Job> OnTrigger for TimerEntry<J> {
    fn triggered(&self) {
        // SAFETY: an entry with a token that knows it is in an Arc, and `self` is alive.
        let entry = unsafe {
            Arc::increment_strong_count(self);
            Arc::from_raw(self)
        };
        let mut queued = false;
        let disarmed = self.action.timers.stop_and(&entry, || {
            if self.action.word.cancel(true).queue
                && let Some(task) = Body::task(&entry)
            {
                // Under the lock: the runtime has not closed its timers yet.
                self.action.core.accept(task, Place::default());
                queued = true;
            }
        });
        if queued {
            self.action.core.notify();
        }
        if !disarmed {
            self.action.word.cancel(false);
        }
    }
}
