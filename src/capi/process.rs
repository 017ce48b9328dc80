//! Time, threads and processes.

use super::args;
use super::boundary::boundary;
use super::types::weft_status;
use crate::observe;
use crate::platform::{clock::now_ns, fork};
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

/// Whether a signal handler that runs on the calling thread ends the thread's current wait with WEFT_INTERRUPTED (`on` not
/// 0) or lets it wait on (0, as every thread begins). For virtual machines, whose interrupts arrive as signals. Waits that
/// must finish (weft_run, weft_join, weft_for, weft_reduce) are never interrupted. A signal that comes just before the wait
/// begins is not noticed: send it again until the thread is out, as virtual machines do. Set in a task, it holds until the
/// task ends. Returns the setting before, 0 or 1.
#[unsafe(no_mangle)]
pub extern "C" fn weft_thread_interruptible(on: i32) -> i32 {
    park::set_interruptible(on != 0).into()
}
