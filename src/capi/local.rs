//! Values of worker threads.

use std::ffi::c_void;

use super::args::{self, invalid, place};
use super::boundary::{boundary, boundary_value};
use super::types::{weft_drop_fn, weft_status, weft_worker};
use crate::error::Result;
use crate::scheduler::{Key, Local, Worker};

/// Names a value that each worker thread has of its own. Never 0.
pub type weft_key = u64;

/// A value with its drop.
struct Value {
    value: *mut c_void,
    drop: weft_drop_fn,
    ctx: *mut c_void,
}

impl Local for Value {
    fn value(&self) -> *mut c_void {
        self.value
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if let Some(drop) = self.drop {
            // SAFETY: given for this call, which happens once, on the thread that set the value.
            unsafe { drop(self.ctx, self.value) };
        }
    }
}

fn key_of(key: weft_key) -> Result<Key> {
    Key::from_number(key).ok_or_else(|| invalid(format!("key: {key} did not come from weft_key_new")))
}

/// A key that nobody else has, for use on all workers of all runtimes. Keys are numbers: they need no release, are
/// never given again, and hold in a forked child. Never blocks. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_key_new(out: *mut weft_key) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        // SAFETY: writable by contract.
        unsafe { *out = Key::new().number() };
        Ok(())
    })
}

/// Sets the value of the calling task's worker thread under a key. The value before is dropped, on this thread;
/// drop(ctx, value) (NULL: nothing) is called when the value is replaced or when the thread ends, after its stop hook,
/// on the thread itself, the newest key's first. A thread that is a guest (weft_runtime_run, weft_runtime_lend) keeps
/// its values until that call ends. Value and drop NULL: the value before is dropped and none is left. worker NULL: the
/// calling task's. WEFT_INVALID: worker is not this thread's, or the calling thread is none, or the key is none.
/// WEFT_SHUTDOWN: the thread's values are being dropped. Never blocks, but for what the drop does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_worker_local_set(
    worker: *mut weft_worker,
    key: weft_key,
    value: *mut c_void,
    drop: weft_drop_fn,
    ctx: *mut c_void,
) -> weft_status {
    boundary(|| {
        let worker = match Worker::current() {
            Some(current) if worker.is_null() => current,
            _ => args::worker(worker)?,
        };
        let set = !value.is_null() || drop.is_some();
        worker.set_local(key_of(key)?, || set.then(|| Box::new(Value { value, drop, ctx }) as Box<dyn Local>))
    })
}

/// The value of the calling task's worker thread under a key: NULL if it has none, or outside any task. worker NULL:
/// the calling task's. NULL (WEFT_INVALID) if worker is not this thread's, or the key is none. The value is good until
/// it is replaced or the thread ends. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_worker_local_get(worker: *mut weft_worker, key: weft_key) -> *mut c_void {
    boundary_value(std::ptr::null_mut(), || {
        let worker = if worker.is_null() { Worker::current() } else { Some(args::worker(worker)?) };
        let key = key_of(key)?;
        Ok(worker.map_or(std::ptr::null_mut(), |worker| worker.local(key)))
    })
}
