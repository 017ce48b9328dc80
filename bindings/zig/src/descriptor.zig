//! File descriptors: callables that are queued as tasks when one is ready.

const c = @import("header.zig").c;
const call = @import("call.zig");
const failure = @import("failure.zig");
const Watch = @import("future.zig").Watch;

/// What a descriptor is watched for. That it is hung up or has failed is told in any case.
pub const Interest = struct {
    readable: bool = false,
    writable: bool = false,
};

/// What a descriptor was found to be.
pub const Ready = struct {
    readable: bool,
    writable: bool,
    /// The other end has gone; or, unless only writable was asked for, it will write no more.
    hung_up: bool,
    /// An error is to be fetched, or nobody is left to read from the pipe.
    failed: bool,

    fn of(events: i32) Ready {
        return .{
            .readable = events & c.WEFT_FD_READABLE != 0,
            .writable = events & c.WEFT_FD_WRITABLE != 0,
            .hung_up = events & c.WEFT_FD_HUNG_UP != 0,
            .failed = events & c.WEFT_FD_FAILED != 0,
        };
    }
};

/// See Runtime.whenReady.
pub fn watch(runtime: ?*c.weft_runtime, fd: i32, interest: Interest, comptime f: anytype, args: anytype) failure.Error!Watch {
    if (call.Return(f) != void) @compileError("a function that is told of a descriptor returns nothing");
    const Box = struct {
        args: @TypeOf(args),

        const Box = @This();

        fn entry(worker: ?*c.weft_worker, _: c_int, events: i32, arg: ?*anyopaque) callconv(.c) void {
            const box: *Box = @ptrCast(@alignCast(arg.?));
            const own = box.args;
            call.allocator.destroy(box); // before the call, which may be a long one
            call.invoke(f, worker, own ++ .{Ready.of(events)});
        }

        fn drop(_: ?*anyopaque, arg: ?*anyopaque) callconv(.c) void {
            const box: *Box = @ptrCast(@alignCast(arg.?));
            call.allocator.destroy(box);
        }
    };
    var events: i32 = 0;
    if (interest.readable) events |= c.WEFT_FD_READABLE;
    if (interest.writable) events |= c.WEFT_FD_WRITABLE;
    const box = try call.allocator.create(Box);
    errdefer call.allocator.destroy(box);
    box.* = .{ .args = args };
    var out: ?*c.weft_watch = null;
    try failure.check(c.weft_fd_watch(runtime, fd, events, Box.entry, box, Box.drop, null, &out));
    return .{ .handle = out.? };
}
