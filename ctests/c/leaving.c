/* Threads that leave a task by other ways than its end: pthread_exit, pthread_cancel. They unwind through frames of Weft's and of
 * whoever waits for the task, which nobody can make good: the process ends at once, and says which task it was.
 */
#include "support.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static void exit_thread(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
    pthread_exit(NULL);
}

static void cancel_thread(weft_worker *worker, void *arg)
{
    (void)worker;
    (void)arg;
    pthread_cancel(pthread_self());
    pthread_testcancel();
}

static void leave(weft_task_fn how, const char *name)
{
    weft_runtime *runtime = runtime_new(2);
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.name = name;
    OK(weft_spawn_with(runtime, how, NULL, &options));
    runtime_end(runtime);
}

CHILD_WITHOUT_LEAK_CHECK(exits_its_thread) { leave(exit_thread, "leaver"); }
CHILD_WITHOUT_LEAK_CHECK(is_cancelled) { leave(cancel_thread, "cancelled one"); }

static void cancel_in_a_half(weft_worker *worker, void *arg)
{
    (void)arg;
    OK(weft_join(worker, cancel_thread, NULL, cancel_thread, NULL));
}

CHILD_WITHOUT_LEAK_CHECK(is_cancelled_in_a_half) { leave(cancel_in_a_half, "joiner"); }

static void dies_saying(const char *child, const char *task)
{
    /* Sanitizers' own thread exits stand between, and say other things. */
    if (under_a_tool())
        return;
    struct child result = child_run(child);
    CHECK(WIFSIGNALED(result.status) && WTERMSIG(result.status) == SIGABRT);
    CHECK_HAS(result.output, "pthread_exit");
    CHECK_HAS(result.output, task);
}

TEST(pthread_exit_in_a_task_ends_the_process_by_name) { dies_saying("exits_its_thread", "leaver"); }
TEST(cancelling_a_task_ends_the_process_by_name) { dies_saying("is_cancelled", "cancelled one"); }
TEST(cancelling_a_half_ends_the_process_by_name) { dies_saying("is_cancelled_in_a_half", "joiner"); }
