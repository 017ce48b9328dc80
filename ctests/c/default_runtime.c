/* The process-wide default runtime: what a NULL runtime means outside of tasks. Each test is a fresh process, as a process has but one. */
#include "support.h"

#include <malloc.h>
#include <string.h>

static weft_runtime_options two_named(const char *name)
{
    weft_runtime_options options;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = 2;
    options.name = name;
    return options;
}

static void note_name(weft_worker *worker, void *arg)
{
    (void)worker;
    REQUIRE(pthread_getname_np(pthread_self(), arg, 16) == 0);
}

static void count(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static weft_status count_range(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)arg, (int)(end - begin));
    return WEFT_OK;
}

CHILD(configured)
{
    char name[16] = "";
    char prefix[] = "mine";
    weft_runtime_options options = two_named(prefix);
    options.workers = 7;
    OK(weft_runtime_configure_default(&options));
    options.workers = 3;
    OK(weft_runtime_configure_default(&options));
    memset(prefix, '?', 4);

    CHECK_INT(weft_runtime_workers(NULL), 3);
    OK(weft_run(NULL, note_name, name));
    CHECK(strncmp(name, "mine", 4) == 0);
    CHECK_REFUSED(weft_runtime_configure_default(&options), WEFT_BUSY, "default");
    OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
}

CHILD(started_by_use)
{
    atomic_int ran = 0;
    OK(weft_spawn(NULL, count, &ran));
    OK(weft_for(NULL, 0, 1000, count_range, &ran, NULL, NULL));
    OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(ran, 1001);
}

CHILD(starts_again_after_a_shutdown)
{
    atomic_int ran = 0;
    for (int i = 0; i < 5; i++) {
        OK(weft_spawn(NULL, count, &ran));
        OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
        CHECK_INT(ran, i + 1);
    }
}

static void meet(weft_worker *worker, void *arg)
{
    (void)worker;
    tally_add(arg, 1);
    tally_wait(arg, 4);
}

/* Bytes that the allocator has handed out. */
static size_t memory_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* An ended default runtime stays, but not what its threads and tasks needed: 64 KiB for each thread, 64 bytes for each task that
 * was queued. The submitting thread's outbox is kept: for so many tasks, some 50 KiB. */
CHILD(restarts_keep_little)
{
    enum { ROUNDS = 20, TASKS = 5000 };
    weft_runtime_options options;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = 4;
    OK(weft_runtime_configure_default(&options));
    size_t before = 0;
    for (int round = -2; round < ROUNDS; round++) {
        struct tally met = TALLY_INIT;
        atomic_int ran = 0;
        if (round == 0)
            before = memory_in_use();
        for (int i = 0; i < 4; i++)
            OK(weft_spawn(NULL, meet, &met));
        for (int i = 0; i < TASKS; i++)
            OK(weft_spawn(NULL, count, &ran));
        OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
        CHECK_INT(ran, TASKS);
    }
    size_t after = memory_in_use();
    printf("kept for each: %zd bytes\n", ((ssize_t)after - (ssize_t)before) / ROUNDS);
    CHECK(after < before + ROUNDS * (size_t)(128 << 10));
}

CHILD(a_shutdown_does_not_start_it)
{
    weft_runtime_options options = two_named("late");
    OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    OK(weft_runtime_configure_default(&options));
    CHECK_INT(weft_runtime_workers(NULL), 2);
    OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));
}

static void null_is_this_runtime(weft_worker *worker, void *arg)
{
    CHECK_INT(weft_runtime_workers(NULL), 5);
    OK(weft_spawn(NULL, count, arg));
    CHECK(weft_worker_runtime(worker) != NULL);
}

CHILD(inside_a_task_null_is_its_runtime)
{
    atomic_int ran = 0;
    weft_runtime_options options = two_named("default");
    OK(weft_runtime_configure_default(&options));
    weft_runtime *runtime = runtime_new(5);
    OK(weft_run(runtime, null_is_this_runtime, &ran));
    runtime_end(runtime);
    CHECK_INT(ran, 1);
    /* The default runtime was never meant, so it does not run yet. */
    OK(weft_runtime_configure_default(&options));
}

static void first_use(size_t index, void *arg)
{
    (void)index;
    OK(weft_run(NULL, count, arg));
}

CHILD(first_used_by_many_threads_at_once)
{
    atomic_int ran = 0;
    threads_together(8, first_use, &ran);
    CHECK_INT(ran, 8);
    /* All eight came to one runtime. */
    CHECK_INT(runtime_stats(NULL).spawned, 8);
    OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
}

CHILD(bad_options_are_not_kept)
{
    weft_runtime_options options = two_named("bad");
    OK(weft_runtime_configure_default(&options));
    options.workers = -3;
    CHECK_INVALID(weft_runtime_configure_default(&options), "workers");
    CHECK_INT(weft_runtime_workers(NULL), 2);
    OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
}

CHILD(no_options_are_the_defaults)
{
    weft_runtime_options options = two_named("set");
    char name[16] = "";
    OK(weft_runtime_configure_default(&options));
    OK(weft_runtime_configure_default(NULL));
    OK(weft_run(NULL, note_name, name));
    CHECK(strncmp(name, "weft", 4) == 0);
    OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
}

TEST(it_is_configured_before_its_first_use) { child_succeeds("configured"); }
TEST(it_is_started_by_use) { child_succeeds("started_by_use"); }
TEST(it_starts_again_after_a_shutdown) { child_succeeds("starts_again_after_a_shutdown"); }
TEST(an_ended_one_keeps_little) { child_succeeds("restarts_keep_little"); }
TEST(a_shutdown_alone_does_not_start_it) { child_succeeds("a_shutdown_does_not_start_it"); }
TEST(null_inside_a_task_is_its_runtime) { child_succeeds("inside_a_task_null_is_its_runtime"); }
TEST(it_is_started_once) { child_succeeds("first_used_by_many_threads_at_once"); }
TEST(it_keeps_no_bad_options) { child_succeeds("bad_options_are_not_kept"); }
TEST(null_options_are_its_defaults) { child_succeeds("no_options_are_the_defaults"); }
