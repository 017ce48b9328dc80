//! Status, errors, version.

use std::ffi::{CStr, c_char, c_void};

use super::args::check_header;
use super::boundary::boundary_value;
use super::message;
use super::types::{weft_error, weft_status};
use crate::error::{ERROR_TAG, Error, Status};
use crate::platform;

macro_rules! status_constants {
    ($($name:ident == $status:ident;)*) => {
        const _: () = { $(assert!($name == Status::$status as i32);)* };
    };
}

/// Success.
pub const WEFT_OK: weft_status = 0;
/// Flow: a call that may not block would have had to.
pub const WEFT_WOULD_BLOCK: weft_status = 1;
/// Flow: the time allowed has passed.
pub const WEFT_TIMEOUT: weft_status = 2;
/// Flow: the calling task or thread has been asked to stop, see Cancellation; or what was waited for has been.
pub const WEFT_CANCELLED: weft_status = 3;
/// Flow: a signal ended the wait of a thread that asked for that, see weft_thread_interruptible.
pub const WEFT_INTERRUPTED: weft_status = 4;
/// Flow: the channel is closed.
pub const WEFT_CLOSED: weft_status = 5;
/// Flow: refused by a breaker that is open.
pub const WEFT_REJECTED: weft_status = 6;
/// Caller: an argument is wrong; the message names it.
pub const WEFT_INVALID: weft_status = 20;
/// Caller: in use, or used up.
pub const WEFT_BUSY: weft_status = 21;
/// Caller: not available on this system or in this build.
pub const WEFT_UNSUPPORTED: weft_status = 22;
/// Caller: larger than the limit.
pub const WEFT_TOO_LARGE: weft_status = 23;
/// Caller: there is no such thing.
pub const WEFT_NOT_FOUND: weft_status = 24;
/// Caller: the wait could never end.
pub const WEFT_DEADLOCK: weft_status = 25;
/// Environment: no memory.
pub const WEFT_NOMEM: weft_status = 40;
/// Environment: the operating system refused.
pub const WEFT_OS: weft_status = 41;
/// Environment: the runtime is shutting down.
pub const WEFT_SHUTDOWN: weft_status = 42;
/// Environment: the object belongs to the parent of this forked process.
pub const WEFT_FORKED: weft_status = 43;
/// Other side: a callback failed.
pub const WEFT_FAILED: weft_status = 60;
/// Other side: a callback panicked (Rust).
pub const WEFT_PANIC: weft_status = 61;
/// Other side: the promise was released unsettled.
pub const WEFT_BROKEN: weft_status = 62;
/// Other side: the other process died.
pub const WEFT_DIED: weft_status = 63;
/// Other side: the other process sent nonsense.
pub const WEFT_PROTOCOL: weft_status = 64;

status_constants! {
    WEFT_OK == Ok; WEFT_WOULD_BLOCK == WouldBlock; WEFT_TIMEOUT == Timeout; WEFT_CANCELLED == Cancelled;
    WEFT_INTERRUPTED == Interrupted; WEFT_CLOSED == Closed; WEFT_REJECTED == Rejected; WEFT_INVALID == Invalid;
    WEFT_BUSY == Busy; WEFT_UNSUPPORTED == Unsupported; WEFT_TOO_LARGE == TooLarge; WEFT_NOT_FOUND == NotFound;
    WEFT_DEADLOCK == Deadlock; WEFT_NOMEM == NoMemory; WEFT_OS == Os; WEFT_SHUTDOWN == Shutdown;
    WEFT_FORKED == Forked; WEFT_FAILED == Failed; WEFT_PANIC == Panic; WEFT_BROKEN == Broken; WEFT_DIED == Died;
    WEFT_PROTOCOL == Protocol;
}

/// The version of this header.
pub const WEFT_VERSION_MAJOR: u32 = 0;
/// The version of this header.
pub const WEFT_VERSION_MINOR: u32 = 1;
/// The version of this header.
pub const WEFT_VERSION_PATCH: u32 = 0;
/// The number in the shared library's name. Programs built against another number do not work with this library.
pub const WEFT_ABI_VERSION: u32 = 0;

/// weft_capabilities: waits sleep in the kernel.
pub const WEFT_CAP_FUTEX: u64 = 1;
/// weft_capabilities: fork() exists, and children of it are told from their parent.
pub const WEFT_CAP_FORK: u64 = 2;
/// weft_capabilities: the affinity mask is respected.
pub const WEFT_CAP_AFFINITY: u64 = 4;
/// weft_capabilities: this machine has more than one NUMA node.
pub const WEFT_CAP_NUMA: u64 = 8;
/// weft_capabilities: the kernel has the private expedited membarrier.
pub const WEFT_CAP_MEMBARRIER: u64 = 16;

/// The name of a status in English, such as "timeout"; "unknown" for a number that is none. Static. Any thread, never
/// blocks.
#[unsafe(no_mangle)]
pub extern "C" fn weft_status_name(status: weft_status) -> *const c_char {
    Status::from_number(status).map_or(c"unknown", Status::name).as_ptr()
}

/// The calling thread's last failure in words, at most 511 bytes; "" before the first. Valid on this thread until its
/// next failure. Never NULL, never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn weft_error_message() -> *const c_char {
    message::as_ptr()
}

/// Sets the calling thread's message and returns `status`, so that a callback can end with `return
/// weft_error_set(WEFT_FAILED, "no such file")`. The message is copied; NULL stands for the status' name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_error_set(status: weft_status, message: *const c_char) -> weft_status {
    let text = if message.is_null() { weft_status_name(status) } else { message };
    // SAFETY: a C string by contract, or a static name. Copied first: it may be this thread's own message.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    message::set(&text);
    status
}

unsafe fn error<'a>(error: *const weft_error) -> crate::error::Result<&'a Error> {
    // SAFETY: an error or a handle by contract, alive; checked to be an error.
    unsafe {
        check_header(error.cast(), ERROR_TAG, "error", "error")?;
        Ok(&*error.cast::<Error>())
    }
}

/// The status a future failed with: a WEFT_ constant, or the number its callback returned. NULL or another thing:
/// WEFT_INVALID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_error_status(error: *const weft_error) -> weft_status {
    // SAFETY: the caller's contract.
    boundary_value(WEFT_INVALID, || Ok(unsafe { self::error(error)? }.status))
}

/// What happened. Valid while the future lives. NULL or another thing: "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_error_text(error: *const weft_error) -> *const c_char {
    // SAFETY: the caller's contract.
    boundary_value(c"".as_ptr(), || Ok(unsafe { self::error(error)? }.text.as_ptr()))
}

/// Where it happened: "task resize, worker 3", "unnamed task, worker 0", "promise". Valid while the future lives. NULL
/// or another thing: "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_error_origin(error: *const weft_error) -> *const c_char {
    // SAFETY: the caller's contract.
    boundary_value(c"".as_ptr(), || Ok(unsafe { self::error(error)? }.origin.as_ptr()))
}

/// The error that this one passes on: of the future that the failed one was made of (weft_future_then, weft_future_all
/// and so on). NULL: none. Valid while the failed future lives. NULL or another thing: NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_error_cause(error: *const weft_error) -> *const weft_error {
    // SAFETY: the caller's contract.
    let cause = boundary_value(None, || Ok(unsafe { self::error(error)? }.cause.as_ref()));
    cause.map_or(std::ptr::null(), |cause| std::sync::Arc::as_ptr(cause).cast())
}

/// Where a Rust callback panicked, as text of several lines: if RUST_BACKTRACE or RUST_LIB_BACKTRACE was set in the
/// environment when the process made its first runtime. Else "". Valid while the future lives. NULL or another thing:
/// "".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_error_backtrace(error: *const weft_error) -> *const c_char {
    // SAFETY: the caller's contract.
    boundary_value(c"".as_ptr(), || Ok(unsafe { self::error(error)? }.backtrace.as_ptr()))
}

/// What the producer attached to weft_promise_reject, such as a serialised exception; NULL and *len 0 when there is
/// nothing. Valid while the future lives. `len` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_error_payload(error: *const weft_error, len: *mut usize) -> *const c_void {
    // SAFETY: the caller's contract.
    let payload = boundary_value(None, || Ok(unsafe { self::error(error)? }.payload.as_ref()));
    let bytes = payload.map_or(&[][..], |payload| payload.as_slice());
    if !len.is_null() {
        // SAFETY: writable by contract.
        unsafe { *len = bytes.len() };
    }
    if bytes.is_empty() { std::ptr::null() } else { bytes.as_ptr().cast() }
}

/// The version of the library: major << 24 | minor << 16 | patch << 8.
#[unsafe(no_mangle)]
pub extern "C" fn weft_version() -> u32 {
    WEFT_VERSION_MAJOR << 24 | WEFT_VERSION_MINOR << 16 | WEFT_VERSION_PATCH << 8
}

/// WEFT_ABI_VERSION of the library.
#[unsafe(no_mangle)]
pub extern "C" fn weft_abi_version() -> u32 {
    WEFT_ABI_VERSION
}

/// What this library can do on this system: WEFT_CAP_ bits.
#[unsafe(no_mangle)]
pub extern "C" fn weft_capabilities() -> u64 {
    boundary_value(0, || {
        let mut capabilities = WEFT_CAP_FUTEX | WEFT_CAP_FORK | WEFT_CAP_AFFINITY;
        if platform::has_membarrier() {
            capabilities |= WEFT_CAP_MEMBARRIER;
        }
        if platform::has_several_nodes() {
            capabilities |= WEFT_CAP_NUMA;
        }
        Ok(capabilities)
    })
}
