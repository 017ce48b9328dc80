//! The order in which a thief visits the other seats.
//!
//! Nearest first, in rings: the seats at its own place (spare threads), those that share its L2 cache, its L3 cache, its
//! node, then the other nodes by distance, nodes that are equally far in one ring. In each ring it begins at a random place,
//! and at each place with a random one of its seats, so that thieves who set out together part ways. Every seat is visited
//! once.
//!
//! A ring is the difference of two nested ranges of [`Places`], or a few whole ranges, so that a sweep needs neither a list nor
//! a lock.

use std::ops::Range;

use super::places::Places;

/// The other seats, in the order of a sweep.
pub struct Victims<'a> {
    places: &'a Places,
    /// The thief's seat.
    thief: usize,
    /// Seats there are.
    seats: usize,
    random: u64,
    around: [Range<usize>; 4],
    ring: Ring,
    /// Where the next place of the ring is, and how many have not been visited.
    part: usize,
    position: usize,
    places_left: usize,
    stop: Stop,
}

/// What is visited at present.
#[derive(Clone, Debug)]
enum Ring {
    /// The neighbourhood of this number, without those inside it.
    Around(usize),
    /// These nodes of the thief's row, all equally far.
    Nodes(Range<usize>),
}

/// The seats of one place: `place`, and then every `places.count()`-th.
#[derive(Default)]
struct Stop {
    place: usize,
    /// How many there are to visit, which comes next, and how many are left.
    count: usize,
    next: usize,
    left: usize,
}

/// Draws for a start at a place that has a seat. Only while fewer threads than places have ever started can a draw fail; then
/// the next seat in the ring becomes the start.
const DRAWS: u32 = 4;

impl<'a> Victims<'a> {
    /// A sweep of the thief on seat `thief` over `seats` seats; `random` decides the starts.
    pub fn new(places: &'a Places, thief: usize, seats: usize, random: u64) -> Self {
        let mut victims = Victims {
            places,
            thief,
            seats,
            random: random | 1,
            around: places.around(thief),
            ring: Ring::Around(0),
            part: 0,
            position: 0,
            places_left: 0,
            stop: Stop::default(),
        };
        victims.begin_ring();
        victims
    }

    /// A number below `limit`.
    fn draw(&mut self, limit: usize) -> usize {
        // Marsaglia's xorshift64*, whose upper half is good, scaled by Lemire's multiplication.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let upper = self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        ((upper * limit as u64) >> 32) as usize
    }

    /// The `part`-th range of positions in the ring.
    fn part(&self, part: usize) -> Option<Range<usize>> {
        match &self.ring {
            Ring::Around(0) => (part == 0).then(|| self.around[0].clone()),
            &Ring::Around(level) => {
                let (inner, outer) = (&self.around[level - 1], &self.around[level]);
                match part {
                    0 => Some(outer.start..inner.start),
                    1 => Some(inner.end..outer.end),
                    _ => None,
                }
            }
            Ring::Nodes(nodes) => {
                let (node, _) = *self.places.distances(self.thief)[nodes.clone()].get(part)?;
                Some(self.places.node(node))
            }
        }
    }

    /// The part and position of the ring's place number `index`.
    fn locate(&self, mut index: usize) -> Option<(usize, usize)> {
        let mut number = 0;
        while let Some(part) = self.part(number) {
            if index < part.len() {
                return Some((number, part.start + index));
            }
            index -= part.len();
            number += 1;
        }
        None
    }

    fn begin_ring(&mut self) {
        let parts = (0..).map_while(|part| self.part(part));
        let size: usize = parts.map(|part| part.len()).sum();
        self.places_left = size;
        for _ in 0..DRAWS {
            let index = if size > 1 { self.draw(size) } else { 0 };
            let Some((part, position)) = self.locate(index) else { return };
            (self.part, self.position) = (part, position);
            if self.places.at(position) < self.seats {
                return;
            }
        }
    }

    fn next_ring(&mut self) -> bool {
        let begin = match &self.ring {
            &Ring::Around(level) if level + 1 < self.around.len() => {
                self.ring = Ring::Around(level + 1);
                self.begin_ring();
                return true;
            }
            // The first of the row is the thief's own node, which has been visited.
            Ring::Around(_) => 1,
            Ring::Nodes(nodes) => nodes.end,
        };
        let row = self.places.distances(self.thief);
        let Some(&(_, distance)) = row.get(begin) else { return false };
        let end = begin + row[begin..].iter().take_while(|&&(_, other)| other == distance).count();
        self.ring = Ring::Nodes(begin..end);
        self.begin_ring();
        true
    }

    /// Goes to the next place of the ring.
    fn next_place(&mut self) -> bool {
        if self.places_left == 0 {
            return false;
        }
        self.places_left -= 1;
        let place = self.places.at(self.position);
        self.position += 1;
        while self.places_left > 0 && self.part(self.part).is_none_or(|part| self.position >= part.end) {
            self.part = if self.part(self.part + 1).is_some() { self.part + 1 } else { 0 };
            self.position = self.part(self.part).map_or(0, |part| part.start);
        }
        let mut count = self.seats.saturating_sub(place).div_ceil(self.places.count());
        if matches!(self.ring, Ring::Around(0)) {
            // All but the thief's own.
            count = count.saturating_sub(1);
        }
        let next = if count > 1 { self.draw(count) } else { 0 };
        self.stop = Stop { place, count, next, left: count };
        true
    }

    /// The next seat of the place.
    fn next_seat(&mut self) -> Option<usize> {
        let stop = &mut self.stop;
        stop.left = stop.left.checked_sub(1)?;
        let row = stop.next;
        stop.next = if row + 1 == stop.count { 0 } else { row + 1 };
        let seat = stop.place + row * self.places.count();
        // The thief's own seat is not among those at its place that are counted.
        let beyond = matches!(self.ring, Ring::Around(0)) && seat >= self.thief;
        Some(if beyond { seat + self.places.count() } else { seat })
    }
}

impl Iterator for Victims<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            if let Some(seat) = self.next_seat() {
                return Some(seat);
            }
            if !self.next_place() && !self.next_ring() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::places::Policy;
    use crate::topology::Topology;

    const BIG: &str = "numa:4 l3:1 core:16 pu:1";

    fn places(machine: &str, policy: Policy, workers: u32) -> Places {
        Places::on(&Topology::from_string(machine).unwrap(), policy, workers)
    }

    fn random() -> impl FnMut() -> u64 {
        let mut state = 7u64;
        move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state
        }
    }

    fn each_once(places: &Places, thief: usize, seats: usize, random: u64) -> Vec<usize> {
        let sweep: Vec<_> = Victims::new(places, thief, seats, random).collect();
        let mut sorted = sweep.clone();
        sorted.sort_unstable();
        let others: Vec<_> = (0..seats).filter(|&seat| seat != thief).collect();
        assert_eq!(sorted, others, "thief {thief} of {seats}");
        sweep
    }

    #[test]
    fn every_other_seat_once() {
        let mut random = random();
        let machines = [BIG, "numa:2 l3:2 l2:2 core:2 pu:2", "numa:3 core:5 pu:2", "pu:1", "pack:2 numa:2 core:3 pu:1"];
        for machine in machines {
            for policy in [Policy::None, Policy::Compact, Policy::Scatter] {
                for workers in [1, 2, 3, 7, 64] {
                    let places = places(machine, policy, workers);
                    for seats in [1, 2, 3, 5, 16, 64, 65, 130, 150] {
                        for thief in [0, 1, 2, 15, 63, 64, 149].into_iter().filter(|&thief| thief < seats) {
                            each_once(&places, thief, seats, random());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_nearest_come_first() {
        let mut random = random();
        for policy in [Policy::Compact, Policy::Scatter] {
            let places = places(BIG, policy, 64);
            for thief in 0..64 {
                let sweep = each_once(&places, thief, 64, random());
                let (near, far) = sweep.split_at(15);
                assert!(near.iter().all(|&seat| places.node_of(seat) == places.node_of(thief)));
                assert!(far.iter().all(|&seat| places.node_of(seat) != places.node_of(thief)));
            }
        }
    }

    /// How far apart two seats are, from the machine itself and not from the places' ranges.
    fn steps(machine: &Topology, places: &Places, from: usize, to: usize) -> u32 {
        let cpu = |seat| machine.cpus.iter().find(|cpu| cpu.os == places.cpu_of(seat)).unwrap();
        let (a, b) = (cpu(from), cpu(to));
        match () {
            () if a.os == b.os => 0,
            () if a.l2 == b.l2 => 1,
            () if a.l3 == b.l3 => 2,
            () if a.node == b.node => 3,
            () => 4 + machine.distance(a.node, b.node),
        }
    }

    #[test]
    fn rings_grow() {
        let mut random = random();
        for machine in ["pack:2 numa:2 l3:2 l2:2 core:2 pu:2", "numa:2 core:4 pu:2", BIG] {
            for policy in [Policy::Compact, Policy::Scatter] {
                let machine = Topology::from_string(machine).unwrap();
                let places = Places::on(&machine, policy, 64);
                for thief in 0..80 {
                    let sweep = each_once(&places, thief, 80, random());
                    let far: Vec<_> = sweep.iter().map(|&seat| steps(&machine, &places, thief, seat)).collect();
                    assert!(far.is_sorted(), "thief {thief}: {far:?}");
                    assert!(far.first() < far.last());
                }
            }
        }
    }

    /// How often each seat comes first in its ring, over sweeps of one thief.
    fn starts(places: &Places, thief: usize, seats: usize, ring: Range<usize>, sweeps: u32) -> Vec<u32> {
        let mut random = random();
        let mut counts = vec![0; seats];
        for _ in 0..sweeps {
            counts[each_once(places, thief, seats, random())[ring.start]] += 1;
        }
        counts.into_iter().filter(|&count| count > 0).collect()
    }

    fn assert_uniform(counts: &[u32], among: usize, sweeps: u32) {
        let expected = f64::from(sweeps) / among as f64;
        // Pearson's chi squared; its mean is the degrees of freedom. The numbers come from a fixed seed.
        let chi: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        let freedom = among as f64 - 1.0;
        assert_eq!(counts.len(), among, "{counts:?}");
        assert!(chi < freedom + 5.0 * (2.0 * freedom).sqrt(), "chi squared {chi} for {counts:?}");
    }

    #[test]
    fn starts_are_uniform_in_each_ring() {
        const SWEEPS: u32 = 10_000;
        let compact = places(BIG, Policy::Compact, 64);
        for thief in [0, 7, 15, 16, 40, 63] {
            assert_uniform(&starts(&compact, thief, 64, 0..15, SWEEPS), 15, SWEEPS);
            assert_uniform(&starts(&compact, thief, 64, 15..63, SWEEPS), 48, SWEEPS);
        }
        let none = places(BIG, Policy::None, 64);
        for thief in [0, 31, 63] {
            assert_uniform(&starts(&none, thief, 64, 0..63, SWEEPS), 63, SWEEPS);
        }
        // Four seats at each place: a fair place, and a fair seat of it.
        assert_uniform(&starts(&compact, 3, 256, 0..3, SWEEPS), 3, SWEEPS);
        assert_uniform(&starts(&compact, 3, 256, 3..63, SWEEPS), 60, SWEEPS);
    }

    #[test]
    fn thieves_of_a_young_runtime_part_ways_too() {
        const SWEEPS: u32 = 10_000;
        let places = places(BIG, Policy::Compact, 64);
        let counts = starts(&places, 0, 9, 0..8, SWEEPS);
        assert_eq!(counts.len(), 8);
        assert!(counts.iter().all(|&count| count < SWEEPS / 5), "{counts:?}");
    }

    #[test]
    fn alone() {
        assert_eq!(Victims::new(&Places::nowhere(), 0, 1, 3).next(), None);
        assert_eq!(Victims::new(&places(BIG, Policy::Compact, 64), 0, 1, 3).next(), None);
    }
}
