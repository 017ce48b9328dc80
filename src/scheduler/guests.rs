//! Runtimes without threads of their own: threads of the program come to work, and go.
//!
//! A guest takes a free seat, is a worker like any other while it stays, and leaves the seat's queues to the next. Nobody is
//! left to do what nobody comes for: what is queued waits. So the end is everybody's business. Once a runtime is ending, who
//! is inside stays until nothing is left to run, and who shuts it down comes in himself if there is a free seat. Where
//! there is none, he waits for the bell, which rings when the runtime is over, or when someone has left before all was
//! done. Guest and closer cannot miss each other: one gives the seat up and then looks at the phase, the other sets the phase
//! and then looks for a seat.

use std::fmt::Display;
use std::sync::atomic::Ordering;

use super::idle::Refused;
use super::options::Kind;
use super::runtime::{Core, ENDING, Phase};
use super::worker::{Goal, Left, Stay, Worker};
use crate::error::{Failure, Result, Status};
use crate::sync::Deadline;
use crate::sync::cancel::Token;
use crate::sync::wait::Ended;

/// How long `Core::run_here` goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Until nothing can be run.
    UntilIdle,
    /// One task.
    OneStep,
    /// Until the runtime ends.
    UntilShutdown,
}

/// The stay of one who does what is left.
const PATIENT: Stay = Stay { goal: Goal::Idle, deadline: Deadline::Never, closes: false };

type Caught<R> = std::result::Result<R, String>;

const WRONG_KIND: Failure = Failure::new(Status::Unsupported, "the runtime is of another kind");
const HERE: Failure = Failure::new(Status::Busy, "this thread works for the runtime already");
const FULL: Failure = Failure::new(Status::Busy, "all seats of the runtime are taken");
const NOTHING: Failure = Failure::new(Status::WouldBlock, "there is nothing to run");

impl Core {
    /// Makes the calling thread the worker of a single runtime for a while.
    pub fn run_here(&self, how: Run) -> Result<()> {
        if self.kind() != Kind::Single {
            return Err(WRONG_KIND);
        }
        let goal = match how {
            Run::UntilIdle => Goal::Idle,
            Run::OneStep => Goal::Step,
            Run::UntilShutdown => Goal::Shutdown,
        };
        let left = self.visit(&Stay { goal, ..PATIENT })?;
        match left {
            Left::Stopped(ended) => ended.failure().map_or(Ok(()), Err),
            Left::Dry if how == Run::OneStep && self.is_open() => Err(NOTHING),
            _ => Ok(()),
        }
    }

    /// Lends the calling thread to a hosted runtime. Ok when that ends.
    pub fn lend(&self, deadline: Deadline) -> Result<()> {
        if self.kind() != Kind::Hosted {
            return Err(WRONG_KIND);
        }
        match self.visit(&Stay { goal: Goal::Shutdown, deadline, ..PATIENT })? {
            Left::TimedOut => Err(Failure::new(Status::Timeout, "the runtime goes on")),
            Left::Stopped(ended) => ended.failure().map_or(Ok(()), Err),
            Left::Dry if self.is_open() => Err(NOTHING),
            _ => Ok(()),
        }
    }

    fn visit(&self, stay: &Stay) -> Result<Left> {
        if Worker::is_here_for(self) {
            return Err(HERE);
        }
        let left = self.with_seat(|worker| worker.serve(stay), |left| *left == Left::Dismissed)?;
        self.see_to_the_end(stay);
        Ok(left)
    }

    /// Runs `f` on a seat, on this thread, if there is a free one; `f` comes back if not. A panic becomes its message.
    pub(super) fn run_as_guest<R, F>(
        &self,
        what: &dyn Display,
        token: Option<Token>,
        f: F,
    ) -> std::result::Result<Caught<R>, F>
    where
        F: FnOnce(&Worker) -> R,
    {
        if Worker::is_here_for(self) {
            return Err(f);
        }
        let mut f = Some(f);
        let visit = |worker: &Worker| {
            worker.leave_search();
            // Looked at from a seat: whoever begins the end after this waits for it.
            let f = if self.is_open() { f.take() } else { None };
            f.map(|f| worker.within(worker.task_context(None, token), || worker.protect(what, || f(worker))))
        };
        let ran = self.with_seat(visit, |_| false);
        if ran.is_ok() {
            self.see_to_the_end(&PATIENT);
        }
        match (ran, f) {
            (Ok(Some(result)), _) => Ok(result),
            (_, Some(f)) => Err(f),
            (_, None) => unreachable!("it was not taken, or it has run"),
        }
    }

    /// Makes the calling thread a worker for as long as `visit` takes. `over` tells whether it has been dismissed.
    fn with_seat<R>(&self, visit: impl FnOnce(&Worker) -> R, over: impl FnOnce(&R) -> bool) -> Result<R> {
        // The last handle may be released meanwhile.
        let core = self.share();
        let counts = core.idle.enter().map_err(|refused| match refused {
            Refused::Full => FULL,
            Refused::Over => ENDING,
        })?;
        core.note_threads(counts.alive);
        let Some(index) = core.seats.take(|index| Worker::furnish(&core, index)) else {
            core.idle.start_failed();
            core.look_again();
            core.bell.ring();
            return Err(Failure::new(Status::NoMemory, "no memory for a seat"));
        };
        let result = core.seats.sit_down(index).host(&core, visit);
        if over(&result) {
            if core.idle.dismissed() {
                core.end();
            }
        } else {
            core.idle.depart();
            core.look_again();
            if core.has_work() {
                // For those who wait for something of it, and found no free seat.
                core.bell.ring();
            }
        }
        Ok(result)
    }

    /// Waits until `done`, and does what is queued whenever a seat is free: nobody else may come. The bell rings when
    /// something is done that is waited for in this way, and when a guest leaves work behind.
    pub(super) fn help_until(&self, done: impl Fn() -> bool) {
        let may_sit = !Worker::is_here_for(self);
        loop {
            let heard = self.bell.listen();
            if done() {
                return;
            }
            let sit = || self.with_seat(|worker| worker.serve(&PATIENT), |left| *left == Left::Dismissed);
            if !(may_sit && self.has_work() && sit().is_ok()) {
                self.bell.wait_until_rung(heard);
            }
        }
    }

    /// A guest has gone. If the runtime is ending, and others came too late to be seen by those who were inside, they are run.
    fn see_to_the_end(&self, stay: &Stay) {
        let overtime = Stay { goal: Goal::Idle, ..*stay };
        while self.is_unfinished() {
            if stay.closes && stay.deadline.has_passed() {
                // Somebody else who waits for the end may have more time.
                self.bell.ring();
                return;
            }
            if self.with_seat(|worker| worker.serve(&overtime), |left| *left == Left::Dismissed).is_err() {
                return;
            }
        }
    }

    /// Whether the runtime is ending and something is left to run.
    fn is_unfinished(&self) -> bool {
        // Acquire, and before the look: as in `look_again`.
        self.phase.load(Ordering::Acquire) != Phase::Open as u32 && !self.idle.is_dismissed() && self.has_work()
    }

    /// Waits for the end of a runtime without threads, which has begun, and has this thread do what is left.
    pub(super) fn finish(&self, deadline: Deadline, late: Failure) -> Result<()> {
        let stay = Stay { goal: Goal::Idle, deadline, closes: true };
        loop {
            let heard = self.bell.listen();
            if self.gone.is_open() {
                return Ok(());
            }
            if deadline != Deadline::Now && self.is_unfinished() {
                // Where all seats are taken, those who sit there do it.
                if let Err(failure) = self.visit(&stay)
                    && failure.is(Status::NoMemory)
                {
                    return Err(failure);
                }
                if self.gone.is_open() {
                    return Ok(());
                }
            }
            if deadline.has_passed() {
                return Err(late);
            }
            match self.bell.wait(heard, deadline) {
                Ended::Fired(_) => {}
                Ended::TimedOut => return Err(late),
                ended => return ended.failure().map_or(Ok(()), Err),
            }
        }
    }

    /// A held task has been queued, or has gone, after the end had begun.
    pub(super) fn finish_held(&self) {
        if !self.kind().has_guests() {
            return;
        }
        // Who waits for the end does it, or whoever comes; if nobody can any more, this thread.
        self.bell.ring();
        if self.is_abandoned() {
            self.finish_alone();
        }
    }

    /// The last handle has gone, and the end has begun: without threads nobody else would see to it.
    pub(super) fn finish_alone(&self) {
        if self.kind().has_guests() && self.is_unfinished() {
            let _ = self.visit(&PATIENT);
        }
    }
}

#[cfg(test)]
mod tests;
