//! This thread's last failure, in words: a buffer in thread-local memory, without allocation or destructor.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, c_char};

/// Bytes of a message at most, its end included.
const SIZE: usize = 512;

thread_local! {
    static MESSAGE: UnsafeCell<[u8; SIZE]> = const { UnsafeCell::new([0; SIZE]) };
    static STAMP: Cell<u32> = const { Cell::new(0) };
    /// The message, if it is not in the buffer.
    static FIXED: Cell<Option<&'static CStr>> = const { Cell::new(None) };
}

/// Keeps `text`, cut at a character's boundary if it is too long, and at its first NUL.
pub fn set(text: &str) {
    let mut end = text.floor_char_boundary(SIZE - 1);
    end = text.as_bytes()[..end].iter().position(|&byte| byte == 0).unwrap_or(end);
    MESSAGE.with(|message| {
        // SAFETY: this thread's own buffer, and nothing borrowed from it is held by Rust code.
        let message = unsafe { &mut *message.get() };
        message[..end].copy_from_slice(&text.as_bytes()[..end]);
        message[end] = 0;
    });
    FIXED.set(None);
    STAMP.set(STAMP.get().wrapping_add(1));
}

/// The same for those who have no time to copy it.
#[inline]
pub fn set_fixed(text: &'static CStr) {
    FIXED.set(Some(text));
    STAMP.set(STAMP.get().wrapping_add(1));
}

/// How many messages this thread has had; tells whether one has come since.
pub fn stamp() -> u32 {
    STAMP.get()
}

/// The message; valid on this thread until the next failure.
pub fn as_ptr() -> *const c_char {
    match FIXED.get() {
        Some(text) => text.as_ptr(),
        None => MESSAGE.with(|message| message.get().cast_const().cast()),
    }
}

/// A copy of the message, if one has come since `stamp` was taken.
pub fn since(stamp: u32) -> Option<String> {
    // SAFETY: the buffer always holds a NUL, and nobody changes it meanwhile.
    let message = unsafe { CStr::from_ptr(as_ptr()) };
    (stamp != STAMP.get()).then(|| message.to_string_lossy().into_owned())
}
