//! What happens when a worker's own loop fails, between tasks: a defect of Weft's, as everything else that can fail on a worker
//! is contained where it is called. Another thread takes the seat, and with it what is in the queues, the counters and
//! the turn, so the runtime has lost nothing but the thread. If the system refuses a thread, the old one stays.
//!
//! Nothing is in the hands of a thread that fails there. Threads that end in other ways cannot be replaced: what
//! unwinds out of a task's C code (pthread_exit, a cancellation by pthread_cancel) ends the process, with a message
//! (see `panics`).

use std::sync::Arc;

use super::{Exit, Standing, Worker};
use crate::observe::{self, Level};
use crate::scheduler::runtime::Core;
use crate::{panics, platform::local, sync::park};

impl Worker {
    /// The thread's work, until it has to end.
    pub(super) fn work_to_the_end(&self) -> Exit {
        panics::catch(&"a worker's own loop", || self.work()).unwrap_or_else(|message| self.fail(&message))
    }

    #[cold]
    fn fail(&self, message: &str) -> Exit {
        self.counters().replaced.add_one();
        observe::log(
            Level::Error,
            self.log_origin(),
            format_args!("a worker thread failed between tasks, another takes its place: {message}"),
        );
        if self.standing.get() == Standing::Resting {
            if self.core().idle.get_up() {
                return Exit::Dismissed;
            }
            self.standing.set(Standing::Searching);
        }
        Exit::Failed
    }

    /// Leaves the seat to a new thread, or to this one if there is none to be had: then this is the worker again.
    #[cold]
    pub(super) fn hand_over(self: Box<Self>, core: &Arc<Core>) -> Option<Box<Self>> {
        // What it leaves behind counts as a task, as the start hook does: this thread has a turn still.
        self.leave_search();
        self.leave();
        park::set_hook(None);
        panics::backtrace::forget();
        local::set(0);
        let index = self.index;
        core.seats.stand_up(self);
        let refused = core.start_on(index).err()?;
        core.tell_refused(&refused);
        Some(core.seats.sit_down(index))
    }
}
