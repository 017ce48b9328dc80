//! Sources that are settled while they are combined.

use super::*;
use crate::sync::{Deadline, model};

impl Lend for u32 {
    fn lend(&self) -> Self {
        *self
    }
    fn nothing() -> Self {
        0
    }
}

fn two_of(rule: Rule) {
    model(3, move || {
        let pairs = [channel::<u32>(), channel::<u32>()];
        let [(first, one), (second, two)] = pairs;
        let settlers = [(first, 1), (second, 2)].map(|(promise, value)| {
            loom::thread::spawn(move || {
                let _ = promise.settle(Ok(value));
            })
        });
        let future = combine(rule, Box::new([one, two]));
        let origin = Arc::downgrade(future.origin().unwrap());
        let value = *future.get(Deadline::Never).unwrap();
        match (rule, future.origin().unwrap().winner()) {
            (Rule::All, Some(Winner::Nobody)) => assert_eq!(value, 0),
            (_, Some(Winner::Index(index))) => assert_eq!(value, index as u32 + 1),
            other => panic!("{other:?}"),
        }
        settlers.into_iter().for_each(|settler| settler.join().unwrap());
        drop(future);
        assert_eq!(origin.strong_count(), 0, "nothing keeps it");
    });
}

#[test]
fn loom_combined_all() {
    two_of(Rule::All);
}

#[test]
fn loom_combined_any() {
    two_of(Rule::Any);
}

#[test]
fn loom_combined_race() {
    two_of(Rule::Race);
}

/// Cancelled while a source is settled: one of them decides.
#[test]
fn loom_combined_cancel_against_settle() {
    model(3, || {
        let (promise, source) = channel::<u32>();
        let future = combine(Rule::Race, Box::new([source]));
        let settler = loom::thread::spawn(move || {
            let _ = promise.settle(Ok(1));
        });
        future.cancel();
        match future.outcome() {
            Some(Ok(&value)) => assert_eq!(value, 1),
            Some(Err(error)) => assert_eq!(error.status, Status::Cancelled as i32),
            None => {}
        }
        settler.join().unwrap();
        assert!(future.outcome().is_some());
    });
}

/// Released while a source is settled: nothing keeps it, nor does it keep the source.
#[test]
fn loom_combined_release_against_settle() {
    model(3, || {
        let (promise, source) = channel::<u32>();
        let future = combine(Rule::Race, Box::new([source.clone()]));
        let origin = Arc::downgrade(future.origin().unwrap());
        let settler = loom::thread::spawn(move || {
            let _ = promise.settle(Ok(1));
        });
        drop(future);
        settler.join().unwrap();
        assert_eq!(origin.strong_count(), 0, "nothing keeps it");
        assert!(source.is_sole());
    });
}
