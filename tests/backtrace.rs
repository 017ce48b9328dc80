//! Where a task panicked is kept with its failure if the environment asks for it. The environment is read once in a process,
//! so each case is a process of its own: this program again.

use std::ffi::{CStr, c_void};
use std::process::Command;
use std::ptr;

use weft::capi::call::weft_async;
use weft::capi::future::{weft_future_error, weft_future_release, weft_future_wait};
use weft::capi::runtime::{WEFT_SHUTDOWN_DRAIN, weft_runtime_shutdown};
use weft::capi::status::{WEFT_PANIC, weft_error_backtrace, weft_error_status, weft_error_text};
use weft::capi::types::{weft_future, weft_status, weft_worker};

#[inline(never)]
fn a_function_that_panics(fails: bool) {
    assert!(!fails, "told to fail");
}

unsafe extern "C-unwind" fn panic(_: *mut weft_worker, _: *mut c_void, _: *mut *mut c_void) -> weft_status {
    a_function_that_panics(true);
    0
}

/// Does not go through the panic hook.
unsafe extern "C-unwind" fn resume(_: *mut weft_worker, _: *mut c_void, _: *mut *mut c_void) -> weft_status {
    let _ = std::panic::catch_unwind(|| a_function_that_panics(true));
    std::panic::resume_unwind(Box::new("another"));
}

type Call = unsafe extern "C-unwind" fn(*mut weft_worker, *mut c_void, *mut *mut c_void) -> weft_status;

/// The message and the backtrace that a task's failure is kept with.
fn failure_of(call: Call) -> (String, String) {
    let mut future: *mut weft_future = ptr::null_mut();
    // SAFETY: a callback without an argument, and handles that are alive.
    unsafe {
        assert_eq!(weft_async(ptr::null_mut(), Some(call), ptr::null_mut(), ptr::null(), &mut future), 0);
        assert_eq!(weft_future_wait(future, i64::MAX), 0);
        let error = weft_future_error(future);
        assert_eq!(weft_error_status(error), WEFT_PANIC);
        let [text, backtrace] = [weft_error_text(error), weft_error_backtrace(error)]
            .map(|text| CStr::from_ptr(text).to_str().expect("text").to_owned());
        weft_future_release(future);
        (text, backtrace)
    }
}

fn case(captures: bool) {
    for _ in 0..2 {
        let (text, backtrace) = failure_of(panic);
        assert_eq!(text, "told to fail");
        assert_eq!(backtrace.contains("a_function_that_panics"), captures, "{backtrace}");
        assert_eq!(backtrace.is_empty(), !captures);
    }
    // That of another panic is not taken for this one's.
    assert_eq!(failure_of(resume), ("another".to_owned(), String::new()));
    // SAFETY: the default runtime.
    assert_eq!(unsafe { weft_runtime_shutdown(ptr::null_mut(), WEFT_SHUTDOWN_DRAIN, i64::MAX) }, 0);
}

fn main() {
    if let Some(captures) =
        std::env::args().nth(1).and_then(|argument| argument.strip_prefix("case=").map(|c| c == "1"))
    {
        return case(captures);
    }
    for (value, captures) in [("1", true), ("0", false)] {
        let program = std::env::current_exe().expect("this program");
        let result = Command::new(program)
            .arg(format!("case={}", u8::from(captures)))
            .env("RUST_BACKTRACE", value)
            .env_remove("RUST_LIB_BACKTRACE")
            .output()
            .expect("this program runs");
        let printed = String::from_utf8_lossy(&result.stderr);
        assert!(result.status.success(), "{printed}");
        // The hook that was there says what it always says, once for each panic.
        assert_eq!(printed.matches("told to fail").count(), 3, "{printed}");
        assert_eq!(printed.matches("stack backtrace:").count(), if captures { 3 } else { 0 }, "{printed}");
    }
    println!("2 passed, 0 failed");
}
