//! What a link counts. Each counter belongs to whoever has that direction's turn.

use std::sync::atomic::{AtomicU64, Ordering};

/// One direction's.
#[derive(Default)]
#[repr(align(64))]
pub struct Direction {
    frames: AtomicU64,
    bytes: AtomicU64,
    waits: AtomicU64,
}

/// Both.
#[derive(Default)]
pub struct Counters {
    pub(super) sent: Direction,
    pub(super) received: Direction,
}

/// Frames and their bytes that have passed, and how often somebody slept for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Whole frames.
    pub frames: u64,
    /// Their bytes, headers not counted.
    pub bytes: u64,
    /// Sleeps.
    pub waits: u64,
}

/// Both ways.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// From here.
    pub sent: Passed,
    /// To here.
    pub received: Passed,
}

fn add(counter: &AtomicU64, more: u64) {
    // Nobody else writes it, so no exchange.
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

impl Direction {
    #[inline(always)]
    pub(super) fn frame(&self, bytes: usize) {
        add(&self.frames, 1);
        add(&self.bytes, bytes as u64);
    }

    pub(super) fn wait(&self) {
        add(&self.waits, 1);
    }

    fn read(&self) -> Passed {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Passed { frames: read(&self.frames), bytes: read(&self.bytes), waits: read(&self.waits) }
    }
}

impl Counters {
    pub(super) fn read(&self) -> Stats {
        Stats { sent: self.sent.read(), received: self.received.read() }
    }
}
