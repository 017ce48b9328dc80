//! Weft's C ABI, looked up in the libweft.so that programs link. What a library does not have yet is `None`, and what
//! needs it is left out. Members, numbers and what functions take are compared with include/weft/weft.h.

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::null_mut;
use std::sync::{LazyLock, OnceLock};

/// `weft_status`.
pub type Status = i32;
/// A handle of any kind.
pub type Object = *mut c_void;
/// `weft_task_fn`
pub type TaskFn = unsafe extern "C" fn(worker: Object, arg: *mut c_void);
/// `weft_call_fn`
pub type CallFn = unsafe extern "C" fn(worker: Object, arg: *mut c_void, result: *mut *mut c_void) -> Status;
/// `weft_then_fn`
pub type ThenFn =
    unsafe extern "C" fn(worker: Object, source: Object, arg: *mut c_void, result: *mut *mut c_void) -> Status;
/// `weft_handler_fn`
pub type HandlerFn =
    unsafe extern "C" fn(data: *const c_void, len: usize, reply: *mut Object, arg: *mut c_void) -> Status;

/// WEFT_OK
pub const OK: Status = 0;
/// WEFT_CLOSED
pub const CLOSED: Status = 5;
/// WEFT_DIED
pub const DIED: Status = 63;
/// WEFT_FOREVER
pub const FOREVER: i64 = i64::MAX;
/// WEFT_UNBOUNDED
pub const UNBOUNDED: usize = usize::MAX;

/// weft.h without its comments.
fn header() -> &'static str {
    static BARE: LazyLock<String> = LazyLock::new(|| {
        let mut parts = include_str!("../../include/weft/weft.h").split("/*");
        let first = parts.next().map(String::from);
        parts.fold(first.expect("one part"), |bare, part| bare + part.split_once("*/").expect("comments end").1)
    });
    &BARE
}

/// The number that weft.h defines `name` as, if it does.
pub fn constant(name: &str) -> Option<i32> {
    let value = header().split_once(&format!("#define {name} "))?.1.lines().next()?;
    Some(value.trim().parse().expect("a number"))
}

/// How many parameters weft.h gives the function `NAME(` or the type of functions `NAME)(`.
fn parameters(name: &str) -> Option<usize> {
    let named = |(at, _): &(usize, &str)| header()[..*at].ends_with([' ', '*']);
    let (at, _) = header().match_indices(name).find(named)?;
    let list = header()[at + name.len()..].split_once(");").expect("declarations end").0;
    Some(if list == "void" { 0 } else { list.split(',').count() })
}

/// An options struct, whose members are found by their names in weft.h, as a C compiler does.
struct Options {
    name: &'static str,
    /// More than any of them has; what the library does not know is zero.
    words: [u64; 64],
}

impl Options {
    fn new(name: &'static str, init: unsafe extern "C" fn(*mut c_void, usize) -> Status) -> Self {
        let mut options = Options { name, words: [0; 64] };
        // SAFETY: that much room.
        check(unsafe { init(options.words.as_mut_ptr().cast(), size_of_val(&options.words)) });
        options
    }

    /// Sets a member; false if there is none of that name.
    fn set<T>(&mut self, member: &str, value: T) -> bool {
        let text = header().split_once(&format!("typedef struct {} {{", self.name)).expect("in the header").1;
        let mut offset = 0usize;
        for line in
            text.split_once('}').expect("structs end").0.split(';').map(str::trim).filter(|line| !line.is_empty())
        {
            // All members are numbers and pointers of these sizes.
            let size = if line.starts_with("int32_t ") || line.starts_with("uint32_t ") { 4 } else { 8 };
            offset = offset.next_multiple_of(size);
            if line.split([' ', '*']).next_back() == Some(member) {
                assert_eq!(size, size_of::<T>(), "{member}");
                // SAFETY: within the struct, which is smaller than the room, at a multiple of the value's size.
                unsafe { self.words.as_mut_ptr().byte_add(offset).cast::<T>().write(value) };
                return true;
            }
            offset += size;
        }
        false
    }

    fn pointer(&self) -> *const c_void {
        self.words.as_ptr().cast()
    }
}

/// `weft_permit`
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Permit(pub [u64; 2]);

/// `weft_select_case`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SelectCase {
    /// What is tried.
    pub op: i32,
    /// How it went.
    pub status: Status,
    /// On which channel.
    pub handle: Object,
    /// The element.
    pub elem: *mut c_void,
    /// For other kinds of cases.
    pub arg: u64,
    /// The library's.
    pub reserved: [*mut c_void; 2],
}

/// `weft_frame`
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Frame {
    /// Which.
    pub kind: u32,
    /// The sender's.
    pub flags: u32,
    /// The sender's.
    pub id: u64,
    /// What it carries.
    pub data: *const c_void,
    /// How much.
    pub len: usize,
    /// What that is in.
    pub bytes: Object,
}

impl Default for Frame {
    fn default() -> Self {
        Frame { kind: 0, flags: 0, id: 0, data: null_mut(), len: 0, bytes: null_mut() }
    }
}

/// # Safety
/// What the library at hand has under `name` must be a function of type `F`, which has `count` parameters.
unsafe fn symbol<F: Copy>(library: *mut c_void, name: &str, count: usize) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    assert!(parameters(&format!("{name}(")).is_none_or(|declared| declared == count), "weft.h has another {name}");
    let name = CString::new(name).expect("no NUL in a name");
    // SAFETY: a handle of dlopen and a string.
    let found = unsafe { libc::dlsym(library, name.as_ptr()) };
    // SAFETY: F is a function pointer of the symbol's type, says the caller.
    (!found.is_null()).then(|| unsafe { std::mem::transmute_copy(&found) })
}

macro_rules! functions {
    ([$($field:ident = $name:literal ($($arg:ty),*) $(-> $result:ty)?;)*]
     later [$($later:ident = $later_name:literal ($($later_arg:ty),*) $(-> $later_result:ty)?;)*]) => {
        /// The functions, by name.
        #[derive(Clone, Copy)]
        pub struct Weft {
            $(#[doc = $name] pub $field: unsafe extern "C" fn($($arg),*) $(-> $result)?,)*
            $(#[doc = $later_name] pub $later: Option<unsafe extern "C" fn($($later_arg),*) $(-> $later_result)?>,)*
        }

        impl Weft {
            /// # Safety
            /// `library` is a handle of dlopen, of a libweft.so with the ABI of this source tree.
            unsafe fn look_up(library: *mut c_void) -> Weft {
                // SAFETY: the types are those of weft.h.
                unsafe {
                    Weft {
                        $($field: symbol(library, $name, <[&str]>::len(&[$(stringify!($arg)),*]))
                            .unwrap_or_else(|| panic!("no {} in the library", $name)),)*
                        $($later: symbol(library, $later_name, <[&str]>::len(&[$(stringify!($later_arg)),*])),)*
                    }
                }
            }
        }
    };
}

functions! {
    [
    error_message = "weft_error_message"() -> *const c_char;
    channel_options_init = "weft_channel_options_init"(*mut c_void, usize) -> Status;
    channel_new = "weft_channel_new"(*const c_void, *mut Object) -> Status;
    channel_send = "weft_channel_send"(Object, *const c_void, i64) -> Status;
    channel_recv = "weft_channel_recv"(Object, *mut c_void, i64) -> Status;
    channel_close = "weft_channel_close"(Object);
    channel_retain = "weft_channel_retain"(Object) -> Object;
    channel_release = "weft_channel_release"(Object);
    runtime_options_init = "weft_runtime_options_init"(*mut c_void, usize) -> Status;
    runtime_new = "weft_runtime_new"(*const c_void, *mut Object) -> Status;
    runtime_shutdown = "weft_runtime_shutdown"(Object, i32, i64) -> Status;
    runtime_release = "weft_runtime_release"(Object);
    run = "weft_run"(Object, TaskFn, *mut c_void) -> Status;
    run_async = "weft_async"(Object, CallFn, *mut c_void, *const c_void, *mut Object) -> Status;
    future_get = "weft_future_get"(Object, i64, *mut *mut c_void) -> Status;
    future_release = "weft_future_release"(Object);
    ]
    later [
    channel_send_batch = "weft_channel_send_batch"(Object, *const c_void, usize, i64, *mut usize) -> Status;
    channel_recv_batch = "weft_channel_recv_batch"(Object, *mut c_void, usize, i64, *mut usize) -> Status;
    select = "weft_select"(*mut SelectCase, usize, i64, *mut usize) -> Status;
    breaker_new = "weft_breaker_new"(*const c_void, *mut Object) -> Status;
    breaker_acquire = "weft_breaker_acquire"(Object, *mut Permit) -> Status;
    breaker_record = "weft_breaker_record"(Object, *mut Permit, i32) -> Status;
    breaker_force = "weft_breaker_force"(Object, i32) -> Status;
    breaker_release = "weft_breaker_release"(Object);
    future_then = "weft_future_then"(Object, Object, ThenFn, *mut c_void, *const c_void, *mut Object) -> Status;
    link_options_init = "weft_link_options_init"(*mut c_void, usize) -> Status;
    link_pair = "weft_link_pair"(*const c_void, *mut Object, *mut i32) -> Status;
    link_adopt = "weft_link_adopt"(i32, *mut Object) -> Status;
    link_send = "weft_link_send"(Object, u32, u32, u64, *const c_void, usize, i64) -> Status;
    link_recv = "weft_link_recv"(Object, i64, *mut Frame) -> Status;
    link_peek = "weft_link_peek"(Object, i64, *mut Frame) -> Status;
    link_consume = "weft_link_consume"(Object) -> Status;
    link_release = "weft_link_release"(Object);
    bytes_new = "weft_bytes_new"(*const c_void, usize, *mut Object) -> Status;
    bytes_data = "weft_bytes_data"(Object) -> *const c_void;
    bytes_len = "weft_bytes_len"(Object) -> usize;
    bytes_release = "weft_bytes_release"(Object);
    serve = "weft_serve"(i32, HandlerFn, *mut c_void) -> Status;
    process_pool_options_init = "weft_process_pool_options_init"(*mut c_void, usize) -> Status;
    process_pool_new = "weft_process_pool_new"(*const c_void, *mut Object) -> Status;
    process_pool_call = "weft_process_pool_call"(Object, *const c_void, usize, *const c_void, *mut Object) -> Status;
    process_pool_drain = "weft_process_pool_drain"(Object, i64) -> Status;
    process_pool_release = "weft_process_pool_release"(Object);
    ]
}

static WEFT: OnceLock<Weft> = OnceLock::new();

/// Opens the library, for good.
pub fn load(path: &str) {
    let name = CString::new(path).expect("no NUL in a path");
    // SAFETY: loading libweft.so has no preconditions.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null(), "{path} cannot be loaded");
    // SAFETY: it was loaded, and make builds it from this source tree.
    WEFT.get_or_init(|| unsafe { Weft::look_up(library) });
}

/// The functions, once [`load`] has been called.
pub fn weft() -> &'static Weft {
    WEFT.get().expect("loaded by main")
}

/// Panics, with Weft's message, if a call failed.
#[inline]
pub fn check(status: Status) {
    if status != OK {
        failed(status);
    }
}

#[cold]
fn failed(status: Status) -> ! {
    // SAFETY: never NULL, a string, this thread's until its next failure.
    let message = unsafe { CStr::from_ptr((weft().error_message)()) };
    panic!("status {status}: {}", message.to_string_lossy());
}

/// A new channel of elements of `elem_size` bytes. `None` if `single` asks for the hints and the library has none.
pub fn new_channel(elem_size: usize, capacity: usize, single: bool) -> Option<Object> {
    let mut options = Options::new("weft_channel_options", weft().channel_options_init);
    assert!(options.set("elem_size", elem_size) && options.set("capacity", capacity));
    if single {
        let on = constant("WEFT_ON")?;
        if !options.set("single_producer", on) || !options.set("single_consumer", on) {
            return None;
        }
    }
    let mut channel = null_mut();
    // SAFETY: options, and a place for the handle.
    check(unsafe { (weft().channel_new)(options.pointer(), &mut channel) });
    Some(channel)
}

/// One end of a link, and the descriptor that the other process is to adopt.
pub fn link_pair(transport: &str, trusted: bool) -> (Object, i32) {
    let mut options = Options::new("weft_link_options", weft().link_options_init.expect("links"));
    assert!(options.set("transport", constant(transport).expect("a transport")));
    assert!(!trusted || options.set("trusted", constant("WEFT_ON").expect("on")));
    let (mut link, mut far) = (null_mut(), -1);
    // SAFETY: options, and places for the handle and the descriptor.
    check(unsafe { weft().link_pair.expect("links")(options.pointer(), &mut link, &mut far) });
    (link, far)
}

/// A pool of processes, each of which executes `argv`, which is ended by NULL.
pub fn process_pool(workers: u32, argv: &[*const c_char]) -> Object {
    assert!(argv.last().is_some_and(|last| last.is_null()));
    let mut options = Options::new("weft_process_pool_options", weft().process_pool_options_init.expect("pools"));
    assert!(options.set("workers", workers) && options.set("argv", argv.as_ptr()));
    let mut pool = null_mut();
    // SAFETY: options, whose arguments are copied, and a place for the handle.
    check(unsafe { weft().process_pool_new.expect("pools")(options.pointer(), &mut pool) });
    pool
}

/// Makes a link of a chain; `None` if the library has none.
pub fn then() -> Option<unsafe extern "C" fn(Object, Object, ThenFn, *mut c_void, *const c_void, *mut Object) -> Status>
{
    let declared = parameters("weft_then_fn)(");
    assert!(declared.is_none_or(|count| count == 4), "weft.h has another weft_then_fn");
    weft().future_then.filter(|_| declared.is_some())
}

/// A runtime, shut down when it goes.
pub struct Runtime(pub Object);

impl Runtime {
    /// One with that many threads.
    pub fn new(workers: i32) -> Self {
        let mut options = Options::new("weft_runtime_options", weft().runtime_options_init);
        assert!(options.set("workers", workers));
        let mut runtime = null_mut();
        // SAFETY: options, and a place for the handle.
        check(unsafe { (weft().runtime_new)(options.pointer(), &mut runtime) });
        Runtime(runtime)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // SAFETY: the handle is ours; 0 is WEFT_SHUTDOWN_DRAIN.
        unsafe {
            check((weft().runtime_shutdown)(self.0, 0, FOREVER));
            (weft().runtime_release)(self.0);
        }
    }
}
