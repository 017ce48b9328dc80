/* weft_join: two halves, perhaps in parallel, both ended when it returns. */
#include "support.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

struct fib {
    int n;
    long value;
};

static void fib(weft_worker *worker, void *arg)
{
    struct fib *f = arg;
    if (f->n < 2) {
        f->value = f->n;
        return;
    }
    struct fib a = {f->n - 1, 0}, b = {f->n - 2, 0};
    OK(weft_join(worker, fib, &a, fib, &b));
    f->value = a.value + b.value;
}

TEST(fibonacci_on_any_number_of_workers)
{
    int n = under_a_tool() ? 14 : 22;
    long expected = under_a_tool() ? 377 : 17711;
    for (int32_t workers = 1; workers <= 4; workers++) {
        weft_runtime *runtime = runtime_new(workers);
        struct fib f = {n, 0};
        OK(weft_run(runtime, fib, &f));
        CHECK_INT(f.value, expected);
        runtime_end(runtime);
    }
}

struct side {
    pid_t thread;
    int ran;
};

static void note_thread(weft_worker *worker, void *arg)
{
    struct side *side = arg;
    CHECK(weft_worker_runtime(worker) != NULL);
    CHECK_INT(weft_worker_index(worker), weft_worker_index(weft_worker_current()));
    side->thread = (pid_t)syscall(SYS_gettid);
    side->ran++;
}

static void join_once(weft_worker *worker, void *arg)
{
    struct side *sides = arg;
    OK(weft_join(worker, note_thread, &sides[0], note_thread, &sides[1]));
    CHECK_INT(sides[0].thread, syscall(SYS_gettid));
    CHECK_INT(sides[0].ran, 1);
    CHECK_INT(sides[1].ran, 1);
}

static void join_current(weft_worker *worker, void *arg)
{
    (void)worker;
    join_once(NULL, arg);
}

TEST(the_first_half_runs_here)
{
    weft_runtime *runtime = runtime_new(2);
    struct side sides[2] = {{0, 0}, {0, 0}};
    OK(weft_run(runtime, join_once, sides));
    runtime_end(runtime);
}

TEST(a_null_worker_is_the_current_one)
{
    weft_runtime *runtime = runtime_new(2);
    struct side sides[2] = {{0, 0}, {0, 0}};
    OK(weft_run(runtime, join_current, sides));
    runtime_end(runtime);
}

/* ---- where it may not be called: nothing runs */

TEST(outside_of_tasks)
{
    struct side side = {0, 0};
    CHECK_INVALID(weft_join(NULL, note_thread, &side, note_thread, &side), "worker");
    CHECK_INT(side.ran, 0);
}

struct foreign {
    weft_worker *worker;
    gate lent, done;
};

static void lend_worker(weft_worker *worker, void *arg)
{
    struct foreign *foreign = arg;
    foreign->worker = worker;
    gate_open(&foreign->lent);
    gate_wait(&foreign->done);
}

static void use_foreign_worker(weft_worker *worker, void *arg)
{
    struct foreign *foreign = arg;
    struct side side = {0, 0};
    (void)worker;
    CHECK_INVALID(weft_join(foreign->worker, note_thread, &side, note_thread, &side), "worker");
    CHECK_INT(side.ran, 0);
}

TEST(with_the_worker_of_another_thread)
{
    struct foreign foreign = {NULL, GATE_INIT, GATE_INIT};
    struct side side = {0, 0};
    weft_runtime *lender = runtime_new(1), *runtime = runtime_new(1);
    OK(weft_spawn(lender, lend_worker, &foreign));
    gate_wait(&foreign.lent);
    OK(weft_run(runtime, use_foreign_worker, &foreign));
    CHECK_INVALID(weft_join(foreign.worker, note_thread, &side, note_thread, &side), "worker");
    CHECK_INT(side.ran, 0);
    gate_open(&foreign.done);
    runtime_end(lender);
    runtime_end(runtime);
}

/* ---- shapes */

struct line {
    size_t left;
    size_t sum;
};

static void add_one(weft_worker *worker, void *arg)
{
    (void)worker;
    (*(size_t *)arg)++;
}

/* All depth on one side: more jobs at once than any fixed region holds. */
static void left_line(weft_worker *worker, void *arg)
{
    struct line *line = arg;
    size_t one = 0;
    struct line rest = {line->left - 1, 0};
    if (line->left == 0)
        return;
    OK(weft_join(worker, left_line, &rest, add_one, &one));
    line->sum = rest.sum + one;
}

static void right_line(weft_worker *worker, void *arg)
{
    struct line *line = arg;
    size_t one = 0;
    struct line rest = {line->left - 1, 0};
    if (line->left == 0)
        return;
    OK(weft_join(worker, add_one, &one, right_line, &rest));
    line->sum = rest.sum + one;
}

static void deep(weft_task_fn shape)
{
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    struct line line = {under_a_tool() ? 500 : 6000, 0};
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = 2;
    options.stack_size = 64u << 20;
    OK(weft_runtime_new(&options, &runtime));
    OK(weft_run(runtime, shape, &line));
    CHECK_INT(line.sum, line.left);
    runtime_end(runtime);
}

TEST(deep_on_the_left) { deep(left_line); }
TEST(deep_on_the_right) { deep(right_line); }

/* ---- the second half really is taken by another worker: the first waits for it, out of the runtime's sight */

static void wait_at_gate(weft_worker *worker, void *arg)
{
    (void)worker;
    gate_wait(arg);
}

static void open_gate(weft_worker *worker, void *arg)
{
    (void)worker;
    gate_open(arg);
}

static void halves_in_parallel(weft_worker *worker, void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        gate passage = GATE_INIT;
        OK(weft_join(worker, wait_at_gate, &passage, open_gate, &passage));
    }
}

TEST(a_second_worker_takes_the_second_half)
{
    weft_runtime *runtime = runtime_new(2);
    OK(weft_run(runtime, halves_in_parallel, NULL));
    runtime_end(runtime);
}

/* ---- results written by one half are seen after the join, plain memory in both directions */

struct sum {
    const int *values;
    size_t n;
    long total;
};

static void sum(weft_worker *worker, void *arg)
{
    struct sum *s = arg;
    if (s->n <= 16) {
        for (size_t i = 0; i < s->n; i++)
            s->total += s->values[i];
        return;
    }
    struct sum a = {s->values, s->n / 2, 0}, b = {s->values + s->n / 2, s->n - s->n / 2, 0};
    OK(weft_join(worker, sum, &a, sum, &b));
    s->total = a.total + b.total;
}

static void sum_from_many_threads(size_t index, void *arg)
{
    enum { N = 20000 };
    int *values = malloc(N * sizeof *values);
    REQUIRE(values != NULL);
    for (int i = 0; i < N; i++)
        values[i] = i + (int)index;
    struct sum s = {values, N, 0};
    OK(weft_run(arg, sum, &s));
    CHECK_INT(s.total, (long)N * (N - 1) / 2 + (long)index * N);
    free(values);
}

TEST(several_joins_at_once)
{
    weft_runtime *runtime = runtime_new(3);
    for (int i = 0; i < 5; i++)
        threads_together(4, sum_from_many_threads, runtime);
    runtime_end(runtime);
}
