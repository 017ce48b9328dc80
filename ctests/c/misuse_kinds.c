/* Misuse of the functions about kinds and sizes of runtimes, and values of workers. See misuse.h. */
#include "misuse.h"

MISUSE(weft_runtime_kind)
{
    struct zoo *zoo = zoo_new();
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_NEUTRAL(weft_runtime_kind(h), -1, "runtime");
    zoo_end(zoo);
}

static void run_again(weft_worker *worker, void *arg)
{
    (void)arg;
    CHECK_REFUSED(weft_runtime_run(weft_worker_runtime(worker), WEFT_RUN_UNTIL_IDLE), WEFT_BUSY, "this thread");
    CHECK_REFUSED(weft_runtime_run(NULL, WEFT_RUN_ONE_STEP), WEFT_BUSY, "this thread");
    CHECK_REFUSED(weft_runtime_shutdown(NULL, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER), WEFT_DEADLOCK, "own runtime");
}

MISUSE(weft_runtime_run)
{
    struct zoo *zoo = zoo_new();
    weft_runtime_options options;
    weft_runtime *single = NULL;
    static const int32_t modes[] = {-1, 3, INT32_MAX, INT32_MIN};
    OK(weft_runtime_options_init(&options, sizeof options));
    options.kind = WEFT_KIND_SINGLE;
    OK(weft_runtime_new(&options, &single));
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_runtime_run(h, WEFT_RUN_UNTIL_IDLE), "runtime");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        CHECK_INVALID(weft_runtime_run(single, modes[i]), "mode");
    CHECK_REFUSED(weft_runtime_run(zoo->runtime, WEFT_RUN_UNTIL_IDLE), WEFT_UNSUPPORTED, "kind");
    OK(weft_spawn(single, run_again, NULL));
    OK(weft_runtime_run(single, WEFT_RUN_UNTIL_IDLE));
    OK(weft_run(single, run_again, NULL));
    OK(weft_runtime_shutdown(single, WEFT_SHUTDOWN_DRAIN, 0));
    CHECK_REFUSED(weft_runtime_run(single, WEFT_RUN_UNTIL_IDLE), WEFT_SHUTDOWN, "shutting down");
    weft_runtime_release(single);
    zoo_end(zoo);
}

MISUSE(weft_runtime_lend)
{
    struct zoo *zoo = zoo_new();
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_runtime_lend(h, WEFT_FOREVER), "runtime");
    CHECK_REFUSED(weft_runtime_lend(zoo->runtime, WEFT_FOREVER), WEFT_UNSUPPORTED, "kind");
    zoo_end(zoo);
}

MISUSE(weft_runtime_resize)
{
    struct zoo *zoo = zoo_new();
    static const int32_t kinds[] = {WEFT_KIND_SINGLE, WEFT_KIND_HOSTED};
    FOR_WRONG(zoo, RUNTIME, h)
        CHECK_INVALID(weft_runtime_resize(h, 1), "runtime");
    CHECK_INVALID(weft_runtime_resize(zoo->runtime, 0), "workers");
    for (size_t i = 0; i < 2; i++) {
        weft_runtime_options options;
        weft_runtime *runtime = NULL;
        OK(weft_runtime_options_init(&options, sizeof options));
        options.kind = kinds[i];
        OK(weft_runtime_new(&options, &runtime));
        CHECK_REFUSED(weft_runtime_resize(runtime, 1), WEFT_UNSUPPORTED, "threads of its own");
        weft_runtime_release(runtime);
        /* Options that only threads of the runtime's own could follow. */
        options.placement = WEFT_PLACEMENT_COMPACT;
        CHECK_INVALID(weft_runtime_new(&options, &runtime), "placement");
        options.placement = WEFT_PLACEMENT_NONE;
        options.workers = 1;
        options.max_threads = 2;
        CHECK_INVALID(weft_runtime_new(&options, &runtime), "max_threads");
        options.kind = i ? 4 : -1;
        CHECK_INVALID(weft_runtime_new(&options, &runtime), "kind");
    }
    zoo_end(zoo);
}

MISUSE(weft_key_new)
{
    CHECK_INVALID(weft_key_new(NULL), "out");
}

static void misused_locals(weft_worker *worker, void *arg)
{
    weft_key key = 0, later;
    int value;
    (void)arg;
    OK(weft_key_new(&key));
    later = key + 1000000000;
    CHECK_INVALID(weft_worker_local_set(worker, 0, &value, never_drop, NULL), "key");
    CHECK_INVALID(weft_worker_local_set(worker, later, &value, never_drop, NULL), "key");
    CHECK_INVALID(weft_worker_local_set(worker, UINT64_MAX, &value, never_drop, NULL), "key");
    CHECK_NULL(weft_worker_local_get(worker, 0), "key");
    CHECK_NULL(weft_worker_local_get(worker, later), "key");
    CHECK(weft_worker_local_get(worker, key) == NULL);
    OK(weft_worker_local_set(worker, key, NULL, NULL, NULL));
}

MISUSE(weft_worker_local_set)
{
    struct zoo *zoo = zoo_new();
    weft_key key = 0;
    OK(weft_key_new(&key));
    CHECK_INVALID(weft_worker_local_set(NULL, key, zoo, never_drop, NULL), "worker");
    FOR_WRONG(zoo, WORKER, h)
        CHECK_INVALID(weft_worker_local_set(h, key, zoo, never_drop, NULL), "worker");
    CHECK_INVALID(weft_worker_local_set(zoo->worker, key, zoo, never_drop, NULL), "worker");
    OK(weft_run(zoo->runtime, misused_locals, NULL));
    zoo_end(zoo);
}

MISUSE(weft_worker_local_get)
{
    struct zoo *zoo = zoo_new();
    weft_key key = 0;
    OK(weft_key_new(&key));
    CHECK(weft_worker_local_get(NULL, key) == NULL);
    FOR_WRONG(zoo, WORKER, h)
        CHECK_NULL(weft_worker_local_get(h, key), "worker");
    CHECK_NULL(weft_worker_local_get(zoo->worker, key), "worker");
    zoo_end(zoo);
}
