//! The spawning lines of `benches/abi.c` for rayon and for a plain pool around crossbeam's Injector.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_deque::{Injector, Steal, Worker};

const TASKS: usize = 1_000_000;
const RUNS: usize = 9;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that take batches from one injector, and sleep on a condition variable when it is empty.
struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    jobs: Injector<Job>,
    over: AtomicBool,
    asleep: AtomicUsize,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Pool {
    fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            jobs: Injector::new(),
            over: AtomicBool::new(false),
            asleep: AtomicUsize::new(0),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        });
        let work = |shared: Arc<Shared>| move || shared.work();
        Pool { threads: (0..threads).map(|_| thread::spawn(work(shared.clone()))).collect(), shared }
    }
}

impl Shared {
    fn spawn(&self, job: Job) {
        self.jobs.push(job);
        if self.asleep.load(Ordering::SeqCst) > 0 {
            drop(self.lock.lock().expect("no panic"));
            self.wake.notify_one();
        }
    }

    fn work(&self) {
        let local: Worker<Job> = Worker::new_fifo();
        loop {
            while let Some(job) = local.pop() {
                job();
            }
            match self.jobs.steal_batch_and_pop(&local) {
                Steal::Success(job) => job(),
                Steal::Retry => {}
                Steal::Empty => {
                    let guard = self.lock.lock().expect("no panic");
                    self.asleep.fetch_add(1, Ordering::SeqCst);
                    if self.jobs.is_empty() && !self.over.load(Ordering::SeqCst) {
                        drop(self.wake.wait(guard).expect("no panic"));
                    }
                    self.asleep.fetch_sub(1, Ordering::SeqCst);
                    if self.over.load(Ordering::SeqCst) {
                        return;
                    }
                }
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        drop(self.shared.lock.lock());
        self.shared.wake.notify_all();
        self.threads.drain(..).for_each(|thread| thread.join().expect("no panic"));
    }
}

type Arrive = dyn Fn() + Send + Sync;

/// Nanoseconds per task, the median: `spawn_all` starts all tasks, each of which calls what it gets.
fn measure(spawn_all: impl Fn(&'static Arrive)) -> f64 {
    let mut ns: Vec<f64> = (0..=RUNS)
        .map(|_| {
            let (done, wait) = mpsc::channel();
            let left = AtomicUsize::new(TASKS);
            let arrive: Box<Arrive> = Box::new(move || {
                if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    done.send(()).expect("somebody waits");
                }
            });
            let begin = Instant::now();
            spawn_all(Box::leak(arrive));
            wait.recv().expect("all tasks run");
            begin.elapsed().as_nanos() as f64 / TASKS as f64
        })
        .skip(1)
        .collect();
    ns.sort_unstable_by(f64::total_cmp);
    ns[RUNS / 2]
}

fn main() {
    for workers in 1..=2 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().expect("threads");
        let outside = measure(|arrive| {
            for _ in 0..TASKS {
                pool.spawn(arrive);
            }
        });
        let nested = measure(|arrive| {
            pool.install(|| {
                for _ in 0..TASKS {
                    rayon::spawn(arrive);
                }
            })
        });
        println!("rayon          workers {workers}  spawn from outside {outside:.0} ns  from a task {nested:.0} ns");
        let pool = Pool::new(workers);
        let outside = measure(|arrive| {
            for _ in 0..TASKS {
                pool.shared.spawn(Box::new(arrive));
            }
        });
        let nested = measure(|arrive| {
            let shared = pool.shared.clone();
            pool.shared.spawn(Box::new(move || {
                for _ in 0..TASKS {
                    shared.spawn(Box::new(arrive));
                }
            }));
        });
        println!("injector pool  workers {workers}  spawn from outside {outside:.0} ns  from a task {nested:.0} ns");
    }
}
