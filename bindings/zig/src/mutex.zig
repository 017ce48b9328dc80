//! Mutexes that know tasks: while a task waits, the thread's turn passes to another.

const std = @import("std");
const c = @import("header.zig").c;
const failure = @import("failure.zig");

const Error = failure.Error;

/// Held by one task, or by a thread outside tasks, which unlocks it before it ends. Not recursive.
pub const Mutex = struct {
    handle: *c.weft_mutex,

    /// `name` is for messages and reports of deadlocks. Copied.
    pub fn init(name: ?[*:0]const u8) Error!Mutex {
        var handle: ?*c.weft_mutex = null;
        try failure.check(c.weft_mutex_new(name orelse null, &handle));
        return .{ .handle = handle.? };
    }

    pub fn deinit(self: Mutex) void {
        c.weft_mutex_release(self.handle);
    }

    /// Another reference to the same mutex.
    pub fn retain(self: Mutex) Mutex {
        return .{ .handle = c.weft_mutex_retain(self.handle).? };
    }

    /// Locks it, waiting as long as it takes. error.Deadlock: this task holds it.
    pub fn lock(self: Mutex) Error!void {
        return self.lockTimeout(std.math.maxInt(i64));
    }

    /// Locks it if it is free now, else error.WouldBlock.
    pub fn tryLock(self: Mutex) Error!void {
        return self.lockTimeout(0);
    }

    /// Locks it, waiting at most this long, else error.Timeout.
    pub fn lockTimeout(self: Mutex, timeout_ns: i64) Error!void {
        try failure.check(c.weft_mutex_lock(self.handle, timeout_ns));
    }

    /// `try mutex.lock(); defer mutex.unlock();` Only by who holds it.
    pub fn unlock(self: Mutex) void {
        const status = c.weft_mutex_unlock(self.handle);
        std.debug.assert(status == c.WEFT_OK);
    }
};
