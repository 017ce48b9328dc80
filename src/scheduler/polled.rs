//! Poll tasks: called again whenever they are woken, until they are done.
//!
//! A poll task is one object that is queued by whoever wakes it, without an allocation; the [word](super::wakes) sees
//! to it that it is queued, or polled, once at a time, so its body belongs to whoever polls it. To its runtime it is
//! like a held task for all of its life: a shutdown that drains waits until it is done; one that discards wakes those
//! that may be dropped, and drops them.
//!
//! Who can wake it keeps it: wakers, a queue it is in. When the last of these goes while it waits nobody can ever
//! continue it, and it is dropped.

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use super::held::Waiting;
use super::runtime::{Core, Place};
use super::task::{Owner, Slot, Work};
use super::wakes::Wakes;
use super::worker::Worker;
use crate::error::Result;
use crate::sync::cancel::{OnTrigger, Token};

/// What is polled.
pub trait Poll: Send + 'static {
    /// Goes on as far as it gets; whether it is done. Does not unwind. Whoever calls the waker has it polled again.
    fn poll(&mut self, worker: &Worker, waker: Waker) -> bool;

    /// Whether it may be dropped while it waits, if its runtime discards what it has.
    fn droppable(&self) -> bool;

    /// Whether it is to be dropped instead of polled for the first time.
    fn is_cancelled(&self) -> bool;

    /// It was not taken.
    fn refused(self);
}

/// A poll task.
#[repr(C)]
pub struct Polled<P: Poll> {
    // First: what is queued is the slot.
    slot: UnsafeCell<Slot>,
    wakes: Wakes,
    core: Arc<Core>,
    place: Place,
    droppable: bool,
    me: Weak<Polled<P>>,
    /// Belongs to whoever polls it.
    body: UnsafeCell<Option<P>>,
}

// SAFETY: the word says who polls it, and that one has the body, which is Send. The slot is the queue's or the one's
// who queues it.
unsafe impl<P: Poll> Sync for Polled<P> {}
// SAFETY: as above.
unsafe impl<P: Poll> Send for Polled<P> {}

/// A poll task on its way to its first poll.
pub struct First<P: Poll>(pub Arc<Polled<P>>);

impl<P: Poll> Polled<P> {
    /// Accepts a poll task, for [`First`] to be queued. Failures as for a spawn.
    pub fn accept(core: &Core, body: P, place: Place) -> Result<Arc<Self>> {
        core.held.count.begin();
        if let Err(failure) = core.may_hold() {
            core.let_go();
            body.refused();
            return Err(failure);
        }
        let polled = Arc::new_cyclic(|me| Polled {
            slot: UnsafeCell::new(Slot::new::<Self>()),
            wakes: Wakes::default(),
            core: core.share(),
            place,
            droppable: body.droppable(),
            me: me.clone(),
            body: UnsafeCell::new(Some(body)),
        });
        core.held.add(Arc::downgrade(&polled) as Weak<dyn Waiting>);
        Ok(polled)
    }

    /// Has it polled when the token is triggered.
    pub fn heed(&self, token: &Token) {
        token.tell(self.me.clone() as Weak<dyn OnTrigger>);
    }

    fn queue(self: Arc<Self>, fresh: bool) {
        let slot = NonNull::from(&self.slot).cast::<Slot>();
        // SAFETY: the slot is part of a Polled, which the reference keeps that goes with it. In a forked child it is
        // the parent's, and stays where it was.
        if let Ok(task) = unsafe { Slot::claim::<Self>(slot) } {
            let this = ManuallyDrop::new(self);
            // The reference may be gone as soon as it is queued.
            let (core, place) = (this.core.clone(), this.place);
            core.queue_again(task, place, fresh);
            if !core.is_open() {
                core.see_to_held();
            }
        }
    }

    /// Whether what waits is to be dropped.
    fn is_to_go(&self) -> bool {
        self.droppable && self.core.discards()
    }

    fn poll(self: Arc<Self>, worker: &Worker) {
        self.wakes.begin();
        // SAFETY: the word has been begun, so the body is ours until it rests.
        let body = unsafe { &mut *self.body.get() };
        let done = self.is_to_go() || body.as_mut().is_none_or(|body| body.poll(worker, self.clone().into()));
        if done || self.is_to_go() {
            self.end(drop);
        } else if self.wakes.rest() {
            self.queue(false);
        }
    }

    /// The last there is of it: `f` gets the body, which is the caller's.
    fn end(&self, f: impl FnOnce(P)) {
        self.wakes.finish();
        // SAFETY: the body is the caller's, and nobody's any more from here on.
        let body = unsafe { (*self.body.get()).take() };
        body.map(f);
        // After that: the runtime may end when it is not counted any more.
        self.core.let_go();
    }
}

impl<P: Poll> Wake for Polled<P> {
    fn wake(self: Arc<Self>) {
        if self.wakes.wake() {
            self.queue(true);
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.wakes.wake() {
            self.clone().queue(true);
        }
    }
}

impl<P: Poll> OnTrigger for Polled<P> {
    fn triggered(&self) {
        if let Some(me) = self.me.upgrade() {
            me.wake();
        }
    }
}

impl<P: Poll> Waiting for Polled<P> {
    fn release_droppable(&self) {
        if self.droppable {
            self.triggered();
        }
    }
}

impl<P: Poll> Owner for Polled<P> {
    unsafe fn run(slot: NonNull<Slot>, worker: &Worker) {
        // SAFETY: the slot comes first; the reference that went with it is taken back. The next wake claims it again.
        let this = unsafe {
            Slot::release(slot);
            Arc::from_raw(slot.cast::<Self>().as_ptr())
        };
        this.poll(worker);
    }

    unsafe fn inherit(_: NonNull<Slot>) {}

    unsafe fn disinherit(_: NonNull<Slot>) {}
}

impl<P: Poll> Drop for Polled<P> {
    fn drop(&mut self) {
        if self.body.get_mut().is_some() {
            // Nobody can wake it any more.
            self.end(drop);
        }
    }
}

impl<P: Poll> Work for First<P> {
    fn run(self, worker: &Worker) {
        self.0.poll(worker);
    }

    fn droppable(&self) -> bool {
        self.0.droppable
    }

    fn is_cancelled(&self) -> bool {
        // SAFETY: queued, so the body is ours.
        unsafe { &*self.0.body.get() }.as_ref().is_some_and(Poll::is_cancelled)
    }

    fn refused(self) {
        self.0.end(Poll::refused);
    }

    fn discard(self) -> bool {
        self.0.end(drop);
        true
    }
}
