//! Contexts of each kind, and pools of them.

const std = @import("std");
const weft = @import("weft");
const poolOf = @import("processes.zig").poolOf;
const testing = std.testing;
const Kind = weft.Context.Kind;

const with_arguments = [_]Kind{ .on_caller, .thread, .task, .fork };

fn sumOf(add: u8, data: []const u8) weft.Error!weft.Bytes {
    var room: [16]u8 = undefined;
    for (data, room[0..data.len]) |byte, *sum| sum.* = byte + add;
    return weft.Bytes.init(room[0..data.len]);
}

fn noAnswer(_: u8, _: []const u8) ![]const u8 {
    return error.NoAnswer;
}

fn nothing(_: []const u8) void {}

fn echo(data: []const u8) []const u8 {
    return data;
}

fn expectReply(text: []const u8, context: weft.Context) !void {
    const reply = try context.wait(weft.forever);
    defer reply.deinit();
    try testing.expectEqualStrings(text, reply.slice());
}

test "a function runs, and its reply comes back" {
    for (with_arguments) |kind| {
        const context = try weft.Context.init(kind, .{ .name = "callable", .exact = true });
        defer context.deinit();
        try testing.expectError(error.Invalid, context.wait(0));
        try testing.expectEqual(kind, context.kind());
        try testing.expectEqual(kind, context.kindAsked());
        try testing.expectEqualStrings("callable", context.name());
        try context.execute(sumOf, .{@as(u8, 1)}, "HAL");
        try expectReply("IBM", context);
        try expectReply("IBM", context);
        try testing.expect(!context.isAlive());
        try testing.expect(context.whyFailed() == null);
        try testing.expectEqual(1, (try context.stats()).executed);
        if (kind != .on_caller) try testing.expectError(error.Busy, context.execute(sumOf, .{@as(u8, 1)}, "HAL"));
    }
}

test "errors fail the run" {
    for (with_arguments) |kind| {
        const context = try weft.Context.init(kind, .{});
        const kept = context.retain();
        context.deinit();
        defer kept.deinit();
        try kept.execute(noAnswer, .{@as(u8, 1)}, "");
        for (0..2) |_| try testing.expectError(error.Failed, kept.wait(weft.forever));
        try testing.expectEqualStrings("NoAnswer", kept.whyFailed().?.text);
        try testing.expectEqual(1, (try kept.stats()).failed);
    }
}

test "an isolated thread, again and again" {
    const context = try weft.Context.init(.isolated, .{});
    defer context.deinit();
    for ([_][]const u8{ "one", "", "three" }) |text| {
        try context.execute(echo, .{}, text);
        try expectReply(text, context);
    }
    try context.execute(nothing, .{}, "data");
    try expectReply("", context);
    try testing.expectError(error.Invalid, context.execute(sumOf, .{@as(u8, 1)}, ""));
    try testing.expectEqual(4, (try context.stats()).executed);
}

fn runsOn(runtime: weft.Runtime, data: []const u8) ![]const u8 {
    const worker = weft.Worker.current() orelse return error.NoWorker;
    return if (worker.runtime().handle == runtime.handle) data else error.OtherRuntime;
}

test "a task of another runtime" {
    const runtime = try weft.Runtime.init(.{ .workers = 1 });
    defer runtime.deinit();
    const context = try weft.Context.init(.task, .{ .runtime = runtime, .priority = .high });
    defer context.deinit();
    try context.execute(runsOn, .{runtime}, "there");
    try expectReply("there", context);
    const late = try weft.Context.init(.task, .{ .runtime = runtime });
    defer late.deinit();
    try runtime.shutdown(.drain, weft.forever);
    try testing.expectError(error.Shutdown, late.execute(sumOf, .{@as(u8, 1)}, ""));
}

test "a process of a pool" {
    try testing.expectError(error.Invalid, weft.Context.init(.process, .{}));
    const pool = try poolOf(1);
    defer pool.deinit();
    const context = try weft.Context.init(.process, .{ .process_pool = pool });
    defer context.deinit();
    try context.executeData("ha");
    try expectReply("hahaha", context);
    try context.executeData("fail");
    try testing.expectError(error.Failed, context.wait(weft.forever));
    try context.executeData("ho");
    try expectReply("hohoho", context);
    try testing.expectError(error.Invalid, context.execute(echo, .{}, ""));
}

fn sleepOn(_: []const u8) !void {
    try weft.sleep(weft.forever);
}

fn leave(_: []const u8) void {
    std.c._exit(3);
}

test "what runs is terminated, and a child that dies is told of" {
    for ([_]Kind{ .thread, .fork, .isolated }) |kind| {
        const context = try weft.Context.init(kind, .{ .exact = true });
        defer context.deinit();
        try context.execute(sleepOn, .{}, "");
        try testing.expect(context.isAlive());
        try testing.expectError(error.Timeout, context.wait(1));
        try testing.expectError(error.WouldBlock, context.wait(0));
        try context.terminate(weft.forever);
        try testing.expectError(error.Cancelled, context.wait(weft.forever));
        try testing.expectError(error.Closed, context.execute(echo, .{}, ""));
    }
    const token = try weft.CancelToken.init(null);
    defer token.deinit();
    const asked = try weft.Context.init(.thread, .{ .cancel = token });
    defer asked.deinit();
    try asked.execute(sleepOn, .{}, "");
    try token.trigger(null);
    try testing.expectError(error.Cancelled, asked.wait(weft.forever));

    const child = try weft.Context.init(.fork, .{ .exact = true });
    defer child.deinit();
    try child.execute(leave, .{}, "");
    try testing.expectError(error.Died, child.wait(weft.forever));
}

test "pools bound what runs" {
    const pool = try weft.ContextPool.init(.thread, 2, .{ .name = "few" });
    const kept = pool.retain();
    pool.deinit();
    defer kept.deinit();
    var contexts: [20]weft.Context = undefined;
    for (&contexts, 0..) |*one, i| {
        one.* = try kept.acquire(.{});
        try one.execute(sumOf, .{@as(u8, @intCast(i))}, "a");
    }
    try kept.waitAll(weft.forever);
    for (contexts, 0..) |one, i| {
        defer one.deinit();
        try expectReply("abcdefghijklmnopqrst"[i .. i + 1], one);
    }
    const stats = try kept.stats();
    try testing.expect(stats.peak <= 2);
    try testing.expectEqual(0, stats.active);
    try testing.expectEqual(20, stats.executed);

    const one = try kept.acquire(.{ .strict = true, .name = "one" });
    try testing.expectEqualStrings("one", one.name());
    const two = try kept.acquire(.{ .strict = true, .timeout_ns = 0 });
    defer two.deinit();
    try testing.expectError(error.WouldBlock, kept.acquire(.{ .strict = true, .timeout_ns = 0, .priority = .critical }));
    try kept.put(one);
    try two.execute(sleepOn, .{}, "");
    try testing.expectError(error.Busy, kept.put(two));
    try kept.terminateAll(weft.forever);
    try testing.expectError(error.Cancelled, two.wait(weft.forever));
    kept.close();
    try testing.expectError(error.Closed, kept.acquire(.{}));
}
