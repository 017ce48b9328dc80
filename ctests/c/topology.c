/* Topologies: this machine as far as this process may use it, and made-up machines for tests. */
#include "support.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

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

TEST(nonsense_is_refused)
{
    static const char *const texts[] = {"", " ", "pu", "pu:0", "pu:-1", "banana:3", "numa:4 core", "pu:4 core:2", "core:2:3", "\xff\xfe"};
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
    /* Borrowed during the call only. */
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
