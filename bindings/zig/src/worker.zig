//! The worker that runs the current task.

const c = @import("header.zig").c;
const call = @import("call.zig");
const failure = @import("failure.zig");
const Runtime = @import("runtime.zig").Runtime;

/// A view of the worker that runs the current task, valid only inside that task and on its thread. As the first parameter of a
/// callable it is filled in by the library.
pub const Worker = struct {
    handle: *c.weft_worker,

    /// The worker that runs the calling task; null outside any task.
    pub fn current() ?Worker {
        return .{ .handle = c.weft_worker_current() orelse return null };
    }

    /// This thread's seat, below the runtime's max_threads. Two tasks that run at the same time never share it.
    pub fn index(self: Worker) u32 {
        return @intCast(c.weft_worker_index(self.handle));
    }

    /// The runtime it belongs to, borrowed while the task runs.
    pub fn runtime(self: Worker) Runtime {
        return .{ .handle = c.weft_worker_runtime(self.handle) };
    }

    /// The task is about to block in a call that the library does not know: until `endBlocking` another thread may run in its place.
    pub fn beginBlocking(self: Worker) failure.Error!void {
        return failure.check(c.weft_blocking_begin(self.handle));
    }

    pub fn endBlocking(self: Worker) failure.Error!void {
        return failure.check(c.weft_blocking_end(self.handle));
    }

    /// For long work without calls of the library: shares what this thread has forked with threads that have asked, and yields the CPU.
    pub fn yield(self: Worker) failure.Error!void {
        return failure.check(c.weft_yield(self.handle));
    }

    /// Prepares a callable to be offered to other threads:
    ///
    ///     var right = worker.fork(sum, .{items[middle..]});
    ///     right.offer();
    ///     const left = sum(right.next(), items[0..middle]);
    ///     return left + right.sync();
    pub fn fork(self: Worker, comptime f: anytype, args: anytype) call.Forked(f, @TypeOf(args)) {
        return .{ .worker = self, .call = .{ .args = args } };
    }

    /// Runs both callables, perhaps in parallel, `a` on this thread, and returns their results when both have ended.
    pub fn join(self: Worker, comptime a: anytype, a_args: anytype, comptime b: anytype, b_args: anytype) failure.Error!call.Joined(a, b) {
        return call.join(self.handle, a, a_args, b, b_args);
    }
};
