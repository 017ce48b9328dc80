//! What time it is, for those who only look: no alarm, no thread.

/// Reads one clock in two ways.
pub trait Now: Send + Sync + 'static {
    /// Nanoseconds since some point in the past, as exact as there are. Never goes back.
    fn precise_ns(&self) -> i64;

    /// The same, cheaper: as it was at the last tick of the system, some milliseconds ago at most. Never goes back.
    fn coarse_ns(&self) -> i64;
}

/// CLOCK_MONOTONIC.
pub struct System;

impl Now for System {
    #[inline]
    fn precise_ns(&self) -> i64 {
        crate::platform::clock::now_ns()
    }

    #[inline]
    fn coarse_ns(&self) -> i64 {
        crate::platform::clock::coarse_ns()
    }
}

/// A clock that stands where it is set. Models see it, too.
#[cfg(test)]
pub struct ByHand(crate::sync::atomic::AtomicU64);

#[cfg(test)]
impl ByHand {
    /// A clock that stands at this point.
    pub fn at(now_ns: i64) -> Self {
        ByHand(crate::sync::atomic::AtomicU64::new(now_ns as u64))
    }

    /// Moves it on.
    pub fn advance(&self, ns: i64) {
        self.0.fetch_add(ns as u64, crate::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(test)]
impl Now for std::sync::Arc<ByHand> {
    fn precise_ns(&self) -> i64 {
        self.0.load(crate::sync::atomic::Ordering::SeqCst) as i64
    }

    fn coarse_ns(&self) -> i64 {
        self.precise_ns()
    }
}
