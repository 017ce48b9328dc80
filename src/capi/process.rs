//! Time, threads and processes.

use std::sync::Arc;

use super::args;
use super::boundary::{boundary, boundary_value};
use super::handle::{Handle, Noun};
use super::types::{weft_status, weft_thread};
use crate::observe;
use crate::platform::{clock::now_ns, fork};
use crate::sync::interrupt::Thread;
use crate::sync::park;

/// Nanoseconds on CLOCK_MONOTONIC, the clock of all timeouts.
#[unsafe(no_mangle)]
pub extern "C" fn weft_now() -> i64 {
    now_ns()
}

/// The point in time `timeout_ns` from now. weft_deadline(t) - weft_now() is a timeout again, whatever t was: sums that
/// are too large saturate, WEFT_FOREVER stays WEFT_FOREVER, and 0 or less is now.
#[unsafe(no_mangle)]
pub extern "C" fn weft_deadline(timeout_ns: i64) -> i64 {
    if timeout_ns == i64::MAX { i64::MAX } else { now_ns().saturating_add(timeout_ns.max(0)) }
}

/// In a child of fork(): lets new objects be made. Takes no lock that was held in the parent. What was inherited keeps
/// answering WEFT_FORKED; the log is silent, the default runtime is a new one. In any other process it changes nothing.
/// Always WEFT_OK.
#[unsafe(no_mangle)]
pub extern "C" fn weft_after_fork() -> weft_status {
    boundary(|| {
        if args::may_create().is_err() {
            fork::admit();
            observe::after_fork();
        }
        Ok(())
    })
}

impl Noun for Arc<Thread> {
    type Opaque = weft_thread;
    const TAG: u32 = u32::from_le_bytes(*b"Wthr");
    const NAME: &'static str = "thread";
}

/// The calling thread, for others to interrupt. One reference, good also after the thread's end. NULL: this process was
/// forked, and has not called weft_after_fork. From the first call on, each wait of this thread costs a few nanoseconds
/// more.
#[unsafe(no_mangle)]
pub extern "C" fn weft_thread_self() -> *mut weft_thread {
    boundary_value(std::ptr::null_mut(), || {
        args::may_create()?;
        Ok(Handle::create(Thread::current()))
    })
}

/// Has the thread's current wait return WEFT_INTERRUPTED, or else its next one that would have to wait; once. For
/// virtual machines, timeouts and Ctrl-C. Not ended are waits that must finish: weft_sync, weft_join, weft_run, loops.
/// Interrupts do not add up: two before the next wait are one. A worker's thread runs many tasks, and the next wait may
/// be another one's: to stop a task, use its cancel token. A thread that has ended: nothing. Any thread, never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_thread_interrupt(thread: *mut weft_thread) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        unsafe { Handle::<Arc<Thread>>::get(thread, "thread")? }.interrupt();
        Ok(())
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_thread_retain(thread: *mut weft_thread) -> *mut weft_thread {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Arc<Thread>>::retain(thread) }
}

/// One reference less. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_thread_release(thread: *mut weft_thread) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Arc<Thread>>::release(thread) }
}

/// Whether a signal handler that runs on the calling thread ends the thread's current wait with WEFT_INTERRUPTED (`on`
/// not 0) or lets it wait on (0, as every thread begins). For virtual machines, whose interrupts arrive as signals.
/// Waits that must finish (weft_run, weft_join, weft_for, weft_reduce) are never interrupted. A signal that comes just
/// before the wait begins is not noticed: send it again until the thread is out, as virtual machines do. Set in a task,
/// it holds until the task ends. Returns the setting before, 0 or 1.
#[unsafe(no_mangle)]
pub extern "C" fn weft_thread_interruptible(on: i32) -> i32 {
    park::set_interruptible(on != 0).into()
}
