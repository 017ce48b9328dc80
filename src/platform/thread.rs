//! Waiting for the end of a thread without waiting for ever, which std's JoinHandle cannot.

use std::os::unix::thread::{JoinHandleExt, RawPthread};
use std::thread::JoinHandle;

unsafe extern "C" {
    fn pthread_clockjoin_np(
        thread: libc::pthread_t,
        value: *mut *mut libc::c_void,
        clock: libc::clockid_t,
        deadline: *const libc::timespec,
    ) -> libc::c_int;
}

/// A thread that has not been joined. Dropped, it is detached.
pub struct Thread(Option<RawPthread>);

impl Thread {
    /// Takes over from std.
    pub fn new(thread: JoinHandle<()>) -> Self {
        Thread(Some(thread.into_pthread_t()))
    }

    /// Waits until the thread has ended, or until `deadline` (nanoseconds on CLOCK_MONOTONIC; None: for ever), and gives
    /// it back in the second case. A thread does not wait for itself; it is detached.
    pub fn join(mut self, deadline: Option<i64>) -> Result<(), Thread> {
        let Some(thread) = self.0 else { return Ok(()) };
        // SAFETY: pthread_self has no requirements.
        if thread == unsafe { libc::pthread_self() } {
            return Ok(());
        }
        let ns = deadline.unwrap_or(i64::MAX).max(0);
        let time = libc::timespec { tv_sec: ns / 1_000_000_000, tv_nsec: ns % 1_000_000_000 };
        // SAFETY: the thread is ours to join, and has not been joined.
        match unsafe { pthread_clockjoin_np(thread, std::ptr::null_mut(), libc::CLOCK_MONOTONIC, &time) } {
            libc::ETIMEDOUT => Err(self),
            _ => {
                self.0 = None;
                Ok(())
            }
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(thread) = self.0 {
            // SAFETY: the thread is ours, and has been neither joined nor detached.
            unsafe { libc::pthread_detach(thread) };
        }
    }
}
