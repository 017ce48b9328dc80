/* Misuse of timers and of sleeping. See misuse.h. */
#include "misuse.h"

MISUSE(weft_timer_after)
{
    struct zoo *zoo = zoo_new();
    weft_timer *timer = SENTINEL;
    CHECK_INVALID(weft_timer_after(zoo->runtime, 0, 0, NULL, NULL, never_drop, NULL, &timer), "fn");
    CHECK_INVALID(weft_timer_after(zoo->runtime, 0, 0, never_task, NULL, never_drop, NULL, NULL), "out");
    CHECK_INVALID(weft_timer_after(zoo->runtime, 0, -1, never_task, NULL, never_drop, NULL, &timer), "period_ns");
    CHECK_INVALID(weft_timer_after(zoo->runtime, 0, INT64_MIN, never_task, NULL, never_drop, NULL, &timer), "period_ns");
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_timer_after(h, 0, 0, never_task, NULL, never_drop, NULL, &timer), "runtime");
    CHECK(timer == SENTINEL);
    /* The ends of time. */
    static const int64_t far[] = {INT64_MAX, INT64_MAX - 1, INT64_MAX / 2};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        OK(weft_timer_after(zoo->runtime, far[i], far[i], never_task, NULL, NULL, NULL, &timer));
        OK(weft_timer_stop(timer));
        weft_timer_release(timer);
    }
    zoo_end(zoo);
}

MISUSE(weft_timer_stop)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_timer_stop(NULL), "timer");
    FOR_WRONG(zoo, TIMER, h)
        CHECK_INVALID(weft_timer_stop(h), "timer");
    zoo_end(zoo);
}

MISUSE(weft_timer_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_timer_retain(NULL) == NULL);
    FOR_WRONG(zoo, TIMER, h)
        COMPLAINS(CHECK(weft_timer_retain(h) == NULL), "timer");
    zoo_end(zoo);
}

MISUSE(weft_timer_release)
{
    struct zoo *zoo = zoo_new();
    weft_timer_release(NULL);
    FOR_WRONG(zoo, TIMER, h)
        COMPLAINS(weft_timer_release(h), "timer");
    zoo_end(zoo);
}

MISUSE(weft_sleep)
{
    OK(weft_sleep(0));
    OK(weft_sleep(-1));
    OK(weft_sleep(INT64_MIN));
}

MISUSE(weft_cancel_token_after)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_cancel_token_after(NULL, 0), "token");
    FOR_WRONG(zoo, TOKEN, h)
        CHECK_INVALID(weft_cancel_token_after(h, 0), "token");
    OK(weft_cancel_token_after(zoo->token, INT64_MAX));
    OK(weft_cancel_token_after(zoo->token, INT64_MAX - 1));
    zoo_end(zoo);
}
