//! The log: silent until a callback is set, or it is kept to be pulled.

use std::ffi::{c_char, c_void};
use std::ptr;

use super::args::{self, invalid, may_create};
use super::boundary::boundary;
use super::types::weft_status;
use crate::error::{Failure, Status};
use crate::observe::{self, Level, Outlet, Record};
use crate::platform::thread::EndKey;
use crate::sync::Deadline;

/// No messages.
pub const WEFT_LOG_OFF: i32 = 0;
/// A failure that nobody else is told of, such as a panic in a task.
pub const WEFT_LOG_ERROR: i32 = 1;
/// Something is wrong, and work goes on.
pub const WEFT_LOG_WARN: i32 = 2;
/// Worth knowing.
pub const WEFT_LOG_INFO: i32 = 3;
/// Worth knowing when looking for a fault.
pub const WEFT_LOG_DEBUG: i32 = 4;

/// One message. In a callback valid until that returns; pulled by weft_log_next, until the next call on the same
/// thread.
#[repr(C)]
pub struct weft_log_record {
    /// sizeof(weft_log_record): in a callback the library's, for weft_log_next set by the caller.
    pub size: usize,
    /// WEFT_LOG_ERROR to WEFT_LOG_DEBUG.
    pub level: i32,
    /// The worker's index, -1 outside.
    pub worker: i32,
    /// When, as by weft_now.
    pub time_ns: i64,
    /// The runtime's name, or "".
    pub runtime: *const c_char,
    /// The task's name, or "".
    pub task: *const c_char,
    /// What happened.
    pub message: *const c_char,
}

/// Gets the messages, one at a time, in order, on a thread of its own.
pub type weft_log_fn = Option<unsafe extern "C-unwind" fn(record: *const weft_log_record, arg: *mut c_void)>;

struct Callback {
    function: unsafe extern "C-unwind" fn(*const weft_log_record, *mut c_void),
    arg: *mut c_void,
}

// SAFETY: whoever sets a callback promises that it may be called with its argument on the log's thread.
unsafe impl Send for Callback {}

fn view(record: &Record, size: usize) -> weft_log_record {
    weft_log_record {
        size,
        level: record.level as i32,
        worker: record.worker,
        time_ns: record.time_ns,
        runtime: record.runtime.as_ptr(),
        task: record.task.as_ptr(),
        message: record.message.as_ptr(),
    }
}

impl Callback {
    fn call(&self, record: &Record) {
        // SAFETY: the record is alive during the call.
        unsafe { (self.function)(&view(record, size_of::<weft_log_record>()), self.arg) }
    }
}

/// Sets the callback that gets messages of `level` and graver ones. With NULL, they are kept for weft_log_next instead;
/// with WEFT_LOG_OFF there are none. Before this returns, the callback set before has got every earlier message, and it
/// never runs again (called from within that callback: not after it returns). So this waits for that callback. It is
/// called on a thread of its own, never under a lock of Weft's. What it cannot keep up with is dropped, and the number
/// of lost messages is logged. When the process exits normally, what is queued is still delivered. Any thread.
/// WEFT_INVALID: an unknown level. WEFT_OS: the thread cannot be started; the callback set before stays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_log_set(r#fn: weft_log_fn, arg: *mut c_void, level: i32) -> weft_status {
    boundary(|| {
        may_create()?;
        let level = match level {
            WEFT_LOG_OFF => None,
            WEFT_LOG_ERROR => Some(Level::Error),
            WEFT_LOG_WARN => Some(Level::Warn),
            WEFT_LOG_INFO => Some(Level::Info),
            WEFT_LOG_DEBUG => Some(Level::Debug),
            _ => return Err(invalid(format!("level: {level} is none"))),
        };
        observe::set_outlet(match (level, r#fn) {
            (None, _) => Outlet::Silence,
            (Some(level), None) => Outlet::Queue(level),
            (Some(level), Some(function)) => {
                let callback = Callback { function, arg };
                Outlet::Sink(Box::new(move |record| callback.call(record)), level)
            }
        })
    })
}

/// The record that the calling thread has pulled last, whose strings it may still read.
struct Pulled(Option<Record>);

static PULLED: EndKey = EndKey::new();

/// The place for it, made on a thread's first call.
fn pulled() -> crate::error::Result<*mut Pulled> {
    extern "C" fn end(place: *mut c_void) {
        // SAFETY: the value given to `at_end`, once.
        drop(unsafe { Box::from_raw(place.cast::<Pulled>()) });
    }
    let place = PULLED.get().cast::<Pulled>();
    if !place.is_null() {
        return Ok(place);
    }
    let place = Box::into_raw(Box::new(Pulled(None)));
    // SAFETY: the only call; the place is this thread's, and is freed by `end` alone.
    if unsafe { PULLED.at_end(end, place.cast()) } {
        return Ok(place);
    }
    // SAFETY: made above, and known to nobody.
    drop(unsafe { Box::from_raw(place) });
    Err(Failure::new(Status::NoMemory, "the system has no thread key left, or no memory"))
}

/// Pulls the oldest message that is kept, or waits for one. The log is kept from weft_log_set(NULL, NULL, level) on,
/// until weft_log_set gives it a callback (what is kept is dropped) or silences it (what is kept can still be pulled).
/// At most 4096 messages are kept; how many came when there was no room is a message itself, once the others have been
/// pulled. Any number of threads may pull; each message goes to one of them. Set out->size first; the strings are good
/// until this thread's next call, or its end. Blocks; inside a task the thread's turn passes to another.
/// WEFT_WOULD_BLOCK, WEFT_TIMEOUT, WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_SHUTDOWN: none came. WEFT_CLOSED: none is
/// there, and none is kept. WEFT_BUSY: messages go to a callback.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_log_next(out: *mut weft_log_record, timeout_ns: i64) -> weft_status {
    boundary(|| {
        // SAFETY: a struct by contract.
        let out = unsafe { args::result_struct(out, "out")? };
        may_create()?;
        // Before a record is taken, so that none is lost for want of a place.
        let place = pulled()?;
        let record = observe::next(Deadline::after(timeout_ns))?;
        // SAFETY: this thread's own, and alive as long as it; at least this version's size, as checked.
        unsafe {
            let record = (*place).0.insert(record);
            let size = ptr::read(&raw const (*out).size);
            *out = view(record, size);
        }
        Ok(())
    })
}
