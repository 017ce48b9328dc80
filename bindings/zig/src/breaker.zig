//! Circuit breakers: whether to call at all.

const std = @import("std");
const c = @import("header.zig").c;
const call = @import("call.zig");
const failure = @import("failure.zig");
const Watch = @import("future.zig").Watch;

const Error = failure.Error;

/// How a call ended. What is abandoned counts as the options say.
pub const Outcome = enum(i32) {
    ok = c.WEFT_OUTCOME_OK,
    fail = c.WEFT_OUTCOME_FAIL,
    ignore = c.WEFT_OUTCOME_IGNORE,
    abandoned = c.WEFT_OUTCOME_ABANDONED,
};

/// Lets calls through, or not. Any thread may use it; nothing here waits.
pub const Breaker = struct {
    handle: *c.weft_breaker,

    pub const State = enum(i32) {
        closed = c.WEFT_BREAKER_CLOSED,
        open = c.WEFT_BREAKER_OPEN,
        half_open = c.WEFT_BREAKER_HALF_OPEN,
        forced_open = c.WEFT_BREAKER_FORCED_OPEN,
        disabled = c.WEFT_BREAKER_DISABLED,
        metrics_only = c.WEFT_BREAKER_METRICS_ONLY,
    };

    /// As weft.h has them, to be changed where it matters.
    pub const Options = c.weft_breaker_options;

    pub fn defaults() Options {
        var options: Options = undefined;
        const status = c.weft_breaker_options_init(&options, @sizeOf(Options));
        std.debug.assert(status == c.WEFT_OK);
        return options;
    }

    pub fn init(options: Options) Error!Breaker {
        var handle: ?*c.weft_breaker = null;
        try failure.check(c.weft_breaker_new(&options, &handle));
        return .{ .handle = handle.? };
    }

    pub fn deinit(self: Breaker) void {
        c.weft_breaker_release(self.handle);
    }

    /// Another reference to the same breaker.
    pub fn retain(self: Breaker) Breaker {
        return .{ .handle = c.weft_breaker_retain(self.handle).? };
    }

    /// A permit to call, to be recorded once. error.Rejected: do not.
    pub fn acquire(self: Breaker) Error!Permit {
        var native: c.weft_permit = undefined;
        try failure.check(c.weft_breaker_acquire(self.handle, &native));
        return .{ .breaker = self.handle, .native = native };
    }

    /// Calls the function on this thread and returns what it returns. An error has failed, unless its status counts as something else
    /// (`outcome` of the options), and comes out as it went in. error.Rejected: it was not called.
    pub fn run(self: Breaker, comptime f: anytype, args: anytype) call.Awaited(call.Return(f)) {
        const R = call.Return(f);
        const Guarded = struct {
            args: @TypeOf(args),
            result: ?R = null,

            fn entry(worker: ?*c.weft_worker, arg: ?*anyopaque, _: [*c]?*anyopaque) callconv(.c) c.weft_status {
                const guarded: *@This() = @ptrCast(@alignCast(arg.?));
                const result = call.invoke(f, worker, guarded.args);
                guarded.result = result;
                if (@typeInfo(R) == .error_union) {
                    if (result) |_| {} else |err| return failure.report(err);
                }
                return c.WEFT_OK;
            }
        };
        var guarded: Guarded = .{ .args = args };
        const status = c.weft_breaker_call(self.handle, Guarded.entry, &guarded, null);
        if (guarded.result) |result| return result;
        return failure.fromStatus(status);
    }

    /// Asking changes nothing.
    pub fn state(self: Breaker) State {
        return @enumFromInt(c.weft_breaker_get_state(self.handle));
    }

    /// For how many nanoseconds calls will be rejected, if nothing happens before; `forever`: nobody knows.
    pub fn retryAfter(self: Breaker) i64 {
        return c.weft_breaker_retry_after(self.handle);
    }

    /// Puts it into a state. In forced_open, disabled and metrics_only it stays.
    pub fn force(self: Breaker, to: State) void {
        const status = c.weft_breaker_force(self.handle, @intFromEnum(to));
        std.debug.assert(status == c.WEFT_OK);
    }

    /// Calls f(args..., from, to) at each change of state, in their order, on a thread that brought one about. It must not block, and
    /// returns nothing.
    pub fn onChange(self: Breaker, comptime f: anytype, args: anytype) Error!Watch {
        if (call.Return(f) != void) @compileError("a function that is told of a breaker returns nothing");
        const Box = struct {
            args: @TypeOf(args),

            const Box = @This();

            fn entry(event: [*c]const c.weft_breaker_event, arg: ?*anyopaque) callconv(.c) void {
                const box: *Box = @ptrCast(@alignCast(arg.?));
                @call(.auto, f, box.args ++ .{ @as(State, @enumFromInt(event.*.from)), @as(State, @enumFromInt(event.*.to)) });
            }

            fn drop(_: ?*anyopaque, arg: ?*anyopaque) callconv(.c) void {
                const box: *Box = @ptrCast(@alignCast(arg.?));
                call.allocator.destroy(box);
            }
        };
        const box = try call.allocator.create(Box);
        errdefer call.allocator.destroy(box);
        box.* = .{ .args = args };
        var out: ?*c.weft_watch = null;
        try failure.check(c.weft_breaker_on_change(self.handle, Box.entry, box, Box.drop, null, &out));
        return .{ .handle = out.? };
    }

    pub fn stats(self: Breaker) Error!c.weft_breaker_stats {
        var out: c.weft_breaker_stats = undefined;
        out.size = @sizeOf(c.weft_breaker_stats);
        try failure.check(c.weft_breaker_stats_get(self.handle, &out));
        return out;
    }
};

/// A call that was let through. Borrows its breaker.
pub const Permit = struct {
    breaker: *c.weft_breaker,
    native: c.weft_permit,

    /// Says how it ended, once: error.Invalid after that.
    pub fn record(self: *Permit, outcome: Outcome) Error!void {
        try failure.check(c.weft_breaker_record(self.breaker, &self.native, @intFromEnum(outcome)));
    }
};
