/* The log: silent until set, delivered on one thread of its own, and a callback that was replaced never runs again. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- something worth a warning, on demand: a ceiling that keeps work from starting. A runtime warns of it once or twice:
 * of the ceiling, if that is met before all threads are blocked, and of the stall. */

static void nothing(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
}

/* Leaves work behind and waits, on a runtime that may not have a second thread. */
static void wait_in_the_way(weft_worker *worker, void *arg)
{
    uint64_t element;
    OK(weft_spawn(weft_worker_runtime(worker), nothing, NULL));
    CHECK_STATUS(weft_channel_recv(arg, &element, 1000000), WEFT_TIMEOUT);
}

static void make_trouble(const char *name)
{
    weft_channel *never = channel_new(8, 0);
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = 1;
    options.max_threads = 1;
    options.name = name;
    OK(weft_runtime_new(&options, &runtime));
    OK(weft_spawn(runtime, wait_in_the_way, never));
    runtime_end(runtime);
    weft_channel_release(never);
}

/* ---- a callback that keeps what it is told */

struct journal {
    atomic_int records;
    atomic_int alive;
    pid_t thread;
    weft_log_record last;
    char runtime[64];
    char message[256];
    int32_t max_level;
};

static void write_down(const weft_log_record *record, void *arg)
{
    struct journal *journal = arg;
    pid_t thread = (pid_t)syscall(SYS_gettid);
    CHECK_INT(journal->alive, 1);
    CHECK(record->size >= sizeof *record);
    CHECK(record->level >= WEFT_LOG_ERROR && record->level <= WEFT_LOG_DEBUG);
    if (record->level > journal->max_level)
        journal->max_level = record->level;
    CHECK(record->runtime != NULL && record->task != NULL && record->message != NULL);
    CHECK(record->message[0] != '\0');
    CHECK(record->worker >= -1);
    CHECK(record->time_ns <= weft_now());
    CHECK(record->time_ns >= journal->last.time_ns || journal->records == 0);
    CHECK(journal->thread == 0 || journal->thread == thread);
    CHECK(weft_worker_current() == NULL);
    journal->thread = thread;
    journal->last = *record;
    snprintf(journal->runtime, sizeof journal->runtime, "%s", record->runtime);
    snprintf(journal->message, sizeof journal->message, "%s", record->message);
    atomic_fetch_add(&journal->records, 1);
}

TEST(a_warning_arrives_whole)
{
    struct journal journal = {.alive = 1};
    OK(weft_log_set(write_down, &journal, WEFT_LOG_DEBUG));
    make_trouble("busy-place");
    /* What was logged before this call has been delivered when it returns. */
    OK(weft_log_set(NULL, NULL, WEFT_LOG_DEBUG));
    CHECK(journal.records >= 1);
    CHECK_STR(journal.runtime, "busy-place");
    CHECK_HAS(journal.message, "max_threads");
    CHECK(journal.thread != (pid_t)syscall(SYS_gettid));
}

TEST(levels_are_limits)
{
    for (int32_t level = WEFT_LOG_OFF; level <= WEFT_LOG_DEBUG; level++) {
        struct journal journal = {.alive = 1};
        OK(weft_log_set(write_down, &journal, level));
        make_trouble("levels");
        OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
        CHECK(journal.max_level <= level);
        CHECK((journal.records > 0) == (level >= WEFT_LOG_WARN));
    }
}

TEST(silent_again_after_null)
{
    struct journal journal = {.alive = 1};
    OK(weft_log_set(write_down, &journal, WEFT_LOG_DEBUG));
    OK(weft_log_set(NULL, &journal, WEFT_LOG_DEBUG));
    make_trouble("silent");
    CHECK_INT(journal.records, 0);
    OK(weft_log_set(write_down, &journal, WEFT_LOG_DEBUG));
    OK(weft_log_set(write_down, &journal, WEFT_LOG_OFF));
    make_trouble("silent");
    CHECK_INT(journal.records, 0);
}

TEST(unknown_levels_change_nothing)
{
    struct journal journal = {.alive = 1}, other = {.alive = 1};
    OK(weft_log_set(write_down, &journal, WEFT_LOG_WARN));
    CHECK_INVALID(weft_log_set(write_down, &other, -1), "level");
    CHECK_INVALID(weft_log_set(write_down, &other, 5), "level");
    CHECK_INVALID(weft_log_set(NULL, NULL, INT32_MAX), "level");
    make_trouble("still");
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
    CHECK(journal.records >= 1);
    CHECK_INT(other.records, 0);
}

/* ---- replaced callbacks: their memory may go as soon as weft_log_set has returned */

struct shared {
    atomic_int stop;
};

static void keep_making_trouble(void *arg)
{
    struct shared *shared = arg;
    while (!atomic_load(&shared->stop))
        make_trouble("restless");
}

TEST(a_replaced_callback_never_runs_again)
{
    struct shared shared = {0};
    struct thread thread;
    int rounds = under_a_tool() ? 20 : 100;
    thread_start(&thread, keep_making_trouble, &shared);
    for (int i = 0; i < rounds; i++) {
        struct journal *journal = calloc(1, sizeof *journal), *next = calloc(1, sizeof *next);
        REQUIRE(journal != NULL && next != NULL);
        journal->alive = next->alive = 1;
        OK(weft_log_set(write_down, journal, WEFT_LOG_WARN));
        make_trouble("one");
        OK(weft_log_set(write_down, next, WEFT_LOG_WARN));
        CHECK(journal->records >= 1);
        journal->alive = 0;
        free(journal);
        OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
        next->alive = 0;
        free(next);
    }
    atomic_store(&shared.stop, 1);
    thread_join(&thread);
}

/* Waits for the callback that runs just then. */
struct slow {
    gate entered, leave;
    atomic_int left;
};

static void slow_callback(const weft_log_record *record, void *arg)
{
    struct slow *slow = arg;
    (void)record;
    gate_open(&slow->entered);
    gate_wait(&slow->leave);
    atomic_fetch_add(&slow->left, 1);
}

static void let_it_leave(void *arg)
{
    struct slow *slow = arg;
    gate_open(&slow->leave);
}

TEST(setting_waits_for_the_running_callback)
{
    struct slow slow = {GATE_INIT, GATE_INIT, 0};
    struct thread thread;
    OK(weft_log_set(slow_callback, &slow, WEFT_LOG_WARN));
    make_trouble("slow");
    gate_wait(&slow.entered);
    thread_start(&thread, let_it_leave, &slow);
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
    CHECK(slow.left >= 1);
    thread_join(&thread);
}

/* ---- a callback that is slow holds nobody up, and may use the library itself */

TEST(a_stuck_callback_blocks_no_worker)
{
    struct slow slow = {GATE_INIT, GATE_INIT, 0};
    OK(weft_log_set(slow_callback, &slow, WEFT_LOG_WARN));
    for (int i = 0; i < 20; i++)
        make_trouble("stuck");
    CHECK_INT(slow.left, 0);
    gate_open(&slow.leave);
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
    CHECK(slow.left >= 20);
}

struct turncoat {
    struct journal *next;
    atomic_int calls;
    gate done;
};

static void replace_myself(const weft_log_record *record, void *arg)
{
    struct turncoat *turncoat = arg;
    (void)record;
    if (atomic_fetch_add(&turncoat->calls, 1) == 0) {
        OK(weft_log_set(write_down, turncoat->next, WEFT_LOG_WARN));
        gate_open(&turncoat->done);
    }
}

TEST(a_callback_may_replace_itself)
{
    struct journal next = {.alive = 1};
    struct turncoat turncoat = {&next, 0, GATE_INIT};
    OK(weft_log_set(replace_myself, &turncoat, WEFT_LOG_WARN));
    make_trouble("first");
    gate_wait(&turncoat.done);
    make_trouble("second");
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
    CHECK_INT(turncoat.calls, 1);
    CHECK(next.records >= 1);
    CHECK_STR(next.runtime, "second");
}

static void count_only(const weft_log_record *record, void *arg)
{
    (void)record;
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void count_in_turn(size_t index, void *arg)
{
    atomic_int *counts = arg;
    for (int i = 0; i < 20; i++) {
        OK(weft_log_set(count_only, &counts[index], WEFT_LOG_WARN));
        make_trouble("turn");
    }
}

TEST(several_threads_set_it)
{
    atomic_int counts[4] = {0, 0, 0, 0};
    threads_together(4, count_in_turn, counts);
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
    /* Each warning went to one of them at most: none, when the callback changed in that very moment. */
    int records = counts[0] + counts[1] + counts[2] + counts[3];
    CHECK(records >= 1 && records <= 2 * 4 * 20);
}
