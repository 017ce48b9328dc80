/* Misuse of mutexes and of the watch for deadlocks. See misuse.h. */
#include "misuse.h"

MISUSE(weft_mutex_new)
{
    CHECK_INVALID(weft_mutex_new("name", NULL), "out");
}

MISUSE(weft_mutex_lock)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_mutex_lock(NULL, 0), "mutex");
    FOR_WRONG(zoo, MUTEX, h)
        CHECK_INVALID(weft_mutex_lock(h, WEFT_FOREVER), "mutex");
    /* A time that has passed long ago, and one that never comes, are fine with a mutex that is free. */
    OK(weft_mutex_lock(zoo->mutex, INT64_MIN));
    CHECK_STATUS(weft_mutex_lock(zoo->mutex, INT64_MIN), WEFT_DEADLOCK);
    OK(weft_mutex_unlock(zoo->mutex));
    OK(weft_mutex_lock(zoo->mutex, INT64_MAX - 1));
    OK(weft_mutex_unlock(zoo->mutex));
    zoo_end(zoo);
}

MISUSE(weft_mutex_unlock)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_mutex_unlock(NULL), "mutex");
    FOR_WRONG(zoo, MUTEX, h)
        CHECK_INVALID(weft_mutex_unlock(h), "mutex");
    CHECK_REFUSED(weft_mutex_unlock(zoo->mutex), WEFT_BUSY, "not locked");
    zoo_end(zoo);
}

MISUSE(weft_mutex_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_mutex_retain(NULL) == NULL);
    FOR_WRONG(zoo, MUTEX, h)
        CHECK_NULL(weft_mutex_retain(h), "mutex");
    zoo_end(zoo);
}

MISUSE(weft_mutex_release)
{
    struct zoo *zoo = zoo_new();
    weft_mutex_release(NULL);
    FOR_WRONG(zoo, MUTEX, h)
        COMPLAINS(weft_mutex_release(h), "mutex");
    zoo_end(zoo);
}

static void never_told(const weft_deadlock *deadlock, void *arg)
{
    (void)deadlock, (void)arg;
    CHECK(!"a callback was called that was refused");
}

MISUSE(weft_deadlock_watch)
{
    CHECK_INVALID(weft_deadlock_watch(never_told, NULL, 2), "action");
    CHECK_INVALID(weft_deadlock_watch(NULL, NULL, -1), "action");
    OK(weft_deadlock_watch(NULL, NULL, WEFT_DEADLOCK_REPORT));
}

MISUSE(weft_deadlock_count)
{
    CHECK_INT(weft_deadlock_count(), 0);
}
