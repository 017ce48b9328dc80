//! Waiting for the end of a thread without waiting for ever, which std's JoinHandle cannot.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::os::unix::thread::{JoinHandleExt, RawPthread};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::clock::now_ns;

/// A value of each thread's that the system hands over when the thread ends. Not a thread-local with a destructor: those are
/// refused on threads that end already, and need the C++ runtime's help.
pub struct EndKey(
    /// 1 + the system's key; 0: none yet. Not a Once: nobody may wait here for a thread that a fork has left behind.
    AtomicU64,
);

thread_local! {
    /// Whether the thread is known to be ending.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// Said by what `at_end` calls: nothing more is to be called at the end of this thread. It may go on in later destructors, but its tools
/// (ThreadSanitizer's, say) have gone by the time of what would be asked for there.
pub fn ends() {
    ENDING.set(true);
}

/// Whether the thread is known to be ending.
pub fn is_ending() -> bool {
    ENDING.get()
}

impl EndKey {
    /// A key for which nothing has been asked of the system yet.
    pub const fn new() -> Self {
        EndKey(AtomicU64::new(0))
    }

    /// Calls `end(value)` when the calling thread ends; of several calls the last one counts. False: the system has no key
    /// left, or no memory, or the thread [ends] already.
    ///
    /// # Safety
    /// All calls name the same `end`, which may be called with `value` on this thread. The key is static.
    pub unsafe fn at_end(&self, end: extern "C" fn(*mut c_void), value: *mut c_void) -> bool {
        if is_ending() {
            return false;
        }
        // Relaxed: the key is a number that the system knows.
        let mut key = self.0.load(Ordering::Relaxed);
        if key == 0 {
            let mut made = 0;
            // SAFETY: `made` is a place for the key. This library, and `end` with it, is never unloaded.
            if unsafe { libc::pthread_key_create(&mut made, Some(end as unsafe extern "C" fn(*mut c_void))) } != 0 {
                return false;
            }
            key = u64::from(made) + 1;
            if let Err(other) = self.0.compare_exchange(0, key, Ordering::Relaxed, Ordering::Relaxed) {
                // SAFETY: made above, and used by nobody.
                unsafe { libc::pthread_key_delete(made) };
                key = other;
            }
        }
        // SAFETY: a key that exists, as nobody deletes the one in the word.
        unsafe { libc::pthread_setspecific((key - 1) as libc::pthread_key_t, value) == 0 }
    }

    /// The calling thread's value; null: none.
    pub fn get(&self) -> *mut c_void {
        match self.0.load(Ordering::Relaxed) {
            0 => ptr::null_mut(),
            // SAFETY: as above.
            key => unsafe { libc::pthread_getspecific((key - 1) as libc::pthread_key_t) },
        }
    }
}

impl Default for EndKey {
    fn default() -> Self {
        Self::new()
    }
}

/// The system's number for the calling thread.
pub fn id() -> i32 {
    // SAFETY: gettid has no requirements.
    unsafe { libc::gettid() }
}

/// Tells the calling thread from all others that are alive: where the system keeps its block. Not zero; read in one instruction.
#[inline(always)]
pub fn block() -> usize {
    let block: usize;
    // SAFETY: reads the thread pointer. On x86-64 what it points to begins with its own address (the ABI of thread-local storage).
    unsafe {
        #[cfg(target_arch = "x86_64")]
        std::arch::asm!("mov {}, qword ptr fs:0", out(reg) block, options(pure, readonly, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        std::arch::asm!("mrs {}, tpidr_el0", out(reg) block, options(pure, nomem, nostack, preserves_flags));
    }
    block
}

/// How far the calling thread's stack reaches. A local's address would not tell: AddressSanitizer keeps locals elsewhere.
#[inline]
pub fn stack_pointer() -> usize {
    let pointer: usize;
    // SAFETY: copies a register.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        std::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        std::arch::asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}

/// Bytes of stack that the calling thread has left. 0 on a stack that is not the system's (a coroutine's, say).
pub fn stack_left() -> usize {
    thread_local! {
        /// The thread's stack. Asked for once: it may cost the system a look at all mappings.
        static STACK: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    }
    let (mut bottom, mut top) = STACK.get();
    if top == 0 {
        (bottom, top) = stack_bounds().unwrap_or((0, 1));
        STACK.set((bottom, top));
    }
    let pointer = stack_pointer();
    if (bottom..top).contains(&pointer) { pointer - bottom } else { 0 }
}

/// The lowest address of the calling thread's stack, and the one above it.
fn stack_bounds() -> Option<(usize, usize)> {
    // SAFETY: `attributes` is made before it is asked, and destroyed once; the thread is this one.
    unsafe {
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let (mut bottom, mut size) = (ptr::null_mut(), 0);
        let asked = libc::pthread_attr_getstack(attributes.as_ptr(), &mut bottom, &mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        (asked == 0).then(|| (bottom.addr(), bottom.addr().saturating_add(size)))
    }
}

/// A thread that has not been joined. Dropped, it is detached.
pub struct Thread(Option<RawPthread>);

impl Thread {
    /// Takes over from std.
    pub fn new(thread: JoinHandle<()>) -> Self {
        Thread(Some(thread.into_pthread_t()))
    }

    fn is_current(&self) -> bool {
        // SAFETY: pthread_self has no requirements.
        self.0 == Some(unsafe { libc::pthread_self() })
    }

    /// Joins the thread if it has ended, and gives it back if not.
    pub fn try_join(self) -> Result<(), Thread> {
        if self.is_current() {
            return Err(self);
        }
        // SAFETY: `joined` hands over a thread that is ours to join.
        self.joined(|thread| unsafe { libc::pthread_tryjoin_np(thread, ptr::null_mut()) })
    }

    /// Waits until the thread has ended, or until `deadline` (nanoseconds on CLOCK_MONOTONIC; None: for ever), and gives
    /// it back in the second case. A thread does not wait for itself; it is detached.
    pub fn join(self, deadline: Option<i64>) -> Result<(), Thread> {
        if self.is_current() {
            return Ok(());
        }
        let Some(deadline) = deadline else {
            // SAFETY: as in try_join.
            return self.joined(|thread| unsafe { libc::pthread_join(thread, ptr::null_mut()) });
        };
        // On the wall clock: ThreadSanitizer knows no join with another. A clock that is set meanwhile shifts the deadline.
        let mut wall = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `wall` is a valid place for the result.
        unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut wall) };
        let ns = wall.tv_nsec.saturating_add(deadline.saturating_sub(now_ns()).max(0));
        let time =
            libc::timespec { tv_sec: wall.tv_sec.saturating_add(ns / 1_000_000_000), tv_nsec: ns % 1_000_000_000 };
        // SAFETY: as in try_join; `time` lives through the call.
        self.joined(|thread| unsafe { libc::pthread_timedjoin_np(thread, ptr::null_mut(), &time) })
    }

    fn joined(mut self, join: impl FnOnce(RawPthread) -> libc::c_int) -> Result<(), Thread> {
        let Some(thread) = self.0 else { return Ok(()) };
        match join(thread) {
            libc::EBUSY | libc::ETIMEDOUT => Err(self),
            _ => {
                self.0 = None;
                Ok(())
            }
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some(thread) = self.0 {
            // SAFETY: the thread is ours, and has been neither joined nor detached.
            unsafe { libc::pthread_detach(thread) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_that_is_left_gets_less() {
        #[inline(never)]
        fn deeper() -> usize {
            let mut filler = [0u8; 16 << 10];
            std::hint::black_box(&mut filler);
            stack_left()
        }
        let body = || {
            let (here, there) = (stack_left(), deeper());
            (here, here.saturating_sub(there))
        };
        let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(body).unwrap();
        let (left, used) = thread.join().unwrap();
        // AddressSanitizer keeps locals elsewhere, so `used` has no lower bound but this.
        assert!(left > 512 << 10 && left <= 2 << 20, "{left}");
        assert!(used > 0, "{used}");
    }
}
