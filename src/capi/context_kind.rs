//! Kinds of contexts that the program registers.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::{Arc, Weak};

use super::args::{self, callback, invalid, may_create, place, pointer};
use super::boundary::{boundary, boundary_value, call_back};
use super::handle::{Handle, Noun};
use super::types::{weft_bytes, weft_context_job, weft_status};
use crate::context::kind::Executor;
use crate::context::registry::{self, Registration};
use crate::context::run::{Means, Run, Ticket};
use crate::error::{Failure, Result, Status};
use crate::memory::Bytes;
use crate::panics;

/// Takes a run: WEFT_OK, and it has the one reference to `job`, for which it calls weft_context_job_run or
/// weft_context_job_finish some time, on whatever thread, and weft_context_job_release. Anything else (WEFT_WOULD_BLOCK
/// of a queue that is full, say): weft_context_execute fails with that, and `job` has gone. Called on the thread that
/// executes, with no lock held.
pub type weft_context_submit_fn =
    Option<unsafe extern "C-unwind" fn(arg: *mut c_void, job: *mut weft_context_job) -> weft_status>;
/// A run is to stop (kill 0), or to be ended by force (kill 1). WEFT_OK: it will end; anything else: it cannot be. It does not
/// wait for that. Called on the thread that asks, with no lock held; `job` is good until it returns.
pub type weft_context_stop_fn =
    Option<unsafe extern "C-unwind" fn(arg: *mut c_void, job: *mut weft_context_job, kill: i32) -> weft_status>;
/// Whether contexts of the kind can be had at the moment: WEFT_OK, or why not. Called by weft_context_new and
/// weft_context_pool_acquire.
pub type weft_context_probe_fn = Option<unsafe extern "C-unwind" fn(arg: *mut c_void) -> weft_status>;
/// The kind was taken back, and the last context of it has gone.
pub type weft_context_destroy_fn = Option<unsafe extern "C-unwind" fn(arg: *mut c_void)>;

/// How a kind of the program's does what contexts do. Zeroes stand for what is not there.
#[repr(C)]
pub struct weft_context_vtable {
    /// sizeof(weft_context_vtable).
    pub size: usize,
    /// Handed to all functions. They may be called on any thread, several at once.
    pub arg: *mut c_void,
    /// Takes a run.
    pub submit: weft_context_submit_fn,
    /// NULL: a run that has begun only has its token.
    pub stop: weft_context_stop_fn,
    /// NULL: they can always be had.
    pub probe: weft_context_probe_fn,
    /// NULL: nothing.
    pub destroy: weft_context_destroy_fn,
}

impl args::SizePrefixed for weft_context_vtable {
    fn defaults() -> Self {
        let size = size_of::<Self>();
        weft_context_vtable { size, arg: ptr::null_mut(), submit: None, stop: None, probe: None, destroy: None }
    }
}

/// A registered kind.
struct Registered {
    number: i32,
    name: String,
    submit: unsafe extern "C-unwind" fn(*mut c_void, *mut weft_context_job) -> weft_status,
    vtable: weft_context_vtable,
}

// SAFETY: whoever registers a kind promises that its functions may be called on any thread.
unsafe impl Send for Registered {}
// SAFETY: as above.
unsafe impl Sync for Registered {}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(destroy) = self.vtable.destroy {
            // SAFETY: given for this call, which comes last.
            panics::contain("the end of a kind of contexts", || unsafe { destroy(self.vtable.arg) });
        }
    }
}

/// Calls a function of a kind; a panic is a failure.
fn call(what: &str, function: impl FnOnce() -> weft_status) -> Result<()> {
    panics::catch(&what, || call_back(function))
        .unwrap_or_else(|panic| Err(Failure::with(Status::Panic, format!("{what} panicked: {panic}"))))
}

impl Registration for Registered {
    fn executor(self: Arc<Self>) -> Arc<dyn Executor> {
        self
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn probe(&self) -> Result<()> {
        // SAFETY: as promised by whoever registered it.
        self.vtable
            .probe
            .map_or(Ok(()), |probe| call("the probe of a kind of contexts", || unsafe { probe(self.vtable.arg) }))
    }
}

impl Executor for Registered {
    fn number(&self) -> i32 {
        self.number
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn submit(self: Arc<Self>, ticket: &Arc<Ticket>, run: &Arc<Run>, data: &Bytes) -> Result<()> {
        let job = Submitted { ticket: ticket.clone(), run: run.clone(), data: data.clone() }.handle();
        // SAFETY: as promised by whoever registered it.
        let taken = call("the submit of a kind of contexts", || unsafe { (self.submit)(self.vtable.arg, job) });
        if taken.is_err() {
            // SAFETY: made above, and nobody else's, since it was not taken.
            unsafe { Handle::<Submitted>::release(job) };
        } else if self.vtable.stop.is_some() {
            let (ticket, data) = (Arc::downgrade(ticket), data.clone());
            run.set_means(Arc::new(Stopper { kind: self, ticket, run: Arc::downgrade(run), data }));
        }
        taken
    }
}

/// How the runs of a kind are ended.
struct Stopper {
    kind: Arc<Registered>,
    ticket: Weak<Ticket>,
    run: Weak<Run>,
    data: Bytes,
}

impl Stopper {
    fn stop(&self, kill: i32) -> bool {
        let (Some(stop), Some(ticket), Some(run)) = (self.kind.vtable.stop, self.ticket.upgrade(), self.run.upgrade())
        else {
            return false;
        };
        let job = Submitted { ticket, run, data: self.data.clone() }.handle();
        // SAFETY: as promised by whoever registered it.
        let stopped = call("the stop of a kind of contexts", || unsafe { stop(self.kind.vtable.arg, job, kill) });
        // SAFETY: made above.
        unsafe { Handle::<Submitted>::release(job) };
        stopped.is_ok()
    }
}

impl Means for Stopper {
    fn ask(&self) {
        self.stop(0);
    }

    fn kill(&self) -> bool {
        self.stop(1)
    }
}

/// A run that has gone to a registered kind.
struct Submitted {
    ticket: Arc<Ticket>,
    run: Arc<Run>,
    data: Bytes,
}

impl Submitted {
    fn handle(self) -> *mut weft_context_job {
        Handle::create(self)
    }
}

impl Noun for Submitted {
    type Opaque = weft_context_job;
    const TAG: u32 = u32::from_le_bytes(*b"Wjob");
    const NAME: &'static str = "context job";
}

/// Fills in zeroes, and the size: sizeof *vtable as the caller knows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_vtable_init(vtable: *mut weft_context_vtable, size: usize) -> weft_status {
    // SAFETY: writable for `size` bytes by contract.
    boundary(|| unsafe { args::init(vtable, size) })
}

/// Registers a kind of contexts under this name (UTF-8, copied; WEFT_BUSY: there is one of that name), which gets a number, in
/// *kind. The vtable is copied; submit must be there. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_kind_register(
    name: *const c_char,
    vtable: *const weft_context_vtable,
    kind: *mut i32,
) -> weft_status {
    boundary(|| {
        // SAFETY: a C string by contract.
        let (name, kind) = (unsafe { args::text(name, "name")? }, place(kind, "kind")?);
        // SAFETY: readable by contract.
        let vtable = unsafe { args::options(pointer(vtable, "vtable")?)? };
        let submit = callback(vtable.submit, "vtable->submit")?;
        if name.is_empty() {
            return Err(invalid("name is empty".into()));
        }
        may_create()?;
        let make =
            |number| Arc::new(Registered { number, name: name.to_owned(), submit, vtable }) as Arc<dyn Registration>;
        let number = registry::register(name, make)?;
        // SAFETY: writable by contract.
        unsafe { *kind = number };
        Ok(())
    })
}

/// Takes a kind back: there are no new contexts of it. Its destroy is called when the last of those that there are has gone, which
/// may be here and now. WEFT_INVALID: there is no such kind, or none of the program's. Never blocks; any thread.
#[unsafe(no_mangle)]
pub extern "C" fn weft_context_kind_unregister(kind: i32) -> weft_status {
    boundary(|| {
        may_create()?;
        registry::unregister(kind)
    })
}

/// The number of the kind with this name ("inline", "thread", "task", "fork", "isolated", and registered ones), in *kind.
/// WEFT_NOT_FOUND: there is none. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_kind_find(name: *const c_char, kind: *mut i32) -> weft_status {
    boundary(|| {
        // SAFETY: a C string by contract.
        let (name, kind) = (unsafe { args::text(name, "name")? }, place(kind, "kind")?);
        may_create()?;
        let number = registry::number_of(name)
            .ok_or_else(|| Failure::with(Status::NotFound, format!("name: there is no kind {name}")))?;
        // SAFETY: writable by contract.
        unsafe { *kind = number };
        Ok(())
    })
}

unsafe fn get<'a>(job: *const weft_context_job) -> Result<&'a Submitted> {
    // SAFETY: the caller's contract.
    unsafe { Handle::get(job, "job") }
}

const TAKEN: Failure = Failure::new(Status::Busy, "the run has been taken by somebody, or is over");

/// What the run works on, as weft_context_execute was given it; *len bytes, good as long as the job. `len` may be NULL. NULL on
/// a bad handle. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_job_data(job: *const weft_context_job, len: *mut usize) -> *const c_void {
    // SAFETY: a handle by contract.
    let data = boundary_value(None, || Ok(Some(unsafe { get(job)? }.data.as_slice())));
    if !len.is_null() {
        // SAFETY: writable by contract.
        unsafe { *len = data.map_or(0, <[u8]>::len) };
    }
    data.map_or(ptr::null(), |data| data.as_ptr().cast())
}

/// Whether the run has been asked to stop; false on a bad handle. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_job_cancelled(job: *const weft_context_job) -> bool {
    // SAFETY: a handle by contract.
    boundary_value(false, || Ok(unsafe { get(job)? }.run.token.is_triggered()))
}

/// Calls the function of the run here, and ends the run with what it gives; WEFT_OK whatever that is. WEFT_BUSY: somebody has
/// run or finished it. Blocks as long as the function. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_job_run(job: *mut weft_context_job) -> weft_status {
    boundary(|| {
        // SAFETY: a handle by contract. The job may release the handle.
        let ticket = unsafe { get(job)? }.ticket.clone();
        ticket.take().ok_or(TAKEN)?.run();
        Ok(())
    })
}

/// Ends the run with a reply that something else than its function has given (WEFT_OK; a reference of its own is taken to
/// `reply`, NULL: no bytes), or with a failure (any other status, and `message`, copied; NULL: the status' name).
/// WEFT_BUSY: somebody has run or finished it. Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_job_finish(
    job: *mut weft_context_job,
    status: weft_status,
    message: *const c_char,
    reply: *mut weft_bytes,
) -> weft_status {
    boundary(|| {
        // SAFETY: handles and a C string by contract.
        let (submitted, message, reply) = unsafe {
            let reply = if reply.is_null() { None } else { Some(Handle::<Bytes>::get(reply, "reply")?.clone()) };
            (get(job)?, args::name(message), reply)
        };
        let taken = submitted.ticket.take().ok_or(TAKEN)?;
        let outcome = match status {
            0 => Ok(reply.unwrap_or_else(|| Bytes::from_vec(Vec::new()))),
            _ => {
                let name = || Status::from_number(status).map(|status| status.name().to_owned());
                let text = message.or_else(name).map(|text| text.to_string_lossy().into_owned());
                let message = text.unwrap_or_else(|| format!("failure {status}")).into();
                Err(taken.error(&Failure { status, message }))
            }
        };
        taken.finish(outcome);
        Ok(())
    })
}

/// One more reference. Returns its argument; NULL on a bad handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_job_retain(job: *mut weft_context_job) -> *mut weft_context_job {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Submitted>::retain(job) }
}

/// One reference less. A run whose last reference goes before it was run or finished fails with WEFT_BROKEN, or
/// WEFT_CANCELLED if it was asked to stop. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_context_job_release(job: *mut weft_context_job) {
    // SAFETY: a handle by contract.
    unsafe { Handle::<Submitted>::release(job) }
}
