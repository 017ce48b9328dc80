//! Futures and promises: thousands of results, errors of callables and of the library, and the sole-reference rule.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

fn square(number: u64) u64 {
    return number * number;
}

test "thousands with exact sum" {
    const futures = try testing.allocator.alloc(weft.Future(u64), 10_000);
    defer testing.allocator.free(futures);
    for (futures, 0..) |*future, i| future.* = try weft.default.async(square, .{@as(u64, i)});
    var sum: u64 = 0;
    var expected: u64 = 0;
    for (futures, 0..) |future, i| {
        sum += try future.take();
        expected += i * i;
        future.deinit();
    }
    try testing.expectEqual(expected, sum);
}

fn half(number: u32) error{Odd}!u32 {
    return if (number % 2 == 0) number / 2 else error.Odd;
}

test "errors of callables come out as they are" {
    var futures: [2000]weft.Future(error{Odd}!u32) = undefined;
    for (&futures, 0..) |*future, i| future.* = try weft.default.asyncWith(half, .{@as(u32, @intCast(i))}, .{ .name = "half", .priority = .critical });
    for (futures, 0..) |future, i| {
        defer future.deinit();
        try future.wait(weft.forever);
        if (i % 2 == 0) {
            try testing.expectEqual(@as(u32, @intCast(i / 2)), try future.get());
            try testing.expectEqual(@as(?weft.Failure, null), future.whyFailed());
        } else {
            try testing.expectError(error.Odd, future.get());
            try testing.expectError(error.Odd, future.take());
            const why = future.whyFailed().?;
            try testing.expectEqualStrings("Odd", why.text);
            try testing.expectEqual(@as(i32, weft.c.WEFT_FAILED), why.status);
            try testing.expect(std.mem.indexOf(u8, why.origin, "half") != null);
        }
    }
}

fn notFound() weft.Error!void {
    return error.NotFound;
}

test "the library's errors keep their status" {
    const future = try weft.default.async(notFound, .{});
    defer future.deinit();
    try testing.expectError(error.NotFound, future.get());
    try testing.expectEqual(@as(i32, weft.c.WEFT_NOT_FOUND), future.whyFailed().?.status);
}

test "sole reference" {
    const future = try weft.default.async(square, .{7});
    const copy = future.retain();
    try testing.expectError(error.Busy, future.take());
    try testing.expectEqual(@as(u64, 49), try copy.get());
    copy.deinit();
    try testing.expectEqual(@as(u64, 49), try future.take());
    try testing.expectError(error.Busy, future.take());
    try testing.expectError(error.Busy, future.get());
    future.deinit();
}

fn sumOf(future: weft.Future(anyerror![]const u64)) !u64 {
    defer future.deinit();
    var sum: u64 = 0;
    for (try future.get()) |number| sum += number;
    return sum;
}

test "many tasks wait for one promise" {
    const promise, const future = try weft.promise(anyerror![]const u64);
    defer promise.deinit();
    defer future.deinit();
    try testing.expectError(error.WouldBlock, future.wait(0));
    try testing.expectError(error.Timeout, future.wait(1000));
    try testing.expectEqual(.pending, future.state());
    var sums: [64]@TypeOf(try weft.default.async(sumOf, .{future})) = undefined;
    for (&sums) |*sum| sum.* = try weft.default.async(sumOf, .{future.retain()});
    var numbers: [1000]u64 = undefined;
    for (&numbers, 1..) |*number, i| number.* = i;
    try promise.resolve(&numbers);
    for (sums) |sum| {
        try testing.expectEqual(@as(u64, 500_500), try sum.get());
        sum.deinit();
    }
    try testing.expectEqual(.ready, future.state());
}

test "promises settle once" {
    const promise, const future = try weft.promise(error{ Late, Wrong }!u32);
    defer promise.deinit();
    defer future.deinit();
    try promise.reject(error.Late);
    try testing.expectError(error.Busy, promise.resolve(3));
    try testing.expectError(error.Busy, promise.reject(error.Wrong));
    try testing.expectError(error.Busy, promise.rejectStatus(weft.c.WEFT_FAILED, "again"));
    try testing.expectError(error.Late, future.get());
    try testing.expectEqual(.failed, future.state());

    const other, const refused = try weft.promise(u32);
    defer other.deinit();
    defer refused.deinit();
    try testing.expectError(error.Invalid, other.rejectStatus(weft.c.WEFT_OK, "no failure"));
    try other.rejectStatus(weft.c.WEFT_REJECTED, "not today");
    try testing.expectError(error.Rejected, refused.get());
    try testing.expectEqualStrings("not today", refused.whyFailed().?.text);
}

test "the last promise gone breaks the future" {
    const promise, const future = try weft.promise(u32);
    defer future.deinit();
    const copy = promise.retain();
    promise.deinit();
    try testing.expectEqual(.pending, future.state());
    copy.deinit();
    try testing.expectError(error.Broken, future.get());
}

fn race(promise: weft.Promise(u32), number: u32) weft.Error!u32 {
    defer promise.deinit();
    promise.resolve(number) catch |err| return if (err == error.Busy) 0 else err;
    return number;
}

test "racing promises have one winner" {
    for (0..200) |_| {
        const promise, const future = try weft.promise(u32);
        defer future.deinit();
        var racers: [8]weft.Future(weft.Error!u32) = undefined;
        for (&racers, 1..) |*racer, i| racer.* = try weft.default.async(race, .{ promise.retain(), @as(u32, @intCast(i)) });
        promise.deinit();
        var winner: u32 = 0;
        for (racers) |racer| {
            winner += try racer.get();
            racer.deinit();
        }
        try testing.expect(winner >= 1 and winner <= 8); // two of them would be no racer's number or not the value
        try testing.expectEqual(winner, try future.get());
    }
}

fn chain(before: ?weft.Future(weft.Error!u64), i: u64) weft.Error!u64 {
    const future = before orelse return 0;
    defer future.deinit();
    return try future.get() + i;
}

test "tasks wait for tasks on one worker" {
    const runtime = try weft.Runtime.init(.{ .workers = 1 });
    defer runtime.deinit();
    var link: ?weft.Future(weft.Error!u64) = null;
    for (0..201) |i| link = try runtime.async(chain, .{ link, @as(u64, i) });
    try testing.expectEqual(@as(u64, 20_100), try link.?.take());
    link.?.deinit();
    try runtime.shutdown(.drain, weft.forever);
}

/// Memory in results, counted.
const Owned = struct {
    memory: *usize,

    var alive = std.atomic.Value(isize).init(0);

    fn make(number: usize) !Owned {
        const memory = try std.heap.c_allocator.create(usize);
        memory.* = number;
        _ = alive.fetchAdd(1, .monotonic);
        return .{ .memory = memory };
    }

    fn free(self: *Owned) void {
        std.heap.c_allocator.destroy(self.memory);
        _ = alive.fetchSub(1, .monotonic);
    }
};

test "results that nobody takes are dropped once" {
    const runtime = try weft.Runtime.init(.{ .workers = 2 });
    defer runtime.deinit();
    for (0..1000) |i| {
        const future = try runtime.asyncWith(Owned.make, .{i}, .{ .drop = Owned.free });
        defer future.deinit();
        switch (i % 3) {
            0 => {
                var mine = try future.take();
                try testing.expectEqual(i, mine.memory.*);
                mine.free();
            },
            1 => try testing.expectEqual(i, (try future.get()).memory.*),
            else => {}, // given up, perhaps before the task has run
        }
    }
    try runtime.shutdown(.drain, weft.forever);
    try testing.expectEqual(@as(isize, 0), Owned.alive.load(.monotonic));
}

fn hammer(sum: *std.atomic.Value(u64), first: u64) !void {
    for (first..first + 1000) |number| {
        const future = try weft.default.async(square, .{@as(u64, number)});
        defer future.deinit();
        _ = sum.fetchAdd(try future.take(), .monotonic);
    }
}

test "threads make and take futures" {
    var sum = std.atomic.Value(u64).init(0);
    var threads: [4]std.Thread = undefined;
    for (&threads, 0..) |*thread, i| thread.* = try std.Thread.spawn(.{}, hammer, .{ &sum, i * 1000 });
    for (threads) |thread| thread.join();
    try testing.expectEqual(@as(u64, 3999 * 4000 * 7999 / 6), sum.load(.monotonic));
}
