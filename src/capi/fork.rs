//! What `include/weft/join.h` declares: the slow paths of its inline functions, and the same functions to be called.
//!
//! That header is written by hand. It repeats what it needs of a region's layout; the items below repeat it once more,
//! so that the tests compare the header with them, and they are checked against the region itself here.

use std::ffi::c_void;
use std::mem::offset_of;

use super::types::{weft_task_fn, weft_worker};
use crate::parallel;
use crate::scheduler::Worker;
use crate::scheduler::region::{self, Half, Slot};

/// Bytes of a region, and its alignment.
pub const WEFT_REGION_SIZE: i32 = 65536;
/// Where halves begin that no other thread can have.
pub const WEFT_REGION_LIMIT: i32 = 0;
/// The next free position.
pub const WEFT_REGION_HEAD: i32 = 128;

/// What is at a position.
#[repr(C)]
pub struct weft_half {
    /// The function.
    pub function: weft_task_fn,
    /// Its argument.
    pub arg: *mut c_void,
    /// The library's.
    pub reserved: [*mut c_void; 2],
}

// A change of any of these is a change of the slow paths' names.
const _: () = {
    assert!(region::SIZE == WEFT_REGION_SIZE as usize && region::ASKED == usize::MAX);
    assert!(region::LIMIT_AT == WEFT_REGION_LIMIT as usize && region::HEAD_AT == WEFT_REGION_HEAD as usize);
    assert!(size_of::<Slot>() == size_of::<weft_half>());
    assert!(region::HALF_AT == offset_of!(weft_half, function) && region::ARG_AT == offset_of!(weft_half, arg));
};

/// A C callback as the region calls it: the same function, for a position is what C calls a worker.
pub(super) fn as_half(function: unsafe extern "C-unwind" fn(*mut weft_worker, *mut c_void)) -> Half {
    // SAFETY: the two types differ in what a pointer that is only passed on leads to.
    unsafe { std::mem::transmute(function) }
}

/// weft_fork as a function. With a worker that is not this thread's it does nothing, and weft_sync tells to run the
/// half.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_fork(worker: *mut weft_worker, r#fn: weft_task_fn, arg: *mut c_void) {
    if let (Some(current), Some(function)) = (Worker::at(worker.cast()), r#fn) {
        // SAFETY: as whoever forks promises.
        unsafe { current.fork(as_half(function), arg) };
    }
}

/// weft_next as a function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_next(worker: *mut weft_worker) -> *mut weft_worker {
    match Worker::at(worker.cast()) {
        Some(current) => current.region().next(worker.cast()).cast(),
        None => worker,
    }
}

/// weft_sync as a function.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn weft_sync(worker: *mut weft_worker) -> bool {
    match Worker::at(worker.cast()) {
        Some(current) => parallel::sync(current, worker.cast()),
        None => true,
    }
}

/// The rest of an inline weft_fork when another thread has asked for work. Its name changes with the layout that join.h
/// knows.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_fork_asked_v1(worker: *mut weft_worker) {
    if let Some(current) = Worker::at(worker.cast()) {
        current.answer();
    }
}

/// The rest of an inline weft_sync when another thread has asked for work, or may have taken the half.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn weft_sync_shared_v1(worker: *mut weft_worker) -> bool {
    // SAFETY: the position of the half to end, by contract.
    unsafe { weft_sync(worker) }
}
