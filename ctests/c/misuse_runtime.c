/* Misuse of the functions about runtimes and workers. See misuse.h. A NULL runtime is the default one, and no misuse. */
#include "misuse.h"

#include <string.h>

/* What every options_init must refuse; the struct is an array of words that none of the refusals may touch. */
static void misused_init(weft_status (*init)(void *options, size_t size), size_t smallest)
{
    size_t words[64];
    memset(words, 0x5e, sizeof words);
    CHECK_INVALID(init(NULL, sizeof words), "options");
    CHECK_INVALID(init(words, 0), "size");
    CHECK_INVALID(init(words, 1), "size");
    CHECK_INVALID(init(words, sizeof(size_t)), "size");
    CHECK_INVALID(init(words, smallest - 1), "size");
    CHECK_INVALID(init(words, SIZE_MAX), "size");
    for (size_t i = 0; i < 64; i++)
        CHECK_INT(words[i], 0x5e5e5e5e5e5e5e5e);
    OK(init(words, sizeof words));
    CHECK_INT(words[0], sizeof words);
    CHECK_INT(words[63], 0);
}

#define MISUSED_INIT(noun)                                                      \
    static weft_status init_##noun(void *options, size_t size)                  \
    {                                                                           \
        return weft_##noun##_options_init(options, size);                       \
    }                                                                           \
    MISUSE(weft_##noun##_options_init)                                          \
    {                                                                           \
        misused_init(init_##noun, sizeof(weft_##noun##_options));               \
    }

MISUSED_INIT(runtime)
MISUSED_INIT(spawn)
MISUSED_INIT(loop)
MISUSED_INIT(channel)

/* The rest of the options' refusals: runtime.c. */
MISUSE(weft_runtime_new)
{
    struct zoo *zoo = zoo_new();
    weft_runtime *runtime = SENTINEL;
    weft_runtime_options options;
    OK(weft_runtime_options_init(&options, sizeof options));
    CHECK_INVALID(weft_runtime_new(NULL, NULL), "out");
    CHECK_INVALID(weft_runtime_new(&options, NULL), "out");
    FOR_WRONG(zoo, TOPOLOGY, h) {
        options.topology = h;
        CHECK_INVALID(weft_runtime_new(&options, &runtime), "topology");
    }
    options.topology = NULL;
    static const int32_t placements[] = {-1, 3, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof placements / sizeof placements[0]; i++) {
        options.placement = placements[i];
        CHECK_INVALID(weft_runtime_new(&options, &runtime), "placement");
    }
    CHECK(runtime == SENTINEL);
    zoo_end(zoo);
}

MISUSE(weft_runtime_configure_default)
{
    struct zoo *zoo = zoo_new();
    weft_runtime_options options;
    OK(weft_runtime_options_init(&options, sizeof options));
    FOR_WRONG(zoo, TOPOLOGY, h) {
        options.topology = h;
        CHECK_INVALID(weft_runtime_configure_default(&options), "topology");
    }
    options.topology = NULL;
    options.size = 1;
    CHECK_INVALID(weft_runtime_configure_default(&options), "size");
    zoo_end(zoo);
}

MISUSE(weft_runtime_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_runtime_retain(NULL) == NULL);
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_NULL(weft_runtime_retain(h), "runtime");
    zoo_end(zoo);
}

MISUSE(weft_runtime_release)
{
    struct zoo *zoo = zoo_new();
    weft_runtime_release(NULL);
    FOR_WRONG(zoo, RUNTIME, h)
        COMPLAINS(weft_runtime_release(h), "runtime");
    zoo_end(zoo);
}

static void nothing(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
}

MISUSE(weft_runtime_shutdown)
{
    struct zoo *zoo = zoo_new();
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_runtime_shutdown(h, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER), "runtime");
    CHECK_INVALID(weft_runtime_shutdown(zoo->runtime, 2, 0), "mode");
    CHECK_INVALID(weft_runtime_shutdown(zoo->runtime, -1, 0), "mode");
    CHECK_INVALID(weft_runtime_shutdown(NULL, INT32_MAX, 0), "mode");
    /* Nothing was begun. */
    CHECK_INT(weft_runtime_workers(zoo->runtime), 2);
    OK(weft_run(zoo->runtime, nothing, NULL));
    zoo_end(zoo);
}

MISUSE(weft_runtime_workers)
{
    struct zoo *zoo = zoo_new();
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_NEUTRAL(weft_runtime_workers(h), -1, "runtime");
    zoo_end(zoo);
}

MISUSE(weft_runtime_stats_get)
{
    struct zoo *zoo = zoo_new();
    weft_runtime_stats stats, before;
    memset(&stats, 0x5e, sizeof stats);
    stats.size = sizeof stats;
    before = stats;
    CHECK_INVALID(weft_runtime_stats_get(zoo->runtime, NULL), "out");
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_runtime_stats_get(h, &stats), "runtime");
    CHECK(memcmp(&stats, &before, sizeof stats) == 0);
    stats.size = SIZE_MAX;
    CHECK_INVALID(weft_runtime_stats_get(zoo->runtime, &stats), "size");
    stats.size = sizeof stats - 1;
    CHECK_INVALID(weft_runtime_stats_get(zoo->runtime, &stats), "size");
    CHECK_INT(stats.spawned, 0x5e5e5e5e5e5e5e5e);
    zoo_end(zoo);
}

MISUSE(weft_runtime_worker_stats_get)
{
    struct zoo *zoo = zoo_new();
    weft_worker_stats stats, before;
    memset(&stats, 0x5e, sizeof stats);
    stats.size = sizeof stats;
    before = stats;
    CHECK_INVALID(weft_runtime_worker_stats_get(zoo->runtime, 0, NULL), "out");
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_runtime_worker_stats_get(h, 0, &stats), "runtime");
    CHECK_REFUSED(weft_runtime_worker_stats_get(zoo->runtime, 100000, &stats), WEFT_NOT_FOUND, "index");
    CHECK_REFUSED(weft_runtime_worker_stats_get(zoo->runtime, UINT32_MAX, &stats), WEFT_NOT_FOUND, "index");
    CHECK(memcmp(&stats, &before, sizeof stats) == 0);
    stats.size = SIZE_MAX;
    CHECK_INVALID(weft_runtime_worker_stats_get(zoo->runtime, 0, &stats), "size");
    stats.size = sizeof stats - 1;
    CHECK_INVALID(weft_runtime_worker_stats_get(zoo->runtime, 0, &stats), "size");
    CHECK_INT(stats.executed, 0x5e5e5e5e5e5e5e5e);
    zoo_end(zoo);
}

/* Any numbers will do: no division by zero, no number that is none. */
static void misused_share(double (*share)(uint64_t part, uint64_t rest))
{
    CHECK(share(0, 0) == 0);
    CHECK(share(0, UINT64_MAX) == 0);
    CHECK(share(UINT64_MAX, 0) == 1);
    CHECK(share(UINT64_MAX, UINT64_MAX) == 0.5);
}

MISUSE(weft_steal_efficiency) { misused_share(weft_steal_efficiency); }
MISUSE(weft_utilisation) { misused_share(weft_utilisation); }

MISUSE(weft_mean_task_ns)
{
    CHECK(weft_mean_task_ns(0, 0) == 0);
    CHECK(weft_mean_task_ns(UINT64_MAX, 0) == 0);
    CHECK(weft_mean_task_ns(0, UINT64_MAX) == 0);
    CHECK(weft_mean_task_ns(UINT64_MAX, UINT64_MAX) == 1);
}

MISUSE(weft_topology_refresh)
{
    struct zoo *zoo = zoo_new();
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_topology_refresh(h), "runtime");
    zoo_end(zoo);
}

MISUSE(weft_worker_current)
{
    CHECK(weft_worker_current() == NULL);
}

MISUSE(weft_worker_runtime)
{
    struct zoo *zoo = zoo_new();
    CHECK_NULL(weft_worker_runtime(NULL), "worker");
    FOR_WRONG(zoo, WORKER, h)
        CHECK_NULL(weft_worker_runtime(h), "worker");
    /* A worker, but of another thread. */
    CHECK_NULL(weft_worker_runtime(zoo->worker), "worker");
    zoo_end(zoo);
}

MISUSE(weft_blocking_begin)
{
    struct zoo *zoo = zoo_new();
    OK(weft_blocking_begin(NULL));
    FOR_WRONG(zoo, WORKER, h)
        CHECK_INVALID(weft_blocking_begin(h), "worker");
    CHECK_INVALID(weft_blocking_begin(zoo->worker), "worker");
    zoo_end(zoo);
}

static void end_without_begin(weft_worker *worker, void *arg)
{
    (void)arg;
    CHECK_INVALID(weft_blocking_end(worker), "weft_blocking_begin");
    OK(weft_blocking_begin(worker));
    OK(weft_blocking_end(NULL));
    CHECK_INVALID(weft_blocking_end(NULL), "weft_blocking_begin");
}

MISUSE(weft_blocking_end)
{
    struct zoo *zoo = zoo_new();
    OK(weft_blocking_end(NULL));
    FOR_WRONG(zoo, WORKER, h)
        CHECK_INVALID(weft_blocking_end(h), "worker");
    CHECK_INVALID(weft_blocking_end(zoo->worker), "worker");
    OK(weft_run(zoo->runtime, end_without_begin, NULL));
    zoo_end(zoo);
}

MISUSE(weft_yield)
{
    struct zoo *zoo = zoo_new();
    OK(weft_yield(NULL));
    FOR_WRONG(zoo, WORKER, h)
        CHECK_INVALID(weft_yield(h), "worker");
    CHECK_INVALID(weft_yield(zoo->worker), "worker");
    zoo_end(zoo);
}

MISUSE(weft_worker_index)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_worker_index(NULL), -1, "worker");
    FOR_WRONG(zoo, WORKER, h)
        CHECK_NEUTRAL(weft_worker_index(h), -1, "worker");
    CHECK_NEUTRAL(weft_worker_index(zoo->worker), -1, "worker");
    zoo_end(zoo);
}
