//! Locks.

use std::ffi::c_char;

use super::args::{self, may_create, place};
use super::boundary::boundary;
use super::handle::{Handle, Noun};
use super::types::{weft_mutex, weft_status};
use crate::scheduler::{frame, watch_waits};
use crate::sync::Deadline;
use crate::sync::mutex::Mutex;

impl Noun for Mutex {
    type Opaque = weft_mutex;
    const TAG: u32 = u32::from_le_bytes(*b"Wmtx");
    const NAME: &'static str = "mutex";
}

/// A mutex: held by one task at a time, and the thread's turn passes to another while a task waits for it. `name` is
/// for messages and reports of deadlocks; copied, NULL: none. One reference. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_mutex_new(name: *const c_char, out: *mut *mut weft_mutex) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        may_create()?;
        watch_waits();
        // SAFETY: a C string by contract; writable by contract.
        unsafe { *out = Handle::create(Mutex::new(&args::name(name).unwrap_or_default())) };
        Ok(())
    })
}

/// Locks the mutex, or waits for it. It is held by the task that calls (a half of a join or a part of a loop that
/// another thread took is a task of its own, as each call of a poll function is; outside tasks: by the thread), which
/// unlocks it before it ends: a task, or a thread, that ends while it holds one has it unlocked, with an error in the
/// log. Blocks; inside a task the thread's turn passes to another. Who waits gets it before those who come later, but
/// who comes while a waiter wakes up may be first, once. Not recursive. WEFT_DEADLOCK, whatever the timeout: this task
/// holds it, or one that cannot go on before this one has ended, further out on the same stack. WEFT_WOULD_BLOCK
/// (timeout 0), WEFT_TIMEOUT, WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_SHUTDOWN: it is not held. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_mutex_lock(mutex: *mut weft_mutex, timeout_ns: i64) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let mutex = unsafe { Handle::<Mutex>::get(mutex, "mutex")? };
        mutex.lock(frame::holder(), || Deadline::after(timeout_ns))
    })
}

/// Unlocks the mutex. WEFT_BUSY: the calling task does not hold it, nobody may hold it. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_mutex_unlock(mutex: *mut weft_mutex) -> weft_status {
    // SAFETY: a handle by contract.
    boundary(|| unsafe { Handle::<Mutex>::get(mutex, "mutex")? }.unlock(frame::holder()))
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_mutex_retain(mutex: *mut weft_mutex) -> *mut weft_mutex {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Mutex>::retain(mutex) }
}

/// One reference less. Who locks, waits or unlocks has one until that call returns. The last one of a mutex that is
/// held frees it when its holder ends. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_mutex_release(mutex: *mut weft_mutex) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Mutex>::release(mutex) }
}
