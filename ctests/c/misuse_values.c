/* Misuse of the functions about status, process, log, bytes, errors and topology. See misuse.h. */
#include "misuse.h"

#include <string.h>

/* ---- status, errors, version, process: most take nothing that could be wrong */

MISUSE(weft_status_name)
{
    CHECK_STR(weft_status_name(-1), "unknown");
    CHECK_STR(weft_status_name(INT32_MAX), "unknown");
}

MISUSE(weft_error_message)
{
    CHECK(weft_error_message() != NULL);
}

MISUSE(weft_error_set)
{
    CHECK_INT(weft_error_set(WEFT_CLOSED, NULL), WEFT_CLOSED);
    CHECK_STR(weft_error_message(), "closed");
    CHECK_INT(weft_error_set(31, NULL), 31);
    CHECK_STR(weft_error_message(), "unknown");
}

MISUSE(weft_version)
{
    CHECK(weft_version() != 0);
}

MISUSE(weft_abi_version)
{
    CHECK_INT(weft_abi_version(), WEFT_ABI_VERSION);
}

MISUSE(weft_capabilities)
{
    CHECK_INT(weft_capabilities() >> 32, 0);
}

MISUSE(weft_now)
{
    int64_t before = weft_now();
    CHECK(before > 0 && weft_now() >= before);
}

MISUSE(weft_deadline)
{
    CHECK_INT(weft_deadline(INT64_MAX - 1), INT64_MAX);
    CHECK(weft_deadline(INT64_MIN) <= weft_now());
}

MISUSE(weft_after_fork)
{
    CHECK_STATUS(weft_after_fork(), WEFT_OK);
}

MISUSE(weft_thread_self)
{
    /* It has no arguments. Each call is a reference. */
    weft_thread *self = weft_thread_self(), *again = weft_thread_self();
    CHECK(self != NULL && again != NULL);
    weft_thread_release(self);
    weft_thread_release(again);
}

MISUSE(weft_thread_interrupt)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_thread_interrupt(NULL), "thread");
    FOR_WRONG(zoo, THREAD, h)
        CHECK_INVALID(weft_thread_interrupt(h), "thread");
    zoo_end(zoo);
}

MISUSE(weft_thread_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_thread_retain(NULL) == NULL);
    FOR_WRONG(zoo, THREAD, h)
        CHECK_NULL(weft_thread_retain(h), "thread");
    zoo_end(zoo);
}

MISUSE(weft_thread_release)
{
    struct zoo *zoo = zoo_new();
    weft_thread_release(NULL);
    FOR_WRONG(zoo, THREAD, h)
        COMPLAINS(weft_thread_release(h), "thread");
    zoo_end(zoo);
}

MISUSE(weft_thread_interruptible)
{
    CHECK_INT(weft_thread_interruptible(INT32_MIN), 0);
    CHECK_INT(weft_thread_interruptible(0), 1);
}

static void never_log(const weft_log_record *record, void *arg)
{
    (void)record;
    (void)arg;
    CHECK(!"a callback ran that was refused");
}

MISUSE(weft_log_set)
{
    CHECK_INVALID(weft_log_set(never_log, NULL, WEFT_LOG_DEBUG + 1), "level");
    CHECK_INVALID(weft_log_set(never_log, NULL, -1), "level");
    CHECK_INVALID(weft_log_set(NULL, NULL, INT32_MIN), "level");
    OK(weft_log_set(NULL, NULL, WEFT_LOG_DEBUG));
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
}

MISUSE(weft_log_next)
{
    weft_log_record record = {.size = sizeof record, .level = 77};
    OK(weft_log_set(NULL, NULL, WEFT_LOG_ERROR));
    CHECK_INVALID(weft_log_next(NULL, 0), "out");
    record.size = 0;
    CHECK_INVALID(weft_log_next(&record, 0), "size");
    record.size = SIZE_MAX;
    CHECK_INVALID(weft_log_next(&record, WEFT_FOREVER), "size");
    record.size = sizeof record;
    CHECK_REFUSED(weft_log_next(&record, 0), WEFT_WOULD_BLOCK, "empty");
    CHECK_REFUSED(weft_log_next(&record, INT64_MIN), WEFT_WOULD_BLOCK, "empty");
    OK(weft_log_set(never_log, NULL, WEFT_LOG_ERROR));
    CHECK_REFUSED(weft_log_next(&record, WEFT_FOREVER), WEFT_BUSY, "callback");
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
    CHECK_REFUSED(weft_log_next(&record, WEFT_FOREVER), WEFT_CLOSED, "kept");
    CHECK_INT(record.level, 77);
}

/* ---- bytes */

MISUSE(weft_bytes_new)
{
    weft_bytes *bytes = SENTINEL;
    CHECK_INVALID(weft_bytes_new(NULL, 1, &bytes), "data");
    CHECK_INVALID(weft_bytes_new("x", 1, NULL), "out");
    CHECK_INVALID(weft_bytes_new(NULL, 0, NULL), "out");
    for (int shift = 0; shift < 3; shift++) {
        weft_status status = weft_bytes_new("x", SIZE_MAX >> shift, &bytes);
        CHECK(status == WEFT_INVALID || status == WEFT_NOMEM || status == WEFT_TOO_LARGE);
    }
    CHECK(bytes == SENTINEL);
}

MISUSE(weft_bytes_adopt)
{
    weft_bytes *bytes = SENTINEL;
    char data[1];
    CHECK_INVALID(weft_bytes_adopt(NULL, 1, never_drop, NULL, &bytes), "data");
    CHECK_INVALID(weft_bytes_adopt(data, 1, never_drop, NULL, NULL), "out");
    CHECK_INVALID(weft_bytes_adopt(data, SIZE_MAX, never_drop, NULL, &bytes), "len");
    CHECK(bytes == SENTINEL);
}

MISUSE(weft_bytes_data)
{
    struct zoo *zoo = zoo_new();
    CHECK_NULL(weft_bytes_data(NULL), "bytes");
    FOR_WRONG(zoo, BYTES, h)
        CHECK_NULL(weft_bytes_data(h), "bytes");
    zoo_end(zoo);
}

MISUSE(weft_bytes_len)
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(weft_bytes_len(NULL), 0, "bytes");
    FOR_WRONG(zoo, BYTES, h)
        CHECK_NEUTRAL(weft_bytes_len(h), 0, "bytes");
    zoo_end(zoo);
}

MISUSE(weft_bytes_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_bytes_retain(NULL) == NULL);
    FOR_WRONG(zoo, BYTES, h)
        CHECK_NULL(weft_bytes_retain(h), "bytes");
    zoo_end(zoo);
}

MISUSE(weft_bytes_release)
{
    struct zoo *zoo = zoo_new();
    weft_bytes_release(NULL);
    FOR_WRONG(zoo, BYTES, h)
        COMPLAINS(weft_bytes_release(h), "bytes");
    zoo_end(zoo);
}

/* ---- errors: not handles, but views of a future; only NULL can be told */

MISUSE(weft_error_status)
{
    CHECK_INVALID(weft_error_status(NULL), "error");
}

MISUSE(weft_error_text)
{
    CHECK_STR(weft_error_text(NULL), "");
}

MISUSE(weft_error_origin)
{
    CHECK_STR(weft_error_origin(NULL), "");
}

MISUSE(weft_error_backtrace)
{
    CHECK_STR(weft_error_backtrace(NULL), "");
}

MISUSE(weft_error_payload)
{
    size_t len = 99;
    CHECK_NULL(weft_error_payload(NULL, &len), "error");
    CHECK_INT(len, 0);
    CHECK_NULL(weft_error_payload(NULL, NULL), "error");
}

/* ---- topology */

MISUSE(weft_topology_new)
{
    CHECK_INVALID(weft_topology_new(NULL), "out");
}

MISUSE(weft_topology_from_string)
{
    weft_topology *topology = SENTINEL;
    CHECK_INVALID(weft_topology_from_string("core:2 pu:1", NULL), "out");
    CHECK_INVALID(weft_topology_from_string(NULL, &topology), "synthetic");
    CHECK_INVALID(weft_topology_from_string("core:999999999999 pu:1", &topology), "synthetic");
    CHECK(topology == SENTINEL);
}

static void wrong_topology(uint32_t (*number)(const weft_topology *))
{
    struct zoo *zoo = zoo_new();
    CHECK_NEUTRAL(number(NULL), 0, "topology");
    FOR_WRONG(zoo, TOPOLOGY, h)
        CHECK_NEUTRAL(number(h), 0, "topology");
    zoo_end(zoo);
}

MISUSE(weft_topology_cpus) { wrong_topology(weft_topology_cpus); }
MISUSE(weft_topology_cores) { wrong_topology(weft_topology_cores); }
MISUSE(weft_topology_nodes) { wrong_topology(weft_topology_nodes); }

MISUSE(weft_topology_cpu_get)
{
    struct zoo *zoo = zoo_new();
    weft_topology_cpu cpu, before;
    memset(&cpu, 0x5e, sizeof cpu);
    cpu.size = sizeof cpu;
    before = cpu;
    CHECK_INVALID(weft_topology_cpu_get(zoo->topology, 0, NULL), "out");
    CHECK_INVALID(weft_topology_cpu_get(NULL, 0, &cpu), "topology");
    FOR_WRONG(zoo, TOPOLOGY, h)
        CHECK_INVALID(weft_topology_cpu_get(h, 0, &cpu), "topology");
    CHECK_INVALID(weft_topology_cpu_get(zoo->topology, weft_topology_cpus(zoo->topology), &cpu), "index");
    CHECK_INVALID(weft_topology_cpu_get(zoo->topology, UINT32_MAX, &cpu), "index");
    CHECK(memcmp(&cpu, &before, sizeof cpu) == 0);
    cpu.size = sizeof cpu - 1;
    CHECK_INVALID(weft_topology_cpu_get(zoo->topology, 0, &cpu), "size");
    zoo_end(zoo);
}

MISUSE(weft_topology_distance)
{
    struct zoo *zoo = zoo_new();
    uint32_t nodes = weft_topology_nodes(zoo->topology);
    CHECK_NEUTRAL(weft_topology_distance(NULL, 0, 0), 0, "topology");
    FOR_WRONG(zoo, TOPOLOGY, h)
        CHECK_NEUTRAL(weft_topology_distance(h, 0, 0), 0, "topology");
    CHECK_NEUTRAL(weft_topology_distance(zoo->topology, nodes, 0), 0, "from");
    CHECK_NEUTRAL(weft_topology_distance(zoo->topology, 0, UINT32_MAX), 0, "to");
    zoo_end(zoo);
}

MISUSE(weft_optimal_worker_count)
{
    CHECK_NEUTRAL(weft_optimal_worker_count(-1), -1, "load");
    CHECK_NEUTRAL(weft_optimal_worker_count(3), -1, "load");
    CHECK_NEUTRAL(weft_optimal_worker_count(INT32_MIN), -1, "load");
}

MISUSE(weft_topology_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_topology_retain(NULL) == NULL);
    FOR_WRONG(zoo, TOPOLOGY, h)
        CHECK_NULL(weft_topology_retain(h), "topology");
    zoo_end(zoo);
}

MISUSE(weft_topology_release)
{
    struct zoo *zoo = zoo_new();
    weft_topology_release(NULL);
    FOR_WRONG(zoo, TOPOLOGY, h)
        COMPLAINS(weft_topology_release(h), "topology");
    zoo_end(zoo);
}
