//! Deadlocks, told to a function.

const std = @import("std");
const c = @import("header.zig").c;
const failure = @import("failure.zig");

/// What is done about a deadlock, after the log has told it.
pub const Action = enum(i32) { report = c.WEFT_DEADLOCK_REPORT, abort = c.WEFT_DEADLOCK_ABORT };

/// A wait that is part of a deadlock: for what the next one has, the last one's for what the first has. C strings, or "".
pub const Wait = c.weft_deadlock_wait;

/// A ring of waits. Good until the function returns.
pub const Deadlock = struct {
    /// How many there have been, with this one.
    number: u64,
    /// At least 2.
    waits: []const Wait,
    /// The same for people.
    message: [:0]const u8,
};

/// Has f(deadlock) called for each deadlock of this process, one at a time, on a thread of its own: see weft_deadlock_watch of weft.h
/// for what is one. null: nobody is called. When this returns, the function before has got every earlier deadlock and never runs again.
pub fn watch(comptime f: ?fn (Deadlock) void, action: Action) failure.Error!void {
    const told = f orelse return failure.check(c.weft_deadlock_watch(null, null, @intFromEnum(action)));
    const entry = struct {
        fn entry(raw: [*c]const c.weft_deadlock, _: ?*anyopaque) callconv(.c) void {
            told(.{
                .number = raw.*.number,
                .waits = raw.*.waits[0..raw.*.waits_len],
                .message = std.mem.span(@as([*:0]const u8, raw.*.message)),
            });
        }
    }.entry;
    try failure.check(c.weft_deadlock_watch(entry, null, @intFromEnum(action)));
}

/// Deadlocks in this process so far.
pub fn count() u64 {
    return c.weft_deadlock_count();
}
