/* What all kinds of contexts have in common: the life of a run, its result or failure, its end when it is asked to stop, and
 * what is told of misuse.
 */
#include "contexts.h"

#include <string.h>
#include <unistd.h>

TEST(a_function_runs_and_its_reply_comes_back)
{
    FOR_KINDS(kind) {
        weft_context *context = context_new(kind, "echo");
        CHECK_STR(weft_context_name(context), "echo");
        CHECK_INT(weft_context_kind_asked(context), kind);
        CHECK(!weft_context_is_alive(context));
        execute_text(context, echo, "hello");
        check_reply(context, "hello");
        CHECK(!weft_context_is_alive(context));
        weft_context_release(context);
    }
}

TEST(no_message_and_no_reply_are_empty)
{
    FOR_KINDS(kind) {
        weft_context *context = context_new(kind, NULL);
        weft_bytes *reply = NULL;
        CHECK_STR(weft_context_name(context), "");
        OK(weft_context_execute(context, echo, NULL, NULL, NULL, NULL, 0));
        OK(weft_context_wait(context, WEFT_FOREVER, NULL));
        OK(weft_context_wait(context, 0, &reply));
        CHECK_INT(weft_bytes_len(reply), 0);
        weft_bytes_release(reply);
        weft_context_release(context);
    }
}

/* INLINE on this thread, FORK in another process, the others on other threads of this one. */
TEST(each_kind_runs_where_it_says)
{
    FOR_KINDS(kind) {
        weft_context *context = context_new(kind, NULL);
        struct where here, there;
        OK(weft_context_execute(context, tell_where, NULL, NULL, NULL, NULL, 0));
        there = where_of(context);
        here = (struct where){getpid(), 0};
        weft_bytes *own = NULL;
        OK(tell_where(NULL, 0, &own, NULL));
        memcpy(&here, weft_bytes_data(own), sizeof here);
        weft_bytes_release(own);
        CHECK_INT(here.process == there.process, kind != WEFT_CONTEXT_FORK);
        CHECK_INT(here.thread == there.thread, kind == WEFT_CONTEXT_INLINE);
        weft_context_release(context);
    }
}

TEST(failures_come_out_at_the_wait)
{
    static const weft_status statuses[] = {WEFT_FAILED, WEFT_TIMEOUT, WEFT_WOULD_BLOCK, WEFT_DIED, 4711, -1};
    FOR_KINDS(kind) {
        for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
            weft_context *context = context_new(kind, "fails");
            weft_bytes *reply = SENTINEL;
            OK(weft_context_execute(context, fail, NULL, NULL, NULL, &statuses[i], sizeof statuses[i]));
            for (int again = 0; again < 2; again++)
                CHECK_REFUSED(weft_context_wait(context, WEFT_FOREVER, &reply), statuses[i], "as arranged");
            CHECK(reply == SENTINEL);
            const weft_error *error = weft_context_error(context);
            CHECK_INT(weft_error_status(error), statuses[i]);
            CHECK_STR(weft_error_text(error), "as arranged");
            CHECK_HAS(weft_error_origin(error), "context fails");
            if (kind == WEFT_CONTEXT_FORK)
                CHECK_HAS(weft_error_origin(error), "process ");
            weft_context_release(context);
        }
    }
}

static weft_status fail_with_more(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    weft_bytes *payload = NULL;
    (void)reply, (void)arg;
    OK(weft_bytes_new(data, len, &payload));
    weft_status status = weft_handler_fail(4711, "with more", "here\nthere", payload);
    weft_bytes_release(payload);
    return status;
}

TEST(a_failure_keeps_what_was_attached)
{
    FOR_KINDS(kind) {
        weft_context *context = context_new(kind, NULL);
        size_t len = 0;
        execute_text(context, fail_with_more, "an exception");
        CHECK_REFUSED(weft_context_wait(context, WEFT_FOREVER, NULL), 4711, "with more");
        const weft_error *error = weft_context_error(context);
        const void *payload = weft_error_payload(error, &len);
        CHECK_STR(weft_error_backtrace(error), "here\nthere");
        CHECK(len == 12 && memcmp(payload, "an exception", 12) == 0);
        weft_context_release(context);
    }
}

/* Wait twice: the same reply. Execute twice: what leaves nothing behind can be executed again. */
TEST(waits_give_the_same_and_one_use_is_one_use)
{
    FOR_KINDS(kind) {
        weft_context *context = context_new(kind, NULL);
        weft_bytes *one = NULL, *two = NULL;
        CHECK_REFUSED(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_INVALID, "not been executed");
        execute_text(context, echo, "first");
        OK(weft_context_wait(context, WEFT_FOREVER, &one));
        OK(weft_context_wait(context, 0, &two));
        CHECK(weft_bytes_data(one) == weft_bytes_data(two));
        weft_bytes_release(one);
        weft_bytes_release(two);
        if (kind == WEFT_CONTEXT_INLINE || kind == WEFT_CONTEXT_ISOLATED) {
            execute_text(context, echo, "second");
            check_reply(context, "second");
        } else {
            CHECK_REFUSED(weft_context_execute(context, echo, NULL, NULL, NULL, "second", 6), WEFT_BUSY, "one use");
            check_reply(context, "first");
        }
        weft_context_release(context);
    }
}

TEST(what_runs_is_alive_and_busy_until_it_is_stopped)
{
    FOR_KINDS(kind) {
        if (kind == WEFT_CONTEXT_INLINE)
            continue;
        weft_context *context = context_new(kind, "waits");
        gate began = GATE_INIT;
        OK(weft_context_execute(context, wait_to_be_stopped, context_arg(context, &began), NULL, NULL, NULL, 0));
        CHECK(weft_context_is_alive(context));
        CHECK_STATUS(weft_context_execute(context, echo, NULL, NULL, NULL, "x", 1), WEFT_BUSY);
        CHECK_STATUS(weft_context_wait(context, 0, NULL), WEFT_WOULD_BLOCK);
        CHECK_STATUS(weft_context_wait(context, -1, NULL), WEFT_WOULD_BLOCK);
        CHECK_STATUS(weft_context_wait(context, 1000, NULL), WEFT_TIMEOUT);
        OK(weft_context_terminate(context, WEFT_FOREVER));
        CHECK(!weft_context_is_alive(context));
        CHECK_STATUS(weft_context_wait(context, 0, NULL), WEFT_CANCELLED);
        OK(weft_context_terminate(context, 0));
        CHECK_REFUSED(weft_context_execute(context, echo, NULL, NULL, NULL, "x", 1), WEFT_CLOSED, "terminated");
        weft_context_release(context);
    }
}

TEST(what_is_terminated_first_is_never_executed)
{
    FOR_KINDS(kind) {
        weft_context *context = context_new(kind, NULL);
        OK(weft_context_terminate(context, WEFT_FOREVER));
        CHECK_STATUS(weft_context_execute(context, echo, NULL, NULL, NULL, "x", 1), WEFT_CLOSED);
        CHECK_STATUS(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_INVALID);
        weft_context_release(context);
    }
}

TEST(a_token_stops_a_run)
{
    FOR_KINDS(kind) {
        weft_context_options options;
        weft_cancel_token *token = NULL;
        weft_context *context = NULL;
        gate began = GATE_INIT;
        if (kind == WEFT_CONTEXT_INLINE)
            continue;
        OK(weft_cancel_token_new(NULL, &token));
        OK(weft_context_options_init(&options, sizeof options));
        options.cancel = token;
        OK(weft_context_new(NULL, kind, &options, &context));
        OK(weft_context_execute(context, wait_to_be_stopped, context_arg(context, &began), NULL, NULL, NULL, 0));
        if (kind == WEFT_CONTEXT_THREAD || kind == WEFT_CONTEXT_TASK)
            gate_wait(&began);
        OK(weft_cancel_token_trigger(token, "enough"));
        CHECK_STATUS(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_CANCELLED);
        weft_context_release(context);
        weft_cancel_token_release(token);
    }
}

/* A context that its token stops before it begins, of any kind: nothing is called. */
TEST(what_is_stopped_before_does_not_begin)
{
    FOR_KINDS(kind) {
        weft_context_options options;
        weft_cancel_token *token = NULL;
        weft_context *context = NULL;
        OK(weft_cancel_token_new(NULL, &token));
        OK(weft_cancel_token_trigger(token, "before"));
        OK(weft_context_options_init(&options, sizeof options));
        options.cancel = token;
        OK(weft_context_new(NULL, kind, &options, &context));
        execute_text(context, echo, "x");
        CHECK_REFUSED(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_CANCELLED, "before");
        weft_context_release(context);
        weft_cancel_token_release(token);
    }
}

/* ---- threads cannot be killed */

static weft_status wait_at_the_gate(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)data, (void)len, (void)reply;
    gate_wait(arg);
    return WEFT_OK;
}

TEST(a_thread_that_goes_on_is_reported_and_stays)
{
    static const int32_t kinds[] = {WEFT_CONTEXT_THREAD, WEFT_CONTEXT_TASK};
    for (size_t i = 0; i < 2; i++) {
        weft_context *context = context_new(kinds[i], "stubborn");
        gate go = GATE_INIT;
        OK(weft_context_execute(context, wait_at_the_gate, &go, NULL, NULL, NULL, 0));
        /* It has not begun, perhaps, but then it is not to begin any more. */
        weft_status status = weft_context_terminate(context, 1000);
        if (status != WEFT_OK) {
            CHECK_INT(status, WEFT_TIMEOUT);
            CHECK_HAS(weft_error_message(), "stubborn");
            CHECK_STATUS(weft_context_terminate(context, 0), WEFT_TIMEOUT);
            CHECK(weft_context_is_alive(context));
        }
        gate_open(&go);
        OK(weft_context_terminate(context, WEFT_FOREVER));
        CHECK(!weft_context_is_alive(context));
        weft_context_release(context);
    }
}

/* ---- a run that waits for itself */

static weft_status wait_for_oneself(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    weft_context *context = *(weft_context **)arg;
    (void)data, (void)len, (void)reply;
    CHECK(weft_context_is_alive(context));
    CHECK_STATUS(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_DEADLOCK);
    CHECK_STATUS(weft_context_execute(context, echo, NULL, NULL, NULL, NULL, 0), WEFT_BUSY);
    CHECK_STATUS(weft_context_terminate(context, WEFT_FOREVER), WEFT_DEADLOCK);
    CHECK(weft_cancelled(NULL));
    return WEFT_OK;
}

TEST(a_run_does_not_wait_for_itself)
{
    FOR_KINDS(kind) {
        if (kind == WEFT_CONTEXT_FORK || kind == WEFT_CONTEXT_ISOLATED)
            continue;
        weft_context *context = context_new(kind, NULL);
        OK(weft_context_execute(context, wait_for_oneself, &context, NULL, NULL, NULL, 0));
        OK(weft_context_wait(context, WEFT_FOREVER, NULL));
        weft_context_release(context);
    }
}

/* ---- waits end like all others */

static void interrupt(void *arg)
{
    OK(weft_thread_interrupt(arg));
}

TEST(a_wait_is_interrupted_and_the_run_goes_on)
{
    FOR_KINDS(kind) {
        if (kind == WEFT_CONTEXT_INLINE)
            continue;
        weft_context *context = context_new(kind, NULL);
        weft_thread *self = weft_thread_self();
        struct thread thread;
        OK(weft_context_execute(context, wait_to_be_stopped, NULL, NULL, NULL, NULL, 0));
        thread_start(&thread, interrupt, self);
        CHECK_STATUS(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_INTERRUPTED);
        thread_join(&thread);
        CHECK(weft_context_is_alive(context));
        OK(weft_context_terminate(context, WEFT_FOREVER));
        weft_thread_release(self);
        weft_context_release(context);
    }
}

/* ---- many at once */

static weft_status meet(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    struct tally *tally = arg;
    (void)data, (void)len, (void)reply;
    tally_add(tally, 1);
    tally_wait(tally, 3);
    return WEFT_OK;
}

/* Three that end only together. */
TEST(contexts_overlap)
{
    weft_context *contexts[3];
    struct tally tally = TALLY_INIT;
    for (int i = 0; i < 3; i++) {
        contexts[i] = context_new(WEFT_CONTEXT_THREAD, NULL);
        OK(weft_context_execute(contexts[i], meet, &tally, NULL, NULL, NULL, 0));
    }
    for (int i = 0; i < 3; i++) {
        OK(weft_context_wait(contexts[i], WEFT_FOREVER, NULL));
        weft_context_release(contexts[i]);
    }
}

TEST(all_kinds_work_side_by_side)
{
    weft_context *contexts[50];
    for (int i = 0; i < 50; i++) {
        contexts[i] = context_new(context_kind_is_here(context_kinds[i % 5]) ? context_kinds[i % 5] : WEFT_CONTEXT_THREAD, NULL);
        execute_text(contexts[i], i % 3 == 2 ? fail : echo, "side by side");
    }
    for (int i = 50; i-- > 0;) {
        if (i % 3 == 2)
            CHECK_REFUSED(weft_context_wait(contexts[i], WEFT_FOREVER, NULL), WEFT_FAILED, "as arranged");
        else
            check_reply(contexts[i], "side by side");
        weft_context_release(contexts[i]);
    }
}

struct crowd {
    weft_context *context;
    atomic_int executed, waited;
};

static void execute_and_wait(size_t index, void *arg)
{
    struct crowd *crowd = arg;
    (void)index;
    weft_status status = weft_context_execute(crowd->context, echo, NULL, NULL, NULL, "one", 3);
    if (status == WEFT_OK)
        atomic_fetch_add(&crowd->executed, 1);
    else
        CHECK_INT(status, WEFT_BUSY);
    status = weft_context_wait(crowd->context, WEFT_FOREVER, NULL);
    /* Whoever executes has been first, as all others were told. */
    CHECK_INT(status, WEFT_OK);
    atomic_fetch_add(&crowd->waited, 1);
}

TEST(of_many_that_execute_one_does)
{
    FOR_KINDS(kind) {
        if (kind == WEFT_CONTEXT_INLINE || kind == WEFT_CONTEXT_ISOLATED)
            continue;
        struct crowd crowd = {.context = context_new(kind, NULL)};
        threads_together(4, execute_and_wait, &crowd);
        CHECK_INT(crowd.executed, 1);
        CHECK_INT(crowd.waited, 4);
        weft_context_release(crowd.context);
    }
}

/* ---- drops */

/* Once for each run, before anybody is told that it is over, whether the function was called or not; never for a refusal. */
TEST(an_argument_is_dropped_once_its_run_is_over)
{
    FOR_KINDS(kind) {
        struct drops drops = {0};
        weft_context *context = context_new(kind, NULL);
        weft_cancel_token *token = NULL;
        weft_context_options options;
        OK(weft_context_execute(context, echo, NULL, drop_count, &drops, "x", 1));
        OK(weft_context_wait(context, WEFT_FOREVER, NULL));
        CHECK_INT(drops.count, 1);
        OK(weft_context_terminate(context, 0));
        CHECK_STATUS(weft_context_execute(context, echo, NULL, drop_count, &drops, "x", 1), WEFT_CLOSED);
        CHECK_INT(drops.count, 1);
        weft_context_release(context);

        OK(weft_cancel_token_new(NULL, &token));
        OK(weft_context_options_init(&options, sizeof options));
        options.cancel = token;
        OK(weft_context_new(NULL, kind, &options, &context));
        OK(weft_cancel_token_trigger(token, "before"));
        void *arg = context_arg(context, &drops);
        OK(weft_context_execute(context, fail, arg, drop_count, &drops, NULL, 0));
        CHECK_STATUS(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_CANCELLED);
        CHECK_INT(drops.count, 2);
        CHECK(drops.last == arg);
        weft_context_release(context);
        weft_cancel_token_release(token);
    }
}

/* ---- releases */

static weft_status count_and_wait(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    struct tally *tally = arg;
    (void)data, (void)len;
    tally_wait(&tally[0], 1);
    weft_status status = weft_bytes_new("unseen", 6, reply);
    tally_add(&tally[1], 1);
    return status;
}

/* Nobody waits for them: they finish, and what they have goes. */
TEST(a_release_lets_a_run_finish)
{
    static const int32_t kinds[] = {WEFT_CONTEXT_THREAD, WEFT_CONTEXT_TASK};
    struct tally tallies[2] = {TALLY_INIT, TALLY_INIT};
    for (int i = 0; i < 10; i++) {
        weft_context *context = context_new(kinds[i % 2], NULL);
        OK(weft_context_execute(context, count_and_wait, tallies, NULL, NULL, NULL, 0));
        weft_context_release(context);
    }
    tally_add(&tallies[0], 1);
    tally_wait(&tallies[1], 10);
}

struct released {
    weft_context *context;
    gate waits;
};

static void wait_for_released(void *arg)
{
    struct released *released = arg;
    gate_open(&released->waits);
    weft_status status = weft_context_wait(released->context, WEFT_FOREVER, NULL);
    CHECK_INT(status, WEFT_CANCELLED);
    weft_context_release(released->context);
}

TEST(the_last_release_may_be_that_of_a_waiter)
{
    struct released released = {.context = context_new(WEFT_CONTEXT_THREAD, NULL), .waits = GATE_INIT};
    struct thread thread;
    OK(weft_context_execute(released.context, wait_to_be_stopped, NULL, NULL, NULL, NULL, 0));
    weft_context *own = weft_context_retain(released.context);
    thread_start(&thread, wait_for_released, &released);
    gate_wait(&released.waits);
    OK(weft_context_terminate(own, WEFT_FOREVER));
    weft_context_release(own);
    thread_join(&thread);
}

TEST(statistics_of_runs)
{
    FOR_KINDS(kind) {
        weft_context *context = context_new(kind, NULL);
        weft_context_stats stats = {.size = sizeof stats};
        OK(weft_context_stats_get(context, &stats));
        CHECK(stats.executed == 0 && stats.start_ns == 0 && stats.run_ns == 0);
        execute_text(context, fail, "");
        CHECK_STATUS(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_FAILED);
        OK(weft_context_stats_get(context, &stats));
        CHECK(stats.executed == 1 && stats.failed == 1 && stats.start_ns > 0 && stats.run_ns > 0);
        CHECK_INT(stats.peak_rss > 0, kind == WEFT_CONTEXT_FORK);
        weft_context_release(context);
    }
}
