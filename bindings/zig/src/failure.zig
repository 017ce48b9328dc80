//! Statuses become errors, and errors of callables become statuses on their way through C.

const std = @import("std");
const c = @import("header.zig").c;

/// The statuses of weft.h. `Unknown` is a number that is none of them: a callback of another language may return any.
pub const Error = error{
    WouldBlock,
    Timeout,
    Cancelled,
    Interrupted,
    Closed,
    Rejected,
    Invalid,
    Busy,
    Unsupported,
    TooLarge,
    NotFound,
    Deadlock,
    OutOfMemory,
    System,
    Shutdown,
    Forked,
    Failed,
    Panic,
    Broken,
    Died,
    Protocol,
    Unknown,
};

/// Each error with its number.
const table = [_]struct { Error, c.weft_status }{
    .{ error.WouldBlock, c.WEFT_WOULD_BLOCK },
    .{ error.Timeout, c.WEFT_TIMEOUT },
    .{ error.Cancelled, c.WEFT_CANCELLED },
    .{ error.Interrupted, c.WEFT_INTERRUPTED },
    .{ error.Closed, c.WEFT_CLOSED },
    .{ error.Rejected, c.WEFT_REJECTED },
    .{ error.Invalid, c.WEFT_INVALID },
    .{ error.Busy, c.WEFT_BUSY },
    .{ error.Unsupported, c.WEFT_UNSUPPORTED },
    .{ error.TooLarge, c.WEFT_TOO_LARGE },
    .{ error.NotFound, c.WEFT_NOT_FOUND },
    .{ error.Deadlock, c.WEFT_DEADLOCK },
    .{ error.OutOfMemory, c.WEFT_NOMEM },
    .{ error.System, c.WEFT_OS },
    .{ error.Shutdown, c.WEFT_SHUTDOWN },
    .{ error.Forked, c.WEFT_FORKED },
    .{ error.Failed, c.WEFT_FAILED },
    .{ error.Panic, c.WEFT_PANIC },
    .{ error.Broken, c.WEFT_BROKEN },
    .{ error.Died, c.WEFT_DIED },
    .{ error.Protocol, c.WEFT_PROTOCOL },
};

/// This thread's last failure in words. Valid on this thread until its next failure.
pub fn message() [:0]const u8 {
    return std.mem.span(@as([*:0]const u8, c.weft_error_message()));
}

/// The error for a status that is not WEFT_OK.
pub fn fromStatus(status: c.weft_status) Error {
    for (table) |row| {
        if (row[1] == status) return row[0];
    }
    return error.Unknown;
}

pub fn check(status: c.weft_status) Error!void {
    if (status != c.WEFT_OK) return fromStatus(status);
}

/// The status for an error of a callable: its own if it is one of ours, WEFT_FAILED otherwise.
pub fn toStatus(err: anyerror) c.weft_status {
    for (table) |row| {
        if (row[0] == err) return row[1];
    }
    return c.WEFT_FAILED;
}

/// What a C callback returns for an error of its callable: its status, with its name as the message, so that C code and other languages
/// see something sensible too.
pub fn report(err: anyerror) c.weft_status {
    return c.weft_error_set(toStatus(err), @errorName(err).ptr);
}

/// Why a future, or the run of a context, failed. Valid as long as that keeps it: a future while it lives.
pub const Failure = struct {
    status: c.weft_status,
    text: [:0]const u8,
    /// Where it happened, such as "task resize, worker 3".
    origin: [:0]const u8,
    /// Where a Rust callback panicked, in several lines, if RUST_BACKTRACE asked for that; else "".
    backtrace: [:0]const u8,

    pub fn of(future: *const c.weft_future) ?Failure {
        return read(c.weft_future_error(future));
    }

    pub fn read(reported: ?*const c.weft_error) ?Failure {
        const failure = reported orelse return null;
        return .{
            .status = c.weft_error_status(failure),
            .text = std.mem.span(@as([*:0]const u8, c.weft_error_text(failure))),
            .origin = std.mem.span(@as([*:0]const u8, c.weft_error_origin(failure))),
            .backtrace = std.mem.span(@as([*:0]const u8, c.weft_error_backtrace(failure))),
        };
    }
};
