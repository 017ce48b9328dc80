//! Links: frames both ways between this process and another.

const std = @import("std");
const c = @import("header.zig").c;
const bytes = @import("bytes.zig");
const failure = @import("failure.zig");

const Error = failure.Error;

/// What a frame says of itself: what it means is up to who sends and who receives.
pub const FrameHead = struct {
    /// A WEFT_FRAME_ constant, or a number from `user` on.
    kind: u32 = user,
    flags: u32 = 0,
    id: u64 = 0,

    /// This and everything above are the program's.
    pub const user: u32 = c.WEFT_FRAME_USER;
};

/// A frame that has come, with bytes of its own.
pub const Frame = struct {
    head: FrameHead,
    /// Aligned to 8 bytes. Good until deinit.
    data: []const u8,
    /// What `data` is in: to keep it for longer, `bytes.retain()`.
    bytes: bytes.Bytes,

    pub fn deinit(self: Frame) void {
        self.bytes.deinit();
    }
};

/// A frame as it lies in shared memory.
pub const Shown = struct {
    head: FrameHead,
    /// Aligned to 8 bytes. Good until Link.consume.
    data: []const u8,
};

/// One end of a link. Any thread may use it.
pub const Link = struct {
    handle: *c.weft_link,

    /// As weft.h has them, to be changed where it matters.
    pub const Options = c.weft_link_options;
    pub const Stats = c.weft_link_stats;

    pub fn defaults() Options {
        var options: Options = undefined;
        const status = c.weft_link_options_init(&options, @sizeOf(Options));
        std.debug.assert(status == c.WEFT_OK);
        return options;
    }

    /// A link: this process' end, and a descriptor for the other process, which is closed on exec and which `adopt` makes the other
    /// end of. What is sent waits until then. Close the descriptor here once the other process has it: as long as it is open
    /// anywhere, the death of the peer goes unnoticed.
    pub fn pair(options: Options) Error!struct { Link, i32 } {
        var handle: ?*c.weft_link = null;
        var far: i32 = -1;
        try failure.check(c.weft_link_pair(&options, &handle, &far));
        return .{ .{ .handle = handle.? }, far };
    }

    /// The other end, from what `pair` gave, once; the descriptor is the link's then. After a failure it is still the caller's, but
    /// cannot be adopted any more.
    pub fn adopt(far: i32) Error!Link {
        var handle: ?*c.weft_link = null;
        try failure.check(c.weft_link_adopt(far, &handle));
        return .{ .handle = handle.? };
    }

    /// Gives the reference back. The last one closes the link; frames that have been received stay.
    pub fn deinit(self: Link) void {
        c.weft_link_release(self.handle);
    }

    /// Another reference to the same end.
    pub fn retain(self: Link) Link {
        return .{ .handle = c.weft_link_retain(self.handle).? };
    }

    /// Sends a copy of the data, waiting for room as long as it takes. error.Closed: either end was closed; error.Died: the peer has no
    /// end any more. On any failure the peer does not get the frame.
    pub fn send(self: Link, head: FrameHead, data: []const u8) Error!void {
        return self.sendTimeout(head, data, std.math.maxInt(i64));
    }

    /// Sends if there is room now, else error.WouldBlock; so, too, a frame that is larger than what the link holds.
    pub fn trySend(self: Link, head: FrameHead, data: []const u8) Error!void {
        return self.sendTimeout(head, data, 0);
    }

    /// Sends, waiting for room at most this long, else error.Timeout.
    pub fn sendTimeout(self: Link, head: FrameHead, data: []const u8, timeout_ns: i64) Error!void {
        try failure.check(c.weft_link_send(self.handle, head.kind, head.flags, head.id, data.ptr, data.len, timeout_ns));
    }

    /// Receives, waiting as long as it takes; null once either end is closed and all is received. error.Died: the peer has gone without
    /// a word, and what it had sent is received.
    pub fn recv(self: Link) Error!?Frame {
        return self.recvTimeout(std.math.maxInt(i64));
    }

    /// Receives what is there now, else error.WouldBlock.
    pub fn tryRecv(self: Link) Error!?Frame {
        return self.recvTimeout(0);
    }

    /// Receives, waiting at most this long, else error.Timeout.
    pub fn recvTimeout(self: Link, timeout_ns: i64) Error!?Frame {
        const frame = try next(c.weft_link_recv, self.handle, timeout_ns) orelse return null;
        return .{ .head = headOf(frame), .data = bytes.view(frame.data, frame.len), .bytes = .{ .handle = frame.bytes.? } };
    }

    /// The next frame where it lies, without a copy, until `consume`; null as of recv. For one thread at a time: until the frame is
    /// consumed, this and recv are error.Busy. error.Unsupported: the link was not made with `trusted`.
    pub fn peek(self: Link, timeout_ns: i64) Error!?Shown {
        const frame = try next(c.weft_link_peek, self.handle, timeout_ns) orelse return null;
        return .{ .head = headOf(frame), .data = bytes.view(frame.data, frame.len) };
    }

    /// Takes away the frame that `peek` has shown. error.Invalid: there is none.
    pub fn consume(self: Link) Error!void {
        try failure.check(c.weft_link_consume(self.handle));
    }

    /// A descriptor for event loops, readable as long as a receive would not wait. The link's: neither to be read nor to be closed.
    pub fn fd(self: Link) Error!i32 {
        var descriptor: i32 = -1;
        try failure.check(c.weft_link_fd(self.handle, &descriptor));
        return descriptor;
    }

    /// Ends the link at this end; the peer receives what was sent before.
    pub fn close(self: Link) void {
        c.weft_link_close(self.handle);
    }

    pub fn stats(self: Link) Error!Stats {
        var out: Stats = std.mem.zeroes(Stats);
        out.size = @sizeOf(Stats);
        try failure.check(c.weft_link_stats_get(self.handle, &out));
        return out;
    }
};

/// What weft_link_recv or weft_link_peek gives; null: closed.
fn next(comptime take: anytype, handle: *c.weft_link, timeout_ns: i64) Error!?c.weft_frame {
    var frame: c.weft_frame = undefined;
    failure.check(take(handle, timeout_ns, &frame)) catch |err| switch (err) {
        error.Closed => return null,
        else => return err,
    };
    return frame;
}

fn headOf(frame: c.weft_frame) FrameHead {
    return .{ .kind = frame.kind, .flags = frame.flags, .id = frame.id };
}
