//! Joins and loops: right results, right order, failures that end everything together.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::error::{Failure, Result, Status};
use crate::platform::clock::now_ns;
use crate::scheduler::frame::Context;
use crate::scheduler::region::Slot;
use crate::scheduler::task::Call;
use crate::scheduler::{Mode, Options, Runtime, Worker};
use crate::sync::cancel::Token;
use crate::sync::wait::Ended;
use crate::sync::{Deadline, Gate};

fn with_runtime<R: Send>(workers: u32, f: impl FnOnce(&Worker) -> R + Send) -> R {
    let runtime = Runtime::new(Options { workers, ..Options::default() }).unwrap();
    let result = runtime.run(f).unwrap();
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    result
}

fn fibonacci(worker: &Worker, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = join(worker, |worker| fibonacci(worker, n - 1), |worker| fibonacci(worker, n - 2));
    a + b
}

#[test]
fn joins_nest() {
    for workers in [1, 2, 4] {
        assert_eq!(with_runtime(workers, |worker| fibonacci(worker, 20)), 6765);
    }
}

/// Blocks the task until it is opened from another one.
#[derive(Default)]
struct Signal(Gate);

impl Signal {
    fn wait(&self) {
        assert_eq!(self.0.wait(Deadline::Never), Ended::Fired(0));
    }
}

#[test]
fn a_panic_of_either_half_goes_on_when_both_have_ended() {
    with_runtime(2, |worker| {
        let ran = AtomicUsize::new(0);
        let count = |_: &Worker| ran.fetch_add(1, Ordering::Relaxed);
        let panic = |_: &Worker| -> usize { std::panic::resume_unwind(Box::new("half")) };
        let result = worker.protect(&"a join", || join(worker, panic, count));
        assert_eq!(result, Err("half".into()));
        let before = ran.load(Ordering::Relaxed);
        assert!(before <= 1, "a half that had not begun was dropped");
        let result = worker.protect(&"a join", || join(worker, count, panic));
        assert!(result.is_err());
        assert_eq!(ran.load(Ordering::Relaxed), before + 1);
        assert_eq!(fibonacci(worker, 10), 55, "joins go on");
    });
}

#[test]
fn a_panic_on_another_thread_reaches_the_one_that_joins() {
    with_runtime(2, |worker| {
        let stolen = Signal::default();
        let result = worker.protect(&"a join", || {
            join(
                worker,
                |_| stolen.wait(),
                |_| {
                    stolen.0.open();
                    std::panic::resume_unwind(Box::new("half"))
                },
            )
        });
        let result: std::result::Result<((), ()), String> = result;
        assert_eq!(result, Err(STOLEN_HALF_PANICKED.into()));
    });
}

/// The first half cannot end before the second has begun, and neither forks, syncs nor blocks meanwhile.
#[test]
fn a_half_forked_while_everybody_sleeps_runs_in_parallel() {
    let runtime = Runtime::new(Options { workers: 2, ..Options::default() }).unwrap();
    for _ in 0..20 {
        while runtime.stats().idle < runtime.stats().threads {
            std::thread::yield_now();
        }
        let begun = AtomicBool::new(false);
        let first = |_: &Worker| {
            while !begun.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
        };
        runtime.run(|worker| join(worker, first, |_| begun.store(true, Ordering::Release))).unwrap();
    }
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

/// A lock held across a join is not met again by its own thread, whatever else there is to do.
#[test]
fn a_wait_for_a_half_runs_no_strangers() {
    let runtime = Runtime::new(Options { workers: 2, ..Options::default() }).unwrap();
    let lock = Arc::new(std::sync::Mutex::new(0));
    for _ in 0..200 {
        let lock = lock.clone();
        runtime
            .spawn(Call(move |worker: &Worker| {
                // A second lock by the thread that has it would never return.
                let mut count = lock.lock().unwrap();
                fibonacci(worker, 8);
                *count += 1;
            }))
            .unwrap();
    }
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    assert_eq!(*lock.lock().unwrap(), 200);
}

/// Many more open forks than a region has slots: the rest runs serially, each half once.
#[test]
fn a_full_region_runs_serially() {
    fn chain(worker: &Worker, depth: usize, ran: &AtomicUsize) {
        if depth > 0 {
            join(worker, |worker| chain(worker, depth - 1, ran), |_| ran.fetch_add(1, Ordering::Relaxed));
        }
    }
    let options = Options { workers: 2, stack_size: 64 << 20, ..Options::default() };
    let runtime = Runtime::new(options).unwrap();
    let ran = AtomicUsize::new(0);
    runtime
        .run(|worker| {
            chain(worker, 10_000, &ran);
            assert_eq!(fibonacci(worker, 12), 144);
        })
        .unwrap();
    assert_eq!(ran.into_inner(), 10_000);
    runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
}

/// A task that blocks between fork and sync leaves its half to others: here one must run it for the first to go on.
#[test]
fn what_a_blocked_task_has_forked_can_be_taken() {
    for workers in [1, 2, 4] {
        with_runtime(workers, |worker| {
            let (inner, outer) = (Signal::default(), Signal::default());
            join(
                worker,
                |worker| {
                    join(worker, |_| (inner.wait(), outer.wait()), |_| inner.0.open());
                },
                |_| outer.0.open(),
            );
        });
    }
}

#[test]
fn a_stolen_half_goes_by_its_tasks_name_and_token() {
    with_runtime(2, |worker| {
        let token = Token::new([None, None]);
        let (stolen, home) = (Signal::default(), worker.index());
        let context = Context { name: Some(NonNull::from(c"root")), token: Some(token.clone()), ..Context::default() };
        worker.within(context, || {
            join(
                worker,
                // The token ends this wait, unless the gate is open already.
                |_| _ = stolen.0.wait(Deadline::Never),
                |thief| {
                    assert_eq!(thief.task_name(), Some(c"root"));
                    assert!(!thief.is_cancelled());
                    token.trigger(c"enough");
                    assert!(thief.is_cancelled());
                    assert_ne!(thief.index(), home);
                    stolen.0.open();
                },
            )
        });
    });
}

#[test]
fn forks_that_are_not_synced_are_ended_by_the_task() {
    unsafe extern "C-unwind" fn nothing(_: *mut Slot, _: *mut std::ffi::c_void) {}
    with_runtime(2, |worker| {
        let result = worker.protect(&"a careless callback", || {
            for _ in 0..100 {
                // SAFETY: the half touches nothing.
                unsafe { worker.fork(nothing, std::ptr::null_mut()) };
            }
        });
        assert_eq!(result, Ok(()));
        assert_eq!(worker.region().index(worker.region().head()), 0);
        assert_eq!(fibonacci(worker, 12), 144);
    });
}

fn with_grain(grain: usize) -> LoopOptions<'static> {
    LoopOptions { grain, ..LoopOptions::default() }
}

#[test]
fn loops_cover_each_index_once() {
    for (range, grain) in [(0..1, 0), (5..1005, 0), (0..10_000, 1), (3..70, 1000), (usize::MAX - 10..usize::MAX, 3)] {
        let seen: Vec<AtomicUsize> = range.clone().map(|_| AtomicUsize::new(0)).collect();
        let (report, result) = with_runtime(3, |worker| {
            for_each(worker, range.clone(), with_grain(grain), &|_, part: Range<usize>| {
                assert!(grain == 0 || part.len() <= grain);
                for i in part {
                    seen[i - range.start].fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        });
        assert!(result.is_ok());
        assert_eq!(report, Report { done: range.len(), ..Report::default() });
        assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    }
}

#[test]
fn the_first_failure_stops_a_loop() {
    let (report, result) = with_runtime(1, |worker| {
        for_each(worker, 0..100, with_grain(10), &|_, part: Range<usize>| match part.contains(&50) {
            true => Err(Failure::new(Status::Failed, "fifty")),
            false => Ok(()),
        })
    });
    assert_eq!(result, Err(Failure::new(Status::Failed, "fifty")));
    assert!(report.failed > 0 && report.done < 100);
    let (_, result) = with_runtime(2, |worker| {
        for_each(worker, 0..100, with_grain(1), &|_, _| -> Result<()> { std::panic::resume_unwind(Box::new("body")) })
    });
    assert!(result.is_err_and(|failure| failure.is(Status::Panic)));
}

/// Concatenation: associative, not commutative.
struct Concatenate<'a>(&'a AtomicUsize);

struct Text<'a>(String, &'a AtomicUsize);

impl Drop for Text<'_> {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<'a> Fold for Concatenate<'a> {
    type Acc = Text<'a>;
    fn identity(&self) -> Result<Text<'a>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Text(String::new(), self.0))
    }
    fn fold(&self, _: &Worker, range: Range<usize>, acc: &mut Text<'a>) -> Result<()> {
        if range.contains(&777_777) {
            return Err(Failure::new(Status::Failed, "unlucky"));
        }
        range.for_each(|i| acc.0.push_str(&format!("{i},")));
        Ok(())
    }
    fn combine(&self, _: &Worker, left: &mut Text<'a>, right: Text<'a>) -> Result<()> {
        left.0.push_str(&right.0);
        Ok(())
    }
}

#[test]
fn reductions_keep_the_order_and_strand_nothing() {
    let alive = AtomicUsize::new(0);
    for (workers, grain) in [(1, 7), (2, 7), (4, 1), (4, 0), (2, 10_000)] {
        let text =
            with_runtime(workers, |worker| fold(worker, 0..2000, with_grain(grain), &Concatenate(&alive)).unwrap());
        assert!(text.0.split(',').filter(|s| !s.is_empty()).map(|s| s.parse::<usize>().unwrap()).eq(0..2000));
    }
    let failed = with_runtime(2, |worker| fold(worker, 777_000..778_000, with_grain(5), &Concatenate(&alive)).err());
    assert_eq!(failed, Some(Failure::new(Status::Failed, "unlucky")));
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn a_fixed_grain_gives_the_same_floats_everywhere() {
    struct Sum;
    impl Fold for Sum {
        type Acc = f64;
        fn identity(&self) -> Result<f64> {
            Ok(0.0)
        }
        fn fold(&self, _: &Worker, range: Range<usize>, acc: &mut f64) -> Result<()> {
            range.for_each(|i| *acc += 1.0 / (i as f64 + 0.3));
            Ok(())
        }
        fn combine(&self, _: &Worker, left: &mut f64, right: f64) -> Result<()> {
            *left += right;
            Ok(())
        }
    }
    let sums =
        [1, 2, 5].map(|workers| with_runtime(workers, |worker| fold(worker, 0..10_000, with_grain(64), &Sum).unwrap()));
    assert!(sums.iter().all(|sum| sum.to_bits() == sums[0].to_bits()));
}

/// Fails on 50 the first time it comes along.
fn fail_once<'a>(
    counts: &'a [AtomicUsize],
    first: &'a AtomicBool,
) -> impl Fn(&Worker, Range<usize>) -> Result<()> + Sync + 'a {
    |_, part| {
        for i in part {
            if i == 50 && first.swap(false, Ordering::Relaxed) {
                return Err(Failure::new(Status::Failed, "fifty"));
            }
            counts[i].fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[test]
fn a_failed_loop_redoes_what_it_is_asked_to() {
    for (workers, on_failure) in
        [(1, OnFailure::RedoSerially), (3, OnFailure::RedoSerially), (2, OnFailure::RedoAllSerially)]
    {
        let counts: Vec<AtomicUsize> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
        let first = AtomicBool::new(true);
        let options = LoopOptions { on_failure, ..with_grain(1) };
        let (report, result) =
            with_runtime(workers, |worker| for_each(worker, 0..1000, options, &fail_once(&counts, &first)));
        assert_eq!(result, Ok(()));
        assert!(report.fell_back && report.done == 1000 && report.failed == 0);
        let twice = counts.iter().filter(|count| count.load(Ordering::Relaxed) == 2).count();
        assert!(counts.iter().all(|count| (1..=2).contains(&count.load(Ordering::Relaxed))));
        match on_failure {
            OnFailure::RedoSerially => assert!(twice == 0 && report.redone >= 1),
            _ => assert!(report.redone == 1000),
        }
    }
    let failing = |_: &Worker, _: Range<usize>| Err(Failure::new(Status::Failed, "always"));
    let options = LoopOptions { on_failure: OnFailure::RedoSerially, ..with_grain(10) };
    let (report, result) = with_runtime(2, |worker| for_each(worker, 0..100, options, &failing));
    assert_eq!(result, Err(Failure::new(Status::Failed, "always")));
    assert!((1..=10).contains(&report.failed));
    assert_eq!(report, Report { done: 0, failed: report.failed, redone: report.failed, fell_back: true });
}

#[test]
fn a_loop_out_of_time_reports_what_was_done() {
    let slow = |_: &Worker, part: Range<usize>| {
        // The first call uses the time up; the loop looks before the next one.
        let begin = now_ns();
        while part.start == 0 && now_ns() - begin < 5_000_000 {}
        Ok(())
    };
    let options = LoopOptions { deadline: Deadline::At(now_ns() + 1_000_000), ..with_grain(1) };
    let (report, result) = with_runtime(1, |worker| for_each(worker, 0..10, options, &slow));
    assert!(result.is_err_and(|failure| failure.is(Status::Timeout)));
    assert!(report.done <= 1 && report.failed == 0);
    let options = LoopOptions { deadline: Deadline::Now, ..LoopOptions::default() };
    let (report, result) = with_runtime(1, |worker| for_each(worker, 0..10, options, &|_, _| Ok(())));
    assert!(result.is_err_and(|failure| failure.is(Status::Timeout)));
    assert_eq!(report, Report::default());
}

#[test]
fn short_ranges_are_not_split() {
    let options = LoopOptions { serial_below: 100, ..with_grain(1) };
    let threads = std::sync::Mutex::new(std::collections::HashSet::new());
    with_runtime(4, |worker| {
        for_each(worker, 0..100, options, &|worker, _| {
            threads.lock().unwrap().insert(worker.index());
            Ok(())
        })
        .1
        .unwrap();
    });
    assert_eq!(threads.into_inner().unwrap().len(), 1);
}

#[test]
fn a_grain_for_every_cost() {
    assert_eq!(optimal_grain(0, 4, 1.0), 1);
    assert_eq!(optimal_grain(1_000_000, 4, 1.0), 10_000);
    assert_eq!(optimal_grain(1_000, 4, 1.0), 32);
    assert_eq!(optimal_grain(1_000_000, 4, 1e6), 1);
    assert_eq!(optimal_grain(1_000_000, 0, f64::NAN), 125_000);
    assert_eq!(optimal_grain(usize::MAX, usize::MAX, f64::MIN_POSITIVE), 1);
}
