/* Runtimes: options and their limits, workers, names, stacks, references, many runtimes at once. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static weft_runtime_options defaults(void)
{
    weft_runtime_options options;
    OK(weft_runtime_options_init(&options, sizeof options));
    return options;
}

static void refused(const weft_runtime_options *options, const char *field)
{
    weft_runtime *runtime = SENTINEL;
    CHECK_INVALID(weft_runtime_new(options, &runtime), field);
    CHECK(runtime == SENTINEL);
    CHECK_INVALID(weft_runtime_configure_default(options), field);
}

static void accepted(const weft_runtime_options *options, int32_t workers)
{
    weft_runtime *runtime = NULL;
    OK(weft_runtime_new(options, &runtime));
    if (workers > 0)
        CHECK_INT(weft_runtime_workers(runtime), workers);
    runtime_end(runtime);
}

TEST(init_fills_in_the_defaults)
{
    weft_runtime_options options;
    memset(&options, 0xff, sizeof options);
    OK(weft_runtime_options_init(&options, sizeof options));
    CHECK_INT(options.size, sizeof options);
    CHECK_INT(options.workers, 0);
    CHECK_INT(options.max_threads, 0);
    CHECK_INT(options.stack_size, 0);
    CHECK_INT(options.keep_alive_ns, 0);
    CHECK(options.topology == NULL);
    CHECK(options.on_worker_start == NULL && options.on_worker_stop == NULL && options.hook_arg == NULL);
    accepted(&options, 0);
}

TEST(no_options_are_all_defaults)
{
    weft_topology *topology = NULL;
    weft_runtime *runtime = NULL;
    OK(weft_topology_new(&topology));
    OK(weft_runtime_new(NULL, &runtime));
    CHECK(weft_runtime_workers(runtime) >= 1);
    /* A cgroup quota may allow fewer than the CPUs one sees, never more. */
    CHECK(weft_runtime_workers(runtime) <= (int32_t)weft_topology_cpus(topology));
    runtime_end(runtime);
    weft_topology_release(topology);
}

TEST(numbers_of_workers)
{
    weft_runtime_options options = defaults();
    options.workers = 1;
    accepted(&options, 1);
    options.workers = 5;
    accepted(&options, 5);
    options.workers = -1;
    refused(&options, "workers");
    options.workers = INT32_MIN;
    refused(&options, "workers");
    options.workers = 4097;
    refused(&options, "workers");
    options.workers = INT32_MAX;
    refused(&options, "workers");
}

/* As many workers as may be: threads come with the work, so this costs next to nothing. */
TEST(the_largest_number_of_workers)
{
    weft_runtime_options options = defaults();
    options.workers = 4096;
    accepted(&options, 4096);
}

TEST(numbers_of_threads)
{
    weft_runtime_options options = defaults();
    options.workers = 2;
    options.max_threads = 2;
    accepted(&options, 2);
    options.max_threads = 16383;
    accepted(&options, 2);
    options.max_threads = 1;
    refused(&options, "max_threads");
    options.max_threads = -1;
    refused(&options, "max_threads");
    options.max_threads = 16384;
    refused(&options, "max_threads");
    options.workers = 300;
    options.max_threads = 0;
    accepted(&options, 300);
}

TEST(stack_sizes)
{
    weft_runtime_options options = defaults();
    options.stack_size = 64 * 1024;
    accepted(&options, 0);
    options.stack_size = 64 * 1024 - 1;
    refused(&options, "stack_size");
    options.stack_size = 1;
    refused(&options, "stack_size");
}

/* The threads cannot be had, which is found out when the runtime is made or when it needs one; it is never a crash. */
TEST(an_absurd_stack_size)
{
    weft_runtime_options options = defaults();
    weft_runtime *runtime = SENTINEL;
    options.stack_size = SIZE_MAX;
    weft_status status = weft_runtime_new(&options, &runtime);
    CHECK(status == WEFT_INVALID || status == WEFT_NOMEM || status == WEFT_OS || status == WEFT_TOO_LARGE);
    CHECK(runtime == SENTINEL);
}

TEST(times_to_keep_threads)
{
    weft_runtime_options options = defaults();
    options.keep_alive_ns = WEFT_FOREVER;
    accepted(&options, 0);
    options.keep_alive_ns = 1;
    accepted(&options, 0);
    options.keep_alive_ns = -1;
    refused(&options, "keep_alive_ns");
    options.keep_alive_ns = INT64_MIN;
    refused(&options, "keep_alive_ns");
}

TEST(sizes_of_the_options)
{
    struct {
        weft_runtime_options options;
        unsigned char later[64];
    } larger;
    weft_runtime_options options = defaults();
    options.size = 0;
    refused(&options, "size");
    options.size = sizeof(size_t);
    refused(&options, "size");
    options.size = SIZE_MAX;
    refused(&options, "size");

    memset(&larger, 0xff, sizeof larger);
    OK(weft_runtime_options_init(&larger.options, sizeof larger));
    CHECK_INT(larger.options.size, sizeof larger);
    accepted(&larger.options, 0);
    larger.later[63] = 1;
    refused(&larger.options, "options");
}

static void note_name(weft_worker *worker, void *arg)
{
    (void)worker;
    REQUIRE(pthread_getname_np(pthread_self(), arg, 16) == 0);
}

TEST(threads_are_named_after_the_runtime)
{
    weft_runtime_options options = defaults();
    weft_runtime *runtime = NULL;
    char prefix[] = "loom";
    char name[16] = "";
    options.name = prefix;
    OK(weft_runtime_new(&options, &runtime));
    memset(prefix, '?', 4);
    OK(weft_run(runtime, note_name, name));
    CHECK(strncmp(name, "loom", 4) == 0);
    runtime_end(runtime);

    OK(weft_runtime_new(NULL, &runtime));
    OK(weft_run(runtime, note_name, name));
    CHECK(strncmp(name, "weft", 4) == 0);
    runtime_end(runtime);
}

TEST(long_and_odd_names)
{
    static const char *const names[] = {"", "a name much longer than the kernel's fifteen characters", "\xc3\xa4\xff", "%s%n"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        weft_runtime_options options = defaults();
        weft_runtime *runtime = NULL;
        char name[16] = "";
        options.name = names[i];
        OK(weft_runtime_new(&options, &runtime));
        OK(weft_run(runtime, note_name, name));
        CHECK(strncmp(name, names[i], 4) == 0 || i == 0 || i == 2);
        runtime_end(runtime);
    }
}

static void use_stack(weft_worker *worker, void *arg)
{
    pthread_attr_t attributes;
    size_t size = 0;
    (void)worker;
    REQUIRE(pthread_getattr_np(pthread_self(), &attributes) == 0);
    REQUIRE(pthread_attr_getstacksize(&attributes, &size) == 0);
    pthread_attr_destroy(&attributes);
    CHECK(size >= *(size_t *)arg);
}

TEST(stacks_are_as_large_as_asked)
{
    size_t sizes[] = {128 * 1024, 0, 16 * 1024 * 1024};
    for (size_t i = 0; i < 3; i++) {
        weft_runtime_options options = defaults();
        weft_runtime *runtime = NULL;
        size_t expected = sizes[i] != 0 ? sizes[i] : 2 * 1024 * 1024;
        options.stack_size = sizes[i];
        OK(weft_runtime_new(&options, &runtime));
        OK(weft_run(runtime, use_stack, &expected));
        runtime_end(runtime);
    }
}

static void count(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)arg, 1);
}

TEST(references)
{
    atomic_int ran = 0;
    weft_runtime *runtime = runtime_new(2);
    CHECK(weft_runtime_retain(runtime) == runtime);
    weft_runtime_release(runtime);
    OK(weft_run(runtime, count, &ran));
    CHECK_INT(ran, 1);
    runtime_end(runtime);
}

struct unattended {
    gate hold;
    struct tally ended;
    atomic_int ran;
    struct drops drops;
};

static void hold_the_worker(weft_worker *worker, void *arg)
{
    struct unattended *u = arg;
    (void)worker;
    gate_wait(&u->hold);
    atomic_fetch_add(&u->ran, 1);
}

static void run_unattended(weft_worker *worker, void *arg)
{
    struct unattended *u = arg;
    (void)worker;
    atomic_fetch_add(&u->ran, 1);
}

static void thread_ends(weft_worker *worker, void *arg)
{
    struct unattended *u = arg;
    (void)worker;
    tally_add(&u->ended, 1);
}

static void drop_unattended(void *ctx, void *value)
{
    struct unattended *u = ctx;
    drop_count(&u->drops, value);
}

/* The last release does not block, drops what can be dropped, and runs what cannot. */
TEST(a_release_without_shutdown)
{
    static struct unattended u = {.hold = GATE_INIT, .ended = TALLY_INIT};
    weft_runtime_options options = defaults();
    weft_spawn_options with_drop;
    weft_runtime *runtime = NULL;
    options.workers = 1;
    options.on_worker_stop = thread_ends;
    options.hook_arg = &u;
    OK(weft_spawn_options_init(&with_drop, sizeof with_drop));
    with_drop.arg_drop = drop_unattended;
    with_drop.drop_ctx = &u;
    OK(weft_runtime_new(&options, &runtime));
    OK(weft_spawn(runtime, hold_the_worker, &u));
    for (int i = 0; i < 10; i++) {
        OK(weft_spawn(runtime, run_unattended, &u));
        OK(weft_spawn_with(runtime, run_unattended, &u, &with_drop));
    }
    weft_runtime_release(runtime);
    gate_open(&u.hold);
    tally_wait(&u.ended, 1);
    /* The one worker took the hold first or some of the others; what has a drop ran before it or was dropped. */
    CHECK_INT(u.ran + u.drops.count, 21);
    CHECK(u.ran >= 11);
}

struct family {
    weft_runtime *self;
    weft_runtime *other;
    atomic_int ran;
};

static void who_am_i(weft_worker *worker, void *arg)
{
    struct family *family = arg;
    CHECK(weft_worker_runtime(worker) == family->self);
    CHECK_INT(weft_runtime_workers(NULL), weft_runtime_workers(family->self));
    atomic_fetch_add(&family->ran, 1);
}

static void call_next(weft_worker *worker, void *arg)
{
    struct family *family = arg;
    struct family *next = family + 1;
    CHECK(weft_worker_runtime(worker) == family->self);
    if (family->other != NULL)
        OK(weft_run(family->other, call_next, next));
    CHECK(weft_worker_current() == worker);
    atomic_fetch_add(&family->ran, 1);
}

TEST(many_runtimes_at_once)
{
    enum { RUNTIMES = 12, TASKS = 200 };
    struct family family[RUNTIMES] = {0};
    for (int i = 0; i < RUNTIMES; i++)
        family[i].self = runtime_new(1 + i % 3);
    for (int t = 0; t < TASKS; t++)
        for (int i = 0; i < RUNTIMES; i++)
            OK(weft_spawn(family[i].self, who_am_i, &family[i]));
    /* Each waits in a task for a task of the next. */
    for (int i = 0; i + 1 < RUNTIMES; i++)
        family[i].other = family[i + 1].self;
    OK(weft_run(family[0].self, call_next, &family[0]));
    for (int i = 0; i < RUNTIMES; i++) {
        runtime_end(family[i].self);
        CHECK_INT(family[i].ran, TASKS + 1);
    }
}

TEST(runtimes_come_and_go)
{
    atomic_int ran = 0;
    int rounds = under_a_tool() ? 20 : 200;
    for (int i = 0; i < rounds; i++) {
        weft_runtime *runtime = runtime_new(1 + i % 4);
        for (int t = 0; t < 10; t++)
            OK(weft_spawn(runtime, count, &ran));
        runtime_end(runtime);
    }
    CHECK_INT(ran, rounds * 10);
}
