//! Bytes with a reference count.

use std::ffi::c_void;

use super::args::{invalid, may_create, place, pointer};
use super::boundary::{boundary, boundary_value};
use super::handle::{Handle, Noun};
use super::types::{weft_bytes, weft_drop_fn, weft_status};
use crate::error::{Failure, Result, Status};
use crate::memory::{BYTES_TAG, Bytes, COUNTED};

impl Noun for Bytes {
    type Opaque = weft_bytes;
    const TAG: u32 = BYTES_TAG;
    const NAME: &'static str = "bytes";

    unsafe fn free(handle: *mut Handle<Self>) {
        // SAFETY: promised by the caller. A handle whose value leads to itself was made as bytes, all others as handles.
        unsafe {
            if (*handle).value().is_itself(handle) {
                Bytes::free(handle.cast());
            } else {
                drop(Box::from_raw(handle));
            }
        }
    }
}

/// A handle of bytes that nobody else has, without an allocation of its own.
pub fn own(bytes: Bytes) -> *mut weft_bytes {
    // What counts its references has everything that a handle has, in the same places.
    const { assert!(COUNTED[0] == Handle::<Bytes>::PLACES[0] && COUNTED[1] == Handle::<Bytes>::PLACES[1]) };
    bytes.into_counted().cast()
}

fn check(data: *const c_void, len: usize) -> Result<()> {
    if len == 0 {
        return Ok(());
    }
    pointer(data, "data")?;
    if len > isize::MAX as usize {
        return Err(invalid(format!("len: {len} is more than any memory")));
    }
    Ok(())
}

/// Bytes that are a copy of `data`. `data` may be NULL when `len` is 0. Never blocks. WEFT_NOMEM: no memory.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_bytes_new(data: *const c_void, len: usize, out: *mut *mut weft_bytes) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        check(data, len)?;
        may_create()?;
        // SAFETY: readable by contract, unless it is empty.
        let slice = if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(data.cast(), len) } };
        let bytes = Bytes::copy(slice).ok_or(Failure::new(Status::NoMemory, "no memory for a copy of the bytes"))?;
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(bytes) };
        Ok(())
    })
}

/// Bytes that stay where they are. They must not change until the last release, which calls drop(ctx, data), on
/// whatever thread it happens. `drop` may be NULL. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_bytes_adopt(
    data: *mut c_void,
    len: usize,
    drop: weft_drop_fn,
    ctx: *mut c_void,
    out: *mut *mut weft_bytes,
) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        check(data, len)?;
        may_create()?;
        // SAFETY: readable and constant by contract; `out` is writable by contract.
        unsafe { *out = Handle::create(Bytes::adopt(data.cast(), len, drop, ctx)) };
        Ok(())
    })
}

/// Where the bytes are; valid until the last release. NULL on a bad handle, and possibly for no bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_bytes_data(bytes: *const weft_bytes) -> *const c_void {
    // SAFETY: a handle by contract.
    boundary_value(std::ptr::null(), || Ok(unsafe { Handle::<Bytes>::get(bytes, "bytes")? }.as_slice().as_ptr().cast()))
}

/// How many there are; 0 on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_bytes_len(bytes: *const weft_bytes) -> usize {
    // SAFETY: a handle by contract.
    boundary_value(0, || Ok(unsafe { Handle::<Bytes>::get(bytes, "bytes")? }.as_slice().len()))
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_bytes_retain(bytes: *mut weft_bytes) -> *mut weft_bytes {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Bytes>::retain(bytes) }
}

/// One reference less. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_bytes_release(bytes: *mut weft_bytes) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Bytes>::release(bytes) }
}
