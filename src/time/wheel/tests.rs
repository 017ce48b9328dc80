use std::collections::HashMap;

use super::*;

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn seed() -> u64 {
    let seed = std::env::var("WEFT_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| crate::platform::clock::now_ns() as u64);
    println!("WEFT_TEST_SEED={seed}");
    seed
}

/// What the model knows of an armed node.
struct Armed {
    deadline: i64,
    /// Its tick, and when it was armed: the order of expiry.
    order: (u64, u64),
}

/// A wheel beside a plain table.
#[derive(Default)]
struct Pair {
    wheel: Wheel,
    armed: HashMap<*mut Node, Armed>,
    count: u64,
    now: i64,
}

impl Pair {
    fn arm(&mut self, deadline: i64) {
        let place = Box::into_raw(Box::<Node>::default());
        self.count += 1;
        let order = (tick_after(deadline).max(self.wheel.now), self.count);
        // SAFETY: freed when it is out again.
        let wake = unsafe { self.wheel.arm(NonNull::new(place).unwrap(), deadline) };
        assert!(wake <= order.0);
        self.armed.insert(place, Armed { deadline, order });
    }

    fn disarm(&mut self, which: usize) {
        let Some(&place) = self.armed.keys().nth(which) else { return };
        // SAFETY: armed.
        unsafe { self.wheel.disarm(NonNull::new(place).unwrap()) };
        self.remove(place);
    }

    /// A node that is out of the wheel.
    fn remove(&mut self, place: *mut Node) -> Armed {
        let armed = self.armed.remove(&place).expect("it was armed");
        // SAFETY: made in `arm`, and out of the wheel.
        assert!(!unsafe { Box::from_raw(place) }.is_armed());
        armed
    }

    /// Has everything due expire, so many steps at a time, with something in between; in the model's order.
    fn advance(&mut self, to: i64, steps: usize, mut between: impl FnMut(&mut Pair)) {
        self.now = to;
        let mut last = (0, 0);
        loop {
            let mut budget = steps;
            while let Some(node) = self.wheel.expire(to, &mut budget) {
                let expired = self.remove(node.as_ptr());
                assert!(expired.deadline <= to, "early");
                assert!(expired.order > last, "{:?} after {last:?}", expired.order);
                last = expired.order;
            }
            if budget > 0 {
                break;
            }
            between(self);
        }
        let late = self.armed.values().filter(|armed| armed.order.0 <= tick_at(to)).count();
        assert_eq!(late, 0, "late by a tick");
        self.check();
    }

    fn check(&self) {
        assert_eq!(self.wheel.len(), self.armed.len());
        let earliest = self.armed.values().map(|armed| armed.order.0).min();
        let wake = self.wheel.wake();
        assert_eq!(earliest.is_none(), wake == NEVER);
        assert_eq!(self.wheel.is_empty(), earliest.is_none());
        assert!(wake <= earliest.unwrap_or(NEVER));
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        while !self.armed.is_empty() {
            self.disarm(0);
        }
        assert!(self.wheel.occupied.iter().all(|&slots| slots == 0));
    }
}

/// A deadline near or far, in the past too.
fn deadline(random: &mut Random, now: i64) -> i64 {
    match random.below(40) {
        0 => i64::MAX,
        1 => i64::MIN,
        2 => now,
        3 => now.saturating_sub(random.below(1 << 30) as i64),
        _ => {
            let distance = random.next() >> (1 + random.below(58));
            now.saturating_add(distance as i64)
        }
    }
}

#[test]
fn it_is_a_sorted_table() {
    let mut random = Random(seed());
    for _ in 0..200 {
        let mut pair = Pair::default();
        pair.now = (random.next() >> (1 + random.below(60))) as i64;
        for _ in 0..300 {
            match random.below(10) {
                0..=4 => pair.arm(deadline(&mut random, pair.now)),
                5 | 6 if !pair.armed.is_empty() => {
                    let which = random.below(pair.armed.len() as u64) as usize;
                    pair.disarm(which);
                }
                7 => {
                    // To the point that the wheel itself asks for.
                    let wake = begin_of(pair.wheel.wake()).unwrap_or(pair.now);
                    pair.advance(wake.max(pair.now), usize::MAX, |_| ());
                }
                _ => {
                    let to = pair.now.saturating_add((random.next() >> (1 + random.below(60))) as i64);
                    let steps = 1 + random.below(4) as usize;
                    pair.advance(to, steps, |pair| match random.below(4) {
                        // Not into the past, which would not end.
                        0 => pair.arm(deadline(&mut random, to).max(to).saturating_add(1 << TICK)),
                        1 if !pair.armed.is_empty() => {
                            let which = random.below(pair.armed.len() as u64) as usize;
                            pair.disarm(which);
                        }
                        _ => {}
                    });
                }
            }
            pair.check();
        }
    }
}

/// What is armed while its slot is taken apart comes after what was there, in each tick.
#[test]
fn one_tick_expires_in_the_order_of_arming() {
    let mut pair = Pair::default();
    let far = 5000 << TICK;
    (0..100).for_each(|_| pair.arm(far));
    let mut more = 0;
    pair.advance(far, 3, |pair| {
        if more < 50 {
            more += 1;
            pair.arm(far);
            pair.arm(far - 1);
        }
    });
    assert!(pair.armed.is_empty());
}

/// A lone entry, however far, asks for one wake-up: at its time.
#[test]
fn a_lone_entry_asks_for_its_own_time_only() {
    for shift in 17..62 {
        let mut pair = Pair::default();
        pair.now = 12345 << TICK;
        pair.advance(pair.now, usize::MAX, |_| ());
        let deadline = pair.now + (1 << shift) + 77;
        pair.arm(deadline);
        assert_eq!(pair.wheel.wake(), tick_after(deadline));
        pair.advance(deadline, usize::MAX, |_| ());
        assert_eq!(pair.armed.len(), 1, "not before its tick begins");
        pair.advance(deadline + (1 << TICK), usize::MAX, |_| ());
        assert!(pair.armed.is_empty());
    }
}

/// A slot with many is taken apart ahead of time, and no earlier than that needs.
#[test]
fn many_ask_for_the_time_it_takes_to_move_them() {
    let mut pair = Pair::default();
    let deadline = 100_000 << TICK;
    (0..(20 << MOVED)).for_each(|n| pair.arm(deadline + n));
    assert_eq!(pair.wheel.wake(), 100_000 - 20);
    pair.advance((100_000 - 20) << TICK, usize::MAX, |_| ());
    let wake = pair.wheel.wake();
    assert!((100_000 - 20..=100_000).contains(&wake));
}

#[test]
fn the_ends_of_time() {
    let mut pair = Pair::default();
    pair.arm(i64::MAX);
    assert_eq!(begin_of(pair.wheel.wake()), None);
    pair.arm(i64::MIN);
    pair.advance(0, usize::MAX, |_| ());
    assert_eq!(pair.armed.len(), 1);
    pair.advance(i64::MAX, usize::MAX, |_| ());
    assert_eq!(pair.armed.len(), 1, "never");
    assert_eq!((tick_after(-1), tick_after(0), tick_after(1), tick_after(1 << TICK)), (0, 0, 1, 1));
    assert_eq!((tick_at(-1), tick_at((1 << TICK) - 1), tick_at(1 << TICK)), (0, 0, 1));
}
