/* What a context of each kind costs: made, executed and waited for. And a FORK beside a bare fork with the same 100 bytes through a
 * pipe, by how much memory the parent has, with 4 KiB pages and with huge ones. WEFT_BENCH_QUICK=1 only looks whether it all
 * runs.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weft/weft.h>

enum { REPLY = 100, MOST = 2000 };

static int quick;

static void check(weft_status status)
{
    if (status != WEFT_OK) {
        fprintf(stderr, "context: %s\n", weft_error_message());
        exit(1);
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at(double *values, size_t n, double share)
{
    qsort(values, n, sizeof *values, by_value);
    return values[(size_t)((double)(n - 1) * share)];
}

static weft_status reply_with(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    static const char bytes[REPLY];
    (void)data, (void)len, (void)arg;
    return weft_bytes_new(bytes, sizeof bytes, reply);
}

static void execute_and_wait(weft_context *context, weft_handler_fn function)
{
    weft_bytes *reply = NULL;
    check(weft_context_execute(context, function, NULL, NULL, NULL, "", 0));
    check(weft_context_wait(context, WEFT_FOREVER, &reply));
    weft_bytes_release(reply);
}

/* Microseconds of one that is made, executed, waited for and released. */
static double one(int32_t kind)
{
    weft_context *context = NULL;
    double begin = now();
    check(weft_context_new(NULL, kind, NULL, &context));
    execute_and_wait(context, reply_with);
    weft_context_release(context);
    return now() - begin;
}

/* The same of one that was executed before. */
static double again(weft_context *context, weft_handler_fn function)
{
    double begin = now();
    execute_and_wait(context, function);
    return now() - begin;
}

static double bare_fork(void)
{
    char bytes[REPLY] = {0};
    int fds[2], status;
    double begin = now();
    if (pipe(fds) != 0)
        exit(1);
    pid_t child = fork();
    if (child == 0) {
        if (write(fds[1], bytes, sizeof bytes) != sizeof bytes)
            _exit(1);
        _exit(0);
    }
    close(fds[1]);
    if (child < 0 || read(fds[0], bytes, sizeof bytes) != sizeof bytes || waitpid(child, &status, 0) != child || status != 0)
        exit(1);
    close(fds[0]);
    return now() - begin;
}

static void print(const char *name, double *times, size_t n)
{
    double p50 = at(times, n, 0.5), p99 = at(times, n, 0.99);
    printf("%-34s %10.1f %10.1f\n", name, p50, p99);
}

static void table(void)
{
    static const struct {
        const char *name;
        int32_t kind;
        size_t n;
    } rows[] = {{"INLINE", WEFT_CONTEXT_INLINE, MOST},
                {"THREAD", WEFT_CONTEXT_THREAD, MOST},
                {"TASK", WEFT_CONTEXT_TASK, MOST},
                {"FORK", WEFT_CONTEXT_FORK, 300},
                {"ISOLATED", WEFT_CONTEXT_ISOLATED, MOST}};
    static double times[MOST];
    printf("%-34s %10s %10s\n", "made, executed, waited for", "p50 us", "p99 us");
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        size_t n = quick ? 3 : rows[r].n;
        one(rows[r].kind);
        for (size_t i = 0; i < n; i++)
            times[i] = one(rows[r].kind);
        print(rows[r].name, times, n);
    }
    weft_context *isolated = NULL;
    check(weft_context_new(NULL, WEFT_CONTEXT_ISOLATED, NULL, &isolated));
    size_t n = quick ? 3 : MOST;
    for (size_t i = 0; i < n; i++)
        times[i] = again(isolated, reply_with);
    print("ISOLATED, executed again", times, n);
    weft_context_release(isolated);
}

static void forks(size_t mib, int advice, const char *pages)
{
    static double ours[MOST], bare[MOST];
    char name[64];
    size_t size = mib << 20, n = quick ? 2 : mib > 500 ? 40 : 200;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        exit(1);
    madvise(memory, size, advice);
    for (size_t i = 0; i < size; i += 4096)
        memory[i] = 1;
    for (size_t i = 0; i < n; i++) {
        bare[i] = bare_fork();
        ours[i] = one(WEFT_CONTEXT_FORK);
    }
    snprintf(name, sizeof name, "%zu MiB, %s: bare fork", mib, pages);
    print(name, bare, n);
    snprintf(name, sizeof name, "%zu MiB, %s: FORK", mib, pages);
    print(name, ours, n);
    printf("%-34s %10.2f\n", "   ratio of the medians", at(ours, n, 0.5) / at(bare, n, 0.5));
    munmap(memory, size);
}

/* A worker of the pool is this program again. */
static void processes(const char *self)
{
    static double times[MOST];
    const char *argv[] = {self, "worker", NULL};
    weft_process_pool_options options;
    weft_process_pool *pool = NULL;
    weft_context_options how;
    weft_context *context = NULL;
    size_t n = quick ? 3 : MOST;
    check(weft_process_pool_options_init(&options, sizeof options));
    options.argv = argv;
    options.workers = 1;
    check(weft_process_pool_new(&options, &pool));
    check(weft_context_options_init(&how, sizeof how));
    how.process_pool = pool;
    check(weft_context_new(NULL, WEFT_CONTEXT_PROCESS, &how, &context));
    again(context, NULL);
    for (size_t i = 0; i < n; i++)
        times[i] = again(context, NULL);
    print("PROCESS, executed again", times, n);
    weft_context_release(context);
    weft_process_pool_release(pool);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return weft_serve(-1, reply_with, NULL) != WEFT_OK;
    quick = getenv("WEFT_BENCH_QUICK") != NULL;
    static char self[4096];
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return 1;
    table();
    processes(self);
    static const size_t sizes[] = {20, 200, 1000};
    for (size_t i = 0; i < (quick ? 1 : 3); i++) {
        forks(sizes[i], MADV_NOHUGEPAGE, "4 KiB pages");
        forks(sizes[i], MADV_HUGEPAGE, "huge pages");
    }
    return 0;
}
