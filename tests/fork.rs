//! What has to be complete before a fork is completed by whoever forks. A program of its own: there is one such step in a process.

use std::sync::atomic::{AtomicU32, Ordering};

use weft::platform::fork;

static STEPS: AtomicU32 = AtomicU32::new(0);

#[test]
fn the_step_before_a_fork_is_taken_at_once_and_before_each_fork() {
    fork::watch();
    fork::complete_before(|| _ = STEPS.fetch_add(1, Ordering::Relaxed));
    assert_eq!(STEPS.load(Ordering::Relaxed), 1);
    for forks in 1..=2 {
        // SAFETY: the child does nothing but leave.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: ends the child. 0: it has come after the step.
            unsafe { libc::_exit((STEPS.load(Ordering::Relaxed) != 1 + forks).into()) };
        }
        let mut status = -1;
        // SAFETY: waits for the child.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!((status, STEPS.load(Ordering::Relaxed)), (0, 1 + forks));
    }
}
