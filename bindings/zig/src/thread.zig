//! Threads as others know them, to interrupt their waits.

const c = @import("header.zig").c;
const failure = @import("failure.zig");

/// A thread, the program's or a worker's; good also after its end.
pub const Thread = struct {
    handle: *c.weft_thread,

    /// The calling thread. From the first call on its waits cost a little more. error.Forked: this process was forked.
    pub fn current() failure.Error!Thread {
        return .{ .handle = c.weft_thread_self() orelse return error.Forked };
    }

    pub fn deinit(self: Thread) void {
        c.weft_thread_release(self.handle);
    }

    pub fn retain(self: Thread) Thread {
        return .{ .handle = c.weft_thread_retain(self.handle).? };
    }

    /// Has the thread's current wait, or else its next one that would have to wait, return error.Interrupted; once. Waits that must
    /// finish (sync, join, run, loops) go on. To stop a task, use its token: a worker's thread runs many.
    pub fn interrupt(self: Thread) failure.Error!void {
        try failure.check(c.weft_thread_interrupt(self.handle));
    }
};
