/* Faults on purpose, to prove that the instruments see what happens in and through the library:
 *   race   two tasks on two workers change a variable, ordered by nothing but a barrier before
 *   bounds a task reads behind memory that the library allocated
 *   leak   an object of the library is forgotten
 * Each run must be reported by its instrument; CTest expects the report. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft/weft.h>

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "planted: %s failed\n", what);
        exit(2);
    }
}

static pthread_barrier_t both;
static int shared;

static void change(weft_worker *worker, void *arg)
{
    (void)worker, (void)arg;
    pthread_barrier_wait(&both);
    shared++;
}

static void race(void)
{
    weft_runtime_options options;
    weft_runtime *runtime;
    require(weft_runtime_options_init(&options, sizeof options) == WEFT_OK, "options");
    options.workers = 2;
    require(weft_runtime_new(&options, &runtime) == WEFT_OK, "runtime");
    require(pthread_barrier_init(&both, NULL, 2) == 0, "barrier");
    require(weft_spawn(runtime, change, NULL) == WEFT_OK, "spawn");
    require(weft_spawn(runtime, change, NULL) == WEFT_OK, "spawn");
    require(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER) == WEFT_OK, "shutdown");
    weft_runtime_release(runtime);
}

static void read_behind(weft_worker *worker, void *arg)
{
    const volatile char *data = weft_bytes_data(arg);
    (void)worker;
    shared = data[weft_bytes_len(arg)] == 'x';
}

static void bounds(void)
{
    /* More than share an allocation with their count. */
    static const char text[200];
    weft_bytes *bytes;
    require(weft_bytes_new(text, sizeof text, &bytes) == WEFT_OK, "bytes");
    require(weft_run(NULL, read_behind, bytes) == WEFT_OK, "run");
    printf("read %d\n", shared);
    weft_bytes_release(bytes);
}

/* Out of line, so that no register or stack slot keeps the pointer. */
static __attribute__((noinline)) void forget(void)
{
    weft_bytes *bytes;
    require(weft_bytes_new("forgotten", 9, &bytes) == WEFT_OK, "bytes");
    memset(&bytes, 0, sizeof bytes);
    __asm__ volatile("" : : "r"(&bytes) : "memory");
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "race") == 0)
        race();
    else if (argc == 2 && strcmp(argv[1], "bounds") == 0)
        bounds();
    else if (argc == 2 && strcmp(argv[1], "leak") == 0)
        forget();
    else
        require(0, "choosing race, bounds or leak");
    return 0;
}
