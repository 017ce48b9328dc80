//! The only room with raw system calls: futexes, the clock, the alarm, descriptors, sockets, shared memory, children, affinity, signals,
//! what a fork changes, and a few facts about the machine. Everything else in the crate is portable Rust.

pub mod affinity;
pub mod alarm;
#[cfg(not(weft_loom))]
pub mod child;
pub mod clock;
pub mod epoll;
pub mod eventfd;
pub mod fork;
#[cfg(not(weft_loom))]
pub mod forking;
pub mod futex;
#[cfg(not(weft_loom))]
pub mod gate;
#[cfg(not(weft_loom))]
pub mod local;
pub mod membarrier;
#[cfg(not(weft_loom))]
pub mod parcel;
#[cfg(not(weft_loom))]
pub mod readiness;
#[cfg(not(weft_loom))]
pub mod shared;
pub mod signals;
#[cfg(not(weft_loom))]
pub mod socket;
pub mod thread;

/// Gives the CPU to another thread that wants it.
pub fn yield_now() {
    // SAFETY: sched_yield takes no arguments and cannot fail on Linux.
    unsafe { libc::sched_yield() };
}

/// Has the processor fetch the cache line of an address for writing, if it can; any address will do.
#[inline(always)]
pub fn prefetch_to_write(address: *const u8) {
    // SAFETY: a hint, which never faults. Processors without this one take it for nothing.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_ET0 }>(address.cast());
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        std::arch::asm!("prfm pstl1keep, [{}]", in(reg) address, options(nostack, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

/// CPUs that are online, at least 1; asked of the system once.
pub fn online_cpus() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CPUS: AtomicU32 = AtomicU32::new(0);
    // Relaxed: the number stands for itself, and every thread computes the same one.
    match CPUS.load(Ordering::Relaxed) {
        0 => {
            // SAFETY: sysconf reads a constant of the system.
            let cpus = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }.clamp(1, 1 << 20) as u32;
            CPUS.store(cpus, Ordering::Relaxed);
            cpus
        }
        cpus => cpus,
    }
}

/// The CPU that the calling thread runs on at the moment; a negative number where the system does not say.
pub fn this_cpu() -> i32 {
    // SAFETY: reads a word of the thread's own.
    unsafe { libc::sched_getcpu() }
}

/// Whether the kernel has the private expedited membarrier.
pub fn has_membarrier() -> bool {
    const QUERY: libc::c_int = 0;
    const PRIVATE_EXPEDITED: libc::c_long = 1 << 3;
    // SAFETY: the query command reads nothing but its arguments.
    let commands = unsafe { libc::syscall(libc::SYS_membarrier, QUERY, 0, 0) };
    commands > 0 && commands & PRIVATE_EXPEDITED != 0
}

/// Runs `hook` when the process exits normally, before the static destructors of objects that were made earlier.
pub fn at_exit(hook: extern "C" fn()) -> bool {
    // SAFETY: hook is a function of this library, which is linked so that it is never unloaded.
    unsafe { libc::atexit(hook) == 0 }
}

/// Whether this machine has more than one NUMA node. Read from sysfs: loading a topology takes milliseconds.
pub fn has_several_nodes() -> bool {
    let nodes = std::fs::read_to_string("/sys/devices/system/node/online").unwrap_or_default();
    nodes.contains(['-', ','])
}
