//! Channels: queues with any number of producers and consumers, in order per producer.

const std = @import("std");
const c = @import("header.zig").c;
const failure = @import("failure.zig");

const Error = failure.Error;

/// A queue of Ts between tasks, threads, or both. Elements are copied bit by bit; C code on the other end sees them as they are.
pub fn Channel(comptime T: type) type {
    if (@sizeOf(T) == 0) @compileError("elements need a size");
    if (@alignOf(T) > 4096) @compileError("elements are aligned to 4096 at most");
    return struct {
        handle: *c.weft_channel,

        const Self = @This();

        pub const unbounded: usize = std.math.maxInt(usize);

        pub const Options = struct {
            /// How many elements fit before senders wait; 0: every send waits for its receiver; `unbounded`: none ever waits.
            capacity: usize = 1000,
            /// Frees what an element owns that nobody has received when the last reference goes.
            drop: ?*const fn (*T) void = null,
            /// For people. Copied.
            name: ?[*:0]const u8 = null,
        };

        pub fn init(options: Options) Error!Self {
            var native: c.weft_channel_options = undefined;
            try failure.check(c.weft_channel_options_init(&native, @sizeOf(c.weft_channel_options)));
            native.elem_size = @sizeOf(T);
            native.elem_align = @alignOf(T);
            native.capacity = options.capacity;
            if (options.name) |name| native.name = name;
            if (options.drop) |drop| {
                native.drop = dropElement;
                native.drop_ctx = @ptrCast(@constCast(drop)); // the function itself is the context
            }
            var handle: ?*c.weft_channel = null;
            try failure.check(c.weft_channel_new(&native, &handle));
            return .{ .handle = handle.? };
        }

        /// Gives the reference back. The last one drops what nobody has received.
        pub fn deinit(self: Self) void {
            c.weft_channel_release(self.handle);
        }

        /// Another reference to the same channel.
        pub fn retain(self: Self) Self {
            return .{ .handle = c.weft_channel_retain(self.handle).? };
        }

        /// Sends, waiting for room as long as it takes. error.Closed after close(), also while waiting; the value is then still yours.
        pub fn send(self: Self, value: T) Error!void {
            return self.sendTimeout(value, std.math.maxInt(i64));
        }

        /// Sends if there is room now, else error.WouldBlock.
        pub fn trySend(self: Self, value: T) Error!void {
            return self.sendTimeout(value, 0);
        }

        /// Sends, waiting for room at most this long, else error.Timeout.
        pub fn sendTimeout(self: Self, value: T, timeout_ns: i64) Error!void {
            try failure.check(c.weft_channel_send(self.handle, @ptrCast(&value), timeout_ns));
        }

        /// Receives, waiting as long as it takes; null once the channel is closed and drained. `while (try channel.recv()) |value|`
        /// receives everything.
        pub fn recv(self: Self) Error!?T {
            return self.recvTimeout(std.math.maxInt(i64));
        }

        /// Receives what is there now, else error.WouldBlock; null once closed and drained.
        pub fn tryRecv(self: Self) Error!?T {
            return self.recvTimeout(0);
        }

        /// Receives, waiting at most this long, else error.Timeout; null once closed and drained.
        pub fn recvTimeout(self: Self, timeout_ns: i64) Error!?T {
            var value: T = undefined;
            failure.check(c.weft_channel_recv(self.handle, @ptrCast(&value), timeout_ns)) catch |err| switch (err) {
                error.Closed => return null,
                else => return err,
            };
            return value;
        }

        /// No more sends, through any handle; what was sent can still be received. Senders that wait are refused. Twice is fine.
        pub fn close(self: Self) void {
            c.weft_channel_close(self.handle);
        }

        pub fn isClosed(self: Self) bool {
            return c.weft_channel_is_closed(self.handle);
        }

        /// How many elements wait now.
        pub fn len(self: Self) usize {
            return c.weft_channel_len(self.handle);
        }

        /// How many may; `unbounded` if any number.
        pub fn capacity(self: Self) usize {
            return c.weft_channel_capacity(self.handle);
        }

        fn dropElement(ctx: ?*anyopaque, element: ?*anyopaque) callconv(.c) void {
            const drop: *const fn (*T) void = @ptrCast(@alignCast(ctx.?));
            drop(@ptrCast(@alignCast(element.?)));
        }
    };
}
