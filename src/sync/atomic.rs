//! Atomics for protocols that have a model: loom's under `--cfg weft_loom`, the processor's otherwise.

#[cfg(not(weft_loom))]
pub use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
#[cfg(weft_loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(weft_loom)]
pub use loom::cell::UnsafeCell;

/// A cell with the two accesses that loom can watch.
#[cfg(not(weft_loom))]
#[derive(Default)]
pub struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(weft_loom))]
impl<T> UnsafeCell<T> {
    /// A cell with this value.
    pub const fn new(value: T) -> Self {
        UnsafeCell(core::cell::UnsafeCell::new(value))
    }

    /// A shared access.
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }

    /// An exclusive access.
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }

    /// An exclusive access as long as what is returned lives: for hot paths, where a closure might become a call.
    #[inline(always)]
    pub fn get_mut(&self) -> MutPtr<T> {
        MutPtr(self.0.get())
    }
}

/// What [`UnsafeCell::get_mut`] gives.
#[cfg(not(weft_loom))]
pub struct MutPtr<T>(*mut T);

#[cfg(not(weft_loom))]
impl<T> MutPtr<T> {
    /// The value.
    ///
    /// # Safety
    /// Nobody else accesses it meanwhile.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "the form that loom has")]
    pub unsafe fn deref(&self) -> &mut T {
        // SAFETY: the cell's, and promised by the caller.
        unsafe { &mut *self.0 }
    }
}
