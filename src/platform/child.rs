//! Children of this process: started, told, watched and reaped by descriptors, never by a number that may have become another's.
//!
//! A child is started by posix_spawn, which has the cost of a vfork whatever the size of this process, runs none of its code in
//! between, and says why a program cannot be executed. What posix_spawn knows nothing of (limits, niceness) is set from here
//! before the child gets anything to do.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::socket;

/// A limit on a resource, as of setrlimit.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// An RLIMIT_ number.
    pub resource: i32,
    /// What counts now.
    pub soft: u64,
    /// What it may be raised to.
    pub hard: u64,
}

/// How a program is started.
#[derive(Clone, Debug)]
pub struct Program {
    /// What is executed; without a slash it is looked for in PATH.
    pub file: CString,
    /// Its arguments, the first included.
    pub argv: Vec<CString>,
    /// Its environment, whole.
    pub env: Vec<CString>,
    /// Where it begins; None: where this process is.
    pub directory: Option<CString>,
    /// Added to the niceness of this process.
    pub nice: i32,
    /// Set before `start` returns, a moment after the program has been.
    pub limits: Vec<Limit>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// Somebody else in this process has reaped it.
    Unknown,
}

/// A process that was started from here.
#[derive(Debug)]
pub struct Child {
    pid: i32,
    fd: OwnedFd,
}

fn check(error: libc::c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    strings.iter().map(|string| string.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}

/// What posix_spawn does in the child.
struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: makes it, or says that it has not.
        unsafe {
            check(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            Ok(Actions(actions.assume_init()))
        }
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: made by `new`.
        unsafe { libc::posix_spawn_file_actions_destroy(&mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    /// No signal blocked or ignored: what this process does with its signals is its own.
    fn new() -> io::Result<Self> {
        let mut made = MaybeUninit::uninit();
        // SAFETY: makes it, or says that it has not; sets are filled before they are used.
        unsafe {
            check(libc::posix_spawnattr_init(made.as_mut_ptr()))?;
            let mut attributes = Attributes(made.assume_init());
            let (mut none, mut all) = (MaybeUninit::uninit(), MaybeUninit::uninit());
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigfillset(all.as_mut_ptr());
            check(libc::posix_spawnattr_setsigmask(&mut attributes.0, none.as_ptr()))?;
            check(libc::posix_spawnattr_setsigdefault(&mut attributes.0, all.as_ptr()))?;
            let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
            check(libc::posix_spawnattr_setflags(&mut attributes.0, flags as libc::c_short))?;
            Ok(attributes)
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: made by `new`.
        unsafe { libc::posix_spawnattr_destroy(&mut self.0) };
    }
}

impl Program {
    /// Starts it with `keep` open, under its number.
    pub fn start(&self, keep: &OwnedFd) -> io::Result<Child> {
        let (mut actions, attributes) = (Actions::new()?, Attributes::new()?);
        let (argv, env) = (pointers(&self.argv), pointers(&self.env));
        let mut pid = 0;
        // SAFETY: everything that the calls lead to outlives them. A descriptor that is duplicated to its own number loses the
        // flag that closes it, and nothing else happens.
        unsafe {
            let fd = keep.as_raw_fd();
            check(libc::posix_spawn_file_actions_adddup2(&mut actions.0, fd, fd))?;
            if let Some(directory) = &self.directory {
                check(libc::posix_spawn_file_actions_addchdir_np(&mut actions.0, directory.as_ptr()))?;
            }
            let (file, argv, env) = (self.file.as_ptr(), argv.as_ptr(), env.as_ptr());
            check(libc::posix_spawnp(&mut pid, file, &actions.0, &attributes.0, argv, env))?;
        }
        let child = Child::of(pid)?;
        self.restrict(&child).inspect_err(|_| {
            child.signal(libc::SIGKILL);
            child.reap();
        })?;
        Ok(child)
    }

    fn restrict(&self, child: &Child) -> io::Result<()> {
        for limit in &self.limits {
            let new = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
            // SAFETY: a number, and a limit to be read.
            match unsafe { libc::prlimit(child.pid, limit.resource as _, &new, ptr::null_mut()) } {
                0 => {}
                _ => return Err(io::Error::last_os_error()),
            }
        }
        if self.nice != 0 {
            // SAFETY: numbers. Niceness is at most 20 away from 0, and what is beyond is cut by the system.
            let done = unsafe {
                let own = libc::getpriority(libc::PRIO_PROCESS, 0);
                libc::setpriority(libc::PRIO_PROCESS, child.pid as _, own.saturating_add(self.nice))
            };
            if done != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }
}

impl Child {
    /// A child of this process that has not been reaped. Another process is refused: it would be killed one day.
    pub fn of(pid: i32) -> io::Result<Child> {
        // SAFETY: numbers.
        let fd = match unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } {
            -1 => return Err(io::Error::last_os_error()),
            // SAFETY: just made, and nobody else's.
            fd => unsafe { OwnedFd::from_raw_fd(fd as RawFd) },
        };
        let look = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
        // SAFETY: all zeros is a value of this struct, and a place for an answer that nobody asks for.
        match unsafe { libc::waitid(libc::P_PIDFD, fd.as_raw_fd() as libc::id_t, &mut std::mem::zeroed(), look) } {
            0 => Ok(Child { pid, fd }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Its number, for people.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// What is readable once it has ended.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Sends a signal. One that has ended gets none.
    pub fn signal(&self, signal: i32) {
        // SAFETY: a descriptor and numbers.
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.fd(), signal, ptr::null::<libc::siginfo_t>(), 0) };
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        let mut wish = [socket::wish(self.fd(), socket::READABLE)];
        socket::wait(&mut wish, Some(0));
        wish[0].revents != 0
    }

    /// Waits for its end, and takes away what is left of it.
    pub fn reap(&self) -> End {
        // SAFETY: all zeros is a value of this struct.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        loop {
            // SAFETY: a descriptor, and a place for the answer, which has these fields when the call has succeeded.
            unsafe {
                if libc::waitid(libc::P_PIDFD, self.fd() as libc::id_t, &mut info, libc::WEXITED) == 0 {
                    return match info.si_code {
                        libc::CLD_EXITED => End::Exited(info.si_status()),
                        _ => End::Signalled(info.si_status()),
                    };
                }
            }
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return End::Unknown;
            }
        }
    }

    /// Bytes of memory that it occupies; None: nobody knows any more.
    pub fn resident(&self) -> Option<usize> {
        resident(&format!("/proc/{}/statm", self.pid))
    }
}

fn resident(path: &str) -> Option<usize> {
    let text = std::fs::read_to_string(path).ok()?;
    let pages: usize = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages.saturating_mul(super::shared::page_size()))
}

/// Bytes of memory that this process occupies.
pub fn own_resident() -> Option<usize> {
    resident("/proc/self/statm")
}

/// Has this process killed when the thread that has started it ends, and tells whether `parent` still is its parent.
pub fn die_with_parent(parent: i32) -> bool {
    // SAFETY: numbers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::getppid() == parent
    }
}

/// Closes a descriptor whose owner is in the parent of this forked process, and is not used here.
pub fn close(fd: RawFd) {
    // SAFETY: a number; whoever owns it does nothing in this process.
    unsafe { libc::close(fd) };
}

/// This process' number.
pub fn own_pid() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::getpid() }
}

/// What a signal is called.
pub fn signal_name(signal: i32) -> String {
    // SAFETY: strsignal takes any number; what it returns is copied at once. It is this thread's, or static.
    unsafe {
        let name = libc::strsignal(signal);
        if name.is_null() { String::new() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}

/// This process' environment.
pub fn environment() -> Vec<CString> {
    use std::os::unix::ffi::OsStringExt;
    std::env::vars_os()
        .filter_map(|(name, value)| CString::new([name.into_vec(), b"=".into(), value.into_vec()].concat()).ok())
        .collect()
}
