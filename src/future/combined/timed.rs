//! Futures that time settles.
//!
//! Timers run no code of the user's on their thread: that settles, wakes threads and poll tasks and passes on between
//! futures, and leaves callbacks and drops to a task of a runtime.

use super::*;
use crate::error::Result;
use crate::future::State;
use crate::future::line::{self, Jobs};
use crate::platform::clock::now_ns;
use crate::scheduler::{Core, Work, Worker};
use crate::time;

/// What the thread of the timers has left. If the runtime takes it no more it is run there after all, by its drop.
struct Left(Jobs);

impl Work for Left {
    fn run(self, _: &Worker) {
        drop(self.0);
    }
}

/// A future that is settled as this one is, or fails with `Timeout` after `ns`. `core` runs the callbacks then.
pub fn timeout<T: Lend>(source: Future<T>, ns: i64, core: &Core) -> Result<Future<T>> {
    let (future, combined) = new(Rule::Race, [source].into());
    start(&future, &combined, ns, core)?;
    Ok(future)
}

/// A future that is ready after `ns`, without a value.
pub fn delay<T: Lend>(ns: i64, core: &Core) -> Result<Future<T>> {
    if ns <= 0 {
        return Ok(settled(Ok(T::nothing())));
    }
    let (future, combined) = new(Rule::All, [].into());
    start(&future, &combined, ns, core)?;
    Ok(future)
}

fn start<T: Lend>(future: &Cell<T>, combined: &Arc<Combined<T>>, ns: i64, core: &Core) -> Result<()> {
    match ns {
        i64::MAX => return Ok(()),
        ns if ns <= 0 => {
            combined.expire();
            return Ok(());
        }
        _ if future.state() != State::Pending => return Ok(()),
        _ => {}
    }
    let (weak, core) = (Arc::downgrade(combined), core.share());
    let expire = move || {
        let left = line::elsewhere(|| weak.upgrade().iter().for_each(Combined::expire));
        // What is refused is dropped, and so run.
        left.into_iter().for_each(|jobs| _ = core.spawn(Left(jobs)));
    };
    match time::Timer::at(now_ns().saturating_add(ns), expire) {
        Ok(timer) => {
            let mut place = combined.timer.lock();
            // Who decides comes here after it has said so.
            if combined.stage.load(Ordering::Relaxed) & DECIDED == 0 {
                *place = Some(Box::new(timer));
            }
            Ok(())
        }
        Err(failure) => {
            // Nothing is to be left of it with the source.
            future.cancel();
            Err(failure)
        }
    }
}

impl<T: Lend> Combined<T> {
    /// The time has come. A source that is settled counts, whether or not that has got here yet.
    fn expire(self: &Arc<Self>) {
        let outcome = {
            let sources = self.sources.lock();
            match sources.first() {
                None if self.rule == Rule::All => (NOBODY, Ok(T::nothing())),
                Some(source) if source.state() != State::Pending => (0, outcome_of(source)),
                _ => {
                    (NOBODY, Err(Error::new(Status::Timeout as i32, "the future was not settled in time", "a timeout")))
                }
            }
        };
        self.decide(outcome);
    }
}
