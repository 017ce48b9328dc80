//! Spawned tasks: a box with the arguments travels to the worker.

const c = @import("header.zig").c;
const call = @import("call.zig");
const failure = @import("failure.zig");

/// What comes first; see the WEFT_PRIORITY_ constants of weft.h.
pub const Priority = enum(i32) {
    low = c.WEFT_PRIORITY_LOW,
    normal = c.WEFT_PRIORITY_NORMAL,
    high = c.WEFT_PRIORITY_HIGH,
    critical = c.WEFT_PRIORITY_CRITICAL,
};

pub const Options = struct {
    /// For messages and logs. Copied.
    name: ?[*:0]const u8 = null,
    priority: Priority = .normal,
};

/// The C options of a task.
pub fn native(name: ?[*:0]const u8, priority: Priority) failure.Error!c.weft_spawn_options {
    var options: c.weft_spawn_options = undefined;
    try failure.check(c.weft_spawn_options_init(&options, @sizeOf(c.weft_spawn_options)));
    if (name) |text| options.name = text;
    options.priority = @intFromEnum(priority);
    return options;
}

pub fn spawn(runtime: ?*c.weft_runtime, comptime f: anytype, args: anytype, options: Options) failure.Error!void {
    if (call.Return(f) != void) @compileError("a spawned function returns nothing, for nobody would look at it; use async()");
    const Box = struct {
        args: @TypeOf(args),

        const Box = @This();

        fn entry(worker: ?*c.weft_worker, arg: ?*anyopaque) callconv(.c) void {
            const box: *Box = @ptrCast(@alignCast(arg.?));
            const own = box.args;
            call.allocator.destroy(box); // before the call, which may be a long one
            call.invoke(f, worker, own);
        }

        fn drop(_: ?*anyopaque, arg: ?*anyopaque) callconv(.c) void {
            const box: *Box = @ptrCast(@alignCast(arg.?));
            call.allocator.destroy(box);
        }
    };
    var with = try native(options.name, options.priority);
    with.arg_drop = Box.drop;
    const box = try call.allocator.create(Box);
    errdefer call.allocator.destroy(box);
    box.* = .{ .args = args };
    try failure.check(c.weft_spawn_with(runtime, Box.entry, box, &with));
}
