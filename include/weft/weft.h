/*
 * Weft: one concurrency runtime behind one C ABI.
 *
 * This file is generated from the Rust sources; edit those. License: MIT OR Apache-2.0.
 *
 * Rules that hold for every function
 *
 *   Handles      Opaque, reference counted, usable from any thread. weft_X_new gives one reference, weft_X_retain adds one,
 *                weft_X_release drops one (NULL is a no-op). The last release never blocks (but for runtimes without threads:
 *                see weft_runtime_release). A tag tells a handle of a wrong kind (WEFT_INVALID);
 *                using a handle after its last release is undefined, like free(). That includes calls that have not returned: who
 *                calls has a reference that lasts until then. Only waits are safe from it, where weft_X_release says so.
 *   Status       Functions that can fail return a weft_status. Results come through out-parameters, last in the list, which are
 *                written on WEFT_OK only. weft_error_message() explains this thread's last failure. Functions that
 *                return something else return the neutral value that their comment names, and set the message.
 *   NULL         A handle or a required pointer that is NULL gives WEFT_INVALID, with a message that names the argument.
 *   Consumption  On any status but WEFT_OK nothing was consumed: arguments, values and elements are still the caller's, no drop
 *                has run.
 *   Time         timeout_ns, on CLOCK_MONOTONIC. WEFT_FOREVER blocks without limit; 0 or less never blocks
 *                (WEFT_WOULD_BLOCK); anything else blocks at most that long (WEFT_TIMEOUT).
 *   Options      A struct whose first member is its size. weft_X_options_init(&options, sizeof options) fills in the defaults; NULL
 *                instead of a struct means the defaults. A struct of a later version is accepted as long as the members that this
 *                version does not know are zero; else WEFT_INVALID.
 *   Runtime      NULL means the calling task's runtime, outside any task the process-wide default runtime.
 *   Blocking     Each comment says whether a function can block. Blocking inside a task is fine: another thread
 *                takes over (not in runtimes without threads: see WEFT_KIND_SINGLE). Around calls that Weft does not
 *                know, see weft_blocking_begin.
 *   Callbacks    A function, an argument, and where it matters a drop: the callback runs exactly once, or its drop does. They
 *                run on worker threads unless their comment says otherwise, never under a lock of Weft's, and must not unwind
 *                or longjmp out. A Rust panic is caught nevertheless (WEFT_PANIC); a C++ exception that gets out ends
 *                the process, with a message that names the task. weft.hpp carries exceptions across.
 *   Fork         In a child of fork() every inherited handle answers WEFT_FORKED for ever; its release leaks it, quietly. New objects
 *                can be made after weft_after_fork().
 */
#ifndef WEFT_H
#define WEFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* timeout_ns: no limit. */
#define WEFT_FOREVER INT64_MAX
/* weft_channel_options.capacity: no limit. */
#define WEFT_UNBOUNDED SIZE_MAX

#ifdef __cplusplus
extern "C" {
#endif

/* Types ----------------------------------------------------------------------------------------------------------- */

/* A flag of options, as the init function leaves it: what the member's comment says. */
#define WEFT_DEFAULT 0
/* A flag of options: yes. */
#define WEFT_ON 1
/* A flag of options: no. */
#define WEFT_OFF 2

/* What lets calls through, or not. */
typedef struct weft_breaker weft_breaker;

/* Bytes with a reference count. */
typedef struct weft_bytes weft_bytes;

/* A request to stop, for whatever carries it. */
typedef struct weft_cancel_token weft_cancel_token;

/* A queue with two ends. */
typedef struct weft_channel weft_channel;

/* Where something runs. */
typedef struct weft_context weft_context;

/* A run of a context of a registered kind. */
typedef struct weft_context_job weft_context_job;

/* Contexts of which so many run at once. */
typedef struct weft_context_pool weft_context_pool;

/* Why a future failed. Belongs to the future. */
typedef struct weft_error weft_error;

/* The end of a result that waits for it. */
typedef struct weft_future weft_future;

/* One end of a link to another process. */
typedef struct weft_link weft_link;

/* A lock that knows its holder. */
typedef struct weft_mutex weft_mutex;

/* A worker that is about to be forked. */
typedef struct weft_process_birth weft_process_birth;

/* Processes that run calls. */
typedef struct weft_process_pool weft_process_pool;

/* The end of a result that settles it. */
typedef struct weft_promise weft_promise;

/* A counted receiving end of a channel. */
typedef struct weft_receiver weft_receiver;

/* Worker threads and their queues. */
typedef struct weft_runtime weft_runtime;

/* A counted sending end of a channel. */
typedef struct weft_sender weft_sender;

/* The calls of a worker process, for whoever answers them. */
typedef struct weft_server weft_server;

/* A thread, the program's or a worker's. */
typedef struct weft_thread weft_thread;

/* Something that queues a task when its time has come. */
typedef struct weft_timer weft_timer;

/* What a machine looks like. */
typedef struct weft_topology weft_topology;

/* What wakes a poll task. */
typedef struct weft_waker weft_waker;

/* A callback that is to come when a future is settled, a file descriptor ready, or a breaker's state another one. */
typedef struct weft_watch weft_watch;

/*
 The worker thread that a callback runs on. Passed to each callback, and of use on that thread only, until the
 callback returns.
 */
typedef struct weft_worker weft_worker;

/* What a call came to: one of the WEFT_ constants below, or a number that a callback returned. */
typedef int32_t weft_status;

/* A task. */
typedef void (*weft_task_fn)(struct weft_worker *worker, void *arg);

/* A task with a result: WEFT_OK and *result, or a failure. To fail with a message: return weft_error_set(...). */
typedef weft_status (*weft_call_fn)(struct weft_worker *worker, void *arg, void **result);

/*
 Frees a value that nobody will use. May run on any thread. What it releases itself may be dropped only when it has
 returned, so it must not wait for that; and it must not leave a mutex locked.
 */
typedef void (*weft_drop_fn)(void *ctx, void *value);

/* Status, errors, version ----------------------------------------------------------------------------------------- */

/* The version of this header. */
#define WEFT_VERSION_MAJOR 0
/* The version of this header. */
#define WEFT_VERSION_MINOR 1
/* The version of this header. */
#define WEFT_VERSION_PATCH 0
/* The number in the shared library's name. Programs built against another number do not work with this library. */
#define WEFT_ABI_VERSION 0
/* weft_capabilities: waits sleep in the kernel. */
#define WEFT_CAP_FUTEX 1
/* weft_capabilities: fork() exists, and children of it are told from their parent. */
#define WEFT_CAP_FORK 2
/* weft_capabilities: the affinity mask is respected. */
#define WEFT_CAP_AFFINITY 4
/* weft_capabilities: this machine has more than one NUMA node. */
#define WEFT_CAP_NUMA 8
/* weft_capabilities: the kernel has the private expedited membarrier. */
#define WEFT_CAP_MEMBARRIER 16
/* Success. */
#define WEFT_OK 0
/* Flow: a call that may not block would have had to. */
#define WEFT_WOULD_BLOCK 1
/* Flow: the time allowed has passed. */
#define WEFT_TIMEOUT 2
/* Flow: the calling task or thread has been asked to stop, see Cancellation; or what was waited for has been. */
#define WEFT_CANCELLED 3
/* Flow: a signal ended the wait of a thread that asked for that, see weft_thread_interruptible. */
#define WEFT_INTERRUPTED 4
/* Flow: the channel is closed. */
#define WEFT_CLOSED 5
/* Flow: refused by a breaker that is open. */
#define WEFT_REJECTED 6
/* Caller: an argument is wrong; the message names it. */
#define WEFT_INVALID 20
/* Caller: in use, or used up. */
#define WEFT_BUSY 21
/* Caller: not available on this system or in this build. */
#define WEFT_UNSUPPORTED 22
/* Caller: larger than the limit. */
#define WEFT_TOO_LARGE 23
/* Caller: there is no such thing. */
#define WEFT_NOT_FOUND 24
/* Caller: the wait could never end. */
#define WEFT_DEADLOCK 25
/* Environment: no memory. */
#define WEFT_NOMEM 40
/* Environment: the operating system refused. */
#define WEFT_OS 41
/* Environment: the runtime is shutting down. */
#define WEFT_SHUTDOWN 42
/* Environment: the object belongs to the parent of this forked process. */
#define WEFT_FORKED 43
/* Other side: a callback failed. */
#define WEFT_FAILED 60
/* Other side: a callback panicked (Rust). */
#define WEFT_PANIC 61
/* Other side: the promise was released unsettled. */
#define WEFT_BROKEN 62
/* Other side: the other process died. */
#define WEFT_DIED 63
/* Other side: the other process sent nonsense. */
#define WEFT_PROTOCOL 64

/*
 The name of a status in English, such as "timeout"; "unknown" for a number that is none. Static. Any thread, never
 blocks.
 */
const char *weft_status_name(weft_status status);

/*
 The calling thread's last failure in words, at most 511 bytes; "" before the first. Valid on this thread until its
 next failure. Never NULL, never blocks.
 */
const char *weft_error_message(void);

/*
 Sets the calling thread's message and returns `status`, so that a callback can end with `return
 weft_error_set(WEFT_FAILED, "no such file")`. The message is copied; NULL stands for the status' name.
 */
weft_status weft_error_set(weft_status status, const char *message);

/*
 The status a future failed with: a WEFT_ constant, or the number its callback returned. NULL or another thing:
 WEFT_INVALID.
 */
weft_status weft_error_status(const weft_error *error);

/* What happened. Valid while the future lives. NULL or another thing: "". */
const char *weft_error_text(const weft_error *error);

/*
 Where it happened: "task resize, worker 3", "unnamed task, worker 0", "promise". Valid while the future lives. NULL
 or another thing: "".
 */
const char *weft_error_origin(const weft_error *error);

/*
 The error that this one passes on: of the future that the failed one was made of (weft_future_then, weft_future_all
 and so on). NULL: none. Valid while the failed future lives. NULL or another thing: NULL.
 */
const weft_error *weft_error_cause(const weft_error *error);

/*
 Where a Rust callback panicked, as text of several lines: if RUST_BACKTRACE or RUST_LIB_BACKTRACE was set in the
 environment when the process made its first runtime. Else "". Valid while the future lives. NULL or another thing:
 "".
 */
const char *weft_error_backtrace(const weft_error *error);

/*
 What the producer attached to weft_promise_reject, such as a serialised exception; NULL and *len 0 when there is
 nothing. Valid while the future lives. `len` may be NULL.
 */
const void *weft_error_payload(const weft_error *error, size_t *len);

/* The version of the library: major << 24 | minor << 16 | patch << 8. */
uint32_t weft_version(void);

/* WEFT_ABI_VERSION of the library. */
uint32_t weft_abi_version(void);

/* What this library can do on this system: WEFT_CAP_ bits. */
uint64_t weft_capabilities(void);

/* Time, threads, processes ---------------------------------------------------------------------------------------- */

/* Nanoseconds on CLOCK_MONOTONIC, the clock of all timeouts. */
int64_t weft_now(void);

/*
 The point in time `timeout_ns` from now. weft_deadline(t) - weft_now() is a timeout again, whatever t was: sums that
 are too large saturate, WEFT_FOREVER stays WEFT_FOREVER, and 0 or less is now.
 */
int64_t weft_deadline(int64_t timeout_ns);

/*
 In a child of fork(): lets new objects be made. Takes no lock that was held in the parent. What was inherited keeps
 answering WEFT_FORKED; the log is silent, the default runtime is a new one. In any other process it changes nothing.
 Always WEFT_OK.
 */
weft_status weft_after_fork(void);

/*
 The calling thread, for others to interrupt. One reference, good also after the thread's end. NULL: this process was
 forked, and has not called weft_after_fork. From the first call on, each wait of this thread costs a few nanoseconds
 more.
 */
weft_thread *weft_thread_self(void);

/*
 Has the thread's current wait return WEFT_INTERRUPTED, or else its next one that would have to wait; once. For
 virtual machines, timeouts and Ctrl-C. Not ended are waits that must finish: weft_sync, weft_join, weft_run, loops.
 Interrupts do not add up: two before the next wait are one. A worker's thread runs many tasks, and the next wait may
 be another one's: to stop a task, use its cancel token. A thread that has ended: nothing. Any thread, never blocks.
 */
weft_status weft_thread_interrupt(weft_thread *thread);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_thread *weft_thread_retain(weft_thread *thread);

/* One reference less. Never blocks. */
void weft_thread_release(weft_thread *thread);

/*
 Whether a signal handler that runs on the calling thread ends the thread's current wait with WEFT_INTERRUPTED (`on`
 not 0) or lets it wait on (0, as every thread begins). For virtual machines, whose interrupts arrive as signals.
 Waits that must finish (weft_run, weft_join, weft_for, weft_reduce) are never interrupted. A signal that comes just
 before the wait begins is not noticed: send it again until the thread is out, as virtual machines do. Set in a task,
 it holds until the task ends. Returns the setting before, 0 or 1.
 */
int32_t weft_thread_interruptible(int32_t on);

/* Log ------------------------------------------------------------------------------------------------------------- */

/* No messages. */
#define WEFT_LOG_OFF 0
/* A failure that nobody else is told of, such as a panic in a task. */
#define WEFT_LOG_ERROR 1
/* Something is wrong, and work goes on. */
#define WEFT_LOG_WARN 2
/* Worth knowing. */
#define WEFT_LOG_INFO 3
/* Worth knowing when looking for a fault. */
#define WEFT_LOG_DEBUG 4

/*
 One message. In a callback valid until that returns; pulled by weft_log_next, until the next call on the same
 thread.
 */
typedef struct weft_log_record {
  /* sizeof(weft_log_record): in a callback the library's, for weft_log_next set by the caller. */
  size_t size;
  /* WEFT_LOG_ERROR to WEFT_LOG_DEBUG. */
  int32_t level;
  /* The worker's index, -1 outside. */
  int32_t worker;
  /* When, as by weft_now. */
  int64_t time_ns;
  /* The runtime's name, or "". */
  const char *runtime;
  /* The task's name, or "". */
  const char *task;
  /* What happened. */
  const char *message;
} weft_log_record;

/* Gets the messages, one at a time, in order, on a thread of its own. */
typedef void (*weft_log_fn)(const struct weft_log_record *record, void *arg);

/*
 Sets the callback that gets messages of `level` and graver ones. With NULL, they are kept for weft_log_next instead;
 with WEFT_LOG_OFF there are none. Before this returns, the callback set before has got every earlier message, and it
 never runs again (called from within that callback: not after it returns). So this waits for that callback. It is
 called on a thread of its own, never under a lock of Weft's. What it cannot keep up with is dropped, and the number
 of lost messages is logged. When the process exits normally, what is queued is still delivered. Any thread.
 WEFT_INVALID: an unknown level. WEFT_OS: the thread cannot be started; the callback set before stays.
 */
weft_status weft_log_set(weft_log_fn fn, void *arg, int32_t level);

/*
 Pulls the oldest message that is kept, or waits for one. The log is kept from weft_log_set(NULL, NULL, level) on,
 until weft_log_set gives it a callback (what is kept is dropped) or silences it (what is kept can still be pulled).
 At most 4096 messages are kept; how many came when there was no room is a message itself, once the others have been
 pulled. Any number of threads may pull; each message goes to one of them. Set out->size first; the strings are good
 until this thread's next call, or its end. Blocks; inside a task the thread's turn passes to another.
 WEFT_WOULD_BLOCK, WEFT_TIMEOUT, WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_SHUTDOWN: none came. WEFT_CLOSED: none is
 there, and none is kept. WEFT_BUSY: messages go to a callback.
 */
weft_status weft_log_next(struct weft_log_record *out, int64_t timeout_ns);

/* Bytes ----------------------------------------------------------------------------------------------------------- */

/* Bytes that are a copy of `data`. `data` may be NULL when `len` is 0. Never blocks. WEFT_NOMEM: no memory. */
weft_status weft_bytes_new(const void *data, size_t len, weft_bytes **out);

/*
 Bytes that stay where they are. They must not change until the last release, which calls drop(ctx, data), on
 whatever thread it happens. `drop` may be NULL. Never blocks.
 */
weft_status weft_bytes_adopt(void *data, size_t len, weft_drop_fn drop, void *ctx, weft_bytes **out);

/* Where the bytes are; valid until the last release. NULL on a bad handle, and possibly for no bytes. */
const void *weft_bytes_data(const weft_bytes *bytes);

/* How many there are; 0 on a bad handle. */
size_t weft_bytes_len(const weft_bytes *bytes);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_bytes *weft_bytes_retain(weft_bytes *bytes);

/* One reference less. Never blocks. */
void weft_bytes_release(weft_bytes *bytes);

/* Topology -------------------------------------------------------------------------------------------------------- */

/* Work that computes. */
#define WEFT_LOAD_CPU 0
/* Work that waits. */
#define WEFT_LOAD_IO 1
/* Work that does both. */
#define WEFT_LOAD_MIXED 2

/* A logical CPU and what it shares with others. Cores, caches and nodes are numbered from 0, each kind for itself. */
typedef struct weft_topology_cpu {
  /* Set by the caller: sizeof(weft_topology_cpu). */
  size_t size;
  /* The system's number for it. */
  uint32_t os;
  /* Its core. */
  uint32_t core;
  /* Its rank among the usable CPUs of its core: 0 for the first, 1 for an SMT sibling. */
  uint32_t sibling;
  /* Its L2 cache; its core where no L2 is known. */
  uint32_t l2;
  /* Its L3 cache, or the part of it in its node; its L2 where no L3 is known. */
  uint32_t l3;
  /* Its NUMA node. */
  uint32_t node;
} weft_topology_cpu;

/*
 This machine, as far as the calling thread may use it: what the cgroup and its affinity mask leave, or on a thread
 that its runtime has bound, what they leave to that runtime. Takes milliseconds. WEFT_OS: the system does not tell.
 */
weft_status weft_topology_new(weft_topology **out);

/*
 A machine that is not there, for tests, by its levels from the largest part to the CPUs: "numa:4 core:16 pu:1" has
 64 cores on 4 nodes. A level is a type, a colon, and how many of these each part of the level before has: decimal
 digits, not beginning with 0. Levels have blanks (' ') between them. The types, in upper or lower case: pack (or
 package, socket), die, l5 to l1 (also l3cache and so on), core, pu, in this order and each once at most; numa (or
 numanode, node) once before l2; group anywhere before core. pu, the logical CPU, comes last and is always there.
 hwloc reads the same as its synthetic form; what else that can say is not understood. WEFT_INVALID: it is no such
 text, or there are more than 4096 CPUs or 32 levels.
 */
weft_status weft_topology_from_string(const char *synthetic, weft_topology **out);

/* Its logical CPUs; 0 on a bad handle. */
uint32_t weft_topology_cpus(const weft_topology *topology);

/* Its cores; 0 on a bad handle. */
uint32_t weft_topology_cores(const weft_topology *topology);

/* Its NUMA nodes; 0 on a bad handle. */
uint32_t weft_topology_nodes(const weft_topology *topology);

/*
 What is known of the CPU at `index`, from 0 up to weft_topology_cpus() - 1. Set out->size first. WEFT_INVALID: there
 is no such CPU.
 */
weft_status weft_topology_cpu_get(const weft_topology *topology, uint32_t index, struct weft_topology_cpu *out);

/*
 How far the memory of node `to` is from the CPUs of node `from`: 10 for the same node, more for others, 20 being
 twice as slow where the system tells distances; else nodes are the farther the less of the machine holds both. 0 on
 a bad handle or node.
 */
uint32_t weft_topology_distance(const weft_topology *topology, uint32_t from, uint32_t to);

/*
 How many workers suit a kind of work here: for WEFT_LOAD_CPU the CPUs that the calling thread may keep busy (its
 affinity mask, or on a thread that its runtime has bound, the CPUs of that runtime; or what the CPU quotas of the
 thread's control groups amount to, rounded up, if that is less), for WEFT_LOAD_IO twice as many, for WEFT_LOAD_MIXED
 one and a half times, rounded up. At least 1, at most 4096, the most a runtime can have. Asks the system each time.
 -1 for any other load.
 */
int32_t weft_optimal_worker_count(int32_t load);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_topology *weft_topology_retain(weft_topology *topology);

/* One reference less. Never blocks. */
void weft_topology_release(weft_topology *topology);

/* Kinds and sizes of runtimes ------------------------------------------------------------------------------------- */

/* The runtime has threads of its own, as many as its tasks need. */
#define WEFT_KIND_MULTI 0

/*
 The runtime has no thread. Tasks run on the thread that calls weft_runtime_run, one thread at a time, in an order
 that depends on nothing but what was submitted. What is submitted meanwhile waits. A task that blocks blocks the
 runtime: no other task runs on its stack, where it would meet the blocked one's locks. (Forks and loops run in
 place, and so does a weft_async of the runtime's own that has not begun and is waited for without a timeout, on up
 to half of the stack.) So what such a task waits for must come from another thread; the log and ceiling_hits tell
 when tasks wait behind one that is blocked.
 */
#define WEFT_KIND_SINGLE 1

/*
 The runtime has `workers` seats and no thread; threads of the program's sit down by weft_runtime_lend. What is
 submitted meanwhile waits. A task that blocks keeps its seat.
 */
#define WEFT_KIND_HOSTED 2

/*
 SINGLE if `workers` comes to 1 or max_threads is 1, else MULTI; weft_runtime_kind tells. Placement is for MULTI
 then.
 */
#define WEFT_KIND_AUTO 3
/* weft_runtime_run returns when there is nothing to run. */
#define WEFT_RUN_UNTIL_IDLE 0
/* weft_runtime_run runs one task. */
#define WEFT_RUN_ONE_STEP 1
/* weft_runtime_run runs tasks, and sleeps while there are none, until the runtime is shut down. */
#define WEFT_RUN_UNTIL_SHUTDOWN 2

/* WEFT_KIND_MULTI, _SINGLE or _HOSTED; -1 on a bad handle. NULL starts the default runtime if need be. */
int32_t weft_runtime_kind(weft_runtime *runtime);

/*
 Makes the calling thread the worker of a SINGLE runtime: `mode` is a WEFT_RUN_ constant. WEFT_OK when that is done,
 also because the runtime was shut down meanwhile; once it is ending, every mode runs what is left. Blocks while
 tasks run and with WEFT_RUN_UNTIL_SHUTDOWN between them. Start and stop hooks are called once for each call, and
 values of weft_worker_local_set last as long as it. Legal in a task of another runtime, whose other threads go on
 when this one sleeps. WEFT_WOULD_BLOCK: WEFT_RUN_ONE_STEP found no task. WEFT_BUSY: another thread is its worker, or
 this one is already. WEFT_INTERRUPTED, WEFT_CANCELLED: a signal (weft_thread_interruptible) or a request to stop
 ended its sleep, as it ends other waits of this thread or task. WEFT_SHUTDOWN: it has ended, or the runtime of the
 task that calls. WEFT_UNSUPPORTED: it is of another kind. Any thread. weft_run and loops from outside need no call:
 they make their thread the worker for as long as they last if there is none, as they take a free seat of a HOSTED
 runtime.
 */
weft_status weft_runtime_run(weft_runtime *runtime, int32_t mode);

/*
 Lends the calling thread to a HOSTED runtime: it runs tasks, and sleeps while there are none. WEFT_OK when the
 runtime has been shut down and nothing is left for this thread to run. WEFT_TIMEOUT when the time is up; the task it
 is in is finished first, and from the beginning of a shutdown the time does not count any more. A timeout of 0 runs
 what there is and never sleeps (WEFT_WOULD_BLOCK). Work that the thread leaves behind is taken by others, or by the
 next who comes. Hooks and worker locals as for weft_runtime_run. WEFT_BUSY: all seats are taken, or this thread has
 one. WEFT_INTERRUPTED, WEFT_CANCELLED: as for weft_runtime_run. WEFT_SHUTDOWN: the runtime has ended, or that of the
 task that calls. WEFT_UNSUPPORTED: it is of another kind. Any thread.
 */
weft_status weft_runtime_lend(weft_runtime *runtime, int64_t timeout_ns);

/*
 Changes how many threads of a MULTI runtime run at once. More threads start when there is work for them; those that
 are too many rest after the task they are in, and end when they have slept for keep_alive_ns. Nothing is lost. With
 a placement all threads get new places, each before its next task. Calls at the same time come one after the other;
 otherwise it never blocks. WEFT_INVALID: `workers` is below 1, above 4096 or above max_threads. WEFT_SHUTDOWN: it is
 ending. WEFT_UNSUPPORTED: it is SINGLE or HOSTED. Any thread, any task.
 */
weft_status weft_runtime_resize(weft_runtime *runtime, int32_t workers);

/* Runtime --------------------------------------------------------------------------------------------------------- */

/*
 Threads run where the system puts them, among the CPUs that the thread which makes the runtime (for the default
 runtime, uses it first) may run on at that time: its affinity mask, or if that is a thread that its runtime has
 bound, the CPUs of that runtime. Who starts a thread later, and where that one is bound, does not matter. A thread's
 mask is seen to before on_worker_start, and may be changed from there on.
 */
#define WEFT_PLACEMENT_NONE 0

/*
 Threads are bound to CPUs side by side: all cores of a cache and a node before those of the next, and SMT siblings
 only when every core has a thread. Good for tasks that share data.
 */
#define WEFT_PLACEMENT_COMPACT 1

/*
 Threads are bound to CPUs far apart: nodes in turn, then caches, SMT siblings last. Good for tasks that need memory
 bandwidth.
 */
#define WEFT_PLACEMENT_SCATTER 2
/* Run everything that is queued, and what that spawns, then end. */
#define WEFT_SHUTDOWN_DRAIN 0
/* Drop queued tasks that have an arg_drop; run those that have none, then end. */
#define WEFT_SHUTDOWN_DISCARD 1

/* Called on each worker thread, before its first or after its last task. */
typedef void (*weft_worker_hook_fn)(weft_worker *worker, void *arg);

/*
 A stall: work is queued, and every thread is blocked inside a task, with none to be had. It lasts until one of them
 goes on. The numbers are from when it began. Valid during the callback.
 */
typedef struct weft_stall {
  /* sizeof(weft_stall) in the library; later versions append members. */
  size_t size;
  /* The how-manieth of its runtime, from 1. A callback that takes long is told only the latest of those it missed. */
  uint64_t number;
  /* The runtime. Retain it to keep it. */
  weft_runtime *runtime;
  /* Threads there are. */
  uint32_t threads;
  /* Of these, threads that are blocked inside a task. */
  uint32_t blocked;
  /* Threads there may be. */
  uint32_t max_threads;
  /* 0. */
  uint32_t reserved;
  /* Tasks that nobody can run. */
  uint64_t queued;
  /* The same for people. */
  const char *message;
} weft_stall;

/*
 Called when a stall begins: once, until a blocked thread goes on. It runs on a thread of its own, "weft-stall", one
 call at a time, and holds up nobody but weft_runtime_shutdown, which waits for it. It may call every function of
 Weft: send what the tasks wait for, close the channel, shut the runtime down.
 */
typedef void (*weft_stall_fn)(const struct weft_stall *stall, void *arg);

/* How to make a runtime. Fill in with weft_runtime_options_init, then change what matters. */
typedef struct weft_runtime_options {
  /* sizeof(weft_runtime_options). */
  size_t size;
  /* Thread-name prefix; NULL: "weft". Copied. The system shows 15 bytes, of which the thread's number takes some. */
  const char *name;
  /*
   Threads that run at once; 0: as many as weft_optimal_worker_count says of the calling thread for WEFT_LOAD_CPU,
   or the CPUs of `topology`. At most 4096.
   */
  int32_t workers;
  /*
   Threads in all, those blocked inside a task included; 0: 256, or `workers` if that is more. At most 16383. When
   all of them are blocked, queued work waits until one goes on: a stall. The log, the statistics and on_stall tell
   at once.
   */
  int32_t max_threads;
  /*
   Bytes of stack for each thread; 0: 2 MiB. Below 64 KiB: WEFT_INVALID. A task has three quarters of it at least:
   on the rest there may be tasks that wait for it.
   */
  size_t stack_size;
  /* How long a spare thread sleeps before it leaves; 0: one second; WEFT_FOREVER: it stays. */
  int64_t keep_alive_ns;
  /*
   A WEFT_PLACEMENT_ constant: whether each thread is bound to a CPU, and to which. Spare threads share the CPUs of
   the first `workers`, so that blocking tasks may meet on one. What a bound thread starts (threads, processes)
   inherits its CPU.
   */
  int32_t placement;
  /*
   The machine that `workers` 0 counts and `placement` goes by; NULL: this one. Copied. One that was made by
   weft_topology_from_string decides the order of theft, but its CPUs are not here: no thread is bound.
   */
  weft_topology *topology;
  /* Called first on each worker thread; NULL: nothing. */
  weft_worker_hook_fn on_worker_start;
  /* Called last on each worker thread; NULL: nothing. */
  weft_worker_hook_fn on_worker_stop;
  /* Handed to all three. */
  void *hook_arg;
  /*
   A WEFT_KIND_ constant: whose threads run the tasks. SINGLE has one worker, HOSTED has `workers` seats; both have
   no thread of their own, so max_threads is 0 or the same, placement is NONE, and stack_size and keep_alive_ns say
   nothing.
   */
  int32_t kind;
  /* Called when work is queued and every thread blocked; NULL: nothing, and no thread is started for it. */
  weft_stall_fn on_stall;
} weft_runtime_options;

/*
 What waits, or has waited, at one priority. In lanes are tasks with a priority or a node, and those that a thread
 leaves to others when it blocks; most tasks of normal priority never see one.
 */
typedef struct weft_lane_stats {
  /* Tasks in the lanes now. */
  uint64_t queued;
  /* The most there have been; of several nodes' lanes, the sum of each one's most. */
  uint64_t peak;
  /* Tasks taken out so far. */
  uint64_t taken;
  /* Nanoseconds that all these have waited together, and those that still wait. Over `taken`: about what one waits. */
  uint64_t waited_ns;
} weft_lane_stats;

/* What a runtime has done so far. */
typedef struct weft_runtime_stats {
  /* Set by the caller: sizeof(weft_runtime_stats). */
  size_t size;
  /* Threads that run at once. */
  uint32_t workers;
  /* Threads there are. */
  uint32_t threads;
  /* The most there have been. */
  uint32_t threads_peak;
  /* Threads that run a task or look for one. */
  uint32_t active;
  /* Threads asleep. */
  uint32_t idle;
  /* Threads that wait inside a task. */
  uint32_t blocked;
  /* Tasks accepted; those with weft_spawn_options.after once their futures are settled. */
  uint64_t spawned;
  /* Tasks run to the end, panicked ones included. */
  uint64_t executed;
  /* Tasks dropped unrun, by a shutdown or because they were cancelled. */
  uint64_t discarded;
  /* Callbacks that ended in a Rust panic. */
  uint64_t panicked;
  /* Times halves of joins were made visible to other threads: one had asked, or their owner blocked. */
  uint64_t shared;
  /* Tasks taken from the thread's own queue. */
  uint64_t local_hits;
  /* Thefts: tasks and join halves taken from another thread. */
  uint64_t steals;
  /* Of these, thefts from a thread on another NUMA node. Only with a placement. */
  uint64_t remote_steals;
  /* Sweeps over all other threads that found nothing. */
  uint64_t failed_steals;
  /* Times a worker went to sleep. */
  uint64_t parks;
  /* Times a sleeping worker was woken. */
  uint64_t wakes;
  /* Times a thread waited inside a task and passed its turn on. */
  uint64_t blocks;
  /*
   Nanoseconds that threads spent with tasks; waiting inside a task is not counted. What is under way counts up to
   now, in these three; they may fall back by the moment that a thread takes to note a change.
   */
  uint64_t busy_ns;
  /* Nanoseconds that threads spent looking for work, or asleep. */
  uint64_t idle_ns;
  /* Nanoseconds that threads spent waiting inside a task. */
  uint64_t blocked_ns;
  /* Times max_threads kept work from starting. */
  uint64_t ceiling_hits;
  /* Threads started beyond `workers`, because others waited inside their tasks. */
  uint64_t spares_started;
  /* Threads that left again, because they were too many for keep_alive_ns. */
  uint64_t spares_retired;
  /* Threads that the system refused. */
  uint64_t start_failures;
  /* Times that the system refused to bind a thread to its CPU. */
  uint64_t pin_failures;
  /* Times that work was queued and every thread blocked inside a task, with none to be had: see weft_stall. */
  uint64_t stalls;
  /* Threads that failed between two tasks, by a defect of Weft's, and were replaced. Nothing was lost with them. */
  uint64_t replaced;
  /*
   Tasks that wait now, wherever, but for those that are bound to a thread (WEFT_HINT_NOT_STEALABLE) or wait for
   futures (weft_spawn_options.after).
   */
  uint64_t queued;
  /*
   The lanes of each priority, from the lowest: that of WEFT_PRIORITY_HIGH is lanes[WEFT_PRIORITY_HIGH -
   WEFT_PRIORITY_LOW].
   */
  struct weft_lane_stats lanes[4];
} weft_runtime_stats;

/* What one worker has done so far. Members mean what they mean in weft_runtime_stats. */
typedef struct weft_worker_stats {
  /* Set by the caller: sizeof(weft_worker_stats). */
  size_t size;
  /* The CPU that its thread is bound to, by the system's number; -1: none. */
  int32_t cpu;
  /* The NUMA node of its place, as in weft_topology_cpu; 0 without a placement. */
  uint32_t node;
  /* Tasks that its own tasks spawned. Those from outside are nobody's. */
  uint64_t spawned;
  /* Tasks run to the end. */
  uint64_t executed;
  /* Tasks dropped unrun. */
  uint64_t discarded;
  /* Callbacks that ended in a Rust panic. */
  uint64_t panicked;
  /* Times it made halves of joins visible to other threads. */
  uint64_t shared;
  /* Tasks taken from its own queue. */
  uint64_t local_hits;
  /* Thefts from other threads. */
  uint64_t steals;
  /* Of these, from threads on another NUMA node. */
  uint64_t remote_steals;
  /* Sweeps over all other threads that found nothing. */
  uint64_t failed_steals;
  /* Times it went to sleep. */
  uint64_t parks;
  /* Times it was woken. */
  uint64_t wakes;
  /* Times it waited inside a task and passed its turn on. */
  uint64_t blocks;
  /* Nanoseconds spent with tasks. */
  uint64_t busy_ns;
  /* Nanoseconds spent looking for work, or asleep. */
  uint64_t idle_ns;
  /* Nanoseconds spent waiting inside a task. */
  uint64_t blocked_ns;
} weft_worker_stats;

/* Fills in the defaults. `size` is sizeof *options as the caller knows it. */
weft_status weft_runtime_options_init(struct weft_runtime_options *options, size_t size);

/*
 Makes a runtime. One with threads of its own starts with one; others start when there is work for them. NULL
 options: the defaults. End it with weft_runtime_shutdown, or leave that to the last release. WEFT_INVALID: an option
 is out of range. WEFT_OS: the system refuses a thread.
 */
weft_status weft_runtime_new(const struct weft_runtime_options *options, weft_runtime **out);

/*
 Sets the options of the default runtime, the one that NULL stands for outside any task. It starts on its first use
 and is shut down (DISCARD) when the process exits normally, before static destructors of objects made earlier run;
 the exit waits up to one second for its running tasks, and from then on NULL gives WEFT_SHUTDOWN. WEFT_BUSY once it
 runs.
 */
weft_status weft_runtime_configure_default(const struct weft_runtime_options *options);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_runtime *weft_runtime_retain(weft_runtime *runtime);

/*
 One reference less. The last one without a shutdown begins one (DISCARD) and leaves it to the worker threads. Never
 blocks, but where there are none (SINGLE, HOSTED) and no guest either: then the calling thread does what is left,
 which is to drop the queued tasks that have an arg_drop, and to run the others.
 */
void weft_runtime_release(weft_runtime *runtime);

/*
 Ends a runtime: WEFT_OK once all its threads have gone. From now on work from outside is refused (WEFT_SHUTDOWN); by
 DISCARD, work from tasks, too. Tasks that have begun run to their end, blocked ones included; DISCARD wakes these,
 their waits return WEFT_SHUTDOWN. When the time is up (WEFT_TIMEOUT, or WEFT_WOULD_BLOCK for 0), the end goes on by
 itself, and can be waited for by another call. Calling it again, or from several threads, is fine; DISCARD after
 DRAIN hurries it. From one of the runtime's own tasks only a timeout of 0 makes sense, any other gives WEFT_DEADLOCK
 and begins nothing. Runtime NULL ends the default runtime, if it runs; a later use starts a new one. A SINGLE or
 HOSTED runtime's tasks that are left are run (or dropped) by the guests that are inside, and by the calling thread
 where a seat is free; it looks at the time between tasks. When that is up, or was 0, the end goes on with whoever
 runs it, lends to it or shuts it down next. WEFT_CANCELLED, WEFT_INTERRUPTED: the wait has ended, the end goes on.
 Ended default runtimes keep about 10 KiB each until the process ends, and for each thread that submitted thousands
 of tasks up to 150 KiB. Any thread.
 */
weft_status weft_runtime_shutdown(weft_runtime *runtime, int32_t mode, int64_t timeout_ns);

/* How many threads run at once, or can (HOSTED); -1 on a bad handle. NULL starts the default runtime if need be. */
int32_t weft_runtime_workers(weft_runtime *runtime);

/*
 What a runtime has done so far. Set out->size first. Numbers of different threads are not from exactly the same
 moment. Never blocks.
 */
weft_status weft_runtime_stats_get(weft_runtime *runtime, struct weft_runtime_stats *out);

/*
 What one worker has done so far, by its number (weft_worker_index), from 0. Numbers are kept when a thread leaves
 and another takes its place, so that the workers' counters add up to the runtime's, but for tasks spawned from
 outside. WEFT_NOT_FOUND: there has never been a worker of this number; those below the first such number are all
 there are. Set out->size first. Never blocks.
 */
weft_status weft_runtime_worker_stats_get(weft_runtime *runtime, uint32_t index, struct weft_worker_stats *out);

/*
 The part of attempts at theft that found something, from 0 to 1; 0 when none was made. Of a runtime or of one
 worker: pass its steals and failed_steals.
 */
double weft_steal_efficiency(uint64_t steals, uint64_t failed_steals);

/*
 The part of its time that a thread, or all threads together, spent with tasks, from 0 to 1; 0 when there was no
 time. Pass busy_ns and idle_ns. Threads that are blocked, and so use no CPU, are left out.
 */
double weft_utilisation(uint64_t busy_ns, uint64_t idle_ns);

/*
 Nanoseconds for each task on average; 0 when there was none. Pass busy_ns and executed. A half of a join that
 another thread took counts where it ran.
 */
double weft_mean_task_ns(uint64_t busy_ns, uint64_t executed);

/*
 Reads again which CPUs this process may use (the calling thread's affinity mask, or the process's first thread's
 when called on a thread that is bound itself; and the cgroup), and has the runtime's bound threads move accordingly,
 each before its next task. The number of workers stays. Without placement, or on a described machine, no thread is
 moved; those that start later run on these CPUs. Takes milliseconds. Any thread. A thread that is refused its CPU
 runs on all that are left; the log tells the first time, pin_failures counts. WEFT_OS: the system does not tell; all
 stays as it was.
 */
weft_status weft_topology_refresh(weft_runtime *runtime);

/* The calling task's worker, at the position from which it may fork; NULL outside any task. */
weft_worker *weft_worker_current(void);

/*
 The runtime that a worker belongs to, borrowed while the task runs. NULL (WEFT_INVALID) if worker is not this
 thread's.
 */
weft_runtime *weft_worker_runtime(const weft_worker *worker);

/*
 The worker's number: 0 up to max_threads - 1, one for each thread that is alive, given again when a thread has gone.
 -1 (WEFT_INVALID) if worker is not this thread's.
 */
int32_t weft_worker_index(const weft_worker *worker);

/*
 The task is about to block in a call that Weft does not know (a read, a foreign lock): until weft_blocking_end
 another thread may run in its place, and what the task has forked can be taken. Weft's own blocking functions do
 this themselves. Nests. NULL: the calling task's worker; outside any task nothing happens. Never blocks.
 WEFT_INVALID: worker is not this thread's. A callback that ends without the matching call has it made for it, and is
 logged.
 */
weft_status weft_blocking_begin(weft_worker *worker);

/*
 The call has returned: the task goes on at once, and a thread that ran in its place rests as soon as its task has
 ended. WEFT_INVALID: there was no weft_blocking_begin, or worker is not this thread's. NULL outside any task:
 nothing happens.
 */
weft_status weft_blocking_end(weft_worker *worker);

/*
 For halves and tasks that run long without a fork, sync or call of Weft: shares what this thread has forked if
 another one has asked for work since, and lets the system run another thread on this CPU. NULL as for
 weft_blocking_begin. Never blocks. WEFT_INVALID: worker is not this thread's.
 */
weft_status weft_yield(weft_worker *worker);

/* Values of worker threads ---------------------------------------------------------------------------------------- */

/* Names a value that each worker thread has of its own. Never 0. */
typedef uint64_t weft_key;

/*
 A key that nobody else has, for use on all workers of all runtimes. Keys are numbers: they need no release, are
 never given again, and hold in a forked child. Never blocks. Any thread.
 */
weft_status weft_key_new(weft_key *out);

/*
 Sets the value of the calling task's worker thread under a key. The value before is dropped, on this thread;
 drop(ctx, value) (NULL: nothing) is called when the value is replaced or when the thread ends, after its stop hook,
 on the thread itself, the newest key's first. A thread that is a guest (weft_runtime_run, weft_runtime_lend) keeps
 its values until that call ends. Value and drop NULL: the value before is dropped and none is left. worker NULL: the
 calling task's. WEFT_INVALID: worker is not this thread's, or the calling thread is none, or the key is none.
 WEFT_SHUTDOWN: the thread's values are being dropped. Never blocks, but for what the drop does.
 */
weft_status weft_worker_local_set(weft_worker *worker, weft_key key, void *value, weft_drop_fn drop, void *ctx);

/*
 The value of the calling task's worker thread under a key: NULL if it has none, or outside any task. worker NULL:
 the calling task's. NULL (WEFT_INVALID) if worker is not this thread's, or the key is none. The value is good until
 it is replaced or the thread ends. Never blocks.
 */
void *weft_worker_local_get(weft_worker *worker, weft_key key);

/* Cancellation ---------------------------------------------------------------------------------------------------- */

/*
 A token: a request to stop that any number of tasks carry. Triggered, it triggers all tokens that have it as
 `parent`, and theirs. NULL parent: none. A child of a triggered token is triggered. It lives as long as there is a
 reference to it, a child of it, or something that carries it. Never blocks; any thread.
 */
weft_status weft_cancel_token_new(weft_cancel_token *parent, weft_cancel_token **out);

/*
 Asks whatever carries the token to stop, for `reason` (copied; NULL: ""); the first reason stays, and a second
 trigger does nothing. It is a request: what has begun goes on until it looks (weft_cancelled) or blocks. Blocking
 calls in tasks that carry it return WEFT_CANCELLED, those that wait already as well as later ones that would have to
 wait; but not weft_sync, weft_join and weft_run, which wait until what they wait for has ended. Loops begin no more
 calls of their body. Tasks with an arg_drop that have not begun are dropped instead of run. Any thread, never
 blocks; the time it takes goes with the number of tokens and waits it ends.
 */
weft_status weft_cancel_token_trigger(weft_cancel_token *token, const char *reason);

/* Whether the token, or one above it, has been triggered; false on a bad handle. Never blocks; any thread. */
bool weft_cancel_token_triggered(const weft_cancel_token *token);

/* Why it has been triggered; NULL if it has not, and on a bad handle. Belongs to the token. Never blocks; any thread. */
const char *weft_cancel_token_reason(const weft_cancel_token *token);

/*
 From here on the calling task, or the calling thread if it runs none, goes by this token instead of the one it had:
 its waits, its loops, what it forks, and what it spawns. Ends with weft_cancel_token_leave, in the reverse order; a
 task that ends without has it done for it, with a message in the log; a thread loses the reference it holds. To go
 by both, make a token with the other as parent. Never blocks.
 */
weft_status weft_cancel_token_enter(weft_cancel_token *token);

/*
 The task or thread goes by what it had before it entered this token. WEFT_INVALID: the token is not the one entered
 last within this callback. WEFT_BUSY: a fork made since then has not been synced. Never blocks.
 */
weft_status weft_cancel_token_leave(weft_cancel_token *token);

/*
 From here to weft_cancel_shield_end nothing that was there before ends the waits of the calling task or thread,
 neither a token nor a shutdown that discards, and weft_cancelled says false: cleanup may block. What it spawns
 meanwhile carries no token. Nests, also with entered tokens, which count as usual. Never blocks.
 */
weft_status weft_cancel_shield_begin(void);

/*
 Ends the last shield. WEFT_INVALID: there is none, or a token has been entered since. WEFT_BUSY: as for
 weft_cancel_token_leave.
 */
weft_status weft_cancel_shield_end(void);

/*
 Whether the running task has been asked to stop: its token has been triggered, or its runtime discards what it has.
 Also for halves of joins that another thread runs, and in the bodies of loops. NULL: whatever this thread runs, or
 the token it has entered. False on a worker that is not this thread's. One load or two: meant to be asked often.
 */
bool weft_cancelled(const weft_worker *worker);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_cancel_token *weft_cancel_token_retain(weft_cancel_token *token);

/* One reference less. The last one triggers nothing. Never blocks. */
void weft_cancel_token_release(weft_cancel_token *token);

/* Locks ----------------------------------------------------------------------------------------------------------- */

/*
 A mutex: held by one task at a time, and the thread's turn passes to another while a task waits for it. `name` is
 for messages and reports of deadlocks; copied, NULL: none. One reference. Never blocks; any thread.
 */
weft_status weft_mutex_new(const char *name, weft_mutex **out);

/*
 Locks the mutex, or waits for it. It is held by the task that calls (a half of a join or a part of a loop that
 another thread took is a task of its own, as each call of a poll function is; outside tasks: by the thread), which
 unlocks it before it ends: a task, or a thread, that ends while it holds one has it unlocked, with an error in the
 log. Blocks; inside a task the thread's turn passes to another. Who waits gets it before those who come later, but
 who comes while a waiter wakes up may be first, once. Not recursive. WEFT_DEADLOCK, whatever the timeout: this task
 holds it, or one that cannot go on before this one has ended, further out on the same stack. WEFT_WOULD_BLOCK
 (timeout 0), WEFT_TIMEOUT, WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_SHUTDOWN: it is not held. Any thread.
 */
weft_status weft_mutex_lock(weft_mutex *mutex, int64_t timeout_ns);

/* Unlocks the mutex. WEFT_BUSY: the calling task does not hold it, nobody may hold it. Never blocks. */
weft_status weft_mutex_unlock(weft_mutex *mutex);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_mutex *weft_mutex_retain(weft_mutex *mutex);

/*
 One reference less. Who locks, waits or unlocks has one until that call returns. The last one of a mutex that is
 held frees it when its holder ends. Never blocks.
 */
void weft_mutex_release(weft_mutex *mutex);

/* Deadlocks ------------------------------------------------------------------------------------------------------- */

/* weft_deadlock_watch: a deadlock is told, and the threads wait on. */
#define WEFT_DEADLOCK_REPORT 0
/* weft_deadlock_watch: the process aborts, with the message on standard error. For tests. */
#define WEFT_DEADLOCK_ABORT 1

/* A wait that is part of a deadlock. */
typedef struct weft_deadlock_wait {
  /* The name of the task that waits, or "". */
  const char *task;
  /* The name of its runtime, or "". */
  const char *runtime;
  /* What it waits for, which is up to the next one. */
  const char *awaited;
  /* The worker's index, -1 outside. */
  int32_t worker;
  /* The system's number for its thread (gettid). */
  int32_t thread;
} weft_deadlock_wait;

/* A deadlock, as it was when it was found. Valid until the callback returns. */
typedef struct weft_deadlock {
  /* sizeof(weft_deadlock), as the library knows it. */
  size_t size;
  /* weft_deadlock_count at that time. */
  uint64_t number;
  /* Each waits for what the next one has, the last for what the first has. */
  const struct weft_deadlock_wait *waits;
  /* How many there are, at least 2. */
  size_t waits_len;
  /* The same for people. */
  const char *message;
} weft_deadlock;

/* Gets the deadlocks, one at a time, on a thread of its own. */
typedef void (*weft_deadlock_fn)(const struct weft_deadlock *deadlock, void *arg);

/*
 Says what is to be done about deadlocks, in the whole process. A deadlock is a ring of tasks and threads each of
 which waits for what only the next can bring about: to unlock a mutex (weft_mutex_lock), to end a weft_async or a
 poll task's call that it runs (weft_future_wait, _get, _take), to end what weft_run gave it (in a MULTI runtime), or
 the half of a join that it took. It is found by the one that closes the ring, when it begins to sleep, and told
 once: by the log (WEFT_LOG_ERROR), by weft_deadlock_count, and by fn(deadlock, arg) if there is one, on a thread of
 its own, never under a lock of Weft's. The tasks wait on; a cancel token can let one of them go, also by its
 deadline, which nobody counts on here. Otherwise what is told is certain. Not told, because something else may end
 it: waits with a timeout, waits for channels and promises of the program's (anybody may send or settle), waits of
 threads that signals interrupt (weft_thread_interruptible), and what blocks outside Weft. Who would wait for itself
 gets WEFT_DEADLOCK instead (a weft_async, a then or a poll task for its own future; a mutex). `fn` NULL: nobody is
 called. Before this returns, the callback set before has got every earlier deadlock and never runs again (called
 from within it: not after it returns). Any thread; a forked child begins with none. WEFT_INVALID: an unknown action.
 WEFT_OS: the thread cannot be started; all stays as it was.
 */
weft_status weft_deadlock_watch(weft_deadlock_fn fn, void *arg, int32_t action);

/* Deadlocks in this process so far. Never blocks; any thread. */
uint64_t weft_deadlock_count(void);

/* Tasks ----------------------------------------------------------------------------------------------------------- */

/*
 weft_spawn_options.priority: when there is nothing else; under a load that never ends each worker still takes one in
 488.
 */
#define WEFT_PRIORITY_LOW -1
/* weft_spawn_options.priority: the default. */
#define WEFT_PRIORITY_NORMAL 0

/*
 weft_spawn_options.priority: overtakes normal tasks that wait. Every 61st task that a worker takes is another's
 turn.
 */
#define WEFT_PRIORITY_HIGH 1
/* weft_spawn_options.priority: overtakes high ones as well. */
#define WEFT_PRIORITY_CRITICAL 2
/* weft_spawn_options.node: no matter. */
#define WEFT_ANY_NODE -1

/*
 weft_spawn_options.hints: the task runs on the thread that spawns it, after what else that thread has queued and in
 the order of spawning, unless one is waited for; spawned from outside it runs anywhere. But it is not held up: when
 its thread blocks in Weft, or gives its turn up, any other may run it. Needs WEFT_PRIORITY_NORMAL and WEFT_ANY_NODE,
 else WEFT_INVALID.
 */
#define WEFT_HINT_NOT_STEALABLE 1

/* What a task is started with. Fill in with weft_spawn_options_init, then change what matters. */
typedef struct weft_spawn_options {
  /* sizeof(weft_spawn_options). */
  size_t size;
  /* For messages and logs; NULL: none. Copied. */
  const char *name;
  /*
   arg_drop(drop_ctx, arg) is called instead of the task when the task is dropped unrun; NULL: the task is never
   dropped unrun.
   */
  weft_drop_fn arg_drop;
  /* For weft_async: result_drop(drop_ctx, result) is called when the future goes and nobody took the result. */
  weft_drop_fn result_drop;
  /* Handed to both. */
  void *drop_ctx;
  /*
   WEFT_PRIORITY_NORMAL, _HIGH, _CRITICAL or _LOW. It is the task's alone: what the task spawns does not inherit
   it. But a weft_async that a task of its runtime waits for gets the priority of that task, if that is higher.
   */
  int32_t priority;
  /*
   The number of the NUMA node whose workers look at the task first; WEFT_ANY_NODE: no matter. One that is not
   there: WEFT_INVALID.
   */
  int32_t node;
  /* WEFT_HINT_ bits; 0: none. */
  int64_t hints;
  /*
   What the task may be cancelled by; it takes a reference of its own. NULL: what the task that spawns it, or the
   thread, goes by, if anything. Cancelled before it has begun, a task with an arg_drop is dropped, and its future
   fails with WEFT_CANCELLED.
   */
  weft_cancel_token *cancel;
  /*
   The task is queued when these futures are settled, whatever their outcome; the task can look at them. The array
   and the references are the caller's. A shutdown that drains waits for it; one that discards drops it if it has
   an arg_drop, and waits for the futures otherwise. Not with WEFT_HINT_NOT_STEALABLE: WEFT_INVALID. NULL: none.
   */
  weft_future *const *after;
  /* How many there are. */
  size_t after_len;
} weft_spawn_options;

/* Fills in the defaults. `size` is sizeof *options as the caller knows it. */
weft_status weft_spawn_options_init(struct weft_spawn_options *options, size_t size);

/*
 Starts a task: calls fn(worker, arg) once, on a worker of the runtime. Fire and forget. From one of the runtime's
 own tasks it goes to this thread's queue (the newest runs first, others steal the oldest); from elsewhere to a queue
 that the runtime has for this thread (the oldest first, mostly; between threads there is no order). Never blocks;
 any thread. A Rust panic in it is logged and counted. WEFT_SHUTDOWN: the runtime no longer takes work. WEFT_NOMEM:
 no memory.
 */
weft_status weft_spawn(weft_runtime *runtime, weft_task_fn fn, void *arg);

/* weft_spawn with options; NULL: none. */
weft_status weft_spawn_with(weft_runtime *runtime,
                            weft_task_fn fn,
                            void *arg,
                            const struct weft_spawn_options *options);

/*
 Runs fn(worker, arg) on a worker of the runtime and waits until it has ended; the way into fork-join from outside.
 Called from one of the runtime's own tasks it runs at once, on this thread. It blocks without limit and is not
 interrupted. WEFT_PANIC: fn panicked. Failures as for weft_spawn.
 */
weft_status weft_run(weft_runtime *runtime, weft_task_fn fn, void *arg);

/* Tasks in memory of the caller's --------------------------------------------------------------------------------- */

/*
 A task in memory of the caller's, 64 bytes: queueing it allocates nothing. Not to be touched while it is queued. The
 runtime touches it for the last time before it calls fn, which may free it, change it or submit it again. It may be
 moved while it is not queued.
 */
typedef struct weft_task {
  /* fn(worker, arg) is called once for each submission, on a worker of the runtime. */
  weft_task_fn fn;
  /* Handed to fn. */
  void *arg;
  /* The runtime's; filled in by weft_task_init. */
  void *reserved[6];
} weft_task;

/*
 Makes a task of 64 bytes of the caller's that will call fn(worker, arg). NULL task: nothing. Not for a task that is
 queued. Any thread, never blocks; there is nothing to undo.
 */
void weft_task_init(struct weft_task *task, weft_task_fn fn, void *arg);

/*
 Queues a task of the caller's, as weft_spawn does it, without an allocation (but the queue of the thread may grow).
 It always runs, even when a shutdown discards. WEFT_BUSY: it is queued already, in this runtime or another; from two
 threads at once, one gets WEFT_OK. WEFT_INVALID: fn is NULL, or the task was never initialised. WEFT_SHUTDOWN: the
 runtime no longer takes work. On failure the task is as it was. In a child of fork() no task is queued any more.
 Never blocks; any thread.
 */
weft_status weft_submit(weft_runtime *runtime, struct weft_task *task);

/*
 weft_submit for n tasks at once, all or none: on failure (the message says which task is to blame) none of them is
 queued. A task that is there twice is WEFT_BUSY. While it looks, other threads may find any of the tasks busy. From
 outside the tasks are queued together, in this order; threads are woken for all of them by one notification that
 goes from one to the next. n may be 0.
 */
weft_status weft_submit_batch(weft_runtime *runtime, struct weft_task *const *tasks, size_t n);

/* Tasks with results ---------------------------------------------------------------------------------------------- */

/*
 What goes on with a future's value: WEFT_OK and *result, or a failure. To fail with a message: return
 weft_error_set(...).
 */
typedef weft_status (*weft_then_fn)(weft_worker *worker, void *value, void *arg, void **result);

/*
 Starts a task with a result: calls fn(worker, arg, &result) once, on a worker of the runtime, and settles *out with
 the result, or with the failure that fn returned (its message included), or with WEFT_PANIC. Dropped unrun by a
 shutdown, it fails with WEFT_BROKEN. The task has a cancel token of its own, made from the one it would go by, for
 weft_future_cancel. NULL options: none. Never blocks; any thread. Failures as for weft_spawn.
 */
weft_status weft_async(weft_runtime *runtime,
                       weft_call_fn fn,
                       void *arg,
                       const weft_spawn_options *options,
                       weft_future **out);

/*
 Goes on with a future's value: when it is ready, calls fn(worker, value, arg, &result) once, as a task of the
 runtime, and settles *out as weft_async does. If it failed, fn is not called, options->arg_drop is, and *out fails
 in the same way, at once: with the status and the text of the source, whose error is its weft_error_cause. *out
 keeps the future, so the value is good for as long as *out lives, and cannot be taken. The task may be dropped
 unrun, whether or not there is an arg_drop: by a shutdown that discards (*out fails with WEFT_BROKEN), and by
 weft_future_cancel, at once. A shutdown that drains waits for it. NULL options: none. Never blocks; any thread.
 Failures as for weft_spawn; WEFT_HINT_NOT_STEALABLE is WEFT_INVALID while the future is pending.
 */
weft_status weft_future_then(weft_future *future,
                             weft_runtime *runtime,
                             weft_then_fn fn,
                             void *arg,
                             const weft_spawn_options *options,
                             weft_future **out);

/* Timers ---------------------------------------------------------------------------------------------------------- */

/*
 Has fn(worker, arg) run on a worker of the runtime when `delay_ns` have passed, as a task that is queued then, and
 from then on every `period_ns`. Never before its time; queued a tenth of a millisecond after it, if the system lets
 the timers' thread run. delay_ns 0 or less: as soon as possible; WEFT_FOREVER: never. period_ns 0: once; negative:
 WEFT_INVALID; WEFT_FOREVER: a second time never comes. Periods count from the first point in time and do not drift.
 A timer's task never runs beside itself, nor piles up: while one waits to run, further expiries are left out; while
 it runs, it runs once more afterwards, however many there were; and of periods that have passed before the timers'
 thread got to them, one counts.

 The task carries the cancel token of whoever made the timer; triggered, the token stops the timer. drop(drop_ctx,
 arg) (NULL: nothing) is called once when fn can never run again, after its last run if there is one: on the worker
 after it, on the thread that stops the timer or shuts the runtime down, or, when the token has stopped it, on a
 worker. A shutdown of either kind stops the runtime's timers and waits for none; what has expired by then is a
 queued task, which runs or, by a discarding one, is dropped.

 The timer does not need its handle: after the last release it goes on, a periodic one until the shutdown. The first
 timer of a process starts the one thread that serves all of them, which runs none of their callbacks and sleeps until
 something is due. On failure nothing is called: WEFT_SHUTDOWN: the runtime is ending. WEFT_OS: that thread cannot be
 started. Never blocks; any thread.
 */
weft_status weft_timer_after(weft_runtime *runtime,
                             int64_t delay_ns,
                             int64_t period_ns,
                             weft_task_fn fn,
                             void *arg,
                             weft_drop_fn drop,
                             void *drop_ctx,
                             weft_timer **out);

/*
 Sees to it that the timer's task is not run any more. WEFT_OK: it will not run (again), also if it waits in a queue
 already, and the drop has been called, here or before. WEFT_BUSY: it, or its drop, runs right now, perhaps around
 this call; it will not run again, and the drop follows it. Any number of times, any thread. Never blocks.
 */
weft_status weft_timer_stop(weft_timer *timer);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_timer *weft_timer_retain(weft_timer *timer);

/*
 One reference less. The last one stops nothing: the timer goes on, and can only be stopped by its token and by the
 shutdown of its runtime. Never blocks.
 */
void weft_timer_release(weft_timer *timer);

/*
 Waits until `ns` have passed: WEFT_OK, never before. 0 or less: at once. WEFT_FOREVER: until something else ends the
 wait. WEFT_CANCELLED, WEFT_SHUTDOWN, WEFT_INTERRUPTED: that came first. In a task the worker's turn passes to
 another thread meanwhile. Any thread.
 */
weft_status weft_sleep(int64_t ns);

/*
 Triggers the token when `ns` have passed, for the reason "deadline", however busy all workers are. 0 or less: now.
 WEFT_FOREVER: nothing. Of several deadlines the earliest counts: a later one changes nothing, and none is taken
 back. It ends with the token: what is not there any more is not triggered. WEFT_OS: the timers' thread (see
 weft_timer_after) cannot be started. Never blocks; any thread.
 */
weft_status weft_cancel_token_after(weft_cancel_token *token, int64_t ns);

/* Fork-join ------------------------------------------------------------------------------------------------------- */

/*
 Runs a(worker, a_arg) on this thread and b(worker, b_arg) perhaps in parallel on another, and returns when both have
 ended. `worker` is the one passed to the calling task or half, or NULL for that. While it waits for a half that
 another thread took, this thread runs nothing but what descends from that half. WEFT_INVALID outside any task
 (weft_run leads in), for another thread's worker, and for a NULL function; nothing has run then. Halves must not
 unwind; but a Rust panic goes on in the caller when the other half has ended, or has been dropped because it had not
 begun, and so does a C++ exception unless its half ran on another thread: there it ends the process. weft.hpp
 carries exceptions.
 */
weft_status weft_join(weft_worker *worker, weft_task_fn a, void *a_arg, weft_task_fn b, void *b_arg);

/* Loops ----------------------------------------------------------------------------------------------------------- */

/* The first failure stops what has not begun, and is returned. */
#define WEFT_ON_FAILURE_STOP 0

/*
 The same, and then the ranges that failed or were not reached are run once more, in order, on one thread; that run's
 outcome counts. A range that failed half-way is run again from its beginning. The log tells.
 */
#define WEFT_ON_FAILURE_REDO 1
/* The same for the whole loop, ranges that went well included. */
#define WEFT_ON_FAILURE_REDO_ALL 2

/* How to run a loop. Fill in with weft_loop_options_init, then change what matters. */
typedef struct weft_loop_options {
  /* sizeof(weft_loop_options). */
  size_t size;
  /*
   Indices per call at most; 0: as many as take some ten microseconds, going by the calls before. Where the costs
   of indices differ wildly, give a grain: a call is not cut short.
   */
  size_t grain;
  /* Ranges of up to this many indices are not split; 0: no such ranges. */
  size_t serial_below;
  /*
   When to stop with WEFT_TIMEOUT, between two calls; what runs is waited for. WEFT_FOREVER, the default: not at
   all. 0 or less: nothing is called.
   */
  int64_t timeout_ns;
  /* What a failure of fn does: one of WEFT_ON_FAILURE_. weft_reduce knows WEFT_ON_FAILURE_STOP only. */
  int32_t on_failure;
  /*
   For weft_reduce: acc_drop(acc_drop_ctx, acc) is called for each accumulator that a failure strands, so that what
   it owns can be freed; NULL: nothing.
   */
  weft_drop_fn acc_drop;
  /* Handed to acc_drop. */
  void *acc_drop_ctx;
  /*
   Ends the loop with WEFT_CANCELLED when it is triggered, as does the token of the task that runs the loop; its
   bodies go by both. What runs is waited for. NULL: none.
   */
  weft_cancel_token *cancel;
} weft_loop_options;

/* The body of a loop: works on the indices from begin to before end. Anything but WEFT_OK stops the loop. */
typedef weft_status (*weft_range_fn)(weft_worker *worker, size_t begin, size_t end, void *arg);

/* What became of a loop's indices. */
typedef struct weft_loop_report {
  /* Set by the caller: sizeof(weft_loop_report). */
  size_t size;
  /* Indices in calls that returned WEFT_OK. */
  size_t done;
  /* Indices in calls that did not. */
  size_t failed;
  /* Indices that were not reached. */
  size_t skipped;
  /* Indices that were run again because of on_failure; the numbers above are those after that. */
  size_t redone;
  /* Whether anything was: 1 or 0. */
  int32_t fell_back;
} weft_loop_report;

/* Makes *out from *in. Anything but WEFT_OK is a failure of the element. */
typedef weft_status (*weft_map_fn)(weft_worker *worker, const void *in, void *out, void *arg);

/* Adds the indices from begin to before end to *acc, in order. */
typedef weft_status (*weft_fold_fn)(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg);

/*
 Adds *from, what comes right after it, to *into. Whatever *from owns has moved when this returns WEFT_OK; on a
 failure acc_drop is called for both.
 */
typedef weft_status (*weft_combine_fn)(weft_worker *worker, void *into, void *from, void *arg);

/* Fills in the defaults. `size` is sizeof *options as the caller knows it. */
weft_status weft_loop_options_init(struct weft_loop_options *options, size_t size);

/*
 Calls fn on consecutive ranges that cover [begin, end), in parallel, and returns when all calls have ended. A worker
 goes through its range and gives half of what is left away when another asks. The first failure stops what has not
 begun, and is returned with its message, unless the options say otherwise. NULL options: the defaults. `report`, if
 not NULL, is written whenever the loop ran, also when it failed; set its size first. Nested loops are fine. Blocks
 until what has begun has ended, is not interrupted. begin == end: WEFT_OK, nothing is called. begin > end:
 WEFT_INVALID. WEFT_TIMEOUT, WEFT_CANCELLED: the options' time was up, or it was cancelled. WEFT_PANIC: fn panicked.
 Otherwise as weft_run.
 */
weft_status weft_for(weft_runtime *runtime,
                     size_t begin,
                     size_t end,
                     weft_range_fn fn,
                     void *arg,
                     const struct weft_loop_options *options,
                     struct weft_loop_report *report);

/*
 Calls fn(worker, in + i * in_size, out + i * out_size, arg) for each i below n, in parallel: out[i] is made from
 in[i], whoever makes it. The arrays are the caller's; they may be the same if fn can bear it. In a failed loop some
 elements of `out` have not been written. n 0: WEFT_OK, and the arrays may be NULL. Sizes whose product with n is
 more than any memory: WEFT_INVALID. A size of 0 is allowed, and gives each call the same pointer. Otherwise as
 weft_for; a failure counts for the chunk of elements that it is in.
 */
weft_status weft_map(weft_runtime *runtime,
                     const void *in,
                     size_t in_size,
                     void *out,
                     size_t out_size,
                     size_t n,
                     weft_map_fn fn,
                     void *arg,
                     const struct weft_loop_options *options,
                     struct weft_loop_report *report);

/*
 A grain for n items that take about ns_per_item nanoseconds each, on `workers` threads (0 or less: 1): calls of some
 ten microseconds, but at least eight for each worker as far as there are items. An unknown cost (0 or less, NaN):
 eight calls for each worker. At least 1.
 */
size_t weft_optimal_grain(size_t n, int32_t workers, double ns_per_item);

/*
 Reduces [begin, end) in parallel into *out. Accumulators of acc_size bytes, aligned to 16, begin as bitwise copies
 of
 *identity; fold adds ranges, combine adds what comes right after. Only neighbours are combined, left with right, so
 combine must be associative and need not be commutative. How the range is cut depends on its length, the grain and serial_below,
 with a grain of 0 on who was free to help, too: a fixed grain gives bit-identical floats everywhere. An empty range
 gives the identity. On failure *out is as it was, and acc_drop has been called for every accumulator: the first failure
 is returned. NULL options: the defaults. acc_size 0, begin > end: WEFT_INVALID. WEFT_NOMEM: no memory for an
 accumulator. Otherwise as weft_for.
 */
weft_status weft_reduce(weft_runtime *runtime,
                        size_t begin,
                        size_t end,
                        size_t acc_size,
                        const void *identity,
                        weft_fold_fn fold,
                        weft_combine_fn combine,
                        void *arg,
                        const struct weft_loop_options *options,
                        void *out);

/* Futures and promises -------------------------------------------------------------------------------------------- */

/* weft_future_state: not settled. */
#define WEFT_FUTURE_PENDING 0
/* weft_future_state: settled with a value. */
#define WEFT_FUTURE_READY 1
/* weft_future_state: settled with a failure. */
#define WEFT_FUTURE_FAILED 2
/* weft_future_state: settled with the failure WEFT_CANCELLED. */
#define WEFT_FUTURE_CANCELLED 3

/* A promise, and the future it settles. One reference to each. */
weft_status weft_promise_new(weft_promise **promise, weft_future **future);

/*
 Settles the future with a value, which belongs to the future from then on: drop(ctx, value) is called at the
 future's end, on whatever thread that is, unless the value is taken. `drop` may be NULL. WEFT_BUSY: settled already;
 the value is still the caller's. Any thread. Never blocks; but a task that waits for this (weft_spawn_options.after)
 in a SINGLE or HOSTED runtime whose last handle has gone runs here.
 */
weft_status weft_promise_resolve(weft_promise *promise, void *value, weft_drop_fn drop, void *ctx);

/*
 Fails the future with a status (one of the WEFT_ constants or a number of your own, but not WEFT_OK), a message
 (copied; NULL: the status' name) and a payload (may be NULL; the future takes a reference of its own). WEFT_BUSY:
 settled already. Any thread, never blocks.
 */
weft_status weft_promise_reject(weft_promise *promise, weft_status status, const char *message, weft_bytes *payload);

/* A future that is ready with this value, as by weft_promise_resolve. */
weft_status weft_future_ready(void *value, weft_drop_fn drop, void *ctx, weft_future **out);

/* A future that has failed, as by weft_promise_reject. */
weft_status weft_future_failed(weft_status status, const char *message, weft_future **out);

/*
 Whether somebody has asked by weft_future_cancel for what the promise stands for to stop. It is a request: a
 producer that heeds it rejects the promise, with WEFT_CANCELLED. False on a bad handle. One load; any thread.
 */
bool weft_promise_cancelled(const weft_promise *promise);

/*
 Asks whoever is to settle the future to stop; once, and a settled future nothing. It waits for nothing: a future is
 settled when it is. Of a promise: weft_promise_cancelled says true. Of a task (weft_async, weft_spawn_poll,
 weft_future_then): its token is triggered, so its body sees weft_cancelled and its waits end; it settles when the
 body has returned, with what that returns. One that has not begun and has an arg_drop (or is a then) is dropped
 here, and fails with WEFT_CANCELLED. A future made of others (all, any, race, timeout, a then that waits) fails with
 WEFT_CANCELLED at once; the request goes on to those of the others that nothing else holds a reference to. Any
 thread, never blocks; may call drops and what waits for the futures.
 */
void weft_future_cancel(weft_future *future);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_promise *weft_promise_retain(weft_promise *promise);

/* One reference less. The last one fails an unsettled future with WEFT_BROKEN. Never blocks. */
void weft_promise_release(weft_promise *promise);

/*
 Waits until the future is settled, whatever the outcome. Blocks; inside a task the thread's turn passes to another.
 WEFT_TIMEOUT, WEFT_WOULD_BLOCK, WEFT_INTERRUPTED, WEFT_CANCELLED (the caller, see Cancellation) and WEFT_SHUTDOWN
 (the caller's runtime discards what it has): it is still pending. In a task, a wait for a weft_async of the same
 runtime that has not begun runs it on this thread, if timeout_ns is WEFT_FOREVER; a thread of whose stack a quarter
 is used leaves it to another.
 */
weft_status weft_future_wait(weft_future *future, int64_t timeout_ns);

/*
 Waits for the value, which stays the future's: *value is good until the last release or weft_future_take. If the
 future failed, its status and message. WEFT_BUSY: the value has been taken. Waits as weft_future_wait does.
 */
weft_status weft_future_get(weft_future *future, int64_t timeout_ns, void **value);

/*
 Waits for the value and moves it out: it is the caller's, and its drop will not run. WEFT_BUSY unless this is the
 only reference to the future (futures made of it have one, and callbacks that have not ended), when the value has
 been taken already, and for futures whose value is another's (weft_future_any, _race, _timeout). If the future
 failed, its status and message. Waits as weft_future_wait does.
 */
weft_status weft_future_take(weft_future *future, int64_t timeout_ns, void **value);

/*
 WEFT_FUTURE_PENDING, _READY (also when the value has been taken), _FAILED or _CANCELLED; -1 on a bad handle. Never
 blocks.
 */
int32_t weft_future_state(const weft_future *future);

/* Why it failed; NULL unless it did, and on a bad handle. Belongs to the future. Never blocks. */
const weft_error *weft_future_error(const weft_future *future);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_future *weft_future_retain(weft_future *future);

/*
 One reference less. The last one drops the value, unless whoever settles it is about to leave; then that does. A
 task that has not ended runs on. Never blocks.
 */
void weft_future_release(weft_future *future);

/* What is told of settled futures --------------------------------------------------------------------------------- */

/* Told of a settled future. Runs on whatever thread settles it: it does not block. */
typedef void (*weft_settled_fn)(weft_future *future, void *arg);

/*
 Calls fn(future, arg) once when the future is settled, whatever the outcome: on the thread that settles it, or here
 and now if it is settled already. On each thread these callbacks come one after the other, in the order in which
 their futures were settled: what a callback settles or registers is told after it. No lock of Weft's is held; it
 must not block, since others wait behind it. The future has a reference until the callback has returned. *out is for
 weft_watch_off; it is written before the callback is called. NULL out: none. drop(ctx, arg) is called instead of fn
 by weft_watch_off; may be NULL. Never blocks; any thread.
 */
weft_status weft_future_on_settled(weft_future *future,
                                   weft_settled_fn fn,
                                   void *arg,
                                   weft_drop_fn drop,
                                   void *ctx,
                                   weft_watch **out);

/*
 Takes a callback back, of a future, of a file descriptor or of a breaker. WEFT_OK: it will not run (again), and its
 drop has. WEFT_BUSY: it runs or has run, or was taken back already; a breaker's that runs will not run again, and its
 drop follows. Never blocks; any thread, also from within the callback.
 */
weft_status weft_watch_off(weft_watch *watch);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_watch *weft_watch_retain(weft_watch *watch);

/* One reference less. The callback stays. Never blocks. */
void weft_watch_release(weft_watch *watch);

/*
 Sends `tag`, a uint64_t, into the channel when the future is settled, whatever the outcome; at once if it is
 already. So one thread, or one file descriptor, waits for any number of futures. The channel is unbounded, its
 elements have 8 bytes, and any thread may send (no single_producer), else WEFT_INVALID: nobody who settles a future
 ever waits. Once it is closed the tag is dropped. It has a reference until then. Never blocks; any thread.
 */
weft_status weft_future_notify(weft_future *future, weft_channel *channel, uint64_t tag);

/*
 A file descriptor that is readable once the future is settled, for event loops. It is the future's: only to be
 waited for, not read, and not closed; it is closed with the future's end. The same one each time. WEFT_OS: there is
 none to be had. Never blocks; any thread.
 */
weft_status weft_future_fd(weft_future *future, int *fd);

/* What is told of file descriptors -------------------------------------------------------------------------------- */

/* An event of a file descriptor: a read would not block, because there is something, or the end. */
#define WEFT_FD_READABLE 1
/* An event of a file descriptor: a write would not block. */
#define WEFT_FD_WRITABLE 2

/*
 An event of a file descriptor: the other end has gone; or, unless only WEFT_FD_WRITABLE was asked for, it will write
 no more. Told whether asked for or not.
 */
#define WEFT_FD_HUNG_UP 4

/*
 An event of a file descriptor: an error is to be fetched, or nobody is left to read from the pipe. Told whether asked
 for or not.
 */
#define WEFT_FD_FAILED 8

/* Told of a file descriptor, on a worker. `events` is a sum of WEFT_FD_ constants. */
typedef void (*weft_fd_fn)(weft_worker *worker, int fd, int32_t events, void *arg);

/*
 Has fn(worker, fd, events, arg) run once, on a worker of the runtime, when the descriptor is ready for one of `events`
 (a sum of WEFT_FD_ constants; 0: none), has been hung up or has failed: as a task that is queued then, at once if it
 is already. `events` are those of that moment: what other threads have read meanwhile is not there any more. The
 callback can register the next one. So a program's sockets, pipes, pidfds and the like are waited for by the one
 thread that serves its timers, too; it is started by the first use, runs none of the callbacks, and sleeps until
 something is ready or due.

 The watch has a duplicate of the descriptor, so the same one can be watched several times, and closing it, or using
 its number for something else, takes nothing back and confuses nothing. But what it leads to (the connection, the end
 of a pipe) stays open until the callback is queued or taken back: take it back before closing. A forked child
 inherits the duplicates and keeps them until it executes another program; it is told nothing.

 *out is for weft_watch_off, which takes the callback back as long as it has not begun, also if it waits in a queue;
 it is written before the callback is called. NULL out: none. drop(ctx, arg) is called instead of fn when fn will
 never be called, on the thread that has it so: who takes it back, or shuts down; may be NULL. The task carries the cancel token of whoever made the watch; triggered, the token takes
 the watch back, and the drop runs on a worker. A shutdown of either kind takes the runtime's watches back and waits
 for none; what was ready by then is a queued task, which runs or, by a discarding one, is dropped. At the exit of the
 process the default runtime's end like that; those of others are neither called nor dropped.

 On failure nothing is called. WEFT_INVALID: fd is not open, or an event is none. WEFT_UNSUPPORTED: what fd leads to
 is always ready (a regular file, a directory). WEFT_OS: no descriptors are left, or that thread cannot be started.
 WEFT_SHUTDOWN: the runtime is ending. Never blocks; any thread.
 */
weft_status weft_fd_watch(weft_runtime *runtime,
                          int fd,
                          int32_t events,
                          weft_fd_fn fn,
                          void *arg,
                          weft_drop_fn drop,
                          void *ctx,
                          weft_watch **out);

/* Futures made of others ------------------------------------------------------------------------------------------ */

/*
 A future that is ready when all of these are: its value is NULL, theirs are read from them. It fails with the first
 failure, at once. n may be 0: it is ready. It keeps them; the array is not needed any more, and the same future may
 be in it twice. Never blocks; any thread.
 */
weft_status weft_future_all(weft_future *const *futures, size_t n, weft_future **out);

/*
 A future with the first success among these; it fails with the last failure when all have failed. The value is the
 winner's, which it keeps, as it does all of them. n = 0: WEFT_INVALID. Never blocks; any thread.
 */
weft_status weft_future_any(weft_future *const *futures, size_t n, weft_future **out);

/*
 A future that is settled as the first of these is, be it ready or failed. The value is the winner's, which it keeps,
 as it does all of them. The others go on. n = 0: WEFT_INVALID. Never blocks; any thread.
 */
weft_status weft_future_race(weft_future *const *futures, size_t n, weft_future **out);

/*
 A future that is settled as this one is, but fails with WEFT_TIMEOUT if that takes longer than timeout_ns. A future
 that is settled when the time is over counts, late or not. It goes on when the time is over; weft_future_cancel asks
 it to stop. The value is its own, which the new one keeps. WEFT_FOREVER: no limit; 0 or less: none left. When the
 time is over, callbacks and drops that this leads to run as a task of the calling task's runtime, or else of the
 default one; if that has ended, on the timers' thread. WEFT_OS: the timers' thread (see weft_timer_after) cannot be
 had. Never blocks; any thread.
 */
weft_status weft_future_timeout(weft_future *future, int64_t timeout_ns, weft_future **out);

/*
 A future that is ready after ns nanoseconds, with the value NULL; 0 or less: at once; WEFT_FOREVER: never.
 Cancelled, it fails with WEFT_CANCELLED at once. Otherwise as weft_future_timeout.
 */
weft_status weft_future_delay(int64_t ns, weft_future **out);

/*
 The index of the future that settled one made by weft_future_any or _race, and of the failure that failed one made
 by _all; 0 if a future settled the one that weft_future_timeout made of it. WEFT_WOULD_BLOCK: it is pending.
 WEFT_NOT_FOUND: no single one settled it (all are ready; it was cancelled). WEFT_INVALID: it is not made of several.
 Never blocks; any thread.
 */
weft_status weft_future_winner(weft_future *future, size_t *index);

/* Poll tasks ------------------------------------------------------------------------------------------------------ */

/*
 A poll task: WEFT_WOULD_BLOCK to be called again when `waker` is woken, which is good during the call
 (weft_waker_clone for longer); WEFT_OK and *result, or a failure, when it is done.
 */
typedef weft_status (*weft_poll_fn)(weft_worker *worker, void *state, const weft_waker *waker, void **result);

/*
 Starts a poll task, for state machines: fn(worker, state, waker, &result) is called on a worker of the runtime, and
 again, on any of them, whenever its waker has been woken since the call before began, as long as it returns
 WEFT_WOULD_BLOCK. Calls do not overlap, and each sees what the one before did. Anything else that it returns settles
 *out as for weft_async; then `state` is its own business. It must not return WEFT_WOULD_BLOCK without having a waker
 kept: a task that waits and can be woken by nobody is dropped, and *out fails with WEFT_BROKEN. Dropping it calls
 options->arg_drop with `state`. With an arg_drop it may be dropped whenever it waits, by a shutdown that discards,
 and before its first call by a cancel; *out fails with WEFT_BROKEN or WEFT_CANCELLED. A triggered token
 (weft_future_cancel, options->cancel) wakes it, once: it sees weft_cancelled. A shutdown that drains waits until it
 is done. NULL options: none. Never blocks; any thread. Failures as for weft_spawn.
 */
weft_status weft_spawn_poll(weft_runtime *runtime,
                            weft_poll_fn fn,
                            void *state,
                            const weft_spawn_options *options,
                            weft_future **out);

/* A waker of one's own, of the same task. NULL on a bad handle. Never blocks; any thread. */
weft_waker *weft_waker_clone(const weft_waker *waker);

/*
 Has the task called again: soon, or if it is being called, after that. Again before it is called: nothing; nor when
 it is done, or its runtime is over. The waker stays good, and is the caller's. Never blocks, allocates nothing; any
 thread.
 */
void weft_waker_wake(const weft_waker *waker);

/* Gives a clone back. Not for the waker that a poll task is called with. Never blocks. */
void weft_waker_release(weft_waker *waker);

/* Channels -------------------------------------------------------------------------------------------------------- */

/* What a channel is made with. Fill in with weft_channel_options_init, then change what matters. */
typedef struct weft_channel_options {
  /* sizeof(weft_channel_options). */
  size_t size;
  /* Bytes of an element; 0: sizeof(void *). */
  size_t elem_size;
  /* Alignment of an element, a power of two up to 4096 that divides elem_size; 0: the largest that does, up to 16. */
  size_t elem_align;
  /*
   Elements it holds; 0: none, each send waits for its receiver (rendezvous); WEFT_UNBOUNDED: as many as there is
   memory for. init sets 1000.
   */
  size_t capacity;
  /*
   A WEFT_ON, _OFF or _DEFAULT (off). On: no two threads send at once (one after the other may), and sending takes
   no lock. Two at once is undefined; a build with debug assertions answers WEFT_BUSY and logs it. No effect on
   capacities 0 and 1.
   */
  int32_t single_producer;
  /* The same for receiving. */
  int32_t single_consumer;
  /*
   drop(drop_ctx, pointer to the element) is called for each element that is never received: at the last release,
   or when the last weft_receiver goes. It may call back into the channel, as long as that is there. NULL: nothing.
   */
  weft_drop_fn drop;
  /* Handed to drop. */
  void *drop_ctx;
  /* For people; NULL: none. Copied. */
  const char *name;
} weft_channel_options;

/* Fills in the defaults. `size` is sizeof *options as the caller knows it. */
weft_status weft_channel_options_init(struct weft_channel_options *options, size_t size);

/* A channel. NULL options: pointers, up to 1000. The handle is both ends. WEFT_NOMEM: no memory for the capacity. */
weft_status weft_channel_new(const struct weft_channel_options *options, weft_channel **out);

/*
 Copies *elem into the channel, waiting for room (at a rendezvous: for a receiver). Elements of one producer are
 received in their order. Blocks; inside a task the thread's turn passes to another. Any thread. On any failure the
 element is still the caller's: WEFT_CLOSED after weft_channel_close, WEFT_TIMEOUT, WEFT_WOULD_BLOCK,
 WEFT_INTERRUPTED, WEFT_CANCELLED (the caller, see Cancellation), WEFT_SHUTDOWN (its runtime discards what it has),
 WEFT_NOMEM (unbounded only).
 */
weft_status weft_channel_send(weft_channel *channel, const void *elem, int64_t timeout_ns);

/*
 Copies the oldest element out into *elem, waiting for one. Blocks as weft_channel_send does. Any thread. WEFT_CLOSED
 once the channel is closed and everything has been received. On any failure *elem is as it was.
 */
weft_status weft_channel_recv(weft_channel *channel, void *elem, int64_t timeout_ns);

/*
 Sends n elements that lie in a row, in their order, waiting for room until all are in: WEFT_OK. On any failure (as
 of weft_channel_send) the first *sent are in, and the others are still the caller's. *sent is written in any case,
 unless it is NULL (WEFT_INVALID). Elements of others may come in between. Those who receive are woken once for what
 goes in at once. n = 0: WEFT_OK, and elems may be NULL. Blocks. Any thread.
 */
weft_status weft_channel_send_batch(weft_channel *channel,
                                    const void *elems,
                                    size_t n,
                                    int64_t timeout_ns,
                                    size_t *sent);

/*
 Receives up to max elements into elems, in a row: waits until there is one, and takes what is there then. WEFT_OK:
 *received elements, at least one (none if max is 0; elems may be NULL then). On any failure, as of
 weft_channel_recv, there are none, *received is 0 and elems is as it was. *received is written in any case, unless
 it is NULL (WEFT_INVALID). Blocks. Any thread.
 */
weft_status weft_channel_recv_batch(weft_channel *channel,
                                    void *elems,
                                    size_t max,
                                    int64_t timeout_ns,
                                    size_t *received);

/*
 A descriptor for event loops, readable as long as a receive (direction WEFT_SELECT_RECV) or a send
 (WEFT_SELECT_SEND) would not have to wait, and after the close; level-triggered. It is the channel's: neither read,
 written nor closed by the program, the same at each call, and good until the last release. Be ready to find that
 another thread was faster: use timeout 0. Who watches a descriptor does not count as waiting: at a rendezvous
 somebody has to wait in a call. From the first call on each operation costs more. WEFT_OS: no descriptor left. Never
 blocks; any thread.
 */
weft_status weft_channel_fd(weft_channel *channel, int32_t direction, int32_t *fd);

/*
 Refuses what is sent from now on. Waiting senders get WEFT_CLOSED and keep their element; what is in the channel can
 still be received, then receivers get WEFT_CLOSED. Again: nothing. Any thread, never blocks.
 */
void weft_channel_close(weft_channel *channel);

/* Whether it has been closed; true on a bad handle. */
bool weft_channel_is_closed(const weft_channel *channel);

/* Elements in it at the moment; 0 on a bad handle. */
size_t weft_channel_len(const weft_channel *channel);

/* Elements it holds at most: WEFT_UNBOUNDED, or the number given; 0 on a bad handle. */
size_t weft_channel_capacity(const weft_channel *channel);

/*
 How many wait to send and to receive at the moment (each NULL: not asked): a hint, for a channel is never still. Any
 thread. WEFT_INVALID: a bad handle.
 */
weft_status weft_channel_waiting(const weft_channel *channel, size_t *senders, size_t *receivers);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_channel *weft_channel_retain(weft_channel *channel);

/*
 One reference less. The last one drops what was never received. Those who wait in a call on the channel meanwhile,
 without a reference of their own, get WEFT_CLOSED. Never blocks.
 */
void weft_channel_release(weft_channel *channel);

/*
 A channel with counted ends, one reference to each. The last release of either end closes it. What is queued can
 still be received when the last sender has gone; when the last receiver goes it is dropped at once. NULL options and
 WEFT_NOMEM as for weft_channel_new.
 */
weft_status weft_channel_ends(const struct weft_channel_options *options,
                              weft_sender **sender,
                              weft_receiver **receiver);

/*
 The channel that an end belongs to, for all that channels can do: borrowed, good while the end is held. NULL on a
 bad handle. Whoever keeps it longer takes a reference (weft_channel_retain); such references count for no end.
 */
weft_channel *weft_sender_channel(const weft_sender *sender);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_sender *weft_sender_retain(weft_sender *sender);

/* One reference less. The last one closes the channel. Never blocks. */
void weft_sender_release(weft_sender *sender);

/* As weft_sender_channel. */
weft_channel *weft_receiver_channel(const weft_receiver *receiver);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_receiver *weft_receiver_retain(weft_receiver *receiver);

/*
 One reference less. The last one closes the channel and drops what is queued, on this thread. Blocks no longer than
 those drops take.
 */
void weft_receiver_release(weft_receiver *receiver);

/* Select ---------------------------------------------------------------------------------------------------------- */

/*
 weft_select_case.op: send *elem into the channel `handle`. Closed, it fires with WEFT_CLOSED, and the element is
 still the caller's.
 */
#define WEFT_SELECT_SEND 1

/*
 weft_select_case.op: receive into *elem from the channel `handle`. Closed and empty, it fires with WEFT_CLOSED, and
 *elem is as it was.
 */
#define WEFT_SELECT_RECV 2

/*
 weft_select_case.op: the future `handle` is settled, whatever the outcome. A weft_async that has not begun gets the
 priority of the task that selects, but is not run in its place, as weft_future_wait does.
 */
#define WEFT_SELECT_FUTURE 3
/* weft_select_case.op: the cancel token `handle` is triggered. */
#define WEFT_SELECT_CANCEL 4
/* weft_select_case.op: weft_now() has reached `arg`. INT64_MAX: never. */
#define WEFT_SELECT_TIMER 5

/* One case of a select. What an op does not mention is not looked at. */
typedef struct weft_select_case {
  /* One of the WEFT_SELECT_ constants. */
  int32_t op;
  /*
   Set when this case has fired: WEFT_OK; of a channel also WEFT_CLOSED, or WEFT_NOMEM (unbounded). Else left
   alone.
   */
  weft_status status;
  /* The channel, future or token. */
  void *handle;
  /* The element to be sent, or the place for the one that is received. */
  void *elem;
  /* A point in time, on the clock of weft_now. */
  int64_t arg;
  /* weft_select_poll keeps its registration here: NULL before the first call. weft_select does not look at it. */
  void *reserved[2];
} weft_select_case;

/*
 Waits until one of the n cases can be done, does it, and writes its index into *fired and how it ended into its
 status. Exactly one is done; of several that are ready, one at random. A channel may be in several cases, in both
 directions: a select never meets itself. Whoever selects holds a reference to each handle until it returns. Selects
 that face each other at a rendezvous meet. The array is the caller's; a loop may use it again and again. Blocks as
 weft_channel_recv does. Any thread. On failure no case was done and all elements are the caller's: WEFT_WOULD_BLOCK,
 WEFT_TIMEOUT, WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_SHUTDOWN; WEFT_INVALID: n is 0, or a case is wrong, which the
 message names. A thread that waits for a token as a case and goes by the same token may get either. The protocol
 with rendezvous is that of Go's select: their locks in the order of addresses.
 */
weft_status weft_select(struct weft_select_case *cases, size_t n, int64_t timeout_ns, size_t *fired);

/*
 weft_select for poll tasks: never blocks. WEFT_WOULD_BLOCK: the waker is woken when it is worth while to call this
 again, with the same cases. Until it returns WEFT_OK, or weft_select_poll_end has returned that or WEFT_WOULD_BLOCK,
 the cases, their elements and a reference to each handle stay in place, for a case may be done at any time; they are
 not touched otherwise. NULL in `reserved` of all cases before the first call. A task that is woken and not called
 keeps nothing from threads that wait for the same, but may from other poll tasks. WEFT_INVALID: as weft_select; n is
 not the same; a select that has begun goes on. WEFT_OS: no thread for timers. WEFT_FORKED: also when a parent's task
 has begun it; NULL in `reserved` lets the child begin another.
 */
weft_status weft_select_poll(struct weft_select_case *cases, size_t n, const weft_waker *waker, size_t *fired);

/*
 Ends a weft_select_poll that has returned WEFT_WOULD_BLOCK: from here on cases and elements are the caller's again.
 WEFT_OK: a case has been done meanwhile, *fired. WEFT_WOULD_BLOCK: none has. Never blocks; on the thread that would
 have polled.
 */
weft_status weft_select_poll_end(struct weft_select_case *cases, size_t n, size_t *fired);

/* Circuit breakers ------------------------------------------------------------------------------------------------ */

/* weft_breaker_get_state: calls are let through, and their results are watched. */
#define WEFT_BREAKER_CLOSED 0
/* weft_breaker_get_state: calls are rejected, for a time. */
#define WEFT_BREAKER_OPEN 1
/* weft_breaker_get_state: some calls, the probes, are let through; their results decide. */
#define WEFT_BREAKER_HALF_OPEN 2
/* weft_breaker_get_state: calls are rejected until weft_breaker_force says otherwise. */
#define WEFT_BREAKER_FORCED_OPEN 3
/* weft_breaker_get_state: calls are let through, and results only counted. */
#define WEFT_BREAKER_DISABLED 4
/* weft_breaker_get_state: calls are let through; windows are kept, but it does not open. */
#define WEFT_BREAKER_METRICS_ONLY 5
/* The call went well. */
#define WEFT_OUTCOME_OK 0
/* The call failed. */
#define WEFT_OUTCOME_FAIL 1
/* The call says nothing about what was called: it had a wrong argument, say. A probe is given back. */
#define WEFT_OUTCOME_IGNORE 2
/* Nobody knows how the call ended: it was cancelled, or whoever made it is gone. Counts as the options say. */
#define WEFT_OUTCOME_ABANDONED 3

/*
 Says what a status of weft_breaker_call counts as: a WEFT_OUTCOME_ constant; any other number is WEFT_OUTCOME_FAIL.
 Called on the thread of the call, with no lock held.
 */
typedef int32_t (*weft_outcome_fn)(weft_status status, void *arg);

/* What a breaker is made with. Fill in with weft_breaker_options_init, then change what matters. */
typedef struct weft_breaker_options {
  /* sizeof(weft_breaker_options). */
  size_t size;
  /* For messages; NULL: none. Copied. */
  const char *name;
  /* Rates are of so many calls, the last ones; 1 to 65536. init sets 100. Not looked at when window_ns is set. */
  uint32_t window;
  /*
   With less results than this in the window (or less than it holds, if that is fewer), rates say nothing. init
   sets 20.
   */
  uint32_t minimum_calls;
  /*
   Not 0: rates are of the calls of the last so many nanoseconds, to the next tenth; at least 10,000,000. init sets
   0.
   */
  int64_t window_ns;
  /* It opens when this share of the window has failed, above 0 and up to 1; 0: whatever the share. init sets 0.5. */
  double failure_rate;
  /*
   A call that takes this long is slow, whatever its outcome, and a slow probe counts as failed; WEFT_FOREVER: none
   is, and calls are not timed. init sets WEFT_FOREVER.
   */
  int64_t slow_ns;
  /* It opens when this share of the window was slow, above 0 and up to 1. init sets 1. */
  double slow_rate;
  /* It opens after so many failures in a row; 0: whatever the number. init sets 5. */
  uint32_t consecutive;
  /* How many calls are let through half-open, until their results decide; 1 to 1023. init sets 1. */
  uint32_t probes;
  /* It closes when so many of them went well, and opens again when so many cannot any more; 0: all. init sets 0. */
  uint32_t probes_to_close;
  /* What WEFT_OUTCOME_ABANDONED counts as: WEFT_OUTCOME_OK, _FAIL or _IGNORE. init sets WEFT_OUTCOME_IGNORE. */
  int32_t abandoned;
  /* How long it is open the first time. init sets 60 s. WEFT_FOREVER: until weft_breaker_force. */
  int64_t open_wait_ns;
  /* How long at most; less than open_wait_ns is as much as that. init sets 600 s. */
  int64_t open_wait_max_ns;
  /* So many times longer after each time that the probes failed, 1 to 1,000,000. init sets 2. */
  double backoff;
  /*
   Up to this share of a wait, 0 to 1, is left out by chance, so that many breakers do not come back at once. init
   sets 0.1.
   */
  double jitter;
  /*
   When all probes are out and the last one has been for so long, they are taken for hanging: their results count
   no more, and others are let through. Above 0 and less than WEFT_FOREVER. init sets 60 s.
   */
  int64_t probe_wait_ns;
  /*
   What the status of weft_breaker_call counts as. NULL: WEFT_OK is WEFT_OUTCOME_OK; WEFT_CANCELLED,
   WEFT_INTERRUPTED and WEFT_SHUTDOWN are WEFT_OUTCOME_ABANDONED; others are WEFT_OUTCOME_FAIL.
   */
  weft_outcome_fn outcome;
  /* Handed to `outcome`; there as long as the breaker is. */
  void *outcome_arg;
} weft_breaker_options;

/*
 A call that was let through: the caller's to keep, and to hand to weft_breaker_record once. Any thread may do that;
 of copies, one is recorded.
 */
typedef struct weft_permit {
  /* Weft's. The first is 0 once it has been recorded. */
  uint64_t word[2];
} weft_permit;

/* Fills in the defaults. `size` is sizeof *options as the caller knows it. */
weft_status weft_breaker_options_init(struct weft_breaker_options *options, size_t size);

/*
 A circuit breaker, closed. It needs no runtime and has no thread: states change when somebody asks or records. NULL
 options: the defaults. WEFT_INVALID names the member that makes no sense. Never blocks; any thread.
 */
weft_status weft_breaker_new(const struct weft_breaker_options *options, weft_breaker **out);

/*
 Asks whether to call. WEFT_OK: call, and hand *permit to weft_breaker_record with what came of it. WEFT_REJECTED: do
 not; weft_breaker_retry_after says when to ask again. Closed, disabled and metrics only, all calls are let through;
 open none until its time is over, then as many probes as the options say. Never blocks; any thread, in tasks and
 outside.
 */
weft_status weft_breaker_acquire(weft_breaker *breaker, struct weft_permit *permit);

/*
 Says how a call ended: a WEFT_OUTCOME_ constant. A permit is recorded once, which *permit remembers: a second time
 is WEFT_INVALID, as is a permit of another breaker. When the state has changed since the permit was acquired, the
 result only counts as late. A change that it brings about is told to listeners before this returns, unless another
 thread is telling them. Never blocks; any thread, but no two at once with the same permit.
 */
weft_status weft_breaker_record(weft_breaker *breaker, struct weft_permit *permit, int32_t outcome);

/*
 Acquires, calls fn(worker, arg, result) on this thread, and records its status, see weft_breaker_options.outcome.
 WEFT_OK and *result, or what fn returned, with its message. WEFT_REJECTED: the breaker is open, and fn was not
 called. WEFT_PANIC: fn is Rust and panicked. `worker` is the calling task's, outside tasks NULL. NULL result: of no
 interest. Blocks if fn does. Any thread.
 */
weft_status weft_breaker_call(weft_breaker *breaker, weft_call_fn fn, void *arg, void **result);

/*
 The state: a WEFT_BREAKER_ constant. Asking changes nothing: when it has been open for its time, it stays
 WEFT_BREAKER_OPEN until somebody acquires. -1 on a bad handle. Never blocks; any thread.
 */
int32_t weft_breaker_get_state(const weft_breaker *breaker);

/*
 For how many nanoseconds calls will be rejected, if nothing happens before. 0: they are let through. WEFT_FOREVER:
 nobody knows. To within the system's tick of some milliseconds. Changes nothing. 0 on a bad handle. Never blocks;
 any thread.
 */
int64_t weft_breaker_retry_after(const weft_breaker *breaker);

/*
 Puts it into a state, a WEFT_BREAKER_ constant, whatever it was: windows are empty then, and no probe is out. From
 WEFT_BREAKER_CLOSED, _OPEN (for the time of the first) and _HALF_OPEN it goes on by itself; in the others it stays
 until the next call of this. Never blocks; any thread.
 */
weft_status weft_breaker_force(weft_breaker *breaker, int32_t state);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_breaker *weft_breaker_retain(weft_breaker *breaker);

/*
 One reference less. Permits do not count: those that are out when the last one goes cannot be recorded any more.
 Never blocks.
 */
void weft_breaker_release(weft_breaker *breaker);

/* What breakers tell ---------------------------------------------------------------------------------------------- */

/* A change of state. */
typedef struct weft_breaker_event {
  /* The state that has ended: a WEFT_BREAKER_ constant. */
  int32_t from;
  /* The state that began then. The same one: probes that hang were given up, or it was forced. */
  int32_t to;
  /* When, on the clock of weft_now. */
  int64_t time_ns;
  /* Numbers the changes, from 1; after 2^31 - 1 comes 0. */
  uint64_t generation;
} weft_breaker_event;

/* Told of a change. Runs on whatever thread brought it about or told the one before: it does not block. */
typedef void (*weft_breaker_event_fn)(const struct weft_breaker_event *event, void *arg);

/* What a breaker has seen so far. */
typedef struct weft_breaker_stats {
  /* Set by the caller: sizeof(weft_breaker_stats). */
  size_t size;
  /* A WEFT_BREAKER_ constant. */
  int32_t state;
  /* How often it has been half-open in vain since it was closed, up to 255; the wait grows with it. */
  uint32_t attempt;
  /* Numbers the changes of state; see weft_breaker_event. */
  uint64_t generation;
  /* Calls that went well. */
  uint64_t ok;
  /* Calls that failed. */
  uint64_t failed;
  /* Calls that were recorded as WEFT_OUTCOME_IGNORE. */
  uint64_t ignored;
  /* Those of `ok` and `failed` that were slow. */
  uint64_t slow;
  /* Calls that were not let through. */
  uint64_t rejected;
  /* Calls whose results came when the state had changed since; in none of `ok`, `failed` and `ignored`. */
  uint64_t late;
  /* Calls that were recorded as WEFT_OUTCOME_ABANDONED; also counted as what that counts as. */
  uint64_t abandoned;
  /* How often it opened by itself. */
  uint64_t opened;
  /* Results in the window now. */
  uint64_t window_calls;
  /* Failures among them. */
  uint64_t window_failed;
  /* Slow calls among them. */
  uint64_t window_slow;
  /* Failures in a row now. */
  uint64_t consecutive;
  /* Half-open: probes that were let through and not given back. Else 0. */
  uint64_t probes;
} weft_breaker_stats;

/*
 Calls fn(event, arg) for each change of state from now on: one after the other in their order, each once, with no
 lock held, on a thread that brought one about. A listener may use the breaker, and force it: that change is told
 after this one. *out is for weft_watch_off, which says WEFT_OK: fn will not be called again, and drop(ctx, arg) has
 been; or WEFT_BUSY: fn runs right now, perhaps around this call, and the drop follows it, or it was taken back
 before. NULL out: none. Without that, the drop is called when the breaker ends. drop may be NULL. Never blocks; any
 thread.
 */
weft_status weft_breaker_on_change(weft_breaker *breaker,
                                   weft_breaker_event_fn fn,
                                   void *arg,
                                   weft_drop_fn drop,
                                   void *ctx,
                                   weft_watch **out);

/*
 Sends a weft_breaker_event into the channel for each change of state from now on, in their order: for languages whose
 code must not be called by any thread, and for event loops (weft_channel_fd). The channel is unbounded, its elements
 have sizeof(weft_breaker_event), and any thread may send (no single_producer), else WEFT_INVALID: nobody who changes
 the state ever waits. Once it is closed events are dropped. It has a reference until the breaker ends, or until
 weft_watch_off with *out, which is as for weft_breaker_on_change. Never blocks; any thread.
 */
weft_status weft_breaker_notify(weft_breaker *breaker, weft_channel *channel, weft_watch **out);

/*
 What it has seen so far. Set out->size first. Numbers are not from exactly the same moment. Changes nothing. Never
 blocks; any thread.
 */
weft_status weft_breaker_stats_get(weft_breaker *breaker, struct weft_breaker_stats *out);

/* Links between processes ----------------------------------------------------------------------------------------- */

/* Frames travel in shared memory, and if the system refuses that, over the socket, with a warning in the log. */
#define WEFT_LINK_AUTO 0
/* Frames travel in shared memory. */
#define WEFT_LINK_SHARED 1
/* Frames travel over a socket: more system calls, no shared memory. */
#define WEFT_LINK_SOCKET 2
/* A call. What a kind means is up to who sends and who receives; Weft's own processes use them as they are called. */
#define WEFT_FRAME_REQUEST 1
/* The answer to a call. */
#define WEFT_FRAME_REPLY 2
/* The failure of a call. */
#define WEFT_FRAME_ERROR 3
/* A call is not wanted any more. */
#define WEFT_FRAME_CANCEL 4
/* A sign of life. */
#define WEFT_FRAME_HEARTBEAT 5
/* Statistics. */
#define WEFT_FRAME_STATS 6
/* A log record. */
#define WEFT_FRAME_LOG 7
/* The peer is to finish. */
#define WEFT_FRAME_SHUTDOWN 8
/* This and everything above are the program's. */
#define WEFT_FRAME_USER 256

/* What a link is made with, both ends of it. Fill in with weft_link_options_init, then change what matters. */
typedef struct weft_link_options {
  /* sizeof(weft_link_options). */
  size_t size;
  /* A WEFT_LINK_ constant. */
  int32_t transport;
  /*
   A WEFT_ON, _OFF or _DEFAULT (off). On: both ends promise to leave the shared memory alone, so that frames may be
   looked at where they are (weft_link_peek). A peer that breaks the promise changes what is being looked at.
   */
  int32_t trusted;
  /*
   Bytes of shared memory for each direction, rounded up to a power of two; 0: 4 MiB. Larger frames pass through it
   in pieces. Memory is taken as it is used.
   */
  size_t ring_size;
  /*
   The longest frame, in bytes; 0: 1 GiB; SIZE_MAX: no limit. A longer one is refused here with WEFT_TOO_LARGE, and
   one that a peer sends all the same is WEFT_PROTOCOL.
   */
  size_t max_frame;
  /*
   Bytes of frames that an end keeps which have come while it waited to send, and which nobody has received yet;
   0: 64 MiB. It takes one more when there are less. Beyond that it waits without taking any.
   */
  size_t backlog;
} weft_link_options;

/* A frame that has come. */
typedef struct weft_frame {
  /* A WEFT_FRAME_ constant, or a number of the program's. */
  uint32_t kind;
  /* The sender's. */
  uint32_t flags;
  /* The sender's. */
  uint64_t id;
  /* What it carries, aligned to 8 bytes; good as long as `bytes`. */
  const void *data;
  /* How many bytes that are. */
  size_t len;
  /*
   What `data` is in, with one reference, which the receiver gives back by weft_bytes_release. NULL from
   weft_link_peek.
   */
  weft_bytes *bytes;
} weft_frame;

/* What has passed over a link so far. */
typedef struct weft_link_stats {
  /* Set by the caller: sizeof(weft_link_stats). */
  size_t size;
  /* How frames travel: WEFT_LINK_SHARED or WEFT_LINK_SOCKET. */
  int32_t transport;
  /* Not used. */
  int32_t reserved;
  /* Frames sent by this end. */
  uint64_t sent_frames;
  /* Bytes in them. */
  uint64_t sent_bytes;
  /* How often a thread has slept to send. */
  uint64_t send_waits;
  /* Frames that have come, those that nobody has received yet included as far as this end has taken them in. */
  uint64_t received_frames;
  /* Bytes in them. */
  uint64_t received_bytes;
  /* How often a thread has slept to receive. */
  uint64_t receive_waits;
} weft_link_stats;

/* Fills in the defaults. `size` is sizeof *options as the caller knows it. */
weft_status weft_link_options_init(struct weft_link_options *options, size_t size);

/*
 A link: frames both ways between this process and another, in order, none lost and none twice. NULL options: none.
 *near_end is this process' end. *far_fd is for the other process, which makes its end of it by weft_link_adopt; until
 then what is sent waits there. It is the caller's, closed on exec: to hand it to a program that is started, clear
 FD_CLOEXEC in the child after fork (fcntl), or have posix_spawn duplicate it (posix_spawn_file_actions_adddup2); or
 pass it over a socket. Then close it here: as long as any process has it open, the death of the peer goes
 unnoticed. The same is true of a child that was forked while a link was open and has not executed a program: it has
 a copy. WEFT_OS: no memory, descriptors or mappings for it (each end has four descriptors). Never blocks.
 */
weft_status weft_link_pair(const struct weft_link_options *options, weft_link **near_end, int32_t *far_fd);

/*
 The other end of a link, from what weft_link_pair gave as far_fd, once. The descriptor belongs to the link from now
 on, and is closed on exec. Options are those of the pair, `trusted` included: who adopts trusts if who made the pair
 says so. On failure the descriptor is still the caller's, but cannot be adopted any more. WEFT_INVALID: it is not
 one. WEFT_PROTOCOL: who made it does not keep to the rules, or has another version of Weft. WEFT_OS. Never blocks.
 */
weft_status weft_link_adopt(int32_t fd, weft_link **out);

/*
 Sends a frame: a copy of `len` bytes at `data` (which may be NULL if there are none), with `kind`, a WEFT_FRAME_
 constant or a number from WEFT_FRAME_USER on, and `flags` and `id` of the caller's. Waits for room. WEFT_OK: it is
 on its way, and comes after what was sent before it; not that the peer has received it. A frame that is larger than
 what the link holds is sent in pieces, while the peer receives them; with a timeout of 0 or less that is
 WEFT_WOULD_BLOCK. Of several threads one sends at a time. While a thread waits here it takes in what the peer sends,
 up to options->backlog, if nobody receives meanwhile; so two ends that send to each other get on. On any failure the
 peer does not get the frame: WEFT_CLOSED (either end was closed), WEFT_DIED (the peer has no end any more),
 WEFT_PROTOCOL (it has sent nonsense; for ever after), WEFT_TIMEOUT, WEFT_WOULD_BLOCK, WEFT_INTERRUPTED,
 WEFT_CANCELLED, WEFT_SHUTDOWN, WEFT_TOO_LARGE, WEFT_OS. Blocks; inside a task the thread's turn passes to another. Any
 thread.
 */
weft_status weft_link_send(weft_link *link,
                           uint32_t kind,
                           uint32_t flags,
                           uint64_t id,
                           const void *data,
                           size_t len,
                           int64_t timeout_ns);

/*
 The next frame, in *out, with bytes of its own: a copy that the peer cannot change. Waits for one. Whatever the peer
 had sent before it closed or died is received first; then WEFT_CLOSED or WEFT_DIED. WEFT_PROTOCOL: the peer has sent
 nonsense, and nothing from it is received any more. WEFT_NOMEM: no memory for the frame, which is still there. Other
 failures as for weft_link_send; *out is as it was. Of several threads one receives at a time. Blocks; inside a task
 the thread's turn passes to another. Any thread.
 */
weft_status weft_link_recv(weft_link *link, int64_t timeout_ns, struct weft_frame *out);

/*
 The next frame as it lies in shared memory, without a copy, good until weft_link_consume; a frame that came in
 pieces is put together first, and one that came over a socket is a copy. out->bytes is NULL. For one thread at a
 time: until the frame is consumed, further calls of this and of weft_link_recv are WEFT_BUSY. WEFT_UNSUPPORTED: the
 link was not made with options->trusted. Otherwise as weft_link_recv.
 */
weft_status weft_link_peek(weft_link *link, int64_t timeout_ns, struct weft_frame *out);

/*
 Takes away the frame that weft_link_peek has shown, which must not be looked at any more. WEFT_INVALID: there is
 none. Any thread.
 */
weft_status weft_link_consume(weft_link *link);

/*
 A descriptor for event loops, readable as long as a receive would not have to wait, and when there will be nothing
 more; level-triggered. It is the link's: neither read, written nor closed by the program, the same at each call, and
 good until the last release. Be ready to find nothing: use timeout 0. From the first call on receiving costs more.
 WEFT_OS: no descriptor left. Never blocks; any thread.
 */
weft_status weft_link_fd(weft_link *link, int32_t *fd);

/* What has passed so far, in *out, whose size the caller has set. Never blocks; any thread. */
weft_status weft_link_stats_get(weft_link *link, struct weft_link_stats *out);

/*
 Ends the link at this end: calls that wait here, and later ones, are WEFT_CLOSED. The peer receives what was sent
 before, then WEFT_CLOSED too (where there is no shared memory, and the link is full and cannot grow, WEFT_DIED
 instead: there is no room for the word). Again: nothing. Any thread, never blocks.
 */
void weft_link_close(weft_link *link);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_link *weft_link_retain(weft_link *link);

/*
 One reference less. The last one closes the link and frees it; calls that wait there end with WEFT_CLOSED. Frames
 that have been received stay. Never blocks.
 */
void weft_link_release(weft_link *link);

/* What worker processes run --------------------------------------------------------------------------------------- */

/*
 Answers a call, in a worker process: WEFT_OK and *reply, whose reference the library takes over (NULL, as it is
 before: no bytes); or a failure. To fail with a message: return weft_error_set(...); with more: return
 weft_handler_fail(...). `data` is aligned to 8 bytes, and good until the return.
 */
typedef weft_status (*weft_handler_fn)(const void *data, size_t len, weft_bytes **reply, void *arg);

/*
 A worker's main loop: has `handler` answer the calls of the pool at the other end of `fd`, one after the other, on
 the calling thread. `fd` is the descriptor that a weft_process_fork_fn gets; -1: what the pool has put into the
 environment of a program that it has started (WEFT_LINK_FD). Returns WEFT_OK when the pool has told the worker to
 leave, or has ended; WEFT_DIED: the pool's process has died. Then the process is to end. A worker is killed
 when the pool's process dies, wherever it is; one that the host has forked, when the thread ends that has forked it. What this library logs in the worker goes to the log of the pool's process, if that has one.
 WEFT_INVALID: fd is not such a descriptor, or no pool has started this process. WEFT_BUSY: called from a handler.
 Blocks for as long as it serves.
 */
weft_status weft_serve(int32_t fd,
                       weft_handler_fn handler,
                       void *arg);

/*
 In a handler: whether its caller wants no answer any more (weft_future_cancel, a token), or the pool has gone. Then
 it may return early, with WEFT_CANCELLED or what it has: its answer still counts. Looks each time, at the cost of a
 system call or two. Outside handlers, and on other threads, false. Never blocks.
 */
bool weft_serve_cancelled(void);

/*
 In a handler: the how manieth attempt at this call it is, from 1. More than 1 only for calls that may be begun again
 (weft_process_call_options.attempts): a worker had the call before, and has died. 0 outside handlers and on other
 threads. Never blocks.
 */
uint32_t weft_serve_attempt(void);

/*
 As weft_error_set, for handlers that have more to say: `backtrace` (NULL: none) and `payload` (NULL: none; a reference
 is taken) come back with the error of the call's future. Returns `status`, for the handler to return; WEFT_INVALID if
 payload is none. Outside handlers the rest is forgotten.
 */
weft_status weft_handler_fail(weft_status status, const char *message, const char *backtrace, weft_bytes *payload);

/* Pools of worker processes --------------------------------------------------------------------------------------- */

/* A limit on a resource of workers, as of setrlimit. */
typedef struct weft_process_limit {
  /* RLIMIT_AS, RLIMIT_CPU and so on, from <sys/resource.h>. */
  int32_t resource;
  /* Not used. */
  int32_t reserved;
  /* What counts at first; UINT64_MAX: RLIM_INFINITY. */
  uint64_t soft;
  /* How far a worker may raise it. */
  uint64_t hard;
} weft_process_limit;

/*
 Forks the calling process: in the child, calls weft_after_fork, then weft_serve(fd, ...), and ends with _exit or
 whatever the language has for it, never by returning; in the parent, returns the child's number. Less than 1: there
 is no child; weft_error_set may say why. `fd` is the library's in the parent.
 */
typedef int32_t (*weft_process_fork_fn)(int32_t fd, void *arg);

/*
 What a pool is made with. Fill in with weft_process_pool_options_init, then change what matters: argv or fork_fn has
 to be set, and not both.
 */
typedef struct weft_process_pool_options {
  /* sizeof(weft_process_pool_options). */
  size_t size;
  /* For logs, errors and the names of threads; NULL: "pool". Copied. */
  const char *name;
  /* How many worker processes, 1 to 4096; 0: as many as weft_optimal_worker_count says of computing. */
  uint32_t workers;
  /*
   How many calls a worker is given at a time, 1 to 65536: it runs them one after the other, and with more than one
   it need not wait for the next. init sets 1.
   */
  uint32_t window;
  /*
   A program and its arguments, ended by NULL, copied: executed for each worker, it calls weft_serve(-1, ...). It may
   be this program again. argv[0] is looked for in PATH if it has no slash. Its signals are as by default.
   */
  const char *const *argv;
  /*
   The program's environment, ended by NULL, copied; NULL: that of this process, as it is now. Of the library's own
   are WEFT_LINK_FD and WEFT_POOL_PID.
   */
  const char *const *env;
  /* Where the program begins; NULL: where this process is then. Copied. */
  const char *directory;
  /* What the program is called in lists of processes: its argv[0], instead of argv[0] here. NULL: argv[0]. Copied. */
  const char *title;
  /* Added to the niceness of this process for programs; less than 0 needs the right to. */
  int32_t nice;
  /*
   Whether fork_fn may be called on threads of the library's. WEFT_ON: it is, and weft_process_pool_tend is not
   needed. WEFT_OFF (the default): only from weft_process_pool_tend.
   */
  int32_t fork_anywhere;
  /* Limits for programs, set before they get any call; NULL: none. Copied. */
  const struct weft_process_limit *limits;
  /* How many limits. */
  size_t limits_len;
  /* Forks a worker. The host's memory is the worker's then. See weft_process_pool_tend. */
  weft_process_fork_fn fork_fn;
  /* For fork_fn. */
  void *fork_arg;
  /*
   How long a call may take, waiting included; it fails with WEFT_TIMEOUT then, and the worker that may have begun it
   is killed and replaced. init sets WEFT_FOREVER.
   */
  int64_t call_timeout_ns;
  /*
   How many calls may wait for a worker, beyond those that workers have; further ones are refused with WEFT_REJECTED.
   init sets SIZE_MAX: any number.
   */
  size_t max_waiting;
  /* A worker leaves in good order after so many calls, and is replaced; 0: never. init sets 0. */
  uint64_t max_calls;
  /*
   A worker that occupies more bytes of memory than this is replaced, between two calls if that is when it shows;
   one that is at work is looked at every 20 ms, and killed. 0: no limit. init sets 0. RLIMIT_AS is a limit that
   cannot be passed at all.
   */
  size_t max_rss;
  /*
   How often a call may be begun. 1: a call whose worker dies after it has begun fails with WEFT_DIED. More: it is
   sent to another one, up to so many times in all; for handlers that may run twice. init sets 1.
   */
  uint32_t attempts;
  /*
   So many workers of a seat in a row may die without having answered a call, within restart_window_ns; when one more
   does, the seat is given up. If all are, calls fail with WEFT_DIED; weft_process_pool_resize gives seats another
   chance. init sets 10; UINT32_MAX: no limit.
   */
  uint32_t restart_limit;
  /* Not used. */
  uint32_t reserved;
  /* See restart_limit. init sets a minute. */
  int64_t restart_window_ns;
  /*
   A worker that has answered calls is replaced at once; else after this time, and twice as long each time, ... init
   sets 10 ms.
   */
  int64_t backoff_ns;
  /* ... up to this. init sets 5 s. */
  int64_t backoff_max_ns;
  /* How long a worker may take until it serves, before it is killed. init sets a minute. */
  int64_t start_timeout_ns;
  /* How long a worker that is to leave may take before it gets SIGTERM, and again before SIGKILL. init sets 2 s. */
  int64_t grace_ns;
  /* Bytes of shared memory for each worker and direction, see weft_link_options; 0: 4 MiB. */
  size_t ring_size;
  /* The longest call and answer, see weft_link_options; 0: 1 GiB. */
  size_t max_frame;
} weft_process_pool_options;

/* How one call is made. Fill in with weft_process_call_options_init. */
typedef struct weft_process_call_options {
  /* sizeof(weft_process_call_options). */
  size_t size;
  /* How long it may take, see weft_process_pool_options.call_timeout_ns; 0: as the pool says. */
  int64_t timeout_ns;
  /* Asks it to stop when it is triggered, as weft_future_cancel does; NULL: none. */
  weft_cancel_token *cancel;
  /* How often it may be begun; 0: as the pool says. */
  uint32_t attempts;
  /* Not used. */
  uint32_t reserved;
} weft_process_call_options;

/* What has come of a pool so far. */
typedef struct weft_process_pool_stats {
  /* Set by the caller: sizeof(weft_process_pool_stats). */
  size_t size;
  /* Workers that there should be. */
  size_t workers;
  /* Workers that serve. */
  size_t ready;
  /* Calls that wait for a worker. */
  size_t waiting;
  /* Calls that workers have. */
  size_t outstanding;
  /* Calls that were accepted: each is, or will be, one of the next seven. */
  uint64_t calls;
  /* Calls that were answered with a result. */
  uint64_t succeeded;
  /* Calls that were answered with a failure, by their handlers. */
  uint64_t failed;
  /* Calls that have lost their worker, or for which there was none. */
  uint64_t died;
  /* Calls that were not answered in time. */
  uint64_t timed_out;
  /* Calls that were asked to stop before they had begun. */
  uint64_t cancelled;
  /* Calls that were open when the pool ended. */
  uint64_t closed;
  /* Calls for which there was no memory, or whose answer was too large. */
  uint64_t refused;
  /* How often calls were sent again, after the death of a worker. */
  uint64_t sent_again;
  /* Answers that came when the call was over. */
  uint64_t late;
  /* Worker processes that were made. */
  uint64_t born;
  /* Worker processes that ended without having been told to. */
  uint64_t deaths;
  /* Worker processes that left as they were told to. */
  uint64_t left;
  /* Bytes of memory that workers occupied when they said so last, once a second if they have calls. */
  uint64_t resident;
} weft_process_pool_stats;

/* Fills in the defaults. `size` is sizeof *options as the caller knows it. */
weft_status weft_process_pool_options_init(struct weft_process_pool_options *options, size_t size);

/* Fills in the defaults. `size` is sizeof *options as the caller knows it. */
weft_status weft_process_call_options_init(struct weft_process_call_options *options, size_t size);

/*
 A pool of worker processes that answer calls, each with its own memory: what a handler does to its process (a crash,
 a leak, an endless loop) costs the call that it was at. A worker that dies is replaced. Returns before the workers
 run; calls wait for them. Children of the library's are reaped by it alone: a program that reaps all children
 (waitpid(-1), SIGCHLD ignored) takes away how they ended. Each worker has a thread here, which sleeps. WEFT_INVALID;
 WEFT_OS: no thread for one. Never blocks.
 */
weft_status weft_process_pool_new(const struct weft_process_pool_options *options, weft_process_pool **out);

/*
 Has a worker answer a call. *out is the future of a weft_bytes, whose reference is the future's (weft_future_get) or
 goes to who takes it (weft_future_take). `data` is copied or sent before this returns; NULL if `len` is 0. The call
 goes to the worker with the fewest, by the calling thread, or waits until one has room. The future fails with
   the handler's status, message, backtrace and payload, from "process 4711";
   WEFT_DIED: its worker has died after it may have begun (weft_error_text says of what: a signal, an exit, the pool's
     own limits; weft_error_origin: "process 4711, signal 9"), or there will be no worker;
   WEFT_PROTOCOL: its worker has sent nonsense;
   WEFT_TIMEOUT: it has taken too long; a worker that may have begun it is killed;
   WEFT_CANCELLED: it was asked to stop before it had been sent, or the worker says so. One that has been sent settles
     when its worker has answered: weft_serve_cancelled tells the handler;
   WEFT_SHUTDOWN: the pool has ended.
 It is settled once. NULL options: the pool's. WEFT_CLOSED: the pool drains; WEFT_REJECTED: max_waiting; WEFT_DIED: all
 seats are given up; WEFT_TOO_LARGE: longer than max_frame. Does not wait for workers. Any thread.
 */
weft_status weft_process_pool_call(weft_process_pool *pool,
                                   const void *data,
                                   size_t len,
                                   const struct weft_process_call_options *options,
                                   weft_future **out);

/*
 How often the call behind a future has been begun so far, as far as is known: more than once only if it may be
 (weft_process_pool_options.attempts). 0: it has not been sent, the future is of something else, or none. Never
 blocks.
 */
uint32_t weft_process_call_attempts(const weft_future *future);

/*
 Waits until a worker is due and has fork_fn make it, here, on the calling thread: for hosts whose threads are not to
 be anybody's. One worker, then it returns; call it over and over, on a thread that stays: a worker
 is killed when the thread ends that has forked it. WEFT_FAILED: fork_fn has made none; it is asked again after a pause. WEFT_CLOSED: the
 pool ends. WEFT_UNSUPPORTED: its workers are programs. WEFT_TIMEOUT, WEFT_WOULD_BLOCK, WEFT_INTERRUPTED,
 WEFT_CANCELLED: none was due. Blocks.
 */
weft_status weft_process_pool_tend(weft_process_pool *pool,
                                   int64_t timeout_ns);

/*
 Changes how many workers there are, 1 to 4096, while they run. Those that are too many finish what they have been
 given, and leave. Seats that had been given up get another chance. WEFT_CLOSED: the pool ends. WEFT_OS: no thread for
 all of them. Never blocks; any thread.
 */
weft_status weft_process_pool_resize(weft_process_pool *pool, uint32_t workers);

/*
 Ends the pool: from now on it accepts no calls. Those that it has are finished, for at most this time; then the rest
 fails with WEFT_SHUTDOWN. Workers that have nothing to do are told to leave; one that does not gets SIGTERM after
 grace_ns, and SIGKILL after that time again; once the time is over, SIGTERM at once. Returns when all of them have
 gone and been reaped: WEFT_OK; WEFT_TIMEOUT or WEFT_WOULD_BLOCK: calls were open when the time was over; WEFT_DEADLOCK: called from a callback that one of the pool's threads runs; or
 WEFT_INTERRUPTED, WEFT_CANCELLED: the wait has been given up, and the rest goes on without. Again: waits again. Blocks.
 */
weft_status weft_process_pool_drain(weft_process_pool *pool,
                                    int64_t timeout_ns);

/* What has come of the pool so far, in *out, whose size the caller has set. Never blocks; any thread. */
weft_status weft_process_pool_stats_get(weft_process_pool *pool, struct weft_process_pool_stats *out);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_process_pool *weft_process_pool_retain(weft_process_pool *pool);

/*
 One reference less. The last one ends the pool as weft_process_pool_drain does with timeout 0, and does not wait for
 it: calls that are open fail with WEFT_SHUTDOWN, workers are ended and reaped by the pool's threads. Never blocks.
 */
void weft_process_pool_release(weft_process_pool *pool);

/* Process pools for hosts that are not called --------------------------------------------------------------------- */

/*
 For weft_process_pool_options.fork_fn where nobody is to be called: the pool's workers are made with
 weft_process_birth_begin. Forks nobody, and returns -1.
 */
int32_t weft_process_no_fork(int32_t _fd, void *_arg);

/*
 As weft_process_pool_tend, for hosts that fork without being called: waits until a worker is due. WEFT_OK: *out is
 one reference to its birth. Then fork; in the child, call weft_after_fork, and serve at weft_process_birth_fd, with
 weft_serve or a weft_server, and end; in the parent, weft_process_birth_end. Failures as for weft_process_pool_tend,
 and WEFT_OS: there is no descriptor or no memory for a link. Blocks.
 */
weft_status weft_process_birth_begin(weft_process_pool *pool, int64_t timeout_ns, weft_process_birth **out);

/*
 The descriptor that the worker serves at. Ask on the thread that forks, right before it does. In the parent it is
 the library's, until weft_process_birth_end. -1 on a bad handle. Never blocks.
 */
int32_t weft_process_birth_fd(const weft_process_birth *birth);

/*
 Says what came of it, once: the child's number; or less than 1: there is none, and the pool asks again after a
 pause. From now on the child is the pool's to watch, end and reap. WEFT_BUSY: that was said before. WEFT_OS: it is
 no child of this process. WEFT_FAILED: pid is less than 1. Never blocks.
 */
weft_status weft_process_birth_end(weft_process_birth *birth, int32_t pid);

/* One reference less. The last one, without weft_process_birth_end before: as that with -1. Never blocks. */
void weft_process_birth_release(weft_process_birth *birth);

/*
 Ends the pool as the last weft_process_pool_release does, while there are references: calls that are open fail with
 WEFT_SHUTDOWN, workers are ended and reaped by the pool's threads. Again: nothing. Never blocks; any thread.
 */
void weft_process_pool_close(weft_process_pool *pool);

/*
 What weft_serve does, for hosts that ask for calls instead of being called. `fd` as there, and the failures. From
 now on the pool counts this process as a worker that serves. One thread at a time uses a server: others get
 WEFT_BUSY.
 */
weft_status weft_server_new(int32_t fd, weft_server **out);

/*
 The next call, in *call one reference to what was sent; it is to be answered before the next one is asked for.
 WEFT_CLOSED: that was all, the pool has told the worker to leave, or has ended; WEFT_DIED: the pool's process has
 died. Then the process is to end. WEFT_BUSY: a call is not answered yet. WEFT_TIMEOUT, WEFT_WOULD_BLOCK,
 WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_NOMEM: there was none; ask again. Blocks.
 */
weft_status weft_server_next(weft_server *server, int64_t timeout_ns, weft_bytes **call);

/*
 Answers the call with a result: a copy of `len` bytes at `data` (NULL if there are none). WEFT_INVALID: there is no
 call. WEFT_TIMEOUT, WEFT_WOULD_BLOCK, WEFT_INTERRUPTED, WEFT_CANCELLED: the call is not answered yet. An answer that
 is too long becomes a failure, WEFT_TOO_LARGE. WEFT_DIED, WEFT_CLOSED: the pool has gone. Blocks while the link is
 full.
 */
weft_status weft_server_reply(weft_server *server, const void *data, size_t len, int64_t timeout_ns);

/*
 Answers the call with a failure, as weft_handler_fail does: `status` (WEFT_OK is none: WEFT_INVALID), `message`,
 `backtrace` and `payload`, each of which may be NULL, come back with the error of the call's future. Otherwise as
 weft_server_reply.
 */
weft_status weft_server_fail(weft_server *server,
                             weft_status status,
                             const char *message,
                             const char *backtrace,
                             weft_bytes *payload,
                             int64_t timeout_ns);

/*
 As weft_serve_cancelled, of the call that is being answered. False on a bad handle, and while another thread uses
 the server. Never blocks.
 */
bool weft_server_cancelled(weft_server *server);

/* As weft_serve_attempt, of the call that is being answered. 0: there is none. Never blocks. */
uint32_t weft_server_attempt(weft_server *server);

/*
 One reference less. The last one ends the service: a call that was not answered is lost, as if the process had died.
 Never blocks.
 */
void weft_server_release(weft_server *server);

/* Contexts: where something runs ---------------------------------------------------------------------------------- */

/*
 On the thread that executes, before weft_context_execute returns: for tests, and for finding faults. Can be
 executed again.
 */
#define WEFT_CONTEXT_INLINE 1
/* On a thread of its own. For one use. */
#define WEFT_CONTEXT_THREAD 2
/* As a task of the runtime. For one use. */
#define WEFT_CONTEXT_TASK 3

/*
 In a child that is forked by weft_context_execute, on the thread that calls it, and has a copy of the whole memory as it
 is then (the pages are copied as they are written to). For one use. The function's reply comes back, of any size.
 The child has that one thread, and may do what other threads' locks, held at that moment for ever, do not prevent:
 compute, malloc (with glibc), raw system calls; weft_after_fork has been called there, so Weft's objects can be
 made; those that were inherited are WEFT_FORKED. It leaves by returning: what it has not flushed of stdio is not
 written, exit handlers do not run. It begins with the caller's signal mask, SIGTERM let through and set to its
 default. Its end is noticed by its pidfd, and it is reaped by that: no other child of the program's ever is. If the
 program reaps it first (wait for any child, SIGCHLD ignored), the reply is there all the same, but not how it died.
 If this process dies, the child finishes its function first; nobody hears of it. Forking copies page tables, which
 takes longer the more memory this process uses; huge pages (madvise with MADV_HUGEPAGE) make that many times faster.
 */
#define WEFT_CONTEXT_FORK 4

/*
 On a thread of its own that stays, and shares nothing by way of Weft: its function has no argument, and the data and the
 reply are copied. Can be executed again: the same thread, with its thread-local state, gets one message after the
 other.
 */
#define WEFT_CONTEXT_ISOLATED 5

/*
 As a call of weft_context_options.process_pool, whose handler answers: weft_context_execute has no function. Can be
 executed again; consecutive runs may be answered by different workers.
 */
#define WEFT_CONTEXT_PROCESS 6
/* Kinds that weft_context_kind_register gives have this number or a higher one. */
#define WEFT_CONTEXT_REGISTERED 100

/* What a context is made with. Fill in with weft_context_options_init, then change what matters. */
typedef struct weft_context_options {
  /* sizeof(weft_context_options). */
  size_t size;
  /* For messages, logs and threads; NULL: none. Copied. */
  const char *name;
  /*
   What its runs are asked to stop by; it takes a reference of its own. NULL: what the task or thread that executes
   goes by, if anything. A child of FORK gets SIGTERM then.
   */
  weft_cancel_token *cancel;
  /* Bytes of stack for a thread of its own; 0: 2 MiB. Below 64 KiB: WEFT_INVALID. */
  size_t stack_size;
  /* Of a PROCESS: who answers. It is not kept: when the pool has ended, runs fail with WEFT_SHUTDOWN, or what it says. */
  weft_process_pool *process_pool;
  /* Of a TASK: WEFT_PRIORITY_NORMAL, _HIGH, _CRITICAL or _LOW. */
  int32_t priority;
  /*
   A WEFT_ON, _OFF or _DEFAULT (off). On: a kind that there is not on this system (FORK where pidfds are missing, a
   registered kind whose probe fails) is WEFT_UNSUPPORTED. Off: a THREAD takes its place, which is logged once per
   kind, and told by weft_context_kind.
   */
  int32_t exact;
} weft_context_options;

/* What a context has done so far. */
typedef struct weft_context_stats {
  /* Set by the caller: sizeof(weft_context_stats). */
  size_t size;
  /* Runs that have begun. */
  uint64_t executed;
  /* Those of them that failed. */
  uint64_t failed;
  /*
   Of the run that goes on, or of the last one: nanoseconds from the call of weft_context_execute to that of the
   function; 0: not called yet.
   */
  int64_t start_ns;
  /* Nanoseconds from that to the end of the run; 0: it goes on. */
  int64_t run_ns;
  /* FORK: the most memory that the child had, in bytes, what it shared with this process included; 0: not known. */
  uint64_t peak_rss;
} weft_context_stats;

/* Fills in the defaults. `size` is sizeof *options as the caller knows it. */
weft_status weft_context_options_init(struct weft_context_options *options, size_t size);

/*
 A context of this kind, a WEFT_CONTEXT_ constant or the number of a registered one (another number: WEFT_INVALID).
 Nothing is started. `runtime` is for TASK (NULL as everywhere), and of no account for others. NULL options: none.
 Never blocks; any thread.
 */
weft_status weft_context_new(weft_runtime *runtime,
                             int32_t kind,
                             const struct weft_context_options *options,
                             weft_context **out);

/*
 Has fn(data, len, &reply, arg) called once, where contexts of its kind have it called. INLINE: here and now; whatever
 comes of it, this is WEFT_OK, and weft_context_wait tells. Others go on while it runs. The data are copied (FORK: with
 everything else; INLINE: not). drop(ctx, arg) is called once, when fn has returned or will not be called, before anybody
 is told that the run is over (of a FORK: here, as soon as the child has its copy); NULL: none. `arg` is NULL for
 ISOLATED, else WEFT_INVALID. A failure, an uncaught panic included, is the run's. `fn` is NULL for PROCESS, and
 where the kind is a registered one that does without; arg and drop are of no account then. Blocks for a place in the pool, if it is of one (see weft_context_pool_acquire), and inside a task
 passes the turn on meanwhile; otherwise never. On failure nothing was called, and all is as before: WEFT_BUSY (it is
 being executed; or was, and is for one use), WEFT_CLOSED (it was terminated; or the pool was closed), WEFT_SHUTDOWN
 (the runtime takes no more), WEFT_OS (no thread, no process, no descriptor), WEFT_NOMEM, or what a registered kind
 says. Any thread.
 */
weft_status weft_context_execute(weft_context *context,
                                 weft_handler_fn fn,
                                 void *arg,
                                 weft_drop_fn drop,
                                 void *ctx,
                                 const void *data,
                                 size_t len);

/*
 Waits for the end of the run, and tells what came of it, the same each time: WEFT_OK and one reference to the reply in
 *reply (NULL reply: not wanted), or the status and message of its failure: what the function returned, WEFT_PANIC,
 WEFT_CANCELLED (asked to stop before it began, or a FORK that was), WEFT_BROKEN (dropped unrun by its runtime), and of a
 FORK WEFT_DIED (exited or died without a reply; the message says how). WEFT_INVALID: it was never executed.
 WEFT_DEADLOCK: the run is what calls this. Blocks; inside a task the thread's turn passes to another, or the thread
 runs the TASK that it waits for. WEFT_TIMEOUT, WEFT_WOULD_BLOCK, WEFT_INTERRUPTED, WEFT_CANCELLED and WEFT_SHUTDOWN
 (the caller's): the run goes on. Any thread, any number of them.
 */
weft_status weft_context_wait(weft_context *context,
                              int64_t timeout_ns,
                              weft_bytes **reply);

/* Whether a run goes on; false on a bad handle. Never blocks; any thread. */
bool weft_context_is_alive(const weft_context *context);

/*
 Ends the context: it is not executed any more (WEFT_CLOSED), and a run that goes on is asked to stop: its token is
 triggered, so that its waits end and weft_cancelled says true; a FORK gets SIGTERM. Waits for the end, `grace_ns` at
 most; after that a FORK, or a registered kind that can, is killed, and waited for. WEFT_OK: nothing runs any more; what
 came of the run, weft_context_wait tells. WEFT_TIMEOUT: it still runs; a thread is never killed, and goes on (which is
 logged); wait for it, or call this again. WEFT_DEADLOCK: the run is what calls this; it has been asked to stop.
 WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_SHUTDOWN: the caller's wait was ended; it has been asked to stop. Any thread,
 any number of times.
 */
weft_status weft_context_terminate(weft_context *context, int64_t grace_ns);

/*
 What it is: a WEFT_CONTEXT_ constant, or a registered kind's number; another one than was asked for if there was none
 such. -1 on a bad handle. Never blocks.
 */
int32_t weft_context_kind(const weft_context *context);

/* The kind that was asked for; -1 on a bad handle. Never blocks. */
int32_t weft_context_kind_asked(const weft_context *context);

/* Its name; "" if it has none, and on a bad handle. Belongs to the context. Never blocks. */
const char *weft_context_name(const weft_context *context);

/*
 Why the last run failed; NULL unless it did, and on a bad handle. The error is the context's, until it is executed again or
 goes. Never blocks.
 */
const weft_error *weft_context_error(const weft_context *context);

/* What it has done so far, in *out, whose size the caller has set. Never blocks; any thread. */
weft_status weft_context_stats_get(const weft_context *context, struct weft_context_stats *out);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_context *weft_context_retain(weft_context *context);

/*
 One reference less. A run that goes on is finished, and a child reaped, though nobody will know what came of it; to end it,
 call weft_context_terminate before. Never blocks.
 */
void weft_context_release(weft_context *context);

/* Kinds of contexts of the program's ------------------------------------------------------------------------------ */

/*
 Takes a run: WEFT_OK, and it has the one reference to `job`, for which it calls weft_context_job_run or
 weft_context_job_finish some time, on whatever thread, and weft_context_job_release. Anything else (WEFT_WOULD_BLOCK
 of a queue that is full, say): weft_context_execute fails with that, and `job` has gone. Called on the thread that
 executes, with no lock held.
 */
typedef weft_status (*weft_context_submit_fn)(void *arg, weft_context_job *job);

/*
 A run is to stop (kill 0), or to be ended by force (kill 1). WEFT_OK: it will end; anything else: it cannot be. It does not
 wait for that. Called on the thread that asks, with no lock held; `job` is good until it returns.
 */
typedef weft_status (*weft_context_stop_fn)(void *arg, weft_context_job *job, int32_t kill);

/*
 Whether contexts of the kind can be had at the moment: WEFT_OK, or why not. Called by weft_context_new and
 weft_context_pool_acquire.
 */
typedef weft_status (*weft_context_probe_fn)(void *arg);

/* The kind was taken back, and the last context of it has gone. */
typedef void (*weft_context_destroy_fn)(void *arg);

/* How a kind of the program's does what contexts do. Zeroes stand for what is not there. */
typedef struct weft_context_vtable {
  /* sizeof(weft_context_vtable). */
  size_t size;
  /* Handed to all functions. They may be called on any thread, several at once. */
  void *arg;
  /* Takes a run. */
  weft_context_submit_fn submit;
  /* NULL: a run that has begun only has its token. */
  weft_context_stop_fn stop;
  /* NULL: they can always be had. */
  weft_context_probe_fn probe;
  /* NULL: nothing. */
  weft_context_destroy_fn destroy;
} weft_context_vtable;

/* Fills in zeroes, and the size: sizeof *vtable as the caller knows it. */
weft_status weft_context_vtable_init(struct weft_context_vtable *vtable, size_t size);

/*
 Registers a kind of contexts under this name (UTF-8, copied; WEFT_BUSY: there is one of that name), which gets a number, in
 *kind. The vtable is copied; submit must be there. Never blocks; any thread.
 */
weft_status weft_context_kind_register(const char *name,
                                       const struct weft_context_vtable *vtable,
                                       int32_t *kind);

/*
 Takes a kind back: there are no new contexts of it. Its destroy is called when the last of those that there are has gone, which
 may be here and now. WEFT_INVALID: there is no such kind, or none of the program's. Never blocks; any thread.
 */
weft_status weft_context_kind_unregister(int32_t kind);

/*
 The number of the kind with this name ("inline", "thread", "task", "fork", "isolated", and registered ones), in *kind.
 WEFT_NOT_FOUND: there is none. Never blocks; any thread.
 */
weft_status weft_context_kind_find(const char *name, int32_t *kind);

/*
 What the run works on, as weft_context_execute was given it; *len bytes, good as long as the job. `len` may be NULL. NULL on
 a bad handle. Never blocks; any thread.
 */
const void *weft_context_job_data(const weft_context_job *job,
                                  size_t *len);

/* Whether the run has been asked to stop; false on a bad handle. Never blocks; any thread. */
bool weft_context_job_cancelled(const weft_context_job *job);

/*
 Calls the function of the run here, and ends the run with what it gives; WEFT_OK whatever that is. WEFT_BUSY: somebody has
 run or finished it. Blocks as long as the function. Any thread.
 */
weft_status weft_context_job_run(weft_context_job *job);

/*
 Ends the run with a reply that something else than its function has given (WEFT_OK; a reference of its own is taken to
 `reply`, NULL: no bytes), or with a failure (any other status, and `message`, copied; NULL: the status' name).
 WEFT_BUSY: somebody has run or finished it. Never blocks; any thread.
 */
weft_status weft_context_job_finish(weft_context_job *job, weft_status status, const char *message, weft_bytes *reply);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_context_job *weft_context_job_retain(weft_context_job *job);

/*
 One reference less. A run whose last reference goes before it was run or finished fails with WEFT_BROKEN, or
 WEFT_CANCELLED if it was asked to stop. Never blocks.
 */
void weft_context_job_release(weft_context_job *job);

/* Pools of contexts ----------------------------------------------------------------------------------------------- */

/* How a context is acquired. Fill in with weft_context_acquire_options_init, then change what matters. */
typedef struct weft_context_acquire_options {
  /* sizeof(weft_context_acquire_options). */
  size_t size;
  /* Its name; NULL: the pool's, or "context", with a number. Copied. A context that is used again keeps its own. */
  const char *name;
  /*
   How long to wait for a place: weft_context_execute, or if `strict` weft_context_pool_acquire. The default is
   WEFT_FOREVER; 0 or less does not wait (WEFT_WOULD_BLOCK).
   */
  int64_t timeout_ns;
  /*
   The order of those that wait for a place: WEFT_PRIORITY_CRITICAL first, then _HIGH, _NORMAL and _LOW; among equals
   who came first. Of a new TASK its priority as well.
   */
  int32_t priority;
  /*
   A WEFT_ON, _OFF or _DEFAULT (off). Off: the context takes its place when it is executed, so there may be any number
   of contexts. On: it takes it now, for its first execute.
   */
  int32_t strict;
} weft_context_acquire_options;

/*
 Told of each context: WEFT_OK, or the status and message of its failure, which are good until it returns, as is the
 context. Called on the thread that waits, with no lock held.
 */
typedef void (*weft_context_told_fn)(weft_context *context, weft_status status, const char *message, void *arg);

/* What a pool has done so far. */
typedef struct weft_context_pool_stats {
  /* Set by the caller: sizeof(weft_context_pool_stats). */
  size_t size;
  /* How many places there are. */
  uint32_t max;
  /* Those that are taken: by runs that go on, and by contexts that were acquired strictly. */
  uint32_t active;
  /* Those that are free. */
  uint32_t available;
  /* Who waits for one. */
  uint32_t waiting;
  /* The most that were taken at once. */
  uint32_t peak;
  /* Not used. */
  uint32_t reserved;
  /* Contexts that are out: acquired, and neither put back nor gone. */
  uint64_t out;
  /* Contexts given out so far. */
  uint64_t acquired;
  /* Those of them that had been used before. */
  uint64_t reused;
  /* Runs that are over. */
  uint64_t executed;
  /* Those of them that failed. */
  uint64_t failed;
} weft_context_pool_stats;

/*
 A pool: of its contexts at most `max_size` run at once. 0: 5 (THREAD, TASK and registered kinds), 4 (ISOLATED),
 2 (FORK and PROCESS), 1 (INLINE). `kind`, `runtime` and `options` are those of its contexts, as for weft_context_new; the
 name in the options is what theirs begin with. Nothing is started. Never blocks; any thread.
 */
weft_status weft_context_pool_new(weft_runtime *runtime,
                                  int32_t kind,
                                  uint32_t max_size,
                                  const weft_context_options *options,
                                  weft_context_pool **out);

/* Fills in the defaults. `size` is sizeof *options as the caller knows it. */
weft_status weft_context_acquire_options_init(struct weft_context_acquire_options *options, size_t size);

/*
 A context of the pool, with one reference; NULL options: none. It has a place while it is executed, and gives it back
 when the run is over, whether anybody waits for that or not: so it may be executed, waited for and released like any
 other. By default there is always a context, and weft_context_execute waits for a place; so a hundred contexts of a
 pool of ten can be executed one after the other. Strictly, this waits for the place: blocks, inside a task passing the
 turn on; WEFT_WOULD_BLOCK, WEFT_TIMEOUT, WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_SHUTDOWN; WEFT_DEADLOCK: the pool's
 places are all those of functions that this thread is in. WEFT_CLOSED: the pool was closed. Any thread.
 */
weft_status weft_context_pool_acquire(weft_context_pool *pool,
                                      const struct weft_context_acquire_options *options,
                                      weft_context **out);

/*
 Gives a context back, with the caller's reference, and the place that it had if it was not executed. An INLINE one is given
 out again; the others leave too much of a run behind, and go. WEFT_BUSY: it is being executed. WEFT_INVALID: it is
 not of this pool. On failure the reference is still the caller's. Releasing it instead is as good. Never blocks.
 */
weft_status weft_context_pool_put(weft_context_pool *pool,
                                  weft_context *context);

/*
 Waits for the end of all contexts that are out and have been executed, `timeout_ns` at most for all together; a failure
 of one is no hindrance. fn(context, status, message, arg) is told of each, NULL: nobody. WEFT_OK: all went well.
 Else the status of the first that failed, WEFT_TIMEOUT or WEFT_WOULD_BLOCK if that goes on. WEFT_INTERRUPTED,
 WEFT_CANCELLED, WEFT_SHUTDOWN: possibly the caller's wait was ended; not all were told of. Contexts that are executed
 meanwhile may be missed. Blocks as weft_context_wait does. Any thread.
 */
weft_status weft_context_pool_wait_all(weft_context_pool *pool, int64_t timeout_ns, weft_context_told_fn fn, void *arg);

/*
 weft_context_terminate of all contexts that are out: all are asked to stop, and have `grace_ns` together. What is told of
 each, and returned, is what that says. The pool stays open. Blocks as weft_context_terminate does. Any thread.
 */
weft_status weft_context_pool_terminate_all(weft_context_pool *pool,
                                            int64_t grace_ns,
                                            weft_context_told_fn fn,
                                            void *arg);

/*
 Nobody gets a context or a place any more, and who waits for one is sent home: WEFT_CLOSED. What runs goes on. Again:
 nothing. Never blocks; any thread.
 */
void weft_context_pool_close(weft_context_pool *pool);

/* What it has done so far, in *out, whose size the caller has set. Never blocks; any thread. */
weft_status weft_context_pool_stats_get(const weft_context_pool *pool, struct weft_context_pool_stats *out);

/* One more reference. Returns its argument; NULL on a bad handle. */
weft_context_pool *weft_context_pool_retain(weft_context_pool *pool);

/* One reference less. The last one closes the pool; its contexts stay, and what runs goes on. Never blocks. */
void weft_context_pool_release(weft_context_pool *pool);

#ifdef __cplusplus
} /* extern "C" */
#endif

/* weft_fork, weft_next, weft_sync */
#include "join.h"

#endif /* WEFT_H */
