//! Links. Both ends are in this process: what is between two is tested where processes are.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

test "frames both ways, until it is closed" {
    const near, const far_fd = try weft.Link.pair(weft.Link.defaults());
    const far = try weft.Link.adopt(far_fd);
    defer far.deinit();
    try near.send(.{ .kind = weft.FrameHead.user + 1, .flags = 2, .id = 3 }, "over there");
    try near.send(.{}, "");
    const first = (try far.recv()).?;
    try testing.expectEqual(weft.FrameHead{ .kind = 257, .flags = 2, .id = 3 }, first.head);
    try testing.expectEqualStrings("over there", first.data);
    const second = (try far.tryRecv()).?;
    try testing.expectEqual(weft.FrameHead{}, second.head);
    try testing.expectEqual(0, second.data.len);
    second.deinit();
    try testing.expectError(error.WouldBlock, far.tryRecv());
    try testing.expectError(error.Timeout, far.recvTimeout(1));

    try far.trySend(.{}, "and back");
    far.close();
    const back = (try near.recv()).?;
    defer back.deinit();
    try testing.expectEqualStrings("and back", back.data);
    try testing.expectEqual(null, try near.recv());
    try testing.expectError(error.Closed, near.send(.{}, "too late"));
    near.deinit();
    try testing.expectEqual(null, try far.recv());

    // What was received is good after the link, and as long as somebody has it.
    const kept = first.bytes.retain();
    first.deinit();
    defer kept.deinit();
    try testing.expectEqualStrings("over there", kept.slice());
}

fn receive(link: weft.Link, len: usize) !u64 {
    const frame = (try link.recv()) orelse return error.Broken;
    defer frame.deinit();
    if (frame.data.len != len) return error.WrongLength;
    var sum: u64 = 0;
    for (frame.data) |byte| sum += byte;
    return sum;
}

test "a frame that is larger than the link, over a socket too" {
    const large = try testing.allocator.alloc(u8, 300_000);
    defer testing.allocator.free(large);
    @memset(large, 7);
    for ([_]i32{ weft.c.WEFT_LINK_AUTO, weft.c.WEFT_LINK_SOCKET }) |transport| {
        var options = weft.Link.defaults();
        options.transport = transport;
        options.ring_size = 4096;
        options.max_frame = large.len;
        const near, const far_fd = try weft.Link.pair(options);
        defer near.deinit();
        const far = try weft.Link.adopt(far_fd);
        defer far.deinit();
        const sum = try weft.default.async(receive, .{ far, large.len });
        defer sum.deinit();
        try near.send(.{}, large);
        try testing.expectEqual(7 * large.len, try sum.get());
        const sent = try near.stats();
        try testing.expectEqual(1, sent.sent_frames);
        try testing.expectEqual(large.len, sent.sent_bytes);
        const received = try far.stats();
        try testing.expectEqual(1, received.received_frames);
        try testing.expectError(error.TooLarge, near.send(.{}, large.ptr[0 .. large.len + 1]));
    }
}

test "looking at frames where they are" {
    var options = weft.Link.defaults();
    options.trusted = weft.c.WEFT_ON;
    const near, const far_fd = try weft.Link.pair(options);
    const far = try weft.Link.adopt(far_fd);
    defer far.deinit();
    try testing.expectError(error.Invalid, far.consume());
    try near.send(.{ .id = 1 }, "look");
    try near.send(.{ .id = 2 }, "receive");
    const shown = (try far.peek(weft.forever)).?;
    try testing.expectEqual(1, shown.head.id);
    try testing.expectEqualStrings("look", shown.data);
    try testing.expectError(error.Busy, far.recv());
    try far.consume();
    const frame = (try far.recv()).?;
    defer frame.deinit();
    try testing.expectEqual(2, frame.head.id);
    near.deinit();
    try testing.expectEqual(null, try far.peek(weft.forever));

    const other, const other_fd = try weft.Link.pair(weft.Link.defaults());
    defer other.deinit();
    const plain = try weft.Link.adopt(other_fd);
    defer plain.deinit();
    try testing.expectError(error.Unsupported, plain.peek(0));
}

const Told = weft.Channel(bool);

fn tell(told: Told, ready: weft.Ready) void {
    told.send(ready.readable) catch unreachable;
}

test "its descriptor is readable when there is a frame" {
    const told = try Told.init(.{});
    defer told.deinit();
    const near, const far_fd = try weft.Link.pair(weft.Link.defaults());
    const kept = near.retain();
    near.deinit();
    defer kept.deinit();
    const far = try weft.Link.adopt(far_fd);
    defer far.deinit();
    const watch = try weft.default.whenReady(try far.fd(), .{ .readable = true }, tell, .{told});
    defer watch.deinit();
    try kept.send(.{}, "now");
    try testing.expect((try told.recv()).?);
    (try far.tryRecv()).?.deinit();
    try testing.expectError(error.Invalid, weft.Link.adopt(-1));
}
