/* Callbacks of file descriptors as tasks: which runtime they run on, what they carry, what they hold up, and what becomes of them
 * when that ends while they are awaited, or queued.
 */
#include "descriptors.h"

static weft_runtime *single_new(void)
{
    weft_runtime *runtime = NULL;
    weft_runtime_options options;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.kind = WEFT_KIND_SINGLE;
    OK(weft_runtime_new(&options, &runtime));
    return runtime;
}

static weft_watch *watch_on(weft_runtime *runtime, int fd, struct told *told, struct drops *drops)
{
    weft_watch *watch = NULL;
    OK(weft_fd_watch(runtime, fd, READS, note, told, drop_count, drops, &watch));
    return watch;
}

/* ---- where */

TEST(on_the_thread_that_runs_the_runtime)
{
    weft_runtime *runtime = single_new();
    struct ends ends = pipe_new();
    struct told told = TOLD_INIT;
    struct drops drops = {0};
    weft_watch *watch = watch_on(runtime, ends.one, &told, &drops);
    write_byte(ends.other);
    let_tell();
    CHECK_INT(tally_count(&told.calls), 0);
    OK(weft_runtime_run(runtime, WEFT_RUN_UNTIL_IDLE));
    CHECK_INT(tally_count(&told.calls), 1);
    CHECK(pthread_equal(told.thread, pthread_self()));
    CHECK_REFUSED(weft_watch_off(watch), WEFT_BUSY, "has run");
    CHECK_INT(drops.count, 0);
    weft_watch_release(watch);
    close_both(ends);
    runtime_end(runtime);
}

struct again {
    struct ends ends;
    struct told told;
};

static void watch_from_a_task(weft_worker *worker, void *arg)
{
    struct again *again = arg;
    (void)worker;
    OK(weft_fd_watch(NULL, again->ends.one, READS, note, &again->told, NULL, NULL, NULL));
}

TEST(null_is_the_runtime_of_the_task)
{
    weft_runtime *runtime = single_new();
    struct again again = {pipe_new(), TOLD_INIT};
    OK(weft_spawn(runtime, watch_from_a_task, &again));
    OK(weft_runtime_run(runtime, WEFT_RUN_UNTIL_IDLE));
    write_byte(again.ends.other);
    let_tell();
    CHECK_INT(tally_count(&again.told.calls), 0);
    OK(weft_runtime_run(runtime, WEFT_RUN_UNTIL_IDLE));
    CHECK(pthread_equal(again.told.thread, pthread_self()));
    close_both(again.ends);
    runtime_end(runtime);
}

/* A callback that waits holds up neither others nor timers. */
struct waits {
    weft_promise *promise;
    weft_future *future;
    gate waits, over;
};

static void wait_for_the_other(weft_worker *worker, int fd, int32_t events, void *arg)
{
    struct waits *waits = arg;
    (void)worker, (void)fd, (void)events;
    gate_open(&waits->waits);
    OK(weft_future_wait(waits->future, WEFT_FOREVER));
    gate_open(&waits->over);
}

static void expire(weft_worker *worker, void *arg)
{
    OK(weft_promise_resolve(((struct waits *)arg)->promise, NULL, NULL, NULL));
    (void)worker;
}

static void let_the_other_go(weft_worker *worker, int fd, int32_t events, void *arg)
{
    weft_timer *timer = NULL;
    (void)worker, (void)fd, (void)events;
    OK(weft_timer_after(NULL, 0, 0, expire, arg, NULL, NULL, &timer));
    weft_timer_release(timer);
}

TEST(a_callback_may_wait)
{
    weft_runtime *runtime = runtime_new(1);
    struct ends ends = pipe_new();
    struct waits waits = {NULL, NULL, GATE_INIT, GATE_INIT};
    OK(weft_promise_new(&waits.promise, &waits.future));
    write_byte(ends.other);
    OK(weft_fd_watch(runtime, ends.one, READS, wait_for_the_other, &waits, NULL, NULL, NULL));
    gate_wait(&waits.waits);
    OK(weft_fd_watch(runtime, ends.one, READS, let_the_other_go, &waits, NULL, NULL, NULL));
    gate_wait(&waits.over);
    runtime_end(runtime);
    weft_promise_release(waits.promise);
    weft_future_release(waits.future);
    close_both(ends);
}

/* ---- taking back */

TEST(taken_back_while_queued)
{
    weft_runtime *runtime = single_new();
    struct ends ends = pipe_new();
    struct told told = TOLD_INIT;
    struct drops drops = {0};
    write_byte(ends.other);
    weft_watch *watch = watch_on(runtime, ends.one, &told, &drops);
    let_tell();
    OK(weft_watch_off(watch));
    CHECK_INT(drops.count, 1);
    CHECK(drops.last == &told);
    CHECK_REFUSED(weft_watch_off(watch), WEFT_BUSY, "taken back");
    OK(weft_runtime_run(runtime, WEFT_RUN_UNTIL_IDLE));
    CHECK_INT(tally_count(&told.calls), 0);
    CHECK_INT(drops.count, 1);
    weft_watch_release(watch);
    close_both(ends);
    runtime_end(runtime);
}

/* ---- tokens */

static void look_at_the_token(weft_worker *worker, int fd, int32_t events, void *arg)
{
    CHECK(!weft_cancelled(worker));
    OK(weft_cancel_token_trigger(((void **)arg)[0], "seen"));
    CHECK(weft_cancelled(worker));
    gate_open(((void **)arg)[1]);
    (void)fd, (void)events;
}

TEST(goes_by_the_token_of_whoever_made_it)
{
    struct ends ends = pipe_new();
    gate over = GATE_INIT;
    weft_cancel_token *token = NULL;
    OK(weft_cancel_token_new(NULL, &token));
    void *both[] = {token, &over};
    OK(weft_cancel_token_enter(token));
    OK(weft_fd_watch(NULL, ends.one, READS, look_at_the_token, both, NULL, NULL, NULL));
    OK(weft_cancel_token_leave(token));
    write_byte(ends.other);
    gate_wait(&over);
    weft_cancel_token_release(token);
    close_both(ends);
}

static void drop_tally(void *ctx, void *value)
{
    (void)value;
    CHECK(weft_worker_current() != NULL);
    tally_add(ctx, 1);
}

/* Before it is made, while it is awaited, while it is queued. */
TEST(a_token_takes_it_back)
{
    for (int when = 0; when < 3; when++) {
        weft_runtime *runtime = single_new();
        struct ends ends = pipe_new();
        struct told told = TOLD_INIT;
        struct tally drops = TALLY_INIT;
        weft_cancel_token *token = NULL;
        weft_watch *watch = NULL;
        OK(weft_cancel_token_new(NULL, &token));
        OK(weft_cancel_token_enter(token));
        if (when == 0)
            OK(weft_cancel_token_trigger(token, "early"));
        OK(weft_fd_watch(runtime, ends.one, READS, note, &told, drop_tally, &drops, &watch));
        OK(weft_cancel_token_leave(token));
        if (when != 1)
            write_byte(ends.other);
        let_tell();
        if (when != 0)
            OK(weft_cancel_token_trigger(token, "late"));
        CHECK_INT(tally_count(&drops), 0);
        OK(weft_runtime_run(runtime, WEFT_RUN_UNTIL_IDLE));
        CHECK_INT(tally_count(&drops), 1);
        CHECK_STATUS(weft_watch_off(watch), WEFT_BUSY);
        if (when == 1)
            write_byte(ends.other);
        let_tell();
        OK(weft_runtime_run(runtime, WEFT_RUN_UNTIL_IDLE));
        CHECK_INT(tally_count(&told.calls), 0);
        CHECK_INT(tally_count(&drops), 1);
        weft_watch_release(watch);
        weft_cancel_token_release(token);
        close_both(ends);
        runtime_end(runtime);
    }
}

/* ---- the end of the runtime */

TEST(a_shutdown_takes_watches_back)
{
    static const int32_t modes[] = {WEFT_SHUTDOWN_DRAIN, WEFT_SHUTDOWN_DISCARD};
    for (int i = 0; i < 3; i++) {
        weft_runtime *runtime = runtime_new(2);
        struct ends ends = sockets_new();
        struct told told = TOLD_INIT;
        struct drops drops = {0};
        weft_watch *watch = watch_on(runtime, ends.one, &told, &drops), *none = SENTINEL;
        if (i < 2) {
            OK(weft_runtime_shutdown(runtime, modes[i], WEFT_FOREVER));
            CHECK_INT(drops.count, 1);
            CHECK_REFUSED(weft_fd_watch(runtime, ends.one, READS, note, &told, drop_count, &drops, &none), WEFT_SHUTDOWN, "shut");
            CHECK(none == SENTINEL);
        }
        weft_runtime_release(runtime);
        /* Also by the last release. */
        CHECK_INT(drops.count, 1);
        CHECK_REFUSED(weft_watch_off(watch), WEFT_BUSY, "taken back");
        write_byte(ends.other);
        let_tell();
        CHECK_INT(tally_count(&told.calls), 0);
        CHECK_INT(drops.count, 1);
        weft_watch_release(watch);
        close_both(ends);
    }
}

/* Queued, it runs or is dropped, as other tasks with a drop. */
TEST(what_is_ready_is_queued_work)
{
    static const int32_t modes[] = {WEFT_SHUTDOWN_DRAIN, WEFT_SHUTDOWN_DISCARD};
    for (int i = 0; i < 2; i++) {
        weft_runtime *runtime = single_new();
        struct ends ends = pipe_new();
        struct told told = TOLD_INIT;
        struct drops drops = {0};
        write_byte(ends.other);
        weft_watch *watch = watch_on(runtime, ends.one, &told, &drops);
        let_tell();
        OK(weft_runtime_shutdown(runtime, modes[i], WEFT_FOREVER));
        CHECK_INT(tally_count(&told.calls), i == 0);
        CHECK_INT(drops.count, i == 1);
        weft_watch_release(watch);
        weft_runtime_release(runtime);
        close_both(ends);
    }
}

enum { THREADS = 3, EACH = 300 };

struct storm {
    weft_runtime *runtime;
    struct tally armed;
    atomic_int calls, drops;
};

static void storm_call(weft_worker *worker, int fd, int32_t events, void *arg)
{
    (void)worker, (void)fd, (void)events;
    atomic_fetch_add(&((struct storm *)arg)->calls, 1);
}

static void storm_drop(void *ctx, void *value)
{
    (void)ctx;
    atomic_fetch_add(&((struct storm *)value)->drops, 1);
}

static void storm_arm(size_t index, void *arg)
{
    struct storm *storm = arg;
    struct random random = {index};
    if (index == 0) {
        tally_wait(&storm->armed, EACH);
        OK(weft_runtime_shutdown(storm->runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));
        return;
    }
    for (int i = 0; i < EACH; i++) {
        struct ends ends = pipe_new();
        weft_watch *watch = NULL;
        uint64_t what = random_below(&random, 4);
        if (what & 1)
            write_byte(ends.other);
        weft_status status = weft_fd_watch(storm->runtime, ends.one, READS, storm_call, storm, storm_drop, NULL, &watch);
        if (status == WEFT_OK) {
            tally_add(&storm->armed, 1);
            if (what & 2) {
                status = weft_watch_off(watch);
                CHECK(status == WEFT_OK || status == WEFT_BUSY);
            }
            weft_watch_release(watch);
        } else {
            CHECK_STATUS(status, WEFT_SHUTDOWN);
        }
        close_both(ends);
    }
}

TEST(each_is_called_or_dropped_once_whatever_happens)
{
    for (int round = 0; round < (under_a_tool() ? 2 : 10); round++) {
        struct storm storm = {.runtime = runtime_new(2), .armed = TALLY_INIT};
        threads_together(1 + THREADS, storm_arm, &storm);
        CHECK_INT(atomic_load(&storm.calls) + atomic_load(&storm.drops), tally_count(&storm.armed));
        weft_runtime_release(storm.runtime);
        CHECK_INT(atomic_load(&storm.calls) + atomic_load(&storm.drops), tally_count(&storm.armed));
    }
}
