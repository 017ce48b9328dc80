//! Joins.
//!
//! Together with [`fork`](super::fork) the only functions of the C ABI without a panic boundary: what unwinds out of a
//! half goes on in the task that joins, as if that had called the half, after the other half has ended. The task's own
//! boundary is where it stops.

use std::ffi::c_void;

use super::args::{callback, worker as this_worker};
use super::boundary::boundary;
use super::fork::as_half;
use super::types::{weft_status, weft_task_fn, weft_worker};
use crate::error::Status;
use crate::parallel;
use crate::scheduler::Worker;

/// Runs a(worker, a_arg) on this thread and b(worker, b_arg) perhaps in parallel on another, and returns when both have
/// ended. `worker` is the one passed to the calling task or half, or NULL for that. While it waits for a half that
/// another thread took, this thread runs nothing but what descends from that half. WEFT_INVALID outside any task
/// (weft_run leads in), for another thread's worker, and for a NULL function; nothing has run then. Halves must not
/// unwind; but a Rust panic goes on in the caller when the other half has ended, or has been dropped because it had not
/// begun, and so does a C++ exception unless its half ran on another thread: there it ends the process. weft.hpp
/// carries exceptions.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn weft_join(
    worker: *mut weft_worker,
    a: weft_task_fn,
    a_arg: *mut c_void,
    b: weft_task_fn,
    b_arg: *mut c_void,
) -> weft_status {
    let current = Worker::at(worker.cast()).filter(|current| !current.is_inherited());
    let (Some(current), Some(a), Some(b)) = (current, a, b) else {
        // SAFETY: the same contract.
        return unsafe { join_elsewhere(worker, a, a_arg, b, b_arg) };
    };
    // SAFETY: as whoever joins promises.
    unsafe { parallel::join_callbacks(current, as_half(a), a_arg, as_half(b), b_arg) };
    Status::Ok as weft_status
}

/// weft_join for arguments that are not as usual.
#[cold]
unsafe fn join_elsewhere(
    worker: *mut weft_worker,
    a: weft_task_fn,
    a_arg: *mut c_void,
    b: weft_task_fn,
    b_arg: *mut c_void,
) -> weft_status {
    let position = match worker.is_null() {
        true => super::runtime::weft_worker_current(),
        false => worker,
    };
    let checked = boundary(|| {
        callback(a, "a")?;
        callback(b, "b")?;
        this_worker(position).map(drop)
    });
    match checked {
        // SAFETY: all is as usual now.
        0 => unsafe { weft_join(position, a, a_arg, b, b_arg) },
        status => status,
    }
}
