/* Tasks that wait: a waiting task passes its turn on, so no wait can starve what it waits for.
 *
 * The tests reason from a runtime with one worker: only one of its threads runs at a time, so when a task runs, every task
 * that started before it and has not ended is waiting. That replaces all guessing about who has begun to wait.
 */
#include "support.h"

#include <sched.h>

#include <stdlib.h>

enum { MANY = 200 };

struct crowd {
    weft_channel *channel;
    weft_promise *promise;
    weft_future *future;
    atomic_int started;
    atomic_int finished;
    atomic_int blocked_seen;
    uint64_t sum;
    pthread_mutex_t mutex;
};

static void send_all(weft_worker *worker, void *arg)
{
    struct crowd *crowd = arg;
    (void)worker;
    for (uint64_t i = 0; i < MANY; i++)
        OK(weft_channel_send(crowd->channel, &i, WEFT_FOREVER));
}

static void count_blocked_and_send(weft_worker *worker, void *arg)
{
    struct crowd *crowd = arg;
    weft_runtime_stats stats = runtime_stats(weft_worker_runtime(worker));
    crowd->blocked_seen = (int)stats.blocked;
    CHECK_INT(stats.active, 1);
    CHECK(stats.threads > MANY);
    send_all(worker, arg);
}

static void receive(weft_worker *worker, void *arg)
{
    struct crowd *crowd = arg;
    uint64_t element = 0;
    /* The last to start spawns the senders: nobody has sent before all have begun to wait. */
    if (atomic_fetch_add(&crowd->started, 1) + 1 == MANY)
        OK(weft_spawn(weft_worker_runtime(worker), count_blocked_and_send, crowd));
    CHECK_STATUS(weft_channel_recv(crowd->channel, &element, WEFT_FOREVER), WEFT_OK);
    pthread_mutex_lock(&crowd->mutex);
    crowd->sum += element;
    pthread_mutex_unlock(&crowd->mutex);
    atomic_fetch_add(&crowd->finished, 1);
}

static void receivers_before_senders(size_t capacity)
{
    struct crowd crowd = {.channel = channel_new(8, capacity), .mutex = PTHREAD_MUTEX_INITIALIZER};
    weft_runtime *runtime = runtime_new(1);
    for (int i = 0; i < MANY; i++)
        OK(weft_spawn(runtime, receive, &crowd));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK_INT(crowd.finished, MANY);
    CHECK_INT(crowd.sum, (uint64_t)MANY * (MANY - 1) / 2);
    CHECK_INT(crowd.blocked_seen, MANY);
    CHECK(stats.blocks >= MANY);
    CHECK(stats.threads_peak > MANY && stats.threads_peak <= 256);
    weft_runtime_release(runtime);
    weft_channel_release(crowd.channel);
}

TEST(two_hundred_receivers_before_their_sender_rendezvous) { receivers_before_senders(0); }
TEST(two_hundred_receivers_before_their_sender_bounded) { receivers_before_senders(10); }
TEST(two_hundred_receivers_before_their_sender_unbounded) { receivers_before_senders(WEFT_UNBOUNDED); }

static void settle(weft_worker *worker, void *arg)
{
    struct crowd *crowd = arg;
    (void)worker;
    CHECK_INT(crowd->started, MANY);
    OK(weft_promise_resolve(crowd->promise, crowd, NULL, NULL));
}

static void await(weft_worker *worker, void *arg)
{
    struct crowd *crowd = arg;
    void *value = NULL;
    if (atomic_fetch_add(&crowd->started, 1) + 1 == MANY)
        OK(weft_spawn(weft_worker_runtime(worker), settle, crowd));
    if (atomic_load(&crowd->started) % 2 == 0)
        CHECK_STATUS(weft_future_wait(crowd->future, WEFT_FOREVER), WEFT_OK);
    CHECK_STATUS(weft_future_get(crowd->future, WEFT_FOREVER, &value), WEFT_OK);
    CHECK(value == crowd);
    atomic_fetch_add(&crowd->finished, 1);
}

TEST(two_hundred_tasks_wait_for_one_future)
{
    struct crowd crowd = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    weft_runtime *runtime = runtime_new(1);
    OK(weft_promise_new(&crowd.promise, &crowd.future));
    for (int i = 0; i < MANY; i++)
        OK(weft_spawn(runtime, await, &crowd));
    runtime_end(runtime);
    CHECK_INT(crowd.finished, MANY);
    weft_promise_release(crowd.promise);
    weft_future_release(crowd.future);
}

/* ---- two halves, or two indices, that need each other */

static void half_receive(weft_worker *worker, void *arg)
{
    uint64_t element = 0;
    (void)worker;
    CHECK_STATUS(weft_channel_recv(arg, &element, WEFT_FOREVER), WEFT_OK);
    CHECK_INT(element, 11);
}

static void half_send(weft_worker *worker, void *arg)
{
    uint64_t element = 11;
    (void)worker;
    CHECK_STATUS(weft_channel_send(arg, &element, WEFT_FOREVER), WEFT_OK);
}

static void halves_that_talk(weft_worker *worker, void *arg)
{
    OK(weft_join(worker, half_receive, arg, half_send, arg));
    OK(weft_join(worker, half_send, arg, half_receive, arg));
}

TEST(halves_of_a_join_may_wait_for_each_other)
{
    weft_runtime *runtime = runtime_new(1);
    weft_channel *channel = channel_new(8, 0);
    OK(weft_run(runtime, halves_that_talk, channel));
    runtime_end(runtime);
    weft_channel_release(channel);
}

static weft_status first_receives(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    CHECK_INT(end - begin, 1);
    if (begin == 0)
        half_receive(worker, arg);
    else
        half_send(worker, arg);
    return WEFT_OK;
}

TEST(indices_of_a_loop_may_wait_for_each_other)
{
    weft_loop_options options;
    weft_runtime *runtime = runtime_new(1);
    weft_channel *channel = channel_new(8, 0);
    OK(weft_loop_options_init(&options, sizeof options));
    options.grain = 1;
    OK(weft_for(runtime, 0, 2, first_receives, channel, &options, NULL));
    runtime_end(runtime);
    weft_channel_release(channel);
}

/* ---- what a blocked task waits for comes before what would block as well */

static void send_a_number(weft_worker *worker, void *arg)
{
    uint64_t number = 1;
    (void)worker;
    OK(weft_channel_send(arg, &number, WEFT_FOREVER));
}

static void ask_and_wait(weft_worker *worker, void *arg)
{
    uint64_t number = 0;
    weft_channel *channel = channel_new(8, 1);
    (void)worker;
    (void)arg;
    OK(weft_spawn(NULL, send_a_number, channel));
    OK(weft_channel_recv(channel, &number, WEFT_FOREVER));
    weft_channel_release(channel);
}

static void tree_of_waits(weft_worker *worker, void *arg)
{
    int *depth = arg, below = *depth - 1;
    if (*depth == 0) {
        ask_and_wait(worker, NULL);
        return;
    }
    weft_fork(worker, tree_of_waits, &below);
    tree_of_waits(weft_next(worker), &below);
    if (weft_sync(worker))
        tree_of_waits(worker, &below);
}

static weft_status each_waits(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    for (; begin < end; begin++)
        ask_and_wait(worker, arg);
    return WEFT_OK;
}

TEST(many_halves_that_wait_for_tasks_of_their_own)
{
    int depth = under_a_tool() ? 7 : 12;
    for (int32_t workers = 1; workers <= 3; workers++) {
        weft_runtime *runtime = runtime_new(workers);
        weft_loop_options options;
        OK(weft_loop_options_init(&options, sizeof options));
        options.grain = 1;
        OK(weft_run(runtime, tree_of_waits, &depth));
        OK(weft_for(runtime, 0, 1u << depth, each_waits, NULL, &options, NULL));
        runtime_end(runtime);
    }
}

/* ---- a thread that blocks leaves its turn to halves that nobody had asked for */

struct private_halves {
    weft_channel *channel;
    _Atomic int elsewhere;
    int home;
};

static void note_elsewhere(weft_worker *worker, void *arg)
{
    struct private_halves *halves = arg;
    if (weft_worker_index(worker) != halves->home)
        halves->elsewhere++;
}

static void fork_until_somebody_helps(weft_worker *worker, void *arg)
{
    struct private_halves *halves = arg;
    halves->home = weft_worker_index(worker);
    while (!halves->elsewhere) {
        weft_fork(worker, note_elsewhere, halves);
        sched_yield();
        if (weft_sync(worker))
            note_elsewhere(worker, halves);
    }
    uint64_t done = 1;
    OK(weft_channel_send(halves->channel, &done, WEFT_FOREVER));
}

static void wait_for_the_end(weft_worker *worker, void *arg)
{
    struct private_halves *halves = arg;
    uint64_t done = 0;
    (void)worker;
    OK(weft_channel_recv(halves->channel, &done, WEFT_FOREVER));
}

TEST(a_blocked_threads_turn_goes_to_private_halves)
{
    for (int i = 0; i < 50; i++) {
        weft_runtime *runtime = runtime_new(2);
        struct private_halves halves = {.channel = channel_new(8, 1)};
        OK(weft_spawn(runtime, fork_until_somebody_helps, &halves));
        OK(weft_run(runtime, wait_for_the_end, &halves));
        runtime_end(runtime);
        weft_channel_release(halves.channel);
    }
}

/* ---- calls that the runtime does not know */

static void block_elsewhere(weft_worker *worker, void *arg)
{
    gate *passage = arg;
    OK(weft_blocking_begin(worker));
    OK(weft_blocking_begin(NULL));
    gate_wait(passage);
    OK(weft_blocking_end(NULL));
    OK(weft_blocking_end(worker));
}

static void open_it(weft_worker *worker, void *arg)
{
    (void)worker;
    gate_open(arg);
}

TEST(a_foreign_wait_leaves_the_worker_to_others)
{
    for (int i = 0; i < 50; i++) {
        gate passage = GATE_INIT;
        weft_runtime *runtime = runtime_new(1);
        OK(weft_spawn(runtime, block_elsewhere, &passage));
        OK(weft_run(runtime, open_it, &passage));
        runtime_end(runtime);
    }
}

static void fork_and_wait(weft_worker *worker, void *arg)
{
    gate passage = GATE_INIT;
    (void)arg;
    weft_fork(worker, open_it, &passage);
    block_elsewhere(weft_next(worker), &passage);
    CHECK(!weft_sync(worker));
}

static void forget_the_end(weft_worker *worker, void *arg)
{
    (void)arg;
    OK(weft_blocking_begin(worker));
    OK(weft_blocking_begin(worker));
}

TEST(a_foreign_wait_shares_what_was_forked)
{
    weft_runtime *runtime = runtime_new(1);
    for (int i = 0; i < 50; i++)
        OK(weft_run(runtime, fork_and_wait, NULL));
    runtime_end(runtime);
}

TEST(a_forgotten_end_of_blocking_is_made_up_for)
{
    weft_runtime *runtime = runtime_new(2);
    for (int i = 0; i < 50; i++)
        OK(weft_run(runtime, forget_the_end, NULL));
    CHECK_INT(runtime_stats(runtime).blocked, 0);
    runtime_end(runtime);
}

/* A half that runs long without calling anything shares what is below it when it yields. */
static void fork_and_yield(weft_worker *worker, void *arg)
{
    gate passage = GATE_INIT;
    (void)arg;
    weft_fork(worker, open_it, &passage);
    while (tally_count(&passage) == 0)
        OK(weft_yield(weft_next(worker)));
    CHECK(!weft_sync(worker));
}

TEST(a_long_half_shares_when_it_yields)
{
    weft_runtime *runtime = runtime_new(2);
    for (int i = 0; i < 50; i++)
        OK(weft_run(runtime, fork_and_yield, NULL));
    runtime_end(runtime);
}

/* ---- the ceiling */

static void nothing(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
}

struct ceiling {
    weft_channel *never;
    weft_future *future;
    atomic_int started;
    atomic_int finished;
    struct tally third_has_waited;
};

static void fill_the_ceiling(weft_worker *worker, void *arg)
{
    struct ceiling *ceiling = arg;
    int order = atomic_fetch_add(&ceiling->started, 1);
    uint64_t element;
    if (order < 2)
        CHECK_STATUS(weft_future_wait(ceiling->future, WEFT_FOREVER), WEFT_OK);
    if (order == 2) {
        /* All three threads are taken, work is queued, and this one waits as well, for what never comes. */
        OK(weft_spawn(weft_worker_runtime(worker), nothing, NULL));
        CHECK_STATUS(weft_channel_recv(ceiling->never, &element, 20000000), WEFT_TIMEOUT);
        tally_add(&ceiling->third_has_waited, 1);
    }
    atomic_fetch_add(&ceiling->finished, 1);
}

TEST(the_ceiling_is_held_and_reported)
{
    struct ceiling ceiling = {.never = channel_new(8, 0), .third_has_waited = TALLY_INIT};
    weft_runtime *runtime = runtime_new_limited(1, 3);
    weft_promise *promise = NULL;
    OK(weft_promise_new(&promise, &ceiling.future));
    for (int i = 0; i < 20; i++)
        OK(weft_spawn(runtime, fill_the_ceiling, &ceiling));
    tally_wait(&ceiling.third_has_waited, 1);
    OK(weft_promise_resolve(promise, NULL, NULL, NULL));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK_INT(ceiling.finished, 20);
    CHECK(stats.ceiling_hits >= 1);
    CHECK_INT(stats.threads_peak, 3);
    weft_runtime_release(runtime);
    weft_promise_release(promise);
    weft_future_release(ceiling.future);
    weft_channel_release(ceiling.never);
}

TEST(no_ceiling_no_report)
{
    struct crowd crowd = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    weft_runtime *runtime = runtime_new(1);
    OK(weft_promise_new(&crowd.promise, &crowd.future));
    for (int i = 0; i < MANY; i++)
        OK(weft_spawn(runtime, await, &crowd));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(runtime_stats(runtime).ceiling_hits, 0);
    weft_runtime_release(runtime);
    weft_promise_release(crowd.promise);
    weft_future_release(crowd.future);
}

/* ---- a task of one runtime that waits for another's */

static void run_there(weft_worker *worker, void *arg)
{
    weft_runtime *const *runtimes = arg;
    uint64_t element = 11;
    (void)worker;
    weft_channel *channel = channel_new(8, 0);
    OK(weft_spawn(runtimes[1], half_receive, channel));
    OK(weft_channel_send(channel, &element, WEFT_FOREVER));
    weft_channel_release(channel);
}

TEST(runtimes_talk_to_each_other)
{
    weft_runtime *runtimes[2] = {runtime_new(1), runtime_new(1)};
    for (int i = 0; i < 50; i++)
        OK(weft_run(runtimes[0], run_there, runtimes));
    runtime_end(runtimes[0]);
    runtime_end(runtimes[1]);
}
