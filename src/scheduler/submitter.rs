//! Which outbox is the calling thread's.
//!
//! A thread that submits to a runtime for the first time adopts an outbox there, and notes it in a record. The one it used
//! last is in a thread-local word without a destructor. That the thread ends is told by the value of a pthread key, whose
//! destructor leaves all outboxes to others. A thread that submits while it ends (from another destructor) goes the long
//! way, as threads do on a system that has no key left: through a lane.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::outbox::{Outbox, Outboxes};
use super::task::Table;
use crate::platform::thread::{self, EndKey};

type Own = Outbox<&'static Table>;

/// What tells runtimes apart, also when one is made where another was. In a forked child the count goes on, so what it
/// inherits fits none of its runtimes.
pub fn new_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A thread's outboxes, by runtime.
#[derive(Default)]
struct Record(Vec<(u64, Arc<Own>)>);

thread_local! {
    /// The outbox used last, and the runtime it belongs to; the record keeps it. 0 is no runtime.
    static LAST: Cell<(u64, *const Own)> = const { Cell::new((0, ptr::null())) };
    static RECORD: Cell<*mut Record> = const { Cell::new(ptr::null_mut()) };
    static ENDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls `f` with the calling thread's outbox at a runtime, which is the calling thread's until `f` returns; None: it has
/// none and can have none.
pub fn with_own<R>(id: u64, all: &Outboxes<&'static Table>, f: impl FnOnce(Option<&Own>) -> R) -> R {
    let (last, outbox) = LAST.get();
    if last != id {
        return f(find(id, all).as_deref());
    }
    // SAFETY: the record, which is the thread's own, keeps it; `f` does not end the thread.
    f(Some(unsafe { &*outbox }))
}

#[cold]
fn find(id: u64, all: &Outboxes<&'static Table>) -> Option<Arc<Own>> {
    if ENDED.get() {
        return None;
    }
    if RECORD.get().is_null() {
        let record = Box::into_raw(Box::<Record>::default());
        static KEY: EndKey = EndKey::new();
        // SAFETY: the only call; the record is this thread's, and is freed by `end` alone.
        if !unsafe { KEY.at_end(end, record.cast()) } {
            // SAFETY: made above, and known to nobody.
            drop(unsafe { Box::from_raw(record) });
            return None;
        }
        RECORD.set(record);
    }
    // SAFETY: made above by this thread, which alone uses it and frees it when it ends. Nothing in here comes back here.
    let record = unsafe { &mut (*RECORD.get()).0 };
    let outbox = match record.iter().find(|(runtime, _)| *runtime == id) {
        Some((_, outbox)) => outbox.clone(),
        None => {
            // Those whose runtime has gone; the last one may be among them.
            record.retain(|(_, outbox)| Arc::strong_count(outbox) > 1);
            let outbox = all.adopt()?;
            record.push((id, outbox.clone()));
            outbox
        }
    };
    LAST.set((id, Arc::as_ptr(&outbox)));
    Some(outbox)
}

/// The thread ends.
extern "C" fn end(record: *mut c_void) {
    thread::ends();
    ENDED.set(true);
    LAST.set((0, ptr::null()));
    RECORD.set(ptr::null_mut());
    // SAFETY: the value given to `at_end`, once.
    let record = unsafe { Box::from_raw(record.cast::<Record>()) };
    for (_, outbox) in record.0 {
        // SAFETY: this thread's, and with ENDED set it uses none any more.
        unsafe { outbox.leave() };
    }
}
