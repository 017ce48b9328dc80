//! Timers, sleeping and deadlines: never early, in order, over when they are stopped.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

const Times = weft.Channel(i64);

fn note(times: Times, worker_asked: bool) void {
    if (worker_asked) times.send(weft.c.weft_now()) catch unreachable;
}

test "a callable runs when its time has come" {
    const times = try Times.init(.{});
    defer times.deinit();
    const runtime = try weft.Runtime.init(.{ .workers = 1 });
    defer runtime.deinit();
    const begin = weft.c.weft_now();
    const later = try runtime.after(2_000_000, note, .{ times, true });
    defer later.deinit();
    try testing.expect((try times.recv()).? >= begin + 2_000_000);
    const often = try runtime.every(0, 100_000, note, .{ times, true });
    var last: i64 = 0;
    for (0..5) |_| {
        const now = (try times.recv()).?;
        try testing.expect(now >= last);
        last = now;
    }
    often.stop() catch |err| try testing.expectEqual(error.Busy, err);
    often.deinit();
    const never = try runtime.after(weft.forever, note, .{ times, false });
    try never.stop();
    try never.stop();
    never.deinit();
    try testing.expectError(error.Invalid, runtime.every(0, -1, note, .{ times, false }));
    try runtime.shutdown(.drain, weft.forever);
    try testing.expectError(error.Shutdown, runtime.after(0, note, .{ times, false }));
}

test "sleeping, and deadlines of tokens" {
    const token = try weft.CancelToken.init(null);
    defer token.deinit();
    const begin = weft.c.weft_now();
    try weft.sleep(1_000_000);
    try testing.expect(weft.c.weft_now() >= begin + 1_000_000);
    try weft.sleep(0);
    try token.triggerAfter(2_000_000);
    try token.triggerAfter(weft.forever);
    try token.enter();
    defer token.leave();
    try testing.expectError(error.Cancelled, weft.sleep(weft.forever));
    try testing.expectEqualStrings("deadline", token.reason().?);
}
