use super::*;

fn levels() -> [Holder; 2] {
    let party = waits::current();
    [1, 2].map(|level| Holder { party, held: &party.held, level })
}

fn lock(mutex: &Mutex, holder: Holder) -> Result<()> {
    mutex.lock(holder, || Deadline::Now)
}

#[test]
fn a_thread_knows_what_its_tasks_hold() {
    let [outer, inner] = levels();
    let all: Vec<_> = [c"a", c"b", c"c"].into_iter().map(Mutex::new).collect();
    lock(&all[0], outer).unwrap();
    let held = outer.held.get();
    lock(&all[1], inner).unwrap();
    lock(&all[2], inner).unwrap();
    assert!(lock(&all[1], inner).is_err_and(|failure| failure.is(Status::Deadlock)));
    assert!(lock(&all[0], inner).is_err_and(|failure| failure.is(Status::Deadlock)));
    assert!(all[0].unlock(inner).is_err_and(|failure| failure.is(Status::Busy)));
    // In any order.
    all[1].unlock(inner).unwrap();
    assert!(all[1].unlock(inner).is_err_and(|failure| failure.is(Status::Busy)));
    lock(&all[1], inner).unwrap();
    assert_eq!(unlock_until(inner.held, held), [c"b".to_owned(), c"c".to_owned()]);
    assert!(ptr::eq(outer.held.get(), held));
    all[0].unlock(outer).unwrap();
    assert!(outer.held.get().is_null());
}

#[test]
fn what_a_thread_holds_at_its_end_is_unlocked() {
    let mutex = Mutex::new(c"left");
    std::thread::scope(|scope| {
        scope.spawn(|| lock(&mutex, levels()[0]).unwrap()).join().unwrap();
    });
    lock(&mutex, levels()[0]).unwrap();
    mutex.unlock(levels()[0]).unwrap();
}

#[test]
fn a_mutex_that_is_dropped_while_held_goes_with_its_holder() {
    let holder = levels()[0];
    let mutex = Mutex::new(c"dropped");
    lock(&mutex, holder).unwrap();
    drop(mutex);
    assert_eq!(unlock_until(holder.held, ptr::null()), [c"dropped".to_owned()]);
}

#[test]
fn many_threads_exclude_each_other() {
    let (mutex, mut total) = (Mutex::new(c""), 0u64);
    struct Place(*mut u64);
    // SAFETY: used under the mutex.
    unsafe impl Sync for Place {}
    let place = Place(&raw mut total);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let place = &place;
                for _ in 0..20_000 {
                    mutex.lock(levels()[0], || Deadline::Never).unwrap();
                    // SAFETY: under the mutex.
                    unsafe { *place.0 += 1 };
                    mutex.unlock(levels()[0]).unwrap();
                }
            });
        }
    });
    assert_eq!(total, 80_000);
}
