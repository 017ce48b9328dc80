//! The way in to one side of a queue: a lock of one word whose owner leaves it with a plain store.
//!
//! A futex mutex frees itself by an exchange, to learn whether somebody sleeps. Here sleepers say so in a word of flags, and
//! pay for both: they run a barrier on all threads ([`asymmetric::heavy`]) between the flag and their last look at the lock, so who
//! leaves needs no more than a store and a load. The same load tells of everything else that wants attention after
//! an operation (see [`super::queue`]), so a queue that nobody waits for costs one exchange an operation.
//!
//! **Bias.** Whoever comes first owns the door and needs no exchange: it says with a plain store, in a word of its own, that it is in. The
//! first other thread that comes takes the lock, says REVOKED, runs the barrier, and waits until the owner is out. From then
//! on the door is shared for good. The owner writes its word and reads the flags, the other writes the flags and reads the
//! word; with the fences in between, one of them sees the other. (Biased locking: Kawachiya, Koseki, Onodera, "Lock
//! Reservation", OOPSLA 2002; with a barrier on all threads: Dice, Moir, Scherer, "Quickly Reacquirable Locks", 2003.)
//!
//! A *single* door has one thread on its side at a time by promise, so it is owned by whoever comes. Only a thread that
//! [bars](Door::bar) it has to be kept out meanwhile, and does that as above.
//!
//! Where the system has no such barrier ([`asymmetric::is_available`]), doors are shared from the start, and FENCED is set for good:
//! it sends everybody through the cold path, which has a fence of its own before it looks at the flags again.

use crate::sync::asymmetric;
use crate::sync::atomic::{AtomicU32, AtomicUsize, Ordering, fence};
use crate::sync::futex::Futex;
#[cfg(weft_loom)]
use crate::sync::lock::Bolt;
use crate::sync::spin;

const FREE: u32 = 0;
const TAKEN: u32 = 1;

/// Nobody has come yet.
const NOBODY: usize = 0;
/// Owned by no thread: all take the lock.
const SHARED: usize = 1;
/// Owned by whoever comes.
const SINGLE: usize = 2;

/// Somebody sleeps until the door is free.
const SLEEPERS: u32 = 1;
/// Whoever passes needs fences of its own.
const FENCED: u32 = 1 << 1;
/// Everybody who is inside has seen FENCED, or is outside by now.
const ALL_FENCED: u32 = 1 << 2;
/// Nobody comes in any more.
const BARRED: u32 = 1 << 3;
/// The owner has to take the lock as all others do.
const REVOKED: u32 = 1 << 7;
/// Somebody at the other side is to be told of what is done here.
pub const WAITERS: u32 = 1 << 4;
/// Somebody there has been told, and has not tried yet.
pub const TOLD: u32 = 1 << 5;
/// Observers want to know of each operation.
pub const OBSERVED: u32 = 1 << 6;
/// Somebody is in the list of those who wait there.
pub const QUEUED: u32 = 1 << 8;

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

/// The calling thread, as an owner.
#[inline(always)]
fn this_thread() -> usize {
    #[cfg(weft_loom)]
    return modelled::this_thread();
    #[cfg(not(weft_loom))]
    crate::platform::thread::block()
}

/// A lock word, and what to look at after an operation.
pub struct Door {
    /// [`NOBODY`], [`SHARED`], [`SINGLE`] or a thread.
    owner: AtomicUsize,
    /// Whether the owner is in.
    inside: AtomicU32,
    flags: AtomicU32,
    /// The lock of those who share it.
    word: AtomicU32,
    /// Changes whenever sleepers are to look again.
    turn: Futex,
    /// In models other than its own the word of a shared door is loom's mutex: its protocol is proved once, here.
    #[cfg(weft_loom)]
    bolt: Option<Bolt>,
}

impl Door {
    /// An open door; `single`: for one thread at a time, as its users promise.
    pub fn new(single: bool) -> Self {
        let (flags, owner) = match asymmetric::is_available() {
            true if !cfg!(weft_loom) => (0, NOBODY),
            true => (0, SHARED),
            false => (FENCED | ALL_FENCED, SHARED),
        };
        Door {
            owner: AtomicUsize::new(if single { SINGLE } else { owner }),
            inside: AtomicU32::new(FREE),
            flags: AtomicU32::new(flags),
            word: AtomicU32::new(FREE),
            turn: Futex::new(0),
            #[cfg(weft_loom)]
            bolt: (!single).then(Bolt::default),
        }
    }

    /// Comes in if nothing is in the way. If not, [`Door::enter`] has to follow, or [`Door::clear_up`]: they look after what is left
    /// undone here.
    #[inline(always)]
    pub fn try_enter(&self) -> bool {
        // Relaxed: a thread knows whether it is the owner. Who finds the door shared takes the lock, which whoever made it
        // shared has had.
        let owner = self.owner.load(Ordering::Relaxed);
        if owner == SHARED {
            if !self.take() {
                return false;
            }
            if self.flags() & BARRED != 0 {
                self.unlock();
                return false;
            }
            true
        } else if owner == SINGLE || owner == this_thread() {
            if !self.come_in() {
                return false;
            }
            if self.flags() & (BARRED | FENCED | REVOKED) != 0 {
                self.go_out();
                return false;
            }
            true
        } else {
            false
        }
    }

    /// The owner's way in; false if its word says that it is in already, where that is looked at.
    #[inline(always)]
    fn come_in(&self) -> bool {
        let alone = if cfg!(debug_assertions) {
            self.inside.swap(TAKEN, Ordering::Acquire) == FREE
        } else {
            // Acquire: a thread whose block was another's before has what that one did. Nothing else stores FREE.
            self.inside.load(Ordering::Acquire);
            self.inside.store(TAKEN, Ordering::Relaxed);
            true
        };
        asymmetric::light();
        alone
    }

    /// The owner's way out.
    #[inline(always)]
    fn go_out(&self) {
        // Release: whoever shares the door, or bars it, sees what was done inside.
        self.inside.store(FREE, Ordering::Release);
    }

    /// Comes in, waiting for who is in.
    pub fn enter(&self) -> Entered {
        // Relaxed: as in `try_enter`.
        let mut owner = self.owner.load(Ordering::Relaxed);
        if owner == NOBODY {
            // Relaxed: there is nothing yet that anybody could have done inside.
            let this = this_thread();
            owner = self
                .owner
                .compare_exchange(NOBODY, this, Ordering::Relaxed, Ordering::Relaxed)
                .map_or_else(|other| other, |_| this);
        }
        if owner == SINGLE || owner == this_thread() {
            if !self.come_in() {
                return Entered::Misused;
            }
            // Pairs with the barrier of whoever bars or revokes, where that is none.
            fence(Ordering::SeqCst);
            if self.flags() & REVOKED == 0 {
                return self.unless_barred();
            }
            // Not `leave`: the door may be shared by now.
            self.go_out();
            self.wake_sleepers();
        }
        self.lock();
        self.unless_barred()
    }

    fn unless_barred(&self) -> Entered {
        if self.flags() & BARRED != 0 {
            self.leave_unused();
            return Entered::Barred;
        }
        Entered::In
    }

    /// Takes the lock of a door that is shared, or becomes it now.
    fn lock(&self) {
        if !self.take_if_free() {
            self.lock_contended();
        }
        // Relaxed: only whoever has the lock shares the door, so what is seen here stays, but for the first owner's coming.
        if self.owner.load(Ordering::Relaxed) != SHARED {
            self.share();
        }
    }

    /// Takes the door from its owner. The caller has the lock.
    #[cold]
    fn share(&self) {
        let to_share = |from| self.owner.compare_exchange(from, SHARED, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !to_share(NOBODY) && !to_share(this_thread()) {
            self.raise(REVOKED);
            // Acquire pairs with the Release of the owner who leaves.
            self.sleep_until(|| self.inside.load(Ordering::Acquire) == FREE);
            self.owner.store(SHARED, Ordering::Relaxed);
        }
    }

    #[cold]
    fn leave_unused(&self) {
        if self.leave() != 0 {
            self.wake_sleepers();
        }
    }

    #[cold]
    fn lock_contended(&self) {
        if spin::back_off(|| self.take_if_free()) {
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
    fn unlock(&self) {
        #[cfg(weft_loom)]
        if let Some(bolt) = &self.bolt {
            // SAFETY: whoever leaves has entered.
            return unsafe { bolt.unlock() };
        }
        // Release: who comes in next sees what was done inside.
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
        // Relaxed: nobody shares the door while its owner is in.
        if self.owner.load(Ordering::Relaxed) == SHARED {
            self.unlock();
        } else {
            self.go_out();
        }
        // Pairs with `barrier` in whoever sets one of the flags and then looks at what we did.
        asymmetric::light();
        self.flags() & ATTENTION
    }

    /// For who was in for a moment at most, has done nothing, and does not [enter](Door::enter) either: wakes who saw that and sleeps.
    #[inline]
    pub fn clear_up(&self) {
        // Pairs with `barrier` in whoever sleeps then.
        asymmetric::light();
        if self.flags() & (SLEEPERS | FENCED) != 0 {
            self.wake_sleepers();
        }
    }

    /// The cold part of leaving; the flags after it.
    pub fn attend(&self) -> u32 {
        self.wake_sleepers();
        self.flags()
    }

    #[cold]
    fn wake_sleepers(&self) {
        // In the place of `light` where FENCED is set.
        fence(Ordering::SeqCst);
        if self.flags() & SLEEPERS != 0 {
            self.flags.fetch_and(!SLEEPERS, Ordering::SeqCst);
            self.turn.fetch_add(1, Ordering::SeqCst);
            // Of those who sleep for the lock one is enough: it sets the flag again before it looks. While the owner is waited
            // for, by one thread, others sleep for that one's lock.
            self.turn.wake(if self.owner.load(Ordering::Relaxed) == SHARED { 1 } else { u32::MAX });
        }
    }

    /// Lets nobody in from now on. Who is in has left when this returns.
    pub fn bar(&self) {
        // Relaxed: nothing else becomes SINGLE, nor does that become anything else.
        if self.owner.load(Ordering::Relaxed) == SINGLE {
            self.raise(BARRED);
            // Acquire pairs with the Release in `leave`.
            self.sleep_until(|| self.inside.load(Ordering::Acquire) == FREE);
        } else {
            self.lock();
            self.raise(BARRED);
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

    /// Sets flags; what they were before.
    pub fn raise(&self, flags: u32) -> u32 {
        self.flags.fetch_or(flags, Ordering::SeqCst)
    }

    /// Takes flags away; what they were before.
    pub fn clear(&self, flags: u32) -> u32 {
        self.flags.fetch_and(!flags, Ordering::SeqCst)
    }
}

#[cfg(weft_loom)]
mod modelled {
    use std::cell::Cell;

    std::thread_local! {
        // loom runs all threads of a model on one of the system's.
        static LAST: Cell<usize> = const { Cell::new(super::SINGLE) };
    }
    loom::thread_local! {
        static NUMBER: usize = LAST.replace(LAST.get() + 1) + 1;
    }

    /// Numbers that are never used again: that a block is, goes by locks of the system's, which no model has.
    pub fn this_thread() -> usize {
        NUMBER.with(|number| *number)
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::asymmetric::modelled::set_available;
    use crate::sync::atomic::UnsafeCell;
    use crate::sync::model;
    use loom::sync::Arc;

    /// A door whose protocol is its own, and what is behind it.
    fn room(single: bool) -> Arc<(Door, UnsafeCell<u32>)> {
        let door = Door { bolt: None, ..Door::new(single) };
        if !single && asymmetric::is_available() {
            door.owner.store(NOBODY, Ordering::Relaxed);
        }
        Arc::new((door, UnsafeCell::new(0)))
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
            on_both_systems(if threads == 1 { 3 } else { 1 }, move || {
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

    /// The owner comes again and again while another takes the door from it.
    #[test]
    fn loom_door_shared_against_its_owner() {
        on_both_systems(3, || {
            let room = room(false);
            assert_eq!(pass(&room), Entered::In);
            let other = {
                let room = room.clone();
                loom::thread::spawn(move || pass(&room))
            };
            assert_eq!(pass(&room), Entered::In);
            assert_eq!(pass(&room), Entered::In);
            assert_eq!(other.join().unwrap(), Entered::In);
            assert_eq!(room.1.with(|count| unsafe { *count }), 4);
        });
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

    /// Two take the door from its owner at once, who comes again.
    #[test]
    fn loom_door_shared_by_two_at_once() {
        on_both_systems(1, || {
            let room = room(false);
            assert_eq!(pass(&room), Entered::In);
            let others = [(); 2].map(|()| {
                let room = room.clone();
                loom::thread::spawn(move || pass(&room))
            });
            assert_eq!(pass(&room), Entered::In);
            others.into_iter().for_each(|other| assert_eq!(other.join().unwrap(), Entered::In));
            assert_eq!(room.1.with(|count| unsafe { *count }), 4);
        });
    }

    /// One shares the door and one bars it while its owner comes again: nobody is left behind, or comes later.
    #[test]
    fn loom_door_barred_while_it_is_shared() {
        on_both_systems(1, || {
            let room = room(false);
            assert_eq!(pass(&room), Entered::In);
            let others = [(); 2].map(|()| room.clone()).map(|room| loom::thread::spawn(move || pass(&room)));
            room.0.bar();
            let count = room.1.with(|count| unsafe { *count });
            let entered = others.map(|other| other.join().unwrap());
            assert_eq!(count as usize, 1 + entered.iter().filter(|&&entered| entered == Entered::In).count());
            assert_eq!(pass(&room), Entered::Barred);
        });
    }

    /// Who looks in without staying for [`Door::enter`] leaves nobody asleep: one who shares the door, and one who bars it.
    #[test]
    fn loom_door_left_by_one_who_looks_in() {
        for single in [false, true] {
            on_both_systems(3, move || {
                let room = room(single);
                assert_eq!(pass(&room), Entered::In);
                let other = {
                    let room = room.clone();
                    loom::thread::spawn(move || room.0.bar())
                };
                let inside = room.0.try_enter();
                if inside {
                    room.1.with_mut(|count| unsafe { *count += 1 });
                    room.0.leave();
                }
                room.0.clear_up();
                other.join().unwrap();
                assert_eq!(room.1.with(|count| unsafe { *count }), 1 + u32::from(inside));
            });
        }
    }
}
