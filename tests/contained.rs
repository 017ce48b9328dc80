//! Panics of callbacks that nobody waits for: hooks, drops, the log. Each stays where it was, and everything goes on.

use std::ffi::{c_char, c_void};
use std::panic::resume_unwind;
use std::ptr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use weft::capi::breaker::*;
use weft::capi::breaker_watch::*;
use weft::capi::bytes::{weft_bytes_adopt, weft_bytes_release};
use weft::capi::call::*;
use weft::capi::channel::*;
use weft::capi::future::*;
use weft::capi::log::{WEFT_LOG_ERROR, WEFT_LOG_OFF, weft_log_record, weft_log_set};
use weft::capi::loops::*;
use weft::capi::runtime::*;
use weft::capi::task::*;
use weft::capi::types::*;

const FOREVER: i64 = i64::MAX;

/// A panic without a word from the panic hook.
fn fail() -> ! {
    resume_unwind(Box::new("on purpose"))
}

fn count(counter: *mut c_void) {
    // SAFETY: every counter here is alive until its runtime has gone.
    unsafe { &*counter.cast::<AtomicUsize>() }.fetch_add(1, Ordering::Relaxed);
}

fn counter(counter: &AtomicUsize) -> *mut c_void {
    ptr::from_ref(counter).cast_mut().cast()
}

unsafe extern "C-unwind" fn failing_hook(_: *mut weft_worker, arg: *mut c_void) {
    count(arg);
    fail()
}

unsafe extern "C-unwind" fn failing_drop(ctx: *mut c_void, _: *mut c_void) {
    count(ctx);
    fail()
}

unsafe extern "C-unwind" fn task(_: *mut weft_worker, arg: *mut c_void) {
    count(arg);
}

unsafe extern "C-unwind" fn call(_: *mut weft_worker, _: *mut c_void, result: *mut *mut c_void) -> weft_status {
    // SAFETY: a place for the result.
    unsafe { *result = ptr::dangling_mut::<u8>().cast() };
    0
}

fn runtime(change: impl FnOnce(&mut weft_runtime_options)) -> *mut weft_runtime {
    let mut options = std::mem::MaybeUninit::<weft_runtime_options>::uninit();
    let mut runtime = ptr::null_mut();
    // SAFETY: filled in before it is read.
    unsafe {
        assert_eq!(weft_runtime_options_init(options.as_mut_ptr(), size_of::<weft_runtime_options>()), 0);
        let mut options = options.assume_init();
        options.workers = 1;
        change(&mut options);
        assert_eq!(weft_runtime_new(&options, &mut runtime), 0);
    }
    runtime
}

fn spawn_options(change: impl FnOnce(&mut weft_spawn_options)) -> weft_spawn_options {
    let mut options = std::mem::MaybeUninit::<weft_spawn_options>::uninit();
    // SAFETY: filled in before it is read.
    let mut options = unsafe {
        assert_eq!(weft_spawn_options_init(options.as_mut_ptr(), size_of::<weft_spawn_options>()), 0);
        options.assume_init()
    };
    change(&mut options);
    options
}

/// Ends it, and returns how many callbacks panicked.
fn end(runtime: *mut weft_runtime, mode: i32) -> u64 {
    // SAFETY: a live handle; the statistics have their size.
    unsafe {
        assert_eq!(weft_runtime_shutdown(runtime, mode, FOREVER), 0);
        let mut stats: weft_runtime_stats = std::mem::zeroed();
        stats.size = size_of::<weft_runtime_stats>();
        assert_eq!(weft_runtime_stats_get(runtime, &mut stats), 0);
        assert_eq!((stats.threads, stats.replaced), (0, 0));
        weft_runtime_release(runtime);
        stats.panicked
    }
}

#[test]
fn hooks() {
    let (hooks, tasks) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let runtime = runtime(|options| {
        options.on_worker_start = Some(failing_hook);
        options.on_worker_stop = Some(failing_hook);
        options.hook_arg = counter(&hooks);
    });
    // SAFETY: a live handle; the counter outlives the runtime.
    unsafe { assert_eq!(weft_run(runtime, Some(task), counter(&tasks)), 0) };
    let panicked = end(runtime, WEFT_SHUTDOWN_DRAIN);
    assert_eq!((panicked as usize, tasks.into_inner()), (hooks.load(Ordering::Relaxed), 1));
    assert_eq!(hooks.into_inner(), 2);
}

#[test]
fn drops_of_discarded_tasks() {
    static GATE: Barrier = Barrier::new(2);
    unsafe extern "C-unwind" fn hold(_: *mut weft_worker, _: *mut c_void) {
        // It has begun; it may end.
        GATE.wait();
        GATE.wait();
    }
    let dropped = AtomicUsize::new(0);
    let runtime = runtime(|options| options.max_threads = 1);
    // SAFETY: live handles; the counter outlives the runtime.
    unsafe {
        assert_eq!(weft_spawn(runtime, Some(hold), ptr::null_mut()), 0);
        GATE.wait();
        let options = spawn_options(|options| {
            options.arg_drop = Some(failing_drop);
            options.drop_ctx = counter(&dropped);
        });
        for _ in 0..3 {
            assert_eq!(weft_spawn_with(runtime, Some(task), ptr::null_mut(), &options), 0);
        }
        let _ = weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, 0);
        GATE.wait();
    }
    end(runtime, WEFT_SHUTDOWN_DISCARD);
    assert_eq!(dropped.into_inner(), 3);
}

#[test]
fn drops_of_results_and_values() {
    let dropped = AtomicUsize::new(0);
    let runtime = runtime(|_| {});
    // SAFETY: live handles; the counter outlives them.
    unsafe {
        let options = spawn_options(|options| {
            options.result_drop = Some(failing_drop);
            options.drop_ctx = counter(&dropped);
        });
        let mut future = ptr::null_mut();
        assert_eq!(weft_async(runtime, Some(call), ptr::null_mut(), &options, &mut future), 0);
        assert_eq!(weft_future_wait(future, FOREVER), 0);
        weft_future_release(future);
        // Its promise is the task's until that has ended.
        end(runtime, WEFT_SHUTDOWN_DRAIN);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
        let mut promise = ptr::null_mut();
        assert_eq!(weft_promise_new(&mut promise, &mut future), 0);
        assert_eq!(weft_promise_resolve(promise, promise.cast(), Some(failing_drop), counter(&dropped)), 0);
        weft_promise_release(promise);
        weft_future_release(future);
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
        let (mut data, mut bytes) = ([7u8; 4], ptr::null_mut());
        assert_eq!(weft_bytes_adopt(data.as_mut_ptr().cast(), 4, Some(failing_drop), counter(&dropped), &mut bytes), 0);
        weft_bytes_release(bytes);
    }
    assert_eq!(dropped.into_inner(), 3);
}

#[test]
fn drops_of_elements() {
    let dropped = AtomicUsize::new(0);
    let mut options = std::mem::MaybeUninit::<weft_channel_options>::uninit();
    let mut channel = ptr::null_mut();
    // SAFETY: filled in before it is read; live handles; the counter outlives them.
    unsafe {
        assert_eq!(weft_channel_options_init(options.as_mut_ptr(), size_of::<weft_channel_options>()), 0);
        let mut options = options.assume_init();
        options.elem_size = 8;
        options.capacity = 5;
        options.drop = Some(failing_drop);
        options.drop_ctx = counter(&dropped);
        assert_eq!(weft_channel_new(&options, &mut channel), 0);
        for element in 0..3u64 {
            assert_eq!(weft_channel_send(channel, (&raw const element).cast(), 0), 0);
        }
        weft_channel_release(channel);
    }
    assert_eq!(dropped.into_inner(), 3);
}

#[test]
fn drops_of_accumulators() {
    unsafe extern "C-unwind" fn fold(
        _: *mut weft_worker,
        _: usize,
        _: usize,
        _: *mut c_void,
        _: *mut c_void,
    ) -> weft_status {
        77
    }
    unsafe extern "C-unwind" fn combine(
        _: *mut weft_worker,
        _: *mut c_void,
        _: *mut c_void,
        _: *mut c_void,
    ) -> weft_status {
        77
    }
    let dropped = AtomicUsize::new(0);
    let runtime = runtime(|_| {});
    let mut options = std::mem::MaybeUninit::<weft_loop_options>::uninit();
    let (zero, mut sum) = (0u64, 0u64);
    // SAFETY: filled in before it is read; live handles; the counter outlives them.
    unsafe {
        assert_eq!(weft_loop_options_init(options.as_mut_ptr(), size_of::<weft_loop_options>()), 0);
        let mut options = options.assume_init();
        options.acc_drop = Some(failing_drop);
        options.acc_drop_ctx = counter(&dropped);
        let (identity, out) = ((&raw const zero).cast(), (&raw mut sum).cast());
        let status =
            weft_reduce(runtime, 0, 10, 8, identity, Some(fold), Some(combine), ptr::null_mut(), &options, out);
        assert_eq!(status, 77);
    }
    end(runtime, WEFT_SHUTDOWN_DRAIN);
    assert!(dropped.into_inner() >= 1);
}

#[test]
fn the_log_callback() {
    unsafe extern "C-unwind" fn failing_log(_: *const weft_log_record, arg: *mut c_void) {
        count(arg);
        fail()
    }
    unsafe extern "C-unwind" fn failing_task(_: *mut weft_worker, _: *mut c_void) {
        fail()
    }
    let name = c"failing log";
    let logged = AtomicUsize::new(0);
    let runtime = runtime(|options| options.name = name.as_ptr().cast::<c_char>());
    // SAFETY: live handles; the counter outlives the callback, which the second call ends.
    unsafe {
        assert_eq!(weft_log_set(Some(failing_log), counter(&logged), WEFT_LOG_ERROR), 0);
        for _ in 0..3 {
            assert_eq!(weft_spawn(runtime, Some(failing_task), ptr::null_mut()), 0);
        }
        assert_eq!(end(runtime, WEFT_SHUTDOWN_DRAIN), 3);
        assert_eq!(weft_log_set(None, ptr::null_mut(), WEFT_LOG_OFF), 0);
    }
    // Other tests' runtimes may log as well.
    assert!(logged.into_inner() >= 3);
}

unsafe extern "C-unwind" fn failing_call(_: *mut weft_worker, arg: *mut c_void, _: *mut *mut c_void) -> weft_status {
    count(arg);
    fail()
}

unsafe extern "C-unwind" fn failing_predicate(_: weft_status, arg: *mut c_void) -> i32 {
    count(arg);
    fail()
}

unsafe extern "C-unwind" fn failing_listener(_: *const weft_breaker_event, arg: *mut c_void) {
    count(arg);
    fail()
}

#[test]
fn calls_predicates_and_listeners_of_breakers() {
    let [calls, asked, told, dropped] = [const { AtomicUsize::new(0) }; 4];
    let mut options = std::mem::MaybeUninit::<weft_breaker_options>::uninit();
    let mut breaker = ptr::null_mut();
    // SAFETY: filled in before it is read; counters and breaker live until the end.
    unsafe {
        assert_eq!(weft_breaker_options_init(options.as_mut_ptr(), size_of::<weft_breaker_options>()), 0);
        let mut options = options.assume_init();
        options.consecutive = 2;
        assert_eq!(weft_breaker_new(&options, &mut breaker), 0);
        let (listener, drop) = (Some(failing_listener as _), Some(failing_drop as _));
        let watch = ptr::null_mut();
        assert_eq!(weft_breaker_on_change(breaker, listener, counter(&told), drop, counter(&dropped), watch), 0);
        for _ in 0..2 {
            let status = weft_breaker_call(breaker, Some(failing_call), counter(&calls), ptr::null_mut());
            assert_eq!(status, 61, "WEFT_PANIC");
        }
        assert_eq!(weft_breaker_get_state(breaker), WEFT_BREAKER_OPEN);
        assert_eq!(weft_breaker_force(breaker, WEFT_BREAKER_CLOSED), 0);
        weft_breaker_release(breaker);
        // A predicate that panics has not excused the call.
        (options.outcome, options.outcome_arg, options.consecutive) =
            (Some(failing_predicate as _), counter(&asked), 1);
        assert_eq!(weft_breaker_new(&options, &mut breaker), 0);
        assert_eq!(weft_breaker_call(breaker, Some(call), ptr::null_mut(), ptr::null_mut()), 0);
        assert_eq!(weft_breaker_get_state(breaker), WEFT_BREAKER_OPEN);
        weft_breaker_release(breaker);
    }
    assert_eq!([calls, asked, told, dropped].map(AtomicUsize::into_inner), [2, 1, 2, 1]);
}
