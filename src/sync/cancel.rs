//! What can end a wait besides what it waits for, and cancel tokens.
//!
//! A [`Source`] fires once. Who waits is queued on it beside the queue of what is waited for, and whoever wins the wait's
//! claim word ends it (see [`super::wait`]). The [hook](super::park::Hook) of a thread says which sources end its waits.
//!
//! A [`Token`] is a source in a tree: triggered, it triggers what was made from it. Parents know their children weakly, so a
//! token lives as long as somebody holds it or one of its children. Both ways through the tree are loops: chains may be of
//! any length. A token that only its parent can trigger any more ([`Token::seal`]) is passed over: tasks that spawn each other
//! without end make a chain of tokens, of which nobody needs those in between.

use std::ffi::{CStr, CString};
use std::sync::{Arc, Weak};

use super::Lock;
use super::atomic::{AtomicBool, AtomicU32, Ordering, UnsafeCell};
use super::park;
use super::select::{Event, Verdict};
use super::wait::{WaitList, WaitNode};
use crate::error::{Failure, Result, Status};

/// The outcome of waits that a token has ended. Above those of all objects.
pub const CANCELLED: u32 = 1 << 16;
/// The outcome of waits in tasks of a runtime that discards what it has.
pub const SHUTDOWN: u32 = CANCELLED + 1;

const QUIET: u32 = 0;

/// Something that ends waits, once and for good.
#[derive(Default)]
pub struct Source {
    /// QUIET, or the outcome of the waits.
    fired: AtomicU32,
    /// Written under the lock before it is fired, and never after that.
    reason: UnsafeCell<Option<CString>>,
    waits: Lock<WaitList>,
}

// SAFETY: the reason is written by the one thread that fires, before `fired` says so, and read after that.
unsafe impl Sync for Source {}

impl Source {
    /// Ends all waits, and those to come, with this outcome, for this reason; the first time.
    pub fn fire(&self, outcome: u32, reason: Option<&CStr>) {
        let waits = {
            let mut waits = self.waits.lock();
            if self.fired().is_some() {
                return;
            }
            // SAFETY: under the lock, and nobody reads before it is fired.
            self.reason.with_mut(|place| unsafe { *place = reason.map(CStr::to_owned) });
            // Release pairs with the Acquire in `fired`: the reason comes with it.
            self.fired.store(outcome, Ordering::Release);
            waits.claim_all()
        };
        waits.finish(outcome);
    }

    /// The outcome of the waits it has ended.
    pub fn fired(&self) -> Option<u32> {
        match self.fired.load(Ordering::Acquire) {
            QUIET => None,
            outcome => Some(outcome),
        }
    }

    /// Why it was fired, if that was said.
    pub fn reason(&self) -> Option<&CStr> {
        self.fired()?;
        // SAFETY: fired, so nobody writes it any more.
        self.reason.with(|reason| unsafe { (*reason).as_deref() })
    }

    /// Lets it end a wait; the outcome if it has been fired already.
    ///
    /// # Safety
    /// As for [`WaitList::push`], and [`Source::let_go`] unlinks the node.
    pub unsafe fn watch(&self, node: *mut WaitNode) -> std::result::Result<(), u32> {
        let mut waits = self.waits.lock();
        if let Some(outcome) = self.fired() {
            return Err(outcome);
        }
        // SAFETY: promised by the caller.
        unsafe { waits.push(node) };
        Ok(())
    }

    /// The wait is over.
    ///
    /// # Safety
    /// As for [`WaitList::unlink`].
    pub unsafe fn let_go(&self, node: *mut WaitNode) {
        // SAFETY: promised by the caller.
        unsafe { self.waits.lock().unlink(node) }
    }
}

/// What a wait that a token has ended tells.
pub fn failure() -> Failure {
    // SAFETY: a hook's sources outlive what the thread runs at the moment, this call included.
    let reason = |source: &std::ptr::NonNull<Source>| unsafe { source.as_ref() }.reason();
    because(park::sources().iter().flatten().find_map(reason))
}

fn because(reason: Option<&CStr>) -> Failure {
    match reason {
        Some(reason) if !reason.is_empty() => {
            Failure::with(Status::Cancelled, format!("cancelled: {}", reason.to_string_lossy()))
        }
        _ => Failure::new(Status::Cancelled, "cancelled"),
    }
}

/// A request to stop, for whatever carries it. Clones are the same token.
#[derive(Clone)]
pub struct Token(Arc<Node>);

/// Something that is to know of a trigger. Called once at most, on the thread that triggers, which holds no lock of the
/// token's; it does not unwind.
pub trait OnTrigger: Send + Sync {
    /// The token has been triggered.
    fn triggered(&self);
}

struct Node {
    source: Source,
    children: Lock<Weaks<Node>>,
    told: Lock<Weaks<dyn OnTrigger>>,
    /// When it triggers by itself, and what sees to it, which ends when it is dropped.
    deadline: Lock<Option<(i64, Keeper)>>,
    /// Whether nobody triggers it but its parents.
    sealed: AtomicBool,
    /// Keeps those alive that this one is triggered by.
    parents: Lock<[Option<Token>; 2]>,
}

/// What triggers a token at its deadline, as long as it is there.
pub type Keeper = Box<dyn Send + Sync>;

/// A token that may have gone.
pub struct WeakToken(Weak<Node>);

impl WeakToken {
    /// The token, if it is still there.
    pub fn upgrade(&self) -> Option<Token> {
        self.0.upgrade().map(Token)
    }
}

/// Things that are known weakly.
struct Weaks<T: ?Sized> {
    all: Vec<Weak<T>>,
    /// How many there may be before the dead ones are taken out: twice those that were left the last time.
    room: usize,
}

impl<T: ?Sized> Default for Weaks<T> {
    fn default() -> Self {
        Weaks { all: Vec::new(), room: 0 }
    }
}

impl<T: ?Sized> Weaks<T> {
    const ROOM: usize = 8;

    fn add(&mut self, one: Weak<T>) {
        if self.all.len() >= self.room {
            self.all.retain(|one| one.strong_count() > 0);
            self.room = (2 * self.all.len()).max(Self::ROOM);
        }
        self.all.push(one);
    }
}

impl Token {
    /// A token that is triggered by itself, or with either of its parents.
    pub fn new(parents: [Option<&Token>; 2]) -> Token {
        let parents = parents.map(|parent| parent.and_then(Token::effective));
        let token = Token(Arc::new(Node {
            source: Source::default(),
            children: Lock::default(),
            told: Lock::default(),
            deadline: Lock::default(),
            sealed: AtomicBool::new(false),
            parents: Lock::new(parents.clone()),
        }));
        parents.iter().flatten().for_each(|parent| token.follow(parent));
        token
    }

    /// Is triggered with this one.
    fn follow(&self, parent: &Token) {
        parent.0.children.lock().add(Arc::downgrade(&self.0));
        // After the entry: a trigger that missed the entry has been there before, and is seen here.
        if parent.is_triggered() {
            self.trigger(parent.source().reason().unwrap_or_default());
        }
    }

    /// From here on nobody triggers it but what it was made from.
    pub fn seal(&self) {
        // Release pairs with the Acquire in `is_passed_over`: the last trigger of its own comes with it.
        self.0.sealed.store(true, Ordering::Release);
    }

    /// Whether what follows it may as well follow its parent, if it has one. Triggered later, that has been triggered before.
    fn is_passed_over(&self, parents: &[Option<Token>; 2]) -> bool {
        self.0.sealed.load(Ordering::Acquire) && !self.is_triggered() && parents.iter().flatten().count() < 2
    }

    /// This token, or what triggers it if nothing else does.
    fn effective(&self) -> Option<Token> {
        while self.shorten() {}
        let parents = self.0.parents.lock();
        match self.is_passed_over(&parents) {
            true => parents.iter().flatten().next().cloned(),
            false => Some(self.clone()),
        }
    }

    /// Follows the parent of a parent instead of that, if it may.
    fn shorten(&self) -> bool {
        let (passed_over, above) = {
            let mut parents = self.0.parents.lock();
            // Locks are taken upwards.
            let above = |parent: &Token| {
                let above = parent.0.parents.lock();
                parent.is_passed_over(&above).then(|| above.iter().flatten().next().cloned())
            };
            let found = parents.iter_mut().find_map(|place| Some((above(place.as_ref()?)?, place)));
            let Some((above, place)) = found else { return false };
            (std::mem::replace(place, above.clone()), above)
        };
        above.iter().for_each(|above| self.follow(above));
        // Until now a trigger came by way of it.
        drop(passed_over);
        true
    }

    /// Asks whatever carries this token, or one made from it, to stop. The first reason stays.
    pub fn trigger(&self, reason: &CStr) {
        let mut work = vec![self.clone()];
        while let Some(Token(node)) = work.pop() {
            node.source.fire(CANCELLED, Some(reason));
            // Nothing comes from there any more.
            let over = (node.deadline.lock().take(), std::mem::take(&mut *node.parents.lock()));
            drop(over);
            let told = std::mem::take(&mut *node.told.lock());
            told.all.iter().filter_map(Weak::upgrade).for_each(|one| one.triggered());
            let children = std::mem::take(&mut *node.children.lock());
            work.extend(children.all.iter().filter_map(Weak::upgrade).map(Token));
        }
    }

    /// Tells of the trigger: when it comes, or here and now if it has.
    pub fn tell(&self, one: Weak<dyn OnTrigger>) {
        self.0.told.lock().add(one);
        // After the entry, as for children.
        if self.is_triggered() {
            let told = std::mem::take(&mut *self.0.told.lock());
            told.all.iter().filter_map(Weak::upgrade).for_each(|one| one.triggered());
        }
    }

    /// Has it triggered at this point in time, by what `set` makes; nothing, if it has an earlier deadline or is triggered.
    pub fn set_deadline(&self, at_ns: i64, set: impl FnOnce(WeakToken) -> Result<Keeper>) -> Result<()> {
        let later = {
            let mut deadline = self.0.deadline.lock();
            if self.is_triggered() || deadline.as_ref().is_some_and(|(there, _)| *there <= at_ns) {
                return Ok(());
            }
            deadline.replace((at_ns, set(WeakToken(Arc::downgrade(&self.0)))?))
        };
        drop(later);
        // After it is there, as for children.
        if self.is_triggered() {
            let over = self.0.deadline.lock().take();
            drop(over);
        }
        Ok(())
    }

    /// Whether it has been triggered.
    pub fn is_triggered(&self) -> bool {
        self.source().fired().is_some()
    }

    /// Why what carries it is to stop, if it is.
    pub fn failure(&self) -> Option<Failure> {
        self.is_triggered().then(|| because(self.source().reason()))
    }

    /// What ends waits.
    pub fn source(&self) -> &Source {
        &self.0.source
    }

    /// Whether both are the same token.
    pub fn is(&self, other: &Token) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

// SAFETY: the list is behind the source's lock.
unsafe impl Event for &Token {
    fn attempt(&self) -> Option<Verdict> {
        self.is_triggered().then_some(Verdict::Done)
    }

    unsafe fn watch(&self, node: *mut WaitNode) -> bool {
        // SAFETY: promised by the caller.
        unsafe { self.source().watch(node) }.is_err()
    }

    unsafe fn let_go(&self, node: *mut WaitNode) {
        // SAFETY: promised by the caller.
        unsafe { self.source().let_go(node) }
    }

    fn verdict(&self, _outcome: u32) -> Option<Verdict> {
        Some(Verdict::Done)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A loop instead of a recursion as deep as the chain.
        let parents = |node: &Node| std::mem::take(&mut *node.parents.lock()).into_iter().flatten();
        let mut work: Vec<Token> = parents(self).collect();
        while let Some(Token(node)) = work.pop() {
            if let Some(node) = Arc::into_inner(node) {
                work.extend(parents(&node));
            }
        }
    }
}

#[cfg(all(test, weft_loom))]
mod models {
    use super::*;
    use crate::sync::model;
    use crate::sync::wait::{Ended, Waiter};
    use crate::sync::{Deadline, Gate, park};
    use std::cell::Cell;
    use std::ptr::NonNull;

    loom::thread_local! {
        static TOKEN: Cell<Option<NonNull<Source>>> = Cell::new(None);
    }

    /// Has this token end the thread's waits.
    fn carry(token: &Token) {
        TOKEN.with(|place| place.set(Some(NonNull::from(token.source()))));
        let sources = || [TOKEN.with(|place| place.get()), None];
        park::set_hook(Some(park::Hook { before: || {}, after: || {}, sources }));
    }

    /// A trigger against the opening of what is waited for: one of them ends the wait, and nothing hangs.
    #[test]
    fn loom_cancel_trigger_against_open() {
        model(3, || {
            let shared = Arc::new((Gate::default(), Token::new([None, None])));
            let trigger = {
                let shared = shared.clone();
                loom::thread::spawn(move || shared.1.trigger(c"enough"))
            };
            let open = {
                let shared = shared.clone();
                loom::thread::spawn(move || shared.0.open())
            };
            carry(&shared.1);
            match shared.0.wait(Deadline::Never) {
                Ended::Fired(0) => assert!(shared.0.is_open()),
                Ended::Cancelled => assert_eq!(shared.1.source().reason(), Some(c"enough")),
                other => panic!("{other:?}"),
            }
            trigger.join().unwrap();
            open.join().unwrap();
        });
    }

    /// A wait that begins while its token is being triggered ends.
    #[test]
    fn loom_cancel_ends_a_wait_that_begins() {
        model(3, || {
            let token = Token::new([None, None]);
            let trigger = {
                let token = token.clone();
                loom::thread::spawn(move || token.trigger(c"enough"))
            };
            carry(&token);
            assert_eq!(Waiter::new().wait(Deadline::Never), Ended::Cancelled);
            trigger.join().unwrap();
        });
    }

    /// A token that comes to pass over its parent while the one above is triggered is triggered too.
    #[test]
    fn loom_cancel_reaches_past_what_is_sealed() {
        model(3, || {
            let root = Token::new([None, None]);
            let between = Token::new([Some(&root), None]);
            let child = Token::new([Some(&between), None]);
            let trigger = {
                let root = root.clone();
                loom::thread::spawn(move || root.trigger(c"enough"))
            };
            between.seal();
            drop(between);
            let last = Token::new([Some(&child), None]);
            trigger.join().unwrap();
            assert!(child.is_triggered() && last.is_triggered());
        });
    }

    /// A token made while its parent is triggered is triggered too.
    #[test]
    fn loom_cancel_reaches_a_new_child() {
        model(3, || {
            let parent = Token::new([None, None]);
            let trigger = {
                let parent = parent.clone();
                loom::thread::spawn(move || parent.trigger(c"enough"))
            };
            let child = Token::new([Some(&parent), None]);
            trigger.join().unwrap();
            assert_eq!(child.source().reason(), Some(c"enough"));
        });
    }
}

#[cfg(all(test, not(weft_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_goes_down_the_tree_and_not_up() {
        let root = Token::new([None, None]);
        let other = Token::new([None, None]);
        let [left, right] = [0, 1].map(|_| Token::new([Some(&root), None]));
        let both = Token::new([Some(&left), Some(&other)]);
        left.trigger(c"left");
        left.trigger(c"again");
        assert!(!root.is_triggered() && !right.is_triggered() && !other.is_triggered());
        assert_eq!(both.source().reason(), Some(c"left"));
        root.trigger(c"root");
        assert_eq!(right.source().reason(), Some(c"root"));
        assert_eq!(left.source().reason(), Some(c"left"));
        assert!(Token::new([Some(&other), Some(&root)]).is_triggered());
        assert_eq!(other.source().reason(), None);
    }

    #[test]
    fn chains_of_any_length() {
        let root = Token::new([None, None]);
        let mut last = root.clone();
        for _ in 0..200_000 {
            last = Token::new([Some(&last), None]);
        }
        assert!(!last.is_triggered());
        root.trigger(c"root");
        assert!(last.is_triggered());
        drop(root);
        drop(last);
    }

    /// Whether a token is sealed before or after the next one is made from it.
    #[test]
    fn a_chain_passes_over_what_is_sealed() {
        for late in [false, true] {
            let root = Token::new([None, None]);
            let mut last = Token::new([Some(&root), None]);
            let mut gone = Vec::new();
            for _ in 0..100 {
                gone.push(Arc::downgrade(&last.0));
                if !late {
                    last.seal();
                }
                let next = Token::new([Some(&last), None]);
                last.seal();
                last = next;
            }
            let end = Token::new([Some(&last), None]);
            assert!(gone.iter().all(|node| node.strong_count() == 0));
            let without = Token::new([None, None]);
            without.seal();
            assert!(!Token::new([Some(&without), None]).is_triggered());
            root.trigger(c"root");
            assert!(last.is_triggered() && end.is_triggered());
            for _ in 0..100 {
                gone.push(Arc::downgrade(&last.0));
                last.seal();
                last = Token::new([Some(&last), None]);
                assert_eq!(last.source().reason(), Some(c"root"));
            }
            drop(end);
            assert!(gone.iter().all(|node| node.strong_count() == 0), "what is triggered keeps nothing");
        }
    }

    #[test]
    fn a_parent_forgets_children_that_have_gone() {
        let root = Token::new([None, None]);
        let kept: Vec<_> = (0..100).map(|_| Token::new([Some(&root), None])).collect();
        for _ in 0..10_000 {
            Token::new([Some(&root), None]);
        }
        assert!(root.0.children.lock().all.len() <= 2 * kept.len() + Weaks::<Node>::ROOM);
        root.trigger(c"root");
        assert!(kept.iter().all(Token::is_triggered));
    }
}
