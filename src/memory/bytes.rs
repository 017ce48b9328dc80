//! Immutable bytes, shared by counting references.

use std::ffi::c_void;
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::{ptr, slice};

/// Called with its context and the bytes when the last reference goes.
pub type DropFn = unsafe extern "C-unwind" fn(*mut c_void, *mut c_void);

/// Bytes with a reference count; a clone shares them.
#[derive(Clone)]
pub struct Bytes(Arc<Storage>);

enum Storage {
    /// A few, in the same allocation as their count.
    Here(u8, Here),
    Owned(Vec<u8>),
    Adopted {
        data: *mut u8,
        len: usize,
        drop: Option<DropFn>,
        context: *mut c_void,
    },
}

/// Aligned as what malloc gives.
#[repr(C, align(16))]
struct Here([MaybeUninit<u8>; HERE]);

const HERE: usize = 96;

// SAFETY: the bytes never change after creation; whoever adopts memory promises that its drop may run on any thread.
unsafe impl Send for Storage {}
// SAFETY: as above.
unsafe impl Sync for Storage {}

impl Bytes {
    /// A copy of `data`; None when there is no memory for it.
    pub fn copy(data: &[u8]) -> Option<Self> {
        // SAFETY: a slice.
        unsafe { Self::copy_from(data.as_ptr(), data.len()) }
    }

    /// A copy of bytes that others may be writing to meanwhile; None when there is no memory for it.
    ///
    /// # Safety
    /// `data` points to `len` readable bytes.
    #[inline]
    pub unsafe fn copy_from(data: *const u8, len: usize) -> Option<Self> {
        if len <= HERE {
            let mut here = Here([MaybeUninit::uninit(); HERE]);
            // SAFETY: promised by the caller; there is room.
            unsafe { ptr::copy_nonoverlapping(data, here.0.as_mut_ptr().cast(), len) };
            return Some(Bytes(Arc::new(Storage::Here(len as u8, here))));
        }
        let mut copy = Vec::new();
        copy.try_reserve_exact(len).ok()?;
        // SAFETY: as above.
        unsafe {
            ptr::copy_nonoverlapping(data, copy.as_mut_ptr(), len);
            copy.set_len(len);
        }
        Some(Self::from_vec(copy))
    }

    /// These bytes.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Bytes(Arc::new(Storage::Owned(bytes)))
    }

    /// Bytes that stay where they are; `drop` runs at the last release.
    ///
    /// # Safety
    /// `data` points to `len` readable bytes that do not change until `drop` runs, which may be on any thread.
    pub unsafe fn adopt(data: *mut u8, len: usize, drop: Option<DropFn>, context: *mut c_void) -> Self {
        Bytes(Arc::new(Storage::Adopted { data, len, drop, context }))
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &*self.0 {
            // SAFETY: as many were written.
            Storage::Here(len, here) => unsafe { slice::from_raw_parts(here.0.as_ptr().cast(), *len as usize) },
            Storage::Owned(bytes) => bytes,
            Storage::Adopted { len: 0, .. } => &[],
            // SAFETY: promised by whoever adopted them.
            Storage::Adopted { data, len, .. } => unsafe { slice::from_raw_parts(*data, *len) },
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.as_slice().len())
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Storage::Adopted { data, drop: Some(drop), context, .. } = *self {
            crate::panics::contain("the drop callback of bytes", || {
                // SAFETY: the adopter gave `drop` for this call, which happens once.
                unsafe { drop(context, data.cast()) }
            });
        }
    }
}
