//! The log, pulled: kept for whoever asks.

const std = @import("std");
const c = @import("header.zig").c;
const failure = @import("failure.zig");

/// How grave a message is.
pub const Level = enum(i32) { off = c.WEFT_LOG_OFF, err = c.WEFT_LOG_ERROR, warn = c.WEFT_LOG_WARN, info = c.WEFT_LOG_INFO, debug = c.WEFT_LOG_DEBUG };

/// One message. The strings are good until this thread's next call of `next`, or its end.
pub const Record = struct {
    level: Level,
    /// The worker's index; null outside.
    worker: ?u32,
    /// When, in nanoseconds of the monotonic clock.
    time_ns: i64,
    /// The runtime's and the task's name, or "".
    runtime: [:0]const u8,
    task: [:0]const u8,
    message: [:0]const u8,
};

/// From now on messages of this level and graver ones are kept for `next`; off: no more, what is kept can still be had.
pub fn keep(level: Level) failure.Error!void {
    try failure.check(c.weft_log_set(null, null, @intFromEnum(level)));
}

/// The oldest message that is kept, waiting for one; null when there is none and none is kept. Each goes to one of those who ask.
pub fn next(timeout_ns: i64) failure.Error!?Record {
    var raw = std.mem.zeroes(c.weft_log_record);
    raw.size = @sizeOf(c.weft_log_record);
    failure.check(c.weft_log_next(&raw, timeout_ns)) catch |err| return if (err == error.Closed) null else err;
    return .{
        .level = @enumFromInt(raw.level),
        .worker = if (raw.worker < 0) null else @intCast(raw.worker),
        .time_ns = raw.time_ns,
        .runtime = text(raw.runtime),
        .task = text(raw.task),
        .message = text(raw.message),
    };
}

fn text(raw: [*c]const u8) [:0]const u8 {
    return std.mem.span(@as([*:0]const u8, raw));
}
