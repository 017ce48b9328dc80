/* Topologies: this machine as far as this process may use it, and made-up machines for tests. */
#include "support.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int allowed_cpus(void)
{
    cpu_set_t set;
    REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
    return CPU_COUNT(&set);
}

TEST(this_machine)
{
    weft_topology *topology = NULL;
    OK(weft_topology_new(&topology));
    CHECK_INT(weft_topology_cpus(topology), allowed_cpus());
    CHECK(weft_topology_cores(topology) >= 1);
    CHECK(weft_topology_cores(topology) <= weft_topology_cpus(topology));
    CHECK(weft_topology_nodes(topology) >= 1);
    CHECK(((weft_capabilities() & WEFT_CAP_NUMA) != 0) == (weft_topology_nodes(topology) > 1));
    weft_topology_release(topology);
}

CHILD(one_cpu)
{
    weft_topology *topology = NULL;
    weft_runtime *runtime = NULL;
    cpu_set_t set, one;
    REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &set))
            CPU_SET(cpu, &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);

    OK(weft_topology_new(&topology));
    CHECK_INT(weft_topology_cpus(topology), 1);
    CHECK_INT(weft_topology_cores(topology), 1);
    weft_topology_release(topology);
    OK(weft_runtime_new(NULL, &runtime));
    CHECK_INT(weft_runtime_workers(runtime), 1);
    runtime_end(runtime);
}

TEST(affinity_counts)
{
    child_succeeds("one_cpu");
}

TEST(made_up_machines)
{
    static const struct {
        const char *text;
        unsigned cpus, cores, nodes;
    } machines[] = {
        {"numa:4 core:16 pu:1", 64, 64, 4},
        {"numa:2 core:2 pu:2", 8, 4, 2},
        {"core:3 pu:1", 3, 3, 1},
        {"pack:1 numa:1 core:1 pu:1", 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        weft_topology *topology = NULL;
        OK(weft_topology_from_string(machines[i].text, &topology));
        CHECK_INT(weft_topology_cpus(topology), machines[i].cpus);
        CHECK_INT(weft_topology_cores(topology), machines[i].cores);
        CHECK_INT(weft_topology_nodes(topology), machines[i].nodes);
        weft_topology_release(topology);
    }
}

static weft_topology *machine(const char *text)
{
    weft_topology *topology = NULL;
    REQUIRE(weft_topology_from_string(text, &topology) == WEFT_OK);
    return topology;
}

static weft_topology_cpu cpu_of(weft_topology *topology, uint32_t index)
{
    weft_topology_cpu cpu = {.size = sizeof cpu};
    OK(weft_topology_cpu_get(topology, index, &cpu));
    CHECK_INT(cpu.size, sizeof cpu);
    return cpu;
}

TEST(what_cpus_share)
{
    weft_topology *topology = machine("numa:2 l3:2 l2:2 core:2 pu:2");
    CHECK_INT(weft_topology_cpus(topology), 32);
    for (uint32_t i = 0; i < 32; i++) {
        weft_topology_cpu cpu = cpu_of(topology, i);
        CHECK_INT(cpu.os, i);
        CHECK_INT(cpu.sibling, i % 2);
        CHECK_INT(cpu.core, i / 2);
        CHECK_INT(cpu.l2, i / 4);
        CHECK_INT(cpu.l3, i / 8);
        CHECK_INT(cpu.node, i / 16);
    }
    weft_topology_release(topology);
}

TEST(distances)
{
    weft_topology *topology = machine("pack:2 numa:2 core:4 pu:1");
    for (uint32_t from = 0; from < 4; from++)
        for (uint32_t to = 0; to < 4; to++) {
            uint32_t distance = weft_topology_distance(topology, from, to);
            CHECK((distance == 10) == (from == to));
            CHECK_INT(distance, weft_topology_distance(topology, to, from));
        }
    /* In the same package, and in the other one. */
    CHECK(weft_topology_distance(topology, 0, 1) < weft_topology_distance(topology, 0, 2));
    CHECK_INT(weft_topology_distance(topology, 0, 2), weft_topology_distance(topology, 1, 3));
    weft_topology_release(topology);
}

TEST(cpus_of_this_machine)
{
    weft_topology *topology = NULL;
    cpu_set_t set;
    REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
    OK(weft_topology_new(&topology));
    for (uint32_t i = 0; i < weft_topology_cpus(topology); i++) {
        weft_topology_cpu cpu = cpu_of(topology, i);
        CHECK(CPU_ISSET(cpu.os, &set));
        CPU_CLR(cpu.os, &set);
        CHECK(cpu.core < weft_topology_cores(topology));
        CHECK(cpu.node < weft_topology_nodes(topology));
    }
    CHECK_INT(CPU_COUNT(&set), 0);
    weft_topology_release(topology);
}

/* A quota may leave fewer than the mask. */
TEST(workers_for_a_load)
{
    int32_t cpus = weft_optimal_worker_count(WEFT_LOAD_CPU);
    CHECK(cpus >= 1 && cpus <= allowed_cpus());
    CHECK_INT(weft_optimal_worker_count(WEFT_LOAD_IO), 2 * cpus);
    CHECK_INT(weft_optimal_worker_count(WEFT_LOAD_MIXED), (3 * cpus + 1) / 2);
    weft_runtime *runtime = NULL;
    OK(weft_runtime_new(NULL, &runtime));
    CHECK_INT(weft_runtime_workers(runtime), cpus);
    runtime_end(runtime);
}

/* ---- placement */

/* Tasks that wait for each other, so that each needs a thread of its own; each notes where it runs. */
struct party {
    int size;
    struct tally arrived;
    cpu_set_t seen[8];
    int32_t told[8];
    atomic_int next;
};

static weft_worker_stats worker_stats(weft_runtime *runtime, uint32_t index)
{
    weft_worker_stats stats = {.size = sizeof stats};
    OK(weft_runtime_worker_stats_get(runtime, index, &stats));
    return stats;
}

static weft_status look_around(weft_worker *worker, void *arg, void **result)
{
    struct party *party = arg;
    int place = atomic_fetch_add(&party->next, 1);
    CHECK(sched_getaffinity(0, sizeof party->seen[place], &party->seen[place]) == 0);
    party->told[place] = worker_stats(weft_worker_runtime(worker), (uint32_t)weft_worker_index(worker)).cpu;
    tally_add(&party->arrived, 1);
    tally_wait(&party->arrived, (uint64_t)party->size);
    *result = NULL;
    return WEFT_OK;
}

static void party_of(weft_runtime *runtime, struct party *party, int size)
{
    *party = (struct party){.size = size, .arrived = TALLY_INIT};
    weft_future *guests[8];
    for (int i = 0; i < size; i++)
        OK(weft_async(runtime, look_around, party, NULL, &guests[i]));
    for (int i = 0; i < size; i++) {
        OK(weft_future_wait(guests[i], WEFT_FOREVER));
        weft_future_release(guests[i]);
    }
}

static weft_runtime *placed(int32_t workers, int32_t placement, weft_topology *topology)
{
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    CHECK_INT(options.placement, WEFT_PLACEMENT_NONE);
    options.workers = workers;
    options.placement = placement;
    options.topology = topology;
    OK(weft_runtime_new(&options, &runtime));
    return runtime;
}

TEST(threads_are_bound)
{
    static const int32_t placements[] = {WEFT_PLACEMENT_COMPACT, WEFT_PLACEMENT_SCATTER};
    int workers = allowed_cpus() < 8 ? allowed_cpus() : 8;
    for (size_t i = 0; i < 2; i++) {
        struct party party;
        cpu_set_t all;
        CPU_ZERO(&all);
        weft_runtime *runtime = placed(workers, placements[i], NULL);
        party_of(runtime, &party, workers);
        for (int k = 0; k < workers; k++) {
            CHECK_INT(CPU_COUNT(&party.seen[k]), 1);
            CHECK(party.told[k] >= 0 && CPU_ISSET(party.told[k], &party.seen[k]));
            CPU_OR(&all, &all, &party.seen[k]);
        }
        /* Each on one of its own. */
        CHECK_INT(CPU_COUNT(&all), workers);
        CHECK_INT(runtime_stats(runtime).pin_failures, 0);
        runtime_end(runtime);
    }
}

TEST(a_described_machine_binds_nobody)
{
    weft_topology *topology = machine("numa:4 l3:1 core:16 pu:1");
    weft_runtime *runtime = placed(2, WEFT_PLACEMENT_SCATTER, topology);
    weft_topology_release(topology);
    struct party party;
    cpu_set_t all;
    REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    party_of(runtime, &party, 2);
    for (int k = 0; k < 2; k++) {
        CHECK(CPU_EQUAL(&party.seen[k], &all));
        CHECK_INT(party.told[k], -1);
    }
    /* But it has places: the first two are on two nodes. */
    CHECK_INT(worker_stats(runtime, 0).node, 0);
    CHECK_INT(worker_stats(runtime, 1).node, 1);
    OK(weft_topology_refresh(runtime));
    runtime_end(runtime);
}

TEST(without_placement_nobody_is_bound)
{
    weft_runtime *runtime = runtime_new(2);
    struct party party;
    cpu_set_t all;
    REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    OK(weft_topology_refresh(runtime));
    OK(weft_topology_refresh(NULL));
    party_of(runtime, &party, 2);
    for (int k = 0; k < 2; k++)
        CHECK(CPU_EQUAL(&party.seen[k], &all));
    runtime_end(runtime);
}

static int32_t a_cpu(void)
{
    cpu_set_t set;
    int32_t cpu = 0;
    REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    return cpu;
}

static void run_on(int32_t cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
}

static void party_of_a_bound_thread(size_t index, void *arg)
{
    struct party *party = ((void **)arg)[1];
    (void)index;
    run_on(a_cpu());
    party_of(((void **)arg)[0], party, 4);
}

static weft_status party_of_a_task(weft_worker *worker, void *arg, void **result)
{
    CHECK(worker_stats(weft_worker_runtime(worker), (uint32_t)weft_worker_index(worker)).cpu >= 0);
    party_of(((void **)arg)[0], ((void **)arg)[1], 4);
    *result = NULL;
    return WEFT_OK;
}

/* Threads of a runtime without placement start when there is work for them, and on the thread that has it. */
TEST(who_starts_a_thread_does_not_matter)
{
    cpu_set_t all;
    struct party party;
    REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
    weft_runtime *bound = placed(1, WEFT_PLACEMENT_COMPACT, NULL);
    for (int by_task = 0; by_task < 2; by_task++) {
        weft_runtime *runtime = runtime_new(4);
        void *arg[] = {runtime, &party};
        if (by_task) {
            weft_future *done;
            OK(weft_async(bound, party_of_a_task, arg, NULL, &done));
            OK(weft_future_wait(done, WEFT_FOREVER));
            weft_future_release(done);
        } else {
            threads_together(1, party_of_a_bound_thread, arg);
        }
        for (int k = 0; k < 4; k++)
            CHECK(CPU_EQUAL(&party.seen[k], &all));
        runtime_end(runtime);
    }
    runtime_end(bound);
}

static void make_on_one_cpu(size_t index, void *arg)
{
    (void)index;
    run_on(a_cpu());
    *(weft_runtime **)arg = runtime_new(4);
}

TEST(who_makes_a_runtime_says_where)
{
    struct party party;
    weft_runtime *runtime = NULL;
    threads_together(1, make_on_one_cpu, &runtime);
    party_of(runtime, &party, 4);
    for (int k = 0; k < 4; k++)
        CHECK(CPU_COUNT(&party.seen[k]) == 1 && CPU_ISSET(a_cpu(), &party.seen[k]));
    runtime_end(runtime);
}

static void look_at_the_machine(weft_worker *worker, void *arg)
{
    (void)worker;
    weft_topology *topology = NULL;
    weft_runtime *inner = NULL;
    int32_t cpus = *(int32_t *)arg;
    CHECK_INT(allowed_cpus(), 1);
    CHECK_INT(weft_optimal_worker_count(WEFT_LOAD_CPU), cpus);
    OK(weft_runtime_new(NULL, &inner));
    CHECK_INT(weft_runtime_workers(inner), cpus);
    weft_runtime_release(inner);
    inner = placed(0, WEFT_PLACEMENT_COMPACT, NULL);
    CHECK_INT(weft_runtime_workers(inner), cpus);
    weft_runtime_release(inner);
    OK(weft_topology_new(&topology));
    *(int32_t *)arg = (int32_t)weft_topology_cpus(topology);
    weft_topology_release(topology);
}

/* The mask of a thread that Weft has bound is nobody's wish. */
TEST(what_a_bound_task_may_use)
{
    int32_t cpus = weft_optimal_worker_count(WEFT_LOAD_CPU);
    weft_runtime *runtime = placed(1, WEFT_PLACEMENT_COMPACT, NULL);
    OK(weft_run(runtime, look_at_the_machine, &cpus));
    CHECK_INT(cpus, allowed_cpus());
    runtime_end(runtime);
}

/* From now on this thread is not told its mask; false where filters cannot be had. */
static bool hide_the_mask(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_getaffinity, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

CHILD(refresh_without_a_mask)
{
    struct party party;
    int32_t cpu = a_cpu();
    run_on(cpu);
    weft_runtime *bound = placed(2, WEFT_PLACEMENT_COMPACT, NULL), *unbound = runtime_new(2);
    party_of(bound, &party, 2);
    if (!hide_the_mask()) {
        printf("seccomp is not available here\n");
    } else {
        CHECK_REFUSED(weft_topology_refresh(bound), WEFT_OS, "affinity mask");
        CHECK_REFUSED(weft_topology_refresh(unbound), WEFT_OS, "affinity mask");
    }
    /* All is as it was. */
    party_of(bound, &party, 2);
    for (int k = 0; k < 2; k++)
        CHECK_INT(party.told[k], cpu);
    CHECK_INT(runtime_stats(bound).pin_failures, 0);
    runtime_end(bound);
    runtime_end(unbound);
}

TEST(a_refresh_without_a_mask) { child_succeeds("refresh_without_a_mask"); }

static void refresh_within(size_t index, void *arg)
{
    (void)index;
    run_on(*(int *)((void **)arg)[1]);
    OK(weft_topology_refresh(((void **)arg)[0]));
}

/* The calling thread has lost CPUs; each worker is told before its next task. */
TEST(a_refresh_moves_threads)
{
    cpu_set_t set;
    REQUIRE(sched_getaffinity(0, sizeof set, &set) == 0);
    weft_runtime *runtime = placed(2, WEFT_PLACEMENT_COMPACT, NULL);
    struct party party;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &set))
            continue;
        void *arg[] = {runtime, &cpu};
        threads_together(1, refresh_within, arg);
        party_of(runtime, &party, 2);
        for (int k = 0; k < 2; k++) {
            CHECK_INT(CPU_COUNT(&party.seen[k]), 1);
            CHECK(CPU_ISSET(cpu, &party.seen[k]));
            CHECK_INT(party.told[k], cpu);
        }
    }
    CHECK_INT(runtime_stats(runtime).pin_failures, 0);
    runtime_end(runtime);
}

static void tell_start(weft_worker *worker, void *arg)
{
    (void)worker;
    gate_open(arg);
}

/* Without placement, threads that start later. */
TEST(a_refresh_sends_later_threads_elsewhere)
{
    gate started = GATE_INIT;
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = 2;
    options.on_worker_start = tell_start;
    options.hook_arg = &started;
    OK(weft_runtime_new(&options, &runtime));
    /* The first thread has its mask, and there is no work for a second one yet. */
    gate_wait(&started);
    struct party party;
    int cpu = a_cpu();
    void *arg[] = {runtime, &cpu};
    threads_together(1, refresh_within, arg);
    party_of(runtime, &party, 2);
    /* One guest was the thread that was there before. */
    CHECK_INT(CPU_COUNT(&party.seen[0]) + CPU_COUNT(&party.seen[1]), allowed_cpus() + 1);
    runtime_end(runtime);
}

/* Refreshes race with tasks, thefts and each other; nothing gets lost. */
static void keep_refreshing(size_t index, void *arg)
{
    for (int i = 0; i < 10; i++)
        if (index == 0)
            OK(weft_topology_refresh(arg));
        else
            (void)runtime_stats(arg);
}

static void branch(weft_worker *worker, void *arg)
{
    uintptr_t depth = (uintptr_t)arg;
    for (int i = 0; i < 2 && depth > 0; i++)
        OK(weft_spawn(weft_worker_runtime(worker), branch, (void *)(depth - 1)));
}

TEST(refreshing_while_tasks_run)
{
    weft_runtime *runtime = placed(2, WEFT_PLACEMENT_COMPACT, NULL);
    OK(weft_spawn(runtime, branch, (void *)(uintptr_t)12));
    threads_together(2, keep_refreshing, runtime);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    CHECK_INT(runtime_stats(runtime).executed, (1 << 13) - 1);
    weft_runtime_release(runtime);
}

/* hwloc takes many of these: as octal or hexadecimal numbers, untyped, with more CPUs than it says. Some end its process. */
TEST(nonsense_is_refused)
{
    static const char *const texts[] = {
        "", " ", "pu", "pu:0", "pu:-1", "banana:3", "numa:4 core", "pu:4 core:2", "core:2:3", "\xff\xfe",
        "100 100", "4", "pu:0x2000", "pu:0x2", "pu:010", "pu:+4100", "pu:+2", "pu: 20000", "pu: 2", "pu :2", "pu:2\n", "\tpu:2",
        "core:2", "core:2 numa:2 pu:1", "core:2 core:2 pu:1", "memcache:2 pu:2", "machine:2 pu:2",
        "(memory=1GB) pu:2", "numa:2(memory=1GB) pu:2", "pu:2(indexes=4000000000,1)", "core:2 [numa] pu:2",
        "pu:4097", "core:100 pu:100", "core:65536 pu:65536", "pu:18446744073709551617",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        weft_topology *topology = SENTINEL;
        CHECK_INVALID(weft_topology_from_string(texts[i], &topology), "synthetic");
        CHECK(topology == SENTINEL);
    }
}

TEST(a_topology_gives_the_number_of_workers)
{
    weft_topology *topology = NULL;
    weft_runtime *runtime = NULL;
    weft_runtime_options options;
    OK(weft_topology_from_string("numa:2 core:3 pu:1", &topology));
    OK(weft_runtime_options_init(&options, sizeof options));
    options.topology = topology;
    OK(weft_runtime_new(&options, &runtime));
    /* Copied. */
    weft_topology_release(topology);
    CHECK_INT(weft_runtime_workers(runtime), 6);
    runtime_end(runtime);
}

TEST(references)
{
    weft_topology *topology = NULL;
    OK(weft_topology_from_string("core:2 pu:1", &topology));
    CHECK(weft_topology_retain(topology) == topology);
    weft_topology_release(topology);
    CHECK_INT(weft_topology_cpus(topology), 2);
    weft_topology_release(topology);
}

static void look(size_t index, void *arg)
{
    (void)index;
    for (int i = 0; i < 100; i++) {
        CHECK_INT(weft_topology_cpus(arg), 8);
        CHECK_INT(weft_topology_nodes(arg), 2);
    }
}

TEST(readable_from_many_threads)
{
    weft_topology *topology = NULL;
    OK(weft_topology_from_string("numa:2 core:2 pu:2", &topology));
    threads_together(4, look, topology);
    weft_topology_release(topology);
}
