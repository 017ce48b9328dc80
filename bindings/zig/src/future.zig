//! Futures and promises.
//!
//! The value of a C future is here always a cell: the Zig result, error or value, with a reference count. The C future owns one
//! reference while it has a value (its drop function gives it back); `Future` and `Promise` handles own one each, because that is where
//! an error of a callable is found again.

const std = @import("std");
const c = @import("header.zig").c;
const call = @import("call.zig");
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
fn Cell(comptime R: type) type {
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

        fn release(self: *Self) void {
            if (self.references.fetchSub(1, .acq_rel) != 1) return;
            if (self.written and !self.taken) {
                if (self.drop) |drop| {
                    if (self.value()) |present| drop(present);
                }
            }
            self.free(self);
        }

        /// The value, if the result is one.
        fn value(self: *Self) ?*call.Payload(R) {
            if (@typeInfo(R) != .error_union) return &self.result;
            if (self.result) |*present| return present else |_| return null;
        }

        fn dropValue(_: ?*anyopaque, raw: ?*anyopaque) callconv(.c) void {
            from(raw).release();
        }

        fn from(raw: ?*anyopaque) *Self {
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
            /// Failed with error.Cancelled.
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
            return failure.fromStatus(status);
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
