//! join and run: a parallel quicksort, results and errors of both halves.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

fn quicksort(worker: weft.Worker, items: []u32) void {
    if (items.len < 256) return std.mem.sort(u32, items, {}, std.sort.asc(u32));
    const pivot = @max(@min(items[0], items[items.len - 1]), @min(@max(items[0], items[items.len - 1]), items[items.len / 2]));
    // Three parts: below, equal to and above the pivot.
    var low: usize = 0;
    var i: usize = 0;
    var high: usize = items.len;
    while (i < high) {
        if (items[i] < pivot) {
            std.mem.swap(u32, &items[i], &items[low]);
            low += 1;
            i += 1;
        } else if (items[i] > pivot) {
            high -= 1;
            std.mem.swap(u32, &items[i], &items[high]);
        } else i += 1;
    }
    _ = worker.join(quicksort, .{items[0..low]}, quicksort, .{items[high..]}) catch |err| std.debug.panic("join: {}", .{err});
}

test "quicksort" {
    const items = try testing.allocator.alloc(u32, 300_000);
    defer testing.allocator.free(items);
    const expected = try testing.allocator.alloc(u32, items.len);
    defer testing.allocator.free(expected);
    for ([_]i32{ 1, 2, 4 }) |workers| {
        const runtime = try weft.Runtime.init(.{ .workers = workers });
        defer runtime.deinit();
        var random = std.Random.DefaultPrng.init(12345);
        for (items) |*item| item.* = random.random().int(u32) % 100_000;
        @memcpy(expected, items);
        std.mem.sort(u32, expected, {}, std.sort.asc(u32));
        try runtime.run(quicksort, .{items});
        try testing.expectEqualSlices(u32, expected, items);
        try runtime.shutdown(.drain, weft.forever);
    }
}

fn fibonacci(worker: weft.Worker, n: u32) weft.Error!u64 {
    if (n < 2) return n;
    const a, const b = try worker.join(fibonacci, .{n - 1}, fibonacci, .{n - 2});
    return try a + try b;
}

test "results of a deep tree" {
    try testing.expectEqual(@as(u64, 6765), try weft.default.run(fibonacci, .{20}));
}

fn forkedFibonacci(worker: weft.Worker, n: u32) u64 {
    if (n < 2) return n;
    var right = worker.fork(forkedFibonacci, .{n - 2});
    right.offer();
    const left = forkedFibonacci(right.next(), n - 1);
    return left + right.sync();
}

test "forks of a deep tree" {
    for ([_]i32{ 1, 3 }) |workers| {
        const runtime = try weft.Runtime.init(.{ .workers = workers });
        defer runtime.deinit();
        try testing.expectEqual(@as(u64, 6765), try runtime.run(forkedFibonacci, .{20}));
        try runtime.shutdown(.drain, weft.forever);
    }
}

const Ended = std.atomic.Value(u32);

fn odd(ended: *Ended, number: u32) error{Even}!u32 {
    _ = ended.fetchAdd(1, .monotonic);
    return if (number % 2 == 0) error.Even else number;
}

fn text(ended: *Ended) []const u8 {
    _ = ended.fetchAdd(1, .monotonic);
    return "text";
}

test "both halves end and show their errors" {
    var ended = Ended.init(0);
    for (0..200) |_| {
        const a, const b = try weft.default.join(odd, .{ &ended, 2 }, odd, .{ &ended, 3 });
        try testing.expectError(error.Even, a);
        try testing.expectEqual(@as(u32, 3), try b);
        const c, const d = try weft.default.join(text, .{&ended}, odd, .{ &ended, 4 });
        try testing.expectEqualStrings("text", c);
        try testing.expectError(error.Even, d);
        try testing.expectEqual(@as(u32, 4), ended.swap(0, .monotonic));
    }
}

test "run returns what its callable returns" {
    var ended = Ended.init(0);
    try testing.expectEqual(@as(u32, 5), try weft.default.run(odd, .{ &ended, 5 }));
    try testing.expectError(error.Even, weft.default.run(odd, .{ &ended, 6 }));
    try testing.expectEqualStrings("text", try weft.default.run(text, .{&ended}));
    const one = try weft.Runtime.init(.{ .workers = 1 });
    defer one.deinit();
    try testing.expectEqual(@as(u32, 7), try one.run(elsewhere, .{ &ended, 7 }));
    try one.shutdown(.drain, weft.forever);
}

/// From a task of another runtime: waits for a worker of the default one.
fn elsewhere(ended: *Ended, number: u32) !u32 {
    const other = try weft.Runtime.init(.{ .workers = 1 });
    defer other.deinit();
    const result = try other.run(odd, .{ ended, number });
    try other.shutdown(.drain, weft.forever);
    return result;
}
