//! Where the time comes from.

/// A clock, and an alarm on it that one thread wakes by.
pub trait Clock: Send + Sync {
    /// Nanoseconds since some point in the past. Never goes back.
    fn now_ns(&self) -> i64;

    /// Sets when the sleeper is to wake, instead of what was set before; None: not at all. Calls come one after the other.
    fn set_alarm(&self, at_ns: Option<i64>);
}

/// CLOCK_MONOTONIC.
#[cfg(not(weft_loom))]
pub struct Monotonic(crate::platform::alarm::Alarm);

#[cfg(not(weft_loom))]
impl Monotonic {
    /// The clock, with an alarm that is not set.
    pub fn new() -> std::io::Result<Self> {
        crate::platform::alarm::Alarm::new().map(Monotonic)
    }

    /// What is readable once the alarm has gone off, until it is set anew.
    pub fn alarm(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.0)
    }
}

#[cfg(not(weft_loom))]
impl Clock for Monotonic {
    fn now_ns(&self) -> i64 {
        crate::platform::clock::now_ns()
    }

    fn set_alarm(&self, at_ns: Option<i64>) {
        self.0.set(at_ns);
    }
}

/// A clock that is set by hand.
#[cfg(test)]
pub struct Virtual {
    hands: crate::sync::Lock<Hands>,
    rung: crate::sync::tokens::Tokens,
}

#[cfg(test)]
struct Hands {
    now_ns: i64,
    alarm: Option<i64>,
    /// Whether the alarm has gone off, and nobody has woken yet.
    rings: bool,
    set: usize,
}

#[cfg(test)]
impl Virtual {
    /// A clock that stands at this point.
    pub fn at(now_ns: i64) -> Self {
        let hands = Hands { now_ns, alarm: None, rings: false, set: 0 };
        Virtual { hands: crate::sync::Lock::new(hands), rung: Default::default() }
    }

    /// Moves on, and wakes the sleeper if it is time.
    pub fn advance(&self, ns: i64) {
        let mut hands = self.hands.lock();
        hands.now_ns += ns;
        self.ring(&mut hands);
    }

    /// What the alarm is set to.
    pub fn alarm(&self) -> Option<i64> {
        self.hands.lock().alarm
    }

    /// How often the alarm has been set.
    pub fn times_set(&self) -> usize {
        self.hands.lock().set
    }

    /// Sleeps until the alarm goes off.
    pub fn sleep(&self) {
        self.rung.take();
        self.hands.lock().rings = false;
    }

    fn ring(&self, hands: &mut Hands) {
        if !hands.rings && hands.alarm.is_some_and(|at| at <= hands.now_ns) {
            hands.rings = true;
            self.rung.post(1);
        }
    }
}

#[cfg(test)]
impl Clock for Virtual {
    fn now_ns(&self) -> i64 {
        self.hands.lock().now_ns
    }

    fn set_alarm(&self, at_ns: Option<i64>) {
        let mut hands = self.hands.lock();
        hands.alarm = at_ns;
        hands.set += 1;
        self.ring(&mut hands);
    }
}
