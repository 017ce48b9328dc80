//! A point in time which any thread may move, and which a descriptor tells of: a timerfd.
//!
//! Moving the point is one system call of whoever moves it; who sleeps until the descriptor is ready sleeps on.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// The descriptor. A forked child shares it with its parent and must leave it alone.
pub struct Alarm(OwnedFd);

impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> io::Result<Alarm> {
        // SAFETY: takes two numbers.
        match unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: just made, and nobody else's.
            fd => Ok(Alarm(unsafe { OwnedFd::from_raw_fd(fd) })),
        }
    }

    /// Sets the point from which on it is readable, instead of the one before; None: none. A point that has passed makes it so
    /// at once. It stays readable until it is set anew.
    pub fn set(&self, at_ns: Option<i64>) {
        // All zeros would switch it off.
        let ns = at_ns.map_or(0, |ns| ns.max(1));
        let at = libc::timespec { tv_sec: ns / 1_000_000_000, tv_nsec: ns % 1_000_000_000 };
        let time = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        // SAFETY: `time` lives through the call. It cannot fail: the descriptor is ours, the time is well-formed.
        unsafe {
            libc::timerfd_settime(self.0.as_raw_fd(), libc::TFD_TIMER_ABSTIME, &time, ptr::null_mut());
        }
    }
}

impl AsFd for Alarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
