/* What timers leave behind: at the end of their runtime, of a process, and in a forked child. And their thread. */
#include "ticks.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- fork */

struct inherited {
    weft_runtime *runtime;
    weft_timer *timer;
};

static void with_inherited_timers(void *arg)
{
    weft_runtime *runtime = ((struct inherited *)arg)->runtime;
    weft_timer *timer = ((struct inherited *)arg)->timer;
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
    struct inherited inherited = {runtime, timer};
    in_forked_child(with_inherited_timers, &inherited);
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
