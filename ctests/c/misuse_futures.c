/* Misuse of the functions about promises, futures, and poll tasks. See misuse.h. */
#include "misuse.h"

#include <limits.h>

/* ---- promises */

MISUSE(weft_promise_new)
{
    weft_promise *promise = SENTINEL;
    weft_future *future = SENTINEL;
    CHECK_INVALID(weft_promise_new(NULL, &future), "promise");
    CHECK_INVALID(weft_promise_new(&promise, NULL), "future");
    CHECK(promise == SENTINEL && future == SENTINEL);
}

MISUSE(weft_promise_resolve)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_promise_resolve(NULL, zoo, never_drop, NULL), "promise");
    FOR_WRONG(zoo, PROMISE, h)
        CHECK_INVALID(weft_promise_resolve(h, zoo, never_drop, NULL), "promise");
    zoo_end(zoo);
}

MISUSE(weft_promise_reject)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_promise_reject(NULL, WEFT_FAILED, "no", NULL), "promise");
    CHECK_INVALID(weft_promise_reject(NULL, WEFT_FAILED, "no", zoo->bytes), "promise");
    FOR_WRONG(zoo, PROMISE, h)
        CHECK_INVALID(weft_promise_reject(h, WEFT_FAILED, "no", NULL), "promise");
    FOR_WRONG(zoo, BYTES, h)
        CHECK_INVALID(weft_promise_reject(zoo->promise, WEFT_FAILED, "no", h), "payload");
    CHECK_INVALID(weft_promise_reject(zoo->promise, WEFT_OK, "no", zoo->bytes), "status");
    zoo_end(zoo);
}

MISUSE(weft_promise_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_promise_retain(NULL) == NULL);
    FOR_WRONG(zoo, PROMISE, h)
        CHECK_NULL(weft_promise_retain(h), "promise");
    zoo_end(zoo);
}

MISUSE(weft_promise_release)
{
    struct zoo *zoo = zoo_new();
    weft_promise_release(NULL);
    FOR_WRONG(zoo, PROMISE, h)
        COMPLAINS(weft_promise_release(h), "promise");
    zoo_end(zoo);
}

/* ---- futures */

MISUSE(weft_future_wait)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_future_wait(NULL, WEFT_FOREVER), "future");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_INVALID(weft_future_wait(h, WEFT_FOREVER), "future");
    zoo_end(zoo);
}

static void wrong_value(weft_status (*get)(weft_future *, int64_t, void **))
{
    struct zoo *zoo = zoo_new();
    void *value = SENTINEL;
    CHECK_INVALID(get(NULL, WEFT_FOREVER, &value), "future");
    CHECK_INVALID(get(zoo->future, WEFT_FOREVER, NULL), "value");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_INVALID(get(h, WEFT_FOREVER, &value), "future");
    CHECK(value == SENTINEL);
    zoo_end(zoo);
}

MISUSE(weft_future_get) { wrong_value(weft_future_get); }
MISUSE(weft_future_take) { wrong_value(weft_future_take); }

MISUSE(weft_future_state)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_future_state(NULL), -1, "future");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_NEUTRAL(weft_future_state(h), -1, "future");
    zoo_end(zoo);
}

MISUSE(weft_future_error)
{
    struct zoo *zoo = zoo_new();
    CHECK_NULL(weft_future_error(NULL), "future");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_NULL(weft_future_error(h), "future");
    zoo_end(zoo);
}

MISUSE(weft_future_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_future_retain(NULL) == NULL);
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_NULL(weft_future_retain(h), "future");
    zoo_end(zoo);
}

MISUSE(weft_future_release)
{
    struct zoo *zoo = zoo_new();
    weft_future_release(NULL);
    FOR_WRONG(zoo, FUTURE, h)
        COMPLAINS(weft_future_release(h), "future");
    zoo_end(zoo);
}

/* ---- settling */

MISUSE(weft_future_ready)
{
    CHECK_INVALID(weft_future_ready(NULL, never_drop, NULL, NULL), "out");
}

MISUSE(weft_future_failed)
{
    weft_future *future = SENTINEL;
    CHECK_INVALID(weft_future_failed(WEFT_FAILED, NULL, NULL), "out");
    CHECK_INVALID(weft_future_failed(WEFT_OK, NULL, &future), "status");
    CHECK(future == SENTINEL);
}

MISUSE(weft_promise_cancelled)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_promise_cancelled(NULL), false, "promise");
    FOR_WRONG(zoo, PROMISE, h)
        CHECK_NEUTRAL(weft_promise_cancelled(h), false, "promise");
    zoo_end(zoo);
}

MISUSE(weft_future_cancel)
{
    struct zoo *zoo = zoo_new();
    COMPLAINS(weft_future_cancel(NULL), "future");
    FOR_WRONG(zoo, FUTURE, h)
        COMPLAINS(weft_future_cancel(h), "future");
    CHECK(!weft_promise_cancelled(zoo->promise));
    zoo_end(zoo);
}

MISUSE(weft_error_cause)
{
    CHECK_NULL(weft_error_cause(NULL), "error");
}

/* ---- callbacks */

static void never_settled(weft_future *future, void *arg)
{
    (void)future, (void)arg;
    CHECK(!"a callback ran that was refused");
}

MISUSE(weft_future_on_settled)
{
    struct zoo *zoo = zoo_new();
    weft_watch *watch = SENTINEL;
    CHECK_INVALID(weft_future_on_settled(zoo->future, NULL, NULL, never_drop, NULL, &watch), "fn");
    CHECK_INVALID(weft_future_on_settled(NULL, never_settled, NULL, never_drop, NULL, &watch), "future");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_INVALID(weft_future_on_settled(h, never_settled, NULL, never_drop, NULL, &watch), "future");
    CHECK(watch == SENTINEL);
    zoo_end(zoo);
}

static void never_ready(weft_worker *worker, int fd, int32_t events, void *arg)
{
    (void)worker, (void)fd, (void)events, (void)arg;
    CHECK(!"a callback ran that was refused");
}

MISUSE(weft_fd_watch)
{
    static const int32_t unknown[] = {16, -1, INT32_MIN, WEFT_FD_READABLE | 1 << 30};
    weft_watch *watch = SENTINEL;
    CHECK_INVALID(weft_fd_watch(NULL, 1, WEFT_FD_WRITABLE, NULL, NULL, never_drop, NULL, &watch), "fn");
    CHECK_INVALID(weft_fd_watch(NULL, -1, WEFT_FD_READABLE, never_ready, NULL, never_drop, NULL, &watch), "fd");
    CHECK_INVALID(weft_fd_watch(NULL, INT_MIN, WEFT_FD_READABLE, never_ready, NULL, never_drop, NULL, NULL), "fd");
    for (int i = 0; i < 4; i++)
        CHECK_INVALID(weft_fd_watch(NULL, 1, unknown[i], never_ready, NULL, never_drop, NULL, &watch), "events");
    struct zoo *zoo = zoo_new();
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_fd_watch(h, 1, WEFT_FD_WRITABLE, never_ready, NULL, never_drop, NULL, &watch), "runtime");
    zoo_end(zoo);
    CHECK(watch == SENTINEL);
}

static void is_told(weft_future *future, void *arg)
{
    (void)future;
    ++*(int *)arg;
}

static void wrong_watch(bool retain)
{
    struct zoo *zoo = zoo_new();
    weft_watch *watch = NULL;
    int told = 0;
    OK(weft_future_on_settled(zoo->future, is_told, &told, NULL, NULL, &watch));
    for (int kind = 0; kind < NOUNS; kind++) {
        if (retain)
            CHECK_NULL(weft_watch_retain(zoo->handle[kind]), "watch");
        else
            COMPLAINS(weft_watch_release(zoo->handle[kind]), "watch");
        CHECK_INVALID(weft_watch_off(zoo->handle[kind]), "watch");
    }
    CHECK_INVALID(weft_future_wait((weft_future *)watch, 0), "future");
    zoo_end(zoo);
    CHECK_INT(told, 1);
    weft_watch_release(watch);
}

MISUSE(weft_watch_off)
{
    CHECK_INVALID(weft_watch_off(NULL), "watch");
}

MISUSE(weft_watch_retain)
{
    CHECK(weft_watch_retain(NULL) == NULL);
    wrong_watch(true);
}

MISUSE(weft_watch_release)
{
    weft_watch_release(NULL);
    wrong_watch(false);
}

MISUSE(weft_future_notify)
{
    struct zoo *zoo = zoo_new();
    weft_channel *tags = channel_new(8, WEFT_UNBOUNDED), *wide = channel_new(16, WEFT_UNBOUNDED), *narrow = channel_new(4, WEFT_UNBOUNDED);
    CHECK_INVALID(weft_future_notify(zoo->future, NULL, 1), "channel");
    CHECK_INVALID(weft_future_notify(zoo->future, zoo->channel, 1), "unbounded");
    CHECK_INVALID(weft_future_notify(zoo->future, wide, 1), "8 bytes");
    CHECK_INVALID(weft_future_notify(zoo->future, narrow, 1), "8 bytes");
    weft_channel_options options;
    weft_channel *single = NULL;
    OK(weft_channel_options_init(&options, sizeof options));
    options.capacity = WEFT_UNBOUNDED;
    options.single_producer = WEFT_ON;
    OK(weft_channel_new(&options, &single));
    CHECK_INVALID(weft_future_notify(zoo->future, single, 1), "single producer");
    weft_channel_release(single);
    CHECK_INVALID(weft_future_notify(NULL, tags, 1), "future");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_INVALID(weft_future_notify(h, tags, 1), "future");
    FOR_WRONG(zoo, CHANNEL, h)
        CHECK_INVALID(weft_future_notify(zoo->future, h, 1), "channel");
    zoo_end(zoo);
    CHECK_INT(weft_channel_len(tags) + weft_channel_len(wide) + weft_channel_len(narrow), 0);
    weft_channel_release(tags);
    weft_channel_release(wide);
    weft_channel_release(narrow);
}

MISUSE(weft_future_fd)
{
    struct zoo *zoo = zoo_new();
    int fd = -77;
    CHECK_INVALID(weft_future_fd(zoo->future, NULL), "fd");
    CHECK_INVALID(weft_future_fd(NULL, &fd), "future");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_INVALID(weft_future_fd(h, &fd), "future");
    CHECK_INT(fd, -77);
    zoo_end(zoo);
}

/* ---- futures made of others */

static weft_status never_then(weft_worker *worker, void *value, void *arg, void **result)
{
    (void)value;
    return never_call(worker, arg, result);
}

MISUSE(weft_future_then)
{
    struct zoo *zoo = zoo_new();
    weft_spawn_options options;
    weft_future *future = SENTINEL;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.arg_drop = never_drop;
    CHECK_INVALID(weft_future_then(zoo->future, zoo->runtime, NULL, NULL, &options, &future), "fn");
    CHECK_INVALID(weft_future_then(zoo->future, zoo->runtime, never_then, NULL, &options, NULL), "out");
    CHECK_INVALID(weft_future_then(NULL, zoo->runtime, never_then, NULL, &options, &future), "future");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_INVALID(weft_future_then(h, zoo->runtime, never_then, NULL, &options, &future), "future");
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_future_then(zoo->future, h, never_then, NULL, &options, &future), "runtime");
    options.hints = WEFT_HINT_NOT_STEALABLE;
    CHECK_INVALID(weft_future_then(zoo->future, zoo->runtime, never_then, NULL, &options, &future), "hints");
    options.hints = 0;
    options.size = 1;
    CHECK_INVALID(weft_future_then(zoo->future, zoo->runtime, never_then, NULL, &options, &future), "size");
    CHECK(future == SENTINEL);
    zoo_end(zoo);
}

static void wrong_futures(weft_status (*combine)(weft_future *const *, size_t, weft_future **), bool of_none)
{
    struct zoo *zoo = zoo_new();
    weft_future *futures[2] = {zoo->future, NULL}, *future = SENTINEL;
    CHECK_INVALID(combine(futures, 1, NULL), "out");
    CHECK_INVALID(combine(NULL, 1, &future), "futures");
    CHECK_INVALID(combine(futures, 2, &future), "futures[1]");
    CHECK_INVALID(combine(futures, SIZE_MAX, &future), "futures");
    if (!of_none)
        CHECK_INVALID(combine(futures, 0, &future), "n");
    FOR_WRONG(zoo, FUTURE, h) {
        futures[1] = h;
        CHECK_INVALID(combine(futures, 2, &future), "futures[1]");
    }
    CHECK(future == SENTINEL);
    zoo_end(zoo);
}

MISUSE(weft_future_all) { wrong_futures(weft_future_all, true); }
MISUSE(weft_future_any) { wrong_futures(weft_future_any, false); }
MISUSE(weft_future_race) { wrong_futures(weft_future_race, false); }

MISUSE(weft_future_timeout)
{
    struct zoo *zoo = zoo_new();
    weft_future *future = SENTINEL;
    CHECK_INVALID(weft_future_timeout(zoo->future, 1, NULL), "out");
    CHECK_INVALID(weft_future_timeout(NULL, 1, &future), "future");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_INVALID(weft_future_timeout(h, 1, &future), "future");
    CHECK(future == SENTINEL);
    zoo_end(zoo);
}

MISUSE(weft_future_delay)
{
    CHECK_INVALID(weft_future_delay(1, NULL), "out");
}

MISUSE(weft_future_winner)
{
    struct zoo *zoo = zoo_new();
    size_t index = 77;
    CHECK_INVALID(weft_future_winner(zoo->future, NULL), "index");
    CHECK_INVALID(weft_future_winner(NULL, &index), "future");
    CHECK_INVALID(weft_future_winner(zoo->future, &index), "several");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_INVALID(weft_future_winner(h, &index), "future");
    CHECK_INT(index, 77);
    zoo_end(zoo);
}

/* ---- poll tasks */

static weft_status never_poll(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    (void)waker;
    return never_call(worker, state, result);
}

MISUSE(weft_spawn_poll)
{
    struct zoo *zoo = zoo_new();
    weft_spawn_options options;
    weft_future *future = SENTINEL;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.arg_drop = never_drop;
    CHECK_INVALID(weft_spawn_poll(zoo->runtime, NULL, NULL, &options, &future), "fn");
    CHECK_INVALID(weft_spawn_poll(zoo->runtime, never_poll, NULL, &options, NULL), "out");
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_spawn_poll(h, never_poll, NULL, &options, &future), "runtime");
    options.priority = 99;
    CHECK_INVALID(weft_spawn_poll(zoo->runtime, never_poll, NULL, &options, &future), "priority");
    options.size = 1;
    CHECK_INVALID(weft_spawn_poll(zoo->runtime, never_poll, NULL, &options, &future), "size");
    weft_runtime *over = runtime_new(1);
    OK(weft_runtime_shutdown(over, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    OK(weft_spawn_options_init(&options, sizeof options));
    options.arg_drop = never_drop;
    CHECK_STATUS(weft_spawn_poll(over, never_poll, NULL, &options, &future), WEFT_SHUTDOWN);
    weft_runtime_release(over);
    CHECK(future == SENTINEL);
    zoo_end(zoo);
}

/* The waker of a call is no reference: giving it back takes nothing. */
static weft_status give_back(weft_worker *worker, void *state, const weft_waker *waker, void **result)
{
    (void)worker;
    *result = NULL;
    weft_waker_release((weft_waker *)waker);
    weft_waker_release((weft_waker *)waker);
    *(weft_waker **)state = weft_waker_clone(waker);
    return WEFT_OK;
}

MISUSE(weft_waker_clone)
{
    struct zoo *zoo = zoo_new();
    weft_future *future = NULL;
    weft_waker *waker = NULL;
    CHECK_NULL(weft_waker_clone(NULL), "waker");
    OK(weft_spawn_poll(zoo->runtime, give_back, &waker, NULL, &future));
    OK(weft_future_wait(future, WEFT_FOREVER));
    weft_waker_wake(waker);
    weft_waker_release(waker);
    weft_future_release(future);
    for (int kind = 0; kind < NOUNS; kind++)
        CHECK_NULL(weft_waker_clone(zoo->handle[kind]), "waker");
    zoo_end(zoo);
}

MISUSE(weft_waker_wake)
{
    struct zoo *zoo = zoo_new();
    COMPLAINS(weft_waker_wake(NULL), "waker");
    for (int kind = 0; kind < NOUNS; kind++)
        COMPLAINS(weft_waker_wake(zoo->handle[kind]), "waker");
    zoo_end(zoo);
}

MISUSE(weft_waker_release)
{
    struct zoo *zoo = zoo_new();
    weft_waker_release(NULL);
    for (int kind = 0; kind < NOUNS; kind++)
        COMPLAINS(weft_waker_release(zoo->handle[kind]), "waker");
    zoo_end(zoo);
}
