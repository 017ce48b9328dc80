/* Runtimes without threads of their own: SINGLE, HOSTED, and AUTO, which may become one. */
#include "support.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static weft_runtime *runtime_of(int32_t kind, int32_t workers)
{
    weft_runtime *runtime = NULL;
    weft_runtime_options options;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.kind = kind;
    options.workers = workers;
    OK(weft_runtime_new(&options, &runtime));
    return runtime;
}

TEST(kinds_are_told)
{
    static const int32_t asked[] = {WEFT_KIND_MULTI, WEFT_KIND_SINGLE, WEFT_KIND_HOSTED};
    for (size_t i = 0; i < 3; i++) {
        weft_runtime *runtime = runtime_of(asked[i], 0);
        CHECK_INT(weft_runtime_kind(runtime), asked[i]);
        CHECK(asked[i] != WEFT_KIND_SINGLE || weft_runtime_workers(runtime) == 1);
        CHECK_INT(runtime_stats(runtime).threads, asked[i] == WEFT_KIND_MULTI);
        runtime_end(runtime);
    }
}

TEST(auto_is_single_where_one_thread_runs)
{
    static const struct { const char *machine; int32_t workers, max_threads, kind; } cases[] = {
        {"pu:1", 0, 0, WEFT_KIND_SINGLE}, {"core:4 pu:1", 0, 0, WEFT_KIND_MULTI}, {"core:4 pu:1", 1, 0, WEFT_KIND_SINGLE},
        {"core:4 pu:1", 0, 1, WEFT_KIND_SINGLE}, {"pu:1", 2, 0, WEFT_KIND_MULTI},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        weft_runtime_options options;
        weft_runtime *runtime = NULL;
        weft_topology *machine = NULL;
        OK(weft_topology_from_string(cases[i].machine, &machine));
        OK(weft_runtime_options_init(&options, sizeof options));
        options.kind = WEFT_KIND_AUTO;
        options.topology = machine;
        options.workers = cases[i].workers;
        options.max_threads = cases[i].max_threads;
        options.placement = WEFT_PLACEMENT_COMPACT;
        OK(weft_runtime_new(&options, &runtime));
        CHECK_INT(weft_runtime_kind(runtime), cases[i].kind);
        runtime_end(runtime);
        weft_topology_release(machine);
    }
}

/* ---- the order */

struct order {
    pthread_t thread;
    int n, seen[1000];
};

struct numbered {
    struct order *order;
    int number, children;
};

static void note(weft_worker *worker, void *arg)
{
    struct numbered *numbered = arg;
    struct order *order = numbered->order;
    CHECK(pthread_equal(pthread_self(), order->thread));
    CHECK_INT(weft_worker_index(worker), 0);
    REQUIRE(order->n < 1000);
    order->seen[order->n++] = numbered->number;
    for (int i = 1; i <= numbered->children; i++)
        OK(weft_spawn(NULL, note, &numbered[i]));
}

static void run_in_order(struct order *order)
{
    static struct numbered numbered[200];
    weft_runtime *runtime = runtime_of(WEFT_KIND_SINGLE, 0);
    weft_spawn_options options;
    order->thread = pthread_self();
    order->n = 0;
    OK(weft_spawn_options_init(&options, sizeof options));
    for (int i = 0; i < 200; i++)
        numbered[i] = (struct numbered){order, i, i % 4 == 0 ? 3 : 0};
    for (int i = 0; i < 200; i += 4) {
        options.priority = WEFT_PRIORITY_LOW + i / 4 % 4;
        OK(weft_spawn_with(runtime, note, &numbered[i], &options));
    }
    CHECK_INT(order->n, 0);
    OK(weft_runtime_run(runtime, WEFT_RUN_UNTIL_IDLE));
    CHECK_INT(order->n, 200);
    CHECK_STATUS(weft_runtime_run(runtime, WEFT_RUN_ONE_STEP), WEFT_WOULD_BLOCK);
    runtime_end(runtime);
}

TEST(the_same_submissions_run_in_the_same_order)
{
    static struct order orders[2];
    run_in_order(&orders[0]);
    run_in_order(&orders[1]);
    CHECK(memcmp(orders[0].seen, orders[1].seen, sizeof orders[0].seen) == 0);
}

/* ---- what a lone task may wait for */

static weft_status leaf(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    *result = arg;
    return WEFT_OK;
}

static weft_status chain(weft_worker *worker, void *arg, void **result)
{
    weft_future *future = NULL;
    intptr_t depth = (intptr_t)arg;
    OK(weft_async(NULL, depth ? chain : leaf, (void *)(depth ? depth - 1 : 7), NULL, &future));
    OK(weft_future_get(future, WEFT_FOREVER, result));
    weft_future_release(future);
    (void)worker;
    return WEFT_OK;
}

static weft_status add_range(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_size_t *)arg, end - begin);
    return WEFT_OK;
}

static void fork_here(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_size_t *)arg, 1);
}

static void wait_in_place(weft_worker *worker, void *arg)
{
    atomic_size_t *ran = arg;
    void *result = NULL;
    OK(chain(worker, (void *)(intptr_t)20, &result));
    CHECK_INT((intptr_t)result, 7);
    OK(weft_for(NULL, 0, 1000, add_range, ran, NULL, NULL));
    OK(weft_join(worker, fork_here, ran, fork_here, ran));
    weft_fork(worker, fork_here, ran);
    fork_here(weft_next(worker), ran);
    if (weft_sync(worker))
        fork_here(worker, ran);
    OK(weft_run(NULL, fork_here, ran));
}

TEST(waits_for_what_is_its_own_run_in_place)
{
    weft_runtime *runtime = runtime_of(WEFT_KIND_SINGLE, 1);
    atomic_size_t ran = 0;
    OK(weft_spawn(runtime, wait_in_place, &ran));
    OK(weft_runtime_run(runtime, WEFT_RUN_ONE_STEP));
    CHECK_INT(ran, 1005);
    /* From outside the calling thread becomes the worker. */
    OK(weft_run(runtime, wait_in_place, &ran));
    OK(weft_for(runtime, 0, 1000, add_range, &ran, NULL, NULL));
    CHECK_INT(ran, 3010);
    runtime_end(runtime);
}

struct blocked {
    weft_runtime *runtime;
    weft_channel *channel;
    atomic_int behind;
};

static void receive(weft_worker *worker, void *arg)
{
    struct blocked *blocked = arg;
    uint64_t element = 0;
    (void)worker;
    OK(weft_channel_recv(blocked->channel, &element, WEFT_FOREVER));
    CHECK_INT(element, 5);
    /* Nothing ran on top of this task. */
    CHECK_INT(blocked->behind, 0);
}

static void come_behind(weft_worker *worker, void *arg)
{
    (void)worker;
    ((struct blocked *)arg)->behind++;
}

static void send_when_told(void *arg)
{
    struct blocked *blocked = arg;
    uint64_t element = 5;
    /* That the task is blocked, and that another waits behind it, is told by the statistics. */
    while (runtime_stats(blocked->runtime).ceiling_hits == 0)
        sched_yield();
    OK(weft_channel_send(blocked->channel, &element, WEFT_FOREVER));
}

TEST(a_blocked_task_blocks_a_single_runtime_and_it_is_told)
{
    struct blocked blocked = {runtime_of(WEFT_KIND_SINGLE, 1), channel_new(sizeof(uint64_t), 1), 0};
    struct thread thread;
    OK(weft_spawn(blocked.runtime, receive, &blocked));
    OK(weft_spawn(blocked.runtime, come_behind, &blocked));
    OK(weft_spawn(blocked.runtime, come_behind, &blocked));
    thread_start(&thread, send_when_told, &blocked);
    OK(weft_runtime_run(blocked.runtime, WEFT_RUN_UNTIL_IDLE));
    thread_join(&thread);
    CHECK_INT(blocked.behind, 2);
    weft_channel_release(blocked.channel);
    runtime_end(blocked.runtime);
}

/* ---- ends */

static void count_task(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void spawn_mixed(weft_runtime *runtime, atomic_int *ran, struct drops *drops)
{
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    for (int i = 0; i < 6; i++) {
        options.arg_drop = i % 2 ? drop_count : NULL;
        options.drop_ctx = drops;
        OK(weft_spawn_with(runtime, count_task, ran, &options));
    }
}

TEST(every_task_runs_or_is_dropped_once)
{
    static const int32_t kinds[] = {WEFT_KIND_SINGLE, WEFT_KIND_HOSTED};
    for (size_t i = 0; i < 2; i++)
        for (int end = 0; end < 3; end++) {
            weft_runtime *runtime = runtime_of(kinds[i], 0);
            atomic_int ran = 0;
            struct drops drops = {0};
            spawn_mixed(runtime, &ran, &drops);
            if (end < 2) {
                int32_t mode = end ? WEFT_SHUTDOWN_DISCARD : WEFT_SHUTDOWN_DRAIN;
                CHECK_STATUS(weft_runtime_shutdown(runtime, mode, 0), WEFT_WOULD_BLOCK);
                CHECK_INT(ran + drops.count, 0);
                CHECK_STATUS(weft_spawn(runtime, count_task, &ran), WEFT_SHUTDOWN);
                CHECK_STATUS(weft_run(runtime, count_task, &ran), WEFT_SHUTDOWN);
                OK(weft_runtime_shutdown(runtime, mode, WEFT_FOREVER));
                OK(weft_runtime_shutdown(runtime, mode, 0));
            }
            weft_runtime_release(runtime);
            /* A drain runs all; a discard, and the last release, those that cannot be dropped. */
            CHECK_INT(ran, end == 0 ? 6 : 3);
            CHECK_INT(drops.count, end == 0 ? 0 : 3);
        }
}

CHILD(a_single_default_runtime)
{
    weft_runtime_options options;
    static atomic_int ran;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.kind = WEFT_KIND_SINGLE;
    OK(weft_runtime_configure_default(&options));
    OK(weft_spawn(NULL, count_task, &ran));
    CHECK_INT(ran, 0);
    OK(weft_runtime_run(NULL, WEFT_RUN_UNTIL_IDLE));
    CHECK_INT(ran, 1);
    OK(weft_run(NULL, count_task, &ran));
    CHECK_INT(ran, 2);
    /* Left for the exit. */
    OK(weft_spawn(NULL, count_task, &ran));
}

TEST(the_default_runtime_may_be_single)
{
    struct child child = child_run("a_single_default_runtime");
    CHECK_INT(child.status, 0);
}

/* ---- lenders */

struct seat {
    weft_runtime *runtime;
    int64_t timeout_ns;
    weft_status status;
};

static void lend(void *arg)
{
    struct seat *seat = arg;
    seat->status = weft_runtime_lend(seat->runtime, seat->timeout_ns);
}

struct stay {
    struct tally begun;
    gate leave;
};

static void occupy(weft_worker *worker, void *arg)
{
    struct stay *stay = arg;
    CHECK_STATUS(weft_runtime_lend(weft_worker_runtime(worker), WEFT_FOREVER), WEFT_BUSY);
    tally_add(&stay->begun, 1);
    gate_wait(&stay->leave);
}

TEST(lenders_take_seats)
{
    weft_runtime *runtime = runtime_of(WEFT_KIND_HOSTED, 2);
    struct stay stay = {TALLY_INIT, GATE_INIT};
    struct seat seats[2];
    struct thread threads[2];
    for (int i = 0; i < 2; i++) {
        seats[i] = (struct seat){runtime, WEFT_FOREVER, -1};
        OK(weft_spawn(runtime, occupy, &stay));
        thread_start(&threads[i], lend, &seats[i]);
    }
    tally_wait(&stay.begun, 2);
    CHECK_STATUS(weft_runtime_lend(runtime, WEFT_FOREVER), WEFT_BUSY);
    CHECK_INT(runtime_stats(runtime).threads, 2);
    gate_open(&stay.leave);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    for (int i = 0; i < 2; i++) {
        thread_join(&threads[i]);
        CHECK_STATUS(seats[i].status, WEFT_OK);
    }
    CHECK_STATUS(weft_runtime_lend(runtime, WEFT_FOREVER), WEFT_SHUTDOWN);
    weft_runtime_release(runtime);
}

TEST(a_lender_stays_as_long_as_it_said)
{
    weft_runtime *runtime = runtime_of(WEFT_KIND_HOSTED, 1);
    atomic_int ran = 0;
    CHECK_STATUS(weft_runtime_lend(runtime, 0), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_runtime_lend(runtime, 1000000), WEFT_TIMEOUT);
    for (int i = 0; i < 100; i++)
        OK(weft_spawn(runtime, count_task, &ran));
    CHECK_STATUS(weft_runtime_lend(runtime, -1), WEFT_WOULD_BLOCK);
    CHECK_INT(ran, 100);
    runtime_end(runtime);
}

static void no_action(int signal)
{
    (void)signal;
}

TEST(a_signal_ends_a_lenders_sleep)
{
    weft_runtime *runtimes[2] = {runtime_of(WEFT_KIND_HOSTED, 1), runtime_of(WEFT_KIND_SINGLE, 1)};
    /* With SA_RESTART, which is what most programs use. */
    struct sigaction action = {.sa_handler = no_action, .sa_flags = SA_RESTART};
    struct itimerspec every = {{0, 1000000}, {0, 1000000}};
    struct sigevent event;
    timer_t timer;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGUSR1;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    /* One that did not ask sleeps on until its time is up. */
    REQUIRE(timer_settime(timer, 0, &every, NULL) == 0);
    CHECK_STATUS(weft_runtime_lend(runtimes[0], 5000000), WEFT_TIMEOUT);
    CHECK_INT(weft_thread_interruptible(1), 0);
    CHECK_STATUS(weft_runtime_lend(runtimes[0], WEFT_FOREVER), WEFT_INTERRUPTED);
    CHECK_STATUS(weft_runtime_run(runtimes[1], WEFT_RUN_UNTIL_SHUTDOWN), WEFT_INTERRUPTED);
    CHECK_INT(weft_thread_interruptible(0), 1);
    timer_delete(timer);
    runtime_end(runtimes[0]);
    runtime_end(runtimes[1]);
}

/* ---- runs from outside, which share what seats there are */

struct crowd {
    weft_runtime *runtime;
    atomic_int ran;
};

static void count_run(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add(&((struct crowd *)arg)->ran, 1);
}

static void run_often(size_t index, void *arg)
{
    struct crowd *crowd = arg;
    (void)index;
    for (int i = 0; i < 300; i++)
        OK(weft_run(crowd->runtime, count_run, crowd));
}

TEST(runs_from_many_threads_share_the_seats)
{
    for (int seats = 0; seats < 3; seats++) {
        struct crowd crowd = {.runtime = runtime_of(seats ? WEFT_KIND_HOSTED : WEFT_KIND_SINGLE, seats ? seats : 1)};
        threads_together(4, run_often, &crowd);
        CHECK_INT(atomic_load(&crowd.ran), 1200);
        runtime_end(crowd.runtime);
    }
}

struct nested {
    weft_runtime *inner;
    gate other;
};

static void open_other(weft_worker *worker, void *arg)
{
    (void)worker;
    gate_open(&((struct nested *)arg)->other);
}

static void block_inside(weft_worker *worker, void *arg)
{
    OK(weft_blocking_begin(worker));
    gate_wait(&((struct nested *)arg)->other);
    OK(weft_blocking_end(worker));
    CHECK_STATUS(weft_blocking_end(worker), WEFT_INVALID);
}

static void go_inside(weft_worker *worker, void *arg)
{
    struct nested *nested = arg;
    OK(weft_spawn(weft_worker_runtime(worker), open_other, nested));
    OK(weft_run(nested->inner, block_inside, nested));
    CHECK_STATUS(weft_blocking_end(worker), WEFT_INVALID);
}

/* The thread of the outer runtime's only worker blocks inside the inner one: the outer one goes on with another. */
TEST(blocking_passes_the_turns_of_all_levels_on)
{
    struct nested nested = {.inner = runtime_of(WEFT_KIND_SINGLE, 1), .other = GATE_INIT};
    weft_runtime *outer = runtime_new_limited(1, 2);
    OK(weft_run(outer, go_inside, &nested));
    runtime_end(outer);
    runtime_end(nested.inner);
}

/* ---- a storm: threads that lend and leave, threads that submit, and the end in the middle of it */

struct storm {
    weft_runtime *runtime;
    atomic_int ran, accepted;
};

static void storm_thread(size_t index, void *arg)
{
    struct storm *storm = arg;
    if (index == 0) {
        while (atomic_load(&storm->ran) < 500)
            sched_yield();
        OK(weft_runtime_shutdown(storm->runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    } else if (index < 4) {
        static const int64_t timeouts[] = {0, 1, 20000};
        weft_status status;
        do {
            status = weft_runtime_lend(storm->runtime, timeouts[index - 1]);
            sched_yield();
        } while (status == WEFT_WOULD_BLOCK || status == WEFT_TIMEOUT || status == WEFT_BUSY);
        CHECK(status == WEFT_OK || status == WEFT_SHUTDOWN);
    } else {
        for (int i = 0; i < 1000; i++)
            if (weft_spawn(storm->runtime, count_task, &storm->ran) == WEFT_OK)
                atomic_fetch_add(&storm->accepted, 1);
    }
}

TEST(lenders_come_and_go)
{
    struct storm storm = {runtime_of(WEFT_KIND_HOSTED, 2), 0, 0};
    threads_together(6, storm_thread, &storm);
    CHECK_INT(storm.ran, storm.accepted);
    CHECK_INT(runtime_stats(storm.runtime).threads, 0);
    weft_runtime_release(storm.runtime);
}
