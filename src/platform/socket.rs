//! Pairs of local sockets that keep packets apart, and waiting for descriptors.
//!
//! No call here blocks but `wait`, and none raises SIGPIPE.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::{mem, ptr};

use super::clock::now_ns;
use super::futex::Woken;

/// A connected pair; both are closed on exec.
pub fn pair() -> io::Result<[OwnedFd; 2]> {
    let mut fds = [-1; 2];
    // SAFETY: a place for two descriptors.
    match unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()) } {
        // SAFETY: just made, and nobody else's.
        0 => Ok(fds.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })),
        _ => Err(io::Error::last_os_error()),
    }
}

fn option(fd: RawFd, name: libc::c_int) -> Option<libc::c_int> {
    let (mut value, mut len): (libc::c_int, _) = (0, size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: places for a number and its length; any descriptor number will do.
    let done = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, (&raw mut value).cast(), &mut len) };
    (done == 0).then_some(value)
}

/// Bytes of room for what is sent from here, the system's own included.
pub fn room(fd: RawFd) -> usize {
    option(fd, libc::SO_SNDBUF).unwrap_or(0).max(0) as usize
}

/// Has room for what is sent from here grow, as far as the system allows.
pub fn grow(fd: &OwnedFd) {
    let Some(now) = option(fd.as_raw_fd(), libc::SO_SNDBUF) else { return };
    // The system doubles what it is given.
    // SAFETY: a number and its length. What is refused leaves the room as it was.
    unsafe {
        let len = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, (&raw const now).cast(), len)
    };
}

/// Sends nothing any more: behind what was sent the other end finds what it would find if this one were closed.
pub fn end_sending(fd: &OwnedFd) {
    // SAFETY: numbers.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_WR) };
}

/// Whether this is one end of such a pair.
pub fn is_one(fd: RawFd) -> bool {
    option(fd, libc::SO_DOMAIN) == Some(libc::AF_UNIX) && option(fd, libc::SO_TYPE) == Some(libc::SOCK_SEQPACKET)
}

/// Takes over a descriptor of the caller's, which is closed on exec from now on.
///
/// # Safety
/// It is open, and the caller's to give.
pub unsafe fn take_over(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: numbers. The flag is the only one that descriptors have.
    match unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } {
        // SAFETY: promised by the caller.
        0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Room for the control message that carries one descriptor, aligned as one.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Sends one packet, whole, with a descriptor if there is one to pass.
pub fn send(fd: &OwnedFd, parts: &[IoSlice<'_>], pass: Option<&OwnedFd>) -> io::Result<()> {
    let mut control = Control([0; 64]);
    // SAFETY: all zeros is an empty message.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = parts.as_ptr().cast_mut().cast();
    message.msg_iovlen = parts.len() as _;
    if let Some(pass) = pass {
        message.msg_control = (&raw mut control).cast();
        // SAFETY: the control message is large enough for one descriptor.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
            libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(pass.as_raw_fd());
        }
    }
    // SAFETY: everything the message leads to outlives the call.
    match unsafe { libc::sendmsg(fd.as_raw_fd(), &message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// A packet that was received.
pub struct Packet {
    /// How long it was; more than there was room for: it is cut.
    pub len: usize,
    /// What came with it.
    pub passed: Option<OwnedFd>,
}

/// Receives one packet; one of length 0 also if the other end is gone. Takes descriptors only if it may, and closes what
/// it does not take.
pub fn receive(fd: RawFd, bytes: &mut [u8], may_pass: bool) -> io::Result<Packet> {
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = Control([0; 64]);
    // SAFETY: as in `send`.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    if may_pass {
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>() as _;
    }
    // MSG_TRUNC: the length is that of the packet.
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC | libc::MSG_TRUNC;
    // SAFETY: as in `send`.
    let len = unsafe { libc::recvmsg(fd, &mut message, flags) };
    if len < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut passed = None;
    // SAFETY: the kernel has written whole control messages, as long as they say.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(&message);
        while !header.is_null() {
            if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_RIGHTS {
                let count = ((*header).cmsg_len as usize - libc::CMSG_LEN(0) as usize) / size_of::<RawFd>();
                for i in 0..count {
                    let fd = libc::CMSG_DATA(header).cast::<RawFd>().add(i).read_unaligned();
                    // Those before it are closed.
                    passed = Some(OwnedFd::from_raw_fd(fd));
                }
            }
            header = libc::CMSG_NXTHDR(&message, header);
        }
    }
    Ok(Packet { len: len as usize, passed })
}

/// What to wait for at a descriptor, and what there was.
pub type Wish = libc::pollfd;

/// Readable, or gone.
pub const READABLE: i16 = libc::POLLIN;
/// Has room.
pub const WRITABLE: i16 = libc::POLLOUT;
/// Its other end is gone.
pub const GONE: i16 = libc::POLLHUP | libc::POLLERR | libc::POLLNVAL;

/// A wish for one of them.
pub fn wish(fd: RawFd, events: i16) -> Wish {
    Wish { fd, events, revents: 0 }
}

/// Sleeps until a wish comes true, until the deadline (nanoseconds on CLOCK_MONOTONIC), or until a signal handler has run.
pub fn wait(wishes: &mut [Wish], deadline: Option<i64>) -> Woken {
    let time = deadline.map(|at| {
        let ns = at.saturating_sub(now_ns()).max(0);
        libc::timespec { tv_sec: ns / 1_000_000_000, tv_nsec: ns % 1_000_000_000 }
    });
    let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
    // SAFETY: the wishes and the time outlive the call.
    match unsafe { libc::ppoll(wishes.as_mut_ptr(), wishes.len() as _, time, ptr::null()) } {
        0 => Woken::TimedOut,
        // SAFETY: errno of this thread.
        -1 if unsafe { *libc::__errno_location() } == libc::EINTR => Woken::Interrupted,
        _ => Woken::Maybe,
    }
}
