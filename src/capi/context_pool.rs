//! Pools of contexts.

use std::ffi::{CString, c_char, c_void};
use std::ops::Deref;
use std::ptr;
use std::sync::Arc;

use super::args::{self, invalid, may_create, place};
use super::boundary::{boundary, boundary_value};
use super::context::{places, weft_context_options};
use super::handle::{Handle, Noun};
use super::types::{WEFT_DEFAULT, weft_context, weft_context_pool, weft_runtime, weft_status};
use crate::context::context::Context;
use crate::context::pool::{Pool, Wish};
use crate::error::{Failure, Result, c_string};
use crate::panics;
use crate::scheduler::Priority;
use crate::sync::Deadline;

/// How a context is acquired. Fill in with weft_context_acquire_options_init, then change what matters.
#[repr(C)]
pub struct weft_context_acquire_options {
    /// sizeof(weft_context_acquire_options).
    pub size: usize,
    /// Its name; NULL: the pool's, or "context", with a number. Copied. A context that is used again keeps its own.
    pub name: *const c_char,
    /// How long to wait for a place: weft_context_execute, or if `strict` weft_context_pool_acquire. The default is
    /// WEFT_FOREVER; 0 or less does not wait (WEFT_WOULD_BLOCK).
    pub timeout_ns: i64,
    /// The order of those that wait for a place: WEFT_PRIORITY_CRITICAL first, then _HIGH, _NORMAL and _LOW; among equals
    /// who came first. Of a new TASK its priority as well.
    pub priority: i32,
    /// A WEFT_ON, _OFF or _DEFAULT (off). Off: the context takes its place when it is executed, so there may be any number
    /// of contexts. On: it takes it now, for its first execute.
    pub strict: i32,
}

/// What a pool has done so far.
#[repr(C)]
pub struct weft_context_pool_stats {
    /// Set by the caller: sizeof(weft_context_pool_stats).
    pub size: usize,
    /// How many places there are.
    pub max: u32,
    /// Those that are taken: by runs that go on, and by contexts that were acquired strictly.
    pub active: u32,
    /// Those that are free.
    pub available: u32,
    /// Who waits for one.
    pub waiting: u32,
    /// The most that were taken at once.
    pub peak: u32,
    /// Not used.
    pub reserved: u32,
    /// Contexts that are out: acquired, and neither put back nor gone.
    pub out: u64,
    /// Contexts given out so far.
    pub acquired: u64,
    /// Those of them that had been used before.
    pub reused: u64,
    /// Runs that are over.
    pub executed: u64,
    /// Those of them that failed.
    pub failed: u64,
}

/// Told of each context: WEFT_OK, or the status and message of its failure, which are good until it returns, as is the
/// context. Called on the thread that waits, with no lock held.
pub type weft_context_told_fn = Option<
    unsafe extern "C-unwind" fn(
        context: *mut weft_context,
        status: weft_status,
        message: *const c_char,
        arg: *mut c_void,
    ),
>;

impl args::SizePrefixed for weft_context_acquire_options {
    fn defaults() -> Self {
        weft_context_acquire_options {
            size: size_of::<Self>(),
            name: ptr::null(),
            timeout_ns: i64::MAX,
            priority: Priority::Normal as i32,
            strict: WEFT_DEFAULT,
        }
    }
}

/// The program's end of a pool; its contexts keep the pool itself.
struct Owner(Arc<Pool>);

impl Deref for Owner {
    type Target = Arc<Pool>;
    fn deref(&self) -> &Arc<Pool> {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Noun for Owner {
    type Opaque = weft_context_pool;
    const TAG: u32 = u32::from_le_bytes(*b"Wcpo");
    const NAME: &'static str = "context pool";
}

unsafe fn get(pool: *const weft_context_pool) -> Result<Arc<Pool>> {
    // SAFETY: the caller's contract. A reference of its own: the handle may go while this is used.
    unsafe { Handle::<Owner>::get(pool, "pool") }.map(|owner| owner.0.clone())
}

/// A pool: of its contexts at most `max_size` run at once. 0: 5 (THREAD, TASK and registered kinds), 4 (ISOLATED),
/// 2 (FORK and PROCESS), 1 (INLINE). `kind`, `runtime` and `options` are those of its contexts, as for weft_context_new; the
/// name in the options is what theirs begin with. Nothing is started. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_pool_new(
    runtime: *mut weft_runtime,
    kind: i32,
    max_size: u32,
    options: *const weft_context_options,
    out: *mut *mut weft_context_pool,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        may_create()?;
        // SAFETY: options, strings and handles by contract.
        let ((options, exact), places) = unsafe {
            let options = args::options(options)?;
            (options.read()?, places(kind, runtime, options.process_pool)?)
        };
        let pool = Pool::new(kind, exact, places, options, max_size)?;
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(Owner(pool)) };
        Ok(())
    })
}

/// Fills in the defaults. `size` is sizeof *options as the caller knows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_acquire_options_init(
    options: *mut weft_context_acquire_options,
    size: usize,
) -> weft_status {
    // SAFETY: writable for `size` bytes by contract.
    boundary(|| unsafe { args::init(options, size) })
}

/// A context of the pool, with one reference; NULL options: none. It has a place while it is executed, and gives it back
/// when the run is over, whether anybody waits for that or not: so it may be executed, waited for and released like any
/// other. By default there is always a context, and weft_context_execute waits for a place; so a hundred contexts of a
/// pool of ten can be executed one after the other. Strictly, this waits for the place: blocks, inside a task passing the
/// turn on; WEFT_WOULD_BLOCK, WEFT_TIMEOUT, WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_SHUTDOWN; WEFT_DEADLOCK: the pool's
/// places are all those of functions that this thread is in. WEFT_CLOSED: the pool was closed. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_pool_acquire(
    pool: *mut weft_context_pool,
    options: *const weft_context_acquire_options,
    out: *mut *mut weft_context,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        // SAFETY: a handle, options and a string by contract.
        let (pool, options) = unsafe { (get(pool)?, args::options(options)?) };
        let priority = Priority::from_number(options.priority)
            .ok_or_else(|| invalid(format!("options->priority: {} is none", options.priority)))?;
        let strict = args::flag(options.strict, false, "strict")?;
        // SAFETY: as above.
        let name: Option<CString> = unsafe { args::name(options.name) };
        let context = pool.acquire(Wish { name, strict, priority, timeout_ns: options.timeout_ns })?;
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(context) };
        Ok(())
    })
}

/// Gives a context back, with the caller's reference, and the place that it had if it was not executed. An INLINE one is given
/// out again; the others leave too much of a run behind, and go. WEFT_BUSY: it is being executed. WEFT_INVALID: it is
/// not of this pool. On failure the reference is still the caller's. Releasing it instead is as good. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_pool_put(
    pool: *mut weft_context_pool,
    context: *mut weft_context,
) -> weft_status {
    boundary(|| {
        // SAFETY: handles by contract.
        unsafe {
            get(pool)?.put(&super::context::get(context)?)?;
            Handle::<Arc<Context>>::release(context);
        }
        Ok(())
    })
}

/// Tells of contexts, and remembers the first failure and how many there are.
struct Teller {
    function: weft_context_told_fn,
    arg: *mut c_void,
    contexts: usize,
    failed: usize,
    first: Option<Failure>,
}

impl Teller {
    fn new(function: weft_context_told_fn, arg: *mut c_void) -> Self {
        Teller { function, arg, contexts: 0, failed: 0, first: None }
    }

    fn tell(&mut self, context: Arc<Context>, over: Result<()>) {
        self.contexts += 1;
        let (status, message) = match &over {
            Ok(()) => (0, CString::default()),
            Err(failure) => (failure.status, c_string(&failure.message)),
        };
        let name = context.to_string();
        if let Some(function) = self.function {
            let handle = Handle::create(context);
            // SAFETY: given for this call.
            panics::contain("what is told of contexts", || unsafe {
                function(handle, status, message.as_ptr(), self.arg)
            });
            // SAFETY: made above.
            unsafe { Handle::<Arc<Context>>::release(handle) };
        }
        if let Err(failure) = over {
            self.failed += 1;
            let named = || Failure { message: format!("{name}: {}", failure.message).into(), ..failure };
            self.first.get_or_insert_with(named);
        }
    }

    fn end(self) -> Result<()> {
        let (failed, contexts) = (self.failed, self.contexts);
        self.first.map_or(Ok(()), |first| {
            Err(Failure { message: format!("{failed} of {contexts} failed, first {}", first.message).into(), ..first })
        })
    }
}

/// Waits for the end of all contexts that are out and have been executed, `timeout_ns` at most for all together; a failure
/// of one is no hindrance. fn(context, status, message, arg) is told of each, NULL: nobody. WEFT_OK: all went well.
/// Else the status of the first that failed, WEFT_TIMEOUT or WEFT_WOULD_BLOCK if that goes on. WEFT_INTERRUPTED,
/// WEFT_CANCELLED, WEFT_SHUTDOWN: possibly the caller's wait was ended; not all were told of. Contexts that are executed
/// meanwhile may be missed. Blocks as weft_context_wait does. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_pool_wait_all(
    pool: *mut weft_context_pool,
    timeout_ns: i64,
    r#fn: weft_context_told_fn,
    arg: *mut c_void,
) -> weft_status {
    boundary(|| {
        let mut teller = Teller::new(r#fn, arg);
        // SAFETY: a handle by contract.
        unsafe { get(pool)? }.wait_all(Deadline::after(timeout_ns), |context, over| teller.tell(context, over))?;
        teller.end()
    })
}

/// weft_context_terminate of all contexts that are out: all are asked to stop, and have `grace_ns` together. What is told of
/// each, and returned, is what that says. The pool stays open. Blocks as weft_context_terminate does. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_pool_terminate_all(
    pool: *mut weft_context_pool,
    grace_ns: i64,
    r#fn: weft_context_told_fn,
    arg: *mut c_void,
) -> weft_status {
    boundary(|| {
        let mut teller = Teller::new(r#fn, arg);
        // SAFETY: a handle by contract.
        unsafe { get(pool)? }.terminate_all(Deadline::after(grace_ns), |context, over| teller.tell(context, over))?;
        teller.end()
    })
}

/// Nobody gets a context or a place any more, and who waits for one is sent home: WEFT_CLOSED. What runs goes on. Again:
/// nothing. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_pool_close(pool: *mut weft_context_pool) {
    boundary_value((), || {
        // SAFETY: a handle by contract.
        unsafe { get(pool)? }.close();
        Ok(())
    });
}

/// What it has done so far, in *out, whose size the caller has set. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_pool_stats_get(
    pool: *const weft_context_pool,
    out: *mut weft_context_pool_stats,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle and a place by contract.
        let (pool, out) = unsafe { (get(pool)?, args::result_struct(out, "out")?) };
        let stats = pool.stats();
        // SAFETY: writable for its size by contract.
        unsafe {
            let size = out.cast::<usize>().read_unaligned();
            out.write_unaligned(weft_context_pool_stats {
                size,
                max: stats.max,
                active: stats.active,
                available: stats.max - stats.active,
                waiting: stats.waiting,
                peak: stats.peak,
                reserved: 0,
                out: stats.out,
                acquired: stats.acquired,
                reused: stats.reused,
                executed: stats.executed,
                failed: stats.failed,
            });
        }
        Ok(())
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_pool_retain(pool: *mut weft_context_pool) -> *mut weft_context_pool {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Owner>::retain(pool) }
}

/// One reference less. The last one closes the pool; its contexts stay, and what runs goes on. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_pool_release(pool: *mut weft_context_pool) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Owner>::release(pool) }
}
