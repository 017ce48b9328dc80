//! Poll tasks and wakers.

use std::ffi::c_void;
use std::sync::Arc;
use std::task::Waker;

use super::args::{self, callback, place};
use super::boundary::{boundary, boundary_value, call_back};
use super::call::outcome;
use super::future::{Value, new_handle};
use super::handle::{Handle, Noun};
use super::runtime::as_opaque;
use super::status::{WEFT_OK, WEFT_WOULD_BLOCK};
use super::task::{Argument, Function, Name, spawn_after, weft_spawn_options};
use super::types::{weft_drop_fn, weft_future, weft_runtime, weft_status, weft_waker, weft_worker};
use crate::future::{self, Future, Origin, Promise};
use crate::scheduler::{First, Poll, Polled, Worker};
use crate::sync::cancel::Token;
use crate::sync::waits::{Kind, Runner};

type PollFn =
    unsafe extern "C-unwind" fn(*mut weft_worker, *mut c_void, *const weft_waker, *mut *mut c_void) -> weft_status;

/// A poll task: WEFT_WOULD_BLOCK to be called again when `waker` is woken, which is good during the call
/// (weft_waker_clone for longer); WEFT_OK and *result, or a failure, when it is done.
pub type weft_poll_fn = Option<
    unsafe extern "C-unwind" fn(
        worker: *mut weft_worker,
        state: *mut c_void,
        waker: *const weft_waker,
        result: *mut *mut c_void,
    ) -> weft_status,
>;

impl Noun for Waker {
    type Opaque = weft_waker;
    const TAG: u32 = u32::from_le_bytes(*b"Wwkr");
    const NAME: &'static str = "waker";
}

/// A function that is polled.
struct Machine {
    function: PollFn,
    /// None: it is done, and has its state.
    state: Option<Argument>,
    name: Name,
    origin: Arc<Machinery>,
    result_drop: weft_drop_fn,
    promise: Promise<Value>,
}

// SAFETY: whoever spawns it promises that it may run with its state on any worker, and the same of the result.
unsafe impl Send for Machine {}

impl Poll for Machine {
    fn poll(&mut self, worker: &Worker, waker: Waker) -> bool {
        let Some(state) = &self.state else { return true };
        let (state, ctx, function) = (state.arg, state.ctx, self.function);
        let title = Function { named: self.name.get().is_some(), address: function as *const c_void };
        let waker = Handle::on_stack(waker);
        let mut result = std::ptr::null_mut();
        let Machinery { token, runner } = &*self.origin;
        runner.begin(worker.party());
        worker.within(worker.task_context(self.name.get(), Some(token.clone())), || {
            let mut pending = false;
            let ended = worker.protect(&title, || {
                call_back(|| {
                    // SAFETY: as promised by whoever spawned it. The waker stays during the call.
                    let status = unsafe { function(as_opaque(worker), state, waker.as_opaque(), &mut result) };
                    pending = status == WEFT_WOULD_BLOCK;
                    if pending { WEFT_OK } else { status }
                })
            });
            // Before others may poll it, and before those who wait are told.
            runner.end();
            if !pending {
                self.state.take().map(Argument::take);
                let outcome = outcome(ended, result, self.result_drop, ctx, worker);
                let settled = self.promise.settle(outcome);
                debug_assert!(settled.is_ok(), "nobody else has this promise");
            }
            !pending
        })
    }

    fn droppable(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.drop.is_some())
    }

    fn is_cancelled(&self) -> bool {
        self.droppable() && self.origin.token.is_triggered()
    }

    fn refused(mut self) {
        self.state.take().map(Argument::take);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let Some(state) = self.state.take() else { return };
        let cancelled = self.origin.token.is_triggered();
        drop(state);
        if cancelled {
            let _ = self.promise.settle(Err(future::cancelled("the task was cancelled before it was done")));
        }
    }
}

/// What stands behind a poll task's future. It does not keep the task, which whoever can wake it keeps.
struct Machinery {
    token: Token,
    /// Who polls it right now.
    runner: Runner,
}

impl Origin<Value> for Machinery {
    fn runner(&self) -> Option<&Runner> {
        Some(&self.runner)
    }

    fn cancel(self: Arc<Self>, _: &mut Vec<Future<Value>>) {
        self.token.trigger(c"its future was cancelled");
    }

    fn released(&self) {
        self.token.seal();
    }
}

/// Starts a poll task, for state machines: fn(worker, state, waker, &result) is called on a worker of the runtime, and
/// again, on any of them, whenever its waker has been woken since the call before began, as long as it returns
/// WEFT_WOULD_BLOCK. Calls do not overlap, and each sees what the one before did. Anything else that it returns settles
/// *out as for weft_async; then `state` is its own business. It must not return WEFT_WOULD_BLOCK without having a waker
/// kept: a task that waits and can be woken by nobody is dropped, and *out fails with WEFT_BROKEN. Dropping it calls
/// options->arg_drop with `state`. With an arg_drop it may be dropped whenever it waits, by a shutdown that discards,
/// and before its first call by a cancel; *out fails with WEFT_BROKEN or WEFT_CANCELLED. A triggered token
/// (weft_future_cancel, options->cancel) wakes it, once: it sees weft_cancelled. A shutdown that drains waits until it
/// is done. NULL options: none. Never blocks; any thread. Failures as for weft_spawn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_spawn_poll(
    runtime: *mut weft_runtime,
    r#fn: weft_poll_fn,
    state: *mut c_void,
    options: *const weft_spawn_options,
    out: *mut *mut weft_future,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        let function = callback(r#fn, "fn")?;
        // SAFETY: options, strings and handles by contract.
        let (options, core) = unsafe { (args::options(options)?, args::runtime(runtime)?) };
        let at = options.place(core)?;
        // SAFETY: a C string and handles by contract.
        let (token, after, name) = unsafe { (options.token()?, options.after(at)?, Name::copy(options.name)) };
        let token = Token::new([token.as_ref(), None]);
        let state = Some(Argument { arg: state, drop: options.arg_drop, ctx: options.drop_ctx });
        let (promise, future) = future::channel();
        let result_drop = options.result_drop;
        let runner = Runner::new(&Kind { end: "the result of a poll task", can_be_stopped: true });
        let origin = Arc::new(Machinery { token: token.clone(), runner });
        let machine = Machine { function, state, name, origin: origin.clone(), result_drop, promise };
        let task = Polled::accept(core, machine, at)?;
        task.heed(&token);
        spawn_after(core, First(task), at, &after, Some(&token))?;
        // SAFETY: writable by contract.
        unsafe { *out = new_handle(future.with_origin(origin)) };
        Ok(())
    })
}

/// A waker of one's own, of the same task. NULL on a bad handle. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_waker_clone(waker: *const weft_waker) -> *mut weft_waker {
    boundary_value(std::ptr::null_mut(), || {
        // SAFETY: a handle by contract.
        Ok(Handle::create(unsafe { Handle::<Waker>::get(waker, "waker")? }.clone()))
    })
}

/// Has the task called again: soon, or if it is being called, after that. Again before it is called: nothing; nor when
/// it is done, or its runtime is over. The waker stays good, and is the caller's. Never blocks, allocates nothing; any
/// thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_waker_wake(waker: *const weft_waker) {
    boundary_value((), || {
        // SAFETY: a handle by contract.
        unsafe { Handle::<Waker>::get(waker, "waker")? }.wake_by_ref();
        Ok(())
    });
}

/// Gives a clone back. Not for the waker that a poll task is called with. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_waker_release(waker: *mut weft_waker) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Waker>::release(waker) }
}
