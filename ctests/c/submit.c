/* Caller-owned tasks: each submission runs once, a queued task is busy whoever submits it, and once its function runs the memory is
 * the caller's again. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void count(weft_worker *worker, void *arg)
{
    CHECK(worker != NULL && worker == weft_worker_current());
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* A task that occupies its worker. */
struct holder {
    gate started, release;
    weft_task task;
};

static void hold(weft_worker *worker, void *arg)
{
    struct holder *holder = arg;
    (void)worker;
    gate_open(&holder->started);
    gate_wait(&holder->release);
}

static weft_runtime *held_runtime(struct holder *holder)
{
    static const struct holder fresh = {.started = GATE_INIT, .release = GATE_INIT};
    weft_runtime *runtime = runtime_new_limited(1, 1);
    *holder = fresh;
    weft_task_init(&holder->task, hold, holder);
    OK(weft_submit(runtime, &holder->task));
    gate_wait(&holder->started);
    return runtime;
}

TEST(a_task_is_64_bytes)
{
    CHECK_INT(sizeof(weft_task), 64);
}

TEST(each_submission_runs_once)
{
    enum { TASKS = 1000, ROUNDS = 20 };
    for (int32_t workers = 1; workers <= 3; workers++) {
        weft_runtime *runtime = runtime_new(workers);
        weft_task *tasks = malloc(TASKS * sizeof *tasks);
        atomic_int *ran = calloc(TASKS, sizeof *ran);
        size_t wrong = 0;
        REQUIRE(tasks != NULL && ran != NULL);
        for (size_t i = 0; i < TASKS; i++)
            weft_task_init(&tasks[i], count, &ran[i]);
        int submitted = 0;
        for (int round = 0; round < ROUNDS; round++)
            for (size_t i = 0; i < TASKS; i++) {
                weft_status status = weft_submit(runtime, &tasks[i]);
                CHECK(status == WEFT_OK || status == WEFT_BUSY);
                if (status == WEFT_OK) {
                    submitted++;
                    atomic_fetch_sub(&ran[i], 1);
                }
            }
        runtime_end(runtime);
        for (size_t i = 0; i < TASKS; i++)
            wrong += ran[i] != 0;
        CHECK_INT(wrong, 0);
        CHECK(submitted >= TASKS);
        free(tasks);
        free(ran);
    }
}

TEST(a_queued_task_is_busy)
{
    struct holder holder;
    weft_runtime *runtime = held_runtime(&holder), *other = runtime_new(1);
    atomic_int ran = 0;
    weft_task task;
    weft_task_init(&task, count, &ran);
    OK(weft_submit(runtime, &task));
    CHECK_REFUSED(weft_submit(runtime, &task), WEFT_BUSY, "task is queued");
    CHECK_REFUSED(weft_submit(other, &task), WEFT_BUSY, "task is queued");
    /* The holder is running, not queued. */
    OK(weft_submit(runtime, &holder.task));
    gate_open(&holder.release);
    runtime_end(runtime);
    CHECK_INT(ran, 1);
    OK(weft_submit(other, &task));
    runtime_end(other);
    CHECK_INT(ran, 2);
}

/* Many threads, one task: as often as it is said to be queued it runs. */
struct contest {
    weft_runtime *runtime;
    weft_task task;
    atomic_int ran, queued;
};

static void contend(size_t index, void *arg)
{
    struct contest *contest = arg;
    weft_task *tasks[] = {&contest->task};
    for (int i = 0; i < (under_a_tool() ? 500 : 5000); i++) {
        weft_status status = index % 2 == 0 ? weft_submit(contest->runtime, &contest->task)
                                            : weft_submit_batch(contest->runtime, tasks, 1);
        CHECK(status == WEFT_OK || status == WEFT_BUSY);
        if (status == WEFT_OK)
            atomic_fetch_add(&contest->queued, 1);
    }
}

TEST(many_threads_submit_one_task)
{
    struct contest contest = {.runtime = runtime_new(2)};
    weft_task_init(&contest.task, count, &contest.ran);
    threads_together(4, contend, &contest);
    runtime_end(contest.runtime);
    CHECK(contest.queued > 0);
    CHECK_INT(contest.ran, contest.queued);
}

/* ---- the function has the task */

static void free_itself(weft_worker *worker, void *arg)
{
    (void)worker;
    memset(arg, 0xdd, sizeof(weft_task));
    free(arg);
}

TEST(a_task_may_free_itself)
{
    weft_runtime *runtime = runtime_new(2);
    for (int i = 0; i < 1000; i++) {
        weft_task *task = malloc(sizeof *task);
        REQUIRE(task != NULL);
        weft_task_init(task, free_itself, task);
        OK(weft_submit(runtime, task));
    }
    runtime_end(runtime);
}

struct again {
    weft_task task;
    weft_runtime *runtime;
    int left;
    gate done;
};

static void resubmit(weft_worker *worker, void *arg)
{
    struct again *again = arg;
    (void)worker;
    if (--again->left > 0)
        OK(weft_submit(again->runtime, &again->task));
    else
        gate_open(&again->done);
}

TEST(a_task_may_submit_itself)
{
    struct again again = {.runtime = runtime_new(2), .left = under_a_tool() ? 2000 : 50000, .done = GATE_INIT};
    weft_task_init(&again.task, resubmit, &again);
    OK(weft_submit(again.runtime, &again.task));
    gate_wait(&again.done);
    runtime_end(again.runtime);
    CHECK_INT(again.left, 0);
}

static void second_life(weft_worker *worker, void *arg)
{
    count(worker, arg);
}

static void change_itself(weft_worker *worker, void *arg)
{
    struct again *again = arg;
    (void)worker;
    again->task.fn = second_life;
    again->task.arg = &again->left;
    OK(weft_submit(again->runtime, &again->task));
}

TEST(a_task_may_change_itself)
{
    struct again again = {.runtime = runtime_new(1), .left = 41};
    weft_task_init(&again.task, change_itself, &again);
    OK(weft_submit(again.runtime, &again.task));
    runtime_end(again.runtime);
    CHECK_INT(again.left, 42);
}

/* ---- batches */

enum { BATCH = 100 };

struct batch {
    weft_runtime *runtime;
    weft_task tasks[BATCH];
    weft_task *pointers[BATCH];
    atomic_int ran;
};

static void batch_init(struct batch *batch, weft_runtime *runtime)
{
    batch->runtime = runtime;
    batch->ran = 0;
    for (int i = 0; i < BATCH; i++) {
        weft_task_init(&batch->tasks[i], count, &batch->ran);
        batch->pointers[i] = &batch->tasks[i];
    }
}

static void submit_batch(weft_worker *worker, void *arg)
{
    struct batch *batch = arg;
    (void)worker;
    OK(weft_submit_batch(batch->runtime, batch->pointers, BATCH));
}

TEST(a_batch_from_outside_and_from_a_task)
{
    for (int32_t workers = 1; workers <= 2; workers++) {
        struct batch outside, inside;
        weft_runtime *runtime = runtime_new(workers);
        batch_init(&outside, runtime);
        batch_init(&inside, runtime);
        submit_batch(NULL, &outside);
        OK(weft_spawn(runtime, submit_batch, &inside));
        OK(weft_submit_batch(runtime, outside.pointers, 0));
        OK(weft_submit_batch(runtime, NULL, 0));
        runtime_end(runtime);
        CHECK_INT(outside.ran, BATCH);
        CHECK_INT(inside.ran, BATCH);
    }
}

TEST(a_batch_is_taken_whole_or_not_at_all)
{
    struct batch batch;
    struct holder holder;
    weft_runtime *runtime = held_runtime(&holder);
    batch_init(&batch, runtime);
    OK(weft_submit(runtime, &batch.tasks[70]));
    CHECK_REFUSED(weft_submit_batch(runtime, batch.pointers, BATCH), WEFT_BUSY, "tasks[70] is queued");
    batch.pointers[70] = &batch.tasks[3];
    CHECK_REFUSED(weft_submit_batch(runtime, batch.pointers, BATCH), WEFT_BUSY, "tasks[70] is queued");
    batch.pointers[70] = NULL;
    CHECK_INVALID(weft_submit_batch(runtime, batch.pointers, BATCH), "tasks[70] is NULL");
    weft_task garbage = {.fn = count};
    batch.pointers[70] = &garbage;
    CHECK_INVALID(weft_submit_batch(runtime, batch.pointers, BATCH), "tasks[70] has not been initialised");
    batch.tasks[50].fn = NULL;
    CHECK_INVALID(weft_submit_batch(runtime, batch.pointers, BATCH), "tasks[50]: fn");
    batch.tasks[50].fn = count;
    /* None of the others is busy now. */
    batch.pointers[70] = batch.pointers[BATCH - 1];
    OK(weft_submit_batch(runtime, batch.pointers, BATCH - 1));
    gate_open(&holder.release);
    runtime_end(runtime);
    CHECK_INT(batch.ran, BATCH);
}

/* ---- the end */

TEST(a_discarding_shutdown_runs_what_is_queued)
{
    struct batch batch;
    struct holder holder;
    weft_runtime *runtime = held_runtime(&holder);
    batch_init(&batch, runtime);
    submit_batch(NULL, &batch);
    CHECK_STATUS(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, 0), WEFT_WOULD_BLOCK);
    atomic_int late = 0;
    weft_task task, *pointer = &task;
    weft_task_init(&task, count, &late);
    CHECK_STATUS(weft_submit(runtime, &task), WEFT_SHUTDOWN);
    CHECK_STATUS(weft_submit_batch(runtime, &pointer, 1), WEFT_SHUTDOWN);
    gate_open(&holder.release);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));
    CHECK_INT(batch.ran, BATCH);
    weft_runtime_release(runtime);
    /* Refused is not queued. */
    runtime = runtime_new(1);
    OK(weft_submit(runtime, &task));
    runtime_end(runtime);
    CHECK_INT(late, 1);
}

/* Submissions race with the end of the runtime: what was accepted runs, what was refused does not. */
struct closing {
    weft_runtime *runtime;
    atomic_int accepted, ran;
    weft_task tasks[3][200];
    struct tally begun;
};

static void submit_until_closed(size_t index, void *arg)
{
    struct closing *closing = arg;
    if (index == 3) {
        tally_wait(&closing->begun, 2);
        weft_status status = weft_runtime_shutdown(closing->runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER);
        CHECK_INT(status, WEFT_OK);
        return;
    }
    for (int i = 0; i < 200; i++) {
        weft_task_init(&closing->tasks[index][i], count, &closing->ran);
        weft_status status = weft_submit(closing->runtime, &closing->tasks[index][i]);
        CHECK(status == WEFT_OK || status == WEFT_SHUTDOWN);
        atomic_fetch_add(&closing->accepted, status == WEFT_OK);
        if (i == 20)
            tally_add(&closing->begun, 1);
    }
}

TEST(submissions_during_a_shutdown)
{
    for (int i = 0; i < 50; i++) {
        static struct closing closing;
        closing.runtime = runtime_new(2);
        closing.accepted = closing.ran = 0;
        closing.begun = (struct tally)TALLY_INIT;
        threads_together(4, submit_until_closed, &closing);
        CHECK_INT(closing.ran, closing.accepted);
        weft_runtime_release(closing.runtime);
    }
}

/* ---- what is no task */

TEST(what_is_no_task_is_refused)
{
    weft_runtime *runtime = runtime_new(1);
    atomic_int ran = 0;
    weft_task task;
    weft_task_init(NULL, count, &ran);
    CHECK_INVALID(weft_submit(runtime, NULL), "task is NULL");
    for (int fill = 0; fill <= 0xff; fill += 0x33) {
        memset(&task, fill, sizeof task);
        task.fn = count;
        CHECK_INVALID(weft_submit(runtime, &task), "task has not been initialised");
    }
    weft_task_init(&task, NULL, &ran);
    CHECK_INVALID(weft_submit(runtime, &task), "fn");
    _Alignas(weft_task) char memory[2 * sizeof task];
    CHECK_INVALID(weft_submit(runtime, (weft_task *)(void *)(memory + 4)), "aligned");
    weft_task *pointer = &task;
    CHECK_INVALID(weft_submit_batch(runtime, NULL, 1), "tasks");
    CHECK_INVALID(weft_submit_batch(runtime, &pointer, SIZE_MAX), "tasks: ");
    task.fn = count;
    OK(weft_submit(runtime, &task));
    runtime_end(runtime);
    CHECK_INT(ran, 1);
}

/* ---- fork */

CHILD_WITHOUT_LEAK_CHECK(forked_while_queued)
{
    struct holder holder;
    weft_runtime *runtime = held_runtime(&holder);
    atomic_int ran = 0;
    weft_task task;
    weft_task_init(&task, count, &ran);
    OK(weft_submit(runtime, &task));
    fflush(NULL);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        alarm(60);
        CHECK_STATUS(weft_submit(runtime, &task), WEFT_FORKED);
        OK(weft_after_fork());
        weft_runtime *own = runtime_new(1);
        OK(weft_submit(own, &task));
        runtime_end(own);
        CHECK_INT(ran, 1);
        fflush(NULL);
        _exit(harness_failures() == 0 ? 0 : 1);
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0)
        REQUIRE(errno == EINTR);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    gate_open(&holder.release);
    runtime_end(runtime);
    CHECK_INT(ran, 1);
}

TEST(in_a_forked_child_nothing_is_queued)
{
    child_succeeds("forked_while_queued");
}
