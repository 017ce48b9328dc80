//! Contexts.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;

use super::args::{self, invalid, may_create, place, pointer};
use super::boundary::{boundary, boundary_value, call_back};
use super::cancel;
use super::context_process::Processes;
use super::handle::{Handle as Owned, Noun};
use super::serve::{collecting, weft_handler_fn};
use super::task::Argument;
use super::types::{
    WEFT_DEFAULT, weft_bytes, weft_cancel_token, weft_context, weft_drop_fn, weft_error, weft_process_pool,
    weft_runtime, weft_status,
};
use crate::context::context::{Context, Options};
use crate::context::kind::{self, Kind};
use crate::context::run::{Failed, Handle, Handler};
use crate::error::Result;
use crate::memory::Bytes;
use crate::scheduler::Priority;
use crate::sync::Deadline;

/// On the thread that executes, before weft_context_execute returns: for tests, and for finding faults. Can be
/// executed again.
pub const WEFT_CONTEXT_INLINE: i32 = 1;
/// On a thread of its own. For one use.
pub const WEFT_CONTEXT_THREAD: i32 = 2;
/// As a task of the runtime. For one use.
pub const WEFT_CONTEXT_TASK: i32 = 3;
/// In a child that is forked by weft_context_execute, on the thread that calls it, and has a copy of the whole memory as it
/// is then (the pages are copied as they are written to). For one use. The function's reply comes back, of any size.
/// The child has that one thread, and may do what other threads' locks, held at that moment for ever, do not prevent:
/// compute, malloc (with glibc), raw system calls; weft_after_fork has been called there, so Weft's objects can be
/// made; those that were inherited are WEFT_FORKED. It leaves by returning: what it has not flushed of stdio is not
/// written, exit handlers do not run. It begins with the caller's signal mask, SIGTERM let through and set to its
/// default. Its end is noticed by its pidfd, and it is reaped by that: no other child of the program's ever is. If the
/// program reaps it first (wait for any child, SIGCHLD ignored), the reply is there all the same, but not how it died.
/// If this process dies, the child finishes its function first; nobody hears of it. Forking copies page tables, which
/// takes longer the more memory this process uses; huge pages (madvise with MADV_HUGEPAGE) make that many times faster.
pub const WEFT_CONTEXT_FORK: i32 = 4;
/// On a thread of its own that stays, and shares nothing by way of Weft: its function has no argument, and the data and the
/// reply are copied. Can be executed again: the same thread, with its thread-local state, gets one message after the
/// other.
pub const WEFT_CONTEXT_ISOLATED: i32 = 5;
/// As a call of weft_context_options.process_pool, whose handler answers: weft_context_execute has no function. Can be
/// executed again; consecutive runs may be answered by different workers.
pub const WEFT_CONTEXT_PROCESS: i32 = 6;
/// Kinds that weft_context_kind_register gives have this number or a higher one.
pub const WEFT_CONTEXT_REGISTERED: i32 = 100;

const _: () = assert!(
    WEFT_CONTEXT_INLINE == kind::INLINE
        && WEFT_CONTEXT_THREAD == kind::THREAD
        && WEFT_CONTEXT_TASK == kind::TASK
        && WEFT_CONTEXT_FORK == kind::FORK
        && WEFT_CONTEXT_ISOLATED == kind::ISOLATED
        && WEFT_CONTEXT_PROCESS == kind::PROCESS
        && WEFT_CONTEXT_REGISTERED == kind::REGISTERED
);

/// What a context is made with. Fill in with weft_context_options_init, then change what matters.
#[repr(C)]
pub struct weft_context_options {
    /// sizeof(weft_context_options).
    pub size: usize,
    /// For messages, logs and threads; NULL: none. Copied.
    pub name: *const c_char,
    /// What its runs are asked to stop by; it takes a reference of its own. NULL: what the task or thread that executes
    /// goes by, if anything. A child of FORK gets SIGTERM then.
    pub cancel: *mut weft_cancel_token,
    /// Bytes of stack for a thread of its own; 0: 2 MiB. Below 64 KiB: WEFT_INVALID.
    pub stack_size: usize,
    /// Of a PROCESS: who answers. It is not kept: when the pool has ended, runs fail with WEFT_SHUTDOWN, or what it says.
    pub process_pool: *mut weft_process_pool,
    /// Of a TASK: WEFT_PRIORITY_NORMAL, _HIGH, _CRITICAL or _LOW.
    pub priority: i32,
    /// A WEFT_ON, _OFF or _DEFAULT (off). On: a kind that there is not on this system (FORK where pidfds are missing, a
    /// registered kind whose probe fails) is WEFT_UNSUPPORTED. Off: a THREAD takes its place, which is logged once per
    /// kind, and told by weft_context_kind.
    pub exact: i32,
}

/// What a context has done so far.
#[repr(C)]
pub struct weft_context_stats {
    /// Set by the caller: sizeof(weft_context_stats).
    pub size: usize,
    /// Runs that have begun.
    pub executed: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Of the run that goes on, or of the last one: nanoseconds from the call of weft_context_execute to that of the
    /// function; 0: not called yet.
    pub start_ns: i64,
    /// Nanoseconds from that to the end of the run; 0: it goes on.
    pub run_ns: i64,
    /// FORK: the most memory that the child had, in bytes, what it shared with this process included; 0: not known.
    pub peak_rss: u64,
}

impl args::SizePrefixed for weft_context_options {
    fn defaults() -> Self {
        weft_context_options {
            size: size_of::<Self>(),
            name: ptr::null(),
            cancel: ptr::null_mut(),
            stack_size: 0,
            process_pool: ptr::null_mut(),
            priority: Priority::Normal as i32,
            exact: WEFT_DEFAULT,
        }
    }
}

impl Noun for Arc<Context> {
    type Opaque = weft_context;
    const TAG: u32 = u32::from_le_bytes(*b"Wctx");
    const NAME: &'static str = "context";
}

/// Fills in the defaults. `size` is sizeof *options as the caller knows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_options_init(options: *mut weft_context_options, size: usize) -> weft_status {
    // SAFETY: writable for `size` bytes by contract.
    boundary(|| unsafe { args::init(options, size) })
}

impl weft_context_options {
    /// # Safety
    /// A C string and a handle, or NULL.
    pub(super) unsafe fn read(&self) -> Result<(Options, bool)> {
        let priority = Priority::from_number(self.priority)
            .ok_or_else(|| invalid(format!("options->priority: {} is none", self.priority)))?;
        if self.stack_size != 0 && !(64 << 10..=isize::MAX as usize / 2).contains(&self.stack_size) {
            return Err(invalid(format!("options->stack_size: {} is too small, or too large", self.stack_size)));
        }
        // SAFETY: promised by the caller.
        let (name, cancel) =
            unsafe { (args::name(self.name).unwrap_or_default(), cancel::optional(self.cancel, "cancel")?.cloned()) };
        let exact = args::flag(self.exact, false, "exact")?;
        Ok((Options { name, cancel, priority, stack: self.stack_size }, exact))
    }
}

/// What a kind runs on. What is given is checked, whatever the kind.
///
/// # Safety
/// Handles, or NULL.
pub(super) unsafe fn places(
    kind: i32,
    runtime: *mut weft_runtime,
    pool: *mut weft_process_pool,
) -> Result<kind::Places> {
    // SAFETY: promised by the caller.
    unsafe {
        let core = match kind == kind::TASK || !runtime.is_null() {
            true => Some(args::runtime(runtime)?.share()),
            false => None,
        };
        let processes = if pool.is_null() { None } else { Some(Processes::of(pool)?) };
        Ok(kind::Places { core, processes })
    }
}

/// A context of this kind, a WEFT_CONTEXT_ constant or the number of a registered one (another number: WEFT_INVALID).
/// Nothing is started. `runtime` is for TASK (NULL as everywhere), and of no account for others. NULL options: none.
/// Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_new(
    runtime: *mut weft_runtime,
    kind: i32,
    options: *const weft_context_options,
    out: *mut *mut weft_context,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        may_create()?;
        // SAFETY: options, strings and handles by contract.
        let ((options, exact), places) = unsafe {
            let options = args::options(options)?;
            (options.read()?, places(kind, runtime, options.process_pool)?)
        };
        let found = Kind::find(kind, exact, &places)?;
        // SAFETY: writable by contract.
        unsafe { *out = Owned::create(Context::new(kind, found, options, None)) };
        Ok(())
    })
}

/// # Safety
/// `context` is NULL or leads to an object of Weft.
pub(super) unsafe fn get(context: *const weft_context) -> Result<Arc<Context>> {
    // SAFETY: promised by the caller. A reference of its own: the handle may go while this is used.
    unsafe { Owned::<Arc<Context>>::get(context, "context") }.cloned()
}

/// A function of the program's with its argument, on its way to where it is called.
struct Callee {
    function: unsafe extern "C-unwind" fn(*const c_void, usize, *mut *mut weft_bytes, *mut c_void) -> weft_status,
    argument: Argument,
}

// SAFETY: whoever executes a context promises that the function may run with its argument where contexts of its kind run.
unsafe impl Send for Callee {}

impl Handle for Callee {
    fn call(self: Box<Self>, data: &[u8]) -> Result<Bytes, Failed> {
        let mut reply: *mut weft_bytes = ptr::null_mut();
        let (function, arg) = (self.function, self.argument.arg);
        // SAFETY: as promised.
        let body = || call_back(|| unsafe { function(data.as_ptr().cast(), data.len(), &mut reply, arg) });
        let (called, more) = collecting(body);
        let bytes = match reply.is_null() {
            true => Ok(Bytes::from_vec(Vec::new())),
            // SAFETY: a handle by contract, whose reference is given up.
            false => unsafe {
                let bytes = Owned::<Bytes>::get(reply, "*reply").cloned();
                if bytes.is_ok() {
                    Owned::<Bytes>::release(reply);
                }
                bytes
            },
        };
        called.and(bytes).map_err(|failure| {
            let (backtrace, payload) = more.unwrap_or_default();
            Failed { failure, backtrace, payload }
        })
    }

    fn give_back(self: Box<Self>) {
        self.argument.take();
    }
}

/// Has fn(data, len, &reply, arg) called once, where contexts of its kind have it called. INLINE: here and now; whatever
/// comes of it, this is WEFT_OK, and weft_context_wait tells. Others go on while it runs. The data are copied (FORK: with
/// everything else; INLINE: not). drop(ctx, arg) is called once, when fn has returned or will not be called, before anybody
/// is told that the run is over (of a FORK: here, as soon as the child has its copy); NULL: none. `arg` is NULL for
/// ISOLATED, else WEFT_INVALID. A failure, an uncaught panic included, is the run's. `fn` is NULL for PROCESS, and
/// where the kind is a registered one that does without; arg and drop are of no account then. Blocks for a place in the pool, if it is of one (see weft_context_pool_acquire), and inside a task
/// passes the turn on meanwhile; otherwise never. On failure nothing was called, and all is as before: WEFT_BUSY (it is
/// being executed; or was, and is for one use), WEFT_CLOSED (it was terminated; or the pool was closed), WEFT_SHUTDOWN
/// (the runtime takes no more), WEFT_OS (no thread, no process, no descriptor), WEFT_NOMEM, or what a registered kind
/// says. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_execute(
    context: *mut weft_context,
    r#fn: weft_handler_fn,
    arg: *mut c_void,
    drop: weft_drop_fn,
    ctx: *mut c_void,
    data: *const c_void,
    len: usize,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let context = unsafe { get(context)? };
        if r#fn.is_none() && !context.kind().may_have_no_function() {
            return Err(args::is_null("fn"));
        }
        if r#fn.is_some() && context.kind().number() == kind::PROCESS {
            return Err(invalid("fn is not NULL: the processes of a pool have a handler of their own".into()));
        }
        if !arg.is_null() && matches!(context.kind(), Kind::Isolated(_)) {
            return Err(invalid("arg is not NULL: an isolated context shares nothing with others".into()));
        }
        let data = match len {
            0 => &[],
            _ if len > isize::MAX as usize => return Err(invalid(format!("len: {len} is more than any memory"))),
            // SAFETY: readable by contract.
            _ => unsafe { std::slice::from_raw_parts(pointer(data, "data")?.cast(), len) },
        };
        let handler = r#fn.map(|function| {
            let argument = Argument { arg, drop, ctx };
            Box::new(Callee { function, argument }) as Handler
        });
        context.execute(handler, data)
    })
}

/// Waits for the end of the run, and tells what came of it, the same each time: WEFT_OK and one reference to the reply in
/// *reply (NULL reply: not wanted), or the status and message of its failure: what the function returned, WEFT_PANIC,
/// WEFT_CANCELLED (asked to stop before it began, or a FORK that was), WEFT_BROKEN (dropped unrun by its runtime), and of a
/// FORK WEFT_DIED (exited or died without a reply; the message says how). WEFT_INVALID: it was never executed.
/// WEFT_DEADLOCK: the run is what calls this. Blocks; inside a task the thread's turn passes to another, or the thread
/// runs the TASK that it waits for. WEFT_TIMEOUT, WEFT_WOULD_BLOCK, WEFT_INTERRUPTED, WEFT_CANCELLED and WEFT_SHUTDOWN
/// (the caller's): the run goes on. Any thread, any number of them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_wait(
    context: *mut weft_context,
    timeout_ns: i64,
    reply: *mut *mut weft_bytes,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let bytes = unsafe { get(context)? }.wait(Deadline::after(timeout_ns))?;
        if !reply.is_null() {
            // SAFETY: writable by contract.
            unsafe { *reply = Owned::create(bytes) };
        }
        Ok(())
    })
}

/// Whether a run goes on; false on a bad handle. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_is_alive(context: *const weft_context) -> bool {
    // SAFETY: a handle by contract.
    boundary_value(false, || Ok(unsafe { get(context)? }.is_alive()))
}

/// Ends the context: it is not executed any more (WEFT_CLOSED), and a run that goes on is asked to stop: its token is
/// triggered, so that its waits end and weft_cancelled says true; a FORK gets SIGTERM. Waits for the end, `grace_ns` at
/// most; after that a FORK, or a registered kind that can, is killed, and waited for. WEFT_OK: nothing runs any more; what
/// came of the run, weft_context_wait tells. WEFT_TIMEOUT: it still runs; a thread is never killed, and goes on (which is
/// logged); wait for it, or call this again. WEFT_DEADLOCK: the run is what calls this; it has been asked to stop.
/// WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_SHUTDOWN: the caller's wait was ended; it has been asked to stop. Any thread,
/// any number of times.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_terminate(context: *mut weft_context, grace_ns: i64) -> weft_status {
    // SAFETY: a handle by contract.
    boundary(|| unsafe { get(context)? }.terminate(Deadline::after(grace_ns)))
}

/// What it is: a WEFT_CONTEXT_ constant, or a registered kind's number; another one than was asked for if there was none
/// such. -1 on a bad handle. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_kind(context: *const weft_context) -> i32 {
    // SAFETY: a handle by contract.
    boundary_value(-1, || Ok(unsafe { get(context)? }.kind().number()))
}

/// The kind that was asked for; -1 on a bad handle. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_kind_asked(context: *const weft_context) -> i32 {
    // SAFETY: a handle by contract.
    boundary_value(-1, || Ok(unsafe { get(context)? }.asked()))
}

/// Its name; "" if it has none, and on a bad handle. Belongs to the context. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_name(context: *const weft_context) -> *const c_char {
    // SAFETY: a handle by contract.
    boundary_value(c"".as_ptr(), || Ok(unsafe { get(context)? }.options().name.as_ptr()))
}

/// Why the last run failed; NULL unless it did, and on a bad handle. The error is the context's, until it is executed again or
/// goes. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_error(context: *const weft_context) -> *const weft_error {
    boundary_value(ptr::null(), || {
        // SAFETY: a handle by contract.
        let error = unsafe { get(context)? }.error();
        Ok(error.map_or(ptr::null(), |error| Arc::as_ptr(&error).cast()))
    })
}

/// What it has done so far, in *out, whose size the caller has set. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_stats_get(
    context: *const weft_context,
    out: *mut weft_context_stats,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle and a place by contract.
        let (context, out) = unsafe { (get(context)?, args::result_struct(out, "out")?) };
        let stats = context.stats();
        let times = stats.times;
        let between = |from: i64, to: i64| if from == 0 || to == 0 { 0 } else { (to - from).max(1) };
        // SAFETY: writable for its size by contract.
        unsafe {
            let size = out.cast::<usize>().read_unaligned();
            out.write_unaligned(weft_context_stats {
                size,
                executed: stats.executed,
                failed: stats.failed,
                start_ns: between(times.executed_ns, times.began_ns),
                run_ns: between(times.began_ns, times.ended_ns),
                peak_rss: times.peak_rss,
            });
        }
        Ok(())
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_retain(context: *mut weft_context) -> *mut weft_context {
    // SAFETY: a handle by contract.
    unsafe { Owned::<Arc<Context>>::retain(context) }
}

/// One reference less. A run that goes on is finished, and a child reaped, though nobody will know what came of it; to end it,
/// call weft_context_terminate before. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_release(context: *mut weft_context) {
    // SAFETY: a handle by contract.
    unsafe { Owned::<Arc<Context>>::release(context) }
}
