/* Cancellation: trees of tokens, what carries them, what they end, and what they leave alone; tasks that a discarding shutdown
 * wakes.
 */
#include "support.h"

#include <sched.h>
#include <string.h>

static weft_cancel_token *token_new(weft_cancel_token *parent)
{
    weft_cancel_token *token = NULL;
    OK(weft_cancel_token_new(parent, &token));
    return token;
}

static weft_spawn_options carrying(weft_cancel_token *token)
{
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.cancel = token;
    return options;
}

TEST(a_trigger_goes_to_all_that_come_from_it)
{
    weft_cancel_token *root = token_new(NULL), *child = token_new(root), *other = token_new(root);
    weft_cancel_token *grandchild = token_new(child);
    CHECK(!weft_cancel_token_triggered(grandchild));
    CHECK(weft_cancel_token_reason(grandchild) == NULL);
    weft_cancel_token_release(child);
    OK(weft_cancel_token_trigger(root, "enough"));
    OK(weft_cancel_token_trigger(grandchild, "too late"));
    CHECK(weft_cancel_token_triggered(root) && weft_cancel_token_triggered(grandchild));
    CHECK_STR(weft_cancel_token_reason(grandchild), "enough");
    CHECK_STR(weft_cancel_token_reason(other), "enough");
    weft_cancel_token *late = token_new(root);
    CHECK_STR(weft_cancel_token_reason(late), "enough");
    weft_cancel_token *alone = token_new(NULL);
    OK(weft_cancel_token_trigger(alone, NULL));
    CHECK_STR(weft_cancel_token_reason(alone), "");
    CHECK(weft_cancel_token_retain(alone) == alone);
    weft_cancel_token_release(alone);
    weft_cancel_token_release(alone);
    weft_cancel_token_release(late);
    weft_cancel_token_release(other);
    weft_cancel_token_release(grandchild);
    weft_cancel_token_release(root);
}

/* ---- waits */

struct waiting {
    weft_channel *channel;
    weft_future *future;
    weft_status received, waited, later, ready;
    char message[64];
    struct tally ended;
};

static void receive_and_wait(weft_worker *worker, void *arg)
{
    struct waiting *waiting = arg;
    uint64_t element = 0;
    void *value = NULL;
    waiting->received = weft_channel_recv(waiting->channel, &element, WEFT_FOREVER);
    strncpy(waiting->message, weft_error_message(), sizeof waiting->message - 1);
    CHECK_INT(weft_cancelled(worker), waiting->received == WEFT_CANCELLED || waiting->received == WEFT_SHUTDOWN);
    waiting->waited = weft_future_get(waiting->future, WEFT_FOREVER, &value);
    waiting->later = weft_channel_recv(waiting->channel, &element, INT64_MAX - 1);
    OK(weft_channel_send(waiting->channel, &element, WEFT_FOREVER));
    waiting->ready = weft_channel_recv(waiting->channel, &element, WEFT_FOREVER);
    tally_add(&waiting->ended, 1);
}

static void wait_for_blocked(weft_runtime *runtime, uint32_t n)
{
    /* A condition to be waited for that no event tells of. */
    while (runtime_stats(runtime).blocked < n)
        sched_yield();
}

TEST(blocked_tasks_are_woken_by_their_token)
{
    weft_runtime *runtime = runtime_new(2);
    weft_promise *promise = NULL;
    struct waiting waiting = {.channel = channel_new(8, 2), .ended = TALLY_INIT};
    weft_cancel_token *token = token_new(NULL);
    weft_spawn_options options = carrying(token);
    OK(weft_promise_new(&promise, &waiting.future));
    OK(weft_spawn_with(runtime, receive_and_wait, &waiting, &options));
    wait_for_blocked(runtime, 1);
    OK(weft_cancel_token_trigger(token, "the user left"));
    weft_cancel_token_release(token);
    tally_wait(&waiting.ended, 1);
    CHECK_STATUS(waiting.received, WEFT_CANCELLED);
    CHECK_STR(waiting.message, "cancelled: the user left");
    CHECK_STATUS(waiting.waited, WEFT_CANCELLED);
    CHECK_STATUS(waiting.later, WEFT_CANCELLED);
    CHECK_STATUS(waiting.ready, WEFT_OK);
    weft_promise_release(promise);
    weft_future_release(waiting.future);
    weft_channel_release(waiting.channel);
    runtime_end(runtime);
}

TEST(a_discarding_shutdown_wakes_blocked_tasks)
{
    for (int by_release = 0; by_release < 2; by_release++) {
        weft_runtime *runtime = runtime_new(2);
        weft_promise *promise = NULL;
        enum { TASKS = 20 };
        struct waiting waiting[TASKS];
        weft_channel *channel = channel_new(8, TASKS);
        weft_future *future = NULL;
        OK(weft_promise_new(&promise, &future));
        for (int i = 0; i < TASKS; i++) {
            waiting[i] = (struct waiting){.channel = channel_new(8, 1), .future = future, .ended = TALLY_INIT};
            OK(weft_spawn(runtime, receive_and_wait, &waiting[i]));
        }
        wait_for_blocked(runtime, TASKS);
        if (by_release)
            weft_runtime_release(runtime);
        else
            OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));
        for (int i = 0; i < TASKS; i++) {
            tally_wait(&waiting[i].ended, 1);
            CHECK_STATUS(waiting[i].received, WEFT_SHUTDOWN);
            CHECK_STATUS(waiting[i].waited, WEFT_SHUTDOWN);
            CHECK_STATUS(waiting[i].later, WEFT_SHUTDOWN);
            CHECK_STATUS(waiting[i].ready, WEFT_OK);
            weft_channel_release(waiting[i].channel);
        }
        if (!by_release)
            weft_runtime_release(runtime);
        weft_promise_release(promise);
        weft_future_release(future);
        weft_channel_release(channel);
    }
}

struct shielded {
    weft_channel *channel;
    weft_cancel_token *token;
    weft_status received, bare;
    struct tally ended;
};

static void clean_up(weft_worker *worker, void *arg)
{
    struct shielded *shielded = arg;
    uint64_t element = 0;
    OK(weft_cancel_shield_begin());
    OK(weft_cancel_shield_begin());
    OK(weft_cancel_shield_end());
    shielded->received = weft_channel_recv(shielded->channel, &element, WEFT_FOREVER);
    CHECK(!weft_cancelled(worker));
    OK(weft_cancel_shield_end());
    CHECK(weft_cancelled(worker) && weft_cancelled(NULL));
    shielded->bare = weft_channel_recv(shielded->channel, &element, WEFT_FOREVER);
    CHECK_STATUS(weft_cancel_shield_end(), WEFT_INVALID);
    tally_add(&shielded->ended, 1);
}

TEST(a_shield_lets_cleanup_wait)
{
    for (int discard = 0; discard < 2; discard++) {
        weft_runtime *runtime = runtime_new(1);
        struct shielded shielded = {.channel = channel_new(8, 1), .token = token_new(NULL), .ended = TALLY_INIT};
        weft_spawn_options options = carrying(shielded.token);
        uint64_t element = 7;
        OK(weft_spawn_with(runtime, clean_up, &shielded, &options));
        wait_for_blocked(runtime, 1);
        if (discard)
            CHECK_STATUS(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, 0), WEFT_WOULD_BLOCK);
        else
            OK(weft_cancel_token_trigger(shielded.token, "stop"));
        OK(weft_channel_send(shielded.channel, &element, WEFT_FOREVER));
        tally_wait(&shielded.ended, 1);
        CHECK_STATUS(shielded.received, WEFT_OK);
        CHECK_STATUS(shielded.bare, discard ? WEFT_SHUTDOWN : WEFT_CANCELLED);
        weft_cancel_token_release(shielded.token);
        weft_channel_release(shielded.channel);
        runtime_end(runtime);
    }
}

/* ---- tasks that have not begun */

static void count_run(weft_worker *worker, void *arg)
{
    CHECK(weft_cancelled(worker));
    tally_add(arg, 1);
}

static weft_status call_never(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    (void)arg;
    (void)result;
    CHECK(!"a cancelled call runs");
    return WEFT_OK;
}

static void hold(weft_worker *worker, void *arg)
{
    gate *const *gates = arg;
    (void)worker;
    gate_open(gates[0]);
    gate_wait(gates[1]);
}

TEST(queued_tasks_are_dropped_or_told)
{
    weft_runtime *runtime = runtime_new(1);
    gate held = GATE_INIT, go_on = GATE_INIT;
    gate *gates[] = {&held, &go_on};
    struct tally ran = TALLY_INIT;
    struct drops drops = {0};
    weft_cancel_token *token = token_new(NULL);
    weft_spawn_options options = carrying(token);
    weft_future *future = NULL;
    void *value = SENTINEL;
    weft_runtime_stats stats;
    OK(weft_spawn(runtime, hold, gates));
    gate_wait(&held);
    OK(weft_spawn_with(runtime, count_run, &ran, &options));
    options.arg_drop = drop_count;
    options.drop_ctx = &drops;
    OK(weft_spawn_with(runtime, count_run, &ran, &options));
    OK(weft_async(runtime, call_never, &ran, &options, &future));
    OK(weft_cancel_token_trigger(token, "changed my mind"));
    gate_open(&go_on);
    CHECK_STATUS(weft_future_get(future, WEFT_FOREVER, &value), WEFT_CANCELLED);
    CHECK(value == SENTINEL);
    CHECK_HAS(weft_error_message(), "cancelled");
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(tally_count(&ran), 1);
    CHECK_INT(atomic_load(&drops.count), 2);
    stats = runtime_stats(runtime);
    CHECK_INT(stats.spawned, 4);
    CHECK_INT(stats.executed + stats.discarded, 4);
    CHECK_INT(stats.discarded, 2);
    weft_future_release(future);
    weft_cancel_token_release(token);
    weft_runtime_release(runtime);
}

/* ---- what carries a token */

struct family {
    weft_cancel_token *token, *other;
    weft_task task;
    struct tally checked;
    gate triggered;
};

static void is_cancelled(weft_worker *worker, void *arg)
{
    struct family *family = arg;
    gate_wait(&family->triggered);
    CHECK(weft_cancelled(worker));
    tally_add(&family->checked, 1);
}

static void is_free(weft_worker *worker, void *arg)
{
    struct family *family = arg;
    gate_wait(&family->triggered);
    CHECK(!weft_cancelled(worker));
    tally_add(&family->checked, 1);
}

static void spawn_family(weft_worker *worker, void *arg)
{
    struct family *family = arg;
    weft_runtime *runtime = weft_worker_runtime(worker);
    weft_spawn_options options = carrying(family->other);
    OK(weft_spawn(runtime, is_cancelled, family));
    OK(weft_spawn_with(runtime, is_cancelled, family, NULL));
    weft_task_init(&family->task, is_cancelled, family);
    OK(weft_submit(runtime, &family->task));
    OK(weft_spawn_with(runtime, is_free, family, &options));
    OK(weft_cancel_token_enter(family->other));
    OK(weft_spawn(runtime, is_free, family));
    OK(weft_cancel_token_leave(family->other));
    OK(weft_cancel_shield_begin());
    OK(weft_spawn(runtime, is_free, family));
    OK(weft_cancel_shield_end());
}

TEST(what_is_spawned_inherits)
{
    weft_runtime *runtime = runtime_new(2);
    struct family family = {.token = token_new(NULL), .other = token_new(NULL), .checked = TALLY_INIT, .triggered = GATE_INIT};
    weft_spawn_options options = carrying(family.token);
    OK(weft_spawn_with(runtime, spawn_family, &family, &options));
    OK(weft_cancel_token_enter(family.token));
    OK(weft_spawn(runtime, is_cancelled, &family));
    CHECK(!weft_cancelled(NULL));
    OK(weft_cancel_token_trigger(family.token, "all of you"));
    CHECK(weft_cancelled(NULL));
    OK(weft_cancel_token_leave(family.token));
    CHECK(!weft_cancelled(NULL));
    gate_open(&family.triggered);
    tally_wait(&family.checked, 7);
    weft_cancel_token_release(family.token);
    weft_cancel_token_release(family.other);
    runtime_end(runtime);
}

static void forked(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
}

static void leave_badly(weft_worker *worker, void *arg)
{
    weft_cancel_token *token = arg, *other = token_new(NULL);
    CHECK_STATUS(weft_cancel_token_leave(token), WEFT_INVALID);
    OK(weft_cancel_token_enter(token));
    OK(weft_cancel_token_enter(other));
    CHECK_STATUS(weft_cancel_token_leave(token), WEFT_INVALID);
    CHECK_STATUS(weft_cancel_shield_end(), WEFT_INVALID);
    weft_fork(worker, forked, NULL);
    CHECK_STATUS(weft_cancel_token_leave(other), WEFT_BUSY);
    if (weft_sync(worker))
        forked(worker, NULL);
    OK(weft_cancel_token_leave(other));
    weft_cancel_token_release(other);
    /* Two are left behind. */
    OK(weft_cancel_shield_begin());
}

static void carries_nothing(weft_worker *worker, void *arg)
{
    CHECK(!weft_cancelled(worker));
    tally_add(arg, 1);
}

TEST(what_a_task_forgets_to_leave_ends_with_it)
{
    weft_runtime *runtime = runtime_new(1);
    weft_cancel_token *token = token_new(NULL);
    struct tally ran = TALLY_INIT;
    OK(weft_spawn(runtime, leave_badly, token));
    OK(weft_run(runtime, forked, NULL));
    OK(weft_cancel_token_trigger(token, "stop"));
    OK(weft_spawn(runtime, carries_nothing, &ran));
    tally_wait(&ran, 1);
    weft_cancel_token_release(token);
    runtime_end(runtime);
}

static void leave_in_a_callback(weft_worker *worker, void *arg)
{
    (void)worker;
    CHECK_STATUS(weft_cancel_token_leave(arg), WEFT_INVALID);
    OK(weft_cancel_token_enter(arg));
    OK(weft_cancel_token_leave(arg));
}

static void run_callbacks(weft_worker *worker, void *arg)
{
    OK(weft_cancel_token_enter(arg));
    OK(weft_run(weft_worker_runtime(worker), leave_in_a_callback, arg));
    OK(weft_cancel_token_leave(arg));
}

TEST(a_callback_leaves_only_what_it_has_entered)
{
    weft_runtime *runtime = runtime_new(1);
    weft_cancel_token *token = token_new(NULL);
    OK(weft_run(runtime, run_callbacks, token));
    weft_cancel_token_release(token);
    runtime_end(runtime);
}

static void enter_in_a_shield(weft_worker *worker, void *arg)
{
    struct waiting *waiting = arg;
    weft_cancel_token *token = token_new(NULL);
    uint64_t element = 0;
    OK(weft_cancel_shield_begin());
    OK(weft_cancel_token_enter(token));
    tally_add(&waiting->ended, 1);
    CHECK_STATUS(weft_channel_recv(waiting->channel, &element, 2000000), WEFT_TIMEOUT);
    OK(weft_cancel_token_trigger(token, NULL));
    CHECK_STATUS(weft_channel_recv(waiting->channel, &element, WEFT_FOREVER), WEFT_CANCELLED);
    CHECK(weft_cancelled(worker));
    OK(weft_cancel_token_leave(token));
    OK(weft_cancel_shield_end());
    weft_cancel_token_release(token);
    tally_add(&waiting->ended, 1);
}

/* A token entered in a shield counts; what was there before, and the end of the runtime, do not. */
TEST(a_token_in_a_shield)
{
    weft_runtime *runtime = runtime_new(1);
    struct waiting waiting = {.channel = channel_new(8, 1), .ended = TALLY_INIT};
    OK(weft_spawn(runtime, enter_in_a_shield, &waiting));
    tally_wait(&waiting.ended, 1);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));
    CHECK_INT(tally_count(&waiting.ended), 2);
    weft_channel_release(waiting.channel);
    weft_runtime_release(runtime);
}

static void wait_for_cancelled(weft_worker *worker, void *arg)
{
    weft_cancel_token *token = token_new(NULL);
    weft_spawn_options options = carrying(token);
    weft_future *future = NULL;
    options.arg_drop = drop_count;
    options.drop_ctx = arg;
    OK(weft_async(weft_worker_runtime(worker), call_never, NULL, &options, &future));
    OK(weft_cancel_token_trigger(token, NULL));
    CHECK_STATUS(weft_future_get(future, WEFT_FOREVER, &(void *){NULL}), WEFT_CANCELLED);
    CHECK_INT(atomic_load(&((struct drops *)arg)->count), 1);
    weft_future_release(future);
    weft_cancel_token_release(token);
}

/* Nobody else could drop it. */
TEST(who_waits_for_a_cancelled_task_drops_it)
{
    struct drops drops = {0};
    weft_runtime *runtime = runtime_new_limited(1, 1);
    OK(weft_run(runtime, wait_for_cancelled, &drops));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK_INT(stats.discarded, 1);
    CHECK_INT(stats.executed, 1);
    weft_runtime_release(runtime);
}

struct outsider {
    weft_cancel_token *token;
    weft_channel *channel;
    struct tally about_to;
};

static void wait_outside(void *arg)
{
    struct outsider *outsider = arg;
    uint64_t element = 0;
    OK(weft_cancel_token_enter(outsider->token));
    tally_add(&outsider->about_to, 1);
    CHECK_STATUS(weft_channel_recv(outsider->channel, &element, WEFT_FOREVER), WEFT_CANCELLED);
    OK(weft_cancel_token_leave(outsider->token));
    CHECK_STATUS(weft_channel_recv(outsider->channel, &element, 1), WEFT_TIMEOUT);
}

TEST(any_thread_can_go_by_a_token)
{
    struct outsider outsider = {.token = token_new(NULL), .channel = channel_new(8, 0), .about_to = TALLY_INIT};
    struct thread threads[3];
    for (int i = 0; i < 3; i++)
        thread_start(&threads[i], wait_outside, &outsider);
    tally_wait(&outsider.about_to, 3);
    OK(weft_cancel_token_trigger(outsider.token, "stop"));
    for (int i = 0; i < 3; i++)
        thread_join(&threads[i]);
    weft_cancel_token_release(outsider.token);
    weft_channel_release(outsider.channel);
}

/* ---- loops */

struct looping {
    weft_cancel_token *token, *inner;
    struct tally calls;
    struct drops accs;
    int reduces;
    weft_loop_report report;
};

static weft_status trigger_in_the_middle(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    struct looping *looping = arg;
    tally_add(&looping->calls, 1);
    if (begin <= 500 && 500 < end) {
        OK(weft_cancel_token_trigger(looping->token, "found it"));
        CHECK(weft_cancelled(worker));
    }
    return WEFT_OK;
}

TEST(a_loop_ends_by_its_token)
{
    weft_runtime *runtime = runtime_new(2);
    for (int on_failure = WEFT_ON_FAILURE_STOP; on_failure <= WEFT_ON_FAILURE_REDO_ALL; on_failure++) {
        struct looping looping = {.token = token_new(NULL), .calls = TALLY_INIT, .report.size = sizeof looping.report};
        weft_loop_options options;
        OK(weft_loop_options_init(&options, sizeof options));
        options.grain = 1;
        options.cancel = looping.token;
        options.on_failure = on_failure;
        CHECK_STATUS(weft_for(runtime, 0, 100000, trigger_in_the_middle, &looping, &options, &looping.report), WEFT_CANCELLED);
        CHECK_STR(weft_error_message(), "cancelled: found it");
        CHECK_INT(looping.report.done, tally_count(&looping.calls));
        CHECK_INT(looping.report.done + looping.report.skipped, 100000);
        CHECK(looping.report.skipped > 0 && looping.report.failed == 0 && looping.report.fell_back == 0);
        /* Triggered before it begins, it calls nothing. */
        CHECK_STATUS(weft_for(runtime, 0, 100000, trigger_in_the_middle, &looping, &options, &looping.report), WEFT_CANCELLED);
        CHECK_INT(looping.report.skipped, 100000);
        weft_cancel_token_release(looping.token);
    }
    runtime_end(runtime);
}

static weft_status identity_fold(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    *(uint64_t *)acc += 1;
    return trigger_in_the_middle(worker, begin, end, arg);
}

static weft_status add_up(weft_worker *worker, void *into, void *from, void *arg)
{
    (void)worker;
    (void)arg;
    *(uint64_t *)into += *(uint64_t *)from;
    return WEFT_OK;
}

static void loop_within(weft_worker *worker, void *arg)
{
    struct looping *looping = arg;
    weft_loop_options options;
    uint64_t zero = 0, sum = 99;
    OK(weft_loop_options_init(&options, sizeof options));
    options.grain = 1;
    options.cancel = looping->inner;
    options.acc_drop = drop_count;
    options.acc_drop_ctx = &looping->accs;
    weft_status status = looping->reduces
        ? weft_reduce(weft_worker_runtime(worker), 0, 100000, sizeof sum, &zero, identity_fold, add_up, looping, &options, &sum)
        : weft_for(weft_worker_runtime(worker), 0, 100000, trigger_in_the_middle, looping, &options, NULL);
    CHECK_STATUS(status, WEFT_CANCELLED);
    CHECK(weft_cancelled(worker));
    CHECK_INT(sum, 99);
}

TEST(a_loop_ends_by_its_tasks_token)
{
    weft_runtime *runtime = runtime_new(2);
    for (int round = 0; round < 4; round++) {
        struct looping looping = {.token = token_new(NULL), .calls = TALLY_INIT, .reduces = round / 2};
        looping.inner = round % 2 ? token_new(NULL) : NULL;
        weft_spawn_options options = carrying(looping.token);
        OK(weft_spawn_with(runtime, loop_within, &looping, &options));
        OK(weft_cancel_token_enter(looping.token));
        OK(weft_run(runtime, loop_within, &looping));
        OK(weft_cancel_token_leave(looping.token));
        CHECK(tally_count(&looping.calls) < 200000);
        /* The spawned one may still be on its way. */
        while (runtime_stats(runtime).executed < (uint64_t)(2 * round + 2))
            sched_yield();
        CHECK(!looping.inner || !weft_cancel_token_triggered(looping.inner));
        weft_cancel_token_release(looping.inner);
        weft_cancel_token_release(looping.token);
    }
    runtime_end(runtime);
}

/* ---- everything at once */

struct storm {
    weft_channel *channel;
    weft_cancel_token *tokens[8];
    atomic_uint_fast64_t received, cancelled;
    struct random random;
};

static void receive_one(weft_worker *worker, void *arg)
{
    struct storm *storm = arg;
    uint64_t element = 0;
    weft_status status = weft_channel_recv(storm->channel, &element, WEFT_FOREVER);
    CHECK(status == WEFT_OK || (status == WEFT_CANCELLED && weft_cancelled(worker)));
    atomic_fetch_add(status == WEFT_OK ? &storm->received : &storm->cancelled, 1);
}

TEST(a_storm_of_tokens_loses_nothing)
{
    enum { ROUNDS = 30, TASKS = 200 };
    struct random random = {random_seed()};
    weft_runtime *runtime = runtime_new(3);
    for (int round = 0; round < ROUNDS; round++) {
        struct storm storm = {.channel = channel_new(8, random_below(&random, 3))};
        uint64_t sent = 0, element = 0, left = 0;
        weft_cancel_token *root = token_new(NULL);
        for (int i = 0; i < 8; i++)
            storm.tokens[i] = token_new(i < 4 ? root : storm.tokens[i - 4]);
        for (int i = 0; i < TASKS; i++) {
            weft_spawn_options options = carrying(storm.tokens[random_below(&random, 8)]);
            OK(weft_spawn_with(runtime, receive_one, &storm, &options));
            if (random_below(&random, 3) == 0)
                sent += weft_channel_send(storm.channel, &element, (int64_t)random_below(&random, 50000)) == WEFT_OK;
            if (random_below(&random, 40) == 0)
                OK(weft_cancel_token_trigger(storm.tokens[random_below(&random, 8)], "storm"));
        }
        OK(weft_cancel_token_trigger(root, "over"));
        while (atomic_load(&storm.received) + atomic_load(&storm.cancelled) < TASKS)
            sched_yield();
        while (weft_channel_recv(storm.channel, &element, 0) == WEFT_OK)
            left++;
        CHECK_INT(atomic_load(&storm.received) + left, sent);
        weft_channel_close(storm.channel);
        for (int i = 0; i < 8; i++)
            weft_cancel_token_release(storm.tokens[i]);
        weft_cancel_token_release(root);
        weft_channel_release(storm.channel);
    }
    runtime_end(runtime);
}
