//! Channels in bulk: batches, counted ends, and what they leave behind.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

const Numbers = weft.Channel(u64);

test "batches" {
    const channel = try Numbers.init(.{ .capacity = 4, .single_producer = true, .single_consumer = true });
    defer channel.deinit();
    var sent: usize = 99;
    try channel.sendBatch(&.{ 0, 1, 2 }, weft.forever, null);
    try testing.expectError(error.WouldBlock, channel.sendBatch(&.{ 3, 4, 5 }, 0, &sent));
    try testing.expectEqual(@as(usize, 1), sent);
    var buffer: [3]u64 = undefined;
    try testing.expectEqualSlices(u64, &.{ 0, 1, 2 }, (try channel.recvBatch(&buffer, weft.forever)).?);
    try testing.expectEqualSlices(u64, &.{3}, (try channel.recvBatch(&buffer, 0)).?);
    try testing.expectError(error.Timeout, channel.recvBatch(&buffer, 1000));
    channel.close();
    try testing.expectError(error.Closed, channel.sendBatch(&.{1}, 0, &sent));
    try testing.expectEqual(@as(usize, 0), sent);
    try testing.expectEqual(@as(?[]u64, null), try channel.recvBatch(&buffer, weft.forever));
    try testing.expectEqual(Numbers.Waiting{ .senders = 0, .receivers = 0 }, channel.waiting());
}

fn produce(out: Numbers.Sender, count: u64) weft.Error!void {
    defer out.deinit();
    for (1..count + 1) |number| try out.send(number);
}

test "ends close when the last one goes" {
    const sender, const receiver = try Numbers.ends(.{ .capacity = 16 });
    var producers: [3]weft.Future(weft.Error!void) = undefined;
    for (&producers) |*producer| producer.* = try weft.default.async(produce, .{ sender.retain(), 100 });
    sender.deinit();
    var sum: u64 = 0;
    while (try receiver.next()) |number| sum += number;
    try testing.expectEqual(@as(u64, 3 * 5050), sum);
    for (producers) |producer| {
        try producer.get();
        producer.deinit();
    }
    receiver.deinit();
}

fn free(element: *[]u8) void {
    testing.allocator.free(element.*);
}

test "the last receiver drops what is queued" {
    const sender, const receiver = try weft.Channel([]u8).ends(.{ .drop = free });
    defer sender.deinit();
    try sender.send(try testing.allocator.alloc(u8, 7));
    receiver.retain().deinit();
    try sender.channel().send(try testing.allocator.alloc(u8, 8));
    receiver.deinit();
    try testing.expectEqual(@as(usize, 0), sender.channel().len());
    const left = try testing.allocator.alloc(u8, 9);
    defer testing.allocator.free(left);
    try testing.expectError(error.Closed, sender.send(left));
}
