//! The thread of an ISOLATED: it stays between runs, and everything that goes in or comes out is a copy.
//!
//! It is started with the first job and leaves when its context goes or is terminated. What runs there before that is finished.

use std::sync::Arc;

use super::kind::{About, spawn};
use super::run::{Job, Ticket};
use crate::error::Result;
use crate::sync::{Lock, Semaphore};

/// What the thread waits for.
#[derive(Default)]
pub struct Isolate {
    state: Lock<State>,
    /// One for each job, and one for the end.
    ready: Semaphore,
}

#[derive(Default)]
struct State {
    job: Option<Arc<Ticket>>,
    started: bool,
    closed: bool,
}

impl Isolate {
    /// Gives the thread a job. A context has one at a time.
    pub(super) fn submit(self: &Arc<Self>, ticket: &Arc<Ticket>, about: &About) -> Result<()> {
        let mut state = self.state.lock();
        if !state.started {
            let isolate = self.clone();
            spawn(about, move || isolate.run())?;
            state.started = true;
        }
        state.job = Some(ticket.clone());
        drop(state);
        self.ready.post();
        Ok(())
    }

    /// No job comes any more.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        if !std::mem::replace(&mut state.closed, true) {
            drop(state);
            self.ready.post();
        }
    }

    fn run(&self) {
        loop {
            self.ready.take_coming();
            let (ticket, closed) = {
                let mut state = self.state.lock();
                (state.job.take(), state.closed)
            };
            match ticket {
                Some(ticket) => ticket.take().into_iter().for_each(Job::run),
                None if closed => return,
                None => {}
            }
        }
    }
}
