//! Handlers: functions that get bytes and answer with bytes, as worker processes and contexts call them.

const c = @import("header.zig").c;
const bytes = @import("bytes.zig");
const call = @import("call.zig");
const failure = @import("failure.zig");

/// What has f(args..., data) called through C. f returns nothing, a []const u8, which is copied, or a weft.Bytes, whose reference moves;
/// or one of them with errors: the status of one goes to who asked, with its name as the message.
pub fn Handler(comptime f: anytype, comptime Args: type) type {
    return struct {
        args: Args,

        const Self = @This();

        /// As a weft_handler_fn; without arguments `arg` may be null.
        pub fn entry(data: ?*const anyopaque, len: usize, reply: [*c]?*c.weft_bytes, arg: ?*anyopaque) callconv(.c) c.weft_status {
            const args: Args = if (Args == @TypeOf(.{})) .{} else from(arg).args;
            const result = @call(.auto, f, args ++ .{bytes.view(data, len)});
            if (@typeInfo(@TypeOf(result)) != .error_union) return answer(result, reply);
            return answer(result catch |err| return failure.report(err), reply);
        }

        /// As a weft_drop_fn, for one that the allocator has made.
        pub fn drop(_: ?*anyopaque, arg: ?*anyopaque) callconv(.c) void {
            call.allocator.destroy(from(arg));
        }

        fn from(arg: ?*anyopaque) *Self {
            return @ptrCast(@alignCast(arg.?));
        }
    };
}

fn answer(result: anytype, reply: [*c]?*c.weft_bytes) c.weft_status {
    switch (@TypeOf(result)) {
        void => return c.WEFT_OK,
        bytes.Bytes => {
            reply.* = result.handle;
            return c.WEFT_OK;
        },
        else => {
            const text: []const u8 = result;
            return c.weft_bytes_new(text.ptr, text.len, reply);
        },
    }
}
