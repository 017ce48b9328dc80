/* Misuse of breakers. See misuse.h. */
#include "misuse.h"

#include <math.h>
#include <string.h>

static weft_breaker_options defaults(void)
{
    weft_breaker_options options;
    OK(weft_breaker_options_init(&options, sizeof options));
    return options;
}

MISUSE(weft_breaker_options_init)
{
    weft_breaker_options options;
    memset(&options, 0x5e, sizeof options);
    CHECK_INVALID(weft_breaker_options_init(NULL, sizeof options), "options");
    CHECK_INVALID(weft_breaker_options_init(&options, 0), "size");
    CHECK_INVALID(weft_breaker_options_init(&options, sizeof options - 1), "size");
    CHECK_INVALID(weft_breaker_options_init(&options, SIZE_MAX), "size");
    CHECK_INT(options.window, 0x5e5e5e5e);
}

/* One member is wrong. */
#define WRONG(member, value, part)                                                 \
    do {                                                                           \
        weft_breaker_options wrong_options = defaults();                           \
        wrong_options.member = (value);                                            \
        CHECK_INVALID(weft_breaker_new(&wrong_options, &breaker), (part));         \
    } while (0)

MISUSE(weft_breaker_new)
{
    weft_breaker *breaker = SENTINEL;
    struct {
        weft_breaker_options options;
        char later[8];
    } longer = {defaults(), {0}};
    CHECK_INVALID(weft_breaker_new(NULL, NULL), "out");
    longer.options.size = 0;
    CHECK_INVALID(weft_breaker_new(&longer.options, &breaker), "size");
    longer.options.size = sizeof longer;
    longer.later[5] = 1;
    CHECK_INVALID(weft_breaker_new(&longer.options, &breaker), "does not know");
    WRONG(window, 0, "window");
    WRONG(window, 65537, "window");
    WRONG(window, UINT32_MAX, "window");
    WRONG(window_ns, -1, "window_ns");
    WRONG(window_ns, 9999999, "window_ns");
    WRONG(failure_rate, -0.1, "failure_rate");
    WRONG(failure_rate, 1.1, "failure_rate");
    WRONG(failure_rate, (double)NAN, "failure_rate");
    WRONG(failure_rate, (double)INFINITY, "failure_rate");
    WRONG(slow_ns, -1, "slow_ns");
    WRONG(probes, 0, "probes");
    WRONG(probes, 1024, "probes");
    WRONG(probes_to_close, 2, "probes_to_close");
    WRONG(abandoned, WEFT_OUTCOME_ABANDONED, "abandoned");
    WRONG(abandoned, -1, "abandoned");
    WRONG(abandoned, 4, "abandoned");
    WRONG(open_wait_ns, -1, "open_wait_ns");
    WRONG(open_wait_max_ns, -1, "open_wait_max_ns");
    WRONG(open_wait_max_ns, INT64_MIN, "open_wait_max_ns");
    WRONG(backoff, 0.5, "backoff");
    WRONG(backoff, (double)NAN, "backoff");
    WRONG(backoff, (double)INFINITY, "backoff");
    WRONG(jitter, -0.1, "jitter");
    WRONG(jitter, 1.5, "jitter");
    WRONG(jitter, (double)NAN, "jitter");
    WRONG(probe_wait_ns, 0, "probe_wait_ns");
    WRONG(probe_wait_ns, -5, "probe_wait_ns");
    WRONG(probe_wait_ns, WEFT_FOREVER, "probe_wait_ns");
    weft_breaker_options slow = defaults();
    slow.slow_ns = 1;
    slow.slow_rate = 0;
    CHECK_INVALID(weft_breaker_new(&slow, &breaker), "slow_rate");
    CHECK(breaker == SENTINEL);
    /* The largest of everything. */
    weft_breaker_options large = defaults();
    large.window = 65536;
    large.window_ns = large.slow_ns = large.open_wait_ns = large.open_wait_max_ns = WEFT_FOREVER;
    large.probe_wait_ns = WEFT_FOREVER - 1;
    large.minimum_calls = large.consecutive = UINT32_MAX;
    large.probes = large.probes_to_close = 1023;
    large.failure_rate = large.slow_rate = large.jitter = 1;
    large.backoff = 1000000;
    OK(weft_breaker_new(&large, &breaker));
    for (int32_t state = WEFT_BREAKER_CLOSED; state <= WEFT_BREAKER_METRICS_ONLY; state++) {
        weft_permit permit;
        OK(weft_breaker_force(breaker, state));
        if (weft_breaker_acquire(breaker, &permit) == WEFT_OK)
            OK(weft_breaker_record(breaker, &permit, WEFT_OUTCOME_FAIL));
        (void)weft_breaker_retry_after(breaker);
    }
    weft_breaker_release(breaker);
}

MISUSE(weft_breaker_acquire)
{
    struct zoo *zoo = zoo_new();
    weft_permit permit = {{5, 6}};
    CHECK_INVALID(weft_breaker_acquire(NULL, &permit), "breaker");
    CHECK_INVALID(weft_breaker_acquire(zoo->breaker, NULL), "permit");
    FOR_WRONG(zoo, BREAKER, h)
        CHECK_INVALID(weft_breaker_acquire(h, &permit), "breaker");
    CHECK(permit.word[0] == 5 && permit.word[1] == 6);
    zoo_end(zoo);
}

MISUSE(weft_breaker_record)
{
    struct zoo *zoo = zoo_new();
    weft_permit permit, nothing = {{0, 0}}, garbage = {{UINT64_MAX, UINT64_MAX}};
    OK(weft_breaker_acquire(zoo->breaker, &permit));
    CHECK_INVALID(weft_breaker_record(NULL, &permit, WEFT_OUTCOME_OK), "breaker");
    CHECK_INVALID(weft_breaker_record(zoo->breaker, NULL, WEFT_OUTCOME_OK), "permit");
    CHECK_INVALID(weft_breaker_record(zoo->breaker, NULL, WEFT_OUTCOME_FAIL), "permit");
    CHECK_INVALID(weft_breaker_record(zoo->breaker, &permit, -1), "outcome");
    CHECK_INVALID(weft_breaker_record(zoo->breaker, &permit, 4), "outcome");
    CHECK_INVALID(weft_breaker_record(zoo->breaker, &nothing, WEFT_OUTCOME_OK), "permit");
    CHECK_INVALID(weft_breaker_record(zoo->breaker, &garbage, WEFT_OUTCOME_FAIL), "permit");
    FOR_WRONG(zoo, BREAKER, h)
        CHECK_INVALID(weft_breaker_record(h, &permit, WEFT_OUTCOME_OK), "breaker");
    OK(weft_breaker_record(zoo->breaker, &permit, WEFT_OUTCOME_OK));
    CHECK_INVALID(weft_breaker_record(zoo->breaker, &permit, WEFT_OUTCOME_OK), "recorded");
    zoo_end(zoo);
}

MISUSE(weft_breaker_call)
{
    struct zoo *zoo = zoo_new();
    void *result = SENTINEL;
    CHECK_INVALID(weft_breaker_call(NULL, never_call, NULL, &result), "breaker");
    CHECK_INVALID(weft_breaker_call(zoo->breaker, NULL, NULL, &result), "fn");
    FOR_WRONG(zoo, BREAKER, h)
        CHECK_INVALID(weft_breaker_call(h, never_call, NULL, &result), "breaker");
    CHECK(result == SENTINEL);
    zoo_end(zoo);
}

MISUSE(weft_breaker_get_state)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_breaker_get_state(NULL), -1, "breaker");
    FOR_WRONG(zoo, BREAKER, h)
        CHECK_NEUTRAL(weft_breaker_get_state(h), -1, "breaker");
    zoo_end(zoo);
}

MISUSE(weft_breaker_retry_after)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_breaker_retry_after(NULL), 0, "breaker");
    FOR_WRONG(zoo, BREAKER, h)
        CHECK_NEUTRAL(weft_breaker_retry_after(h), 0, "breaker");
    zoo_end(zoo);
}

MISUSE(weft_breaker_force)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_breaker_force(NULL, WEFT_BREAKER_CLOSED), "breaker");
    CHECK_INVALID(weft_breaker_force(zoo->breaker, -1), "state");
    CHECK_INVALID(weft_breaker_force(zoo->breaker, 6), "state");
    FOR_WRONG(zoo, BREAKER, h)
        CHECK_INVALID(weft_breaker_force(h, WEFT_BREAKER_OPEN), "breaker");
    zoo_end(zoo);
}

static void never_event(const weft_breaker_event *event, void *arg)
{
    (void)event, (void)arg;
    CHECK(!"a listener was told that was refused");
}

MISUSE(weft_breaker_on_change)
{
    struct zoo *zoo = zoo_new();
    weft_watch *watch = SENTINEL;
    CHECK_INVALID(weft_breaker_on_change(NULL, never_event, NULL, never_drop, NULL, &watch), "breaker");
    CHECK_INVALID(weft_breaker_on_change(zoo->breaker, NULL, NULL, never_drop, NULL, &watch), "fn");
    FOR_WRONG(zoo, BREAKER, h)
        CHECK_INVALID(weft_breaker_on_change(h, never_event, NULL, never_drop, NULL, &watch), "breaker");
    CHECK(watch == SENTINEL);
    OK(weft_breaker_force(zoo->breaker, WEFT_BREAKER_CLOSED));
    zoo_end(zoo);
}

MISUSE(weft_breaker_notify)
{
    struct zoo *zoo = zoo_new();
    weft_watch *watch = SENTINEL;
    weft_channel *events = channel_new(sizeof(weft_breaker_event), WEFT_UNBOUNDED);
    weft_channel *wrong[] = {NULL, channel_new(8, WEFT_UNBOUNDED), channel_new(sizeof(weft_breaker_event), 100), NULL};
    weft_channel_options options;
    OK(weft_channel_options_init(&options, sizeof options));
    options.elem_size = sizeof(weft_breaker_event);
    options.capacity = WEFT_UNBOUNDED;
    options.single_producer = WEFT_ON;
    OK(weft_channel_new(&options, &wrong[3]));
    CHECK_INVALID(weft_breaker_notify(NULL, events, &watch), "breaker");
    for (int i = 0; i < 4; i++)
        CHECK_INVALID(weft_breaker_notify(zoo->breaker, wrong[i], &watch), "channel");
    FOR_WRONG(zoo, BREAKER, h)
        CHECK_INVALID(weft_breaker_notify(h, events, &watch), "breaker");
    FOR_WRONG(zoo, CHANNEL, h)
        CHECK_INVALID(weft_breaker_notify(zoo->breaker, h, &watch), "channel");
    CHECK(watch == SENTINEL);
    OK(weft_breaker_force(zoo->breaker, WEFT_BREAKER_CLOSED));
    CHECK_INT(weft_channel_len(events), 0);
    for (int i = 1; i < 4; i++)
        weft_channel_release(wrong[i]);
    weft_channel_release(events);
    zoo_end(zoo);
}

MISUSE(weft_breaker_stats_get)
{
    struct zoo *zoo = zoo_new();
    weft_breaker_stats stats, before;
    memset(&stats, 0x5e, sizeof stats);
    stats.size = sizeof stats;
    before = stats;
    CHECK_INVALID(weft_breaker_stats_get(NULL, &stats), "breaker");
    CHECK_INVALID(weft_breaker_stats_get(zoo->breaker, NULL), "out");
    FOR_WRONG(zoo, BREAKER, h)
        CHECK_INVALID(weft_breaker_stats_get(h, &stats), "breaker");
    CHECK(memcmp(&stats, &before, sizeof stats) == 0);
    stats.size = SIZE_MAX;
    CHECK_INVALID(weft_breaker_stats_get(zoo->breaker, &stats), "size");
    stats.size = sizeof stats - 1;
    CHECK_INVALID(weft_breaker_stats_get(zoo->breaker, &stats), "size");
    CHECK_INT(stats.ok, 0x5e5e5e5e5e5e5e5e);
    zoo_end(zoo);
}

MISUSE(weft_breaker_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_breaker_retain(NULL) == NULL);
    FOR_WRONG(zoo, BREAKER, h)
        CHECK_NULL(weft_breaker_retain(h), "breaker");
    zoo_end(zoo);
}

MISUSE(weft_breaker_release)
{
    struct zoo *zoo = zoo_new();
    weft_breaker_release(NULL);
    FOR_WRONG(zoo, BREAKER, h)
        COMPLAINS(weft_breaker_release(h), "breaker");
    zoo_end(zoo);
}
