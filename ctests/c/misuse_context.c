/* Misuse of the functions of contexts, of kinds, and of pools. See misuse.h. */
#include "misuse.h"

#include <string.h>

static weft_status never_handle(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)data, (void)len, (void)reply;
    never_task(NULL, arg);
    return WEFT_OK;
}

MISUSE(weft_context_options_init)
{
    weft_context_options options;
    memset(&options, 0x5e, sizeof options);
    CHECK_INVALID(weft_context_options_init(NULL, sizeof options), "options");
    CHECK_INVALID(weft_context_options_init(&options, sizeof options - 1), "size");
    CHECK_INVALID(weft_context_options_init(&options, SIZE_MAX), "size");
}

MISUSE(weft_context_new)
{
    struct zoo *zoo = zoo_new();
    static const int32_t kinds[] = {0, -1, 7, 99, 100000, INT32_MAX, INT32_MIN};
    weft_context_options options;
    weft_context *context = SENTINEL;
    CHECK_INVALID(weft_context_new(NULL, WEFT_CONTEXT_THREAD, NULL, NULL), "out");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        CHECK_INVALID(weft_context_new(NULL, kinds[i], NULL, &context), "kind");
    FOR_WRONG(zoo, RUNTIME, h) {
        CHECK_INVALID(weft_context_new(h, WEFT_CONTEXT_TASK, NULL, &context), "runtime");
        CHECK_INVALID(weft_context_new(h, WEFT_CONTEXT_THREAD, NULL, &context), "runtime");
    }
    FOR_WRONG(zoo, TOKEN, h) {
        OK(weft_context_options_init(&options, sizeof options));
        options.cancel = h;
        CHECK_INVALID(weft_context_new(NULL, WEFT_CONTEXT_THREAD, &options, &context), "cancel");
    }
    OK(weft_context_options_init(&options, sizeof options));
    options.priority = 9;
    CHECK_INVALID(weft_context_new(NULL, WEFT_CONTEXT_TASK, &options, &context), "priority");
    options.priority = WEFT_PRIORITY_NORMAL;
    options.exact = 9;
    CHECK_INVALID(weft_context_new(NULL, WEFT_CONTEXT_FORK, &options, &context), "exact");
    options.exact = WEFT_DEFAULT;
    options.stack_size = 1;
    CHECK_INVALID(weft_context_new(NULL, WEFT_CONTEXT_THREAD, &options, &context), "stack_size");
    options.stack_size = SIZE_MAX;
    CHECK_INVALID(weft_context_new(NULL, WEFT_CONTEXT_THREAD, &options, &context), "stack_size");
    options.stack_size = 0;
    options.size = 3;
    CHECK_INVALID(weft_context_new(NULL, WEFT_CONTEXT_THREAD, &options, &context), "size");
    CHECK(context == SENTINEL);
    zoo_end(zoo);
}

/* A stack that the system has no room for: the thread is not started, and the context is as it was. */
static void execute_without_room(void)
{
    weft_context_options options;
    weft_context *context = NULL;
    OK(weft_context_options_init(&options, sizeof options));
    options.stack_size = SIZE_MAX / 4;
    for (int32_t kind = WEFT_CONTEXT_THREAD; kind <= WEFT_CONTEXT_ISOLATED; kind += WEFT_CONTEXT_ISOLATED - WEFT_CONTEXT_THREAD) {
        OK(weft_context_new(NULL, kind, &options, &context));
        for (int i = 0; i < 2; i++)
            CHECK_REFUSED(weft_context_execute(context, never_handle, NULL, never_drop, NULL, NULL, 0), WEFT_OS, "thread");
        CHECK(!weft_context_is_alive(context));
        CHECK_STATUS(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_INVALID);
        weft_context_release(context);
    }
}

MISUSE(weft_context_execute)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_context_execute(NULL, never_handle, NULL, NULL, NULL, NULL, 0), "context");
    CHECK_INVALID(weft_context_execute(zoo->context, NULL, NULL, NULL, NULL, NULL, 0), "fn");
    CHECK_INVALID(weft_context_execute(zoo->context, never_handle, NULL, never_drop, NULL, NULL, 1), "data");
    CHECK_INVALID(weft_context_execute(zoo->context, never_handle, NULL, NULL, NULL, "x", SIZE_MAX), "len");
    FOR_WRONG(zoo, CONTEXT, h)
        CHECK_INVALID(weft_context_execute(h, never_handle, NULL, NULL, NULL, NULL, 0), "context");
    CHECK(!weft_context_is_alive(zoo->context));
    execute_without_room();
    zoo_end(zoo);
}

MISUSE(weft_context_wait)
{
    struct zoo *zoo = zoo_new();
    weft_bytes *reply = SENTINEL;
    CHECK_INVALID(weft_context_wait(NULL, WEFT_FOREVER, &reply), "context");
    CHECK_INVALID(weft_context_wait(zoo->context, WEFT_FOREVER, &reply), "not been executed");
    FOR_WRONG(zoo, CONTEXT, h)
        CHECK_INVALID(weft_context_wait(h, WEFT_FOREVER, &reply), "context");
    CHECK(reply == SENTINEL);
    zoo_end(zoo);
}

MISUSE(weft_context_is_alive)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_context_is_alive(NULL), false, "context");
    FOR_WRONG(zoo, CONTEXT, h)
        CHECK_NEUTRAL(weft_context_is_alive(h), false, "context");
    zoo_end(zoo);
}

MISUSE(weft_context_terminate)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_context_terminate(NULL, WEFT_FOREVER), "context");
    FOR_WRONG(zoo, CONTEXT, h)
        CHECK_INVALID(weft_context_terminate(h, WEFT_FOREVER), "context");
    zoo_end(zoo);
}

MISUSE(weft_context_kind)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_context_kind(NULL), -1, "context");
    FOR_WRONG(zoo, CONTEXT, h)
        CHECK_NEUTRAL(weft_context_kind(h), -1, "context");
    zoo_end(zoo);
}

MISUSE(weft_context_kind_asked)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_context_kind_asked(NULL), -1, "context");
    FOR_WRONG(zoo, CONTEXT, h)
        CHECK_NEUTRAL(weft_context_kind_asked(h), -1, "context");
    zoo_end(zoo);
}

MISUSE(weft_context_name)
{
    struct zoo *zoo = zoo_new();
    harness_forget_message();
    CHECK_STR(weft_context_name(NULL), "");
    CHECK_HAS(weft_error_message(), "context");
    FOR_WRONG(zoo, CONTEXT, h)
        CHECK_STR(weft_context_name(h), "");
    zoo_end(zoo);
}

MISUSE(weft_context_error)
{
    struct zoo *zoo = zoo_new();
    CHECK_NULL(weft_context_error(NULL), "context");
    CHECK(weft_context_error(zoo->context) == NULL);
    FOR_WRONG(zoo, CONTEXT, h)
        CHECK_NULL(weft_context_error(h), "context");
    zoo_end(zoo);
}

MISUSE(weft_context_stats_get)
{
    struct zoo *zoo = zoo_new();
    weft_context_stats stats = {.size = sizeof stats, .executed = 77};
    CHECK_INVALID(weft_context_stats_get(NULL, &stats), "context");
    CHECK_INVALID(weft_context_stats_get(zoo->context, NULL), "out");
    FOR_WRONG(zoo, CONTEXT, h)
        CHECK_INVALID(weft_context_stats_get(h, &stats), "context");
    stats.size = 3;
    CHECK_INVALID(weft_context_stats_get(zoo->context, &stats), "size");
    CHECK_INT(stats.executed, 77);
    zoo_end(zoo);
}

MISUSE(weft_context_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_context_retain(NULL) == NULL);
    FOR_WRONG(zoo, CONTEXT, h)
        CHECK_NULL(weft_context_retain(h), "context");
    zoo_end(zoo);
}

MISUSE(weft_context_release)
{
    struct zoo *zoo = zoo_new();
    weft_context_release(NULL);
    FOR_WRONG(zoo, CONTEXT, h)
        COMPLAINS(weft_context_release(h), "context");
    zoo_end(zoo);
}

/* ---- kinds */

static weft_status never_submit(void *arg, weft_context_job *job)
{
    (void)job;
    never_task(NULL, arg);
    return WEFT_FAILED;
}

MISUSE(weft_context_vtable_init)
{
    weft_context_vtable vtable;
    CHECK_INVALID(weft_context_vtable_init(NULL, sizeof vtable), "options");
    CHECK_INVALID(weft_context_vtable_init(&vtable, sizeof vtable - 1), "size");
    CHECK_INVALID(weft_context_vtable_init(&vtable, SIZE_MAX), "size");
}

MISUSE(weft_context_kind_register)
{
    weft_context_vtable vtable;
    int32_t kind = 77;
    OK(weft_context_vtable_init(&vtable, sizeof vtable));
    CHECK_INVALID(weft_context_kind_register("misuse", &vtable, &kind), "submit");
    vtable.submit = never_submit;
    CHECK_INVALID(weft_context_kind_register(NULL, &vtable, &kind), "name");
    CHECK_INVALID(weft_context_kind_register("", &vtable, &kind), "name");
    CHECK_INVALID(weft_context_kind_register("\xff\xfe", &vtable, &kind), "name");
    CHECK_INVALID(weft_context_kind_register("misuse", NULL, &kind), "vtable");
    CHECK_INVALID(weft_context_kind_register("misuse", &vtable, NULL), "kind");
    CHECK_REFUSED(weft_context_kind_register("thread", &vtable, &kind), WEFT_BUSY, "thread");
    vtable.size = 1;
    CHECK_INVALID(weft_context_kind_register("misuse", &vtable, &kind), "size");
    CHECK_STATUS(weft_context_kind_find("misuse", &kind), WEFT_NOT_FOUND);
    CHECK_INT(kind, 77);
}

MISUSE(weft_context_kind_unregister)
{
    static const int32_t kinds[] = {0, -1, WEFT_CONTEXT_THREAD, 99, 100000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        CHECK_INVALID(weft_context_kind_unregister(kinds[i]), "kind");
}

MISUSE(weft_context_kind_find)
{
    int32_t kind = 77;
    CHECK_INVALID(weft_context_kind_find(NULL, &kind), "name");
    CHECK_INVALID(weft_context_kind_find("thread", NULL), "kind");
    CHECK_REFUSED(weft_context_kind_find("", &kind), WEFT_NOT_FOUND, "name");
    CHECK_REFUSED(weft_context_kind_find("Thread", &kind), WEFT_NOT_FOUND, "name");
    CHECK_INT(kind, 77);
}

MISUSE(weft_context_job_data)
{
    struct zoo *zoo = zoo_new();
    size_t len = 77;
    CHECK_NULL(weft_context_job_data(NULL, &len), "job");
    CHECK_INT(len, 0);
    FOR_WRONG(zoo, NO_NOUN, h)
        CHECK_NULL(weft_context_job_data(h, NULL), "job");
    zoo_end(zoo);
}

MISUSE(weft_context_job_cancelled)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_context_job_cancelled(NULL), false, "job");
    FOR_WRONG(zoo, NO_NOUN, h)
        CHECK_NEUTRAL(weft_context_job_cancelled(h), false, "job");
    zoo_end(zoo);
}

MISUSE(weft_context_job_run)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_context_job_run(NULL), "job");
    FOR_WRONG(zoo, NO_NOUN, h)
        CHECK_INVALID(weft_context_job_run(h), "job");
    zoo_end(zoo);
}

MISUSE(weft_context_job_finish)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_context_job_finish(NULL, WEFT_OK, NULL, NULL), "job");
    FOR_WRONG(zoo, NO_NOUN, h)
        CHECK_INVALID(weft_context_job_finish(h, WEFT_OK, NULL, NULL), "job");
    FOR_WRONG(zoo, BYTES, h)
        CHECK_INVALID(weft_context_job_finish(NULL, WEFT_OK, NULL, h), "reply");
    zoo_end(zoo);
}

MISUSE(weft_context_job_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_context_job_retain(NULL) == NULL);
    FOR_WRONG(zoo, NO_NOUN, h)
        CHECK_NULL(weft_context_job_retain(h), "job");
    zoo_end(zoo);
}

MISUSE(weft_context_job_release)
{
    struct zoo *zoo = zoo_new();
    weft_context_job_release(NULL);
    FOR_WRONG(zoo, NO_NOUN, h)
        COMPLAINS(weft_context_job_release(h), "job");
    zoo_end(zoo);
}

/* ---- pools */

MISUSE(weft_context_pool_new)
{
    struct zoo *zoo = zoo_new();
    weft_context_options options;
    weft_context_pool *pool = SENTINEL;
    CHECK_INVALID(weft_context_pool_new(NULL, WEFT_CONTEXT_THREAD, 1, NULL, NULL), "out");
    CHECK_INVALID(weft_context_pool_new(NULL, 0, 1, NULL, &pool), "kind");
    CHECK_INVALID(weft_context_pool_new(NULL, INT32_MAX, 0, NULL, &pool), "kind");
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_context_pool_new(h, WEFT_CONTEXT_TASK, 1, NULL, &pool), "runtime");
    OK(weft_context_options_init(&options, sizeof options));
    options.exact = 3;
    CHECK_INVALID(weft_context_pool_new(NULL, WEFT_CONTEXT_THREAD, 1, &options, &pool), "exact");
    options.size = 3;
    CHECK_INVALID(weft_context_pool_new(NULL, WEFT_CONTEXT_THREAD, 1, &options, &pool), "size");
    CHECK(pool == SENTINEL);
    zoo_end(zoo);
}

MISUSE(weft_context_acquire_options_init)
{
    weft_context_acquire_options options;
    CHECK_INVALID(weft_context_acquire_options_init(NULL, sizeof options), "options");
    CHECK_INVALID(weft_context_acquire_options_init(&options, sizeof options - 1), "size");
    CHECK_INVALID(weft_context_acquire_options_init(&options, SIZE_MAX), "size");
}

MISUSE(weft_context_pool_acquire)
{
    struct zoo *zoo = zoo_new();
    weft_context_acquire_options options;
    weft_context *context = SENTINEL;
    CHECK_INVALID(weft_context_pool_acquire(NULL, NULL, &context), "pool");
    CHECK_INVALID(weft_context_pool_acquire(zoo->context_pool, NULL, NULL), "out");
    FOR_WRONG(zoo, CONTEXT_POOL, h)
        CHECK_INVALID(weft_context_pool_acquire(h, NULL, &context), "pool");
    OK(weft_context_acquire_options_init(&options, sizeof options));
    options.strict = 3;
    CHECK_INVALID(weft_context_pool_acquire(zoo->context_pool, &options, &context), "strict");
    options.strict = WEFT_ON;
    options.priority = -2;
    CHECK_INVALID(weft_context_pool_acquire(zoo->context_pool, &options, &context), "priority");
    options.size = 3;
    CHECK_INVALID(weft_context_pool_acquire(zoo->context_pool, &options, &context), "size");
    CHECK(context == SENTINEL);
    zoo_end(zoo);
}

MISUSE(weft_context_pool_put)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_context_pool_put(NULL, zoo->context), "pool");
    CHECK_INVALID(weft_context_pool_put(zoo->context_pool, NULL), "context");
    CHECK_INVALID(weft_context_pool_put(zoo->context_pool, zoo->context), "not of this pool");
    FOR_WRONG(zoo, CONTEXT_POOL, h)
        CHECK_INVALID(weft_context_pool_put(h, zoo->context), "pool");
    FOR_WRONG(zoo, CONTEXT, h)
        CHECK_INVALID(weft_context_pool_put(zoo->context_pool, h), "context");
    zoo_end(zoo);
}

static void never_told(weft_context *context, weft_status status, const char *message, void *arg)
{
    (void)context, (void)status, (void)message;
    never_task(NULL, arg);
}

MISUSE(weft_context_pool_wait_all)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_context_pool_wait_all(NULL, WEFT_FOREVER, never_told, NULL), "pool");
    OK(weft_context_pool_wait_all(zoo->context_pool, WEFT_FOREVER, never_told, NULL));
    FOR_WRONG(zoo, CONTEXT_POOL, h)
        CHECK_INVALID(weft_context_pool_wait_all(h, WEFT_FOREVER, never_told, NULL), "pool");
    zoo_end(zoo);
}

MISUSE(weft_context_pool_terminate_all)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_context_pool_terminate_all(NULL, WEFT_FOREVER, never_told, NULL), "pool");
    OK(weft_context_pool_terminate_all(zoo->context_pool, WEFT_FOREVER, never_told, NULL));
    FOR_WRONG(zoo, CONTEXT_POOL, h)
        CHECK_INVALID(weft_context_pool_terminate_all(h, WEFT_FOREVER, never_told, NULL), "pool");
    zoo_end(zoo);
}

MISUSE(weft_context_pool_close)
{
    struct zoo *zoo = zoo_new();
    COMPLAINS(weft_context_pool_close(NULL), "pool");
    FOR_WRONG(zoo, CONTEXT_POOL, h)
        COMPLAINS(weft_context_pool_close(h), "pool");
    zoo_end(zoo);
}

MISUSE(weft_context_pool_stats_get)
{
    struct zoo *zoo = zoo_new();
    weft_context_pool_stats stats = {.size = sizeof stats, .max = 77};
    CHECK_INVALID(weft_context_pool_stats_get(NULL, &stats), "pool");
    CHECK_INVALID(weft_context_pool_stats_get(zoo->context_pool, NULL), "out");
    FOR_WRONG(zoo, CONTEXT_POOL, h)
        CHECK_INVALID(weft_context_pool_stats_get(h, &stats), "pool");
    stats.size = 3;
    CHECK_INVALID(weft_context_pool_stats_get(zoo->context_pool, &stats), "size");
    CHECK_INT(stats.max, 77);
    zoo_end(zoo);
}

MISUSE(weft_context_pool_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_context_pool_retain(NULL) == NULL);
    FOR_WRONG(zoo, CONTEXT_POOL, h)
        CHECK_NULL(weft_context_pool_retain(h), "pool");
    zoo_end(zoo);
}

MISUSE(weft_context_pool_release)
{
    struct zoo *zoo = zoo_new();
    weft_context_pool_release(NULL);
    FOR_WRONG(zoo, CONTEXT_POOL, h)
        COMPLAINS(weft_context_pool_release(h), "pool");
    zoo_end(zoo);
}
