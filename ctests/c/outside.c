/* Work from outside: any number of threads submit, threads end with work queued, runtimes come and go, and no wake-up is lost, with
 * or without the barrier that the system may refuse. */
#include "support.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void count(weft_worker *worker, void *arg)
{
    (void)worker;
    atomic_fetch_add((atomic_int *)arg, 1);
}

struct outside {
    weft_runtime *runtime;
    atomic_int ran;
    int each;
};

static void spawn_each(size_t index, void *arg)
{
    struct outside *outside = arg;
    (void)index;
    for (int i = 0; i < outside->each; i++)
        OK(weft_spawn(outside->runtime, count, &outside->ran));
}

TEST(more_threads_than_anyone_expects)
{
    enum { THREADS = 150, ROUNDS = 3 };
    struct outside outside = {runtime_new(2), 0, under_a_tool() ? 20 : 700};
    for (int round = 0; round < ROUNDS; round++)
        threads_together(THREADS, spawn_each, &outside);
    runtime_end(outside.runtime);
    CHECK_INT(outside.ran, ROUNDS * THREADS * outside.each);
}

/* A task that occupies the only worker, so that what comes stays queued. */
struct holder {
    gate started, release;
};

static void hold(weft_worker *worker, void *arg)
{
    struct holder *holder = arg;
    (void)worker;
    gate_open(&holder->started);
    gate_wait(&holder->release);
}

TEST(threads_that_end_leave_their_work)
{
    struct holder holder = {GATE_INIT, GATE_INIT};
    struct outside outside = {runtime_new_limited(1, 1), 0, 1300};
    OK(weft_spawn(outside.runtime, hold, &holder));
    gate_wait(&holder.started);
    for (int i = 0; i < 10; i++)
        threads_together(1, spawn_each, &outside);
    CHECK_INT(outside.ran, 0);
    CHECK_INT(runtime_stats(outside.runtime).spawned, 10 * outside.each + 1);
    gate_open(&holder.release);
    runtime_end(outside.runtime);
    CHECK_INT(outside.ran, 10 * outside.each);
}

/* One thread, many runtimes, in turn; those that have gone are forgotten. */
TEST(a_thread_submits_to_many_runtimes)
{
    enum { RUNTIMES = 8, GENERATIONS = 4 };
    atomic_int ran = 0;
    for (int generation = 0; generation < GENERATIONS; generation++) {
        weft_runtime *runtimes[RUNTIMES];
        for (int i = 0; i < RUNTIMES; i++)
            runtimes[i] = runtime_new(1);
        for (int i = 0; i < 100 * RUNTIMES; i++)
            OK(weft_spawn(runtimes[i % RUNTIMES], count, &ran));
        for (int i = 0; i < RUNTIMES; i++)
            runtime_end(runtimes[i]);
    }
    CHECK_INT(ran, GENERATIONS * 100 * RUNTIMES);
}

/* ---- threads that submit while they end */

static struct outside late;

static pthread_key_t late_key;

static void spawn_last(void *left)
{
    OK(weft_spawn(late.runtime, count, &late.ran));
    OK(weft_run(late.runtime, count, &late.ran));
    /* Again in the next round of destructors, after the library's own. */
    if ((intptr_t)left > 1)
        OK(pthread_setspecific(late_key, (void *)((intptr_t)left - 1)));
}

static void end_late(size_t index, void *arg)
{
    (void)arg;
    if (index % 2 == 0)
        OK(weft_spawn(late.runtime, count, &late.ran));
    OK(pthread_setspecific(late_key, (void *)(intptr_t)3));
}

struct meeting {
    gate one, other;
};

static void come_first(weft_worker *worker, void *arg)
{
    struct meeting *meeting = arg;
    (void)worker;
    gate_open(&meeting->one);
    gate_wait(&meeting->other);
}

static void come_second(weft_worker *worker, void *arg)
{
    struct meeting *meeting = arg;
    (void)worker;
    gate_wait(&meeting->one);
    gate_open(&meeting->other);
}

TEST(threads_that_submit_while_they_end)
{
    struct meeting meeting = {GATE_INIT, GATE_INIT};
    late = (struct outside){.runtime = runtime_new(2)};
    /* Both workers run before. A thread that has one started while it ends leaves 32 bytes of Rust's thread-local storage behind,
     * whose destructors have been by then. */
    OK(weft_spawn(late.runtime, come_first, &meeting));
    OK(weft_run(late.runtime, come_second, &meeting));
    OK(pthread_key_create(&late_key, spawn_last));
    threads_together(8, end_late, NULL);
    runtime_end(late.runtime);
    CHECK_INT(late.ran, 8 * 3 * 2 + 4);
    OK(pthread_key_delete(late_key));
}

/* ---- no lost wake-up: bursts, so that the fast ways are taken, and then one task that is waited for */

struct burst {
    weft_runtime *runtime;
    atomic_int ran;
    int rounds;
};

static void open_gate(weft_worker *worker, void *arg)
{
    (void)worker;
    gate_open(arg);
}

static void bursts_and_waits(size_t index, void *arg)
{
    struct burst *burst = arg;
    struct random random = {random_seed() + index};
    for (int round = 0; round < burst->rounds; round++) {
        uint64_t n = random_below(&random, 300);
        for (uint64_t i = 0; i < n; i++)
            OK(weft_spawn(burst->runtime, count, &burst->ran));
        gate done = GATE_INIT;
        OK(weft_spawn(burst->runtime, open_gate, &done));
        gate_wait(&done);
        atomic_fetch_sub(&burst->ran, (int)n);
    }
}

static void check_bursts(int32_t workers, size_t threads, int rounds)
{
    struct burst burst = {runtime_new(workers), 0, under_a_tool() ? rounds / 20 : rounds};
    threads_together(threads, bursts_and_waits, &burst);
    runtime_end(burst.runtime);
    CHECK_INT(burst.ran, 0);
}

TEST(bursts_and_waits_from_one_thread)
{
    check_bursts(1, 1, 2000);
    check_bursts(2, 1, 2000);
}

TEST(bursts_and_waits_from_many_threads)
{
    check_bursts(1, 3, 700);
    check_bursts(3, 3, 700);
}

/* ---- a system that refuses the barrier */

/* From now on membarrier gives EPERM; false where filters cannot be had. */
static bool refuse_membarrier(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
        return false;
    CHECK_INT(syscall(SYS_membarrier, 0, 0, 0), -1);
    return true;
}

CHILD(refused_from_the_start)
{
    if (!refuse_membarrier())
        printf("seccomp is not available here\n");
    check_bursts(2, 2, 500);
}

CHILD(refused_later)
{
    check_bursts(2, 1, 100);
    if (!refuse_membarrier())
        printf("seccomp is not available here\n");
    check_bursts(2, 2, 500);
}

TEST(without_the_barrier)
{
    child_succeeds("refused_from_the_start");
    child_succeeds("refused_later");
}
