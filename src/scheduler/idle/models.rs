//! Models of the sleep word.

use super::*;
use crate::sync::{Bell, model};
use std::sync::Arc;

/// A runtime in small: the queue is a counter of tasks, the loop is the shape of the shipping worker's.
struct Pool {
    idle: Idle,
    queue: AtomicU64,
    ran: AtomicU64,
    closed: AtomicU64,
}

impl Pool {
    fn new(limit: u32, max: u32) -> Arc<Self> {
        Arc::new(Pool {
            idle: Idle::new(limit, max),
            queue: AtomicU64::new(0),
            ran: AtomicU64::new(0),
            closed: AtomicU64::new(0),
        })
    }

    fn has_work(&self) -> bool {
        self.queue.load(Ordering::Relaxed) > 0
    }

    fn pop(&self) -> bool {
        self.queue.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
    }

    fn end_search(self: &Arc<Self>) -> Option<loom::thread::JoinHandle<()>> {
        if self.idle.end_search() && self.has_work() { self.notify() } else { None }
    }

    fn push(self: &Arc<Self>) -> Option<loom::thread::JoinHandle<()>> {
        self.queue.fetch_add(1, Ordering::Release);
        self.notify()
    }

    fn notify(self: &Arc<Self>) -> Option<loom::thread::JoinHandle<()>> {
        (self.idle.notify() == Notified::MustStart).then(|| {
            let pool = self.clone();
            loom::thread::spawn(move || pool.work())
        })
    }

    fn dismiss_if_over(&self) {
        if self.closed.load(Ordering::SeqCst) == 1 && !self.has_work() {
            let _ = self.idle.dismiss();
        }
    }

    /// A worker that arrives active and searching.
    fn work(self: &Arc<Self>) {
        let mut started = Vec::new();
        loop {
            if self.pop() {
                started.extend(self.end_search());
                self.ran.fetch_add(1, Ordering::Relaxed);
                while self.pop() {
                    self.ran.fetch_add(1, Ordering::Relaxed);
                }
                self.idle.begin_search();
                continue;
            }
            self.idle.lie_down();
            if self.has_work() {
                started.extend(self.notify());
            } else {
                self.dismiss_if_over();
            }
            self.idle.sleep(|| None);
            if self.idle.is_dismissed() {
                let _ = self.idle.dismissed();
                break;
            }
        }
        started.into_iter().for_each(|thread| thread.join().unwrap());
    }

    fn close(&self) {
        self.closed.store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.dismiss_if_over();
    }
}

#[test]
fn loom_idle_no_task_is_left_behind() {
    model(3, || {
        let pool = Pool::new(1, 1);
        pool.idle.start_first();
        let worker = {
            let pool = pool.clone();
            loom::thread::spawn(move || pool.work())
        };
        assert!(pool.push().is_none());
        assert!(pool.push().is_none());
        pool.close();
        worker.join().unwrap();
        assert_eq!(pool.ran.load(Ordering::SeqCst), 2);
        assert_eq!(pool.idle.counts(), Counts::of(DISMISSED));
    });
}

#[test]
fn loom_idle_two_workers_drain() {
    model(2, || {
        let pool = Pool::new(2, 2);
        pool.idle.start_first();
        let worker = {
            let pool = pool.clone();
            loom::thread::spawn(move || pool.work())
        };
        let second = pool.push();
        pool.close();
        worker.join().unwrap();
        second.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(pool.ran.load(Ordering::SeqCst), 1);
    });
}

/// Two threads too many time out together, one of them at most may leave; the other is dismissed with the last.
#[test]
fn loom_idle_the_last_thread_does_not_leave() {
    model(3, || {
        let idle = Arc::new(Idle::new(1, 2));
        idle.start_first();
        idle.start_first();
        let sleepers: Vec<_> = (0..2)
            .map(|_| {
                let idle = idle.clone();
                loom::thread::spawn(move || {
                    idle.lie_down();
                    let _ = idle.dismiss();
                    match idle.sleep(|| Some(0)) {
                        Slept::Woken => idle.dismissed(),
                        Slept::Surplus => {
                            idle.leave();
                            let _ = idle.dismiss();
                            false
                        }
                    }
                })
            })
            .collect();
        let last = sleepers.into_iter().map(|sleeper| sleeper.join().unwrap()).filter(|&last| last).count();
        assert_eq!((last, idle.counts().alive), (1, 0));
    });
}

/// A thread that lies down and gets up instead of sleeping, while work comes or the end: it misses neither.
#[test]
fn loom_idle_who_gets_up_misses_nothing() {
    for tasks in 0..2 {
        model(3, move || {
            let pool = Pool::new(1, 1);
            pool.idle.start_first();
            let worker = {
                let pool = pool.clone();
                loom::thread::spawn(move || {
                    pool.idle.lie_down();
                    match pool.idle.get_up() {
                        true => assert!(pool.idle.dismissed()),
                        false => pool.work(),
                    }
                })
            };
            (0..tasks).for_each(|_| assert!(pool.push().is_none()));
            pool.close();
            worker.join().unwrap();
            assert_eq!(pool.ran.load(Ordering::SeqCst), tasks);
            assert_eq!(pool.idle.counts(), Counts::of(DISMISSED));
        });
    }
}

/// A task blocks until another task has run: with one turn, the second runs only if the turn is passed on.
#[test]
fn loom_idle_a_blocked_thread_passes_its_turn() {
    model(2, || {
        let pool = Pool::new(1, 2);
        pool.idle.start_first();
        // This thread is the worker; it runs a task that blocks.
        let _ = pool.idle.end_search();
        let submitter = {
            let pool = pool.clone();
            loom::thread::spawn(move || pool.push())
        };
        pool.idle.block();
        let mine = if pool.has_work() { pool.notify() } else { None };
        let theirs = submitter.join().unwrap();
        let spare = mine.or(theirs).expect("somebody saw the free turn");
        pool.idle.unblock();
        pool.idle.begin_search();
        pool.close();
        pool.work();
        spare.join().unwrap();
        assert_eq!(pool.ran.load(Ordering::SeqCst), 1);
    });
}

/// The limit is raised while work arrives and the only thread is busy: one of the two sees the other.
#[test]
fn loom_idle_a_raised_limit_meets_work() {
    model(3, || {
        let pool = Pool::new(1, 2);
        pool.idle.start_first();
        // This thread is the worker; it runs a task that takes for ever.
        let _ = pool.idle.end_search();
        let submitter = {
            let pool = pool.clone();
            loom::thread::spawn(move || {
                pool.queue.fetch_add(1, Ordering::Release);
                pool.idle.notify() == Notified::MustStart
            })
        };
        pool.idle.set_limit(2);
        let mine = pool.has_work() && pool.idle.notify() == Notified::MustStart;
        let theirs = submitter.join().unwrap();
        assert!(mine != theirs, "the work has been given to one thread");
    });
}

/// The limit is lowered while two threads go to sleep: one of them leaves, whenever it learns of it, and the other is
/// dismissed afterwards.
#[test]
fn loom_idle_a_lowered_limit_reaches_sleepers() {
    model(3, || {
        let shared = Arc::new((Idle::new(2, 2), AtomicU64::new(0)));
        shared.0.start_first();
        shared.0.start_first();
        let sleepers: Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                loom::thread::spawn(move || {
                    let (idle, left) = &*shared;
                    idle.lie_down();
                    if left.load(Ordering::SeqCst) == 1 {
                        let _ = idle.dismiss();
                    }
                    match idle.sleep(|| Some(0)) {
                        Slept::Woken => idle.dismissed(),
                        Slept::Surplus => {
                            idle.leave();
                            left.store(1, Ordering::SeqCst);
                            fence(Ordering::SeqCst);
                            let _ = idle.dismiss();
                            false
                        }
                    }
                })
            })
            .collect();
        shared.0.set_limit(1);
        let last = sleepers.into_iter().map(|sleeper| sleeper.join().unwrap()).filter(|&last| last).count();
        assert_eq!((last, shared.0.counts()), (1, Counts::of(DISMISSED)));
    });
}

/// A runtime without threads, in small: the shape of `guests` and of a guest's `serve`.
struct Hall {
    idle: Idle,
    queue: AtomicU64,
    ran: AtomicU64,
    closed: AtomicU64,
    over: AtomicU64,
    bell: Bell,
}

impl Hall {
    fn new(seats: u32) -> Arc<Self> {
        Arc::new(Hall {
            idle: Idle::hosted(seats),
            queue: AtomicU64::new(0),
            ran: AtomicU64::new(0),
            closed: AtomicU64::new(0),
            over: AtomicU64::new(0),
            bell: Bell::default(),
        })
    }

    fn push(&self) {
        self.queue.fetch_add(1, Ordering::Release);
        assert_ne!(self.idle.notify(), Notified::MustStart);
    }

    fn pop(&self) -> bool {
        self.queue.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
    }

    fn has_work(&self) -> bool {
        self.queue.load(Ordering::Relaxed) > 0
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire) == 1
    }

    fn end(&self) {
        self.over.store(1, Ordering::Release);
        self.bell.ring();
    }

    fn look_again(&self) {
        let ending = self.is_closed();
        if self.has_work() {
            assert_ne!(self.idle.notify(), Notified::MustStart);
        } else if ending && self.idle.dismiss() {
            self.end();
        }
    }

    fn end_search(&self) {
        if self.idle.end_search() && self.has_work() {
            assert_ne!(self.idle.notify(), Notified::MustStart);
        }
    }

    /// Takes a seat for one task, or for all once the end has begun. False: there is none.
    fn step(&self) -> bool {
        if self.idle.enter().is_err() {
            return false;
        }
        let mut searching = true;
        while self.pop() {
            if std::mem::take(&mut searching) {
                self.end_search();
            }
            self.ran.fetch_add(1, Ordering::Release);
            self.bell.ring();
            if !self.is_closed() {
                break;
            }
        }
        if searching {
            self.end_search();
        }
        self.leave();
        true
    }

    /// Gives the seat back: `Core::with_seat` in small.
    fn leave(&self) {
        self.idle.depart();
        self.look_again();
        if self.has_work() {
            self.bell.ring();
        }
    }

    /// Takes a seat for something that is not queued. False: there is none.
    fn visit(&self) -> bool {
        let seated = self.idle.enter().is_ok();
        if seated {
            self.end_search();
            self.leave();
        }
        seated
    }

    /// Runs a task that is queued because there was no seat, here or elsewhere: `Core::help_until` in small.
    fn run(&self) {
        self.push();
        loop {
            let heard = self.bell.listen();
            if self.ran.load(Ordering::Acquire) == 1 {
                return;
            }
            if !(self.has_work() && self.step()) {
                self.bell.wait_until_rung(heard);
            }
        }
    }

    fn see_to_the_end(&self) {
        while self.is_closed() && self.has_work() && self.step() {}
    }

    /// Takes a seat, and sleeps while there is nothing to do.
    fn lend(&self, deadline: Deadline) {
        if self.idle.enter() == Err(Refused::Over) {
            return;
        }
        loop {
            let mut searching = true;
            while self.pop() {
                if std::mem::take(&mut searching) {
                    self.end_search();
                }
                self.ran.fetch_add(1, Ordering::Relaxed);
            }
            if !searching {
                self.idle.begin_search();
            }
            self.idle.lie_down();
            self.look_again();
            match self.idle.sleep_as_guest(deadline) {
                Ended::Fired(_) if self.idle.is_dismissed() => {
                    if self.idle.dismissed() {
                        self.end();
                    }
                    return;
                }
                Ended::Fired(_) => {}
                _ => {
                    self.leave();
                    return self.see_to_the_end();
                }
            }
        }
    }

    fn close(&self) {
        self.closed.store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.look_again();
    }

    fn finish(&self) {
        loop {
            let heard = self.bell.listen();
            if self.over.load(Ordering::Acquire) == 1 {
                return;
            }
            if self.has_work() && self.step() {
                self.see_to_the_end();
            }
            if self.over.load(Ordering::Acquire) == 1 {
                return;
            }
            self.bell.wait(heard, Deadline::Never);
        }
    }
}

/// A guest who wanted to do one task leaves while another thread shuts down: between them they do the rest.
#[test]
fn loom_idle_a_guest_leaves_while_the_end_begins() {
    model(3, || {
        let hall = Hall::new(1);
        hall.push();
        hall.push();
        let guest = {
            let hall = hall.clone();
            loom::thread::spawn(move || {
                hall.step();
                hall.see_to_the_end();
            })
        };
        hall.close();
        hall.finish();
        assert_eq!(hall.ran.load(Ordering::SeqCst), 2);
        guest.join().unwrap();
        assert_eq!(hall.idle.counts(), Counts::of(DISMISSED));
    });
}

/// A task that arrives while one guest's time is up and another sleeps wakes one of them, or is found by the one who goes.
#[test]
fn loom_idle_a_guest_who_goes_passes_the_wake_up_on() {
    model(2, || {
        let hall = Hall::new(2);
        let guests: Vec<_> = [Deadline::At(0), Deadline::Never]
            .into_iter()
            .map(|deadline| {
                let hall = hall.clone();
                loom::thread::spawn(move || hall.lend(deadline))
            })
            .collect();
        hall.push();
        // Not closed before the task has run: nobody but the sleeper may be there to run it.
        while hall.ran.load(Ordering::SeqCst) == 0 {
            loom::thread::yield_now();
        }
        hall.close();
        hall.finish();
        guests.into_iter().for_each(|guest| guest.join().unwrap());
        assert_eq!(hall.ran.load(Ordering::SeqCst), 1);
    });
}

/// A run from outside that finds the seat taken, by one who came for something else or by one who takes the task: it ends.
#[test]
fn loom_idle_a_run_finds_no_seat() {
    for takes in [false, true] {
        model(3, move || {
            let hall = Hall::new(1);
            let guest = {
                let hall = hall.clone();
                loom::thread::spawn(move || if takes { hall.step() } else { hall.visit() })
            };
            if !hall.visit() {
                hall.run();
                assert_eq!(hall.ran.load(Ordering::SeqCst), 1);
            }
            guest.join().unwrap();
        });
    }
}
