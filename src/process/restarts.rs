//! When a worker that has died is replaced: at once if it had answered calls, else after a pause that doubles, up to a ceiling;
//! and not at all after so many in a row that have answered none, within a window of time.

use std::collections::VecDeque;

/// How workers are replaced.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// So many workers in a row may die within the window without having answered a call; one more, and the seat is given up.
    pub limit: u32,
    /// How far back they count.
    pub window_ns: i64,
    /// The first pause.
    pub pause_ns: i64,
    /// The longest pause.
    pub most_ns: i64,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another worker, at this time.
    At(i64),
    /// None.
    Never,
}

/// The deaths of one seat's workers.
#[derive(Default)]
pub struct Restarts {
    /// Of workers that had answered nothing, since one had.
    deaths: VecDeque<i64>,
}

impl Restarts {
    /// A worker has died.
    pub fn died(&mut self, policy: &Policy, now_ns: i64, had_answered: bool) -> Next {
        if had_answered {
            self.deaths.clear();
            return Next::At(now_ns);
        }
        let begin = now_ns.saturating_sub(policy.window_ns);
        while self.deaths.front().is_some_and(|&at| at < begin) {
            self.deaths.pop_front();
        }
        if self.deaths.len() as u64 >= u64::from(policy.limit) {
            return Next::Never;
        }
        self.deaths.push_back(now_ns);
        let doublings = (self.deaths.len() - 1).min(62) as u32;
        let pause = policy.pause_ns.saturating_mul(1 << doublings).min(policy.most_ns).max(0);
        Next::At(now_ns.saturating_add(pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy { limit: 4, window_ns: 1_000, pause_ns: 10, most_ns: 35 };

    #[test]
    fn pauses_double_up_to_a_ceiling_then_it_is_over() {
        let mut restarts = Restarts::default();
        let pauses: Vec<_> = (0..5).map(|_| restarts.died(&POLICY, 100, false)).collect();
        assert_eq!(pauses, [Next::At(110), Next::At(120), Next::At(135), Next::At(135), Next::Never]);
        assert_eq!(restarts.died(&POLICY, 1_100, false), Next::Never);
        // All of them are out of the window.
        assert_eq!(restarts.died(&POLICY, 1_101, false), Next::At(1_111));
    }

    #[test]
    fn one_that_has_answered_begins_anew() {
        let mut restarts = Restarts::default();
        for now in 0..100 {
            assert_eq!(restarts.died(&POLICY, now, false), Next::At(now + 10));
            assert_eq!(restarts.died(&POLICY, now, false), Next::At(now + 20));
            assert_eq!(restarts.died(&POLICY, now, true), Next::At(now));
        }
    }

    #[test]
    fn without_limits_nothing_overflows() {
        let policy = Policy { limit: u32::MAX, window_ns: i64::MAX, pause_ns: i64::MAX / 2, most_ns: i64::MAX };
        let mut restarts = Restarts::default();
        for _ in 0..200 {
            assert!(matches!(restarts.died(&policy, 1 << 62, false), Next::At(_)));
        }
        let none = Policy { limit: 0, ..POLICY };
        assert_eq!(Restarts::default().died(&none, 5, false), Next::Never);
    }
}
