//! Lanes: what they count, and in which order workers look into them.

use std::sync::mpsc;

use super::*;

#[test]
fn lanes_are_counted_by_priority() {
    let held = Held::new();
    for (count, priority) in [3, 0, 5, 2].into_iter().zip(Priority::ALL) {
        (0..count).for_each(|_| held.spawn_at(priority, |_| ()));
    }
    let before = held.runtime.stats();
    assert_eq!((before.queued, before.lanes.map(|lane| lane.queued)), (10, [3, 0, 5, 2]));
    assert_eq!(before.lanes.map(|lane| (lane.peak, lane.taken)), [(3, 0), (0, 0), (5, 0), (2, 0)]);
    let runtime = held.runtime.retain();
    held.release();
    let after = runtime.stats();
    assert_eq!((after.queued, after.lanes.map(|lane| (lane.queued, lane.peak))), (0, [(0, 3), (0, 0), (0, 5), (0, 2)]));
    assert_eq!(after.lanes.map(|lane| lane.taken), [3, 0, 5, 2]);
    for (before, after) in before.lanes.iter().zip(after.lanes) {
        assert!(after.waited_ns >= before.waited_ns && (after.waited_ns > 0) == (after.taken > 0));
    }
    assert_eq!(runtime.stats().lanes, after.lanes, "nobody waits any more");
}

/// On a machine of two packages with two nodes each, every worker empties the lanes of its own node, then its neighbour's, then
/// the others'.
#[test]
fn lanes_of_other_nodes_are_emptied_nearest_first() {
    const ORDERS: [[usize; 4]; 4] = [[0, 1, 2, 3], [1, 0, 2, 3], [2, 3, 0, 1], [3, 2, 0, 1]];
    for (chosen, order) in ORDERS.into_iter().enumerate() {
        let machine = crate::topology::Topology::from_string("pack:2 numa:2 core:1 pu:1").unwrap();
        let options = Options {
            workers: 4,
            max_threads: 4,
            placement: Policy::Compact,
            topology: Some(machine),
            ..Options::default()
        };
        let runtime = Runtime::new(options).unwrap();
        // Each thread is held by a task, in a wait that the scheduler does not see.
        let (held, holding) = mpsc::channel();
        for _ in 0..4 {
            let held = held.clone();
            spawn(&runtime, move |worker| {
                let (release, wait) = mpsc::channel::<()>();
                held.send((worker.index(), release)).unwrap();
                let _ = wait.recv();
            });
        }
        let mut releases: Vec<_> = holding.iter().take(4).collect();
        releases.sort_by_key(|&(index, _)| index);
        let (ran, running) = mpsc::channel();
        for priority in [Priority::High, Priority::Low, Priority::Normal] {
            for node in 0..4 {
                let ran = ran.clone();
                let place = runtime.place(priority, Some(node), false).unwrap();
                let note = move |worker: &Worker| ran.send((worker.index(), priority, node)).unwrap();
                runtime.spawn_at(Call(note), place).unwrap();
            }
        }
        drop(releases.remove(chosen));
        let seen: Vec<_> = running.iter().take(12).collect();
        let expected = [Priority::High, Priority::Normal, Priority::Low]
            .into_iter()
            .flat_map(|priority| order.map(|node| (chosen, priority, node)));
        assert_eq!(seen, expected.collect::<Vec<_>>());
        drop(releases);
        runtime.shutdown(Mode::Drain, Deadline::Never).unwrap();
    }
}
