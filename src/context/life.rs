//! How far a context has got: what decides between an execute, a terminate and the end of a run that come together.
//!
//! ```text
//! NEW --begin--> RUNNING --settle--> ENDED --begin, of kinds that can be used again--> RUNNING
//!  ^---give back---/
//! ```
//!
//! and for ever after `terminate`: no begin. The run is in here together with the stage, under one lock, so that whoever
//! terminates finds the run that was begun, or prevents it: a run is never begun after a terminate that has not seen it.

use std::sync::Arc;

use crate::sync::Lock;

/// Why a run cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another one goes on.
    Running,
    /// There was one, and there can be no other.
    UsedUp,
    /// It was terminated.
    Terminated,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Running,
    Ended,
}

struct State<R> {
    stage: Stage,
    terminated: bool,
    /// The run that goes on, or the last one.
    run: Option<Arc<R>>,
}

/// Where a context is in its life, with its run.
pub struct Life<R>(Lock<State<R>>);

impl<R> Default for Life<R> {
    fn default() -> Self {
        Life(Lock::new(State { stage: Stage::New, terminated: false, run: None }))
    }
}

/// A run that has begun, and the one before it.
pub struct Begun<R> {
    /// The run.
    pub run: Arc<R>,
    before: Option<Arc<R>>,
}

impl<R> Life<R> {
    /// Begins a run. `again`: also after one that has ended.
    pub fn begin(&self, again: bool, make: impl FnOnce() -> Arc<R>) -> Result<Begun<R>, Refusal> {
        // Not under the lock: it may do anything.
        let run = make();
        let mut state = self.0.lock();
        match state.stage {
            _ if state.terminated => return Err(Refusal::Terminated),
            Stage::Running => return Err(Refusal::Running),
            Stage::Ended if !again => return Err(Refusal::UsedUp),
            Stage::New | Stage::Ended => {}
        }
        state.stage = Stage::Running;
        Ok(Begun { before: state.run.replace(run.clone()), run })
    }

    /// The run could not be started: all is as it was before.
    pub fn give_back(&self, begun: Begun<R>) {
        let mut state = self.0.lock();
        state.stage = if begun.before.is_some() { Stage::Ended } else { Stage::New };
        let run = std::mem::replace(&mut state.run, begun.before);
        drop(state);
        drop(run);
    }

    /// The run has ended. Called once for each that was begun and not given back.
    pub fn settle(&self) {
        self.0.lock().stage = Stage::Ended;
    }

    /// Forgets the last run, if it has ended. `again`: as if there had been none. False: it goes on.
    pub fn forget(&self, again: bool) -> bool {
        let mut state = self.0.lock();
        if state.stage == Stage::Running {
            return false;
        }
        if again {
            state.stage = Stage::New;
            let run = state.run.take();
            drop(state);
            drop(run);
        }
        true
    }

    /// No run begins any more. The one that goes on.
    pub fn terminate(&self) -> Option<Arc<R>> {
        let mut state = self.0.lock();
        state.terminated = true;
        state.run.clone().filter(|_| state.stage == Stage::Running)
    }

    /// The run that goes on.
    pub fn running(&self) -> Option<Arc<R>> {
        let state = self.0.lock();
        state.run.clone().filter(|_| state.stage == Stage::Running)
    }

    /// The run that goes on, or the last one.
    pub fn run(&self) -> Option<Arc<R>> {
        self.0.lock().run.clone()
    }

    /// Whether it was terminated.
    pub fn is_terminated(&self) -> bool {
        self.0.lock().terminated
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::atomic::{AtomicU32, Ordering};
    use crate::sync::{Deadline, Gate, model};

    /// A run as others see it: whether it was asked to stop, and its end.
    #[derive(Default)]
    struct Run {
        asked: AtomicU32,
        over: Gate,
    }

    /// What an execute and its thread do. Whether it began.
    fn execute(life: &Life<Run>, again: bool) -> Result<(), Refusal> {
        let begun = life.begin(again, Arc::default)?;
        life.settle();
        begun.run.over.open();
        Ok(())
    }

    /// Two executes of a context for one use, and a wait for its end: one begins, and the wait sees its end.
    #[test]
    fn loom_context_is_executed_once() {
        model(3, || {
            let life = Arc::new(Life::<Run>::default());
            let other = {
                let life = life.clone();
                loom::thread::spawn(move || execute(&life, false))
            };
            let waiter = {
                let life = life.clone();
                loom::thread::spawn(move || life.run().map(|run| run.over.wait(Deadline::Never)))
            };
            let both = [execute(&life, false), other.join().unwrap()];
            assert_eq!(both.iter().filter(|one| one.is_ok()).count(), 1, "{both:?}");
            waiter.join().unwrap();
            assert!(life.running().is_none() && life.run().is_some());
        });
    }

    /// A terminate beside an execute, a run that ends only when it is asked to: it is asked, has ended before, or never begins.
    #[test]
    fn loom_context_terminate_misses_no_run() {
        model(3, || {
            let life = Arc::new(Life::<Run>::default());
            let executor = {
                let life = life.clone();
                loom::thread::spawn(move || {
                    let begun = life.begin(true, Arc::default).ok()?;
                    // It goes on until it is asked to stop, which must come: else the model deadlocks.
                    begun.run.over.wait(Deadline::Never);
                    assert_eq!(begun.run.asked.load(Ordering::Relaxed), 1);
                    life.settle();
                    Some(())
                })
            };
            let terminated = life.terminate();
            if let Some(run) = &terminated {
                run.asked.store(1, Ordering::Relaxed);
                run.over.open();
            }
            assert_eq!(executor.join().unwrap().is_some(), terminated.is_some());
            assert_eq!(life.begin(true, Arc::default).err(), Some(Refusal::Terminated));
        });
    }

    /// A start that fails beside another execute: the second begins, or finds the first one running.
    #[test]
    fn loom_context_given_back_can_begin_again() {
        model(3, || {
            let life = Arc::new(Life::<Run>::default());
            let other = {
                let life = life.clone();
                loom::thread::spawn(move || execute(&life, false))
            };
            if let Ok(begun) = life.begin(false, Arc::default) {
                life.give_back(begun);
            }
            let other = other.join().unwrap();
            assert!(matches!(other, Ok(()) | Err(Refusal::Running)), "{other:?}");
            assert_eq!(execute(&life, false).is_ok(), other.is_err());
        });
    }
}
