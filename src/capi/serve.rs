//! What worker processes run.

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_void};
use std::ptr;

use super::args::{self, callback, may_create};
use super::boundary::{boundary, boundary_value, call_back};
use super::handle::Handle;
use super::message;
use super::status::weft_error_set;
use super::types::{weft_bytes, weft_status};
use crate::error::{Failure, Result, Status};
use crate::ipc::Link;
use crate::memory::Bytes;
use crate::panics;
use crate::process::wire::Failed;
use crate::process::{host, serve};

/// Answers a call, in a worker process: WEFT_OK and *reply, whose reference the library takes over (NULL, as it is
/// before: no bytes); or a failure. To fail with a message: return weft_error_set(...); with more: return
/// weft_handler_fail(...). `data` is aligned to 8 bytes, and good until the return.
pub type weft_handler_fn = Option<
    unsafe extern "C-unwind" fn(
        data: *const c_void,
        len: usize,
        reply: *mut *mut weft_bytes,
        arg: *mut c_void,
    ) -> weft_status,
>;

pub(super) type Handler =
    unsafe extern "C-unwind" fn(*const c_void, usize, *mut *mut weft_bytes, *mut c_void) -> weft_status;

/// What a failure carries besides its message.
struct More {
    /// Of the message that belongs to it.
    stamp: u32,
    backtrace: String,
    payload: Option<Bytes>,
}

type Place = RefCell<Option<More>>;

thread_local! {
    /// Where the handler that runs may leave it; null: none runs.
    static MORE: Cell<*const Place> = const { Cell::new(ptr::null()) };
    static SERVES: Cell<bool> = const { Cell::new(false) };
}

/// Calls `body`, which calls a function that may attach something to its failure; what it attached to the one that it ended with.
pub(super) fn collecting<R>(body: impl FnOnce() -> R) -> (R, Option<(String, Option<Bytes>)>) {
    struct Restore(*const Place);
    impl Drop for Restore {
        fn drop(&mut self) {
            MORE.set(self.0);
        }
    }
    let place = Place::default();
    let result = {
        let _restore = Restore(MORE.replace(&place));
        body()
    };
    let more = place.take().filter(|more| more.stamp == message::stamp());
    (result, more.map(|more| (more.backtrace, more.payload)))
}

/// Calls a handler.
pub(super) unsafe fn handle(handler: Handler, arg: *mut c_void, data: &[u8]) -> Result<Bytes, Failed> {
    let place = Place::default();
    let before = MORE.replace(&place);
    let mut reply = ptr::null_mut();
    let called = panics::catch(&"a handler of a process pool", || {
        // SAFETY: given for calls with these arguments.
        call_back(|| unsafe { handler(data.as_ptr().cast(), data.len(), &mut reply, arg) })
    });
    MORE.set(before);
    let taken = match reply.is_null() {
        true => Ok(Bytes::from_vec(Vec::new())),
        // SAFETY: a handle by contract, whose reference is given up.
        false => unsafe {
            let bytes = Handle::<Bytes>::get(reply, "*reply").cloned();
            if bytes.is_ok() {
                Handle::<Bytes>::release(reply);
            }
            bytes
        },
    };
    let failure = match called {
        Ok(Ok(())) => match taken {
            Ok(bytes) => return Ok(bytes),
            Err(failure) => failure,
        },
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let backtrace = panics::backtrace::take(&panic).unwrap_or_default();
            return Err(Failed { status: Status::Panic as i32, message: panic, backtrace, payload: None });
        }
    };
    let more = place.take().filter(|more| more.stamp == message::stamp());
    let (backtrace, payload) = more.map_or((String::new(), None), |more| (more.backtrace, more.payload));
    Err(Failed { status: failure.status, message: failure.message.into_owned(), backtrace, payload })
}

/// A worker's main loop: has `handler` answer the calls of the pool at the other end of `fd`, one after the other, on
/// the calling thread. `fd` is the descriptor that a weft_process_fork_fn gets; -1: what the pool has put into the
/// environment of a program that it has started (WEFT_LINK_FD). Returns WEFT_OK when the pool has told the worker to
/// leave, or has ended; WEFT_DIED: the pool's process has died. Then the process is to end. A worker is killed
/// when the pool's process dies, wherever it is; one that the host has forked, when the thread ends that has forked it. What this library logs in the worker goes to the log of the pool's process, if that has one.
/// WEFT_INVALID: fd is not such a descriptor, or no pool has started this process. WEFT_BUSY: called from a handler.
/// Blocks for as long as it serves.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_serve(fd: i32, handler: weft_handler_fn, arg: *mut c_void) -> weft_status {
    boundary(|| {
        let handler = callback(handler, "handler")?;
        may_create()?;
        if SERVES.replace(true) {
            return Err(Failure::new(Status::Busy, "this thread serves already"));
        }
        let served = (|| {
            let fd = if fd == -1 { serve::from_environment()? } else { fd };
            if !host::begin_in_child(fd) {
                return Err(Failure::new(Status::Died, "the process of the pool has died"));
            }
            // SAFETY: the descriptor is the caller's to give, by contract.
            let link = unsafe { Link::adopt(fd)? };
            // SAFETY: the handler is given for these calls.
            serve::serve(link, &mut |data| unsafe { handle(handler, arg, data) })
        })();
        SERVES.set(false);
        served
    })
}

/// In a handler: whether its caller wants no answer any more (weft_future_cancel, a token), or the pool has gone. Then
/// it may return early, with WEFT_CANCELLED or what it has: its answer still counts. Looks each time, at the cost of a
/// system call or two. Outside handlers, and on other threads, false. Never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn weft_serve_cancelled() -> bool {
    boundary_value(false, || Ok(serve::with_current(|service| service.is_stopped()).unwrap_or(false)))
}

/// In a handler: the how manieth attempt at this call it is, from 1. More than 1 only for calls that may be begun again
/// (weft_process_call_options.attempts): a worker had the call before, and has died. 0 outside handlers and on other
/// threads. Never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn weft_serve_attempt() -> u32 {
    boundary_value(0, || Ok(serve::with_current(|service| service.attempt()).unwrap_or(0)))
}

/// As weft_error_set, for handlers that have more to say: `backtrace` (NULL: none) and `payload` (NULL: none; a reference
/// is taken) come back with the error of the call's future. Returns `status`, for the handler to return; WEFT_INVALID if
/// payload is none. Outside handlers the rest is forgotten.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_handler_fail(
    status: weft_status,
    message: *const c_char,
    backtrace: *const c_char,
    payload: *mut weft_bytes,
) -> weft_status {
    let more = boundary_value(None, || {
        // SAFETY: C strings and a handle by contract.
        unsafe {
            let payload = match payload.is_null() {
                true => None,
                false => Some(Handle::<Bytes>::get(payload, "payload")?.clone()),
            };
            let backtrace = args::name(backtrace).map(|text| text.to_string_lossy().into_owned());
            Ok(Some((backtrace.unwrap_or_default(), payload)))
        }
    });
    let Some((backtrace, payload)) = more else { return Status::Invalid as weft_status };
    // SAFETY: a C string or NULL by contract.
    let status = unsafe { weft_error_set(status, message) };
    // SAFETY: set for the time of a handler's call, by `handle`, in whose frame it is.
    if let Some(place) = unsafe { MORE.get().as_ref() } {
        place.replace(Some(More { stamp: message::stamp(), backtrace, payload }));
    }
    status
}
