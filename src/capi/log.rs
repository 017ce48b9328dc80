//! The log: silent until a callback is set.

use std::ffi::{c_char, c_void};

use super::args::{invalid, may_create};
use super::boundary::boundary;
use super::types::weft_status;
use crate::observe::{self, Level, Record, Sink};

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

/// One message. Valid during the callback.
#[repr(C)]
pub struct weft_log_record {
    /// sizeof(weft_log_record) in the library; later versions append members.
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

impl Callback {
    fn call(&self, record: &Record) {
        let record = weft_log_record {
            size: size_of::<weft_log_record>(),
            level: record.level as i32,
            worker: record.worker,
            time_ns: record.time_ns,
            runtime: record.runtime.as_ptr(),
            task: record.task.as_ptr(),
            message: record.message.as_ptr(),
        };
        // SAFETY: the record is alive during the call.
        unsafe { (self.function)(&record, self.arg) }
    }
}

/// Sets the callback that gets messages of `level` and graver ones; NULL or WEFT_LOG_OFF: none. Before this returns, the
/// callback set before has got every earlier message, and it never runs again (called from within that callback: not
/// after it returns). So this waits for that callback. It is called on a thread of its own, never under a lock of
/// Weft's. What it cannot keep up with is dropped, and the number of lost messages is logged. When the process exits
/// normally, what is queued is still delivered. Any thread. WEFT_INVALID: an unknown level. WEFT_OS: the thread cannot be
/// started; the callback set before stays.
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
        let sink = r#fn.zip(level).map(|(function, level)| {
            let callback = Callback { function, arg };
            let sink: Sink = Box::new(move |record| callback.call(record));
            (sink, level)
        });
        observe::set_sink(sink)
    })
}
