/* Lets ThreadSanitizer understand how Rust's Arc counts down.
 *
 * Arc's drop is a decrement with release order, and only who reaches zero takes an acquire fence before it destroys the
 * value. ThreadSanitizer does not model fences, so it would report every destruction of what another thread used. (The
 * standard library has a form without the fence for sanitized builds of itself, but comes compiled without it.) A
 * suppression for all that happens below Arc's drop would hide our own mistakes in destructors. So this gives every
 * release decrement the acquire order that the fence would: linked with --wrap=__tsan_atomic64_fetch_sub, it stands between
 * instrumented code and the runtime. What it hides is only a count that really lacks the fence.
 */
enum { RELEASE = __ATOMIC_RELEASE, ACQUIRE_RELEASE = __ATOMIC_ACQ_REL };

long __real___tsan_atomic64_fetch_sub(volatile long *where, long what, int order);
long __wrap___tsan_atomic64_fetch_sub(volatile long *where, long what, int order);

long __wrap___tsan_atomic64_fetch_sub(volatile long *where, long what, int order)
{
    return __real___tsan_atomic64_fetch_sub(where, what, order == RELEASE ? ACQUIRE_RELEASE : order);
}
