//! Immutable bytes, shared by counting references.
//!
//! The count is in front of the bytes' description, behind a header like those of handles: so bytes can be given to C as they are
//! ([`Bytes::into_counted`]), without an allocation for a handle.

use std::ffi::c_void;
use std::fmt;
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Header;

/// Called with its context and the bytes when the last reference goes.
pub type DropFn = unsafe extern "C-unwind" fn(*mut c_void, *mut c_void);

/// Tells them from other handles.
pub const BYTES_TAG: u32 = u32::from_le_bytes(*b"Wbyt");

/// Bytes with a reference count; a clone shares them.
pub struct Bytes(NonNull<Counted>);

/// A handle of bytes that are themselves.
#[repr(C)]
pub struct Counted {
    header: Header,
    count: AtomicU64,
    /// Leads here, and stands for no reference.
    this: ManuallyDrop<Bytes>,
    data: *const u8,
    len: usize,
    held: Held,
    here: Here,
}

/// Where a [`Counted`] has what a handle has: count and value.
pub const COUNTED: [usize; 2] = [mem::offset_of!(Counted, count), mem::offset_of!(Counted, this)];

/// Who has the bytes.
enum Held {
    /// They are behind this, in the same allocation as their count.
    Here,
    Owned {
        _bytes: Vec<u8>,
    },
    Adopted {
        data: *mut u8,
        drop: Option<DropFn>,
        context: *mut c_void,
    },
}

/// Aligned as what malloc gives.
#[repr(C, align(16))]
struct Here([MaybeUninit<u8>; HERE]);

const HERE: usize = 96;

// SAFETY: the bytes never change after creation, and the count is atomic; whoever adopts memory promises that its drop may run on
// any thread.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

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
    #[inline(always)]
    pub unsafe fn copy_from(data: *const u8, len: usize) -> Option<Self> {
        if len <= HERE {
            let bytes = Self::of(ptr::null(), len, Held::Here);
            // SAFETY: nobody else has them yet; promised by the caller; there is room.
            unsafe {
                let here = (&raw mut (*bytes.0.as_ptr()).here).cast::<u8>();
                ptr::copy_nonoverlapping(data, here, len);
                (*bytes.0.as_ptr()).data = here;
            }
            return Some(bytes);
        }
        // SAFETY: promised by the caller.
        unsafe { Self::copy_many(data, len) }
    }

    /// # Safety
    /// As for `copy_from`.
    unsafe fn copy_many(data: *const u8, len: usize) -> Option<Self> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(len).ok()?;
        // SAFETY: promised by the caller; there is room.
        unsafe {
            ptr::copy_nonoverlapping(data, copy.as_mut_ptr(), len);
            copy.set_len(len);
        }
        Some(Self::from_vec(copy))
    }

    #[inline(always)]
    fn of(data: *const u8, len: usize, held: Held) -> Self {
        let place = Box::into_raw(Box::<Counted>::new_uninit()).cast::<Counted>();
        // SAFETY: a box is not NULL, and each part is written where it will stay; `here` need not be.
        unsafe {
            let this = NonNull::new_unchecked(place);
            (&raw mut (*place).header).write(Header::new(BYTES_TAG));
            (&raw mut (*place).count).write(AtomicU64::new(1));
            (&raw mut (*place).this).write(ManuallyDrop::new(Bytes(this)));
            (&raw mut (*place).data).write(data);
            (&raw mut (*place).len).write(len);
            (&raw mut (*place).held).write(held);
            Bytes(this)
        }
    }

    /// As a handle, with the reference that this is.
    pub fn into_counted(self) -> *mut Counted {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// Whether this is what a [`Counted`] at this address has of itself.
    pub fn is_itself<T>(&self, address: *const T) -> bool {
        ptr::addr_eq(self.0.as_ptr(), address)
    }

    /// Frees what nobody refers to any more.
    ///
    /// # Safety
    /// From [`Bytes::into_counted`], and the last reference is given up.
    pub unsafe fn free(counted: *mut Counted) {
        // SAFETY: promised by the caller; made as a box.
        unsafe {
            // As for other handles: a later use is likelier to be noticed.
            (*counted).header.tag = 0;
            drop(Box::from_raw(counted));
        }
    }

    /// These bytes.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self::of(bytes.as_ptr(), bytes.len(), Held::Owned { _bytes: bytes })
    }

    /// Bytes that stay where they are; `drop` runs at the last release.
    ///
    /// # Safety
    /// `data` points to `len` readable bytes that do not change until `drop` runs, which may be on any thread.
    pub unsafe fn adopt(data: *mut u8, len: usize, drop: Option<DropFn>, context: *mut c_void) -> Self {
        let first = if len == 0 { NonNull::dangling().as_ptr() } else { data };
        Self::of(first, len, Held::Adopted { data, drop, context })
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: there as long as this reference, or promised by whoever adopted them.
        unsafe { slice::from_raw_parts(self.0.as_ref().data, self.0.as_ref().len) }
    }
}

impl Clone for Bytes {
    fn clone(&self) -> Self {
        // SAFETY: there as long as this reference. Relaxed: a reference comes from a reference.
        unsafe { self.0.as_ref() }.count.fetch_add(1, Ordering::Relaxed);
        Bytes(self.0)
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        // SAFETY: there as long as this reference; the last one frees it. Nobody else can have or get it where there is one, so no
        // exchange has to say so. Acquire and AcqRel: every holder's use comes before.
        unsafe {
            let count = &self.0.as_ref().count;
            if count.load(Ordering::Acquire) == 1 || count.fetch_sub(1, Ordering::AcqRel) == 1 {
                Self::free(self.0.as_ptr());
            }
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.as_slice().len())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Held::Adopted { data, drop: Some(drop), context } = self.held {
            crate::panics::contain("the drop callback of bytes", || {
                // SAFETY: the adopter gave `drop` for this call, which happens once.
                unsafe { drop(context, data.cast()) }
            });
        }
    }
}
