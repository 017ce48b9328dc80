//! Memory for elements in a row.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr::NonNull;

use crate::error::{Failure, Result, Status};

/// Room for a number of elements, which it knows nothing of.
pub struct Memory {
    start: NonNull<u8>,
    layout: Layout,
    size: usize,
}

// SAFETY: it owns its memory; elements may move between threads, as the channel's user promised.
unsafe impl Send for Memory {}
// SAFETY: as above; it only tells places.
unsafe impl Sync for Memory {}

impl Memory {
    /// Memory for `count` elements.
    pub fn new(element: Layout, count: usize) -> Result<Memory> {
        let no_memory = || Failure::with(Status::NoMemory, format!("no memory for {count} elements"));
        let size = element.size().checked_mul(count).ok_or_else(no_memory)?.max(1);
        let layout = Layout::from_size_align(size, element.align()).map_err(|_| no_memory())?;
        // SAFETY: the size is not zero.
        let start = NonNull::new(unsafe { alloc(layout) }).ok_or_else(no_memory)?;
        Ok(Memory { start, layout, size: element.size() })
    }

    /// The place of one of them.
    pub fn at(&self, index: usize) -> *mut u8 {
        // SAFETY: callers stay within the count.
        unsafe { self.start.as_ptr().add(index * self.size) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// Copies elements. Single ones of the size of a pointer or two, the common case, become loads and stores.
///
/// # Safety
/// `from` is readable and `to` writable for `count` times `size` bytes, and they do not overlap.
#[inline(always)]
pub unsafe fn copy(size: usize, from: *const u8, to: *mut u8, count: usize) {
    // SAFETY: promised by the caller.
    unsafe {
        match size * count {
            8 => to.cast::<[u8; 8]>().write(from.cast::<[u8; 8]>().read()),
            16 => to.cast::<[u8; 16]>().write(from.cast::<[u8; 16]>().read()),
            bytes => std::ptr::copy_nonoverlapping(from, to, bytes),
        }
    }
}
