//! Event descriptors: what event loops that know file descriptors wait for.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A descriptor that is readable once it has been signalled, until it is cleared. Closed on exec; its reads and writes
/// never block.
pub struct EventFd(OwnedFd);

impl EventFd {
    /// A descriptor that is not readable.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes two numbers.
        match unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: just made, and nobody else's.
            fd => Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) })),
        }
    }

    /// Its number, which it keeps.
    pub fn number(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Gives its number up, for [`EventFd::from_raw`].
    pub fn into_raw(self) -> i32 {
        ManuallyDrop::new(self).number()
    }

    /// The inverse.
    ///
    /// # Safety
    /// `number` is that of a descriptor that `new` made, and belongs to the result as long as that is used.
    pub unsafe fn from_raw(number: i32) -> Self {
        // SAFETY: promised by the caller.
        EventFd(unsafe { OwnedFd::from_raw_fd(number) })
    }

    /// Makes it readable.
    pub fn signal(&self) {
        // SAFETY: reads eight bytes. It fails only if 2^64 - 2 signals came before; then it is readable.
        unsafe { libc::write(self.number(), (&raw const ONE).cast(), size_of::<u64>()) };
    }

    /// Makes it unreadable.
    pub fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: writes eight bytes. It fails only if nothing was signalled.
        unsafe { libc::read(self.number(), (&raw mut count).cast(), size_of::<u64>()) };
    }
}

static ONE: u64 = 1;

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    fn is_readable(fd: &EventFd) -> bool {
        let mut poll = libc::pollfd { fd: fd.number(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd.
        let ready = unsafe { libc::poll(&mut poll, 1, 0) };
        ready == 1 && poll.revents == libc::POLLIN
    }

    #[test]
    fn readable_from_a_signal_to_the_clearing() {
        let fd = EventFd::new().unwrap();
        assert!(!is_readable(&fd));
        fd.clear();
        fd.signal();
        fd.signal();
        assert!(is_readable(&fd) && is_readable(&fd));
        fd.clear();
        assert!(!is_readable(&fd));
    }
}
