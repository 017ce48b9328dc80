//! Memory that processes share: a file without a name, of a size that nobody can change.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};

/// Without these a peer could take memory away that is mapped: reading it would be SIGBUS.
const SIZE_SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;

/// Bytes of a page.
pub fn page_size() -> usize {
    // SAFETY: sysconf reads a constant of the system.
    (unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).max(4096) as usize
}

/// A file of this many zeros. Closed on exec.
pub fn create(len: usize) -> io::Result<OwnedFd> {
    // SAFETY: a C string and a number.
    let fd = unsafe { libc::memfd_create(c"weft-link".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let len = libc::off_t::try_from(len).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
    // SAFETY: an open descriptor and numbers.
    let done = unsafe {
        libc::ftruncate(fd.as_raw_fd(), len) == 0
            && libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, SIZE_SEALS | libc::F_SEAL_SEAL) == 0
    };
    if done { Ok(fd) } else { Err(io::Error::last_os_error()) }
}

/// Whether a file that somebody else has made has this size, and keeps it.
pub fn is_sealed(fd: &OwnedFd, len: usize) -> bool {
    // SAFETY: an open descriptor. Seals exist for such files alone.
    let seals = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) };
    if seals < 0 || seals & SIZE_SEALS != SIZE_SEALS {
        return false;
    }
    // SAFETY: all zeros is a value of this struct.
    let mut facts: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: an open descriptor and a place for the facts.
    unsafe { libc::fstat(fd.as_raw_fd(), &mut facts) == 0 && facts.st_size as u64 == len as u64 }
}

/// Addresses, and what is mapped there; gone with it.
pub struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: addresses, which any thread may use.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps parts of the file (offset and length, whole pages) one behind the other.
    pub fn of(fd: RawFd, parts: &[(usize, usize)]) -> io::Result<Mapping> {
        let len = parts.iter().map(|part| part.1).sum();
        // SAFETY: fresh addresses of the kernel's choice.
        let base = unsafe {
            libc::mmap(ptr::null_mut(), len, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Mapping { base, len };
        let mut at = 0;
        for &(offset, len) in parts {
            // SAFETY: inside the addresses that are ours since the call above.
            let mapped = unsafe {
                libc::mmap(
                    base.as_ptr().add(at).cast(),
                    len,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_SHARED | libc::MAP_FIXED,
                    fd,
                    offset as libc::off_t,
                )
            };
            if mapped == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            at += len;
        }
        Ok(mapping)
    }

    /// Where it begins; on a page.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: ours, and nobody uses it any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
