//! Runtimes and tasks: options, references, spawning from many threads, both ways to shut down.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

const Counter = std.atomic.Value(usize);

test "the library is the one this module is for" {
    const expected: u32 = weft.c.WEFT_VERSION_MAJOR << 24 | weft.c.WEFT_VERSION_MINOR << 16 | weft.c.WEFT_VERSION_PATCH << 8;
    try testing.expectEqual(expected, weft.version());
    try testing.expectEqual(@as(u32, weft.c.WEFT_ABI_VERSION), weft.c.weft_abi_version());
}

test "options, references and refusals" {
    const runtime = try weft.Runtime.init(.{ .name = "zig", .workers = 3, .keep_alive_ns = weft.forever });
    defer runtime.deinit();
    try testing.expectEqual(@as(u32, 3), try runtime.workers());
    const another = runtime.retain();
    defer another.deinit();
    try testing.expectEqual(runtime.handle, another.handle);
    try testing.expectError(error.Invalid, weft.Runtime.init(.{ .workers = -1 }));
    try testing.expect(std.mem.indexOf(u8, weft.message(), "workers") != null);
    try runtime.shutdown(.drain, weft.forever);
    try runtime.shutdown(.drain, 0);
    try testing.expectError(error.Shutdown, another.spawn(nothing, .{}));
    try testing.expectError(error.Shutdown, another.run(nothing, .{}));
    try testing.expectError(error.Shutdown, another.async(nothing, .{}));
}

test "placement, and statistics of workers" {
    const runtime = try weft.Runtime.init(.{ .workers = 1, .placement = .compact });
    defer runtime.deinit();
    try runtime.run(nothing, .{});
    try testing.expect((try runtime.workerStats(0)).?.cpu >= 0);
    try testing.expectEqual(@as(?weft.Runtime.WorkerStats, null), try runtime.workerStats(100000));
    try runtime.refreshTopology();
    try runtime.shutdown(.drain, weft.forever);
    const worker = (try runtime.workerStats(0)).?;
    const total = try runtime.stats();
    try testing.expectEqual(total.executed, worker.executed);
    try testing.expectEqual(total.busy_ns, worker.busy_ns);
    const utilisation = weft.c.weft_utilisation(worker.busy_ns, worker.idle_ns);
    try testing.expect(utilisation > 0 and utilisation < 1);
    try testing.expectEqual(2 * weft.optimalWorkerCount(.cpu), weft.optimalWorkerCount(.io));
}

test "kinds and sizes" {
    const single = try weft.Runtime.init(.{ .kind = .single });
    defer single.deinit();
    var sum = Counter.init(0);
    try single.spawn(add, .{ &sum, 5 });
    try testing.expectEqual(@as(usize, 0), sum.load(.monotonic));
    try single.runHere(.until_idle);
    try testing.expectEqual(@as(usize, 5), sum.load(.monotonic));
    try testing.expectError(error.WouldBlock, single.runHere(.one_step));
    try testing.expectEqual(weft.Runtime.Kind.single, try single.kind());

    const hosted = try weft.Runtime.init(.{ .kind = .hosted, .workers = 2 });
    defer hosted.deinit();
    try hosted.spawn(add, .{ &sum, 6 });
    try testing.expectError(error.WouldBlock, hosted.lend(0));
    try testing.expectEqual(@as(usize, 11), sum.load(.monotonic));
    try hosted.shutdown(.drain, weft.forever);
    try testing.expectError(error.Shutdown, hosted.lend(0));

    const multi = try weft.Runtime.init(.{ .workers = 1 });
    defer multi.deinit();
    try multi.resize(3);
    try testing.expectEqual(@as(u32, 3), try multi.workers());
    try testing.expectError(error.Invalid, multi.resize(0));
    try testing.expectError(error.Unsupported, multi.runHere(.until_idle));
}

fn nothing() void {}

fn add(sum: *Counter, number: usize) void {
    _ = sum.fetchAdd(number, .monotonic);
}

fn spawnMany(runtime: weft.Runtime, sum: *Counter, first: usize, number: usize) !void {
    for (first..first + number) |i| try runtime.spawn(add, .{ sum, i });
}

test "spawning from many threads" {
    const runtime = try weft.Runtime.init(.{ .workers = 2 });
    defer runtime.deinit();
    const before = try runtime.stats();
    var sum = Counter.init(0);
    var threads: [4]std.Thread = undefined;
    for (&threads, 0..) |*thread, i| thread.* = try std.Thread.spawn(.{}, spawnMany, .{ runtime, &sum, i * 5000, 5000 });
    for (threads) |thread| thread.join();
    try runtime.shutdown(.drain, weft.forever);
    try testing.expectEqual(@as(usize, 20000 * 19999 / 2), sum.load(.monotonic));
    const after = try runtime.stats();
    try testing.expectEqual(@as(u64, 20000), after.spawned - before.spawned);
    try testing.expectEqual(@as(u64, 20000), after.executed - before.executed);
}

fn tree(worker: weft.Worker, ran: *Counter, depth: usize) void {
    _ = ran.fetchAdd(1, .monotonic);
    if (depth == 0) return;
    for (0..2) |_| {
        worker.runtime().spawnWith(tree, .{ ran, depth - 1 }, .{ .name = "branch", .priority = if (depth % 2 == 0) .high else .low }) catch |err| std.debug.panic("spawn: {}", .{err});
    }
}

test "draining runs what tasks spawn" {
    const runtime = try weft.Runtime.init(.{ .workers = 2 });
    defer runtime.deinit();
    var ran = Counter.init(0);
    try runtime.spawn(tree, .{ &ran, 11 });
    try runtime.shutdown(.drain, weft.forever);
    try testing.expectEqual(@as(usize, 4095), ran.load(.monotonic));
}

/// A thread that waits here is lost to the runtime, which knows nothing of it.
const Gate = struct {
    thread: std.Thread.Id = undefined,
    inside: weft.Channel(u8),
    /// A pipe: reading blocks the thread itself, not the task.
    pipe: [2]std.c.fd_t,

    fn init() !Gate {
        var pipe: [2]std.c.fd_t = undefined;
        if (std.c.pipe(&pipe) != 0) return error.Pipe;
        return .{ .inside = try weft.Channel(u8).init(.{}), .pipe = pipe };
    }

    fn deinit(self: Gate) void {
        self.inside.deinit();
        for (self.pipe) |end| _ = std.c.close(end);
    }

    fn pass(self: *Gate) void {
        self.inside.send(1) catch |err| std.debug.panic("send: {}", .{err});
        var byte: [1]u8 = undefined;
        std.debug.assert(std.c.read(self.pipe[0], &byte, 1) == 1);
    }

    fn open(self: *Gate) void {
        std.debug.assert(std.c.write(self.pipe[1], "x", 1) == 1);
    }
};

fn count(ran: *Counter) usize {
    return ran.fetchAdd(1, .monotonic);
}

test "discarding drops queued tasks unrun" {
    const runtime = try weft.Runtime.init(.{ .workers = 1, .max_threads = 1 });
    defer runtime.deinit();
    var gate = try Gate.init();
    defer gate.deinit();
    try runtime.spawn(Gate.pass, .{&gate});
    _ = try gate.inside.recv(); // the only thread is taken
    var ran = Counter.init(0);
    for (0..100) |i| try runtime.spawn(add, .{ &ran, i });
    const never = try runtime.async(count, .{&ran});
    defer never.deinit();
    try testing.expectError(error.WouldBlock, runtime.shutdown(.discard, 0));
    gate.open();
    try runtime.shutdown(.discard, weft.forever);
    try testing.expectEqual(@as(usize, 0), ran.load(.monotonic));
    try testing.expectError(error.Broken, never.get());
    try testing.expectEqual(@as(u64, 101), (try runtime.stats()).discarded);
}

fn shutDown(worker: weft.Worker) weft.Error!void {
    return worker.runtime().shutdown(.drain, weft.forever);
}

test "shutting down from inside is refused" {
    const runtime = try weft.Runtime.init(.{ .workers = 1 });
    defer runtime.deinit();
    try testing.expectError(error.Deadlock, runtime.run(shutDown, .{}));
    try runtime.run(nothing, .{}); // nothing has begun
    try runtime.shutdown(.drain, weft.forever);
}

fn whereAmI(worker: weft.Worker) struct { bool, ?*weft.c.weft_runtime } {
    return .{ weft.Worker.current().?.handle == worker.handle and worker.index() < 256, worker.runtime().handle };
}

test "workers know themselves" {
    try testing.expectEqual(@as(?weft.Worker, null), weft.Worker.current());
    const runtime = try weft.Runtime.init(.{ .workers = 2 });
    defer runtime.deinit();
    const here = try runtime.run(whereAmI, .{});
    try testing.expect(here[0]);
    try testing.expectEqual(runtime.handle, here[1]);
    try runtime.shutdown(.drain, weft.forever);
}

test "the default runtime" {
    const here = try weft.default.run(whereAmI, .{});
    try testing.expect(here[0]);
    try testing.expectError(error.Busy, weft.Runtime.configureDefault(.{ .workers = 2 }));
    try testing.expect(try weft.default.workers() >= 1);
}
