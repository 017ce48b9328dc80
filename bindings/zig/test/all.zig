//! The tests of the Zig module, one file per noun.

test {
    _ = @import("runtime.zig");
    _ = @import("waiting.zig");
    _ = @import("timers.zig");
    _ = @import("forkjoin.zig");
    _ = @import("loops.zig");
    _ = @import("futures.zig");
    _ = @import("poll.zig");
    _ = @import("descriptors.zig");
    _ = @import("deadlock.zig");
    _ = @import("combinators.zig");
    _ = @import("channels.zig");
    _ = @import("ends.zig");
    _ = @import("select.zig");
    _ = @import("breaker.zig");
    _ = @import("links.zig");
    _ = @import("processes.zig");
    _ = @import("contexts.zig");
}
