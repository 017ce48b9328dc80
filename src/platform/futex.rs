//! Private futexes: sleeping on a 32-bit word until another thread of this process changes it.

use std::sync::atomic::AtomicU32;

/// Why a sleep on a futex ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// By a wake-up, or because the word had changed already, or for no reason at all.
    Maybe,
    /// The deadline has passed.
    TimedOut,
    /// A signal handler ran on this thread.
    Interrupted,
}

/// Sleeps while `word` is `expected`, until `deadline` (nanoseconds on CLOCK_MONOTONIC) if there is one.
pub fn wait(word: &AtomicU32, expected: u32, deadline: Option<i64>) -> Woken {
    let time = deadline.map(|ns| {
        let ns = ns.max(0);
        libc::timespec { tv_sec: ns / 1_000_000_000, tv_nsec: ns % 1_000_000_000 }
    });
    let time_ptr = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the word is live for the call and `time_ptr` is null or points to `time`. FUTEX_WAIT_BITSET
    // takes an absolute CLOCK_MONOTONIC time.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG,
            expected,
            time_ptr,
            std::ptr::null::<u32>(),
            libc::FUTEX_BITSET_MATCH_ANY,
        )
    };
    if result == 0 {
        return Woken::Maybe;
    }
    // SAFETY: errno of this thread, just set by the call.
    match unsafe { *libc::__errno_location() } {
        libc::ETIMEDOUT => Woken::TimedOut,
        libc::EINTR => Woken::Interrupted,
        _ => Woken::Maybe,
    }
}

/// Wakes up to `count` sleepers of the word at `address`. The word may be gone: the kernel only compares addresses.
#[allow(clippy::not_unsafe_ptr_arg_deref)]
pub fn wake(address: *const AtomicU32, count: u32) {
    // SAFETY: FUTEX_WAKE with the private flag does not access the word.
    unsafe {
        libc::syscall(libc::SYS_futex, address, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, count.min(i32::MAX as u32))
    };
}
