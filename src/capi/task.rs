//! Tasks.

use std::ffi::{CStr, CString, c_char, c_void};
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit, offset_of};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use super::args::{self, callback, invalid, place};
use super::boundary::{boundary, call_back};
use super::cancel;
use super::future::{Value, get_future, new_handle};
use super::runtime::as_opaque;
use super::types::{
    weft_call_fn, weft_cancel_token, weft_drop_fn, weft_future, weft_runtime, weft_status, weft_task_fn, weft_worker,
};
use crate::error::{Error, Failure, Result, Status, c_string};
use crate::future::{self, Begin, Deferred, Future, Promise};
use crate::panics;
use crate::scheduler::frame;
use crate::scheduler::{Core, NotSubmitted, Owner, Place, Priority, Refusal, Slot, Work, Worker};
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
    /// WEFT_PRIORITY_NORMAL, _HIGH, _CRITICAL or _LOW. It is the task's alone: what the task spawns does not inherit it. But a
    /// weft_async that a task of its runtime waits for gets the priority of that task, if that is higher.
    pub priority: i32,
    /// The number of the NUMA node whose workers look at the task first; WEFT_ANY_NODE: no matter. One that is not there:
    /// WEFT_INVALID.
    pub node: i32,
    /// WEFT_HINT_ bits; 0: none.
    pub hints: i64,
    /// What the task may be cancelled by; it takes a reference of its own. NULL: what the task that spawns it, or the
    /// thread, goes by, if anything. Cancelled before it has begun, a task with an arg_drop is dropped, and its future fails
    /// with WEFT_CANCELLED.
    pub cancel: *mut weft_cancel_token,
    /// The task is queued when these futures are settled, whatever their outcome; the task can look at them. The array and the
    /// references are the caller's. A shutdown that drains waits for it; one that discards drops it if it has an arg_drop, and
    /// waits for the futures otherwise. Not with WEFT_HINT_NOT_STEALABLE: WEFT_INVALID. NULL: none.
    pub after: *const *mut weft_future,
    /// How many there are.
    pub after_len: usize,
}

/// weft_spawn_options.priority: when there is nothing else; under a load that never ends each worker still takes one in 488.
pub const WEFT_PRIORITY_LOW: i32 = -1;
/// weft_spawn_options.priority: the default.
pub const WEFT_PRIORITY_NORMAL: i32 = 0;
/// weft_spawn_options.priority: overtakes normal tasks that wait. Every 61st task that a worker takes is another's turn.
pub const WEFT_PRIORITY_HIGH: i32 = 1;
/// weft_spawn_options.priority: overtakes high ones as well.
pub const WEFT_PRIORITY_CRITICAL: i32 = 2;
/// weft_spawn_options.node: no matter.
pub const WEFT_ANY_NODE: i32 = -1;
/// weft_spawn_options.hints: the task runs on the thread that spawns it, after what else that thread has queued and in the
/// order of spawning, unless one is waited for; spawned from outside it runs anywhere. But it is not held up: when its thread blocks in Weft, or gives
/// its turn up, any other may run it. Needs WEFT_PRIORITY_NORMAL and WEFT_ANY_NODE, else WEFT_INVALID.
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
    fn place(&self, core: &Core) -> Result<Place> {
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
    unsafe fn after<'a>(&self, place: Place) -> Result<Vec<&'a Future<Value>>> {
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
    unsafe fn token(&self) -> Result<Option<Token>> {
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
type CallFn = unsafe extern "C-unwind" fn(*mut weft_worker, *mut c_void, *mut *mut c_void) -> weft_status;
pub(super) type DropFn = unsafe extern "C-unwind" fn(*mut c_void, *mut c_void);

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

/// A task's name, copied, in one word: a spawned task has to fit into a block of the runtime's.
struct Name(*mut c_char);

impl Name {
    /// # Safety
    /// `name` is NULL or a C string.
    unsafe fn copy(name: *const c_char) -> Self {
        // SAFETY: promised by the caller.
        Name(unsafe { args::name(name) }.map_or(std::ptr::null_mut(), CString::into_raw))
    }

    fn get(&self) -> Option<&CStr> {
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

/// A call with a result.
struct AsyncCall {
    function: CallFn,
    argument: Argument,
    name: Name,
    result_drop: Option<DropFn>,
    promise: Promise<Value>,
}

// SAFETY: as for Spawned; the same goes for the result and its drop.
unsafe impl Send for AsyncCall {}

impl AsyncCall {
    fn run(self, worker: &Worker, token: Option<Token>) {
        let AsyncCall { function, argument, name, result_drop, promise } = self;
        let title = Function { named: name.get().is_some(), address: function as *const c_void };
        let ctx = argument.ctx;
        let arg = argument.take();
        let mut result = std::ptr::null_mut();
        let settled = worker.within(worker.task_context(name.get(), token), || {
            let outcome = worker.protect(&title, || {
                // SAFETY: as promised by whoever spawned it.
                call_back(|| unsafe { function(as_opaque(worker), arg, &mut result) })
            });
            promise.settle(match outcome {
                Ok(Ok(())) => Ok(Value::new(result, result_drop, ctx)),
                Ok(Err(failure)) => Err(Error::new(failure.status, &failure.message, &worker.origin())),
                Err(panic) => {
                    let mut error = Error::new(Status::Panic as i32, &panic, &worker.origin());
                    error.backtrace = c_string(&panics::backtrace::take(&panic).unwrap_or_default());
                    Err(error)
                }
            })
        });
        debug_assert!(settled.is_ok(), "nobody else has this promise");
    }
}

/// A call that waits in a queue, and that a task which waits for its result may take.
struct Async {
    call: Deferred<AsyncCall>,
    runtime: *const Core,
    droppable: bool,
    /// The only worker to run it, if there is one.
    pinned: *const Worker,
    token: Option<Token>,
    /// The highest that it is queued with.
    priority: AtomicI32,
    /// Whether it was dropped by who waited for it.
    dropped: AtomicBool,
}

// SAFETY: runtime and worker are only compared with; the call goes to one thread.
unsafe impl Send for Async {}
// SAFETY: as above.
unsafe impl Sync for Async {}

impl Async {
    fn is_cancelled(&self) -> bool {
        self.droppable && self.token.as_ref().is_some_and(Token::is_triggered)
    }

    /// The argument's drop and a failed future, unless somebody runs it. Whether it has been dropped, now or before.
    fn discard(&self) -> bool {
        let Some(call) = self.call.take() else { return self.dropped.load(Ordering::Relaxed) };
        // Relaxed: a statistic.
        self.dropped.store(true, Ordering::Relaxed);
        let AsyncCall { argument, promise, .. } = call;
        drop(argument);
        if self.is_cancelled() {
            let text = "the task was cancelled before it began";
            let _ = promise.settle(Err(Error::new(Status::Cancelled as i32, text, "a task that was not run")));
        }
        true
    }
}

impl Begin for Async {
    fn begin_here(&self) {
        let Some(worker) = Worker::current() else { return };
        if std::ptr::eq(worker.core(), self.runtime)
            && self.droppable
            && (self.is_cancelled() || worker.core().discards())
        {
            // What would be dropped when its turn comes; this thread may be the only one whose turn could come.
            self.discard();
        } else if worker.may_run_in_place(self.runtime, self.droppable)
            && (self.pinned.is_null() || std::ptr::eq(self.pinned, worker))
            && let Some(call) = self.call.take()
        {
            worker.run_in_place(|| call.run(worker, self.token.clone()));
        }
    }

    fn hurry(self: Arc<Self>) {
        let Some(worker) = Worker::current() else { return };
        let wanted = worker.context().map_or(Priority::Normal, |context| context.priority);
        if std::ptr::eq(worker.core(), self.runtime)
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
}

/// Another entry of a call that is queued already.
struct Again(Arc<Async>);

impl Work for Again {
    fn run(self, worker: &Worker) {
        if let Some(call) = self.0.call.take() {
            call.run(worker, self.0.token.clone());
        }
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
        if let Some(call) = self.0.call.take() {
            call.run(worker, self.0.token.clone());
        }
    }

    fn droppable(&self) -> bool {
        self.0.droppable
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

/// Starts a task: calls fn(worker, arg) once, on a worker of the runtime. Fire and forget. From one of the runtime's own
/// tasks it goes to this thread's queue (the newest runs first, others steal the oldest); from elsewhere to a queue that the
/// runtime has for this thread (the oldest first, mostly; between threads there is no order). Never blocks; any thread. A Rust
/// panic in it is logged and counted. WEFT_SHUTDOWN: the runtime no longer takes work. WEFT_NOMEM: no memory.
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
fn spawn_after<W: Work>(
    core: &Core,
    work: W,
    place: Place,
    after: &[&Future<Value>],
    cancel: Option<&Token>,
) -> Result<()> {
    if after.is_empty() {
        return core.spawn_at(work, place);
    }
    let held = core.hold(work, place, after.len())?;
    if let Some(token) = cancel {
        held.heed(token);
    }
    for future in after {
        let held = held.clone();
        future.when_settled(move || held.arrived());
    }
    Ok(())
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
        let at = options.place(core)?;
        // SAFETY: a C string and a handle by contract.
        let (token, after, name) = unsafe { (options.token()?, options.after(at)?, Name::copy(options.name)) };
        // Owns the argument: nothing fails from here on but with the work given back.
        let argument = Argument { arg, drop: options.arg_drop, ctx: options.drop_ctx };
        let (promise, future) = future::channel();
        let droppable = argument.drop.is_some();
        let call = Deferred::new(AsyncCall { function, argument, name, result_drop: options.result_drop, promise });
        let pinned = match Worker::current() {
            Some(worker) if at.is_pinned() && std::ptr::eq(worker.core(), core) => std::ptr::from_ref(worker),
            _ => std::ptr::null(),
        };
        let work = Arc::new(Async {
            call,
            runtime: core,
            droppable,
            pinned,
            token,
            priority: AtomicI32::new(options.priority),
            dropped: AtomicBool::new(false),
        });
        spawn_after(core, Called(work.clone()), at, &after, work.token.as_ref())?;
        // Who waits for it may not begin it before its time.
        let future = if after.is_empty() { future.with_work(work) } else { future };
        // SAFETY: writable by contract.
        unsafe { *out = new_handle(future) };
        Ok(())
    })
}

/// A task in memory of the caller's, 64 bytes: queueing it allocates nothing. Not to be touched while it is queued. The
/// runtime touches it for the last time before it calls fn, which may free it, change it or submit it again. It may be
/// moved while it is not queued.
#[repr(C)]
pub struct weft_task {
    /// fn(worker, arg) is called once for each submission, on a worker of the runtime.
    pub r#fn: weft_task_fn,
    /// Handed to fn.
    pub arg: *mut c_void,
    /// The runtime's; filled in by weft_task_init.
    pub reserved: [*mut c_void; 6],
}

/// What a weft_task is inside.
#[repr(C)]
struct Submitted {
    function: weft_task_fn,
    arg: *mut c_void,
    slot: Slot,
    /// While it is queued: what it may be cancelled by.
    token: MaybeUninit<Option<Token>>,
    later: [*mut c_void; 2],
}

const _: () = assert!(
    size_of::<Submitted>() == size_of::<weft_task>()
        && size_of::<weft_task>() == 64
        && align_of::<Submitted>() == align_of::<weft_task>()
        && offset_of!(Submitted, arg) == offset_of!(weft_task, arg)
        && offset_of!(Submitted, slot) == offset_of!(weft_task, reserved)
);

impl Submitted {
    /// The task around a slot.
    ///
    /// # Safety
    /// The slot is part of a Submitted.
    unsafe fn around(slot: NonNull<Slot>) -> *mut Submitted {
        // SAFETY: promised by the caller.
        unsafe { slot.byte_sub(offset_of!(Submitted, slot)) }.cast().as_ptr()
    }
}

impl Owner for Submitted {
    unsafe fn run(slot: NonNull<Slot>, worker: &Worker) {
        // SAFETY: the slot is part of a task that was submitted and is not touched by its owner before the release.
        let (function, arg, token) = unsafe {
            let task = Submitted::around(slot);
            let task = ((*task).function, (*task).arg, (*task).token.assume_init_read());
            Slot::release(slot);
            task
        };
        let Some(function) = function else { return };
        let title = Function { named: false, address: function as *const c_void };
        worker.within(worker.task_context(None, token), || {
            // SAFETY: as promised by whoever submitted it. A panic has been logged; nobody else is interested.
            let _ = worker.protect(&title, || unsafe { function(as_opaque(worker), arg) });
        });
    }

    unsafe fn inherit(slot: NonNull<Slot>) {
        // SAFETY: the task is the caller's; what its memory holds is not looked at.
        unsafe { (*Submitted::around(slot)).token.write(frame::token()) };
    }

    unsafe fn disinherit(slot: NonNull<Slot>) {
        // SAFETY: the task is the caller's, and has been given its token.
        unsafe { (*Submitted::around(slot)).token.assume_init_drop() };
    }
}

/// The slot of a task that can be submitted as far as one can tell without a claim.
///
/// # Safety
/// `task` is NULL or readable as a weft_task.
unsafe fn slot_of(task: *mut weft_task, name: &dyn fmt::Display) -> Result<NonNull<Slot>> {
    let Some(task) = NonNull::new(task.cast::<Submitted>()) else { return Err(invalid(format!("{name} is NULL"))) };
    if !task.is_aligned() {
        return Err(invalid(format!("{name} is not aligned as a weft_task")));
    }
    // SAFETY: readable by contract. The address of the slot is taken without a reference: others may hold it.
    unsafe {
        if (&raw const (*task.as_ptr()).function).read().is_none() {
            return Err(invalid(format!("{name}: fn is NULL")));
        }
        Ok(NonNull::new_unchecked(&raw mut (*task.as_ptr()).slot))
    }
}

/// Why a task was not taken. `name` says which, from its index.
fn not_submitted(why: NotSubmitted, name: impl FnOnce(usize) -> String) -> Failure {
    match why {
        NotSubmitted::Refused(index, Refusal::Busy) => {
            Failure::with(Status::Busy, format!("{} is queued already", name(index)))
        }
        NotSubmitted::Refused(index, Refusal::Unknown) => {
            invalid(format!("{} has not been initialised by weft_task_init", name(index)))
        }
        NotSubmitted::Failed(failure) => failure,
    }
}

/// Makes a task of 64 bytes of the caller's that will call fn(worker, arg). NULL task: nothing. Not for a task that is
/// queued. Any thread, never blocks; there is nothing to undo.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_task_init(task: *mut weft_task, r#fn: weft_task_fn, arg: *mut c_void) {
    if task.is_null() {
        return;
    }
    let fresh = Submitted {
        function: r#fn,
        arg,
        slot: Slot::new::<Submitted>(),
        token: MaybeUninit::zeroed(),
        later: [std::ptr::null_mut(); 2],
    };
    // SAFETY: writable for a weft_task by contract, of which this is the inside.
    unsafe { task.cast::<Submitted>().write_unaligned(fresh) };
}

/// Queues a task of the caller's, as weft_spawn does it, without an allocation (but the queue of the thread may grow). It
/// always runs, even when a shutdown discards. WEFT_BUSY: it is queued already, in this runtime or another; from two
/// threads at once, one gets WEFT_OK. WEFT_INVALID: fn is NULL, or the task was never initialised. WEFT_SHUTDOWN: the
/// runtime no longer takes work. On failure the task is as it was. In a child of fork() no task is queued any more. Never
/// blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_submit(runtime: *mut weft_runtime, task: *mut weft_task) -> weft_status {
    boundary(|| {
        // SAFETY: a task and a handle by contract.
        unsafe {
            let slot = slot_of(task, &"task")?;
            let core = args::runtime(runtime)?;
            core.submit::<Submitted>(std::iter::once(slot)).map_err(|why| not_submitted(why, |_| "task".into()))
        }
    })
}

/// weft_submit for n tasks at once, all or none: on failure (the message says which task is to blame) none of them is
/// queued. A task that is there twice is WEFT_BUSY. While it looks, other threads may find any of the tasks busy. From
/// outside the tasks are queued together, in this order; threads are woken for all of them by one notification that goes from
/// one to the next. n may be 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_submit_batch(
    runtime: *mut weft_runtime,
    tasks: *const *mut weft_task,
    n: usize,
) -> weft_status {
    boundary(|| {
        // SAFETY: tasks and a handle by contract.
        unsafe {
            let core = args::runtime(runtime)?;
            if n == 0 {
                return Ok(());
            }
            let tasks = args::array(tasks, n, "tasks")?;
            for (index, &task) in tasks.iter().enumerate() {
                slot_of(task, &format_args!("tasks[{index}]"))?;
            }
            // The addresses were checked above.
            let slots = tasks.iter().map(|&task| NonNull::new_unchecked(&raw mut (*task.cast::<Submitted>()).slot));
            core.submit::<Submitted>(slots).map_err(|why| not_submitted(why, |index| format!("tasks[{index}]")))
        }
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
