//! Runs in a copy of this process.
//!
//! The child is forked by the thread that executes, with everything as it is at that moment. It calls the function, leaves a
//! header and what came of it in a [`Parcel`], and goes. Nobody reads meanwhile, so nothing is stuck however large it is. When
//! the child has ended, by whatever means, the reactor is told by the pidfd, reaps it and takes over the parcel: small ones are
//! copied; large ones are sealed, so that nothing that the child has left behind can change them, and mapped.
//!
//! The child waits at a [`Gate`] until its end is watched for: if that, or anything before it, fails, it is killed there, and
//! has called nothing. So a failed execute leaves all as it was.
//!
//! The header is written last. A child without one has not come to the end of its function; it died, and how is known.
//! What is in the parcel is checked as if a stranger had written it.
//!
//! The child has no PDEATHSIG: that is sent when the *thread* ends that has forked, and that thread is the caller's. It outlives
//! its parent, if that dies, until its function returns.

use std::ffi::c_void;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::kind::Start;
use super::run::{Job, Means, Outcome};
use crate::error::{Error, Failure, Status, c_string};
use crate::memory::Bytes;
use crate::observe;
use crate::platform::clock::now_ns;
use crate::platform::fork as forks;
use crate::platform::forking::{self, End, Pid, Reaped};
use crate::platform::gate::Gate;
use crate::platform::parcel::{self, Parcel};
use crate::sync::Lock;
use crate::sync::cancel::Token;
use crate::time;
use crate::time::reactor::{self, Interest};

/// The beginning of a parcel.
#[repr(C)]
#[derive(Clone, Copy)]
struct Head {
    magic: u64,
    status: i64,
    began_ns: i64,
    /// Bytes of what comes behind it: the reply, or the text of a failure, its backtrace and its payload.
    len: u64,
    backtrace: u64,
    payload: u64,
    reserved: [u64; 2],
}

const MAGIC: u64 = u64::from_le_bytes(*b"Wresult1");
const HEAD: usize = size_of::<Head>();
/// Larger replies are mapped.
const COPIED: usize = 64 << 10;
/// The status of a child that could not leave what came of its function.
const NOT_LEFT: i32 = 71;
/// No text of a failure is longer.
const TEXT: usize = 1 << 20;

impl Head {
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: numbers without gaps.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), HEAD) }
    }

    fn read(parcel: &Parcel) -> Option<Head> {
        let mut bytes = [0u8; HEAD];
        // SAFETY: numbers, of which any are good.
        let head = parcel.read(&mut bytes, 0).then(|| unsafe { bytes.as_ptr().cast::<Head>().read_unaligned() });
        head.filter(|head| head.magic == MAGIC)
    }
}

/// A child, and what it is to leave.
struct Child {
    pid: Pid,
    parcel: Parcel,
    /// A signal was sent to it.
    signalled: AtomicBool,
}

impl Means for Child {
    fn ask(&self) {
        self.signal(libc::SIGTERM);
    }

    fn kill(&self) -> bool {
        self.signal(libc::SIGKILL);
        true
    }
}

impl Child {
    fn signal(&self, signal: i32) {
        // Before the signal: who learns of its end has been told of this.
        self.signalled.store(true, Ordering::Relaxed);
        self.pid.signal(signal);
    }
}

/// Where the one who starts a run and the one who learns of its child's end meet: the later of the two ends the run, so nobody
/// is told of it before the function has been let go of.
#[derive(Default)]
struct Meeting {
    /// From the one who starts.
    job: Option<Job>,
    /// The child has ended.
    over: bool,
}

/// Forks.
pub(super) fn start(mut job: Job) -> Start {
    if job.handle().token.is_triggered() {
        // It does not begin, and says why.
        job.run();
        return Ok(());
    }
    let os = |what: &str, error: std::io::Error| Failure::with(Status::Os, format!("{what}: {error}"));
    let prepared = time::prepare()
        .and_then(|_| Parcel::new().map_err(|error| os("no memory file for the result of a fork", error)))
        .and_then(|parcel| match Gate::of(parcel.as_fd()).shut() {
            Ok(()) => Ok(parcel),
            Err(error) => Err(os("no lock on the memory file for the result of a fork", error)),
        });
    let parcel = match prepared {
        Ok(parcel) => parcel,
        Err(failure) => return Err((failure, Some(job))),
    };
    let pid = match forking::fork(&Gate::of(parcel.as_fd()), || run_in_child(&mut job, &parcel)) {
        Ok(pid) => pid,
        Err(error) => return Err((os("cannot fork", error), Some(job))),
    };
    let (child, run) = (Arc::new(Child { pid, parcel, signalled: AtomicBool::new(false) }), job.handle().clone());
    run.set_means(child.clone());
    let meeting = Arc::new(Lock::new(Meeting::default()));
    let call = {
        let (meeting, child) = (meeting.clone(), child.clone());
        Box::new(move |_| {
            let job = {
                let mut meeting = meeting.lock();
                meeting.over = true;
                meeting.job.take()
            };
            if let Some(job) = job {
                ended(job, child);
            }
        })
    };
    let readable = Interest { readable: true, writable: false };
    match reactor::watch(child.pid.fd(), readable, call) {
        Ok(watch) => watch.leave(),
        Err(failure) => {
            child.pid.signal(libc::SIGKILL);
            child.pid.reap(true);
            return Err((failure, Some(job)));
        }
    }
    // From here on there is a run. What is the program's is called under no lock, and before the child can end by itself.
    job.let_go_of_function();
    if Gate::of(child.parcel.as_fd()).open().is_err() {
        // No memory for a lock: the run says that its process was killed.
        child.pid.signal(libc::SIGKILL);
    }
    let over = {
        let mut meeting = meeting.lock();
        if meeting.over { Some(job) } else { meeting.job.replace(job) }
    };
    if let Some(job) = over {
        ended(job, child);
    }
    Ok(())
}

/// What the child does. Its status.
fn run_in_child(job: &mut Job, parcel: &Parcel) -> i32 {
    // This process may make objects of its own: the reply, to begin with.
    forks::admit();
    observe::after_fork();
    let began_ns = now_ns();
    // A token of its own: locks of the parent's may be held by threads that are not here.
    let outcome = job.call(&Token::new([None, None]));
    let left = leave(parcel, began_ns, &outcome).or_else(|error| {
        // No room: there may be some for the reason.
        let failure = Failure::with(Status::NoMemory, format!("no memory for the result of a fork: {error}"));
        parcel.is_there().then(|| parcel.clear()).transpose()?;
        leave(parcel, began_ns, &Err(job.error(&failure)))
    });
    // It belongs to the parent's memory as well, and what its drops do has been done there, or will be.
    std::mem::forget(outcome);
    if left.is_ok() { 0 } else { NOT_LEFT }
}

fn leave(parcel: &Parcel, began_ns: i64, outcome: &Outcome) -> std::io::Result<()> {
    let (status, body, backtrace, payload) = match outcome {
        Ok(reply) => (0, reply.as_slice(), &[][..], &[][..]),
        Err(error) => {
            let payload = error.payload.as_ref().map_or(&[][..], Bytes::as_slice);
            (error.status, cut(error.text.as_bytes()), cut(error.backtrace.as_bytes()), payload)
        }
    };
    if !parcel.is_there() {
        return Err(std::io::Error::from_raw_os_error(libc::EBADF));
    }
    let mut at = HEAD as u64;
    for part in [body, backtrace, payload] {
        parcel.write(part, at)?;
        at += part.len() as u64;
    }
    let head = Head {
        magic: MAGIC,
        status: status.into(),
        began_ns,
        len: body.len() as u64,
        backtrace: backtrace.len() as u64,
        payload: payload.len() as u64,
        reserved: [0; 2],
    };
    parcel.write(head.as_bytes(), 0)
}

fn cut(text: &[u8]) -> &[u8] {
    &text[..text.len().min(TEXT)]
}

/// The child has ended.
fn ended(job: Job, child: Arc<Child>) {
    let reaped = child.pid.reap(true).unwrap_or(Reaped { end: End::Unknown, peak_rss: 0 });
    job.handle().note(|times| times.peak_rss = reaped.peak_rss);
    let asked = child.signalled.load(Ordering::Relaxed);
    let outcome = outcome(&job, &child.parcel, child.pid.number(), reaped.end, asked);
    // Its descriptors are closed when who waits is told.
    drop(child);
    job.finish(outcome);
}

fn outcome(job: &Job, parcel: &Parcel, number: i32, end: End, asked: bool) -> Outcome {
    let error = |status: Status, text: String| {
        let mut error = job.error(&Failure::with(status, text));
        error.origin = c_string(&format!("{}, process {number}", job.context()));
        error
    };
    let Some(head) = Head::read(parcel) else {
        return Err(match end {
            End::Killed(signal) if asked && matches!(signal, libc::SIGTERM | libc::SIGKILL) => {
                error(Status::Cancelled, format!("cancelled: process {number} was ended by signal {signal}"))
            }
            End::Killed(signal) => error(Status::Died, format!("process {number} died by signal {signal}")),
            End::Exited(NOT_LEFT) => error(
                Status::Died,
                format!(
                    "process {number} exited with status {NOT_LEFT}, as it does if what came of its function cannot be \
                     handed over: has it closed descriptors that are not its own?"
                ),
            ),
            End::Exited(status) => error(
                Status::Died,
                format!("process {number} exited with status {status} before its function had returned"),
            ),
            End::Unknown => error(
                Status::Died,
                format!("process {number} has ended without a result; how is not known: somebody else waited for it"),
            ),
        });
    };
    job.handle().note(|times| times.began_ns = head.began_ns);
    let nonsense = || error(Status::Protocol, format!("process {number} has left no result, but something else"));
    let parts = [head.len, head.backtrace, head.payload];
    let whole = parts.iter().try_fold(HEAD as u64, |sum, part| sum.checked_add(*part));
    let (Ok(len), Ok(status)) = (usize::try_from(head.len), i32::try_from(head.status)) else {
        return Err(nonsense());
    };
    if whole != Some(parcel.len()) {
        return Err(nonsense());
    }
    if status == Status::Ok as i32 {
        return take_over(parcel, len)
            .ok_or_else(|| error(Status::NoMemory, "no memory for the result of a fork".into()));
    }
    let backtrace = usize::try_from(head.backtrace).unwrap_or(usize::MAX);
    if len > TEXT || backtrace > TEXT {
        return Err(nonsense());
    }
    let (mut text, mut trace, mut payload) = (vec![0; len], vec![0; backtrace], Vec::new());
    let (trace_at, payload_at) = (HEAD + len, HEAD + len + backtrace);
    let room = usize::try_from(head.payload).ok().filter(|&room| payload.try_reserve_exact(room).is_ok());
    if let Some(room) = room {
        payload.resize(room, 0);
    }
    if !parcel.read(&mut text, HEAD as u64)
        || !parcel.read(&mut trace, trace_at as u64)
        || !parcel.read(&mut payload, payload_at as u64)
    {
        return Err(nonsense());
    }
    let mut failed: Error = error(Status::Failed, String::from_utf8_lossy(&text).into_owned());
    failed.status = status;
    failed.backtrace = c_string(&String::from_utf8_lossy(&trace));
    failed.payload = (!payload.is_empty()).then(|| Bytes::from_vec(payload));
    Err(failed)
}

/// The reply, which nobody can change any more.
fn take_over(parcel: &Parcel, len: usize) -> Option<Bytes> {
    if len > COPIED
        && let Some(mapped) = parcel.map(HEAD + len)
    {
        let (base, mapped) = mapped.into_raw();
        // SAFETY: mapped for as long, and constant. `unmap_reply` gets back what `map` gave.
        return Some(unsafe {
            Bytes::adopt(base.cast::<u8>().add(HEAD), len, Some(unmap_reply), mapped as *mut c_void)
        });
    }
    // Small, or somebody that the child has left behind could still write to it.
    let mut reply = Vec::new();
    reply.try_reserve_exact(len).ok()?;
    reply.resize(len, 0);
    parcel.read(&mut reply, HEAD as u64).then(|| Bytes::from_vec(reply))
}

unsafe extern "C-unwind" fn unmap_reply(mapped: *mut c_void, reply: *mut c_void) {
    // SAFETY: as `take_over` has them.
    unsafe { parcel::unmap(reply.byte_sub(HEAD), mapped.addr()) };
}
