//! Contexts whose runs are calls of a pool of processes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use super::future::{Cell, Value};
use super::handle::Handle;
use super::process_pool::{self, Settle};
use super::types::weft_process_pool;
use crate::context::kind::{Executor, PROCESS};
use crate::context::run::{Means, Run, Ticket};
use crate::error::{Error, Failure, Result, Status};
use crate::future::{self, Callback, Future, OnSettled};
use crate::memory::Bytes;
use crate::platform::clock::now_ns;
use crate::process::Pool;
use crate::process::pool::Call;

/// A pool of processes as the place of contexts.
pub(super) struct Processes(Arc<Pool<Settle>>);

impl Processes {
    /// # Safety
    /// `pool` is a handle of some kind.
    pub(super) unsafe fn of(pool: *mut weft_process_pool) -> Result<Arc<dyn Executor>> {
        // SAFETY: promised by the caller.
        Ok(Arc::new(Processes(unsafe { process_pool::get(pool)? }.clone())))
    }
}

impl Executor for Processes {
    fn number(&self) -> i32 {
        PROCESS
    }

    fn name(&self) -> &str {
        "process"
    }

    fn is_reusable(&self) -> bool {
        true
    }

    fn submit(self: Arc<Self>, ticket: &Arc<Ticket>, run: &Arc<Run>, data: &Bytes) -> Result<()> {
        let (promise, future) = future::channel();
        let call = self.0.prepare(None, Settle(promise));
        run.note_began(now_ns());
        self.0.call(&call, data.as_slice(), None)?;
        let ender = Arc::new(Ender { pool: Arc::downgrade(&self.0), call, killed: AtomicBool::new(false) });
        run.set_means(ender.clone());
        // From here on whoever answers ends the run. After that has been done here, nothing may fail.
        Callback::new(&future, Answered { ticket: ticket.clone(), ender, future: future.clone() }).arm(&future);
        Ok(())
    }
}

/// How a call is ended.
struct Ender {
    pool: Weak<Pool<Settle>>,
    call: Arc<Call<Settle>>,
    killed: AtomicBool,
}

impl Means for Ender {
    fn ask(&self) {
        self.pool.upgrade().iter().for_each(|pool| pool.stop(&self.call));
    }

    fn kill(&self) -> bool {
        self.killed.store(true, Ordering::Relaxed);
        self.pool.upgrade().iter().for_each(|pool| pool.is_due(&self.call));
        true
    }
}

/// Ends a run with the answer of its call.
struct Answered {
    ticket: Arc<Ticket>,
    ender: Arc<Ender>,
    future: Future<Value>,
}

impl OnSettled<Value> for Answered {
    fn settled(self, _: &Cell) {
        let Some(job) = self.ticket.take() else { return };
        let outcome = match self.future.outcome() {
            // SAFETY: the value of such a future is a handle, and the future has its reference.
            Some(Ok(value)) => unsafe { Handle::<Bytes>::get(value.pointer().cast(), "reply") }
                .cloned()
                .map_err(|failure| job.error(&failure)),
            Some(Err(error)) if error.status == Status::Timeout as i32 && self.ender.killed.load(Ordering::Relaxed) => {
                Err(job.error(&Failure::new(Status::Cancelled, "cancelled: the process that worked on it was killed")))
            }
            Some(Err(error)) => Err(Error::passed_on(error)),
            None => Err(job.error(&Failure::new(Status::Broken, "the answer has gone"))),
        };
        job.finish(outcome);
    }
}
