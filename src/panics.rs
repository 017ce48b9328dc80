//! Running callbacks so that whatever leaves them stays contained.
//!
//! A Rust panic is caught and described. Anything else that unwinds out of a callback (a C++
//! exception, pthread_exit, a cancelled thread, a panic of another copy of Rust's runtime) cannot be caught here: the process
//! ends, with a message that names the callback. A guard on the stack tells the two apart: it is dropped
//! in both cases, but only in the first is this thread panicking.

#[cfg(not(weft_loom))]
pub mod backtrace;

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

struct EscapeGuard<'a> {
    what: &'a dyn Display,
}

impl Drop for EscapeGuard<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            eprintln!(
                "weft: {} was left by a foreign exception (a C++ throw, pthread_exit, pthread_cancel or the like); \
                 callbacks must not unwind",
                self.what
            );
            std::process::abort();
        }
    }
}

/// Runs `f`, which calls a callback described by `what`. A panic becomes its message.
pub fn catch<R>(what: &dyn Display, f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(|| {
        let guard = EscapeGuard { what };
        let result = f();
        std::mem::forget(guard);
        result
    }))
    .map_err(describe)
}

/// Runs a callback whose failure concerns nobody, such as a drop. The panic hook has reported the panic.
pub fn contain(what: &str, f: impl FnOnce()) {
    let _ = catch(&what, f);
}

/// The message of a panic. The payload's own drop may panic as well; then it is leaked.
fn describe(payload: Box<dyn Any + Send>) -> String {
    let message = text(&*payload).unwrap_or("a panic without a message").to_owned();
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    message
}

fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn panics_become_their_messages() {
        assert_eq!(catch(&"test", || 5), Ok(5));
        assert_eq!(catch(&"test", || std::panic::resume_unwind(Box::new("plain"))), Err::<(), _>("plain".into()));
        assert_eq!(
            catch(&"test", || std::panic::resume_unwind(Box::new(String::from("made")))),
            Err::<(), _>("made".into())
        );
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_survived() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new(()));
            }
        }
        assert!(catch(&"test", || std::panic::resume_unwind(Box::new(Bomb))).is_err());
    }
}
