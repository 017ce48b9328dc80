//! The thread of an ISOLATED: it stays between runs, and everything that goes in or comes out is a copy.
//!
//! It is started with the first job and leaves when its context goes or is terminated. What it has been given before that is
//! finished.

use std::sync::Arc;

use super::kind::{About, spawn};
use super::mailbox::Mailbox;
use super::run::{Job, Ticket};
use crate::error::{Failure, Result, Status};
use crate::sync::Lock;

/// What the thread waits for.
#[derive(Default)]
pub struct Isolate {
    started: Lock<bool>,
    jobs: Mailbox<Arc<Ticket>>,
}

impl Isolate {
    /// Gives the thread a job.
    pub(super) fn submit(self: &Arc<Self>, ticket: &Arc<Ticket>, about: &About) -> Result<()> {
        {
            let mut started = self.started.lock();
            if !*started {
                let isolate = self.clone();
                spawn(about, move || isolate.run())?;
                *started = true;
            }
        }
        self.jobs.put(ticket.clone()).map_err(|_| Failure::new(Status::Closed, "the context was terminated"))
    }

    /// No job comes any more.
    pub(super) fn close(&self) {
        self.jobs.close();
    }

    fn run(&self) {
        while let Some(ticket) = self.jobs.take() {
            ticket.take().into_iter().for_each(Job::run);
        }
    }
}
