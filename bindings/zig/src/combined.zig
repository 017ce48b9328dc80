//! Futures that are made of others.

const std = @import("std");
const c = @import("header.zig").c;
const call = @import("call.zig");
const failure = @import("failure.zig");
const future = @import("future.zig");

const Error = failure.Error;

/// A future that is made of others: its value is one of theirs, or none.
pub fn Combined(comptime R: type) type {
    return struct {
        handle: *c.weft_future,

        const Self = @This();
        const Value = call.Payload(R);

        pub fn deinit(self: Self) void {
            c.weft_future_release(self.handle);
        }

        pub fn retain(self: Self) Self {
            return .{ .handle = c.weft_future_retain(self.handle).? };
        }

        /// As Future.wait.
        pub fn wait(self: Self, timeout_ns: i64) Error!void {
            try failure.check(c.weft_future_wait(self.handle, timeout_ns));
        }

        /// As Future.get. The value is that of one of the others, which keeps it.
        pub fn get(self: Self) call.Awaited(R) {
            var raw: ?*anyopaque = null;
            const status = c.weft_future_get(self.handle, std.math.maxInt(i64), &raw);
            if (status != c.WEFT_OK) return future.passedOn(call.Errors(R), self.handle, status);
            if (Value != void) return future.Cell(R).from(raw).value().?.*;
        }

        /// Which of the others settled it; null while it is pending, and when no single one did.
        pub fn winner(self: Self) ?usize {
            var index: usize = 0;
            return if (c.weft_future_winner(self.handle, &index) == c.WEFT_OK) index else null;
        }

        /// As Future.state.
        pub fn state(self: Self) future.Future(R).State {
            return @enumFromInt(c.weft_future_state(self.handle));
        }

        pub fn whyFailed(self: Self) ?failure.Failure {
            return failure.Failure.of(self.handle);
        }

        /// Fails it with error.Cancelled at once; the request goes on to those of the others that nobody else holds.
        pub fn cancel(self: Self) void {
            c.weft_future_cancel(self.handle);
        }

        pub fn then(self: Self, comptime f: anytype, args: anytype) Error!future.Future(future.Continued(R, f)) {
            return future.goOn(R, self.handle, f, args, .{});
        }

        pub fn onSettled(self: Self, comptime f: anytype, args: anytype) Error!future.Watch {
            return future.watch(self.handle, f, args);
        }

        pub fn fd(self: Self) Error!i32 {
            return future.descriptor(self.handle);
        }
    };
}

fn combine(comptime R: type, comptime make: anytype, futures: anytype) Error!Combined(R) {
    const handles = try call.allocator.alloc(?*c.weft_future, futures.len);
    defer call.allocator.free(handles);
    for (handles, futures) |*handle, one| handle.* = one.handle;
    var out: ?*c.weft_future = null;
    try failure.check(make(handles.ptr, handles.len, &out));
    return .{ .handle = out.? };
}

/// Ready when all of these are, which then have the values; fails with the first error, at once. It keeps them.
pub fn all(comptime R: type, futures: []const future.Future(R)) Error!Combined(call.Errors(R)!void) {
    return combine(call.Errors(R)!void, c.weft_future_all, futures);
}

/// The first success among these; when all have failed, the last error. It keeps them.
pub fn any(comptime R: type, futures: []const future.Future(R)) Error!Combined(R) {
    return combine(R, c.weft_future_any, futures);
}

/// Settled as the first of these is, be it by a value or an error. It keeps them.
pub fn race(comptime R: type, futures: []const future.Future(R)) Error!Combined(R) {
    return combine(R, c.weft_future_race, futures);
}

/// Ready when this long has passed.
pub fn delay(time_ns: i64) Error!Combined(void) {
    var out: ?*c.weft_future = null;
    try failure.check(c.weft_future_delay(time_ns, &out));
    return .{ .handle = out.? };
}
