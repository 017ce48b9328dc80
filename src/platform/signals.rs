//! Which signals a thread takes.

use std::mem::MaybeUninit;
use std::ptr;

/// Signals that a thread leaves to others.
#[derive(Clone, Copy)]
pub struct Blocked(libc::sigset_t);

impl Blocked {
    /// All of them.
    pub fn all() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: fills the set.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            Blocked(set.assume_init())
        }
    }

    /// Those of the calling thread.
    pub fn current() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: fills the set; without a new one nothing changes, and nothing can fail.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), set.as_mut_ptr());
            Blocked(set.assume_init())
        }
    }

    /// The same, with one signal let through.
    pub fn without(mut self, signal: i32) -> Self {
        // SAFETY: a set that was filled.
        unsafe { libc::sigdelset(&mut self.0, signal) };
        self
    }

    /// Makes them those of the calling thread.
    pub fn apply(&self) {
        // SAFETY: a set that was filled.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}
