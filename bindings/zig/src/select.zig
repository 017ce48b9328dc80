//! Select: one wait for several things, of which exactly one happens.

const std = @import("std");
const c = @import("header.zig").c;
const failure = @import("failure.zig");
const CancelToken = @import("cancel.zig").CancelToken;

const Error = failure.Error;

/// Which case it was, by its name; and whether because its channel was closed.
pub fn Fired(comptime Cases: type) type {
    return struct { which: std.meta.FieldEnum(Cases), closed: bool };
}

/// Waits until one of the cases can happen, and has exactly that one happen, chosen fairly among those that can:
///
///     var number: ?u64 = null;
///     const fired = try weft.select(.{
///         .number = weft.recvCase(numbers, &number), // null: closed and drained
///         .sent = weft.sendCase(results, &result),
///         .answer = weft.futureCase(answer),
///         .stop = weft.cancelCase(token),
///         .late = weft.timerCase(1_000_000_000),
///     }, weft.forever);
///     switch (fired.which) { ... }
///
/// error.Timeout and error.WouldBlock: nothing has happened.
pub fn select(cases: anytype, timeout_ns: i64) Error!Fired(@TypeOf(cases)) {
    const names = comptime std.meta.fieldNames(@TypeOf(cases));
    var own = cases;
    var native: [names.len]c.weft_select_case = undefined;
    inline for (names, 0..) |name, i| native[i] = @field(own, name).native();
    var fired: usize = 0;
    try failure.check(c.weft_select(&native, names.len, timeout_ns, &fired));
    const status = native[fired].status;
    if (status != c.WEFT_OK and status != c.WEFT_CLOSED) return failure.fromStatus(status);
    inline for (names, 0..) |name, i| {
        if (i == fired) @field(own, name).settle(status == c.WEFT_CLOSED);
    }
    return .{ .which = @enumFromInt(fired), .closed = status == c.WEFT_CLOSED };
}

fn nativeCase(op: i32, handle: ?*anyopaque, elem: ?*anyopaque, arg: i64) c.weft_select_case {
    var case = std.mem.zeroes(c.weft_select_case);
    case.op = op;
    case.handle = handle;
    case.elem = elem;
    case.arg = arg;
    return case;
}

fn Receive(comptime T: type) type {
    return struct {
        handle: *c.weft_channel,
        out: *?T,
        place: T = undefined,

        fn native(self: *@This()) c.weft_select_case {
            return nativeCase(c.WEFT_SELECT_RECV, self.handle, &self.place, 0);
        }

        fn settle(self: *@This(), closed: bool) void {
            self.out.* = if (closed) null else self.place;
        }
    };
}

const Event = struct {
    case: c.weft_select_case,

    fn native(self: *const Event) c.weft_select_case {
        return self.case;
    }

    fn settle(_: *const Event, _: bool) void {}
};

/// Receives from a channel into `out`: null when that is closed and drained.
pub fn recvCase(channel: anytype, out: *?@TypeOf(channel).Element) Receive(@TypeOf(channel).Element) {
    return .{ .handle = channel.handle, .out = out };
}

/// Sends the value, which must be of the channel's type and stay in place until select returns. `closed` tells that it was not sent.
pub fn sendCase(channel: anytype, value: *const @TypeOf(channel).Element) Event {
    return .{ .case = nativeCase(c.WEFT_SELECT_SEND, channel.handle, @ptrCast(@constCast(value)), 0) };
}

/// A future is settled, whatever the outcome.
pub fn futureCase(future: anytype) Event {
    return .{ .case = nativeCase(c.WEFT_SELECT_FUTURE, future.handle, null, 0) };
}

/// A token is triggered.
pub fn cancelCase(token: CancelToken) Event {
    return .{ .case = nativeCase(c.WEFT_SELECT_CANCEL, token.handle, null, 0) };
}

/// This long has passed since the case was made.
pub fn timerCase(time_ns: i64) Event {
    return .{ .case = nativeCase(c.WEFT_SELECT_TIMER, null, null, c.weft_deadline(time_ns)) };
}
