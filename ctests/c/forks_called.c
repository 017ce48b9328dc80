/* forks.c with the functions of the library, which also check whose worker they get. */
#define WEFT_NO_INLINE
#include "forks.c"

static void use_anothers(weft_worker *worker, void *arg)
{
    atomic_int runs = 0;
    (void)worker;
    weft_fork(arg, count, &runs);
    CHECK(weft_next(arg) == arg);
    CHECK(weft_sync(arg));
    CHECK_INT(runs, 0);
}

static void lend(weft_worker *worker, void *arg)
{
    OK(weft_run(arg, use_anothers, worker));
}

TEST(without_a_worker_of_this_thread_the_caller_runs_both)
{
    weft_runtime *one = runtime_new(1), *two = runtime_new(1);
    use_anothers(NULL, NULL);
    OK(weft_run(one, lend, two));
    runtime_end(one);
    runtime_end(two);
}

static void no_function(weft_worker *worker, void *arg)
{
    (void)arg;
    weft_fork(worker, NULL, NULL);
    CHECK(weft_worker_current() == worker);
    CHECK(weft_sync(worker));
}

TEST(no_function_is_no_fork)
{
    weft_runtime *runtime = runtime_new(2);
    OK(weft_run(runtime, no_function, NULL));
    runtime_end(runtime);
}
