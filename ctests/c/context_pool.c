/* Pools of contexts: how many run at once is bounded, in the order of priority and of coming; all are waited for and ended. */
#include "contexts.h"

#include <sched.h>
#include <string.h>

static weft_context_pool *pool_new(int32_t kind, uint32_t max_size)
{
    weft_context_pool *pool = NULL;
    OK(weft_context_pool_new(NULL, kind, max_size, NULL, &pool));
    return pool;
}

static weft_context_pool_stats stats_of(weft_context_pool *pool)
{
    weft_context_pool_stats stats = {.size = sizeof stats};
    OK(weft_context_pool_stats_get(pool, &stats));
    CHECK_INT(stats.available, stats.max - stats.active);
    return stats;
}

static weft_context *acquire(weft_context_pool *pool, const char *name)
{
    weft_context_acquire_options options;
    weft_context *context = NULL;
    OK(weft_context_acquire_options_init(&options, sizeof options));
    options.name = name;
    OK(weft_context_pool_acquire(pool, &options, &context));
    return context;
}

static weft_status acquire_strictly(weft_context_pool *pool, int32_t priority, int64_t timeout_ns, weft_context **out)
{
    weft_context_acquire_options options;
    OK(weft_context_acquire_options_init(&options, sizeof options));
    options.strict = WEFT_ON;
    options.priority = priority;
    options.timeout_ns = timeout_ns;
    return weft_context_pool_acquire(pool, &options, out);
}

/* ---- the limit */

struct crowd {
    atomic_int inside, most, calls;
    struct tally present;
    /* Those inside stay until it is closed; NULL: they do not. */
    weft_channel *closing;
};

static weft_status count_inside(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    struct crowd *crowd = arg;
    int now = atomic_fetch_add(&crowd->inside, 1) + 1, most = atomic_load(&crowd->most);
    while (now > most && !atomic_compare_exchange_weak(&crowd->most, &most, now))
        ;
    weft_status status = weft_bytes_new(data, len, reply);
    tally_add(&crowd->present, 1);
    uint64_t element;
    if (crowd->closing != NULL)
        CHECK_STATUS(weft_channel_recv(crowd->closing, &element, WEFT_FOREVER), WEFT_CLOSED);
    atomic_fetch_sub(&crowd->inside, 1);
    atomic_fetch_add(&crowd->calls, 1);
    return status;
}

/* A hundred contexts of a pool of ten: all are acquired, then executed, then waited for. Ten are inside at once, and stay until
 * an eleventh has been refused. */
TEST(a_hundred_contexts_of_a_pool_of_ten)
{
    static const int32_t kinds[] = {WEFT_CONTEXT_THREAD, WEFT_CONTEXT_TASK, WEFT_CONTEXT_INLINE};
    for (int k = 0; k < 3; k++) {
        weft_context_pool *pool = pool_new(kinds[k], 10);
        weft_context *contexts[100];
        struct crowd crowd = {.present = TALLY_INIT, .closing = channel_new(sizeof(uint64_t), 1)};
        const int together = kinds[k] == WEFT_CONTEXT_INLINE ? 1 : 10;
        if (together == 1)
            weft_channel_close(crowd.closing);
        for (int i = 0; i < 100; i++)
            contexts[i] = acquire(pool, NULL);
        CHECK_INT(stats_of(pool).out, 100);
        CHECK_INT(stats_of(pool).active, 0);
        for (int i = 0; i < 100; i++) {
            OK(weft_context_execute(contexts[i], count_inside, &crowd, NULL, NULL, &i, sizeof i));
            if (i == 9 && together == 10) {
                weft_context *eleventh = SENTINEL;
                tally_wait(&crowd.present, 10);
                CHECK_INT(stats_of(pool).active, 10);
                CHECK_STATUS(acquire_strictly(pool, WEFT_PRIORITY_NORMAL, 0, &eleventh), WEFT_WOULD_BLOCK);
                weft_channel_close(crowd.closing);
            }
        }
        for (int i = 0; i < 100; i++) {
            weft_bytes *reply = NULL;
            OK(weft_context_wait(contexts[i], WEFT_FOREVER, &reply));
            CHECK(weft_bytes_len(reply) == sizeof i && memcmp(weft_bytes_data(reply), &i, sizeof i) == 0);
            weft_bytes_release(reply);
            weft_context_release(contexts[i]);
        }
        weft_context_pool_stats stats = stats_of(pool);
        CHECK_INT(crowd.most, together);
        CHECK_INT(stats.peak, together);
        CHECK(stats.max == 10 && stats.active == 0 && stats.waiting == 0 && stats.out == 0);
        CHECK(stats.acquired == 100 && stats.executed == 100 && stats.failed == 0);
        OK(weft_context_pool_wait_all(pool, WEFT_FOREVER, NULL, NULL));
        weft_context_pool_release(pool);
        weft_channel_release(crowd.closing);
    }
}

TEST(a_pool_of_forks_and_one_of_isolates)
{
    static const int32_t kinds[] = {WEFT_CONTEXT_FORK, WEFT_CONTEXT_ISOLATED};
    for (int k = context_kind_is_here(kinds[0]) ? 0 : 1; k < 2; k++) {
        weft_context_pool *pool = pool_new(kinds[k], 0);
        weft_context *contexts[12];
        CHECK_INT(stats_of(pool).max, k == 0 ? 2 : 4);
        for (int i = 0; i < 12; i++) {
            contexts[i] = acquire(pool, NULL);
            execute_text(contexts[i], echo, "pooled");
        }
        for (int i = 0; i < 12; i++) {
            check_reply(contexts[i], "pooled");
            weft_context_release(contexts[i]);
        }
        CHECK(stats_of(pool).peak <= stats_of(pool).max);
        weft_context_pool_release(pool);
    }
}

TEST(defaults_go_by_kind)
{
    static const int32_t kinds[] = {WEFT_CONTEXT_INLINE, WEFT_CONTEXT_THREAD, WEFT_CONTEXT_TASK, WEFT_CONTEXT_FORK,
                                    WEFT_CONTEXT_ISOLATED};
    static const uint32_t sizes[] = {1, 5, 5, 2, 4};
    for (int i = 0; i < 5; i++) {
        if (!context_kind_is_here(kinds[i]))
            continue;
        weft_context_pool *pool = pool_new(kinds[i], 0);
        CHECK_INT(stats_of(pool).max, sizes[i]);
        weft_context_pool_release(pool);
        pool = pool_new(kinds[i], UINT32_MAX);
        CHECK_INT(stats_of(pool).available, UINT32_MAX);
        weft_context *context = acquire(pool, NULL);
        execute_text(context, echo, "huge");
        check_reply(context, "huge");
        weft_context_release(context);
        weft_context_pool_release(pool);
    }
}

TEST(names_are_the_pools_with_a_number)
{
    weft_context_options options;
    weft_context_pool *pool = NULL;
    OK(weft_context_options_init(&options, sizeof options));
    options.name = "worker";
    OK(weft_context_pool_new(NULL, WEFT_CONTEXT_THREAD, 2, &options, &pool));
    weft_context *one = acquire(pool, NULL), *two = acquire(pool, "own");
    CHECK_HAS(weft_context_name(one), "worker-");
    CHECK_STR(weft_context_name(two), "own");
    weft_context_release(one);
    weft_context_release(two);
    weft_context_pool_release(pool);
}

/* ---- strict */

static void give_back(void *arg)
{
    void **both = arg;
    OK(weft_context_pool_put(both[0], both[1]));
}

TEST(a_strict_acquire_takes_a_place_and_waits_for_one)
{
    weft_context_pool *pool = pool_new(WEFT_CONTEXT_THREAD, 2);
    weft_context *one = NULL, *two = NULL, *more = SENTINEL;
    OK(acquire_strictly(pool, WEFT_PRIORITY_NORMAL, 0, &one));
    OK(acquire_strictly(pool, WEFT_PRIORITY_NORMAL, WEFT_FOREVER, &two));
    CHECK_INT(stats_of(pool).active, 2);
    CHECK_REFUSED(acquire_strictly(pool, WEFT_PRIORITY_CRITICAL, 0, &more), WEFT_WOULD_BLOCK, "limit");
    CHECK_REFUSED(acquire_strictly(pool, WEFT_PRIORITY_CRITICAL, 1000, &more), WEFT_TIMEOUT, "limit");
    CHECK(more == SENTINEL);
    /* Put back, released, or executed: the place is free again. */
    void *both[] = {pool, one};
    struct thread thread;
    thread_start(&thread, give_back, both);
    OK(acquire_strictly(pool, WEFT_PRIORITY_LOW, WEFT_FOREVER, &more));
    thread_join(&thread);
    weft_context_release(two);
    CHECK_INT(stats_of(pool).active, 1);
    execute_text(more, echo, "strict");
    check_reply(more, "strict");
    CHECK_INT(stats_of(pool).active, 0);
    weft_context_release(more);
    weft_context_pool_release(pool);
}

/* The place is kept for the next attempt. */
TEST(an_execute_that_fails_keeps_a_strict_place)
{
    weft_context_options options;
    weft_context_pool *pool = NULL;
    weft_context *context = NULL;
    OK(weft_context_options_init(&options, sizeof options));
    options.stack_size = SIZE_MAX / 4;
    OK(weft_context_pool_new(NULL, WEFT_CONTEXT_THREAD, 1, &options, &pool));
    OK(acquire_strictly(pool, WEFT_PRIORITY_NORMAL, 0, &context));
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(weft_context_execute(context, echo, NULL, NULL, NULL, NULL, 0), WEFT_OS);
        CHECK_INT(stats_of(pool).active, 1);
    }
    weft_context_release(context);
    CHECK_INT(stats_of(pool).active, 0);
    context = acquire(pool, NULL);
    CHECK_STATUS(weft_context_execute(context, echo, NULL, NULL, NULL, NULL, 0), WEFT_OS);
    CHECK_INT(stats_of(pool).active, 0);
    weft_context_release(context);
    weft_context_pool_release(pool);
}

struct queued {
    struct thread thread;
    weft_context_pool *pool;
    int32_t priority;
    int number;
    atomic_int *order, *turn;
};

static void wait_in_line(void *arg)
{
    struct queued *queued = arg;
    weft_context *context = NULL;
    OK(acquire_strictly(queued->pool, queued->priority, WEFT_FOREVER, &context));
    queued->order[atomic_fetch_add(queued->turn, 1)] = queued->number;
    weft_context_release(context);
}

TEST(places_go_by_priority_and_then_by_coming)
{
    static const int32_t priorities[] = {WEFT_PRIORITY_LOW, WEFT_PRIORITY_NORMAL, WEFT_PRIORITY_CRITICAL, WEFT_PRIORITY_NORMAL,
                                         WEFT_PRIORITY_HIGH, WEFT_PRIORITY_CRITICAL};
    static const int expected[] = {2, 5, 4, 1, 3, 0};
    weft_context_pool *pool = pool_new(WEFT_CONTEXT_THREAD, 1);
    weft_context *first = NULL;
    struct queued queued[6];
    atomic_int order[6], turn = 0;
    OK(acquire_strictly(pool, WEFT_PRIORITY_NORMAL, 0, &first));
    for (int i = 0; i < 6; i++) {
        queued[i] = (struct queued){.pool = pool, .priority = priorities[i], .number = i, .order = order, .turn = &turn};
        thread_start(&queued[i].thread, wait_in_line, &queued[i]);
        while (stats_of(pool).waiting != (uint32_t)i + 1)
            sched_yield();
    }
    weft_context_release(first);
    for (int i = 0; i < 6; i++)
        thread_join(&queued[i].thread);
    for (int i = 0; i < 6; i++)
        CHECK_INT(order[i], expected[i]);
    weft_context_pool_release(pool);
}

/* ---- waits at the door */

struct door {
    weft_context *context;
    weft_thread *self;
    gate there;
    weft_status expected;
};

static void execute_at_the_door(void *arg)
{
    struct door *door = arg;
    door->self = weft_thread_self();
    gate_open(&door->there);
    CHECK_INT(weft_context_execute(door->context, echo, NULL, NULL, NULL, "x", 1), door->expected);
}

/* An execute that waits for its place ends like other waits, and leaves the context as it was. */
TEST(a_wait_at_the_door_ends)
{
    static const weft_status statuses[] = {WEFT_INTERRUPTED, WEFT_CANCELLED, WEFT_CLOSED, WEFT_OK};
    for (int i = 0; i < 4; i++) {
        weft_context_pool *pool = pool_new(WEFT_CONTEXT_THREAD, 1);
        weft_context *first = acquire(pool, NULL);
        struct door door = {.context = acquire(pool, NULL), .there = GATE_INIT, .expected = statuses[i]};
        struct thread thread;
        OK(weft_context_execute(first, wait_to_be_stopped, NULL, NULL, NULL, NULL, 0));
        thread_start(&thread, execute_at_the_door, &door);
        gate_wait(&door.there);
        while (stats_of(pool).waiting == 0)
            sched_yield();
        CHECK(weft_context_is_alive(door.context));
        if (i == 0)
            OK(weft_thread_interrupt(door.self));
        else if (i == 1)
            CHECK(weft_context_terminate(door.context, WEFT_FOREVER) == WEFT_OK);
        else if (i == 2)
            weft_context_pool_close(pool);
        else
            OK(weft_context_terminate(first, WEFT_FOREVER));
        thread_join(&thread);
        CHECK_INT(stats_of(pool).waiting, 0);
        OK(weft_context_terminate(first, WEFT_FOREVER));
        if (i == 3)
            check_reply(door.context, "x");
        else
            CHECK_STATUS(weft_context_wait(door.context, 0, NULL), WEFT_INVALID);
        if (i == 0) {
            execute_text(door.context, echo, "later");
            check_reply(door.context, "later");
        }
        CHECK_INT(stats_of(pool).active, 0);
        weft_thread_release(door.self);
        weft_context_release(first);
        weft_context_release(door.context);
        weft_context_pool_release(pool);
    }
}

TEST(an_execute_that_may_not_wait)
{
    weft_context_pool *pool = pool_new(WEFT_CONTEXT_THREAD, 1);
    weft_context_acquire_options options;
    weft_context *first = acquire(pool, NULL), *hasty = NULL, *patient = NULL;
    OK(weft_context_acquire_options_init(&options, sizeof options));
    options.timeout_ns = 0;
    OK(weft_context_pool_acquire(pool, &options, &hasty));
    options.timeout_ns = 1000;
    OK(weft_context_pool_acquire(pool, &options, &patient));
    OK(weft_context_execute(first, wait_to_be_stopped, NULL, NULL, NULL, NULL, 0));
    CHECK_STATUS(weft_context_execute(hasty, echo, NULL, NULL, NULL, NULL, 0), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_context_execute(patient, echo, NULL, NULL, NULL, NULL, 0), WEFT_TIMEOUT);
    OK(weft_context_terminate(first, WEFT_FOREVER));
    execute_text(hasty, echo, "now");
    check_reply(hasty, "now");
    weft_context_release(first);
    weft_context_release(hasty);
    weft_context_release(patient);
    weft_context_pool_release(pool);
}

static weft_status execute_inside(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    weft_context *inner = arg;
    (void)data, (void)len, (void)reply;
    CHECK_REFUSED(weft_context_execute(inner, echo, NULL, NULL, NULL, NULL, 0), WEFT_DEADLOCK, "place");
    return WEFT_OK;
}

TEST(a_run_that_has_the_only_place_does_not_wait_for_another)
{
    static const int32_t kinds[] = {WEFT_CONTEXT_INLINE, WEFT_CONTEXT_THREAD, WEFT_CONTEXT_TASK};
    for (int i = 0; i < 3; i++) {
        weft_context_pool *pool = pool_new(kinds[i], 1);
        weft_context *outer = acquire(pool, NULL), *inner = acquire(pool, NULL);
        OK(weft_context_execute(outer, execute_inside, inner, NULL, NULL, NULL, 0));
        OK(weft_context_wait(outer, WEFT_FOREVER, NULL));
        weft_context_release(outer);
        weft_context_release(inner);
        weft_context_pool_release(pool);
    }
}

/* ---- reuse */

TEST(inline_contexts_are_used_again_and_others_are_not)
{
    FOR_KINDS(kind) {
        weft_context_pool *pool = pool_new(kind, 3);
        for (int i = 0; i < 5; i++) {
            weft_context *context = acquire(pool, NULL);
            CHECK_STATUS(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_INVALID);
            execute_text(context, echo, "again");
            check_reply(context, "again");
            OK(weft_context_pool_put(pool, context));
        }
        CHECK_INT(stats_of(pool).reused, kind == WEFT_CONTEXT_INLINE ? 4 : 0);
        CHECK_INT(stats_of(pool).acquired, 5);
        CHECK_INT(stats_of(pool).out, 0);
        weft_context_pool_release(pool);
    }
}

TEST(what_runs_or_is_anothers_is_not_put_back)
{
    weft_context_pool *pool = pool_new(WEFT_CONTEXT_THREAD, 2), *other = pool_new(WEFT_CONTEXT_THREAD, 2);
    weft_context *context = acquire(pool, NULL), *alone = context_new(WEFT_CONTEXT_THREAD, NULL);
    OK(weft_context_execute(context, wait_to_be_stopped, NULL, NULL, NULL, NULL, 0));
    CHECK_REFUSED(weft_context_pool_put(pool, context), WEFT_BUSY, "being executed");
    CHECK_INVALID(weft_context_pool_put(other, context), "not of this pool");
    CHECK_INVALID(weft_context_pool_put(pool, alone), "not of this pool");
    OK(weft_context_terminate(context, WEFT_FOREVER));
    OK(weft_context_pool_put(pool, context));
    weft_context_release(alone);
    weft_context_pool_release(pool);
    weft_context_pool_release(other);
}

/* ---- all of them */

struct told {
    int count, ok, failed;
    weft_status last;
};

static void note_end(weft_context *context, weft_status status, const char *message, void *arg)
{
    struct told *told = arg;
    told->count++;
    told->ok += status == WEFT_OK;
    told->failed += status != WEFT_OK;
    if (status != WEFT_OK)
        told->last = status;
    CHECK((status == WEFT_OK) == (message[0] == '\0'));
    CHECK_INT(weft_context_kind(context), WEFT_CONTEXT_THREAD);
}

TEST(wait_all_goes_on_after_failures)
{
    weft_context_pool *pool = pool_new(WEFT_CONTEXT_THREAD, 4);
    weft_context *contexts[8];
    struct told told = {0};
    for (int i = 0; i < 8; i++) {
        contexts[i] = acquire(pool, NULL);
        if (i < 7)
            execute_text(contexts[i], i % 2 ? fail : echo, "");
    }
    CHECK_REFUSED(weft_context_pool_wait_all(pool, WEFT_FOREVER, note_end, &told), WEFT_FAILED, "3 of 7");
    CHECK(told.count == 7 && told.ok == 4 && told.failed == 3 && told.last == WEFT_FAILED);
    weft_context_pool_stats stats = stats_of(pool);
    CHECK(stats.executed == 7 && stats.failed == 3 && stats.active == 0 && stats.out == 8);
    for (int i = 0; i < 8; i++)
        weft_context_release(contexts[i]);
    OK(weft_context_pool_wait_all(pool, 0, note_end, &told));
    CHECK_INT(told.count, 7);
    weft_context_pool_release(pool);
}

TEST(wait_all_gives_up_in_time)
{
    weft_context_pool *pool = pool_new(WEFT_CONTEXT_THREAD, 4);
    weft_context *contexts[3];
    struct told told = {0};
    for (int i = 0; i < 3; i++)
        contexts[i] = acquire(pool, NULL);
    OK(weft_context_execute(contexts[0], wait_to_be_stopped, NULL, NULL, NULL, NULL, 0));
    execute_text(contexts[1], echo, "");
    OK(weft_context_wait(contexts[1], WEFT_FOREVER, NULL));
    CHECK_STATUS(weft_context_pool_wait_all(pool, 0, note_end, &told), WEFT_WOULD_BLOCK);
    CHECK(told.count == 2 && told.ok == 1);
    CHECK_STATUS(weft_context_pool_wait_all(pool, 1000, note_end, &told), WEFT_TIMEOUT);
    CHECK(told.count == 4 && told.ok == 2);
    /* A handle that is not there any more is no run that is not: it is waited for. */
    OK(weft_context_terminate(contexts[0], WEFT_FOREVER));
    for (int i = 0; i < 3; i++)
        weft_context_release(contexts[i]);
    weft_context_pool_release(pool);
}

static weft_status wait_at_the_gate(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    gate *gates = arg;
    (void)data, (void)len, (void)reply;
    gate_open(&gates[0]);
    gate_wait(&gates[1]);
    return WEFT_OK;
}

TEST(terminate_all_ends_what_can_be_ended_and_tells_of_the_rest)
{
    weft_context_pool *pool = pool_new(WEFT_CONTEXT_THREAD, 4);
    weft_context *contexts[4];
    struct told told = {0};
    gate gates[2] = {GATE_INIT, GATE_INIT};
    for (int i = 0; i < 4; i++)
        contexts[i] = acquire(pool, NULL);
    OK(weft_context_execute(contexts[0], wait_at_the_gate, gates, NULL, NULL, NULL, 0));
    OK(weft_context_execute(contexts[1], wait_to_be_stopped, NULL, NULL, NULL, NULL, 0));
    OK(weft_context_execute(contexts[2], wait_to_be_stopped, NULL, NULL, NULL, NULL, 0));
    gate_wait(&gates[0]);
    CHECK_REFUSED(weft_context_pool_terminate_all(pool, 50000000, note_end, &told), WEFT_TIMEOUT, "cannot be killed");
    CHECK_INT(told.count, 4);
    CHECK(told.failed >= 1 && told.last == WEFT_TIMEOUT);
    CHECK_STATUS(weft_context_execute(contexts[3], echo, NULL, NULL, NULL, NULL, 0), WEFT_CLOSED);
    gate_open(&gates[1]);
    OK(weft_context_pool_terminate_all(pool, WEFT_FOREVER, NULL, NULL));
    CHECK_INT(stats_of(pool).active, 0);
    for (int i = 0; i < 4; i++)
        weft_context_release(contexts[i]);
    /* It is still open. */
    weft_context *context = acquire(pool, NULL);
    execute_text(context, echo, "open");
    check_reply(context, "open");
    weft_context_release(context);
    weft_context_pool_release(pool);
}

TEST(terminate_all_kills_forks)
{
    weft_context_pool *pool = pool_new(WEFT_CONTEXT_FORK, 3);
    weft_context *contexts[3];
    if (!context_kind_is_here(WEFT_CONTEXT_FORK)) {
        weft_context_pool_release(pool);
        return;
    }
    for (int i = 0; i < 3; i++) {
        contexts[i] = acquire(pool, NULL);
        OK(weft_context_execute(contexts[i], wait_to_be_stopped, NULL, NULL, NULL, NULL, 0));
    }
    OK(weft_context_pool_terminate_all(pool, 0, NULL, NULL));
    CHECK_INT(children_left(), 0);
    CHECK_STATUS(weft_context_pool_wait_all(pool, 0, NULL, NULL), WEFT_CANCELLED);
    for (int i = 0; i < 3; i++)
        weft_context_release(contexts[i]);
    weft_context_pool_release(pool);
}

/* ---- closed, and gone */

TEST(a_closed_pool_lets_go_on_what_runs)
{
    weft_context_pool *pool = pool_new(WEFT_CONTEXT_THREAD, 2);
    weft_context *runs = acquire(pool, NULL), *late = acquire(pool, NULL), *more = SENTINEL;
    gate gates[2] = {GATE_INIT, GATE_INIT};
    OK(weft_context_execute(runs, wait_at_the_gate, gates, NULL, NULL, NULL, 0));
    weft_context_pool_close(pool);
    weft_context_pool_close(pool);
    CHECK_STATUS(weft_context_execute(late, echo, NULL, NULL, NULL, NULL, 0), WEFT_CLOSED);
    CHECK_STATUS(weft_context_pool_acquire(pool, NULL, &more), WEFT_CLOSED);
    CHECK(more == SENTINEL && weft_context_is_alive(runs));
    weft_context_pool_release(pool);
    gate_open(&gates[1]);
    OK(weft_context_wait(runs, WEFT_FOREVER, NULL));
    weft_context_release(runs);
    weft_context_release(late);
}

/* Many threads acquire, execute, wait and put back: nobody exceeds the limit, and nothing is left. */
struct many {
    weft_context_pool *pool;
    struct crowd crowd;
};

static void use_the_pool(size_t index, void *arg)
{
    struct many *many = arg;
    for (int i = 0; i < (under_a_tool() ? 10 : 50); i++) {
        weft_context *context = NULL;
        if ((index + (size_t)i) % 3 == 0)
            OK(acquire_strictly(many->pool, (int32_t)(index % 4) - 1, WEFT_FOREVER, &context));
        else
            context = acquire(many->pool, NULL);
        OK(weft_context_execute(context, count_inside, &many->crowd, NULL, NULL, "x", 1));
        if (i % 4 != 3) {
            check_reply(context, "x");
            OK(weft_context_pool_put(many->pool, context));
        } else {
            weft_context_release(context);
        }
    }
}

TEST(many_threads_share_a_pool)
{
    static const int32_t kinds[] = {WEFT_CONTEXT_THREAD, WEFT_CONTEXT_TASK, WEFT_CONTEXT_INLINE};
    for (int i = 0; i < 3; i++) {
        struct many many = {.pool = pool_new(kinds[i], 3), .crowd.present = TALLY_INIT};
        threads_together(6, use_the_pool, &many);
        OK(weft_context_pool_wait_all(many.pool, WEFT_FOREVER, NULL, NULL));
        CHECK(many.crowd.most <= 3);
        CHECK_INT(many.crowd.calls, 6 * (under_a_tool() ? 10 : 50));
        CHECK_INT(stats_of(many.pool).active, 0);
        weft_context_pool_release(many.pool);
    }
}

static void use_in_the_child(void *arg)
{
    weft_context_pool *pool = arg;
    weft_context *context = SENTINEL;
    weft_context_pool_stats stats = {.size = sizeof stats};
    CHECK_REFUSED(weft_context_pool_acquire(pool, NULL, &context), WEFT_FORKED, "fork");
    CHECK_REFUSED(weft_context_pool_wait_all(pool, WEFT_FOREVER, NULL, NULL), WEFT_FORKED, "fork");
    CHECK_REFUSED(weft_context_pool_terminate_all(pool, WEFT_FOREVER, NULL, NULL), WEFT_FORKED, "fork");
    CHECK_REFUSED(weft_context_pool_stats_get(pool, &stats), WEFT_FORKED, "fork");
    CHECK_REFUSED(weft_context_pool_new(NULL, WEFT_CONTEXT_THREAD, 1, NULL, &pool), WEFT_FORKED, "fork");
    CHECK_REFUSED(weft_context_new(NULL, WEFT_CONTEXT_INLINE, NULL, &context), WEFT_FORKED, "fork");
    CHECK_NULL(weft_context_pool_retain(arg), "fork");
    weft_context_pool_close(arg);
    weft_context_pool_release(arg);
    CHECK(context == SENTINEL);
    OK(weft_after_fork());
    pool = pool_new(WEFT_CONTEXT_THREAD, 1);
    context = acquire(pool, NULL);
    execute_text(context, echo, "child");
    check_reply(context, "child");
    weft_context_release(context);
    weft_context_pool_release(pool);
}

CHILD_WITHOUT_LEAK_CHECK(inherits_a_pool)
{
    weft_context_pool *pool = pool_new(WEFT_CONTEXT_THREAD, 1);
    weft_context *context = acquire(pool, NULL);
    OK(weft_context_execute(context, wait_to_be_stopped, NULL, NULL, NULL, NULL, 0));
    in_forked_child(use_in_the_child, pool);
    OK(weft_context_terminate(context, WEFT_FOREVER));
    weft_context_release(context);
    weft_context_pool_release(pool);
}

TEST(an_inherited_pool_answers_forked) { child_succeeds("inherits_a_pool"); }
