//! Handles: boxes with a tag, a process epoch and a reference count, behind opaque pointers.
//!
//! A thread that waits in a call may *pin* the handle. If the last reference goes meanwhile, the object is told, has
//! those who wait go home, and is freed by the last of them.

use std::sync::atomic::{AtomicU64, Ordering};

use super::args::check_header;
use super::boundary::boundary_value;
use crate::error::Result;
use crate::memory::Header;
use crate::platform::fork;

/// A kind of object that C programs hold by handle.
pub trait Noun: Sized {
    /// The type C sees.
    type Opaque;
    /// Tells it from other kinds.
    const TAG: u32;
    /// What it is called in messages.
    const NAME: &'static str;

    /// The last reference has gone while somebody waits.
    fn abandoned(&self) {}

    /// Frees the handle.
    ///
    /// # Safety
    /// Nobody has it any more but the caller; it is not on a stack.
    unsafe fn free(handle: *mut Handle<Self>) {
        // SAFETY: promised by the caller; made as a box.
        drop(unsafe { Box::from_raw(handle) });
    }
}

/// The bits of a count that are references; above them it counts pins.
const REFERENCES: u64 = PIN - 1;
const PIN: u64 = 1 << 40;

/// The box.
#[repr(C)]
pub struct Handle<T> {
    header: Header,
    count: AtomicU64,
    value: T,
}

impl<T: Noun> Handle<T> {
    /// A handle with one reference.
    pub fn create(value: T) -> *mut T::Opaque {
        let handle = Handle { header: Header::new(T::TAG), count: AtomicU64::new(1), value };
        Box::into_raw(Box::new(handle)).cast()
    }

    /// A handle that lives as long as this does, whoever releases it.
    pub fn on_stack(value: T) -> Self {
        // As many references as nobody gives back.
        Handle { header: Header::new(T::TAG), count: AtomicU64::new(REFERENCES / 2), value }
    }

    /// What C gets to see of a handle that is not in a box.
    pub fn as_opaque(&self) -> *const T::Opaque {
        std::ptr::from_ref(self).cast()
    }

    /// The object behind a handle.
    ///
    /// # Safety
    /// `pointer` is NULL or a live handle of some kind.
    pub unsafe fn get<'a>(pointer: *const T::Opaque, name: &str) -> Result<&'a T> {
        // SAFETY: promised by the caller; the tag says that it is this kind.
        unsafe {
            check_header(pointer.cast(), T::TAG, name, T::NAME)?;
            Ok(&(*pointer.cast::<Self>()).value)
        }
    }

    /// The object behind a handle that is one, seen without a failure's message: for calls that have no time for it.
    ///
    /// # Safety
    /// As for [`Handle::get`].
    #[inline(always)]
    pub unsafe fn peek<'a>(pointer: *const T::Opaque) -> Option<&'a T> {
        let handle = pointer.cast::<Self>();
        // A handle is aligned as its type says: what is not leads to something else. `get` says what is wrong.
        if handle.is_null() || !handle.is_aligned() {
            return None;
        }
        // SAFETY: promised by the caller; the tag says that it is this kind.
        unsafe {
            let header = &(*handle).header;
            // Branches: a select would be waited for before the object is looked at.
            if header.tag != T::TAG || header.epoch != fork::epoch() {
                return None;
            }
            Some(&(*handle).value)
        }
    }

    /// Adds a reference; the body of weft_X_retain.
    ///
    /// # Safety
    /// As for [`Handle::get`].
    pub unsafe fn retain(pointer: *mut T::Opaque) -> *mut T::Opaque {
        boundary_value(std::ptr::null_mut(), || {
            if !pointer.is_null() {
                // SAFETY: promised by the caller; checked to be this kind. Relaxed: a reference comes from a reference.
                unsafe {
                    Self::get(pointer, T::NAME)?;
                    (*pointer.cast::<Self>()).count.fetch_add(1, Ordering::Relaxed);
                }
            }
            Ok(pointer)
        })
    }

    /// Drops a reference; the body of weft_X_release.
    ///
    /// # Safety
    /// As for [`Handle::get`]; the caller's reference is given up.
    pub unsafe fn release(pointer: *mut T::Opaque) {
        boundary_value((), || {
            if pointer.is_null() {
                return Ok(());
            }
            // SAFETY: promised by the caller; checked to be this kind.
            unsafe {
                Self::get(pointer, T::NAME)?;
                Self::let_go(pointer.cast());
            }
            Ok(())
        });
    }

    /// # Safety
    /// A live handle in a box; the caller's reference is given up.
    unsafe fn let_go(handle: *mut Self) {
        // SAFETY: promised by the caller. AcqRel: every holder's use comes before the drop.
        unsafe {
            // Nobody else can have it, or get it, where there is one reference: no exchange needs to say so. Acquire pairs with
            // the exchanges below.
            if (*handle).count.load(Ordering::Acquire) == 1 {
                return Self::free(handle);
            }
            // The last reference becomes a pin as long as there are others.
            let next = |count| Some(if count > PIN && count & REFERENCES == 1 { count - 1 + PIN } else { count - 1 });
            match (*handle).count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next) {
                Ok(1) => Self::free(handle),
                Ok(count) if count & REFERENCES == 1 => {
                    (*handle).value.abandoned();
                    drop(Pin(handle));
                }
                _ => {}
            }
        }
    }

    /// # Safety
    /// Nobody has it any more but the caller.
    unsafe fn free(handle: *mut Self) {
        // SAFETY: promised by the caller; handles that are released are in boxes.
        unsafe {
            // A later use of the dangling pointer is likelier to be noticed.
            (*handle).header.tag = 0;
            T::free(handle);
        }
    }

    /// Where count and value are.
    pub const PLACES: [usize; 2] = [std::mem::offset_of!(Self, count), std::mem::offset_of!(Self, value)];

    /// The value, for [`Noun::free`].
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Keeps the object in place through a wait.
    ///
    /// # Safety
    /// `pointer` is a live handle of this kind in a box.
    pub unsafe fn pin(pointer: *const T::Opaque) -> Pin<T> {
        let handle = pointer.cast_mut().cast::<Self>();
        // SAFETY: promised by the caller. Relaxed: there is a reference.
        unsafe { (*handle).count.fetch_add(PIN, Ordering::Relaxed) };
        Pin(handle)
    }
}

/// A handle that stays in place.
pub struct Pin<T: Noun>(*mut Handle<T>);

impl<T: Noun> Drop for Pin<T> {
    fn drop(&mut self) {
        // SAFETY: a Pin stands for one of the pins. AcqRel: every use comes before the drop.
        unsafe {
            if (*self.0).count.fetch_sub(PIN, Ordering::AcqRel) == PIN {
                Handle::free(self.0);
            }
        }
    }
}
