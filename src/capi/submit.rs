//! Tasks in memory of the caller's.

use std::ffi::c_void;
use std::fmt;
use std::mem::{MaybeUninit, offset_of};
use std::ptr::NonNull;

use super::args::{self, invalid};
use super::boundary::boundary;
use super::runtime::as_opaque;
use super::task::Function;
use super::types::{weft_runtime, weft_status, weft_task_fn};
use crate::error::{Failure, Result, Status};
use crate::scheduler::frame;
use crate::scheduler::{NotSubmitted, Owner, Refusal, Slot, Worker};
use crate::sync::cancel::Token;

/// A task in memory of the caller's, 64 bytes: queueing it allocates nothing. Not to be touched while it is queued. The
/// runtime touches it for the last time before it calls fn, which may free it, change it or submit it again. It may be
/// moved while it is not queued.
#[repr(C)]
pub struct weft_task {
    /// fn(worker, arg) is called once for each submission, on a worker of the runtime.
    pub r#fn: weft_task_fn,
    /// Handed to fn.
    pub arg: *mut c_void,
    /// The runtime's; filled in by weft_task_init.
    pub reserved: [*mut c_void; 6],
}

/// What a weft_task is inside.
#[repr(C)]
struct Submitted {
    function: weft_task_fn,
    arg: *mut c_void,
    slot: Slot,
    /// While it is queued: what it may be cancelled by.
    token: MaybeUninit<Option<Token>>,
    later: [*mut c_void; 2],
}

const _: () = assert!(
    size_of::<Submitted>() == size_of::<weft_task>()
        && size_of::<weft_task>() == 64
        && align_of::<Submitted>() == align_of::<weft_task>()
        && offset_of!(Submitted, arg) == offset_of!(weft_task, arg)
        && offset_of!(Submitted, slot) == offset_of!(weft_task, reserved)
);

impl Submitted {
    /// The task around a slot.
    ///
    /// # Safety
    /// The slot is part of a Submitted.
    unsafe fn around(slot: NonNull<Slot>) -> *mut Submitted {
        // SAFETY: promised by the caller.
        unsafe { slot.byte_sub(offset_of!(Submitted, slot)) }.cast().as_ptr()
    }
}

impl Owner for Submitted {
    unsafe fn run(slot: NonNull<Slot>, worker: &Worker) {
        // SAFETY: the slot is part of a task that was submitted and is not touched by its owner before the release.
        let (function, arg, token) = unsafe {
            let task = Submitted::around(slot);
            let task = ((*task).function, (*task).arg, (*task).token.assume_init_read());
            Slot::release(slot);
            task
        };
        let Some(function) = function else { return };
        let title = Function { named: false, address: function as *const c_void };
        worker.within(worker.task_context(None, token), || {
            // SAFETY: as promised by whoever submitted it. A panic has been logged; nobody else is interested.
            let _ = worker.protect(&title, || unsafe { function(as_opaque(worker), arg) });
        });
    }

    unsafe fn inherit(slot: NonNull<Slot>) {
        // SAFETY: the task is the caller's; what its memory holds is not looked at.
        unsafe { (*Submitted::around(slot)).token.write(frame::token()) };
    }

    unsafe fn disinherit(slot: NonNull<Slot>) {
        // SAFETY: the task is the caller's, and has been given its token.
        unsafe { (*Submitted::around(slot)).token.assume_init_drop() };
    }
}

/// The slot of a task that can be submitted as far as one can tell without a claim.
///
/// # Safety
/// `task` is NULL or readable as a weft_task.
unsafe fn slot_of(task: *mut weft_task, name: &dyn fmt::Display) -> Result<NonNull<Slot>> {
    let Some(task) = NonNull::new(task.cast::<Submitted>()) else { return Err(invalid(format!("{name} is NULL"))) };
    if !task.is_aligned() {
        return Err(invalid(format!("{name} is not aligned as a weft_task")));
    }
    // SAFETY: readable by contract. The address of the slot is taken without a reference: others may hold it.
    unsafe {
        if (&raw const (*task.as_ptr()).function).read().is_none() {
            return Err(invalid(format!("{name}: fn is NULL")));
        }
        Ok(NonNull::new_unchecked(&raw mut (*task.as_ptr()).slot))
    }
}

/// Why a task was not taken. `name` says which, from its index.
fn not_submitted(why: NotSubmitted, name: impl FnOnce(usize) -> String) -> Failure {
    match why {
        NotSubmitted::Refused(index, Refusal::Busy) => {
            Failure::with(Status::Busy, format!("{} is queued already", name(index)))
        }
        NotSubmitted::Refused(index, Refusal::Unknown) => {
            invalid(format!("{} has not been initialised by weft_task_init", name(index)))
        }
        NotSubmitted::Failed(failure) => failure,
    }
}

/// Makes a task of 64 bytes of the caller's that will call fn(worker, arg). NULL task: nothing. Not for a task that is
/// queued. Any thread, never blocks; there is nothing to undo.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_task_init(task: *mut weft_task, r#fn: weft_task_fn, arg: *mut c_void) {
    if task.is_null() {
        return;
    }
    let fresh = Submitted {
        function: r#fn,
        arg,
        slot: Slot::new::<Submitted>(),
        token: MaybeUninit::zeroed(),
        later: [std::ptr::null_mut(); 2],
    };
    // SAFETY: writable for a weft_task by contract, of which this is the inside.
    unsafe { task.cast::<Submitted>().write_unaligned(fresh) };
}

/// Queues a task of the caller's, as weft_spawn does it, without an allocation (but the queue of the thread may grow).
/// It always runs, even when a shutdown discards. WEFT_BUSY: it is queued already, in this runtime or another; from two
/// threads at once, one gets WEFT_OK. WEFT_INVALID: fn is NULL, or the task was never initialised. WEFT_SHUTDOWN: the
/// runtime no longer takes work. On failure the task is as it was. In a child of fork() no task is queued any more.
/// Never blocks; any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_submit(runtime: *mut weft_runtime, task: *mut weft_task) -> weft_status {
    boundary(|| {
        // SAFETY: a task and a handle by contract.
        unsafe {
            let slot = slot_of(task, &"task")?;
            let core = args::runtime(runtime)?;
            core.submit::<Submitted>(std::iter::once(slot)).map_err(|why| not_submitted(why, |_| "task".into()))
        }
    })
}

/// weft_submit for n tasks at once, all or none: on failure (the message says which task is to blame) none of them is
/// queued. A task that is there twice is WEFT_BUSY. While it looks, other threads may find any of the tasks busy. From
/// outside the tasks are queued together, in this order; threads are woken for all of them by one notification that
/// goes from one to the next. n may be 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_submit_batch(
    runtime: *mut weft_runtime,
    tasks: *const *mut weft_task,
    n: usize,
) -> weft_status {
    boundary(|| {
        // SAFETY: tasks and a handle by contract.
        unsafe {
            let core = args::runtime(runtime)?;
            if n == 0 {
                return Ok(());
            }
            let tasks = args::array(tasks, n, "tasks")?;
            for (index, &task) in tasks.iter().enumerate() {
                slot_of(task, &format_args!("tasks[{index}]"))?;
            }
            // The addresses were checked above.
            let slots = tasks.iter().map(|&task| NonNull::new_unchecked(&raw mut (*task.cast::<Submitted>()).slot));
            core.submit::<Submitted>(slots).map_err(|why| not_submitted(why, |index| format!("tasks[{index}]")))
        }
    })
}
