//! Immutable bytes, shared by counting references.

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

/// Called with its context and the bytes when the last reference goes.
pub type DropFn = unsafe extern "C-unwind" fn(*mut c_void, *mut c_void);

/// Bytes with a reference count; a clone shares them.
#[derive(Clone)]
pub struct Bytes(Arc<Storage>);

enum Storage {
    Owned(Vec<u8>),
    Adopted { data: *mut u8, len: usize, drop: Option<DropFn>, context: *mut c_void },
}

// SAFETY: the bytes never change after creation; whoever adopts memory promises that its drop may run on any thread.
unsafe impl Send for Storage {}
// SAFETY: as above.
unsafe impl Sync for Storage {}

impl Bytes {
    /// A copy of `data`; None when there is no memory for it.
    pub fn copy(data: &[u8]) -> Option<Self> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(data.len()).ok()?;
        copy.extend_from_slice(data);
        Some(Bytes(Arc::new(Storage::Owned(copy))))
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
            Storage::Owned(bytes) => bytes,
            Storage::Adopted { len: 0, .. } => &[],
            // SAFETY: promised by whoever adopted them.
            Storage::Adopted { data, len, .. } => unsafe { std::slice::from_raw_parts(*data, *len) },
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
