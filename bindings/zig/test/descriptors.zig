//! Callables that run as tasks when a descriptor is ready. The descriptors are those of channels, which anything can make ready.

const std = @import("std");
const weft = @import("weft");
const testing = std.testing;

const Told = weft.Channel(weft.Ready);

fn tell(told: Told, ready: weft.Ready) void {
    told.send(ready) catch unreachable;
}

fn tellWorker(worker: weft.Worker, told: Told, ready: weft.Ready) void {
    _ = worker.index();
    tell(told, ready);
}

test "told once, as a task" {
    const told = try Told.init(.{});
    defer told.deinit();
    const promise, const future = try weft.promise(u32);
    defer future.deinit();
    defer promise.deinit();
    const watch = try weft.default.whenReady(try future.fd(), .{ .readable = true }, tellWorker, .{told});
    defer watch.deinit();
    try promise.resolve(1);
    const ready = (try told.recv()).?;
    try testing.expect(ready.readable and !ready.writable and !ready.hung_up and !ready.failed);
    try testing.expectError(error.Busy, watch.off());
}

test "taken back, and by a shutdown" {
    const told = try Told.init(.{});
    defer told.deinit();
    const promise, const future = try weft.promise(u32);
    defer future.deinit();
    defer promise.deinit();
    const fd = try future.fd();
    const runtime = try weft.Runtime.init(.{ .workers = 1 });
    defer runtime.deinit();
    const back = try runtime.whenReady(fd, .{ .readable = true }, tell, .{told});
    defer back.deinit();
    try back.off();
    try testing.expectError(error.Busy, back.off());
    const left = try runtime.whenReady(fd, .{ .readable = true }, tell, .{told});
    defer left.deinit();
    try runtime.shutdown(.drain, weft.forever);
    try promise.resolve(1);
    try testing.expectError(error.Busy, left.off());
    try testing.expectError(error.Shutdown, runtime.whenReady(fd, .{ .readable = true }, tell, .{told}));
    try testing.expectError(error.Invalid, weft.default.whenReady(-1, .{ .readable = true }, tell, .{told}));
    // What was ready before and is told on another runtime comes after what could have been told of the first.
    const last = try weft.default.whenReady(fd, .{ .readable = true }, tell, .{told});
    defer last.deinit();
    _ = try told.recv();
    try testing.expectEqual(0, told.len());
}
