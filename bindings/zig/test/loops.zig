//! parallelFor and reduce: every index once, errors, order, and nothing left behind.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

const Count = std.atomic.Value(u32);

fn mark(seen: []Count, i: usize) void {
    _ = seen[i].fetchAdd(1, .monotonic);
}

test "every index once" {
    for ([_]usize{ 0, 1, 2, 63, 1000, 100_003 }) |length| {
        const seen = try testing.allocator.alloc(Count, length + 20);
        defer testing.allocator.free(seen);
        @memset(seen, Count.init(0));
        var report: weft.c.weft_loop_report = undefined;
        try weft.default.parallelFor(10, 10 + length, mark, .{seen}, .{ .report = &report });
        for (seen, 0..) |*one, i| try testing.expectEqual(@intFromBool(i >= 10 and i < 10 + length), one.load(.monotonic));
        try testing.expectEqual(length, report.done);
        try testing.expectEqual(@as(usize, 0), report.failed + report.skipped);
    }
}

fn piece(worker: weft.Worker, grain: usize, covered: *std.atomic.Value(usize), from: usize, to: usize) !void {
    if (worker.index() >= 256 or from >= to or to - from > grain) return error.WrongPiece;
    _ = covered.fetchAdd(to - from, .monotonic);
}

test "pieces keep to the grain" {
    for ([_]usize{ 1, 7, 64, 5000 }) |grain| {
        var covered = std.atomic.Value(usize).init(0);
        try weft.default.parallelFor(100, 1100, piece, .{ grain, &covered }, .{ .grain = grain });
        try testing.expectEqual(@as(usize, 1000), covered.load(.monotonic));
    }
}

fn row(product: []u32, y: usize) weft.Error!void {
    try weft.default.parallelFor(0, 200, cell, .{ product, y }, .{});
}

fn cell(product: []u32, y: usize, x: usize) void {
    product[y * 200 + x] = @intCast(x * y);
}

test "nested loops" {
    const product = try testing.allocator.alloc(u32, 200 * 200);
    defer testing.allocator.free(product);
    try weft.default.parallelFor(0, 200, row, .{product}, .{});
    var sum: u64 = 0;
    for (product) |number| sum += number;
    try testing.expectEqual(@as(u64, (200 * 199 / 2) * (200 * 199 / 2)), sum);
}

fn refuse(bad: usize, i: usize) error{Bad}!void {
    if (i == bad) return error.Bad;
}

fn refuseAll(i: usize) error{ Even, Odd }!void {
    return if (i % 2 == 0) error.Even else error.Odd;
}

test "an error ends the loop and comes out" {
    var report: weft.c.weft_loop_report = undefined;
    try testing.expectError(error.Bad, weft.default.parallelFor(0, 100_000, refuse, .{777}, .{ .grain = 10, .report = &report }));
    try testing.expectEqual(@as(usize, 100_000), report.done + report.failed + report.skipped);
    try testing.expect(report.failed >= 1 and report.failed <= 10);
    try testing.expectEqualStrings("Bad", weft.message());
    // All at once: any may be the first, and it is a whole one.
    if (weft.default.parallelFor(0, 1000, refuseAll, .{}, .{ .grain = 1 })) |_| {
        return error.TestExpectedError;
    } else |err| try testing.expect(err == error.Even or err == error.Odd);
    try testing.expectError(error.Invalid, weft.default.parallelFor(5, 4, refuse, .{0}, .{}));
}

fn addIndex(acc: *u64, i: usize) void {
    acc.* += i;
}

fn addSum(into: *u64, from: *u64) void {
    into.* += from.*;
}

test "sums" {
    try testing.expectEqual(@as(u64, 499_999_500_000), try weft.default.reduce(u64, 0, 1_000_000, 0, addIndex, .{}, addSum, .{}));
    try testing.expectEqual(@as(u64, 42), try weft.default.reduce(u64, 3, 3, 42, addIndex, .{}, addSum, .{}));
    try testing.expectError(error.Invalid, weft.default.reduce(u64, 5, 4, 0, addIndex, .{}, addSum, .{}));
}

fn addFloats(numbers: []const f64, acc: *f64, from: usize, to: usize) void {
    for (numbers[from..to]) |number| acc.* += number;
}

fn addFloat(into: *f64, from: *f64) void {
    into.* += from.*;
}

test "floats are the same on any number of workers" {
    const numbers = try testing.allocator.alloc(f64, 100_000);
    defer testing.allocator.free(numbers);
    for (numbers, 1..) |*number, i| number.* = 1.0 / @as(f64, @floatFromInt(i)) * if (i % 2 == 0) @as(f64, 1e10) else -1e-10;
    var first: ?f64 = null;
    for ([_]i32{ 1, 2, 3, 5 }) |workers| {
        const runtime = try weft.Runtime.init(.{ .workers = workers });
        defer runtime.deinit();
        const sum = try runtime.reduce(f64, 0, numbers.len, 0, addFloats, .{numbers}, addFloat, .{ .grain = 100 });
        if (first == null) first = sum;
        try testing.expectEqual(@as(u64, @bitCast(first.?)), @as(u64, @bitCast(sum)));
        try runtime.shutdown(.drain, weft.forever);
    }
}

/// An accumulator that owns memory: indices in a list that grows.
const List = struct {
    items: []usize = &.{},
    len: usize = 0,

    var alive = std.atomic.Value(isize).init(0);

    fn push(self: *List, i: usize) !void {
        if (self.len == self.items.len) {
            if (self.len == 0) _ = alive.fetchAdd(1, .monotonic);
            self.items = try std.heap.c_allocator.realloc(self.items, self.len * 2 + 8);
        }
        self.items[self.len] = i;
        self.len += 1;
    }

    fn free(self: *List) void {
        if (self.items.len != 0) _ = alive.fetchSub(1, .monotonic);
        std.heap.c_allocator.free(self.items);
        self.* = .{};
    }

    fn merge(into: *List, from: *List) void {
        for (from.items[0..from.len]) |i| into.push(i) catch |err| std.debug.panic("merge: {}", .{err});
        from.free();
    }

    fn pushChecked(bad: usize, acc: *List, i: usize) !void {
        try acc.push(i);
        if (i == bad) return error.Bad;
    }
};

test "order is kept, and accumulators may own memory" {
    var all = try weft.default.reduce(List, 0, 10_000, .{}, List.pushChecked, .{@as(usize, 10_000)}, List.merge, .{ .grain = 50, .drop = List.free });
    try testing.expectEqual(@as(usize, 10_000), all.len);
    for (all.items[0..all.len], 0..) |item, i| try testing.expectEqual(i, item);
    all.free();
    try testing.expectEqual(@as(isize, 0), List.alive.load(.monotonic));
}

test "failed reductions leave nothing behind" {
    for (0..100) |round| {
        try testing.expectError(error.Bad, weft.default.reduce(List, 0, 1000, .{}, List.pushChecked, .{round * 10}, List.merge, .{ .grain = 10, .drop = List.free }));
        try testing.expectEqual(@as(isize, 0), List.alive.load(.monotonic));
    }
}
