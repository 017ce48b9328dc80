/* What a runtime costs that has nothing to do, and how long its first task takes then: CPU over two seconds and memory with
 * all workers started and asleep, spawn to start from idle and while busy, CPU for a tick of 1 kHz. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <weft/weft.h>

enum { SAMPLES = 1000 };

static void check(weft_status status, const char *what)
{
    if (status != WEFT_OK) {
        fprintf(stderr, "bench_idle: %s: %s: %s\n", what, weft_status_name(status), weft_error_message());
        exit(1);
    }
}

static double cpu_ms(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3;
}

static long resident_kib(void)
{
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2)
        exit(1);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void rest(long ns)
{
    struct timespec time = {ns / 1000000000, ns % 1000000000};
    nanosleep(&time, NULL);
}

struct meeting {
    atomic_int missing;
};

/* Keeps its worker until all have come. */
static void meet(weft_worker *worker, void *arg)
{
    struct meeting *meeting = arg;
    (void)worker;
    atomic_fetch_sub(&meeting->missing, 1);
    while (atomic_load(&meeting->missing) > 0)
        rest(100000);
}

static void note_start(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_store((_Atomic int64_t *)arg, weft_now());
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void spawn_to_start(weft_runtime *runtime, const char *name, long pause_ns)
{
    static int64_t took[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        _Atomic int64_t started = 0;
        if (pause_ns)
            rest(pause_ns);
        int64_t begin = weft_now();
        check(weft_spawn(runtime, note_start, &started), "weft_spawn");
        while (atomic_load(&started) == 0) { }
        took[i] = started - begin;
    }
    qsort(took, SAMPLES, sizeof *took, compare);
    printf("  spawn to start, %s: p50 %.2f us, p99 %.2f us\n", name, (double)took[SAMPLES / 2] / 1e3,
           (double)took[SAMPLES * 99 / 100] / 1e3);
}

int main(void)
{
    static const int32_t sizes[] = {2, 64};
    for (int s = 0; s < 2; s++) {
        weft_runtime_options options;
        weft_runtime *runtime;
        struct meeting meeting = {sizes[s]};
        long before = resident_kib();
        check(weft_runtime_options_init(&options, sizeof options), "weft_runtime_options_init");
        options.workers = sizes[s];
        check(weft_runtime_new(&options, &runtime), "weft_runtime_new");
        for (int32_t i = 0; i < sizes[s]; i++)
            check(weft_spawn(runtime, meet, &meeting), "weft_spawn");
        rest(500000000);
        double used = cpu_ms();
        rest(2000000000);
        printf("%d workers: CPU over 2 s idle %.3f ms, resident memory %ld KiB more than without\n", (int)sizes[s],
               cpu_ms() - used, resident_kib() - before);
        if (sizes[s] == 2) {
            spawn_to_start(runtime, "from idle", 2000000);
            spawn_to_start(runtime, "just busy", 0);
            used = cpu_ms();
            for (int i = 0; i < 1000; i++) {
                _Atomic int64_t started = 0;
                rest(1000000);
                check(weft_spawn(runtime, note_start, &started), "weft_spawn");
                while (atomic_load(&started) == 0)
                    rest(50000);
            }
            printf("  1000 ticks, 1 ms apart: CPU %.1f ms, the submitter's included\n", cpu_ms() - used);
        }
        check(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER), "weft_runtime_shutdown");
        weft_runtime_release(runtime);
    }
    return 0;
}
