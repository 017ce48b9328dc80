//! Statuses and failures: the vocabulary every room answers in.
//!
//! [`Status`] is the number that crosses the C ABI. [`Failure`] is what a function inside the crate
//! returns: a status with a message, cheap when the message is static. [`Error`] is a failure that is
//! kept with a result, with where it came from and whatever payload its producer attached.

use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::sync::Arc;

use crate::memory::{Bytes, Header};

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// What a call came to. Numbers are grouped and never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(i32)]
        pub enum Status { $($(#[$doc])* $name = $number,)* }

        impl Status {
            /// Every status, in the order of their numbers.
            pub const ALL: &[Status] = &[$(Status::$name),*];

            /// The short English name, such as "timeout".
            pub const fn name(self) -> &'static CStr {
                match self { $(Status::$name => $text,)* }
            }

            /// The status with this number.
            pub fn from_number(number: i32) -> Option<Status> {
                match number { $($number => Some(Status::$name),)* _ => None }
            }
        }
    };
}

statuses! {
    /// Success.
    Ok = 0, c"ok";
    /// A call that may not block would have had to.
    WouldBlock = 1, c"would block";
    /// The time allowed has passed.
    Timeout = 2, c"timeout";
    /// The calling task, or what it waited for, was asked to stop.
    Cancelled = 3, c"cancelled";
    /// A signal ended the wait of a thread that asked for it.
    Interrupted = 4, c"interrupted";
    /// The other end is closed.
    Closed = 5, c"closed";
    /// A limit or a breaker refused the call.
    Rejected = 6, c"rejected";
    /// An argument is wrong.
    Invalid = 20, c"invalid";
    /// The object is in use, or has been used up.
    Busy = 21, c"busy";
    /// Not available on this system or in this build.
    Unsupported = 22, c"unsupported";
    /// Larger than the limit.
    TooLarge = 23, c"too large";
    /// There is no such thing.
    NotFound = 24, c"not found";
    /// The wait could never end.
    Deadlock = 25, c"deadlock";
    /// No memory.
    NoMemory = 40, c"out of memory";
    /// The operating system refused.
    Os = 41, c"operating system error";
    /// The runtime is shutting down.
    Shutdown = 42, c"shutdown";
    /// The object belongs to the parent of this forked process.
    Forked = 43, c"forked";
    /// A callback reported failure.
    Failed = 60, c"failed";
    /// A callback panicked.
    Panic = 61, c"panic";
    /// The promise was dropped unsettled.
    Broken = 62, c"broken promise";
    /// The other process died.
    Died = 63, c"died";
    /// The other process sent nonsense.
    Protocol = 64, c"protocol error";
}

/// A status other than Ok, with a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The number handed to the caller. A raw number, because callbacks may fail with one of their own.
    pub status: i32,
    /// What happened, for people.
    pub message: Cow<'static, str>,
}

impl Failure {
    /// A failure with a fixed message.
    pub const fn new(status: Status, message: &'static str) -> Self {
        Failure { status: status as i32, message: Cow::Borrowed(message) }
    }

    /// A failure with a message made for the occasion.
    pub fn with(status: Status, message: String) -> Self {
        Failure { status: status as i32, message: Cow::Owned(message) }
    }

    /// Whether this failure has the given status.
    pub fn is(&self, status: Status) -> bool {
        self.status == status as i32
    }
}

/// What most functions of the crate return.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Tells errors from handles.
pub const ERROR_TAG: u32 = u32::from_le_bytes(*b"Werr");

/// A failure that is kept with a result. C programs see it as `weft_error`.
#[repr(C)]
#[derive(Debug)]
pub struct Error {
    header: Header,
    /// The status, or the number a callback failed with.
    pub status: i32,
    /// What happened.
    pub text: CString,
    /// Where: "task resize, worker 3".
    pub origin: CString,
    /// What the producer attached, such as a serialised exception.
    pub payload: Option<Bytes>,
    /// Of a panic, if the environment asks for it; else empty.
    pub backtrace: CString,
    /// The error that this one passes on.
    pub cause: Option<Arc<Error>>,
}

impl Drop for Error {
    fn drop(&mut self) {
        // A loop instead of a recursion as deep as the chain.
        let mut cause = self.cause.take();
        while let Some(mut error) = cause.and_then(Arc::into_inner) {
            cause = error.cause.take();
        }
    }
}

impl Error {
    /// An error without payload. NUL bytes in the texts end them.
    pub fn new(status: i32, text: &str, origin: &str) -> Self {
        let header = Header::new(ERROR_TAG);
        Error {
            header,
            status,
            text: c_string(text),
            origin: c_string(origin),
            payload: None,
            backtrace: CString::default(),
            cause: None,
        }
    }

    /// The error of a future that failed because another did.
    pub fn passed_on(cause: &Arc<Error>) -> Self {
        Error {
            header: Header::new(ERROR_TAG),
            status: cause.status,
            text: cause.text.clone(),
            origin: cause.origin.clone(),
            payload: cause.payload.clone(),
            backtrace: cause.backtrace.clone(),
            cause: Some(cause.clone()),
        }
    }
}

/// A C string of `text` up to its first NUL byte.
pub fn c_string(text: &str) -> CString {
    let bytes = text.as_bytes();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default()
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_map_back() {
        for (i, &status) in Status::ALL.iter().enumerate() {
            assert_eq!(Status::from_number(status as i32), Some(status));
            assert!(Status::ALL[i + 1..].iter().all(|other| other.name() != status.name()));
        }
        assert_eq!(Status::from_number(-1), None);
        assert_eq!(Status::from_number(7), None);
    }

    #[test]
    fn c_string_stops_at_nul() {
        assert_eq!(c_string("a\0b").as_c_str(), c"a");
        assert_eq!(c_string("").as_c_str(), c"");
    }
}
