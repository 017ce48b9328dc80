/* Deadlines of tokens, and sleeping. Nothing here says how late anything may be. */
#include "support.h"

#define MS INT64_C(1000000)
#define HOUR (3600000 * MS)

struct held {
    gate inside, go_on;
};

static void hold(weft_worker *worker, void *arg)
{
    struct held *held = arg;
    (void)worker;
    gate_open(&held->inside);
    gate_wait(&held->go_on);
}

static void cancelled_by_deadline(weft_cancel_token *token)
{
    weft_channel *channel = channel_new(8, 1);
    uint64_t element = 0;
    OK(weft_cancel_token_enter(token));
    CHECK_STATUS(weft_channel_recv(channel, &element, WEFT_FOREVER), WEFT_CANCELLED);
    OK(weft_cancel_token_leave(token));
    CHECK_STR(weft_cancel_token_reason(token), "deadline");
    weft_channel_release(channel);
}

TEST(the_earliest_deadline_of_a_token_triggers_it)
{
    weft_cancel_token *token = NULL, *child = NULL, *now = NULL;
    OK(weft_cancel_token_new(NULL, &token));
    OK(weft_cancel_token_new(token, &child));
    OK(weft_cancel_token_after(token, HOUR));
    OK(weft_cancel_token_after(token, WEFT_FOREVER));
    CHECK(!weft_cancel_token_triggered(token));
    int64_t not_before = weft_now() + 2 * MS;
    OK(weft_cancel_token_after(token, 2 * MS));
    OK(weft_cancel_token_after(token, 2 * HOUR));
    cancelled_by_deadline(child);
    CHECK(weft_now() >= not_before);
    CHECK(weft_cancel_token_triggered(token));
    OK(weft_cancel_token_after(token, 0));
    OK(weft_cancel_token_new(NULL, &now));
    OK(weft_cancel_token_after(now, -1));
    CHECK_STR(weft_cancel_token_reason(now), "deadline");
    /* A token goes with its deadline. */
    weft_cancel_token *gone = NULL;
    OK(weft_cancel_token_new(NULL, &gone));
    OK(weft_cancel_token_after(gone, HOUR));
    weft_cancel_token_release(gone);
    weft_cancel_token_release(now);
    weft_cancel_token_release(child);
    weft_cancel_token_release(token);
}

TEST(blocked_workers_do_not_delay_a_deadline)
{
    weft_runtime *runtime = runtime_new_limited(1, 1);
    weft_cancel_token *token = NULL;
    struct held held = {GATE_INIT, GATE_INIT};
    OK(weft_spawn(runtime, hold, &held));
    gate_wait(&held.inside);
    OK(weft_cancel_token_new(NULL, &token));
    OK(weft_cancel_token_after(token, 2 * MS));
    cancelled_by_deadline(token);
    gate_open(&held.go_on);
    weft_cancel_token_release(token);
    runtime_end(runtime);
}

/* ---- sleeping */

struct sleeper {
    weft_cancel_token *token;
    weft_status status;
    gate began;
    struct tally ended;
};

static void sleep_long(weft_worker *worker, void *arg)
{
    struct sleeper *sleeper = arg;
    (void)worker;
    gate_open(&sleeper->began);
    sleeper->status = weft_sleep(WEFT_FOREVER);
    tally_add(&sleeper->ended, 1);
}

TEST(sleeping_takes_its_time)
{
    static const int64_t times[] = {1, 1000, 100000, 2 * MS, 10 * MS};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int64_t begin = weft_now();
        OK(weft_sleep(times[i]));
        CHECK(weft_now() - begin >= times[i]);
    }
    OK(weft_sleep(0));
    OK(weft_sleep(INT64_MIN));
}

static void arrive(weft_worker *worker, void *arg)
{
    (void)worker;
    gate_open(arg);
}

TEST(a_sleep_ends_with_its_token_and_passes_the_turn_on)
{
    weft_runtime *runtime = runtime_new(1);
    struct sleeper sleeper = {.began = GATE_INIT, .ended = TALLY_INIT};
    weft_spawn_options options;
    gate arrived = GATE_INIT;
    OK(weft_spawn_options_init(&options, sizeof options));
    OK(weft_cancel_token_new(NULL, &sleeper.token));
    options.cancel = sleeper.token;
    OK(weft_spawn_with(runtime, sleep_long, &sleeper, &options));
    gate_wait(&sleeper.began);
    /* The only worker sleeps; its turn runs this. */
    OK(weft_spawn(runtime, arrive, &arrived));
    gate_wait(&arrived);
    OK(weft_cancel_token_trigger(sleeper.token, "up"));
    tally_wait(&sleeper.ended, 1);
    CHECK_STATUS(sleeper.status, WEFT_CANCELLED);
    weft_cancel_token_release(sleeper.token);
    struct sleeper other = {.began = GATE_INIT, .ended = TALLY_INIT};
    OK(weft_spawn(runtime, sleep_long, &other));
    gate_wait(&other.began);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));
    CHECK_STATUS(other.status, WEFT_SHUTDOWN);
    weft_runtime_release(runtime);
}

/* ---- fork */

static void with_inherited_deadlines(void *token)
{
    weft_cancel_token *own = NULL;
    CHECK_REFUSED(weft_cancel_token_after(token, 0), WEFT_FORKED, "token");
    OK(weft_sleep(MS));
    OK(weft_after_fork());
    OK(weft_cancel_token_new(NULL, &own));
    OK(weft_cancel_token_after(own, MS));
    cancelled_by_deadline(own);
    weft_cancel_token_release(own);
}

CHILD_WITHOUT_LEAK_CHECK(deadlines_are_inherited)
{
    weft_cancel_token *token = NULL;
    OK(weft_cancel_token_new(NULL, &token));
    OK(weft_cancel_token_after(token, HOUR));
    in_forked_child(with_inherited_deadlines, token);
    OK(weft_cancel_token_after(token, MS));
    cancelled_by_deadline(token);
    weft_cancel_token_release(token);
}

TEST(a_forked_child_has_deadlines_of_its_own)
{
    child_succeeds("deadlines_are_inherited");
}
