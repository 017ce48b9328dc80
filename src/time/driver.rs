//! The thread that drives this process' timers.
//!
//! It is started on first use and stays: it sleeps in the kernel until something is due, and costs nothing until then. It
//! takes no signals. A forked child has a driver of its own, and none of its parent's timers; the parent's descriptors stay
//! open there, unused, until it executes another program.

use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread;

use super::clock::Monotonic;
use super::entry::{Action, Entry};
use super::timers::{Group, Timers};
use crate::error::{Failure, Result, Status};
use crate::observe::{self, Level, Origin};
use crate::platform::clock::now_ns;
use crate::platform::fork::ForkCell;
use crate::platform::signals::Blocked;
use crate::sync::Lock;
use crate::sync::cancel::Token;

/// This process' timers.
pub type Live = Timers<Monotonic>;

#[derive(Default)]
struct Driver {
    /// Null until the thread has been started.
    timers: AtomicPtr<Live>,
    starting: Lock<()>,
}

static DRIVER: ForkCell<Driver> = ForkCell::new();

/// This process' timers, with the thread that drives them. What the system refused once is tried again by the next call.
pub fn prepare() -> Result<&'static Live> {
    let driver = DRIVER.get();
    // Acquire pairs with the Release in `start`. SAFETY: what is there stays for ever.
    match unsafe { driver.timers.load(Ordering::Acquire).as_ref() } {
        Some(timers) => Ok(timers),
        None => start(driver)
            .map_err(|error| Failure::with(Status::Os, format!("cannot start the thread of the timers: {error}"))),
    }
}

#[cold]
fn start(driver: &'static Driver) -> std::io::Result<&'static Live> {
    let _starting = driver.starting.lock();
    // SAFETY: as above.
    if let Some(timers) = unsafe { driver.timers.load(Ordering::Relaxed).as_ref() } {
        return Ok(timers);
    }
    let timers = Box::into_raw(Box::new(Timers::new(Monotonic::new()?)));
    // SAFETY: never freed once the thread has been started.
    let live: &'static Live = unsafe { &*timers };
    // A thread begins with the mask of who starts it.
    let blocked = Blocked::current();
    Blocked::all().apply();
    let thread = thread::Builder::new().name("weft-timer".into()).spawn(move || drive(live));
    blocked.apply();
    match thread {
        Ok(_detached) => {
            driver.timers.store(timers, Ordering::Release);
            Ok(live)
        }
        Err(error) => {
            // SAFETY: made above, and known to nobody.
            drop(unsafe { Box::from_raw(timers) });
            Err(error)
        }
    }
}

fn drive(timers: &Live) {
    timers.drive();
    let origin = Origin { worker: -1, runtime: c"", task: c"" };
    observe::log(
        Level::Error,
        origin,
        format_args!("timers do not expire any more: the program has closed descriptors that are not its own"),
    );
}

/// Nothing can be armed in this group any more, and what is armed is stopped.
pub fn close(group: &Group) {
    if group.close() {
        // Used, so the timers are there; in a forked child perhaps others.
        // SAFETY: as in `prepare`.
        let timers = unsafe { DRIVER.get().timers.load(Ordering::Acquire).as_ref() };
        timers.iter().for_each(|timers| timers.close(group));
    }
}

/// Something of ours that is called when its time comes, on the driver's thread. Dropped, it is stopped.
pub struct Timer<F: Fn() + Send + Sync + 'static> {
    entry: Arc<Entry<Call<F>>>,
    timers: &'static Live,
}

/// A closure as an action.
pub struct Call<F>(F);

impl<F: Fn() + Send + Sync + 'static> Action for Call<F> {
    fn expired(entry: Arc<Entry<Self>>) {
        (entry.action.0)();
    }
}

impl<F: Fn() + Send + Sync + 'static> Timer<F> {
    /// Calls it once, at this point on CLOCK_MONOTONIC or as soon as possible after it. It does not unwind, does not block,
    /// and runs no code of the user's.
    pub fn at(deadline_ns: i64, action: F) -> Result<Self> {
        Self::every(deadline_ns, 0, action)
    }

    /// Calls it at this point and then once per period. Periods follow from the first point, without drift; of those that
    /// have been missed none is made up for.
    pub fn every(first_ns: i64, period_ns: i64, action: F) -> Result<Self> {
        let timers = prepare()?;
        let entry = Entry::new(Call(action));
        timers.arm(&entry, first_ns, period_ns);
        Ok(Timer { entry, timers })
    }

    /// Whether it was still to be called, and will not be any more. A call that has begun may still go on.
    pub fn stop(&self) -> bool {
        self.timers.stop(&self.entry)
    }
}

impl<F: Fn() + Send + Sync + 'static> Drop for Timer<F> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Triggers a token after this time, for the reason "deadline", unless it is triggered before or goes. Of several deadlines the
/// earliest counts.
pub fn trigger_after(token: &Token, ns: i64) -> Result<()> {
    const REASON: &std::ffi::CStr = c"deadline";
    let at = match ns {
        i64::MAX => return Ok(()),
        ns if ns <= 0 => {
            token.trigger(REASON);
            return Ok(());
        }
        ns => now_ns().saturating_add(ns),
    };
    token.set_deadline(at, |token| {
        let trigger = move || token.upgrade().iter().for_each(|token| token.trigger(REASON));
        Ok(Box::new(Timer::at(at, trigger)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::cancel::OnTrigger;
    use crate::sync::{Deadline, Gate};
    use std::sync::Weak;

    #[test]
    fn a_timer_is_called_after_its_time_on_a_thread_of_its_own() {
        let gate = Arc::new(Gate::default());
        let at = now_ns() + 2_000_000;
        let timer = {
            let gate = gate.clone();
            Timer::at(at, move || {
                assert!(now_ns() >= at);
                assert_eq!(thread::current().name(), Some("weft-timer"));
                gate.open();
            })
        };
        let timer = timer.unwrap();
        gate.wait(Deadline::Never);
        assert!(!timer.stop());
    }

    #[test]
    fn a_timer_that_is_dropped_is_stopped() {
        let dropped = Timer::at(now_ns() + 3_600_000_000_000, || panic!("it was stopped")).unwrap();
        let entry = Arc::downgrade(&dropped.entry);
        drop(dropped);
        assert_eq!(entry.strong_count(), 0);
    }

    struct Opens(Gate);

    impl OnTrigger for Opens {
        fn triggered(&self) {
            self.0.open();
        }
    }

    #[test]
    fn a_deadline_triggers_the_earliest_counts() {
        let token = Token::new([None, None]);
        let child = Token::new([Some(&token), None]);
        let opens = Arc::new(Opens(Gate::default()));
        child.tell(Arc::downgrade(&opens) as Weak<dyn OnTrigger>);
        for ns in [3_600_000_000_000, 1_000_000, 3_600_000_000_001, i64::MAX] {
            trigger_after(&token, ns).unwrap();
        }
        opens.0.wait(Deadline::Never);
        assert_eq!(child.source().reason(), Some(c"deadline"));
        let late = Token::new([None, None]);
        trigger_after(&late, i64::MIN).unwrap();
        assert!(late.is_triggered());
    }
}
