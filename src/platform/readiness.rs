//! Sets of descriptors that are descriptors themselves.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A descriptor that is readable as long as one of these is. Closed on exec.
pub fn of_any(fds: &[RawFd]) -> io::Result<OwnedFd> {
    // SAFETY: takes a number.
    let set = match unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } {
        -1 => return Err(io::Error::last_os_error()),
        // SAFETY: just made, and nobody else's.
        fd => unsafe { OwnedFd::from_raw_fd(fd) },
    };
    for &fd in fds {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        // SAFETY: the event is read during the call only.
        if unsafe { libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(set)
}
