//! Tasks.

use std::ffi::{CString, c_char, c_void};
use std::fmt;
use std::mem::ManuallyDrop;

use super::args::{self, callback, place};
use super::boundary::{boundary, call_back};
use super::future::{Value, new_handle};
use super::runtime::as_opaque;
use super::types::{weft_call_fn, weft_drop_fn, weft_future, weft_runtime, weft_status, weft_task_fn, weft_worker};
use crate::error::{Error, Failure, Status};
use crate::future::{self, Promise};
use crate::panics;
use crate::scheduler::{Work, Worker};

/// What a task is started with. Fill in with weft_spawn_options_init, then change what matters.
#[repr(C)]
pub struct weft_spawn_options {
    /// sizeof(weft_spawn_options).
    pub size: usize,
    /// For messages and logs; NULL: none. Copied.
    pub name: *const c_char,
    /// arg_drop(drop_ctx, arg) is called instead of the task when the task is dropped unrun; NULL: the task is never
    /// dropped unrun.
    pub arg_drop: weft_drop_fn,
    /// For weft_async: result_drop(drop_ctx, result) is called when the future goes and nobody took the result.
    pub result_drop: weft_drop_fn,
    /// Handed to both.
    pub drop_ctx: *mut c_void,
}

impl args::SizePrefixed for weft_spawn_options {
    fn defaults() -> Self {
        weft_spawn_options {
            size: size_of::<Self>(),
            name: std::ptr::null(),
            arg_drop: None,
            result_drop: None,
            drop_ctx: std::ptr::null_mut(),
        }
    }
}

/// Fills in the defaults. `size` is sizeof *options as the caller knows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_spawn_options_init(options: *mut weft_spawn_options, size: usize) -> weft_status {
    // SAFETY: writable for `size` bytes by contract.
    boundary(|| unsafe { args::init(options, size) })
}

type TaskFn = unsafe extern "C-unwind" fn(*mut weft_worker, *mut c_void);
type CallFn = unsafe extern "C-unwind" fn(*mut weft_worker, *mut c_void, *mut *mut c_void) -> weft_status;
type DropFn = unsafe extern "C-unwind" fn(*mut c_void, *mut c_void);

/// A callback's argument, and what to do with it if the callback is never called.
struct Argument {
    arg: *mut c_void,
    drop: Option<DropFn>,
    ctx: *mut c_void,
}

impl Argument {
    /// Takes the argument for the call.
    fn take(self) -> *mut c_void {
        ManuallyDrop::new(self).arg
    }
}

impl Drop for Argument {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: given for this call, which happens at most once and instead of the task.
            panics::contain("the drop callback of an argument", || unsafe { drop(self.ctx, self.arg) });
        }
    }
}

/// What a task's function is called in messages; the name, if there is one, comes before.
struct Function {
    named: bool,
    address: *const c_void,
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.named {
            true => write!(f, "function {:p}", self.address),
            false => write!(f, "an unnamed task (function {:p})", self.address),
        }
    }
}

struct Spawned {
    function: TaskFn,
    argument: Argument,
    name: Option<CString>,
}

// SAFETY: whoever spawns a task promises that it may run with its argument on any worker.
unsafe impl Send for Spawned {}

impl Work for Spawned {
    fn run(self, worker: &Worker) {
        let Spawned { function, argument, name } = self;
        let title = Function { named: name.is_some(), address: function as *const c_void };
        let arg = argument.take();
        worker.named(name.as_deref(), || {
            // SAFETY: as promised by whoever spawned it. A panic has been logged; nobody else is interested.
            let _ = worker.protect(&title, || unsafe { function(as_opaque(worker), arg) });
        });
    }

    fn droppable(&self) -> bool {
        self.argument.drop.is_some()
    }

    fn refused(self) {
        self.argument.take();
    }
}

struct Called {
    function: CallFn,
    argument: Argument,
    name: Option<CString>,
    result_drop: Option<DropFn>,
    promise: Promise<Value>,
}

// SAFETY: as for Spawned; the same goes for the result and its drop.
unsafe impl Send for Called {}

impl Work for Called {
    fn run(self, worker: &Worker) {
        let Called { function, argument, name, result_drop, promise } = self;
        let title = Function { named: name.is_some(), address: function as *const c_void };
        let ctx = argument.ctx;
        let arg = argument.take();
        let mut result = std::ptr::null_mut();
        let settled = worker.named(name.as_deref(), || {
            let outcome = worker.protect(&title, || {
                // SAFETY: as promised by whoever spawned it.
                call_back(|| unsafe { function(as_opaque(worker), arg, &mut result) })
            });
            promise.settle(match outcome.unwrap_or_else(|panic| Err(Failure::with(Status::Panic, panic))) {
                Ok(()) => Ok(Value::new(result, result_drop, ctx)),
                Err(failure) => Err(Error::new(failure.status, &failure.message, &worker.origin())),
            })
        });
        debug_assert!(settled.is_ok(), "nobody else has this promise");
    }

    fn droppable(&self) -> bool {
        self.argument.drop.is_some()
    }

    fn refused(self) {
        self.argument.take();
    }
}

/// Starts a task: calls fn(worker, arg) once, on a worker of the runtime. Fire and forget. From one of the runtime's own
/// tasks it goes to this thread's queue (the newest runs first, others steal the oldest); from elsewhere to the
/// runtime's (the oldest first). Never blocks; any thread. A Rust panic in it is logged and counted. WEFT_SHUTDOWN: the
/// runtime no longer takes work. WEFT_NOMEM: no memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_spawn(runtime: *mut weft_runtime, r#fn: weft_task_fn, arg: *mut c_void) -> weft_status {
    // SAFETY: the same contract.
    unsafe { weft_spawn_with(runtime, r#fn, arg, std::ptr::null()) }
}

/// weft_spawn with options; NULL: none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_spawn_with(
    runtime: *mut weft_runtime,
    r#fn: weft_task_fn,
    arg: *mut c_void,
    options: *const weft_spawn_options,
) -> weft_status {
    boundary(|| {
        let function = callback(r#fn, "fn")?;
        // SAFETY: options, strings and handles by contract.
        let (options, core) = unsafe { (args::options(options)?, args::runtime(runtime)?) };
        // SAFETY: a C string by contract.
        let name = unsafe { args::name(options.name) };
        let argument = Argument { arg, drop: options.arg_drop, ctx: options.drop_ctx };
        core.spawn(Spawned { function, argument, name })
    })
}

/// Starts a task with a result: calls fn(worker, arg, &result) once, on a worker of the runtime, and settles *out with
/// the result, or with the failure that fn returned (its message included), or with WEFT_PANIC. Dropped unrun by a
/// shutdown, it fails with WEFT_BROKEN. NULL options: none. Never blocks; any thread. Failures as for weft_spawn.
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
        let function = callback(r#fn, "fn")?;
        // SAFETY: options, strings and handles by contract.
        let (options, core) = unsafe { (args::options(options)?, args::runtime(runtime)?) };
        // SAFETY: a C string by contract.
        let name = unsafe { args::name(options.name) };
        let argument = Argument { arg, drop: options.arg_drop, ctx: options.drop_ctx };
        let (promise, future) = future::channel();
        core.spawn(Called { function, argument, name, result_drop: options.result_drop, promise })?;
        // SAFETY: writable by contract.
        unsafe { *out = new_handle(future) };
        Ok(())
    })
}

/// A callback and its argument, on their way to another thread.
#[derive(Clone, Copy)]
struct Call {
    function: TaskFn,
    arg: *mut c_void,
}

// SAFETY: whoever passes it promises that it may run with its argument on any worker.
unsafe impl Send for Call {}

impl Call {
    fn run(self, worker: &Worker) {
        // SAFETY: as promised.
        unsafe { (self.function)(as_opaque(worker), self.arg) }
    }
}

/// Runs fn(worker, arg) on a worker of the runtime and waits until it has ended; the way into fork-join from outside.
/// Called from one of the runtime's own tasks it runs at once, on this thread. It blocks without limit and is not
/// interrupted. WEFT_PANIC: fn panicked. Failures as for weft_spawn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_run(runtime: *mut weft_runtime, r#fn: weft_task_fn, arg: *mut c_void) -> weft_status {
    boundary(|| {
        let call = Call { function: callback(r#fn, "fn")?, arg };
        // SAFETY: a handle by contract.
        let core = unsafe { args::runtime(runtime)? };
        core.run(move |worker| call.run(worker))
    })
}
