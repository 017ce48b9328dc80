//! What waits and what ends it: tasks that begin after others, tokens and shields, interrupts, stalls; and the log that tells of it.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

const Numbers = weft.Channel(u64);

fn sum(left: weft.Future(u64), right: weft.Future(u64)) weft.Error!u64 {
    try mustBeSettled(left);
    try mustBeSettled(right);
    return try left.get() + try right.get();
}

fn mustBeSettled(future: weft.Future(u64)) weft.Error!void {
    if (future.state() == .pending) return error.Failed;
}

fn nothing() void {}

test "a task begins after others" {
    const runtime = try weft.Runtime.init(.{ .workers = 1 });
    defer runtime.deinit();
    const left_promise, const left = try weft.promise(u64);
    defer left_promise.deinit();
    defer left.deinit();
    const right_promise, const right = try weft.promise(u64);
    defer right_promise.deinit();
    defer right.deinit();
    const both = try runtime.asyncWith(sum, .{ left, right }, .{ .after = &.{ left.handle, right.handle } });
    defer both.deinit();
    try left_promise.resolve(40);
    try runtime.run(nothing, .{});
    try testing.expectEqual(.pending, both.state());
    try right_promise.resolve(2);
    try testing.expectEqual(@as(u64, 42), try both.get());
    try runtime.spawnWith(nothing, .{}, .{ .after = &.{both.handle}, .name = "last" });
    try runtime.shutdown(.drain, weft.forever);
}

fn receive(channel: Numbers, begun: Numbers) weft.Error!?u64 {
    try begun.send(1);
    return channel.recv();
}

test "tokens end waits, loops and tasks" {
    const root = try weft.CancelToken.init(null);
    defer root.deinit();
    const token = try weft.CancelToken.init(root);
    defer token.deinit();
    const empty = try Numbers.init(.{});
    defer empty.deinit();
    const begun = try Numbers.init(.{});
    defer begun.deinit();
    const waiting = try weft.default.asyncWith(receive, .{ empty, begun }, .{ .cancel = token });
    defer waiting.deinit();
    _ = try begun.recv();
    try testing.expect(!token.triggered() and token.reason() == null);
    try root.trigger("enough");
    try root.trigger(null);
    try testing.expectEqualStrings("enough", token.reason().?);
    try testing.expectError(error.Cancelled, waiting.get());
    const never = try weft.default.asyncWith(receive, .{ empty, begun }, .{ .cancel = token });
    defer never.deinit();
    try testing.expectError(error.Cancelled, never.get());
    try testing.expectEqual(@as(usize, 0), begun.len());
    try testing.expectError(error.Cancelled, weft.default.parallelFor(0, 10, ignore, .{}, .{ .cancel = token }));
}

fn ignore(_: usize) void {}

test "a thread goes by the token that it has entered, and a shield keeps that off" {
    const token = try weft.CancelToken.init(null);
    defer token.deinit();
    const empty = try Numbers.init(.{});
    defer empty.deinit();
    try token.trigger(null);
    {
        try token.enter();
        defer token.leave();
        try testing.expect(weft.cancelled());
        try testing.expectError(error.Cancelled, empty.recv());
        const shield = try weft.Shield.begin();
        defer shield.end();
        try testing.expect(!weft.cancelled());
        try testing.expectError(error.Timeout, empty.recvTimeout(1000));
    }
    try testing.expectError(error.Timeout, empty.recvTimeout(1000));
}

fn waitOnThread(empty: Numbers, known: *weft.Channel(weft.Thread), interrupted: *bool) void {
    const self = weft.Thread.current() catch return;
    known.send(self) catch return;
    _ = empty.recv() catch |err| {
        interrupted.* = err == error.Interrupted;
    };
}

test "an interrupt ends one wait" {
    const empty = try Numbers.init(.{});
    defer empty.deinit();
    var known = try weft.Channel(weft.Thread).init(.{});
    defer known.deinit();
    const self = try weft.Thread.current();
    defer self.deinit();
    try self.interrupt();
    try testing.expectError(error.Interrupted, empty.recv());
    try testing.expectError(error.Timeout, empty.recvTimeout(1000));
    var interrupted = false;
    const thread = try std.Thread.spawn(.{}, waitOnThread, .{ empty, &known, &interrupted });
    const other = (try known.recv()).?;
    defer other.deinit();
    try other.interrupt();
    thread.join();
    try testing.expect(interrupted);
    try other.interrupt();
}

var relief: Numbers = undefined;
var told = std.atomic.Value(u32).init(0);

fn relieve(stall: *const weft.Runtime.Stall) void {
    if (stall.queued > 0 and told.fetchAdd(1, .monotonic) == 0) relief.close();
}

fn receiveNothing(channel: Numbers) weft.Error!void {
    if (try channel.recv() != null) return error.Failed;
}

test "a stall is told" {
    relief = try Numbers.init(.{});
    defer relief.deinit();
    const runtime = try weft.Runtime.init(.{ .workers = 1, .max_threads = 1, .on_stall = relieve });
    defer runtime.deinit();
    const first = try runtime.async(receiveNothing, .{relief});
    defer first.deinit();
    const second = try runtime.async(receiveNothing, .{relief});
    defer second.deinit();
    try first.get();
    try second.get();
    try runtime.shutdown(.drain, weft.forever);
    try testing.expect(told.load(.monotonic) > 0);
}

fn repair(worker: weft.Worker) weft.Error!void {
    const Loop = struct {
        fn range(_: ?*weft.c.weft_worker, _: usize, _: usize, arg: ?*anyopaque) callconv(.c) weft.c.weft_status {
            const calls: *u32 = @ptrCast(@alignCast(arg.?));
            calls.* += 1;
            return if (calls.* == 1) weft.c.weft_error_set(weft.c.WEFT_FAILED, "on purpose") else weft.c.WEFT_OK;
        }
    };
    var calls: u32 = 0;
    var options: weft.c.weft_loop_options = undefined;
    if (weft.c.weft_loop_options_init(&options, @sizeOf(weft.c.weft_loop_options)) != weft.c.WEFT_OK) return error.Failed;
    options.on_failure = weft.c.WEFT_ON_FAILURE_REDO;
    if (weft.c.weft_for(worker.runtime().handle, 0, 1, Loop.range, &calls, &options, null) != weft.c.WEFT_OK) return error.Failed;
}

test "the log is pulled" {
    try testing.expectEqual(@as(?weft.log.Record, null), try weft.log.next(0));
    try weft.log.keep(.warn);
    try testing.expectError(error.WouldBlock, weft.log.next(0));
    try testing.expectError(error.Timeout, weft.log.next(1000));
    const runtime = try weft.Runtime.init(.{ .name = "home", .workers = 1 });
    defer runtime.deinit();
    const repaired = try runtime.asyncWith(repair, .{}, .{ .name = "resize" });
    defer repaired.deinit();
    try repaired.get();
    const record = (try weft.log.next(weft.forever)).?;
    try testing.expectEqual(weft.log.Level.warn, record.level);
    try testing.expectEqual(@as(?u32, 0), record.worker);
    try testing.expectEqualStrings("home", record.runtime);
    try testing.expectEqualStrings("resize", record.task);
    try testing.expect(std.mem.indexOf(u8, record.message, "on purpose") != null);
    try weft.log.keep(.off);
    try testing.expectEqual(@as(?weft.log.Record, null), try weft.log.next(weft.forever));
    try runtime.shutdown(.drain, weft.forever);
}

fn addUnderLock(mutex: weft.Mutex, total: *u64) weft.Error!void {
    for (0..500) |_| {
        try mutex.lock();
        defer mutex.unlock();
        total.* += 1;
    }
}

test "a mutex is held by one" {
    const mutex = try weft.Mutex.init("total");
    defer mutex.deinit();
    var total: u64 = 0;
    var adding: [4]weft.Future(weft.Error!void) = undefined;
    for (&adding) |*one| one.* = try weft.default.async(addUnderLock, .{ mutex, &total });
    for (adding) |one| {
        try one.get();
        one.deinit();
    }
    try testing.expectEqual(@as(u64, 2000), total);
    try mutex.tryLock();
    try testing.expectError(error.Deadlock, mutex.lock());
    const other = try weft.default.async(tryLock, .{mutex});
    defer other.deinit();
    try testing.expectError(error.WouldBlock, other.get());
    mutex.unlock();
}

fn tryLock(mutex: weft.Mutex) weft.Error!void {
    try timeOut(mutex);
    try mutex.tryLock();
    mutex.unlock();
}

fn timeOut(mutex: weft.Mutex) weft.Error!void {
    mutex.lockTimeout(1000) catch |err| if (err != error.Timeout) return err;
}
