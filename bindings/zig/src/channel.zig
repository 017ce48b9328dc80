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

        pub const Element = T;
        pub const unbounded: usize = std.math.maxInt(usize);

        pub const Options = struct {
            /// How many elements fit before senders wait; 0: every send waits for its receiver; `unbounded`: none ever waits.
            capacity: usize = 1000,
            /// Frees what an element owns that nobody has received when the last reference goes.
            drop: ?*const fn (*T) void = null,
            /// Promises that no two threads send at once (one after the other may), or receive: that side then takes no lock.
            single_producer: bool = false,
            single_consumer: bool = false,
            /// For people. Copied.
            name: ?[*:0]const u8 = null,
        };

        /// How many wait at a channel.
        pub const Waiting = struct { senders: usize, receivers: usize };

        pub fn init(options: Options) Error!Self {
            const with = try native(options);
            var handle: ?*c.weft_channel = null;
            try failure.check(c.weft_channel_new(&with, &handle));
            return .{ .handle = handle.? };
        }

        /// A channel by its counted ends: the last sender's or receiver's deinit() closes it, and the last receiver's drops what is
        /// queued.
        pub fn ends(options: Options) Error!struct { Sender, Receiver } {
            const with = try native(options);
            var sender: ?*c.weft_sender = null;
            var receiver: ?*c.weft_receiver = null;
            try failure.check(c.weft_channel_ends(&with, &sender, &receiver));
            return .{ .{ .handle = sender.? }, .{ .handle = receiver.? } };
        }

        fn native(options: Options) Error!c.weft_channel_options {
            var with: c.weft_channel_options = undefined;
            try failure.check(c.weft_channel_options_init(&with, @sizeOf(c.weft_channel_options)));
            with.elem_size = @sizeOf(T);
            with.elem_align = @alignOf(T);
            with.capacity = options.capacity;
            if (options.single_producer) with.single_producer = c.WEFT_ON;
            if (options.single_consumer) with.single_consumer = c.WEFT_ON;
            if (options.name) |name| with.name = name;
            if (options.drop) |drop| {
                with.drop = dropElement;
                with.drop_ctx = @ptrCast(@constCast(drop)); // the function itself is the context
            }
            return with;
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

        /// recv() under the name that iterators have: `while (try channel.next()) |value|`.
        pub const next = recv;

        /// Sends all of them, in their order, waiting for room; receivers are woken once for what goes in at once. `sent`, if not null,
        /// tells how many are in: all, unless this fails; the others are still yours.
        pub fn sendBatch(self: Self, values: []const T, timeout_ns: i64, sent: ?*usize) Error!void {
            var count: usize = 0;
            defer if (sent) |out| {
                out.* = count;
            };
            try failure.check(c.weft_channel_send_batch(self.handle, @ptrCast(values.ptr), values.len, timeout_ns, &count));
        }

        /// Waits until there is an element, and takes what is there then, as far as there is room for it; returns that part of the
        /// buffer. null once closed and drained.
        pub fn recvBatch(self: Self, buffer: []T, timeout_ns: i64) Error!?[]T {
            var count: usize = 0;
            failure.check(c.weft_channel_recv_batch(self.handle, @ptrCast(buffer.ptr), buffer.len, timeout_ns, &count)) catch |err| switch (err) {
                error.Closed => return null,
                else => return err,
            };
            return buffer[0..count];
        }

        /// How many wait at the moment: a hint.
        pub fn waiting(self: Self) Waiting {
            var out: Waiting = .{ .senders = 0, .receivers = 0 };
            _ = c.weft_channel_waiting(self.handle, &out.senders, &out.receivers);
            return out;
        }

        /// A descriptor for event loops, readable as long as a receive would not have to wait, and when the channel is closed. The
        /// channel's: neither to be read nor to be closed. Be ready to find that another was faster: tryRecv.
        pub fn recvFd(self: Self) Error!i32 {
            return self.descriptor(c.WEFT_SELECT_RECV);
        }

        /// The same for a send.
        pub fn sendFd(self: Self) Error!i32 {
            return self.descriptor(c.WEFT_SELECT_SEND);
        }

        fn descriptor(self: Self, direction: i32) Error!i32 {
            var out: c_int = -1;
            try failure.check(c.weft_channel_fd(self.handle, direction, &out));
            return out;
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

        /// A sending end. References count; `channel()` has the functions.
        pub const Sender = struct {
            handle: *c.weft_sender,

            pub fn deinit(self: Sender) void {
                c.weft_sender_release(self.handle);
            }

            pub fn retain(self: Sender) Sender {
                return .{ .handle = c.weft_sender_retain(self.handle).? };
            }

            /// A view, good while the end is held.
            pub fn channel(self: Sender) Self {
                return .{ .handle = c.weft_sender_channel(self.handle).? };
            }

            pub fn send(self: Sender, value: T) Error!void {
                return self.channel().send(value);
            }
        };

        /// A receiving end. References count; `channel()` has the functions.
        pub const Receiver = struct {
            handle: *c.weft_receiver,

            /// The last one closes the channel and drops what is queued.
            pub fn deinit(self: Receiver) void {
                c.weft_receiver_release(self.handle);
            }

            pub fn retain(self: Receiver) Receiver {
                return .{ .handle = c.weft_receiver_retain(self.handle).? };
            }

            /// A view, good while the end is held.
            pub fn channel(self: Receiver) Self {
                return .{ .handle = c.weft_receiver_channel(self.handle).? };
            }

            pub fn recv(self: Receiver) Error!?T {
                return self.channel().recv();
            }

            pub const next = Receiver.recv;
        };

        fn dropElement(ctx: ?*anyopaque, element: ?*anyopaque) callconv(.c) void {
            const drop: *const fn (*T) void = @ptrCast(@alignCast(ctx.?));
            drop(@ptrCast(@alignCast(element.?)));
        }
    };
}
