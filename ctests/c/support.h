/* What many tests need and no test is about: threads, one-shot gates and counters to wait for events with, counting drops,
 * random numbers from a printed seed, a runtime in one line.
 *
 * Gates and tallies are pthread mutex and condition, on purpose: the runtime does not see such a wait, so a task that waits
 * at a gate keeps its turn and occupies its worker. A test that wants the runtime to see the wait uses channels and futures.
 */
#ifndef WEFT_CTESTS_SUPPORT_H
#define WEFT_CTESTS_SUPPORT_H

#include <pthread.h>
#include <stdatomic.h>

#include "harness.h"

/* ---- events */

/* Counts up; waiting is for "at least n". A gate is a tally that is opened by its first count. */
struct tally {
    pthread_mutex_t mutex;
    pthread_cond_t grew;
    uint64_t count;
};

#define TALLY_INIT {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}
void tally_add(struct tally *tally, uint64_t n);
void tally_wait(struct tally *tally, uint64_t at_least);
uint64_t tally_count(struct tally *tally);

typedef struct tally gate;
#define GATE_INIT TALLY_INIT
void gate_open(gate *gate);
void gate_wait(gate *gate);

/* ---- threads */

struct thread {
    pthread_t id;
    void (*run)(void *arg);
    void *arg;
};

void thread_start(struct thread *thread, void (*run)(void *arg), void *arg);
void thread_join(struct thread *thread);
/* n threads that start together, each with its index; returns when all have ended. */
void threads_together(size_t n, void (*run)(size_t index, void *arg), void *arg);

/* ---- forks */

/* Runs `child` in a forked child, which leaves by exit so that exit hooks run there as well, and checks that its checks
 * held. A child that cannot end is ended. */
void in_forked_child(void (*child)(void *arg), void *arg);

/* ---- drops: a weft_drop_fn whose ctx is a struct drops */

struct drops {
    atomic_int count;
    void *_Atomic last;
};

void drop_count(void *ctx, void *value);
/* Counts and frees the value. */
void drop_free(void *ctx, void *value);

/* ---- random numbers: splitmix64 */

struct random {
    uint64_t state;
};

/* From WEFT_TEST_SEED or the clock; printed, so that a failure can be had again. */
uint64_t random_seed(void);
uint64_t random_next(struct random *random);
uint64_t random_below(struct random *random, uint64_t bound);

/* ---- runtimes */

weft_runtime *runtime_new(int32_t workers);
weft_runtime *runtime_new_limited(int32_t workers, int32_t max_threads);
/* Shuts down (drain, wait for ever) and releases. */
void runtime_end(weft_runtime *runtime);
weft_runtime_stats runtime_stats(weft_runtime *runtime);

weft_channel *channel_new(size_t elem_size, size_t capacity);

/* A value that no function may have written into an out-parameter. */
#define SENTINEL ((void *)(uintptr_t)0x5e5e5e5e)

#endif
