//! Cancellation: tokens that tasks and loops carry, and stretches of code in which a task or a thread goes by one.

const std = @import("std");
const c = @import("header.zig").c;
const failure = @import("failure.zig");

const Error = failure.Error;

/// A request to stop, for whatever carries it.
pub const CancelToken = struct {
    handle: *c.weft_cancel_token,

    /// A token; with a parent, one that is triggered with that, too.
    pub fn init(parent: ?CancelToken) Error!CancelToken {
        var handle: ?*c.weft_cancel_token = null;
        try failure.check(c.weft_cancel_token_new(if (parent) |above| above.handle else null, &handle));
        return .{ .handle = handle.? };
    }

    /// Gives the reference back. What carries the token keeps it.
    pub fn deinit(self: CancelToken) void {
        c.weft_cancel_token_release(self.handle);
    }

    /// Another reference to the same token.
    pub fn retain(self: CancelToken) CancelToken {
        return .{ .handle = c.weft_cancel_token_retain(self.handle).? };
    }

    /// Asks whatever carries it to stop. The first reason stays.
    pub fn trigger(self: CancelToken, why: ?[*:0]const u8) Error!void {
        try failure.check(c.weft_cancel_token_trigger(self.handle, why orelse null));
    }

    /// Triggers it when this long has passed, for the reason "deadline". Of several deadlines the earliest counts.
    pub fn triggerAfter(self: CancelToken, time_ns: i64) Error!void {
        try failure.check(c.weft_cancel_token_after(self.handle, time_ns));
    }

    pub fn triggered(self: CancelToken) bool {
        return c.weft_cancel_token_triggered(self.handle);
    }

    /// Why; null unless triggered. Belongs to the token.
    pub fn reason(self: CancelToken) ?[:0]const u8 {
        const text: ?[*:0]const u8 = c.weft_cancel_token_reason(self.handle);
        return std.mem.span(text orelse return null);
    }

    /// From here to `leave` the calling task or thread goes by this token: its waits, its loops, and what it forks and spawns.
    /// `defer token.leave();` is the way to write it.
    pub fn enter(self: CancelToken) Error!void {
        try failure.check(c.weft_cancel_token_enter(self.handle));
    }

    /// Ends the last `enter`, which must have been this token's.
    pub fn leave(self: CancelToken) void {
        const status = c.weft_cancel_token_leave(self.handle);
        std.debug.assert(status == c.WEFT_OK);
    }
};

/// From here to `end` nothing that was there before ends the waits of the calling task or thread: for cleanup that blocks.
/// `const shield = try weft.Shield.begin(); defer shield.end();`
pub const Shield = struct {
    pub fn begin() Error!Shield {
        try failure.check(c.weft_cancel_shield_begin());
        return .{};
    }

    pub fn end(_: Shield) void {
        const status = c.weft_cancel_shield_end();
        std.debug.assert(status == c.WEFT_OK);
    }
};

/// Whether what this thread runs has been asked to stop.
pub fn cancelled() bool {
    return c.weft_cancelled(null);
}
