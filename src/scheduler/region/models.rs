//! What loom makes sure of.

use super::*;
use crate::sync::model;
use loom::cell::UnsafeCell as Watched;
use loom::sync::Arc;

/// An owner in small: always ready to share, and told of what it shares by nobody.
struct Owner<'a>(&'a Region);

impl Host for Owner<'_> {
    fn hungry(&self) -> bool {
        true
    }
    fn notify(&self) {}
    fn must_wait(&self) {}
    fn frame_of(&self, _: usize) -> *const Frame {
        ptr::null()
    }
    fn run(&self, stolen: Stolen) {
        let (life, outer) = self.0.begin_life();
        stolen.sign(self.0, life);
        unsafe { (stolen.half)(self.0.head(), stolen.arg) };
        self.0.end_life(outer);
        stolen.finish(false);
    }
}

/// A half that must be run once. Loom reports two runs that are not ordered, and a look that is not.
struct Once {
    runs: Watched<u32>,
}

unsafe impl Send for Once {}
unsafe impl Sync for Once {}

impl Once {
    fn new() -> Self {
        Once { runs: Watched::new(0) }
    }
    fn arg(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }
    unsafe extern "C-unwind" fn run(_: *mut Slot, arg: *mut c_void) {
        unsafe { (*arg.cast::<Once>()).runs.with_mut(|runs| *runs += 1) };
    }
    fn runs(&self) -> u32 {
        self.runs.with(|runs| unsafe { *runs })
    }
}

fn sync(region: &Region, position: *mut Slot, half: &Once) {
    if region.sync(position, &Owner(region)) == Synced::Mine {
        unsafe { Once::run(ptr::null_mut(), half.arg()) };
    }
    assert_eq!(half.runs(), 1);
}

/// A thread's region and its thief's. Both stay until both threads have ended, as in a runtime.
struct Two {
    owner: Box<Region>,
    thief: Box<Region>,
}

impl Two {
    fn new() -> Arc<Two> {
        Arc::new(Two { owner: Region::new().unwrap(), thief: Region::new().unwrap() })
    }

    fn steal(&self) {
        match self.owner.steal() {
            Some(stolen) => Owner(&self.thief).run(stolen),
            None => self.owner.ask(),
        }
    }
}

#[test]
fn loom_region_each_half_is_run_once() {
    model(3, || {
        let two = Two::new();
        let thief = {
            let two = two.clone();
            loom::thread::spawn(move || (0..3).for_each(|_| two.steal()))
        };
        let region = &*two.owner;
        for _ in 0..2 {
            let (first, second) = (Once::new(), Once::new());
            let outer = unsafe { region.fork(Once::run, first.arg(), &Owner(region)) };
            let inner = unsafe { region.fork(Once::run, second.arg(), &Owner(region)) };
            sync(region, inner, &second);
            sync(region, outer, &first);
        }
        thief.join().unwrap();
    });
}

/// A slot that a thief has had is shared again. Few stores to each word: loom remembers seven, and takes older ones for
/// younger beyond that.
#[test]
fn loom_region_slots_are_used_again() {
    model(3, || {
        let two = Two::new();
        let thief = {
            let two = two.clone();
            loom::thread::spawn(move || {
                for _ in 0..2 {
                    if let Some(stolen) = two.owner.steal() {
                        Owner(&two.thief).run(stolen);
                    }
                }
            })
        };
        let region = &*two.owner;
        for _ in 0..2 {
            // As if a thief had asked.
            region.ask();
            let half = Once::new();
            let position = unsafe { region.fork(Once::run, half.arg(), &Owner(region)) };
            sync(region, position, &half);
        }
        thief.join().unwrap();
    });
}

#[test]
fn loom_region_two_thieves() {
    model(2, || {
        let (two, third) = (Two::new(), Arc::new(Region::new().unwrap()));
        two.owner.ask();
        let thief = {
            let two = two.clone();
            loom::thread::spawn(move || (0..2).for_each(|_| two.steal()))
        };
        let other = {
            let (two, third) = (two.clone(), third.clone());
            loom::thread::spawn(move || {
                if let Some(stolen) = two.owner.steal() {
                    Owner(&third).run(stolen);
                }
            })
        };
        let region = &*two.owner;
        let (first, second) = (Once::new(), Once::new());
        let outer = unsafe { region.fork(Once::run, first.arg(), &Owner(region)) };
        region.ask();
        let inner = unsafe { region.fork(Once::run, second.arg(), &Owner(region)) };
        sync(region, inner, &second);
        sync(region, outer, &first);
        thief.join().unwrap();
        other.join().unwrap();
    });
}

/// Three halves, each the parent of the next.
struct Nest([Once; 3]);

impl Nest {
    fn arg(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    unsafe extern "C-unwind" fn run(position: *mut Slot, arg: *mut c_void) {
        unsafe { Self::fork(position, &*arg.cast::<Nest>(), 0, Self::child) }
    }

    unsafe extern "C-unwind" fn child(position: *mut Slot, arg: *mut c_void) {
        unsafe { Self::fork(position, &*arg.cast::<Nest>(), 1, Self::grandchild) }
    }

    unsafe extern "C-unwind" fn grandchild(_: *mut Slot, arg: *mut c_void) {
        unsafe { Once::run(ptr::null_mut(), (&(*arg.cast::<Nest>()).0)[2].arg()) }
    }

    unsafe fn fork(position: *mut Slot, nest: &Nest, generation: usize, next: Half) {
        unsafe {
            let region = Region::of(position);
            assert_eq!(region.head(), position);
            let child = region.fork(next, nest.arg(), &Owner(region));
            Once::run(ptr::null_mut(), nest.0[generation].arg());
            if region.sync(child, &Owner(region)) == Synced::Mine {
                next(child, nest.arg());
            }
            assert_eq!(region.head(), position);
        }
    }
}

/// The owner may help with what descends from its half, and never with what its thief does afterwards.
#[test]
fn loom_region_leapfrogging_meets_no_stranger() {
    model(2, || {
        let two = Two::new();
        two.owner.ask();
        two.thief.ask();
        let thief = {
            let two = two.clone();
            loom::thread::spawn(move || {
                two.steal();
                let (_, outer) = two.thief.begin_life();
                let stranger = Once::new();
                two.thief.ask();
                let position = unsafe { two.thief.fork(Once::run, stranger.arg(), &Owner(&two.thief)) };
                assert_eq!(two.thief.sync(position, &Owner(&two.thief)), Synced::Mine);
                two.thief.end_life(outer);
            })
        };
        let region = &*two.owner;
        let nest = Nest([Once::new(), Once::new(), Once::new()]);
        let position = unsafe { region.fork(Nest::run, nest.arg(), &Owner(region)) };
        if region.sync(position, &Owner(region)) == Synced::Mine {
            unsafe { Nest::run(region.head(), nest.arg()) };
        }
        assert_eq!(nest.0.each_ref().map(Once::runs), [1, 1, 1]);
        thief.join().unwrap();
    });
}
