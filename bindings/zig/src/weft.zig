//! Weft for Zig: one concurrency runtime, through its C functions.
//!
//! The module imports the translated header weft.h under the name "c": either what `zig translate-c` makes of it, or `cimport.zig` with
//! compilers that have `@cImport`. `build.zig` sets it up; README.md shows both ways.
//!
//! What holds for everything in here:
//!
//! - Handles (`Runtime`, `Future`, `Promise`, `Channel`, `CancelToken`, `Timer`, `Mutex`, `Thread`, `Breaker`, `Link`, `Bytes`,
//!   `ProcessPool`, `Answer`, `Context`, `ContextPool`, `Waker`, `Watch`) are small structs around one reference. `retain()` gives another
//!   one to keep, `deinit()` gives one back and never blocks; a copy without `retain()` is a borrowed view.
//! - Callables are functions known at compile time plus a tuple of arguments, which are copied. A function whose first parameter is a
//!   `Worker` gets the worker it runs on; the tuple does not mention it.
//! - What can fail returns `Error`, which mirrors the statuses of weft.h; `message()` explains this thread's last failure. Errors that
//!   a callable returns come out where its result is asked for, as they went in.
//! - Timeouts are nanoseconds; 0 and less never block, `forever` never gives up.
//! - Values are copied bit by bit. Where values can be left behind (in a channel, in a future), an optional `drop` frees what they own.

pub const c = @import("header.zig").c;

pub const Error = @import("failure.zig").Error;
pub const Failure = @import("failure.zig").Failure;
pub const message = @import("failure.zig").message;
pub const Worker = @import("worker.zig").Worker;
pub const Runtime = @import("runtime.zig").Runtime;
pub const Future = @import("future.zig").Future;
pub const Promise = @import("future.zig").Promise;
pub const promise = @import("future.zig").promise;
pub const Combined = @import("combined.zig").Combined;
pub const Watch = @import("future.zig").Watch;
pub const all = @import("combined.zig").all;
pub const any = @import("combined.zig").any;
pub const race = @import("combined.zig").race;
pub const delay = @import("combined.zig").delay;
pub const Waker = @import("poll.zig").Waker;
pub const Interest = @import("descriptor.zig").Interest;
pub const Ready = @import("descriptor.zig").Ready;
pub const deadlock = @import("deadlock.zig");
pub const CancelToken = @import("cancel.zig").CancelToken;
pub const Shield = @import("cancel.zig").Shield;
pub const cancelled = @import("cancel.zig").cancelled;
pub const Thread = @import("thread.zig").Thread;
pub const log = @import("log.zig");
pub const Mutex = @import("mutex.zig").Mutex;
pub const Timer = @import("timer.zig").Timer;
pub const sleep = @import("timer.zig").sleep;
pub const Channel = @import("channel.zig").Channel;
pub const Breaker = @import("breaker.zig").Breaker;
pub const Permit = @import("breaker.zig").Permit;
pub const Outcome = @import("breaker.zig").Outcome;
pub const Bytes = @import("bytes.zig").Bytes;
pub const Link = @import("link.zig").Link;
pub const Frame = @import("link.zig").Frame;
pub const FrameHead = @import("link.zig").FrameHead;
pub const ProcessPool = @import("process.zig").ProcessPool;
pub const Answer = @import("process.zig").Answer;
pub const Context = @import("context.zig").Context;
pub const ContextPool = @import("context.zig").ContextPool;
pub const serve = @import("process.zig").serve;
pub const serveCancelled = @import("process.zig").serveCancelled;
pub const serveAttempt = @import("process.zig").serveAttempt;

pub const select = @import("select.zig").select;
pub const Fired = @import("select.zig").Fired;
pub const recvCase = @import("select.zig").recvCase;
pub const sendCase = @import("select.zig").sendCase;
pub const futureCase = @import("select.zig").futureCase;
pub const cancelCase = @import("select.zig").cancelCase;
pub const timerCase = @import("select.zig").timerCase;

/// A timeout that never ends.
pub const forever: i64 = @import("std").math.maxInt(i64);

/// The runtime of the calling task; outside any task the process-wide default runtime, which starts on first use.
pub const default: Runtime = .{ .handle = null };

/// What work mostly does: compute, wait, or both.
pub const Load = enum(i32) { cpu = c.WEFT_LOAD_CPU, io = c.WEFT_LOAD_IO, mixed = c.WEFT_LOAD_MIXED };

/// How many workers suit a kind of work on this machine.
pub fn optimalWorkerCount(load: Load) u32 {
    return @intCast(c.weft_optimal_worker_count(@intFromEnum(load)));
}

/// The library's version: major << 24 | minor << 16 | patch << 8.
pub fn version() u32 {
    return c.weft_version();
}
