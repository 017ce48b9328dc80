/* Values that belong to worker threads. */
#include "support.h"

#include <stdlib.h>

static weft_key new_key(void)
{
    weft_key key = 0;
    OK(weft_key_new(&key));
    CHECK(key != 0);
    return key;
}

static void set_and_get(weft_worker *worker, void *arg)
{
    struct drops drops = {0};
    weft_key first = new_key(), second = new_key();
    int values[3];
    (void)arg;
    CHECK(first != second);
    CHECK(weft_worker_local_get(worker, first) == NULL);
    OK(weft_worker_local_set(worker, first, &values[0], drop_count, &drops));
    OK(weft_worker_local_set(NULL, second, &values[1], NULL, NULL));
    CHECK(weft_worker_local_get(worker, first) == &values[0]);
    CHECK(weft_worker_local_get(NULL, second) == &values[1]);
    CHECK_INT(drops.count, 0);
    OK(weft_worker_local_set(worker, first, &values[2], drop_count, &drops));
    CHECK_INT(drops.count, 1);
    CHECK(drops.last == &values[0]);
    OK(weft_worker_local_set(worker, first, NULL, NULL, NULL));
    CHECK_INT(drops.count, 2);
    CHECK(drops.last == &values[2]);
    CHECK(weft_worker_local_get(worker, first) == NULL);
    /* NULL with a drop is a value, too. */
    OK(weft_worker_local_set(worker, first, NULL, drop_count, &drops));
    OK(weft_worker_local_set(worker, first, NULL, NULL, NULL));
    CHECK_INT(drops.count, 3);
    OK(weft_worker_local_set(worker, second, NULL, NULL, NULL));
}

TEST(values_are_set_replaced_and_taken_away)
{
    weft_runtime *runtime = runtime_new(1);
    OK(weft_run(runtime, set_and_get, NULL));
    runtime_end(runtime);
    CHECK(weft_worker_local_get(NULL, new_key()) == NULL);
}

static void many_values(weft_worker *worker, void *arg)
{
    enum { KEYS = 1000 };
    static weft_key keys[KEYS];
    static char values[KEYS];
    struct drops *drops = arg;
    for (size_t i = 0; i < KEYS; i++)
        keys[i] = new_key();
    /* In an order that is not the keys'. */
    for (size_t i = 0; i < KEYS; i++)
        OK(weft_worker_local_set(worker, keys[i * 7 % KEYS], &values[i * 7 % KEYS], drop_count, drops));
    for (size_t i = 0; i < KEYS; i++)
        CHECK(weft_worker_local_get(worker, keys[i]) == &values[i]);
}

TEST(as_many_values_as_one_likes)
{
    weft_runtime *runtime = runtime_new(1);
    struct drops drops = {0};
    OK(weft_run(runtime, many_values, &drops));
    CHECK_INT(drops.count, 0);
    runtime_end(runtime);
    CHECK_INT(drops.count, 1000);
}

/* ---- each worker has its own, until its thread ends */

struct threads {
    weft_key key, other;
    struct tally begun;
    atomic_int stopped, dropped;
    weft_status in_drop;
};

static void drop_own(void *ctx, void *value)
{
    struct threads *threads = ctx;
    /* On its own thread, after its stop hook; the newest key's value went before. */
    CHECK(pthread_equal(pthread_self(), *(pthread_t *)value));
    CHECK(weft_worker_local_get(NULL, threads->other) == NULL);
    CHECK(threads->stopped > threads->dropped);
    CHECK_STATUS(weft_worker_local_set(NULL, threads->key, value, NULL, NULL), WEFT_SHUTDOWN);
    atomic_fetch_add(&threads->dropped, 1);
    free(value);
}

static void stop(weft_worker *worker, void *arg)
{
    struct threads *threads = arg;
    pthread_t *own = weft_worker_local_get(worker, threads->key);
    if (own != NULL) {
        CHECK(pthread_equal(pthread_self(), *own));
        atomic_fetch_add(&threads->stopped, 1);
    }
}

static void begin(weft_worker *worker, void *arg)
{
    struct threads *threads = arg;
    pthread_t *own = malloc(sizeof *own);
    REQUIRE(own != NULL);
    *own = pthread_self();
    CHECK(weft_worker_local_get(worker, threads->key) == NULL);
    OK(weft_worker_local_set(worker, threads->key, own, drop_own, threads));
    OK(weft_worker_local_set(worker, threads->other, threads, NULL, NULL));
    /* All at once, so that each is on a thread of its own. */
    tally_add(&threads->begun, 1);
    tally_wait(&threads->begun, 3);
    CHECK(weft_worker_local_get(worker, threads->key) == own);
}

TEST(values_go_with_their_threads)
{
    struct threads threads = {new_key(), new_key(), TALLY_INIT, 0, 0, WEFT_OK};
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = 3;
    options.on_worker_stop = stop;
    options.hook_arg = &threads;
    OK(weft_runtime_new(&options, &runtime));
    for (int i = 0; i < 3; i++)
        OK(weft_spawn(runtime, begin, &threads));
    runtime_end(runtime);
    CHECK_INT(threads.stopped, 3);
    CHECK_INT(threads.dropped, 3);
}

static void set_one(weft_worker *worker, void *arg)
{
    struct threads *threads = arg;
    pthread_t *own = malloc(sizeof *own);
    REQUIRE(own != NULL);
    *own = pthread_self();
    CHECK(weft_worker_local_get(worker, threads->key) == NULL);
    OK(weft_worker_local_set(worker, threads->key, own, drop_own, threads));
}

TEST(a_guest_leaves_nothing_behind)
{
    struct threads threads = {new_key(), new_key(), TALLY_INIT, 0, 0, WEFT_OK};
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.kind = WEFT_KIND_SINGLE;
    options.on_worker_stop = stop;
    options.hook_arg = &threads;
    OK(weft_runtime_new(&options, &runtime));
    for (int i = 0; i < 3; i++)
        OK(weft_spawn(runtime, set_one, &threads));
    for (int i = 1; i <= 3; i++) {
        OK(weft_runtime_run(runtime, WEFT_RUN_ONE_STEP));
        CHECK_INT(threads.dropped, i);
    }
    runtime_end(runtime);
}
