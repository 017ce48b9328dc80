/* Shutting a runtime down: draining and discarding, timeouts, more than once, from its own workers. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

static void count(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static weft_status count_call(weft_worker *worker, void *arg, void **result)
{
    count(worker, arg);
    *result = arg;
    return WEFT_OK;
}

/* A task that occupies its worker until told, and then, if asked, spawns. */
struct holder {
    gate started;
    gate release;
    weft_status on_spawn;
    atomic_int spawned_ran;
};

#define HOLDER_INIT {GATE_INIT, GATE_INIT, WEFT_OK, 0}

static void hold(weft_worker *worker, void *arg)
{
    struct holder *holder = arg;
    gate_open(&holder->started);
    gate_wait(&holder->release);
    holder->on_spawn = weft_spawn(weft_worker_runtime(worker), count, &holder->spawned_ran);
}

static weft_runtime *held_runtime(struct holder *holder)
{
    weft_runtime *runtime = runtime_new(1);
    OK(weft_spawn(runtime, hold, holder));
    gate_wait(&holder->started);
    return runtime;
}

/* A binary tree of tasks, each of which spawns its two children. */
struct tree {
    atomic_int ran;
    int depth;
};

struct node {
    struct tree *tree;
    int depth;
};

static void grow(weft_worker *worker, void *arg)
{
    struct node *node = arg;
    atomic_fetch_add(&node->tree->ran, 1);
    for (int i = 0; i < 2 && node->depth > 0; i++) {
        struct node *child = malloc(sizeof *child);
        REQUIRE(child != NULL);
        *child = (struct node){node->tree, node->depth - 1};
        OK(weft_spawn(weft_worker_runtime(worker), grow, child));
    }
    free(node);
}

TEST(drain_runs_what_tasks_spawn)
{
    for (int32_t workers = 1; workers <= 3; workers++) {
        struct tree tree = {0, 11};
        struct node *root = malloc(sizeof *root);
        weft_runtime *runtime = runtime_new(workers);
        REQUIRE(root != NULL);
        *root = (struct node){&tree, tree.depth};
        OK(weft_spawn(runtime, grow, root));
        OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
        CHECK_INT(tree.ran, (1 << (tree.depth + 1)) - 1);
        weft_runtime_stats stats = runtime_stats(runtime);
        CHECK_INT(stats.spawned, tree.ran);
        CHECK_INT(stats.executed, tree.ran);
        CHECK_INT(stats.threads, 0);
        weft_runtime_release(runtime);
    }
}

TEST(drain_refuses_the_outside_and_serves_tasks)
{
    struct holder holder = HOLDER_INIT;
    atomic_int ran = 0;
    weft_runtime *runtime = held_runtime(&holder);
    weft_future *future = SENTINEL;
    OK(weft_spawn(runtime, count, &ran));
    CHECK_STATUS(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, 0), WEFT_WOULD_BLOCK);

    CHECK_REFUSED(weft_spawn(runtime, count, &ran), WEFT_SHUTDOWN, "shut");
    CHECK_REFUSED(weft_spawn_with(runtime, count, &ran, NULL), WEFT_SHUTDOWN, "shut");
    CHECK_REFUSED(weft_async(runtime, count_call, &ran, NULL, &future), WEFT_SHUTDOWN, "shut");
    CHECK(future == SENTINEL);
    CHECK_REFUSED(weft_run(runtime, count, &ran), WEFT_SHUTDOWN, "shut");

    gate_open(&holder.release);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_STATUS(holder.on_spawn, WEFT_OK);
    CHECK_INT(holder.spawned_ran, 1);
    CHECK_INT(ran, 1);
    weft_runtime_release(runtime);
}

TEST(discard_drops_what_can_be_dropped)
{
    enum { TASKS = 50 };
    struct holder holder = HOLDER_INIT;
    struct drops drops = {0};
    atomic_int ran_with_drop = 0, ran_without = 0;
    weft_future *with_drop[TASKS], *without[TASKS];
    weft_spawn_options options;
    weft_runtime *runtime = held_runtime(&holder);
    OK(weft_spawn_options_init(&options, sizeof options));
    options.arg_drop = drop_count;
    options.drop_ctx = &drops;
    for (int i = 0; i < TASKS; i++) {
        OK(weft_spawn(runtime, count, &ran_without));
        OK(weft_spawn_with(runtime, count, &ran_with_drop, &options));
        OK(weft_async(runtime, count_call, &ran_without, NULL, &without[i]));
        OK(weft_async(runtime, count_call, &ran_with_drop, &options, &with_drop[i]));
    }
    CHECK_STATUS(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, 0), WEFT_WOULD_BLOCK);
    gate_open(&holder.release);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));

    CHECK_STATUS(holder.on_spawn, WEFT_SHUTDOWN);
    CHECK_INT(holder.spawned_ran, 0);
    CHECK_INT(ran_with_drop, 0);
    CHECK_INT(drops.count, 2 * TASKS);
    CHECK(drops.last == &ran_with_drop);
    CHECK_INT(ran_without, 2 * TASKS);
    CHECK_INT(runtime_stats(runtime).discarded, 2 * TASKS);
    CHECK_INT(runtime_stats(runtime).executed, 2 * TASKS + 1);
    CHECK_INT(runtime_stats(runtime).spawned, 4 * TASKS + 1);
    for (int i = 0; i < TASKS; i++) {
        void *value = SENTINEL;
        OK(weft_future_get(without[i], 0, &value));
        CHECK(value == &ran_without);
        value = SENTINEL;
        CHECK_STATUS(weft_future_get(with_drop[i], 0, &value), WEFT_BROKEN);
        CHECK(value == SENTINEL);
        CHECK_INT(weft_future_state(with_drop[i]), WEFT_FUTURE_FAILED);
        weft_future_release(without[i]);
        weft_future_release(with_drop[i]);
    }
    weft_runtime_release(runtime);
}

/* With nothing to wait for it is done at once, or goes on in the background; and is done when asked to wait. */
TEST(an_idle_runtime)
{
    for (int mode = WEFT_SHUTDOWN_DRAIN; mode <= WEFT_SHUTDOWN_DISCARD; mode++) {
        weft_runtime *runtime = runtime_new(2);
        weft_status status = weft_runtime_shutdown(runtime, mode, -5);
        CHECK(status == WEFT_OK || status == WEFT_WOULD_BLOCK);
        OK(weft_runtime_shutdown(runtime, mode, WEFT_FOREVER));
        weft_runtime_release(runtime);
    }
}

TEST(twice_is_fine)
{
    atomic_int ran = 0;
    weft_runtime *runtime = runtime_new(2);
    OK(weft_spawn(runtime, count, &ran));
    for (int i = 0; i < 3; i++)
        OK(weft_runtime_shutdown(runtime, i % 2, WEFT_FOREVER));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, 0));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, -1));
    CHECK_INT(ran, 1);
    CHECK_INT(weft_runtime_workers(runtime), 2);
    CHECK_STATUS(weft_spawn(runtime, count, &ran), WEFT_SHUTDOWN);
    CHECK_STATUS(weft_run(runtime, count, &ran), WEFT_SHUTDOWN);
    CHECK_INT(ran, 1);
    weft_runtime_release(runtime);
}

static void shut_down(size_t index, void *arg)
{
    CHECK_STATUS(weft_runtime_shutdown(arg, (int32_t)(index % 2), WEFT_FOREVER), WEFT_OK);
}

TEST(from_several_threads_at_once)
{
    for (int round = 0; round < 20; round++) {
        atomic_int ran = 0;
        weft_runtime *runtime = runtime_new(2);
        for (int i = 0; i < 100; i++)
            OK(weft_spawn(runtime, count, &ran));
        threads_together(4, shut_down, runtime);
        CHECK_INT(ran, 100);
        weft_runtime_release(runtime);
    }
}

TEST(a_timeout_goes_on_in_the_background)
{
    struct holder holder = HOLDER_INIT;
    atomic_int ran = 0;
    weft_runtime *runtime = held_runtime(&holder);
    OK(weft_spawn(runtime, count, &ran));
    CHECK_STATUS(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, 1000000), WEFT_TIMEOUT);
    CHECK_STATUS(weft_spawn(runtime, count, &ran), WEFT_SHUTDOWN);
    gate_open(&holder.release);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(ran, 1);
    weft_runtime_release(runtime);
}

static void shut_down_own(weft_worker *worker, void *arg)
{
    weft_runtime *runtime = weft_worker_runtime(worker);
    CHECK_REFUSED(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER), WEFT_DEADLOCK, "own runtime");
    CHECK_REFUSED(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, 1), WEFT_DEADLOCK, "own runtime");
    OK(weft_spawn(runtime, count, arg));
}

static void begin_own_shutdown(weft_worker *worker, void *arg)
{
    weft_runtime *runtime = weft_worker_runtime(worker);
    CHECK_STATUS(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, 0), WEFT_WOULD_BLOCK);
    OK(weft_spawn(runtime, count, arg));
}

TEST(from_an_own_worker)
{
    atomic_int ran = 0;
    weft_runtime *runtime = runtime_new(2);
    OK(weft_run(runtime, shut_down_own, &ran));
    /* Nothing was begun: the outside may go on as well. */
    OK(weft_run(runtime, count, &ran));
    OK(weft_run(runtime, begin_own_shutdown, &ran));
    CHECK_STATUS(weft_spawn(runtime, count, &ran), WEFT_SHUTDOWN);
    runtime_end(runtime);
    CHECK_INT(ran, 3);
}

static void shut_down_other(weft_worker *worker, void *arg)
{
    (void)worker;
    OK(weft_runtime_shutdown(arg, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
}

TEST(from_a_worker_of_another_runtime)
{
    atomic_int ran = 0;
    weft_runtime *one = runtime_new(1), *other = runtime_new(1);
    for (int i = 0; i < 100; i++)
        OK(weft_spawn(other, count, &ran));
    OK(weft_run(one, shut_down_other, other));
    CHECK_INT(ran, 100);
    weft_runtime_release(other);
    runtime_end(one);
}

struct receiver {
    weft_channel *channel;
    gate started;
    atomic_int got;
};

static void receive_one(weft_worker *worker, void *arg)
{
    struct receiver *receiver = arg;
    uint64_t element = 0;
    (void)worker;
    gate_open(&receiver->started);
    CHECK_STATUS(weft_channel_recv(receiver->channel, &element, WEFT_FOREVER), WEFT_OK);
    atomic_fetch_add(&receiver->got, (int)element);
}

TEST(drain_waits_for_tasks_that_wait)
{
    struct receiver receiver = {channel_new(8, 0), GATE_INIT, 0};
    uint64_t element = 5;
    weft_runtime *runtime = runtime_new(1);
    OK(weft_spawn(runtime, receive_one, &receiver));
    gate_wait(&receiver.started);
    CHECK_STATUS(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, 1000000), WEFT_TIMEOUT);
    OK(weft_channel_send(receiver.channel, &element, WEFT_FOREVER));
    runtime_end(runtime);
    CHECK_INT(receiver.got, 5);
    weft_channel_release(receiver.channel);
}

TEST(unknown_modes_begin_nothing)
{
    static const int32_t modes[] = {-1, 2, INT32_MIN, INT32_MAX};
    atomic_int ran = 0;
    weft_runtime *runtime = runtime_new(1);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        CHECK_INVALID(weft_runtime_shutdown(runtime, modes[i], WEFT_FOREVER), "mode");
    OK(weft_run(runtime, count, &ran));
    runtime_end(runtime);
    CHECK_INT(ran, 1);
}
