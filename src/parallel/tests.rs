//! Joins and loops: right results, right order, failures that end everything together.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::error::{Failure, Result, Status};
use crate::scheduler::{Mode, Options, Runtime, Worker};
use crate::sync::Deadline;

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
    a.unwrap() + b.unwrap()
}

#[test]
fn joins_nest() {
    for workers in [1, 2, 4] {
        assert_eq!(with_runtime(workers, |worker| fibonacci(worker, 20)), 6765);
    }
}

#[test]
fn both_halves_end_when_one_panics() {
    with_runtime(2, |worker| {
        let ran = AtomicUsize::new(0);
        let count = |_: &Worker| ran.fetch_add(1, Ordering::Relaxed);
        let panic = |_: &Worker| -> usize { std::panic::resume_unwind(Box::new("half")) };
        let (a, b) = join(worker, panic, count);
        assert_eq!((a, b.is_ok()), (Err("half".into()), true));
        let (a, b) = join(worker, count, panic);
        assert_eq!((a.is_ok(), b), (true, Err("half".into())));
        assert_eq!(ran.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn loops_cover_each_index_once() {
    for (range, grain) in [(0..1, 0), (5..1005, 0), (0..10_000, 1), (3..70, 1000), (usize::MAX - 10..usize::MAX, 3)] {
        let seen: Vec<AtomicUsize> = range.clone().map(|_| AtomicUsize::new(0)).collect();
        let (report, result) = with_runtime(3, |worker| {
            for_each(worker, range.clone(), grain, &|_, part: Range<usize>| {
                assert!(grain == 0 || part.len() <= grain);
                for i in part {
                    seen[i - range.start].fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        });
        assert!(result.is_ok());
        assert_eq!(report, Report { done: range.len(), failed: 0 });
        assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
    }
}

#[test]
fn the_first_failure_stops_a_loop() {
    let (report, result) = with_runtime(1, |worker| {
        for_each(worker, 0..100, 10, &|_, part: Range<usize>| match part.contains(&50) {
            true => Err(Failure::new(Status::Failed, "fifty")),
            false => Ok(()),
        })
    });
    assert_eq!(result, Err(Failure::new(Status::Failed, "fifty")));
    assert!(report.failed > 0 && report.done < 100);
    let (_, result) = with_runtime(2, |worker| {
        for_each(worker, 0..100, 1, &|_, _| -> Result<()> { std::panic::resume_unwind(Box::new("body")) })
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
        let text = with_runtime(workers, |worker| fold(worker, 0..2000, grain, &Concatenate(&alive)).unwrap());
        assert!(text.0.split(',').filter(|s| !s.is_empty()).map(|s| s.parse::<usize>().unwrap()).eq(0..2000));
    }
    let failed = with_runtime(2, |worker| fold(worker, 777_000..778_000, 5, &Concatenate(&alive)).err());
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
    let sums = [1, 2, 5].map(|workers| with_runtime(workers, |worker| fold(worker, 0..10_000, 64, &Sum).unwrap()));
    assert!(sums.iter().all(|sum| sum.to_bits() == sums[0].to_bits()));
}
