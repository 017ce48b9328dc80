/* Statistics: exact where a workload makes them exact, and in proportion everywhere. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

static void count(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static weft_status call(weft_worker *worker, void *arg, void **result)
{
    count(worker, arg);
    *result = NULL;
    return WEFT_OK;
}

TEST(a_fresh_runtime)
{
    weft_runtime *runtime = runtime_new(3);
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK_INT(stats.size, sizeof stats);
    CHECK_INT(stats.workers, 3);
    CHECK(stats.threads <= 3);
    CHECK(stats.threads_peak >= stats.threads && stats.threads_peak <= 3);
    CHECK_INT(stats.blocked, 0);
    CHECK_INT(stats.spawned, 0);
    CHECK_INT(stats.executed, 0);
    CHECK_INT(stats.discarded, 0);
    CHECK_INT(stats.panicked, 0);
    CHECK_INT(stats.shared, 0);
    CHECK_INT(stats.steals, 0);
    CHECK_INT(stats.blocks, 0);
    CHECK_INT(stats.ceiling_hits, 0);
    CHECK_INT(stats.start_failures, 0);
    runtime_end(runtime);
}

TEST(tasks_are_counted)
{
    enum { TASKS = 300 };
    atomic_int ran = 0;
    weft_runtime *runtime = runtime_new(2);
    for (int i = 0; i < TASKS; i++) {
        weft_future *future = NULL;
        OK(weft_spawn(runtime, count, &ran));
        OK(weft_spawn_with(runtime, count, &ran, NULL));
        OK(weft_async(runtime, call, &ran, NULL, &future));
        weft_future_release(future);
    }
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK_INT(ran, 3 * TASKS);
    CHECK_INT(stats.spawned, 3 * TASKS);
    CHECK_INT(stats.executed, 3 * TASKS);
    CHECK_INT(stats.discarded, 0);
    CHECK_INT(stats.panicked, 0);
    CHECK_INT(stats.threads, 0);
    CHECK_INT(stats.active, 0);
    CHECK_INT(stats.idle, 0);
    CHECK_INT(stats.blocked, 0);
    CHECK(stats.threads_peak >= 1 && stats.threads_peak <= 2);
    /* One wakes whom it finds asleep: never more often than they lay down. */
    CHECK(stats.wakes <= stats.parks + stats.threads_peak);
    weft_runtime_release(runtime);
}

static void nothing(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
}

static void many_joins(weft_worker *worker, void *arg)
{
    for (int i = 0; i < *(int *)arg; i++)
        OK(weft_join(worker, nothing, NULL, nothing, NULL));
}


struct stolen {
    gate thief_has_it;
};

static void wait_for_the_thief(weft_worker *worker, void *arg)
{
    struct stolen *stolen = arg;
    (void)worker;
    gate_wait(&stolen->thief_has_it);
}

static void be_stolen(weft_worker *worker, void *arg)
{
    struct stolen *stolen = arg;
    (void)worker;
    gate_open(&stolen->thief_has_it);
}

static void join_with_a_thief(weft_worker *worker, void *arg)
{
    OK(weft_join(worker, wait_for_the_thief, arg, be_stolen, arg));
}

/* The first half keeps its worker until the second has run, so that another worker must have taken it. */
TEST(a_stolen_half_is_counted)
{
    struct stolen stolen = {GATE_INIT};
    weft_runtime *runtime = runtime_new(2);
    OK(weft_run(runtime, join_with_a_thief, &stolen));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK(stats.steals >= 1);
    CHECK_INT(stats.shared, 1);
    CHECK_INT(stats.threads_peak, 2);
    weft_runtime_release(runtime);
}

TEST(one_worker_steals_nothing)
{
    int joins = 100;
    weft_runtime *runtime = runtime_new(1);
    OK(weft_run(runtime, many_joins, &joins));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(runtime_stats(runtime).steals, 0);
    CHECK_INT(runtime_stats(runtime).shared, 0);
    weft_runtime_release(runtime);
}

TEST(sizes_of_the_struct)
{
    struct {
        weft_runtime_stats stats;
        unsigned char later[32];
    } larger;
    weft_runtime *runtime = runtime_new(1);
    weft_runtime_stats stats;
    memset(&stats, 0xee, sizeof stats);
    stats.size = 0;
    CHECK_INVALID(weft_runtime_stats_get(runtime, &stats), "size");
    stats.size = sizeof(size_t);
    CHECK_INVALID(weft_runtime_stats_get(runtime, &stats), "size");
    CHECK_INT(stats.spawned, 0xeeeeeeeeeeeeeeee);

    memset(&larger, 0, sizeof larger);
    larger.stats.size = sizeof larger;
    OK(weft_runtime_stats_get(runtime, &larger.stats));
    CHECK_INT(larger.stats.size, sizeof larger);
    CHECK_INT(larger.stats.workers, 1);
    for (size_t i = 0; i < sizeof larger.later; i++)
        CHECK_INT(larger.later[i], 0);
    runtime_end(runtime);
}

static void read_stats(size_t index, void *arg)
{
    uint64_t last = 0;
    (void)index;
    for (int i = 0; i < 200; i++) {
        weft_runtime_stats stats = runtime_stats(arg);
        CHECK(stats.executed >= last);
        CHECK(stats.executed <= stats.spawned);
        CHECK(stats.threads <= stats.threads_peak);
        last = stats.executed;
    }
}

static void spawn_tree(weft_worker *worker, void *arg)
{
    uintptr_t depth = (uintptr_t)arg;
    for (int i = 0; i < 2 && depth > 0; i++)
        OK(weft_spawn(weft_worker_runtime(worker), spawn_tree, (void *)(depth - 1)));
}

/* Read while tasks run: counters grow, and never show more done than begun. */
TEST(readable_at_any_time)
{
    weft_runtime *runtime = runtime_new(2);
    OK(weft_spawn(runtime, spawn_tree, (void *)(uintptr_t)12));
    threads_together(2, read_stats, runtime);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(runtime_stats(runtime).executed, (1 << 13) - 1);
    weft_runtime_release(runtime);
}
