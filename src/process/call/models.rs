use super::*;
use crate::sync::model;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU32 as Count;

type Tested = Call<u32, ()>;

fn sending() -> Arc<Tested> {
    let call = Arc::new(Call::new(1, 2, 5));
    assert!(call.begin_sending());
    call
}

/// What whoever sees to a call that has lost its worker does; whether it has answered.
fn see_to(call: &Tested, begun: bool) -> u32 {
    if call.wait_again(begun) { 0 } else { u32::from(call.take().is_some()) }
}

/// A call is sent, its worker dies, and it is asked to stop: one sees to it, and it is answered once.
#[test]
fn loom_call_sent_against_death_and_stop() {
    model(3, || {
        let call = sending();
        let (seen_to, told) = (Arc::new(Count::new(0)), Arc::new(Count::new(0)));
        let sender = {
            let (call, seen_to, told) = (call.clone(), seen_to.clone(), told.clone());
            loom::thread::spawn(move || match call.sent() {
                Sent::Done => 0,
                Sent::Stop => {
                    told.fetch_add(1, Ordering::Relaxed);
                    0
                }
                Sent::Orphaned { begun } => {
                    seen_to.fetch_add(1, Ordering::Relaxed);
                    see_to(&call, begun)
                }
            })
        };
        let stopper = {
            let (call, told) = (call.clone(), told.clone());
            loom::thread::spawn(move || match call.stop() {
                Stop::Withdrawn => u32::from(call.take().is_some()),
                Stop::Tell => {
                    told.fetch_add(1, Ordering::Relaxed);
                    0
                }
                Stop::Noted => 0,
            })
        };
        let mut answered = 0;
        if call.fall(true) {
            seen_to.fetch_add(1, Ordering::Relaxed);
            answered += see_to(&call, true);
        }
        answered += sender.join().unwrap() + stopper.join().unwrap();
        assert_eq!((seen_to.load(Ordering::Relaxed), answered), (1, 1));
        assert!(told.load(Ordering::Relaxed) <= 1);
        assert!(call.is_over() && !call.begin_sending());
    });
}

/// A worker that lives is told once of a request to stop, after the call.
#[test]
fn loom_call_sent_against_stop() {
    model(3, || {
        let call = sending();
        let sender = {
            let call = call.clone();
            loom::thread::spawn(move || u32::from(call.sent() == Sent::Stop))
        };
        let told = u32::from(call.stop() == Stop::Tell);
        assert_eq!(told + sender.join().unwrap(), 1);
        assert_eq!(call.stop(), Stop::Noted);
    });
}

/// A reply and a timeout while the worker dies: one answer, and nothing is sent again afterwards.
#[test]
fn loom_call_reply_against_timeout_and_death() {
    model(3, || {
        let call = sending();
        assert_eq!(call.sent(), Sent::Done);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let call = call.clone();
                loom::thread::spawn(move || u32::from(call.take().is_some()))
            })
            .collect();
        assert!(call.fall(true));
        let again = call.wait_again(true);
        // Sent again, perhaps, before or after it is over.
        let sent = again && call.begin_sending();
        let answered: u32 = others.into_iter().map(|other| other.join().unwrap()).sum();
        assert_eq!(answered, 1);
        assert!(!call.wait_again(true) && call.attempts() == 1 + u32::from(sent));
    });
}

/// Two who would send it, and one who withdraws it.
#[test]
fn loom_call_goes_to_one_sender() {
    model(3, || {
        let call = Arc::new(Tested::new(1, 1, 5));
        let sender = {
            let call = call.clone();
            loom::thread::spawn(move || call.begin_sending())
        };
        let stop = call.stop();
        let sent = sender.join().unwrap();
        assert_eq!(sent, stop == Stop::Noted);
        assert_eq!(!sent, stop == Stop::Withdrawn);
    });
}
