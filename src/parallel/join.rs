//! Two halves, perhaps in parallel.
//!
//! The second half is forked on the worker's [region](crate::scheduler::region) while this thread runs the first. Unless
//! another thread took it, it is run here afterwards; if one did, this thread waits, and meanwhile runs nothing that does
//! not descend from it, so a lock that the caller holds cannot be met again from within.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::panic::resume_unwind;

use crate::scheduler::Worker;
use crate::scheduler::region::{self, Slot, Synced};

/// The second half, in the frame of whoever offers it.
struct Half<'a, B, R> {
    body: &'a B,
    result: UnsafeCell<Option<R>>,
}

/// Ends a fork whose first half unwinds: the second is dropped, or waited for where another thread has it.
struct Unwinding<'a>(&'a Worker, *mut Slot);

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        self.0.abandon(self.1);
    }
}

/// Runs `a` and offers `b` to other threads meanwhile. When both have ended, or `b` has been taken back, returns their results;
/// none of `b` means that it is the caller's. A panic of either goes on in the caller, once both have ended.
pub fn offer<RA, RB: Send, B: Fn(&Worker) -> RB + Sync>(
    worker: &Worker,
    a: impl FnOnce(&Worker) -> RA,
    b: &B,
) -> (RA, Option<RB>) {
    let half = Half { body: b, result: UnsafeCell::new(None) };
    // SAFETY: `half` stays in this frame until the sync below, or the one that `Unwinding` does.
    let position = unsafe { worker.fork(run_stolen::<B, RB>, (&raw const half).cast_mut().cast()) };
    let unwinding = Unwinding(worker, position);
    let first = a(worker);
    std::mem::forget(unwinding);
    let mine = sync(worker, position);
    (first, if mine { None } else { Some(half.result.into_inner().expect("the half has run")) })
}

/// Ends the half forked at `position`. Whether the caller has to run it; a panic on another thread goes on here.
pub fn sync(worker: &Worker, position: *mut Slot) -> bool {
    match worker.sync(position) {
        Synced::Mine => true,
        Synced::Done => false,
        Synced::Panicked => resume_unwind(Box::new(STOLEN_HALF_PANICKED)),
    }
}

/// `join` for two callbacks, which may also forget syncs of their own, and be left by foreign exceptions.
///
/// # Safety
/// `a` may be called with its argument here, `b` with its own on any worker.
pub unsafe fn join_callbacks(
    worker: &Worker,
    a: region::Half,
    a_arg: *mut c_void,
    b: region::Half,
    b_arg: *mut c_void,
) {
    // SAFETY: promised by the caller; synced below, or when `a` unwinds.
    unsafe {
        let position = worker.fork(b, b_arg);
        let unwinding = Unwinding(worker, position);
        let next = worker.region().head();
        a(next, a_arg);
        std::mem::forget(unwinding);
        if worker.region().head() != next {
            worker.abandon(next);
        }
        if sync(worker, position) {
            b(position, b_arg);
            if worker.region().head() != position {
                worker.abandon(position);
            }
        }
    }
}

/// Runs both halves and returns when both have ended. A panic in the first keeps the second from running, unless that has
/// begun. A panic of either half goes on in the caller, once both have ended.
pub fn join<RA, RB: Send>(
    worker: &Worker,
    a: impl FnOnce(&Worker) -> RA,
    b: impl FnOnce(&Worker) -> RB + Send,
) -> (RA, RB) {
    let body = Taken(UnsafeCell::new(Some(b)));
    let (first, second) = offer(worker, a, &|worker: &Worker| body.take()(worker));
    (first, second.unwrap_or_else(|| body.take()(worker)))
}

/// A value that is taken once, by whichever thread runs the half.
struct Taken<T>(UnsafeCell<Option<T>>);

// SAFETY: only the half takes it, and a half is run once, here or there.
unsafe impl<T: Send> Sync for Taken<T> {}

impl<T> Taken<T> {
    fn take(&self) -> T {
        // SAFETY: as above.
        unsafe { (*self.0.get()).take() }.expect("a half is run once")
    }
}

/// What a panic of a half says on the thread that forked it; its own message is in the log.
pub(super) const STOLEN_HALF_PANICKED: &str = "the half of a join that another thread ran has panicked";

unsafe extern "C-unwind" fn run_stolen<B: Fn(&Worker) -> R, R>(position: *mut Slot, half: *mut c_void) {
    // SAFETY: the thief has the half alone until its owner's sync returns.
    unsafe {
        let half = &*half.cast::<Half<'_, B, R>>();
        let worker = Worker::at(position).expect("a half runs on the worker it gets");
        *half.result.get() = Some((half.body)(worker));
    }
}
