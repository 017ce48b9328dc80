//! When a wait gives up.

/// A point on CLOCK_MONOTONIC, or one of the two ends: at once, never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Do not wait at all.
    Now,
    /// Nanoseconds on CLOCK_MONOTONIC.
    At(i64),
    /// Wait without limit.
    Never,
}

impl Deadline {
    /// The one that comes first.
    pub fn earlier(self, other: Deadline) -> Deadline {
        match (self, other) {
            (Deadline::Now, _) | (_, Deadline::Now) => Deadline::Now,
            (Deadline::Never, at) | (at, Deadline::Never) => at,
            (Deadline::At(one), Deadline::At(other)) => Deadline::At(one.min(other)),
        }
    }
}

#[cfg(weft_loom)]
impl Deadline {
    /// In a model a deadline of 0 has passed and any other never does.
    pub fn has_passed(self) -> bool {
        matches!(self, Deadline::Now | Deadline::At(0))
    }
}

#[cfg(not(weft_loom))]
impl Deadline {
    /// The deadline `timeout_ns` from now, in the C API's form: 0 or less does not wait, `i64::MAX` waits for ever.
    pub fn after(timeout_ns: i64) -> Self {
        match timeout_ns {
            i64::MAX => Deadline::Never,
            ns if ns <= 0 => Deadline::Now,
            ns => match crate::platform::clock::now_ns().checked_add(ns) {
                Some(at) => Deadline::At(at),
                None => Deadline::Never,
            },
        }
    }

    /// Whether its time has come.
    pub fn has_passed(self) -> bool {
        match self {
            Deadline::Now => true,
            Deadline::At(at) => crate::platform::clock::now_ns() >= at,
            Deadline::Never => false,
        }
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::Deadline;

    #[test]
    fn timeouts_of_every_size() {
        assert_eq!(Deadline::after(0), Deadline::Now);
        assert_eq!(Deadline::after(i64::MIN), Deadline::Now);
        assert_eq!(Deadline::after(i64::MAX), Deadline::Never);
        assert_eq!(Deadline::after(i64::MAX - 1), Deadline::Never);
        assert!(matches!(Deadline::after(1), Deadline::At(_)));
    }
}
