//! A memory barrier that one thread runs on all others of its process: membarrier(2), private and expedited.

use std::sync::atomic::{AtomicU32, Ordering};

const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

const UNKNOWN: u32 = 0;
const AVAILABLE: u32 = 1;
const REFUSED: u32 = 2;

/// What the system said. A forked child inherits it, like the registration itself.
static STATE: AtomicU32 = AtomicU32::new(UNKNOWN);

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: the call reads nothing but its arguments.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Whether `barrier` works here; registers the process the first time.
pub fn is_available() -> bool {
    // Relaxed: the answer stands for itself, and asking twice gives the same.
    match STATE.load(Ordering::Relaxed) {
        UNKNOWN => {
            let available = membarrier(REGISTER_PRIVATE_EXPEDITED) && membarrier(PRIVATE_EXPEDITED);
            STATE.store(if available { AVAILABLE } else { REFUSED }, Ordering::Relaxed);
            available
        }
        state => state == AVAILABLE,
    }
}

/// A full barrier on every running thread of the process (a thread that is not running passes one when it goes on).
///
/// If a filter for system calls was installed since `is_available` said yes, nobody relies on the barrier from now on.
/// What is under way needs one still: a pause stands in for it, in which every processor has long written back what it
/// holds. That happens a few times at most in the life of a process.
pub fn barrier() {
    if !membarrier(PRIVATE_EXPEDITED) {
        STATE.store(REFUSED, Ordering::Relaxed);
        let pause = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        // SAFETY: reads `pause`; a signal may end it early, which is long enough still.
        unsafe { libc::nanosleep(&pause, std::ptr::null_mut()) };
    }
}
