//! Select: exactly one case happens.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

const Numbers = weft.Channel(u64);

test "select" {
    const empty = try Numbers.init(.{ .capacity = 1 });
    defer empty.deinit();
    const full = try Numbers.init(.{ .capacity = 1 });
    defer full.deinit();
    try full.send(1);
    const token = try weft.CancelToken.init(null);
    defer token.deinit();
    const promise, const future = try weft.promise(u64);
    defer promise.deinit();
    defer future.deinit();
    var number: ?u64 = 99;
    const value: u64 = 7;

    const begin = weft.c.weft_now();
    const late = try weft.select(.{ .number = weft.recvCase(empty, &number), .sent = weft.sendCase(full, &value), .late = weft.timerCase(2_000_000) }, weft.forever);
    try testing.expectEqual(.late, late.which);
    try testing.expect(weft.c.weft_now() >= begin + 2_000_000);
    try testing.expectError(error.WouldBlock, weft.select(.{ .number = weft.recvCase(empty, &number), .answer = weft.futureCase(future) }, 0));
    try testing.expectError(error.Timeout, weft.select(.{ .number = weft.recvCase(empty, &number), .stop = weft.cancelCase(token) }, 1000));
    try testing.expectEqual(@as(?u64, 99), number);

    const received = try weft.select(.{ .number = weft.recvCase(full, &number), .other = weft.recvCase(empty, &number) }, weft.forever);
    try testing.expectEqual(.number, received.which);
    try testing.expectEqual(@as(?u64, 1), number);
    const sent = try weft.select(.{ .sent = weft.sendCase(full, &value), .other = weft.recvCase(empty, &number) }, weft.forever);
    try testing.expect(sent.which == .sent and !sent.closed);
    try testing.expectEqual(@as(?u64, 7), try full.recv());
    try promise.resolve(3);
    const settled = try weft.select(.{ .number = weft.recvCase(empty, &number), .answer = weft.futureCase(future) }, weft.forever);
    try testing.expectEqual(.answer, settled.which);
    try token.trigger(null);
    const stopped = try weft.select(.{ .number = weft.recvCase(empty, &number), .stop = weft.cancelCase(token) }, weft.forever);
    try testing.expectEqual(.stop, stopped.which);
    empty.close();
    const closed = try weft.select(.{ .number = weft.recvCase(empty, &number) }, weft.forever);
    try testing.expect(closed.closed and number == null);
    try testing.expect((try weft.select(.{ .sent = weft.sendCase(empty, &value) }, weft.forever)).closed);
}

test "descriptors" {
    const channel = try Numbers.init(.{ .capacity = 1 });
    defer channel.deinit();
    var fds = [_]std.posix.pollfd{
        .{ .fd = try channel.recvFd(), .events = std.posix.POLL.IN, .revents = 0 },
        .{ .fd = try channel.sendFd(), .events = std.posix.POLL.IN, .revents = 0 },
    };
    _ = try std.posix.poll(&fds, 0);
    try testing.expect(fds[0].revents == 0 and fds[1].revents == std.posix.POLL.IN);
    try channel.send(1);
    _ = try std.posix.poll(&fds, 0);
    try testing.expect(fds[0].revents == std.posix.POLL.IN and fds[1].revents == 0);
}
