/* Tasks: each runs exactly once, on a worker, from wherever it was spawned. */
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void count(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)arg, 1);
}

TEST(every_task_runs_exactly_once)
{
    size_t n = under_a_tool() ? 5000 : 100000;
    for (int32_t workers = 1; workers <= 3; workers++) {
        atomic_int *ran = calloc(n, sizeof *ran);
        weft_runtime *runtime = runtime_new(workers);
        size_t wrong = 0;
        REQUIRE(ran != NULL);
        for (size_t i = 0; i < n; i++)
            OK(weft_spawn(runtime, count, &ran[i]));
        runtime_end(runtime);
        for (size_t i = 0; i < n; i++)
            wrong += ran[i] != 1;
        CHECK_INT(wrong, 0);
        free(ran);
    }
}

struct many_spawners {
    weft_runtime *runtime;
    atomic_int ran;
};

static void spawn_many(size_t index, void *arg)
{
    struct many_spawners *spawners = arg;
    (void)index;
    for (int i = 0; i < 2000; i++)
        OK(weft_spawn(spawners->runtime, count, &spawners->ran));
}

TEST(many_threads_spawn)
{
    struct many_spawners spawners = {runtime_new(2), 0};
    threads_together(6, spawn_many, &spawners);
    runtime_end(spawners.runtime);
    CHECK_INT(spawners.ran, 6 * 2000);
}

/* A spawner that ends at once must not take its tasks with it. */
TEST(threads_that_spawn_and_end)
{
    struct many_spawners spawners = {runtime_new(2), 0};
    for (int i = 0; i < 20; i++)
        threads_together(1, spawn_many, &spawners);
    runtime_end(spawners.runtime);
    CHECK_INT(spawners.ran, 20 * 2000);
}

struct chain {
    int left;
    gate done;
};

static void next_link(weft_worker *worker, void *arg)
{
    struct chain *chain = arg;
    if (--chain->left > 0)
        OK(weft_spawn(weft_worker_runtime(worker), next_link, chain));
    else
        gate_open(&chain->done);
}

/* Plain memory, handed from task to task: each spawn must publish what was written before it. */
TEST(a_chain_of_tasks)
{
    struct chain chain = {under_a_tool() ? 2000 : 50000, GATE_INIT};
    weft_runtime *runtime = runtime_new(2);
    OK(weft_spawn(runtime, next_link, &chain));
    gate_wait(&chain.done);
    CHECK_INT(chain.left, 0);
    runtime_end(runtime);
}

/* ---- where a task runs */

struct place {
    pid_t outside;
    pid_t thread;
    weft_runtime *runtime;
    gate done;
};

static void look_around(weft_worker *worker, void *arg)
{
    struct place *place = arg;
    place->thread = (pid_t)syscall(SYS_gettid);
    CHECK(worker != NULL);
    CHECK(weft_worker_current() != NULL);
    CHECK(weft_worker_runtime(worker) == place->runtime);
    CHECK(weft_worker_runtime(weft_worker_current()) == place->runtime);
    CHECK(weft_worker_index(worker) >= 0 && weft_worker_index(worker) < 256);
    CHECK_INT(weft_worker_index(weft_worker_current()), weft_worker_index(worker));
    gate_open(&place->done);
}

TEST(a_task_runs_on_a_worker)
{
    struct place place = {(pid_t)syscall(SYS_gettid), 0, runtime_new(2), GATE_INIT};
    CHECK(weft_worker_current() == NULL);
    OK(weft_spawn(place.runtime, look_around, &place));
    gate_wait(&place.done);
    CHECK(place.thread != place.outside);
    CHECK(weft_worker_current() == NULL);
    runtime_end(place.runtime);
}

TEST(run_waits_for_a_worker_that_ran_it)
{
    struct place place = {(pid_t)syscall(SYS_gettid), 0, runtime_new(2), GATE_INIT};
    OK(weft_run(place.runtime, look_around, &place));
    CHECK(place.thread != 0 && place.thread != place.outside);
    runtime_end(place.runtime);
}

static void run_inside(weft_worker *worker, void *arg)
{
    struct place *place = arg;
    place->outside = (pid_t)syscall(SYS_gettid);
    OK(weft_run(weft_worker_runtime(worker), look_around, place));
    CHECK_INT(place->thread, place->outside);
    place->thread = 0;
    OK(weft_run(NULL, look_around, place));
    CHECK_INT(place->thread, place->outside);
}

TEST(run_inside_a_task_runs_here)
{
    struct place place = {0, 0, runtime_new_limited(1, 1), GATE_INIT};
    OK(weft_run(place.runtime, run_inside, &place));
    runtime_end(place.runtime);
}

static void run_many(size_t index, void *arg)
{
    struct many_spawners *spawners = arg;
    atomic_int mine = 0;
    (void)index;
    for (int i = 0; i < 200; i++) {
        OK(weft_run(spawners->runtime, count, &mine));
        CHECK_INT(mine, i + 1);
    }
    atomic_fetch_add(&spawners->ran, mine);
}

TEST(many_threads_run)
{
    struct many_spawners spawners = {runtime_new(2), 0};
    threads_together(6, run_many, &spawners);
    CHECK_INT(spawners.ran, 6 * 200);
    runtime_end(spawners.runtime);
}

/* ---- options */

TEST(spawn_options_have_defaults)
{
    weft_spawn_options options;
    memset(&options, 0xff, sizeof options);
    OK(weft_spawn_options_init(&options, sizeof options));
    CHECK_INT(options.size, sizeof options);
    CHECK(options.name == NULL && options.drop_ctx == NULL);
    CHECK(options.arg_drop == NULL && options.result_drop == NULL);
}

TEST(a_task_that_runs_keeps_its_argument)
{
    struct drops drops = {0};
    atomic_int ran = 0;
    weft_spawn_options options;
    weft_runtime *runtime = runtime_new(2);
    OK(weft_spawn_options_init(&options, sizeof options));
    options.arg_drop = drop_count;
    options.drop_ctx = &drops;
    for (int i = 0; i < 100; i++)
        OK(weft_spawn_with(runtime, count, &ran, &options));
    runtime_end(runtime);
    CHECK_INT(ran, 100);
    CHECK_INT(drops.count, 0);
}

TEST(options_are_copied)
{
    atomic_int ran = 0;
    weft_runtime *runtime = runtime_new(1);
    for (int i = 0; i < 100; i++) {
        char name[] = "resize";
        weft_spawn_options options;
        OK(weft_spawn_options_init(&options, sizeof options));
        options.name = name;
        OK(weft_spawn_with(runtime, count, &ran, &options));
        memset(name, '?', sizeof name);
        memset(&options, 0xff, sizeof options);
    }
    runtime_end(runtime);
    CHECK_INT(ran, 100);
}

TEST(sizes_of_the_options)
{
    struct {
        weft_spawn_options options;
        unsigned char later[40];
    } larger;
    atomic_int ran = 0;
    weft_runtime *runtime = runtime_new(1);
    memset(&larger, 0xff, sizeof larger);
    OK(weft_spawn_options_init(&larger.options, sizeof larger));
    OK(weft_spawn_with(runtime, count, &ran, &larger.options));
    larger.later[0] = 1;
    CHECK_INVALID(weft_spawn_with(runtime, count, &ran, &larger.options), "options");
    larger.options.size = sizeof larger.options;
    OK(weft_spawn_with(runtime, count, &ran, &larger.options));
    larger.options.size = 8;
    CHECK_INVALID(weft_spawn_with(runtime, count, &ran, &larger.options), "size");
    larger.options.size = 0;
    CHECK_INVALID(weft_spawn_with(runtime, count, &ran, &larger.options), "size");
    runtime_end(runtime);
    CHECK_INT(ran, 2);
}
