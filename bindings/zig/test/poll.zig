//! Poll tasks: woken from within and from outside, ended by results, errors, requests to stop and the loss of who could wake them.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

fn countTo(limit: u32, polls: *u32, waker: weft.Waker) ?u32 {
    polls.* += 1;
    if (polls.* == limit) return polls.*;
    waker.wake();
    return null;
}

test "woken until it has a result" {
    var polls: u32 = 0;
    const result = try weft.default.poll(countTo, .{ @as(u32, 100), &polls });
    defer result.deinit();
    try testing.expectEqual(100, try result.get());
}

const Wakers = weft.Channel(weft.Waker);

const Waiting = struct {
    wakers: Wakers,
    told: bool = false,
    enough: std.atomic.Value(bool) = .init(false),

    fn poll(self: *Waiting, worker_waker: weft.Waker) error{ WouldBlock, Cancelled }!?void {
        if (!self.told) self.wakers.send(worker_waker.retain()) catch unreachable;
        self.told = true;
        if (weft.cancelled()) return error.Cancelled;
        return if (self.enough.load(.acquire)) {} else null;
    }
};

test "woken from outside, and after the end" {
    const runtime = try weft.Runtime.init(.{ .workers = 2 });
    defer runtime.deinit();
    const wakers = try Wakers.init(.{});
    defer wakers.deinit();
    var waiting: Waiting = .{ .wakers = wakers };
    const result = try runtime.pollWith(Waiting.poll, .{&waiting}, .{ .name = "waiting" });
    defer result.deinit();
    const waker = (try wakers.recv()).?;
    defer waker.deinit();
    waker.wake(); // for nothing
    waiting.enough.store(true, .release);
    waker.wake();
    try result.get();
    waker.wake();
    try runtime.shutdown(.drain, weft.forever);
    waker.wake();
    try testing.expectError(error.Shutdown, runtime.poll(Waiting.poll, .{&waiting}));
}

test "a request to stop wakes it" {
    const wakers = try Wakers.init(.{});
    defer wakers.deinit();
    var waiting: Waiting = .{ .wakers = wakers };
    const result = try weft.default.poll(Waiting.poll, .{&waiting});
    defer result.deinit();
    const waker = (try wakers.recv()).?;
    defer waker.deinit();
    result.cancel();
    try testing.expectError(error.Cancelled, result.get());
}

fn wouldBlock(_: weft.Waker) error{WouldBlock}!?void {
    return error.WouldBlock;
}

fn never(_: weft.Waker) ?void {
    return null;
}

test "errors end it, and so does the loss of its wakers" {
    const result = try weft.default.poll(wouldBlock, .{});
    defer result.deinit();
    try testing.expectError(error.WouldBlock, result.get());
    try testing.expectEqual(@as(i32, weft.c.WEFT_FAILED), result.whyFailed().?.status);
    const lost = try weft.default.poll(never, .{});
    defer lost.deinit();
    try testing.expectError(error.Broken, lost.get());
}
