//! Cancel tokens.

use std::ffi::{CStr, c_char};

use super::args::{self, may_create, place};
use super::boundary::{boundary, boundary_value};
use super::handle::{Handle, Noun};
use super::types::{weft_cancel_token, weft_status, weft_worker};
use crate::error::Result;
use crate::scheduler::{Worker, frame};
use crate::sync::cancel::Token;

impl Noun for Token {
    type Opaque = weft_cancel_token;
    const TAG: u32 = u32::from_le_bytes(*b"Wcan");
    const NAME: &'static str = "cancel token";
}

/// The token behind a handle; NULL: none.
///
/// # Safety
/// `token` is NULL or a handle.
pub(super) unsafe fn optional<'a>(token: *const weft_cancel_token, name: &str) -> Result<Option<&'a Token>> {
    // SAFETY: promised by the caller.
    if token.is_null() { Ok(None) } else { unsafe { Handle::get(token, name) }.map(Some) }
}

/// A token: a request to stop that any number of tasks carry. Triggered, it triggers all tokens that have it as
/// `parent`, and theirs. NULL parent: none. A child of a triggered token is triggered. It lives as long as there is a
/// reference to it, a child of it, or something that carries it. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_cancel_token_new(
    parent: *mut weft_cancel_token,
    out: *mut *mut weft_cancel_token,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        may_create()?;
        // SAFETY: a handle by contract; writable by contract.
        unsafe { *out = Handle::create(Token::new([optional(parent, "parent")?, None])) };
        Ok(())
    })
}

/// Asks whatever carries the token to stop, for `reason` (copied; NULL: ""); the first reason stays, and a second
/// trigger does nothing. It is a request: what has begun goes on until it looks (weft_cancelled) or blocks. Blocking
/// calls in tasks that carry it return WEFT_CANCELLED, those that wait already as well as later ones that would have to
/// wait; but not weft_sync, weft_join and weft_run, which wait until what they wait for has ended. Loops begin no more
/// calls of their body. Tasks with an arg_drop that have not begun are dropped instead of run. Any thread, never
/// blocks; the time it takes goes with the number of tokens and waits it ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_cancel_token_trigger(
    token: *mut weft_cancel_token,
    reason: *const c_char,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let token = unsafe { Handle::<Token>::get(token, "token")? };
        // SAFETY: a C string by contract.
        token.trigger(if reason.is_null() { c"" } else { unsafe { CStr::from_ptr(reason) } });
        Ok(())
    })
}

/// Whether the token, or one above it, has been triggered; false on a bad handle. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_cancel_token_triggered(token: *const weft_cancel_token) -> bool {
    // SAFETY: a handle by contract.
    boundary_value(false, || Ok(unsafe { Handle::<Token>::get(token, "token")? }.is_triggered()))
}

/// Why it has been triggered; NULL if it has not, and on a bad handle. Belongs to the token. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_cancel_token_reason(token: *const weft_cancel_token) -> *const c_char {
    boundary_value(std::ptr::null(), || {
        // SAFETY: a handle by contract.
        let reason = unsafe { Handle::<Token>::get(token, "token")? }.source().reason();
        Ok(reason.map_or(std::ptr::null(), CStr::as_ptr))
    })
}

/// From here on the calling task, or the calling thread if it runs none, goes by this token instead of the one it had:
/// its waits, its loops, what it forks, and what it spawns. Ends with weft_cancel_token_leave, in the reverse order; a
/// task that ends without has it done for it, with a message in the log; a thread loses the reference it holds. To go
/// by both, make a token with the other as parent. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_cancel_token_enter(token: *mut weft_cancel_token) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        frame::enter(Some(unsafe { Handle::<Token>::get(token, "token")? }.clone()));
        Ok(())
    })
}

/// The task or thread goes by what it had before it entered this token. WEFT_INVALID: the token is not the one entered
/// last within this callback. WEFT_BUSY: a fork made since then has not been synced. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_cancel_token_leave(token: *mut weft_cancel_token) -> weft_status {
    // SAFETY: a handle by contract.
    boundary(|| frame::leave(Some(unsafe { Handle::<Token>::get(token, "token")? })))
}

/// From here to weft_cancel_shield_end nothing that was there before ends the waits of the calling task or thread,
/// neither a token nor a shutdown that discards, and weft_cancelled says false: cleanup may block. What it spawns
/// meanwhile carries no token. Nests, also with entered tokens, which count as usual. Never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn weft_cancel_shield_begin() -> weft_status {
    boundary(|| {
        frame::enter(None);
        Ok(())
    })
}

/// Ends the last shield. WEFT_INVALID: there is none, or a token has been entered since. WEFT_BUSY: as for
/// weft_cancel_token_leave.
#[unsafe(no_mangle)]
pub extern "C" fn weft_cancel_shield_end() -> weft_status {
    boundary(|| frame::leave(None))
}

/// Whether the running task has been asked to stop: its token has been triggered, or its runtime discards what it has.
/// Also for halves of joins that another thread runs, and in the bodies of loops. NULL: whatever this thread runs, or
/// the token it has entered. False on a worker that is not this thread's. One load or two: meant to be asked often.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_cancelled(worker: *const weft_worker) -> bool {
    boundary_value(false, || {
        let worker = if worker.is_null() { Worker::current() } else { Some(args::worker(worker)?) };
        Ok(worker.map_or_else(|| frame::token().is_some_and(|token| token.is_triggered()), Worker::is_cancelled))
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_cancel_token_retain(token: *mut weft_cancel_token) -> *mut weft_cancel_token {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Token>::retain(token) }
}

/// One reference less. The last one triggers nothing. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_cancel_token_release(token: *mut weft_cancel_token) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Token>::release(token) }
}
