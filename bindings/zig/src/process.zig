//! Pools of worker processes: pool.call(bytes) for the callers, serve(handler) in the worker.

const std = @import("std");
const c = @import("header.zig").c;
const bytes = @import("bytes.zig");
const allocator = @import("call.zig").allocator;
const CancelToken = @import("cancel.zig").CancelToken;
const Channel = @import("channel.zig").Channel;
const failure = @import("failure.zig");
const future = @import("future.zig");
const handler = @import("handler.zig");

const Error = failure.Error;

/// Worker processes that answer calls. Any thread may use it.
pub const ProcessPool = struct {
    handle: *c.weft_process_pool,

    /// As weft.h has them, to be changed where it matters.
    pub const Options = c.weft_process_pool_options;
    pub const Stats = c.weft_process_pool_stats;

    pub const CallOptions = struct {
        /// How long it may take; null: as the pool says.
        timeout_ns: ?i64 = null,
        /// Asks it to stop when it is triggered, a borrowed view.
        cancel: ?CancelToken = null,
        /// How often it may be begun; 0: as the pool says.
        attempts: u32 = 0,
    };

    pub fn defaults() Options {
        var options: Options = undefined;
        const status = c.weft_process_pool_options_init(&options, @sizeOf(Options));
        std.debug.assert(status == c.WEFT_OK);
        return options;
    }

    /// A pool of workers that execute this program with its arguments, which calls weft.serve; it may be this program again, as
    /// "/proc/self/exe". All of it is copied. Waits for no worker: calls do.
    pub fn init(argv: []const [*:0]const u8, options: Options) Error!ProcessPool {
        const words = try allocator.alloc(?[*:0]const u8, argv.len + 1);
        defer allocator.free(words);
        for (argv, words[0..argv.len]) |word, *place| place.* = word;
        words[argv.len] = null;
        var native = options;
        native.argv = @ptrCast(words.ptr);
        var handle: ?*c.weft_process_pool = null;
        try failure.check(c.weft_process_pool_new(&native, &handle));
        return .{ .handle = handle.? };
    }

    /// Gives the reference back. The last one ends the pool as `drain(0)` does, and waits for nothing.
    pub fn deinit(self: ProcessPool) void {
        c.weft_process_pool_release(self.handle);
    }

    /// Another reference to the same pool.
    pub fn retain(self: ProcessPool) ProcessPool {
        return .{ .handle = c.weft_process_pool_retain(self.handle).? };
    }

    /// Has a worker answer; the data are copied. Does not wait for workers. error.Closed: the pool drains; error.Rejected: too many wait.
    pub fn call(self: ProcessPool, data: []const u8) Error!Answer {
        return self.callWith(data, .{});
    }

    pub fn callWith(self: ProcessPool, data: []const u8, options: CallOptions) Error!Answer {
        var native: c.weft_process_call_options = undefined;
        try failure.check(c.weft_process_call_options_init(&native, @sizeOf(c.weft_process_call_options)));
        if (options.timeout_ns) |time_ns| native.timeout_ns = time_ns;
        if (options.cancel) |token| native.cancel = token.handle;
        native.attempts = options.attempts;
        var handle: ?*c.weft_future = null;
        try failure.check(c.weft_process_pool_call(self.handle, data.ptr, data.len, &native, &handle));
        return .{ .handle = handle.? };
    }

    /// Changes how many workers there are. Those that are too many finish what they have been given.
    pub fn resize(self: ProcessPool, workers: u32) Error!void {
        try failure.check(c.weft_process_pool_resize(self.handle, workers));
    }

    /// Accepts nothing any more, finishes what there is for at most this long, and returns when all workers have gone. error.Timeout,
    /// error.WouldBlock: calls were open when the time was over, and have failed.
    pub fn drain(self: ProcessPool, timeout_ns: i64) Error!void {
        try failure.check(c.weft_process_pool_drain(self.handle, timeout_ns));
    }

    pub fn stats(self: ProcessPool) Error!Stats {
        var out: Stats = std.mem.zeroes(Stats);
        out.size = @sizeOf(Stats);
        try failure.check(c.weft_process_pool_stats_get(self.handle, &out));
        return out;
    }
};

/// What a call of a process pool comes to: a future of bytes.
pub const Answer = struct {
    handle: *c.weft_future,

    /// Gives the reference back. The call goes on.
    pub fn deinit(self: Answer) void {
        c.weft_future_release(self.handle);
    }

    pub fn retain(self: Answer) Answer {
        return .{ .handle = c.weft_future_retain(self.handle).? };
    }

    /// As Future.wait.
    pub fn wait(self: Answer, timeout_ns: i64) Error!void {
        try failure.check(c.weft_future_wait(self.handle, timeout_ns));
    }

    /// Waits, then gives the bytes, which are the answer's, or the error for the status that the handler failed with (error.Failed for
    /// an error of its own, whose name whyFailed tells). error.Died: the worker died after it may have begun; error.Shutdown: the pool
    /// has ended.
    pub fn get(self: Answer) Error![]const u8 {
        return (try self.borrowed()).slice();
    }

    /// Waits, then moves the bytes out: the reference is the caller's. error.Busy unless this is the only reference to the answer.
    pub fn take(self: Answer) Error!bytes.Bytes {
        var raw: ?*anyopaque = null;
        try failure.check(c.weft_future_take(self.handle, std.math.maxInt(i64), &raw));
        return .{ .handle = @ptrCast(raw.?) };
    }

    fn borrowed(self: Answer) Error!bytes.Bytes {
        var raw: ?*anyopaque = null;
        try failure.check(c.weft_future_get(self.handle, std.math.maxInt(i64), &raw));
        return .{ .handle = @ptrCast(raw.?) };
    }

    /// As Future.state.
    pub fn state(self: Answer) future.Future(void).State {
        return @enumFromInt(c.weft_future_state(self.handle));
    }

    /// Asks the call to stop. One that has been sent settles when its worker has answered: see weft.serveCancelled.
    pub fn cancel(self: Answer) void {
        c.weft_future_cancel(self.handle);
    }

    /// How often it has been begun, as far as is known.
    pub fn attempts(self: Answer) u32 {
        return c.weft_process_call_attempts(self.handle);
    }

    /// As Future.onSettled.
    pub fn onSettled(self: Answer, comptime f: anytype, args: anytype) Error!future.Watch {
        return future.watch(self.handle, f, args);
    }

    /// As Future.notify: an unbounded channel.
    pub fn notify(self: Answer, completions: Channel(u64), tag: u64) Error!void {
        try failure.check(c.weft_future_notify(self.handle, completions.handle, tag));
    }

    /// As Future.fd.
    pub fn fd(self: Answer) Error!i32 {
        return future.descriptor(self.handle);
    }

    /// Status, text and origin ("process 4711, signal 9") of a failure; null unless it failed.
    pub fn whyFailed(self: Answer) ?failure.Failure {
        return failure.Failure.of(self.handle);
    }
};

/// The main loop of a worker, a program that a pool has started: has f(args..., data) answer its calls, one after the other, on this
/// thread. f returns nothing, a []const u8, which is copied, or a weft.Bytes, whose reference moves; its error fails the call. Returns
/// when the pool wants no more, or has ended; error.Died: the pool's process has died. Then the process is to end. error.Invalid: no pool
/// has started this process.
pub fn serve(comptime f: anytype, args: anytype) Error!void {
    const Handler = handler.Handler(f, @TypeOf(args));
    var own: Handler = .{ .args = args };
    try failure.check(c.weft_serve(-1, Handler.entry, &own));
}

/// In a handler: whether nobody wants its answer any more. Costs a system call or two.
pub fn serveCancelled() bool {
    return c.weft_serve_cancelled();
}

/// In a handler: the how manieth attempt at this call it is, from 1. 0 outside.
pub fn serveAttempt() u32 {
    return c.weft_serve_attempt();
}
