//! Process pools. Their workers are this very program, which serves instead of testing when a pool has started it.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

/// Runs before main, which is the test runner's.
export const weft_test_worker linksection(".init_array") = &serveIfStarted;

fn serveIfStarted() callconv(.c) void {
    if (std.c.getenv("WEFT_LINK_FD") == null) return;
    weft.serve(answer, .{@as(u32, 3)}) catch std.c._exit(1);
    std.c._exit(0);
}

fn answer(times: u32, data: []const u8) !weft.Bytes {
    if (std.mem.eql(u8, data, "fail")) return error.NoAnswer;
    if (std.mem.eql(u8, data, "busy")) return error.Busy;
    if (std.mem.eql(u8, data, "die")) std.c._exit(7);
    if (std.mem.eql(u8, data, "die once") and weft.serveAttempt() == 1) std.c._exit(7);
    if (std.mem.eql(u8, data, "linger")) {
        while (!weft.serveCancelled()) std.atomic.spinLoopHint();
        return error.Cancelled;
    }
    var room: [300]u8 = undefined;
    for (0..times) |i| @memcpy(room[i * data.len ..][0..data.len], data);
    return weft.Bytes.init(room[0 .. times * data.len]);
}

pub fn poolOf(workers: u32) !weft.ProcessPool {
    var options = weft.ProcessPool.defaults();
    options.workers = workers;
    return weft.ProcessPool.init(&.{"/proc/self/exe"}, options);
}

test "calls are answered" {
    const pool = try poolOf(2);
    defer pool.deinit();
    var answers: [20]weft.Answer = undefined;
    for (&answers, 0..) |*one, i| one.* = try pool.call("abcdefghijklmnopqrst"[0 .. i + 1]);
    for (answers, 0..) |one, i| {
        defer one.deinit();
        try testing.expectEqual(3 * (i + 1), (try one.get()).len);
    }
    const one = try pool.call("abc");
    const kept = one.retain();
    try testing.expectEqualStrings("abcabcabc", try one.get());
    try testing.expectEqual(.ready, one.state());
    try testing.expectEqual(1, one.attempts());
    try testing.expectError(error.Busy, one.take());
    one.deinit();
    const taken = try kept.take();
    kept.deinit();
    defer taken.deinit();
    try testing.expectEqualStrings("abcabcabc", taken.slice());

    const none = try pool.call("");
    defer none.deinit();
    try testing.expectEqual(0, (try none.get()).len);
    const fired = try weft.select(.{ .answer = weft.futureCase(none) }, weft.forever);
    try testing.expectEqual(.answer, fired.which);

    try pool.resize(1);
    try testing.expectEqual(1, (try pool.stats()).workers);
    try testing.expectError(error.Invalid, pool.resize(0));
    try pool.drain(weft.forever);
    try testing.expectError(error.Closed, pool.call("abc"));
    const stats = try pool.stats();
    try testing.expectEqual(22, stats.calls);
    try testing.expectEqual(22, stats.succeeded);
}

test "failures of handlers, and deaths of workers" {
    const pool = try poolOf(1);
    defer pool.deinit();
    const failed = try pool.call("fail");
    defer failed.deinit();
    try testing.expectError(error.Failed, failed.get());
    try testing.expectEqualStrings("NoAnswer", failed.whyFailed().?.text);
    try testing.expect(std.mem.startsWith(u8, failed.whyFailed().?.origin, "process "));
    const busy = try pool.call("busy");
    defer busy.deinit();
    try testing.expectError(error.Busy, busy.get());
    const died = try pool.call("die");
    defer died.deinit();
    try testing.expectError(error.Died, died.get());
    const again = try pool.callWith("die once", .{ .attempts = 2 });
    defer again.deinit();
    try testing.expectEqualStrings("die oncedie oncedie once", try again.get());
    try testing.expectEqual(2, again.attempts());
    try pool.drain(weft.forever);
    try testing.expectEqual(2, (try pool.stats()).deaths);
}

test "calls that are asked to stop" {
    const pool = try poolOf(1);
    defer pool.deinit();
    const token = try weft.CancelToken.init(null);
    defer token.deinit();
    const lingers = try pool.callWith("linger", .{ .cancel = token });
    defer lingers.deinit();
    const completions = try weft.Channel(u64).init(.{ .capacity = weft.Channel(u64).unbounded });
    defer completions.deinit();
    try lingers.notify(completions, 5);
    try token.trigger(null);
    try testing.expectEqual(5, (try completions.recv()).?);
    try testing.expectError(error.Cancelled, lingers.get());
    try testing.expectEqual(.cancelled, lingers.state());

    const late = try pool.callWith("linger", .{ .timeout_ns = 1 });
    defer late.deinit();
    try testing.expectError(error.Timeout, late.get());
}

test "what is no pool, and no worker" {
    try testing.expectError(error.Invalid, weft.ProcessPool.init(&.{}, weft.ProcessPool.defaults()));
    try testing.expectError(error.Invalid, weft.serve(answer, .{@as(u32, 1)}));
    try testing.expect(!weft.serveCancelled());
    try testing.expectEqual(0, weft.serveAttempt());
}
