//! Checking arguments: the only place that decides what NULL, a wrong handle or an odd size gives.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use crate::error::{Failure, Result, Status};
use crate::memory::Header;
use crate::platform::fork;
use crate::scheduler::{Core, RUNTIME_TAG, Worker, default_runtime};

use super::types::{WEFT_DEFAULT, WEFT_OFF, WEFT_ON, weft_runtime, weft_worker};

/// No size-prefixed struct is or will be larger; beyond that, a size is garbage, and reading that far is dangerous.
const MAX_STRUCT: usize = 4096;

pub fn invalid(message: String) -> Failure {
    Failure::with(Status::Invalid, message)
}

pub fn is_null(name: &str) -> Failure {
    invalid(format!("{name} is NULL"))
}

/// A pointer that must not be NULL.
pub fn pointer<T>(pointer: *const T, name: &str) -> Result<*const T> {
    if pointer.is_null() { Err(is_null(name)) } else { Ok(pointer) }
}

/// An array of `len` things.
///
/// # Safety
/// `array` is NULL or leads to that many, which outlive the result.
pub unsafe fn array<'a, T>(array: *const T, len: usize, name: &str) -> Result<&'a [T]> {
    if len > isize::MAX as usize / size_of::<T>() {
        return Err(invalid(format!("{name}: {len} is more than memory can hold")));
    }
    // SAFETY: promised by the caller.
    Ok(unsafe { std::slice::from_raw_parts(pointer(array, name)?, len) })
}

/// A place for a result, that must not be NULL.
pub fn place<T>(place: *mut T, name: &str) -> Result<*mut T> {
    if place.is_null() { Err(is_null(name)) } else { Ok(place) }
}

/// A callback that must not be NULL.
pub fn callback<F>(callback: Option<F>, name: &str) -> Result<F> {
    callback.ok_or_else(|| is_null(name))
}

/// An optional name, copied.
///
/// # Safety
/// `name` is NULL or a C string.
pub unsafe fn name(name: *const c_char) -> Option<CString> {
    // SAFETY: promised by the caller.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_owned())
}

/// A string that must not be NULL and must be UTF-8.
///
/// # Safety
/// `text` is NULL or a C string that outlives the result.
pub unsafe fn text<'a>(text: *const c_char, name: &str) -> Result<&'a str> {
    let text = pointer(text, name)?;
    // SAFETY: promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| invalid(format!("{name} is not UTF-8")))
}

/// Whether new objects may be made in this process.
pub fn may_create() -> Result<()> {
    fork::watch();
    if fork::admitted() {
        return Ok(());
    }
    Err(Failure::new(Status::Forked, "this process was forked: call weft_after_fork() first"))
}

/// Checks that a pointer leads to a live object of the kind that `tag` stands for, made in this process.
///
/// # Safety
/// `pointer` is NULL or leads to an object of Weft (of any kind).
pub unsafe fn check_header(pointer: *const Header, tag: u32, name: &str, kind: &str) -> Result<()> {
    if pointer.is_null() {
        return Err(is_null(name));
    }
    // SAFETY: every object of Weft begins with a header. A misaligned pointer leads to none, and is not read.
    if !pointer.is_aligned() || unsafe { (*pointer).tag } != tag {
        return Err(invalid(format!("{name} is not a {kind}")));
    }
    // SAFETY: as above.
    if unsafe { (*pointer).epoch } != fork::epoch() {
        return Err(Failure::with(Status::Forked, format!("{name} belongs to the parent of this forked process")));
    }
    Ok(())
}

/// The runtime meant: NULL is the calling task's, outside any task the default one.
///
/// # Safety
/// `runtime` is NULL or leads to an object of Weft.
pub unsafe fn runtime<'a>(runtime: *const weft_runtime) -> Result<&'a Core> {
    if runtime.is_null() {
        return match Worker::current() {
            Some(worker) => Ok(worker.core()),
            None => may_create().and_then(|()| default_runtime()),
        };
    }
    // SAFETY: promised by the caller; checked to be a runtime.
    unsafe {
        check_header(runtime.cast(), RUNTIME_TAG, "runtime", "runtime")?;
        Ok(&*runtime.cast())
    }
}

/// A flag of options.
pub fn flag(flag: i32, default: bool, name: &str) -> Result<bool> {
    match flag {
        WEFT_DEFAULT => Ok(default),
        WEFT_ON => Ok(true),
        WEFT_OFF => Ok(false),
        other => Err(invalid(format!("options->{name}: {other} is not WEFT_DEFAULT, WEFT_ON or WEFT_OFF"))),
    }
}

/// The calling thread's worker, which `worker` must be a position of.
pub fn worker<'a>(worker: *const weft_worker) -> Result<&'a Worker> {
    let position = pointer(worker, "worker")?;
    match Worker::at(position.cast()) {
        Some(current) if !current.is_inherited() => Ok(current),
        Some(_) => Err(Failure::new(Status::Forked, "worker belongs to the parent of this forked process")),
        None if Worker::current().is_some() => Err(invalid("worker is not this thread's".into())),
        None => Err(invalid("worker: this thread runs no task; weft_run leads into one".into())),
    }
}

/// A struct whose first member is its size, as the caller knows it.
pub trait SizePrefixed {
    /// The defaults, with the size filled in.
    fn defaults() -> Self;
}

/// Checks the size that a caller gives for a `T`. Versions only ever append members, and so far there is one.
fn check_size<T>(size: usize, name: &str) -> Result<()> {
    if size < size_of::<T>() || size > MAX_STRUCT {
        return Err(invalid(format!("{name}: {size} is no size it ever had; set it by its init function or sizeof")));
    }
    Ok(())
}

/// The body of weft_X_options_init.
///
/// # Safety
/// `options` is NULL or writable for `size` bytes.
pub unsafe fn init<T: SizePrefixed>(options: *mut T, size: usize) -> Result<()> {
    let options = place(options, "options")?;
    check_size::<T>(size, "size")?;
    // SAFETY: promised by the caller. The first member of every such struct is its size.
    unsafe {
        ptr::write_bytes(options.cast::<u8>(), 0, size);
        options.write_unaligned(T::defaults());
        options.cast::<usize>().write_unaligned(size);
    }
    Ok(())
}

/// Reads options; NULL gives the defaults.
///
/// # Safety
/// `options` is NULL or readable for the size it begins with.
pub unsafe fn options<T: SizePrefixed>(options: *const T) -> Result<T> {
    if options.is_null() {
        return Ok(T::defaults());
    }
    // SAFETY: promised by the caller; the size comes first.
    let size = unsafe { options.cast::<usize>().read_unaligned() };
    check_size::<T>(size, "options->size")?;
    // SAFETY: readable for `size` bytes, which are at least a T.
    let beyond = unsafe { std::slice::from_raw_parts(options.cast::<u8>().add(size_of::<T>()), size - size_of::<T>()) };
    if beyond.iter().any(|&byte| byte != 0) {
        return Err(invalid("options: a member that this version of Weft does not know is set".into()));
    }
    // SAFETY: as above.
    Ok(unsafe { options.read_unaligned() })
}

/// Checks a size-prefixed struct for results, and zeroes the members that only later versions know.
///
/// # Safety
/// `out` is NULL or writable for the size it begins with.
pub unsafe fn result_struct<T>(out: *mut T, name: &str) -> Result<*mut T> {
    let out = place(out, name)?;
    // SAFETY: promised by the caller; the size comes first.
    let size = unsafe { out.cast::<usize>().read_unaligned() };
    check_size::<T>(size, &format!("{name}->size"))?;
    // SAFETY: writable for `size` bytes, which are at least a T.
    unsafe { ptr::write_bytes(out.cast::<u8>().add(size_of::<T>()), 0, size - size_of::<T>()) };
    Ok(out)
}
