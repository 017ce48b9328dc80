//! Timers: callables that are queued as tasks when their time has come; and sleeping.

const c = @import("header.zig").c;
const call = @import("call.zig");
const failure = @import("failure.zig");

const Error = failure.Error;

/// A callable that a timer runs, once or again and again. It goes on when its last reference has been given back.
pub const Timer = struct {
    handle: *c.weft_timer,

    pub fn deinit(self: Timer) void {
        c.weft_timer_release(self.handle);
    }

    pub fn retain(self: Timer) Timer {
        return .{ .handle = c.weft_timer_retain(self.handle).? };
    }

    /// Sees to it that the callable is not run any more. error.Busy: it runs right now, or is what calls this; it will not run again.
    pub fn stop(self: Timer) Error!void {
        try failure.check(c.weft_timer_stop(self.handle));
    }
};

/// See Runtime.after and Runtime.every.
pub fn start(runtime: ?*c.weft_runtime, delay_ns: i64, period_ns: i64, comptime f: anytype, args: anytype) Error!Timer {
    if (call.Return(f) != void) @compileError("a timer's function returns nothing, for nobody would look at it");
    const Box = struct {
        args: @TypeOf(args),

        const Box = @This();

        fn entry(worker: ?*c.weft_worker, arg: ?*anyopaque) callconv(.c) void {
            const box: *Box = @ptrCast(@alignCast(arg.?));
            call.invoke(f, worker, box.args);
        }

        fn drop(_: ?*anyopaque, arg: ?*anyopaque) callconv(.c) void {
            const box: *Box = @ptrCast(@alignCast(arg.?));
            call.allocator.destroy(box);
        }
    };
    const box = try call.allocator.create(Box);
    errdefer call.allocator.destroy(box);
    box.* = .{ .args = args };
    var handle: ?*c.weft_timer = null;
    try failure.check(c.weft_timer_after(runtime, delay_ns, period_ns, Box.entry, box, Box.drop, null, &handle));
    return .{ .handle = handle.? };
}

/// Waits this long, never less. Inside a task another task runs meanwhile.
pub fn sleep(time_ns: i64) Error!void {
    try failure.check(c.weft_sleep(time_ns));
}
