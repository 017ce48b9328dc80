//! Tasks with a result, and those that go on with one.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use super::args::{self, callback, place};
use super::boundary::{boundary, call_back};
use super::future::{Cell, Value, get_future, new_handle};
use super::runtime::as_opaque;
use super::task::{Argument, DropFn, Function, Name, hold, spawn_after, weft_spawn_options};
use super::types::{weft_call_fn, weft_drop_fn, weft_future, weft_runtime, weft_status, weft_worker};
use crate::error::{Error, Result, Status, c_string};
use crate::future::{self, Callback, Deferred, Future, OnSettled, Origin, Promise};
use crate::panics;
use crate::scheduler::{Core, Held, Priority, Work, Worker};
use crate::sync::cancel::Token;
use crate::sync::waits::{Kind, Runner};
use crate::sync::{Deadline, Lock};

type CallFn = unsafe extern "C-unwind" fn(*mut weft_worker, *mut c_void, *mut *mut c_void) -> weft_status;
type ThenFn = unsafe extern "C-unwind" fn(*mut weft_worker, *mut c_void, *mut c_void, *mut *mut c_void) -> weft_status;

/// What goes on with a future's value: WEFT_OK and *result, or a failure. To fail with a message: return
/// weft_error_set(...).
pub type weft_then_fn = Option<
    unsafe extern "C-unwind" fn(
        worker: *mut weft_worker,
        value: *mut c_void,
        arg: *mut c_void,
        result: *mut *mut c_void,
    ) -> weft_status,
>;

/// What is called.
#[derive(Clone, Copy)]
enum Callee {
    Call(CallFn),
    /// With the source's value.
    Then(ThenFn),
}

impl Callee {
    fn address(self) -> *const c_void {
        match self {
            Callee::Call(function) => function as *const c_void,
            Callee::Then(function) => function as *const c_void,
        }
    }
}

/// A call with a result.
struct AsyncCall {
    callee: Callee,
    argument: Argument,
    name: Name,
    result_drop: weft_drop_fn,
    promise: Promise<Value>,
}

// SAFETY: whoever spawns a task promises that it may run with its argument on any worker; the same goes for the result
// and its drop.
unsafe impl Send for AsyncCall {}

/// The outcome of a task's body, for its future.
pub(super) fn outcome(
    ended: std::result::Result<Result<()>, String>,
    result: *mut c_void,
    drop: Option<DropFn>,
    ctx: *mut c_void,
    worker: &Worker,
) -> std::result::Result<Value, Error> {
    match ended {
        Ok(Ok(())) => Ok(Value::new(result, drop, ctx)),
        Ok(Err(failure)) => Err(Error::new(failure.status, &failure.message, &worker.origin())),
        Err(panic) => {
            let mut error = Error::new(Status::Panic as i32, &panic, &worker.origin());
            error.backtrace = c_string(&panics::backtrace::take(&panic).unwrap_or_default());
            Err(error)
        }
    }
}

impl AsyncCall {
    /// `value` is the source's, if there is one.
    fn run(self, worker: &Worker, token: Token, value: Option<Result<*mut c_void>>, runner: &Runner) {
        let AsyncCall { callee, argument, name, result_drop, promise } = self;
        let value = match value {
            Some(Err(taken)) => {
                drop(argument);
                let _ = promise.settle(Err(Error::new(taken.status, &taken.message, "a task that was not run")));
                return;
            }
            Some(Ok(value)) => value,
            None => std::ptr::null_mut(),
        };
        let title = Function { named: name.get().is_some(), address: callee.address() };
        let ctx = argument.ctx;
        let arg = argument.take();
        let mut result = std::ptr::null_mut();
        runner.begin(worker.party());
        let settled = worker.within(worker.task_context(name.get(), Some(token)), || {
            let ended = worker.protect(&title, || {
                // SAFETY: as promised by whoever spawned it. The source keeps the value.
                call_back(|| unsafe {
                    match callee {
                        Callee::Call(function) => function(as_opaque(worker), arg, &mut result),
                        Callee::Then(function) => function(as_opaque(worker), value, arg, &mut result),
                    }
                })
            });
            runner.end();
            promise.settle(outcome(ended, result, result_drop, ctx, worker))
        });
        debug_assert!(settled.is_ok(), "nobody else has this promise");
    }
}

/// The error of a call that was cancelled before it began.
fn cancelled() -> Error {
    future::cancelled("the task was cancelled before it began")
}

/// A call that waits in a queue, and that a task which waits for its result may take.
struct Async {
    call: Deferred<AsyncCall>,
    runtime: *const Core,
    droppable: bool,
    /// Whether it is not to begin before others have arrived.
    held: bool,
    /// The only worker to run it, if there is one.
    pinned: *const Worker,
    /// The task's own.
    token: Token,
    /// What it goes on with, until nobody can ask for the result any more.
    source: Lock<Option<Future<Value>>>,
    /// The highest that it is queued with.
    priority: AtomicI32,
    /// Whether it was dropped by who waited for it.
    dropped: AtomicBool,
    runner: Runner,
}

// SAFETY: runtime and worker are only compared with; the call goes to one thread.
unsafe impl Send for Async {}
// SAFETY: as above.
unsafe impl Sync for Async {}

impl Async {
    fn is_cancelled(&self) -> bool {
        self.droppable && self.token.is_triggered()
    }

    fn run(&self, worker: &Worker) {
        if let Some(call) = self.call.take() {
            // The source stays until the call has settled.
            let value =
                self.source.lock().as_ref().map(|source| source.get(Deadline::Now).map(|value| value.pointer()));
            call.run(worker, self.token.clone(), value, &self.runner);
        }
    }

    /// The argument's drop and a failed future, unless somebody runs it. Whether it has been dropped, now or before.
    fn discard(&self) -> bool {
        self.drop_call(|| self.is_cancelled().then(cancelled))
    }

    /// Drops the call, unless somebody has it. Without an error its future is broken. Whether it has been dropped, now
    /// or before.
    fn drop_call(&self, error: impl FnOnce() -> Option<Error>) -> bool {
        let Some(AsyncCall { argument, promise, .. }) = self.call.take() else {
            // Relaxed: for a statistic, and for who asks a source to stop, which is a request.
            return self.dropped.load(Ordering::Relaxed);
        };
        self.dropped.store(true, Ordering::Relaxed);
        drop(argument);
        if let Some(error) = error() {
            let _ = promise.settle(Err(error));
        }
        true
    }
}

impl Origin<Value> for Async {
    fn begin_here(&self) {
        let Some(worker) = Worker::current() else { return };
        if self.held {
            return;
        }
        if std::ptr::eq(worker.core(), self.runtime)
            && self.droppable
            && (self.is_cancelled() || worker.core().discards())
        {
            // What would be dropped when its turn comes; this thread may be the only one whose turn could come.
            self.discard();
        } else if worker.may_run_in_place(self.runtime, self.droppable)
            && (self.pinned.is_null() || std::ptr::eq(self.pinned, worker))
            && self.call.is_there()
        {
            worker.run_in_place(ptr::from_ref(self).addr(), || self.run(worker));
        }
    }

    fn runner(&self) -> Option<&Runner> {
        Some(&self.runner)
    }

    fn hurry(self: Arc<Self>) {
        let Some(worker) = Worker::current() else { return };
        let wanted = worker.context().map_or(Priority::Normal, |context| context.priority);
        if std::ptr::eq(worker.core(), self.runtime)
            && !self.held
            && self.pinned.is_null()
            && self.call.is_there()
            // Relaxed: the exchange only picks the one who queues it once more.
            && self.priority.fetch_max(wanted as i32, Ordering::Relaxed) < wanted as i32
            && let Ok(place) = worker.core().place(wanted, None, false)
        {
            // The first entry that is taken runs it. A runtime that takes no more leaves it as it was.
            let _ = worker.core().spawn_at(Again(self), place);
        }
    }

    fn cancel(self: Arc<Self>, more: &mut Vec<Future<Value>>) {
        // Before the trigger: a worker that finds the token triggered would drop the call, too, and this thread might
        // not see that. The queue finds nothing when its turn comes.
        let dropped = self.droppable && self.drop_call(|| Some(cancelled()));
        self.token.trigger(c"its future was cancelled");
        if dropped {
            more.extend(self.source.lock().iter().filter(|source| source.is_sole()).cloned());
        }
    }

    fn released(&self) {
        self.token.seal();
    }

    fn let_go(&self) {
        let source = self.source.lock().take();
        // Not under the lock.
        drop(source);
    }
}

/// Another entry of a call that is queued already.
struct Again(Arc<Async>);

impl Work for Again {
    fn run(self, worker: &Worker) {
        self.0.run(worker);
    }

    fn droppable(&self) -> bool {
        true
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// It is no task.
    fn discard(self) -> bool {
        false
    }
}

/// The queue's share of it.
struct Called(Arc<Async>);

impl Work for Called {
    fn run(self, worker: &Worker) {
        self.0.run(worker);
    }

    fn droppable(&self) -> bool {
        self.0.droppable
    }

    fn stands_for(&self, what: usize) -> bool {
        Arc::as_ptr(&self.0).addr() == what
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    fn refused(self) {
        if let Some(call) = self.0.call.take() {
            call.argument.take();
        }
    }

    fn discard(self) -> bool {
        self.0.discard()
    }
}

/// What a then waits for.
struct Source {
    call: Arc<Async>,
    held: Arc<Held>,
}

impl OnSettled<Value> for Source {
    fn settled(self, source: &Cell) {
        if let Some(error) = source.error() {
            self.call.drop_call(|| Some(Error::passed_on(error)));
        }
        self.held.arrived();
    }
}

/// Starts a call with a result.
///
/// # Safety
/// The contracts of weft_async and weft_future_then; `source` is there if the callee is a Then.
unsafe fn start(
    runtime: *mut weft_runtime,
    callee: Callee,
    source: Option<&Cell>,
    arg: *mut c_void,
    options: *const weft_spawn_options,
) -> Result<Future<Value>> {
    // SAFETY: options, strings and handles by contract.
    let (options, core) = unsafe { (args::options(options)?, args::runtime(runtime)?) };
    let at = options.place(core)?;
    // SAFETY: a C string and handles by contract.
    let (token, after, name) = unsafe { (options.token()?, options.after(at)?, Name::copy(options.name)) };
    let pending = source.filter(|source| source.state() == future::State::Pending);
    if pending.is_some() && at.is_pinned() {
        return Err(args::invalid("hints: a task that is queued after others is stealable".into()));
    }
    // Owns the argument: nothing fails from here on but with the work given back.
    let argument = Argument { arg, drop: options.arg_drop, ctx: options.drop_ctx };
    let (promise, future) = future::channel();
    let droppable = argument.drop.is_some() || source.is_some();
    let call = Deferred::new(AsyncCall { callee, argument, name, result_drop: options.result_drop, promise });
    let pinned = match Worker::current() {
        Some(worker) if at.is_pinned() && std::ptr::eq(worker.core(), core) => std::ptr::from_ref(worker),
        _ => std::ptr::null(),
    };
    let work = Arc::new(Async {
        call,
        runtime: core,
        droppable,
        held: pending.is_some() || !after.is_empty(),
        pinned,
        token: Token::new([token.as_ref(), None]),
        // SAFETY: the caller has a reference to it.
        source: Lock::new(source.map(|source| unsafe { source.future(true) })),
        priority: AtomicI32::new(options.priority),
        dropped: AtomicBool::new(false),
        runner: Runner::new(&Kind { end: "the result of a weft_async", can_be_stopped: true }),
    });
    let future = future.with_origin(work.clone());
    match (pending, source.and_then(|source| source.error())) {
        (Some(source), _) => {
            let held = hold(core, Called(work.clone()), at, &after, 1, Some(&work.token))?;
            Callback::new(source, Source { call: work, held }).arm(source);
        }
        (None, Some(error)) => _ = work.drop_call(|| Some(Error::passed_on(error))),
        (None, None) => spawn_after(core, Called(work.clone()), at, &after, Some(&work.token))?,
    }
    Ok(future)
}

/// Starts a task with a result: calls fn(worker, arg, &result) once, on a worker of the runtime, and settles *out with
/// the result, or with the failure that fn returned (its message included), or with WEFT_PANIC. Dropped unrun by a
/// shutdown, it fails with WEFT_BROKEN. The task has a cancel token of its own, made from the one it would go by, for
/// weft_future_cancel. NULL options: none. Never blocks; any thread. Failures as for weft_spawn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_async(
    runtime: *mut weft_runtime,
    r#fn: weft_call_fn,
    arg: *mut c_void,
    options: *const weft_spawn_options,
    out: *mut *mut weft_future,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        let callee = Callee::Call(callback(r#fn, "fn")?);
        // SAFETY: the caller's contract; writable by contract.
        unsafe { *out = new_handle(start(runtime, callee, None, arg, options)?) };
        Ok(())
    })
}

/// Goes on with a future's value: when it is ready, calls fn(worker, value, arg, &result) once, as a task of the
/// runtime, and settles *out as weft_async does. If it failed, fn is not called, options->arg_drop is, and *out fails
/// in the same way, at once: with the status and the text of the source, whose error is its weft_error_cause. *out
/// keeps the future, so the value is good for as long as *out lives, and cannot be taken. The task may be dropped
/// unrun, whether or not there is an arg_drop: by a shutdown that discards (*out fails with WEFT_BROKEN), and by
/// weft_future_cancel, at once. A shutdown that drains waits for it. NULL options: none. Never blocks; any thread.
/// Failures as for weft_spawn; WEFT_HINT_NOT_STEALABLE is WEFT_INVALID while the future is pending.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_then(
    future: *mut weft_future,
    runtime: *mut weft_runtime,
    r#fn: weft_then_fn,
    arg: *mut c_void,
    options: *const weft_spawn_options,
    out: *mut *mut weft_future,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        let callee = Callee::Then(callback(r#fn, "fn")?);
        // SAFETY: handles and options by contract; writable by contract.
        unsafe {
            let source = get_future(future, "future")?;
            *out = new_handle(start(runtime, callee, Some(source), arg, options)?);
        }
        Ok(())
    })
}
