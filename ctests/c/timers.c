/* Timers: when they run, how often, and what stops them. Nothing here says how late anything may be: only what comes before
 * what, how often, and that nothing is early.
 */
#include "ticks.h"

TEST(a_timer_runs_once_and_never_early)
{
    weft_runtime *runtime = runtime_new(2);
    static const int64_t delays[] = {INT64_MIN, -1, 0, 1, 1000, 65536, 65537, MS, 5 * MS, 20 * MS};
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++)
        runs_once(runtime, delays[i]);
    runtime_end(runtime);
}

TEST(a_null_runtime_is_the_default_one)
{
    runs_once(NULL, MS);
}

struct order {
    atomic_int count;
    int early, late;
    struct tally ended;
};

static void note_early(weft_worker *worker, void *arg)
{
    struct order *order = arg;
    (void)worker;
    order->early = atomic_fetch_add(&order->count, 1);
    tally_add(&order->ended, 1);
}

static void note_late(weft_worker *worker, void *arg)
{
    struct order *order = arg;
    (void)worker;
    order->late = atomic_fetch_add(&order->count, 1);
    tally_add(&order->ended, 1);
}

/* On one worker two tasks run in the order they were queued in by one thread. */
TEST(an_earlier_deadline_overtakes_a_later_one)
{
    weft_runtime *runtime = runtime_new(1);
    for (int rounds = 0; rounds < 10;) {
        struct order order = {.ended = TALLY_INIT};
        weft_timer *late = NULL, *early = NULL;
        int64_t begin = weft_now();
        OK(weft_timer_after(runtime, 4 * MS, 0, note_late, &order, NULL, NULL, &late));
        OK(weft_timer_after(runtime, MS, 0, note_early, &order, NULL, NULL, &early));
        /* If this thread was held up in between, it proves nothing. */
        bool in_time = weft_now() < begin + 2 * MS;
        tally_wait(&order.ended, 2);
        if (in_time) {
            CHECK(order.early < order.late);
            rounds++;
        }
        weft_timer_release(late);
        weft_timer_release(early);
    }
    runtime_end(runtime);
}

TEST(a_stopped_timer_does_not_run_and_its_drop_does)
{
    weft_runtime *runtime = runtime_new(1);
    struct ticks ticks = TICKS_INIT, forever = TICKS_INIT, soon = TICKS_INIT, marker = TICKS_INIT;
    weft_timer *timer = timer_after(runtime, HOUR, 0, tick, &ticks);
    weft_timer *never = timer_after(runtime, WEFT_FOREVER, WEFT_FOREVER, tick, &forever);
    weft_timer *short_one = timer_after(runtime, MS, 0, tick, &soon);
    OK(weft_timer_stop(timer));
    CHECK_INT(tally_count(&ticks.drops), 1);
    OK(weft_timer_stop(timer));
    /* Stopped or, on a busy machine, run: one of the two, and the drop. */
    if (weft_timer_stop(short_one) == WEFT_BUSY)
        tally_wait(&soon.drops, 1);
    CHECK_INT(tally_count(&soon.drops), 1);
    uint64_t runs = tally_count(&soon.runs);
    weft_timer *later = timer_after(runtime, 2 * MS, 0, tick, &marker);
    tally_wait(&marker.drops, 1);
    CHECK_INT(tally_count(&soon.runs), runs);
    CHECK_INT(tally_count(&soon.drops), 1);
    CHECK_INT(tally_count(&forever.drops), 0);
    OK(weft_timer_stop(never));
    CHECK_INT(tally_count(&forever.drops), 1);
    CHECK_INT(tally_count(&ticks.runs) + tally_count(&forever.runs), 0);
    CHECK_INT(tally_count(&ticks.drops), 1);
    weft_timer_release(timer);
    weft_timer_release(never);
    weft_timer_release(short_one);
    weft_timer_release(later);
    runtime_end(runtime);
}

TEST(a_periodic_timer_runs_again_and_again_until_stopped)
{
    weft_runtime *runtime = runtime_new(2);
    struct ticks ticks = TICKS_INIT;
    weft_timer *timer = timer_after(runtime, MS, MS, tick, &ticks);
    tally_wait(&ticks.runs, 10);
    if (weft_timer_stop(timer) == WEFT_BUSY)
        tally_wait(&ticks.drops, 1);
    CHECK_INT(tally_count(&ticks.drops), 1);
    uint64_t runs = tally_count(&ticks.runs);
    struct ticks marker = TICKS_INIT;
    weft_timer *later = timer_after(runtime, 5 * MS, 0, tick, &marker);
    tally_wait(&marker.drops, 1);
    CHECK_INT(tally_count(&ticks.runs), runs);
    CHECK_INT(tally_count(&ticks.drops), 1);
    weft_timer_release(timer);
    weft_timer_release(later);
    runtime_end(runtime);
}

TEST(released_timers_go_on)
{
    weft_runtime *runtime = runtime_new(2);
    struct ticks once = TICKS_INIT, often = TICKS_INIT;
    weft_timer_release(timer_after(runtime, 2 * MS, 0, tick, &once));
    weft_timer *timer = timer_after(runtime, MS, MS, tick, &often);
    CHECK(weft_timer_retain(timer) == timer);
    weft_timer_release(timer);
    weft_timer_release(timer);
    tally_wait(&once.drops, 1);
    tally_wait(&often.runs, 5);
    /* The shutdown ends it, and it does not keep the shutdown. */
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(tally_count(&often.drops), 1);
    CHECK_INT(tally_count(&once.runs), 1);
    weft_runtime_release(runtime);
}

/* ---- tasks that are late, or run long */

TEST(expiries_of_a_task_that_waits_are_left_out)
{
    weft_runtime *runtime = runtime_new_limited(1, 1), *other = runtime_new(1);
    struct held held = HELD_INIT;
    OK(weft_spawn(runtime, hold, &held));
    gate_wait(&held.inside);
    weft_timer *timer = timer_after(runtime, MS, MS, tick, &held.ticks);
    for (int64_t until = weft_now() + 20 * MS; weft_now() < until;)
        let_expire(other);
    CHECK_INT(tally_count(&held.ticks.runs), 0);
    /* One task waits, in place of many; with its timer stopped it is not begun. */
    CHECK_INT(runtime_stats(runtime).queued, 1);
    OK(weft_timer_stop(timer));
    CHECK_INT(tally_count(&held.ticks.drops), 1);
    gate_open(&held.go_on);
    weft_timer_release(timer);
    runtime_end(runtime);
    CHECK_INT(tally_count(&held.ticks.runs), 0);
    runtime_end(other);
}

static void slow_tick(weft_worker *worker, void *arg)
{
    struct held *held = arg;
    CHECK_INT(atomic_fetch_add(&held->ticks.running, 1), 0);
    hold(worker, held);
    atomic_fetch_sub(&held->ticks.running, 1);
    tally_add(&held->ticks.runs, 1);
}

static void slow_dropped(void *ctx, void *value)
{
    struct held *held = value;
    dropped(ctx, &held->ticks);
}

TEST(a_timers_task_does_not_run_beside_itself)
{
    weft_runtime *runtime = runtime_new(2);
    struct held held = HELD_INIT;
    weft_timer *timer = NULL;
    OK(weft_timer_after(runtime, MS, MS, slow_tick, &held, slow_dropped, SENTINEL, &timer));
    gate_wait(&held.inside);
    for (int64_t until = weft_now() + 20 * MS; weft_now() < until;)
        let_expire(runtime);
    CHECK_INT(tally_count(&held.inside), 1);
    gate_open(&held.go_on);
    /* The expiries meanwhile come to another run. */
    tally_wait(&held.ticks.runs, 2);
    if (weft_timer_stop(timer) == WEFT_BUSY)
        tally_wait(&held.ticks.drops, 1);
    CHECK_INT(tally_count(&held.ticks.drops), 1);
    weft_timer_release(timer);
    runtime_end(runtime);
}

TEST(stopping_what_runs_is_busy_and_the_drop_follows)
{
    weft_runtime *runtime = runtime_new(1);
    struct held held = HELD_INIT;
    weft_timer *timer = NULL;
    OK(weft_timer_after(runtime, 0, MS, slow_tick, &held, slow_dropped, SENTINEL, &timer));
    gate_wait(&held.inside);
    CHECK_STATUS(weft_timer_stop(timer), WEFT_BUSY);
    CHECK_STATUS(weft_timer_stop(timer), WEFT_BUSY);
    CHECK_INT(tally_count(&held.ticks.drops), 0);
    gate_open(&held.go_on);
    tally_wait(&held.ticks.drops, 1);
    stop_after_its_drop(timer);
    CHECK_INT(tally_count(&held.ticks.runs), 1);
    weft_timer_release(timer);
    runtime_end(runtime);
}

static void stop_itself(weft_worker *worker, void *arg)
{
    struct held *held = arg;
    (void)worker;
    gate_wait(&held->go_on);
    CHECK_STATUS(weft_timer_stop(held->timer), WEFT_BUSY);
    CHECK_INT(tally_count(&held->ticks.drops), 0);
    tally_add(&held->ticks.runs, 1);
}

TEST(a_timer_may_stop_itself)
{
    weft_runtime *runtime = runtime_new(1);
    struct held held = HELD_INIT;
    OK(weft_timer_after(runtime, 0, MS, stop_itself, &held, slow_dropped, SENTINEL, &held.timer));
    gate_open(&held.go_on);
    tally_wait(&held.ticks.drops, 1);
    CHECK_INT(tally_count(&held.ticks.runs), 1);
    weft_timer_release(held.timer);
    runtime_end(runtime);
}

/* ---- tokens */

TEST(a_timer_goes_by_the_token_of_who_made_it)
{
    weft_runtime *runtime = runtime_new(1);
    weft_cancel_token *token = NULL;
    struct ticks far = TICKS_INIT, often = TICKS_INIT, late = TICKS_INIT;
    OK(weft_cancel_token_new(NULL, &token));
    OK(weft_cancel_token_enter(token));
    weft_timer *timer = timer_after(runtime, HOUR, 0, tick, &far);
    weft_timer *periodic = timer_after(runtime, MS, MS, tick, &often);
    OK(weft_cancel_token_leave(token));
    tally_wait(&often.runs, 2);
    OK(weft_cancel_token_trigger(token, "enough"));
    tally_wait(&far.drops, 1);
    tally_wait(&often.drops, 1);
    CHECK_INT(tally_count(&far.runs), 0);
    OK(weft_cancel_token_enter(token));
    weft_timer *too_late = timer_after(runtime, 0, MS, tick, &late);
    OK(weft_cancel_token_leave(token));
    tally_wait(&late.drops, 1);
    CHECK_INT(tally_count(&late.runs), 0);
    stop_after_its_drop(timer);
    stop_after_its_drop(periodic);
    stop_after_its_drop(too_late);
    weft_timer_release(timer);
    weft_timer_release(periodic);
    weft_timer_release(too_late);
    weft_cancel_token_release(token);
    runtime_end(runtime);
    CHECK_INT(tally_count(&far.drops) + tally_count(&often.drops) + tally_count(&late.drops), 3);
}

/* ---- runtimes without threads */

struct single {
    weft_runtime *runtime;
    pthread_t thread;
    struct ticks ticks;
};

static void third_tick_ends(weft_worker *worker, void *arg)
{
    struct single *single = arg;
    CHECK(pthread_equal(single->thread, pthread_self()));
    tick(worker, &single->ticks);
    if (tally_count(&single->ticks.runs) == 3)
        CHECK_STATUS(weft_runtime_shutdown(single->runtime, WEFT_SHUTDOWN_DRAIN, 0), WEFT_WOULD_BLOCK);
}

static void single_dropped(void *ctx, void *value)
{
    dropped(ctx, &((struct single *)value)->ticks);
}

TEST(timers_of_a_single_runtime_run_on_its_thread)
{
    weft_runtime_options options;
    struct single single = {.thread = pthread_self(), .ticks = TICKS_INIT};
    struct ticks far = TICKS_INIT;
    weft_timer *timer = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.kind = WEFT_KIND_SINGLE;
    OK(weft_runtime_new(&options, &single.runtime));
    OK(weft_timer_after(single.runtime, MS, MS, third_tick_ends, &single, single_dropped, SENTINEL, &timer));
    weft_timer_release(timer);
    weft_timer_release(timer_after(single.runtime, HOUR, 0, tick, &far));
    OK(weft_runtime_run(single.runtime, WEFT_RUN_UNTIL_SHUTDOWN));
    CHECK_INT(tally_count(&single.ticks.drops), 1);
    CHECK_INT(tally_count(&far.drops), 1);
    CHECK_INT(tally_count(&far.runs), 0);
    weft_runtime_release(single.runtime);
}
