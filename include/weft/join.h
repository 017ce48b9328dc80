/*
 * Fork-join, inline. Included by weft.h; define WEFT_NO_INLINE before to have the same functions called in the library
 * instead.
 *
 *     weft_fork(worker, fn_b, &b);                  offer the second half to whoever has nothing to do
 *     work(weft_next(worker), &a);                  do the first half here, one position further
 *     if (weft_sync(worker)) fn_b(worker, &b);      true: nobody took the second, so run it; false: it has been run
 *
 * A weft_worker * is a position on its thread's stack of forked halves, so the two calls that belong together get the same
 * one, and whatever runs between them gets weft_next() of it. Each fork meets its sync before the frame ends, in reverse
 * order, and anything else has undefined results (a sync that is forgotten is made up for when the callback ends); C++ programs use weft::join or weft::forked, which see to it when exceptions fly. A fork and its sync cost a few
 * stores and two compares, and memory is not allocated.
 *
 * While weft_sync waits for a half that another thread took, its thread runs nothing but what descends from that half: a lock
 * that is held across it is not met again from within. Blocking calls, loops and joins between fork and sync are fine. When
 * some 2000 forks are open on one thread, further ones are simply run by weft_sync's caller.
 *
 * Halves run in parallel if somebody is free to take one, and else one after the other: none may wait for the other in a way
 * that Weft does not know (spinning, a foreign lock). A half that runs long without forks and syncs can weft_yield(). A C++
 * exception must not leave a half; weft.hpp carries them.
 *
 * `worker` must be the one passed to the calling task or half, or weft_worker_current(): the inline functions do not check
 * it. Those in the library do nothing for another thread's worker or
 * NULL, and have the caller run both halves; they fork where the last fork that is open ended, whatever the position.
 *
 * A child that fork() makes between the two runs its halves itself; when a thread of the parent has one, weft_sync ends the
 * child with a message and exit status 70, for nobody would ever run it.
 *
 * weft_sync can block, without limit. A Rust panic in a half that another thread ran goes on in weft_sync.
 */
#ifndef WEFT_JOIN_H
#define WEFT_JOIN_H

#include "weft.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The rest of weft_fork and weft_sync when another thread has asked for work. Their names change with the layout below, so
 * that a program compiled for another one does not link. */
void weft_fork_asked_v1(weft_worker *worker);
bool weft_sync_shared_v1(weft_worker *worker);

/* Positions lie in a region of this many bytes that is aligned to its size and begins with the two words below. */
#define WEFT_REGION_SIZE 65536
/* Where halves begin that no other thread can have; the largest address when one has asked for work. */
#define WEFT_REGION_LIMIT 0
/* The next free position. */
#define WEFT_REGION_HEAD 128

/* What is at a position. */
struct weft_half {
    weft_task_fn function;
    void *arg;
    void *reserved[2];
};

#if defined WEFT_NO_INLINE || !defined __GNUC__

void weft_fork(weft_worker *worker, weft_task_fn fn, void *arg);
weft_worker *weft_next(weft_worker *worker);
bool weft_sync(weft_worker *worker);

#else

static inline uintptr_t *weft_region_word(weft_worker *worker, uintptr_t offset)
{
    return (uintptr_t *)(((uintptr_t)worker & ~(uintptr_t)(WEFT_REGION_SIZE - 1)) + offset);
}

static inline weft_worker *weft_next(weft_worker *worker)
{
    uintptr_t next = (uintptr_t)worker + sizeof(struct weft_half);
    /* The last position is its own successor. */
    return __builtin_expect((next & (WEFT_REGION_SIZE - 1)) == 0, 0) ? worker : (weft_worker *)next;
}

static inline void weft_fork(weft_worker *worker, weft_task_fn fn, void *arg)
{
    struct weft_half *half = (struct weft_half *)worker;
    half->function = fn;
    half->arg = arg;
    __atomic_store_n(weft_region_word(worker, WEFT_REGION_HEAD), (uintptr_t)weft_next(worker), __ATOMIC_RELAXED);
    if (__builtin_expect(__atomic_load_n(weft_region_word(worker, WEFT_REGION_LIMIT), __ATOMIC_RELAXED) == UINTPTR_MAX, 0))
        weft_fork_asked_v1(worker);
}

static inline bool weft_sync(weft_worker *worker)
{
    __atomic_store_n(weft_region_word(worker, WEFT_REGION_HEAD), (uintptr_t)worker, __ATOMIC_RELAXED);
    if (__builtin_expect((uintptr_t)worker >= __atomic_load_n(weft_region_word(worker, WEFT_REGION_LIMIT), __ATOMIC_RELAXED), 1))
        return true;
    return weft_sync_shared_v1(worker);
}

#endif

#ifdef __cplusplus
}
#endif

#endif
