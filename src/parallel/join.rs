//! Two halves, perhaps in parallel.
//!
//! The second half is offered to the other threads while this one runs the first. If nobody took it, it is taken back
//! and run here; if somebody did, this thread waits for it, and for nothing else: it never runs unrelated work
//! meanwhile, so a lock that the caller holds cannot be met again from within. While it waits, its turn is another
//! thread's.

use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::scheduler::{JobHeader, Worker};
use crate::sync::wait::Waiter;

/// The second half, in the frame of the join.
#[repr(C)]
struct Half<B, R> {
    header: JobHeader,
    body: UnsafeCell<Option<B>>,
    result: UnsafeCell<Option<Result<R, String>>>,
    stolen: Waiter,
    /// The name of the task that joins; its thief goes by that name meanwhile.
    task: Option<NonNull<CStr>>,
    /// The frame stays on its thread.
    _unsend: PhantomData<*const ()>,
}

/// Runs both halves and returns when both have ended. A panic in one does not keep the other from running.
pub fn join<RA, RB: Send>(
    worker: &Worker,
    a: impl FnOnce(&Worker) -> RA,
    b: impl FnOnce(&Worker) -> RB + Send,
) -> (Result<RA, String>, Result<RB, String>) {
    let half = Half::new(b, worker.task_name());
    let job = NonNull::from(&half.header);
    // SAFETY: `half` stays in this frame until it is taken back, or until the thief has reported.
    unsafe { worker.offer(job) };
    let first = worker.protect(&"the first half of a join", || a(worker));
    if worker.take_back(job) {
        // SAFETY: taken back, so this thread has it alone.
        unsafe { half.run_body(worker) };
    } else {
        half.stolen.wait_until_fired();
    }
    let second = half.result.into_inner().expect("the second half has run");
    (first, second)
}

impl<B: FnOnce(&Worker) -> R + Send, R: Send> Half<B, R> {
    fn new(body: B, task: Option<&CStr>) -> Self {
        Half {
            header: JobHeader { run: Self::run_stolen },
            body: UnsafeCell::new(Some(body)),
            result: UnsafeCell::new(None),
            stolen: Waiter::new(),
            task: task.map(NonNull::from),
            _unsend: PhantomData,
        }
    }

    /// # Safety
    /// The calling thread has this half alone.
    unsafe fn run_body(&self, worker: &Worker) {
        // SAFETY: promised by the caller.
        unsafe {
            let body = (*self.body.get()).take().expect("a half is run once");
            *self.result.get() = Some(worker.protect(&"the second half of a join", || body(worker)));
        }
    }

    /// # Safety
    /// `job` is the header of a live Half<B, R> that was stolen, once.
    unsafe fn run_stolen(job: NonNull<JobHeader>, worker: &Worker) {
        let half = job.cast::<Self>().as_ptr();
        // SAFETY: the thief has it alone, and the frame (and with it the task, and its name) waits until the wait is
        // finished, the last access here. Nobody else claims or gives up this wait.
        unsafe {
            let task = (*half).task.map(|task| task.as_ref());
            worker.named(task, || (*half).run_body(worker));
            (*half).stolen.claim();
            Waiter::finish(&raw const (*half).stolen, 0);
        }
    }
}
