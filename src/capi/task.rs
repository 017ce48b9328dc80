//! Tasks.

use std::ffi::{CStr, CString, c_char, c_void};
use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::args::{self, callback, invalid};
use super::boundary::boundary;
use super::cancel;
use super::future::{Cell, get_future};
use super::runtime::as_opaque;
use super::types::{
    weft_cancel_token, weft_drop_fn, weft_future, weft_runtime, weft_status, weft_task_fn, weft_worker,
};
use crate::error::Result;
use crate::future::Callback;
use crate::panics;
use crate::scheduler::frame;
use crate::scheduler::{Core, Held, Place, Priority, Work, Worker};
use crate::sync::cancel::Token;

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
    /// WEFT_PRIORITY_NORMAL, _HIGH, _CRITICAL or _LOW. It is the task's alone: what the task spawns does not inherit
    /// it. But a weft_async that a task of its runtime waits for gets the priority of that task, if that is higher.
    pub priority: i32,
    /// The number of the NUMA node whose workers look at the task first; WEFT_ANY_NODE: no matter. One that is not
    /// there: WEFT_INVALID.
    pub node: i32,
    /// WEFT_HINT_ bits; 0: none.
    pub hints: i64,
    /// What the task may be cancelled by; it takes a reference of its own. NULL: what the task that spawns it, or the
    /// thread, goes by, if anything. Cancelled before it has begun, a task with an arg_drop is dropped, and its future
    /// fails with WEFT_CANCELLED.
    pub cancel: *mut weft_cancel_token,
    /// The task is queued when these futures are settled, whatever their outcome; the task can look at them. The array
    /// and the references are the caller's. A shutdown that drains waits for it; one that discards drops it if it has
    /// an arg_drop, and waits for the futures otherwise. Not with WEFT_HINT_NOT_STEALABLE: WEFT_INVALID. NULL: none.
    pub after: *const *mut weft_future,
    /// How many there are.
    pub after_len: usize,
}

/// weft_spawn_options.priority: when there is nothing else; under a load that never ends each worker still takes one in
/// 488.
pub const WEFT_PRIORITY_LOW: i32 = -1;
/// weft_spawn_options.priority: the default.
pub const WEFT_PRIORITY_NORMAL: i32 = 0;
/// weft_spawn_options.priority: overtakes normal tasks that wait. Every 61st task that a worker takes is another's
/// turn.
pub const WEFT_PRIORITY_HIGH: i32 = 1;
/// weft_spawn_options.priority: overtakes high ones as well.
pub const WEFT_PRIORITY_CRITICAL: i32 = 2;
/// weft_spawn_options.node: no matter.
pub const WEFT_ANY_NODE: i32 = -1;
/// weft_spawn_options.hints: the task runs on the thread that spawns it, after what else that thread has queued and in
/// the order of spawning, unless one is waited for; spawned from outside it runs anywhere. But it is not held up: when
/// its thread blocks in Weft, or gives its turn up, any other may run it. Needs WEFT_PRIORITY_NORMAL and WEFT_ANY_NODE,
/// else WEFT_INVALID.
pub const WEFT_HINT_NOT_STEALABLE: i64 = 1;

const _: () = assert!(
    WEFT_PRIORITY_LOW == Priority::Low as i32
        && WEFT_PRIORITY_NORMAL == Priority::Normal as i32
        && WEFT_PRIORITY_HIGH == Priority::High as i32
        && WEFT_PRIORITY_CRITICAL == Priority::Critical as i32
);

impl args::SizePrefixed for weft_spawn_options {
    fn defaults() -> Self {
        weft_spawn_options {
            size: size_of::<Self>(),
            name: std::ptr::null(),
            arg_drop: None,
            result_drop: None,
            drop_ctx: std::ptr::null_mut(),
            priority: WEFT_PRIORITY_NORMAL,
            node: WEFT_ANY_NODE,
            hints: 0,
            cancel: std::ptr::null_mut(),
            after: std::ptr::null(),
            after_len: 0,
        }
    }
}

impl weft_spawn_options {
    /// Where the task goes.
    pub(super) fn place(&self, core: &Core) -> Result<Place> {
        let priority = Priority::from_number(self.priority)
            .ok_or_else(|| invalid(format!("priority: {} is none", self.priority)))?;
        let node = match self.node {
            WEFT_ANY_NODE => None,
            node => Some(usize::try_from(node).map_err(|_| invalid(format!("node: {node} is none")))?),
        };
        if self.hints & !WEFT_HINT_NOT_STEALABLE != 0 {
            return Err(invalid(format!("hints: {:#x} has bits that mean nothing", self.hints)));
        }
        core.place(priority, node, self.hints & WEFT_HINT_NOT_STEALABLE != 0)
    }

    /// What the task waits for before it is queued.
    ///
    /// # Safety
    /// `after` leads to `after_len` futures that outlive the result.
    pub(super) unsafe fn after<'a>(&self, place: Place) -> Result<Vec<&'a Cell>> {
        if self.after_len == 0 {
            return Ok(Vec::new());
        }
        if place.is_pinned() {
            return Err(invalid("hints: a task that is queued after others is stealable".into()));
        }
        // SAFETY: promised by the caller.
        let futures = unsafe { args::array(self.after, self.after_len, "after")? };
        // SAFETY: promised by the caller.
        futures
            .iter()
            .enumerate()
            .map(|(index, &future)| unsafe { get_future(future, &format!("after[{index}]")) })
            .collect()
    }

    /// What the task may be cancelled by.
    ///
    /// # Safety
    /// `cancel` is NULL or a handle.
    pub(super) unsafe fn token(&self) -> Result<Option<Token>> {
        // SAFETY: promised by the caller.
        Ok(unsafe { cancel::optional(self.cancel, "cancel")? }.cloned().or_else(frame::token))
    }
}

/// Fills in the defaults. `size` is sizeof *options as the caller knows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_spawn_options_init(options: *mut weft_spawn_options, size: usize) -> weft_status {
    // SAFETY: writable for `size` bytes by contract.
    boundary(|| unsafe { args::init(options, size) })
}

pub(super) type TaskFn = unsafe extern "C-unwind" fn(*mut weft_worker, *mut c_void);
pub(super) type DropFn = unsafe extern "C-unwind" fn(*mut c_void, *mut c_void);

/// A callback's argument, and what to do with it if the callback is never called.
pub(super) struct Argument {
    pub arg: *mut c_void,
    pub drop: Option<DropFn>,
    pub ctx: *mut c_void,
}

impl Argument {
    /// Takes the argument for the call.
    pub(super) fn take(self) -> *mut c_void {
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

/// A task's name, copied, in one word: a spawned task has to fit into a block of the runtime's.
pub(super) struct Name(*mut c_char);

impl Name {
    /// # Safety
    /// `name` is NULL or a C string.
    pub(super) unsafe fn copy(name: *const c_char) -> Self {
        // SAFETY: promised by the caller.
        Name(unsafe { args::name(name) }.map_or(std::ptr::null_mut(), CString::into_raw))
    }

    pub(super) fn get(&self) -> Option<&CStr> {
        // SAFETY: null, or made by CString::into_raw and owned.
        (!self.0.is_null()).then(|| unsafe { CStr::from_ptr(self.0) })
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: made by CString::into_raw, and given back once.
            drop(unsafe { CString::from_raw(self.0) });
        }
    }
}

/// What a task's function is called in messages; the name, if there is one, comes before.
pub(super) struct Function {
    pub named: bool,
    pub address: *const c_void,
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
    name: Name,
    token: Option<Token>,
}

// SAFETY: whoever spawns a task promises that it may run with its argument on any worker.
unsafe impl Send for Spawned {}

impl Work for Spawned {
    fn run(self, worker: &Worker) {
        let Spawned { function, argument, name, token } = self;
        let title = Function { named: name.get().is_some(), address: function as *const c_void };
        let arg = argument.take();
        worker.within(worker.task_context(name.get(), token), || {
            // SAFETY: as promised by whoever spawned it. A panic has been logged; nobody else is interested.
            let _ = worker.protect(&title, || unsafe { function(as_opaque(worker), arg) });
        });
    }

    fn droppable(&self) -> bool {
        self.argument.drop.is_some()
    }

    fn is_cancelled(&self) -> bool {
        self.token.as_ref().is_some_and(Token::is_triggered) && self.droppable()
    }

    fn refused(self) {
        self.argument.take();
    }
}

// Spawning stays within blocks that go round; without this it would allocate, and nothing else would tell.
const _: () = assert!(size_of::<Spawned>() <= 48);

/// Starts a task: calls fn(worker, arg) once, on a worker of the runtime. Fire and forget. From one of the runtime's
/// own tasks it goes to this thread's queue (the newest runs first, others steal the oldest); from elsewhere to a queue
/// that the runtime has for this thread (the oldest first, mostly; between threads there is no order). Never blocks;
/// any thread. A Rust panic in it is logged and counted. WEFT_SHUTDOWN: the runtime no longer takes work. WEFT_NOMEM:
/// no memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_spawn(runtime: *mut weft_runtime, r#fn: weft_task_fn, arg: *mut c_void) -> weft_status {
    // Not by way of weft_spawn_with: reading and checking options costs more than the rest.
    boundary(|| {
        let function = callback(r#fn, "fn")?;
        // SAFETY: a handle by contract.
        let core = unsafe { args::runtime(runtime)? };
        let argument = Argument { arg, drop: None, ctx: std::ptr::null_mut() };
        core.spawn(Spawned { function, argument, name: Name(std::ptr::null_mut()), token: frame::token() })
    })
}

/// Queues work, at once or when all these futures are settled.
pub(super) fn spawn_after<W: Work>(
    core: &Core,
    work: W,
    place: Place,
    after: &[&Cell],
    cancel: Option<&Token>,
) -> Result<()> {
    match after {
        [] => core.spawn_at(work, place),
        _ => hold(core, work, place, after, 0, cancel).map(drop),
    }
}

/// Accepts work that is queued when these futures are settled, and as many other things have arrived.
pub(super) fn hold<W: Work>(
    core: &Core,
    work: W,
    place: Place,
    after: &[&Cell],
    others: usize,
    cancel: Option<&Token>,
) -> Result<Arc<Held>> {
    let held = core.hold(work, place, after.len() + others)?;
    if let Some(token) = cancel {
        held.heed(token);
    }
    for future in after {
        let held = held.clone();
        Callback::new(future, move || held.arrived()).arm(future);
    }
    Ok(held)
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
        let place = options.place(core)?;
        // SAFETY: a C string and a handle by contract.
        let (token, name) = unsafe { (options.token()?, Name::copy(options.name)) };
        // SAFETY: futures by contract.
        let after = unsafe { options.after(place)? };
        let argument = Argument { arg, drop: options.arg_drop, ctx: options.drop_ctx };
        let cancel = token.clone();
        spawn_after(core, Spawned { function, argument, name, token }, place, &after, cancel.as_ref())
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
