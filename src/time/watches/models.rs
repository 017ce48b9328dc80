use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::sync::model;

/// What has become of a watch.
#[derive(Default)]
struct Fate {
    begun: AtomicU32,
    dropped: AtomicU32,
}

impl Fate {
    fn is(&self, begun: u32, dropped: u32) -> bool {
        // Relaxed: what it is asked for has to be seen by what the protocol alone orders.
        (self.begun.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed)) == (begun, dropped)
    }
}

struct Watch(Arc<Fate>);

impl Watch {
    fn run(self) {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

fn armed() -> (Arc<Watches<Watch>>, Arc<Fate>, u64) {
    let (watches, fate) = (Arc::new(Watches::default()), Arc::new(Fate::default()));
    let key = watches.arm(Watch(fate.clone()), |_, _| Ok(()), |key| key).unwrap();
    (watches, fate, key)
}

/// Two who take a watch back while it gets ready: it runs, or one of them has it. When either hears of it, it is over.
#[test]
fn loom_watches_off_against_ready() {
    model(3, || {
        let (watches, fate, key) = armed();
        let reactor = {
            let watches = watches.clone();
            loom::thread::spawn(move || watches.ready(key, Watch::run))
        };
        let other = {
            let (watches, fate) = (watches.clone(), fate.clone());
            loom::thread::spawn(move || {
                // Whoever is refused because another has taken it back does not wait until that has dropped it.
                let off = watches.off(key, true);
                assert!(!off || fate.is(0, 1));
                off
            })
        };
        let off = watches.off(key, true);
        assert!(!off || fate.is(0, 1));
        reactor.join().unwrap();
        let off = u32::from(off) + u32::from(other.join().unwrap());
        assert!(fate.is(1 - off, 1));
        assert!(!watches.off(key, true));
    });
}

/// Who is too late comes after the run.
#[test]
fn loom_watches_off_waits_for_the_return() {
    model(3, || {
        let (watches, fate, key) = armed();
        let reactor = {
            let watches = watches.clone();
            loom::thread::spawn(move || watches.ready(key, Watch::run))
        };
        let off = watches.off(key, true);
        assert!(fate.is(u32::from(!off), 1));
        reactor.join().unwrap();
    });
}

/// What is ready as soon as the system knows of it finds the watch, and finds it known to whoever armed it.
#[test]
fn loom_watches_ready_while_armed() {
    model(3, || {
        let (watches, fate) = (Arc::new(Watches::default()), Arc::new(Fate::default()));
        let known = Arc::new(AtomicU32::new(0));
        let mut reactor = None;
        let add = |key, _: &Watch| {
            let (watches, known) = (watches.clone(), known.clone());
            reactor = Some(loom::thread::spawn(move || {
                watches.ready(key, |watch: Watch| {
                    assert_eq!(known.load(Ordering::Relaxed), 1);
                    watch.run();
                })
            }));
            Ok(())
        };
        watches.arm(Watch(fate.clone()), add, |_| known.store(1, Ordering::Relaxed)).unwrap();
        reactor.unwrap().join().unwrap();
        assert!(fate.is(1, 1));
    });
}

/// The end of the process against a watch that gets ready: it is over when that goes on, or never begins.
#[test]
fn loom_watches_close_against_ready() {
    model(3, || {
        let (watches, fate, key) = armed();
        let reactor = {
            let watches = watches.clone();
            loom::thread::spawn(move || watches.ready(key, Watch::run))
        };
        watches.close(Deadline::Never);
        let is_run = fate.is(1, 1);
        assert!(is_run || fate.is(0, 0));
        reactor.join().unwrap();
        assert!(fate.is(u32::from(is_run), u32::from(is_run)));
        assert!(watches.arm(Watch(Default::default()), |_, _| Ok(()), |_| ()).is_err());
        assert_eq!(watches.off(key, true), !is_run);
    });
}

/// A wait for the return that a deadline ends leaves nothing behind.
#[test]
fn loom_watches_close_gives_up() {
    model(3, || {
        let (watches, fate, key) = armed();
        let reactor = {
            let watches = watches.clone();
            loom::thread::spawn(move || watches.ready(key, Watch::run))
        };
        watches.close(Deadline::At(0));
        reactor.join().unwrap();
        assert!(watches.state.lock().waiting.is_empty());
        assert!(fate.is(1, 1) || fate.is(0, 0));
    });
}
