//! What the other sections speak of.

use std::ffi::c_void;

/// What a call came to: one of the WEFT_ constants below, or a number that a callback returned.
pub type weft_status = i32;

/// Bytes with a reference count.
pub struct weft_bytes {
    _private: [u8; 0],
}

/// Why a future failed. Belongs to the future.
pub struct weft_error {
    _private: [u8; 0],
}

/// A thread, the program's or a worker's.
pub struct weft_thread {
    _private: [u8; 0],
}

/// What a machine looks like.
pub struct weft_topology {
    _private: [u8; 0],
}

/// Worker threads and their queues.
pub struct weft_runtime {
    _private: [u8; 0],
}

/// The worker thread that a callback runs on. Passed to each callback, and of use on that thread only, until the
/// callback returns.
pub struct weft_worker {
    _private: [u8; 0],
}

/// A request to stop, for whatever carries it.
pub struct weft_cancel_token {
    _private: [u8; 0],
}

/// Something that queues a task when its time has come.
pub struct weft_timer {
    _private: [u8; 0],
}

/// A lock that knows its holder.
pub struct weft_mutex {
    _private: [u8; 0],
}

/// The end of a result that settles it.
pub struct weft_promise {
    _private: [u8; 0],
}

/// The end of a result that waits for it.
pub struct weft_future {
    _private: [u8; 0],
}

/// A callback that is to come when a future is settled, a file descriptor ready, or a breaker's state another one.
pub struct weft_watch {
    _private: [u8; 0],
}

/// What wakes a poll task.
pub struct weft_waker {
    _private: [u8; 0],
}

/// A queue with two ends.
pub struct weft_channel {
    _private: [u8; 0],
}

/// A counted sending end of a channel.
pub struct weft_sender {
    _private: [u8; 0],
}

/// A counted receiving end of a channel.
pub struct weft_receiver {
    _private: [u8; 0],
}

/// What lets calls through, or not.
pub struct weft_breaker {
    _private: [u8; 0],
}

/// One end of a link to another process.
pub struct weft_link {
    _private: [u8; 0],
}

/// Processes that run calls.
pub struct weft_process_pool {
    _private: [u8; 0],
}

/// A worker that is about to be forked.
pub struct weft_process_birth {
    _private: [u8; 0],
}

/// The calls of a worker process, for whoever answers them.
pub struct weft_server {
    _private: [u8; 0],
}

/// Where something runs.
pub struct weft_context {
    _private: [u8; 0],
}

/// A run of a context of a registered kind.
pub struct weft_context_job {
    _private: [u8; 0],
}

/// Contexts of which so many run at once.
pub struct weft_context_pool {
    _private: [u8; 0],
}

/// A flag of options, as the init function leaves it: what the member's comment says.
pub const WEFT_DEFAULT: i32 = 0;
/// A flag of options: yes.
pub const WEFT_ON: i32 = 1;
/// A flag of options: no.
pub const WEFT_OFF: i32 = 2;

/// A task.
pub type weft_task_fn = Option<unsafe extern "C-unwind" fn(worker: *mut weft_worker, arg: *mut c_void)>;

/// A task with a result: WEFT_OK and *result, or a failure. To fail with a message: return weft_error_set(...).
pub type weft_call_fn = Option<
    unsafe extern "C-unwind" fn(worker: *mut weft_worker, arg: *mut c_void, result: *mut *mut c_void) -> weft_status,
>;

/// Frees a value that nobody will use. May run on any thread. What it releases itself may be dropped only when it has
/// returned, so it must not wait for that; and it must not leave a mutex locked.
pub type weft_drop_fn = Option<unsafe extern "C-unwind" fn(ctx: *mut c_void, value: *mut c_void)>;
