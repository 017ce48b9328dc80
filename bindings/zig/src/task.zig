//! Spawned tasks: a box with the arguments travels to the worker.

const c = @import("header.zig").c;
const call = @import("call.zig");
const CancelToken = @import("cancel.zig").CancelToken;
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
    /// What the task may be cancelled by, a borrowed view; null: what the task or thread that spawns it goes by. Cancelled before it has
    /// begun, it is dropped.
    cancel: ?CancelToken = null,
    /// The task is queued when these are settled, whatever their outcome: the handles of futures, borrowed.
    after: []const *c.weft_future = &.{},
};

/// The C options of a task, from Options or those of a future. Valid as long as these.
pub fn native(how: anytype) failure.Error!c.weft_spawn_options {
    var options: c.weft_spawn_options = undefined;
    try failure.check(c.weft_spawn_options_init(&options, @sizeOf(c.weft_spawn_options)));
    if (how.name) |text| options.name = text;
    options.priority = @intFromEnum(how.priority);
    if (how.cancel) |token| options.cancel = token.handle;
    if (how.after.len > 0) {
        options.after = @ptrCast(how.after.ptr);
        options.after_len = how.after.len;
    }
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
    var with = try native(options);
    with.arg_drop = Box.drop;
    const box = try call.allocator.create(Box);
    errdefer call.allocator.destroy(box);
    box.* = .{ .args = args };
    try failure.check(c.weft_spawn_with(runtime, Box.entry, box, &with));
}
