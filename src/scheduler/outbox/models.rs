//! What loom makes sure of.

use super::*;
use crate::sync::asymmetric::modelled::set_available;
use loom::sync::atomic::AtomicU32;

/// On a system with the barrier, and on one without.
fn model(preemptions: usize, f: impl Fn() + Copy + Send + Sync + 'static) {
    for available in [true, false] {
        set_available(available);
        crate::sync::model(preemptions, f);
    }
}

fn make(numbers: impl IntoIterator<Item = u32>) -> Queue<u32> {
    let mut chain = Queue::default();
    for number in numbers {
        unsafe { chain.push(NonNull::from(Box::leak(Box::new(Node::new(number))))) };
    }
    chain
}

fn free(node: NonNull<Node<u32>>) -> u32 {
    unsafe { Box::from_raw(node.as_ptr()) }.info
}

fn take(outboxes: &Outboxes<u32>) -> Vec<u32> {
    let mut share = [None; 2];
    let count = outboxes.take(&Cell::new(0), 1, &mut share);
    share[..count].iter().map(|node| free(node.expect("counted"))).collect()
}

fn push(outboxes: &Outboxes<u32>, outbox: &Outbox<u32>, numbers: &[u32]) -> usize {
    match unsafe { outbox.push(make(numbers.iter().copied()), outboxes.closed()) } {
        Ok(()) => numbers.len(),
        Err(NotPushed::Closed(mut chain) | NotPushed::NoMemory(mut chain)) => {
            while let Some(node) = chain.pop() {
                free(node);
            }
            0
        }
    }
}

/// Two consumers against a producer that crosses segments: each entry is taken once, in order.
#[test]
fn loom_outbox_each_entry_is_taken_once() {
    model(2, || {
        let outboxes = Arc::new(Outboxes::default());
        let consumers: Vec<_> = (0..2)
            .map(|_| {
                let outboxes = outboxes.clone();
                loom::thread::spawn(move || take(&outboxes))
            })
            .collect();
        let outbox = outboxes.adopt().unwrap();
        push(&outboxes, &outbox, &[1]);
        push(&outboxes, &outbox, &[2, 3]);
        push(&outboxes, &outbox, &[4, 5]);
        let mut all = Vec::new();
        for consumer in consumers {
            let taken = consumer.join().unwrap();
            assert!(taken.is_sorted());
            all.extend(taken);
        }
        while !outboxes.is_empty() {
            all.extend(take(&outboxes));
        }
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4, 5]);
    });
}

/// Pushes race with a close, a consumer and the look that follows the end's phase: what was accepted is taken, what was
/// refused is not, and the last look misses nothing.
#[test]
fn loom_outbox_nothing_slips_in_behind_a_close() {
    model(3, || {
        let outboxes = Arc::new(Outboxes::default());
        let phase = Arc::new(AtomicU32::new(0));
        let producer = {
            let outboxes = outboxes.clone();
            loom::thread::spawn(move || {
                let outbox = outboxes.adopt().unwrap();
                push(&outboxes, &outbox, &[1]) + push(&outboxes, &outbox, &[2, 3])
            })
        };
        let closer = {
            let (outboxes, phase) = (outboxes.clone(), phase.clone());
            loom::thread::spawn(move || {
                outboxes.close();
                phase.store(1, Ordering::Release);
            })
        };
        // A worker: what it sees after the phase is all there will be.
        let mut seen = take(&outboxes).len();
        let ending = phase.load(Ordering::Acquire) == 1;
        outboxes.cool();
        let over = ending && outboxes.is_empty();
        let accepted = producer.join().unwrap();
        closer.join().unwrap();
        if over {
            assert_eq!(accepted, seen);
        }
        while !outboxes.is_empty() {
            seen += take(&outboxes).len();
        }
        assert_eq!(accepted, seen);
    });
}

/// Rule 1 with a light outbox: the producer sees that a turn was given up, or the one who gave it up sees the work.
#[test]
fn loom_outbox_a_sleeper_or_the_producer_sees_the_other() {
    model(3, || {
        let outboxes = Arc::new(Outboxes::default());
        let asleep = Arc::new(AtomicU32::new(0));
        let outbox = outboxes.adopt().unwrap();
        // Earns the mark, so that the next push is light.
        push(&outboxes, &outbox, &[1]);
        assert_eq!(take(&outboxes), [1]);
        let sleepers: Vec<_> = (0..2)
            .map(|_| {
                let (outboxes, asleep) = (outboxes.clone(), asleep.clone());
                loom::thread::spawn(move || {
                    asleep.fetch_add(1, Ordering::SeqCst);
                    fence(Ordering::SeqCst);
                    outboxes.cool();
                    // Whoever sees work and everybody asleep wakes somebody.
                    let work = !outboxes.is_empty();
                    fence(Ordering::SeqCst);
                    work && asleep.load(Ordering::Relaxed) == 2
                })
            })
            .collect();
        push(&outboxes, &outbox, &[2]);
        let told = asleep.load(Ordering::Relaxed) == 2;
        let saw = sleepers.into_iter().map(|sleeper| sleeper.join().unwrap()).filter(|&saw| saw).count();
        assert!(told || saw > 0, "both sleep, and nobody knows of the work");
        assert_eq!(take(&outboxes), [2]);
    });
}

/// A thread leaves its outbox while others look for one and take from it: one adopts it, and its pushes come after what
/// is in it.
#[test]
fn loom_outbox_is_adopted_once() {
    model(3, || {
        let outboxes = Arc::new(Outboxes::default());
        let outbox = outboxes.adopt().unwrap();
        let heir = {
            let outboxes = outboxes.clone();
            loom::thread::spawn(move || {
                let own = outboxes.adopt().unwrap();
                push(&outboxes, &own, &[2]);
                Arc::as_ptr(&own) as usize
            })
        };
        push(&outboxes, &outbox, &[1]);
        unsafe { outbox.leave() };
        let other = outboxes.adopt().unwrap();
        push(&outboxes, &other, &[3]);
        assert_ne!(heir.join().unwrap(), Arc::as_ptr(&other) as usize);
        let mut all = Vec::new();
        while !outboxes.is_empty() {
            all.extend(take(&outboxes));
        }
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
    });
}
