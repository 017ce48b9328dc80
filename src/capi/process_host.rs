//! Process pools for hosts that are not called: they take up what there is to do, births and calls.

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use super::args::{self, invalid, may_create, place};
use super::boundary::{boundary, boundary_value};
use super::handle::{Handle, Noun};
use super::process_pool::get as get_pool;
use super::status::weft_error_set;
use super::types::{weft_bytes, weft_process_birth, weft_process_pool, weft_server, weft_status};
use crate::error::{Failure, Result, Status};
use crate::ipc::{Link, Patience};
use crate::memory::Bytes;
use crate::process::host::{self, Begun};
use crate::process::serve::{self, Service};
use crate::process::wire::Failed;
use crate::sync::Deadline;

impl Noun for Begun {
    type Opaque = weft_process_birth;
    const TAG: u32 = u32::from_le_bytes(*b"Wbrt");
    const NAME: &'static str = "process birth";
}

/// A service that threads may share, as long as one at a time calls.
struct Server {
    service: Service,
    is_taken: AtomicBool,
}

// SAFETY: `Server::with` lets one thread in at a time.
unsafe impl Sync for Server {}

impl Noun for Server {
    type Opaque = weft_server;
    const TAG: u32 = u32::from_le_bytes(*b"Wsrv");
    const NAME: &'static str = "server";
}

impl Server {
    fn with<R>(&self, body: impl FnOnce(&Service) -> Result<R>) -> Result<R> {
        struct Leave<'a>(&'a AtomicBool);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                // Release: with the Acquire of who comes next, who sees what was done here.
                self.0.store(false, Ordering::Release);
            }
        }
        if self.is_taken.swap(true, Ordering::Acquire) {
            return Err(Failure::new(Status::Busy, "another thread is using the server"));
        }
        let _leave = Leave(&self.is_taken);
        body(&self.service)
    }

    fn answer(&self, outcome: &Result<Bytes, Failed>, timeout_ns: i64) -> Result<()> {
        self.with(|service| {
            if !service.is_at_work() {
                return Err(invalid("server: there is no call to answer".into()));
            }
            service.answer_current(outcome, &Patience::new(timeout_ns))
        })
    }
}

unsafe fn get<'a>(server: *const weft_server) -> Result<&'a Server> {
    // SAFETY: the caller's contract.
    unsafe { Handle::<Server>::get(server, "server") }
}

/// For weft_process_pool_options.fork_fn where nobody is to be called: the pool's workers are made with
/// weft_process_birth_begin. Forks nobody, and returns -1.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn weft_process_no_fork(_fd: i32, _arg: *mut c_void) -> i32 {
    // SAFETY: a C string.
    unsafe {
        weft_error_set(
            Status::Unsupported as weft_status,
            c"workers of this pool are made by weft_process_birth_begin".as_ptr(),
        )
    };
    -1
}

/// As weft_process_pool_tend, for hosts that fork without being called: waits until a worker is due. WEFT_OK: *out is
/// one reference to its birth. Then fork; in the child, call weft_after_fork, and serve at weft_process_birth_fd, with
/// weft_serve or a weft_server, and end; in the parent, weft_process_birth_end. Failures as for weft_process_pool_tend,
/// and WEFT_OS: there is no descriptor or no memory for a link. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_birth_begin(
    pool: *mut weft_process_pool,
    timeout_ns: i64,
    out: *mut *mut weft_process_birth,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle and a place by contract. Its own reference: the pool may be released meanwhile.
        let (pool, out) = unsafe { (get_pool(pool)?.clone(), place(out, "out")?) };
        let begun = pool.begin_birth(Deadline::after(timeout_ns))?;
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(begun) };
        Ok(())
    })
}

/// The descriptor that the worker serves at. Ask on the thread that forks, right before it does. In the parent it is
/// the library's, until weft_process_birth_end. -1 on a bad handle. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_birth_fd(birth: *const weft_process_birth) -> i32 {
    // SAFETY: a handle by contract.
    boundary_value(-1, || Ok(unsafe { Handle::<Begun>::get(birth, "birth") }?.fd()))
}

/// Says what came of it, once: the child's number; or less than 1: there is none, and the pool asks again after a
/// pause. From now on the child is the pool's to watch, end and reap. WEFT_BUSY: that was said before. WEFT_OS: it is
/// no child of this process. WEFT_FAILED: pid is less than 1. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_birth_end(birth: *mut weft_process_birth, pid: i32) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract.
        let birth = unsafe { Handle::<Begun>::get(birth, "birth") }?;
        let pid = if pid > 0 { Ok(pid) } else { Err(Failure::new(Status::Failed, "the host could not fork")) };
        birth.end(pid)
    })
}

/// One reference less. The last one, without weft_process_birth_end before: as that with -1. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_birth_release(birth: *mut weft_process_birth) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Begun>::release(birth) }
}

/// Ends the pool as the last weft_process_pool_release does, while there are references: calls that are open fail with
/// WEFT_SHUTDOWN, workers are ended and reaped by the pool's threads. Again: nothing. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_process_pool_close(pool: *mut weft_process_pool) {
    boundary_value((), || {
        // SAFETY: a handle by contract.
        unsafe { get_pool(pool)? }.abandon();
        Ok(())
    });
}

/// What weft_serve does, for hosts that ask for calls instead of being called. `fd` as there, and the failures. From
/// now on the pool counts this process as a worker that serves. One thread at a time uses a server: others get
/// WEFT_BUSY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_server_new(fd: i32, out: *mut *mut weft_server) -> weft_status {
    boundary(|| {
        let out = place(out, "out")?;
        may_create()?;
        let fd = if fd == -1 { serve::from_environment()? } else { fd };
        if !host::begin_in_child(fd) {
            return Err(Failure::new(Status::Died, "the process of the pool has died"));
        }
        // SAFETY: the descriptor is the caller's to give, by contract.
        let service = Service::new(unsafe { Link::adopt(fd)? })?;
        // SAFETY: writable by contract.
        unsafe { *out = Handle::create(Server { service, is_taken: AtomicBool::new(false) }) };
        Ok(())
    })
}

/// The next call, in *call one reference to what was sent; it is to be answered before the next one is asked for.
/// WEFT_CLOSED: that was all, the pool has told the worker to leave, or has ended; WEFT_DIED: the pool's process has
/// died. Then the process is to end. WEFT_BUSY: a call is not answered yet. WEFT_TIMEOUT, WEFT_WOULD_BLOCK,
/// WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_NOMEM: there was none; ask again. Blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_server_next(
    server: *mut weft_server,
    timeout_ns: i64,
    call: *mut *mut weft_bytes,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle and a place by contract.
        let (server, call) = unsafe { (get(server)?, place(call, "call")?) };
        server.with(|service| {
            if service.is_at_work() {
                return Err(Failure::new(Status::Busy, "the last call is not answered yet"));
            }
            let Some(bytes) = service.next(&Patience::new(timeout_ns))? else {
                return Err(Failure::new(Status::Closed, "the pool needs the worker no more"));
            };
            // SAFETY: writable by contract.
            unsafe { *call = Handle::create(bytes) };
            Ok(())
        })
    })
}

/// Answers the call with a result: a copy of `len` bytes at `data` (NULL if there are none). WEFT_INVALID: there is no
/// call. WEFT_TIMEOUT, WEFT_WOULD_BLOCK, WEFT_INTERRUPTED, WEFT_CANCELLED: the call is not answered yet. An answer that
/// is too long becomes a failure, WEFT_TOO_LARGE. WEFT_DIED, WEFT_CLOSED: the pool has gone. Blocks while the link is
/// full.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_server_reply(
    server: *mut weft_server,
    data: *const c_void,
    len: usize,
    timeout_ns: i64,
) -> weft_status {
    boundary(|| {
        // SAFETY: a handle and data by contract.
        let (server, data) =
            unsafe { (get(server)?, if len == 0 { &[] } else { args::array(data.cast::<u8>(), len, "data")? }) };
        let reply = Bytes::copy(data).ok_or(Failure::new(Status::NoMemory, "no memory for the answer"))?;
        server.answer(&Ok(reply), timeout_ns)
    })
}

/// Answers the call with a failure, as weft_handler_fail does: `status` (WEFT_OK is none: WEFT_INVALID), `message`,
/// `backtrace` and `payload`, each of which may be NULL, come back with the error of the call's future. Otherwise as
/// weft_server_reply.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_server_fail(
    server: *mut weft_server,
    status: weft_status,
    message: *const c_char,
    backtrace: *const c_char,
    payload: *mut weft_bytes,
    timeout_ns: i64,
) -> weft_status {
    boundary(|| {
        if status == Status::Ok as weft_status {
            return Err(invalid("status: WEFT_OK is no failure".into()));
        }
        // SAFETY: handles and C strings by contract.
        let (server, message, backtrace, payload) = unsafe {
            let text = |text| args::name(text).map_or(String::new(), |text| text.to_string_lossy().into_owned());
            let payload = match payload.is_null() {
                true => None,
                false => Some(Handle::<Bytes>::get(payload, "payload")?.clone()),
            };
            (get(server)?, text(message), text(backtrace), payload)
        };
        server.answer(&Err(Failed { status, message, backtrace, payload }), timeout_ns)
    })
}

/// As weft_serve_cancelled, of the call that is being answered. False on a bad handle, and while another thread uses
/// the server. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_server_cancelled(server: *mut weft_server) -> bool {
    // SAFETY: a handle by contract.
    boundary_value(false, || unsafe { get(server)? }.with(|service| Ok(service.is_at_work() && service.is_stopped())))
}

/// As weft_serve_attempt, of the call that is being answered. 0: there is none. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_server_attempt(server: *mut weft_server) -> u32 {
    boundary_value(0, || {
        // SAFETY: a handle by contract.
        unsafe { get(server)? }.with(|service| Ok(if service.is_at_work() { service.attempt() } else { 0 }))
    })
}

/// One reference less. The last one ends the service: a call that was not answered is lost, as if the process had died.
/// Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_server_release(server: *mut weft_server) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Server>::release(server) }
}
