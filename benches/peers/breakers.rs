//! Weft's breakers beside their peers: `breakers LIBWEFT.SO`. What is measured is a call of nothing through a breaker that is
//! closed, on one thread and on two, and one that is rejected. Weft is called through its C functions, the others are inlined.

use std::hint::black_box;
use std::ptr::{null, null_mut};
use std::time::Duration;

use failsafe::CircuitBreaker;
use recloser::Recloser;
use weft_peers::c_abi::{self, OK, Object, Permit, check};
use weft_peers::contest::{self, Contestant, Measure, Part, measured, together};

/// Weft's, through the C ABI.
struct Weft {
    breaker: Object,
    acquire: unsafe extern "C" fn(Object, *mut Permit) -> i32,
    record: unsafe extern "C" fn(Object, *mut Permit, i32) -> i32,
}

// SAFETY: a handle, which any thread may use.
unsafe impl Send for Weft {}
// SAFETY: as above.
unsafe impl Sync for Weft {}

impl Weft {
    /// With the defaults; None: the library has none.
    fn new(state: i32) -> Option<Self> {
        let weft = c_abi::weft();
        let mut breaker = null_mut();
        // SAFETY: no options, a place for the handle.
        check(unsafe { weft.breaker_new?(null(), &mut breaker) });
        // SAFETY: a breaker.
        check(unsafe { weft.breaker_force?(breaker, state) });
        Some(Weft { breaker, acquire: weft.breaker_acquire?, record: weft.breaker_record? })
    }

    fn call(&self, calls: u64) -> u64 {
        let mut passed = 0;
        for _ in 0..calls {
            let mut permit = Permit::default();
            // SAFETY: a breaker, a place for a permit.
            if unsafe { (self.acquire)(self.breaker, &mut permit) } == OK {
                passed += black_box(1);
                // SAFETY: its permit; 0 is WEFT_OUTCOME_OK.
                check(unsafe { (self.record)(self.breaker, &mut permit, 0) });
            }
        }
        passed
    }
}

impl Drop for Weft {
    fn drop(&mut self) {
        if let Some(release) = c_abi::weft().breaker_release {
            // SAFETY: the only reference, for the last time.
            unsafe { release(self.breaker) };
        }
    }
}

/// Both waits are as long as they can be; five failures in a row open it, as Weft's by default.
fn failsafe() -> impl CircuitBreaker + Send + Sync {
    let wait = failsafe::backoff::constant(Duration::from_secs(3600));
    failsafe::Config::new().failure_policy(failsafe::failure_policy::consecutive_failures(5, wait)).build()
}

/// The last 100 calls, half of which open it, as Weft's by default.
fn recloser() -> Recloser {
    Recloser::custom().error_rate(0.5).closed_len(100).open_wait(Duration::from_secs(3600)).build()
}

fn failsafe_call(breaker: &impl CircuitBreaker, calls: u64) -> u64 {
    (0..calls).map(|_| breaker.call(|| Ok::<_, ()>(black_box(1))).unwrap_or(0)).sum()
}

fn recloser_call(breaker: &Recloser, calls: u64) -> u64 {
    (0..calls).map(|_| breaker.call(|| Ok::<_, ()>(black_box(1))).unwrap_or(0)).sum()
}

/// So many calls in all, on that many threads, of which `passed` are let through.
fn on(threads: u64, calls: u64, passed: u64, call: &(dyn Fn(u64) -> u64 + Sync)) -> Measure {
    let (measure, sum) = match threads {
        1 => measured(|| call(calls)),
        _ => together((0..threads).map(|_| Box::new(|| call(calls / threads)) as Part).collect()),
    };
    assert_eq!(sum, passed);
    measure
}

fn main() {
    let Some(library) = std::env::args().nth(1) else { panic!("usage: breakers LIBWEFT.SO") };
    c_abi::load(&library);
    contest::head("calls");
    for (what, threads, open) in
        [("closed, one thread", 1, false), ("closed, two threads", 2, false), ("open", 1, true)]
    {
        // 1 is WEFT_BREAKER_OPEN, 0 is closed.
        let weft = Weft::new(i32::from(open));
        let (failsafe, recloser) = (failsafe(), recloser());
        for _ in 0..if open { 1000 } else { 0 } {
            let _ = failsafe.call(|| Err::<(), _>(()));
            let _ = recloser.call(|| Err::<(), _>(()));
        }
        let passed = |calls| if open { 0 } else { calls };
        contest::contest(
            what,
            1 << 20,
            vec![
                Contestant::new("weft", |calls| {
                    weft.as_ref().map(|weft| on(threads, calls, passed(calls), &|calls| weft.call(calls)))
                }),
                Contestant::new("failsafe", |calls| {
                    Some(on(threads, calls, passed(calls), &|calls| failsafe_call(&failsafe, calls)))
                }),
                Contestant::new("recloser", |calls| {
                    Some(on(threads, calls, passed(calls), &|calls| recloser_call(&recloser, calls)))
                }),
            ],
        );
    }
}
