//! Futures and promises.

use std::ffi::{CStr, c_char, c_void};
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;

use super::args::{self, check_header, invalid, may_create, place};
use super::boundary::{boundary, boundary_value};
use super::handle::Handle;
use super::types::{weft_bytes, weft_drop_fn, weft_error, weft_future, weft_promise, weft_status};
use crate::error::{Error, Failure, Result, Status};
use crate::future::{self, FUTURE_TAG, Future, Lend, PROMISE_TAG, State};
use crate::memory::Bytes;
use crate::panics;
use crate::sync::Deadline;

/// weft_future_state: not settled.
pub const WEFT_FUTURE_PENDING: i32 = 0;
/// weft_future_state: settled with a value.
pub const WEFT_FUTURE_READY: i32 = 1;
/// weft_future_state: settled with a failure.
pub const WEFT_FUTURE_FAILED: i32 = 2;
/// weft_future_state: settled with the failure WEFT_CANCELLED.
pub const WEFT_FUTURE_CANCELLED: i32 = 3;

const _: () = assert!(
    WEFT_FUTURE_PENDING == State::Pending as i32
        && WEFT_FUTURE_READY == State::Ready as i32
        && WEFT_FUTURE_FAILED == State::Failed as i32
        && WEFT_FUTURE_CANCELLED == State::Cancelled as i32
);

/// A pointer that a future owns, with its drop.
pub struct Value {
    value: *mut c_void,
    drop: weft_drop_fn,
    ctx: *mut c_void,
}

// SAFETY: whoever settles a promise promises that the value may be read and dropped on any thread.
unsafe impl Send for Value {}
// SAFETY: as above.
unsafe impl Sync for Value {}

impl Value {
    /// A value to be dropped by `drop(ctx, value)` unless taken.
    pub(super) fn new(value: *mut c_void, drop: weft_drop_fn, ctx: *mut c_void) -> Self {
        Value { value, drop, ctx }
    }

    /// The pointer, which stays the future's.
    pub(super) fn pointer(&self) -> *mut c_void {
        self.value
    }

    fn into_raw(self) -> *mut c_void {
        ManuallyDrop::new(self).value
    }
}

impl Lend for Value {
    fn lend(&self) -> Self {
        Value::new(self.value, None, self.ctx)
    }

    fn nothing() -> Self {
        Value::new(std::ptr::null_mut(), None, std::ptr::null_mut())
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: given for this call, which happens once, when nobody can get at the value any more.
            panics::contain("the drop callback of a future's value", || unsafe { drop(self.ctx, self.value) });
        }
    }
}

/// What a weft_future and a weft_promise are parts of.
pub(super) type Cell = future::Cell<Value>;

/// A handle with one reference.
pub(super) fn new_handle(future: Future<Value>) -> *mut weft_future {
    future.into_raw().as_ptr().cast()
}

pub(super) unsafe fn get_future<'a>(future: *const weft_future, name: &str) -> Result<&'a Cell> {
    // SAFETY: the caller's contract; checked to be a future.
    unsafe {
        check_header(future.cast(), FUTURE_TAG, name, "future")?;
        Ok(Cell::of_future(NonNull::new_unchecked(future.cast_mut().cast())))
    }
}

unsafe fn get_promise<'a>(promise: *const weft_promise) -> Result<&'a Cell> {
    // SAFETY: the caller's contract; checked to be a promise.
    unsafe {
        check_header(promise.cast(), PROMISE_TAG, "promise", "promise")?;
        Ok(Cell::of_promise(NonNull::new_unchecked(promise.cast_mut().cast())))
    }
}

/// A promise, and the future it settles. One reference to each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_promise_new(
    promise: *mut *mut weft_promise,
    future: *mut *mut weft_future,
) -> weft_status {
    boundary(|| {
        let promise = place(promise, "promise")?;
        let future = place(future, "future")?;
        may_create()?;
        let (new_promise, new_future) = future::channel();
        // SAFETY: writable by contract.
        unsafe {
            *promise = new_promise.into_raw().as_ptr().cast();
            *future = new_handle(new_future);
        }
        Ok(())
    })
}

/// Settles the future with a value, which belongs to the future from then on: drop(ctx, value) is called at the
/// future's end, on whatever thread that is, unless the value is taken. `drop` may be NULL. WEFT_BUSY: settled already;
/// the value is still the caller's. Any thread. Never blocks; but a task that waits for this (weft_spawn_options.after)
/// in a SINGLE or HOSTED runtime whose last handle has gone runs here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_promise_resolve(
    promise: *mut weft_promise,
    value: *mut c_void,
    drop: weft_drop_fn,
    ctx: *mut c_void,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let promise = unsafe { get_promise(promise)? };
        match promise.settle(Ok(Value::new(value, drop, ctx))) {
            Ok(()) => Ok(()),
            Err(value) => {
                value.map(Value::into_raw).ok();
                Err(ALREADY_SETTLED)
            }
        }
    })
}

/// Fails the future with a status (one of the WEFT_ constants or a number of your own, but not WEFT_OK), a message
/// (copied; NULL: the status' name) and a payload (may be NULL; the future takes a reference of its own). WEFT_BUSY:
/// settled already. Any thread, never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_promise_reject(
    promise: *mut weft_promise,
    status: weft_status,
    message: *const c_char,
    payload: *mut weft_bytes,
) -> weft_status {
    boundary(|| {
        // SAFETY: handles and a string by contract.
        let (promise, message, payload) = unsafe {
            let payload = match payload.is_null() {
                true => None,
                false => Some(Handle::<Bytes>::get(payload, "payload")?.clone()),
            };
            (get_promise(promise)?, super::args::name(message), payload)
        };
        let mut error = failure(status, message.as_deref())?;
        error.payload = payload;
        promise.settle(Err(error)).map_err(|_| ALREADY_SETTLED)
    })
}

/// An error of the caller's.
fn failure(status: weft_status, message: Option<&CStr>) -> Result<Error> {
    if status == Status::Ok as i32 {
        return Err(invalid("status: WEFT_OK is no failure".into()));
    }
    let text = match (message, Status::from_number(status)) {
        (Some(message), _) => message.to_string_lossy(),
        (None, Some(status)) => status.name().to_string_lossy(),
        (None, None) => format!("failure {status}").into(),
    };
    Ok(Error::new(status, &text, "promise"))
}

/// A future that is ready with this value, as by weft_promise_resolve.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_ready(
    value: *mut c_void,
    drop: weft_drop_fn,
    ctx: *mut c_void,
    out: *mut *mut weft_future,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        may_create()?;
        // SAFETY: writable by contract.
        unsafe { *out = new_handle(future::settled(Ok(Value::new(value, drop, ctx)))) };
        Ok(())
    })
}

/// A future that has failed, as by weft_promise_reject.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_failed(
    status: weft_status,
    message: *const c_char,
    out: *mut *mut weft_future,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        may_create()?;
        // SAFETY: a C string by contract; writable by contract.
        unsafe { *out = new_handle(future::settled(Err(failure(status, args::name(message).as_deref())?))) };
        Ok(())
    })
}

/// Whether somebody has asked by weft_future_cancel for what the promise stands for to stop. It is a request: a
/// producer that heeds it rejects the promise, with WEFT_CANCELLED. False on a bad handle. One load; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_promise_cancelled(promise: *const weft_promise) -> bool {
    // SAFETY: a handle by contract.
    boundary_value(false, || Ok(unsafe { get_promise(promise)? }.is_cancelled()))
}

/// Asks whoever is to settle the future to stop; once, and a settled future nothing. It waits for nothing: a future is
/// settled when it is. Of a promise: weft_promise_cancelled says true. Of a task (weft_async, weft_spawn_poll,
/// weft_future_then): its token is triggered, so its body sees weft_cancelled and its waits end; it settles when the
/// body has returned, with what that returns. One that has not begun and has an arg_drop (or is a then) is dropped
/// here, and fails with WEFT_CANCELLED. A future made of others (all, any, race, timeout, a then that waits) fails with
/// WEFT_CANCELLED at once; the request goes on to those of the others that nothing else holds a reference to. Any
/// thread, never blocks; may call drops and what waits for the futures.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_cancel(future: *mut weft_future) {
    boundary_value((), || {
        // SAFETY: a handle by contract.
        unsafe { get_future(future, "future")? }.cancel();
        Ok(())
    });
}

const ALREADY_SETTLED: Failure = Failure::new(Status::Busy, "the promise has been settled already");

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_promise_retain(promise: *mut weft_promise) -> *mut weft_promise {
    boundary_value(std::ptr::null_mut(), || {
        if !promise.is_null() {
            // SAFETY: a handle by contract.
            std::mem::forget(unsafe { get_promise(promise)?.promise(true) });
        }
        Ok(promise)
    })
}

/// One reference less. The last one fails an unsettled future with WEFT_BROKEN. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_promise_release(promise: *mut weft_promise) {
    boundary_value((), || {
        if !promise.is_null() {
            // SAFETY: a handle by contract, whose reference is given up.
            drop(unsafe { get_promise(promise)?.promise(false) });
        }
        Ok(())
    });
}

/// Waits until the future is settled, whatever the outcome. Blocks; inside a task the thread's turn passes to another.
/// WEFT_TIMEOUT, WEFT_WOULD_BLOCK, WEFT_INTERRUPTED, WEFT_CANCELLED (the caller, see Cancellation) and WEFT_SHUTDOWN
/// (the caller's runtime discards what it has): it is still pending. In a task, a wait for a weft_async of the same
/// runtime that has not begun runs it on this thread, if timeout_ns is WEFT_FOREVER; a thread of whose stack a quarter
/// is used leaves it to another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_wait(future: *mut weft_future, timeout_ns: i64) -> weft_status {
    // SAFETY: a handle by contract.
    boundary(|| unsafe { get_future(future, "future")? }.wait(Deadline::after(timeout_ns)))
}

/// Waits for the value, which stays the future's: *value is good until the last release or weft_future_take. If the
/// future failed, its status and message. WEFT_BUSY: the value has been taken. Waits as weft_future_wait does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_get(
    future: *mut weft_future,
    timeout_ns: i64,
    value: *mut *mut c_void,
) -> weft_status {
    boundary(|| {
        let place = place(value, "value")?;
        // SAFETY: a handle by contract.
        let got = unsafe { get_future(future, "future")? }.get(Deadline::after(timeout_ns))?;
        // SAFETY: writable by contract.
        unsafe { *place = got.value };
        Ok(())
    })
}

/// Waits for the value and moves it out: it is the caller's, and its drop will not run. WEFT_BUSY unless this is the
/// only reference to the future (futures made of it have one, and callbacks that have not ended), when the value has
/// been taken already, and for futures whose value is another's (weft_future_any, _race, _timeout). If the future
/// failed, its status and message. Waits as weft_future_wait does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_take(
    future: *mut weft_future,
    timeout_ns: i64,
    value: *mut *mut c_void,
) -> weft_status {
    boundary(|| {
        let place = place(value, "value")?;
        // SAFETY: a handle by contract; the only reference to it, so nobody else uses the value.
        unsafe { *place = get_future(future, "future")?.take(Deadline::after(timeout_ns))?.into_raw() };
        Ok(())
    })
}

/// WEFT_FUTURE_PENDING, _READY (also when the value has been taken), _FAILED or _CANCELLED; -1 on a bad handle. Never
/// blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_state(future: *const weft_future) -> i32 {
    // SAFETY: a handle by contract.
    boundary_value(-1, || Ok(unsafe { get_future(future, "future")? }.state() as i32))
}

/// Why it failed; NULL unless it did, and on a bad handle. Belongs to the future. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_error(future: *const weft_future) -> *const weft_error {
    boundary_value(std::ptr::null(), || {
        // SAFETY: a handle by contract.
        let error = unsafe { get_future(future, "future")? }.error();
        Ok(error.map_or(std::ptr::null(), |error| Arc::as_ptr(error).cast()))
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_retain(future: *mut weft_future) -> *mut weft_future {
    boundary_value(std::ptr::null_mut(), || {
        if !future.is_null() {
            // SAFETY: a handle by contract.
            std::mem::forget(unsafe { get_future(future, "future")?.future(true) });
        }
        Ok(future)
    })
}

/// One reference less. The last one drops the value, unless whoever settles it is about to leave; then that does. A
/// task that has not ended runs on. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_release(future: *mut weft_future) {
    boundary_value((), || {
        if !future.is_null() {
            // SAFETY: a handle by contract, whose reference is given up.
            drop(unsafe { get_future(future, "future")?.future(false) });
        }
        Ok(())
    });
}
