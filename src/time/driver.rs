//! This process' timers, which the [reactor] drives.

use std::sync::Arc;

use super::clock::Monotonic;
use super::entry::{Action, Entry};
use super::reactor;
use super::timers::{Group, Timers};
use crate::error::Result;
use crate::platform::clock::now_ns;
use crate::sync::cancel::Token;

/// This process' timers.
pub type Live = Timers<Monotonic>;

/// This process' timers, with the thread that drives them. What the system refused once is tried again by the next call.
pub fn prepare() -> Result<&'static Live> {
    reactor::get().map(|reactor| &reactor.timers)
}

/// Nothing can be armed in this group any more, and what is armed is stopped.
pub fn close(group: &Group) {
    if group.close() {
        // Used, so the timers are there; in a forked child perhaps others.
        reactor::started().iter().for_each(|reactor| reactor.timers.close(group));
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
    use std::thread;

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
