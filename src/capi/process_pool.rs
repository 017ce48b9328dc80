//! Pools of worker processes.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::sync::{Arc, Weak};

use super::args::{self, invalid, may_create, place};
use super::boundary::boundary;
use super::cancel;
use super::future::{Value, get_future, new_handle};
use super::handle::{Handle, Noun};
use super::message;
use super::types::{weft_bytes, weft_cancel_token, weft_future, weft_process_pool, weft_status};
use crate::error::{Error, Failure, Result, Status};
use crate::future::{self, Future, Origin, Promise};
use crate::memory::Bytes;
use crate::platform::child::{self, Limit, Program};
use crate::process::birth::Birth;
use crate::process::pool::{Call, Stats};
use crate::process::restarts::Policy;
use crate::process::{Answer, Options, Pool};
use crate::sync::Deadline;
use crate::sync::cancel::{OnTrigger, Token};
use crate::{panics, scheduler, topology};

/// Forks the calling process: in the child, calls weft_after_fork, then weft_serve(fd, ...), and ends with _exit or
/// whatever the language has for it, never by returning; in the parent, returns the child's number. Less than 1: there
/// is no child; weft_error_set may say why. `fd` is the library's in the parent.
pub type weft_process_fork_fn = Option<unsafe extern "C-unwind" fn(fd: i32, arg: *mut c_void) -> i32>;

/// A limit on a resource of workers, as of setrlimit.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct weft_process_limit {
    /// RLIMIT_AS, RLIMIT_CPU and so on, from <sys/resource.h>.
    pub resource: i32,
    /// Not used.
    pub reserved: i32,
    /// What counts at first; UINT64_MAX: RLIM_INFINITY.
    pub soft: u64,
    /// How far a worker may raise it.
    pub hard: u64,
}

/// What a pool is made with. Fill in with weft_process_pool_options_init, then change what matters: argv or fork_fn has
/// to be set, and not both.
#[repr(C)]
pub struct weft_process_pool_options {
    /// sizeof(weft_process_pool_options).
    pub size: usize,
    /// For logs, errors and the names of threads; NULL: "pool". Copied.
    pub name: *const c_char,
    /// How many worker processes, 1 to 4096; 0: as many as weft_optimal_worker_count says of computing.
    pub workers: u32,
    /// How many calls a worker is given at a time, 1 to 65536: it runs them one after the other, and with more than one
    /// it need not wait for the next. init sets 1.
    pub window: u32,
    /// A program and its arguments, ended by NULL, copied: executed for each worker, it calls weft_serve(-1, ...). It may
    /// be this program again. argv[0] is looked for in PATH if it has no slash. Its signals are as by default.
    pub argv: *const *const c_char,
    /// The program's environment, ended by NULL, copied; NULL: that of this process, as it is now. Of the library's own
    /// are WEFT_LINK_FD and WEFT_POOL_PID.
    pub env: *const *const c_char,
    /// Where the program begins; NULL: where this process is then. Copied.
    pub directory: *const c_char,
    /// What the program is called in lists of processes: its argv[0], instead of argv[0] here. NULL: argv[0]. Copied.
    pub title: *const c_char,
    /// Added to the niceness of this process for programs; less than 0 needs the right to.
    pub nice: i32,
    /// Whether fork_fn may be called on threads of the library's. WEFT_ON: it is, and weft_process_pool_tend is not
    /// needed. WEFT_OFF (the default): only from weft_process_pool_tend.
    pub fork_anywhere: i32,
    /// Limits for programs, set before they get any call; NULL: none. Copied.
    pub limits: *const weft_process_limit,
    /// How many limits.
    pub limits_len: usize,
    /// Forks a worker. The host's memory is the worker's then. See weft_process_pool_tend.
    pub fork_fn: weft_process_fork_fn,
    /// For fork_fn.
    pub fork_arg: *mut c_void,
    /// How long a call may take, waiting included; it fails with WEFT_TIMEOUT then, and the worker that may have begun it
    /// is killed and replaced. init sets WEFT_FOREVER.
    pub call_timeout_ns: i64,
    /// How many calls may wait for a worker, beyond those that workers have; further ones are refused with WEFT_REJECTED.
    /// init sets SIZE_MAX: any number.
    pub max_waiting: usize,
    /// A worker leaves in good order after so many calls, and is replaced; 0: never. init sets 0.
    pub max_calls: u64,
    /// A worker that occupies more bytes of memory than this is replaced, between two calls if that is when it shows;
    /// one that is at work is looked at every 20 ms, and killed. 0: no limit. init sets 0. RLIMIT_AS is a limit that
    /// cannot be passed at all.
    pub max_rss: usize,
    /// How often a call may be begun. 1: a call whose worker dies after it has begun fails with WEFT_DIED. More: it is
    /// sent to another one, up to so many times in all; for handlers that may run twice. init sets 1.
    pub attempts: u32,
    /// So many workers of a seat in a row may die without having answered a call, within restart_window_ns; when one more
    /// does, the seat is given up. If all are, calls fail with WEFT_DIED; weft_process_pool_resize gives seats another
    /// chance. init sets 10; UINT32_MAX: no limit.
    pub restart_limit: u32,
    /// Not used.
    pub reserved: u32,
    /// See restart_limit. init sets a minute.
    pub restart_window_ns: i64,
    /// A worker that has answered calls is replaced at once; else after this time, and twice as long each time, ... init
    /// sets 10 ms.
    pub backoff_ns: i64,
    /// ... up to this. init sets 5 s.
    pub backoff_max_ns: i64,
    /// How long a worker may take until it serves, before it is killed. init sets a minute.
    pub start_timeout_ns: i64,
    /// How long a worker that is to leave may take before it gets SIGTERM, and again before SIGKILL. init sets 2 s.
    pub grace_ns: i64,
    /// Bytes of shared memory for each worker and direction, see weft_link_options; 0: 4 MiB.
    pub ring_size: usize,
    /// The longest call and answer, see weft_link_options; 0: 1 GiB.
    pub max_frame: usize,
}

impl args::SizePrefixed for weft_process_pool_options {
    fn defaults() -> Self {
        let defaults = Options::default();
        weft_process_pool_options {
            size: size_of::<Self>(),
            name: ptr::null(),
            workers: 0,
            window: 1,
            argv: ptr::null(),
            env: ptr::null(),
            directory: ptr::null(),
            title: ptr::null(),
            nice: 0,
            fork_anywhere: 0,
            limits: ptr::null(),
            limits_len: 0,
            fork_fn: None,
            fork_arg: ptr::null_mut(),
            call_timeout_ns: i64::MAX,
            max_waiting: usize::MAX,
            max_calls: 0,
            max_rss: 0,
            attempts: 1,
            restart_limit: defaults.restarts.limit,
            reserved: 0,
            restart_window_ns: defaults.restarts.window_ns,
            backoff_ns: defaults.restarts.pause_ns,
            backoff_max_ns: defaults.restarts.most_ns,
            start_timeout_ns: defaults.start_ns,
            grace_ns: defaults.grace_ns,
            ring_size: 0,
            max_frame: 0,
        }
    }
}

/// How one call is made. Fill in with weft_process_call_options_init.
#[repr(C)]
pub struct weft_process_call_options {
    /// sizeof(weft_process_call_options).
    pub size: usize,
    /// How long it may take, see weft_process_pool_options.call_timeout_ns; 0: as the pool says.
    pub timeout_ns: i64,
    /// Asks it to stop when it is triggered, as weft_future_cancel does; NULL: none.
    pub cancel: *mut weft_cancel_token,
    /// How often it may be begun; 0: as the pool says.
    pub attempts: u32,
    /// Not used.
    pub reserved: u32,
}

impl args::SizePrefixed for weft_process_call_options {
    fn defaults() -> Self {
        let size = size_of::<Self>();
        weft_process_call_options { size, timeout_ns: 0, cancel: ptr::null_mut(), attempts: 0, reserved: 0 }
    }
}

/// What has come of a pool so far.
#[repr(C)]
pub struct weft_process_pool_stats {
    /// Set by the caller: sizeof(weft_process_pool_stats).
    pub size: usize,
    /// Workers that there should be.
    pub workers: usize,
    /// Workers that serve.
    pub ready: usize,
    /// Calls that wait for a worker.
    pub waiting: usize,
    /// Calls that workers have.
    pub outstanding: usize,
    /// Calls that were accepted: each is, or will be, one of the next seven.
    pub calls: u64,
    /// Calls that were answered with a result.
    pub succeeded: u64,
    /// Calls that were answered with a failure, by their handlers.
    pub failed: u64,
    /// Calls that have lost their worker, or for which there was none.
    pub died: u64,
    /// Calls that were not answered in time.
    pub timed_out: u64,
    /// Calls that were asked to stop before they had begun.
    pub cancelled: u64,
    /// Calls that were open when the pool ended.
    pub closed: u64,
    /// Calls for which there was no memory, or whose answer was too large.
    pub refused: u64,
    /// How often calls were sent again, after the death of a worker.
    pub sent_again: u64,
    /// Answers that came when the call was over.
    pub late: u64,
    /// Worker processes that were made.
    pub born: u64,
    /// Worker processes that ended without having been told to.
    pub deaths: u64,
    /// Worker processes that left as they were told to.
    pub left: u64,
    /// Bytes of memory that workers occupied when they said so last, once a second if they have calls.
    pub resident: u64,
}

/// Settles a call's future.
pub struct Settle(pub(super) Promise<Value>);

unsafe extern "C-unwind" fn release_bytes(_ctx: *mut c_void, value: *mut c_void) {
    // SAFETY: the future's own reference.
    unsafe { Handle::<Bytes>::release(value.cast()) };
}

impl Answer for Settle {
    fn answer(self, outcome: Result<Bytes, Error>) {
        let value = |bytes: Bytes| Value::new(Handle::create(bytes).cast(), Some(release_bytes), ptr::null_mut());
        let _ = self.0.settle(outcome.map(value));
    }
}

/// A call, as its future and its token know it.
struct Made {
    pool: Weak<Pool<Settle>>,
    call: Arc<Call<Settle>>,
}

impl Made {
    fn stop(&self) {
        self.pool.upgrade().iter().for_each(|pool| pool.stop(&self.call));
    }
}

impl Origin<Value> for Made {
    fn cancel(self: Arc<Self>, _more: &mut Vec<Future<Value>>) {
        self.stop();
    }

    fn attempts(&self) -> u32 {
        self.call.attempts()
    }
}

impl OnTrigger for Made {
    fn triggered(&self) {
        self.stop();
    }
}

/// The pool behind a handle, which ends with its last reference.
pub struct Held(Arc<Pool<Settle>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

impl Noun for Held {
    type Opaque = weft_process_pool;
    const TAG: u32 = u32::from_le_bytes(*b"Wppl");
    const NAME: &'static str = "process pool";

    fn abandoned(&self) {
        self.0.abandon();
    }
}

pub(super) unsafe fn get<'a>(pool: *const weft_process_pool) -> Result<&'a Arc<Pool<Settle>>> {
    // SAFETY: the caller's contract.
    unsafe { Ok(&Handle::<Held>::get(pool, "pool")?.0) }
}

/// Fills in the defaults. `size` is sizeof *options as the caller knows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_pool_options_init(
    options: *mut weft_process_pool_options,
    size: usize,
) -> weft_status {
    // SAFETY: writable for `size` bytes by contract.
    boundary(|| unsafe { args::init(options, size) })
}

/// Fills in the defaults. `size` is sizeof *options as the caller knows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_call_options_init(
    options: *mut weft_process_call_options,
    size: usize,
) -> weft_status {
    // SAFETY: writable for `size` bytes by contract.
    boundary(|| unsafe { args::init(options, size) })
}

/// Strings ended by NULL, copied.
unsafe fn strings(mut array: *const *const c_char) -> Vec<CString> {
    let mut copies = Vec::new();
    // SAFETY: an array of strings that NULL ends, by contract.
    unsafe {
        while let Some(copy) = args::name(*array) {
            copies.push(copy);
            array = array.add(1);
        }
    }
    copies
}

fn range<T: PartialOrd + std::fmt::Display>(value: T, least: T, most: T, name: &str) -> Result<T> {
    if value < least || value > most {
        return Err(invalid(format!("options->{name}: {value} is not {least} to {most}")));
    }
    Ok(value)
}

impl weft_process_pool_options {
    fn read(&self) -> Result<Options> {
        let defaults = Options::default();
        // SAFETY: a C string by contract.
        let name = unsafe { args::name(self.name) };
        let workers = match self.workers {
            0 => topology::usable_cpus(scheduler::allowed().as_ref()).clamp(1, 4096),
            workers => range(workers, 1, 4096, "workers")?,
        };
        let or_max = |number: usize| if number == 0 { usize::MAX } else { number };
        let time = |ns: i64, name| range(ns, 0, i64::MAX, name);
        let mut link = defaults.link;
        if self.ring_size != 0 {
            link.ring = self.ring_size;
        }
        if self.max_frame != 0 {
            link.max = self.max_frame as u64;
        }
        Ok(Options {
            name: name.map_or(defaults.name, |name| name.to_string_lossy().into_owned()),
            workers: workers as usize,
            window: range(self.window, 1, 65536, "window")? as usize,
            queue: self.max_waiting,
            timeout_ns: range(self.call_timeout_ns, 1, i64::MAX, "call_timeout_ns")?,
            most_attempts: range(self.attempts, 1, 1 << 20, "attempts")?,
            most_calls: if self.max_calls == 0 { u64::MAX } else { self.max_calls },
            most_resident: or_max(self.max_rss),
            restarts: Policy {
                limit: self.restart_limit,
                window_ns: time(self.restart_window_ns, "restart_window_ns")?,
                pause_ns: time(self.backoff_ns, "backoff_ns")?,
                most_ns: time(self.backoff_max_ns, "backoff_max_ns")?,
            },
            start_ns: range(self.start_timeout_ns, 1, i64::MAX, "start_timeout_ns")?,
            grace_ns: time(self.grace_ns, "grace_ns")?,
            link,
        })
    }

    /// # Safety
    /// The contract of weft_process_pool_new.
    unsafe fn birth(&self) -> Result<Birth> {
        let anywhere = args::flag(self.fork_anywhere, false, "fork_anywhere")?;
        match (self.argv.is_null(), self.fork_fn) {
            (true, None) => Err(invalid("options: neither argv nor fork_fn is set".into())),
            (false, Some(_)) => Err(invalid("options: both argv and fork_fn are set".into())),
            // SAFETY: promised by the caller.
            (false, None) => unsafe { self.program().map(Birth::Program) },
            (true, Some(function)) => {
                let arg = Arg(self.fork_arg);
                let fork = Box::new(move |fd| fork(function, &arg, fd));
                Ok(Birth::Fork { fork, anywhere })
            }
        }
    }

    /// # Safety
    /// As above.
    unsafe fn program(&self) -> Result<Program> {
        // SAFETY: arrays and strings by contract.
        unsafe {
            let mut argv = strings(self.argv);
            let Some(file) = argv.first().cloned().filter(|file| !file.is_empty()) else {
                return Err(invalid("options->argv is empty".into()));
            };
            if let Some(title) = args::name(self.title) {
                argv[0] = title;
            }
            let env = if self.env.is_null() { child::environment() } else { strings(self.env) };
            let limits = match self.limits_len {
                0 => &[],
                len => args::array(self.limits, len, "options->limits")?,
            };
            let limit =
                |limit: &weft_process_limit| Limit { resource: limit.resource, soft: limit.soft, hard: limit.hard };
            Ok(Program {
                file,
                argv,
                env,
                directory: args::name(self.directory),
                nice: range(self.nice, -40, 40, "nice")?,
                limits: limits.iter().map(limit).collect(),
            })
        }
    }
}

/// The argument of a fork function.
struct Arg(*mut c_void);

// SAFETY: whoever gives it promises that the function may be called on the threads that the options say.
unsafe impl Send for Arg {}
// SAFETY: as above.
unsafe impl Sync for Arg {}

fn fork(function: unsafe extern "C-unwind" fn(i32, *mut c_void) -> i32, arg: &Arg, fd: i32) -> Result<i32> {
    let stamp = message::stamp();
    // SAFETY: given for calls with these arguments.
    let pid = panics::catch(&"the fork function of a process pool", || unsafe { function(fd, arg.0) })
        .map_err(|panic| Failure::with(Status::Panic, panic))?;
    if pid > 0 {
        return Ok(pid);
    }
    let text = message::since(stamp).unwrap_or_else(|| "the fork function has made no process".into());
    Err(Failure::with(Status::Failed, text))
}

/// A pool of worker processes that answer calls, each with its own memory: what a handler does to its process (a crash,
/// a leak, an endless loop) costs the call that it was at. A worker that dies is replaced. Returns before the workers
/// run; calls wait for them. Children of the library's are reaped by it alone: a program that reaps all children
/// (waitpid(-1), SIGCHLD ignored) takes away how they ended. Each worker has a thread here, which sleeps. WEFT_INVALID;
/// WEFT_OS: no thread for one. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_pool_new(
    options: *const weft_process_pool_options,
    out: *mut *mut weft_process_pool,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        // SAFETY: options by contract.
        let (birth, options) = unsafe {
            let options = args::options(options)?;
            (options.birth()?, options.read()?)
        };
        may_create()?;
        let pool = Pool::new(options, birth)?;
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(Held(pool)) };
        Ok(())
    })
}

/// Has a worker answer a call. *out is the future of a weft_bytes, whose reference is the future's (weft_future_get) or
/// goes to who takes it (weft_future_take). `data` is copied or sent before this returns; NULL if `len` is 0. The call
/// goes to the worker with the fewest, by the calling thread, or waits until one has room. The future fails with
///   the handler's status, message, backtrace and payload, from "process 4711";
///   WEFT_DIED: its worker has died after it may have begun (weft_error_text says of what: a signal, an exit, the pool's
///     own limits; weft_error_origin: "process 4711, signal 9"), or there will be no worker;
///   WEFT_PROTOCOL: its worker has sent nonsense;
///   WEFT_TIMEOUT: it has taken too long; a worker that may have begun it is killed;
///   WEFT_CANCELLED: it was asked to stop before it had been sent, or the worker says so. One that has been sent settles
///     when its worker has answered: weft_serve_cancelled tells the handler;
///   WEFT_SHUTDOWN: the pool has ended.
/// It is settled once. NULL options: the pool's. WEFT_CLOSED: the pool drains; WEFT_REJECTED: max_waiting; WEFT_DIED: all
/// seats are given up; WEFT_TOO_LARGE: longer than max_frame. Does not wait for workers. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_pool_call(
    pool: *mut weft_process_pool,
    data: *const c_void,
    len: usize,
    options: *const weft_process_call_options,
    out: *mut *mut weft_future,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle, options and data by contract.
        let (pool, options, out, data) = unsafe {
            let data = if len == 0 { &[] } else { args::array(data.cast::<u8>(), len, "data")? };
            (get(pool)?, args::options(options)?, place(out, "out")?, data)
        };
        let timeout = match options.timeout_ns {
            0 => None,
            ns => Some(range(ns, 1, i64::MAX, "timeout_ns")?),
        };
        let attempts = match options.attempts {
            0 => None,
            attempts => Some(range(attempts, 1, 1 << 20, "attempts")?),
        };
        // SAFETY: a handle by contract.
        let token = unsafe { cancel::optional(options.cancel, "options->cancel")? };
        let (promise, future) = future::channel();
        let call = pool.prepare(attempts, Settle(promise));
        let made = Arc::new(Made { pool: Arc::downgrade(pool), call: call.clone() });
        let future = future.with_origin(made.clone());
        if token.is_some_and(Token::is_triggered) {
            // Noted before the call is made: it is not sent.
            let _ = call.stop();
        }
        pool.call(&call, data, timeout)?;
        if let Some(token) = token {
            watch(token, &made);
        }
        // SAFETY: writable by contract.
        unsafe { *out = new_handle(future) };
        Ok(())
    })
}

/// Has the token stop the call, also when nobody has its future any more.
fn watch(token: &Token, made: &Arc<Made>) {
    made.call.keep(Box::new(made.clone()));
    token.tell(Arc::downgrade(made) as Weak<dyn OnTrigger>);
}

/// How often the call behind a future has been begun so far, as far as is known: more than once only if it may be
/// (weft_process_pool_options.attempts). 0: it has not been sent, the future is of something else, or none. Never
/// blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_call_attempts(future: *const weft_future) -> u32 {
    super::boundary::boundary_value(0, || {
        // SAFETY: a handle by contract.
        Ok(unsafe { get_future(future, "future")? }.origin().map_or(0, |origin| origin.attempts()))
    })
}

/// Waits until a worker is due and has fork_fn make it, here, on the calling thread: for hosts whose threads are not to
/// be anybody's. One worker, then it returns; call it over and over, on a thread that stays: a worker
/// is killed when the thread ends that has forked it. WEFT_FAILED: fork_fn has made none; it is asked again after a pause. WEFT_CLOSED: the
/// pool ends. WEFT_UNSUPPORTED: its workers are programs. WEFT_TIMEOUT, WEFT_WOULD_BLOCK, WEFT_INTERRUPTED,
/// WEFT_CANCELLED: none was due. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_pool_tend(pool: *mut weft_process_pool, timeout_ns: i64) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract. Its own reference: the pool may be released meanwhile.
        let pool = unsafe { get(pool)? }.clone();
        pool.tend(Deadline::after(timeout_ns))
    })
}

/// Changes how many workers there are, 1 to 4096, while they run. Those that are too many finish what they have been
/// given, and leave. Seats that had been given up get another chance. WEFT_CLOSED: the pool ends. WEFT_OS: no thread for
/// all of them. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_pool_resize(pool: *mut weft_process_pool, workers: u32) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let pool = unsafe { get(pool)? };
        if !(1..=4096).contains(&workers) {
            return Err(invalid(format!("workers: {workers} is not 1 to 4096")));
        }
        pool.resize(workers as usize)
    })
}

/// Ends the pool: from now on it accepts no calls. Those that it has are finished, for at most this time; then the rest
/// fails with WEFT_SHUTDOWN. Workers that have nothing to do are told to leave; one that does not gets SIGTERM after
/// grace_ns, and SIGKILL after that time again; once the time is over, SIGTERM at once. Returns when all of them have
/// gone and been reaped: WEFT_OK; WEFT_TIMEOUT or WEFT_WOULD_BLOCK: calls were open when the time was over; WEFT_DEADLOCK: called from a callback that one of the pool's threads runs; or
/// WEFT_INTERRUPTED, WEFT_CANCELLED: the wait has been given up, and the rest goes on without. Again: waits again. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_pool_drain(pool: *mut weft_process_pool, timeout_ns: i64) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract. Its own reference: the pool may be released meanwhile.
        let pool = unsafe { get(pool)? }.clone();
        pool.drain(Deadline::after(timeout_ns))
    })
}

/// What has come of the pool so far, in *out, whose size the caller has set. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_pool_stats_get(
    pool: *mut weft_process_pool,
    out: *mut weft_process_pool_stats,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle and a place by contract.
        let (pool, out) = unsafe { (get(pool)?, args::result_struct(out, "out")?) };
        let stats: Stats = pool.stats();
        // SAFETY: writable for its size by contract.
        unsafe {
            let size = out.cast::<usize>().read_unaligned();
            out.write_unaligned(weft_process_pool_stats {
                size,
                workers: stats.workers,
                ready: stats.ready,
                waiting: stats.waiting,
                outstanding: stats.outstanding,
                calls: stats.calls,
                succeeded: stats.succeeded,
                failed: stats.failed,
                died: stats.died,
                timed_out: stats.timed_out,
                cancelled: stats.cancelled,
                closed: stats.closed,
                refused: stats.refused,
                sent_again: stats.again,
                late: stats.late,
                born: stats.born,
                deaths: stats.deaths,
                left: stats.recycled,
                resident: stats.resident,
            });
        }
        Ok(())
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_pool_retain(pool: *mut weft_process_pool) -> *mut weft_process_pool {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Held>::retain(pool) }
}

/// One reference less. The last one ends the pool as weft_process_pool_drain does with timeout 0, and does not wait for
/// it: calls that are open fail with WEFT_SHUTDOWN, workers are ended and reaped by the pool's threads. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_pool_release(pool: *mut weft_process_pool) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Held>::release(pool) }
}

const _: () = assert!(size_of::<*mut weft_bytes>() == size_of::<*mut c_void>());
