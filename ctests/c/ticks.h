/* What tests of timers share: tasks that check when they run, and drops that check that they are last. */
#ifndef WEFT_CTESTS_TICKS_H
#define WEFT_CTESTS_TICKS_H

#include "support.h"

#define MS INT64_C(1000000)
#define HOUR (3600000 * MS)

/* What a timer's task does, and what is to come of it. */
struct ticks {
    int64_t not_before;  /* on weft_now's clock; each run adds the period */
    int64_t period;
    atomic_int running;
    struct tally runs, drops;
};

#define TICKS_INIT {.runs = TALLY_INIT, .drops = TALLY_INIT}

/* A task that checks that it is not early, not beside itself, and not after its drop; arg is a struct ticks. */
void tick(weft_worker *worker, void *arg);
/* Its drop; the ctx is SENTINEL. */
void dropped(void *ctx, void *value);
weft_timer *timer_after(weft_runtime *runtime, int64_t delay, int64_t period, weft_task_fn fn, struct ticks *ticks);
/* The drop has been told of, and may not have returned yet. */
void stop_after_its_drop(weft_timer *timer);
/* A whole life: armed, run once, dropped. */
void runs_once(weft_runtime *runtime, int64_t delay);
/* Waits until the process' timers have got to everything that is due by now; `other` runs a task meanwhile. */
void let_expire(weft_runtime *other);

/* A task that says that it is inside, and stays. */
struct held {
    struct ticks ticks;
    gate inside, go_on;
    weft_timer *timer;
};

#define HELD_INIT {.ticks = TICKS_INIT, .inside = GATE_INIT, .go_on = GATE_INIT}

void hold(weft_worker *worker, void *arg);

#endif
