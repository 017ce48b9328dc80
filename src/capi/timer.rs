//! Timers.

use std::ffi::c_void;

use super::args::{self, callback, invalid, place};
use super::boundary::boundary;
use super::handle::{Handle, Noun};
use super::runtime::as_opaque;
use super::task::{DropFn, Function, TaskFn};
use super::types::{weft_cancel_token, weft_drop_fn, weft_runtime, weft_status, weft_task_fn, weft_timer};
use crate::error::{Failure, Status};
use crate::panics;
use crate::platform::clock::now_ns;
use crate::scheduler::{Job, Timed, Worker, frame};
use crate::sync::Deadline;
use crate::sync::cancel::Token;
use crate::sync::wait::Waiter;
use crate::time::driver;

/// A callback that runs when its time comes.
pub struct Call {
    function: TaskFn,
    arg: *mut c_void,
    drop: Option<DropFn>,
    ctx: *mut c_void,
}

// SAFETY: whoever makes a timer promises that callback and drop may run with their arguments on any worker.
unsafe impl Send for Call {}
// SAFETY: as above; the callback does not run twice at once.
unsafe impl Sync for Call {}

impl Job for Call {
    fn run(&self, worker: &Worker, token: Option<&Token>) {
        let title = Function { named: false, address: self.function as *const c_void };
        worker.within(worker.task_context(None, token.cloned()), || {
            // SAFETY: as promised by whoever made the timer. A panic has been logged; nobody else is interested.
            let _ = worker.protect(&title, || unsafe { (self.function)(as_opaque(worker), self.arg) });
        });
    }

    fn over(&self) {
        if let Some(drop) = self.drop {
            // SAFETY: given for this call, which happens once, after all others.
            panics::contain("the drop callback of a timer", || unsafe { drop(self.ctx, self.arg) });
        }
    }
}

impl Noun for Timed<Call> {
    type Opaque = weft_timer;
    const TAG: u32 = u32::from_le_bytes(*b"Wtim");
    const NAME: &'static str = "timer";
}

/// Has fn(worker, arg) run on a worker of the runtime when `delay_ns` have passed, as a task that is queued then, and
/// from then on every `period_ns`. Never before its time; queued a tenth of a millisecond after it, if the system lets
/// the timers' thread run. delay_ns 0 or less: as soon as possible; WEFT_FOREVER: never. period_ns 0: once; negative:
/// WEFT_INVALID; WEFT_FOREVER: a second time never comes. Periods count from the first point in time and do not drift.
/// A timer's task never runs beside itself, nor piles up: while one waits to run, further expiries are left out; while
/// it runs, it runs once more afterwards, however many there were; and of periods that have passed before the timers'
/// thread got to them, one counts.
///
/// The task carries the cancel token of whoever made the timer; triggered, the token stops the timer. drop(drop_ctx,
/// arg) (NULL: nothing) is called once when fn can never run again, after its last run if there is one: on the worker
/// after it, on the thread that stops the timer or shuts the runtime down, or, when the token has stopped it, on a
/// worker. A shutdown of either kind stops the runtime's timers and waits for none; what has expired by then is a
/// queued task, which runs or, by a discarding one, is dropped.
///
/// The timer does not need its handle: after the last release it goes on, a periodic one until the shutdown. The first
/// timer of a process starts the one thread that serves all of them, which runs none of their callbacks and sleeps until
/// something is due. On failure nothing is called: WEFT_SHUTDOWN: the runtime is ending. WEFT_OS: that thread cannot be
/// started. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_timer_after(
    runtime: *mut weft_runtime,
    delay_ns: i64,
    period_ns: i64,
    r#fn: weft_task_fn,
    arg: *mut c_void,
    drop: weft_drop_fn,
    drop_ctx: *mut c_void,
    out: *mut *mut weft_timer,
) -> weft_status {
    boundary(|| {
        let function = callback(r#fn, "fn")?;
        let out = place(out, "out")?;
        if period_ns < 0 {
            return Err(invalid(format!("period_ns: {period_ns} is negative")));
        }
        // SAFETY: a handle by contract.
        let core = unsafe { args::runtime(runtime)? };
        let first = now_ns().saturating_add(delay_ns.max(0));
        let timer = core.timer(first, period_ns, frame::token(), Call { function, arg, drop, ctx: drop_ctx })?;
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(timer) };
        Ok(())
    })
}

/// Sees to it that the timer's task is not run any more. WEFT_OK: it will not run (again), also if it waits in a queue
/// already, and the drop has been called, here or before. WEFT_BUSY: it, or its drop, runs right now, perhaps around
/// this call; it will not run again, and the drop follows it. Any number of times, any thread. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_timer_stop(timer: *mut weft_timer) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        match unsafe { Handle::<Timed<Call>>::get(timer, "timer")? }.stop() {
            true => Ok(()),
            false => Err(Failure::new(Status::Busy, "the timer's task or its drop is running")),
        }
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_timer_retain(timer: *mut weft_timer) -> *mut weft_timer {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Timed<Call>>::retain(timer) }
}

/// One reference less. The last one stops nothing: the timer goes on, and can only be stopped by its token and by the
/// shutdown of its runtime. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_timer_release(timer: *mut weft_timer) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Timed<Call>>::release(timer) }
}

/// Waits until `ns` have passed: WEFT_OK, never before. 0 or less: at once. WEFT_FOREVER: until something else ends the
/// wait. WEFT_CANCELLED, WEFT_SHUTDOWN, WEFT_INTERRUPTED: that came first. In a task the worker's turn passes to
/// another thread meanwhile. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn weft_sleep(ns: i64) -> weft_status {
    boundary(|| match Deadline::after(ns) {
        Deadline::Now => Ok(()),
        deadline => Waiter::new().wait(deadline).failure().map_or(Ok(()), Err),
    })
}

/// Triggers the token when `ns` have passed, for the reason "deadline", however busy all workers are. 0 or less: now.
/// WEFT_FOREVER: nothing. Of several deadlines the earliest counts: a later one changes nothing, and none is taken
/// back. It ends with the token: what is not there any more is not triggered. WEFT_OS: the timers' thread (see
/// weft_timer_after) cannot be started. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_cancel_token_after(token: *mut weft_cancel_token, ns: i64) -> weft_status {
    // SAFETY: a handle by contract.
    boundary(|| driver::trigger_after(unsafe { Handle::<Token>::get(token, "token")? }, ns))
}
