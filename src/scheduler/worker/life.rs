//! How a thread comes to its seat and goes.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::runtime::Core;
use super::super::stats::Doing;
use super::{Exit, Standing, Worker, after_park, before_park, sources};
use crate::panics;
use crate::platform::{local, thread::stack_pointer};
use crate::sync::park;

impl Worker {
    /// The life of a thread of the runtime's own on this seat, which arrives active and searching, or as the one before it
    /// that failed.
    pub(in super::super) fn live(self: Box<Self>, core: Arc<Core>) {
        let mut next = Some(self);
        while let Some(worker) = next {
            next = worker.live_once(&core);
        }
    }

    /// Returns the worker if this thread is its own successor.
    fn live_once(self: Box<Self>, core: &Arc<Core>) -> Option<Box<Self>> {
        if !self.inherits.replace(false) {
            core.count_started(self.index);
            self.standing.set(Standing::Searching);
        }
        core.placement.go_home();
        core.settle(&self.stand, &self.seat().bound);
        self.arrive(core.options.stack_size / 4);
        let exit = self.work_to_the_end();
        if matches!(exit, Exit::Failed) {
            self.inherits.set(true);
            return self.hand_over(core);
        }
        // The thread has given its turn up, so there is none to pass on any more.
        park::set_hook(None);
        self.leave();
        self.seat().bound.store(-1, Ordering::Relaxed);
        panics::backtrace::forget();
        local::set(0);
        core.seats.vacate(self);
        match exit {
            Exit::Dismissed => {
                if core.idle.dismissed() {
                    core.end();
                }
            }
            Exit::Surplus => {
                core.count_retired();
                core.idle.leave();
                core.look_again();
            }
            Exit::Failed => unreachable!("handed over"),
        }
        None
    }

    /// The thread is this worker from here on, active; searching when this returns. Of its stack it may use so much for tasks that it waits
    /// for.
    pub(super) fn arrive(&self, stack_share: usize) {
        self.stack.set(stack_pointer());
        self.stack_share.set(stack_share);
        self.region().worker.store(ptr::from_ref(self).expose_provenance(), Ordering::Relaxed);
        // The last thread's.
        self.region().party.store(ptr::null_mut(), Ordering::Relaxed);
        local::set(self.region.expose_provenance());
        self.turn_to(Doing::Idle);
        park::set_hook(Some(park::Hook { before: before_park, after: after_park, sources }));
        if let Some(on_start) = &self.core().options.on_start {
            // The start hook counts as a task: it may block, and then nobody may think that this thread searches.
            self.leave_search();
            let _ = self.protect(&"a worker's start hook", || on_start(self));
        }
        self.begin_search();
    }

    /// The last that the thread does as this worker.
    pub(super) fn leave(&self) {
        self.leaving.set(true);
        if let Some(on_stop) = &self.core().options.on_stop {
            let _ = self.protect(&"a worker's stop hook", || on_stop(self));
        }
        self.locals.end(self);
        self.leaving.set(false);
        self.turn_to(Doing::Nothing);
    }
}
