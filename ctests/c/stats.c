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
    CHECK_INT(stats.remote_steals, 0);
    CHECK_INT(stats.blocked_ns, 0);
    CHECK_INT(stats.spares_started, 0);
    CHECK_INT(stats.spares_retired, 0);
    CHECK_INT(stats.pin_failures, 0);
    CHECK_INT(stats.stalls, 0);
    CHECK_INT(stats.replaced, 0);
    CHECK_INT(stats.queued, 0);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(stats.lanes[i].queued, 0);
        CHECK_INT(stats.lanes[i].peak, 0);
        CHECK_INT(stats.lanes[i].taken, 0);
        CHECK_INT(stats.lanes[i].waited_ns, 0);
    }
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

/* The number of workers there have been; adds up what they have done. */
static uint32_t sum_workers(weft_runtime *runtime, weft_worker_stats *sum)
{
    weft_worker_stats one = {.size = sizeof one};
    uint32_t index = 0;
    memset(sum, 0, sizeof *sum);
    for (; weft_runtime_worker_stats_get(runtime, index, &one) == WEFT_OK; index++) {
        CHECK_INT(one.size, sizeof one);
        CHECK_INT(one.cpu, -1);
        CHECK_INT(one.node, 0);
        /* All members after these are counters. */
        for (size_t at = offsetof(weft_worker_stats, spawned); at < sizeof one; at += sizeof(uint64_t))
            *(uint64_t *)((char *)sum + at) += *(uint64_t *)((char *)&one + at);
    }
    CHECK_REFUSED(weft_runtime_worker_stats_get(runtime, index, &one), WEFT_NOT_FOUND, "index");
    return index;
}

static void leave_some(weft_worker *worker, void *arg)
{
    for (int i = 0; i < 5; i++)
        OK(weft_spawn(weft_worker_runtime(worker), count, arg));
    many_joins(worker, &(int){3});
}

TEST(workers_add_up_to_their_runtime)
{
    enum { TASKS = 200 };
    atomic_int ran = 0;
    weft_worker_stats sum;
    weft_runtime *runtime = runtime_new(2);
    for (int i = 0; i < TASKS; i++)
        OK(weft_spawn(runtime, leave_some, &ran));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK_INT(sum_workers(runtime, &sum), stats.threads_peak);
    CHECK_INT(stats.executed, 6 * TASKS);
    CHECK_INT(sum.executed, 6 * TASKS);
    CHECK_INT(sum.spawned, 5 * TASKS);
    CHECK_INT(sum.shared, stats.shared);
    CHECK_INT(sum.local_hits, stats.local_hits);
    CHECK_INT(sum.steals, stats.steals);
    CHECK_INT(sum.remote_steals, 0);
    CHECK_INT(sum.failed_steals, stats.failed_steals);
    CHECK_INT(sum.parks, stats.parks);
    CHECK_INT(sum.wakes, stats.wakes);
    CHECK_INT(sum.blocks, stats.blocks);
    /* All threads have gone, and their clocks stand. */
    CHECK_INT(sum.busy_ns, stats.busy_ns);
    CHECK_INT(sum.idle_ns, stats.idle_ns);
    CHECK_INT(sum.blocked_ns, stats.blocked_ns);
    CHECK(stats.busy_ns > 0);
    weft_runtime_release(runtime);
}

struct crowd {
    struct tally arrived;
    weft_channel *channel;
};

static void receive(weft_worker *worker, void *arg)
{
    struct crowd *crowd = arg;
    int value;
    (void)worker;
    tally_add(&crowd->arrived, 1);
    OK(weft_channel_recv(crowd->channel, &value, WEFT_FOREVER));
}

/* With one turn, each task begins because the one before waits: on another thread. */
TEST(spares_are_counted)
{
    enum { WAITERS = 10 };
    weft_runtime *runtime = runtime_new(1);
    struct crowd crowd = {TALLY_INIT, channel_new(sizeof(int), WAITERS)};
    for (int i = 0; i < WAITERS; i++)
        OK(weft_spawn(runtime, receive, &crowd));
    tally_wait(&crowd.arrived, WAITERS);
    CHECK(runtime_stats(runtime).spares_started >= WAITERS - 1);
    for (int i = 0; i < WAITERS; i++)
        OK(weft_channel_send(crowd.channel, &i, WEFT_FOREVER));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK_INT(stats.executed, WAITERS);
    CHECK(stats.blocked_ns > 0);
    CHECK(stats.spares_started >= stats.threads_peak - 1);
    CHECK(stats.spares_retired <= stats.spares_started);
    weft_channel_release(crowd.channel);
    weft_runtime_release(runtime);
}

struct keeper {
    gate keeps, leave;
};

static void keep_the_worker(weft_worker *worker, void *arg)
{
    struct keeper *keeper = arg;
    (void)worker;
    gate_open(&keeper->keeps);
    gate_wait(&keeper->leave);
}

/* Their only worker is kept busy, so all that is queued waits. */
TEST(lanes_are_counted)
{
    static const int32_t priorities[] = {WEFT_PRIORITY_LOW, WEFT_PRIORITY_NORMAL, WEFT_PRIORITY_HIGH, WEFT_PRIORITY_CRITICAL};
    static const uint64_t counts[] = {4, 0, 2, 3};
    struct keeper keeper = {GATE_INIT, GATE_INIT};
    weft_runtime *runtime = runtime_new_limited(1, 1);
    weft_spawn_options options;
    uint64_t waited[4];
    atomic_int ran = 0;
    OK(weft_spawn_options_init(&options, sizeof options));
    OK(weft_spawn(runtime, keep_the_worker, &keeper));
    gate_wait(&keeper.keeps);
    for (int i = 0; i < 4; i++)
        for (uint64_t n = 0; n < counts[i]; n++) {
            options.priority = priorities[i];
            OK(weft_spawn_with(runtime, count, &ran, &options));
        }
    for (int i = 0; i < 5; i++)
        OK(weft_spawn(runtime, count, &ran));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK_INT(stats.queued, 9 + 5);
    for (int i = 0; i < 4; i++) {
        weft_lane_stats lane = stats.lanes[priorities[i] - WEFT_PRIORITY_LOW];
        CHECK_INT(lane.queued, counts[i]);
        CHECK_INT(lane.peak, counts[i]);
        CHECK_INT(lane.taken, 0);
        waited[i] = lane.waited_ns;
    }
    gate_open(&keeper.leave);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    stats = runtime_stats(runtime);
    CHECK_INT(ran, 9 + 5);
    CHECK_INT(stats.queued, 0);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(stats.lanes[i].queued, 0);
        CHECK_INT(stats.lanes[i].peak, counts[i]);
        CHECK_INT(stats.lanes[i].taken, counts[i]);
        CHECK(stats.lanes[i].waited_ns >= waited[i]);
        CHECK(counts[i] > 0 || stats.lanes[i].waited_ns == 0);
    }
    weft_runtime_release(runtime);
}

static void be_busy(weft_worker *worker, void *arg)
{
    weft_worker_stats before = {.size = sizeof before}, now = {.size = sizeof now};
    uint32_t index = (uint32_t)weft_worker_index(worker);
    weft_runtime *runtime = weft_worker_runtime(worker);
    (void)arg;
    OK(weft_runtime_worker_stats_get(runtime, index, &before));
    do
        OK(weft_runtime_worker_stats_get(runtime, index, &now));
    while (now.busy_ns < before.busy_ns + 1000000);
    CHECK_INT(now.idle_ns, before.idle_ns);
    CHECK_INT(now.blocked_ns, before.blocked_ns);
}

/* A task sees its time pass while it runs, and only as busy. */
TEST(time_is_measured)
{
    weft_runtime *runtime = runtime_new(1);
    OK(weft_run(runtime, be_busy, NULL));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK(stats.busy_ns >= 1000000);
    CHECK(stats.idle_ns > 0);
    CHECK_INT(stats.blocked_ns, 0);
    double utilisation = weft_utilisation(stats.busy_ns, stats.idle_ns);
    CHECK(utilisation > 0 && utilisation < 1);
    CHECK(weft_mean_task_ns(stats.busy_ns, stats.executed) >= 1e6);
    weft_runtime_release(runtime);
}

TEST(derived_values)
{
    CHECK(weft_steal_efficiency(0, 0) == 0);
    CHECK(weft_steal_efficiency(3, 1) == 0.75);
    CHECK(weft_utilisation(0, 0) == 0);
    CHECK(weft_utilisation(1, 3) == 0.25);
    CHECK(weft_mean_task_ns(0, 0) == 0);
    CHECK(weft_mean_task_ns(9, 2) == 4.5);
}

/* Which thefts cross nodes depends on the machine alone, here or not. */
TEST(thefts_between_nodes_are_counted)
{
    static const char *const machines[] = {"numa:2 core:1 pu:1", "numa:1 core:2 pu:1"};
    for (int i = 0; i < 2; i++) {
        struct stolen stolen = {GATE_INIT};
        weft_topology *topology = NULL;
        weft_runtime *runtime = NULL;
        weft_runtime_options options;
        OK(weft_topology_from_string(machines[i], &topology));
        OK(weft_runtime_options_init(&options, sizeof options));
        options.topology = topology;
        options.placement = WEFT_PLACEMENT_COMPACT;
        OK(weft_runtime_new(&options, &runtime));
        weft_topology_release(topology);
        OK(weft_run(runtime, join_with_a_thief, &stolen));
        OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
        weft_runtime_stats stats = runtime_stats(runtime);
        CHECK(stats.steals >= 1);
        CHECK_INT(stats.remote_steals, i == 0 ? stats.steals : 0);
        weft_runtime_release(runtime);
    }
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
