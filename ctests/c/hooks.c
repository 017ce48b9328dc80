/* The hooks of a runtime's threads: first and last on each, in pairs, with a worker that can be asked who it is. */
#include "support.h"

#include <stdlib.h>

enum { MAX_THREADS = 64 };

struct watch {
    weft_runtime *_Atomic runtime;
    atomic_int starts, stops;
    atomic_int seat_taken[MAX_THREADS];
    atomic_int tasks;
    weft_channel *channel;
    atomic_int started;
};

/* Of this thread: 0 before the start hook, 1 between the hooks, 2 after the stop hook. */
static _Thread_local int phase;
static _Thread_local int32_t seat;

static void on_start(weft_worker *worker, void *arg)
{
    struct watch *watch = arg;
    CHECK_INT(phase, 0);
    phase = 1;
    seat = weft_worker_index(worker);
    REQUIRE(seat >= 0 && seat < MAX_THREADS);
    CHECK_INT(atomic_exchange(&watch->seat_taken[seat], 1), 0);
    CHECK(weft_worker_runtime(worker) != NULL);
    atomic_fetch_add(&watch->starts, 1);
}

static void on_stop(weft_worker *worker, void *arg)
{
    struct watch *watch = arg;
    CHECK_INT(phase, 1);
    phase = 2;
    CHECK_INT(weft_worker_index(worker), seat);
    CHECK_INT(atomic_exchange(&watch->seat_taken[seat], 0), 1);
    atomic_fetch_add(&watch->stops, 1);
}

static void between_the_hooks(weft_worker *worker, void *arg)
{
    struct watch *watch = arg;
    CHECK_INT(phase, 1);
    CHECK_INT(weft_worker_index(worker), seat);
    atomic_fetch_add(&watch->tasks, 1);
}

static weft_runtime *watched_runtime(struct watch *watch, int32_t workers, int64_t keep_alive_ns)
{
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = workers;
    options.max_threads = MAX_THREADS;
    options.keep_alive_ns = keep_alive_ns;
    options.on_worker_start = on_start;
    options.on_worker_stop = on_stop;
    options.hook_arg = watch;
    OK(weft_runtime_new(&options, &runtime));
    return runtime;
}

TEST(hooks_come_in_pairs)
{
    for (int32_t workers = 1; workers <= 4; workers++) {
        static struct watch clear;
        struct watch watch = clear;
        weft_runtime *runtime = watched_runtime(&watch, workers, 0);
        for (int i = 0; i < 1000; i++)
            OK(weft_spawn(runtime, between_the_hooks, &watch));
        OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
        CHECK_INT(watch.tasks, 1000);
        CHECK(watch.starts >= 1);
        CHECK(watch.starts >= (int)runtime_stats(runtime).threads_peak);
        CHECK_INT(watch.stops, watch.starts);
        weft_runtime_release(runtime);
    }
}

static void wait_for_the_others(weft_worker *worker, void *arg)
{
    struct watch *watch = arg;
    uint64_t element = 0;
    CHECK_INT(phase, 1);
    if ((atomic_fetch_add(&watch->started, 1) + 1) % (MAX_THREADS / 2) == 0)
        for (int i = 0; i < MAX_THREADS / 2; i++)
            OK(weft_channel_send(watch->channel, &element, WEFT_FOREVER));
    OK(weft_channel_recv(watch->channel, &element, WEFT_FOREVER));
    CHECK_INT(weft_worker_index(worker), seat);
    atomic_fetch_add(&watch->tasks, 1);
}

/* Threads that stand in for waiting ones have hooks too, and when they stay for next to no time, many come and go. */
static void spare_threads(int64_t keep_alive_ns)
{
    static struct watch clear;
    struct watch watch = clear;
    watch.channel = channel_new(8, WEFT_UNBOUNDED);
    weft_runtime *runtime = watched_runtime(&watch, 1, keep_alive_ns);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MAX_THREADS / 2; i++)
            OK(weft_spawn(runtime, wait_for_the_others, &watch));
        CHECK(runtime_stats(runtime).threads <= MAX_THREADS);
    }
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(watch.tasks, 3 * (MAX_THREADS / 2));
    CHECK(watch.starts >= MAX_THREADS / 2);
    CHECK_INT(watch.stops, watch.starts);
    for (int i = 0; i < MAX_THREADS; i++)
        CHECK_INT(watch.seat_taken[i], 0);
    weft_runtime_release(runtime);
    weft_channel_release(watch.channel);
}

TEST(spare_threads_have_hooks) { spare_threads(WEFT_FOREVER); }
TEST(spare_threads_that_come_and_go_have_hooks) { spare_threads(1); }

static void work_in_hook(weft_worker *worker, void *arg)
{
    struct watch *watch = arg;
    (void)worker;
    atomic_fetch_add(&watch->tasks, 1);
}

static void spawn_from_hook(weft_worker *worker, void *arg)
{
    OK(weft_spawn(weft_worker_runtime(worker), work_in_hook, arg));
}

TEST(a_start_hook_may_spawn)
{
    static struct watch watch;
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = 1;
    options.keep_alive_ns = WEFT_FOREVER;
    options.on_worker_start = spawn_from_hook;
    options.hook_arg = &watch;
    OK(weft_runtime_new(&options, &runtime));
    OK(weft_run(runtime, work_in_hook, &watch));
    runtime_end(runtime);
    CHECK(watch.tasks >= 2);
}
