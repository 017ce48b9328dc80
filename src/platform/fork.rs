//! What fork() does to a library with threads: the child has one thread and copies of locks that
//! threads of the parent held.
//!
//! Every handle remembers the process *epoch* it was made in. fork() raises the child's epoch, so an
//! inherited handle is told from a new one by comparing two numbers, without touching anything a
//! lock protects. State that is global sits in [`ForkCell`]s, which the child replaces instead of
//! repairing.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

static EPOCH: AtomicU32 = AtomicU32::new(0);
static ADMITTED: AtomicU32 = AtomicU32::new(0);

/// The number of forks between the program's start and this process.
pub fn epoch() -> u32 {
    // Relaxed: only the fork handler writes it, while the child has a single thread.
    EPOCH.load(Ordering::Relaxed)
}

/// Starts counting forks. Called before anything is made that a fork would break.
pub fn watch() {
    extern "C" fn in_child() {
        EPOCH.fetch_add(1, Ordering::Relaxed);
    }
    // Not a Once: nobody may wait here for a thread that a fork has left behind.
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.load(Ordering::Relaxed) && !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: the handler is a function of this library, which is never unloaded, and it is async-signal-safe.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    }
}

/// Ends a child that was forked inside a task and has returned from that task: what would come next is the parent's work.
pub fn refuse_to_return() -> ! {
    eprintln!("weft: a child that was forked inside a task must not return from the task; use _exit");
    // SAFETY: ends the process without running what the parent registered.
    unsafe { libc::_exit(70) }
}

/// Ends a child that was forked between a fork and a sync whose half another thread has: there is no such thread here.
pub fn refuse_to_wait() -> ! {
    eprintln!("weft: a forked child cannot wait for the half of a join that a thread of its parent runs; use _exit");
    // SAFETY: as above.
    unsafe { libc::_exit(70) }
}

/// Whether this process may make new objects: it was not forked, or it has called [`admit`] since.
pub fn admitted() -> bool {
    ADMITTED.load(Ordering::Relaxed) == epoch()
}

/// Lets this process make new objects.
pub fn admit() {
    ADMITTED.store(epoch(), Ordering::Relaxed);
}

/// A global that is made on first use and made anew in a forked child. What the parent had is leaked there:
/// its locks may have been held by threads that do not exist in the child.
pub struct ForkCell<T> {
    current: AtomicPtr<Stamped<T>>,
}

struct Stamped<T> {
    epoch: u32,
    value: T,
}

impl<T: Default> Default for ForkCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Default> ForkCell<T> {
    /// An empty cell.
    pub const fn new() -> Self {
        ForkCell { current: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// The value of this process.
    pub fn get(&self) -> &'static T {
        loop {
            // Acquire pairs with the Release half of the exchange below: the value is seen whole.
            let current = self.current.load(Ordering::Acquire);
            // SAFETY: a pointer in `current` came from Box::into_raw below and is never freed.
            if let Some(stamped) = unsafe { current.as_ref() }
                && stamped.epoch == epoch()
            {
                return &stamped.value;
            }
            let fresh = Box::into_raw(Box::new(Stamped { epoch: epoch(), value: T::default() }));
            if self.current.compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                // SAFETY: fresh was made above and has been shared with nobody.
                drop(unsafe { Box::from_raw(fresh) });
            }
        }
    }
}
