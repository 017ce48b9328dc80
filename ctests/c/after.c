/* Tasks that are queued after others: in the right order, once, whatever becomes of what they wait for, and of the runtime. */
#include "support.h"

#include <stdlib.h>

static weft_spawn_options after(weft_future *const *futures, size_t n)
{
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.after = futures;
    options.after_len = n;
    return options;
}

/* ---- a graph of calls, each after some of those before it */

enum { CALLS = 300 };

struct graph;

struct call {
    struct graph *graph;
    size_t number, inputs;
    size_t input[4];
};

struct graph {
    struct call calls[CALLS];
    weft_future *futures[CALLS];
    atomic_int begun[CALLS];
    weft_runtime *runtime;
    gate made;
};

static weft_status run_call(weft_worker *worker, void *arg, void **result)
{
    struct call *call = arg;
    struct graph *graph = call->graph;
    CHECK(weft_worker_runtime(worker) == graph->runtime);
    gate_wait(&graph->made);
    CHECK_INT(atomic_fetch_add(&graph->begun[call->number], 1), 0);
    for (size_t i = 0; i < call->inputs; i++) {
        void *value = NULL;
        weft_status status = weft_future_get(graph->futures[call->input[i]], 0, &value);
        CHECK(status == WEFT_OK || status == WEFT_FAILED);
    }
    *result = arg;
    return call->number % 5 == 0 ? WEFT_FAILED : WEFT_OK;
}

TEST(calls_begin_after_what_they_wait_for)
{
    struct random random = {random_seed()};
    for (int round = 0; round < 30; round++) {
        struct graph *graph = calloc(1, sizeof *graph);
        REQUIRE(graph != NULL);
        graph->runtime = runtime_new(1 + round % 3);
        graph->made = (gate)GATE_INIT;
        for (size_t number = 0; number < CALLS; number++) {
            struct call *call = &graph->calls[number];
            weft_future *inputs[4];
            *call = (struct call){.graph = graph, .number = number, .inputs = number ? random_below(&random, 5) : 0};
            for (size_t i = 0; i < call->inputs; i++) {
                call->input[i] = random_below(&random, number);
                inputs[i] = graph->futures[call->input[i]];
            }
            weft_spawn_options options = after(inputs, call->inputs);
            options.priority = (int32_t)random_below(&random, 4) - 1;
            OK(weft_async(graph->runtime, run_call, call, &options, &graph->futures[number]));
            if (number == CALLS / 2)
                gate_open(&graph->made);
        }
        OK(weft_runtime_shutdown(graph->runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
        for (size_t number = 0; number < CALLS; number++) {
            CHECK_INT(atomic_load(&graph->begun[number]), 1);
            weft_future_release(graph->futures[number]);
        }
        weft_runtime_stats stats = runtime_stats(graph->runtime);
        CHECK_INT(stats.spawned, CALLS);
        CHECK_INT(stats.executed, CALLS);
        weft_runtime_release(graph->runtime);
        free(graph);
    }
}

/* ---- one after the other */

struct count {
    struct tally runs;
    uint64_t expected;
};

static weft_status run_in_order(weft_worker *worker, void *arg, void **result)
{
    struct count *count = arg;
    (void)worker;
    (void)result;
    CHECK_INT(tally_count(&count->runs), count->expected);
    count->expected++;
    tally_add(&count->runs, 1);
    return WEFT_OK;
}

TEST(a_long_chain)
{
    struct count count = {TALLY_INIT, 0};
    weft_runtime *runtime = runtime_new(2);
    weft_future *last = NULL;
    OK(weft_async(runtime, run_in_order, &count, NULL, &last));
    for (int i = 0; i < 20000; i++) {
        weft_future *both[2] = {last, last};
        weft_spawn_options options = after(both, 2);
        weft_future *next = NULL;
        OK(weft_async(runtime, run_in_order, &count, &options, &next));
        weft_future_release(last);
        last = next;
    }
    OK(weft_future_wait(last, WEFT_FOREVER));
    CHECK_INT(tally_count(&count.runs), 20001);
    weft_future_release(last);
    runtime_end(runtime);
}

static void add_one(weft_worker *worker, void *arg)
{
    (void)worker;
    tally_add(arg, 1);
}

TEST(whatever_the_outcome)
{
    struct tally ran = TALLY_INIT;
    weft_runtime *runtime = runtime_new(1);
    weft_promise *promises[3];
    weft_future *futures[3];
    for (int i = 0; i < 3; i++)
        OK(weft_promise_new(&promises[i], &futures[i]));
    OK(weft_promise_resolve(promises[0], NULL, NULL, NULL));
    weft_spawn_options options = after(futures, 3);
    OK(weft_spawn_with(runtime, add_one, &ran, &options));
    OK(weft_promise_reject(promises[1], WEFT_FAILED, NULL, NULL));
    /* Nothing tells that it does not run; a shutdown that could end would. */
    CHECK_STATUS(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, 1000000), WEFT_TIMEOUT);
    CHECK_INT(tally_count(&ran), 0);
    CHECK_STATUS(weft_spawn_with(runtime, add_one, &ran, &options), WEFT_SHUTDOWN);
    /* What was asked to wait for them needs no handle of ours. */
    for (int i = 0; i < 3; i++) {
        weft_future_release(futures[i]);
        weft_promise_release(promises[i]);
    }
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(tally_count(&ran), 1);
    weft_runtime_release(runtime);
}

/* ---- the end */

TEST(a_discarding_end_drops_what_it_may_and_waits_for_the_rest)
{
    for (int by_release = 0; by_release < 2; by_release++) {
        struct drops drops = {0};
        struct tally ran = TALLY_INIT;
        weft_runtime *runtime = runtime_new(1);
        weft_promise *promise = NULL;
        weft_future *future = NULL, *result = NULL;
        OK(weft_promise_new(&promise, &future));
        weft_spawn_options options = after(&future, 1);
        OK(weft_spawn_with(runtime, add_one, &ran, &options));
        options.arg_drop = drop_count;
        options.drop_ctx = &drops;
        OK(weft_spawn_with(runtime, add_one, &ran, &options));
        OK(weft_async(runtime, run_in_order, &ran, &options, &result));
        if (by_release)
            weft_runtime_release(runtime);
        else
            CHECK_STATUS(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, 0), WEFT_WOULD_BLOCK);
        /* Dropped while what it waits for is pending. */
        CHECK_STATUS(weft_future_get(result, WEFT_FOREVER, &(void *){NULL}), WEFT_BROKEN);
        CHECK_INT(tally_count(&ran), 0);
        OK(weft_promise_resolve(promise, NULL, NULL, NULL));
        tally_wait(&ran, 1);
        if (!by_release)
            runtime_end(runtime);
        else
            while (atomic_load(&drops.count) < 2)
                ;
        CHECK_INT(atomic_load(&drops.count), 2);
        CHECK_INT(tally_count(&ran), 1);
        weft_promise_release(promise);
        weft_future_release(future);
        weft_future_release(result);
    }
}

TEST(what_is_refused_is_the_callers)
{
    struct drops drops = {0};
    weft_future *none = NULL, *out = SENTINEL;
    weft_runtime *runtime = runtime_new(1);
    weft_spawn_options options = after(&none, 1);
    options.arg_drop = drop_count;
    options.drop_ctx = &drops;
    CHECK_INVALID(weft_async(runtime, run_in_order, NULL, &options, &out), "after[0]");
    CHECK_INVALID(weft_spawn_with(runtime, add_one, NULL, &options), "after[0]");
    CHECK(out == SENTINEL);
    CHECK_INT(atomic_load(&drops.count), 0);
    runtime_end(runtime);
}

TEST(a_cancelled_one_is_dropped_at_once)
{
    struct drops drops = {0};
    weft_runtime *runtime = runtime_new(1);
    weft_promise *promise = NULL;
    weft_future *future = NULL, *result = NULL;
    weft_cancel_token *token = NULL;
    OK(weft_cancel_token_new(NULL, &token));
    OK(weft_promise_new(&promise, &future));
    weft_spawn_options options = after(&future, 1);
    options.cancel = token;
    options.arg_drop = drop_count;
    options.drop_ctx = &drops;
    OK(weft_async(runtime, run_in_order, NULL, &options, &result));
    OK(weft_cancel_token_trigger(token, NULL));
    /* While what it waits for is pending. */
    CHECK_STATUS(weft_future_get(result, WEFT_FOREVER, &(void *){NULL}), WEFT_CANCELLED);
    CHECK_INT(weft_future_state(future), WEFT_FUTURE_PENDING);
    runtime_end(runtime);
    CHECK_INT(atomic_load(&drops.count), 1);
    weft_cancel_token_release(token);
    weft_promise_release(promise);
    weft_future_release(future);
    weft_future_release(result);
}

/* ---- futures that other threads settle while the runtime ends */

struct race {
    weft_promise *promises[64];
    struct tally ran;
    struct drops drops;
};

static void settle_some(size_t index, void *arg)
{
    struct race *race = arg;
    for (size_t i = index; i < 64; i += 4)
        weft_promise_release(race->promises[i]);
}

static void shut_down(void *arg)
{
    weft_runtime *runtime = arg;
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));
}

TEST(each_is_run_or_dropped_in_a_race_with_the_end)
{
    for (int round = 0; round < 100; round++) {
        struct race race = {.ran = TALLY_INIT};
        struct thread ender;
        weft_runtime *runtime = runtime_new(2);
        for (int i = 0; i < 64; i++) {
            weft_future *future = NULL;
            OK(weft_promise_new(&race.promises[i], &future));
            weft_spawn_options options = after(&future, 1);
            if (i % 2)
                options.arg_drop = drop_count, options.drop_ctx = &race.drops;
            OK(weft_spawn_with(runtime, add_one, &race.ran, &options));
            weft_future_release(future);
        }
        thread_start(&ender, shut_down, runtime);
        threads_together(4, settle_some, &race);
        thread_join(&ender);
        CHECK_INT(tally_count(&race.ran) + (uint64_t)atomic_load(&race.drops.count), 64);
        CHECK(tally_count(&race.ran) >= 32);
        weft_runtime_stats stats = runtime_stats(runtime);
        CHECK_INT(stats.spawned, 64);
        CHECK_INT(stats.executed + stats.discarded, 64);
        weft_runtime_release(runtime);
    }
}
