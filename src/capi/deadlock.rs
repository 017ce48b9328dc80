//! Deadlocks.

use std::ffi::{c_char, c_void};

use super::args::{invalid, may_create};
use super::boundary::boundary;
use super::types::weft_status;
use crate::observe::deadlock::{self, Deadlock, Hook};

/// weft_deadlock_watch: a deadlock is told, and the threads wait on.
pub const WEFT_DEADLOCK_REPORT: i32 = 0;
/// weft_deadlock_watch: the process aborts, with the message on standard error. For tests.
pub const WEFT_DEADLOCK_ABORT: i32 = 1;

/// A wait that is part of a deadlock.
#[repr(C)]
pub struct weft_deadlock_wait {
    /// The name of the task that waits, or "".
    pub task: *const c_char,
    /// The name of its runtime, or "".
    pub runtime: *const c_char,
    /// What it waits for, which is up to the next one.
    pub awaited: *const c_char,
    /// The worker's index, -1 outside.
    pub worker: i32,
    /// The system's number for its thread (gettid).
    pub thread: i32,
}

/// A deadlock, as it was when it was found. Valid until the callback returns.
#[repr(C)]
pub struct weft_deadlock {
    /// sizeof(weft_deadlock), as the library knows it.
    pub size: usize,
    /// weft_deadlock_count at that time.
    pub number: u64,
    /// Each waits for what the next one has, the last for what the first has.
    pub waits: *const weft_deadlock_wait,
    /// How many there are, at least 2.
    pub waits_len: usize,
    /// The same for people.
    pub message: *const c_char,
}

/// Gets the deadlocks, one at a time, on a thread of its own.
pub type weft_deadlock_fn = Option<unsafe extern "C-unwind" fn(deadlock: *const weft_deadlock, arg: *mut c_void)>;

struct Callback {
    function: unsafe extern "C-unwind" fn(*const weft_deadlock, *mut c_void),
    arg: *mut c_void,
}

// SAFETY: whoever sets a callback promises that it may be called with its argument on a thread of Weft's.
unsafe impl Send for Callback {}

impl Callback {
    fn call(&self, deadlock: &Deadlock) {
        let waits = deadlock.ring.iter().map(|link| weft_deadlock_wait {
            task: link.task.as_ptr(),
            runtime: link.runtime.as_ptr(),
            awaited: link.awaited.as_ptr(),
            worker: link.worker,
            thread: link.thread,
        });
        let waits: Vec<_> = waits.collect();
        let seen = weft_deadlock {
            size: size_of::<weft_deadlock>(),
            number: deadlock.number,
            waits: waits.as_ptr(),
            waits_len: waits.len(),
            message: deadlock.message.as_ptr(),
        };
        // SAFETY: as promised; all of it is alive during the call.
        unsafe { (self.function)(&seen, self.arg) }
    }
}

/// Says what is to be done about deadlocks, in the whole process. A deadlock is a ring of tasks and threads each of
/// which waits for what only the next can bring about: to unlock a mutex (weft_mutex_lock), to end a weft_async or a
/// poll task's call that it runs (weft_future_wait, _get, _take), to end what weft_run gave it (in a MULTI runtime), or
/// the half of a join that it took. It is found by the one that closes the ring, when it begins to sleep, and told
/// once: by the log (WEFT_LOG_ERROR), by weft_deadlock_count, and by fn(deadlock, arg) if there is one, on a thread of
/// its own, never under a lock of Weft's. The tasks wait on; a cancel token can let one of them go, also by its
/// deadline, which nobody counts on here. Otherwise what is told is certain. Not told, because something else may end
/// it: waits with a timeout, waits for channels and promises of the program's (anybody may send or settle), waits of
/// threads that signals interrupt (weft_thread_interruptible), and what blocks outside Weft. Who would wait for itself
/// gets WEFT_DEADLOCK instead (a weft_async, a then or a poll task for its own future; a mutex). `fn` NULL: nobody is
/// called. Before this returns, the callback set before has got every earlier deadlock and never runs again (called
/// from within it: not after it returns). Any thread; a forked child begins with none. WEFT_INVALID: an unknown action.
/// WEFT_OS: the thread cannot be started; all stays as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_deadlock_watch(r#fn: weft_deadlock_fn, arg: *mut c_void, action: i32) -> weft_status {
    boundary(|| {
        may_create()?;
        let aborts = match action {
            WEFT_DEADLOCK_REPORT => false,
            WEFT_DEADLOCK_ABORT => true,
            _ => return Err(invalid(format!("action: {action} is none"))),
        };
        let hook = r#fn.map(|function| {
            let callback = Callback { function, arg };
            Box::new(move |deadlock: &Deadlock| callback.call(deadlock)) as Hook
        });
        deadlock::watch(hook, aborts)
    })
}

/// Deadlocks in this process so far. Never blocks; any thread.
#[unsafe(no_mangle)]
pub extern "C" fn weft_deadlock_count() -> u64 {
    deadlock::count()
}
