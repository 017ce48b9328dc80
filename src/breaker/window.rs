//! Windows: how many of the latest results are marked (as failures, or as slow), of the last so many calls or of the
//! last while.
//!
//! A window belongs to one generation at a time. All its words carry it, so it begins anew by itself, and what comes
//! late finds a later generation and changes nothing. Nothing is locked, and counting what is not marked is one
//! exchange.

mod calls;
mod span;

pub use calls::Calls;
pub use span::Span;

use super::policy::Extent;

/// What a window shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Results.
    pub total: u64,
    /// Those that are marked.
    pub marked: u64,
}

/// A window of either kind.
pub enum Window {
    /// Of the last calls.
    Calls(Calls),
    /// Of the last while.
    Span(Span),
}

impl Window {
    /// An empty window.
    pub fn new(extent: Extent, now_ns: i64) -> Self {
        match extent {
            Extent::Calls(calls) => Window::Calls(Calls::new(calls)),
            Extent::Time(ns) => Window::Span(Span::new(ns, now_ns)),
        }
    }

    /// Counts a result of this generation; false: a later one has begun. `now_ns` was read before the generation was
    /// seen to last: then no time of an earlier generation is later than one of a later generation.
    pub fn add(&self, generation: u32, now_ns: i64, marked: bool) -> bool {
        match self {
            Window::Calls(calls) => calls.add(generation, marked),
            Window::Span(span) => span.add(generation, now_ns, marked),
        }
    }

    /// What this generation's results show.
    pub fn tally(&self, generation: u32, now_ns: i64) -> Tally {
        match self {
            Window::Calls(calls) => calls.tally(generation),
            Window::Span(span) => span.tally(generation, now_ns),
        }
    }

    /// All that decides what it shows.
    #[cfg(all(test, not(weft_loom)))]
    pub fn cells(&self) -> Vec<&crate::sync::atomic::AtomicU64> {
        match self {
            Window::Calls(calls) => calls.cells(),
            Window::Span(span) => span.cells(),
        }
    }

    /// All results ever counted. While a generation begins, those of the one before may be missing.
    pub fn counted(&self) -> u64 {
        match self {
            Window::Calls(calls) => calls.counted(),
            Window::Span(span) => span.counted(),
        }
    }
}
