/* Process pools: no call is lost and no seat stands still, whatever comes between a call's being given to a worker and its going out. */
#include "processes.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than a link holds: a worker that does not read does not get it whole. */
enum { LARGE = 16 << 20 };

/* A pool of one worker, which has stopped. */
static weft_process_pool *stopped_pool(const weft_process_pool_options *options, pid_t *pid)
{
    weft_process_pool *pool = pool_with(options);
    *pid = pid_of(pool);
    REQUIRE(kill(*pid, SIGSTOP) == 0);
    return pool;
}

/* With a window of one, a call's data is not kept while it is sent: it has to be when the worker turns out to be gone. */
struct deaths {
    weft_process_pool *pool;
    uint64_t seed;
    atomic_bool over;
};

static void keep_asking(size_t index, void *arg)
{
    struct deaths *deaths = arg;
    struct random random = {deaths->seed + index};
    for (int i = 0; index == 0 && i < 400; i++) {
        void *bytes = NULL;
        weft_future *future = ask(deaths->pool, PID);
        pid_t pid = 0;
        if (weft_future_get(future, WEFT_FOREVER, &bytes) == WEFT_OK) {
            memcpy(&pid, weft_bytes_data(bytes), sizeof pid);
            kill(pid, SIGKILL);
        }
        weft_future_release(future);
    }
    deaths->over |= index == 0;
    while (!deaths->over) {
        void *bytes = NULL;
        weft_future *future = call(deaths->pool, "eagain", 6);
        weft_status status = weft_future_get(future, WEFT_FOREVER, &bytes);
        CHECK(status == WEFT_OK || status == WEFT_DIED);
        weft_future_release(future);
        usleep((useconds_t)random_below(&random, 300)); /* To meet a death at each of its stages. */
    }
}

TEST(an_idle_worker_that_dies_takes_no_call_with_it)
{
    weft_process_pool_options options = pool_options(2);
    options.restart_limit = UINT32_MAX;
    options.backoff_ns = 0;
    struct deaths deaths = {.pool = pool_with(&options), .seed = random_seed()};
    threads_together(4, keep_asking, &deaths);
    pool_end(deaths.pool);
}

/* Calls that are over before they have gone out make room for those behind them. */
TEST(what_is_taken_back_makes_room)
{
    for (uint64_t max_calls = 0; max_calls <= 2; max_calls += 2) {
        weft_process_pool_options options = pool_options(1);
        options.window = 2;
        options.max_calls = max_calls ? max_calls + 1 : 0; /* The first is pid_of's. */
        options.grace_ns = 600000000000;
        char *data = calloc(1, LARGE);
        pid_t pid;
        REQUIRE(data != NULL);
        weft_process_pool *pool = stopped_pool(&options, &pid);
        weft_future *late[2];
        for (int i = 0; i < 2; i++)
            late[i] = call_with(pool, data, LARGE, 20000000, 0);
        weft_future *behind = call(pool, "ebehind", 7);
        for (int i = 0; i < 2; i++)
            fails(late[i], WEFT_TIMEOUT, "not answered in time");
        CHECK(kill(pid, SIGCONT) == 0);
        answers(behind, "ebehind", 7);
        answers(call(pool, "elater", 6), "elater", 6);
        CHECK_INT(pool_stats(pool).deaths, 0);
        free(data);
        pool_end(pool);
    }
}

/* A worker that has been given all that it may, and has none of it any more, goes. */
TEST(what_is_taken_back_keeps_no_seat)
{
    weft_process_pool_options options = pool_options(1);
    options.window = 2;
    options.max_calls = 2;
    options.grace_ns = 600000000000;
    char *data = calloc(1, LARGE);
    pid_t pid;
    REQUIRE(data != NULL);
    weft_process_pool *pool = stopped_pool(&options, &pid);
    weft_future *late = call_with(pool, data, LARGE, 20000000, 0);
    weft_future *behind = call(pool, "ebehind", 7);
    fails(late, WEFT_TIMEOUT, "not answered in time");
    CHECK(kill(pid, SIGCONT) == 0);
    answers(behind, "ebehind", 7);
    CHECK_INT(pool_stats(pool).deaths, 0);
    free(data);
    pool_end(pool);
}

/* A pool that ends does not end before what its callers are about to send. */
struct sending {
    weft_process_pool *pool;
    const char *data;
    size_t len;
    gate begins;
};

static void send_one(void *arg)
{
    struct sending *sending = arg;
    weft_future *future = NULL;
    gate_open(&sending->begins);
    weft_status status = weft_process_pool_call(sending->pool, sending->data, sending->len, NULL, &future);
    if (status != WEFT_OK) {
        CHECK_STATUS(status, WEFT_CLOSED);
        return;
    }
    void *bytes = NULL;
    status = weft_future_get(future, WEFT_FOREVER, &bytes);
    CHECK(status == WEFT_OK || status == WEFT_SHUTDOWN);
    weft_future_release(future);
}

TEST(a_call_that_is_being_sent_ends_with_its_pool)
{
    struct random random = {random_seed()};
    struct sending sending = {.len = 12 << 20};
    char *data = calloc(1, sending.len);
    REQUIRE(data != NULL);
    data[0] = ECHO;
    sending.data = data;
    for (int i = 0; i < 20; i++) {
        weft_process_pool_options options = pool_options(1);
        options.ring_size = 32 << 20;
        options.grace_ns = 0;
        sending.pool = pool_with(&options);
        pid_of(sending.pool);
        sending.begins = (gate)GATE_INIT;
        struct thread sender;
        thread_start(&sender, send_one, &sending);
        gate_wait(&sending.begins);
        usleep((useconds_t)random_below(&random, 5000)); /* Anywhere in it; none of that matters to what is right. */
        weft_status status = weft_process_pool_drain(sending.pool, 0);
        CHECK(status == WEFT_OK || status == WEFT_WOULD_BLOCK);
        thread_join(&sender);
        pool_end(sending.pool);
    }
    free(data);
}

/* No call fails because seats come and go. */
struct resizing {
    weft_process_pool *pool;
    atomic_bool over;
};

static void ask_or_resize(size_t index, void *arg)
{
    struct resizing *resizing = arg;
    if (index == 0) {
        struct random random = {random_seed()};
        for (int i = 0; i < 200; i++) {
            CHECK_STATUS(weft_process_pool_resize(resizing->pool, 1 + (uint32_t)random_below(&random, 4)), WEFT_OK);
            usleep((useconds_t)random_below(&random, 4000)); /* Workers get as far as they get. */
        }
        resizing->over = true;
    }
    while (!resizing->over)
        answers(call(resizing->pool, "eon", 3), "eon", 3);
}

TEST(no_call_fails_while_the_pool_is_resized)
{
    struct resizing resizing = {.pool = pool_new(1)};
    threads_together(3, ask_or_resize, &resizing);
    CHECK_INT(pool_stats(resizing.pool).deaths, 0);
    pool_end(resizing.pool);
}

/* A worker that takes nothing up is found out although a call that it does not read is on its way. */
TEST(a_large_call_hides_no_worker_that_has_stopped)
{
    weft_process_pool_options options = pool_options(1);
    options.window = 2;
    options.grace_ns = 30000000;
    char *data = calloc(1, LARGE);
    pid_t pid;
    REQUIRE(data != NULL);
    data[0] = ECHO;
    weft_process_pool *pool = stopped_pool(&options, &pid);
    weft_future *late = call_with(pool, "elate", 5, 20000000, 0);
    weft_future *large = call(pool, data, LARGE);
    fails(late, WEFT_TIMEOUT, "not answered in time");
    answers(large, data, LARGE);
    CHECK(pid_of(pool) != pid);
    free(data);
    pool_end(pool);
}

/* The same with its memory. */
TEST(a_large_call_hides_no_worker_that_is_too_large)
{
    if (under_a_tool())
        return; /* Its own memory is more than ours. */
    begin_pipe();
    weft_process_pool_options options = pool_options(1);
    options.window = 2;
    options.max_rss = (size_t)100 << 20;
    char *data = calloc(1, LARGE);
    REQUIRE(data != NULL);
    data[0] = ECHO;
    weft_process_pool *pool = pool_with(&options);
    weft_future *grows = call(pool, (char[]){GROWS, (char)160}, 2);
    weft_future *large = call(pool, data, LARGE);
    fails(grows, WEFT_DIED, "max_rss");
    answers(large, data, LARGE);
    free(data);
    pool_end(pool);
}

/* A call that is refused is in no number, also when its time is over by then. */
TEST(what_is_refused_is_not_counted)
{
    begin_pipe();
    struct random random = {random_seed()};
    weft_process_pool_options options = pool_options(1);
    weft_process_call_options call_options;
    options.max_waiting = 0;
    OK(weft_process_call_options_init(&call_options, sizeof call_options));
    weft_process_pool *pool = pool_with(&options);
    POOL_UNTIL(pool, stats, stats.ready == 1);
    weft_future *busy = ask(pool, STOPS);
    begun(1);
    uint64_t made = 1;
    /* While it is copied, its time is over. */
    size_t len = 4 << 20;
    char *data = calloc(1, len);
    REQUIRE(data != NULL);
    for (int i = 0; i < 200; i++) {
        weft_future *future = NULL;
        call_options.timeout_ns = 1 + (int64_t)random_below(&random, 60000);
        weft_status status = weft_process_pool_call(pool, data, len, &call_options, &future);
        made += status == WEFT_OK;
        if (status == WEFT_OK)
            fails(future, WEFT_TIMEOUT, "not answered in time");
        else
            CHECK_STATUS(status, WEFT_REJECTED);
    }
    free(data);
    CHECK_INT(pool_stats(pool).calls, made);
    weft_future_cancel(busy);
    fails(busy, WEFT_CANCELLED, "it has stopped");
    pool_end(pool);
}

TEST(a_token_that_was_triggered_before_stops_the_call)
{
    weft_process_pool *pool = pool_new(1);
    weft_cancel_token *token = NULL;
    weft_process_call_options call_options;
    weft_future *future = NULL;
    pid_of(pool);
    OK(weft_cancel_token_new(NULL, &token));
    OK(weft_cancel_token_trigger(token, "enough"));
    OK(weft_process_call_options_init(&call_options, sizeof call_options));
    call_options.cancel = token;
    OK(weft_process_pool_call(pool, "e", 1, &call_options, &future));
    CHECK_INT(weft_process_call_attempts(future), 0);
    fails(future, WEFT_CANCELLED, "before");
    weft_cancel_token_release(token);
    pool_end(pool);
}
