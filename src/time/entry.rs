//! What is armed: an action with its place in the wheel, in one allocation.
//!
//! While it is armed the wheel owns a reference to it. Its links belong to whoever holds the lock of its [`Timers`].
//!
//! [`Timers`]: super::timers::Timers

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::timers::Group;
use super::wheel::Node;

/// What happens when an entry's time comes.
pub trait Action: Send + Sync + Sized + 'static {
    /// Its time has come; under the lock of the timers, so that whoever stops it knows on which side of this they are. `last`:
    /// it is not armed any more. Whether `expired` is to be called.
    fn due(entry: &Arc<Entry<Self>>, last: bool) -> bool {
        let _ = (entry, last);
        true
    }

    /// Its time has come. Called on the thread that drives the timers, without any lock; it does not unwind, does not block,
    /// and runs no code of the user's.
    fn expired(entry: Arc<Entry<Self>>);

    /// The group that it was armed in has been closed, and it is not armed any more. Called on the thread that closes it.
    fn closed(entry: Arc<Entry<Self>>) {
        drop(entry);
    }
}

/// An action that can be armed.
#[repr(C)]
pub struct Entry<A> {
    pub(super) links: UnsafeCell<Links>,
    /// The action.
    pub action: A,
}

// SAFETY: the links are touched under the lock of the timers only.
unsafe impl<A: Send + Sync> Sync for Entry<A> {}
// SAFETY: as above; what they lead to stays in place while it is linked.
unsafe impl<A: Send + Sync> Send for Entry<A> {}

impl<A: Action> Entry<A> {
    /// An entry that is not armed.
    pub fn new(action: A) -> Arc<Self> {
        let links = Links {
            node: Node::default(),
            table: &Table {
                due: due::<A>,
                expired: expired::<A>,
                closed: closed::<A>,
                retain: retain::<A>,
                drop: drop_one::<A>,
            },
            deadline_ns: 0,
            period_ns: 0,
            group: ptr::null(),
            next: ptr::null_mut(),
            previous: ptr::null_mut(),
        };
        Arc::new(Entry { links: UnsafeCell::new(links), action })
    }

    /// The links of an entry, from which the entry can be had again.
    pub(super) fn links(this: &Arc<Self>) -> NonNull<Links> {
        // SAFETY: an Arc's pointer is not null. The links come first.
        unsafe { NonNull::new_unchecked(Arc::as_ptr(this).cast_mut().cast()) }
    }
}

/// The part of an entry that does not depend on its action.
#[repr(C)]
pub(super) struct Links {
    pub node: Node,
    pub table: &'static Table,
    pub deadline_ns: i64,
    /// 0: once.
    pub period_ns: i64,
    /// Null: none.
    pub group: *const Group,
    /// Among those of the group.
    pub next: *mut Links,
    pub previous: *mut Links,
}

/// What can be done with an entry; all but `due` and `retain` give up a reference.
pub(super) struct Table {
    pub due: unsafe fn(NonNull<Links>, bool) -> bool,
    pub expired: unsafe fn(NonNull<Links>),
    pub closed: unsafe fn(NonNull<Links>),
    pub retain: unsafe fn(NonNull<Links>),
    pub drop: unsafe fn(NonNull<Links>),
}

unsafe fn due<A: Action>(links: NonNull<Links>, last: bool) -> bool {
    // SAFETY: called through the table of a live Entry<A>, whose reference is not given up here.
    let entry = ManuallyDrop::new(unsafe { take::<A>(links) });
    A::due(&entry, last)
}

/// The reference that a pointer stands for.
unsafe fn take<A: Action>(links: NonNull<Links>) -> Arc<Entry<A>> {
    // SAFETY: called through the table of an Entry<A>, which lives in an Arc, by the owner of a reference.
    unsafe { Arc::from_raw(links.cast().as_ptr()) }
}

unsafe fn expired<A: Action>(links: NonNull<Links>) {
    // SAFETY: as for `take`.
    A::expired(unsafe { take(links) });
}

unsafe fn closed<A: Action>(links: NonNull<Links>) {
    // SAFETY: as for `take`.
    A::closed(unsafe { take(links) });
}

unsafe fn retain<A: Action>(links: NonNull<Links>) {
    // SAFETY: called through the table of a live Entry<A>, which lives in an Arc.
    unsafe { Arc::increment_strong_count(links.cast::<Entry<A>>().as_ptr()) };
}

unsafe fn drop_one<A: Action>(links: NonNull<Links>) {
    // SAFETY: as for `take`.
    drop(unsafe { take::<A>(links) });
}
