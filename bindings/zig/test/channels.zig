//! Channels: pipelines with exact sums, many to many, every status, and elements left behind.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

const Numbers = weft.Channel(u64);
const Pairs = weft.Channel([2]u64);

fn produce(out: Numbers, from: u64, to: u64) weft.Error!void {
    defer out.deinit();
    for (from..to) |number| try out.send(number);
}

fn squares(in: Numbers, out: Pairs) weft.Error!void {
    defer in.deinit();
    defer out.deinit();
    while (try in.recv()) |number| try out.send(.{ number, number * number });
}

fn collect(in: Pairs) weft.Error![2]u64 {
    defer in.deinit();
    var sums: [2]u64 = .{ 0, 0 };
    while (try in.recv()) |pair| {
        sums[0] += pair[0];
        sums[1] += pair[1];
    }
    return sums;
}

test "pipeline of three stages" {
    const numbers = try Numbers.init(.{ .capacity = 64, .name = "numbers" });
    defer numbers.deinit();
    const pairs = try Pairs.init(.{ .capacity = 64 });
    defer pairs.deinit();
    const Stage = weft.Future(weft.Error!void);
    const source = try weft.default.async(produce, .{ numbers.retain(), 1, 20_001 });
    defer source.deinit();
    var middle: [3]Stage = undefined;
    for (&middle) |*stage| stage.* = try weft.default.async(squares, .{ numbers.retain(), pairs.retain() });
    const sink = try weft.default.async(collect, .{pairs.retain()});
    defer sink.deinit();
    try source.get();
    numbers.close();
    for (middle) |stage| {
        try stage.get();
        stage.deinit();
    }
    pairs.close();
    const sums = try sink.get();
    try testing.expectEqual(@as(u64, 20_000 * 20_001 / 2), sums[0]);
    try testing.expectEqual(@as(u64, 20_000 * 20_001 * 40_001 / 6), sums[1]);
}

const Seen = []std.atomic.Value(u32);

fn consume(in: Numbers, seen: Seen) weft.Error!void {
    defer in.deinit();
    while (try in.recv()) |number| _ = seen[number].fetchAdd(1, .monotonic);
}

test "many to many loses and doubles nothing" {
    const count = 8000;
    const seen = try testing.allocator.alloc(std.atomic.Value(u32), count);
    defer testing.allocator.free(seen);
    for ([_]usize{ 0, 1, 7, 1000, Numbers.unbounded }) |capacity| {
        @memset(seen, std.atomic.Value(u32).init(0));
        const channel = try Numbers.init(.{ .capacity = capacity });
        defer channel.deinit();
        try testing.expectEqual(capacity, channel.capacity());
        var producers: [4]weft.Future(weft.Error!void) = undefined;
        for (&producers, 0..) |*producer, i| {
            producer.* = try weft.default.async(produce, .{ channel.retain(), @as(u64, i * count / 4), @as(u64, (i + 1) * count / 4) });
        }
        // Threads of this program's own at the other end.
        var consumers: [4]std.Thread = undefined;
        for (&consumers) |*consumer| consumer.* = try std.Thread.spawn(.{}, consume, .{ channel.retain(), seen });
        for (producers) |producer| {
            try producer.get();
            producer.deinit();
        }
        channel.close();
        for (consumers) |consumer| consumer.join();
        for (seen) |*times| try testing.expectEqual(@as(u32, 1), times.load(.monotonic));
    }
}

test "statuses of a full, an empty and a closed channel" {
    const channel = try Numbers.init(.{ .capacity = 2 });
    defer channel.deinit();
    try testing.expectError(error.WouldBlock, channel.tryRecv());
    try testing.expectError(error.Timeout, channel.recvTimeout(1000));
    try channel.send(1);
    try channel.trySend(2);
    try testing.expectError(error.WouldBlock, channel.trySend(3));
    try testing.expectError(error.Timeout, channel.sendTimeout(3, 1000));
    try testing.expectEqual(@as(usize, 2), channel.len());
    try testing.expect(!channel.isClosed());
    channel.close();
    channel.close();
    try testing.expect(channel.isClosed());
    try testing.expectError(error.Closed, channel.send(3));
    try testing.expectEqual(@as(?u64, 1), try channel.recv());
    try testing.expectEqual(@as(?u64, 2), try channel.tryRecv());
    try testing.expectEqual(@as(?u64, null), try channel.tryRecv());
    try testing.expectEqual(@as(?u64, null), try channel.recv());
}

const Echo = weft.Channel([24]u8);

fn echo(in: Echo, out: Echo) weft.Error!void {
    while (try in.recv()) |text| try out.send(text);
    out.close();
}

test "rendezvous passes hand to hand" {
    const ping = try Echo.init(.{ .capacity = 0 });
    defer ping.deinit();
    const pong = try Echo.init(.{ .capacity = 0 });
    defer pong.deinit();
    const other = try weft.default.async(echo, .{ ping, pong });
    defer other.deinit();
    for (0..1000) |i| {
        var text: [24]u8 = @splat(0);
        _ = try std.fmt.bufPrint(&text, "message {d}", .{i});
        try ping.send(text);
        try testing.expectEqualStrings(&text, &(try pong.recv()).?);
    }
    ping.close();
    try testing.expectEqual(@as(?[24]u8, null), try pong.recv());
    try other.get();
}

const Wide = struct { numbers: [8]f64 align(64) };

test "elements keep their alignment" {
    const channel = try weft.Channel(Wide).init(.{ .capacity = 3 });
    defer channel.deinit();
    try channel.send(.{ .numbers = .{ 1, 2, 3, 4, 5, 6, 7, 8 } });
    const wide = (try channel.recv()).?;
    try testing.expectEqual(@as(f64, 8), wide.numbers[7]);
}

fn free(element: *[]u8) void {
    testing.allocator.free(element.*);
}

test "elements left behind are dropped" {
    // The testing allocator fails the test for every slice that is not freed, or freed twice.
    for ([_]usize{ 16, weft.Channel([]u8).unbounded }) |capacity| {
        const channel = try weft.Channel([]u8).init(.{ .capacity = capacity, .drop = free });
        for (0..10) |i| try channel.send(try testing.allocator.alloc(u8, i + 1));
        const first = (try channel.recv()).?;
        try testing.expectEqual(@as(usize, 1), first.len);
        testing.allocator.free(first);
        channel.deinit();
    }
}

fn sendUntilClosed(channel: Numbers, progress: Numbers) weft.Error!u64 {
    var sent: u64 = 0;
    while (true) {
        channel.send(1) catch |err| return if (err == error.Closed) sent else err;
        sent += 1;
        try progress.send(sent);
    }
}

fn receiveAll(channel: Numbers) weft.Error!u64 {
    var received: u64 = 0;
    while (try channel.recv()) |number| received += number;
    return received;
}

test "closing among traffic accounts for every element" {
    const channel = try Numbers.init(.{ .capacity = 4 });
    defer channel.deinit();
    const progress = try Numbers.init(.{ .capacity = Numbers.unbounded });
    defer progress.deinit();
    var senders: [4]weft.Future(weft.Error!u64) = undefined;
    for (&senders) |*sender| sender.* = try weft.default.async(sendUntilClosed, .{ channel, progress });
    const receiver = try weft.default.async(receiveAll, .{channel});
    defer receiver.deinit();
    for (0..1000) |_| _ = try progress.recv(); // the senders are in full swing
    channel.close();
    var sent: u64 = 0;
    for (senders) |sender| {
        sent += try sender.get();
        sender.deinit();
    }
    try testing.expectEqual(sent, try receiver.get());
}
