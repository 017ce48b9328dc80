/* When the system refuses threads or memory: a status, not a crash; what was there goes on, and nothing is lost.
 *
 * The limit is on the process' address space, set in a child. Sanitizers and valgrind live in that space themselves and are left out.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

static size_t address_space(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    REQUIRE(file != NULL && fscanf(file, "%zu", &pages) == 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void allow_only(size_t more)
{
    struct rlimit limit = {address_space() + more, address_space() + more};
    REQUIRE(setrlimit(RLIMIT_AS, &limit) == 0);
}

static void count(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static weft_runtime_options large_stacks(void)
{
    weft_runtime_options options;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = 1;
    options.stack_size = 512 * MIB;
    return options;
}

CHILD(no_first_thread)
{
    weft_runtime_options options = large_stacks();
    weft_runtime *runtime = SENTINEL;
    atomic_int ran = 0;
    allow_only(200 * MIB);
    for (int i = 0; i < 10; i++)
        CHECK_REFUSED(weft_runtime_new(&options, &runtime), WEFT_OS, "thread");
    CHECK(runtime == SENTINEL);
    options.stack_size = 1 * MIB;
    OK(weft_runtime_new(&options, &runtime));
    OK(weft_run(runtime, count, &ran));
    runtime_end(runtime);
    CHECK_INT(ran, 1);
}

CHILD(no_first_thread_of_the_default_runtime)
{
    weft_runtime_options options = large_stacks();
    atomic_int ran = 0;
    OK(weft_runtime_configure_default(&options));
    allow_only(200 * MIB);
    CHECK_REFUSED(weft_spawn(NULL, count, &ran), WEFT_OS, "thread");
    CHECK_INT(weft_runtime_workers(NULL), -1);
    /* It does not run yet, so it can still be configured. */
    options.stack_size = 1 * MIB;
    OK(weft_runtime_configure_default(&options));
    OK(weft_run(NULL, count, &ran));
    OK(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(ran, 1);
}

struct stranded {
    weft_channel *never;
    gate limited;
    atomic_int ran;
};

static void wait_without_a_spare(weft_worker *worker, void *arg)
{
    struct stranded *stranded = arg;
    uint64_t element;
    gate_wait(&stranded->limited);
    /* Others are queued, so a spare thread is wanted while this one waits, and refused. */
    for (int i = 0; i < 10; i++)
        OK(weft_spawn(weft_worker_runtime(worker), count, &stranded->ran));
    CHECK_STATUS(weft_channel_recv(stranded->never, &element, 20000000), WEFT_TIMEOUT);
    CHECK_INT(stranded->ran, 0);
}

CHILD(no_spare_thread)
{
    struct stranded stranded = {.never = channel_new(8, 0), .limited = GATE_INIT};
    weft_runtime_options options = large_stacks();
    weft_runtime *runtime = NULL;
    OK(weft_runtime_new(&options, &runtime));
    OK(weft_spawn(runtime, wait_without_a_spare, &stranded));
    allow_only(200 * MIB);
    gate_open(&stranded.limited);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK_INT(stranded.ran, 10);
    CHECK(stats.start_failures >= 1);
    CHECK_INT(stats.threads_peak, 1);
    weft_runtime_release(runtime);
    weft_channel_release(stranded.never);
}

static void drop_large(void *ctx, void *value)
{
    int *dropped = ctx;
    /* Each element carries its number at both ends. */
    int first, last;
    memcpy(&first, value, sizeof first);
    memcpy(&last, (char *)value + 4 * MIB - sizeof last, sizeof last);
    CHECK_INT(first, last);
    CHECK_INT(first, *dropped);
    (*dropped)++;
}

CHILD(no_memory_for_elements)
{
    int dropped = 0, sent = 0;
    weft_channel_options options;
    weft_channel *channel = NULL;
    char *element = calloc(1, 4 * MIB);
    REQUIRE(element != NULL);
    OK(weft_channel_options_init(&options, sizeof options));
    options.elem_size = 4 * MIB;
    options.capacity = WEFT_UNBOUNDED;
    options.drop = drop_large;
    options.drop_ctx = &dropped;
    OK(weft_channel_new(&options, &channel));
    allow_only(1000 * MIB);
    for (;;) {
        memcpy(element, &sent, sizeof sent);
        memcpy(element + 4 * MIB - sizeof sent, &sent, sizeof sent);
        weft_status status = weft_channel_send(channel, element, WEFT_FOREVER);
        if (status != WEFT_OK) {
            CHECK_STATUS(status, WEFT_NOMEM);
            CHECK_HAS(weft_error_message(), "memory");
            break;
        }
        sent++;
        REQUIRE(sent < 1000);
    }
    CHECK_INT(weft_channel_len(channel), sent);
    CHECK(memcmp(element, &sent, sizeof sent) == 0);
    CHECK_INT(dropped, 0);
    weft_channel_release(channel);
    CHECK_INT(dropped, sent);
    free(element);
}

CHILD(no_memory_for_values)
{
    weft_bytes *bytes = SENTINEL;
    weft_channel *channel = SENTINEL;
    weft_channel_options options;
    size_t size = 400 * MIB;
    char *data = calloc(1, size);
    REQUIRE(data != NULL);
    OK(weft_channel_options_init(&options, sizeof options));
    options.elem_size = 1 * MIB;
    options.capacity = 400;
    allow_only(100 * MIB);
    CHECK_REFUSED(weft_bytes_new(data, size, &bytes), WEFT_NOMEM, "memory");
    CHECK_REFUSED(weft_channel_new(&options, &channel), WEFT_NOMEM, "memory");
    CHECK(bytes == SENTINEL && channel == SENTINEL);
    free(data);
}

static weft_status no_fold(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    (void)worker;
    (void)begin;
    (void)end;
    (void)acc;
    (void)arg;
    return WEFT_OK;
}

static weft_status no_combine(weft_worker *worker, void *into, void *from, void *arg)
{
    (void)worker;
    (void)into;
    (void)from;
    (void)arg;
    return WEFT_OK;
}

CHILD(no_memory_for_accumulators)
{
    size_t size = 150 * MIB;
    weft_runtime *runtime = runtime_new(1);
    char *identity = calloc(1, size), *out = malloc(size);
    atomic_int ran = 0;
    REQUIRE(identity != NULL && out != NULL);
    out[0] = 7;
    allow_only(100 * MIB);
    CHECK_REFUSED(weft_reduce(runtime, 0, 1000, size, identity, no_fold, no_combine, NULL, NULL, out), WEFT_NOMEM, "memory");
    CHECK_INT(out[0], 7);
    OK(weft_run(runtime, count, &ran));
    runtime_end(runtime);
    free(identity);
    free(out);
}

static void unless_under_a_tool(const char *name)
{
    if (!under_a_tool())
        child_succeeds(name);
}

TEST(the_first_thread_is_refused) { unless_under_a_tool("no_first_thread"); }
TEST(the_default_runtimes_first_thread_is_refused) { unless_under_a_tool("no_first_thread_of_the_default_runtime"); }
TEST(a_spare_thread_is_refused) { unless_under_a_tool("no_spare_thread"); }
TEST(memory_for_elements_is_refused) { unless_under_a_tool("no_memory_for_elements"); }
TEST(memory_for_values_is_refused) { unless_under_a_tool("no_memory_for_values"); }
TEST(memory_for_accumulators_is_refused) { unless_under_a_tool("no_memory_for_accumulators"); }
