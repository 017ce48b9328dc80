/* weft_mutex: who holds it, who waits for it, how waits end, and what becomes of one whose holder goes. */
#include "support.h"

static weft_mutex *mutex_new(const char *name)
{
    weft_mutex *mutex = NULL;
    OK(weft_mutex_new(name, &mutex));
    return mutex;
}

/* ---- one at a time */

struct counted {
    weft_mutex *mutex;
    uint64_t count; /* guarded by the mutex */
    int rounds;
    struct tally done;
};

static void count_up(void *arg)
{
    struct counted *counted = arg;
    for (int i = 0; i < counted->rounds; i++) {
        OK(weft_mutex_lock(counted->mutex, WEFT_FOREVER));
        counted->count++;
        OK(weft_mutex_unlock(counted->mutex));
    }
}

static void count_in_task(weft_worker *worker, void *arg)
{
    (void)worker;
    count_up(arg);
    tally_add(&((struct counted *)arg)->done, 1);
}

static void count_in_thread(size_t index, void *arg)
{
    (void)index;
    count_up(arg);
}

TEST(tasks_and_threads_exclude_each_other)
{
    struct counted counted = {.mutex = mutex_new("counter"), .rounds = under_a_tool() ? 200 : 5000, .done = TALLY_INIT};
    weft_runtime *runtime = runtime_new(4);
    for (int i = 0; i < 8; i++)
        OK(weft_spawn(runtime, count_in_task, &counted));
    threads_together(3, count_in_thread, &counted);
    tally_wait(&counted.done, 8);
    CHECK_INT(counted.count, 11 * counted.rounds);
    runtime_end(runtime);
    weft_mutex_release(counted.mutex);
}

/* Who waits gets it, however fast another thread locks and unlocks. */
struct greedy {
    weft_mutex *mutex;
    gate begun;
    atomic_bool served;
};

static void lock_again_and_again(void *arg)
{
    struct greedy *greedy = arg;
    while (!atomic_load(&greedy->served)) {
        OK(weft_mutex_lock(greedy->mutex, WEFT_FOREVER));
        gate_open(&greedy->begun);
        OK(weft_mutex_unlock(greedy->mutex));
    }
}

TEST(a_greedy_thread_starves_nobody)
{
    struct greedy greedy = {.mutex = mutex_new(NULL), .begun = GATE_INIT};
    struct thread thread;
    thread_start(&thread, lock_again_and_again, &greedy);
    gate_wait(&greedy.begun);
    for (int i = 0; i < 20; i++) {
        OK(weft_mutex_lock(greedy.mutex, WEFT_FOREVER));
        OK(weft_mutex_unlock(greedy.mutex));
    }
    atomic_store(&greedy.served, true);
    thread_join(&thread);
    weft_mutex_release(greedy.mutex);
}

/* ---- the holder */

static void not_the_holder(void *arg)
{
    CHECK_REFUSED(weft_mutex_unlock(arg), WEFT_BUSY, "not locked by");
    CHECK_REFUSED(weft_mutex_lock(arg, 0), WEFT_WOULD_BLOCK, "locked");
    CHECK_REFUSED(weft_mutex_lock(arg, 1000), WEFT_TIMEOUT, "locked");
}

TEST(only_the_holder_unlocks)
{
    weft_mutex *mutex = mutex_new("mine");
    struct thread thread;
    CHECK_REFUSED(weft_mutex_unlock(mutex), WEFT_BUSY, "not locked by");
    OK(weft_mutex_lock(mutex, 0));
    thread_start(&thread, not_the_holder, mutex);
    thread_join(&thread);
    CHECK_REFUSED(weft_mutex_lock(mutex, WEFT_FOREVER), WEFT_DEADLOCK, "who locks it");
    CHECK_REFUSED(weft_mutex_lock(mutex, 0), WEFT_DEADLOCK, "who locks it");
    OK(weft_mutex_unlock(mutex));
    CHECK_REFUSED(weft_mutex_unlock(mutex), WEFT_BUSY, "not locked by");
    weft_mutex_release(mutex);
}

static weft_status inner(weft_worker *worker, void *arg, void **result)
{
    (void)worker, (void)result;
    CHECK_REFUSED(weft_mutex_unlock(arg), WEFT_BUSY, "further out");
    CHECK_REFUSED(weft_mutex_lock(arg, WEFT_FOREVER), WEFT_DEADLOCK, "before this one has ended");
    return WEFT_OK;
}

static void outer(weft_worker *worker, void *arg)
{
    weft_cancel_token *token = NULL;
    weft_future *future = NULL;
    (void)worker;
    OK(weft_mutex_lock(arg, WEFT_FOREVER));
    /* A task is the same one whatever tokens it enters. */
    OK(weft_cancel_token_new(NULL, &token));
    OK(weft_cancel_token_enter(token));
    CHECK_STATUS(weft_mutex_lock(arg, WEFT_FOREVER), WEFT_DEADLOCK);
    OK(weft_mutex_unlock(arg));
    OK(weft_mutex_lock(arg, WEFT_FOREVER));
    OK(weft_cancel_token_leave(token));
    /* The only worker: it runs in place, on top of this task. */
    OK(weft_async(NULL, inner, arg, NULL, &future));
    OK(weft_future_wait(future, WEFT_FOREVER));
    OK(weft_mutex_unlock(arg));
    weft_future_release(future);
    weft_cancel_token_release(token);
}

TEST(a_task_on_top_of_the_holder_is_another_task)
{
    weft_mutex *mutex = mutex_new("outer's");
    weft_runtime *runtime = runtime_new_limited(1, 1);
    OK(weft_run(runtime, outer, mutex));
    runtime_end(runtime);
    weft_mutex_release(mutex);
}

/* ---- halves of joins */

struct halves {
    weft_mutex *mutex;
    uint64_t count; /* guarded by the mutex */
};

struct part {
    struct halves *halves;
    int depth;
};

static void lock_in_both_halves(weft_worker *worker, void *arg)
{
    struct part *part = arg, half = {part->halves, part->depth - 1};
    if (part->depth > 0) {
        OK(weft_join(worker, lock_in_both_halves, &half, lock_in_both_halves, &half));
        return;
    }
    OK(weft_mutex_lock(part->halves->mutex, WEFT_FOREVER));
    part->halves->count++;
    OK(weft_mutex_unlock(part->halves->mutex));
}

TEST(halves_lock_for_themselves)
{
    struct halves halves = {mutex_new(NULL), 0};
    struct part part = {&halves, under_a_tool() ? 8 : 12};
    weft_runtime *runtime = runtime_new(4);
    OK(weft_run(runtime, lock_in_both_halves, &part));
    CHECK_INT(halves.count, 1u << part.depth);
    CHECK_INT(weft_deadlock_count(), 0);
    runtime_end(runtime);
    weft_mutex_release(halves.mutex);
}

/* ---- waits and their ends */

struct waits {
    weft_mutex *mutex;
    gate held;
    struct tally waiting;
    weft_status status;
    weft_thread *self;
    gate done;
};

static void wait_in_task(weft_worker *worker, void *arg)
{
    struct waits *waits = arg;
    (void)worker;
    waits->self = weft_thread_self();
    gate_open(&waits->held);
    waits->status = weft_mutex_lock(waits->mutex, WEFT_FOREVER);
    gate_open(&waits->done);
}

static void open_gate(weft_worker *worker, void *arg)
{
    (void)worker;
    gate_open(arg);
}

TEST(who_waits_passes_its_turn_on)
{
    struct waits waits = {.mutex = mutex_new(NULL), .held = GATE_INIT, .done = GATE_INIT};
    gate other = GATE_INIT;
    weft_runtime *runtime = runtime_new(1);
    OK(weft_mutex_lock(waits.mutex, WEFT_FOREVER));
    OK(weft_spawn(runtime, wait_in_task, &waits));
    gate_wait(&waits.held);
    /* The only turn there is. */
    OK(weft_spawn(runtime, open_gate, &other));
    gate_wait(&other);
    OK(weft_mutex_unlock(waits.mutex));
    gate_wait(&waits.done);
    OK(waits.status);
    runtime_end(runtime);
    weft_thread_release(waits.self);
    /* The task ended while it held it. */
    OK(weft_mutex_lock(waits.mutex, 0));
    OK(weft_mutex_unlock(waits.mutex));
    weft_mutex_release(waits.mutex);
}

enum end { BY_TOKEN, BY_INTERRUPT, BY_SHUTDOWN };

static void a_wait_ends(enum end end, weft_status status)
{
    struct waits waits = {.mutex = mutex_new(NULL), .held = GATE_INIT, .done = GATE_INIT};
    weft_runtime *runtime = runtime_new(2);
    weft_cancel_token *token = NULL;
    weft_spawn_options options;
    OK(weft_cancel_token_new(NULL, &token));
    OK(weft_spawn_options_init(&options, sizeof options));
    options.cancel = token;
    OK(weft_mutex_lock(waits.mutex, WEFT_FOREVER));
    OK(weft_spawn_with(runtime, wait_in_task, &waits, &options));
    gate_wait(&waits.held);
    if (end == BY_TOKEN)
        OK(weft_cancel_token_trigger(token, "enough"));
    else if (end == BY_INTERRUPT)
        OK(weft_thread_interrupt(waits.self));
    else
        CHECK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, 0) != WEFT_INVALID);
    gate_wait(&waits.done);
    CHECK_INT(waits.status, status);
    /* What was not got is not held: it goes to the next who comes. */
    OK(weft_mutex_unlock(waits.mutex));
    OK(weft_mutex_lock(waits.mutex, 0));
    OK(weft_mutex_unlock(waits.mutex));
    runtime_end(runtime);
    weft_thread_release(waits.self);
    weft_cancel_token_release(token);
    weft_mutex_release(waits.mutex);
}

TEST(a_token_ends_a_wait) { a_wait_ends(BY_TOKEN, WEFT_CANCELLED); }
TEST(an_interrupt_ends_a_wait) { a_wait_ends(BY_INTERRUPT, WEFT_INTERRUPTED); }
TEST(a_discarding_shutdown_ends_a_wait) { a_wait_ends(BY_SHUTDOWN, WEFT_SHUTDOWN); }

/* Tokens, timeouts and hand-overs at once: whatever ends the waits, nobody is left waiting and nothing is lost. */
struct storm {
    weft_mutex *mutex;
    uint64_t count; /* guarded by the mutex */
    atomic_uint_fast64_t got;
    struct tally done;
    uint64_t seed;
    weft_thread *_Atomic threads[4];
    atomic_bool over;
};

static void storm_thread(size_t index, void *arg)
{
    struct storm *storm = arg;
    struct random random = {storm->seed + index};
    int rounds = under_a_tool() ? 300 : 3000;
    if (index == 0) {
        while (!atomic_load(&storm->over))
            for (size_t i = 1; i < 4; i++) {
                weft_thread *thread = atomic_load(&storm->threads[i]);
                if (thread != NULL)
                    OK(weft_thread_interrupt(thread));
                OK(weft_mutex_lock(storm->mutex, WEFT_FOREVER));
                OK(weft_mutex_unlock(storm->mutex));
            }
        return;
    }
    atomic_store(&storm->threads[index], weft_thread_self());
    for (int i = 0; i < rounds; i++) {
        int64_t timeout = random_below(&random, 3) == 0 ? WEFT_FOREVER : (int64_t)random_below(&random, 20000);
        weft_status status = weft_mutex_lock(storm->mutex, timeout);
        if (status == WEFT_OK) {
            storm->count++;
            atomic_fetch_add(&storm->got, 1);
            OK(weft_mutex_unlock(storm->mutex));
        } else {
            CHECK(status == WEFT_INTERRUPTED || (timeout != WEFT_FOREVER && (status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK)));
        }
    }
    tally_add(&storm->done, 1);
    if (tally_count(&storm->done) == 3)
        atomic_store(&storm->over, true);
}

TEST(nothing_is_lost_in_a_storm)
{
    struct storm storm = {.mutex = mutex_new("storm"), .done = TALLY_INIT, .seed = random_seed()};
    threads_together(4, storm_thread, &storm);
    CHECK_INT(storm.count, atomic_load(&storm.got));
    CHECK_INT(weft_deadlock_count(), 0);
    for (size_t i = 1; i < 4; i++)
        weft_thread_release(storm.threads[i]);
    OK(weft_mutex_lock(storm.mutex, 0));
    OK(weft_mutex_unlock(storm.mutex));
    weft_mutex_release(storm.mutex);
}

/* ---- holders that go */

static void lock_and_end(weft_worker *worker, void *arg)
{
    (void)worker;
    OK(weft_mutex_lock(arg, WEFT_FOREVER));
}

static void lock_and_end_thread(void *arg)
{
    OK(weft_mutex_lock(arg, WEFT_FOREVER));
}

static void expect_error(const char *what, const char *name)
{
    weft_log_record record = {.size = sizeof record};
    OK(weft_log_next(&record, WEFT_FOREVER));
    CHECK_INT(record.level, WEFT_LOG_ERROR);
    CHECK_HAS(record.message, what);
    CHECK_HAS(record.message, name);
}

TEST(what_is_held_at_the_end_is_unlocked_and_logged)
{
    weft_mutex *mutex = mutex_new("forgotten");
    weft_runtime *runtime = runtime_new(2);
    weft_spawn_options options;
    struct thread thread;
    OK(weft_log_set(NULL, NULL, WEFT_LOG_ERROR));
    OK(weft_spawn_options_init(&options, sizeof options));
    options.name = "forgetful";
    OK(weft_spawn_with(runtime, lock_and_end, mutex, &options));
    expect_error("forgetful", "'forgotten'");
    OK(weft_mutex_lock(mutex, WEFT_FOREVER));
    OK(weft_mutex_unlock(mutex));
    /* A run from a task ends like any task. */
    OK(weft_run(runtime, lock_and_end, mutex));
    expect_error("ended while it held", "'forgotten'");
    OK(weft_mutex_lock(mutex, WEFT_FOREVER));
    OK(weft_mutex_unlock(mutex));
    thread_start(&thread, lock_and_end_thread, mutex);
    thread_join(&thread);
    expect_error("a thread ended", "'forgotten'");
    OK(weft_mutex_lock(mutex, WEFT_FOREVER));
    OK(weft_mutex_unlock(mutex));
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
    runtime_end(runtime);
    weft_mutex_release(mutex);
}

static void lock_and_release(weft_worker *worker, void *arg)
{
    (void)worker;
    OK(weft_mutex_lock(arg, WEFT_FOREVER));
    weft_mutex_release(arg);
}

TEST(a_mutex_released_while_it_is_held_goes_with_its_holder)
{
    weft_mutex *mutex = mutex_new("released");
    weft_runtime *runtime = runtime_new(2);
    CHECK(weft_mutex_retain(mutex) == mutex);
    weft_mutex_release(mutex);
    OK(weft_run(runtime, lock_and_release, mutex));
    runtime_end(runtime);
}

/* ---- forks */

static void with_inherited_mutexes(void *arg)
{
    weft_mutex **inherited = arg, *own = NULL;
    for (int i = 0; i < 2; i++)
        CHECK_STATUS(weft_mutex_lock(inherited[i], WEFT_FOREVER), WEFT_FORKED);
    CHECK_STATUS(weft_mutex_unlock(inherited[0]), WEFT_FORKED);
    CHECK_STATUS(weft_mutex_new(NULL, &own), WEFT_FORKED);
    CHECK_STATUS(weft_deadlock_watch(NULL, NULL, WEFT_DEADLOCK_REPORT), WEFT_FORKED);
    OK(weft_after_fork());
    own = mutex_new("child's");
    OK(weft_mutex_lock(own, WEFT_FOREVER));
    CHECK_STATUS(weft_mutex_lock(own, WEFT_FOREVER), WEFT_DEADLOCK);
    OK(weft_mutex_unlock(own));
    weft_mutex_release(own);
}

CHILD_WITHOUT_LEAK_CHECK(mutexes_are_inherited)
{
    weft_mutex *mutexes[] = {mutex_new("held"), mutex_new("free")};
    OK(weft_mutex_lock(mutexes[0], WEFT_FOREVER));
    in_forked_child(with_inherited_mutexes, mutexes);
    OK(weft_mutex_unlock(mutexes[0]));
    weft_mutex_release(mutexes[0]);
    weft_mutex_release(mutexes[1]);
}

TEST(a_forked_child_has_mutexes_of_its_own) { child_succeeds("mutexes_are_inherited"); }
