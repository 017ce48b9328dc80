/* Process pools: calls, errors, deaths of workers and what they cost. */
#include "processes.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TEST(calls_are_answered)
{
    weft_process_pool *pool = pool_new(2);
    answers(call(pool, "ehello", 6), "ehello", 6);
    answers(call(pool, NULL, 0), NULL, 0);
    weft_future *futures[100];
    char data[100][9];
    for (int i = 0; i < 100; i++) {
        snprintf(data[i], sizeof data[i], "e%07d", i);
        futures[i] = call(pool, data[i], 8);
    }
    for (int i = 0; i < 100; i++)
        answers(futures[i], data[i], 8);
    CHECK_INT(pool_stats(pool).succeeded, 102);
    pool_end(pool);
    no_children();
}

TEST(calls_of_any_size_are_answered)
{
    size_t most = under_a_tool() ? 5 << 20 : 9 << 20;
    for (uint32_t window = 1; window <= 4; window += 3) {
        weft_process_pool_options options = pool_options(2);
        options.window = window;
        weft_process_pool *pool = pool_with(&options);
        unsigned char *data = malloc(most);
        REQUIRE(data != NULL);
        for (size_t i = 0; i < most; i++)
            data[i] = (unsigned char)(i * 7 + i / 256);
        data[0] = ECHO;
        weft_future *futures[8];
        for (int i = 0; i < 8; i++)
            futures[i] = call(pool, data, i % 2 ? most - (size_t)i : (size_t)1 << (2 * i));
        for (int i = 0; i < 8; i++)
            answers(futures[i], data, i % 2 ? most - (size_t)i : (size_t)1 << (2 * i));
        free(data);
        pool_end(pool);
    }
}

struct caller {
    weft_process_pool *pool;
    int calls;
};

static void make_calls(size_t index, void *arg)
{
    struct caller *caller = arg;
    for (int i = 0; i < caller->calls; i++) {
        char data[32];
        int len = snprintf(data, sizeof data, "e %zu %d", index, i);
        answers(call(caller->pool, data, (size_t)len), data, (size_t)len);
    }
}

TEST(many_callers_share_a_pool)
{
    for (uint32_t window = 1; window <= 8; window += 7) {
        weft_process_pool_options options = pool_options(2);
        options.window = window;
        struct caller caller = {pool_with(&options), under_a_tool() ? 20 : 300};
        threads_together(8, make_calls, &caller);
        CHECK_INT(pool_stats(caller.pool).succeeded, 8 * caller.calls);
        pool_end(caller.pool);
    }
}

TEST(a_handlers_failure_comes_back_whole)
{
    weft_process_pool *pool = pool_new(1);
    pid_t pid = pid_of(pool);
    weft_future *future = call(pool, "f\0x", 3);
    void *value = SENTINEL;
    size_t len = 0;
    CHECK_STATUS(weft_future_get(future, WEFT_FOREVER, &value), 77);
    CHECK_STR(weft_error_message(), "it does not like that");
    const weft_error *error = weft_future_error(future);
    REQUIRE(error != NULL);
    CHECK_STR(weft_error_text(error), "it does not like that");
    CHECK_STR(weft_error_backtrace(error), "here\nthere");
    const void *payload = weft_error_payload(error, &len);
    CHECK(len == 3 && memcmp(payload, "f\0x", 3) == 0);
    char origin[64];
    snprintf(origin, sizeof origin, "process %d", (int)pid);
    CHECK_STR(weft_error_origin(error), origin);
    weft_future_release(future);
    fails(ask(pool, RAISE), WEFT_FAILED, "failed");
    fails(ask(pool, '?'), WEFT_INVALID, "no such thing");
    /* It has cost nobody anything. */
    CHECK_INT(pid_of(pool), pid);
    CHECK_INT(pool_stats(pool).failed, 3);
    pool_end(pool);
}

/* Whatever ends a worker during a call costs that call, and is told. */
TEST(a_death_costs_its_own_call)
{
    static const struct {
        char what;
        const char *text, *mark;
    } deaths[] = {
        {KILLED, "was killed by signal 9 (Killed) during a call", ", signal 9"},
        {ABORTS, "was killed by signal 6 (Aborted)", ", signal 6"},
        {EXITS, "exited with status 3 during a call", ", status 3"},
    };
    weft_process_pool *pool = pool_new(1);
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        pid_t before = pid_of(pool);
        weft_future *dead = ask(pool, deaths[i].what);
        weft_future *after = call(pool, "eafter", 6);
        char origin[64];
        snprintf(origin, sizeof origin, "process %d%s", (int)before, deaths[i].mark);
        OK(weft_future_wait(dead, WEFT_FOREVER));
        const weft_error *error = weft_future_error(dead);
        REQUIRE(error != NULL);
        CHECK_STATUS(weft_error_status(error), WEFT_DIED);
        CHECK_STR(weft_error_origin(error), origin);
        fails(dead, WEFT_DIED, deaths[i].text);
        answers(after, "eafter", 6);
        CHECK(pid_of(pool) != before);
    }
    weft_process_pool_stats stats = pool_stats(pool);
    CHECK(stats.died == 3 && stats.deaths == 3 && stats.sent_again == 0);
    pool_end(pool);
    no_children();
}

/* With a window, what the worker has not begun goes to another one. */
TEST(a_death_costs_no_call_that_waits_behind)
{
    weft_process_pool_options options = pool_options(1);
    options.window = 8;
    weft_process_pool *pool = pool_with(&options);
    for (int round = 0; round < 5; round++) {
        weft_future *futures[8];
        for (int i = 0; i < 8; i++)
            futures[i] = i == 3 ? ask(pool, KILLED) : call(pool, "eon", 3);
        for (int i = 0; i < 8; i++) {
            if (i == 3)
                fails(futures[i], WEFT_DIED, "signal 9");
            else
                answers(futures[i], "eon", 3);
        }
    }
    weft_process_pool_stats stats = pool_stats(pool);
    CHECK(stats.died == 5 && stats.succeeded == 35);
    pool_end(pool);
}

TEST(a_call_that_may_be_tried_again_is)
{
    weft_process_pool *pool = pool_new(2);
    char data[2] = {ATTEMPT, 3};
    uint32_t third = 3;
    weft_future *future = call_with(pool, data, 2, 0, 3);
    OK(weft_future_wait(future, WEFT_FOREVER));
    CHECK_INT(weft_process_call_attempts(future), 3);
    answers(future, &third, sizeof third);
    data[1] = 4;
    future = call_with(pool, data, 2, 0, 3);
    fails(future, WEFT_DIED, "(attempt 3)");
    weft_process_pool_stats stats = pool_stats(pool);
    CHECK(stats.deaths == 5 && stats.sent_again == 4 && stats.died == 1);
    pool_end(pool);
}

TEST(a_call_that_takes_too_long_costs_its_worker)
{
    begin_pipe();
    weft_process_pool *pool = pool_new(1);
    pid_t before = pid_of(pool);
    char what = WAITS;
    weft_future *late = call_with(pool, &what, 1, 50000000, 0);
    weft_future *after = call(pool, "eafter", 6);
    begun(1);
    fails(late, WEFT_TIMEOUT, "not answered in time");
    answers(after, "eafter", 6);
    CHECK(pid_of(pool) != before);
    what = STOPPED;
    fails(call_with(pool, &what, 1, 50000000, 0), WEFT_TIMEOUT, "not answered in time");
    weft_process_pool_stats stats = pool_stats(pool);
    CHECK(stats.timed_out == 2 && stats.died == 0);
    pool_end(pool);
}

/* With a window, a worker that takes up nothing is found out although it has begun none of them. */
TEST(a_worker_that_is_stopped_is_replaced)
{
    for (uint32_t window = 1; window <= 4; window += 3) {
        weft_process_pool_options options = pool_options(1);
        options.window = window;
        options.grace_ns = 10000000;
        weft_process_pool *pool = pool_with(&options);
        pid_t before = pid_of(pool);
        CHECK(kill(before, SIGSTOP) == 0);
        fails(call_with(pool, "ehello", 6, 10000000, 0), WEFT_TIMEOUT, "not answered in time");
        answers(call(pool, "ehello", 6), "ehello", 6);
        CHECK(pid_of(pool) != before);
        pool_end(pool);
    }
}

/* One that waits for its turn costs nobody anything. */
TEST(a_call_that_waits_too_long_ends_by_itself)
{
    begin_pipe();
    for (uint32_t window = 1; window <= 2; window++) {
        weft_process_pool_options options = pool_options(1);
        options.window = window;
        weft_process_pool *pool = pool_with(&options);
        pid_t before = pid_of(pool);
        weft_future *first = ask(pool, STOPS);
        begun(1);
        fails(call_with(pool, "ebehind", 7, 20000000, 0), WEFT_TIMEOUT, "not answered in time");
        weft_future_cancel(first);
        fails(first, WEFT_CANCELLED, "it has stopped");
        CHECK_INT(pid_of(pool), before);
        CHECK_INT(pool_stats(pool).deaths, 0);
        pool_end(pool);
    }
}

TEST(a_call_can_be_withdrawn)
{
    begin_pipe();
    for (uint32_t window = 1; window <= 4; window += 3) {
        weft_process_pool_options options = pool_options(1);
        options.window = window;
        weft_process_pool *pool = pool_with(&options);
        weft_cancel_token *token = NULL;
        weft_process_call_options call_options;
        weft_future *with_token = NULL;
        OK(weft_cancel_token_new(NULL, &token));
        OK(weft_process_call_options_init(&call_options, sizeof call_options));
        call_options.cancel = token;
        weft_future *first = ask(pool, STOPS);
        begun(1);
        weft_future *second = call(pool, "esecond", 7);
        OK(weft_process_pool_call(pool, "ethird", 6, &call_options, &with_token));
        weft_future *last = call(pool, "elast", 5);
        weft_future_cancel(second);
        OK(weft_cancel_token_trigger(token, "enough"));
        CHECK_INT(weft_future_state(first), WEFT_FUTURE_PENDING);
        weft_future_cancel(first);
        fails(first, WEFT_CANCELLED, "it has stopped");
        fails(second, WEFT_CANCELLED, "before");
        fails(with_token, WEFT_CANCELLED, "before");
        answers(last, "elast", 5);
        weft_cancel_token_release(token);
        pool_end(pool);
    }
}

TEST(a_future_that_nobody_waits_for_is_no_leak)
{
    weft_process_pool *pool = pool_new(1);
    for (int i = 0; i < 20; i++)
        weft_future_release(call(pool, "ehello", 6));
    pool_end(pool);
}

TEST(a_value_can_be_taken)
{
    weft_process_pool *pool = pool_new(1);
    weft_future *future = call(pool, "ehello", 6);
    void *bytes = NULL;
    OK(weft_future_take(future, WEFT_FOREVER, &bytes));
    weft_future_release(future);
    CHECK(weft_bytes_len(bytes) == 6 && memcmp(weft_bytes_data(bytes), "ehello", 6) == 0);
    weft_bytes_release(bytes);
    pool_end(pool);
}
