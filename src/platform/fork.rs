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
    extern "C" fn before() {
        let step = BEFORE.load(Ordering::Relaxed);
        if !step.is_null() {
            // SAFETY: `complete_before` stores nothing but functions of this type.
            let step = unsafe { std::mem::transmute::<*mut (), fn()>(step) };
            step();
        }
    }
    extern "C" fn in_child() {
        EPOCH.fetch_add(1, Ordering::Relaxed);
    }
    static WATCHED: Once = Once::new();
    // Registered twice it would raise the epoch by two, which is as good.
    WATCHED.call(|| {
        // SAFETY: the handlers are functions of this library, which is never unloaded; the child's is async-signal-safe.
        unsafe { libc::pthread_atfork(Some(before), None, Some(in_child)) };
    });
}

static BEFORE: AtomicPtr<()> = AtomicPtr::new(std::ptr::null_mut());

/// Runs `step` now, and on the thread that forks before each fork. For what another thread may be in the middle of making,
/// once for all, and a child would wait for: when `step` has returned, it has been made. One step for the whole process.
pub fn complete_before(step: fn()) {
    // Relaxed: a function, which stands for itself.
    BEFORE.store(step as *mut (), Ordering::Relaxed);
    step();
}

/// What has to be done before anybody goes on, and does no harm when threads that come together do it twice. std's Once would
/// have one wait for the other, which a fork may have left behind.
#[derive(Default)]
pub struct Once(AtomicBool);

impl Once {
    /// Not done yet.
    pub const fn new() -> Self {
        Once(AtomicBool::new(false))
    }

    /// Returns when `step` has been done.
    pub fn call(&self, step: impl FnOnce()) {
        // Acquire pairs with the Release below: who sees the mark comes after the step.
        if !self.0.load(Ordering::Acquire) {
            step();
            self.0.store(true, Ordering::Release);
        }
    }
}

/// Ends a child that was forked inside a task or a callback and has returned from it: what would come next is the parent's
/// work.
pub fn refuse_to_return() -> ! {
    eprintln!("weft: a child that was forked inside a task or a callback must not return from it; use _exit");
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

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[test]
    fn nobody_goes_on_before_it_is_done() {
        let (once, done) = (Once::new(), AtomicU32::new(0));
        let step = || {
            done.fetch_add(1, Ordering::Relaxed);
        };
        let (first_is_in, second_is_back) = (Barrier::new(2), Barrier::new(2));
        let seen = std::thread::scope(|scope| {
            scope.spawn(|| {
                once.call(|| {
                    first_is_in.wait();
                    second_is_back.wait();
                    step();
                });
            });
            first_is_in.wait();
            once.call(step);
            let seen = done.load(Ordering::Relaxed);
            second_is_back.wait();
            seen
        });
        assert_eq!((seen, done.into_inner()), (1, 2));
        once.call(|| panic!("it is done"));
    }
}
