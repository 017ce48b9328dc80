/* Poll tasks: called until they are done, whenever they are woken, by one thread at a time. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

/* A task that waits for its wakes one after the other, and keeps a waker of its own outside. */
struct machine {
    atomic_int polls, inside, events;
    int wanted;
    weft_waker *_Atomic waker;
    struct tally polled;
    bool cancelled;
};

static void machine_init(struct machine *machine, int wanted)
{
    static const struct machine fresh = {.polled = TALLY_INIT};
    *machine = fresh;
    machine->wanted = wanted;
}

static weft_status step(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    struct machine *machine = state;
    CHECK_INT(atomic_fetch_add(&machine->inside, 1), 0);
    if (atomic_load(&machine->waker) == NULL)
        atomic_store(&machine->waker, weft_waker_clone(waker));
    machine->cancelled = weft_cancelled(worker);
    int polls = ++machine->polls;
    bool done = machine->events >= machine->wanted || machine->cancelled;
    *result = (void *)(intptr_t)machine->events;
    atomic_fetch_sub(&machine->inside, 1);
    if (done)
        return machine->cancelled ? weft_error_set(WEFT_CANCELLED, "asked to stop") : WEFT_OK;
    tally_add(&machine->polled, 1);
    (void)polls;
    return WEFT_WOULD_BLOCK;
}

static void event(struct machine *machine)
{
    machine->events++;
    weft_waker_wake(machine->waker);
}

TEST(polled_until_it_is_done)
{
    struct machine machine;
    weft_runtime *runtime = runtime_new(2);
    weft_future *future = NULL;
    void *value = NULL;
    machine_init(&machine, 3);
    OK(weft_spawn_poll(runtime, step, &machine, NULL, &future));
    for (int i = 0; i < 3; i++) {
        tally_wait(&machine.polled, (uint64_t)i + 1);
        CHECK_INT(weft_future_state(future), WEFT_FUTURE_PENDING);
        event(&machine);
    }
    OK(weft_future_get(future, WEFT_FOREVER, &value));
    CHECK_INT((intptr_t)value, 3);
    CHECK_INT(machine.polls, 4);
    /* Done: a wake does nothing; nor when the runtime is over. */
    weft_waker_wake(machine.waker);
    weft_future_release(future);
    runtime_end(runtime);
    CHECK_INT(machine.polls, 4);
    weft_waker_wake(machine.waker);
    weft_waker_release(machine.waker);
    CHECK_INT(machine.polls, 4);
}

static weft_status done_at_once(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    (void)worker;
    weft_waker_wake(waker);
    *result = state;
    return WEFT_OK;
}

static weft_status fails(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    (void)worker, (void)state, (void)waker, (void)result;
    return weft_error_set(321, "no luck");
}

TEST(done_at_the_first_call)
{
    struct drops drops = {0};
    weft_spawn_options options;
    weft_runtime *runtime = runtime_new(1);
    weft_future *future = NULL;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.arg_drop = drop_count;
    options.result_drop = drop_count;
    options.drop_ctx = &drops;
    options.name = "quick";
    OK(weft_spawn_poll(runtime, done_at_once, &drops, &options, &future));
    OK(weft_future_wait(future, WEFT_FOREVER));
    CHECK_INT(drops.count, 0);
    weft_future_release(future);
    OK(weft_spawn_poll(runtime, fails, NULL, &options, &future));
    OK(weft_future_wait(future, WEFT_FOREVER));
    CHECK_INT(weft_error_status(weft_future_error(future)), 321);
    CHECK_STR(weft_error_text(weft_future_error(future)), "no luck");
    CHECK_HAS(weft_error_origin(weft_future_error(future)), "quick");
    weft_future_release(future);
    runtime_end(runtime);
    CHECK_INT(drops.count, 1);
}

/* Woken during each call: called again after it, and others get their turn on the only thread. */
struct yielding {
    int left;
    atomic_bool others;
};

static weft_status yield_often(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    struct yielding *yielding = state;
    (void)worker;
    *result = NULL;
    if (--yielding->left == 0 && yielding->others)
        return WEFT_OK;
    if (yielding->left == 0)
        yielding->left = 1;
    weft_waker_wake(waker);
    weft_waker_wake(waker);
    return WEFT_WOULD_BLOCK;
}

static void set_others(weft_worker *worker, void *arg)
{
    (void)worker;
    ((struct yielding *)arg)->others = true;
}

static void spawn_both(weft_worker *worker, void *arg)
{
    void **both = arg;
    OK(weft_spawn(weft_worker_runtime(worker), set_others, both[0]));
    OK(weft_spawn_poll(weft_worker_runtime(worker), yield_often, both[0], NULL, (weft_future **)&both[1]));
}

TEST(one_that_wakes_itself_lets_others_run)
{
    struct yielding yielding = {100, false};
    weft_runtime *runtime = runtime_new_limited(1, 1);
    void *both[2] = {&yielding, NULL};
    OK(weft_run(runtime, spawn_both, both));
    OK(weft_future_wait(both[1], WEFT_FOREVER));
    weft_future_release(both[1]);
    runtime_end(runtime);
}

/* Wakes from many threads: none is lost, and calls do not overlap. */
static void wake_often(size_t index, void *arg)
{
    struct machine *machine = arg;
    weft_waker *mine = weft_waker_clone(machine->waker);
    (void)index;
    for (int i = 0; i < 1000; i++) {
        machine->events++;
        weft_waker_wake(mine);
    }
    weft_waker_release(mine);
}

TEST(woken_by_many_threads)
{
    struct machine machine;
    weft_runtime *runtime = runtime_new(2);
    weft_future *future = NULL;
    machine_init(&machine, 4000);
    OK(weft_spawn_poll(runtime, step, &machine, NULL, &future));
    tally_wait(&machine.polled, 1);
    threads_together(4, wake_often, &machine);
    OK(weft_future_wait(future, WEFT_FOREVER));
    weft_future_release(future);
    weft_waker_release(machine.waker);
    runtime_end(runtime);
}

/* ---- ends */

TEST(a_token_wakes_it)
{
    for (int by_future = 0; by_future < 2; by_future++) {
        struct machine machine;
        struct drops drops = {0};
        weft_spawn_options options;
        weft_runtime *runtime = runtime_new(1);
        weft_future *future = NULL;
        OK(weft_spawn_options_init(&options, sizeof options));
        OK(weft_cancel_token_new(NULL, &options.cancel));
        options.arg_drop = drop_count;
        options.drop_ctx = &drops;
        machine_init(&machine, 1);
        OK(weft_spawn_poll(runtime, step, &machine, &options, &future));
        tally_wait(&machine.polled, 1);
        if (by_future)
            weft_future_cancel(future);
        else
            OK(weft_cancel_token_trigger(options.cancel, NULL));
        OK(weft_future_wait(future, WEFT_FOREVER));
        CHECK(machine.cancelled);
        CHECK_INT(weft_future_state(future), WEFT_FUTURE_CANCELLED);
        CHECK_STR(weft_error_text(weft_future_error(future)), "asked to stop");
        CHECK_INT(drops.count, 0);
        weft_future_release(future);
        weft_waker_release(machine.waker);
        weft_cancel_token_release(options.cancel);
        runtime_end(runtime);
    }
}

static weft_status never_polled(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    (void)worker, (void)state, (void)waker, (void)result;
    CHECK(!"this must not be called");
    return WEFT_OK;
}

/* Cancelled, or discarded, before the first call. */
TEST(dropped_before_it_begins)
{
    for (int discard = 0; discard < 2; discard++) {
        struct drops drops = {0};
        weft_spawn_options options;
        weft_promise *promise = NULL;
        weft_future *before = NULL, *future = NULL;
        weft_runtime *runtime = runtime_new(1);
        OK(weft_promise_new(&promise, &before));
        OK(weft_spawn_options_init(&options, sizeof options));
        options.arg_drop = drop_count;
        options.drop_ctx = &drops;
        options.after = &before;
        options.after_len = 1;
        OK(weft_spawn_poll(runtime, never_polled, &drops, &options, &future));
        if (discard)
            OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));
        else
            weft_future_cancel(future);
        OK(weft_future_wait(future, WEFT_FOREVER));
        CHECK_INT(weft_error_status(weft_future_error(future)), discard ? WEFT_BROKEN : WEFT_CANCELLED);
        CHECK_INT(drops.count, 1);
        CHECK(drops.last == &drops);
        weft_future_release(future);
        weft_future_release(before);
        weft_promise_release(promise);
        runtime_end(runtime);
    }
}

/* A discard drops one that waits, a drain waits for it. */
TEST(a_runtime_that_ends)
{
    for (int discard = 0; discard < 2; discard++) {
        struct machine machine;
        struct drops drops = {0};
        weft_spawn_options options;
        weft_runtime *runtime = runtime_new(1);
        weft_future *future = NULL;
        OK(weft_spawn_options_init(&options, sizeof options));
        options.arg_drop = drop_count;
        options.drop_ctx = &drops;
        machine_init(&machine, 1);
        OK(weft_spawn_poll(runtime, step, &machine, &options, &future));
        tally_wait(&machine.polled, 1);
        if (!discard) {
            CHECK_STATUS(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, 0), WEFT_WOULD_BLOCK);
            CHECK_INT(weft_future_state(future), WEFT_FUTURE_PENDING);
            event(&machine);
        }
        OK(weft_runtime_shutdown(runtime, discard ? WEFT_SHUTDOWN_DISCARD : WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
        OK(weft_future_wait(future, 0));
        CHECK_INT(drops.count, discard);
        CHECK_INT(weft_future_state(future), discard ? WEFT_FUTURE_FAILED : WEFT_FUTURE_READY);
        if (discard)
            CHECK_INT(weft_error_status(weft_future_error(future)), WEFT_BROKEN);
        weft_waker_wake(machine.waker);
        weft_waker_release(machine.waker);
        weft_future_release(future);
        weft_runtime_release(runtime);
    }
}

static weft_status forget_the_waker(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    (void)worker, (void)state, (void)waker, (void)result;
    return WEFT_WOULD_BLOCK;
}

/* Nobody can continue it: it is dropped, and nothing waits for it. */
TEST(one_that_nobody_can_wake)
{
    struct drops drops = {0};
    struct machine machine;
    weft_spawn_options options;
    weft_runtime *runtime = runtime_new(1);
    weft_future *future = NULL;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.arg_drop = drop_count;
    options.drop_ctx = &drops;
    OK(weft_spawn_poll(runtime, forget_the_waker, NULL, &options, &future));
    OK(weft_future_wait(future, WEFT_FOREVER));
    CHECK_INT(weft_error_status(weft_future_error(future)), WEFT_BROKEN);
    CHECK_INT(drops.count, 1);
    weft_future_release(future);
    machine_init(&machine, 1);
    OK(weft_spawn_poll(runtime, step, &machine, &options, &future));
    tally_wait(&machine.polled, 1);
    weft_waker_release(machine.waker);
    OK(weft_future_wait(future, WEFT_FOREVER));
    CHECK_INT(weft_error_status(weft_future_error(future)), WEFT_BROKEN);
    CHECK_INT(drops.count, 2);
    weft_future_release(future);
    runtime_end(runtime);
}

/* Many at once, waking each other in a ring. */
struct ring {
    weft_waker *_Atomic waker;
    struct ring *next;
    atomic_int tokens;
    atomic_int *left;
};

static weft_status pass_token(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    struct ring *ring = state;
    (void)worker;
    *result = NULL;
    if (ring->waker == NULL)
        ring->waker = weft_waker_clone(waker);
    for (;;) {
        int left = *ring->left;
        weft_waker *next = ring->next->waker;
        if (left <= 0) {
            if (next != NULL)
                weft_waker_wake(next);
            return WEFT_OK;
        }
        if (ring->tokens == 0)
            return WEFT_WOULD_BLOCK;
        if (next == NULL) {
            /* It has not begun. */
            weft_waker_wake(waker);
            return WEFT_WOULD_BLOCK;
        }
        ring->tokens--;
        ring->next->tokens++;
        --*ring->left;
        weft_waker_wake(next);
    }
}

TEST(a_ring)
{
    enum { SIZE = 10 };
    struct ring ring[SIZE];
    weft_future *futures[SIZE];
    atomic_int left = under_a_tool() ? 500 : 20000;
    weft_runtime *runtime = runtime_new(2);
    for (int i = 0; i < SIZE; i++)
        ring[i] = (struct ring){NULL, &ring[(i + 1) % SIZE], i == 0 ? 2 : 0, &left};
    for (int i = 0; i < SIZE; i++)
        OK(weft_spawn_poll(runtime, pass_token, &ring[i], NULL, &futures[i]));
    for (int i = 0; i < SIZE; i++) {
        OK(weft_future_wait(futures[i], WEFT_FOREVER));
        weft_future_release(futures[i]);
    }
    runtime_end(runtime);
    for (int i = 0; i < SIZE; i++)
        weft_waker_release(ring[i].waker);
}

/* ---- waiting for oneself */

struct selfish {
    gate known;
    weft_future *future;
};

static weft_status wait_for_myself(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    struct selfish *selfish = state;
    (void)worker, (void)waker, (void)result;
    gate_wait(&selfish->known);
    CHECK_REFUSED(weft_future_wait(selfish->future, WEFT_FOREVER), WEFT_DEADLOCK, "the task which waits");
    CHECK_STATUS(weft_future_wait(selfish->future, 1000), WEFT_DEADLOCK);
    CHECK_STATUS(weft_future_wait(selfish->future, 0), WEFT_WOULD_BLOCK);
    return WEFT_OK;
}

TEST(a_wait_for_its_own_future_is_told)
{
    struct selfish selfish = {GATE_INIT, NULL};
    uint64_t before = weft_deadlock_count();
    OK(weft_spawn_poll(NULL, wait_for_myself, &selfish, NULL, &selfish.future));
    gate_open(&selfish.known);
    OK(weft_future_wait(selfish.future, WEFT_FOREVER));
    CHECK_INT(weft_deadlock_count(), before);
    weft_future_release(selfish.future);
}
