//! Calls that run on top of the task that waits for them, and calls that hurry because of it.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;

use super::*;
use crate::capi::call::weft_async;
use crate::capi::cancel::{weft_cancel_token_new, weft_cancel_token_release, weft_cancel_token_trigger};
use crate::capi::future::{weft_future_get, weft_future_release, weft_future_wait};
use crate::capi::task::{WEFT_HINT_NOT_STEALABLE, weft_spawn_options, weft_spawn_options_init};
use crate::capi::types::{weft_future, weft_status, weft_worker};

const FOREVER: i64 = i64::MAX;
/// Longer than any test: a wait that gives up some day runs nothing in place.
const AN_HOUR: i64 = 3_600_000_000_000;

fn options(change: impl FnOnce(&mut weft_spawn_options)) -> weft_spawn_options {
    let mut options = MaybeUninit::uninit();
    // SAFETY: writable, and of that size; filled in after the call.
    let mut options = unsafe {
        assert_eq!(weft_spawn_options_init(options.as_mut_ptr(), size_of::<weft_spawn_options>()), 0);
        options.assume_init()
    };
    change(&mut options);
    options
}

/// A future, released at the end.
struct Result(*mut weft_future);

// SAFETY: a handle for any thread.
unsafe impl Send for Result {}

impl Result {
    /// `weft_async` for a closure. With `drops` it may be dropped unrun, which is counted there.
    fn of<F: FnOnce(&Worker) + Send>(
        core: &Core,
        mut options: weft_spawn_options,
        drops: Option<&AtomicUsize>,
        f: F,
    ) -> Self {
        unsafe extern "C-unwind" fn call<F: FnOnce(&Worker)>(
            _: *mut weft_worker,
            arg: *mut c_void,
            _: *mut *mut c_void,
        ) -> weft_status {
            // SAFETY: made by Box::into_raw below, and called once.
            let f = unsafe { Box::from_raw(arg.cast::<F>()) };
            f(Worker::current().unwrap());
            0
        }
        unsafe extern "C-unwind" fn count<F>(ctx: *mut c_void, arg: *mut c_void) {
            // SAFETY: as above, called instead; the counter outlives the runtime.
            unsafe {
                drop(Box::from_raw(arg.cast::<F>()));
                (*ctx.cast::<AtomicUsize>()).fetch_add(1, Ordering::Relaxed);
            }
        }
        if let Some(drops) = drops {
            options.arg_drop = Some(count::<F>);
            options.drop_ctx = ptr::from_ref(drops).cast_mut().cast();
        }
        let mut future = ptr::null_mut();
        let runtime = ptr::from_ref(core).cast_mut().cast();
        // SAFETY: a runtime, a function that fits its argument, options, and a place.
        let status =
            unsafe { weft_async(runtime, Some(call::<F>), Box::into_raw(Box::new(f)).cast(), &options, &mut future) };
        assert_eq!(status, 0);
        Result(future)
    }

    /// Whatever the outcome.
    fn wait(&self, timeout_ns: i64) {
        // SAFETY: a future.
        assert_eq!(unsafe { weft_future_wait(self.0, timeout_ns) }, 0);
    }

    fn status(&self) -> weft_status {
        let mut value = ptr::null_mut();
        // SAFETY: a future and a place.
        unsafe { weft_future_get(self.0, FOREVER, &mut value) }
    }
}

impl Drop for Result {
    fn drop(&mut self) {
        // SAFETY: its only reference.
        unsafe { weft_future_release(self.0) };
    }
}

/// There is one thread, so whatever is waited for runs there or never.
#[test]
fn what_is_waited_for_runs_on_top() {
    let runtime = runtime(1, 1);
    runtime
        .run(|worker| {
            let (core, order) = (worker.core(), crate::sync::Lock::new(Vec::new()));
            let outer = Result::of(core, options(|_| ()), None, |_| {
                order.lock().push(1);
                let inner = Result::of(core, options(|_| ()), None, |_| order.lock().push(2));
                inner.wait(FOREVER);
                order.lock().push(3);
            });
            outer.wait(FOREVER);
            // One that is pinned to this very worker may as well.
            let pinned = options(|options| options.hints = WEFT_HINT_NOT_STEALABLE);
            let last = Result::of(core, pinned, None, |_| order.lock().push(4));
            assert_eq!((last.status(), outer.status()), (0, 0));
            assert_eq!(*order.lock(), [1, 2, 3, 4]);
        })
        .unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!((runtime.stats().executed, runtime.stats().discarded, runtime.stats().blocks), (4, 0, 0));
}

#[test]
fn what_runs_on_top_has_a_turn() {
    let runtime = runtime(1, 1);
    runtime
        .run(|worker| {
            let counts = |worker: &Worker| {
                let stats = worker.core().stats();
                (stats.active, stats.blocked)
            };
            worker.begin_blocking();
            worker.begin_blocking();
            assert_eq!(counts(worker), (0, 1));
            let look = |worker: &Worker| {
                assert_eq!(counts(worker), (1, 0));
                // What goes on below is not its own to end.
                assert!(!worker.end_blocking());
            };
            assert_eq!(Result::of(worker.core(), options(|_| ()), None, look).status(), 0);
            assert_eq!(counts(worker), (0, 1));
            assert!(worker.end_blocking());
            assert_eq!(counts(worker), (0, 1));
            assert!(worker.end_blocking() && !worker.end_blocking());
            assert_eq!(counts(worker), (1, 0));
        })
        .unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

#[test]
fn what_is_pinned_does_not_wait_for_what_runs_on_top() {
    // With a thread to spare: the second one may have taken the call before it is waited for, which passes the turn on.
    let runtime = runtime(2, 0);
    runtime
        .run(|worker| {
            let (core, ran) = (worker.core(), Arc::new(Gate::default()));
            let (open, pinned) = (ran.clone(), core.place(Priority::Normal, None, true).unwrap());
            core.spawn_at(Call(move |_: &Worker| open.open()), pinned).unwrap();
            // Not a wait, which would let it go as well.
            let spin = |_: &Worker| {
                while !ran.is_open() {
                    crate::platform::yield_now();
                }
            };
            Result::of(core, options(|_| ()), None, spin).wait(FOREVER);
        })
        .unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

#[test]
fn what_is_another_runtimes_runs_there() {
    let (mine, other) = (runtime(1, 1), runtime(1, 1));
    mine.run(|worker| {
        let there = |there: &Worker| assert!(ptr::eq(there.core(), &*other));
        assert_eq!(Result::of(&other, options(|_| ()), None, there).status(), 0);
        assert!(ptr::eq(worker.core(), &*mine));
    })
    .unwrap();
    for runtime in [mine, other] {
        runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
        assert_eq!(runtime.stats().executed, 1);
    }
}

/// Who waits for a call that is to be dropped does not run it, and leaves the drop to its queue.
#[test]
fn what_is_to_be_dropped_is_not_run() {
    let cancelled = AtomicUsize::new(0);
    let runtime = runtime(1, 2);
    runtime
        .run(|worker| {
            let mut token = ptr::null_mut();
            // SAFETY: no parent, and a place.
            assert_eq!(unsafe { weft_cancel_token_new(ptr::null_mut(), &mut token) }, 0);
            let with_token = || options(|options| options.cancel = token);
            let dropped = Result::of(worker.core(), with_token(), Some(&cancelled), |_| unreachable!("cancelled"));
            let kept = Result::of(worker.core(), with_token(), None, |worker| assert!(worker.is_cancelled()));
            // SAFETY: a token, its only reference here.
            unsafe {
                assert_eq!(weft_cancel_token_trigger(token, c"enough".as_ptr()), 0);
                weft_cancel_token_release(token);
            }
            assert_eq!((dropped.status(), kept.status()), (Status::Cancelled as i32, 0));
        })
        .unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!((cancelled.into_inner(), runtime.stats().executed, runtime.stats().discarded), (1, 2, 1));
}

#[test]
fn a_discard_leaves_nothing_droppable_to_who_waits() {
    let drops = AtomicUsize::new(0);
    let runtime = runtime(1, 2);
    runtime
        .run(|worker| {
            let core = worker.core();
            let dropped = Result::of(core, options(|_| ()), Some(&drops), |_| unreachable!("it may be dropped"));
            let kept = Result::of(core, options(|_| ()), None, |_| ());
            let begun = core.shutdown(Mode::Discard, Deadline::Now);
            assert!(begun.is_err_and(|failure| failure.is(Status::WouldBlock)));
            frame::enter(None);
            assert_eq!((dropped.status(), kept.status()), (Status::Broken as i32, 0));
            frame::leave(None).unwrap();
        })
        .unwrap();
    runtime.shutdown(Mode::Discard, Deadline::Never).unwrap();
    assert_eq!((drops.into_inner(), runtime.stats().discarded), (1, 1));
}

/// A LOW call that a HIGH task waits for overtakes NORMAL ones. The wait has an end, so the call does not run in place.
#[test]
fn what_is_waited_for_hurries() {
    for (waiting, expected) in [(Priority::High, 0), (Priority::Low, 3)] {
        let runtime = runtime(1, 2);
        let (order, done) = (Order::default(), Arc::new(Gate::default()));
        let (log, end) = (order.clone(), done.clone());
        let task = move |worker: &Worker| {
            let core = worker.core();
            let call = options(|options| options.priority = Priority::Low as i32);
            let call = Result::of(core, call, None, note(&log, 0));
            (1..=3).for_each(|number| spawn(core, note(&log, number)));
            worker.within(crate::scheduler::frame::Context { priority: waiting, ..Default::default() }, || {
                call.wait(AN_HOUR);
                // Whatever is left of it is not in a hurry any more.
                call.wait(AN_HOUR);
            });
            end.open();
        };
        spawn(&runtime, task);
        done.wait(Deadline::Never);
        runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
        // Only one thread takes something before the call has run: this one waits.
        assert_eq!(order.lock().iter().position(|&number| number == 0), Some(expected), "{waiting:?}");
        let stats = runtime.stats();
        assert_eq!((stats.executed, stats.discarded), (stats.spawned, 0));
    }
}
