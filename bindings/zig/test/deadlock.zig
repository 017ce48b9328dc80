//! A ring of two mutexes is told with names; a request to stop lets it go.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

var token: weft.CancelToken = undefined;
var number: u64 = 0;
var has_names = false;

fn told(found: weft.deadlock.Deadlock) void {
    number = found.number;
    has_names = found.waits.len == 2 and std.mem.indexOf(u8, found.message, "left") != null and
        std.mem.indexOf(u8, found.message, "first") != null;
    token.trigger("deadlock") catch unreachable;
}

fn lockBoth(one: weft.Mutex, other: weft.Mutex, has: weft.Channel(u8), go_on: weft.Channel(u8)) weft.Error!void {
    try one.lock();
    defer one.unlock();
    try has.send(1);
    _ = try go_on.recv();
    try other.lock();
    other.unlock();
}

test "told with names" {
    token = try weft.CancelToken.init(null);
    defer token.deinit();
    const left = try weft.Mutex.init("left");
    defer left.deinit();
    const right = try weft.Mutex.init("right");
    defer right.deinit();
    const has = try weft.Channel(u8).init(.{});
    defer has.deinit();
    const go_on = try weft.Channel(u8).init(.{});
    defer go_on.deinit();
    const before = weft.deadlock.count();
    try weft.deadlock.watch(told, .report);
    const first = try weft.default.asyncWith(lockBoth, .{ left, right, has, go_on }, .{ .name = "first", .cancel = token });
    defer first.deinit();
    const second = try weft.default.asyncWith(lockBoth, .{ right, left, has, go_on }, .{ .name = "second" });
    defer second.deinit();
    // Waited for with a deadline, so that neither is run in place by this thread.
    for (0..2) |_| _ = try has.recv();
    for (0..2) |_| try go_on.send(1);
    try first.wait(std.math.maxInt(i64) - 1);
    try testing.expectError(error.Cancelled, first.get());
    try second.get();
    try weft.deadlock.watch(null, .report);
    try testing.expectEqual(before + 1, weft.deadlock.count());
    try testing.expectEqual(before + 1, number);
    try testing.expect(has_names);
}
