/* Misuse of the functions of process pools. See misuse.h. */
#include "misuse.h"

#include <string.h>
#include <unistd.h>

static weft_status never_handler(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)data;
    (void)len;
    (void)arg;
    *reply = NULL;
    CHECK(!"a handler ran that nobody has called");
    return WEFT_OK;
}

static int32_t never_forks(int32_t fd, void *arg)
{
    (void)fd;
    (void)arg;
    CHECK(!"a worker was forked for a pool that was refused");
    return -1;
}

MISUSE(weft_serve)
{
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    CHECK_INVALID(weft_serve(ends[0], NULL, NULL), "handler");
    CHECK_INVALID(weft_serve(-1, never_handler, NULL), "fd");
    CHECK_INVALID(weft_serve(-2, never_handler, NULL), "fd");
    CHECK_INVALID(weft_serve(INT32_MAX, never_handler, NULL), "fd");
    CHECK_INVALID(weft_serve(ends[0], never_handler, NULL), "fd");
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

MISUSE(weft_serve_cancelled)
{
    CHECK(!weft_serve_cancelled());
}

MISUSE(weft_serve_attempt)
{
    CHECK_INT(weft_serve_attempt(), 0);
}

MISUSE(weft_handler_fail)
{
    struct zoo *zoo = zoo_new();
    FOR_WRONG(zoo, BYTES, h)
        CHECK_INVALID(weft_handler_fail(WEFT_FAILED, "no", NULL, h), "payload");
    CHECK_STATUS(weft_handler_fail(77, NULL, NULL, zoo->bytes), 77);
    CHECK_STATUS(weft_handler_fail(WEFT_FAILED, "no", "here", NULL), WEFT_FAILED);
    CHECK_STR(weft_error_message(), "no");
    zoo_end(zoo);
}

MISUSE(weft_process_pool_options_init)
{
    weft_process_pool_options options;
    memset(&options, 0x5e, sizeof options);
    CHECK_INVALID(weft_process_pool_options_init(NULL, sizeof options), "options");
    CHECK_INVALID(weft_process_pool_options_init(&options, sizeof options - 1), "size");
    CHECK_INVALID(weft_process_pool_options_init(&options, SIZE_MAX), "size");
}

MISUSE(weft_process_call_options_init)
{
    weft_process_call_options options;
    memset(&options, 0x5e, sizeof options);
    CHECK_INVALID(weft_process_call_options_init(NULL, sizeof options), "options");
    CHECK_INVALID(weft_process_call_options_init(&options, sizeof options - 1), "size");
    CHECK_INVALID(weft_process_call_options_init(&options, SIZE_MAX), "size");
}

MISUSE(weft_process_pool_new)
{
    const char *argv[] = {"/bin/true", NULL}, *empty[] = {NULL}, *nothing[] = {"", NULL};
    weft_process_pool *pool = SENTINEL;
    weft_process_pool_options good, options;
    OK(weft_process_pool_options_init(&good, sizeof good));
    good.argv = argv;
    CHECK_INVALID(weft_process_pool_new(&good, NULL), "out");
    CHECK_INVALID(weft_process_pool_new(NULL, &pool), "argv");
#define REFUSED(member, value, part)                                   \
    do {                                                               \
        options = good;                                                \
        options.member = (value);                                      \
        CHECK_INVALID(weft_process_pool_new(&options, &pool), (part)); \
    } while (0)
    REFUSED(size, 3, "size");
    REFUSED(argv, NULL, "neither");
    REFUSED(argv, empty, "argv");
    REFUSED(argv, nothing, "argv");
    REFUSED(fork_fn, never_forks, "both");
    REFUSED(fork_anywhere, 9, "fork_anywhere");
    REFUSED(workers, 4097, "workers");
    REFUSED(window, 0, "window");
    REFUSED(window, 65537, "window");
    REFUSED(limits_len, 1, "limits");
    REFUSED(limits_len, SIZE_MAX, "limits");
    REFUSED(nice, 41, "nice");
    REFUSED(nice, INT32_MIN, "nice");
    REFUSED(attempts, 0, "attempts");
    REFUSED(attempts, UINT32_MAX, "attempts");
    REFUSED(call_timeout_ns, 0, "call_timeout_ns");
    REFUSED(call_timeout_ns, -1, "call_timeout_ns");
    REFUSED(restart_window_ns, -1, "restart_window_ns");
    REFUSED(backoff_ns, -1, "backoff_ns");
    REFUSED(backoff_max_ns, INT64_MIN, "backoff_max_ns");
    REFUSED(start_timeout_ns, 0, "start_timeout_ns");
    REFUSED(grace_ns, -1, "grace_ns");
    CHECK(pool == SENTINEL);
}

MISUSE(weft_process_pool_call)
{
    struct zoo *zoo = zoo_new();
    weft_future *future = SENTINEL;
    weft_process_call_options options;
    CHECK_INVALID(weft_process_pool_call(NULL, "x", 1, NULL, &future), "pool");
    CHECK_INVALID(weft_process_pool_call(zoo->processes, NULL, 1, NULL, &future), "data");
    CHECK_INVALID(weft_process_pool_call(zoo->processes, "x", SIZE_MAX, NULL, &future), "data");
    CHECK_INVALID(weft_process_pool_call(zoo->processes, "x", 1, NULL, NULL), "out");
    CHECK_REFUSED(weft_process_pool_call(zoo->processes, "x", (size_t)1 << 31, NULL, &future), WEFT_TOO_LARGE, "longer");
    FOR_WRONG(zoo, PROCESSES, h)
        CHECK_INVALID(weft_process_pool_call(h, "x", 1, NULL, &future), "pool");
    OK(weft_process_call_options_init(&options, sizeof options));
    options.timeout_ns = -1;
    CHECK_INVALID(weft_process_pool_call(zoo->processes, "x", 1, &options, &future), "timeout_ns");
    options.timeout_ns = 0;
    options.attempts = UINT32_MAX;
    CHECK_INVALID(weft_process_pool_call(zoo->processes, "x", 1, &options, &future), "attempts");
    options.attempts = 0;
    FOR_WRONG(zoo, TOKEN, h) {
        options.cancel = h;
        CHECK_INVALID(weft_process_pool_call(zoo->processes, "x", 1, &options, &future), "cancel");
    }
    options.cancel = NULL;
    options.size = 3;
    CHECK_INVALID(weft_process_pool_call(zoo->processes, "x", 1, &options, &future), "size");
    CHECK(future == SENTINEL);
    zoo_end(zoo);
}

MISUSE(weft_process_call_attempts)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_process_call_attempts(NULL), 0, "future");
    FOR_WRONG(zoo, FUTURE, h)
        CHECK_NEUTRAL(weft_process_call_attempts(h), 0, "future");
    CHECK_INT(weft_process_call_attempts(zoo->future), 0);
    zoo_end(zoo);
}

MISUSE(weft_process_pool_tend)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_process_pool_tend(NULL, WEFT_FOREVER), "pool");
    FOR_WRONG(zoo, PROCESSES, h)
        CHECK_INVALID(weft_process_pool_tend(h, WEFT_FOREVER), "pool");
    zoo_end(zoo);
}

MISUSE(weft_process_pool_resize)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_process_pool_resize(NULL, 1), "pool");
    CHECK_INVALID(weft_process_pool_resize(zoo->processes, 0), "workers");
    CHECK_INVALID(weft_process_pool_resize(zoo->processes, 4097), "workers");
    CHECK_INVALID(weft_process_pool_resize(zoo->processes, UINT32_MAX), "workers");
    FOR_WRONG(zoo, PROCESSES, h)
        CHECK_INVALID(weft_process_pool_resize(h, 1), "pool");
    zoo_end(zoo);
}

MISUSE(weft_process_pool_drain)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_process_pool_drain(NULL, WEFT_FOREVER), "pool");
    FOR_WRONG(zoo, PROCESSES, h)
        CHECK_INVALID(weft_process_pool_drain(h, WEFT_FOREVER), "pool");
    zoo_end(zoo);
}

MISUSE(weft_process_pool_stats_get)
{
    struct zoo *zoo = zoo_new();
    weft_process_pool_stats stats = {.size = sizeof stats, .calls = 77};
    CHECK_INVALID(weft_process_pool_stats_get(NULL, &stats), "pool");
    CHECK_INVALID(weft_process_pool_stats_get(zoo->processes, NULL), "out");
    FOR_WRONG(zoo, PROCESSES, h)
        CHECK_INVALID(weft_process_pool_stats_get(h, &stats), "pool");
    stats.size = 3;
    CHECK_INVALID(weft_process_pool_stats_get(zoo->processes, &stats), "size");
    CHECK_INT(stats.calls, 77);
    zoo_end(zoo);
}

MISUSE(weft_process_pool_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_process_pool_retain(NULL) == NULL);
    FOR_WRONG(zoo, PROCESSES, h)
        CHECK_NULL(weft_process_pool_retain(h), "pool");
    zoo_end(zoo);
}

MISUSE(weft_process_pool_release)
{
    struct zoo *zoo = zoo_new();
    weft_process_pool_release(NULL);
    FOR_WRONG(zoo, PROCESSES, h)
        COMPLAINS(weft_process_pool_release(h), "pool");
    zoo_end(zoo);
}
