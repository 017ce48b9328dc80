/* A process pool through the C ABI: the latency and the number of calls of 64 bytes, with one caller and with as many as keep two
 * workers busy; the time from SIGKILL to WEFT_DIED, and from there to the next answer. Beside it the same call over a pair of pipes to
 * one process. WEFT_BENCH_QUICK=1 only looks whether it all runs. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weft/weft.h>

enum { WINDOW = 64, LEN = 64 };

static int quick;

static void check(weft_status status, const char *what)
{
    if (status != WEFT_OK) {
        fprintf(stderr, "process: %s: %s\n", what, weft_error_message());
        exit(1);
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, double *us, size_t n)
{
    qsort(us, n, sizeof *us, by_size);
    printf("%-48s p50 %8.2f us   p99 %8.2f us\n", name, us[n / 2], us[n - 1 - n / 100]);
}

/* ---- the worker */

static weft_status handler(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)arg;
    pid_t pid = getpid();
    if (len == 1)
        return weft_bytes_new(&pid, sizeof pid, reply);
    if (len == 2)
        for (;;)
            pause();
    return weft_bytes_new(data, len, reply);
}

static weft_process_pool *pool_new(const char *self, uint32_t workers, uint32_t window)
{
    const char *argv[] = {self, "--worker", NULL};
    weft_process_pool_options options;
    weft_process_pool *pool = NULL;
    check(weft_process_pool_options_init(&options, sizeof options), "options");
    options.argv = argv;
    options.workers = workers;
    options.window = window;
    check(weft_process_pool_new(&options, &pool), "pool");
    return pool;
}

static weft_future *call(weft_process_pool *pool, const void *data, size_t len)
{
    weft_future *future = NULL;
    check(weft_process_pool_call(pool, data, len, NULL, &future), "call");
    return future;
}

static pid_t pid_of(weft_process_pool *pool)
{
    void *bytes = NULL;
    pid_t pid;
    weft_future *future = call(pool, "p", 1);
    check(weft_future_get(future, WEFT_FOREVER, &bytes), "pid");
    memcpy(&pid, weft_bytes_data(bytes), sizeof pid);
    weft_future_release(future);
    return pid;
}

static void one_by_one(weft_process_pool *pool, const char *name, size_t n, useconds_t idle)
{
    char data[LEN] = {0};
    double *us = malloc(n * sizeof *us);
    for (size_t i = 0; i < n; i++) {
        void *bytes;
        if (idle)
            usleep(idle);
        double begin = now();
        weft_future *future = call(pool, data, sizeof data);
        check(weft_future_get(future, WEFT_FOREVER, &bytes), "answer");
        us[i] = now() - begin;
        weft_future_release(future);
    }
    report(name, us, n);
    free(us);
}

static void many(weft_process_pool *pool, const char *name, size_t n)
{
    weft_future *open[WINDOW] = {NULL};
    char data[LEN] = {0};
    double begin = now();
    for (size_t i = 0; i < n + WINDOW; i++) {
        weft_future **place = &open[i % WINDOW];
        if (*place) {
            check(weft_future_wait(*place, WEFT_FOREVER), "answer");
            weft_future_release(*place);
        }
        *place = i < n ? call(pool, data, sizeof data) : NULL;
    }
    printf("%-48s %8.0f calls/ms\n", name, (double)n / (now() - begin) * 1e3);
}

static void deaths(weft_process_pool *pool, size_t n)
{
    double *died = malloc(n * sizeof *died), *again = malloc(n * sizeof *again);
    for (size_t i = 0; i < n; i++) {
        pid_t pid = pid_of(pool);
        weft_future *future = call(pool, "pp", 2);
        usleep(2000);
        double begin = now();
        kill(pid, SIGKILL);
        check(weft_future_wait(future, WEFT_FOREVER), "death");
        died[i] = now() - begin;
        const weft_error *error = weft_future_error(future);
        if (!error || weft_error_status(error) != WEFT_DIED)
            exit(1);
        weft_future_release(future);
        pid_of(pool);
        again[i] = now() - begin;
    }
    report("SIGKILL to WEFT_DIED", died, n);
    report("SIGKILL to the next answer", again, n);
    free(died);
    free(again);
}

static void pipes(size_t n)
{
    int there[2], back[2];
    if (pipe(there) || pipe(back))
        exit(1);
    pid_t pid = fork();
    char data[LEN] = {0};
    if (pid == 0) {
        close(there[1]);
        while (read(there[0], data, LEN) == LEN && write(back[1], data, LEN) == LEN)
            ;
        _exit(0);
    }
    double *us = malloc(n * sizeof *us);
    for (size_t i = 0; i < n; i++) {
        double begin = now();
        if (write(there[1], data, LEN) != LEN || read(back[0], data, LEN) != LEN)
            exit(1);
        us[i] = now() - begin;
    }
    report("round trip of a pair of pipes", us, n);
    free(us);
    close(there[0]), close(there[1]), close(back[0]), close(back[1]);
    waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--worker") == 0)
        return weft_serve(-1, handler, NULL) != WEFT_OK;
    quick = getenv("WEFT_BENCH_QUICK") != NULL;
    size_t n = quick ? 200 : 100000;
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return 1;
    self[length] = '\0';
    pipes(n);
    weft_process_pool *pool = pool_new(self, 2, 1);
    pid_of(pool);
    one_by_one(pool, "call of 64 bytes, 2 workers", n, 0);
    one_by_one(pool, "the same after 1 ms without", n / 100 + 20, 1000);
    many(pool, "64 callers' worth, 2 workers, window 1", n);
    weft_process_pool_release(pool);
    pool = pool_new(self, 2, 32);
    pid_of(pool);
    many(pool, "64 callers' worth, 2 workers, window 32", n);
    weft_process_pool_release(pool);
    pool = pool_new(self, 1, 1);
    deaths(pool, quick ? 10 : 300);
    check(weft_process_pool_drain(pool, WEFT_FOREVER), "drain");
    weft_process_pool_release(pool);
    return 0;
}
