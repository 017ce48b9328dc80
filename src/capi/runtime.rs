//! The runtime.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use super::args::{self, check_header, invalid, may_create, place};
use super::boundary::{boundary, boundary_value};
use super::handle::Handle;
use super::kinds;
use super::types::{weft_runtime, weft_status, weft_topology, weft_worker};
use crate::error::{Failure, Result, Status};
use crate::scheduler::{self, Core, Mode, Options, Policy, RUNTIME_TAG, Runtime, Stall, StallHook, Worker, WorkerHook};
use crate::sync::Deadline;
use crate::topology::Topology;

/// Called on each worker thread, before its first or after its last task.
pub type weft_worker_hook_fn = Option<unsafe extern "C-unwind" fn(worker: *mut weft_worker, arg: *mut c_void)>;

/// A stall: work is queued, and every thread is blocked inside a task, with none to be had. It lasts until one of them
/// goes on. The numbers are from when it began. Valid during the callback.
#[repr(C)]
pub struct weft_stall {
    /// sizeof(weft_stall) in the library; later versions append members.
    pub size: usize,
    /// The how-manieth of its runtime, from 1. A callback that takes long is told only the latest of those it missed.
    pub number: u64,
    /// The runtime. Retain it to keep it.
    pub runtime: *mut weft_runtime,
    /// Threads there are.
    pub threads: u32,
    /// Of these, threads that are blocked inside a task.
    pub blocked: u32,
    /// Threads there may be.
    pub max_threads: u32,
    /// 0.
    pub reserved: u32,
    /// Tasks that nobody can run.
    pub queued: u64,
    /// The same for people.
    pub message: *const c_char,
}

/// Called when a stall begins: once, until a blocked thread goes on. It runs on a thread of its own, "weft-stall", one
/// call at a time, and holds up nobody but weft_runtime_shutdown, which waits for it. It may call every function of
/// Weft: send what the tasks wait for, close the channel, shut the runtime down.
pub type weft_stall_fn = Option<unsafe extern "C-unwind" fn(stall: *const weft_stall, arg: *mut c_void)>;

/// How to make a runtime. Fill in with weft_runtime_options_init, then change what matters.
#[repr(C)]
pub struct weft_runtime_options {
    /// sizeof(weft_runtime_options).
    pub size: usize,
    /// Thread-name prefix; NULL: "weft". Copied. The system shows 15 bytes, of which the thread's number takes some.
    pub name: *const c_char,
    /// Threads that run at once; 0: as many as weft_optimal_worker_count says of the calling thread for WEFT_LOAD_CPU,
    /// or the CPUs of `topology`. At most 4096.
    pub workers: i32,
    /// Threads in all, those blocked inside a task included; 0: 256, or `workers` if that is more. At most 16383. When
    /// all of them are blocked, queued work waits until one goes on: a stall. The log, the statistics and on_stall tell
    /// at once.
    pub max_threads: i32,
    /// Bytes of stack for each thread; 0: 2 MiB. Below 64 KiB: WEFT_INVALID. A task has three quarters of it at least:
    /// on the rest there may be tasks that wait for it.
    pub stack_size: usize,
    /// How long a spare thread sleeps before it leaves; 0: one second; WEFT_FOREVER: it stays.
    pub keep_alive_ns: i64,
    /// A WEFT_PLACEMENT_ constant: whether each thread is bound to a CPU, and to which. Spare threads share the CPUs of
    /// the first `workers`, so that blocking tasks may meet on one. What a bound thread starts (threads, processes)
    /// inherits its CPU.
    pub placement: i32,
    /// The machine that `workers` 0 counts and `placement` goes by; NULL: this one. Copied. One that was made by
    /// weft_topology_from_string decides the order of theft, but its CPUs are not here: no thread is bound.
    pub topology: *mut weft_topology,
    /// Called first on each worker thread; NULL: nothing.
    pub on_worker_start: weft_worker_hook_fn,
    /// Called last on each worker thread; NULL: nothing.
    pub on_worker_stop: weft_worker_hook_fn,
    /// Handed to all three.
    pub hook_arg: *mut c_void,
    /// A WEFT_KIND_ constant: whose threads run the tasks. SINGLE has one worker, HOSTED has `workers` seats; both have
    /// no thread of their own, so max_threads is 0 or the same, placement is NONE, and stack_size and keep_alive_ns say
    /// nothing.
    pub kind: i32,
    /// Called when work is queued and every thread blocked; NULL: nothing, and no thread is started for it.
    pub on_stall: weft_stall_fn,
}

impl args::SizePrefixed for weft_runtime_options {
    fn defaults() -> Self {
        weft_runtime_options {
            size: size_of::<Self>(),
            name: std::ptr::null(),
            workers: 0,
            max_threads: 0,
            stack_size: 0,
            keep_alive_ns: 0,
            placement: WEFT_PLACEMENT_NONE,
            topology: std::ptr::null_mut(),
            on_worker_start: None,
            on_worker_stop: None,
            hook_arg: std::ptr::null_mut(),
            kind: kinds::WEFT_KIND_MULTI,
            on_stall: None,
        }
    }
}

/// Threads run where the system puts them, among the CPUs that the thread which makes the runtime (for the default
/// runtime, uses it first) may run on at that time: its affinity mask, or if that is a thread that its runtime has
/// bound, the CPUs of that runtime. Who starts a thread later, and where that one is bound, does not matter. A thread's
/// mask is seen to before on_worker_start, and may be changed from there on.
pub const WEFT_PLACEMENT_NONE: i32 = 0;
/// Threads are bound to CPUs side by side: all cores of a cache and a node before those of the next, and SMT siblings
/// only when every core has a thread. Good for tasks that share data.
pub const WEFT_PLACEMENT_COMPACT: i32 = 1;
/// Threads are bound to CPUs far apart: nodes in turn, then caches, SMT siblings last. Good for tasks that need memory
/// bandwidth.
pub const WEFT_PLACEMENT_SCATTER: i32 = 2;

/// Run everything that is queued, and what that spawns, then end.
pub const WEFT_SHUTDOWN_DRAIN: i32 = 0;
/// Drop queued tasks that have an arg_drop; run those that have none, then end.
pub const WEFT_SHUTDOWN_DISCARD: i32 = 1;

/// What waits, or has waited, at one priority. In lanes are tasks with a priority or a node, and those that a thread
/// leaves to others when it blocks; most tasks of normal priority never see one.
#[repr(C)]
pub struct weft_lane_stats {
    /// Tasks in the lanes now.
    pub queued: u64,
    /// The most there have been; of several nodes' lanes, the sum of each one's most.
    pub peak: u64,
    /// Tasks taken out so far.
    pub taken: u64,
    /// Nanoseconds that all these have waited together, and those that still wait. Over `taken`: about what one waits.
    pub waited_ns: u64,
}

/// What a runtime has done so far.
#[repr(C)]
pub struct weft_runtime_stats {
    /// Set by the caller: sizeof(weft_runtime_stats).
    pub size: usize,
    /// Threads that run at once.
    pub workers: u32,
    /// Threads there are.
    pub threads: u32,
    /// The most there have been.
    pub threads_peak: u32,
    /// Threads that run a task or look for one.
    pub active: u32,
    /// Threads asleep.
    pub idle: u32,
    /// Threads that wait inside a task.
    pub blocked: u32,
    /// Tasks accepted; those with weft_spawn_options.after once their futures are settled.
    pub spawned: u64,
    /// Tasks run to the end, panicked ones included.
    pub executed: u64,
    /// Tasks dropped unrun, by a shutdown or because they were cancelled.
    pub discarded: u64,
    /// Callbacks that ended in a Rust panic.
    pub panicked: u64,
    /// Times halves of joins were made visible to other threads: one had asked, or their owner blocked.
    pub shared: u64,
    /// Tasks taken from the thread's own queue.
    pub local_hits: u64,
    /// Thefts: tasks and join halves taken from another thread.
    pub steals: u64,
    /// Of these, thefts from a thread on another NUMA node. Only with a placement.
    pub remote_steals: u64,
    /// Sweeps over all other threads that found nothing.
    pub failed_steals: u64,
    /// Times a worker went to sleep.
    pub parks: u64,
    /// Times a sleeping worker was woken.
    pub wakes: u64,
    /// Times a thread waited inside a task and passed its turn on.
    pub blocks: u64,
    /// Nanoseconds that threads spent with tasks; waiting inside a task is not counted. What is under way counts up to
    /// now, in these three; they may fall back by the moment that a thread takes to note a change.
    pub busy_ns: u64,
    /// Nanoseconds that threads spent looking for work, or asleep.
    pub idle_ns: u64,
    /// Nanoseconds that threads spent waiting inside a task.
    pub blocked_ns: u64,
    /// Times max_threads kept work from starting.
    pub ceiling_hits: u64,
    /// Threads started beyond `workers`, because others waited inside their tasks.
    pub spares_started: u64,
    /// Threads that left again, because they were too many for keep_alive_ns.
    pub spares_retired: u64,
    /// Threads that the system refused.
    pub start_failures: u64,
    /// Times that the system refused to bind a thread to its CPU.
    pub pin_failures: u64,
    /// Times that work was queued and every thread blocked inside a task, with none to be had: see weft_stall.
    pub stalls: u64,
    /// Threads that failed between two tasks, by a defect of Weft's, and were replaced. Nothing was lost with them.
    pub replaced: u64,
    /// Tasks that wait now, wherever, but for those that are bound to a thread (WEFT_HINT_NOT_STEALABLE) or wait for
    /// futures (weft_spawn_options.after).
    pub queued: u64,
    /// The lanes of each priority, from the lowest: that of WEFT_PRIORITY_HIGH is lanes[WEFT_PRIORITY_HIGH -
    /// WEFT_PRIORITY_LOW].
    pub lanes: [weft_lane_stats; 4],
}

/// What one worker has done so far. Members mean what they mean in weft_runtime_stats.
#[repr(C)]
pub struct weft_worker_stats {
    /// Set by the caller: sizeof(weft_worker_stats).
    pub size: usize,
    /// The CPU that its thread is bound to, by the system's number; -1: none.
    pub cpu: i32,
    /// The NUMA node of its place, as in weft_topology_cpu; 0 without a placement.
    pub node: u32,
    /// Tasks that its own tasks spawned. Those from outside are nobody's.
    pub spawned: u64,
    /// Tasks run to the end.
    pub executed: u64,
    /// Tasks dropped unrun.
    pub discarded: u64,
    /// Callbacks that ended in a Rust panic.
    pub panicked: u64,
    /// Times it made halves of joins visible to other threads.
    pub shared: u64,
    /// Tasks taken from its own queue.
    pub local_hits: u64,
    /// Thefts from other threads.
    pub steals: u64,
    /// Of these, from threads on another NUMA node.
    pub remote_steals: u64,
    /// Sweeps over all other threads that found nothing.
    pub failed_steals: u64,
    /// Times it went to sleep.
    pub parks: u64,
    /// Times it was woken.
    pub wakes: u64,
    /// Times it waited inside a task and passed its turn on.
    pub blocks: u64,
    /// Nanoseconds spent with tasks.
    pub busy_ns: u64,
    /// Nanoseconds spent looking for work, or asleep.
    pub idle_ns: u64,
    /// Nanoseconds spent waiting inside a task.
    pub blocked_ns: u64,
}

/// Fills in the defaults. `size` is sizeof *options as the caller knows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_options_init(options: *mut weft_runtime_options, size: usize) -> weft_status {
    // SAFETY: writable for `size` bytes by contract.
    boundary(|| unsafe { args::init(options, size) })
}

struct Hook {
    function: unsafe extern "C-unwind" fn(*mut weft_worker, *mut c_void),
    arg: *mut c_void,
}

// SAFETY: whoever gives a hook promises that it may be called with its argument on each worker thread.
unsafe impl Send for Hook {}
// SAFETY: as above.
unsafe impl Sync for Hook {}

impl Hook {
    fn call(&self, worker: &Worker) {
        // SAFETY: as promised; the worker is this thread's.
        unsafe { (self.function)(as_opaque(worker), self.arg) }
    }

    fn wrap(function: weft_worker_hook_fn, arg: *mut c_void) -> Option<WorkerHook> {
        let hook = Hook { function: function?, arg };
        Some(Arc::new(move |worker: &Worker| hook.call(worker)))
    }
}

fn wrap_stall(function: weft_stall_fn, arg: *mut c_void) -> Option<StallHook> {
    struct Call(unsafe extern "C-unwind" fn(*const weft_stall, *mut c_void), *mut c_void);
    // SAFETY: whoever gives a callback promises that it may be called with its argument on the hook's thread.
    unsafe impl Send for Call {}
    // SAFETY: as above.
    unsafe impl Sync for Call {}
    let call = Call(function?, arg);
    Some(Arc::new(move |core: &Core, stall: &Stall| {
        let Call(function, arg) = &call;
        let stall = weft_stall {
            size: size_of::<weft_stall>(),
            number: stall.number,
            runtime: std::ptr::from_ref(core).cast_mut().cast(),
            threads: stall.threads,
            blocked: stall.blocked,
            max_threads: stall.max_threads,
            reserved: 0,
            queued: stall.queued,
            message: stall.message.as_ptr(),
        };
        // SAFETY: as promised; the struct is alive during the call.
        unsafe { function(&stall, *arg) }
    }))
}

/// A worker as C sees it: the position from which it may fork.
pub(super) fn as_opaque(worker: &Worker) -> *mut weft_worker {
    worker.region().head().cast()
}

unsafe fn read_options(options: *const weft_runtime_options) -> Result<Options> {
    // SAFETY: options, strings and handles by contract.
    unsafe {
        let options = args::options(options)?;
        let count = |number: i32, name: &str| {
            u32::try_from(number).map_err(|_| invalid(format!("{name}: {number} is negative")))
        };
        let topology = if options.topology.is_null() {
            None
        } else {
            Some(Handle::<Topology>::get(options.topology, "topology")?.clone())
        };
        let placement = match options.placement {
            WEFT_PLACEMENT_NONE => Policy::None,
            WEFT_PLACEMENT_COMPACT => Policy::Compact,
            WEFT_PLACEMENT_SCATTER => Policy::Scatter,
            other => return Err(invalid(format!("placement: {other} is none"))),
        };
        Ok(Options {
            kind: kinds::kind(&options)?,
            name: args::name(options.name).map(|name| name.to_string_lossy().into_owned()),
            workers: count(options.workers, "workers")?,
            max_threads: count(options.max_threads, "max_threads")?,
            stack_size: options.stack_size,
            keep_alive_ns: options.keep_alive_ns,
            placement,
            topology,
            on_start: Hook::wrap(options.on_worker_start, options.hook_arg),
            on_stop: Hook::wrap(options.on_worker_stop, options.hook_arg),
            on_stall: wrap_stall(options.on_stall, options.hook_arg),
        })
    }
}

/// Makes a runtime. One with threads of its own starts with one; others start when there is work for them. NULL
/// options: the defaults. End it with weft_runtime_shutdown, or leave that to the last release. WEFT_INVALID: an option
/// is out of range. WEFT_OS: the system refuses a thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_new(
    options: *const weft_runtime_options,
    out: *mut *mut weft_runtime,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        // SAFETY: options by contract.
        let options = unsafe { read_options(options)? };
        may_create()?;
        let runtime = Runtime::new(options)?;
        // SAFETY: writable by contract.
        unsafe { *out = runtime.into_raw().cast_mut().cast() };
        Ok(())
    })
}

/// Sets the options of the default runtime, the one that NULL stands for outside any task. It starts on its first use
/// and is shut down (DISCARD) when the process exits normally, before static destructors of objects made earlier run;
/// the exit waits up to one second for its running tasks, and from then on NULL gives WEFT_SHUTDOWN. WEFT_BUSY once it
/// runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_configure_default(options: *const weft_runtime_options) -> weft_status {
    boundary(|| {
        // SAFETY: options by contract.
        let options = unsafe { read_options(options)? };
        may_create()?;
        scheduler::configure_default(options)
    })
}

/// The runtime behind a handle that is not NULL.
unsafe fn get<'a>(runtime: *const weft_runtime) -> Result<&'a Core> {
    // SAFETY: a handle by contract, checked to be a runtime.
    unsafe {
        check_header(runtime.cast(), RUNTIME_TAG, "runtime", "runtime")?;
        Ok(&*runtime.cast())
    }
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_retain(runtime: *mut weft_runtime) -> *mut weft_runtime {
    boundary_value(std::ptr::null_mut(), || {
        if !runtime.is_null() {
            // SAFETY: a handle by contract.
            unsafe { get(runtime)? }.retain().into_raw();
        }
        Ok(runtime)
    })
}

/// One reference less. The last one without a shutdown begins one (DISCARD) and leaves it to the worker threads. Never
/// blocks, but where there are none (SINGLE, HOSTED) and no guest either: then the calling thread does what is left,
/// which is to drop the queued tasks that have an arg_drop, and to run the others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_release(runtime: *mut weft_runtime) {
    boundary_value((), || {
        if !runtime.is_null() {
            // SAFETY: a handle by contract; the caller's reference is given up.
            unsafe {
                get(runtime)?;
                drop(Runtime::from_raw(runtime.cast()));
            }
        }
        Ok(())
    });
}

/// Ends a runtime: WEFT_OK once all its threads have gone. From now on work from outside is refused (WEFT_SHUTDOWN); by
/// DISCARD, work from tasks, too. Tasks that have begun run to their end, blocked ones included; DISCARD wakes these,
/// their waits return WEFT_SHUTDOWN. When the time is up (WEFT_TIMEOUT, or WEFT_WOULD_BLOCK for 0), the end goes on by
/// itself, and can be waited for by another call. Calling it again, or from several threads, is fine; DISCARD after
/// DRAIN hurries it. From one of the runtime's own tasks only a timeout of 0 makes sense, any other gives WEFT_DEADLOCK
/// and begins nothing. Runtime NULL ends the default runtime, if it runs; a later use starts a new one. A SINGLE or
/// HOSTED runtime's tasks that are left are run (or dropped) by the guests that are inside, and by the calling thread
/// where a seat is free; it looks at the time between tasks. When that is up, or was 0, the end goes on with whoever
/// runs it, lends to it or shuts it down next. WEFT_CANCELLED, WEFT_INTERRUPTED: the wait has ended, the end goes on.
/// Ended default runtimes keep about 10 KiB each until the process ends, and for each thread that submitted thousands
/// of tasks up to 150 KiB. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_shutdown(runtime: *mut weft_runtime, mode: i32, timeout_ns: i64) -> weft_status {
    boundary(|| {
        let mode = match mode {
            WEFT_SHUTDOWN_DRAIN => Mode::Drain,
            WEFT_SHUTDOWN_DISCARD => Mode::Discard,
            _ => return Err(invalid(format!("mode: {mode} is none"))),
        };
        let deadline = Deadline::after(timeout_ns);
        if runtime.is_null() && Worker::current().is_none() {
            may_create()?;
            return scheduler::shutdown_default(mode, deadline);
        }
        // SAFETY: a handle by contract.
        unsafe { args::runtime(runtime)? }.shutdown(mode, deadline)
    })
}

/// How many threads run at once, or can (HOSTED); -1 on a bad handle. NULL starts the default runtime if need be.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_workers(runtime: *mut weft_runtime) -> i32 {
    // SAFETY: a handle by contract.
    boundary_value(-1, || Ok(unsafe { args::runtime(runtime)? }.workers() as i32))
}

/// What a runtime has done so far. Set out->size first. Numbers of different threads are not from exactly the same
/// moment. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_stats_get(
    runtime: *mut weft_runtime,
    out: *mut weft_runtime_stats,
) -> weft_status {
    boundary(|| {
        // SAFETY: a struct by contract.
        let out = unsafe { args::result_struct(out, "out")? };
        // SAFETY: a handle by contract.
        let stats = unsafe { args::runtime(runtime)? }.stats();
        // SAFETY: at least this version's size, as checked.
        unsafe {
            let size = (*out).size;
            *out = weft_runtime_stats {
                size,
                workers: stats.workers,
                threads: stats.threads,
                threads_peak: stats.threads_peak,
                active: stats.active,
                idle: stats.idle,
                blocked: stats.blocked,
                spawned: stats.spawned,
                executed: stats.executed,
                discarded: stats.discarded,
                panicked: stats.panicked,
                shared: stats.shared,
                local_hits: stats.local_hits,
                steals: stats.steals,
                remote_steals: stats.remote_steals,
                failed_steals: stats.failed_steals,
                parks: stats.parks,
                wakes: stats.wakes,
                blocks: stats.blocks,
                busy_ns: stats.busy_ns,
                idle_ns: stats.idle_ns,
                blocked_ns: stats.blocked_ns,
                ceiling_hits: stats.ceiling_hits,
                spares_started: stats.spares_started,
                spares_retired: stats.spares_retired,
                start_failures: stats.start_failures,
                pin_failures: stats.pin_failures,
                stalls: stats.stalls,
                replaced: stats.replaced,
                queued: stats.queued,
                lanes: stats.lanes.map(|lane| weft_lane_stats {
                    queued: lane.queued,
                    peak: lane.peak,
                    taken: lane.taken,
                    waited_ns: lane.waited_ns,
                }),
            };
        }
        Ok(())
    })
}

/// What one worker has done so far, by its number (weft_worker_index), from 0. Numbers are kept when a thread leaves
/// and another takes its place, so that the workers' counters add up to the runtime's, but for tasks spawned from
/// outside. WEFT_NOT_FOUND: there has never been a worker of this number; those below the first such number are all
/// there are. Set out->size first. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_runtime_worker_stats_get(
    runtime: *mut weft_runtime,
    index: u32,
    out: *mut weft_worker_stats,
) -> weft_status {
    boundary(|| {
        // SAFETY: a struct by contract.
        let out = unsafe { args::result_struct(out, "out")? };
        // SAFETY: a handle by contract.
        let stats = unsafe { args::runtime(runtime)? }.worker_stats(index as usize);
        let stats =
            stats.ok_or_else(|| Failure::with(Status::NotFound, format!("index: there is no worker {index} yet")))?;
        // SAFETY: at least this version's size, as checked.
        unsafe {
            *out = weft_worker_stats {
                size: (*out).size,
                cpu: stats.cpu,
                node: stats.node,
                spawned: stats.spawned,
                executed: stats.executed,
                discarded: stats.discarded,
                panicked: stats.panicked,
                shared: stats.shared,
                local_hits: stats.local_hits,
                steals: stats.steals,
                remote_steals: stats.remote_steals,
                failed_steals: stats.failed_steals,
                parks: stats.parks,
                wakes: stats.wakes,
                blocks: stats.blocks,
                busy_ns: stats.busy_ns,
                idle_ns: stats.idle_ns,
                blocked_ns: stats.blocked_ns,
            };
        }
        Ok(())
    })
}

/// The part of attempts at theft that found something, from 0 to 1; 0 when none was made. Of a runtime or of one
/// worker: pass its steals and failed_steals.
#[unsafe(no_mangle)]
pub extern "C" fn weft_steal_efficiency(steals: u64, failed_steals: u64) -> f64 {
    scheduler::share(steals, failed_steals)
}

/// The part of its time that a thread, or all threads together, spent with tasks, from 0 to 1; 0 when there was no
/// time. Pass busy_ns and idle_ns. Threads that are blocked, and so use no CPU, are left out.
#[unsafe(no_mangle)]
pub extern "C" fn weft_utilisation(busy_ns: u64, idle_ns: u64) -> f64 {
    scheduler::share(busy_ns, idle_ns)
}

/// Nanoseconds for each task on average; 0 when there was none. Pass busy_ns and executed. A half of a join that
/// another thread took counts where it ran.
#[unsafe(no_mangle)]
pub extern "C" fn weft_mean_task_ns(busy_ns: u64, executed: u64) -> f64 {
    scheduler::mean(busy_ns, executed as f64)
}

/// Reads again which CPUs this process may use (the calling thread's affinity mask, or the process's first thread's
/// when called on a thread that is bound itself; and the cgroup), and has the runtime's bound threads move accordingly,
/// each before its next task. The number of workers stays. Without placement, or on a described machine, no thread is
/// moved; those that start later run on these CPUs. Takes milliseconds. Any thread. A thread that is refused its CPU
/// runs on all that are left; the log tells the first time, pin_failures counts. WEFT_OS: the system does not tell; all
/// stays as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_topology_refresh(runtime: *mut weft_runtime) -> weft_status {
    // SAFETY: a handle by contract.
    boundary(|| unsafe { args::runtime(runtime)? }.refresh_topology())
}

/// The calling task's worker, at the position from which it may fork; NULL outside any task.
#[unsafe(no_mangle)]
pub extern "C" fn weft_worker_current() -> *mut weft_worker {
    Worker::current().map_or(std::ptr::null_mut(), as_opaque)
}

/// The runtime that a worker belongs to, borrowed while the task runs. NULL (WEFT_INVALID) if worker is not this
/// thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_worker_runtime(worker: *const weft_worker) -> *mut weft_runtime {
    boundary_value(std::ptr::null_mut(), || {
        let worker = args::worker(worker)?;
        Ok(std::ptr::from_ref(worker.core()).cast_mut().cast())
    })
}

/// The worker's number: 0 up to max_threads - 1, one for each thread that is alive, given again when a thread has gone.
/// -1 (WEFT_INVALID) if worker is not this thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_worker_index(worker: *const weft_worker) -> i32 {
    boundary_value(-1, || Ok(args::worker(worker)?.index() as i32))
}

/// The worker meant: NULL is the calling task's, and none outside any task.
fn this_worker<'a>(worker: *mut weft_worker) -> Result<Option<&'a Worker>> {
    if worker.is_null() { Ok(Worker::current()) } else { args::worker(worker).map(Some) }
}

/// The task is about to block in a call that Weft does not know (a read, a foreign lock): until weft_blocking_end
/// another thread may run in its place, and what the task has forked can be taken. Weft's own blocking functions do
/// this themselves. Nests. NULL: the calling task's worker; outside any task nothing happens. Never blocks.
/// WEFT_INVALID: worker is not this thread's. A callback that ends without the matching call has it made for it, and is
/// logged.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_blocking_begin(worker: *mut weft_worker) -> weft_status {
    boundary(|| {
        this_worker(worker)?.inspect(|worker| worker.begin_blocking_all());
        Ok(())
    })
}

/// The call has returned: the task goes on at once, and a thread that ran in its place rests as soon as its task has
/// ended. WEFT_INVALID: there was no weft_blocking_begin, or worker is not this thread's. NULL outside any task:
/// nothing happens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_blocking_end(worker: *mut weft_worker) -> weft_status {
    boundary(|| match this_worker(worker)? {
        Some(worker) if !worker.end_blocking_all() => Err(invalid("there was no weft_blocking_begin".into())),
        _ => Ok(()),
    })
}

/// For halves and tasks that run long without a fork, sync or call of Weft: shares what this thread has forked if
/// another one has asked for work since, and lets the system run another thread on this CPU. NULL as for
/// weft_blocking_begin. Never blocks. WEFT_INVALID: worker is not this thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_yield(worker: *mut weft_worker) -> weft_status {
    boundary(|| {
        this_worker(worker)?.inspect(|worker| worker.yield_now());
        Ok(())
    })
}
