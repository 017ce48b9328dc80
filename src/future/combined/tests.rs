use super::*;
use crate::future::Callback;
use crate::sync::Deadline;

impl Lend for u32 {
    fn lend(&self) -> Self {
        *self
    }
    fn nothing() -> Self {
        0
    }
}

fn error(text: &str) -> Error {
    Error::new(Status::Failed as i32, text, "test")
}

type Pairs = (Vec<Promise<u32>>, Vec<Future<u32>>);

fn pairs(n: usize) -> Pairs {
    (0..n).map(|_| channel()).unzip()
}

#[test]
fn all_waits_for_all_or_the_first_failure() {
    let (promises, futures) = pairs(3);
    let all = combine(Rule::All, futures.clone().into());
    for promise in &promises {
        assert!(all.wait(Deadline::Now).is_err());
        let _ = promise.settle(Ok(1));
    }
    assert_eq!(all.get(Deadline::Now), Ok(&0));
    assert_eq!(all.origin().unwrap().winner(), Some(Winner::Nobody));

    let (promises, futures) = pairs(3);
    let all = combine(Rule::All, futures.clone().into());
    let _ = promises[1].settle(Err(error("one")));
    let failure = all.get(Deadline::Now).unwrap_err();
    assert_eq!((&*failure.message, all.origin().unwrap().winner()), ("one", Some(Winner::Index(1))));
    let cause = all.error().unwrap().cause.as_ref().unwrap();
    assert!(Arc::ptr_eq(cause, futures[1].error().unwrap()));
}

#[test]
fn any_waits_for_a_success_or_the_last_failure() {
    let (promises, futures) = pairs(3);
    let any = combine(Rule::Any, futures.into());
    let _ = promises[2].settle(Err(error("two")));
    assert!(any.wait(Deadline::Now).is_err());
    let _ = promises[1].settle(Ok(5));
    assert_eq!((any.get(Deadline::Now), any.origin().unwrap().winner()), (Ok(&5), Some(Winner::Index(1))));

    let (promises, futures) = pairs(3);
    let any = combine(Rule::Any, futures.into());
    for (promise, text) in promises.iter().zip(["zero", "one", "two"]).rev() {
        let _ = promise.settle(Err(error(text)));
    }
    assert_eq!(&*any.get(Deadline::Now).unwrap_err().message, "zero");
    assert_eq!(any.origin().unwrap().winner(), Some(Winner::Index(0)));
}

/// A long-lived source forgets races that others have won.
#[test]
fn a_source_that_goes_on_keeps_nothing_of_what_is_over() {
    let (promise, long) = channel::<u32>();
    let mut origins = Vec::new();
    for round in 0..3 {
        let (other, short) = channel();
        let race = combine(Rule::Race, [long.clone(), short, long.clone()].into());
        origins.push(Arc::downgrade(race.origin().unwrap()));
        match round {
            0 => _ = other.settle(Ok(2)),
            1 => drop(other),
            _ => race.cancel(),
        }
        assert!(race.wait(Deadline::Now).is_ok());
    }
    // Settled before the others are looked at.
    let race = combine(Rule::Race, [settled(Ok(1)), long.clone()].into());
    origins.push(Arc::downgrade(race.origin().unwrap()));
    drop(race);
    assert!(long.is_sole());
    assert!(origins.iter().all(|origin| origin.strong_count() == 0));
    drop(promise);
}

/// What nobody waits for goes, but not what somebody is told of.
#[test]
fn what_is_released_before_it_is_settled_is_kept_by_nothing() {
    let runtime = crate::scheduler::Runtime::new(crate::scheduler::Options::default()).unwrap();
    let (promise, long) = channel::<u32>();
    let made = [
        combine(Rule::Race, [long.clone(), long.clone()].into()),
        combine(Rule::All, [combine(Rule::Any, [long.clone()].into())].into()),
        timed::timeout(long.clone(), 3_600_000_000_000, &runtime).unwrap(),
        timed::delay(3_600_000_000_000, &runtime).unwrap(),
        timed::delay(i64::MAX, &runtime).unwrap(),
    ];
    for future in made {
        let origin = Arc::downgrade(future.origin().unwrap());
        drop(future);
        assert_eq!(origin.strong_count(), 0);
    }
    assert!(long.is_sole() && !promise.is_cancelled());

    let told = Arc::new(AtomicU32::new(0));
    let race = combine(Rule::Race, [long.clone()].into());
    let tell = told.clone();
    Callback::new(&race, move || tell.store(1, Ordering::Relaxed)).arm(&race);
    drop(race);
    assert!(!long.is_sole());
    let _ = promise.settle(Ok(5));
    assert_eq!(told.load(Ordering::Relaxed), 1);
    assert!(long.is_sole());
}

#[test]
fn a_request_to_stop_reaches_what_nobody_else_holds() {
    let (promises, mut futures) = pairs(2);
    let kept = futures[0].clone();
    let inner = combine(Rule::All, std::mem::take(&mut futures).into());
    let outer = combine(Rule::Any, [inner].into());
    outer.cancel();
    assert!(outer.get(Deadline::Now).is_err_and(|failure| failure.is(Status::Cancelled)));
    assert_eq!([0, 1].map(|index| promises[index].is_cancelled()), [false, true]);
    assert!(kept.wait(Deadline::Now).is_err());
}

#[test]
fn a_request_to_stop_reaches_what_is_there_twice() {
    let (promises, futures) = pairs(2);
    let kept = futures[1].clone();
    let all = combine(Rule::All, [&futures[0], &kept, &futures[0], &kept].map(Clone::clone).into());
    drop(futures);
    all.cancel();
    assert_eq!([0, 1].map(|index| promises[index].is_cancelled()), [true, false]);
}

#[test]
fn chains_of_any_length() {
    for cancel in [false, true] {
        let (promise, mut future) = channel::<u32>();
        for _ in 0..200_000 {
            future = combine(Rule::Race, [future].into());
        }
        match cancel {
            true => future.cancel(),
            false => _ = promise.settle(Err(error("first"))),
        }
        assert!(future.wait(Deadline::Now).is_ok());
        assert_eq!(promise.is_cancelled(), cancel);
    }
}

#[test]
fn time_settles_what_is_not_settled() {
    let runtime = crate::scheduler::Runtime::new(crate::scheduler::Options::default()).unwrap();
    let (promise, source) = channel::<u32>();
    let late = timed::timeout(source.clone(), 1_000_000, &runtime).unwrap();
    assert!(late.get(Deadline::Never).is_err_and(|failure| failure.is(Status::Timeout)));
    assert!(timed::timeout(source.clone(), 0, &runtime).unwrap().error().is_some());
    let hour = 3_600_000_000_000;
    let origins = [0, 1, 2].map(|which| {
        let future = timed::timeout(source.clone(), hour, &runtime).unwrap();
        let origin = Arc::downgrade(future.origin().unwrap());
        match which {
            0 => future.cancel(),
            1 => _ = promise.settle(Ok(5)),
            _ => {}
        }
        assert!(future.wait(Deadline::Now).is_ok());
        origin
    });
    // Neither the source nor the timers keep anything.
    assert!(origins.iter().all(|origin| origin.strong_count() == 0));
    drop(late);
    assert!(source.is_sole());
    let ready = timed::timeout(source, i64::MIN, &runtime).unwrap();
    assert_eq!((ready.get(Deadline::Now), ready.origin().unwrap().winner()), (Ok(&5), Some(Winner::Index(0))));
    let delay = timed::delay::<u32>(1_000_000, &runtime).unwrap();
    assert_eq!(delay.get(Deadline::Never), Ok(&0));
    let delay = timed::delay::<u32>(hour, &runtime).unwrap();
    delay.cancel();
    assert!(delay.get(Deadline::Now).is_err_and(|failure| failure.is(Status::Cancelled)));
}
