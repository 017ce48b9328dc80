//! Futures that are made of others, requests to cancel, callbacks, and descriptors.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

const Odd = error{Odd};
const Even = error{Even};

fn half(number: u32) Odd!u32 {
    return if (number % 2 == 0) number / 2 else error.Odd;
}

fn addTo(term: u64, number: u32) Even!u64 {
    return if (term + number == 13) error.Even else term + number;
}

fn length(worker: weft.Worker, number: u64) usize {
    return worker.index() * 0 + std.math.log10_int(number) + 1;
}

test "then goes on with the value" {
    const number = try weft.default.async(half, .{@as(u32, 84)});
    defer number.deinit();
    const sum = try number.then(addTo, .{@as(u64, 100)});
    defer sum.deinit();
    const digits = try sum.then(length, .{});
    defer digits.deinit();
    try testing.expectEqual(@as(usize, 3), try digits.get());
    try testing.expectEqual(@as(u64, 142), try sum.get());
}

test "errors pass through as they are" {
    const number = try weft.default.async(half, .{@as(u32, 7)});
    defer number.deinit();
    const sum = try number.then(addTo, .{@as(u64, 100)});
    defer sum.deinit();
    const digits = try sum.thenWith(length, .{}, .{ .name = "digits" });
    defer digits.deinit();
    try testing.expectError(error.Odd, digits.get());
    const six = try weft.default.async(half, .{@as(u32, 12)});
    defer six.deinit();
    const thirteen = try six.then(addTo, .{@as(u64, 7)});
    defer thirteen.deinit();
    const last = try thirteen.then(length, .{});
    defer last.deinit();
    try testing.expectError(error.Even, last.get());
}

fn nothing() void {}

test "all, any, race" {
    const first_promise, const first = try weft.promise(Odd!u32);
    defer first_promise.deinit();
    defer first.deinit();
    const second_promise, const second = try weft.promise(Odd!u32);
    defer second_promise.deinit();
    defer second.deinit();
    const both = [_]weft.Future(Odd!u32){ first, second };
    const all = try weft.all(Odd!u32, &both);
    defer all.deinit();
    const any = try weft.any(Odd!u32, &both);
    defer any.deinit();
    const race = try weft.race(Odd!u32, &both);
    defer race.deinit();
    try testing.expectEqual(.pending, any.state());
    try testing.expectEqual(@as(?usize, null), any.winner());
    try second_promise.reject(error.Odd);
    try testing.expectError(error.Odd, race.get());
    try testing.expectError(error.Odd, all.get());
    try testing.expectEqual(@as(?usize, 1), race.winner());
    try testing.expectEqual(.pending, any.state());
    try first_promise.resolve(5);
    try testing.expectEqual(@as(u32, 5), try any.get());
    try testing.expectEqual(@as(?usize, 0), any.winner());
    const after = try any.then(addTo, .{@as(u64, 1)});
    defer after.deinit();
    try testing.expectEqual(@as(u64, 6), try after.get());
    const none = try weft.all(Odd!u32, &.{});
    defer none.deinit();
    try none.get();
    const done = try none.then(nothing, .{});
    defer done.deinit();
    try done.get();
    try testing.expectError(error.Invalid, weft.any(Odd!u32, &.{}));
}

fn receive(channel: weft.Channel(u64)) weft.Error!?u64 {
    return channel.recv();
}

test "cancelling" {
    const empty = try weft.Channel(u64).init(.{});
    defer empty.deinit();
    const waits = try weft.default.async(receive, .{empty});
    defer waits.deinit();
    const queued = try weft.default.asyncWith(receive, .{empty}, .{ .after = &.{waits.handle} });
    defer queued.deinit();
    queued.cancel();
    try testing.expectError(error.Cancelled, queued.get());
    try testing.expectEqual(.cancelled, queued.state());
    waits.cancel();
    try testing.expectError(error.Cancelled, waits.get());
    const promise, const future = try weft.promise(weft.Error!u64);
    defer promise.deinit();
    defer future.deinit();
    try testing.expect(!promise.cancelled());
    future.cancel();
    try testing.expect(promise.cancelled());
    try promise.reject(error.Cancelled);
    try testing.expectEqual(.cancelled, future.state());
}

fn count(times: *u32) void {
    times.* += 1;
}

test "callbacks, completions, descriptors" {
    var times: u32 = 0;
    const promise, const future = try weft.promise(u64);
    defer promise.deinit();
    defer future.deinit();
    const told = try future.onSettled(count, .{&times});
    defer told.deinit();
    const taken_back = try future.onSettled(count, .{&times});
    defer taken_back.deinit();
    try taken_back.off();
    try testing.expectError(error.Busy, taken_back.off());
    const completions = try weft.Channel(u64).init(.{ .capacity = weft.Channel(u64).unbounded });
    defer completions.deinit();
    try future.notify(completions, 77);
    var fds = [_]std.posix.pollfd{.{ .fd = try future.fd(), .events = std.posix.POLL.IN, .revents = 0 }};
    try testing.expectEqual(@as(usize, 0), try std.posix.poll(&fds, 0));
    try promise.resolve(1);
    try testing.expectEqual(@as(u32, 1), times);
    try testing.expectEqual(@as(usize, 1), try std.posix.poll(&fds, 0));
    try testing.expectEqual(@as(?u64, 77), try completions.recv());
    const now = try future.onSettled(count, .{&times});
    now.deinit();
    try testing.expectEqual(@as(u32, 2), times);
}

test "timeouts and delays" {
    const promise, const future = try weft.promise(u64);
    defer promise.deinit();
    defer future.deinit();
    const late = try future.timeout(1_000_000);
    defer late.deinit();
    try testing.expectError(error.Timeout, late.get());
    const unlimited = try future.timeout(weft.forever);
    defer unlimited.deinit();
    try promise.resolve(7);
    try testing.expectEqual(@as(u64, 7), try unlimited.get());
    const begin = weft.c.weft_now();
    const later = try weft.delay(1_000_000);
    defer later.deinit();
    try later.get();
    try testing.expect(weft.c.weft_now() >= begin + 1_000_000);
}
