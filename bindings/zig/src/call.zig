//! Callables: functions known at compile time with a tuple of arguments; what they return, and how they are called from C.

const std = @import("std");
const c = @import("header.zig").c;
const failure = @import("failure.zig");
const Worker = @import("worker.zig").Worker;

/// The type that a callable returns, errors included.
pub fn Return(comptime f: anytype) type {
    return @typeInfo(@TypeOf(f)).@"fn".return_type.?;
}

/// What remains of a return type without its errors.
pub fn Payload(comptime R: type) type {
    return switch (@typeInfo(R)) {
        .error_union => |result| result.payload,
        else => R,
    };
}

/// The errors of a return type.
pub fn Errors(comptime R: type) type {
    return switch (@typeInfo(R)) {
        .error_union => |result| result.error_set,
        else => error{},
    };
}

/// How the result of a waiting call comes out: the callable's own errors, and the library's.
pub fn Awaited(comptime R: type) type {
    return (failure.Error || Errors(R))!Payload(R);
}

/// The number of a function's parameters. What describes a function was renamed between Zig versions.
fn parameterCount(comptime F: type) usize {
    const function = @typeInfo(F).@"fn";
    return if (@hasField(@TypeOf(function), "params")) function.params.len else function.param_types.len;
}

fn FirstParameter(comptime F: type) ?type {
    const function = @typeInfo(F).@"fn";
    return if (@hasField(@TypeOf(function), "params")) function.params[0].type else function.param_types[0];
}

fn wantsWorker(comptime F: type) bool {
    return parameterCount(F) > 0 and FirstParameter(F) == Worker;
}

/// How many parameters a tuple of arguments has to fill.
pub fn arity(comptime f: anytype) usize {
    const F = @TypeOf(f);
    return parameterCount(F) - @intFromBool(wantsWorker(F));
}

/// Calls a function with its arguments, and with the worker in front if it wants that.
pub fn invoke(comptime f: anytype, worker: ?*c.weft_worker, args: anytype) Return(f) {
    if (comptime wantsWorker(@TypeOf(f))) {
        return @call(.auto, f, .{Worker{ .handle = worker.? }} ++ args);
    } else {
        return @call(.auto, f, args);
    }
}

/// A call in the frame of somebody who waits for it: arguments in, result out.
pub fn Borrowed(comptime f: anytype, comptime Args: type) type {
    return struct {
        args: Args,
        result: Return(f) = undefined,

        const Self = @This();

        pub fn entry(worker: ?*c.weft_worker, arg: ?*anyopaque) callconv(.c) void {
            const self: *Self = @ptrCast(@alignCast(arg.?));
            self.result = invoke(f, worker, self.args);
        }
    };
}

/// Joins two borrowed calls on a worker (null: the calling task's).
pub fn join(worker: ?*c.weft_worker, comptime a: anytype, a_args: anytype, comptime b: anytype, b_args: anytype) failure.Error!Joined(a, b) {
    var first: Borrowed(a, @TypeOf(a_args)) = .{ .args = a_args };
    var second: Borrowed(b, @TypeOf(b_args)) = .{ .args = b_args };
    try failure.check(c.weft_join(worker, @TypeOf(first).entry, &first, @TypeOf(second).entry, &second));
    return .{ first.result, second.result };
}

/// A callable offered to other threads while its scope goes on; see Worker.fork.
pub fn Forked(comptime f: anytype, comptime Args: type) type {
    return struct {
        worker: Worker,
        call: Borrowed(f, Args),

        const Self = @This();

        /// Offers it. The value stays where it is until `sync`.
        pub fn offer(self: *Self) void {
            c.weft_fork(self.worker.handle, Borrowed(f, Args).entry, &self.call);
        }

        /// What to pass to whatever runs before `sync`.
        pub fn next(self: *const Self) Worker {
            return .{ .handle = c.weft_next(self.worker.handle).? };
        }

        /// Runs it here unless another thread took it, waits for it if one did, and returns what it returned. Once, and on each
        /// way out of the scope.
        pub fn sync(self: *Self) Return(f) {
            if (c.weft_sync(self.worker.handle)) Borrowed(f, Args).entry(self.worker.handle, &self.call);
            return self.call.result;
        }
    };
}

/// The results of both halves of a join, as they returned them: errors are for the caller to look at, in the order that suits it.
pub fn Joined(comptime a: anytype, comptime b: anytype) type {
    return struct { Return(a), Return(b) };
}

/// The allocator for what lives between a call and its end on another thread. The library itself uses malloc.
pub const allocator = std.heap.c_allocator;
