/* What a request to stop reaches, and what it leaves alone. */
#include "support.h"

#include <string.h>

static weft_spawn_options with_drop(struct drops *drops)
{
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.arg_drop = drop_count;
    options.drop_ctx = drops;
    return options;
}

static weft_status never(weft_worker *worker, void *arg, void **result)
{
    (void)worker, (void)arg, (void)result;
    CHECK(!"this must not be called");
    return WEFT_OK;
}

static weft_status never_then(weft_worker *worker, void *value, void *arg, void **result)
{
    (void)value;
    return never(worker, arg, result);
}

TEST(a_promise_is_asked)
{
    weft_promise *promise = NULL;
    weft_future *future = NULL;
    OK(weft_promise_new(&promise, &future));
    CHECK(!weft_promise_cancelled(promise));
    weft_future_cancel(future);
    weft_future_cancel(future);
    CHECK(weft_promise_cancelled(promise));
    CHECK_INT(weft_future_state(future), WEFT_FUTURE_PENDING);
    OK(weft_promise_reject(promise, WEFT_CANCELLED, NULL, NULL));
    CHECK_INT(weft_future_state(future), WEFT_FUTURE_CANCELLED);
    CHECK_INT(weft_error_status(weft_future_error(future)), WEFT_CANCELLED);
    weft_promise_release(promise);
    weft_future_release(future);
}

TEST(a_settled_future_is_not_asked)
{
    weft_promise *promise = NULL;
    weft_future *future = NULL;
    OK(weft_promise_new(&promise, &future));
    OK(weft_promise_resolve(promise, NULL, NULL, NULL));
    weft_future_cancel(future);
    CHECK(!weft_promise_cancelled(promise));
    CHECK_INT(weft_future_state(future), WEFT_FUTURE_READY);
    weft_promise_release(promise);
    weft_future_release(future);
}

/* ---- tasks */

struct body {
    gate began, asked;
    weft_channel *channel;
    bool before, after;
    weft_status wait;
    int *on_the_callers_stack;
};

static weft_status look(weft_worker *worker, void *arg, void **result)
{
    struct body *body = arg;
    uint64_t element;
    (void)result;
    body->before = weft_cancelled(worker);
    gate_open(&body->began);
    gate_wait(&body->asked);
    body->after = weft_cancelled(worker);
    body->wait = weft_channel_recv(body->channel, &element, WEFT_FOREVER);
    *body->on_the_callers_stack = 1;
    return weft_cancelled(worker) ? WEFT_CANCELLED : WEFT_OK;
}

/* What has begun is settled when its body has returned: until then its argument, on this stack, is in use. */
TEST(a_task_that_has_begun)
{
    int mine = 0;
    struct body body = {.began = GATE_INIT, .asked = GATE_INIT, .channel = channel_new(8, 1), .on_the_callers_stack = &mine};
    weft_runtime *runtime = runtime_new(1);
    weft_future *future = NULL;
    struct drops drops = {0};
    weft_spawn_options options = with_drop(&drops);
    OK(weft_async(runtime, look, &body, &options, &future));
    gate_wait(&body.began);
    weft_future_cancel(future);
    CHECK_INT(weft_future_state(future), WEFT_FUTURE_PENDING);
    gate_open(&body.asked);
    OK(weft_future_wait(future, WEFT_FOREVER));
    CHECK_INT(mine, 1);
    CHECK(!body.before && body.after);
    CHECK_INT(body.wait, WEFT_CANCELLED);
    CHECK_INT(weft_future_state(future), WEFT_FUTURE_CANCELLED);
    CHECK_INT(drops.count, 0);
    weft_future_release(future);
    weft_channel_release(body.channel);
    runtime_end(runtime);
}

static weft_status goes_on(weft_worker *worker, void *arg, void **result)
{
    (void)arg;
    *result = (void *)(uintptr_t)(weft_cancelled(worker) ? 2 : 1);
    return WEFT_OK;
}

static void occupy(weft_worker *worker, void *arg)
{
    gate *gates = arg;
    (void)worker;
    gate_open(&gates[0]);
    gate_wait(&gates[1]);
}

/* A queued task with an arg_drop is dropped here and now; one without runs, and may look. */
TEST(a_task_that_is_queued)
{
    gate gates[2] = {GATE_INIT, GATE_INIT};
    struct drops drops = {0};
    weft_spawn_options options = with_drop(&drops);
    weft_runtime *runtime = runtime_new_limited(1, 1);
    weft_future *dropped = NULL, *kept = NULL, *sibling = NULL;
    void *value = NULL;
    OK(weft_spawn(runtime, occupy, gates));
    gate_wait(&gates[0]);
    OK(weft_async(runtime, never, &drops, &options, &dropped));
    OK(weft_async(runtime, goes_on, NULL, NULL, &kept));
    OK(weft_async(runtime, goes_on, NULL, NULL, &sibling));
    weft_future_cancel(dropped);
    CHECK_INT(weft_future_state(dropped), WEFT_FUTURE_CANCELLED);
    CHECK_INT(drops.count, 1);
    CHECK(drops.last == &drops);
    weft_future_cancel(kept);
    CHECK_INT(weft_future_state(kept), WEFT_FUTURE_PENDING);
    gate_open(&gates[1]);
    OK(weft_future_get(kept, WEFT_FOREVER, &value));
    CHECK_INT((uintptr_t)value, 2);
    OK(weft_future_get(sibling, WEFT_FOREVER, &value));
    CHECK_INT((uintptr_t)value, 1);
    weft_future_release(dropped);
    weft_future_release(kept);
    weft_future_release(sibling);
    runtime_end(runtime);
    CHECK_INT(drops.count, 1);
}

/* The request is the task's own: the token it was made from hears nothing of it, and the other way round it does. */
TEST(the_tasks_token_is_a_child)
{
    struct drops drops = {0};
    weft_spawn_options options = with_drop(&drops);
    weft_runtime *runtime = runtime_new(1);
    weft_promise *promise = NULL;
    weft_future *before = NULL, *future = NULL;
    OK(weft_promise_new(&promise, &before));
    OK(weft_cancel_token_new(NULL, &options.cancel));
    options.after = &before;
    options.after_len = 1;
    OK(weft_async(runtime, never, NULL, &options, &future));
    weft_future_cancel(future);
    CHECK(!weft_cancel_token_triggered(options.cancel));
    CHECK_INT(weft_future_state(future), WEFT_FUTURE_CANCELLED);
    weft_future_release(future);
    OK(weft_async(runtime, never, NULL, &options, &future));
    OK(weft_cancel_token_trigger(options.cancel, "enough"));
    OK(weft_future_wait(future, WEFT_FOREVER));
    CHECK_INT(weft_future_state(future), WEFT_FUTURE_CANCELLED);
    weft_future_release(future);
    weft_cancel_token_release(options.cancel);
    weft_promise_release(promise);
    weft_future_release(before);
    runtime_end(runtime);
    CHECK_INT(drops.count, 2);
}

/* ---- futures made of others */

TEST(a_then_that_waits)
{
    struct drops drops = {0};
    weft_spawn_options options = with_drop(&drops);
    weft_runtime *runtime = runtime_new(1);
    for (int sole = 0; sole < 2; sole++) {
        weft_promise *promise = NULL;
        weft_future *source = NULL, *derived = NULL;
        OK(weft_promise_new(&promise, &source));
        OK(weft_future_then(source, runtime, never_then, NULL, sole ? NULL : &options, &derived));
        if (sole)
            weft_future_release(source);
        weft_future_cancel(derived);
        CHECK_INT(weft_future_state(derived), WEFT_FUTURE_CANCELLED);
        CHECK_INT(drops.count, 1);
        /* The source is asked if nobody else holds it. */
        CHECK_INT(weft_promise_cancelled(promise), sole);
        weft_future_release(derived);
        OK(weft_promise_resolve(promise, NULL, NULL, NULL));
        weft_promise_release(promise);
        if (!sole)
            weft_future_release(source);
    }
    runtime_end(runtime);
}

TEST(all_any_and_race)
{
    weft_status (*const combine[])(weft_future *const *, size_t, weft_future **) = {
        weft_future_all, weft_future_any, weft_future_race};
    for (int i = 0; i < 3; i++) {
        weft_promise *promises[2];
        weft_future *futures[2], *made = NULL;
        size_t index = 9;
        OK(weft_promise_new(&promises[0], &futures[0]));
        OK(weft_promise_new(&promises[1], &futures[1]));
        OK(combine[i](futures, 2, &made));
        weft_future_release(futures[0]);
        weft_future_cancel(made);
        CHECK_INT(weft_future_state(made), WEFT_FUTURE_CANCELLED);
        CHECK_STATUS(weft_future_winner(made, &index), WEFT_NOT_FOUND);
        CHECK(weft_promise_cancelled(promises[0]) && !weft_promise_cancelled(promises[1]));
        weft_future_release(made);
        weft_promise_release(promises[0]);
        weft_promise_release(promises[1]);
        weft_future_release(futures[1]);
    }
}

TEST(a_long_chain_is_asked)
{
    int length = under_a_tool() ? 1000 : 100000;
    weft_promise *promise = NULL;
    weft_future *last = NULL;
    OK(weft_promise_new(&promise, &last));
    for (int i = 0; i < length; i++) {
        weft_future *next = NULL;
        OK(weft_future_race(&last, 1, &next));
        weft_future_release(last);
        last = next;
    }
    weft_future_cancel(last);
    CHECK(weft_promise_cancelled(promise));
    weft_future_release(last);
    weft_promise_release(promise);
}

/* ---- against the rest of its life */

struct race {
    weft_runtime *runtime;
    weft_future *futures[100];
};

static void cancel_all(size_t index, void *arg)
{
    struct race *race = arg;
    for (int i = 0; i < 100; i++) {
        if (index == 0)
            weft_future_cancel(race->futures[i]);
        else
            OK(weft_future_wait(race->futures[i], WEFT_FOREVER));
    }
}

/* Dropped or run, each argument goes once. */
static weft_status run_and_drop(weft_worker *worker, void *arg, void **result)
{
    (void)worker, (void)result;
    drop_count(arg, NULL);
    return WEFT_OK;
}

TEST(cancelled_while_run)
{
    int rounds = under_a_tool() ? 3 : 50;
    for (int round = 0; round < rounds; round++) {
        struct race race = {.runtime = runtime_new(2)};
        struct drops drops = {0};
        weft_spawn_options options = with_drop(&drops);
        for (int i = 0; i < 100; i++)
            OK(weft_async(race.runtime, run_and_drop, &drops, &options, &race.futures[i]));
        threads_together(2, cancel_all, &race);
        for (int i = 0; i < 100; i++) {
            int32_t state = weft_future_state(race.futures[i]);
            CHECK(state == WEFT_FUTURE_READY || state == WEFT_FUTURE_CANCELLED);
            weft_future_release(race.futures[i]);
        }
        CHECK_INT(drops.count, 100);
        runtime_end(race.runtime);
    }
}
