//! Futures made of others.

use super::args::{self, invalid, may_create, place};
use super::boundary::boundary;
use super::future::{Value, get_future, new_handle};
use super::types::{weft_future, weft_status};
use crate::error::{Failure, Result, Status};
use crate::future::{self, Future, Rule, State, Winner, combine};

/// # Safety
/// `futures` leads to `n` futures.
unsafe fn combined(rule: Rule, futures: *const *mut weft_future, n: usize, out: *mut *mut weft_future) -> Result<()> {
    let out = place(out, "out")?;
    may_create()?;
    if n == 0 && rule != Rule::All {
        return Err(invalid("n: none of no futures is ever settled".into()));
    }
    // SAFETY: promised by the caller.
    let futures = if n == 0 { &[] } else { unsafe { args::array(futures, n, "futures")? } };
    let sources: Result<Box<[Future<Value>]>> = futures
        .iter()
        .enumerate()
        // SAFETY: promised by the caller, who has a reference to each.
        .map(|(index, &future)| unsafe { Ok(get_future(future, &format!("futures[{index}]"))?.future(true)) })
        .collect();
    // SAFETY: writable by contract.
    unsafe { *out = new_handle(combine(rule, sources?)) };
    Ok(())
}

/// A future that is ready when all of these are: its value is NULL, theirs are read from them. It fails with the first
/// failure, at once. n may be 0: it is ready. It keeps them; the array is not needed any more, and the same future may
/// be in it twice. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_all(
    futures: *const *mut weft_future,
    n: usize,
    out: *mut *mut weft_future,
) -> weft_status {
    // SAFETY: the caller's contract.
    boundary(|| unsafe { combined(Rule::All, futures, n, out) })
}

/// A future with the first success among these; it fails with the last failure when all have failed. The value is the
/// winner's, which it keeps, as it does all of them. n = 0: WEFT_INVALID. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_any(
    futures: *const *mut weft_future,
    n: usize,
    out: *mut *mut weft_future,
) -> weft_status {
    // SAFETY: the caller's contract.
    boundary(|| unsafe { combined(Rule::Any, futures, n, out) })
}

/// A future that is settled as the first of these is, be it ready or failed. The value is the winner's, which it keeps,
/// as it does all of them. The others go on. n = 0: WEFT_INVALID. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_race(
    futures: *const *mut weft_future,
    n: usize,
    out: *mut *mut weft_future,
) -> weft_status {
    // SAFETY: the caller's contract.
    boundary(|| unsafe { combined(Rule::Race, futures, n, out) })
}

/// A future that is settled as this one is, but fails with WEFT_TIMEOUT if that takes longer than timeout_ns. A future
/// that is settled when the time is over counts, late or not. It goes on when the time is over; weft_future_cancel asks
/// it to stop. The value is its own, which the new one keeps. WEFT_FOREVER: no limit; 0 or less: none left. When the
/// time is over, callbacks and drops that this leads to run as a task of the calling task's runtime, or else of the
/// default one; if that has ended, on the timers' thread. WEFT_OS: the timers' thread (see weft_timer_after) cannot be
/// had. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_timeout(
    future: *mut weft_future,
    timeout_ns: i64,
    out: *mut *mut weft_future,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        // SAFETY: a handle by contract, so the caller has a reference.
        let source = unsafe { get_future(future, "future")?.future(true) };
        // SAFETY: no runtime is named.
        let core = unsafe { args::runtime(std::ptr::null())? };
        // SAFETY: writable by contract.
        unsafe { *out = new_handle(future::timeout(source, timeout_ns, core)?) };
        Ok(())
    })
}

/// A future that is ready after ns nanoseconds, with the value NULL; 0 or less: at once; WEFT_FOREVER: never.
/// Cancelled, it fails with WEFT_CANCELLED at once. Otherwise as weft_future_timeout.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_delay(ns: i64, out: *mut *mut weft_future) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        may_create()?;
        // SAFETY: no runtime is named.
        let core = unsafe { args::runtime(std::ptr::null())? };
        // SAFETY: writable by contract.
        unsafe { *out = new_handle(future::delay(ns, core)?) };
        Ok(())
    })
}

/// The index of the future that settled one made by weft_future_any or _race, and of the failure that failed one made
/// by _all; 0 if a future settled the one that weft_future_timeout made of it. WEFT_WOULD_BLOCK: it is pending.
/// WEFT_NOT_FOUND: no single one settled it (all are ready; it was cancelled). WEFT_INVALID: it is not made of several.
/// Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_future_winner(future: *mut weft_future, index: *mut usize) -> weft_status {
    boundary(|| {
        let place = place(index, "index")?;
        // SAFETY: a handle by contract.
        let future = unsafe { get_future(future, "future")? };
        let Some(origin) = future.origin().filter(|origin| origin.winner().is_some()) else {
            return Err(invalid("future: it is not made of several".into()));
        };
        if future.state() == State::Pending {
            return Err(Failure::new(Status::WouldBlock, "the future is pending"));
        }
        match origin.winner() {
            Some(Winner::Index(index)) => {
                // SAFETY: writable by contract.
                unsafe { *place = index };
                Ok(())
            }
            _ => Err(Failure::new(Status::NotFound, "no single future settled it")),
        }
    })
}
