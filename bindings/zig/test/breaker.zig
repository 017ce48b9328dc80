//! Breakers: calls, permits, states.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

fn double(n: u32) u32 {
    return 2 * n;
}

fn answer(works: bool) !u32 {
    return if (works) 42 else error.NoAnswer;
}

fn cancelled() weft.Error!void {
    return error.Cancelled;
}

test "run returns what the function returns, and errors open it" {
    var options = weft.Breaker.defaults();
    options.consecutive = 2;
    const breaker = try weft.Breaker.init(options);
    defer breaker.deinit();
    try testing.expectEqual(14, try breaker.run(double, .{7}));
    try testing.expectEqual(42, try breaker.run(answer, .{true}));
    try testing.expectError(error.Cancelled, breaker.run(cancelled, .{}));
    try testing.expectError(error.NoAnswer, breaker.run(answer, .{false}));
    try testing.expectEqual(.closed, breaker.state());
    try testing.expectEqual(0, breaker.retryAfter());
    try testing.expectError(error.NoAnswer, breaker.run(answer, .{false}));
    try testing.expectEqual(.open, breaker.state());
    try testing.expect(breaker.retryAfter() > 0);
    try testing.expectError(error.Rejected, breaker.run(answer, .{true}));
    const stats = try breaker.stats();
    try testing.expectEqual(2, stats.ok);
    try testing.expectEqual(2, stats.failed);
    try testing.expectEqual(1, stats.abandoned);
    try testing.expectEqual(1, stats.rejected);
}

test "permits, and forced states" {
    const breaker = try weft.Breaker.init(weft.Breaker.defaults());
    const other = breaker.retain();
    breaker.deinit();
    defer other.deinit();
    var permit = try other.acquire();
    try permit.record(.ok);
    try testing.expectError(error.Invalid, permit.record(.fail));
    other.force(.half_open);
    permit = try other.acquire();
    try testing.expectError(error.Rejected, other.acquire());
    try permit.record(.abandoned);
    permit = try other.acquire();
    try permit.record(.ignore);
    permit = try other.acquire();
    try permit.record(.fail);
    try testing.expectEqual(.open, other.state());
    other.force(.forced_open);
    try testing.expectEqual(weft.forever, other.retryAfter());
    var wrong = weft.Breaker.defaults();
    wrong.probes = 0;
    try testing.expectError(error.Invalid, weft.Breaker.init(wrong));
}

const Changes = weft.Channel([2]weft.Breaker.State);

fn note(changes: Changes, from: weft.Breaker.State, to: weft.Breaker.State) void {
    changes.send(.{ from, to }) catch unreachable;
}

test "listeners" {
    const changes = try Changes.init(.{});
    defer changes.deinit();
    const breaker = try weft.Breaker.init(weft.Breaker.defaults());
    defer breaker.deinit();
    const watch = try breaker.onChange(note, .{changes});
    defer watch.deinit();
    breaker.force(.forced_open);
    breaker.force(.closed);
    try watch.off();
    try testing.expectError(error.Busy, watch.off());
    breaker.force(.disabled);
    try testing.expectEqual([2]weft.Breaker.State{ .closed, .forced_open }, (try changes.recv()).?);
    try testing.expectEqual([2]weft.Breaker.State{ .forced_open, .closed }, (try changes.recv()).?);
    try testing.expectEqual(0, changes.len());
}
