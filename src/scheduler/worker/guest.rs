//! What a thread of somebody else's does on a seat: works for a while, and goes.

use std::ptr;

use super::super::lanes::Priority;
use super::super::options::Kind;
use super::super::runtime::{Core, Phase};
use super::{Standing, Unit, Worker};
use crate::platform::{local, thread::stack_left};
use crate::sync::wait::Ended;
use crate::sync::{Deadline, park};

/// When a guest goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// After one task, or if there is none.
    Step,
    /// When there is nothing to run.
    Idle,
    /// When the runtime ends; meanwhile it sleeps.
    Shutdown,
}

/// A guest's wishes. Once the runtime is ending, only `closes` counts: a guest runs what is left.
#[derive(Clone, Copy, Debug)]
pub struct Stay {
    pub goal: Goal,
    /// Looked at between tasks, and while the guest sleeps. [`Deadline::Now`]: it does not sleep.
    pub deadline: Deadline,
    /// Whether the deadline counts even now that the runtime is ending.
    pub closes: bool,
}

/// Why a guest went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// It has run one task, as it wished.
    Stepped,
    /// There was nothing to run.
    Dry,
    TimedOut,
    /// Something else ended its sleep.
    Stopped(Ended),
    /// The runtime is over.
    Dismissed,
}

impl Worker {
    /// The calling thread, counted as active and searching, is this worker for as long as `visit` takes, which hands it back
    /// active and not searching, or dismissed.
    pub(in super::super) fn host<R>(self: Box<Self>, core: &Core, visit: impl FnOnce(&Worker) -> R) -> R {
        let visitor = Visitor::step_aside();
        self.outer.set(Worker::current().map_or(ptr::null(), ptr::from_ref));
        self.visitor.set(visitor);
        self.standing.set(Standing::Searching);
        // Nobody else can go on in this thread's place with what it waits for, so it may go deeper.
        self.arrive(stack_left() / 2);
        let result = visit(&self);
        self.leave();
        self.unpin();
        self.outer.set(ptr::null());
        visitor.come_back();
        core.seats.vacate(self);
        result
    }

    /// Works as long as the guest wishes, and as it must.
    pub(in super::super) fn serve(&self, stay: &Stay) -> Left {
        let core = self.core();
        let mut stepped = false;
        let left = loop {
            let ending = core.phase() != Phase::Open;
            if stepped && stay.goal == Goal::Step && !ending {
                break Left::Stepped;
            }
            if stay.deadline != Deadline::Now && stay.deadline.has_passed() && (!ending || stay.closes) {
                break Left::TimedOut;
            }
            let mut unit = self.find_as_guest();
            if unit.is_none() && core.options.kind != Kind::Single {
                self.begin_search();
                unit = self.search();
            }
            if let Some(unit) = unit {
                self.leave_search();
                self.share_hunger(&unit);
                self.run(unit);
                stepped = true;
                continue;
            }
            if ending || stay.goal != Goal::Shutdown || stay.deadline == Deadline::Now {
                break Left::Dry;
            }
            self.begin_search();
            match self.rest_as_guest(stay) {
                Ended::Fired(_) if core.idle.is_dismissed() => return Left::Dismissed,
                Ended::Fired(_) => {}
                ended => {
                    self.standing.set(Standing::Busy);
                    break if ended == Ended::TimedOut { Left::TimedOut } else { Left::Stopped(ended) };
                }
            }
        };
        self.leave_search();
        left
    }

    /// Work for a guest. A lone one takes it in an order that depends on what was submitted alone, not on how often it has
    /// looked in vain.
    fn find_as_guest(&self) -> Option<Unit> {
        if self.core().options.kind != Kind::Single {
            return self.find_near();
        }
        let turns = (self.ticks.get(), self.lane_first.get(), self.next_outbox.get());
        let unit = self.find_near().or_else(|| self.take_one(Priority::Low, self.home()));
        if unit.is_none() {
            self.ticks.set(turns.0);
            self.lane_first.set(turns.1);
            self.next_outbox.set(turns.2);
        }
        unit
    }

    /// Sleeps, having searched. Back with a turn, or dismissed.
    fn rest_as_guest(&self, stay: &Stay) -> Ended {
        let core = self.core();
        core.idle.lie_down();
        core.ask_all();
        core.look_again();
        self.counters().parks.add_one();
        // As what it was before it came: a wait of that other runtime's worker, by its tokens; or of a thread of nobody's.
        let guest = Visitor::step_aside();
        self.visitor.get().come_back();
        let ended = core.idle.sleep_as_guest(stay.deadline);
        guest.come_back();
        if matches!(ended, Ended::Fired(_)) {
            self.counters().wakes.add_one();
        }
        ended
    }
}

/// What makes a thread what it is.
#[derive(Clone, Copy, Default)]
pub(super) struct Visitor {
    hook: Option<park::Hook>,
    word: usize,
    interruptible: bool,
}

impl Visitor {
    /// What the thread is now; from here on its waits are nobody's.
    fn step_aside() -> Visitor {
        Visitor { hook: park::set_hook(None), word: local::get(), interruptible: park::set_interruptible(false) }
    }

    /// The thread is this again.
    fn come_back(self) {
        local::set(self.word);
        park::set_hook(self.hook);
        park::set_interruptible(self.interruptible);
    }
}
