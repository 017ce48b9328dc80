/* Endless loads starve nobody: what a blocked task waits for, another submitter's work, another node's. And what runs on top of
 * a waiting task leaves that task's promises alone.
 *
 * A load that never ends by itself is ended by what it could starve, so a fault shows as a test that does not end.
 */
#include "support.h"

#include <sched.h>

#include <stdlib.h>

struct load {
    weft_runtime *runtime;
    weft_spawn_options options;
    atomic_bool relieved;
    atomic_uint_fast64_t picks;
};

static void load_init(struct load *load, weft_runtime *runtime)
{
    load->runtime = runtime;
    atomic_init(&load->relieved, false);
    atomic_init(&load->picks, 0);
    OK(weft_spawn_options_init(&load->options, sizeof load->options));
}

static void respawn(weft_worker *worker, void *arg)
{
    struct load *load = arg;
    (void)worker;
    atomic_fetch_add(&load->picks, 1);
    if (!atomic_load(&load->relieved))
        OK(weft_spawn_with(load->runtime, respawn, load, &load->options));
}

static void relieve(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_store(&((struct load *)arg)->relieved, true);
}

/* ---- what blocked tasks wait for */

struct parent {
    struct load load;
    weft_channel *channel;
    bool forks;
};

static void answer(weft_worker *worker, void *arg)
{
    uint64_t element = 1;
    (void)worker;
    OK(weft_channel_send(((struct parent *)arg)->channel, &element, WEFT_FOREVER));
}

static void ask(weft_worker *worker, void *arg)
{
    struct parent *parent = arg;
    uint64_t element = 0;
    if (parent->forks)
        weft_fork(worker, answer, parent);
    else
        OK(weft_spawn(NULL, answer, parent));
    OK(weft_channel_recv(parent->channel, &element, WEFT_FOREVER));
    if (parent->forks)
        CHECK(!weft_sync(worker));
    relieve(worker, &parent->load);
}

TEST(what_a_blocked_task_left_for_others_is_run)
{
    for (int round = 0; round < 40; round++) {
        int32_t workers = 1 + round / 2 % 2;
        struct parent parent = {.channel = channel_new(8, 0), .forks = round % 2};
        weft_runtime *runtime = runtime_new(workers);
        load_init(&parent.load, runtime);
        OK(weft_spawn(runtime, ask, &parent));
        for (int32_t i = 0; i < workers + 1; i++)
            OK(weft_spawn(runtime, respawn, &parent.load));
        runtime_end(runtime);
        CHECK(atomic_load(&parent.load.relieved));
        weft_channel_release(parent.channel);
    }
}

/* ---- submitters */

struct held {
    gate held, release;
};

static void hold(weft_worker *worker, void *arg)
{
    struct held *held = arg;
    (void)worker;
    gate_open(&held->held);
    gate_wait(&held->release);
}

struct submitters {
    struct load load;
    struct tally turn;
    size_t threads;
    bool by_lane;
    uint64_t picks_before;
};

static void count_pick(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add(&((struct submitters *)arg)->load.picks, 1);
}

static void note_picks(weft_worker *worker, void *arg)
{
    struct submitters *submitters = arg;
    (void)worker;
    submitters->picks_before = atomic_load(&submitters->load.picks);
}

enum { FLOOD = 20000 };

static void submit_in_turn(size_t index, void *arg)
{
    struct submitters *submitters = arg;
    tally_wait(&submitters->turn, index);
    if (index == 0)
        for (int i = 0; i < FLOOD; i++)
            OK(weft_spawn(submitters->load.runtime, count_pick, submitters));
    else if (index + 1 < submitters->threads)
        OK(weft_spawn(submitters->load.runtime, count_pick, submitters));
    else
        OK(weft_spawn_with(submitters->load.runtime, note_picks, submitters, &submitters->load.options));
    tally_add(&submitters->turn, 1);
    /* All at once, so that each has a queue of its own. */
    tally_wait(&submitters->turn, submitters->threads);
}

TEST(every_submitter_has_its_turn)
{
    for (size_t threads = 2; threads <= 16; threads++) {
        for (int by_lane = 0; by_lane < 2; by_lane++) {
            struct held held = {GATE_INIT, GATE_INIT};
            struct submitters submitters = {.turn = TALLY_INIT, .threads = threads};
            weft_runtime *runtime = runtime_new_limited(1, 1);
            load_init(&submitters.load, runtime);
            submitters.load.options.node = by_lane ? 0 : WEFT_ANY_NODE;
            OK(weft_spawn(runtime, hold, &held));
            gate_wait(&held.held);
            threads_together(threads, submit_in_turn, &submitters);
            gate_open(&held.release);
            runtime_end(runtime);
            /* Shares have 32 tasks; every queue gets one before any gets its second, or third where a lane has its turn. */
            CHECK(submitters.picks_before <= 32 * 4 + threads);
        }
    }
}

/* ---- nodes */

TEST(work_for_another_node_progresses)
{
    static const int32_t priorities[] = {WEFT_PRIORITY_LOW, WEFT_PRIORITY_NORMAL, WEFT_PRIORITY_HIGH, WEFT_PRIORITY_CRITICAL};
    for (int32_t i = 0; i < 4; i++) {
        struct load load;
        struct held held = {GATE_INIT, GATE_INIT};
        weft_topology *machine = NULL;
        weft_runtime *runtime = NULL;
        weft_runtime_options options;
        OK(weft_topology_from_string("numa:3 core:1 pu:1", &machine));
        OK(weft_runtime_options_init(&options, sizeof options));
        options.workers = options.max_threads = 1;
        options.topology = machine;
        options.placement = WEFT_PLACEMENT_COMPACT;
        OK(weft_runtime_new(&options, &runtime));
        load_init(&load, runtime);
        OK(weft_spawn(runtime, hold, &held));
        gate_wait(&held.held);
        load.options.priority = priorities[i];
        load.options.node = 0;
        OK(weft_spawn_with(runtime, respawn, &load, &load.options));
        weft_spawn_options there = load.options;
        there.node = 2;
        OK(weft_spawn_with(runtime, relieve, &load, &there));
        gate_open(&held.release);
        runtime_end(runtime);
        /* Each node's turn comes every 488 picks. */
        CHECK(atomic_load(&load.picks) <= 3 * 488);
        weft_topology_release(machine);
    }
}

struct pair {
    struct tally started;
    int32_t node[2];
};

static void start_on(struct pair *pair, weft_worker *worker, int node)
{
    weft_worker_stats stats = {.size = sizeof stats};
    OK(weft_runtime_worker_stats_get(weft_worker_runtime(worker), weft_worker_index(worker), &stats));
    pair->node[node] = (int32_t)stats.node;
    tally_add(&pair->started, 1);
    tally_wait(&pair->started, 2);
}

static void start_on_0(weft_worker *worker, void *arg)
{
    start_on(arg, worker, 0);
}

static void start_on_1(weft_worker *worker, void *arg)
{
    start_on(arg, worker, 1);
}

TEST(a_nodes_workers_look_at_its_work_first)
{
    weft_topology *machine = NULL;
    weft_runtime *runtime = NULL;
    weft_runtime_options options;
    weft_spawn_options there;
    OK(weft_topology_from_string("numa:2 core:1 pu:1", &machine));
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = options.max_threads = 2;
    options.topology = machine;
    options.placement = WEFT_PLACEMENT_COMPACT;
    OK(weft_runtime_new(&options, &runtime));
    OK(weft_spawn_options_init(&there, sizeof there));
    for (int round = 0; round < 50; round++) {
        struct held held[2] = {{GATE_INIT, GATE_INIT}, {GATE_INIT, GATE_INIT}};
        struct pair pair = {.started = TALLY_INIT};
        for (int i = 0; i < 2; i++)
            OK(weft_spawn(runtime, hold, &held[i]));
        for (int i = 0; i < 2; i++)
            gate_wait(&held[i].held);
        there.node = 0;
        OK(weft_spawn_with(runtime, start_on_0, &pair, &there));
        there.node = 1;
        OK(weft_spawn_with(runtime, start_on_1, &pair, &there));
        for (int i = 0; i < 2; i++)
            gate_open(&held[i].release);
        tally_wait(&pair.started, 2);
        CHECK_INT(pair.node[0], 0);
        CHECK_INT(pair.node[1], 1);
        /* Both are back before the next round. */
        while (runtime_stats(runtime).executed < (uint64_t)(4 * round + 4))
            sched_yield();
    }
    runtime_end(runtime);
    weft_topology_release(machine);
}

/* ---- tasks that are not stealable */

struct crowd {
    struct load own, pinned;
};

static void relieve_both(weft_worker *worker, void *arg)
{
    struct crowd *crowd = arg;
    relieve(worker, &crowd->own);
    relieve(worker, &crowd->pinned);
}

static void crowd_out(weft_worker *worker, void *arg)
{
    struct crowd *crowd = arg;
    (void)worker;
    /* The newest come first, so only a turn of the oldest reaches this one. */
    OK(weft_spawn(crowd->own.runtime, relieve_both, crowd));
    OK(weft_spawn(crowd->own.runtime, respawn, &crowd->own));
    OK(weft_spawn_with(crowd->pinned.runtime, respawn, &crowd->pinned, &crowd->pinned.options));
}

TEST(a_threads_oldest_task_progresses_beside_pinned_ones)
{
    struct crowd crowd;
    weft_runtime *runtime = runtime_new_limited(1, 1);
    load_init(&crowd.own, runtime);
    load_init(&crowd.pinned, runtime);
    crowd.pinned.options.hints = WEFT_HINT_NOT_STEALABLE;
    OK(weft_spawn(runtime, crowd_out, &crowd));
    runtime_end(runtime);
    CHECK(atomic_load(&crowd.own.picks) + atomic_load(&crowd.pinned.picks) <= 2 * 488);
}

struct pinned {
    weft_runtime *runtime;
    weft_future *future;
    gate made, blocks, ran;
    int32_t home, ran_on;
};

static weft_status note_worker(weft_worker *worker, void *arg, void **result)
{
    struct pinned *pinned = arg;
    (void)result;
    pinned->ran_on = weft_worker_index(worker);
    gate_open(&pinned->ran);
    return WEFT_OK;
}

static weft_spawn_options not_stealable(void)
{
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.hints = WEFT_HINT_NOT_STEALABLE;
    return options;
}

static void pin_and_wait_outside_weft(weft_worker *worker, void *arg)
{
    struct pinned *pinned = arg;
    weft_spawn_options options = not_stealable();
    pinned->home = weft_worker_index(worker);
    OK(weft_async(pinned->runtime, note_worker, pinned, &options, &pinned->future));
    gate_open(&pinned->made);
    gate_wait(&pinned->blocks);
}

static void wait_for_it(weft_worker *worker, void *arg)
{
    struct pinned *pinned = arg;
    (void)worker;
    OK(weft_future_wait(pinned->future, WEFT_FOREVER));
}

TEST(who_waits_for_a_pinned_task_leaves_it_to_its_thread)
{
    struct pinned pinned = {.made = GATE_INIT, .blocks = GATE_INIT, .ran = GATE_INIT};
    pinned.runtime = runtime_new(2);
    OK(weft_spawn(pinned.runtime, pin_and_wait_outside_weft, &pinned));
    gate_wait(&pinned.made);
    OK(weft_spawn(pinned.runtime, wait_for_it, &pinned));
    while (runtime_stats(pinned.runtime).blocked == 0)
        sched_yield();
    gate_open(&pinned.blocks);
    runtime_end(pinned.runtime);
    CHECK_INT(pinned.ran_on, pinned.home);
    weft_future_release(pinned.future);
}

static weft_status wait_until_it_ran(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    (void)result;
    gate_wait(&((struct pinned *)arg)->ran);
    return WEFT_OK;
}

static void pin_and_run_in_place(weft_worker *worker, void *arg)
{
    struct pinned *pinned = arg;
    weft_spawn_options options = not_stealable();
    weft_future *waiting = NULL;
    (void)worker;
    OK(weft_async(pinned->runtime, note_worker, pinned, &options, &pinned->future));
    OK(weft_async(pinned->runtime, wait_until_it_ran, pinned, NULL, &waiting));
    OK(weft_future_wait(waiting, WEFT_FOREVER));
    weft_future_release(waiting);
}

TEST(a_pinned_task_is_not_held_up_by_what_its_thread_waits_for)
{
    struct pinned pinned = {.ran = GATE_INIT};
    pinned.runtime = runtime_new(2);
    OK(weft_spawn(pinned.runtime, pin_and_run_in_place, &pinned));
    runtime_end(pinned.runtime);
    weft_future_release(pinned.future);
}

/* ---- on top of a waiting task */

static weft_status look_around(weft_worker *worker, void *arg, void **result)
{
    weft_runtime_stats stats = runtime_stats(weft_worker_runtime(worker));
    (void)arg;
    (void)result;
    CHECK_INT(stats.active, 1);
    CHECK_INT(stats.blocked, 0);
    CHECK_STATUS(weft_blocking_end(worker), WEFT_INVALID);
    return WEFT_OK;
}

static void wait_while_blocking(weft_worker *worker, void *arg)
{
    weft_future *future = NULL;
    (void)arg;
    OK(weft_blocking_begin(worker));
    OK(weft_async(NULL, look_around, NULL, NULL, &future));
    OK(weft_future_wait(future, WEFT_FOREVER));
    CHECK_INT(runtime_stats(weft_worker_runtime(worker)).blocked, 1);
    OK(weft_blocking_end(worker));
    CHECK_STATUS(weft_blocking_end(worker), WEFT_INVALID);
    weft_future_release(future);
}

TEST(what_runs_in_place_has_a_turn_of_its_own)
{
    weft_runtime *runtime = runtime_new_limited(1, 1);
    OK(weft_spawn(runtime, wait_while_blocking, NULL));
    runtime_end(runtime);
}

static weft_status be_at_home(weft_worker *worker, void *arg, void **result)
{
    (void)result;
    CHECK(weft_worker_runtime(worker) == arg);
    /* What this task asks for its own waits is not meant for the one that waits for it. */
    CHECK_INT(weft_thread_interruptible(false), false);
    return WEFT_OK;
}

static void wait_for(weft_runtime *runtime)
{
    weft_future *future = NULL;
    OK(weft_async(runtime, be_at_home, runtime, NULL, &future));
    weft_thread_interruptible(true);
    OK(weft_future_wait(future, WEFT_FOREVER));
    CHECK_INT(weft_thread_interruptible(false), true);
    weft_future_release(future);
}

static void wait_at_home_and_abroad(weft_worker *worker, void *arg)
{
    wait_for(weft_worker_runtime(worker));
    wait_for(arg);
}

TEST(a_task_runs_in_its_own_runtime)
{
    weft_runtime *runtime = runtime_new_limited(1, 1), *abroad = runtime_new(1);
    OK(weft_spawn(runtime, wait_at_home_and_abroad, abroad));
    runtime_end(runtime);
    runtime_end(abroad);
}

static weft_status nothing(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    (void)arg;
    (void)result;
    return WEFT_OK;
}

static void run_in_place_and_discard(weft_worker *worker, void *arg)
{
    weft_spawn_options options;
    weft_future *future = NULL;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.arg_drop = drop_count;
    options.drop_ctx = arg;
    OK(weft_async(NULL, nothing, NULL, &options, &future));
    OK(weft_future_get(future, WEFT_FOREVER, &(void *){NULL}));
    weft_future_release(future);
    CHECK_STATUS(weft_runtime_shutdown(weft_worker_runtime(worker), WEFT_SHUTDOWN_DISCARD, 0), WEFT_WOULD_BLOCK);
}

TEST(what_has_run_in_place_does_not_count_as_discarded)
{
    struct drops drops = {0};
    weft_runtime *runtime = runtime_new_limited(1, 1);
    OK(weft_spawn(runtime, run_in_place_and_discard, &drops));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(runtime);
    CHECK_INT(stats.executed, 2);
    CHECK_INT(stats.discarded, 0);
    CHECK_INT(atomic_load(&drops.count), 0);
    weft_runtime_release(runtime);
}
