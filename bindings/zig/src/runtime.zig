//! The runtime: its threads, options, statistics and end, and everything that runs on it.

const std = @import("std");
const c = @import("header.zig").c;
const call = @import("call.zig");
const descriptor = @import("descriptor.zig");
const failure = @import("failure.zig");
const future = @import("future.zig");
const loops = @import("loops.zig");
const poll_task = @import("poll.zig");
const task = @import("task.zig");
const timer = @import("timer.zig");

const Error = failure.Error;

/// Worker threads and their queues. `weft.default` stands for the calling task's runtime or the default runtime.
pub const Runtime = struct {
    handle: ?*c.weft_runtime,

    /// See weft_runtime_options in weft.h for the limits; 0 and null mean its defaults.
    pub const Options = struct {
        /// Prefix of the threads' names. Copied.
        name: ?[*:0]const u8 = null,
        /// Threads that run at once; 0: the CPUs this process may use.
        workers: i32 = 0,
        /// Threads in all, those blocked inside a task included.
        max_threads: i32 = 0,
        stack_size: usize = 0,
        /// How long a spare thread sleeps before it leaves.
        keep_alive_ns: i64 = 0,
        /// Whether and how threads are bound to CPUs.
        placement: Placement = .none,
        /// Whose threads run the tasks.
        kind: Kind = .multi,
        /// Told on a thread of its own when work is queued and every thread blocked. `weft.log` tells, too.
        on_stall: ?*const fn (*const Stall) void = null,

        fn native(self: Options) Error!c.weft_runtime_options {
            var options: c.weft_runtime_options = undefined;
            try failure.check(c.weft_runtime_options_init(&options, @sizeOf(c.weft_runtime_options)));
            if (self.name) |name| options.name = name;
            options.workers = self.workers;
            options.max_threads = self.max_threads;
            options.stack_size = self.stack_size;
            options.keep_alive_ns = self.keep_alive_ns;
            options.placement = @intFromEnum(self.placement);
            options.kind = @intFromEnum(self.kind);
            if (self.on_stall) |told| {
                options.on_stall = tellOfStall;
                options.hook_arg = @ptrCast(@constCast(told)); // the function itself is the argument
            }
            return options;
        }

        fn tellOfStall(stall: [*c]const c.weft_stall, arg: ?*anyopaque) callconv(.c) void {
            const told: *const fn (*const Stall) void = @ptrCast(@alignCast(arg.?));
            told(stall);
        }
    };

    pub const Stall = c.weft_stall;
    pub const Stats = c.weft_runtime_stats;
    pub const WorkerStats = c.weft_worker_stats;

    /// Where threads are bound: nowhere, to CPUs side by side, or far apart.
    pub const Placement = enum(i32) { none = c.WEFT_PLACEMENT_NONE, compact = c.WEFT_PLACEMENT_COMPACT, scatter = c.WEFT_PLACEMENT_SCATTER };

    /// Whose threads run the tasks: the runtime's own, the one that calls runHere, those that call lend; auto is single where one
    /// thread is enough, else multi.
    pub const Kind = enum(i32) { multi = c.WEFT_KIND_MULTI, single = c.WEFT_KIND_SINGLE, hosted = c.WEFT_KIND_HOSTED, auto = c.WEFT_KIND_AUTO };

    /// How long runHere goes on.
    pub const RunMode = enum(i32) { until_idle = c.WEFT_RUN_UNTIL_IDLE, one_step = c.WEFT_RUN_ONE_STEP, until_shutdown = c.WEFT_RUN_UNTIL_SHUTDOWN };

    pub const TaskOptions = task.Options;
    pub const Priority = task.Priority;
    pub const LoopOptions = loops.Options;
    pub const ReduceOptions = loops.ReduceOptions;

    /// What becomes of queued tasks in a shutdown: they run, or they are dropped unrun and their futures fail.
    pub const ShutdownMode = enum(i32) { drain = c.WEFT_SHUTDOWN_DRAIN, discard = c.WEFT_SHUTDOWN_DISCARD };

    /// Starts a runtime.
    pub fn init(options: Options) Error!Runtime {
        const native = try options.native();
        var handle: ?*c.weft_runtime = null;
        try failure.check(c.weft_runtime_new(&native, &handle));
        return .{ .handle = handle };
    }

    /// Sets the options of the default runtime. error.Busy once it runs.
    pub fn configureDefault(options: Options) Error!void {
        const native = try options.native();
        try failure.check(c.weft_runtime_configure_default(&native));
    }

    /// Gives the reference back. The last one discards what is still queued and ends the threads in the background: call shutdown() to
    /// have everything run.
    pub fn deinit(self: Runtime) void {
        c.weft_runtime_release(self.handle);
    }

    /// Another reference.
    pub fn retain(self: Runtime) Runtime {
        return .{ .handle = c.weft_runtime_retain(self.handle) };
    }

    /// Runs f(args...) on a worker, some time from now. Never blocks. f returns nothing: nobody would see its error.
    pub fn spawn(self: Runtime, comptime f: anytype, args: anytype) Error!void {
        return task.spawn(self.handle, f, args, .{});
    }

    /// The same, with a name for messages and logs, or a priority.
    pub fn spawnWith(self: Runtime, comptime f: anytype, args: anytype, options: TaskOptions) Error!void {
        return task.spawn(self.handle, f, args, options);
    }

    /// Runs f(args...) on a worker and gives a future of what it returns. Never blocks.
    pub fn async(self: Runtime, comptime f: anytype, args: anytype) Error!future.Future(call.Return(f)) {
        return future.start(self.handle, f, args, .{});
    }

    /// The same, with a name for messages and logs, a priority, and a drop for a result that nobody takes.
    pub fn asyncWith(self: Runtime, comptime f: anytype, args: anytype, options: future.Options(call.Return(f))) Error!future.Future(call.Return(f)) {
        return future.start(self.handle, f, args, options);
    }

    /// Runs f(args...) as a task once this long has passed, never before. It carries the cancel token of whoever calls this; triggered,
    /// that stops the timer, and so does the runtime's shutdown. f returns nothing.
    pub fn after(self: Runtime, delay_ns: i64, comptime f: anytype, args: anytype) Error!timer.Timer {
        return timer.start(self.handle, delay_ns, 0, f, args);
    }

    /// The same again and again, without drift; a period of 0 is once. It never runs beside itself: expiries that it is too slow for are
    /// left out.
    pub fn every(self: Runtime, delay_ns: i64, period_ns: i64, comptime f: anytype, args: anytype) Error!timer.Timer {
        return timer.start(self.handle, delay_ns, period_ns, f, args);
    }

    /// Runs f(args..., ready) as a task, once, when the descriptor is ready for what is asked, hung up or failed; `ready` is a
    /// weft.Ready. It carries the cancel token of whoever calls this; triggered, that takes it back, and so does the runtime's shutdown.
    /// What the descriptor leads to stays open until then. f returns nothing.
    pub fn whenReady(self: Runtime, fd: i32, interest: descriptor.Interest, comptime f: anytype, args: anytype) Error!future.Watch {
        return descriptor.watch(self.handle, fd, interest, f, args);
    }

    /// Calls f(args..., waker) on a worker, and again whenever the waker has been woken, until it returns something else than null: its
    /// result, or an error. The arguments are the same each time, so its state goes by a pointer. It must not block; without a
    /// `waker.retain()` kept somewhere a task that waits is dropped, and the future fails with error.Broken. A request to stop wakes it,
    /// once: see weft.cancelled.
    pub fn poll(self: Runtime, comptime f: anytype, args: anytype) Error!future.Future(poll_task.Result(f)) {
        return poll_task.start(self.handle, f, args, .{});
    }

    pub fn pollWith(self: Runtime, comptime f: anytype, args: anytype, options: future.Options(poll_task.Result(f))) Error!future.Future(poll_task.Result(f)) {
        return poll_task.start(self.handle, f, args, options);
    }

    /// Runs f(args...) on a worker and waits for it; returns what it returns. Inside one of the runtime's tasks it runs at once, on
    /// this thread.
    pub fn run(self: Runtime, comptime f: anytype, args: anytype) call.Awaited(call.Return(f)) {
        var borrowed: call.Borrowed(f, @TypeOf(args)) = .{ .args = args };
        try failure.check(c.weft_run(self.handle, @TypeOf(borrowed).entry, &borrowed));
        return borrowed.result;
    }

    /// Runs both callables, perhaps in parallel, and returns their results, errors included, when both have ended. Inside a task
    /// `Worker.join` is the short way.
    pub fn join(self: Runtime, comptime a: anytype, a_args: anytype, comptime b: anytype, b_args: anytype) Error!call.Joined(a, b) {
        const both = struct {
            fn both(first: @TypeOf(a_args), second: @TypeOf(b_args)) Error!call.Joined(a, b) {
                return call.join(null, a, first, b, second);
            }
        }.both;
        return self.run(both, .{ a_args, b_args });
    }

    /// Calls body(args..., i) for every i from begin to before end, in parallel; or, if body takes one parameter more, body(args...,
    /// from, to) for pieces that make up the range. An error stops what has not begun, and is returned when everything begun has
    /// ended. begin > end: error.Invalid.
    pub fn parallelFor(self: Runtime, begin: usize, end: usize, comptime body: anytype, args: anytype, options: LoopOptions) loops.Result(body) {
        return loops.parallelFor(self.handle, begin, end, body, args, options);
    }

    /// Folds a range into one T. fold(args..., acc, i), or fold(args..., acc, from, to), adds to an accumulator `acc: *T` that began as
    /// a bitwise copy of identity; combine(into, from), both *T, adds a right neighbour to its left one, and what `from` owned has
    /// moved when it returns. Associative is enough. An empty range gives the identity. With a fixed grain the result is the same, bit
    /// by bit, on any number of workers.
    pub fn reduce(
        self: Runtime,
        comptime T: type,
        begin: usize,
        end: usize,
        identity: T,
        comptime fold: anytype,
        args: anytype,
        comptime combine: fn (*T, *T) void,
        options: ReduceOptions(T),
    ) loops.Reduced(T, fold) {
        return loops.reduce(T, self.handle, begin, end, identity, fold, args, combine, options);
    }

    /// Makes the calling thread the worker of a single runtime. error.WouldBlock: there was nothing for one_step; error.Busy: another
    /// thread is its worker.
    pub fn runHere(self: Runtime, mode: RunMode) Error!void {
        try failure.check(c.weft_runtime_run(self.handle, @intFromEnum(mode)));
    }

    /// Lends the calling thread to a hosted runtime; returns when that ends. error.Timeout: it goes on; error.WouldBlock: so, with a
    /// timeout of 0; error.Busy: all seats are taken.
    pub fn lend(self: Runtime, timeout_ns: i64) Error!void {
        try failure.check(c.weft_runtime_lend(self.handle, timeout_ns));
    }

    /// Changes how many threads run at once.
    pub fn resize(self: Runtime, count: i32) Error!void {
        try failure.check(c.weft_runtime_resize(self.handle, count));
    }

    /// Whose threads run the tasks; never auto.
    pub fn kind(self: Runtime) Error!Kind {
        const number = c.weft_runtime_kind(self.handle);
        return if (number < 0) error.Invalid else @enumFromInt(number);
    }

    /// How many threads run at once.
    pub fn workers(self: Runtime) Error!u32 {
        const count = c.weft_runtime_workers(self.handle);
        return if (count < 0) error.Invalid else @intCast(count);
    }

    /// What has happened so far.
    pub fn stats(self: Runtime) Error!Stats {
        var out: Stats = std.mem.zeroes(Stats);
        out.size = @sizeOf(Stats);
        try failure.check(c.weft_runtime_stats_get(self.handle, &out));
        return out;
    }

    /// What one worker has done so far; null when there has never been a worker of this number.
    pub fn workerStats(self: Runtime, index: u32) Error!?WorkerStats {
        var out: WorkerStats = std.mem.zeroes(WorkerStats);
        out.size = @sizeOf(WorkerStats);
        const status = c.weft_runtime_worker_stats_get(self.handle, index, &out);
        if (status == c.WEFT_NOT_FOUND) return null;
        try failure.check(status);
        return out;
    }

    /// Reads again which CPUs this process may use, and has threads that are bound move accordingly.
    pub fn refreshTopology(self: Runtime) Error!void {
        try failure.check(c.weft_topology_refresh(self.handle));
    }

    /// Refuses new work from outside, lets the queued tasks run (or discards them) and returns when all threads are gone; with
    /// error.Timeout or error.WouldBlock it goes on in the background. Twice is fine. From one of the runtime's own tasks:
    /// error.Deadlock.
    pub fn shutdown(self: Runtime, mode: ShutdownMode, timeout_ns: i64) Error!void {
        try failure.check(c.weft_runtime_shutdown(self.handle, @intFromEnum(mode), timeout_ns));
    }
};
