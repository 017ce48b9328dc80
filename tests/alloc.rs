//! What queueing, futures and breakers allocate, counted by a global allocator: submitting caller-owned tasks nothing, spawning nothing
//! once blocks go round, a future less than two cache lines, a call through a breaker nothing, whether it is let through or not. A program of its own, because the allocator counts everything in it, and without libtest, which allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use weft::capi::breaker::*;
use weft::capi::future::{weft_future_get, weft_future_release};
use weft::capi::future::{weft_promise_new, weft_promise_release, weft_promise_resolve};
use weft::capi::runtime::{WEFT_SHUTDOWN_DRAIN, weft_runtime_release, weft_runtime_shutdown};
use weft::capi::runtime::{weft_runtime_new, weft_runtime_options, weft_runtime_options_init};
use weft::capi::submit::{weft_submit, weft_submit_batch, weft_task, weft_task_init};
use weft::capi::task::{weft_run, weft_spawn};
use weft::capi::types::{weft_runtime, weft_worker};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
/// What the allocator has set aside for them.
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards to the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the same contract; the system's allocator is malloc.
        unsafe {
            let memory = System.alloc(layout);
            BYTES.fetch_add(libc::malloc_usable_size(memory.cast()), Ordering::Relaxed);
            memory
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the same contract.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `f` makes, on all threads.
fn allocations(f: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    f();
    ALLOCATIONS.load(Ordering::SeqCst) - before
}

fn check(status: i32) {
    assert_eq!(status, 0);
}

fn runtime(workers: i32) -> *mut weft_runtime {
    let mut options = std::mem::MaybeUninit::<weft_runtime_options>::uninit();
    let mut runtime = ptr::null_mut();
    // SAFETY: valid places.
    unsafe {
        check(weft_runtime_options_init(options.as_mut_ptr(), size_of::<weft_runtime_options>()));
        (*options.as_mut_ptr()).workers = workers;
        (*options.as_mut_ptr()).max_threads = workers;
        check(weft_runtime_new(options.as_ptr(), &mut runtime));
    }
    runtime
}

fn end(runtime: *mut weft_runtime) {
    // SAFETY: the only reference.
    unsafe {
        check(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, i64::MAX));
        weft_runtime_release(runtime);
    }
}

/// Counts what has run, and knows what is to be submitted again.
struct Round {
    runtime: *mut weft_runtime,
    ran: Mutex<usize>,
    grew: Condvar,
    again: AtomicUsize,
    task: weft_task,
}

impl Round {
    fn new(runtime: *mut weft_runtime, again: usize) -> Box<Round> {
        let task = weft_task { r#fn: None, arg: ptr::null_mut(), reserved: [ptr::null_mut(); 6] };
        let mut round =
            Box::new(Round { runtime, ran: Mutex::new(0), grew: Condvar::new(), again: AtomicUsize::new(again), task });
        let arg = ptr::from_mut(&mut *round).cast();
        // SAFETY: memory of ours.
        unsafe { weft_task_init(&mut round.task, Some(run_again), arg) };
        round
    }

    fn wait_for(&self, count: usize) {
        let ran = self.ran.lock().unwrap();
        drop(self.grew.wait_while(ran, |ran| *ran < count).unwrap());
    }
}

unsafe extern "C-unwind" fn count(_: *mut weft_worker, arg: *mut c_void) {
    // SAFETY: a Round.
    let round = unsafe { &*arg.cast::<Round>() };
    let mut ran = round.ran.lock().unwrap();
    *ran += 1;
    // Under the lock: the round may go as soon as it is released.
    round.grew.notify_one();
}

/// Submits its own task from within.
unsafe extern "C-unwind" fn run_again(worker: *mut weft_worker, arg: *mut c_void) {
    let round = arg.cast::<Round>();
    // SAFETY: a Round, which waits for the count.
    unsafe {
        if (*round).again.fetch_sub(1, Ordering::Relaxed) > 1 {
            check(weft_submit((*round).runtime, &raw mut (*round).task));
        }
        count(worker, arg);
    }
}

unsafe extern "C-unwind" fn spawn_some(_: *mut weft_worker, arg: *mut c_void) {
    for _ in 0..SPAWNED {
        // SAFETY: a Round.
        unsafe { check(weft_spawn((*arg.cast::<Round>()).runtime, Some(count), arg)) };
    }
}

const MILLION: usize = 1_000_000;
const TASKS: usize = 1000;
const SPAWNED: usize = 40;

fn main() {
    submitting_from_outside();
    submitting_from_a_task();
    spawning();
    futures();
    breakers();
    println!("5 passed, 0 failed");
}

/// A promise, its future and what they share: one allocation, and nothing more when it is settled and read.
fn futures() {
    let (mut promise, mut future, mut value) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let before = BYTES.load(Ordering::SeqCst);
    // SAFETY: valid places and handles.
    let made = allocations(|| unsafe {
        check(weft_promise_new(&mut promise, &mut future));
        check(weft_promise_resolve(promise, ptr::null_mut(), None, ptr::null_mut()));
        check(weft_future_get(future, 0, &mut value));
        weft_promise_release(promise);
        weft_future_release(future);
    });
    let bytes = BYTES.load(Ordering::SeqCst) - before;
    println!("a promise and its future: {made} allocation, {bytes} bytes");
    assert!(made == 1 && bytes < 128);
}

/// A million submissions from outside, one by one and in batches.
fn submitting_from_outside() {
    let runtime = runtime(2);
    let mut round = Round::new(runtime, 0);
    let arg = ptr::from_mut(&mut *round).cast::<c_void>();
    let mut tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let mut task = weft_task { r#fn: None, arg: ptr::null_mut(), reserved: [ptr::null_mut(); 6] };
            // SAFETY: memory of ours; it is moved before it is queued.
            unsafe { weft_task_init(&mut task, Some(count), arg) };
            task
        })
        .collect();
    let pointers: Vec<_> = tasks.iter_mut().map(ptr::from_mut).collect();
    let mut done = 0;
    let mut submit_all = |batch: bool| {
        // SAFETY: live tasks, all free: the round before has been waited for.
        unsafe {
            match batch {
                true => check(weft_submit_batch(runtime, pointers.as_ptr(), TASKS)),
                false => pointers.iter().for_each(|&task| check(weft_submit(runtime, task))),
            }
        }
        done += TASKS;
        round.wait_for(done);
    };
    // Both threads have started, and their deques have their size.
    (0..100).for_each(|index| submit_all(index % 2 == 0));
    let made = allocations(|| (0..MILLION / TASKS).for_each(|index| submit_all(index % 2 == 0)));
    end(runtime);
    println!("a million submissions from outside: {made} allocations");
    // Two threads may start late, and a stolen share may make a deque grow.
    assert!(made <= 100, "submitting allocates");
}

/// A task that submits itself a million times.
fn submitting_from_a_task() {
    let runtime = runtime(1);
    let mut round = Round::new(runtime, MILLION);
    let made = allocations(|| {
        // SAFETY: a live task.
        unsafe { check(weft_submit(runtime, &mut round.task)) };
        round.wait_for(MILLION);
    });
    end(runtime);
    println!("a million submissions of a task by itself: {made} allocations");
    assert!(made <= 20, "submitting allocates");
}

/// Spawning in rounds, from outside and from a task; after some rounds the blocks go round.
fn spawning() {
    let runtime = runtime(2);
    let mut round = Round::new(runtime, 0);
    let arg = ptr::from_mut(&mut *round).cast::<c_void>();
    let mut done = 0;
    let mut spawn_all = || {
        // SAFETY: a Round, which is waited for.
        unsafe {
            (0..SPAWNED).for_each(|_| check(weft_spawn(runtime, Some(count), arg)));
            check(weft_run(runtime, Some(spawn_some), arg));
        }
        done += 2 * SPAWNED;
        round.wait_for(done);
    };
    (0..100).for_each(|_| spawn_all());
    const ROUNDS: usize = MILLION / (2 * SPAWNED);
    let made = allocations(|| (0..ROUNDS).for_each(|_| spawn_all()));
    end(runtime);
    println!("{} spawns: {made} allocations", ROUNDS * 2 * SPAWNED);
    assert!(made <= ROUNDS * SPAWNED / 100, "spawning allocates, once in a hundred times or more");
}

fn breakers() {
    let mut options = std::mem::MaybeUninit::<weft_breaker_options>::uninit();
    let (mut breaker, mut permit) = (ptr::null_mut(), weft_permit { word: [0; 2] });
    // SAFETY: valid places.
    let mut options = unsafe {
        check(weft_breaker_options_init(options.as_mut_ptr(), size_of::<weft_breaker_options>()));
        options.assume_init()
    };
    options.name = c"service".as_ptr();
    // Looked at after each failure, and never met.
    options.failure_rate = 0.9;
    for window_ns in [0, 1_000_000_000] {
        options.window_ns = window_ns;
        // SAFETY: valid places; a breaker that lives until its release.
        unsafe {
            check(weft_breaker_new(&options, &mut breaker));
            let outcomes = [WEFT_OUTCOME_OK, WEFT_OUTCOME_FAIL, WEFT_OUTCOME_IGNORE, WEFT_OUTCOME_ABANDONED];
            let passed = allocations(|| {
                for call in 0..1000 {
                    check(weft_breaker_acquire(breaker, &mut permit));
                    check(weft_breaker_record(breaker, &mut permit, outcomes[call % 4]));
                }
            });
            assert_eq!(passed, 0, "calls that are let through");
            for state in [WEFT_BREAKER_OPEN, WEFT_BREAKER_FORCED_OPEN, WEFT_BREAKER_HALF_OPEN] {
                check(weft_breaker_force(breaker, state));
                if state == WEFT_BREAKER_HALF_OPEN {
                    check(weft_breaker_acquire(breaker, &mut permit));
                }
                let rejected =
                    allocations(|| (0..1000).for_each(|_| assert_eq!(weft_breaker_acquire(breaker, &mut permit), 6)));
                assert_eq!(rejected, 0, "calls that are rejected");
            }
            weft_breaker_release(breaker);
        }
    }
    println!("a call through a breaker: 0 allocations");
}
