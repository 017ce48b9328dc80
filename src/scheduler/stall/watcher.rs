//! Telling stalls: in the statistics, in the log, and to the program.

use std::ffi::CString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use super::Episode;
use crate::error::c_string;
use crate::panics;
use crate::platform::clock::now_ns;
use crate::scheduler::runtime::Core;
use crate::sync::Lock;
use crate::sync::tokens::Tokens;

/// A stall, as it was when it began.
#[derive(Clone, Debug)]
pub struct Stall {
    /// The how-manieth of its runtime, from 1.
    pub number: u64,
    /// Threads there are.
    pub threads: u32,
    /// Of these, threads that are blocked inside a task.
    pub blocked: u32,
    /// Threads there may be.
    pub max_threads: u32,
    /// Tasks that nobody can run.
    pub queued: u64,
    /// The same for people.
    pub message: CString,
}

/// Called when a stall begins.
pub type StallHook = Arc<dyn Fn(&Core, &Stall) + Send + Sync>;

/// How often stalls are logged at most. A program whose threads go on and block again a thousand times a second is told
/// each time, and its log once.
const LOG_PAUSE_NS: i64 = 1_000_000_000;

/// A runtime's stalls.
pub struct Stalls {
    pub(in crate::scheduler) episode: Episode,
    count: AtomicU64,
    /// When the next may be logged.
    log_from: AtomicI64,
    ceiling_hits: AtomicU64,
    ceiling_told: AtomicBool,
    watcher: Option<Watcher>,
}

/// Where the hook's thread waits.
struct Watcher {
    hook: StallHook,
    letter: Lock<Letter>,
    /// One for a stall that came when there was none to be told, and one for the end.
    posted: Tokens,
}

#[derive(Default)]
struct Letter {
    stall: Option<Stall>,
    ended: bool,
}

impl Watcher {
    /// Leaves the latest for the hook's thread. One that it has not got to is replaced: the numbers tell.
    fn tell(&self, stall: Stall) {
        if self.letter.lock().stall.replace(stall).is_none() {
            self.posted.post(1);
        }
    }

    fn watch(&self, core: &Core) {
        loop {
            self.posted.take();
            let Letter { stall, ended } = {
                let mut letter = self.letter.lock();
                Letter { stall: letter.stall.take(), ended: letter.ended }
            };
            if let Some(stall) = stall {
                panics::contain("the stall callback", || (self.hook)(core, &stall));
            }
            if ended {
                return;
            }
        }
    }
}

impl Stalls {
    pub(in crate::scheduler) fn new(hook: Option<StallHook>) -> Self {
        let watcher = hook.map(|hook| Watcher { hook, letter: Lock::default(), posted: Tokens::new() });
        Stalls {
            episode: Episode::default(),
            count: AtomicU64::new(0),
            log_from: AtomicI64::new(i64::MIN),
            ceiling_hits: AtomicU64::new(0),
            ceiling_told: AtomicBool::new(false),
            watcher,
        }
    }

    /// Whether there is a hook, which wants a thread.
    pub(in crate::scheduler) fn wants_thread(&self) -> bool {
        self.watcher.is_some()
    }

    /// The life of the hook's thread.
    pub(in crate::scheduler) fn watch(&self, core: &Core) {
        self.watcher.iter().for_each(|watcher| watcher.watch(core));
    }

    /// The runtime is over, or has never begun: the hook's thread ends.
    pub(in crate::scheduler) fn end(&self) {
        if let Some(watcher) = &self.watcher {
            watcher.letter.lock().ended = true;
            watcher.posted.post(1);
        }
    }

    /// Times `max_threads` kept work from starting.
    pub(in crate::scheduler) fn ceiling_hits(&self) -> u64 {
        self.ceiling_hits.load(Ordering::Relaxed)
    }

    /// Stalls so far.
    pub(in crate::scheduler) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl Core {
    /// There is work and a turn, and `max_threads` keeps a thread for it from starting. The caller has no locks.
    #[cold]
    pub(in crate::scheduler) fn tell_ceiling(&self) {
        let stalls = &self.stalls;
        stalls.ceiling_hits.fetch_add(1, Ordering::Relaxed);
        self.tell_stall();
        if !stalls.ceiling_told.swap(true, Ordering::Relaxed) && stalls.count() == 0 {
            self.warn(format_args!(
                "max_threads ({}) is reached, and threads are blocked in tasks: queued work waits for one of them",
                self.options.max_threads
            ));
        }
    }

    /// There is work, a turn, and no thread to be had. If none goes on either, that is told, once until one does.
    #[cold]
    pub(in crate::scheduler) fn tell_stall(&self) {
        let stalls = &self.stalls;
        let is_stalled = || {
            let counts = self.idle.counts();
            counts.active == 0 && counts.idle == 0 && counts.alive > 0
        };
        // The notify that led here has the fence.
        if !is_stalled() || !stalls.episode.begin(is_stalled) {
            return;
        }
        let counts = self.idle.counts();
        let (max_threads, queued) = (self.options.max_threads, self.queued());
        let number = stalls.count.fetch_add(1, Ordering::Relaxed) + 1;
        let message = format!(
            "all {} threads are blocked in tasks (max_threads is {max_threads}): {queued} queued tasks wait for one of them",
            counts.alive
        );
        let now = now_ns();
        let from = stalls.log_from.load(Ordering::Relaxed);
        // One of those who find it due at the same time logs.
        let is_due = now >= from
            && stalls
                .log_from
                .compare_exchange(from, now.saturating_add(LOG_PAUSE_NS), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_due {
            self.warn(format_args!("{message}"));
        }
        if let Some(watcher) = &stalls.watcher {
            watcher.tell(Stall {
                number,
                threads: counts.alive,
                blocked: counts.alive.saturating_sub(counts.active + counts.idle),
                max_threads,
                queued,
                message: c_string(&message),
            });
        }
    }
}
