//! Children that are copies of this process: making them, and learning of their end by pidfd alone, so that nobody else's
//! children are ever reaped here.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::gate::Gate;
use super::signals::Blocked;

/// How a child has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By exit, with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// Somebody else has taken its status: a wait for any child, or because SIGCHLD is ignored.
    Unknown,
}

/// A child, until it has been reaped.
pub struct Pid {
    number: libc::pid_t,
    fd: OwnedFd,
}

/// The status of a child whose parent has gone before it could begin: for nobody.
const UNWANTED: i32 = 1;

/// A child that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    /// How.
    pub end: End,
    /// The most memory it had, in bytes; 0: not known.
    pub peak_rss: u64,
}

/// Forks, and runs `child` in the child when it has passed the gate, which has been shut; it ends by _exit with what that
/// returns. The child begins with the caller's signal mask, with SIGTERM let through and as the system has it by default,
/// whatever the program made of it: so that it can be ended, also at the gate. On failure it has not begun, and is gone.
pub fn fork(gate: &Gate, child: impl FnOnce() -> i32) -> io::Result<Pid> {
    // No handler of the program's runs in the child before the mask is restored.
    let before = Blocked::current();
    Blocked::all().apply();
    // SAFETY: the handlers that are registered run. What the child may do is the caller's business.
    let number = unsafe { libc::fork() };
    if number == 0 {
        // SAFETY: sets a disposition.
        unsafe {
            libc::signal(libc::SIGTERM, libc::SIG_DFL);
        }
        Blocked::all().without(libc::SIGTERM).apply();
        let status = if gate.pass() {
            before.without(libc::SIGTERM).apply();
            child()
        } else {
            UNWANTED
        };
        // SAFETY: ends the process without running what the parent registered.
        unsafe { libc::_exit(status) };
    }
    let error = io::Error::last_os_error();
    before.apply();
    if number < 0 {
        return Err(error);
    }
    // SAFETY: two numbers. The child is ours, and its number stays its own until it has been reaped.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, number, 0) } as libc::c_int;
    if fd >= 0 {
        // SAFETY: just made, and nobody else's.
        return Ok(Pid { number, fd: unsafe { OwnedFd::from_raw_fd(fd) } });
    }
    let error = io::Error::last_os_error();
    // Else somebody has killed and reaped it, and the number may be another's.
    if error.raw_os_error() != Some(libc::ESRCH) {
        // SAFETY: the child waits at the gate, see above; nothing is asked of how it has ended.
        unsafe {
            libc::kill(number, libc::SIGKILL);
            while libc::waitpid(number, std::ptr::null_mut(), 0) < 0
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
        }
    }
    Err(error)
}

/// Whether this system has what `fork` needs.
pub fn is_supported() -> io::Result<()> {
    // SAFETY: asks for a descriptor of this very process.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) } as libc::c_int;
    if fd < 0 {
        let error = io::Error::last_os_error();
        // Of descriptors there may be more later.
        return match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => Ok(()),
            _ => Err(error),
        };
    }
    // SAFETY: just made, and nobody else's.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

impl Pid {
    /// Its number.
    pub fn number(&self) -> i32 {
        self.number
    }

    /// A descriptor that is readable once it has ended.
    pub fn fd(&self) -> i32 {
        self.fd.as_raw_fd()
    }

    /// Sends it a signal; nothing if it has ended.
    pub fn signal(&self, signal: i32) {
        // SAFETY: a descriptor and numbers; no information goes with it.
        unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
        };
    }

    /// Reaps it if it has ended. With `wait` it waits for that, which is for those who have killed it.
    pub fn reap(&self, wait: bool) -> Option<Reaped> {
        const P_PIDFD: libc::c_long = 3;
        let flags = libc::WEXITED | if wait { 0 } else { libc::WNOHANG };
        loop {
            // SAFETY: all zeros is a value of these structs.
            let (mut info, mut usage): (libc::siginfo_t, libc::rusage) = unsafe { std::mem::zeroed() };
            // SAFETY: places for the results. The system call: libc's function does not tell of what was used.
            let done =
                unsafe { libc::syscall(libc::SYS_waitid, P_PIDFD, self.fd(), &raw mut info, flags, &raw mut usage) };
            if done == 0 {
                // SAFETY: filled in by the call, or left as zeros.
                let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
                if pid == 0 {
                    return None;
                }
                let end = if info.si_code == libc::CLD_EXITED { End::Exited(status) } else { End::Killed(status) };
                return Some(Reaped { end, peak_rss: usage.ru_maxrss.max(0) as u64 * 1024 });
            }
            if io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
                return Some(Reaped { end: End::Unknown, peak_rss: 0 });
            }
        }
    }
}
