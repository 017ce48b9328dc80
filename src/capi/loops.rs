//! Loops.

use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_void;
use std::ops::Range;
use std::ptr::NonNull;

use super::args::{self, callback, invalid, place, pointer};
use super::boundary::{boundary, call_back};
use super::cancel;
use super::runtime::as_opaque;
use super::types::{weft_cancel_token, weft_drop_fn, weft_runtime, weft_status, weft_worker};
use crate::error::{Failure, Result, Status};
use crate::panics;
use crate::parallel::{self, Fold, LoopOptions, OnFailure};
use crate::scheduler::{Core, Worker};
use crate::sync::Deadline;

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

/// Adds *from, what comes right after it, to *into. Whatever *from owns has moved when this returns WEFT_OK; on a
/// failure acc_drop is called for both.
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
    /// Indices per call at most; 0: as many as take some ten microseconds, going by the calls before. Where the costs
    /// of indices differ wildly, give a grain: a call is not cut short.
    pub grain: usize,
    /// Ranges of up to this many indices are not split; 0: no such ranges.
    pub serial_below: usize,
    /// When to stop with WEFT_TIMEOUT, between two calls; what runs is waited for. WEFT_FOREVER, the default: not at
    /// all. 0 or less: nothing is called.
    pub timeout_ns: i64,
    /// What a failure of fn does: one of WEFT_ON_FAILURE_. weft_reduce knows WEFT_ON_FAILURE_STOP only.
    pub on_failure: i32,
    /// For weft_reduce: acc_drop(acc_drop_ctx, acc) is called for each accumulator that a failure strands, so that what
    /// it owns can be freed; NULL: nothing.
    pub acc_drop: weft_drop_fn,
    /// Handed to acc_drop.
    pub acc_drop_ctx: *mut c_void,
    /// Ends the loop with WEFT_CANCELLED when it is triggered, as does the token of the task that runs the loop; its
    /// bodies go by both. What runs is waited for. NULL: none.
    pub cancel: *mut weft_cancel_token,
}

impl args::SizePrefixed for weft_loop_options {
    fn defaults() -> Self {
        weft_loop_options {
            size: size_of::<Self>(),
            grain: 0,
            serial_below: 0,
            timeout_ns: i64::MAX,
            on_failure: WEFT_ON_FAILURE_STOP,
            acc_drop: None,
            acc_drop_ctx: std::ptr::null_mut(),
            cancel: std::ptr::null_mut(),
        }
    }
}

/// The first failure stops what has not begun, and is returned.
pub const WEFT_ON_FAILURE_STOP: i32 = 0;
/// The same, and then the ranges that failed or were not reached are run once more, in order, on one thread; that run's
/// outcome counts. A range that failed half-way is run again from its beginning. The log tells.
pub const WEFT_ON_FAILURE_REDO: i32 = 1;
/// The same for the whole loop, ranges that went well included.
pub const WEFT_ON_FAILURE_REDO_ALL: i32 = 2;

impl weft_loop_options {
    /// # Safety
    /// `cancel` is NULL or a handle that outlives the result.
    unsafe fn read<'a>(&self) -> Result<LoopOptions<'a>> {
        let on_failure = match self.on_failure {
            WEFT_ON_FAILURE_STOP => OnFailure::Stop,
            WEFT_ON_FAILURE_REDO => OnFailure::RedoSerially,
            WEFT_ON_FAILURE_REDO_ALL => OnFailure::RedoAllSerially,
            other => return Err(invalid(format!("on_failure: {other} is none of WEFT_ON_FAILURE_"))),
        };
        Ok(LoopOptions {
            grain: self.grain,
            serial_below: self.serial_below,
            deadline: Deadline::after(self.timeout_ns),
            on_failure,
            // SAFETY: promised by the caller.
            cancel: unsafe { cancel::optional(self.cancel, "cancel")? },
        })
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
    /// Indices that were run again because of on_failure; the numbers above are those after that.
    pub redone: usize,
    /// Whether anything was: 1 or 0.
    pub fell_back: i32,
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

/// Runs a loop on a worker of the runtime, and fills in the caller's report.
unsafe fn run_loop(
    core: &Core,
    range: Range<usize>,
    options: LoopOptions<'_>,
    report: *mut weft_loop_report,
    body: parallel::Body<'_>,
) -> Result<()> {
    let report = match report.is_null() {
        true => None,
        // SAFETY: a struct by contract.
        false => Some(unsafe { args::result_struct(report, "report")? }),
    };
    let len = range.len();
    let (counts, result) = match len {
        0 => (parallel::Report::default(), Ok(())),
        _ => core.run(move |worker| parallel::for_each(worker, range, options, body))?,
    };
    if let Some(report) = report {
        // SAFETY: at least this version's size, as checked.
        unsafe {
            (*report).done = counts.done;
            (*report).failed = counts.failed;
            (*report).skipped = len - counts.done - counts.failed;
            (*report).redone = counts.redone;
            (*report).fell_back = counts.fell_back as i32;
        }
    }
    result
}

/// Calls fn on consecutive ranges that cover [begin, end), in parallel, and returns when all calls have ended. A worker
/// goes through its range and gives half of what is left away when another asks. The first failure stops what has not
/// begun, and is returned with its message, unless the options say otherwise. NULL options: the defaults. `report`, if
/// not NULL, is written whenever the loop ran, also when it failed; set its size first. Nested loops are fine. Blocks
/// until what has begun has ended, is not interrupted. begin == end: WEFT_OK, nothing is called. begin > end:
/// WEFT_INVALID. WEFT_TIMEOUT, WEFT_CANCELLED: the options' time was up, or it was cancelled. WEFT_PANIC: fn panicked.
/// Otherwise as weft_run.
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
        unsafe {
            let (options, core) = (args::options(options)?.read()?, args::runtime(runtime)?);
            run_loop(core, range, options, report, &|worker, range| body.call(worker, range))
        }
    })
}

/// Makes *out from *in. Anything but WEFT_OK is a failure of the element.
pub type weft_map_fn = Option<
    unsafe extern "C-unwind" fn(
        worker: *mut weft_worker,
        r#in: *const c_void,
        out: *mut c_void,
        arg: *mut c_void,
    ) -> weft_status,
>;

struct Mapping {
    function: unsafe extern "C-unwind" fn(*mut weft_worker, *const c_void, *mut c_void, *mut c_void) -> weft_status,
    input: *const c_void,
    in_size: usize,
    output: *mut c_void,
    out_size: usize,
    arg: *mut c_void,
}

// SAFETY: whoever maps promises that the function may run on several elements at once.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn call(&self, worker: &Worker, range: Range<usize>) -> Result<()> {
        range.into_iter().try_for_each(|i| {
            let input = self.input.wrapping_byte_add(i * self.in_size);
            let output = self.output.wrapping_byte_add(i * self.out_size);
            // SAFETY: as promised.
            call_back(|| unsafe { (self.function)(as_opaque(worker), input, output, self.arg) })
        })
    }
}

/// Calls fn(worker, in + i * in_size, out + i * out_size, arg) for each i below n, in parallel: out[i] is made from
/// in[i], whoever makes it. The arrays are the caller's; they may be the same if fn can bear it. In a failed loop some
/// elements of `out` have not been written. n 0: WEFT_OK, and the arrays may be NULL. Sizes whose product with n is
/// more than any memory: WEFT_INVALID. A size of 0 is allowed, and gives each call the same pointer. Otherwise as
/// weft_for; a failure counts for the chunk of elements that it is in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn weft_map(
    runtime: *mut weft_runtime,
    r#in: *const c_void,
    in_size: usize,
    out: *mut c_void,
    out_size: usize,
    n: usize,
    r#fn: weft_map_fn,
    arg: *mut c_void,
    options: *const weft_loop_options,
    report: *mut weft_loop_report,
) -> weft_status {
    boundary(|| {
        let function = callback(r#fn, "fn")?;
        for (size, name) in [(in_size, "in_size"), (out_size, "out_size")] {
            if size.checked_mul(n).is_none_or(|bytes| bytes > isize::MAX as usize) {
                return Err(invalid(format!("{name}: {n} elements of {size} bytes are more than any memory")));
            }
        }
        if n > 0 {
            pointer(r#in, "in")?;
            place(out, "out")?;
        }
        let mapping = Mapping { function, input: r#in, in_size, output: out, out_size, arg };
        // SAFETY: options, structs and handles by contract.
        unsafe {
            let (options, core) = (args::options(options)?.read()?, args::runtime(runtime)?);
            run_loop(core, 0..n, options, report, &|worker, range| mapping.call(worker, range))
        }
    })
}

/// A grain for n items that take about ns_per_item nanoseconds each, on `workers` threads (0 or less: 1): calls of some
/// ten microseconds, but at least eight for each worker as far as there are items. An unknown cost (0 or less, NaN):
/// eight calls for each worker. At least 1.
#[unsafe(no_mangle)]
pub extern "C" fn weft_optimal_grain(n: usize, workers: i32, ns_per_item: f64) -> usize {
    parallel::optimal_grain(n, workers.max(1) as usize, ns_per_item)
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

/// Reduces [begin, end) in parallel into *out. Accumulators of acc_size bytes, aligned to 16, begin as bitwise copies
/// of
/// *identity; fold adds ranges, combine adds what comes right after. Only neighbours are combined, left with right, so
/// combine must be associative and need not be commutative. How the range is cut depends on its length, the grain and serial_below,
/// with a grain of 0 on who was free to help, too: a fixed grain gives bit-identical floats everywhere. An empty range
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
        // SAFETY: a handle by contract.
        let loop_options = unsafe { options.read()? };
        if loop_options.on_failure != OnFailure::Stop {
            return Err(invalid("on_failure: a reduction cannot be run again in part".into()));
        }
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
        let acc = core.run(move |worker| parallel::fold(worker, range, loop_options, folding))??;
        // SAFETY: both have the accumulator's size by contract.
        unsafe { std::ptr::copy_nonoverlapping(acc.memory.as_ptr().cast::<u8>(), out.cast(), acc_size) };
        acc.free();
        Ok(())
    })
}
