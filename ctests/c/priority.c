/* Priorities, node hints and hints: what runs before what, on one worker and in exact order; nothing starves. */
#include "support.h"

#include <string.h>

/* What has run, in order. */
struct journal {
    int entries[100];
    atomic_int length;
};

struct entry {
    struct journal *journal;
    int number;
};

static void enter(weft_worker *worker, void *arg)
{
    struct entry *entry = arg;
    (void)worker;
    entry->journal->entries[atomic_fetch_add(&entry->journal->length, 1)] = entry->number;
}

static weft_status enter_call(weft_worker *worker, void *arg, void **result)
{
    enter(worker, arg);
    *result = NULL;
    return WEFT_OK;
}

static weft_spawn_options with_priority(int32_t priority)
{
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.priority = priority;
    return options;
}

/* A runtime whose one worker is held: what is spawned meanwhile is queued. */
struct held {
    weft_runtime *runtime;
    gate started, release;
};

static void hold(weft_worker *worker, void *arg)
{
    struct held *held = arg;
    (void)worker;
    gate_open(&held->started);
    gate_wait(&held->release);
}

static void held_begin_with(struct held *held, int32_t max_threads)
{
    static const struct held fresh = {NULL, GATE_INIT, GATE_INIT};
    *held = fresh;
    held->runtime = runtime_new_limited(1, max_threads);
    OK(weft_spawn(held->runtime, hold, held));
    gate_wait(&held->started);
}

static void held_begin(struct held *held)
{
    held_begin_with(held, 1);
}

static void held_end(struct held *held)
{
    gate_open(&held->release);
    runtime_end(held->runtime);
}

static void check_order(const struct journal *journal, const int *expected, int n)
{
    CHECK_INT(journal->length, n);
    for (int i = 0; i < n && i < journal->length; i++)
        CHECK_INT(journal->entries[i], expected[i]);
}

TEST(options_have_defaults)
{
    weft_spawn_options options;
    memset(&options, 0xff, sizeof options);
    OK(weft_spawn_options_init(&options, sizeof options));
    CHECK_INT(options.priority, WEFT_PRIORITY_NORMAL);
    CHECK_INT(options.node, WEFT_ANY_NODE);
    CHECK_INT(options.hints, 0);
}

TEST(higher_priorities_run_first)
{
    static const int32_t priorities[] = {WEFT_PRIORITY_LOW, WEFT_PRIORITY_NORMAL, WEFT_PRIORITY_HIGH, WEFT_PRIORITY_CRITICAL};
    static const int expected[] = {3, 7, 11, 2, 6, 10, 1, 5, 9, 0, 4, 8};
    struct held held;
    struct journal journal = {.length = 0};
    struct entry entries[12];
    weft_future *futures[12];
    held_begin(&held);
    for (int i = 0; i < 12; i++) {
        weft_spawn_options options = with_priority(priorities[i % 4]);
        options.node = i % 2 == 0 ? 0 : WEFT_ANY_NODE;
        entries[i] = (struct entry){&journal, i};
        futures[i] = NULL;
        if (i < 6)
            OK(weft_spawn_with(held.runtime, enter, &entries[i], &options));
        else
            OK(weft_async(held.runtime, enter_call, &entries[i], &options, &futures[i]));
    }
    held_end(&held);
    check_order(&journal, expected, 12);
    for (int i = 0; i < 12; i++)
        weft_future_release(futures[i]);
}

struct inner {
    struct journal journal;
    struct entry entries[4];
};

/* On the worker itself: the urgent overtakes what is in its own queue, a child inherits nothing. */
static void spawn_inside(weft_worker *worker, void *arg)
{
    struct inner *inner = arg;
    weft_runtime *runtime = weft_worker_runtime(worker);
    weft_spawn_options low = with_priority(WEFT_PRIORITY_LOW), high = with_priority(WEFT_PRIORITY_HIGH);
    for (int i = 0; i < 4; i++)
        inner->entries[i] = (struct entry){&inner->journal, i};
    OK(weft_spawn(runtime, enter, &inner->entries[1]));
    OK(weft_spawn_with(runtime, enter, &inner->entries[0], &low));
    OK(weft_spawn_with(runtime, enter, &inner->entries[3], &high));
    OK(weft_spawn(runtime, enter, &inner->entries[2]));
}

TEST(priorities_among_the_tasks_of_a_task)
{
    static const int expected[] = {3, 2, 1, 0};
    for (int32_t priority = WEFT_PRIORITY_LOW; priority <= WEFT_PRIORITY_CRITICAL; priority++) {
        struct inner inner = {.journal = {.length = 0}};
        weft_runtime *runtime = runtime_new_limited(1, 1);
        weft_spawn_options options = with_priority(priority);
        OK(weft_spawn_with(runtime, spawn_inside, &inner, &options));
        runtime_end(runtime);
        check_order(&inner.journal, expected, 4);
    }
}

/* Endless tasks of one priority until one of another has run; how many it took is bounded by the number of picks. */
struct siege {
    weft_runtime *runtime;
    int32_t load;
    int picks;
    bool relieved;
};

static void besiege(weft_worker *worker, void *arg)
{
    struct siege *siege = arg;
    (void)worker;
    if (siege->relieved || ++siege->picks > 100000)
        return;
    weft_spawn_options options = with_priority(siege->load);
    OK(weft_spawn_with(siege->runtime, besiege, siege, &options));
}

static void relieve(weft_worker *worker, void *arg)
{
    (void)worker;
    ((struct siege *)arg)->relieved = true;
}

static void check_siege(int32_t load, int32_t starving)
{
    struct held held;
    held_begin(&held);
    struct siege siege = {held.runtime, load, 0, false};
    weft_spawn_options options = with_priority(load);
    OK(weft_spawn_with(held.runtime, besiege, &siege, &options));
    options.priority = starving;
    OK(weft_spawn_with(held.runtime, relieve, &siege, &options));
    held_end(&held);
    CHECK(siege.relieved);
    CHECK(siege.picks <= 488);
}

static void wait_with_a_timeout(weft_worker *worker, void *arg)
{
    (void)worker;
    OK(weft_future_wait(arg, INT64_C(3600) * 1000000000));
}

static void select_it(weft_worker *worker, void *arg)
{
    weft_select_case cases[2] = {{.op = WEFT_SELECT_FUTURE, .handle = arg}, {.op = WEFT_SELECT_TIMER, .arg = INT64_MAX}};
    size_t fired = 9;
    (void)worker;
    OK(weft_select(cases, 2, WEFT_FOREVER, &fired));
    CHECK_INT(fired, 0);
}

TEST(a_task_that_is_waited_for_inherits_the_priority)
{
    static const weft_task_fn waits[] = {NULL, wait_with_a_timeout, select_it};
    for (int inherits = 0; inherits < 3; inherits++) {
        struct journal journal = {.length = 0};
        struct entry low = {&journal, 1}, normal = {&journal, 2};
        struct held held;
        weft_future *future = NULL;
        weft_spawn_options options = with_priority(WEFT_PRIORITY_LOW);
        held_begin_with(&held, 2);
        OK(weft_async(held.runtime, enter_call, &low, &options, &future));
        for (int i = 0; i < 5; i++)
            OK(weft_spawn(held.runtime, enter, &normal));
        options = with_priority(WEFT_PRIORITY_HIGH);
        if (inherits)
            OK(weft_spawn_with(held.runtime, waits[inherits], future, &options));
        gate_open(&held.release);
        OK(weft_runtime_shutdown(held.runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
        CHECK_INT(atomic_load(&journal.length), 6);
        CHECK_INT(journal.entries[inherits ? 0 : 5], 1);
        weft_runtime_stats stats = runtime_stats(held.runtime);
        CHECK_INT(stats.executed + stats.discarded, stats.spawned);
        weft_future_release(future);
        weft_runtime_release(held.runtime);
    }
}

TEST(low_progresses_under_an_endless_load)
{
    check_siege(WEFT_PRIORITY_NORMAL, WEFT_PRIORITY_LOW);
    check_siege(WEFT_PRIORITY_HIGH, WEFT_PRIORITY_LOW);
    check_siege(WEFT_PRIORITY_CRITICAL, WEFT_PRIORITY_LOW);
}

TEST(normal_and_high_progress_under_an_endless_load)
{
    check_siege(WEFT_PRIORITY_HIGH, WEFT_PRIORITY_NORMAL);
    check_siege(WEFT_PRIORITY_CRITICAL, WEFT_PRIORITY_NORMAL);
    check_siege(WEFT_PRIORITY_CRITICAL, WEFT_PRIORITY_HIGH);
}

/* ---- not stealable */

struct pinned {
    int32_t home;
    gate stolen;
    atomic_int ran, elsewhere;
};

static void note_worker(weft_worker *worker, void *arg)
{
    struct pinned *pinned = arg;
    atomic_fetch_add(&pinned->ran, 1);
    atomic_fetch_add(&pinned->elsewhere, weft_worker_index(worker) != pinned->home);
}

static void open_gate(weft_worker *worker, void *arg)
{
    struct pinned *pinned = arg;
    (void)worker;
    gate_open(&pinned->stolen);
}

/* The ordinary task must be stolen before this one ends: the thief was there, and left the others alone. */
static void pin_some(weft_worker *worker, void *arg)
{
    struct pinned *pinned = arg;
    weft_runtime *runtime = weft_worker_runtime(worker);
    weft_spawn_options options = with_priority(WEFT_PRIORITY_NORMAL);
    options.hints = WEFT_HINT_NOT_STEALABLE;
    pinned->home = weft_worker_index(worker);
    for (int i = 0; i < 50; i++)
        OK(weft_spawn_with(runtime, note_worker, pinned, &options));
    OK(weft_spawn(runtime, open_gate, pinned));
    gate_wait(&pinned->stolen);
}

TEST(a_task_that_is_not_stealable_stays)
{
    struct pinned pinned = {.stolen = GATE_INIT};
    weft_runtime *runtime = runtime_new(2);
    OK(weft_spawn(runtime, pin_some, &pinned));
    runtime_end(runtime);
    CHECK_INT(pinned.ran, 50);
    CHECK_INT(pinned.elsewhere, 0);
}

static weft_status answer(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    *result = arg;
    return WEFT_OK;
}

static void wait_for_pinned(weft_worker *worker, void *arg)
{
    weft_spawn_options options = with_priority(WEFT_PRIORITY_NORMAL);
    weft_future *future = NULL;
    void *value = NULL;
    options.hints = WEFT_HINT_NOT_STEALABLE;
    OK(weft_async(weft_worker_runtime(worker), answer, arg, &options, &future));
    OK(weft_future_get(future, WEFT_FOREVER, &value));
    CHECK(value == arg);
    weft_future_release(future);
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* A task waits for one that only its own thread would run: the thread blocks, so it may run elsewhere. */
TEST(a_task_may_wait_for_one_that_is_not_stealable)
{
    atomic_int ran = 0;
    weft_runtime *runtime = runtime_new(1);
    for (int i = 0; i < 20; i++)
        OK(weft_spawn(runtime, wait_for_pinned, &ran));
    runtime_end(runtime);
    CHECK_INT(ran, 20);
}

static void block_elsewhere(weft_worker *worker, void *arg)
{
    weft_spawn_options options = with_priority(WEFT_PRIORITY_NORMAL);
    struct pinned *pinned = arg;
    options.hints = WEFT_HINT_NOT_STEALABLE;
    OK(weft_spawn_with(NULL, note_worker, pinned, &options));
    weft_blocking_begin(worker);
    OK(weft_spawn_with(NULL, open_gate, pinned, &options));
    gate_wait(&pinned->stolen);
    weft_blocking_end(worker);
}

/* The same when the wait is not Weft's, and for what is spawned meanwhile. */
TEST(nothing_stays_with_a_thread_that_says_it_blocks)
{
    struct pinned pinned = {.stolen = GATE_INIT};
    weft_runtime *runtime = runtime_new(1);
    OK(weft_spawn(runtime, block_elsewhere, &pinned));
    runtime_end(runtime);
    CHECK_INT(pinned.ran, 1);
}

TEST(from_outside_a_task_that_is_not_stealable_runs_anywhere)
{
    struct held held;
    struct journal journal = {.length = 0};
    struct entry entry = {&journal, 7};
    weft_spawn_options options = with_priority(WEFT_PRIORITY_NORMAL);
    options.hints = WEFT_HINT_NOT_STEALABLE;
    held_begin(&held);
    OK(weft_spawn_with(held.runtime, enter, &entry, &options));
    held_end(&held);
    check_order(&journal, (const int[]){7}, 1);
}

/* ---- what is refused */

static void never(weft_worker *worker, void *arg)
{
    (void)worker, (void)arg;
    CHECK(!"a task ran that was refused");
}

static weft_status never_call(weft_worker *worker, void *arg, void **result)
{
    never(worker, arg);
    *result = NULL;
    return WEFT_OK;
}

static void check_refused(weft_runtime *runtime, const weft_spawn_options *options, const char *part)
{
    weft_future *future = SENTINEL;
    CHECK_INVALID(weft_spawn_with(runtime, never, NULL, options), part);
    CHECK_INVALID(weft_async(runtime, never_call, NULL, options, &future), part);
    CHECK(future == SENTINEL);
}

TEST(options_that_mean_nothing_are_refused)
{
    struct drops drops = {0};
    weft_runtime *runtime = runtime_new(1);
    static const int32_t priorities[] = {-2, 3, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 4; i++) {
        weft_spawn_options options = with_priority(priorities[i]);
        options.arg_drop = drop_count;
        options.drop_ctx = &drops;
        check_refused(runtime, &options, "priority");
    }
    static const int32_t nodes[] = {-2, 1024, INT32_MIN, INT32_MAX};
    for (int i = 0; i < 4; i++) {
        weft_spawn_options options = with_priority(WEFT_PRIORITY_NORMAL);
        options.node = nodes[i];
        check_refused(runtime, &options, "node");
    }
    weft_spawn_options options = with_priority(WEFT_PRIORITY_NORMAL);
    options.hints = 1 << 20;
    check_refused(runtime, &options, "hints");
    options.hints = INT64_MIN;
    check_refused(runtime, &options, "hints");
    options.hints = WEFT_HINT_NOT_STEALABLE;
    options.node = 0;
    check_refused(runtime, &options, "hints");
    options.node = WEFT_ANY_NODE;
    options.priority = WEFT_PRIORITY_HIGH;
    check_refused(runtime, &options, "hints");
    runtime_end(runtime);
    CHECK_INT(drops.count, 0);
}
