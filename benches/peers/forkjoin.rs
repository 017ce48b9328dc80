//! The lines of `benches/forkjoin.c` for rayon and chili.

use std::hint::spin_loop;
use std::num::NonZero;
use std::time::{Duration, Instant};

const RUNS: usize = 9;
const FIB: u64 = 32;
const DEPTH: u32 = 20;
const REGIONS: u32 = 2000;

fn rayon_fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| rayon_fib(n - 1), || rayon_fib(n - 2));
    a + b
}

fn chili_fib(scope: &mut chili::Scope<'_>, n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = scope.join(|scope| chili_fib(scope, n - 1), |scope| chili_fib(scope, n - 2));
    a + b
}

struct Node {
    value: u64,
    children: Option<Box<(Node, Node)>>,
}

fn grow(depth: u32) -> Node {
    Node { value: 1, children: (depth > 0).then(|| Box::new((grow(depth - 1), grow(depth - 1)))) }
}

fn rayon_sum(node: &Node) -> u64 {
    let Some(children) = &node.children else { return node.value };
    let (a, b) = rayon::join(|| rayon_sum(&children.0), || rayon_sum(&children.1));
    a + b + node.value
}

fn chili_sum(scope: &mut chili::Scope<'_>, node: &Node) -> u64 {
    let Some(children) = &node.children else { return node.value };
    let (a, b) = scope.join(|scope| chili_sum(scope, &children.0), |scope| chili_sum(scope, &children.1));
    a + b + node.value
}

fn spin(length: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < length {
        spin_loop();
    }
}

fn median(mut run: impl FnMut()) -> f64 {
    run();
    let mut ns: Vec<u128> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            run();
            begin.elapsed().as_nanos()
        })
        .collect();
    ns.sort_unstable();
    ns[RUNS / 2] as f64
}

fn line(name: &str, workers: usize, fib: f64, tree: f64, halves: impl Fn(Duration) -> f64) {
    let (joins, nodes) = (3_524_577.0 - 1.0, f64::from((2u32 << DEPTH) - 1));
    print!("{name}  workers {workers}  fib {:.2}  tree {:.2}", fib / joins, tree / nodes);
    for us in [10, 50].into_iter().filter(|_| workers == 2) {
        let length = Duration::from_micros(us);
        let factor = halves(length) / f64::from(REGIONS) / length.as_nanos() as f64;
        print!("  halves of {us} us {factor:.2}");
    }
    println!();
}

fn main() {
    let tree = grow(DEPTH);
    for workers in 1..=2 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().expect("threads");
        pool.install(|| {
            let fib = median(|| assert_eq!(rayon_fib(FIB), 2_178_309));
            let sum = median(|| assert_eq!(rayon_sum(&tree), (2 << DEPTH) - 1));
            line("rayon", workers, fib, sum, |length| {
                median(|| {
                    for _ in 0..REGIONS {
                        rayon::join(|| spin(length), || spin(length));
                    }
                })
            });
        });
        let pool =
            chili::ThreadPool::with_config(chili::Config { thread_count: NonZero::new(workers), ..Default::default() });
        let fib = median(|| assert_eq!(chili_fib(&mut pool.scope(), FIB), 2_178_309));
        let sum = median(|| assert_eq!(chili_sum(&mut pool.scope(), &tree), (2 << DEPTH) - 1));
        line("chili", workers, fib, sum, |length| {
            median(|| {
                let mut scope = pool.scope();
                for _ in 0..REGIONS {
                    scope.join(|_| spin(length), |_| spin(length));
                }
            })
        });
    }
}
