use loom::sync::Arc as Shared;
use loom::sync::atomic::AtomicUsize;

use super::*;
use crate::sync::model;
use crate::time::clock::Virtual;

/// Counts how often it is called, and how often it is told that its group is closed.
#[derive(Default)]
struct Counts {
    called: AtomicUsize,
    closed: AtomicUsize,
}

impl Action for Counts {
    fn expired(entry: Arc<Entry<Self>>) {
        entry.action.called.fetch_add(1, Ordering::Relaxed);
    }

    fn closed(entry: Arc<Entry<Self>>) {
        entry.action.closed.fetch_add(1, Ordering::Relaxed);
    }
}

fn timers() -> Shared<Timers<Virtual>> {
    Shared::new(Timers::new(Virtual::at(1 << 20)))
}

/// A driver that sleeps for what is far away, or is about to, learns of what is due now.
#[test]
fn loom_time_an_earlier_deadline_wakes_the_driver() {
    model(3, || {
        let (timers, far, due) = (timers(), Entry::new(Counts::default()), Entry::new(Counts::default()));
        let driver = {
            let (timers, due) = (timers.clone(), due.clone());
            loom::thread::spawn(move || {
                while due.action.called.load(Ordering::Relaxed) == 0 {
                    timers.clock().sleep();
                    timers.turn();
                }
            })
        };
        timers.arm(&far, 1 << 40, 0);
        timers.arm(&due, 1, 0);
        driver.join().unwrap();
        assert!(timers.stop(&far));
    });
}

/// Something is armed, by one thread, while the clock moves past it and the driver turns for something else.
#[test]
fn loom_time_the_alarm_is_not_set_back() {
    model(3, || {
        let (timers, first, second) = (timers(), Entry::new(Counts::default()), Entry::new(Counts::default()));
        timers.arm(&first, 1, 0);
        let driver = {
            let (timers, second) = (timers.clone(), second.clone());
            loom::thread::spawn(move || {
                while second.action.called.load(Ordering::Relaxed) == 0 {
                    timers.clock().sleep();
                    timers.turn();
                }
            })
        };
        timers.arm(&second, 1 << 21, 0);
        timers.clock().advance(1 << 20);
        driver.join().unwrap();
        assert_eq!(first.action.called.load(Ordering::Relaxed), 1);
    });
}

/// Who stops and who expires: one of them, and the reference goes either way.
#[test]
fn loom_time_stop_against_expiry() {
    model(3, || {
        let (timers, entry) = (timers(), Entry::new(Counts::default()));
        timers.arm(&entry, 1, 0);
        let driver = {
            let timers = timers.clone();
            loom::thread::spawn(move || timers.turn())
        };
        let stopped = timers.stop(&entry);
        driver.join().unwrap();
        assert_eq!(usize::from(stopped) + entry.action.called.load(Ordering::Relaxed), 1);
        assert_eq!(Arc::strong_count(&entry), 1);
    });
}

/// The first entry of a group against the group's end: refused, or stopped and told.
#[test]
fn loom_time_arming_against_close() {
    model(3, || {
        let shared = Shared::new((Timers::new(Virtual::at(0)), Group::default()));
        let entry = Entry::new(Counts::default());
        let closer = {
            let shared = shared.clone();
            loom::thread::spawn(move || {
                if shared.1.close() {
                    shared.0.close(&shared.1);
                }
            })
        };
        let armed = unsafe { shared.0.arm_in(Some(&shared.1), &entry, 1 << 40, 0) };
        closer.join().unwrap();
        assert_eq!(entry.action.closed.load(Ordering::Relaxed), usize::from(armed));
        assert_eq!(Arc::strong_count(&entry), 1);
    });
}
