//! Poll tasks: functions that are called again whenever they are woken, until they have a result.

const c = @import("header.zig").c;
const call = @import("call.zig");
const failure = @import("failure.zig");
const future = @import("future.zig");
const task = @import("task.zig");

/// Has a poll task called again, from any thread, also when it has ended. The one that a function gets is good during the call.
pub const Waker = struct {
    handle: *const c.weft_waker,

    /// Never blocks.
    pub fn wake(self: Waker) void {
        c.weft_waker_wake(self.handle);
    }

    /// One to keep.
    pub fn retain(self: Waker) Waker {
        return .{ .handle = c.weft_waker_clone(self.handle).? };
    }

    /// Gives one back that `retain` gave.
    pub fn deinit(self: Waker) void {
        c.weft_waker_release(@constCast(self.handle));
    }
};

/// The result type of the future of a function that is polled: ?T gives T, E!?T gives E!T.
pub fn Result(comptime f: anytype) type {
    const R = call.Return(f);
    const info = @typeInfo(call.Payload(R));
    if (info != .optional) @compileError("a function that is polled returns an optional: null as long as it waits");
    return if (@typeInfo(R) == .error_union) call.Errors(R)!info.optional.child else info.optional.child;
}

/// See Runtime.poll.
pub fn start(runtime: ?*c.weft_runtime, comptime f: anytype, args: anytype, options: future.Options(Result(f))) failure.Error!future.Future(Result(f)) {
    const R = Result(f);
    const Box = struct {
        cell: future.Cell(R),
        args: @TypeOf(args),

        const Box = @This();

        fn entry(worker: ?*c.weft_worker, state: ?*anyopaque, waker: ?*const c.weft_waker, result: [*c]?*anyopaque) callconv(.c) c.weft_status {
            const cell = future.Cell(R).from(state);
            const box: *Box = @fieldParentPtr("cell", cell);
            const polled = call.invoke(f, worker, box.args ++ .{Waker{ .handle = waker.? }});
            const value = if (@typeInfo(call.Return(f)) == .error_union) polled catch |err| {
                cell.result = err;
                cell.written = true;
                cell.release();
                const status = failure.report(err);
                // That it would block is said by null.
                return if (status == c.WEFT_WOULD_BLOCK) c.weft_error_set(c.WEFT_FAILED, @errorName(err).ptr) else status;
            } else polled;
            cell.result = value orelse return c.WEFT_WOULD_BLOCK;
            cell.written = true;
            result.* = cell; // with the task's reference
            return c.WEFT_OK;
        }

        fn free(cell: *future.Cell(R)) void {
            const box: *Box = @fieldParentPtr("cell", cell);
            call.allocator.destroy(box);
        }
    };
    var native = try task.native(options);
    native.arg_drop = future.Cell(R).dropValue;
    native.result_drop = future.Cell(R).dropValue;
    const box = try call.allocator.create(Box);
    errdefer call.allocator.destroy(box);
    // One reference is the task's, one the future's.
    box.* = .{ .cell = .{ .references = .init(2), .drop = options.drop, .free = Box.free }, .args = args };
    var later: ?*c.weft_future = null;
    try failure.check(c.weft_spawn_poll(runtime, Box.entry, &box.cell, &native, &later));
    return .{ .handle = later.?, .cell = &box.cell };
}
