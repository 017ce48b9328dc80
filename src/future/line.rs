//! Work that this thread has put off so as not to recurse: callbacks of futures that are settled, and futures that are freed.
//!
//! A callback may settle the next future, whose callback settles the next; and the end of a future may be that of the
//! one it was made from. So whoever comes first on a thread works off the line, and those further in only join it. The
//! thread-locals are plain words without destructors: they may be used at any point of a thread's life.
//!
//! A callback may fork. What stands in the line then is the parent's: in the child a line of its own begins, within the
//! callback as after it, and who was working off the parent's goes home.

use std::cell::{Cell, UnsafeCell};
use std::ptr;

use crate::platform::fork;

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
    /// Who works it off: 0 nobody, else 1 + the epoch of the process.
    running: Cell<u32>,
    first: Cell<*const Job>,
    last: Cell<*const Job>,
}

impl Line {
    const fn new() -> Self {
        Line { running: Cell::new(0), first: Cell::new(ptr::null()), last: Cell::new(ptr::null()) }
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
        let epoch = fork::epoch();
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
            if fork::epoch() != epoch {
                self.leave_to_parent();
            }
        }
    }

    fn leave_to_parent(&self) {
        self.first.set(ptr::null());
        self.last.set(ptr::null());
    }

    fn within(&self, f: impl FnOnce()) {
        let here = fork::epoch() + 1;
        let running = self.running.replace(here);
        if running == here {
            return f();
        }
        if running != 0 {
            self.leave_to_parent();
        }
        f();
        self.work_off();
        self.running.set(0);
    }
}

#[cfg(not(weft_loom))]
thread_local! {
    static CALLS: Line = const { Line::new() };
    static ENDS: Line = const { Line::new() };
    /// What is not to be run on this thread, while it is in [`elsewhere`].
    static ELSEWHERE: (Cell<bool>, Line) = const { (Cell::new(false), Line::new()) };
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

/// The same for what may run code of the user's.
///
/// # Safety
/// As for [`call`].
pub unsafe fn call_user(job: *const Job) {
    // SAFETY: promised by the caller.
    unsafe {
        #[cfg(not(weft_loom))]
        if leave(job) {
            return;
        }
        call(job);
    }
}

/// The same for the ends of futures, which drop values. A line of its own: a callback that releases a future finds it gone, as
/// others do.
///
/// # Safety
/// As for [`call`].
#[cfg(not(weft_loom))]
pub unsafe fn end(job: *const Job) {
    // SAFETY: promised by the caller.
    unsafe {
        if !leave(job) {
            ENDS.with(|line| line.within(|| line.push(job)));
        }
    }
}

/// Leaves the job to another thread, if this one is to run none of the user's.
///
/// # Safety
/// As for [`call`].
#[cfg(not(weft_loom))]
unsafe fn leave(job: *const Job) -> bool {
    ELSEWHERE.with(|(on, line)| {
        if on.get() {
            // SAFETY: promised by the caller.
            unsafe { line.push(job) };
        }
        on.get()
    })
}

/// Jobs for another thread. Dropped, they are run.
#[cfg(not(weft_loom))]
pub struct Jobs(Line);

// SAFETY: nobody else has these jobs, which do not mind where they run.
#[cfg(not(weft_loom))]
unsafe impl Send for Jobs {}

#[cfg(not(weft_loom))]
impl Drop for Jobs {
    fn drop(&mut self) {
        calling(|| self.0.work_off());
    }
}

/// Runs `f` on a thread that runs no code of the user's; what is left of that, if anything.
#[cfg(not(weft_loom))]
pub fn elsewhere(f: impl FnOnce()) -> Option<Jobs> {
    ELSEWHERE.with(|(on, line)| {
        on.set(true);
        calling(f);
        on.set(false);
        let left = Line::new();
        left.first.set(line.first.replace(ptr::null()));
        left.last.set(line.last.replace(ptr::null()));
        (!left.first.get().is_null()).then_some(Jobs(left))
    })
}

/// Models make no long chains.
#[cfg(weft_loom)]
pub unsafe fn end(job: *const Job) {
    unsafe { ((*job).run)(job) }
}
