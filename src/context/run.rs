//! One run of a context: the job on its way to where it is run, and what others know of it.

use std::fmt;
use std::sync::Arc;

use super::context::Context;
use super::here;
use crate::error::{Error, Failure, Result, Status, c_string};
use crate::future::{Deferred, Future, Promise};
use crate::memory::Bytes;
use crate::observe::{self, Level, Origin};
use crate::panics;
use crate::platform::{clock::now_ns, fork};
use crate::scheduler::{Worker, frame};
use crate::sync::Lock;
use crate::sync::cancel::{OnTrigger, Token};

/// What is to be run, with what it owns, which goes with it: before anybody is told that the run is over.
pub trait Handle: Send {
    /// Gets a message, gives one.
    fn call(self: Box<Self>, data: &[u8]) -> Result<Bytes, Failed>;

    /// The run never was: what it owns is whoever's it was before.
    fn give_back(self: Box<Self>);
}

/// A failure, with what was attached to it.
pub struct Failed {
    /// What happened.
    pub failure: Failure,
    /// Where, if that is known; else empty.
    pub backtrace: String,
    /// A serialised exception, say.
    pub payload: Option<Bytes>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Failed { failure, backtrace: String::new(), payload: None }
    }
}

/// Something to be run.
pub type Handler = Box<dyn Handle>;

/// What came of it.
pub type Outcome = std::result::Result<Bytes, Error>;

/// How a run can be ended that does not look at its token.
pub trait Means: Send + Sync {
    /// Asks it to stop. Never blocks.
    fn ask(&self);

    /// Ends it. False: that cannot be done.
    fn kill(&self) -> bool;
}

/// When things happened, on CLOCK_MONOTONIC; 0: not yet.
#[derive(Clone, Copy, Default)]
pub struct Times {
    /// The call of execute.
    pub executed_ns: i64,
    /// The call of the function.
    pub began_ns: i64,
    /// Its return, or whatever ended it.
    pub ended_ns: i64,
    /// The most memory that its process had; 0: not known, or none of its own.
    pub peak_rss: u64,
}

/// A run, as whoever waits for it or ends it knows it.
pub struct Run {
    /// What asks it to stop.
    pub token: Token,
    /// What comes of it.
    pub future: Future<Bytes>,
    means: Lock<Option<Arc<dyn Means>>>,
    times: Lock<Times>,
    /// Where it waits in a queue, for a task that waits for it and might as well run it.
    queued: Lock<Option<std::sync::Weak<Ticket>>>,
}

impl Run {
    pub(super) fn new(token: Token, future: Future<Bytes>) -> Self {
        let times = Times { executed_ns: now_ns(), ..Times::default() };
        Run { token, future, means: Lock::default(), times: Lock::new(times), queued: Lock::default() }
    }

    /// It can be ended by these means from now on, and is asked to stop if that has been asked for already.
    pub fn set_means(self: &Arc<Self>, means: Arc<dyn Means>) {
        *self.means.lock() = Some(means);
        let told: Arc<dyn OnTrigger> = self.clone();
        self.token.tell(Arc::downgrade(&told));
    }

    /// How it can be ended, as long as it goes on.
    pub(super) fn means(&self) -> Option<Arc<dyn Means>> {
        self.means.lock().clone()
    }

    /// When things happened.
    pub fn times(&self) -> Times {
        *self.times.lock()
    }

    pub(super) fn note(&self, change: impl FnOnce(&mut Times)) {
        change(&mut self.times.lock());
    }

    /// Somebody else has begun it.
    pub fn note_began(&self, at_ns: i64) {
        self.note(|times| times.began_ns = at_ns);
    }

    pub(super) fn queue(&self, ticket: &Arc<Ticket>) {
        *self.queued.lock() = Some(Arc::downgrade(ticket));
    }

    pub(super) fn queued(&self) -> Option<Arc<Ticket>> {
        self.queued.lock().as_ref().and_then(std::sync::Weak::upgrade)
    }
}

impl OnTrigger for Run {
    fn triggered(&self) {
        if let Some(means) = self.means() {
            means.ask();
        }
    }
}

/// A job that two sides may take: who is to run it, and who takes it back.
pub type Ticket = Deferred<Job>;

/// A run that somebody is to run, or to say what came of it. Dropped, it was dropped unrun.
pub struct Job {
    /// None: it is over.
    context: Option<Arc<Context>>,
    run: Arc<Run>,
    data: Bytes,
    handler: Option<Handler>,
    /// None: it is over.
    promise: Option<Promise<Bytes>>,
}

/// What a run's function is called in messages.
struct Title<'a>(&'a Context);

impl fmt::Display for Title<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the function of {}", self.0)
    }
}

impl Job {
    pub(super) fn new(
        context: &Arc<Context>,
        run: &Arc<Run>,
        data: Bytes,
        handler: Option<Handler>,
        promise: Promise<Bytes>,
    ) -> Self {
        Job { context: Some(context.clone()), run: run.clone(), data, handler, promise: Some(promise) }
    }

    /// What it is a run of.
    pub fn context(&self) -> &Context {
        self.context.as_ref().expect("it is there until the end")
    }

    /// What others know of it.
    pub fn handle(&self) -> &Arc<Run> {
        &self.run
    }

    /// What it is to work on.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// Runs it on this thread, unless it was asked to stop before that.
    pub fn run(mut self) {
        let outcome = match self.run.token.failure() {
            Some(failure) => Err(self.error(&failure)),
            None => {
                self.run.note(|times| times.began_ns = now_ns());
                self.call(&self.run.token.clone())
            }
        };
        self.finish(outcome);
    }

    /// Calls the function, by this token.
    pub(super) fn call(&mut self, token: &Token) -> Outcome {
        let Some(handler) = self.handler.take() else {
            return Err(self.error(&Failure::new(Status::Broken, "there is no function to be called")));
        };
        let (epoch, title) = (fork::epoch(), Title(self.context()));
        let name = self.context().options().name.as_c_str();
        let body = || handler.call(self.data.as_slice());
        let ended = here::within(Arc::as_ptr(&self.run).cast(), self.context().pool(), || match Worker::current() {
            Some(worker) => {
                let name = Some(name).filter(|name| !name.is_empty());
                let context = worker.task_context(name, Some(token.clone()));
                worker.within(context, || worker.protect(&title, body))
            }
            None => frame::under(token.clone(), || panics::catch(&title, body)).inspect_err(|panic| {
                let origin = Origin { worker: -1, runtime: c"", task: name };
                observe::log(Level::Error, origin, format_args!("{title} panicked: {panic}"));
            }),
        });
        if fork::epoch() != epoch {
            fork::refuse_to_return();
        }
        match ended {
            Ok(Ok(reply)) => self.context().out(reply).map_err(|failure| self.error(&failure)),
            Ok(Err(failed)) => {
                let mut error = self.error(&failed.failure);
                error.backtrace = c_string(&failed.backtrace);
                error.payload = failed.payload;
                Err(error)
            }
            Err(panic) => {
                let mut error = self.error(&Failure::with(Status::Panic, panic.clone()));
                error.backtrace = c_string(&panics::backtrace::take(&panic).unwrap_or_default());
                Err(error)
            }
        }
    }

    /// A failure as that of this run.
    pub fn error(&self, failure: &Failure) -> Error {
        Error::new(failure.status, &failure.message, &self.context().to_string())
    }

    /// The function and what it works on are needed no more here.
    pub(super) fn let_go_of_function(&mut self) {
        self.handler = None;
        self.data = Bytes::from_vec(Vec::new());
    }

    /// It is over: the context can go on, a place in its pool is free, and who waits is told, in this order.
    pub fn finish(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        let Some(promise) = self.promise.take() else { return };
        self.handler = None;
        self.run.note(|times| times.ended_ns = now_ns());
        self.context().is_over(outcome.is_ok());
        let means = self.run.means.lock().take();
        drop(means);
        // So that the context goes with the last of those who use it, and not a moment later.
        self.context = None;
        // Nobody else has this promise.
        let _ = promise.settle(outcome);
    }

    /// It was never begun, and will not be; who waits for it already learns why.
    pub(super) fn take_back(mut self, failure: &Failure) {
        let error = self.error(failure);
        let means = self.run.means.lock().take();
        drop(means);
        if let Some(handler) = self.handler.take() {
            handler.give_back();
        }
        if let Some(promise) = self.promise.take() {
            let _ = promise.settle(Err(error));
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.promise.is_none() {
            return;
        }
        let dropped = || Failure::new(Status::Broken, "it was dropped unrun");
        let failure = self.run.token.failure().unwrap_or_else(dropped);
        let error = self.error(&failure);
        self.end(Err(error));
    }
}
