//! The same work on Weft and on its peers, side by side: a fork-join tree, tasks from outside. Weft is called through
//! its Rust face here; `benches/abi.c` measures the C ABI.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use weft::parallel::join;
use weft::scheduler::task::Call;
use weft::scheduler::{Mode, Options, Runtime, Worker};
use weft::sync::{Deadline, Gate};

const WORKERS: [u32; 2] = [1, 2];

fn with_weft(workers: u32, f: impl FnOnce(&Runtime)) {
    let runtime = Runtime::new(Options { workers, ..Options::default() }).expect("threads");
    f(&runtime);
    runtime.shutdown(Mode::Drain, Deadline::Never).expect("drained");
}

fn rayon_pool(workers: u32) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(workers as usize).build().expect("threads")
}

fn fork_join(c: &mut Criterion) {
    const DEPTH: u32 = 16;
    fn weft_tree(worker: &Worker, depth: u32) -> u32 {
        if depth == 0 {
            return 1;
        }
        let (a, b) = join(worker, |w| weft_tree(w, depth - 1), |w| weft_tree(w, depth - 1));
        a + b
    }
    fn rayon_tree(depth: u32) -> u32 {
        if depth == 0 {
            return 1;
        }
        let (a, b) = rayon::join(|| rayon_tree(depth - 1), || rayon_tree(depth - 1));
        a + b
    }
    let mut group = c.benchmark_group("join");
    group.throughput(Throughput::Elements((1 << DEPTH) - 1));
    for workers in WORKERS {
        with_weft(workers, |runtime| {
            group.bench_function(BenchmarkId::new("weft", workers), |b| {
                b.iter(|| assert_eq!(runtime.run(|worker| weft_tree(worker, DEPTH)), Ok(1 << DEPTH)))
            });
        });
        let pool = rayon_pool(workers);
        group.bench_function(BenchmarkId::new("rayon", workers), |b| {
            b.iter(|| assert_eq!(pool.install(|| rayon_tree(DEPTH)), 1 << DEPTH))
        });
    }
}

/// Opens its gate when everybody has arrived.
struct Latch {
    left: AtomicUsize,
    gate: Gate,
}

impl Latch {
    fn new(count: usize) -> Arc<Latch> {
        Arc::new(Latch { left: AtomicUsize::new(count), gate: Gate::default() })
    }

    fn arrive(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.gate.open();
        }
    }
}

fn spawn(c: &mut Criterion) {
    const TASKS: usize = 10_000;
    let mut group = c.benchmark_group("spawn from outside");
    group.throughput(Throughput::Elements(TASKS as u64));
    for workers in WORKERS {
        with_weft(workers, |runtime| {
            group.bench_function(BenchmarkId::new("weft", workers), |b| {
                b.iter(|| {
                    let latch = Latch::new(TASKS);
                    for _ in 0..TASKS {
                        let latch = latch.clone();
                        runtime.spawn(Call(move |_: &Worker| latch.arrive())).expect("an open runtime");
                    }
                    latch.gate.wait(Deadline::Never);
                })
            });
        });
        let pool = rayon_pool(workers);
        group.bench_function(BenchmarkId::new("rayon", workers), |b| {
            b.iter(|| {
                let latch = Latch::new(TASKS);
                for _ in 0..TASKS {
                    let latch = latch.clone();
                    pool.spawn(move || latch.arrive());
                }
                latch.gate.wait(Deadline::Never);
            })
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = fork_join, spawn
}
criterion_main!(benches);
