//! What runs of contexts the calling thread is in: to wait for one of them would never end.

use std::cell::Cell;
use std::ptr;

/// A run on this thread's stack.
struct Here {
    run: *const (),
    /// The pool that it has a permit of; null: none.
    pool: *const (),
    outer: *const Here,
}

thread_local! {
    /// The innermost. A plain word: it may be used at any point of a thread's life.
    static INNERMOST: Cell<*const Here> = const { Cell::new(ptr::null()) };
}

/// Calls `body` as a part of this run.
pub fn within<R>(run: *const (), pool: *const (), body: impl FnOnce() -> R) -> R {
    struct Leave(*const Here);
    impl Drop for Leave {
        fn drop(&mut self) {
            INNERMOST.set(self.0);
        }
    }
    let here = Here { run, pool, outer: INNERMOST.get() };
    let _leave = Leave(here.outer);
    INNERMOST.set(&here);
    body()
}

fn all() -> impl Iterator<Item = &'static Here> {
    // SAFETY: what is linked is in a frame further out on this stack, and stays there while this is used.
    let look = |here: *const Here| unsafe { here.as_ref() };
    std::iter::successors(look(INNERMOST.get()), move |here| look(here.outer))
}

/// Whether this thread is in this run.
pub fn is_in(run: *const ()) -> bool {
    all().any(|here| ptr::eq(here.run, run))
}

/// How many permits of this pool the runs have that this thread is in.
pub fn permits_of(pool: *const ()) -> usize {
    all().filter(|here| ptr::eq(here.pool, pool)).count()
}
