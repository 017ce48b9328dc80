//! The kinds of contexts: what each does with a job.

use std::sync::Arc;

use super::isolate::Isolate;
use super::run::{Job, Run, Ticket};
use super::{fork, registry};
use crate::error::{Failure, Result, Status};
use crate::memory::Bytes;
use crate::observe::{self, Level, Origin};
use crate::platform;
use crate::scheduler::{Core, Work, Worker};

/// On the thread that executes.
pub const INLINE: i32 = 1;
/// On a thread of its own.
pub const THREAD: i32 = 2;
/// As a task of a runtime.
pub const TASK: i32 = 3;
/// In a copy of this process.
pub const FORK: i32 = 4;
/// On a thread of its own that stays, which gets and gives copies.
pub const ISOLATED: i32 = 5;
/// As a call of a pool of processes.
pub const PROCESS: i32 = 6;
/// Kinds from here on are registered.
pub const REGISTERED: i32 = 100;

/// The kinds that are always there, by name.
pub const NAMES: [(i32, &str); 6] = [
    (INLINE, "inline"),
    (THREAD, "thread"),
    (TASK, "task"),
    (FORK, "fork"),
    (ISOLATED, "isolated"),
    (PROCESS, "process"),
];

/// What some kinds cannot do without.
#[derive(Clone, Default)]
pub struct Places {
    /// Where tasks run.
    pub core: Option<Arc<Core>>,
    /// Who takes the jobs of a PROCESS.
    pub processes: Option<Arc<dyn Executor>>,
}

/// Failed: the job as it was, unless somebody has taken it all the same.
pub type Start = std::result::Result<(), (Failure, Option<Job>)>;

/// Where the jobs of a registered kind are run.
pub trait Executor: Send + Sync {
    /// Its number.
    fn number(&self) -> i32;

    /// Its name.
    fn name(&self) -> &str;

    /// Whether its contexts can be executed again.
    fn is_reusable(&self) -> bool {
        false
    }

    /// Takes a job, which is run, finished or dropped some time.
    fn submit(self: Arc<Self>, ticket: &Arc<Ticket>, run: &Arc<Run>, data: &Bytes) -> Result<()>;
}

/// What a context is.
pub enum Kind {
    /// See [`INLINE`].
    Inline,
    /// See [`THREAD`].
    Thread,
    /// See [`TASK`].
    Task(Arc<Core>),
    /// See [`FORK`].
    Fork,
    /// See [`ISOLATED`].
    Isolated(Arc<Isolate>),
    /// See [`REGISTERED`] and [`PROCESS`].
    Registered(Arc<dyn Executor>),
}

impl Kind {
    /// The kind with this number, or one that takes its place where there is none on this system; not if it is to be `exact`.
    pub fn find(number: i32, exact: bool, places: &Places) -> Result<Kind> {
        let missing = |what| move || Failure::new(Status::Invalid, what);
        let (name, reason) = match number {
            INLINE => return Ok(Kind::Inline),
            THREAD => return Ok(Kind::Thread),
            TASK => return places.core.clone().map(Kind::Task).ok_or_else(missing("runtime: there is none")),
            PROCESS => {
                let pool = places.processes.clone().map(Kind::Registered);
                return pool.ok_or_else(missing("options->process_pool is NULL"));
            }
            ISOLATED => return Ok(Kind::Isolated(Arc::default())),
            FORK => match platform::forking::is_supported() {
                Ok(()) => return Ok(Kind::Fork),
                Err(error) => ("fork".to_owned(), error.to_string()),
            },
            _ => match registry::find(number)? {
                (executor, None) => return Ok(Kind::Registered(executor)),
                (executor, Some(failure)) => (executor.name().to_owned(), failure.message.into_owned()),
            },
        };
        let message = format!("there are no contexts of the kind {name} here: {reason}");
        if exact {
            return Err(Failure::with(Status::Unsupported, message));
        }
        if registry::is_first_fallback(number) {
            let origin = Origin { worker: -1, runtime: c"", task: c"" };
            observe::log(Level::Warn, origin, format_args!("{message}; they are threads"));
        }
        Ok(Kind::Thread)
    }

    /// Its number.
    pub fn number(&self) -> i32 {
        match self {
            Kind::Inline => INLINE,
            Kind::Thread => THREAD,
            Kind::Task(_) => TASK,
            Kind::Fork => FORK,
            Kind::Isolated(_) => ISOLATED,
            Kind::Registered(executor) => executor.number(),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        match self {
            Kind::Registered(executor) => executor.name(),
            _ => NAMES.iter().find(|(number, _)| *number == self.number()).map_or("", |(_, name)| name),
        }
    }

    /// Whether its jobs may do without a function.
    pub fn may_have_no_function(&self) -> bool {
        matches!(self, Kind::Registered(_))
    }

    /// Whether it can be executed again: nothing is left of a run.
    pub fn is_reusable(&self) -> bool {
        match self {
            Kind::Inline | Kind::Isolated(_) => true,
            Kind::Registered(executor) => executor.is_reusable(),
            _ => false,
        }
    }

    /// What a run works on: a copy, unless the run is over, or has a copy of the whole process, before the caller goes on.
    pub(super) fn take_in(&self, data: &[u8]) -> Result<Bytes> {
        match self {
            Kind::Inline | Kind::Fork => {
                // SAFETY: not used after the start, which the caller waits for.
                Ok(unsafe { Bytes::adopt(data.as_ptr().cast_mut(), data.len(), None, std::ptr::null_mut()) })
            }
            _ => Bytes::copy(data).ok_or(Failure::new(Status::NoMemory, "no memory for a copy of the data")),
        }
    }

    /// Has a job run.
    pub(super) fn start(&self, job: Job) -> Start {
        match self {
            Kind::Inline => {
                job.run();
                Ok(())
            }
            Kind::Thread => start_thread(job),
            Kind::Task(core) => start_task(core, job),
            Kind::Fork => fork::start(job),
            Kind::Isolated(isolate) => by_ticket(job, |ticket, job| isolate.submit(ticket, job)),
            Kind::Registered(executor) => {
                let (run, data) = (job.handle().clone(), job.data().clone());
                by_ticket(job, |ticket, _| executor.clone().submit(ticket, &run, &data))
            }
        }
    }

    /// No job comes any more.
    pub(super) fn close(&self) {
        if let Kind::Isolated(isolate) = self {
            isolate.close();
        }
    }
}

/// What is known of a job that has gone into a ticket.
pub(super) struct About {
    pub name: String,
    pub stack: usize,
}

fn about(job: &Job) -> About {
    let options = job.context().options();
    let name = options.name.to_string_lossy();
    let name = if name.is_empty() { "weft-context".to_owned() } else { name.into_owned() };
    About { name, stack: if options.stack == 0 { 2 << 20 } else { options.stack } }
}

/// Gives a job to somebody who takes it out of its ticket, some time or at once; on failure takes it back.
fn by_ticket(job: Job, give: impl FnOnce(&Arc<Ticket>, &About) -> Result<()>) -> Start {
    let about = about(&job);
    let ticket = Arc::new(Ticket::new(job));
    give(&ticket, &about).map_err(|failure| (failure, ticket.take()))
}

/// A thread of ours, which ends by itself.
pub(super) fn spawn(about: &About, body: impl FnOnce() + Send + 'static) -> Result<()> {
    let builder = std::thread::Builder::new().name(about.name.clone()).stack_size(about.stack);
    let refused = |error| Failure::with(Status::Os, format!("cannot start a thread for a context: {error}"));
    builder.spawn(body).map(drop).map_err(refused)
}

fn start_thread(job: Job) -> Start {
    by_ticket(job, |ticket, about| {
        let ticket = ticket.clone();
        spawn(about, move || ticket.take().into_iter().for_each(Job::run))
    })
}

/// A queue's share of a job.
struct Queued(Arc<Ticket>);

impl Work for Queued {
    fn run(self, _: &Worker) {
        self.0.take().into_iter().for_each(Job::run);
    }

    fn droppable(&self) -> bool {
        true
    }

    fn stands_for(&self, what: usize) -> bool {
        Arc::as_ptr(&self.0).addr() == what
    }

    fn discard(self) -> bool {
        self.0.take().is_some()
    }
}

fn start_task(core: &Core, job: Job) -> Start {
    let (priority, run) = (job.context().options().priority, job.handle().clone());
    by_ticket(job, |ticket, _| {
        run.queue(ticket);
        core.spawn_at(Queued(ticket.clone()), core.place(priority, None, false)?)
    })
}
