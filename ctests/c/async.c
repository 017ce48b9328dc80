/* Tasks with a result: the future's value, failures with their text and origin, who drops what. */
#include "support.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static weft_status square(weft_worker *worker, void *arg, void **result)
{
    uintptr_t n = (uintptr_t)arg;
    (void)worker;
    *result = (void *)(n * n);
    return WEFT_OK;
}

TEST(results_come_through_futures)
{
    enum { TASKS = 500 };
    weft_future *futures[TASKS];
    weft_runtime *runtime = runtime_new(2);
    for (uintptr_t i = 0; i < TASKS; i++)
        OK(weft_async(runtime, square, (void *)i, NULL, &futures[i]));
    for (uintptr_t i = 0; i < TASKS; i++) {
        void *value = NULL;
        OK(weft_future_get(futures[i], WEFT_FOREVER, &value));
        CHECK_INT((uintptr_t)value, i * i);
        CHECK_INT(weft_future_state(futures[i]), WEFT_FUTURE_READY);
        CHECK(weft_future_error(futures[i]) == NULL);
        weft_future_release(futures[i]);
    }
    runtime_end(runtime);
}

static weft_status no_result(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    (void)arg;
    CHECK(result != NULL);
    return WEFT_OK;
}

TEST(a_result_that_is_not_written_is_null)
{
    weft_runtime *runtime = runtime_new(1);
    weft_future *future = NULL;
    void *value = SENTINEL;
    OK(weft_async(runtime, no_result, NULL, NULL, &future));
    OK(weft_future_get(future, WEFT_FOREVER, &value));
    CHECK(value == NULL);
    weft_future_release(future);
    runtime_end(runtime);
}

/* ---- failures */

static weft_status fail_with_text(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    *result = arg;
    return weft_error_set(WEFT_FAILED, "the picture has no pixels");
}

static weft_status fail_silently(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    (void)result;
    return (weft_status)(intptr_t)arg;
}

TEST(a_failure_keeps_its_text_and_origin)
{
    struct drops drops = {0};
    weft_spawn_options options;
    weft_runtime *runtime = runtime_new(2);
    weft_future *future = NULL;
    void *value = SENTINEL;
    size_t len = 99;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.name = "resize";
    options.arg_drop = drop_count;
    options.result_drop = drop_count;
    options.drop_ctx = &drops;
    OK(weft_async(runtime, fail_with_text, &drops, &options, &future));
    CHECK_REFUSED(weft_future_get(future, WEFT_FOREVER, &value), WEFT_FAILED, "the picture has no pixels");
    CHECK(value == SENTINEL);
    CHECK_REFUSED(weft_future_take(future, WEFT_FOREVER, &value), WEFT_FAILED, "the picture has no pixels");
    CHECK(value == SENTINEL);
    CHECK_STATUS(weft_future_wait(future, WEFT_FOREVER), WEFT_OK);
    CHECK_INT(weft_future_state(future), WEFT_FUTURE_FAILED);

    const weft_error *error = weft_future_error(future);
    REQUIRE(error != NULL);
    CHECK_STATUS(weft_error_status(error), WEFT_FAILED);
    CHECK_STR(weft_error_text(error), "the picture has no pixels");
    CHECK_HAS(weft_error_origin(error), "task resize");
    CHECK_HAS(weft_error_origin(error), "worker");
    CHECK(weft_error_payload(error, &len) == NULL);
    CHECK_INT(len, 0);
    CHECK(weft_error_payload(error, NULL) == NULL);
    weft_future_release(future);
    runtime_end(runtime);
    CHECK_INT(drops.count, 0);
}

TEST(any_number_but_zero_is_a_failure)
{
    static const weft_status numbers[] = {WEFT_WOULD_BLOCK, WEFT_NOT_FOUND, WEFT_NOMEM, 1234, -7, INT32_MIN};
    weft_runtime *runtime = runtime_new(1);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        weft_future *future = NULL;
        OK(weft_async(runtime, fail_silently, (void *)(intptr_t)numbers[i], NULL, &future));
        OK(weft_future_wait(future, WEFT_FOREVER));
        CHECK_INT(weft_future_state(future), WEFT_FUTURE_FAILED);
        CHECK_INT(weft_error_status(weft_future_error(future)), numbers[i]);
        weft_future_release(future);
    }
    runtime_end(runtime);
}

/* The text of a failure is what its own callback said, not what an earlier task on the same thread did. */
TEST(a_failure_does_not_inherit_a_text)
{
    weft_runtime *runtime = runtime_new_limited(1, 1);
    weft_future *first = NULL, *second = NULL;
    OK(weft_async(runtime, fail_with_text, NULL, NULL, &first));
    OK(weft_future_wait(first, WEFT_FOREVER));
    OK(weft_async(runtime, fail_silently, (void *)(intptr_t)WEFT_FAILED, NULL, &second));
    OK(weft_future_wait(second, WEFT_FOREVER));
    CHECK(strstr(weft_error_text(weft_future_error(second)), "pixels") == NULL);
    weft_future_release(first);
    weft_future_release(second);
    runtime_end(runtime);
}

/* ---- who owns the result */

static weft_status make(weft_worker *worker, void *arg, void **result)
{
    int *made = malloc(sizeof *made);
    (void)worker;
    REQUIRE(made != NULL);
    *made = (int)(intptr_t)arg;
    *result = made;
    return WEFT_OK;
}

static weft_future *make_async(weft_runtime *runtime, struct drops *drops, int n)
{
    weft_spawn_options options;
    weft_future *future = NULL;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.result_drop = drop_free;
    options.drop_ctx = drops;
    OK(weft_async(runtime, make, (void *)(intptr_t)n, &options, &future));
    return future;
}

TEST(results_nobody_takes_are_dropped_once)
{
    struct drops drops = {0};
    weft_runtime *runtime = runtime_new(2);
    for (int i = 0; i < 100; i++) {
        weft_future *future = make_async(runtime, &drops, i);
        /* Some are released before the task has run, some while it runs, some after. */
        if (i % 2 == 0) {
            void *value = NULL;
            OK(weft_future_get(future, WEFT_FOREVER, &value));
            CHECK_INT(*(int *)value, i);
        }
        weft_future_release(future);
    }
    runtime_end(runtime);
    CHECK_INT(drops.count, 100);
}

TEST(results_that_are_taken_are_the_takers)
{
    struct drops drops = {0};
    weft_runtime *runtime = runtime_new(2);
    for (int i = 0; i < 100; i++) {
        weft_future *future = make_async(runtime, &drops, i);
        void *value = NULL;
        OK(weft_future_take(future, WEFT_FOREVER, &value));
        CHECK_INT(*(int *)value, i);
        weft_future_release(future);
        free(value);
    }
    runtime_end(runtime);
    CHECK_INT(drops.count, 0);
}

TEST(a_future_outlives_its_runtime)
{
    struct drops drops = {0};
    weft_runtime *runtime = runtime_new(2);
    weft_future *future = make_async(runtime, &drops, 42);
    void *value = NULL;
    runtime_end(runtime);
    OK(weft_future_get(future, 0, &value));
    CHECK_INT(*(int *)value, 42);
    weft_future_release(future);
    CHECK_INT(drops.count, 1);
}


static weft_status count_leaves(weft_worker *worker, void *arg, void **result)
{
    uintptr_t depth = (uintptr_t)arg;
    weft_future *branch[2];
    uintptr_t leaves = 0;
    if (depth == 0) {
        *result = (void *)(uintptr_t)1;
        return WEFT_OK;
    }
    for (int i = 0; i < 2; i++)
        OK(weft_async(weft_worker_runtime(worker), count_leaves, (void *)(depth - 1), NULL, &branch[i]));
    for (int i = 0; i < 2; i++) {
        void *value = NULL;
        OK(weft_future_take(branch[i], WEFT_FOREVER, &value));
        leaves += (uintptr_t)value;
        weft_future_release(branch[i]);
    }
    *result = (void *)leaves;
    return WEFT_OK;
}

/* The branches that wait at the same time are fewer than max_threads, 256 by default. */
TEST(tasks_wait_for_their_tasks)
{
    for (int32_t workers = 1; workers <= 3; workers++) {
        weft_runtime *runtime = runtime_new(workers);
        weft_future *future = NULL;
        void *value = NULL;
        OK(weft_async(runtime, count_leaves, (void *)(uintptr_t)7, NULL, &future));
        OK(weft_future_get(future, WEFT_FOREVER, &value));
        CHECK_INT((uintptr_t)value, 1 << 7);
        weft_future_release(future);
        runtime_end(runtime);
    }
}

static void wait_all(size_t index, void *arg)
{
    weft_future **futures = arg;
    (void)index;
    for (int i = 0; i < 200; i++) {
        void *value = NULL;
        OK(weft_future_get(futures[i], WEFT_FOREVER, &value));
        CHECK_INT((uintptr_t)value, i * i);
    }
}

TEST(many_threads_wait_for_the_same_tasks)
{
    weft_future *futures[200];
    weft_runtime *runtime = runtime_new(2);
    for (uintptr_t i = 0; i < 200; i++)
        OK(weft_async(runtime, square, (void *)i, NULL, &futures[i]));
    threads_together(4, wait_all, futures);
    for (int i = 0; i < 200; i++)
        weft_future_release(futures[i]);
    runtime_end(runtime);
}

/* ---- who waits for a task that has not begun runs it */

struct chain {
    int left;
    weft_runtime *runtime;
};

static weft_status link_of_a_chain(weft_worker *worker, void *arg, void **result)
{
    struct chain *chain = arg, rest = {chain->left - 1, chain->runtime};
    weft_future *future = NULL;
    (void)worker;
    *result = NULL;
    if (chain->left == 0)
        return WEFT_OK;
    OK(weft_async(chain->runtime, link_of_a_chain, &rest, NULL, &future));
    void *value = NULL;
    OK(weft_future_get(future, WEFT_FOREVER, &value));
    *result = (char *)value + 1;
    weft_future_release(future);
    return WEFT_OK;
}

/* One worker, one thread: without help each link would need a thread of its own. */
TEST(a_chain_of_waits_on_one_thread)
{
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    weft_future *future = NULL;
    void *value = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = 1;
    options.max_threads = 1;
    options.stack_size = 64u << 20;
    OK(weft_runtime_new(&options, &runtime));
    struct chain chain = {under_a_tool() ? 100 : 1000, runtime};
    OK(weft_async(runtime, link_of_a_chain, &chain, NULL, &future));
    OK(weft_future_get(future, WEFT_FOREVER, &value));
    CHECK_INT((char *)value - (char *)NULL, chain.left);
    weft_future_release(future);
    CHECK_INT(runtime_stats(runtime).threads_peak, 1);
    CHECK_INT(runtime_stats(runtime).blocks, 0);
    runtime_end(runtime);
}

/* Far deeper than a stack: then other threads take over. */
TEST(a_chain_deeper_than_a_stack)
{
    weft_runtime *runtime = runtime_new(1);
    weft_future *future = NULL;
    void *value = NULL;
    struct chain chain = {under_a_tool() ? 100 : 5000, runtime};
    OK(weft_async(runtime, link_of_a_chain, &chain, NULL, &future));
    OK(weft_future_get(future, WEFT_FOREVER, &value));
    CHECK_INT((char *)value - (char *)NULL, chain.left);
    weft_future_release(future);
    runtime_end(runtime);
}

/* A wait with a deadline cannot begin what may take longer. */
static weft_status nothing_called(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)arg, 1);
    *result = NULL;
    return WEFT_OK;
}

static void look_and_wait(weft_worker *worker, void *arg)
{
    atomic_int runs = 0;
    weft_future *future = NULL;
    (void)worker;
    OK(weft_async(arg, nothing_called, &runs, NULL, &future));
    CHECK_STATUS(weft_future_wait(future, 0), WEFT_WOULD_BLOCK);
    CHECK_INT(runs, 0);
    OK(weft_future_wait(future, WEFT_FOREVER));
    CHECK_INT(runs, 1);
    weft_future_release(future);
}

TEST(only_a_wait_without_a_deadline_runs_it)
{
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = options.max_threads = 1;
    OK(weft_runtime_new(&options, &runtime));
    OK(weft_run(runtime, look_and_wait, runtime));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK_INT(stats.executed, stats.spawned);
    weft_runtime_release(runtime);
}

/* Whoever comes first: a queue's worker and a waiting task; each task once. */
static void race_for_a_task(weft_worker *worker, void *arg)
{
    (void)worker;
    for (int i = 0; i < 200; i++) {
        atomic_int runs = 0;
        weft_future *future = NULL;
        OK(weft_async(arg, nothing_called, &runs, NULL, &future));
        OK(weft_future_wait(future, WEFT_FOREVER));
        CHECK_INT(runs, 1);
        weft_future_release(future);
    }
}

TEST(a_task_is_run_by_its_queue_or_by_who_waits)
{
    weft_runtime *runtime = runtime_new(3);
    for (int i = 0; i < 10; i++)
        OK(weft_run(runtime, race_for_a_task, runtime));
    runtime_end(runtime);
}

/* Starts the next one, and gives up the handle by which this one could have been cancelled. */
struct relay {
    int left;
    weft_future *last;
    size_t in_use;
};

static weft_status pass_on(weft_worker *worker, void *arg, void **result)
{
    struct relay *relay = arg;
    weft_future *own = relay->last;
    (void)worker, (void)result;
    relay->last = NULL;
    if (relay->left-- > 0)
        OK(weft_async(NULL, pass_on, relay, NULL, &relay->last));
    else
        relay->in_use = mallinfo2().uordblks;
    weft_future_release(own);
    return WEFT_OK;
}

/* On one thread, so that all memory is of one arena. */
TEST(tasks_that_start_each_other_keep_nothing_of_those_before)
{
    size_t in_use[2];
    weft_runtime *runtime = NULL;
    weft_runtime_options options;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.kind = WEFT_KIND_SINGLE;
    OK(weft_runtime_new(&options, &runtime));
    for (int i = 0; i < 2; i++) {
        struct relay relay = {i ? 10000 : 10, NULL, 0};
        OK(weft_async(runtime, pass_on, &relay, NULL, &relay.last));
        OK(weft_runtime_run(runtime, WEFT_RUN_UNTIL_IDLE));
        in_use[i] = relay.in_use;
    }
    CHECK(in_use[1] < in_use[0] + (64 << 10));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_release(runtime);
}

static void call_and_wait(weft_worker *worker, void *arg)
{
    weft_runtime *runtime = weft_worker_runtime(worker);
    for (uintptr_t i = 0; i < 100; i++) {
        weft_future *future = NULL;
        void *value = NULL;
        OK(weft_async(runtime, square, (void *)i, NULL, &future));
        OK(weft_future_get(future, WEFT_FOREVER, &value));
        CHECK_INT((uintptr_t)value, i * i);
        weft_future_release(future);
    }
    weft_runtime_stats stats = {.size = sizeof stats};
    OK(weft_runtime_stats_get(runtime, &stats));
    *(uint64_t *)arg = stats.queued;
}

/* One that never ends would fill the queue. */
TEST(a_task_that_calls_and_waits_leaves_nothing_in_the_queue)
{
    uint64_t queued = 1;
    weft_runtime *runtime = runtime_new(1);
    OK(weft_spawn(runtime, call_and_wait, &queued));
    runtime_end(runtime);
    CHECK_INT(queued, 0);
}
