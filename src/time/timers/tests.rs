use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::time::clock::Virtual;

const TICK: i64 = 1 << 16;

/// Notes its number when it is called.
struct Note {
    number: usize,
    log: Arc<Mutex<Vec<usize>>>,
}

impl Action for Note {
    fn expired(entry: Arc<Entry<Self>>) {
        entry.action.log.lock().unwrap().push(entry.action.number);
    }

    fn closed(entry: Arc<Entry<Self>>) {
        entry.action.log.lock().unwrap().push(1000 + entry.action.number);
    }
}

struct Bench {
    timers: Timers<Virtual>,
    log: Arc<Mutex<Vec<usize>>>,
}

impl Bench {
    fn new() -> Self {
        Bench { timers: Timers::new(Virtual::at(1_000_000_000)), log: Arc::default() }
    }

    fn entry(&self, number: usize) -> Arc<Entry<Note>> {
        Entry::new(Note { number, log: self.log.clone() })
    }

    fn now(&self) -> i64 {
        self.timers.clock().now_ns()
    }

    /// Moves on and turns; what was called.
    fn advance(&self, ns: i64) -> Vec<usize> {
        self.timers.clock().advance(ns);
        self.timers.turn();
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

#[test]
fn what_is_due_is_called_in_order_and_freed() {
    let bench = Bench::new();
    let entries: Vec<_> = (0..100).map(|number| bench.entry(number)).collect();
    for (number, entry) in entries.iter().enumerate().rev() {
        bench.timers.arm(entry, bench.now() + (number as i64 / 10 + 1) * TICK, 0);
    }
    let mut called = Vec::new();
    for _ in 0..12 {
        let mut now = bench.advance(TICK);
        now.sort_unstable();
        called.append(&mut now);
    }
    assert_eq!(called, (0..100).collect::<Vec<_>>());
    assert!(entries.iter().all(|entry| Arc::strong_count(entry) == 1));
}

#[test]
fn a_stopped_entry_is_not_called_and_may_be_armed_again() {
    let bench = Bench::new();
    let entry = bench.entry(7);
    assert!(!bench.timers.stop(&entry));
    bench.timers.arm(&entry, bench.now() + TICK, 0);
    assert!(bench.timers.stop(&entry) && !bench.timers.stop(&entry));
    assert_eq!(Arc::strong_count(&entry), 1);
    assert!(bench.advance(10 * TICK).is_empty());
    bench.timers.arm(&entry, bench.now() + 5 * TICK, 0);
    // Armed anew: later counts.
    bench.timers.arm(&entry, bench.now() + 20 * TICK, 0);
    assert!(bench.advance(10 * TICK).is_empty());
    assert_eq!(bench.advance(11 * TICK), [7]);
    assert!(!bench.timers.stop(&entry));
}

#[test]
fn periods_do_not_drift_and_missed_ones_are_left_out() {
    let bench = Bench::new();
    let (entry, period) = (bench.entry(1), 10 * TICK + 1);
    let first = bench.now() + period;
    bench.timers.arm(&entry, first, period);
    let mut called = 0;
    for _ in 0..1000 {
        called += bench.advance(TICK).len() as i64;
        assert!(called <= (bench.now() - first) / period + 1);
        assert!(called >= (bench.now() - TICK - first) / period);
    }
    assert_eq!(bench.advance(50 * period), [1]);
    assert_eq!(bench.advance(period), [1]);
    assert!(bench.timers.stop(&entry));
    assert!(bench.advance(50 * period).is_empty());
    assert_eq!(Arc::strong_count(&entry), 1);
    assert_eq!(next_deadline(5, 10, 5), 15);
    assert_eq!(next_deadline(5, 10, 14), 15);
    assert_eq!(next_deadline(5, 10, 15), 25);
    assert_eq!(next_deadline(5, i64::MAX, 15), i64::MAX);
    assert_eq!(next_deadline(0, 1, i64::MAX), i64::MAX);
}

#[test]
fn the_alarm_is_set_for_earlier_deadlines_only() {
    let bench = Bench::new();
    let clock = bench.timers.clock();
    let (late, early) = (bench.entry(1), bench.entry(2));
    bench.timers.arm(&late, bench.now() + 1000 * TICK, 0);
    let (alarm, set) = (clock.alarm().unwrap(), clock.times_set());
    assert!((bench.now() + 1000 * TICK..=bench.now() + 1001 * TICK).contains(&alarm));
    for _ in 0..100 {
        let entry = bench.entry(3);
        bench.timers.arm(&entry, bench.now() + 2000 * TICK, 0);
        bench.timers.stop(&entry);
    }
    assert_eq!(clock.times_set(), set);
    bench.timers.arm(&early, bench.now() + 500 * TICK, 0);
    assert!(clock.alarm().unwrap() <= bench.now() + 501 * TICK);
    bench.timers.stop(&early);
    bench.timers.stop(&late);
    // One wake-up for nothing, and then none.
    assert!(bench.advance(501 * TICK).is_empty());
    assert_eq!(clock.alarm(), None);
}

#[test]
fn a_closed_group_is_stopped_and_takes_nothing() {
    let bench = Bench::new();
    let group = Group::default();
    assert!(!Group::default().close(), "nothing was ever armed in it");
    let entries: Vec<_> = (0..5).map(|number| bench.entry(number)).collect();
    // SAFETY: the group outlives this.
    let arm = |entry| unsafe { bench.timers.arm_in(Some(&group), entry, bench.now() + TICK, 0) };
    assert!(entries.iter().take(4).all(arm));
    assert!(bench.timers.stop(&entries[1]));
    assert!(group.close());
    assert!(bench.advance(0).is_empty(), "nothing is told yet");
    bench.timers.close(&group);
    let mut told = bench.advance(10 * TICK);
    told.sort_unstable();
    assert_eq!(told, [1000, 1002, 1003]);
    assert!(!arm(&entries[4]));
    assert!(entries.iter().all(|entry| Arc::strong_count(entry) == 1));
}

/// Counts; and refuses to be called when `due` is asked the second time.
struct Counts(AtomicUsize, AtomicUsize);

impl Action for Counts {
    fn due(entry: &Arc<Entry<Self>>, _: bool) -> bool {
        entry.action.0.fetch_add(1, Ordering::Relaxed) != 1
    }

    fn expired(entry: Arc<Entry<Self>>) {
        entry.action.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn an_action_may_decline() {
    let bench = Bench::new();
    let entry = Entry::new(Counts(AtomicUsize::new(0), AtomicUsize::new(0)));
    bench.timers.arm(&entry, bench.now(), TICK);
    (0..5).for_each(|_| drop(bench.advance(TICK)));
    let (asked, called) = (entry.action.0.load(Ordering::Relaxed), entry.action.1.load(Ordering::Relaxed));
    assert!(asked >= 2);
    assert_eq!(called, asked - 1);
    bench.timers.stop(&entry);
    assert_eq!(Arc::strong_count(&entry), 1);
}

/// More than one batch at once, stopped and armed by other threads, while another drives: each is called or stopped.
#[test]
fn a_thread_drives_while_others_arm_and_stop() {
    const EACH: usize = 2000;
    struct Shared {
        timers: Timers<Virtual>,
        called: AtomicUsize,
        ended: AtomicBool,
    }
    struct Call(Arc<Shared>, bool);
    impl Action for Call {
        fn expired(entry: Arc<Entry<Self>>) {
            let Call(shared, last) = &entry.action;
            shared.called.fetch_add(1, Ordering::Relaxed);
            shared.ended.fetch_or(*last, Ordering::Relaxed);
        }
    }
    let timers = Timers::new(Virtual::at(0));
    let shared = Arc::new(Shared { timers, called: AtomicUsize::new(0), ended: AtomicBool::new(false) });
    let stopped: usize = std::thread::scope(|scope| {
        let driver = scope.spawn(|| {
            while !shared.ended.load(Ordering::Relaxed) {
                shared.timers.clock().sleep();
                shared.timers.turn();
            }
        });
        let work = |seed: usize| {
            let mut stopped = 0;
            for number in 0..EACH {
                let entry = Entry::new(Call(shared.clone(), false));
                let at = shared.timers.clock().now_ns() + ((number * 7 + seed) % 100) as i64 * TICK;
                shared.timers.arm(&entry, at, 0);
                shared.timers.clock().advance(TICK / 4);
                if number % 3 == 0 {
                    stopped += usize::from(shared.timers.stop(&entry));
                }
            }
            stopped
        };
        let others = [1, 2].map(|seed| scope.spawn(move || work(seed)));
        let stopped = others.map(|other| other.join().unwrap()).iter().sum();
        shared.timers.clock().advance(200 * TICK);
        let last = Entry::new(Call(shared.clone(), true));
        shared.timers.arm(&last, 0, 0);
        driver.join().unwrap();
        shared.timers.turn();
        stopped
    });
    assert_eq!(stopped + shared.called.load(Ordering::Relaxed), 2 * EACH + 1);
}
