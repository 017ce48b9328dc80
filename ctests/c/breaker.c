/* weft_breaker: when it opens, who is let through then, what results count for, and who is told. Waits that have to pass are
 * waited for; nothing here goes by how long anything took. The rules themselves are tested in virtual time, in Rust. */
#include "support.h"

#include <string.h>

static weft_breaker_options defaults(void)
{
    weft_breaker_options options;
    OK(weft_breaker_options_init(&options, sizeof options));
    return options;
}

static weft_breaker *breaker_new(const weft_breaker_options *options)
{
    weft_breaker *breaker = NULL;
    OK(weft_breaker_new(options, &breaker));
    REQUIRE(breaker != NULL);
    return breaker;
}

static weft_breaker_stats stats_of(weft_breaker *breaker)
{
    weft_breaker_stats stats = {.size = sizeof stats};
    OK(weft_breaker_stats_get(breaker, &stats));
    return stats;
}

static weft_permit acquired(weft_breaker *breaker)
{
    weft_permit permit = {{0, 0}};
    OK(weft_breaker_acquire(breaker, &permit));
    return permit;
}

static void pass(weft_breaker *breaker, int32_t outcome)
{
    weft_permit permit = acquired(breaker);
    OK(weft_breaker_record(breaker, &permit, outcome));
}

static void check_shut(weft_breaker *breaker)
{
    weft_permit permit = {{5, 6}};
    CHECK_REFUSED(weft_breaker_acquire(breaker, &permit), WEFT_REJECTED, "open");
    CHECK(permit.word[0] == 5 && permit.word[1] == 6);
}

/* Sleeps as long as the breaker says, until it lets a call through. */
static weft_permit acquired_in_time(weft_breaker *breaker)
{
    weft_permit permit;
    weft_status status;
    while ((status = weft_breaker_acquire(breaker, &permit)) == WEFT_REJECTED)
        OK(weft_sleep(weft_breaker_retry_after(breaker)));
    OK(status);
    return permit;
}

/* ---- closed and open */

TEST(the_defaults_are_what_the_header_says)
{
    weft_breaker_options options = defaults();
    const int64_t second = 1000000000;
    CHECK(options.name == NULL && options.outcome == NULL && options.outcome_arg == NULL);
    CHECK(options.window == 100 && options.minimum_calls == 20 && options.window_ns == 0);
    CHECK(options.failure_rate == 0.5 && options.slow_ns == WEFT_FOREVER && options.slow_rate == 1);
    CHECK(options.consecutive == 5 && options.probes == 1 && options.probes_to_close == 0);
    CHECK(options.open_wait_ns == 60 * second && options.open_wait_max_ns == 600 * second && options.backoff == 2);
    CHECK(options.jitter == 0.1 && options.probe_wait_ns == 60 * second && options.abandoned == WEFT_OUTCOME_IGNORE);
}

TEST(five_failures_in_a_row_open_it)
{
    weft_breaker_options options = defaults();
    options.name = "payments";
    weft_breaker *breaker = breaker_new(&options);
    for (int i = 0; i < 4; i++)
        pass(breaker, WEFT_OUTCOME_FAIL);
    pass(breaker, WEFT_OUTCOME_OK); /* begins the row anew */
    for (int i = 0; i < 4; i++)
        pass(breaker, WEFT_OUTCOME_FAIL);
    pass(breaker, WEFT_OUTCOME_IGNORE); /* says nothing */
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_CLOSED);
    CHECK_INT(weft_breaker_retry_after(breaker), 0);
    CHECK_INT(stats_of(breaker).consecutive, 4);
    pass(breaker, WEFT_OUTCOME_FAIL);
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_OPEN);
    CHECK(weft_breaker_retry_after(breaker) > 0); /* how long exactly, in virtual time: the coarse clock may be behind */
    check_shut(breaker);
    CHECK_HAS(weft_error_message(), "payments");
    weft_breaker_stats stats = stats_of(breaker);
    CHECK_INT(stats.ok, 1);
    CHECK_INT(stats.failed, 9);
    CHECK_INT(stats.ignored, 1);
    CHECK_INT(stats.rejected, 1);
    CHECK_INT(stats.opened, 1);
    CHECK_INT(stats.generation, 1);
    CHECK_INT(stats.window_calls, 0);
    weft_breaker_release(breaker);
}

static void opens_by_rate(weft_breaker_options options)
{
    options.consecutive = 0;
    options.minimum_calls = 10;
    options.failure_rate = 0.3;
    weft_breaker *breaker = breaker_new(&options);
    for (int i = 0; i < 9; i++)
        pass(breaker, i % 3 == 0 ? WEFT_OUTCOME_FAIL : WEFT_OUTCOME_OK); /* a third, but of nine */
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_CLOSED);
    weft_breaker_stats stats = stats_of(breaker);
    CHECK(stats.window_calls == 9 && stats.window_failed == 3);
    for (int i = 0; i < 4; i++)
        pass(breaker, WEFT_OUTCOME_OK); /* only failures are a reason to look */
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_CLOSED);
    pass(breaker, WEFT_OUTCOME_FAIL); /* 4 of 14 */
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_CLOSED);
    pass(breaker, WEFT_OUTCOME_FAIL); /* 5 of 15 */
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_OPEN);
    weft_breaker_release(breaker);
}

TEST(a_share_of_the_last_calls_opens_it)
{
    opens_by_rate(defaults());
}

TEST(a_share_of_the_last_while_opens_it)
{
    weft_breaker_options options = defaults();
    options.window_ns = 3600000000000000; /* a thousand hours: no test is that slow */
    opens_by_rate(options);
}

TEST(a_window_of_calls_forgets)
{
    weft_breaker_options options = defaults();
    options.window = options.minimum_calls = 4;
    options.failure_rate = 0.75;
    options.consecutive = 0;
    weft_breaker *breaker = breaker_new(&options);
    const int32_t outcomes[] = {WEFT_OUTCOME_FAIL, WEFT_OUTCOME_FAIL, WEFT_OUTCOME_OK, WEFT_OUTCOME_OK, WEFT_OUTCOME_FAIL};
    for (int i = 0; i < 40; i++)
        pass(breaker, outcomes[i % 4]);
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_CLOSED);
    CHECK_INT(stats_of(breaker).window_failed, 2);
    CHECK_INT(stats_of(breaker).window_calls, 4);
    pass(breaker, WEFT_OUTCOME_FAIL);
    pass(breaker, WEFT_OUTCOME_FAIL);
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_CLOSED); /* ok ok fail fail */
    pass(breaker, WEFT_OUTCOME_FAIL);
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_OPEN);
    weft_breaker_release(breaker);
}

TEST(slow_calls_open_it_though_they_go_well)
{
    weft_breaker_options options = defaults();
    options.slow_ns = 0; /* every call is */
    options.minimum_calls = 3;
    weft_breaker *breaker = breaker_new(&options);
    pass(breaker, WEFT_OUTCOME_OK);
    pass(breaker, WEFT_OUTCOME_OK);
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_CLOSED);
    CHECK_INT(stats_of(breaker).window_slow, 2);
    pass(breaker, WEFT_OUTCOME_OK);
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_OPEN);
    weft_breaker_stats stats = stats_of(breaker);
    CHECK(stats.ok == 3 && stats.slow == 3 && stats.failed == 0);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_HALF_OPEN));
    pass(breaker, WEFT_OUTCOME_OK); /* a slow probe */
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_OPEN);
    weft_breaker_release(breaker);
}

/* ---- half-open: what the design that Weft comes from got wrong */

struct crowd {
    weft_breaker *breaker;
    atomic_int through, rejected;
    weft_permit permit;
};

static void press(size_t index, void *arg)
{
    struct crowd *crowd = arg;
    weft_permit permit;
    (void)index;
    weft_status status = weft_breaker_acquire(crowd->breaker, &permit);
    if (status == WEFT_OK) {
        crowd->permit = permit;
        crowd->through++;
    } else {
        CHECK_INT(status, WEFT_REJECTED);
        crowd->rejected++;
    }
}

TEST(of_many_that_come_at_once_one_is_the_probe)
{
    for (int round = 0; round < 50; round++) {
        struct crowd crowd = {.breaker = breaker_new(NULL)};
        OK(weft_breaker_force(crowd.breaker, WEFT_BREAKER_HALF_OPEN));
        threads_together(4, press, &crowd);
        CHECK_INT(crowd.through, 1);
        CHECK_INT(crowd.rejected, 3);
        OK(weft_breaker_record(crowd.breaker, &crowd.permit, WEFT_OUTCOME_OK));
        CHECK_INT(weft_breaker_get_state(crowd.breaker), WEFT_BREAKER_CLOSED);
        weft_breaker_release(crowd.breaker);
    }
}

TEST(as_many_successes_as_asked_for_close_it)
{
    weft_breaker_options options = defaults();
    options.probes = 3;
    options.probes_to_close = 2;
    weft_breaker *breaker = breaker_new(&options);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_HALF_OPEN));
    pass(breaker, WEFT_OUTCOME_OK);
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_HALF_OPEN);
    pass(breaker, WEFT_OUTCOME_FAIL); /* two of three are still possible */
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_HALF_OPEN);
    CHECK_INT(weft_breaker_retry_after(breaker), 0);
    weft_permit last = acquired(breaker);
    CHECK_INT(stats_of(breaker).probes, 3);
    check_shut(breaker);
    OK(weft_breaker_record(breaker, &last, WEFT_OUTCOME_OK));
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_CLOSED);
    weft_breaker_release(breaker);
}

TEST(a_failed_probe_opens_it_again_for_longer)
{
    weft_breaker_options options = defaults();
    options.open_wait_ns = 1000000;
    options.open_wait_max_ns = WEFT_FOREVER;
    options.jitter = 0;
    options.backoff = 1000000;
    weft_breaker *breaker = breaker_new(&options);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_OPEN));
    weft_permit permit = acquired_in_time(breaker);
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_HALF_OPEN);
    check_shut(breaker);
    OK(weft_breaker_record(breaker, &permit, WEFT_OUTCOME_FAIL));
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_OPEN);
    CHECK_INT(stats_of(breaker).attempt, 1);
    CHECK(weft_breaker_retry_after(breaker) > 500000000000); /* of a thousand seconds */
    check_shut(breaker);
    weft_breaker_release(breaker);
}

TEST(a_result_of_an_earlier_time_changes_nothing)
{
    weft_breaker_options options = defaults();
    options.consecutive = 1;
    weft_breaker *breaker = breaker_new(&options);
    weft_permit late_failure = acquired(breaker), late_success = acquired(breaker);
    pass(breaker, WEFT_OUTCOME_FAIL);
    OK(weft_breaker_record(breaker, &late_success, WEFT_OUTCOME_OK));
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_OPEN);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_HALF_OPEN));
    pass(breaker, WEFT_OUTCOME_OK);
    OK(weft_breaker_record(breaker, &late_failure, WEFT_OUTCOME_FAIL));
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_CLOSED);
    weft_breaker_stats stats = stats_of(breaker);
    CHECK(stats.late == 2 && stats.ok == 1 && stats.failed == 1 && stats.window_calls == 0);
    weft_breaker_release(breaker);
}

TEST(a_probe_that_hangs_makes_room)
{
    weft_breaker_options options = defaults();
    options.probe_wait_ns = 1000000;
    weft_breaker *breaker = breaker_new(&options);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_HALF_OPEN));
    weft_permit hangs = acquired(breaker);
    weft_permit second = acquired_in_time(breaker);
    OK(weft_breaker_record(breaker, &hangs, WEFT_OUTCOME_FAIL));
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_HALF_OPEN);
    OK(weft_breaker_record(breaker, &second, WEFT_OUTCOME_OK));
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_CLOSED);
    CHECK_INT(stats_of(breaker).late, 1);
    weft_breaker_release(breaker);
}

TEST(an_ignored_probe_gives_its_place_back)
{
    weft_breaker *breaker = breaker_new(NULL);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_HALF_OPEN));
    for (int i = 0; i < 3; i++) {
        weft_permit permit = acquired(breaker);
        check_shut(breaker);
        OK(weft_breaker_record(breaker, &permit, i == 1 ? WEFT_OUTCOME_ABANDONED : WEFT_OUTCOME_IGNORE));
    }
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_HALF_OPEN);
    CHECK_INT(stats_of(breaker).abandoned, 1);
    CHECK_INT(stats_of(breaker).ignored, 3);
    weft_breaker_release(breaker);
}

TEST(what_is_abandoned_counts_as_told)
{
    weft_breaker_options options = defaults();
    options.abandoned = WEFT_OUTCOME_FAIL;
    options.consecutive = 2;
    weft_breaker *breaker = breaker_new(&options);
    pass(breaker, WEFT_OUTCOME_ABANDONED);
    pass(breaker, WEFT_OUTCOME_ABANDONED);
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_OPEN);
    CHECK(stats_of(breaker).failed == 2 && stats_of(breaker).abandoned == 2);
    weft_breaker_release(breaker);
}

/* ---- permits */

TEST(a_permit_is_recorded_once)
{
    weft_breaker *breaker = breaker_new(NULL);
    weft_permit permit = acquired(breaker);
    OK(weft_breaker_record(breaker, &permit, WEFT_OUTCOME_OK));
    CHECK_INVALID(weft_breaker_record(breaker, &permit, WEFT_OUTCOME_OK), "recorded");
    CHECK_INVALID(weft_breaker_record(breaker, &permit, WEFT_OUTCOME_FAIL), "recorded");
    CHECK(stats_of(breaker).ok == 1 && stats_of(breaker).failed == 0);
    permit = acquired(breaker);
    OK(weft_breaker_record(breaker, &permit, WEFT_OUTCOME_FAIL));
    CHECK_INVALID(weft_breaker_record(breaker, &permit, WEFT_OUTCOME_OK), "recorded");
    weft_breaker_release(breaker);
}

TEST(a_copy_of_a_probe_decides_nothing)
{
    weft_breaker_options options = defaults();
    options.probes = 2;
    weft_breaker *breaker = breaker_new(&options);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_HALF_OPEN));
    weft_permit permit = acquired(breaker), copy = permit;
    OK(weft_breaker_record(breaker, &permit, WEFT_OUTCOME_OK));
    CHECK_INVALID(weft_breaker_record(breaker, &copy, WEFT_OUTCOME_OK), "recorded");
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_HALF_OPEN);
    weft_breaker_release(breaker);
}

TEST(permits_of_others_and_forged_ones_are_told)
{
    weft_breaker *breaker = breaker_new(NULL), *other = breaker_new(NULL);
    weft_permit permit = acquired(other), forged;
    CHECK_INVALID(weft_breaker_record(breaker, &permit, WEFT_OUTCOME_OK), "permit");
    OK(weft_breaker_record(other, &permit, WEFT_OUTCOME_OK)); /* refused, it was still good */
    permit = forged = acquired(breaker);
    forged.word[0] += 2; /* of a time that has not come */
    CHECK_INVALID(weft_breaker_record(breaker, &forged, WEFT_OUTCOME_FAIL), "permit");
    OK(weft_breaker_record(breaker, &permit, WEFT_OUTCOME_OK));
    CHECK_INVALID(weft_breaker_record(breaker, &forged, 17), "outcome");
    weft_breaker_release(breaker);
    weft_breaker_release(other);
}

/* ---- calls */

struct call {
    weft_status status;
    int calls;
    bool in_task;
};

static weft_status serve(weft_worker *worker, void *arg, void **result)
{
    struct call *call = arg;
    call->calls++;
    CHECK_INT(worker != NULL, call->in_task);
    if (call->status != WEFT_OK)
        return weft_error_set(call->status, "no answer");
    *result = call;
    return WEFT_OK;
}

static int32_t busy_is_no_failure(weft_status status, void *arg)
{
    ++*(int *)arg;
    return status == WEFT_BUSY ? WEFT_OUTCOME_OK : status == WEFT_INVALID ? WEFT_OUTCOME_IGNORE : status == WEFT_OK ? 77 : 1;
}

TEST(a_call_gives_what_the_function_gives)
{
    weft_breaker *breaker = breaker_new(NULL);
    struct call call = {.status = WEFT_OK};
    void *result = SENTINEL;
    OK(weft_breaker_call(breaker, serve, &call, &result));
    CHECK(result == &call);
    OK(weft_breaker_call(breaker, serve, &call, NULL));
    call.status = 4711; /* a number of its own */
    result = SENTINEL;
    CHECK_REFUSED(weft_breaker_call(breaker, serve, &call, &result), 4711, "no answer");
    CHECK(result == SENTINEL);
    call.status = WEFT_CANCELLED;
    CHECK_REFUSED(weft_breaker_call(breaker, serve, &call, &result), WEFT_CANCELLED, "no answer");
    weft_breaker_stats stats = stats_of(breaker);
    CHECK(stats.ok == 2 && stats.failed == 1 && stats.abandoned == 1 && stats.ignored == 1);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_FORCED_OPEN));
    CHECK_REFUSED(weft_breaker_call(breaker, serve, &call, &result), WEFT_REJECTED, "open");
    CHECK_INT(call.calls, 4);
    weft_breaker_release(breaker);
}

TEST(a_predicate_says_what_counts)
{
    int asked = 0;
    weft_breaker_options options = defaults();
    options.outcome = busy_is_no_failure;
    options.outcome_arg = &asked;
    weft_breaker *breaker = breaker_new(&options);
    struct call call = {.status = WEFT_BUSY};
    CHECK_STATUS(weft_breaker_call(breaker, serve, &call, NULL), WEFT_BUSY);
    call.status = WEFT_INVALID;
    CHECK_STATUS(weft_breaker_call(breaker, serve, &call, NULL), WEFT_INVALID);
    call.status = WEFT_OK; /* 77 is no outcome */
    OK(weft_breaker_call(breaker, serve, &call, NULL));
    weft_breaker_stats stats = stats_of(breaker);
    CHECK(stats.ok == 1 && stats.ignored == 1 && stats.failed == 1);
    CHECK_INT(asked, 3);
    weft_breaker_release(breaker);
}

struct inner {
    weft_breaker *breaker;
    struct call call;
};

static void call_in_task(weft_worker *worker, void *arg)
{
    struct inner *inner = arg;
    (void)worker;
    OK(weft_breaker_call(inner->breaker, serve, &inner->call, NULL));
}

TEST(a_call_in_a_task_gets_its_worker)
{
    weft_runtime *runtime = runtime_new(1);
    struct inner inner = {breaker_new(NULL), {.status = WEFT_OK, .in_task = true}};
    OK(weft_run(runtime, call_in_task, &inner));
    CHECK_INT(inner.call.calls, 1);
    runtime_end(runtime);
    weft_breaker_release(inner.breaker);
}

static weft_status release_it(weft_worker *worker, void *arg, void **result)
{
    (void)worker, (void)result;
    weft_breaker_release(arg);
    return WEFT_FAILED;
}

TEST(a_call_may_release_the_breaker)
{
    weft_breaker *breaker = breaker_new(NULL);
    CHECK_STATUS(weft_breaker_call(breaker, release_it, breaker, NULL), WEFT_FAILED);
}

/* ---- forced states */

TEST(forced_states_stay)
{
    weft_breaker_options options = defaults();
    options.consecutive = 1;
    weft_breaker *breaker = breaker_new(&options);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_FORCED_OPEN));
    CHECK_INT(weft_breaker_retry_after(breaker), WEFT_FOREVER);
    check_shut(breaker);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_DISABLED));
    CHECK_INT(weft_breaker_retry_after(breaker), 0);
    pass(breaker, WEFT_OUTCOME_FAIL);
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_DISABLED);
    CHECK(stats_of(breaker).failed == 1 && stats_of(breaker).window_calls == 0);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_METRICS_ONLY));
    pass(breaker, WEFT_OUTCOME_FAIL);
    pass(breaker, WEFT_OUTCOME_OK);
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_METRICS_ONLY);
    CHECK(stats_of(breaker).window_calls == 2 && stats_of(breaker).window_failed == 1);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_CLOSED));
    CHECK_INT(stats_of(breaker).window_calls, 0);
    pass(breaker, WEFT_OUTCOME_OK);
    pass(breaker, WEFT_OUTCOME_FAIL);
    CHECK_INT(weft_breaker_get_state(breaker), WEFT_BREAKER_OPEN);
    weft_breaker_stats stats = stats_of(breaker);
    CHECK(stats.failed == 3 && stats.ok == 2 && stats.generation == 5 && stats.opened == 1 && stats.rejected == 1);
    weft_breaker_release(breaker);
}

TEST(for_ever_is_for_ever)
{
    weft_breaker_options options = defaults();
    options.open_wait_ns = WEFT_FOREVER;
    weft_breaker *breaker = breaker_new(&options);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_OPEN));
    CHECK_INT(weft_breaker_retry_after(breaker), WEFT_FOREVER);
    check_shut(breaker);
    weft_breaker_release(breaker);
}

/* ---- listeners */

struct log {
    weft_breaker *breaker;
    weft_watch *watch;
    atomic_int told;
    uint64_t generations[64];
    int32_t from[64], to[64];
    weft_status off;
};

static void note(const weft_breaker_event *event, void *arg)
{
    struct log *log = arg;
    int i = log->told;
    if (i < 64) {
        log->generations[i] = event->generation;
        log->from[i] = event->from;
        log->to[i] = event->to;
    }
    log->told++;
}

TEST(changes_are_told_in_their_order)
{
    weft_breaker_options options = defaults();
    options.consecutive = 1;
    weft_breaker *breaker = breaker_new(&options);
    struct log log = {.breaker = breaker}, later = {.breaker = breaker};
    struct drops drops = {0};
    OK(weft_breaker_on_change(breaker, note, &log, drop_count, &drops, NULL));
    pass(breaker, WEFT_OUTCOME_FAIL);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_HALF_OPEN));
    OK(weft_breaker_on_change(breaker, note, &later, NULL, NULL, NULL));
    pass(breaker, WEFT_OUTCOME_OK);
    CHECK_INT(log.told, 3);
    CHECK_INT(later.told, 1);
    const int32_t states[] = {WEFT_BREAKER_CLOSED, WEFT_BREAKER_OPEN, WEFT_BREAKER_HALF_OPEN, WEFT_BREAKER_CLOSED};
    for (int i = 0; i < 3; i++)
        CHECK(log.generations[i] == (uint64_t)i + 1 && log.from[i] == states[i] && log.to[i] == states[i + 1]);
    CHECK_INT(later.generations[0], 3);
    CHECK_INT(drops.count, 0);
    weft_breaker_release(breaker);
    CHECK_INT(drops.count, 1);
}

static void force_on(const weft_breaker_event *event, void *arg)
{
    struct log *log = arg;
    int told = log->told;
    note(event, arg);
    if (told == 0) {
        OK(weft_breaker_force(log->breaker, WEFT_BREAKER_DISABLED));
        CHECK_INT(log->told, 1); /* told after this one */
    } else if (told == 1)
        log->off = weft_watch_off(log->watch);
}

TEST(a_listener_may_force_and_take_itself_back)
{
    struct log log = {.breaker = breaker_new(NULL)};
    struct drops drops = {0};
    OK(weft_breaker_on_change(log.breaker, force_on, &log, drop_count, &drops, &log.watch));
    OK(weft_breaker_force(log.breaker, WEFT_BREAKER_FORCED_OPEN));
    CHECK_INT(log.told, 2);
    CHECK(log.generations[1] == 2 && log.to[1] == WEFT_BREAKER_DISABLED);
    CHECK_INT(log.off, WEFT_BUSY);
    CHECK_INT(drops.count, 1);
    OK(weft_breaker_force(log.breaker, WEFT_BREAKER_CLOSED));
    CHECK_INT(log.told, 2);
    CHECK_STATUS(weft_watch_off(log.watch), WEFT_BUSY);
    weft_watch_release(log.watch);
    weft_breaker_release(log.breaker);
    CHECK_INT(drops.count, 1);
}

TEST(a_listener_that_was_taken_back_is_not_told)
{
    struct log log = {.breaker = breaker_new(NULL)};
    struct drops drops = {0};
    OK(weft_breaker_on_change(log.breaker, note, &log, drop_count, &drops, &log.watch));
    OK(weft_watch_off(log.watch));
    CHECK_INT(drops.count, 1);
    CHECK_STATUS(weft_watch_off(log.watch), WEFT_BUSY);
    OK(weft_breaker_force(log.breaker, WEFT_BREAKER_FORCED_OPEN));
    CHECK_INT(log.told, 0);
    weft_watch_release(log.watch);
    /* A watch outlives its breaker. */
    OK(weft_breaker_on_change(log.breaker, note, &log, drop_count, &drops, &log.watch));
    weft_breaker_release(log.breaker);
    CHECK_INT(drops.count, 2);
    CHECK_STATUS(weft_watch_off(log.watch), WEFT_BUSY);
    weft_watch_release(log.watch);
    CHECK_INT(drops.count, 2);
}

TEST(changes_come_through_a_channel)
{
    weft_breaker *breaker = breaker_new(NULL);
    weft_channel *channel = channel_new(sizeof(weft_breaker_event), WEFT_UNBOUNDED);
    weft_breaker_event events[4] = {{0}};
    weft_watch *watch = NULL;
    size_t received = 0;
    OK(weft_breaker_notify(breaker, channel, &watch));
    OK(weft_breaker_notify(breaker, channel, NULL));
    OK(weft_breaker_force(breaker, WEFT_BREAKER_FORCED_OPEN));
    OK(weft_watch_off(watch));
    CHECK_STATUS(weft_watch_off(watch), WEFT_BUSY);
    weft_watch_release(watch);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_CLOSED));
    OK(weft_channel_recv_batch(channel, events, 4, 0, &received));
    CHECK_INT(received, 3);
    for (int i = 0; i < 2; i++)
        CHECK(events[i].from == WEFT_BREAKER_CLOSED && events[i].to == WEFT_BREAKER_FORCED_OPEN && events[i].generation == 1);
    CHECK(events[2].to == WEFT_BREAKER_CLOSED && events[2].generation == 2 && events[2].time_ns >= events[0].time_ns);
    /* Closed, it gets nothing; it outlives the breaker and is outlived by it. */
    weft_channel_close(channel);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_DISABLED));
    CHECK_INT(weft_channel_len(channel), 0);
    weft_channel_release(channel);
    OK(weft_breaker_force(breaker, WEFT_BREAKER_CLOSED));
    weft_breaker_release(breaker);
}

static void release_in_listener(const weft_breaker_event *event, void *arg)
{
    (void)event;
    weft_breaker_release(arg);
}

TEST(a_listener_may_release_the_breaker)
{
    weft_breaker_options options = defaults();
    options.consecutive = 1;
    struct drops drops = {0};
    weft_breaker *breaker = breaker_new(&options);
    OK(weft_breaker_on_change(breaker, release_in_listener, breaker, drop_count, &drops, NULL));
    OK(weft_breaker_force(breaker, WEFT_BREAKER_DISABLED));
    CHECK_INT(drops.count, 1);
    breaker = breaker_new(&options);
    OK(weft_breaker_on_change(breaker, release_in_listener, breaker, drop_count, &drops, NULL));
    pass(breaker, WEFT_OUTCOME_FAIL);
    CHECK_INT(drops.count, 2);
}

/* ---- many threads */

struct storm {
    weft_breaker *breaker;
    uint64_t seed;
    atomic_uint_fast64_t acquired, rejected, told, last;
    atomic_bool in_order;
};

static void in_order(const weft_breaker_event *event, void *arg)
{
    struct storm *storm = arg;
    if (event->generation != ++storm->told)
        storm->in_order = false;
}

static void storm_through(size_t index, void *arg)
{
    struct storm *storm = arg;
    struct random random = {storm->seed + index};
    for (int i = under_a_tool() ? 2000 : 50000; i > 0; i--) {
        weft_permit permit;
        weft_status status = weft_breaker_acquire(storm->breaker, &permit);
        if (status == WEFT_OK) {
            storm->acquired++;
            uint64_t kind = random_below(&random, 8);
            int32_t outcome = kind < 4 ? WEFT_OUTCOME_OK : kind < 6 ? WEFT_OUTCOME_FAIL : kind < 7 ? WEFT_OUTCOME_IGNORE : WEFT_OUTCOME_ABANDONED;
            OK(weft_breaker_record(storm->breaker, &permit, outcome));
        } else {
            CHECK_INT(status, WEFT_REJECTED);
            storm->rejected++;
            if (random_below(&random, 4) == 0)
                OK(weft_breaker_force(storm->breaker, (int32_t)random_below(&random, 6)));
        }
    }
}

static void storms(weft_breaker_options options)
{
    struct storm storm = {.breaker = breaker_new(&options), .seed = random_seed(), .in_order = true};
    OK(weft_breaker_on_change(storm.breaker, in_order, &storm, NULL, NULL, NULL));
    threads_together(4, storm_through, &storm);
    weft_breaker_stats stats = stats_of(storm.breaker);
    CHECK_INT(stats.rejected, storm.rejected);
    CHECK_INT(stats.ok + stats.failed + stats.ignored + stats.late, storm.acquired);
    CHECK_INT(stats.generation, storm.told);
    CHECK(storm.in_order);
    if (stats.state == WEFT_BREAKER_HALF_OPEN)
        CHECK(stats.probes <= options.probes);
    weft_breaker_release(storm.breaker);
}

TEST(nothing_is_lost_among_threads)
{
    weft_breaker_options options = defaults();
    options.consecutive = 3;
    options.probes = 2;
    options.window = options.minimum_calls = 10;
    options.abandoned = WEFT_OUTCOME_FAIL;
    storms(options);
    options.window_ns = 10000000;
    storms(options);
}

/* ---- forks */

static void with_an_inherited_breaker(void *arg)
{
    weft_breaker *breaker = arg;
    weft_permit permit = {{1, 2}};
    CHECK_REFUSED(weft_breaker_acquire(breaker, &permit), WEFT_FORKED, "breaker");
    CHECK_REFUSED(weft_breaker_record(breaker, &permit, WEFT_OUTCOME_OK), WEFT_FORKED, "breaker");
    CHECK_REFUSED(weft_breaker_force(breaker, WEFT_BREAKER_CLOSED), WEFT_FORKED, "breaker");
    CHECK_INT(weft_breaker_get_state(breaker), -1);
    weft_breaker *own = NULL;
    CHECK_STATUS(weft_breaker_new(NULL, &own), WEFT_FORKED);
    OK(weft_after_fork());
    own = breaker_new(NULL);
    pass(own, WEFT_OUTCOME_OK);
    weft_breaker_release(own);
}

CHILD_WITHOUT_LEAK_CHECK(a_breaker_is_inherited)
{
    weft_breaker *breaker = breaker_new(NULL);
    in_forked_child(with_an_inherited_breaker, breaker);
    pass(breaker, WEFT_OUTCOME_OK);
    weft_breaker_release(breaker);
}

TEST(a_forked_child_has_none)
{
    child_succeeds("a_breaker_is_inherited");
}
