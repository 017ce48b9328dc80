use super::*;
use crate::process::call::{Sent, Stop};

type Tested = Call<u32, ()>;
type Desks = Books<u32, (), usize>;

fn books(workers: usize, window: usize) -> Desks {
    let mut books = Books::new(window, u64::MAX);
    for seat in 0..workers {
        books.desks.push(Desk { link: Some(seat), open: true, taken: true, ..Desk::default() });
    }
    books
}

fn call(id: u64, attempts: u32) -> Arc<Tested> {
    Arc::new(Call::new(id, attempts, 0))
}

/// Gives or queues.
fn put(books: &mut Desks, id: u64) -> (Arc<Tested>, Option<usize>) {
    let call = call(id, 1);
    let given = books.give(&call).map(|dispatch| {
        assert_eq!(dispatch.call.sent(), Sent::Done);
        dispatch.seat
    });
    if given.is_none() {
        books.queue(call.clone());
    }
    (call, given)
}

#[test]
fn a_call_goes_to_whoever_has_the_fewest() {
    let mut books = books(3, 2);
    let seats: Vec<_> = (1..=8).map(|id| put(&mut books, id).1).collect();
    assert_eq!(seats, [Some(0), Some(1), Some(2), Some(0), Some(1), Some(2), None, None]);
    assert_eq!((books.waiting(), books.outstanding()), (2, 6));
    assert!(books.answered(1, 5).is_some());
    let next = books.give_first().unwrap();
    assert_eq!((next.seat, next.call.id), (1, 7));
    assert!(books.give_first().is_none());
    assert!(books.answered(1, 5).is_none() && books.answered(0, 7).is_none());
}

#[test]
fn nobody_overtakes_those_who_wait() {
    let mut books = books(1, 1);
    put(&mut books, 1);
    put(&mut books, 2);
    assert!(books.answered(0, 1).is_some());
    // There is room, but somebody waits.
    assert_eq!(put(&mut books, 3).1, None);
    assert_eq!(books.give_first().unwrap().call.id, 2);
}

#[test]
fn a_worker_gets_so_many_calls_in_its_life() {
    let mut books = books(1, 4);
    books.most_calls = 2;
    assert_eq!((put(&mut books, 1).1, put(&mut books, 2).1, put(&mut books, 3).1), (Some(0), Some(0), None));
    assert!(books.answered(0, 1).is_some() && !books.is_free(0, false));
    assert!(books.answered(0, 2).is_some() && books.is_free(0, false));
    assert!(books.give_first().is_none());
    assert_eq!(books.worker_gone(0).again, 0);
    (books.desks[0].link, books.desks[0].open) = (Some(0), true);
    assert_eq!(books.give_first().unwrap().call.id, 3);
}

#[test]
fn with_a_window_of_one_a_death_costs_what_was_sent() {
    let mut books = books(2, 1);
    let (first, _) = put(&mut books, 1);
    put(&mut books, 2);
    put(&mut books, 3);
    let fallen = books.worker_gone(0);
    assert_eq!((fallen.again, fallen.lost.len(), fallen.stopped.len()), (0, 1, 0));
    assert!(Arc::ptr_eq(&fallen.lost[0], &first));
    assert_eq!((books.waiting(), books.outstanding()), (1, 1));
}

#[test]
fn with_a_window_a_death_costs_what_had_begun() {
    let mut books = books(1, 4);
    let calls: Vec<_> = (1..=4).map(|id| put(&mut books, id).0).collect();
    let last = put(&mut books, 5).0;
    assert!(books.begun(0, 1).is_some() && books.answered(0, 1).is_some());
    assert!(books.begun(0, 2).is_some() && books.begun(0, 9).is_none());
    assert_eq!(books.holder(2), Some((0, true)));
    assert_eq!(books.holder(3), Some((0, false)));
    assert_eq!(books.holder(5), None);
    let fallen = books.worker_gone(0);
    assert_eq!(fallen.lost.iter().map(|call| call.id).collect::<Vec<_>>(), [2]);
    assert_eq!(fallen.again, 2);
    // In their old order, before those that came later, and as if they had never been sent.
    (books.desks[0].link, books.desks[0].open) = (Some(0), true);
    let order: Vec<_> = std::iter::from_fn(|| books.give_first()).map(|dispatch| dispatch.call.id).collect();
    assert_eq!(order, [3, 4, 5]);
    assert_eq!((calls[2].attempts(), last.attempts()), (1, 1));
}

#[test]
fn what_may_be_tried_again_is_so_often() {
    let mut books = books(1, 1);
    let call = call(1, 3);
    for attempt in 1..=3 {
        let dispatch = if attempt == 1 { books.give(&call) } else { books.give_first() };
        assert_eq!(dispatch.unwrap().call.sent(), Sent::Done);
        assert_eq!(call.attempts(), attempt);
        let fallen = books.worker_gone(0);
        assert_eq!((fallen.again, fallen.lost.len()), if attempt < 3 { (1, 0) } else { (0, 1) });
        (books.desks[0].link, books.desks[0].open) = (Some(0), true);
    }
}

#[test]
fn whoever_sends_sees_to_what_falls_meanwhile() {
    let mut books = books(1, 1);
    let call = call(1, 1);
    let dispatch = books.give(&call).unwrap();
    let fallen = books.worker_gone(0);
    assert_eq!((fallen.again, fallen.lost.len(), fallen.stopped.len()), (0, 0, 0));
    assert_eq!(dispatch.call.sent(), Sent::Orphaned { begun: true });
    let mut fallen = Fallen::default();
    books.fallen(dispatch.call, false, &mut fallen);
    assert_eq!((fallen.again, books.waiting()), (1, 1));
    assert_eq!(call.attempts(), 0);
}

#[test]
fn what_the_seat_has_to_send_has_not_begun() {
    let mut books = books(1, 1);
    let call = call(1, 1);
    books.give(&call).unwrap();
    books.desks[0].unsent.push(call.clone());
    assert_eq!(books.worker_gone(0).again, 1);
    assert!(books.desks[0].unsent.is_empty());
}

#[test]
fn a_worker_that_is_at_another_call_is_not_to_blame() {
    let mut books = books(1, 4);
    let calls: Vec<_> = (1..=2).map(|id| put(&mut books, id).0).collect();
    assert_eq!(books.overdue(0), (false, false));
    calls[1].take();
    assert_eq!(books.overdue(0), (true, false));
    books.begun(0, 1);
    assert_eq!(books.overdue(0), (true, true));
    calls[0].take();
    assert_eq!(books.overdue(0), (true, false));
}

#[test]
fn those_who_leave_the_line_are_not_counted_and_not_sent() {
    let mut books = books(1, 1);
    put(&mut books, 0);
    let calls: Vec<_> = (1..=100).map(|id| put(&mut books, id).0).collect();
    for call in &calls[..90] {
        assert_eq!(call.stop(), Stop::Withdrawn);
        assert!(call.take().is_some());
        books.is_stale(call);
        books.is_stale(call);
    }
    assert_eq!(books.waiting(), 10);
    assert!(books.line.len() < 60);
    assert!(books.answered(0, 0).is_some());
    assert_eq!(books.give_first().unwrap().call.id, 91);
    assert_eq!(books.waiting(), 9);
    let rest = books.give_up_waiting();
    assert_eq!(rest.iter().filter(|call| !call.is_over()).count(), 9);
    rest.iter().for_each(|call| books.is_stale(call));
    assert_eq!(books.waiting(), 0);
}

#[test]
fn what_is_taken_back_was_never_given() {
    let mut books = books(1, 2);
    books.most_calls = 2;
    let first = put(&mut books, 1).0;
    let second = put(&mut books, 2).0;
    books.desks[0].unsent.push(second.clone());
    put(&mut books, 3);
    assert!(books.give_first().is_none());
    books.take_back(0, &second);
    books.take_back(0, &second);
    assert!(books.desks[0].unsent.is_empty());
    assert_eq!(books.give_first().unwrap().call.id, 3);
    assert!(books.give_first().is_none());
    assert!(books.answered(0, 3).is_some() && !books.is_free(0, false));
    // Once nothing is left, the worker that has had its share goes, and one that has not does not.
    books.take_back(0, &first);
    assert!(!books.is_free(0, false) && books.is_free(0, true));
}

#[test]
fn a_seat_that_is_to_leave_gets_nothing_until_it_may_stay() {
    let mut books = books(1, 1);
    books.desks[0].leaving = true;
    assert!(books.is_free(0, false));
    assert_eq!(put(&mut books, 1).1, None);
    assert!(books.give_first().is_none());
    books.desks[0].leaving = false;
    assert!(!books.is_free(0, false));
    assert_eq!(books.give_first().unwrap().call.id, 1);
}
