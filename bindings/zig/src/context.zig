//! Contexts: where something runs, and pools of them. context.execute(f, args, data), then context.wait(weft.forever).

const std = @import("std");
const c = @import("header.zig").c;
const bytes = @import("bytes.zig");
const call = @import("call.zig");
const CancelToken = @import("cancel.zig").CancelToken;
const failure = @import("failure.zig");
const handler = @import("handler.zig");
const ProcessPool = @import("process.zig").ProcessPool;
const Runtime = @import("runtime.zig").Runtime;
const task = @import("task.zig");

const Error = failure.Error;

/// Where something runs. Any thread may use it; released while it runs, it runs on.
pub const Context = struct {
    handle: *c.weft_context,

    /// See the WEFT_CONTEXT_ constants of weft.h. Registered kinds are other numbers.
    pub const Kind = enum(i32) {
        /// INLINE: on the thread that executes.
        on_caller = c.WEFT_CONTEXT_INLINE,
        /// On a thread of its own. For one use, as task and fork are.
        thread = c.WEFT_CONTEXT_THREAD,
        task = c.WEFT_CONTEXT_TASK,
        /// In a forked child, which has a copy of the whole memory, and one thread.
        fork = c.WEFT_CONTEXT_FORK,
        /// On a thread of its own that stays; its function has no arguments but the data.
        isolated = c.WEFT_CONTEXT_ISOLATED,
        /// As a call of a process pool, whose handler answers.
        process = c.WEFT_CONTEXT_PROCESS,
        _,
    };

    pub const Options = struct {
        /// For messages, logs and threads. Copied.
        name: ?[*:0]const u8 = null,
        /// Of a task: where it runs.
        runtime: Runtime = .{ .handle = null },
        /// What its runs are asked to stop by, a borrowed view; null: what the task or thread that executes goes by.
        cancel: ?CancelToken = null,
        /// Bytes of stack for a thread of its own; 0: 2 MiB.
        stack_size: usize = 0,
        /// Of a process: who answers, a borrowed view, which is not kept.
        process_pool: ?ProcessPool = null,
        /// Of a task.
        priority: task.Priority = .normal,
        /// A kind that there is not on this system is error.Unsupported, instead of a thread in its place.
        exact: bool = false,

        fn native(self: Options) Error!c.weft_context_options {
            var options: c.weft_context_options = undefined;
            try failure.check(c.weft_context_options_init(&options, @sizeOf(c.weft_context_options)));
            if (self.name) |text| options.name = text;
            if (self.cancel) |token| options.cancel = token.handle;
            options.stack_size = self.stack_size;
            if (self.process_pool) |pool| options.process_pool = pool.handle;
            options.priority = @intFromEnum(self.priority);
            if (self.exact) options.exact = c.WEFT_ON;
            return options;
        }
    };

    pub const Stats = c.weft_context_stats;

    /// Starts nothing.
    pub fn init(of: Kind, options: Options) Error!Context {
        const native = try options.native();
        var handle: ?*c.weft_context = null;
        try failure.check(c.weft_context_new(options.runtime.handle, @intFromEnum(of), &native, &handle));
        return .{ .handle = handle.? };
    }

    /// Gives the reference back. A run that goes on is finished; `terminate` ends it before.
    pub fn deinit(self: Context) void {
        c.weft_context_release(self.handle);
    }

    /// Another reference to the same context.
    pub fn retain(self: Context) Context {
        return .{ .handle = c.weft_context_retain(self.handle).? };
    }

    /// Has f(args..., data) called once, where contexts of this kind have it called; the data are copied. f returns nothing, a
    /// []const u8, which is copied, or a weft.Bytes, whose reference moves; its error fails the run. Waits for a place in the pool, if
    /// it is of one. error.Busy: it is being executed, or was and is for one use; error.Closed: it was terminated. error.Invalid:
    /// arguments for an isolated one, or a function for a process.
    pub fn execute(self: Context, comptime f: anytype, args: anytype, data: []const u8) Error!void {
        const Handler = handler.Handler(f, @TypeOf(args));
        if (@TypeOf(args) == @TypeOf(.{})) {
            return failure.check(c.weft_context_execute(self.handle, Handler.entry, null, null, null, data.ptr, data.len));
        }
        const own = try call.allocator.create(Handler);
        errdefer call.allocator.destroy(own);
        own.* = .{ .args = args };
        try failure.check(c.weft_context_execute(self.handle, Handler.entry, own, Handler.drop, null, data.ptr, data.len));
    }

    /// The same for kinds that need no function, such as process.
    pub fn executeData(self: Context, data: []const u8) Error!void {
        try failure.check(c.weft_context_execute(self.handle, null, null, null, null, data.ptr, data.len));
    }

    /// Waits for the end of the run, and gives a reference to its reply, which is the caller's; or the error for the status that it
    /// failed with (error.Failed for an error of the function's own, whose name whyFailed tells). The same each time. error.Died: a
    /// child has ended without a reply; error.Cancelled: it was asked to stop. error.Timeout and error.WouldBlock while isAlive(): it
    /// goes on.
    pub fn wait(self: Context, timeout_ns: i64) Error!bytes.Bytes {
        var reply: ?*c.weft_bytes = null;
        try failure.check(c.weft_context_wait(self.handle, timeout_ns, &reply));
        return .{ .handle = reply.? };
    }

    /// Whether a run goes on.
    pub fn isAlive(self: Context) bool {
        return c.weft_context_is_alive(self.handle);
    }

    /// Asks a run to stop, and waits for its end this long; then a child is killed. error.Timeout: a thread runs on. It is not executed
    /// any more; what came of the run, `wait` tells.
    pub fn terminate(self: Context, grace_ns: i64) Error!void {
        try failure.check(c.weft_context_terminate(self.handle, grace_ns));
    }

    /// What it is: a thread, if there was no kind such as was asked for.
    pub fn kind(self: Context) Kind {
        return @enumFromInt(c.weft_context_kind(self.handle));
    }

    pub fn kindAsked(self: Context) Kind {
        return @enumFromInt(c.weft_context_kind_asked(self.handle));
    }

    /// "" if it has none. Belongs to the context.
    pub fn name(self: Context) [:0]const u8 {
        return std.mem.span(@as([*:0]const u8, c.weft_context_name(self.handle)));
    }

    /// Why the last run failed; null unless it did. Valid until it is executed again or goes.
    pub fn whyFailed(self: Context) ?failure.Failure {
        return failure.Failure.read(c.weft_context_error(self.handle));
    }

    pub fn stats(self: Context) Error!Stats {
        var out: Stats = std.mem.zeroes(Stats);
        out.size = @sizeOf(Stats);
        try failure.check(c.weft_context_stats_get(self.handle, &out));
        return out;
    }
};

/// Contexts of which so many run at once. Any thread may use it.
pub const ContextPool = struct {
    handle: *c.weft_context_pool,

    pub const Stats = c.weft_context_pool_stats;

    pub const AcquireOptions = struct {
        /// null: the pool's, with a number. Copied.
        name: ?[*:0]const u8 = null,
        /// How long to wait for a place.
        timeout_ns: i64 = std.math.maxInt(i64),
        /// The order of those that wait.
        priority: task.Priority = .normal,
        /// It takes its place when it is acquired, not when it is executed.
        strict: bool = false,
    };

    /// `max_size` 0: what is usual for the kind. The options are those of its contexts.
    pub fn init(of: Context.Kind, max_size: u32, options: Context.Options) Error!ContextPool {
        const native = try options.native();
        var handle: ?*c.weft_context_pool = null;
        try failure.check(c.weft_context_pool_new(options.runtime.handle, @intFromEnum(of), max_size, &native, &handle));
        return .{ .handle = handle.? };
    }

    /// Gives the reference back. The last one closes the pool; its contexts stay.
    pub fn deinit(self: ContextPool) void {
        c.weft_context_pool_release(self.handle);
    }

    /// Another reference to the same pool.
    pub fn retain(self: ContextPool) ContextPool {
        return .{ .handle = c.weft_context_pool_retain(self.handle).? };
    }

    /// A context, whose execute waits for a place; strictly, one that has it. error.Timeout, error.WouldBlock: there is none in time.
    pub fn acquire(self: ContextPool, options: AcquireOptions) Error!Context {
        var native: c.weft_context_acquire_options = undefined;
        try failure.check(c.weft_context_acquire_options_init(&native, @sizeOf(c.weft_context_acquire_options)));
        if (options.name) |text| native.name = text;
        native.timeout_ns = options.timeout_ns;
        native.priority = @intFromEnum(options.priority);
        if (options.strict) native.strict = c.WEFT_ON;
        var handle: ?*c.weft_context = null;
        try failure.check(c.weft_context_pool_acquire(self.handle, &native, &handle));
        return .{ .handle = handle.? };
    }

    /// Gives a context back with its reference, and a place that it has not used. On failure (error.Busy: it is being executed) the
    /// reference is still the caller's. Context.deinit is as good.
    pub fn put(self: ContextPool, context: Context) Error!void {
        try failure.check(c.weft_context_pool_put(self.handle, context.handle));
    }

    /// Waits for the end of all that are out and have been executed. The error of the first that failed, when all are over.
    pub fn waitAll(self: ContextPool, timeout_ns: i64) Error!void {
        try failure.check(c.weft_context_pool_wait_all(self.handle, timeout_ns, null, null));
    }

    /// Context.terminate of all that are out, in one grace.
    pub fn terminateAll(self: ContextPool, grace_ns: i64) Error!void {
        try failure.check(c.weft_context_pool_terminate_all(self.handle, grace_ns, null, null));
    }

    /// Nobody gets a context or a place any more: error.Closed. What runs goes on.
    pub fn close(self: ContextPool) void {
        c.weft_context_pool_close(self.handle);
    }

    pub fn stats(self: ContextPool) Error!Stats {
        var out: Stats = std.mem.zeroes(Stats);
        out.size = @sizeOf(Stats);
        try failure.check(c.weft_context_pool_stats_get(self.handle, &out));
        return out;
    }
};
