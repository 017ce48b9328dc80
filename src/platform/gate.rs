//! A gate at which a child waits that has just been forked, until its parent lets it through or has gone.
//!
//! It is a lock on the first byte of a file that both have open: the parent has it for itself before it forks, and shares it
//! when the child may go on. Such locks are a process' own: the child inherits none, and the kernel takes them from a parent
//! that dies. So nobody is left behind at the gate, no descriptor is needed for it that may be wanting, and, unlike PDEATHSIG,
//! it is not the end of the parent's *thread* that counts.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The gate that belongs to a file.
pub struct Gate<'a>(BorrowedFd<'a>);

impl<'a> Gate<'a> {
    /// The gate of a file that nobody has a lock on, but for this. The file is open for reading and writing; to close any
    /// descriptor of it in the parent leaves the child in front of the gate as if the parent had gone.
    pub fn of(file: BorrowedFd<'a>) -> Self {
        Gate(file)
    }

    /// Before the fork: whoever comes waits.
    pub fn shut(&self) -> io::Result<()> {
        self.lock(libc::F_SETLK, libc::F_WRLCK).map(drop)
    }

    /// In the parent: lets the child through.
    pub fn open(&self) -> io::Result<()> {
        self.lock(libc::F_SETLK, libc::F_RDLCK).map(drop)
    }

    /// In the child: waits until it is let through. False: the parent has gone without that. A signal may end it meanwhile.
    pub fn pass(&self) -> bool {
        let shared = loop {
            match self.lock(libc::F_SETLKW, libc::F_RDLCK) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        // A parent that has opened the gate still has its share: somebody else's is in the way of a lock for oneself.
        shared.is_ok() && self.lock(libc::F_GETLK, libc::F_WRLCK).is_ok_and(|found| found != libc::F_UNLCK)
    }

    /// The type of lock that there is after the call, or in the way.
    fn lock(&self, command: libc::c_int, kind: libc::c_int) -> io::Result<libc::c_int> {
        // SAFETY: all zeros is a value of this struct.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        (lock.l_type, lock.l_whence, lock.l_len) = (kind as _, libc::SEEK_SET as _, 1);
        // SAFETY: an open descriptor, and a lock that is read, or overwritten, during the call only.
        match unsafe { libc::fcntl(self.0.as_raw_fd(), command, &raw mut lock) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(lock.l_type.into()),
        }
    }
}
