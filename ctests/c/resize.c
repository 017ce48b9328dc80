/* Changing how many threads of a runtime run at once. */
#include "support.h"

#include <sched.h>

static void meet(weft_worker *worker, void *arg)
{
    struct tally *tally = arg;
    (void)worker;
    tally_add(tally, 1);
    /* Not seen by the runtime: the task keeps its turn. */
    tally_wait(tally, 4);
}

TEST(more_threads_run_what_is_queued)
{
    weft_runtime *runtime = runtime_new(1);
    struct tally tally = TALLY_INIT;
    for (int i = 0; i < 4; i++)
        OK(weft_spawn(runtime, meet, &tally));
    OK(weft_runtime_resize(runtime, 2));
    CHECK_INT(weft_runtime_workers(runtime), 2);
    OK(weft_runtime_resize(runtime, 4));
    tally_wait(&tally, 4);
    CHECK_INT(runtime_stats(runtime).workers, 4);
    runtime_end(runtime);
}

struct alone {
    atomic_int inside, ran;
};

static void be_alone(weft_worker *worker, void *arg)
{
    struct alone *alone = arg;
    (void)worker;
    CHECK_INT(atomic_fetch_add(&alone->inside, 1), 0);
    sched_yield();
    atomic_fetch_sub(&alone->inside, 1);
    atomic_fetch_add(&alone->ran, 1);
}

static void shrink(weft_worker *worker, void *arg)
{
    (void)worker;
    OK(weft_runtime_resize(NULL, 1));
    tally_add(arg, 1);
}

TEST(fewer_threads_run_one_after_the_other)
{
    weft_runtime *runtime = runtime_new(1);
    struct tally shrunk = TALLY_INIT;
    struct alone alone = {0, 0};
    OK(weft_runtime_resize(runtime, 4));
    OK(weft_runtime_resize(runtime, 3));
    /* Before any of the other threads has started, so that nobody has to step back first. */
    OK(weft_spawn(runtime, shrink, &shrunk));
    tally_wait(&shrunk, 1);
    CHECK_INT(weft_runtime_workers(runtime), 1);
    for (int i = 0; i < 200; i++)
        OK(weft_spawn(runtime, be_alone, &alone));
    runtime_end(runtime);
    CHECK_INT(alone.ran, 200);
}

TEST(what_is_refused)
{
    weft_runtime *runtime = runtime_new_limited(2, 3);
    static const int32_t wrong[] = {0, -1, 4, 4097, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        CHECK_INVALID(weft_runtime_resize(runtime, wrong[i]), "workers");
    CHECK_INT(weft_runtime_workers(runtime), 2);
    OK(weft_runtime_resize(runtime, 3));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_STATUS(weft_runtime_resize(runtime, 2), WEFT_SHUTDOWN);
    weft_runtime_release(runtime);
}

struct storm {
    weft_runtime *runtime;
    atomic_int ran;
};

static void count(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void twice(weft_worker *worker, void *arg)
{
    OK(weft_spawn(NULL, count, arg));
    count(worker, arg);
}

static void storm_thread(size_t index, void *arg)
{
    struct storm *storm = arg;
    for (int i = 0; i < 2000; i++)
        if (index > 0)
            OK(weft_spawn(storm->runtime, twice, &storm->ran));
        else if (i % 10 == 0)
            OK(weft_runtime_resize(storm->runtime, 1 + i / 10 % 6));
}

TEST(counts_are_exact_while_sizes_change)
{
    weft_runtime_options options;
    struct storm storm = {NULL, 0};
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = 2;
    options.max_threads = 6;
    options.keep_alive_ns = 1;
    OK(weft_runtime_new(&options, &storm.runtime));
    threads_together(3, storm_thread, &storm);
    OK(weft_runtime_shutdown(storm.runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(storm.ran, 2 * 2 * 2000);
    weft_runtime_stats stats = runtime_stats(storm.runtime);
    CHECK_INT(stats.executed, stats.spawned);
    CHECK_INT(stats.threads, 0);
    CHECK(stats.threads_peak <= 6);
    weft_runtime_release(storm.runtime);
}
