//! Whose threads run a runtime's tasks, and how many.

use super::args;
use super::boundary::{boundary, boundary_value};
use super::runtime::weft_runtime_options;
use super::types::{weft_runtime, weft_status};
use crate::error::Result;
use crate::scheduler::{Kind, Run};
use crate::sync::Deadline;

/// The runtime has threads of its own, as many as its tasks need.
pub const WEFT_KIND_MULTI: i32 = 0;
/// The runtime has no thread. Tasks run on the thread that calls weft_runtime_run, one thread at a time, in an order
/// that depends on nothing but what was submitted. What is submitted meanwhile waits. A task that blocks blocks the
/// runtime: no other task runs on its stack, where it would meet the blocked one's locks. (Forks and loops run in
/// place, and so does a weft_async of the runtime's own that has not begun and is waited for without a timeout, on up
/// to half of the stack.) So what such a task waits for must come from another thread; the log and ceiling_hits tell
/// when tasks wait behind one that is blocked.
pub const WEFT_KIND_SINGLE: i32 = 1;
/// The runtime has `workers` seats and no thread; threads of the program's sit down by weft_runtime_lend. What is
/// submitted meanwhile waits. A task that blocks keeps its seat.
pub const WEFT_KIND_HOSTED: i32 = 2;
/// SINGLE if `workers` comes to 1 or max_threads is 1, else MULTI; weft_runtime_kind tells. Placement is for MULTI
/// then.
pub const WEFT_KIND_AUTO: i32 = 3;

/// weft_runtime_run returns when there is nothing to run.
pub const WEFT_RUN_UNTIL_IDLE: i32 = 0;
/// weft_runtime_run runs one task.
pub const WEFT_RUN_ONE_STEP: i32 = 1;
/// weft_runtime_run runs tasks, and sleeps while there are none, until the runtime is shut down.
pub const WEFT_RUN_UNTIL_SHUTDOWN: i32 = 2;

pub(super) fn kind(options: &weft_runtime_options) -> Result<Kind> {
    match options.kind {
        WEFT_KIND_MULTI => Ok(Kind::Multi),
        WEFT_KIND_SINGLE => Ok(Kind::Single),
        WEFT_KIND_HOSTED => Ok(Kind::Hosted),
        WEFT_KIND_AUTO => Ok(Kind::Auto),
        other => Err(args::invalid(format!("kind: {other} is none"))),
    }
}

/// WEFT_KIND_MULTI, _SINGLE or _HOSTED; -1 on a bad handle. NULL starts the default runtime if need be.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_kind(runtime: *mut weft_runtime) -> i32 {
    boundary_value(-1, || {
        // SAFETY: a handle by contract.
        Ok(match unsafe { args::runtime(runtime)? }.kind() {
            Kind::Single => WEFT_KIND_SINGLE,
            Kind::Hosted => WEFT_KIND_HOSTED,
            Kind::Multi | Kind::Auto => WEFT_KIND_MULTI,
        })
    })
}

/// Makes the calling thread the worker of a SINGLE runtime: `mode` is a WEFT_RUN_ constant. WEFT_OK when that is done,
/// also because the runtime was shut down meanwhile; once it is ending, every mode runs what is left. Blocks while
/// tasks run and with WEFT_RUN_UNTIL_SHUTDOWN between them. Start and stop hooks are called once for each call, and
/// values of weft_worker_local_set last as long as it. Legal in a task of another runtime, whose other threads go on
/// when this one sleeps. WEFT_WOULD_BLOCK: WEFT_RUN_ONE_STEP found no task. WEFT_BUSY: another thread is its worker, or
/// this one is already. WEFT_INTERRUPTED, WEFT_CANCELLED: a signal (weft_thread_interruptible) or a request to stop
/// ended its sleep, as it ends other waits of this thread or task. WEFT_SHUTDOWN: it has ended, or the runtime of the
/// task that calls. WEFT_UNSUPPORTED: it is of another kind. Any thread. weft_run and loops from outside need no call:
/// they make their thread the worker for as long as they last if there is none, as they take a free seat of a HOSTED
/// runtime.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_run(runtime: *mut weft_runtime, mode: i32) -> weft_status {
    boundary(|| {
        let mode = match mode {
            WEFT_RUN_UNTIL_IDLE => Run::UntilIdle,
            WEFT_RUN_ONE_STEP => Run::OneStep,
            WEFT_RUN_UNTIL_SHUTDOWN => Run::UntilShutdown,
            _ => return Err(args::invalid(format!("mode: {mode} is none"))),
        };
        // SAFETY: a handle by contract.
        unsafe { args::runtime(runtime)? }.run_here(mode)
    })
}

/// Lends the calling thread to a HOSTED runtime: it runs tasks, and sleeps while there are none. WEFT_OK when the
/// runtime has been shut down and nothing is left for this thread to run. WEFT_TIMEOUT when the time is up; the task it
/// is in is finished first, and from the beginning of a shutdown the time does not count any more. A timeout of 0 runs
/// what there is and never sleeps (WEFT_WOULD_BLOCK). Work that the thread leaves behind is taken by others, or by the
/// next who comes. Hooks and worker locals as for weft_runtime_run. WEFT_BUSY: all seats are taken, or this thread has
/// one. WEFT_INTERRUPTED, WEFT_CANCELLED: as for weft_runtime_run. WEFT_SHUTDOWN: the runtime has ended, or that of the
/// task that calls. WEFT_UNSUPPORTED: it is of another kind. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_lend(runtime: *mut weft_runtime, timeout_ns: i64) -> weft_status {
    // SAFETY: a handle by contract.
    boundary(|| unsafe { args::runtime(runtime)? }.lend(Deadline::after(timeout_ns)))
}

/// Changes how many threads of a MULTI runtime run at once. More threads start when there is work for them; those that
/// are too many rest after the task they are in, and end when they have slept for keep_alive_ns. Nothing is lost. With
/// a placement all threads get new places, each before its next task. Calls at the same time come one after the other;
/// otherwise it never blocks. WEFT_INVALID: `workers` is below 1, above 4096 or above max_threads. WEFT_SHUTDOWN: it is
/// ending. WEFT_UNSUPPORTED: it is SINGLE or HOSTED. Any thread, any task.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_resize(runtime: *mut weft_runtime, workers: i32) -> weft_status {
    // SAFETY: a handle by contract. What is negative is no number of workers.
    boundary(|| unsafe { args::runtime(runtime)? }.resize(u32::try_from(workers).unwrap_or(0)))
}
