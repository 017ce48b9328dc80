/* See ticks.h. */
#include "ticks.h"

#include <sched.h>

void tick(weft_worker *worker, void *arg)
{
    struct ticks *ticks = arg;
    CHECK(worker != NULL && weft_worker_current() == worker);
    CHECK_INT(atomic_fetch_add(&ticks->running, 1), 0);
    CHECK(weft_now() >= ticks->not_before);
    CHECK_INT(tally_count(&ticks->drops), 0);
    ticks->not_before += ticks->period;
    atomic_fetch_sub(&ticks->running, 1);
    tally_add(&ticks->runs, 1);
}

void dropped(void *ctx, void *value)
{
    struct ticks *ticks = value;
    CHECK(ctx == SENTINEL);
    CHECK_INT(atomic_load(&ticks->running), 0);
    tally_add(&ticks->drops, 1);
}

weft_timer *timer_after(weft_runtime *runtime, int64_t delay, int64_t period, weft_task_fn fn, struct ticks *ticks)
{
    weft_timer *timer = NULL;
    ticks->not_before = delay > 0 && delay < 1000 * HOUR ? weft_now() + delay : 0;
    ticks->period = period;
    OK(weft_timer_after(runtime, delay, period, fn, ticks, dropped, SENTINEL, &timer));
    REQUIRE(timer != NULL);
    return timer;
}

void stop_after_its_drop(weft_timer *timer)
{
    weft_status status;
    while ((status = weft_timer_stop(timer)) == WEFT_BUSY)
        sched_yield();
    CHECK_STATUS(status, WEFT_OK);
}

void runs_once(weft_runtime *runtime, int64_t delay)
{
    struct ticks ticks = TICKS_INIT;
    weft_timer *timer = timer_after(runtime, delay, 0, tick, &ticks);
    tally_wait(&ticks.drops, 1);
    CHECK_INT(tally_count(&ticks.runs), 1);
    stop_after_its_drop(timer);
    weft_timer_release(timer);
    CHECK_INT(tally_count(&ticks.drops), 1);
}

void hold(weft_worker *worker, void *arg)
{
    struct held *held = arg;
    (void)worker;
    gate_open(&held->inside);
    gate_wait(&held->go_on);
}

void let_expire(weft_runtime *other)
{
    struct ticks marker = TICKS_INIT;
    weft_timer *timer = timer_after(other, 0, 0, tick, &marker);
    tally_wait(&marker.drops, 1);
    weft_timer_release(timer);
}
