/* Deadlocks are told: certainly, once, with names; and what looks like one for a moment is not. */
#include "support.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static weft_mutex *mutex_new(const char *name)
{
    weft_mutex *mutex = NULL;
    OK(weft_mutex_new(name, &mutex));
    return mutex;
}

/* ---- who is told */

struct told {
    struct tally calls;
    uint64_t number;
    size_t waits_len;
    char tasks[256], awaited[256], message[1024];
};

static void append(char *text, size_t size, const char *more)
{
    strncat(text, more, size - strlen(text) - 1);
    strncat(text, ",", size - strlen(text) - 1);
}

static void note(const weft_deadlock *deadlock, void *arg)
{
    struct told *told = arg;
    CHECK(weft_worker_current() == NULL);
    CHECK(deadlock->size >= sizeof *deadlock);
    told->number = deadlock->number;
    told->waits_len = deadlock->waits_len;
    told->tasks[0] = told->awaited[0] = told->message[0] = '\0';
    for (size_t i = 0; i < deadlock->waits_len; i++) {
        append(told->tasks, sizeof told->tasks, deadlock->waits[i].task);
        append(told->awaited, sizeof told->awaited, deadlock->waits[i].awaited);
        CHECK(deadlock->waits[i].thread > 0);
        CHECK((deadlock->waits[i].worker < 0) == (deadlock->waits[i].runtime[0] == '\0'));
    }
    append(told->message, sizeof told->message, deadlock->message);
    tally_add(&told->calls, 1);
}

static void never_told(const weft_deadlock *deadlock, void *arg)
{
    (void)arg;
    CHECK_STR(deadlock->message, "");
}

/* Ends the watch, which is when everything found has been told. */
static void end_watch(void) { OK(weft_deadlock_watch(NULL, NULL, WEFT_DEADLOCK_REPORT)); }

/* ---- rings of mutexes */

struct ring {
    size_t n;
    weft_mutex *mutex[8];
    struct tally have_one, done;
    weft_status status[8];
    weft_cancel_token *token;
};

struct member {
    struct ring *ring;
    size_t index;
};

static void lock_two(weft_worker *worker, void *arg)
{
    struct member *member = arg;
    struct ring *ring = member->ring;
    (void)worker;
    OK(weft_mutex_lock(ring->mutex[member->index], WEFT_FOREVER));
    tally_add(&ring->have_one, 1);
    tally_wait(&ring->have_one, ring->n);
    weft_mutex *second = ring->mutex[(member->index + 1) % ring->n];
    ring->status[member->index] = weft_mutex_lock(second, WEFT_FOREVER);
    if (ring->status[member->index] == WEFT_OK)
        OK(weft_mutex_unlock(second));
    OK(weft_mutex_unlock(ring->mutex[member->index]));
    tally_add(&ring->done, 1);
}

/* The first member's token lets all of them go. */
static void ring_of(size_t n, bool two_runtimes)
{
    static const char *const tasks[] = {"t0", "t1", "t2", "t3", "t4"}, *const mutexes[] = {"m0", "m1", "m2", "m3", "m4"};
    struct ring ring = {.n = n, .have_one = TALLY_INIT, .done = TALLY_INIT};
    struct member members[8];
    struct told told = {.calls = TALLY_INIT};
    weft_runtime *runtime[] = {runtime_new((int32_t)n), runtime_new((int32_t)n)};
    uint64_t before = weft_deadlock_count();
    OK(weft_deadlock_watch(note, &told, WEFT_DEADLOCK_REPORT));
    OK(weft_log_set(NULL, NULL, WEFT_LOG_ERROR));
    OK(weft_cancel_token_new(NULL, &ring.token));
    for (size_t i = 0; i < n; i++)
        ring.mutex[i] = mutex_new(mutexes[i]);
    for (size_t i = 0; i < n; i++) {
        weft_spawn_options options;
        OK(weft_spawn_options_init(&options, sizeof options));
        options.name = tasks[i];
        options.cancel = i == 0 ? ring.token : NULL;
        members[i].ring = &ring;
        members[i].index = i;
        OK(weft_spawn_with(runtime[two_runtimes ? i % 2 : 0], lock_two, &members[i], &options));
    }
    tally_wait(&told.calls, 1);
    CHECK_INT(tally_count(&ring.done), 0);
    CHECK_INT(told.waits_len, n);
    CHECK_INT(told.number, before + 1);
    for (size_t i = 0; i < n; i++) {
        CHECK_HAS(told.tasks, tasks[i]);
        CHECK_HAS(told.awaited, mutexes[i]);
        CHECK_HAS(told.message, tasks[i]);
        CHECK_HAS(told.message, mutexes[i]);
    }
    weft_log_record record = {.size = sizeof record};
    OK(weft_log_next(&record, WEFT_FOREVER));
    CHECK_INT(record.level, WEFT_LOG_ERROR);
    CHECK_HAS(record.message, "deadlock: ");
    CHECK_HAS(told.message, record.message);
    OK(weft_cancel_token_trigger(ring.token, "deadlock"));
    tally_wait(&ring.done, n);
    CHECK_INT(ring.status[0], WEFT_CANCELLED);
    for (size_t i = 1; i < n; i++)
        CHECK_INT(ring.status[i], WEFT_OK);
    end_watch();
    CHECK_INT(tally_count(&told.calls), 1);
    CHECK_INT(weft_deadlock_count(), before + 1);
    CHECK_STATUS(weft_log_next(&record, 0), WEFT_WOULD_BLOCK);
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
    for (size_t i = 0; i < n; i++)
        weft_mutex_release(ring.mutex[i]);
    weft_cancel_token_release(ring.token);
    runtime_end(runtime[0]);
    runtime_end(runtime[1]);
}

TEST(two_mutexes_in_opposite_order) { ring_of(2, false); }
TEST(three_in_a_ring) { ring_of(3, false); }
TEST(five_in_two_runtimes) { ring_of(5, true); }

/* ---- calls that wait for each other */

struct calls {
    weft_future *future[2];
    struct tally running;
    gate known;
    weft_status status[2];
};

struct call {
    struct calls *calls;
    int index;
};

static weft_status wait_for_the_other(weft_worker *worker, void *arg, void **result)
{
    struct call *call = arg;
    struct calls *calls = call->calls;
    (void)worker, (void)result;
    gate_wait(&calls->known);
    tally_add(&calls->running, 1);
    tally_wait(&calls->running, 2);
    calls->status[call->index] = weft_future_wait(calls->future[!call->index], WEFT_FOREVER);
    return WEFT_OK;
}

TEST(two_calls_that_wait_for_each_other)
{
    struct calls calls = {.running = TALLY_INIT, .known = GATE_INIT};
    struct call call[2] = {{&calls, 0}, {&calls, 1}};
    struct told told = {.calls = TALLY_INIT};
    weft_runtime *runtime = runtime_new(2);
    weft_cancel_token *token = NULL;
    weft_spawn_options options;
    OK(weft_deadlock_watch(note, &told, WEFT_DEADLOCK_REPORT));
    OK(weft_cancel_token_new(NULL, &token));
    OK(weft_spawn_options_init(&options, sizeof options));
    options.name = "first";
    options.cancel = token;
    OK(weft_async(runtime, wait_for_the_other, &call[0], &options, &calls.future[0]));
    options.name = "second";
    options.cancel = NULL;
    OK(weft_async(runtime, wait_for_the_other, &call[1], &options, &calls.future[1]));
    gate_open(&calls.known);
    tally_wait(&told.calls, 1);
    CHECK_INT(told.waits_len, 2);
    CHECK_HAS(told.tasks, "first");
    CHECK_HAS(told.tasks, "second");
    CHECK_HAS(told.awaited, "weft_async");
    OK(weft_cancel_token_trigger(token, NULL));
    OK(weft_future_wait(calls.future[0], WEFT_FOREVER));
    OK(weft_future_wait(calls.future[1], WEFT_FOREVER));
    CHECK_INT(calls.status[0], WEFT_CANCELLED);
    CHECK_INT(calls.status[1], WEFT_OK);
    end_watch();
    CHECK_INT(tally_count(&told.calls), 1);
    weft_future_release(calls.future[0]);
    weft_future_release(calls.future[1]);
    weft_cancel_token_release(token);
    runtime_end(runtime);
}

static weft_status wait_for_itself(weft_worker *worker, void *arg, void **result)
{
    struct calls *calls = arg;
    (void)worker, (void)result;
    gate_wait(&calls->known);
    CHECK_STATUS(weft_future_wait(calls->future[0], 0), WEFT_WOULD_BLOCK);
    CHECK_REFUSED(weft_future_wait(calls->future[0], WEFT_FOREVER), WEFT_DEADLOCK, "waits");
    CHECK_REFUSED(weft_future_get(calls->future[0], 1000000000, result), WEFT_DEADLOCK, "waits");
    return WEFT_OK;
}

TEST(a_call_does_not_wait_for_itself)
{
    struct calls calls = {.known = GATE_INIT};
    weft_runtime *runtime = runtime_new(2);
    uint64_t before = weft_deadlock_count();
    OK(weft_async(runtime, wait_for_itself, &calls, NULL, &calls.future[0]));
    gate_open(&calls.known);
    OK(weft_future_wait(calls.future[0], WEFT_FOREVER));
    CHECK_INT(weft_deadlock_count(), before);
    weft_future_release(calls.future[0]);
    runtime_end(runtime);
}

/* ---- runs and joins */

struct held {
    weft_mutex *mutex;
    weft_runtime *runtime;
    weft_cancel_token *token;
    gate stolen;
    weft_status status;
};

static void lock_it(weft_worker *worker, void *arg)
{
    struct held *held = arg;
    (void)worker;
    gate_open(&held->stolen);
    held->status = weft_mutex_lock(held->mutex, WEFT_FOREVER);
}

static void run_while_holding(void *arg)
{
    struct held *held = arg;
    OK(weft_mutex_lock(held->mutex, WEFT_FOREVER));
    OK(weft_cancel_token_enter(held->token));
    OK(weft_run(held->runtime, lock_it, held));
    OK(weft_cancel_token_leave(held->token));
    OK(weft_mutex_unlock(held->mutex));
}

static void join_while_holding(weft_worker *worker, void *arg)
{
    struct held *held = arg;
    OK(weft_mutex_lock(held->mutex, WEFT_FOREVER));
    OK(weft_cancel_token_enter(held->token));
    weft_fork(worker, lock_it, held);
    /* Shared by this at the latest; the other worker has nothing else to do. */
    OK(weft_blocking_begin(NULL));
    gate_wait(&held->stolen);
    OK(weft_blocking_end(NULL));
    CHECK(!weft_sync(worker));
    OK(weft_cancel_token_leave(held->token));
    OK(weft_mutex_unlock(held->mutex));
}

static void start_join(void *arg)
{
    OK(weft_run(((struct held *)arg)->runtime, join_while_holding, arg));
}

static void through(void (*start)(void *), const char *awaited)
{
    struct held held = {.mutex = mutex_new("held"), .runtime = runtime_new(2), .stolen = GATE_INIT};
    struct told told = {.calls = TALLY_INIT};
    struct thread thread;
    OK(weft_cancel_token_new(NULL, &held.token));
    OK(weft_deadlock_watch(note, &told, WEFT_DEADLOCK_REPORT));
    thread_start(&thread, start, &held);
    tally_wait(&told.calls, 1);
    CHECK_INT(told.waits_len, 2);
    CHECK_HAS(told.awaited, "'held'");
    CHECK_HAS(told.awaited, awaited);
    OK(weft_cancel_token_trigger(held.token, NULL));
    thread_join(&thread);
    CHECK_INT(held.status, WEFT_CANCELLED);
    end_watch();
    CHECK_INT(tally_count(&told.calls), 1);
    weft_cancel_token_release(held.token);
    weft_mutex_release(held.mutex);
    runtime_end(held.runtime);
}

TEST(a_run_and_a_mutex) { through(run_while_holding, "run"); }
TEST(a_half_and_a_mutex) { through(start_join, "half"); }

/* ---- near misses */

static void no_deadlock(void (*run)(int), int arg)
{
    uint64_t before = weft_deadlock_count();
    OK(weft_deadlock_watch(never_told, NULL, WEFT_DEADLOCK_REPORT));
    run(arg);
    end_watch();
    CHECK_INT(weft_deadlock_count(), before);
}

enum end { UNLOCK, TOKEN, INTERRUPT };

/* Holds its own mutex and waits for the main thread's. */
struct miss {
    weft_mutex *theirs, *mains;
    weft_cancel_token *token;
    weft_thread *self;
    gate begun;
    int end;
};

static void hold_and_wait(void *arg)
{
    static const weft_status statuses[] = {WEFT_OK, WEFT_CANCELLED, WEFT_INTERRUPTED};
    struct miss *miss = arg;
    OK(weft_mutex_lock(miss->theirs, WEFT_FOREVER));
    OK(weft_cancel_token_enter(miss->token));
    miss->self = weft_thread_self();
    gate_open(&miss->begun);
    if (CHECK_STATUS(weft_mutex_lock(miss->mains, WEFT_FOREVER), statuses[miss->end]) && miss->end == UNLOCK)
        OK(weft_mutex_unlock(miss->mains));
    OK(weft_cancel_token_leave(miss->token));
    OK(weft_mutex_unlock(miss->theirs));
}

/* The other has been let go, and may not have woken up when this thread waits for what the other holds. */
static void let_go(int end)
{
    int rounds = under_a_tool() ? 100 : 1000;
    for (int i = 0; i < rounds; i++) {
        struct miss miss = {.theirs = mutex_new("theirs"), .mains = mutex_new("main's"), .begun = GATE_INIT, .end = end};
        struct thread thread;
        OK(weft_cancel_token_new(NULL, &miss.token));
        OK(weft_mutex_lock(miss.mains, WEFT_FOREVER));
        thread_start(&thread, hold_and_wait, &miss);
        gate_wait(&miss.begun);
        for (int turn = 0; turn < i % 64; turn++)
            OK(weft_yield(NULL));
        if (end == UNLOCK)
            OK(weft_mutex_unlock(miss.mains));
        else if (end == TOKEN)
            OK(weft_cancel_token_trigger(miss.token, NULL));
        else
            OK(weft_thread_interrupt(miss.self));
        OK(weft_mutex_lock(miss.theirs, WEFT_FOREVER));
        OK(weft_mutex_unlock(miss.theirs));
        if (end != UNLOCK)
            OK(weft_mutex_unlock(miss.mains));
        thread_join(&thread);
        weft_thread_release(miss.self);
        weft_cancel_token_release(miss.token);
        weft_mutex_release(miss.theirs);
        weft_mutex_release(miss.mains);
    }
}

TEST(a_wait_that_got_its_mutex_is_none) { no_deadlock(let_go, UNLOCK); }
TEST(a_cancelled_wait_is_none) { no_deadlock(let_go, TOKEN); }
TEST(an_interrupted_wait_is_none) { no_deadlock(let_go, INTERRUPT); }

static weft_status nothing(weft_worker *worker, void *arg, void **result)
{
    (void)worker, (void)arg, (void)result;
    return WEFT_OK;
}

static void lock_and_unlock(weft_worker *worker, void *arg)
{
    (void)worker;
    OK(weft_mutex_lock(arg, WEFT_FOREVER));
    OK(weft_mutex_unlock(arg));
}

/* The thread that ran the call waits for who waited for it, and has yet to notice that it ended. */
static void after_the_call(int workers)
{
    weft_runtime *runtime = runtime_new(workers);
    weft_mutex *mutex = mutex_new("held meanwhile");
    int rounds = under_a_tool() ? 100 : 2000;
    for (int i = 0; i < rounds; i++) {
        weft_future *future = NULL;
        OK(weft_mutex_lock(mutex, WEFT_FOREVER));
        OK(weft_async(runtime, nothing, NULL, NULL, &future));
        OK(weft_spawn(runtime, lock_and_unlock, mutex));
        OK(weft_future_wait(future, WEFT_FOREVER));
        OK(weft_mutex_unlock(mutex));
        weft_future_release(future);
    }
    runtime_end(runtime);
    weft_mutex_release(mutex);
}

TEST(a_call_that_has_ended_is_waited_for_by_nobody)
{
    no_deadlock(after_the_call, 1);
    no_deadlock(after_the_call, 2);
}

/* In the order of their numbers without a limit, against it with one. */
struct disorder {
    weft_mutex *mutex[5];
    uint64_t seed;
};

static void lock_in_disorder(size_t index, void *arg)
{
    struct disorder *disorder = arg;
    struct random random = {disorder->seed + index};
    int rounds = under_a_tool() ? 200 : 5000;
    for (int i = 0; i < rounds; i++) {
        size_t first = random_below(&random, 5), second = random_below(&random, 5);
        int64_t timeout = first < second ? WEFT_FOREVER : (int64_t)random_below(&random, 50000);
        OK(weft_mutex_lock(disorder->mutex[first], WEFT_FOREVER));
        weft_status status = weft_mutex_lock(disorder->mutex[second], timeout);
        if (status == WEFT_OK)
            OK(weft_mutex_unlock(disorder->mutex[second]));
        else
            CHECK(first == second ? status == WEFT_DEADLOCK
                                  : timeout != WEFT_FOREVER && (status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK));
        OK(weft_mutex_unlock(disorder->mutex[first]));
    }
}

struct disorderly {
    struct disorder *disorder;
    size_t index;
    struct tally *done;
};

static void lock_in_disorder_as_a_task(weft_worker *worker, void *arg)
{
    struct disorderly *task = arg;
    (void)worker;
    lock_in_disorder(task->index, task->disorder);
    tally_add(task->done, 1);
}

static void in_disorder(int workers)
{
    struct disorder disorder = {.seed = random_seed()};
    struct tally done = TALLY_INIT;
    struct disorderly tasks[4];
    weft_runtime *runtime = runtime_new(workers);
    for (size_t i = 0; i < 5; i++)
        disorder.mutex[i] = mutex_new(NULL);
    for (size_t i = 0; i < 4; i++) {
        tasks[i] = (struct disorderly){&disorder, 10 + i, &done};
        OK(weft_spawn(runtime, lock_in_disorder_as_a_task, &tasks[i]));
    }
    threads_together(3, lock_in_disorder, &disorder);
    tally_wait(&done, 4);
    runtime_end(runtime);
    for (size_t i = 0; i < 5; i++)
        weft_mutex_release(disorder.mutex[i]);
}

TEST(waits_that_time_out_are_none) { no_deadlock(in_disorder, 2); }

/* ---- what is done about it */

CHILD_WITHOUT_LEAK_CHECK(abort_at_a_deadlock)
{
    struct ring ring = {.n = 2, .mutex = {mutex_new("left"), mutex_new("right")}, .have_one = TALLY_INIT, .done = TALLY_INIT};
    struct member members[2] = {{&ring, 0}, {&ring, 1}};
    weft_runtime *runtime = runtime_new(2);
    OK(weft_deadlock_watch(NULL, NULL, WEFT_DEADLOCK_ABORT));
    OK(weft_spawn(runtime, lock_two, &members[0]));
    OK(weft_spawn(runtime, lock_two, &members[1]));
    tally_wait(&ring.done, 1);
    CHECK(!"the process aborts");
}

TEST(a_test_may_abort)
{
    struct child child = child_run("abort_at_a_deadlock");
    CHECK(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
    CHECK_HAS(child.output, "weft: deadlock: ");
    CHECK_HAS(child.output, "'left'");
    CHECK_HAS(child.output, "'right'");
}

static void replace_myself(const weft_deadlock *deadlock, void *arg)
{
    (void)deadlock;
    OK(weft_deadlock_watch(NULL, NULL, WEFT_DEADLOCK_REPORT));
    tally_add(arg, 1);
}

TEST(the_callback_may_end_the_watch)
{
    struct tally calls = TALLY_INIT;
    struct held held = {.mutex = mutex_new("held"), .runtime = runtime_new(2), .stolen = GATE_INIT};
    OK(weft_cancel_token_new(NULL, &held.token));
    OK(weft_deadlock_watch(replace_myself, &calls, WEFT_DEADLOCK_REPORT));
    struct thread thread;
    thread_start(&thread, run_while_holding, &held);
    tally_wait(&calls, 1);
    OK(weft_cancel_token_trigger(held.token, NULL));
    thread_join(&thread);
    CHECK_INT(tally_count(&calls), 1);
    weft_cancel_token_release(held.token);
    weft_mutex_release(held.mutex);
    runtime_end(held.runtime);
}
