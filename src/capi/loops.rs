//! Loops.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;
use std::ops::Range;
use std::ptr::NonNull;

use super::args::{self, callback, invalid, place, pointer};
use super::boundary::{boundary, call_back};
use super::runtime::as_opaque;
use super::types::{weft_drop_fn, weft_runtime, weft_status, weft_worker};
use crate::error::{Failure, Result, Status};
use crate::panics;
use crate::parallel::{self, Fold};
use crate::scheduler::Worker;

/// The body of a loop: works on the indices from begin to before end. Anything but WEFT_OK stops the loop.
pub type weft_range_fn = Option<
    unsafe extern "C-unwind" fn(worker: *mut weft_worker, begin: usize, end: usize, arg: *mut c_void) -> weft_status,
>;

/// Adds the indices from begin to before end to *acc, in order.
pub type weft_fold_fn = Option<
    unsafe extern "C-unwind" fn(
        worker: *mut weft_worker,
        begin: usize,
        end: usize,
        acc: *mut c_void,
        arg: *mut c_void,
    ) -> weft_status,
>;

/// Adds *from, what comes right after it, to *into. Whatever *from owns has moved when this returns WEFT_OK; on a failure
/// acc_drop is called for both.
pub type weft_combine_fn = Option<
    unsafe extern "C-unwind" fn(
        worker: *mut weft_worker,
        into: *mut c_void,
        from: *mut c_void,
        arg: *mut c_void,
    ) -> weft_status,
>;

/// How to run a loop. Fill in with weft_loop_options_init, then change what matters.
#[repr(C)]
pub struct weft_loop_options {
    /// sizeof(weft_loop_options).
    pub size: usize,
    /// Indices per call at most; 0: chosen from the length and the number of workers.
    pub grain: usize,
    /// For weft_reduce: acc_drop(acc_drop_ctx, acc) is called for each accumulator that a failure strands, so that what it
    /// owns can be freed; NULL: nothing.
    pub acc_drop: weft_drop_fn,
    /// Handed to acc_drop.
    pub acc_drop_ctx: *mut c_void,
}

impl args::SizePrefixed for weft_loop_options {
    fn defaults() -> Self {
        weft_loop_options { size: size_of::<Self>(), grain: 0, acc_drop: None, acc_drop_ctx: std::ptr::null_mut() }
    }
}

/// What became of a loop's indices.
#[repr(C)]
pub struct weft_loop_report {
    /// Set by the caller: sizeof(weft_loop_report).
    pub size: usize,
    /// Indices in calls that returned WEFT_OK.
    pub done: usize,
    /// Indices in calls that did not.
    pub failed: usize,
    /// Indices that were not reached.
    pub skipped: usize,
}

/// Fills in the defaults. `size` is sizeof *options as the caller knows it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_loop_options_init(options: *mut weft_loop_options, size: usize) -> weft_status {
    // SAFETY: writable for `size` bytes by contract.
    boundary(|| unsafe { args::init(options, size) })
}

fn check_range(begin: usize, end: usize) -> Result<Range<usize>> {
    if begin > end {
        return Err(invalid(format!("begin: {begin} is after end, {end}")));
    }
    Ok(begin..end)
}

struct Body {
    function: unsafe extern "C-unwind" fn(*mut weft_worker, usize, usize, *mut c_void) -> weft_status,
    arg: *mut c_void,
}

// SAFETY: whoever runs a loop promises that its body may run with its argument on several workers at once.
unsafe impl Sync for Body {}

impl Body {
    fn call(&self, worker: &Worker, range: Range<usize>) -> Result<()> {
        // SAFETY: as promised.
        call_back(|| unsafe { (self.function)(as_opaque(worker), range.start, range.end, self.arg) })
    }
}

/// Calls fn on consecutive ranges that cover [begin, end), in parallel, and returns when all calls have ended. The first
/// failure stops what has not begun, and is returned with its message. NULL options: the defaults. `report`, if not NULL,
/// is written whenever the loop ran, also when it failed; set its size first. Nested loops are fine. Blocks without
/// limit, is not interrupted. begin == end: WEFT_OK, nothing is called. begin > end: WEFT_INVALID. WEFT_PANIC: fn
/// panicked. Otherwise as weft_run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_for(
    runtime: *mut weft_runtime,
    begin: usize,
    end: usize,
    r#fn: weft_range_fn,
    arg: *mut c_void,
    options: *const weft_loop_options,
    report: *mut weft_loop_report,
) -> weft_status {
    boundary(|| {
        let range = check_range(begin, end)?;
        let body = Body { function: callback(r#fn, "fn")?, arg };
        // SAFETY: options, structs and handles by contract.
        let (options, core) = unsafe { (args::options(options)?, args::runtime(runtime)?) };
        let report = match report.is_null() {
            true => None,
            // SAFETY: a struct by contract.
            false => Some(unsafe { args::result_struct(report, "report")? }),
        };
        let (body, loop_range) = (&body, range.clone());
        let (counts, result) = if range.is_empty() {
            (parallel::Report::default(), Ok(()))
        } else {
            core.run(move |worker| {
                parallel::for_each(worker, loop_range, options.grain, &|worker, range| body.call(worker, range))
            })?
        };
        if let Some(report) = report {
            // SAFETY: at least this version's size, as checked.
            unsafe {
                (*report).done = counts.done;
                (*report).failed = counts.failed;
                (*report).skipped = range.len() - counts.done - counts.failed;
            }
        }
        result
    })
}

/// A reduction as the caller described it.
struct Reduction {
    layout: Layout,
    size: usize,
    identity: *const c_void,
    fold: unsafe extern "C-unwind" fn(*mut weft_worker, usize, usize, *mut c_void, *mut c_void) -> weft_status,
    combine: unsafe extern "C-unwind" fn(*mut weft_worker, *mut c_void, *mut c_void, *mut c_void) -> weft_status,
    arg: *mut c_void,
    acc_drop: weft_drop_fn,
    acc_drop_ctx: *mut c_void,
}

// SAFETY: whoever reduces promises that the callbacks may run with their argument on several workers at once.
unsafe impl Sync for Reduction {}

/// An accumulator's memory, with what it owns.
struct Accumulator<'a> {
    memory: NonNull<c_void>,
    reduction: &'a Reduction,
}

// SAFETY: an accumulator is used by one worker at a time, on whichever, as the caller promised.
unsafe impl Send for Accumulator<'_> {}

impl Accumulator<'_> {
    /// Frees the memory; what it owned has moved elsewhere.
    fn free(self) {
        // SAFETY: allocated with this layout; not used again.
        unsafe { dealloc(self.memory.as_ptr().cast(), self.reduction.layout) };
        std::mem::forget(self);
    }
}

impl Drop for Accumulator<'_> {
    fn drop(&mut self) {
        let Reduction { acc_drop, acc_drop_ctx, layout, .. } = *self.reduction;
        if let Some(acc_drop) = acc_drop {
            panics::contain("the drop callback of an accumulator", || {
                // SAFETY: given for this call, which happens once for each stranded accumulator.
                unsafe { acc_drop(acc_drop_ctx, self.memory.as_ptr()) }
            });
        }
        // SAFETY: allocated with this layout; not used again.
        unsafe { dealloc(self.memory.as_ptr().cast(), layout) };
    }
}

/// Bridges the reduction to the crate's fold.
struct Folding<'a>(&'a Reduction);

impl<'a> Fold for Folding<'a> {
    type Acc = Accumulator<'a>;

    fn identity(&self) -> Result<Accumulator<'a>> {
        let reduction = self.0;
        // SAFETY: the size is not zero.
        let memory = NonNull::new(unsafe { alloc(reduction.layout) }.cast::<c_void>());
        let memory = memory.ok_or(Failure::new(Status::NoMemory, "no memory for an accumulator"))?;
        // SAFETY: both have the accumulator's size.
        unsafe {
            std::ptr::copy_nonoverlapping(reduction.identity.cast::<u8>(), memory.as_ptr().cast(), reduction.size)
        };
        Ok(Accumulator { memory, reduction })
    }

    fn fold(&self, worker: &Worker, range: Range<usize>, acc: &mut Accumulator<'a>) -> Result<()> {
        let (fold, arg) = (self.0.fold, self.0.arg);
        // SAFETY: as the caller promised.
        call_back(|| unsafe { fold(as_opaque(worker), range.start, range.end, acc.memory.as_ptr(), arg) })
    }

    fn combine(&self, worker: &Worker, left: &mut Accumulator<'a>, right: Accumulator<'a>) -> Result<()> {
        let (combine, arg) = (self.0.combine, self.0.arg);
        // SAFETY: as the caller promised.
        call_back(|| unsafe { combine(as_opaque(worker), left.memory.as_ptr(), right.memory.as_ptr(), arg) })?;
        right.free();
        Ok(())
    }
}

/// Reduces [begin, end) in parallel into *out. Accumulators of acc_size bytes, aligned to 16, begin as bitwise copies of
/// *identity; fold adds ranges, combine adds what comes right after. Only neighbours are combined, left with right, so
/// combine must be associative and need not be commutative. How the range is cut depends on its length and the grain,
/// with a grain of 0 on the number of workers, too: a fixed grain gives bit-identical floats everywhere. An empty range
/// gives the identity. On failure *out is as it was, and acc_drop has been called for every accumulator: the first failure
/// is returned. NULL options: the defaults. acc_size 0, begin > end: WEFT_INVALID. WEFT_NOMEM: no memory for an
/// accumulator. Otherwise as weft_for.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_reduce(
    runtime: *mut weft_runtime,
    begin: usize,
    end: usize,
    acc_size: usize,
    identity: *const c_void,
    fold: weft_fold_fn,
    combine: weft_combine_fn,
    arg: *mut c_void,
    options: *const weft_loop_options,
    out: *mut c_void,
) -> weft_status {
    /// The strictest alignment of C's basic types.
    const ALIGN: usize = 16;
    boundary(|| {
        let out = place(out, "out")?;
        let range = check_range(begin, end)?;
        if acc_size == 0 {
            return Err(invalid("acc_size is 0".into()));
        }
        // SAFETY: options by contract.
        let options = unsafe { args::options(options)? };
        let reduction = Reduction {
            layout: Layout::from_size_align(acc_size, ALIGN)
                .map_err(|_| invalid(format!("acc_size: {acc_size} is more than any memory")))?,
            size: acc_size,
            identity: pointer(identity, "identity")?,
            fold: callback(fold, "fold")?,
            combine: callback(combine, "combine")?,
            arg,
            acc_drop: options.acc_drop,
            acc_drop_ctx: options.acc_drop_ctx,
        };
        // SAFETY: a handle by contract.
        let core = unsafe { args::runtime(runtime)? };
        if range.is_empty() {
            // SAFETY: both have the accumulator's size by contract; they may be the same.
            unsafe { std::ptr::copy(identity.cast::<u8>(), out.cast(), acc_size) };
            return Ok(());
        }
        let folding = Folding(&reduction);
        let folding = &folding;
        let acc = core.run(move |worker| parallel::fold(worker, range, options.grain, folding))??;
        // SAFETY: both have the accumulator's size by contract.
        unsafe { std::ptr::copy_nonoverlapping(acc.memory.as_ptr().cast::<u8>(), out.cast(), acc_size) };
        acc.free();
        Ok(())
    })
}
