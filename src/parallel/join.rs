//! Two halves, perhaps in parallel.
//!
//! The second half is forked on the worker's [region](crate::scheduler::region) while this thread runs the first. Unless
//! another thread took it, it is run here afterwards; if one did, this thread waits, and meanwhile runs nothing that does
//! not descend from it, so a lock that the caller holds cannot be met again from within.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::panic::resume_unwind;

use crate::scheduler::Worker;
use crate::scheduler::region::{Slot, Synced};

/// The second half, in the frame of the join.
struct Half<B, R> {
    body: UnsafeCell<Option<B>>,
    result: UnsafeCell<Option<R>>,
}

/// Ends a fork whose first half unwinds: the second is dropped, or waited for where another thread has it.
struct Unwinding<'a>(&'a Worker, *mut Slot);

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        self.0.sync(self.1);
    }
}

/// Runs both halves and returns when both have ended. A panic in the first keeps the second from running, unless that has
/// begun. A panic of either half goes on in the caller, once both have ended.
pub fn join<RA, RB: Send>(
    worker: &Worker,
    a: impl FnOnce(&Worker) -> RA,
    b: impl FnOnce(&Worker) -> RB + Send,
) -> (RA, RB) {
    let half = Half { body: UnsafeCell::new(Some(b)), result: UnsafeCell::new(None) };
    // SAFETY: `half` stays in this frame until the sync below, or the one that `Unwinding` does.
    let position = unsafe { worker.fork(entry(&half), (&raw const half).cast_mut().cast()) };
    let unwinding = Unwinding(worker, position);
    let first = a(worker);
    std::mem::forget(unwinding);
    let synced = worker.sync(position);
    let Half { body, result } = half;
    let second = match synced {
        Synced::Mine => body.into_inner().expect("a half is run once")(worker),
        Synced::Done => result.into_inner().expect("the half has run"),
        Synced::Panicked => resume_unwind(Box::new(STOLEN_HALF_PANICKED)),
    };
    (first, second)
}

/// What a panic of a half says on the thread that forked it; its own message is in the log.
pub const STOLEN_HALF_PANICKED: &str = "the half of a join that another thread ran has panicked";

fn entry<B: FnOnce(&Worker) -> R + Send, R: Send>(
    _: &Half<B, R>,
) -> unsafe extern "C-unwind" fn(*mut Slot, *mut c_void) {
    unsafe extern "C-unwind" fn run<B: FnOnce(&Worker) -> R, R>(position: *mut Slot, half: *mut c_void) {
        // SAFETY: the thief has the half alone until its owner's sync returns; the position is this thread's.
        unsafe {
            let half = &*half.cast::<Half<B, R>>();
            let body = (*half.body.get()).take().expect("a half is run once");
            let worker = Worker::at(position).expect("a half runs on the worker it gets");
            *half.result.get() = Some(body(worker));
        }
    }
    run::<B, R>
}
