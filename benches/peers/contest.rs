//! Contests: all contestants do the same work in turn, round by round (A B C, A B C, ...), so that what the machine
//! does meanwhile meets all of them alike; the medians of the rounds are what counts. The contestant called "weft"
//! comes first: the others are compared with it.

use std::sync::OnceLock;
use std::sync::{Barrier, RwLock};
use std::thread;
use std::time::{Duration, Instant};

/// One round of one contestant.
#[derive(Clone, Copy, Default)]
pub struct Measure {
    /// Wall time, for all of the work.
    pub ns: u64,
    /// What the process used of all CPUs meanwhile.
    pub cpu_ns: u64,
    /// Round trips: the median and the 99th percentile; otherwise 0.
    pub p50: u64,
    /// See above.
    pub p99: u64,
}

/// Who takes part: a name, and what does an amount of work; `None`: not this kind of work.
pub struct Contestant<'a> {
    /// For the table.
    pub name: String,
    /// Does it.
    pub run: Box<dyn FnMut(u64) -> Option<Measure> + 'a>,
}

impl<'a> Contestant<'a> {
    /// Takes part.
    pub fn new(name: &str, run: impl FnMut(u64) -> Option<Measure> + 'a) -> Self {
        Contestant { name: name.into(), run: Box::new(run) }
    }
}

/// Whether to look only if everything works: WEFT_BENCH_QUICK is set, and not to 0.
pub fn quick() -> bool {
    static QUICK: OnceLock<bool> = OnceLock::new();
    *QUICK.get_or_init(|| std::env::var_os("WEFT_BENCH_QUICK").is_some_and(|value| value != "0" && !value.is_empty()))
}

/// What a process has used of all CPUs.
pub fn cpu_time() -> Duration {
    // SAFETY: plain numbers, for which all zeros are good.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: a place for the answer.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) }, 0);
    let duration = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    duration(usage.ru_utime) + duration(usage.ru_stime)
}

/// Measures what happens on this thread.
pub fn measured<R>(f: impl FnOnce() -> R) -> (Measure, R) {
    let (begin, cpu) = (Instant::now(), cpu_time());
    let result = f();
    (since(begin, cpu), result)
}

/// Measures from what the clocks said at the beginning.
pub fn since(begin: Instant, cpu: Duration) -> Measure {
    let ns = begin.elapsed().as_nanos() as u64;
    Measure { ns, cpu_ns: (cpu_time() - cpu).as_nanos() as u64, ..Measure::default() }
}

/// The part of one thread; what they return is added up.
pub type Part<'a> = Box<dyn FnOnce() -> u64 + Send + 'a>;

/// Lets threads go all at once when all of them are there, and measures until the last one is done.
pub fn together(parts: Vec<Part>) -> (Measure, u64) {
    let ready = Barrier::new(parts.len() + 1);
    let gate = RwLock::new(());
    let closed = gate.write().expect("nobody panicked");
    thread::scope(|scope| {
        let (ready, gate) = (&ready, &gate);
        let start = |part: Part<'_>| {
            ready.wait();
            drop(gate.read());
            part()
        };
        let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || start(part))).collect();
        ready.wait();
        measured(|| {
            drop(closed);
            threads.into_iter().map(|thread| thread.join().expect("no panic")).fold(0, u64::wrapping_add)
        })
    })
}

/// The median and the 99th percentile.
pub fn percentiles(samples: &mut [u64]) -> (u64, u64) {
    samples.sort_unstable();
    (samples[samples.len() / 2], samples[samples.len() * 99 / 100])
}

/// Prints what the lines of the contests say.
pub fn head(unit: &str) {
    println!(
        "M/s: million {unit} a second, the median, the lowest and the highest round; CPU ns: CPU time of the process for"
    );
    println!("each; weft/it: Weft's M/s, and Weft's CPU ns, as a multiple of this line's.\n");
    println!(
        "{:<34} {:<16} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "what", "who", "M/s", "lowest", "highest", "CPU ns", "weft/it", "CPU /it", "p50 ns", "p99 ns"
    );
}

fn median(rounds: &[Measure], by: impl Fn(&Measure) -> u64) -> f64 {
    let mut values: Vec<u64> = rounds.iter().map(by).collect();
    values.sort_unstable();
    values[values.len() / 2] as f64
}

/// Lets the contestants do `most` units of work a round, or fewer, by powers of 4, if that would take one of them long:
/// for that one alone. All amounts are powers of two if `most` is one. WEFT_BENCH_ONLY names a part of what shall be
/// done.
pub fn contest(what: &str, most: u64, mut contestants: Vec<Contestant>) {
    if std::env::var("WEFT_BENCH_ONLY").is_ok_and(|only| !what.contains(&only)) {
        return;
    }
    let (rounds, enough) = if quick() { (3, Duration::from_millis(2)) } else { (7, Duration::from_millis(10)) };
    let most = if quick() { most / 4 } else { most };
    let amount = |run: &mut dyn FnMut(u64) -> Option<Measure>| {
        let mut units = 1024.min(most);
        // The first time is for caches and threads to warm up.
        run(units)?;
        while units < most {
            // The best of three: a thread that starts late must not make a contestant look slow.
            let tries = [run(units)?.ns, run(units)?.ns, run(units)?.ns];
            if tries.iter().all(|ns| Duration::from_nanos(*ns) >= enough) {
                break;
            }
            units = (units * 4).min(most);
        }
        Some(units)
    };
    let mut field: Vec<_> = contestants
        .iter_mut()
        .filter_map(|Contestant { name, run }| Some((name, amount(run)?, run, Vec::new())))
        .collect();
    for _ in 0..rounds {
        for (name, units, run, done) in &mut field {
            done.push(run(*units).unwrap_or_else(|| panic!("{name} did it before")));
        }
    }
    let mut weft = None;
    for (name, units, _, rounds) in field {
        let each = |ns: f64| ns / units as f64;
        let ns = each(median(&rounds, |m| m.ns));
        let cpu = each(median(&rounds, |m| m.cpu_ns));
        let rate = |ns: f64| 1000.0 / ns;
        let highest = rate(each(rounds.iter().map(|m| m.ns).min().expect("rounds") as f64));
        let lowest = rate(each(rounds.iter().map(|m| m.ns).max().expect("rounds") as f64));
        if name == "weft" {
            weft = Some((ns, cpu));
        }
        print!("{what:<34} {name:<16} {:>10.3} {lowest:>9.3} {highest:>9.3} {cpu:>9.1}", rate(ns));
        match weft {
            Some((weft_ns, weft_cpu)) => print!(" {:>9.2} {:>9.2}", ns / weft_ns, weft_cpu / cpu),
            None => print!(" {:>9} {:>9}", "-", "-"),
        }
        match (median(&rounds, |m| m.p50), median(&rounds, |m| m.p99)) {
            (_, 0.0) => println!(),
            (p50, p99) => println!(" {p50:>9.0} {p99:>9.0}"),
        }
    }
    println!();
}
