/* One kind of call, n times, on one worker: instructions.sh counts what each costs.
 *     instructions serial|callbacks|fork|join|spawn|spawn-outside|submit|submit-outside|empty|timer|mutex|mutex-outside
 *         |breaker|breaker-time|breaker-open N */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/weft.h>

static void check(weft_status status, const char *what)
{
    if (status != WEFT_OK) {
        fprintf(stderr, "%s: %s\n", what, weft_error_message());
        exit(1);
    }
}

struct fib {
    int n;
    long value;
};

static long fib_fork(weft_worker *worker, int n);

static void half(weft_worker *worker, void *arg)
{
    struct fib *f = arg;
    f->value = fib_fork(worker, f->n);
}

static long fib_fork(weft_worker *worker, int n)
{
    if (n < 2)
        return n;
    struct fib b = {n - 2, 0};
    weft_fork(worker, half, &b);
    long a = fib_fork(weft_next(worker), n - 1);
    if (weft_sync(worker))
        return a + fib_fork(worker, n - 2);
    return a + b.value;
}

static void fib_join(weft_worker *worker, void *arg)
{
    struct fib *f = arg, a = {f->n - 1, 0}, b = {f->n - 2, 0};
    f->value = f->n;
    if (f->n < 2)
        return;
    weft_join(worker, fib_join, &a, fib_join, &b);
    f->value = a.value + b.value;
}

static void fib_callbacks(weft_worker *worker, void *arg)
{
    struct fib *f = arg, a = {f->n - 1, 0}, b = {f->n - 2, 0};
    f->value = f->n;
    if (f->n < 2)
        return;
    fib_callbacks(worker, &a);
    fib_callbacks(worker, &b);
    f->value = a.value + b.value;
}

static long fib_serial(int n)
{
    return n < 2 ? n : fib_serial(n - 1) + fib_serial(n - 2);
}

static void serial(weft_worker *worker, void *arg)
{
    struct fib *f = arg;
    (void)worker;
    f->value = fib_serial(f->n);
}

static void nothing(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
}

static void lock_and_unlock(weft_worker *worker, void *arg)
{
    weft_mutex *mutex = NULL;
    (void)worker;
    check(weft_mutex_new(NULL, &mutex), "weft_mutex_new");
    for (int i = 0; i < *(int *)arg; i++) {
        check(weft_mutex_lock(mutex, WEFT_FOREVER), "weft_mutex_lock");
        check(weft_mutex_unlock(mutex), "weft_mutex_unlock");
    }
    weft_mutex_release(mutex);
}

/* Acquire, and record what was let through. */
static void breaker(const char *kind, int n)
{
    weft_breaker_options options;
    weft_breaker *breaker;
    check(weft_breaker_options_init(&options, sizeof options), "weft_breaker_options_init");
    options.open_wait_ns = WEFT_FOREVER;
    if (strcmp(kind, "breaker-time") == 0)
        options.window_ns = 10000000000;
    check(weft_breaker_new(&options, &breaker), "weft_breaker_new");
    if (strcmp(kind, "breaker-open") == 0)
        check(weft_breaker_force(breaker, WEFT_BREAKER_OPEN), "weft_breaker_force");
    for (int i = 0; i < n; i++) {
        weft_permit permit;
        if (weft_breaker_acquire(breaker, &permit) == WEFT_OK)
            check(weft_breaker_record(breaker, &permit, WEFT_OUTCOME_OK), "weft_breaker_record");
    }
    weft_breaker_release(breaker);
}

/* Tasks in rounds, so that what is free goes round. */
enum { ROUND = 1000 };

struct tasks {
    weft_runtime *runtime;
    int left, submit;
    weft_task *tasks;
};

static void round_of(struct tasks *tasks)
{
    for (int i = 0; i < ROUND; i++) {
        if (!tasks->submit) {
            check(weft_spawn(tasks->runtime, nothing, NULL), "weft_spawn");
            continue;
        }
        weft_task_init(&tasks->tasks[i], nothing, NULL);
        check(weft_submit(tasks->runtime, &tasks->tasks[i]), "weft_submit");
    }
}

/* On one worker the next round comes when this one has run: it is at the old end of the same queue. */
static void rounds_inside(weft_worker *worker, void *arg)
{
    struct tasks *tasks = arg;
    (void)worker;
    if (tasks->left <= 0)
        return;
    tasks->left -= ROUND;
    check(weft_spawn(tasks->runtime, rounds_inside, tasks), "weft_spawn");
    round_of(tasks);
}

static void timers(weft_runtime *runtime, int n)
{
    for (int i = 0; i < n; i++) {
        weft_timer *timer;
        check(weft_timer_after(runtime, 30000000000, 0, nothing, NULL, NULL, NULL, &timer), "weft_timer_after");
        check(weft_timer_stop(timer), "weft_timer_stop");
        weft_timer_release(timer);
    }
}

int main(int argc, char **argv)
{
    static const struct { const char *name; weft_task_fn run; } joins[] = {
        {"serial", serial}, {"callbacks", fib_callbacks}, {"fork", half}, {"join", fib_join}};
    weft_runtime_options options;
    weft_runtime *runtime;
    if (argc != 3)
        return 2;
    int n = atoi(argv[2]);
    check(weft_runtime_options_init(&options, sizeof options), "weft_runtime_options_init");
    options.workers = 1;
    check(weft_runtime_new(&options, &runtime), "weft_runtime_new");
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        struct fib f = {n, 0};
        if (strcmp(argv[1], joins[i].name) == 0)
            check(weft_run(runtime, joins[i].run, &f), "weft_run");
    }
    if (strcmp(argv[1], "timer") == 0)
        timers(runtime, n);
    for (int i = strcmp(argv[1], "empty") == 0 ? 0 : n; i < n; i++)
        (void)weft_abi_version();
    if (strcmp(argv[1], "mutex") == 0)
        check(weft_run(runtime, lock_and_unlock, &n), "weft_run");
    if (strcmp(argv[1], "mutex-outside") == 0)
        lock_and_unlock(NULL, &n);
    if (strncmp(argv[1], "breaker", 7) == 0)
        breaker(argv[1], n);
    struct tasks tasks = {runtime, n, strncmp(argv[1], "submit", 6) == 0, calloc(ROUND, sizeof(weft_task))};
    if (strcmp(argv[1], "spawn") == 0 || strcmp(argv[1], "submit") == 0)
        check(weft_spawn(runtime, rounds_inside, &tasks), "weft_spawn");
    if (strcmp(argv[1], "spawn-outside") == 0 || strcmp(argv[1], "submit-outside") == 0) {
        for (; tasks.left > 0; tasks.left -= ROUND) {
            round_of(&tasks);
            /* Behind the round in this thread's queue. */
            check(weft_run(runtime, nothing, NULL), "weft_run");
        }
    }
    check(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER), "weft_runtime_shutdown");
    weft_runtime_release(runtime);
    free(tasks.tasks);
    return 0;
}
