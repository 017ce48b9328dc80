/* Futures that time settles. */
#include "support.h"

#include <string.h>

#define HOUR INT64_C(3600000000000)

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

TEST(too_late)
{
    weft_promise *promise = NULL;
    weft_future *source = future_of(&promise), *limited = NULL;
    void *value = NULL;
    size_t index = 9;
    int64_t deadline = weft_deadline(5000000);
    OK(weft_future_timeout(source, 5000000, &limited));
    CHECK_STATUS(weft_future_get(limited, WEFT_FOREVER, &value), WEFT_TIMEOUT);
    CHECK(weft_now() >= deadline);
    CHECK_STATUS(weft_future_winner(limited, &index), WEFT_NOT_FOUND);
    /* The source goes on. */
    CHECK_INT(weft_future_state(source), WEFT_FUTURE_PENDING);
    CHECK(!weft_promise_cancelled(promise));
    OK(weft_promise_resolve(promise, (void *)3, NULL, NULL));
    CHECK_STATUS(weft_future_get(limited, 0, &value), WEFT_TIMEOUT);
    weft_future_release(limited);
    OK(weft_future_take(source, 0, &value));
    end(promise, source);
}

TEST(in_time)
{
    weft_promise *promise = NULL;
    weft_future *source = future_of(&promise), *limited[2] = {NULL, NULL};
    struct drops drops = {0};
    void *value = NULL;
    size_t index = 9;
    OK(weft_future_timeout(source, HOUR, &limited[0]));
    OK(weft_future_timeout(source, WEFT_FOREVER, &limited[1]));
    OK(weft_promise_resolve(promise, &drops, drop_count, &drops));
    end(promise, source);
    for (int i = 0; i < 2; i++) {
        OK(weft_future_get(limited[i], 0, &value));
        CHECK(value == &drops);
        OK(weft_future_winner(limited[i], &index));
        CHECK_INT(index, 0);
        CHECK_REFUSED(weft_future_take(limited[i], 0, &value), WEFT_BUSY, "belongs");
        CHECK_INT(drops.count, 0);
        weft_future_release(limited[i]);
    }
    CHECK_INT(drops.count, 1);
}

TEST(no_time_left)
{
    static const int64_t times[] = {0, -1, INT64_MIN};
    for (int i = 0; i < 3; i++) {
        weft_promise *promise = NULL;
        weft_future *source = future_of(&promise), *limited = NULL;
        void *value = NULL;
        OK(weft_future_timeout(source, times[i], &limited));
        CHECK_STATUS(weft_future_get(limited, 0, &value), WEFT_TIMEOUT);
        weft_future_release(limited);
        /* What is settled counts, however late it is asked for. */
        OK(weft_promise_reject(promise, 17, NULL, NULL));
        OK(weft_future_timeout(source, times[i], &limited));
        CHECK_STATUS(weft_future_get(limited, 0, &value), 17);
        CHECK(weft_error_cause(weft_future_error(limited)) == weft_future_error(source));
        weft_future_release(limited);
        end(promise, source);
    }
}

TEST(asked_to_stop)
{
    for (int sole = 0; sole < 2; sole++) {
        weft_promise *promise = NULL;
        weft_future *source = future_of(&promise), *limited = NULL;
        OK(weft_future_timeout(source, HOUR, &limited));
        if (sole)
            weft_future_release(source);
        weft_future_cancel(limited);
        CHECK_INT(weft_future_state(limited), WEFT_FUTURE_CANCELLED);
        CHECK_INT(weft_promise_cancelled(promise), sole);
        weft_future_release(limited);
        weft_promise_release(promise);
        if (!sole)
            weft_future_release(source);
    }
}

struct where {
    gate told;
    weft_worker *worker;
};

static void note_worker(weft_future *future, void *arg)
{
    struct where *where = arg;
    CHECK_INT(weft_future_state(future), WEFT_FUTURE_FAILED);
    where->worker = weft_worker_current();
    gate_open(&where->told);
}

/* Callbacks run on a worker, not on the thread of the timers. */
TEST(callbacks_of_time_run_on_a_worker)
{
    weft_promise *promise = NULL;
    weft_future *source = future_of(&promise), *limited = NULL, *race = NULL;
    struct where where = {.told = GATE_INIT};
    OK(weft_future_timeout(source, 1000000, &limited));
    OK(weft_future_race(&limited, 1, &race));
    OK(weft_future_on_settled(race, note_worker, &where, NULL, NULL, NULL));
    gate_wait(&where.told);
    CHECK(where.worker != NULL);
    weft_future_release(race);
    weft_future_release(limited);
    end(promise, source);
}

static void drop_opens(void *ctx, void *value)
{
    (void)value;
    gate_open(ctx);
}

static weft_status then_never(weft_worker *worker, void *value, void *arg, void **result)
{
    (void)worker, (void)value, (void)arg, (void)result;
    CHECK(!"this must not be called");
    return WEFT_OK;
}

/* A then behind a limit: its argument is dropped, elsewhere. */
TEST(what_goes_on_is_told)
{
    gate dropped = GATE_INIT;
    weft_spawn_options options;
    weft_runtime *runtime = runtime_new(1);
    weft_promise *promise = NULL;
    weft_future *source = future_of(&promise), *limited = NULL, *next = NULL;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.arg_drop = drop_opens;
    options.drop_ctx = &dropped;
    OK(weft_future_timeout(source, 1000000, &limited));
    OK(weft_future_then(limited, runtime, then_never, NULL, &options, &next));
    weft_future_release(limited);
    gate_wait(&dropped);
    OK(weft_future_wait(next, WEFT_FOREVER));
    CHECK_INT(weft_error_status(weft_future_error(next)), WEFT_TIMEOUT);
    weft_future_release(next);
    end(promise, source);
    runtime_end(runtime);
}

TEST(delays)
{
    weft_future *delays[4] = {NULL};
    void *value = SENTINEL;
    int64_t deadline = weft_deadline(2000000);
    OK(weft_future_delay(2000000, &delays[0]));
    OK(weft_future_delay(0, &delays[1]));
    OK(weft_future_delay(HOUR, &delays[2]));
    OK(weft_future_delay(WEFT_FOREVER, &delays[3]));
    OK(weft_future_get(delays[1], 0, &value));
    OK(weft_future_get(delays[0], WEFT_FOREVER, &value));
    CHECK(value == NULL && weft_now() >= deadline);
    for (int i = 2; i < 4; i++) {
        CHECK_INT(weft_future_state(delays[i]), WEFT_FUTURE_PENDING);
        weft_future_cancel(delays[i]);
        CHECK_INT(weft_future_state(delays[i]), WEFT_FUTURE_CANCELLED);
    }
    for (int i = 0; i < 4; i++)
        weft_future_release(delays[i]);
}

/* Many limits, most of which are met, some while the time is over. */
TEST(met_while_the_time_is_over)
{
    int rounds = under_a_tool() ? 50 : 500;
    for (int round = 0; round < rounds; round++) {
        weft_promise *promise = NULL;
        weft_future *source = future_of(&promise), *limited = NULL;
        OK(weft_future_timeout(source, round * 1000, &limited));
        OK(weft_promise_resolve(promise, NULL, NULL, NULL));
        OK(weft_future_wait(limited, WEFT_FOREVER));
        CHECK(weft_future_error(limited) == NULL || weft_error_status(weft_future_error(limited)) == WEFT_TIMEOUT);
        weft_future_release(limited);
        end(promise, source);
    }
}
