/* What a breaker costs a C program through the public ABI, in nanoseconds, each the median of several runs, beside one with a
 * mutex, compiled into this program. The first line is the price of an empty call into the library, to compare the others with. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <weft/weft.h>

enum { RUNS = 7, CALLS = 1000000 };

static void check(weft_status status, const char *what)
{
    if (status != WEFT_OK) {
        fprintf(stderr, "bench_breaker: %s: %s: %s\n", what, weft_status_name(status), weft_error_message());
        exit(1);
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double empty_ns;

static void report(const char *name, void (*run)(void *), void *arg)
{
    double ns[RUNS];
    run(arg);
    for (int i = 0; i < RUNS; i++) {
        int64_t begin = weft_now();
        run(arg);
        ns[i] = (double)(weft_now() - begin) / CALLS;
    }
    qsort(ns, RUNS, sizeof *ns, compare);
    if (empty_ns == 0)
        empty_ns = ns[RUNS / 2];
    printf("%-52s %8.1f %6.1f calls' worth\n", name, ns[RUNS / 2], ns[RUNS / 2] / empty_ns);
}

static void empty_call(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < CALLS; i++)
        (void)weft_abi_version();
}

/* Acquire and record, where the call goes well; what is rejected is not recorded. */
static void pass(void *arg)
{
    for (size_t i = 0; i < CALLS; i++) {
        weft_permit permit;
        if (weft_breaker_acquire(arg, &permit) == WEFT_OK)
            check(weft_breaker_record(arg, &permit, WEFT_OUTCOME_OK), "weft_breaker_record");
    }
}

static weft_status nothing(weft_worker *worker, void *arg, void **result)
{
    (void)worker, (void)arg;
    *result = NULL;
    return WEFT_OK;
}

static void call(void *arg)
{
    for (size_t i = 0; i < CALLS; i++)
        check(weft_breaker_call(arg, nothing, NULL, NULL), "weft_breaker_call");
}

/* ---- the same with a mutex: state, time and a ring of the last 100 results behind it */

struct locked {
    pthread_mutex_t mutex;
    int state, failures, at, filled, streak;
    int64_t until_ns;
    bool failed[100];
};

static __attribute__((noinline)) bool locked_acquire(struct locked *breaker)
{
    bool through = true;
    pthread_mutex_lock(&breaker->mutex);
    if (breaker->state == 1) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        through = now.tv_sec * INT64_C(1000000000) + now.tv_nsec >= breaker->until_ns;
        if (through)
            breaker->state = 2;
    } else if (breaker->state == 2) {
        through = false;
    }
    pthread_mutex_unlock(&breaker->mutex);
    return through;
}

static __attribute__((noinline)) void locked_record(struct locked *breaker, bool failed)
{
    pthread_mutex_lock(&breaker->mutex);
    if (breaker->filled == 100)
        breaker->failures -= breaker->failed[breaker->at];
    else
        breaker->filled++;
    breaker->failed[breaker->at] = failed;
    breaker->failures += failed;
    breaker->at = (breaker->at + 1) % 100;
    breaker->streak = failed ? breaker->streak + 1 : 0;
    if (breaker->streak >= 5 || (failed && breaker->filled >= 20 && breaker->failures * 2 >= breaker->filled))
        breaker->state = 1;
    pthread_mutex_unlock(&breaker->mutex);
}

static void pass_locked(void *arg)
{
    for (size_t i = 0; i < CALLS; i++)
        if (locked_acquire(arg))
            locked_record(arg, false);
}

/* ---- two threads: the time of one call of each */

struct both {
    void (*run)(void *);
    void *arg;
};

static void *second(void *arg)
{
    struct both *both = arg;
    both->run(both->arg);
    return NULL;
}

static void on_two(void *arg)
{
    struct both *both = arg;
    pthread_t thread;
    if (pthread_create(&thread, NULL, second, both) != 0)
        exit(1);
    both->run(both->arg);
    pthread_join(thread, NULL);
}

static weft_breaker *breaker_new(weft_breaker_options options)
{
    weft_breaker *breaker;
    check(weft_breaker_new(&options, &breaker), "weft_breaker_new");
    return breaker;
}

int main(void)
{
    weft_breaker_options options;
    check(weft_breaker_options_init(&options, sizeof options), "weft_breaker_options_init");
    weft_breaker *breaker = breaker_new(options);
    struct locked locked = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    report("empty call (weft_abi_version)", empty_call, NULL);
    report("closed: acquire and record", pass, breaker);
    report("closed: weft_breaker_call", call, breaker);
    report("closed: acquire and record, with a mutex", pass_locked, &locked);
    report("closed: two threads", on_two, &(struct both){pass, breaker});
    report("closed: two threads, with a mutex", on_two, &(struct both){pass_locked, &locked});
    options.window_ns = 10000000000;
    weft_breaker *timed = breaker_new(options);
    report("closed, a window of time", pass, timed);
    options.window_ns = 0;
    options.slow_ns = 1000000000;
    weft_breaker *slow = breaker_new(options);
    report("closed, slow calls told", pass, slow);
    options.slow_ns = WEFT_FOREVER;
    check(weft_breaker_force(breaker, WEFT_BREAKER_FORCED_OPEN), "weft_breaker_force");
    report("forced open: acquire", pass, breaker);
    options.open_wait_ns = 3600000000000;
    weft_breaker *open = breaker_new(options);
    check(weft_breaker_force(open, WEFT_BREAKER_OPEN), "weft_breaker_force");
    report("open: acquire", pass, open);
    locked.state = 1;
    locked.until_ns = INT64_MAX;
    report("open: acquire, with a mutex", pass_locked, &locked);
    weft_breaker_release(open);
    weft_breaker_release(slow);
    weft_breaker_release(timed);
    weft_breaker_release(breaker);
    return 0;
}
