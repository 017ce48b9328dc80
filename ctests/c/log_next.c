/* The log, pulled: kept from weft_log_set(NULL, NULL, level) on, each message given out once, by whoever asks. */
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- something to log, on demand: a loop that fails and is run again serially logs one warning from its task */

static weft_status fail_at_first(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    (void)worker;
    (void)begin;
    (void)end;
    return atomic_fetch_add((atomic_int *)arg, 1) == 0 ? weft_error_set(WEFT_FAILED, "on purpose") : WEFT_OK;
}

static void fall_back(weft_worker *worker, void *arg)
{
    atomic_int calls = 0;
    weft_loop_options options;
    OK(weft_loop_options_init(&options, sizeof options));
    options.on_failure = WEFT_ON_FAILURE_REDO;
    OK(weft_for(weft_worker_runtime(worker), 0, 1, fail_at_first, &calls, &options, NULL));
    if (arg != NULL)
        tally_add(arg, 1);
}

static weft_runtime *named_runtime(const char *name)
{
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = 1;
    options.name = name;
    OK(weft_runtime_new(&options, &runtime));
    return runtime;
}

static void log_messages(const char *name, const char *task, int count)
{
    weft_runtime *runtime = named_runtime(name);
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.name = task;
    for (int i = 0; i < count; i++)
        OK(weft_spawn_with(runtime, fall_back, NULL, &options));
    runtime_end(runtime);
}

static weft_status next(weft_log_record *record, int64_t timeout_ns)
{
    record->size = sizeof *record;
    return weft_log_next(record, timeout_ns);
}

static void silence(void)
{
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
}

/* ---- */

TEST(a_record_says_where_it_comes_from)
{
    weft_log_record record;
    int64_t before = weft_now();
    OK(weft_log_set(NULL, NULL, WEFT_LOG_WARN));
    log_messages("home", "resize", 2);
    int64_t last = before;
    for (int i = 0; i < 2; i++) {
        OK(next(&record, WEFT_FOREVER));
        CHECK_INT(record.size, sizeof record);
        CHECK_INT(record.level, WEFT_LOG_WARN);
        CHECK_INT(record.worker, 0);
        CHECK_STR(record.runtime, "home");
        CHECK_STR(record.task, "resize");
        CHECK_HAS(record.message, "on purpose");
        CHECK(record.time_ns >= last && record.time_ns <= weft_now());
        last = record.time_ns;
    }
    CHECK_REFUSED(next(&record, 0), WEFT_WOULD_BLOCK, "empty");
    CHECK_REFUSED(next(&record, 1000000), WEFT_TIMEOUT, "empty");
    silence();
}

TEST(what_is_kept_outlives_the_silence)
{
    weft_log_record record;
    OK(weft_log_set(NULL, NULL, WEFT_LOG_WARN));
    log_messages("one", "a", 1);
    silence();
    log_messages("two", "b", 1);
    OK(next(&record, WEFT_FOREVER));
    CHECK_STR(record.runtime, "one");
    CHECK_REFUSED(next(&record, WEFT_FOREVER), WEFT_CLOSED, "not kept");
    /* Kept again, from now on, and with another level without a break. */
    OK(weft_log_set(NULL, NULL, WEFT_LOG_WARN));
    log_messages("three", "c", 1);
    OK(weft_log_set(NULL, NULL, WEFT_LOG_ERROR));
    log_messages("four", "d", 1);
    OK(weft_log_set(NULL, NULL, WEFT_LOG_WARN));
    log_messages("five", "e", 1);
    OK(next(&record, 0));
    CHECK_STR(record.runtime, "three");
    OK(next(&record, 0));
    CHECK_STR(record.runtime, "five");
    CHECK_STATUS(next(&record, 0), WEFT_WOULD_BLOCK);
    silence();
}

static void count_record(const weft_log_record *record, void *arg)
{
    (void)record;
    atomic_fetch_add((atomic_int *)arg, 1);
}

TEST(a_callback_and_pulling_exclude_each_other)
{
    weft_log_record record;
    atomic_int called = 0;
    OK(weft_log_set(NULL, NULL, WEFT_LOG_WARN));
    log_messages("kept", "a", 1);
    OK(weft_log_set(count_record, &called, WEFT_LOG_WARN));
    log_messages("pushed", "b", 1);
    CHECK_REFUSED(next(&record, WEFT_FOREVER), WEFT_BUSY, "callback");
    silence();
    CHECK_INT(called, 1);
    /* What was kept went when the callback came. */
    CHECK_STATUS(next(&record, WEFT_FOREVER), WEFT_CLOSED);
}

TEST(what_there_is_no_room_for_is_counted)
{
    enum { ROOM = 4096, MORE = 10 };
    weft_log_record record;
    OK(weft_log_set(NULL, NULL, WEFT_LOG_WARN));
    log_messages("flood", "x", ROOM + MORE);
    for (int i = 0; i < ROOM; i++) {
        OK(next(&record, 0));
        CHECK_STR(record.task, "x");
    }
    OK(next(&record, 0));
    CHECK_INT(record.level, WEFT_LOG_WARN);
    CHECK_INT(record.worker, -1);
    CHECK_HAS(record.message, "10 records were lost");
    CHECK_STATUS(next(&record, 0), WEFT_WOULD_BLOCK);
    silence();
}

/* ---- several pullers, and the strings of each */

struct pullers {
    atomic_int pulled;
    struct tally ended;
};

static void pull_all(void *arg)
{
    struct pullers *pullers = arg;
    weft_log_record record;
    weft_status status;
    while ((status = next(&record, WEFT_FOREVER)) == WEFT_OK) {
        char message[200];
        snprintf(message, sizeof message, "%s", record.message);
        atomic_fetch_add(&pullers->pulled, 1);
        /* Meanwhile others pull. */
        CHECK_STR(record.message, message);
        CHECK_STR(record.task, "shared");
    }
    CHECK_STATUS(status, WEFT_CLOSED);
    tally_add(&pullers->ended, 1);
}

TEST(each_record_is_pulled_once)
{
    enum { PULLERS = 3 };
    int count = under_a_tool() ? 50 : 500;
    struct pullers pullers = {0, TALLY_INIT};
    struct thread threads[PULLERS];
    OK(weft_log_set(NULL, NULL, WEFT_LOG_WARN));
    for (int i = 0; i < PULLERS; i++)
        thread_start(&threads[i], pull_all, &pullers);
    log_messages("many", "shared", count);
    silence();
    tally_wait(&pullers.ended, PULLERS);
    for (int i = 0; i < PULLERS; i++)
        thread_join(&threads[i]);
    CHECK_INT(pullers.pulled, count);
}

static void pull_until_replaced(void *arg)
{
    weft_log_record record;
    weft_status status = next(&record, WEFT_FOREVER);
    CHECK(status == WEFT_CLOSED || status == WEFT_BUSY);
    tally_add(arg, 1);
}

TEST(a_callback_ends_the_pullers_waits)
{
    struct tally ended = TALLY_INIT;
    struct thread threads[2];
    atomic_int called = 0;
    OK(weft_log_set(NULL, NULL, WEFT_LOG_ERROR));
    for (int i = 0; i < 2; i++)
        thread_start(&threads[i], pull_until_replaced, &ended);
    OK(weft_log_set(count_record, &called, WEFT_LOG_ERROR));
    tally_wait(&ended, 2);
    for (int i = 0; i < 2; i++)
        thread_join(&threads[i]);
    silence();
}

/* ---- waiting in a task, and being interrupted */

static void pull_in_a_task(weft_worker *worker, void *arg)
{
    weft_log_record record;
    /* The one worker's turn passes to a task that logs. */
    OK(weft_spawn(weft_worker_runtime(worker), fall_back, NULL));
    OK(next(&record, WEFT_FOREVER));
    CHECK_HAS(record.message, "on purpose");
    tally_add(arg, 1);
}

TEST(a_task_that_waits_for_a_record_passes_its_turn_on)
{
    struct tally pulled = TALLY_INIT;
    weft_runtime *runtime = named_runtime("alone");
    OK(weft_log_set(NULL, NULL, WEFT_LOG_WARN));
    OK(weft_spawn(runtime, pull_in_a_task, &pulled));
    tally_wait(&pulled, 1);
    runtime_end(runtime);
    silence();
}

static void on_signal(int signal)
{
    (void)signal;
}

TEST(a_signal_ends_an_interruptible_wait)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigevent event;
    struct itimerspec every = {{0, 1000000}, {0, 1000000}};
    timer_t timer;
    weft_log_record record;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGUSR1;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    OK(weft_log_set(NULL, NULL, WEFT_LOG_ERROR));
    /* A signal before the wait is lost to it, so they come again and again. */
    REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    REQUIRE(timer_settime(timer, 0, &every, NULL) == 0);
    weft_thread_interruptible(1);
    CHECK_STATUS(next(&record, WEFT_FOREVER), WEFT_INTERRUPTED);
    weft_thread_interruptible(0);
    timer_delete(timer);
    silence();
}
