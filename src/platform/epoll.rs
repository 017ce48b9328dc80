//! Sleeping until one of many descriptors is ready: an epoll set.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// What a descriptor is watched for. That it is hung up, or has failed, is told in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// A read would not block: there is something, or the end.
    pub readable: bool,
    /// A write would not block.
    pub writable: bool,
}

/// What a descriptor is found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// A read would not block.
    pub readable: bool,
    /// A write would not block.
    pub writable: bool,
    /// The other end has gone; or, unless only `writable` was asked for, it will write no more.
    pub hung_up: bool,
    /// There is an error to be fetched; or the reading end of a pipe has gone.
    pub failed: bool,
}

impl Interest {
    fn events(self) -> u32 {
        let mut events = 0;
        if self.readable {
            events |= libc::EPOLLIN;
        }
        if self.writable {
            events |= libc::EPOLLOUT;
        }
        // Who only writes may do so for long after the other end has said all it had to.
        if self.readable || !self.writable {
            events |= libc::EPOLLRDHUP;
        }
        events as u32
    }
}

impl Ready {
    fn of(events: u32) -> Self {
        let has = |bits: libc::c_int| events & bits as u32 != 0;
        Ready {
            readable: has(libc::EPOLLIN),
            writable: has(libc::EPOLLOUT),
            hung_up: has(libc::EPOLLHUP | libc::EPOLLRDHUP),
            failed: has(libc::EPOLLERR),
        }
    }
}

/// The set. A forked child shares it with its parent and must leave it alone.
pub struct Epoll(OwnedFd);

/// Room for what one look at the set tells.
pub struct Events([libc::epoll_event; 64]);

impl Default for Events {
    fn default() -> Self {
        Events([libc::epoll_event { events: 0, u64: 0 }; 64])
    }
}

/// Another number for what a descriptor leads to, closed on exec, and none of the three that programs take for granted.
pub fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers; one that stands for nothing is refused.
    match unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: just made, and nobody else's.
        number => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
    }
}

impl Epoll {
    /// An empty set.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes a number.
        match unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: just made, and nobody else's.
            fd => Ok(Epoll(unsafe { OwnedFd::from_raw_fd(fd) })),
        }
    }

    /// Puts a descriptor in, whose readiness is told, as `key`, again and again for as long as it lasts.
    pub fn add(&self, fd: BorrowedFd, interest: Interest, key: u64) -> io::Result<()> {
        self.insert(fd, interest.events(), key)
    }

    /// The same for a descriptor that is told of once and then rests until it is taken out.
    pub fn add_once(&self, fd: BorrowedFd, interest: Interest, key: u64) -> io::Result<()> {
        self.insert(fd, interest.events() | libc::EPOLLONESHOT as u32, key)
    }

    fn insert(&self, fd: BorrowedFd, events: u32, key: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: key };
        // SAFETY: both descriptors are open, and `event` is read during the call only.
        match unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Takes a descriptor out. Closing it would not: the set holds what it leads to, which others may hold open.
    pub fn remove(&self, fd: BorrowedFd) {
        // SAFETY: as above; no event is read. It fails only if somebody has closed descriptors that are not theirs.
        unsafe { libc::epoll_ctl(self.0.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), std::ptr::null_mut()) };
    }

    /// Sleeps until something is ready: the keys, and what they are. Fails only if somebody has closed descriptors that are
    /// not theirs.
    pub fn wait<'a>(&self, events: &'a mut Events) -> io::Result<impl Iterator<Item = (u64, Ready)> + Clone + 'a> {
        loop {
            let (place, room) = (events.0.as_mut_ptr(), events.0.len() as libc::c_int);
            // SAFETY: `place` has this much room.
            let found = unsafe { libc::epoll_wait(self.0.as_raw_fd(), place, room, -1) };
            if found >= 0 {
                return Ok(events.0[..found as usize].iter().map(|event| (event.u64, Ready::of(event.events))));
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}
