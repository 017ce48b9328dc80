/* Misuse of the functions that start work: tasks, join, loops. See misuse.h. */
#include "misuse.h"

#include <string.h>

static weft_spawn_options with_drops(void)
{
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.arg_drop = never_drop;
    options.result_drop = never_drop;
    return options;
}

MISUSE(weft_spawn)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_spawn(zoo->runtime, NULL, NULL), "fn");
    CHECK_INVALID(weft_spawn(NULL, NULL, NULL), "fn");
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_spawn(h, never_task, NULL), "runtime");
    zoo_end(zoo);
}

MISUSE(weft_spawn_with)
{
    struct zoo *zoo = zoo_new();
    weft_spawn_options options = with_drops();
    CHECK_INVALID(weft_spawn_with(zoo->runtime, NULL, NULL, &options), "fn");
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_spawn_with(h, never_task, NULL, &options), "runtime");
    FOR_WRONG(zoo, TOKEN, h) {
        options.cancel = h;
        CHECK_INVALID(weft_spawn_with(zoo->runtime, never_task, NULL, &options), "cancel");
    }
    options.cancel = NULL;
    options.after_len = 1;
    CHECK_INVALID(weft_spawn_with(zoo->runtime, never_task, NULL, &options), "after");
    weft_future *after[2] = {zoo->future, NULL};
    options.after = after;
    options.after_len = SIZE_MAX;
    CHECK_INVALID(weft_spawn_with(zoo->runtime, never_task, NULL, &options), "after");
    options.after_len = 2;
    CHECK_INVALID(weft_spawn_with(zoo->runtime, never_task, NULL, &options), "after[1]");
    FOR_WRONG(zoo, FUTURE, h) {
        after[1] = h;
        CHECK_INVALID(weft_spawn_with(zoo->runtime, never_task, NULL, &options), "after[1]");
    }
    options.after_len = 1;
    options.hints = WEFT_HINT_NOT_STEALABLE;
    CHECK_INVALID(weft_spawn_with(zoo->runtime, never_task, NULL, &options), "hints");
    options = with_drops();
    options.size = SIZE_MAX;
    CHECK_INVALID(weft_spawn_with(zoo->runtime, never_task, NULL, &options), "size");
    options.size = sizeof options - 1;
    CHECK_INVALID(weft_spawn_with(zoo->runtime, never_task, NULL, &options), "size");
    zoo_end(zoo);
}

MISUSE(weft_task_init)
{
    struct zoo *zoo = zoo_new();
    weft_task_init(NULL, never_task, NULL);
    weft_task_init(NULL, NULL, NULL);
    zoo_end(zoo);
}

MISUSE(weft_submit)
{
    struct zoo *zoo = zoo_new();
    weft_task task;
    CHECK_INVALID(weft_submit(zoo->runtime, NULL), "task");
    weft_task_init(&task, NULL, NULL);
    CHECK_INVALID(weft_submit(zoo->runtime, &task), "fn");
    weft_task_init(&task, never_task, NULL);
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_submit(h, &task), "runtime");
    memset(&task.reserved, 0x5a, sizeof task.reserved);
    CHECK_INVALID(weft_submit(zoo->runtime, &task), "task");
    zoo_end(zoo);
}

MISUSE(weft_submit_batch)
{
    struct zoo *zoo = zoo_new();
    weft_task task, *tasks[2] = {&task, NULL};
    weft_task_init(&task, never_task, NULL);
    CHECK_INVALID(weft_submit_batch(zoo->runtime, NULL, 1), "tasks");
    CHECK_INVALID(weft_submit_batch(zoo->runtime, tasks, 2), "tasks[1]");
    CHECK_INVALID(weft_submit_batch(zoo->runtime, tasks, SIZE_MAX), "tasks");
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_submit_batch(h, tasks, 1), "runtime");
    zoo_end(zoo);
}

MISUSE(weft_async)
{
    struct zoo *zoo = zoo_new();
    weft_spawn_options options = with_drops();
    weft_future *future = SENTINEL;
    CHECK_INVALID(weft_async(zoo->runtime, NULL, NULL, &options, &future), "fn");
    CHECK_INVALID(weft_async(zoo->runtime, never_call, NULL, &options, NULL), "out");
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_async(h, never_call, NULL, &options, &future), "runtime");
    options.size = 0;
    CHECK_INVALID(weft_async(zoo->runtime, never_call, NULL, &options, &future), "size");
    CHECK(future == SENTINEL);
    zoo_end(zoo);
}

MISUSE(weft_run)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_run(zoo->runtime, NULL, NULL), "fn");
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_run(h, never_task, NULL), "runtime");
    zoo_end(zoo);
}

static void join_wrongly(weft_worker *worker, void *arg)
{
    struct zoo *zoo = arg;
    CHECK_INVALID(weft_join(worker, NULL, NULL, never_task, NULL), "a is");
    CHECK_INVALID(weft_join(worker, never_task, NULL, NULL, NULL), "b is");
    CHECK_INVALID(weft_join(NULL, NULL, NULL, NULL, NULL), "a is");
    FOR_WRONG(zoo, WORKER, h)
        CHECK_INVALID(weft_join(h, never_task, NULL, never_task, NULL), "worker");
    /* A worker, but of another thread. */
    CHECK_INVALID(weft_join(zoo->worker, never_task, NULL, never_task, NULL), "worker");
}

MISUSE(weft_join)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_join(NULL, never_task, NULL, never_task, NULL), "worker");
    CHECK_INVALID(weft_join(zoo->worker, never_task, NULL, never_task, NULL), "worker");
    FOR_WRONG(zoo, WORKER, h)
        CHECK_INVALID(weft_join(h, never_task, NULL, never_task, NULL), "worker");
    OK(weft_run(zoo->runtime, join_wrongly, zoo));
    zoo_end(zoo);
}

MISUSE(weft_for)
{
    struct zoo *zoo = zoo_new();
    weft_loop_options options;
    weft_loop_report report = {sizeof report, 94, 95, 96, 97, 98};
    OK(weft_loop_options_init(&options, sizeof options));
    CHECK_INVALID(weft_for(zoo->runtime, 0, 10, NULL, NULL, &options, &report), "fn");
    CHECK_INVALID(weft_for(zoo->runtime, 0, 0, NULL, NULL, &options, &report), "fn");
    CHECK_INVALID(weft_for(zoo->runtime, 10, 0, never_range, NULL, &options, &report), "begin");
    FOR_WRONG(zoo, RUNTIME, h) {
        CHECK_INVALID(weft_for(h, 0, 10, never_range, NULL, &options, &report), "runtime");
        /* Also when there would be nothing to do. */
        CHECK_INVALID(weft_for(h, 5, 5, never_range, NULL, &options, &report), "runtime");
    }
    options.size = sizeof options - 1;
    CHECK_INVALID(weft_for(zoo->runtime, 0, 10, never_range, NULL, &options, &report), "size");
    CHECK(report.done == 94 && report.failed == 95 && report.skipped == 96);
    report.size = 7;
    CHECK_INVALID(weft_for(zoo->runtime, 0, 10, never_range, NULL, NULL, &report), "report");
    CHECK_INVALID(weft_for(zoo->runtime, 5, 5, never_range, NULL, NULL, &report), "report");
    CHECK(report.size == 7 && report.done == 94 && report.failed == 95 && report.skipped == 96);
    zoo_end(zoo);
}

MISUSE(weft_map)
{
    struct zoo *zoo = zoo_new();
    int in[4] = {1, 2, 3, 4}, out[4] = {0, 0, 0, 0};
    weft_loop_options options;
#define MAP(runtime, in, in_size, out, out_size, n, fn) weft_map(runtime, in, in_size, out, out_size, n, fn, NULL, &options, NULL)
    OK(weft_loop_options_init(&options, sizeof options));
    CHECK_INVALID(MAP(zoo->runtime, in, 4, out, 4, 4, NULL), "fn");
    CHECK_INVALID(MAP(zoo->runtime, NULL, 4, out, 4, 4, never_map), "in");
    CHECK_INVALID(MAP(zoo->runtime, in, 4, NULL, 4, 4, never_map), "out");
    CHECK_INVALID(MAP(zoo->runtime, in, SIZE_MAX, out, 4, 4, never_map), "in_size");
    CHECK_INVALID(MAP(zoo->runtime, in, 4, out, SIZE_MAX / 2, 3, never_map), "out_size");
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(MAP(h, in, 4, out, 4, 4, never_map), "runtime");
    OK(MAP(zoo->runtime, NULL, 4, NULL, 4, 0, never_map));
    options.on_failure = 3;
    CHECK_INVALID(MAP(zoo->runtime, in, 4, out, 4, 4, never_map), "on_failure");
    options.on_failure = WEFT_ON_FAILURE_STOP;
    options.timeout_ns = 0;
    CHECK_STATUS(MAP(zoo->runtime, in, 4, out, 4, 4, never_map), WEFT_TIMEOUT);
    CHECK(out[0] == 0 && out[3] == 0);
    zoo_end(zoo);
}

MISUSE(weft_optimal_grain)
{
    CHECK(weft_optimal_grain(0, 0, 0) == 1);
    CHECK(weft_optimal_grain(SIZE_MAX, INT32_MIN, -1) >= 1);
    CHECK(weft_optimal_grain(SIZE_MAX, INT32_MAX, 1e-300) >= 1);
}

MISUSE(weft_reduce)
{
    struct zoo *zoo = zoo_new();
    weft_loop_options options;
    uint64_t identity = 3, out = 77;
    OK(weft_loop_options_init(&options, sizeof options));
    options.acc_drop = never_drop;
#define REDUCE(runtime, begin, end, size, identity, fold, combine, out) \
    weft_reduce(runtime, begin, end, size, identity, fold, combine, NULL, &options, out)
    CHECK_INVALID(REDUCE(zoo->runtime, 0, 9, 8, NULL, never_fold, never_combine, &out), "identity");
    CHECK_INVALID(REDUCE(zoo->runtime, 0, 9, 8, &identity, NULL, never_combine, &out), "fold");
    CHECK_INVALID(REDUCE(zoo->runtime, 0, 9, 8, &identity, never_fold, NULL, &out), "combine");
    CHECK_INVALID(REDUCE(zoo->runtime, 0, 9, 8, &identity, never_fold, never_combine, NULL), "out");
    CHECK_INVALID(REDUCE(zoo->runtime, 9, 0, 8, &identity, never_fold, never_combine, &out), "begin");
    CHECK_INVALID(REDUCE(zoo->runtime, 0, 9, 0, &identity, never_fold, never_combine, &out), "acc_size");
    CHECK_INVALID(REDUCE(zoo->runtime, 0, 0, 0, &identity, never_fold, never_combine, &out), "acc_size");
    CHECK_INVALID(REDUCE(zoo->runtime, 0, 0, 8, NULL, never_fold, never_combine, &out), "identity");
    CHECK_INVALID(REDUCE(zoo->runtime, 0, 9, SIZE_MAX, &identity, never_fold, never_combine, &out), "acc_size");
    FOR_WRONG(zoo, RUNTIME, h) {
        CHECK_INVALID(REDUCE(h, 0, 9, 8, &identity, never_fold, never_combine, &out), "runtime");
        CHECK_INVALID(REDUCE(h, 5, 5, 8, &identity, never_fold, never_combine, &out), "runtime");
    }
    options.size = 3;
    CHECK_INVALID(REDUCE(zoo->runtime, 0, 9, 8, &identity, never_fold, never_combine, &out), "size");
#undef REDUCE
    CHECK_INT(out, 77);
    CHECK_INT(identity, 3);
    zoo_end(zoo);
}
