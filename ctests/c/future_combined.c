/* Futures made of others: then, all, any, race. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

static weft_future *future_of(weft_promise **promise)
{
    weft_future *future = NULL;
    OK(weft_promise_new(promise, &future));
    return future;
}

static void end(weft_promise *promise, weft_future *future)
{
    weft_promise_release(promise);
    weft_future_release(future);
}

/* ---- then */

static weft_status add(weft_worker *worker, void *value, void *arg, void **result)
{
    CHECK(worker != NULL);
    *result = (void *)((uintptr_t)value + (uintptr_t)arg);
    return WEFT_OK;
}

static weft_status never_then(weft_worker *worker, void *value, void *arg, void **result)
{
    (void)worker, (void)value, (void)arg, (void)result;
    CHECK(!"this must not be called");
    return WEFT_OK;
}

static weft_status fail_then(weft_worker *worker, void *value, void *arg, void **result)
{
    (void)worker, (void)value, (void)arg, (void)result;
    return weft_error_set(1234, "not this one");
}

TEST(then_goes_on_with_the_value)
{
    for (int settled = 0; settled < 2; settled++) {
        weft_runtime *runtime = runtime_new(2);
        weft_promise *promise = NULL;
        weft_future *source = future_of(&promise), *derived = NULL;
        void *value = NULL;
        if (settled)
            OK(weft_promise_resolve(promise, (void *)40, NULL, NULL));
        OK(weft_future_then(source, runtime, add, (void *)2, NULL, &derived));
        if (!settled) {
            CHECK_INT(weft_future_state(derived), WEFT_FUTURE_PENDING);
            OK(weft_promise_resolve(promise, (void *)40, NULL, NULL));
        }
        OK(weft_future_get(derived, WEFT_FOREVER, &value));
        CHECK_INT((uintptr_t)value, 42);
        /* Its source is kept, and not to be taken, until the derived one goes. */
        CHECK_REFUSED(weft_future_take(source, 0, &value), WEFT_BUSY, "references");
        weft_future_release(derived);
        OK(weft_future_take(source, 0, &value));
        CHECK_INT((uintptr_t)value, 40);
        end(promise, source);
        runtime_end(runtime);
    }
}

TEST(then_keeps_the_value)
{
    weft_runtime *runtime = runtime_new(2);
    struct drops drops = {0};
    weft_promise *promise = NULL;
    weft_future *source = future_of(&promise), *derived = NULL;
    OK(weft_future_then(source, runtime, add, NULL, NULL, &derived));
    weft_future_release(source);
    OK(weft_promise_resolve(promise, &drops, drop_count, &drops));
    weft_promise_release(promise);
    OK(weft_future_wait(derived, WEFT_FOREVER));
    CHECK_INT(drops.count, 0);
    weft_future_release(derived);
    /* Whoever settled it may have a hand on it yet. */
    runtime_end(runtime);
    CHECK_INT(drops.count, 1);
}

TEST(then_passes_a_failure_on)
{
    for (int settled = 0; settled < 2; settled++) {
        weft_runtime *runtime = runtime_new(1);
        struct drops drops = {0};
        weft_spawn_options options;
        weft_promise *promise = NULL;
        weft_future *source = future_of(&promise), *derived = NULL, *second = NULL;
        void *value = NULL;
        OK(weft_spawn_options_init(&options, sizeof options));
        options.arg_drop = drop_count;
        options.drop_ctx = &drops;
        if (settled)
            OK(weft_promise_reject(promise, 77, "no such file", NULL));
        OK(weft_future_then(source, runtime, never_then, &drops, &options, &derived));
        OK(weft_future_then(derived, runtime, never_then, NULL, NULL, &second));
        if (!settled)
            OK(weft_promise_reject(promise, 77, "no such file", NULL));
        /* At once, on the thread that settled the source. */
        CHECK_STATUS(weft_future_get(second, 0, &value), 77);
        CHECK_INT(drops.count, 1);
        CHECK(drops.last == &drops);
        const weft_error *error = weft_future_error(second);
        CHECK_STR(weft_error_text(error), "no such file");
        CHECK(weft_error_cause(error) == weft_future_error(derived));
        CHECK(weft_error_cause(weft_error_cause(error)) == weft_future_error(source));
        CHECK(weft_error_cause(weft_future_error(source)) == NULL);
        weft_future_release(derived);
        weft_future_release(second);
        end(promise, source);
        runtime_end(runtime);
    }
}

TEST(then_may_fail_itself)
{
    weft_runtime *runtime = runtime_new(1);
    weft_future *source = NULL, *derived = NULL;
    OK(weft_future_ready(NULL, NULL, NULL, &source));
    OK(weft_future_then(source, runtime, fail_then, NULL, NULL, &derived));
    OK(weft_future_wait(derived, WEFT_FOREVER));
    CHECK_INT(weft_future_state(derived), WEFT_FUTURE_FAILED);
    CHECK_STR(weft_error_text(weft_future_error(derived)), "not this one");
    CHECK(weft_error_cause(weft_future_error(derived)) == NULL);
    weft_future_release(derived);
    weft_future_release(source);
    runtime_end(runtime);
}

/* A drain waits for what goes on, a discard drops it. */
TEST(then_and_the_end_of_its_runtime)
{
    for (int mode = WEFT_SHUTDOWN_DRAIN; mode <= WEFT_SHUTDOWN_DISCARD; mode++) {
        weft_runtime *runtime = runtime_new(1);
        weft_promise *promise = NULL;
        weft_future *source = future_of(&promise), *derived = NULL, *refused = SENTINEL;
        OK(weft_future_then(source, runtime, add, NULL, NULL, &derived));
        if (mode == WEFT_SHUTDOWN_DRAIN) {
            CHECK_STATUS(weft_runtime_shutdown(runtime, mode, 0), WEFT_WOULD_BLOCK);
            OK(weft_promise_resolve(promise, NULL, NULL, NULL));
        }
        OK(weft_runtime_shutdown(runtime, mode, WEFT_FOREVER));
        OK(weft_future_wait(derived, 0));
        if (mode == WEFT_SHUTDOWN_DRAIN)
            CHECK_INT(weft_future_state(derived), WEFT_FUTURE_READY);
        else
            CHECK_INT(weft_error_status(weft_future_error(derived)), WEFT_BROKEN);
        CHECK_STATUS(weft_future_then(source, runtime, never_then, NULL, NULL, &refused), WEFT_SHUTDOWN);
        CHECK(refused == SENTINEL);
        weft_future_release(derived);
        end(promise, source);
        weft_runtime_release(runtime);
    }
}

TEST(a_long_chain_of_thens)
{
    size_t length = under_a_tool() ? 2000 : 1000000;
    for (int fails = 0; fails < 2; fails++) {
        weft_runtime *runtime = runtime_new(2);
        weft_promise *promise = NULL;
        weft_future *last = future_of(&promise);
        void *value = NULL;
        for (size_t i = 0; i < length / (fails ? 10 : 1); i++) {
            weft_future *next = NULL;
            OK(weft_future_then(last, runtime, add, (void *)1, NULL, &next));
            weft_future_release(last);
            last = next;
        }
        if (fails) {
            OK(weft_promise_reject(promise, 99, NULL, NULL));
            CHECK_STATUS(weft_future_get(last, 0, &value), 99);
        } else {
            OK(weft_promise_resolve(promise, NULL, NULL, NULL));
            OK(weft_future_get(last, WEFT_FOREVER, &value));
            CHECK((uintptr_t)value == length);
        }
        weft_promise_release(promise);
        weft_future_release(last);
        runtime_end(runtime);
    }
}

/* ---- all, any, race */

struct set {
    weft_promise *promises[4];
    weft_future *futures[4];
};

static struct set set_new(void)
{
    struct set set;
    for (int i = 0; i < 4; i++)
        set.futures[i] = future_of(&set.promises[i]);
    return set;
}

static void set_end(struct set *set)
{
    for (int i = 0; i < 4; i++)
        end(set->promises[i], set->futures[i]);
}

TEST(all_of_them)
{
    struct set set = set_new();
    weft_future *all = NULL, *none = NULL;
    void *value = SENTINEL;
    size_t index = 9;
    OK(weft_future_all(NULL, 0, &none));
    OK(weft_future_get(none, 0, &value));
    CHECK(value == NULL);
    weft_future_release(none);
    OK(weft_future_all(set.futures, 4, &all));
    CHECK_STATUS(weft_future_winner(all, &index), WEFT_WOULD_BLOCK);
    for (uintptr_t i = 4; i-- > 0;) {
        CHECK_INT(weft_future_state(all), WEFT_FUTURE_PENDING);
        OK(weft_promise_resolve(set.promises[i], (void *)i, NULL, NULL));
    }
    value = SENTINEL;
    OK(weft_future_get(all, 0, &value));
    CHECK(value == NULL);
    CHECK_STATUS(weft_future_winner(all, &index), WEFT_NOT_FOUND);
    OK(weft_future_get(set.futures[3], 0, &value));
    CHECK_INT((uintptr_t)value, 3);
    weft_future_release(all);
    OK(weft_future_take(set.futures[3], 0, &value));
    set_end(&set);
}

TEST(all_fail_with_the_first)
{
    struct set set = set_new();
    weft_future *all = NULL;
    size_t index = 9;
    OK(weft_future_all(set.futures, 4, &all));
    OK(weft_promise_reject(set.promises[2], 88, "two", NULL));
    CHECK_STATUS(weft_future_wait(all, 0), WEFT_OK);
    CHECK_STR(weft_error_text(weft_future_error(all)), "two");
    CHECK(weft_error_cause(weft_future_error(all)) == weft_future_error(set.futures[2]));
    OK(weft_future_winner(all, &index));
    CHECK_INT(index, 2);
    weft_future_release(all);
    set_end(&set);
}

TEST(any_of_them)
{
    struct set set = set_new();
    struct drops drops = {0};
    weft_future *any = NULL;
    void *value = NULL;
    size_t index = 9;
    OK(weft_future_any(set.futures, 4, &any));
    OK(weft_promise_reject(set.promises[0], WEFT_FAILED, NULL, NULL));
    CHECK_INT(weft_future_state(any), WEFT_FUTURE_PENDING);
    OK(weft_promise_resolve(set.promises[3], &drops, drop_count, &drops));
    OK(weft_future_get(any, 0, &value));
    CHECK(value == &drops);
    OK(weft_future_winner(any, &index));
    CHECK_INT(index, 3);
    CHECK_REFUSED(weft_future_take(any, 0, &value), WEFT_BUSY, "belongs");
    set_end(&set);
    CHECK_INT(drops.count, 0);
    weft_future_release(any);
    CHECK_INT(drops.count, 1);

    set = set_new();
    OK(weft_future_any(set.futures, 4, &any));
    for (int i = 4; i-- > 0;)
        OK(weft_promise_reject(set.promises[i], 100 + i, NULL, NULL));
    CHECK_STATUS(weft_future_get(any, 0, &value), 100);
    weft_future_release(any);
    set_end(&set);
}

TEST(race_of_them)
{
    struct set set = set_new();
    weft_future *race = NULL, *twice[2] = {set.futures[1], set.futures[1]};
    void *value = NULL;
    size_t index = 9;
    OK(weft_future_race(set.futures, 4, &race));
    OK(weft_promise_reject(set.promises[1], 5000, "first", NULL));
    OK(weft_promise_resolve(set.promises[0], NULL, NULL, NULL));
    CHECK_STATUS(weft_future_get(race, 0, &value), 5000);
    OK(weft_future_winner(race, &index));
    CHECK_INT(index, 1);
    weft_future_release(race);
    /* The same future twice. */
    OK(weft_future_any(twice, 2, &race));
    CHECK_STATUS(weft_future_get(race, 0, &value), 5000);
    weft_future_release(race);
    /* Released while it is pending. */
    OK(weft_future_race(set.futures + 2, 2, &race));
    weft_future_release(race);
    set_end(&set);
}

/* Many of them, settled by several threads while they are combined. */
struct many {
    weft_promise *promises[1000];
    weft_future *futures[1000];
    weft_future *made[3];
};

static void settle_many(size_t index, void *arg)
{
    struct many *many = arg;
    if (index == 0) {
        OK(weft_future_all(many->futures, 1000, &many->made[0]));
        OK(weft_future_any(many->futures, 1000, &many->made[1]));
        OK(weft_future_race(many->futures, 1000, &many->made[2]));
        return;
    }
    for (size_t i = index - 1; i < 1000; i += 2)
        OK(weft_promise_resolve(many->promises[i], (void *)i, NULL, NULL));
}

TEST(many_settled_while_combined)
{
    int rounds = under_a_tool() ? 2 : 20;
    for (int round = 0; round < rounds; round++) {
        struct many *many = calloc(1, sizeof *many);
        REQUIRE(many != NULL);
        for (int i = 0; i < 1000; i++)
            many->futures[i] = future_of(&many->promises[i]);
        threads_together(3, settle_many, many);
        for (int i = 0; i < 3; i++) {
            void *value = NULL;
            size_t index = 0;
            OK(weft_future_get(many->made[i], 0, &value));
            if (i > 0) {
                OK(weft_future_winner(many->made[i], &index));
                CHECK_INT((uintptr_t)value, index);
            }
            weft_future_release(many->made[i]);
        }
        for (int i = 0; i < 1000; i++) {
            void *value = NULL;
            OK(weft_future_take(many->futures[i], 0, &value));
            end(many->promises[i], many->futures[i]);
        }
        free(many);
    }
}

TEST(ready_and_failed)
{
    struct drops drops = {0};
    weft_future *future = NULL;
    void *value = NULL;
    OK(weft_future_ready(&drops, drop_count, &drops, &future));
    OK(weft_future_get(future, 0, &value));
    CHECK(value == &drops);
    weft_future_release(future);
    CHECK_INT(drops.count, 1);
    OK(weft_future_ready(&drops, drop_count, &drops, &future));
    OK(weft_future_take(future, 0, &value));
    weft_future_release(future);
    CHECK_INT(drops.count, 1);
    OK(weft_future_failed(WEFT_TIMEOUT, NULL, &future));
    CHECK_STATUS(weft_future_get(future, 0, &value), WEFT_TIMEOUT);
    CHECK_STR(weft_error_text(weft_future_error(future)), "timeout");
    weft_future_release(future);
}
