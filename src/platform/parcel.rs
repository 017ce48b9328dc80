//! A file in memory that one process fills and another takes over when the first has ended: for results of any size, which
//! nobody has to read while they are written.

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// Nobody can change what is in it any more.
const SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// The file.
pub struct Parcel {
    fd: OwnedFd,
    /// What tells it from every other file.
    identity: (libc::dev_t, libc::ino_t),
}

impl AsFd for Parcel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Parcel {
    /// An empty one. Closed on exec.
    pub fn new() -> io::Result<Self> {
        // SAFETY: a C string and a number.
        let fd = unsafe { libc::memfd_create(c"weft-result".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let facts = facts(&fd)?;
        Ok(Parcel { fd, identity: (facts.st_dev, facts.st_ino) })
    }

    /// Whether its descriptor still leads to it. The program may have closed all that there were, and the number may be
    /// another file's by now, which must not be written to.
    pub fn is_there(&self) -> bool {
        facts(&self.fd).is_ok_and(|facts| (facts.st_dev, facts.st_ino) == self.identity)
    }

    /// Empties it.
    pub fn clear(&self) -> io::Result<()> {
        // SAFETY: a descriptor and a number.
        match unsafe { libc::ftruncate(self.fd.as_raw_fd(), 0) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Writes all of it at this place.
    pub fn write(&self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            // SAFETY: reads a slice.
            let n = unsafe { libc::pwrite(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), at as libc::off_t) };
            match n {
                1.. => {
                    bytes = &bytes[n as usize..];
                    at += n as u64;
                }
                0 => return Err(io::Error::from_raw_os_error(libc::ENOSPC)),
                _ => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads as many bytes from this place; false: there are less.
    pub fn read(&self, mut bytes: &mut [u8], mut at: u64) -> bool {
        while !bytes.is_empty() {
            // SAFETY: writes to a slice.
            let n =
                unsafe { libc::pread(self.fd.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), at as libc::off_t) };
            match n {
                1.. => {
                    bytes = &mut bytes[n as usize..];
                    at += n as u64;
                }
                0 => return false,
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => return false,
            }
        }
        true
    }

    /// How long it is.
    pub fn len(&self) -> u64 {
        facts(&self.fd).map_or(0, |facts| facts.st_size as u64)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it, `len` bytes that never change from now on, mapped. None: somebody may still write to it, or has made it another
    /// size.
    pub fn map(&self, len: usize) -> Option<Mapped> {
        // SAFETY: an open descriptor and numbers.
        if unsafe { libc::fcntl(self.fd.as_raw_fd(), libc::F_ADD_SEALS, SEALS) } != 0
            || self.len() != len as u64
            || len == 0
        {
            return None;
        }
        // SAFETY: a mapping of its own.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ, libc::MAP_PRIVATE, self.fd.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED { None } else { Some(Mapped { base, len }) }
    }
}

fn facts(fd: &OwnedFd) -> io::Result<libc::stat> {
    // SAFETY: all zeros is a value of this struct.
    let mut facts: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a number, and a place for the facts.
    match unsafe { libc::fstat(fd.as_raw_fd(), &mut facts) } {
        0 => Ok(facts),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A parcel in memory.
pub struct Mapped {
    base: *mut c_void,
    len: usize,
}

impl Mapped {
    /// Where it is, and how long; given up, for [`unmap`].
    pub fn into_raw(self) -> (*mut c_void, usize) {
        let this = std::mem::ManuallyDrop::new(self);
        (this.base, this.len)
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped in `map`, once.
        unsafe { unmap(self.base, self.len) };
    }
}

/// Ends a mapping.
///
/// # Safety
/// Both came from [`Mapped::into_raw`], once, and nobody uses it any more.
pub unsafe fn unmap(base: *mut c_void, len: usize) {
    // SAFETY: promised by the caller.
    unsafe { libc::munmap(base, len) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_mapped_and_stays() {
        let parcel = Parcel::new().unwrap();
        assert!(parcel.is_empty());
        parcel.write(b"world", 6).unwrap();
        parcel.write(b"hello ", 0).unwrap();
        let mut read = [0; 5];
        assert!(parcel.read(&mut read, 6) && &read == b"world");
        assert!(!parcel.read(&mut read, 7));
        let mapped = parcel.map(11).unwrap();
        assert!(parcel.map(10).is_none(), "another length");
        assert!(parcel.write(b"x", 0).is_err(), "sealed");
        let (base, len) = mapped.into_raw();
        // SAFETY: mapped above.
        unsafe {
            assert_eq!(std::slice::from_raw_parts(base.cast::<u8>(), len), b"hello world");
            unmap(base, len);
        }
    }
}
