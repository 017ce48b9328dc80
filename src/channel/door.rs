//! The way in to one side of a queue: a lock of one word whose owner leaves it with a plain store.
//!
//! A futex mutex frees itself by an exchange, to learn whether somebody sleeps. Here sleepers say so in a word of flags, and
//! pay for both: they run a barrier on all threads ([`asymmetric::heavy`]) between the flag and their last look at the lock, so who
//! leaves needs no more than a store and a load. The same load tells of everything else that wants attention after
//! an operation (see [`super::queue`]), so a queue that nobody waits for costs one exchange an operation.
//!
//! A *single* door has one thread on its side by promise. It comes in by a plain store, too: only a thread that [bars](Door::bar)
//! the door has to be kept out meanwhile, and that one pays with a barrier. The owner writes the word and reads the flag, the
//! other writes the flag and reads the word; with the fences in between, one of them sees the other.
//!
//! Where the system has no such barrier ([`asymmetric::is_available`]), FENCED is set for good: it sends everybody
//! through the cold path, which has a fence of its own before it looks at the flags again.

use crate::sync::asymmetric;
use crate::sync::atomic::{AtomicU32, Ordering, fence};
use crate::sync::futex::Futex;
#[cfg(weft_loom)]
use crate::sync::lock::Bolt;
use crate::sync::spin;

const FREE: u32 = 0;
const TAKEN: u32 = 1;

/// Somebody sleeps until the door is free.
const SLEEPERS: u32 = 1;
/// Whoever passes needs fences of its own.
const FENCED: u32 = 1 << 1;
/// Everybody who is inside has seen FENCED, or is outside by now.
const ALL_FENCED: u32 = 1 << 2;
/// Nobody comes in any more.
const BARRED: u32 = 1 << 3;
/// Somebody waits at the other side for what is done here.
pub const WAITERS: u32 = 1 << 4;
/// One of them has been told, and has not tried yet.
pub const TOLD: u32 = 1 << 5;
/// Observers want to know of each operation.
pub const OBSERVED: u32 = 1 << 6;

/// What makes an operation take the cold way out.
const ATTENTION: u32 = SLEEPERS | FENCED | WAITERS | OBSERVED;

/// What became of someone who wanted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// In; must leave.
    In,
    /// The door is barred.
    Barred,
    /// A single door, and another thread is in.
    Misused,
}

/// A lock word, and what to look at after an operation.
pub struct Door {
    word: AtomicU32,
    flags: AtomicU32,
    /// Changes whenever sleepers are to look again.
    turn: Futex,
    single: bool,
    /// In models other than its own the word of a shared door is loom's mutex: its protocol is proved once, here.
    #[cfg(weft_loom)]
    bolt: Option<Bolt>,
}

impl Door {
    /// An open door; `single`: for one thread at a time, as its users promise.
    pub fn new(single: bool) -> Self {
        let flags = if asymmetric::is_available() { 0 } else { FENCED | ALL_FENCED };
        Door {
            word: AtomicU32::new(FREE),
            flags: AtomicU32::new(flags),
            turn: Futex::new(0),
            single,
            #[cfg(weft_loom)]
            bolt: (!single).then(Bolt::default),
        }
    }

    /// Comes in if nothing is in the way. If not, [`Door::enter`] has to follow: it looks after what is left undone here.
    #[inline(always)]
    pub fn try_enter(&self) -> bool {
        let blocked = if self.single {
            if !self.enter_alone() {
                return false;
            }
            self.flags() & (BARRED | FENCED)
        } else {
            if !self.take() {
                return false;
            }
            self.flags() & BARRED
        };
        if blocked != 0 {
            self.free();
            return false;
        }
        true
    }

    /// The single owner's way in; false if the word says that it is in already, where that is looked at.
    #[inline(always)]
    fn enter_alone(&self) -> bool {
        let alone = if cfg!(debug_assertions) {
            self.word.swap(TAKEN, Ordering::Acquire) == FREE
        } else {
            self.word.store(TAKEN, Ordering::Relaxed);
            true
        };
        asymmetric::light();
        alone
    }

    #[cold]
    fn leave_unused(&self) {
        if self.leave() != 0 {
            self.wake_sleepers();
        }
    }

    /// Comes in, waiting for who is in.
    pub fn enter(&self) -> Entered {
        if self.single {
            if !self.enter_alone() {
                return Entered::Misused;
            }
            // Pairs with the barrier in `bar` where that is none.
            fence(Ordering::SeqCst);
        } else if !self.take_if_free() {
            self.enter_contended();
        }
        if self.flags() & BARRED != 0 {
            self.leave_unused();
            return Entered::Barred;
        }
        Entered::In
    }

    #[cold]
    fn enter_contended(&self) {
        if spin::until(|| self.word.load(Ordering::Relaxed) == FREE) && self.take_if_free() {
            return;
        }
        self.sleep_until(|| self.take_if_free());
    }

    fn take_if_free(&self) -> bool {
        // The load first: a failed exchange would take the line from whoever is in.
        self.word.load(Ordering::Relaxed) == FREE && self.take()
    }

    #[inline(always)]
    fn take(&self) -> bool {
        #[cfg(weft_loom)]
        if let Some(bolt) = &self.bolt {
            bolt.lock();
            return true;
        }
        // Acquire pairs with the Release in `free`. Who fails writes nothing: the word is only ever freed by whoever is in.
        self.word.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline(always)]
    fn free(&self) {
        #[cfg(weft_loom)]
        if let Some(bolt) = &self.bolt {
            // SAFETY: whoever leaves has entered.
            return unsafe { bolt.unlock() };
        }
        // Release: who comes in next, or bars the door, sees what was done inside.
        self.word.store(FREE, Ordering::Release);
    }

    /// Sleeps until `look` likes what it sees, which may change when somebody leaves.
    fn sleep_until(&self, look: impl Fn() -> bool) {
        loop {
            // Read before the flag is set: who takes the flag away afterwards changes it.
            let turn = self.turn.load(Ordering::SeqCst);
            self.flags.fetch_or(SLEEPERS, Ordering::SeqCst);
            self.barrier();
            if look() {
                return;
            }
            self.turn.wait(turn, None);
        }
    }

    /// Goes out; what wants attention, or 0.
    #[inline(always)]
    pub fn leave(&self) -> u32 {
        self.free();
        // Pairs with `barrier` in whoever sets one of the flags and then looks at what we did.
        asymmetric::light();
        self.flags() & ATTENTION
    }

    /// The cold part of leaving; the flags after it.
    pub fn attend(&self) -> u32 {
        // In the place of `light` where FENCED is set; and TOLD may be trusted only behind a full fence (see `Queue::pass_on`).
        fence(Ordering::SeqCst);
        self.wake_sleepers();
        self.flags()
    }

    #[cold]
    fn wake_sleepers(&self) {
        fence(Ordering::SeqCst);
        if self.flags() & SLEEPERS != 0 {
            // One is enough: it sets the flag again before it looks.
            self.flags.fetch_and(!SLEEPERS, Ordering::SeqCst);
            self.turn.fetch_add(1, Ordering::SeqCst);
            self.turn.wake(1);
        }
    }

    /// Lets nobody in from now on. Who is in has left when this returns.
    pub fn bar(&self) {
        if self.single {
            self.flags.fetch_or(BARRED, Ordering::SeqCst);
            // Acquire pairs with the Release in `leave`.
            self.sleep_until(|| self.word.load(Ordering::Acquire) == FREE);
            // We take no lock, so we leave none: the next that sleeps here is told by us.
            self.wake_sleepers();
        } else if self.enter() == Entered::In {
            self.flags.fetch_or(BARRED, Ordering::SeqCst);
            self.leave_unused();
        }
    }

    /// A full barrier for whoever passes this door and for the calling thread: what the caller has set before, all will see
    /// who leave from now on; what they did who left before, the caller sees.
    pub fn barrier(&self) {
        if self.flags() & ALL_FENCED != 0 {
            return fence(Ordering::SeqCst);
        }
        asymmetric::heavy();
        if !asymmetric::is_available() {
            // Taken away from the process meanwhile.
            self.raise(FENCED);
            asymmetric::heavy();
            self.raise(ALL_FENCED);
        }
    }

    /// The flags as they are now.
    #[inline(always)]
    pub fn flags(&self) -> u32 {
        // Relaxed: fences and locks around it order it.
        self.flags.load(Ordering::Relaxed)
    }

    /// Sets a flag.
    pub fn raise(&self, flag: u32) {
        self.flags.fetch_or(flag, Ordering::SeqCst);
    }

    /// Takes a flag away.
    pub fn clear(&self, flag: u32) {
        self.flags.fetch_and(!flag, Ordering::SeqCst);
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::asymmetric::modelled::set_available;
    use crate::sync::atomic::UnsafeCell;
    use crate::sync::model;
    use loom::sync::Arc;

    /// A door whose word is its own, and what is behind it.
    fn room(single: bool) -> Arc<(Door, UnsafeCell<u32>)> {
        Arc::new((Door { bolt: None, ..Door::new(single) }, UnsafeCell::new(0)))
    }

    fn pass((door, inside): &(Door, UnsafeCell<u32>)) -> Entered {
        let entered = if door.try_enter() { Entered::In } else { door.enter() };
        if entered == Entered::In {
            inside.with_mut(|count| unsafe { *count += 1 });
            if door.leave() != 0 {
                door.attend();
            }
        }
        entered
    }

    fn on_both_systems(preemptions: usize, f: impl Fn() + Send + Sync + Clone + 'static) {
        for available in [true, false] {
            set_available(available);
            model(preemptions, f.clone());
        }
        set_available(true);
    }

    /// Whoever sleeps is woken by whoever leaves.
    #[test]
    fn loom_door_lets_in_one_by_one() {
        for threads in [1, 2] {
            on_both_systems(if threads == 1 { 4 } else { 2 }, move || {
                let room = room(false);
                let others: Vec<_> = (0..threads)
                    .map(|_| {
                        let room = room.clone();
                        loom::thread::spawn(move || pass(&room))
                    })
                    .collect();
                assert_eq!(pass(&room), Entered::In);
                others.into_iter().for_each(|other| assert_eq!(other.join().unwrap(), Entered::In));
                assert_eq!(room.1.with(|count| unsafe { *count }), threads + 1);
            });
        }
    }

    /// Behind a barred door nobody is, and nobody comes.
    #[test]
    fn loom_door_barred() {
        for single in [false, true] {
            on_both_systems(3, move || {
                let room = room(single);
                let other = {
                    let room = room.clone();
                    loom::thread::spawn(move || pass(&room))
                };
                room.0.bar();
                let count = room.1.with(|count| unsafe { *count });
                assert_eq!(pass(&room), Entered::Barred);
                let entered = other.join().unwrap();
                assert_eq!((entered, count), if count == 1 { (Entered::In, 1) } else { (Entered::Barred, 0) });
            });
        }
    }

    /// Two that bar a single door at once both get away.
    #[test]
    fn loom_door_barred_twice() {
        on_both_systems(2, || {
            let room = room(true);
            let others = [0, 1].map(|which| {
                let room = room.clone();
                loom::thread::spawn(move || match which {
                    0 => assert!(pass(&room) != Entered::Misused),
                    _ => room.0.bar(),
                })
            });
            room.0.bar();
            let count = room.1.with(|count| unsafe { *count });
            others.into_iter().for_each(|other| other.join().unwrap());
            assert_eq!(room.1.with(|now| unsafe { *now }), count);
        });
    }
}
