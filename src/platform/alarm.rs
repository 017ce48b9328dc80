//! A sleep that ends at a point in time which any thread may move: a timerfd in an epoll set.
//!
//! Moving the point is one system call of whoever moves it; the sleeper sleeps on. Other descriptors can be put into the set.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// The descriptors. A forked child shares them with its parent and must leave them alone.
pub struct Alarm {
    epoll: OwnedFd,
    timer: OwnedFd,
}

fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: a descriptor that the system has just made for us.
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(fd) }) }
}

impl Alarm {
    /// An alarm that is not set.
    pub fn new() -> io::Result<Alarm> {
        // SAFETY: neither call reads memory of ours.
        let (epoll, timer) = unsafe {
            let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
            (
                owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))?,
                owned(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags))?,
            )
        };
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        // SAFETY: both descriptors are open, and `event` is read during the call only.
        match unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, timer.as_raw_fd(), &mut event) } {
            0 => Ok(Alarm { epoll, timer }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Sets the point at which the sleeper wakes, instead of the one before; None: none. A point that has passed wakes it at
    /// once. It goes on waking until it is set anew.
    pub fn set(&self, at_ns: Option<i64>) {
        // All zeros would switch it off.
        let ns = at_ns.map_or(0, |ns| ns.max(1));
        let at = libc::timespec { tv_sec: ns / 1_000_000_000, tv_nsec: ns % 1_000_000_000 };
        let time = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
        // SAFETY: `time` lives through the call. It cannot fail: the descriptor is ours, the time is well-formed.
        unsafe {
            libc::timerfd_settime(self.timer.as_raw_fd(), libc::TFD_TIMER_ABSTIME, &time, ptr::null_mut());
        }
    }

    /// Sleeps until the alarm goes off. Fails only if somebody has closed descriptors that are not theirs.
    pub fn wait(&self) -> io::Result<()> {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        loop {
            // SAFETY: `event` is a place for one event.
            if unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), &mut event, 1, -1) } >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}
