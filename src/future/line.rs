//! Work that this thread has put off so as not to recurse: callbacks of futures that are settled, and futures that are freed.
//!
//! A callback may settle the next future, whose callback settles the next; and the end of a future may be that of the one it was
//! made from. So whoever comes first on a thread works off the line, and those further in only join it.
//! The thread-locals are plain words without destructors: they may be used at any point of a thread's life.

use std::cell::{Cell, UnsafeCell};
use std::ptr;

/// A place in a line; the beginning of something larger.
#[repr(C)]
pub struct Job {
    next: UnsafeCell<*const Job>,
    run: unsafe fn(*const Job),
}

impl Job {
    /// In no line. `run` is called with its address, once for each time it is put off; it does not unwind, and may free it.
    pub const fn new(run: unsafe fn(*const Job)) -> Self {
        Job { next: UnsafeCell::new(ptr::null()), run }
    }
}

struct Line {
    running: Cell<bool>,
    first: Cell<*const Job>,
    last: Cell<*const Job>,
}

impl Line {
    const fn new() -> Self {
        Line { running: Cell::new(false), first: Cell::new(ptr::null()), last: Cell::new(ptr::null()) }
    }

    /// # Safety
    /// The job is in no line, and stays until it is run.
    unsafe fn push(&self, job: *const Job) {
        // SAFETY: jobs in the line are live, and this thread's.
        unsafe {
            *(*job).next.get() = ptr::null();
            match self.last.replace(job).as_ref() {
                Some(last) => *last.next.get() = job,
                None => self.first.set(job),
            }
        }
    }

    fn work_off(&self) {
        while let Some(job) = ptr::NonNull::new(self.first.get().cast_mut()) {
            // SAFETY: live until it is run, which may be its end.
            unsafe {
                let job = job.as_ptr();
                self.first.set(*(*job).next.get());
                if self.first.get().is_null() {
                    self.last.set(ptr::null());
                }
                ((*job).run)(job);
            }
        }
    }

    fn within(&self, f: impl FnOnce()) {
        let inner = self.running.replace(true);
        f();
        if !inner {
            self.work_off();
            self.running.set(false);
        }
    }
}

#[cfg(not(weft_loom))]
thread_local! {
    static CALLS: Line = const { Line::new() };
    static ENDS: Line = const { Line::new() };
}
#[cfg(weft_loom)]
loom::thread_local! {
    static CALLS: Line = Line::new();
}

/// Runs `f`, and then what it has put off by [`call`], unless this thread is about to do that anyway.
pub fn calling(f: impl FnOnce()) {
    CALLS.with(|line| line.within(f));
}

/// Has the job run soon on this thread: before this returns, or if such a job is running, after it.
///
/// # Safety
/// The job is in no line, and stays until it is run.
pub unsafe fn call(job: *const Job) {
    // SAFETY: promised by the caller.
    calling(|| CALLS.with(|line| unsafe { line.push(job) }));
}

/// The same for the ends of futures. A line of its own: a callback that releases a future finds it gone, as others do.
///
/// # Safety
/// As for [`call`].
#[cfg(not(weft_loom))]
pub unsafe fn end(job: *const Job) {
    // SAFETY: promised by the caller.
    ENDS.with(|line| line.within(|| unsafe { line.push(job) }));
}

/// Models make no long chains.
#[cfg(weft_loom)]
pub unsafe fn end(job: *const Job) {
    unsafe { ((*job).run)(job) }
}
