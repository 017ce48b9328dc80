//! A context: how it is made, executed, waited for and ended, whatever its kind.

use std::ffi::CString;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::here;
use super::kind::Kind;
use super::life::{Life, Refusal};
use super::pool::Membership;
use super::run::{Handler, Job, Run, Times};
use crate::error::{Error, Failure, Result, Status};
use crate::future::{self, State};
use crate::memory::Bytes;
use crate::observe::{self, Level, Origin};
use crate::scheduler::{Priority, Worker, frame};
use crate::sync::Deadline;
use crate::sync::cancel::Token;

/// How a context is made.
#[derive(Clone, Default)]
pub struct Options {
    /// For messages, logs and threads; empty: none.
    pub name: CString,
    /// What its runs may be cancelled by; None: what whoever executes goes by.
    pub cancel: Option<Token>,
    /// Of the tasks of a TASK.
    pub priority: Priority,
    /// Bytes of the stack of a thread of its own; 0: 2 MiB.
    pub stack: usize,
}

/// Where something runs.
pub struct Context {
    asked: i32,
    kind: Kind,
    options: Options,
    life: Life<Run>,
    membership: Option<Membership>,
    executed: AtomicU64,
    failed: AtomicU64,
}

/// What a context has done so far.
#[derive(Clone, Copy)]
pub struct Stats {
    /// Runs that have begun.
    pub executed: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Of the run that goes on, or of the last one.
    pub times: Times,
}

const NOT_EXECUTED: Failure = Failure::new(Status::Invalid, "the context has not been executed");
const WAITS_FOR_ITSELF: Failure = Failure::new(
    Status::Deadlock,
    "the context's function waits for its own end, or for that of one that it is called by",
);

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.name();
        match self.options.name.is_empty() {
            true => write!(f, "an unnamed context ({kind})"),
            false => write!(f, "context {} ({kind})", self.options.name.to_string_lossy()),
        }
    }
}

impl Context {
    /// A context of this kind, which may be another than the one that was asked for.
    pub fn new(asked: i32, kind: Kind, options: Options, membership: Option<Membership>) -> Arc<Self> {
        Arc::new(Context {
            asked,
            kind,
            options,
            life: Life::default(),
            membership,
            executed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// The number of the kind that was asked for.
    pub fn asked(&self) -> i32 {
        self.asked
    }

    /// What it is.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// How it was made.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What it is a member of.
    pub fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    /// The pool whose permits its runs have; null: none.
    pub(super) fn pool(&self) -> *const () {
        self.membership.as_ref().map_or(std::ptr::null(), |member| Arc::as_ptr(member.pool()).cast())
    }

    /// Has `handler` called with `data`, where contexts of this kind have it called. Does not wait for its end, unless it is
    /// called here. On failure it has not been called, and all is as before. None: who takes the job knows what to do with it.
    pub fn execute(self: &Arc<Self>, handler: Option<Handler>, data: &[u8]) -> Result<()> {
        let (promise, future) = future::channel();
        let above = self.options.cancel.clone().or_else(frame::token);
        let make = || Arc::new(Run::new(Token::new([above.as_ref(), None]), future));
        let begin = || self.life.begin(self.kind.is_reusable(), make).map_err(|refusal| self.refused(refusal));
        let (data, begun) = match self.kind.take_in(data).and_then(|data| Ok((data, begin()?))) {
            Ok(both) => both,
            Err(failure) => {
                handler.into_iter().for_each(|handler| handler.give_back());
                return Err(failure);
            }
        };
        let run = begun.run.clone();
        let job = Job::new(self, &run, data, handler, promise);
        let admitted = self.membership.as_ref().map_or(Ok(false), |member| member.enter(&run.token));
        let started = match admitted {
            Err(failure) => Err((failure, Some(job))),
            Ok(had_place) => {
                // Before it begins, so that whoever has its result finds it counted.
                self.executed.fetch_add(1, Ordering::Relaxed);
                self.kind.start(job).inspect_err(|(_, job)| {
                    if job.is_some() {
                        self.executed.fetch_sub(1, Ordering::Relaxed);
                        self.membership.iter().for_each(|member| member.turn_back(had_place));
                    }
                })
            }
        };
        match started {
            Ok(()) => Ok(()),
            // Whoever was to run it has, or has dropped it, and said that it failed all the same: the result says more.
            Err((_, None)) => Ok(()),
            Err((failure, Some(job))) => {
                self.life.give_back(begun);
                job.take_back(&failure);
                Err(failure)
            }
        }
    }

    fn refused(&self, refusal: Refusal) -> Failure {
        match refusal {
            Refusal::Running => Failure::new(Status::Busy, "the context is being executed"),
            Refusal::UsedUp => Failure::with(
                Status::Busy,
                format!("a context of the kind {} is for one use, and has been executed", self.kind.name()),
            ),
            Refusal::Terminated => Failure::new(Status::Closed, "the context was terminated"),
        }
    }

    /// A run has ended.
    pub(super) fn is_over(&self, well: bool) {
        self.failed.fetch_add(u64::from(!well), Ordering::Relaxed);
        if let Some(member) = &self.membership {
            member.is_over(well);
            member.leave();
        }
        self.life.settle();
    }

    /// What a function gives, as it goes out.
    pub(super) fn out(&self, reply: Bytes) -> Result<Bytes> {
        match self.kind {
            Kind::Isolated(_) => Bytes::copy(reply.as_slice())
                .ok_or(Failure::new(Status::NoMemory, "no memory for a copy of what the function gave")),
            _ => Ok(reply),
        }
    }

    /// Waits for the end of the run that goes on, or of the last one, and tells what came of it; the same each time.
    pub fn wait(&self, deadline: Deadline) -> Result<Bytes> {
        let run = self.life.run().ok_or(NOT_EXECUTED)?;
        self.wait_for(&run, deadline)?;
        match run.future.outcome() {
            Some(Ok(bytes)) => Ok(bytes.clone()),
            Some(Err(error)) => {
                Err(Failure { status: error.status, message: error.text.to_string_lossy().into_owned().into() })
            }
            None => Err(NOT_EXECUTED),
        }
    }

    /// Waits for the end of a run.
    fn wait_for(&self, run: &Arc<Run>, deadline: Deadline) -> Result<()> {
        if run.future.state() != State::Pending {
            return Ok(());
        }
        if here::is_in(Arc::as_ptr(run).cast()) {
            return Err(WAITS_FOR_ITSELF);
        }
        if let (Kind::Task(core), Deadline::Never, Some(worker)) = (&self.kind, deadline, Worker::current())
            && let Some(ticket) = run.queued()
            && worker.may_run_in_place(Arc::as_ptr(core), true)
            && ticket.is_there()
        {
            worker.run_in_place(Arc::as_ptr(&ticket).addr(), || ticket.take().into_iter().for_each(Job::run));
        }
        let pending = |failure: Failure| match Status::from_number(failure.status) {
            Some(Status::WouldBlock) => Failure::new(Status::WouldBlock, "the context is being executed"),
            Some(Status::Timeout) => Failure::new(Status::Timeout, "the context is still being executed"),
            _ => failure,
        };
        // One that does not go on any more is told of any moment.
        let goes_on = self.life.running().is_some_and(|running| Arc::ptr_eq(&running, run));
        run.future.wait(if goes_on { deadline } else { Deadline::Never }).map_err(pending)
    }

    /// Waits for the end of the last run, if there is one.
    pub(super) fn wait_until_over(&self, deadline: Deadline) -> Result<()> {
        self.life.run().map_or(Ok(()), |run| self.wait_for(&run, deadline))
    }

    /// Whether a run goes on.
    pub fn is_alive(&self) -> bool {
        self.life.running().is_some()
    }

    /// Whether it was ever executed.
    pub fn was_executed(&self) -> bool {
        self.life.run().is_some()
    }

    /// Forgets the last run, as if there had been none. False: one goes on.
    pub(super) fn forget_run(&self) -> bool {
        self.life.forget(self.kind.is_reusable())
    }

    /// Whether it was terminated.
    pub fn is_terminated(&self) -> bool {
        self.life.is_terminated()
    }

    /// Why the last run failed, if it has. The context keeps the error until it is executed again.
    pub fn error(&self) -> Option<Arc<Error>> {
        self.life.run().and_then(|run| run.future.error().cloned())
    }

    /// It is not executed any more, and the run that goes on is asked to stop.
    pub fn ask_to_stop(&self) -> Option<Arc<Run>> {
        let run = self.life.terminate();
        if let Some(run) = &run {
            run.token.trigger(c"the context was terminated");
            // A task that has not begun ends here, and says why; its queue finds nothing.
            if let Some(job) = run.queued().and_then(|ticket| ticket.take()) {
                job.run();
            }
        }
        self.kind.close();
        run
    }

    /// [`Self::ask_to_stop`]; what has not ended by the deadline is killed, if its kind can be.
    pub fn terminate(&self, grace: Deadline) -> Result<()> {
        self.ask_to_stop();
        self.finish_off(grace)
    }

    /// Waits for the end of what was asked to stop, and kills it after that.
    pub(super) fn finish_off(&self, grace: Deadline) -> Result<()> {
        let Some(run) = self.life.running() else { return Ok(()) };
        match self.wait_for(&run, grace) {
            Err(failure) if failure.is(Status::Timeout) || failure.is(Status::WouldBlock) => {}
            other => return other,
        }
        if run.means().is_some_and(|means| means.kill()) {
            return self.wait_for(&run, Deadline::Never);
        }
        if !self.is_alive() {
            // It has just ended.
            return self.wait_for(&run, Deadline::Never);
        }
        let what = "has not ended in the time that it was given; it cannot be killed, and goes on";
        let origin = Origin { worker: -1, runtime: c"", task: &self.options.name };
        observe::log(Level::Warn, origin, format_args!("{self} {what}"));
        Err(Failure::with(Status::Timeout, format!("{self} {what}")))
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        Stats {
            executed: self.executed.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            times: self.life.run().map_or_else(Times::default, |run| run.times()),
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.kind.close();
    }
}
