//! Two fences that pair: one that costs nothing, for those who pass often, and one that runs a barrier on all other threads.
//!
//! Between two threads, `light` on one side and `heavy` on the other order what comes before and after them as two SeqCst
//! fences would. So they are modelled as that.

use super::atomic::{Ordering, fence};

/// Whether `heavy` works on this system. If not, the frequent side needs a fence.
#[cfg(not(weft_loom))]
pub fn is_available() -> bool {
    crate::platform::membarrier::is_available()
}

/// The frequent side: keeps the compiler from reordering, and leaves the processor to `heavy`.
#[cfg(not(weft_loom))]
pub fn light() {
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
}

/// The rare side: a system call of a microsecond or more.
#[cfg(not(weft_loom))]
pub fn heavy() {
    fence(Ordering::SeqCst);
    crate::platform::membarrier::barrier();
}

#[cfg(weft_loom)]
pub use modelled::{heavy, is_available, light};

/// A model says on which system it runs: on one without the barrier, `light` is nothing, and the fences that stand in for it
/// are put to the test.
#[cfg(weft_loom)]
pub mod modelled {
    use super::*;
    use std::cell::Cell;

    thread_local! {
        // loom runs all threads of a model on one of the system's.
        static AVAILABLE: Cell<bool> = const { Cell::new(true) };
    }

    /// Chooses the system for the models that this thread runs.
    pub fn set_available(available: bool) {
        AVAILABLE.set(available);
    }

    pub fn is_available() -> bool {
        AVAILABLE.get()
    }

    pub fn light() {
        if is_available() {
            fence(Ordering::SeqCst);
        }
    }

    pub fn heavy() {
        fence(Ordering::SeqCst);
    }
}
