use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::context::{Context, Options};
use super::kind::{FORK, INLINE, ISOLATED, Kind, Places, TASK, THREAD};
use super::pool::{Pool, Wish};
use super::run::{Failed, Handle};
use crate::error::{Result, Status};
use crate::memory::Bytes;
use crate::scheduler::{Priority, default_runtime};
use crate::sync::Deadline;

struct Call<F>(F);

impl<F: FnOnce(&[u8]) -> Result<Bytes, Failed> + Send> Handle for Call<F> {
    fn call(self: Box<Self>, data: &[u8]) -> Result<Bytes, Failed> {
        (self.0)(data)
    }

    fn give_back(self: Box<Self>) {}
}

fn places() -> Places {
    Places { core: Some(default_runtime().unwrap().share()), processes: None }
}

fn context(kind: i32) -> Arc<Context> {
    let found = Kind::find(kind, true, &places()).unwrap();
    assert_eq!(found.number(), kind);
    Context::new(kind, found, Options { name: c"tested".to_owned(), ..Options::default() }, None)
}

#[test]
fn a_panic_is_a_failure_wherever_it_happens() {
    for kind in [INLINE, THREAD, TASK, FORK, ISOLATED] {
        let context = context(kind);
        let panics = Call(|data: &[u8]| resume_unwind(Box::new(String::from_utf8_lossy(data).into_owned())));
        context.execute(Some(Box::new(panics)), b"on purpose").unwrap();
        let failure = context.wait(Deadline::Never).unwrap_err();
        assert!(failure.is(Status::Panic), "{failure:?}");
        assert_eq!(failure.message, "on purpose");
        let error = context.error().unwrap();
        assert!(error.origin.to_str().unwrap().contains("context tested"), "{error:?}");
        let stats = context.stats();
        assert_eq!((stats.executed, stats.failed), (1, 1));
    }
}

/// What a function owns goes before anybody is told of the end, and with it nothing of the context is kept.
#[test]
fn what_a_function_owns_goes_with_its_run() {
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    for (index, kind) in [INLINE, THREAD, TASK, FORK, ISOLATED].into_iter().enumerate() {
        let context = context(kind);
        let counts = Counts(dropped.clone());
        let call = Call(move |data: &[u8]| {
            let _counts = &counts;
            Ok(Bytes::copy(data).unwrap())
        });
        context.execute(Some(Box::new(call)), b"data").unwrap();
        assert_eq!(context.wait(Deadline::Never).unwrap().as_slice(), b"data");
        assert_eq!(dropped.load(Ordering::Relaxed), index + 1);
        assert_eq!(Arc::strong_count(&context), 1);
    }
}

/// A pool goes with its last context, also when some are kept to be used again.
#[test]
fn a_closed_pool_keeps_nothing() {
    let pool = Pool::new(INLINE, true, Places::default(), Options::default(), 2).unwrap();
    let wish = || Wish { name: None, strict: true, priority: Priority::Normal, timeout_ns: 0 };
    let contexts = [pool.acquire(wish()).unwrap(), pool.acquire(wish()).unwrap()];
    contexts.iter().for_each(|context| pool.put(context).unwrap());
    assert_eq!((pool.stats().active, pool.stats().out), (0, 0));
    drop(contexts);
    assert_eq!(Arc::strong_count(&pool), 3, "two are idle");
    pool.close();
    assert_eq!(Arc::strong_count(&pool), 1);
}
