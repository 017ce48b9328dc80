/* How a process ends with the library in it: by exit with work in flight, from inside a task, by an exception that escapes. */
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

/* ---- exit: the default runtime's workers stop before what was registered earlier is torn down */

static atomic_int running, torn_down, ran;

static void tear_down(void)
{
    atomic_store(&torn_down, 1);
    if (atomic_load(&running) != 0)
        _exit(3);
}

static void respawn(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add(&running, 1);
    if (atomic_load(&torn_down) != 0)
        _exit(4);
    atomic_fetch_add(&ran, 1);
    weft_status status = weft_spawn(NULL, respawn, arg);
    CHECK(status == WEFT_OK || status == WEFT_SHUTDOWN);
    if (arg != NULL && atomic_load(&ran) >= 1000)
        gate_open(arg);
    atomic_fetch_sub(&running, 1);
}

CHILD(exit_with_work)
{
    static gate warm = GATE_INIT;
    REQUIRE(atexit(tear_down) == 0);
    for (int i = 0; i < 8; i++)
        OK(weft_spawn(NULL, respawn, &warm));
    gate_wait(&warm);
}

TEST(exit_with_work_in_flight) { child_succeeds("exit_with_work"); }

/* ---- exit while a task waits for what never comes: the process ends all the same */

static void wait_for_ever(weft_worker *worker, void *arg)
{
    weft_channel **channel = arg;
    uint64_t element;
    (void)worker;
    weft_channel_recv(*channel, &element, WEFT_FOREVER);
}

CHILD_WITHOUT_LEAK_CHECK(exit_with_a_waiting_task)
{
    static weft_channel *channel;
    channel = channel_new(8, 0);
    OK(weft_spawn(NULL, wait_for_ever, &channel));
}

TEST(exit_while_a_task_waits) { child_succeeds("exit_with_a_waiting_task"); }

CHILD_WITHOUT_LEAK_CHECK(exit_with_a_running_runtime)
{
    static weft_channel *channel;
    channel = channel_new(8, 0);
    weft_runtime *runtime = runtime_new(2);
    OK(weft_spawn(runtime, wait_for_ever, &channel));
}

TEST(exit_without_a_shutdown) { child_succeeds("exit_with_a_running_runtime"); }

static void leave(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
    exit(harness_failures() == 0 ? 0 : 1);
}

CHILD_WITHOUT_LEAK_CHECK(exit_in_a_task_of_the_default_runtime)
{
    gate never = GATE_INIT;
    OK(weft_spawn(NULL, leave, NULL));
    gate_wait(&never);
}

CHILD_WITHOUT_LEAK_CHECK(exit_in_a_task)
{
    gate never = GATE_INIT;
    weft_runtime *runtime = runtime_new(2);
    OK(weft_spawn(runtime, leave, NULL));
    gate_wait(&never);
}

TEST(exit_from_inside_a_task)
{
    child_succeeds("exit_in_a_task_of_the_default_runtime");
    child_succeeds("exit_in_a_task");
}

/* ---- the library in an exit handler */

static void use_at_exit(void)
{
    weft_status status = weft_spawn(NULL, respawn, NULL);
    CHECK(status == WEFT_OK || status == WEFT_SHUTDOWN);
    weft_channel *channel = channel_new(8, 1);
    uint64_t element = 1;
    OK(weft_channel_send(channel, &element, 0));
    weft_channel_release(channel);
    if (harness_failures() != 0)
        _exit(5);
}

static void nothing(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
}

CHILD_WITHOUT_LEAK_CHECK(use_in_an_exit_handler)
{
    REQUIRE(atexit(use_at_exit) == 0);
    OK(weft_run(NULL, nothing, NULL));
}

TEST(exit_handlers_may_use_the_library) { child_succeeds("use_in_an_exit_handler"); }

/* ---- an exception of another language that gets out of a callback, here one made by hand: the process ends and says where */

static void exception_cleanup(_Unwind_Reason_Code reason, struct _Unwind_Exception *exception)
{
    (void)reason;
    (void)exception;
}

static void raise_foreign(void)
{
    static struct _Unwind_Exception exception;
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    memset(&exception, 0, sizeof exception);
    memcpy(&exception.exception_class, "WEFTTEST", 8);
    exception.exception_cleanup = exception_cleanup;
    _Unwind_RaiseException(&exception);
}

static void throw_in_task(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
    raise_foreign();
}

static weft_status throw_in_call(weft_worker *worker, void *arg, void **result)
{
    throw_in_task(worker, arg);
    *result = NULL;
    return WEFT_OK;
}

static weft_spawn_options named(const char *name)
{
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.name = name;
    return options;
}

CHILD_WITHOUT_LEAK_CHECK(throw_in_spawn)
{
    weft_runtime *runtime = runtime_new(1);
    weft_spawn_options options = named("resize-pictures");
    OK(weft_spawn_with(runtime, throw_in_task, NULL, &options));
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
}

CHILD_WITHOUT_LEAK_CHECK(throw_in_async)
{
    weft_runtime *runtime = runtime_new(1);
    weft_spawn_options options = named("resize-pictures");
    weft_future *future = NULL;
    OK(weft_async(runtime, throw_in_call, NULL, &options, &future));
    OK(weft_future_wait(future, WEFT_FOREVER));
}

static void dies_naming_the_task(const char *name)
{
    struct child child = child_run(name);
    CHECK(WIFSIGNALED(child.status));
    CHECK_INT(WIFSIGNALED(child.status) ? WTERMSIG(child.status) : 0, SIGABRT);
    CHECK_HAS(child.output, "resize-pictures");
    CHECK_HAS(child.output, "exception");
}

TEST(a_foreign_exception_ends_the_process_and_names_the_task)
{
    dies_naming_the_task("throw_in_spawn");
    dies_naming_the_task("throw_in_async");
}
