//! Parallel loops: parallelFor and reduce.

const std = @import("std");
const c = @import("header.zig").c;
const call = @import("call.zig");
const CancelToken = @import("cancel.zig").CancelToken;
const failure = @import("failure.zig");

/// How a loop is cut and what it tells.
pub const Options = struct {
    /// Indices per piece at most; 0: chosen from the length and the workers.
    grain: usize = 0,
    /// Where to leave how many indices were done, failed and skipped, also when the loop fails.
    report: ?*c.weft_loop_report = null,
    /// Ends the loop with error.Cancelled when triggered, a borrowed view.
    cancel: ?CancelToken = null,
};

pub fn ReduceOptions(comptime T: type) type {
    return struct {
        grain: usize = 0,
        /// Frees what an accumulator owns that a failure strands.
        drop: ?*const fn (*T) void = null,
        /// Ends the reduction with error.Cancelled when triggered, a borrowed view.
        cancel: ?CancelToken = null,
    };
}

/// What a loop with this body returns.
pub fn Result(comptime body: anytype) type {
    const R = call.Return(body);
    if (call.Payload(R) != void) @compileError("a loop body returns nothing but errors");
    return (failure.Error || call.Errors(R))!void;
}

pub fn Reduced(comptime T: type, comptime fold: anytype) type {
    const R = call.Return(fold);
    if (call.Payload(R) != void) @compileError("fold changes its accumulator and returns nothing but errors");
    return (failure.Error || call.Errors(R))!T;
}

/// The first error of many concurrent calls. C carries its status; this keeps which error it was.
fn FirstError(comptime E: type) type {
    const Int = @TypeOf(@intFromError(error.Failed));
    return struct {
        number: std.atomic.Value(Int) = .init(0), // no error has number 0

        fn keep(self: *@This(), err: E) c.weft_status {
            _ = self.number.cmpxchgStrong(0, @intFromError(err), .monotonic, .monotonic);
            return failure.report(err);
        }

        /// For the caller, once the loop has ended: the kept error first, else what the C function failed with.
        fn check(self: *@This(), status: c.weft_status) (failure.Error || E)!void {
            const number = self.number.load(.monotonic);
            if (E != error{} and number != 0) return @as(E, @errorCast(@errorFromInt(number)));
            try failure.check(status);
        }
    };
}

/// Calls a body for [from, to): index by index if it takes one parameter beyond the arguments, at once if it takes two.
fn each(comptime body: anytype, worker: ?*c.weft_worker, args: anytype, from: usize, to: usize) call.Return(body) {
    const can_fail = @typeInfo(call.Return(body)) == .error_union;
    switch (comptime call.arity(body) - args.len) {
        1 => for (from..to) |i| {
            if (can_fail) try call.invoke(body, worker, args ++ .{i}) else call.invoke(body, worker, args ++ .{i});
        },
        2 => return call.invoke(body, worker, args ++ .{ from, to }),
        else => @compileError("the function takes its arguments and one index, or its arguments, a begin and an end"),
    }
}

fn native(grain: usize, cancel: ?CancelToken) failure.Error!c.weft_loop_options {
    var options: c.weft_loop_options = undefined;
    try failure.check(c.weft_loop_options_init(&options, @sizeOf(c.weft_loop_options)));
    options.grain = grain;
    if (cancel) |token| options.cancel = token.handle;
    return options;
}

pub fn parallelFor(runtime: ?*c.weft_runtime, begin: usize, end: usize, comptime body: anytype, args: anytype, options: Options) Result(body) {
    const Loop = struct {
        args: @TypeOf(args),
        first: FirstError(call.Errors(call.Return(body))) = .{},

        const Loop = @This();

        fn range(worker: ?*c.weft_worker, from: usize, to: usize, arg: ?*anyopaque) callconv(.c) c.weft_status {
            const self: *Loop = @ptrCast(@alignCast(arg.?));
            const result = each(body, worker, self.args, from, to);
            if (@typeInfo(@TypeOf(result)) == .error_union) {
                result catch |err| return self.first.keep(err);
            }
            return c.WEFT_OK;
        }
    };
    const with = try native(options.grain, options.cancel);
    if (options.report) |report| report.size = @sizeOf(c.weft_loop_report);
    var loop: Loop = .{ .args = args };
    return loop.first.check(c.weft_for(runtime, begin, end, Loop.range, &loop, &with, options.report));
}

pub fn reduce(
    comptime T: type,
    runtime: ?*c.weft_runtime,
    begin: usize,
    end: usize,
    identity: T,
    comptime fold: anytype,
    args: anytype,
    comptime combine: fn (*T, *T) void,
    options: ReduceOptions(T),
) Reduced(T, fold) {
    if (@alignOf(T) > 16) @compileError("accumulators are aligned to 16");
    const Reduction = struct {
        args: @TypeOf(args),
        drop: ?*const fn (*T) void,
        first: FirstError(call.Errors(call.Return(fold))) = .{},

        const Reduction = @This();

        fn add(worker: ?*c.weft_worker, from: usize, to: usize, acc: ?*anyopaque, arg: ?*anyopaque) callconv(.c) c.weft_status {
            const self: *Reduction = @ptrCast(@alignCast(arg.?));
            const into: *T = @ptrCast(@alignCast(acc.?));
            const result = each(fold, worker, self.args ++ .{into}, from, to);
            if (@typeInfo(@TypeOf(result)) == .error_union) {
                result catch |err| return self.first.keep(err);
            }
            return c.WEFT_OK;
        }

        fn merge(_: ?*c.weft_worker, into: ?*anyopaque, from: ?*anyopaque, _: ?*anyopaque) callconv(.c) c.weft_status {
            combine(@ptrCast(@alignCast(into.?)), @ptrCast(@alignCast(from.?)));
            return c.WEFT_OK;
        }

        fn strand(ctx: ?*anyopaque, acc: ?*anyopaque) callconv(.c) void {
            const self: *Reduction = @ptrCast(@alignCast(ctx.?));
            if (self.drop) |drop| drop(@ptrCast(@alignCast(acc.?)));
        }
    };
    var reduction: Reduction = .{ .args = args, .drop = options.drop };
    var with = try native(options.grain, options.cancel);
    with.acc_drop = Reduction.strand;
    with.acc_drop_ctx = &reduction;
    var out: T = undefined;
    try reduction.first.check(c.weft_reduce(runtime, begin, end, @sizeOf(T), @ptrCast(&identity), Reduction.add, Reduction.merge, &reduction, &with, @ptrCast(&out)));
    return out;
}
