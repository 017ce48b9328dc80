//! Bytes that are shared: what came from another process.

const c = @import("header.zig").c;
const failure = @import("failure.zig");

/// Bytes that do not change, with references.
pub const Bytes = struct {
    handle: *c.weft_bytes,

    /// A copy of these.
    pub fn init(data: []const u8) failure.Error!Bytes {
        var handle: ?*c.weft_bytes = null;
        try failure.check(c.weft_bytes_new(data.ptr, data.len, &handle));
        return .{ .handle = handle.? };
    }

    pub fn deinit(self: Bytes) void {
        c.weft_bytes_release(self.handle);
    }

    /// Another reference to the same bytes.
    pub fn retain(self: Bytes) Bytes {
        return .{ .handle = c.weft_bytes_retain(self.handle).? };
    }

    /// Good until the last reference is given back.
    pub fn slice(self: Bytes) []const u8 {
        return view(c.weft_bytes_data(self.handle), c.weft_bytes_len(self.handle));
    }
};

/// What C says by an address and a length; no bytes may have no address.
pub fn view(data: ?*const anyopaque, len: usize) []const u8 {
    const start: [*]const u8 = @ptrCast(data orelse return &.{});
    return start[0..len];
}
