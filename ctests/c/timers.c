/* Timers. Nothing here says how late anything may be: only what comes before what, how often, and
 * that nothing is early.
 */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void tick(weft_worker *worker, void *arg)
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

static void dropped(void *ctx, void *value)
{
    struct ticks *ticks = value;
    CHECK(ctx == SENTINEL);
    CHECK_INT(atomic_load(&ticks->running), 0);
    tally_add(&ticks->drops, 1);
}

static weft_timer *timer_after(weft_runtime *runtime, int64_t delay, int64_t period, weft_task_fn fn, struct ticks *ticks)
{
    weft_timer *timer = NULL;
    ticks->not_before = delay > 0 && delay < 1000 * HOUR ? weft_now() + delay : 0;
    ticks->period = period;
    OK(weft_timer_after(runtime, delay, period, fn, ticks, dropped, SENTINEL, &timer));
    REQUIRE(timer != NULL);
    return timer;
}

/* The drop has been told of, and may not have returned yet. */
static void stop_after_its_drop(weft_timer *timer)
{
    weft_status status;
    while ((status = weft_timer_stop(timer)) == WEFT_BUSY)
        sched_yield();
    CHECK_STATUS(status, WEFT_OK);
}

static void runs_once(weft_runtime *runtime, int64_t delay)
{
    struct ticks ticks = TICKS_INIT;
    weft_timer *timer = timer_after(runtime, delay, 0, tick, &ticks);
    tally_wait(&ticks.drops, 1);
    CHECK_INT(tally_count(&ticks.runs), 1);
    stop_after_its_drop(timer);
    weft_timer_release(timer);
    CHECK_INT(tally_count(&ticks.drops), 1);
}

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

struct held {
    struct ticks ticks;
    gate inside, go_on;
    weft_timer *timer;
};

#define HELD_INIT {.ticks = TICKS_INIT, .inside = GATE_INIT, .go_on = GATE_INIT}

static void hold(weft_worker *worker, void *arg)
{
    struct held *held = arg;
    (void)worker;
    gate_open(&held->inside);
    gate_wait(&held->go_on);
}

/* Waits until the process' timers have got to everything that is due by now. */
static void let_expire(weft_runtime *other)
{
    struct ticks marker = TICKS_INIT;
    weft_timer *timer = timer_after(other, 0, 0, tick, &marker);
    tally_wait(&marker.drops, 1);
    weft_timer_release(timer);
}

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

/* ---- the end of the runtime */

TEST(a_shutdown_stops_timers_and_does_not_wait_for_them)
{
    static const int32_t modes[] = {WEFT_SHUTDOWN_DRAIN, WEFT_SHUTDOWN_DISCARD};
    for (int i = 0; i < 3; i++) {
        weft_runtime *runtime = runtime_new(2);
        struct ticks far = TICKS_INIT, often = TICKS_INIT, refused = TICKS_INIT;
        weft_timer *timer = timer_after(runtime, HOUR, 0, tick, &far), *none = SENTINEL;
        weft_timer *periodic = timer_after(runtime, HOUR, HOUR, tick, &often);
        if (i < 2) {
            OK(weft_runtime_shutdown(runtime, modes[i], WEFT_FOREVER));
            CHECK_REFUSED(weft_timer_after(runtime, 0, 0, tick, &refused, dropped, SENTINEL, &none), WEFT_SHUTDOWN, "shut");
            CHECK(none == SENTINEL);
        }
        weft_runtime_release(runtime);
        /* Also by the last release. */
        CHECK_INT(tally_count(&far.drops), 1);
        CHECK_INT(tally_count(&often.drops), 1);
        CHECK_INT(tally_count(&far.runs) + tally_count(&often.runs) + tally_count(&refused.drops), 0);
        OK(weft_timer_stop(timer));
        weft_timer_release(timer);
        weft_timer_release(periodic);
    }
}

/* What has expired is a queued task: it runs, or is dropped by a shutdown that discards. */
TEST(what_has_expired_is_queued_work)
{
    static const int32_t modes[] = {WEFT_SHUTDOWN_DRAIN, WEFT_SHUTDOWN_DISCARD};
    for (int i = 0; i < 2; i++) {
        weft_runtime *runtime = runtime_new_limited(1, 1), *other = runtime_new(1);
        struct held held = HELD_INIT;
        OK(weft_spawn(runtime, hold, &held));
        gate_wait(&held.inside);
        weft_timer *timer = timer_after(runtime, 0, 0, tick, &held.ticks);
        let_expire(other);
        CHECK_STATUS(weft_runtime_shutdown(runtime, modes[i], 0), WEFT_WOULD_BLOCK);
        gate_open(&held.go_on);
        OK(weft_runtime_shutdown(runtime, modes[i], WEFT_FOREVER));
        CHECK_INT(tally_count(&held.ticks.drops), 1);
        CHECK_INT(tally_count(&held.ticks.runs), i == 0);
        weft_timer_release(timer);
        weft_runtime_release(runtime);
        runtime_end(other);
    }
}

struct storm {
    weft_runtime *runtime;
    struct tally armed;
    atomic_int runs, drops;
};

static void storm_run(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add(&((struct storm *)arg)->runs, 1);
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
        tally_wait(&storm->armed, 500);
        OK(weft_runtime_shutdown(storm->runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));
        return;
    }
    for (int i = 0; i < 1000; i++) {
        weft_timer *timer = NULL;
        int64_t delay = (int64_t)random_below(&random, 2 * MS), period = random_below(&random, 2) ? 0 : MS;
        weft_status status = weft_timer_after(storm->runtime, delay, period, storm_run, storm, storm_drop, NULL, &timer);
        if (status == WEFT_SHUTDOWN)
            return;
        OK(status);
        tally_add(&storm->armed, 1);
        if (random_below(&random, 2) == 0)
            CHECK(weft_timer_stop(timer) != WEFT_INVALID);
        weft_timer_release(timer);
    }
}

TEST(each_timer_is_dropped_once_whatever_happens)
{
    for (int round = 0; round < (under_a_tool() ? 2 : 10); round++) {
        struct storm storm = {.runtime = runtime_new(2), .armed = TALLY_INIT};
        threads_together(4, storm_arm, &storm);
        CHECK_INT(atomic_load(&storm.drops), tally_count(&storm.armed));
        weft_runtime_release(storm.runtime);
        CHECK_INT(atomic_load(&storm.drops), tally_count(&storm.armed));
    }
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

/* ---- the thread */

/* The id of the one thread of this name in this process. */
static long thread_named(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    REQUIRE(tasks != NULL);
    long found = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char path[300], comm[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(comm, sizeof comm, file) != NULL && strncmp(comm, name, strlen(name)) == 0) {
            CHECK_INT(found, 0);
            found = atol(entry->d_name);
        }
        fclose(file);
    }
    closedir(tasks);
    return found;
}

/* A number in the status of a thread. */
static unsigned long long status_of(long thread, const char *field, int base)
{
    char path[64], line[256];
    unsigned long long value = 0;
    bool found = false;
    snprintf(path, sizeof path, "/proc/self/task/%ld/status", thread);
    FILE *file = fopen(path, "r");
    REQUIRE(file != NULL);
    while (!found && fgets(line, sizeof line, file) != NULL)
        if ((found = strncmp(line, field, strlen(field)) == 0))
            value = strtoull(line + strlen(field), NULL, base);
    fclose(file);
    REQUIRE(found);
    return value;
}

/* The thread is there from the first timer on, takes no signals, and does not wake for what is not due. */
CHILD(a_million_timers_are_armed)
{
    int count = under_a_tool() ? 20000 : 1000000;
    weft_runtime *runtime = runtime_new(1);
    CHECK_INT(thread_named("weft-timer"), 0);
    let_expire(runtime);
    long thread = thread_named("weft-timer");
    REQUIRE(thread != 0);
    sigset_t all;
    sigfillset(&all);
    for (int number = 1; number < 32; number++)
        if (number != SIGKILL && number != SIGSTOP)
            CHECK((status_of(thread, "SigBlk:", 16) & 1ull << (number - 1)) != 0 || under_a_tool());
    struct ticks never = TICKS_INIT;
    weft_timer **timers = calloc((size_t)count, sizeof *timers);
    REQUIRE(timers != NULL);
    let_expire(runtime);
    unsigned long long before = status_of(thread, "voluntary_ctxt_switches:", 10);
    struct random random = {1};
    for (int i = 0; i < count; i++)
        OK(weft_timer_after(runtime, HOUR + (int64_t)random_below(&random, 100 * HOUR), 0, tick, &never, NULL, NULL, &timers[i]));
    unsigned long long after = status_of(thread, "voluntary_ctxt_switches:", 10);
    /* It was about to go to sleep, perhaps not in one go. */
    CHECK(after - before <= 5);
    for (int i = 0; i < count; i++) {
        if (i % 2 == 0)
            OK(weft_timer_stop(timers[i]));
        weft_timer_release(timers[i]);
    }
    CHECK(status_of(thread, "voluntary_ctxt_switches:", 10) - before <= 5);
    free(timers);
    runtime_end(runtime);
    CHECK_INT(tally_count(&never.runs), 0);
}

TEST(a_million_timers_cost_no_wake_up)
{
    child_succeeds("a_million_timers_are_armed");
}

static void read_mask(weft_worker *worker, void *arg)
{
    (void)worker;
    sigset_t mask;
    REQUIRE(pthread_sigmask(SIG_SETMASK, NULL, &mask) == 0);
    CHECK(!sigismember(&mask, SIGUSR1));
    CHECK(sigismember(&mask, SIGUSR2));
    gate_open(arg);
}

struct blocked {
    weft_channel *channel;
    gate began;
};

static void receive(weft_worker *worker, void *arg)
{
    struct blocked *blocked = arg;
    uint64_t element;
    (void)worker;
    gate_open(&blocked->began);
    OK(weft_channel_recv(blocked->channel, &element, WEFT_FOREVER));
}

/* The thread that starts a worker may be the timers', which blocks all signals. */
TEST(workers_begin_with_the_signals_of_the_runtimes_maker)
{
    sigset_t one, old;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR2);
    REQUIRE(pthread_sigmask(SIG_BLOCK, &one, &old) == 0);
    weft_runtime *runtime = runtime_new(1);
    REQUIRE(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
    struct blocked blocked = {channel_new(8, 1), GATE_INIT};
    gate read = GATE_INIT;
    uint64_t element = 0;
    weft_timer *timer = NULL;
    OK(weft_spawn(runtime, receive, &blocked));
    gate_wait(&blocked.began);
    OK(weft_timer_after(runtime, MS, 0, read_mask, &read, NULL, NULL, &timer));
    gate_wait(&read);
    OK(weft_channel_send(blocked.channel, &element, 0));
    weft_timer_release(timer);
    weft_channel_release(blocked.channel);
    runtime_end(runtime);
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

/* ---- fork */

static void in_forked_child(weft_runtime *runtime, weft_timer *timer)
{
    struct ticks ticks = TICKS_INIT;
    weft_timer *out = SENTINEL;
    CHECK_REFUSED(weft_timer_stop(timer), WEFT_FORKED, "timer");
    CHECK_REFUSED(weft_timer_after(runtime, 0, 0, tick, &ticks, dropped, SENTINEL, &out), WEFT_FORKED, "runtime");
    CHECK_REFUSED(weft_timer_after(NULL, 0, 0, tick, &ticks, dropped, SENTINEL, &out), WEFT_FORKED, "weft_after_fork");
    CHECK(out == SENTINEL);
    weft_timer_release(timer);
    OK(weft_after_fork());
    CHECK_INT(thread_named("weft-timer"), 0);
    runs_once(NULL, MS);
    weft_runtime *own = runtime_new(1);
    runs_once(own, MS);
    runtime_end(own);
    CHECK_STATUS(weft_timer_stop(timer), WEFT_FORKED);
}

CHILD_WITHOUT_LEAK_CHECK(timers_are_inherited)
{
    weft_runtime *runtime = runtime_new(2);
    struct ticks far = TICKS_INIT, often = TICKS_INIT;
    weft_timer *timer = timer_after(runtime, HOUR, 0, tick, &far);
    weft_timer *periodic = timer_after(runtime, MS, MS, tick, &often);
    tally_wait(&often.runs, 2);
    fflush(NULL);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        alarm(60);
        in_forked_child(runtime, timer);
        exit(harness_failures() == 0 ? 0 : 1);
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0)
        REQUIRE(errno == EINTR);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* The child has taken nothing away. */
    tally_wait(&often.runs, tally_count(&often.runs) + 3);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(tally_count(&far.drops) + tally_count(&often.drops), 2);
    weft_timer_release(timer);
    weft_timer_release(periodic);
    weft_runtime_release(runtime);
}

TEST(a_forked_child_has_timers_of_its_own)
{
    child_succeeds("timers_are_inherited");
}

/* ---- exit */

CHILD_WITHOUT_LEAK_CHECK(exits_with_timers_armed)
{
    static struct ticks far = TICKS_INIT, often = TICKS_INIT;
    (void)timer_after(NULL, HOUR, 0, tick, &far);
    (void)timer_after(NULL, MS, MS, tick, &often);
    tally_wait(&often.runs, 1);
}

TEST(a_process_ends_with_timers_armed)
{
    child_succeeds("exits_with_timers_armed");
}
