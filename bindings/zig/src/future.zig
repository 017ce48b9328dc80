//! Futures and promises.
//!
//! The value of a C future is here always a cell: the Zig result, error or value, with a reference count. The C future owns one
//! reference while it has a value (its drop function gives it back); `Future` and `Promise` handles own one each, because that is where
//! an error of a callable is found again.

const std = @import("std");
const c = @import("header.zig").c;
const call = @import("call.zig");
const Channel = @import("channel.zig").Channel;
const CancelToken = @import("cancel.zig").CancelToken;
const failure = @import("failure.zig");
const task = @import("task.zig");

const Error = failure.Error;

/// How a task with the result type R is started.
pub fn Options(comptime R: type) type {
    return struct {
        /// For messages and logs. Copied.
        name: ?[*:0]const u8 = null,
        priority: task.Priority = .normal,
        /// What the task may be cancelled by, a borrowed view; null: what the task or thread that starts it goes by. Cancelled before it
        /// has begun, it is dropped, and the future fails with error.Cancelled.
        cancel: ?CancelToken = null,
        /// The task is queued when these are settled, whatever their outcome: the handles of futures, borrowed.
        after: []const *c.weft_future = &.{},
        /// Frees what a value owns that nobody took. Runs on whatever thread gives the last reference back.
        drop: ?*const fn (*call.Payload(R)) void = null,
    };
}

/// A result on its way, for the result type R: a value type, or an error union.
pub fn Cell(comptime R: type) type {
    return struct {
        references: std.atomic.Value(usize),
        /// Whoever sets it writes `result`.
        claimed: std.atomic.Value(bool) = .init(false),
        /// Whether `result` is written; seen by those who have seen the future settled.
        written: bool = false,
        /// Whether the value belongs to the caller of take().
        taken: bool = false,
        result: R = undefined,
        drop: ?*const fn (*call.Payload(R)) void,
        /// Frees the memory that the cell is part of.
        free: *const fn (*Self) void,

        const Self = @This();

        fn retain(self: *Self) *Self {
            _ = self.references.fetchAdd(1, .monotonic);
            return self;
        }

        pub fn release(self: *Self) void {
            if (self.references.fetchSub(1, .acq_rel) != 1) return;
            if (self.written and !self.taken) {
                if (self.drop) |drop| {
                    if (self.value()) |present| drop(present);
                }
            }
            self.free(self);
        }

        /// The value, if the result is one.
        pub fn value(self: *Self) ?*call.Payload(R) {
            if (@typeInfo(R) != .error_union) return &self.result;
            if (self.result) |*present| return present else |_| return null;
        }

        pub fn dropValue(_: ?*anyopaque, raw: ?*anyopaque) callconv(.c) void {
            from(raw).release();
        }

        pub fn from(raw: ?*anyopaque) *Self {
            return @ptrCast(@alignCast(raw.?));
        }
    };
}

/// A result that is ready later; R is what its callable returns, errors included.
pub fn Future(comptime R: type) type {
    return struct {
        handle: *c.weft_future,
        cell: *Cell(R),

        const Self = @This();
        const Value = call.Payload(R);

        pub const State = enum(i32) {
            pending = c.WEFT_FUTURE_PENDING,
            ready = c.WEFT_FUTURE_READY,
            failed = c.WEFT_FUTURE_FAILED,
            /// Failed with WEFT_CANCELLED.
            cancelled = c.WEFT_FUTURE_CANCELLED,
        };

        /// Gives the reference back. The last one drops a value that nobody took; a task that has not ended runs on.
        pub fn deinit(self: Self) void {
            c.weft_future_release(self.handle);
            self.cell.release();
        }

        /// Another reference to the same result.
        pub fn retain(self: Self) Self {
            return .{ .handle = c.weft_future_retain(self.handle).?, .cell = self.cell.retain() };
        }

        /// Waits until the result is there or its task has failed, whichever. Inside a task another task runs meanwhile.
        pub fn wait(self: Self, timeout_ns: i64) Error!void {
            try failure.check(c.weft_future_wait(self.handle, timeout_ns));
        }

        /// Waits, then gives the value, or the error that the callable returned, or why there is no result (error.Broken: the promise
        /// has gone, or the task was discarded unrun). The value stays the future's: what it owns is not yours.
        pub fn get(self: Self) call.Awaited(R) {
            var raw: ?*anyopaque = null;
            const status = c.weft_future_get(self.handle, std.math.maxInt(i64), &raw);
            if (status != c.WEFT_OK) return self.failed(status);
            return Cell(R).from(raw).value().?.*;
        }

        /// Waits, then moves the value out: it is the caller's, and no drop runs. error.Busy unless this is the only reference to the
        /// future, and when it was taken already.
        pub fn take(self: Self) call.Awaited(R) {
            var raw: ?*anyopaque = null;
            const status = c.weft_future_take(self.handle, std.math.maxInt(i64), &raw);
            if (status != c.WEFT_OK) return self.failed(status);
            const cell = Cell(R).from(raw);
            const value = cell.value().?.*;
            cell.taken = true;
            cell.release();
            return value;
        }

        /// Never blocks.
        pub fn state(self: Self) State {
            return @enumFromInt(c.weft_future_state(self.handle));
        }

        /// Asks whoever is to settle it to stop: a promise's owner, a task. One that has not begun is dropped. Waits for nothing.
        pub fn cancel(self: Self) void {
            c.weft_future_cancel(self.handle);
        }

        /// Goes on with the value: a future of f(args..., value), or f(args...) of void, run as a task when there is a value. If there is
        /// none because of an error, that is the new future's error, too.
        pub fn then(self: Self, comptime f: anytype, args: anytype) Error!Future(Continued(R, f)) {
            return goOn(R, self.handle, f, args, .{});
        }

        pub fn thenWith(self: Self, comptime f: anytype, args: anytype, options: Options(Continued(R, f))) Error!Future(Continued(R, f)) {
            return goOn(R, self.handle, f, args, options);
        }

        /// A future that is settled as this one is, but fails with error.Timeout if that takes longer. This one goes on.
        pub fn timeout(self: Self, time_ns: i64) Error!@import("combined.zig").Combined(R) {
            var out: ?*c.weft_future = null;
            try failure.check(c.weft_future_timeout(self.handle, time_ns, &out));
            return .{ .handle = out.? };
        }

        /// Calls f(args...) when it is settled, whatever the outcome: on the thread that settles it, or at once. It must not block, and
        /// returns nothing.
        pub fn onSettled(self: Self, comptime f: anytype, args: anytype) Error!Watch {
            return watch(self.handle, f, args);
        }

        /// Sends the tag when it is settled: one unbounded channel for any number of futures.
        pub fn notify(self: Self, completions: Channel(u64), tag: u64) Error!void {
            try failure.check(c.weft_future_notify(self.handle, completions.handle, tag));
        }

        /// A descriptor for event loops, readable when it is settled. The future's: neither to be read nor to be closed.
        pub fn fd(self: Self) Error!i32 {
            return descriptor(self.handle);
        }

        /// Status, text and origin of a failure; null unless it failed.
        pub fn whyFailed(self: Self) ?failure.Failure {
            return failure.Failure.of(self.handle);
        }

        /// The error behind a status that get or take gave: the callable's own, if the future failed with one.
        fn failed(self: Self, status: c.weft_status) (Error || call.Errors(R)) {
            if (@typeInfo(R) == .error_union) {
                if ((self.state() == .failed or self.state() == .cancelled) and self.cell.written) {
                    if (self.cell.result) |_| {} else |err| return err;
                }
            }
            return passedOn(call.Errors(R), self.handle, status);
        }
    };
}

/// The other end of a future: whoever holds it settles the future, once. When the last reference is given back unsettled, the future
/// fails with error.Broken. Only these functions may settle it: C code that has the handle may wait and look.
pub fn Promise(comptime R: type) type {
    return struct {
        handle: *c.weft_promise,
        cell: *Cell(R),

        const Self = @This();

        pub fn deinit(self: Self) void {
            c.weft_promise_release(self.handle);
            self.cell.release();
        }

        pub fn retain(self: Self) Self {
            return .{ .handle = c.weft_promise_retain(self.handle).?, .cell = self.cell.retain() };
        }

        /// Whether somebody has asked by Future.cancel for it not to be settled with a value any more: then reject it.
        pub fn cancelled(self: Self) bool {
            return c.weft_promise_cancelled(self.handle);
        }

        /// Settles the future with a value, which is the future's then. error.Busy if it is settled already: the value stays yours.
        pub fn resolve(self: Self, value: call.Payload(R)) Error!void {
            try self.claim();
            self.cell.result = value;
            self.cell.written = true;
            self.settled(c.weft_promise_resolve(self.handle, self.cell.retain(), Cell(R).dropValue, null)) catch |err| {
                self.cell.release();
                return err;
            };
        }

        /// Fails the future with an error. error.Busy if it is settled already.
        pub fn reject(self: Self, err: call.Errors(R)) Error!void {
            if (@typeInfo(R) != .error_union) @compileError("the result type of this promise has no errors; use rejectStatus");
            try self.claim();
            self.cell.result = err;
            self.cell.written = true;
            try self.settled(c.weft_promise_reject(self.handle, failure.toStatus(err), @errorName(err).ptr, null));
        }

        /// Fails the future with a status and a message of C, which its get() returns as the error for that status.
        pub fn rejectStatus(self: Self, status: c.weft_status, text: [*:0]const u8) Error!void {
            try self.claim();
            try self.settled(c.weft_promise_reject(self.handle, status, text, null));
        }

        /// One of several promises may write the cell. Nobody looks at it before the future is settled.
        fn claim(self: Self) Error!void {
            if (self.cell.claimed.swap(true, .acquire)) {
                return failure.check(c.weft_error_set(c.WEFT_BUSY, "promise: settled already"));
            }
        }

        /// After a refusal (C code has settled the promise, a wrong status) the cell is as it was before.
        fn settled(self: Self, status: c.weft_status) Error!void {
            if (status == c.WEFT_OK) return;
            self.cell.written = false;
            self.cell.claimed.store(false, .release);
            return failure.fromStatus(status);
        }
    };
}

/// A promise and its future.
pub fn promise(comptime R: type) Error!struct { Promise(R), Future(R) } {
    const free = struct {
        fn free(cell: *Cell(R)) void {
            call.allocator.destroy(cell);
        }
    }.free;
    const cell = try call.allocator.create(Cell(R));
    errdefer call.allocator.destroy(cell);
    cell.* = .{ .references = .init(2), .drop = null, .free = free };
    var promised: ?*c.weft_promise = null;
    var later: ?*c.weft_future = null;
    try failure.check(c.weft_promise_new(&promised, &later));
    return .{ .{ .handle = promised.?, .cell = cell }, .{ .handle = later.?, .cell = cell } };
}

/// Starts a task with a result; see Runtime.async.
pub fn start(runtime: ?*c.weft_runtime, comptime f: anytype, args: anytype, options: Options(call.Return(f))) Error!Future(call.Return(f)) {
    const R = call.Return(f);
    const Box = struct {
        cell: Cell(R),
        args: @TypeOf(args),

        const Box = @This();

        fn entry(worker: ?*c.weft_worker, arg: ?*anyopaque, result: [*c]?*anyopaque) callconv(.c) c.weft_status {
            const cell = Cell(R).from(arg);
            const box: *Box = @fieldParentPtr("cell", cell);
            cell.result = call.invoke(f, worker, box.args);
            cell.written = true;
            if (@typeInfo(R) == .error_union) {
                if (cell.result) |_| {} else |err| {
                    cell.release();
                    return failure.report(err);
                }
            }
            result.* = cell; // with the task's reference
            return c.WEFT_OK;
        }

        fn free(cell: *Cell(R)) void {
            const box: *Box = @fieldParentPtr("cell", cell);
            call.allocator.destroy(box);
        }
    };
    var native = try task.native(options);
    native.arg_drop = Cell(R).dropValue;
    native.result_drop = Cell(R).dropValue;
    const box = try call.allocator.create(Box);
    errdefer call.allocator.destroy(box);
    // One reference is the task's, one the future's.
    box.* = .{ .cell = .{ .references = .init(2), .drop = options.drop, .free = Box.free }, .args = args };
    var later: ?*c.weft_future = null;
    try failure.check(c.weft_async(runtime, Box.entry, &box.cell, &native, &later));
    return .{ .handle = later.?, .cell = &box.cell };
}

/// A callable that waits to be told of a settled future, of a descriptor or of a breaker. It waits without its handle, too.
pub const Watch = struct {
    handle: *c.weft_watch,

    pub fn deinit(self: Watch) void {
        c.weft_watch_release(self.handle);
    }

    /// Takes it back: it will not run. error.Busy: it runs, has run, or was taken back before; a breaker's that
    /// runs will not run again.
    pub fn off(self: Watch) Error!void {
        try failure.check(c.weft_watch_off(self.handle));
    }
};

pub fn watch(handle: *c.weft_future, comptime f: anytype, args: anytype) Error!Watch {
    if (call.Return(f) != void) @compileError("a function that is told of a settled future returns nothing");
    const Box = struct {
        args: @TypeOf(args),

        const Box = @This();

        fn entry(_: ?*c.weft_future, arg: ?*anyopaque) callconv(.c) void {
            const box: *Box = @ptrCast(@alignCast(arg.?));
            const own = box.args;
            call.allocator.destroy(box);
            @call(.auto, f, own);
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
    try failure.check(c.weft_future_on_settled(handle, Box.entry, box, Box.drop, null, &out));
    return .{ .handle = out.? };
}

pub fn descriptor(handle: *c.weft_future) Error!i32 {
    var out: c_int = -1;
    try failure.check(c.weft_future_fd(handle, &out));
    return out;
}

/// The error behind a status that a future gave which is made of others. C passes the status and the text on, and the text is the name
/// of the error that a callable returned.
pub fn passedOn(comptime E: type, handle: *c.weft_future, status: c.weft_status) (Error || E) {
    const why = failure.Failure.of(handle) orelse return failure.fromStatus(status);
    if (comptime !isGlobal(E)) {
        inline for (comptime std.meta.fieldNames(E)) |name| {
            const err = @field(anyerror, name);
            if (why.status == failure.toStatus(err) and std.mem.eql(u8, why.text, name)) return @as(E, @errorCast(err));
        }
    }
    return failure.fromStatus(status);
}

/// Whether a set has every error there is. What describes a set was changed between Zig versions.
fn isGlobal(comptime E: type) bool {
    const set = @typeInfo(E).error_set;
    return if (@typeInfo(@TypeOf(set)) == .optional) set == null else set.error_names == null;
}

/// What comes of going on with a result of type R.
pub fn Continued(comptime R: type, comptime f: anytype) type {
    return (call.Errors(R) || call.Errors(call.Return(f)))!call.Payload(call.Return(f));
}

pub fn goOn(comptime R: type, handle: *c.weft_future, comptime f: anytype, args: anytype, options: Options(Continued(R, f))) Error!Future(Continued(R, f)) {
    const N = Continued(R, f);
    const Box = struct {
        cell: Cell(N),
        args: @TypeOf(args),

        const Box = @This();

        fn entry(worker: ?*c.weft_worker, value: ?*anyopaque, arg: ?*anyopaque, result: [*c]?*anyopaque) callconv(.c) c.weft_status {
            const cell = Cell(N).from(arg);
            const box: *Box = @fieldParentPtr("cell", cell);
            cell.result = if (call.Payload(R) == void)
                call.invoke(f, worker, box.args)
            else
                call.invoke(f, worker, box.args ++ .{Cell(R).from(value).value().?.*});
            cell.written = true;
            if (cell.result) |_| {} else |err| {
                cell.release();
                return failure.report(err);
            }
            result.* = cell; // with the task's reference
            return c.WEFT_OK;
        }

        fn free(cell: *Cell(N)) void {
            const box: *Box = @fieldParentPtr("cell", cell);
            call.allocator.destroy(box);
        }
    };
    var native = try task.native(options);
    native.arg_drop = Cell(N).dropValue;
    native.result_drop = Cell(N).dropValue;
    const box = try call.allocator.create(Box);
    errdefer call.allocator.destroy(box);
    box.* = .{ .cell = .{ .references = .init(2), .drop = options.drop, .free = Box.free }, .args = args };
    var later: ?*c.weft_future = null;
    try failure.check(c.weft_future_then(handle, null, Box.entry, &box.cell, &native, &later));
    return .{ .handle = later.?, .cell = &box.cell };
}
