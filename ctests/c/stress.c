/* Everything at once, with exact counts: tasks that spawn, join, loop, wait for futures and trade over channels, in random shapes from
 * a printed seed (WEFT_TEST_SEED repeats it), on random runtimes, while other threads come from outside.
 *
 * Work is measured in units. Each job starts with a number of units and either does one, or splits the rest between other jobs by
 * a random means; at the end exactly as many must have been done as were handed out.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

struct mill {
    weft_runtime *runtime;
    weft_channel *relay;         /* carries jobs to whoever receives next */
    atomic_uint_fast64_t done;
    atomic_int results_due;
    struct drops results;
};

struct job {
    struct mill *mill;
    uint64_t units;
    struct random random;
    weft_task task;
};

static void work_task(weft_worker *worker, void *arg);

static struct job *job_new(struct mill *mill, uint64_t units, struct random *random)
{
    struct job *job = malloc(sizeof *job);
    REQUIRE(job != NULL);
    *job = (struct job){.mill = mill, .units = units, .random = {random_next(random)}};
    return job;
}

static void spawn_job(struct mill *mill, uint64_t units, struct random *random)
{
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.priority = (int32_t)random_below(random, 8) - 4;
    if (options.priority < WEFT_PRIORITY_LOW) {
        options.priority = WEFT_PRIORITY_NORMAL;
        options.hints = random_below(random, 2) == 0 ? WEFT_HINT_NOT_STEALABLE : 0;
    }
    if (options.priority > WEFT_PRIORITY_CRITICAL) {
        options.priority = WEFT_PRIORITY_NORMAL;
        options.node = 0;
    }
    OK(weft_spawn_with(mill->runtime, work_task, job_new(mill, units, random), &options));
}

/* ---- the means of splitting */

static void by_spawning(struct job *job)
{
    uint64_t left = job->units;
    while (left > 0) {
        uint64_t part = 1 + random_below(&job->random, left);
        spawn_job(job->mill, part, &job->random);
        left -= part;
    }
}

/* The jobs' own memory is what is queued; each frees itself when it has run. */
static void by_submitting(struct job *job)
{
    enum { MOST = 8 };
    weft_task *tasks[MOST];
    size_t n = 0;
    uint64_t left = job->units;
    while (left > 0) {
        uint64_t part = n == MOST - 1 ? left : 1 + random_below(&job->random, left);
        struct job *other = job_new(job->mill, part, &job->random);
        weft_task_init(&other->task, work_task, other);
        tasks[n++] = &other->task;
        left -= part;
    }
    if (random_below(&job->random, 2) == 0) {
        OK(weft_submit_batch(job->mill->runtime, tasks, n));
        return;
    }
    for (size_t i = 0; i < n; i++)
        OK(weft_submit(job->mill->runtime, tasks[i]));
}

static weft_status count_and_answer(weft_worker *worker, void *arg, void **result)
{
    struct job *job = arg;
    uint64_t *answer = malloc(sizeof *answer);
    REQUIRE(answer != NULL);
    *answer = job->units;
    atomic_fetch_add(&job->mill->results_due, 1);
    *result = answer;
    work_task(worker, job);
    return WEFT_OK;
}

static void by_futures(struct job *job)
{
    enum { MOST = 4 };
    weft_future *futures[MOST];
    uint64_t parts[MOST];
    size_t n = 0;
    uint64_t left = job->units;
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.result_drop = drop_free;
    options.drop_ctx = &job->mill->results;
    while (left > 0 && n < MOST) {
        uint64_t part = n == MOST - 1 ? left : 1 + random_below(&job->random, left);
        OK(weft_async(job->mill->runtime, count_and_answer, job_new(job->mill, part, &job->random), &options, &futures[n]));
        parts[n++] = part;
        left -= part;
    }
    for (size_t i = 0; i < n; i++) {
        void *value = NULL;
        switch (random_below(&job->random, 3)) {
        case 0:
            OK(weft_future_get(futures[i], WEFT_FOREVER, &value));
            CHECK_INT(*(uint64_t *)value, parts[i]);
            break;
        case 1:
            OK(weft_future_take(futures[i], WEFT_FOREVER, &value));
            CHECK_INT(*(uint64_t *)value, parts[i]);
            drop_free(&job->mill->results, value);
            break;
        default:
            break;
        }
        weft_future_release(futures[i]);
    }
}

static void by_joining(weft_worker *worker, struct job *job)
{
    uint64_t half = job->units / 2;
    OK(weft_join(worker, work_task, job_new(job->mill, job->units - half, &job->random), work_task,
                 job_new(job->mill, half, &job->random)));
}

struct loop {
    struct mill *mill;
    uint64_t seed;
};

static weft_status do_range(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    struct loop *loop = arg;
    struct random random = {loop->seed + begin};
    /* A few ranges are jobs again. */
    if (end - begin > 1 && random_below(&random, 8) == 0)
        work_task(worker, job_new(loop->mill, end - begin, &random));
    else
        atomic_fetch_add(&loop->mill->done, end - begin);
    return WEFT_OK;
}

static void by_a_loop(struct job *job)
{
    struct loop loop = {job->mill, random_next(&job->random)};
    weft_loop_options options;
    weft_loop_report report = {.size = sizeof report};
    OK(weft_loop_options_init(&options, sizeof options));
    options.grain = random_below(&job->random, 20);
    OK(weft_for(job->mill->runtime, 0, job->units, do_range, &loop, &options, &report));
    CHECK_INT(report.done, job->units);
}

static weft_status fold_units(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    (void)worker;
    (void)arg;
    *(uint64_t *)acc += end - begin;
    return WEFT_OK;
}

static weft_status add_units(weft_worker *worker, void *into, void *from, void *arg)
{
    (void)worker;
    (void)arg;
    *(uint64_t *)into += *(uint64_t *)from;
    return WEFT_OK;
}

static void by_a_reduction(struct job *job)
{
    uint64_t zero = 0, sum = 0;
    OK(weft_reduce(job->mill->runtime, 0, job->units, sizeof sum, &zero, fold_units, add_units, NULL, NULL, &sum));
    CHECK_INT(sum, job->units);
    atomic_fetch_add(&job->mill->done, sum);
}

/* Puts the job into the relay and takes a job out of it: any, perhaps the same. The sender and the receiver of a rendezvous need each
 * other, so here the relay has room, and a full or empty relay is no reason to wait. */
static void by_the_relay(weft_worker *worker, struct job *job)
{
    struct job *mine = job_new(job->mill, job->units, &job->random), *other = NULL;
    if (weft_channel_send(job->mill->relay, &mine, (int64_t)random_below(&job->random, 50000)) != WEFT_OK) {
        work_task(worker, mine);
        return;
    }
    if (weft_channel_recv(job->mill->relay, &other, (int64_t)random_below(&job->random, 50000)) == WEFT_OK)
        work_task(worker, other);
}

struct pairing {
    struct mill *mill;
    weft_channel *channel;
    uint64_t n;
};

static void send_units(weft_worker *worker, void *arg)
{
    struct pairing *pairing = arg;
    (void)worker;
    for (uint64_t i = 0; i < pairing->n; i++)
        OK(weft_channel_send(pairing->channel, &i, WEFT_FOREVER));
}

static void receive_units(weft_worker *worker, void *arg)
{
    struct pairing *pairing = arg;
    uint64_t got = 0;
    (void)worker;
    for (uint64_t i = 0; i < pairing->n; i++) {
        OK(weft_channel_recv(pairing->channel, &got, WEFT_FOREVER));
        CHECK_INT(got, i);
    }
    atomic_fetch_add(&pairing->mill->done, pairing->n);
}

static void by_a_pair(weft_worker *worker, struct job *job)
{
    static const size_t capacities[] = {0, 1, 3, WEFT_UNBOUNDED};
    struct pairing pairing = {job->mill, channel_new(8, capacities[random_below(&job->random, 4)]), job->units};
    if (random_below(&job->random, 2) == 0)
        OK(weft_join(worker, send_units, &pairing, receive_units, &pairing));
    else
        OK(weft_join(worker, receive_units, &pairing, send_units, &pairing));
    weft_channel_release(pairing.channel);
}

enum { MEANS = 8 };

/* How often each means was used, over all rounds: one that never comes up would go untested unnoticed. */
static atomic_uint_fast64_t uses[MEANS];

static void work_task(weft_worker *worker, void *arg)
{
    struct job *job = arg;
    CHECK(worker != NULL);
    if (job->units <= 1) {
        atomic_fetch_add(&job->mill->done, job->units);
        free(job);
        return;
    }
    uint64_t means = random_below(&job->random, MEANS);
    atomic_fetch_add(&uses[means], 1);
    switch (means) {
    case 0:
        by_spawning(job);
        break;
    case 7:
        by_submitting(job);
        break;
    case 1:
        by_futures(job);
        break;
    case 2:
        by_joining(worker, job);
        break;
    case 3:
        by_a_loop(job);
        break;
    case 4:
        by_a_reduction(job);
        break;
    case 5:
        by_the_relay(worker, job);
        break;
    default:
        by_a_pair(worker, job);
        break;
    }
    free(job);
}

/* ---- rounds */

struct visitor {
    struct mill *mill;
    uint64_t seed, units;
};

/* A thread from outside that brings work by every door. */
static void visit(size_t index, void *arg)
{
    struct visitor *visitor = arg;
    struct random random = {visitor->seed + index};
    struct mill *mill = visitor->mill;
    weft_future *future = NULL;
    spawn_job(mill, visitor->units, &random);
    OK(weft_run(mill->runtime, work_task, job_new(mill, visitor->units, &random)));
    weft_spawn_options options;
    OK(weft_spawn_options_init(&options, sizeof options));
    options.result_drop = drop_free;
    options.drop_ctx = &mill->results;
    OK(weft_async(mill->runtime, count_and_answer, job_new(mill, visitor->units, &random), &options, &future));
    if (index % 2 == 0)
        OK(weft_future_wait(future, WEFT_FOREVER));
    weft_future_release(future);
    struct loop loop = {mill, random_next(&random)};
    OK(weft_for(mill->runtime, 0, visitor->units, do_range, &loop, NULL, NULL));
}

static void finish_relay(struct mill *mill, uint64_t *expected_left)
{
    struct job *job = NULL;
    *expected_left = 0;
    weft_channel_close(mill->relay);
    while (weft_channel_recv(mill->relay, &job, WEFT_FOREVER) == WEFT_OK) {
        *expected_left += job->units;
        free(job);
    }
}

static void round_of(uint64_t seed)
{
    enum { VISITORS = 3 };
    struct random random = {seed};
    struct mill mill = {0};
    uint64_t units = 1 + random_below(&random, under_a_tool() ? 200 : 600), left = 0;
    weft_channel_options options;
    OK(weft_channel_options_init(&options, sizeof options));
    options.capacity = 1 + random_below(&random, 20);
    OK(weft_channel_new(&options, &mill.relay));
    mill.runtime = runtime_new((int32_t)(1 + random_below(&random, 4)));
    struct visitor visitor = {&mill, random_next(&random), units};
    threads_together(VISITORS, visit, &visitor);
    OK(weft_runtime_shutdown(mill.runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_stats stats = runtime_stats(mill.runtime);
    CHECK_INT(stats.executed, stats.spawned);
    CHECK_INT(stats.discarded, 0);
    CHECK_INT(stats.threads, 0);
    finish_relay(&mill, &left);
    CHECK_INT(mill.done + left, VISITORS * 4 * units);
    CHECK_INT(mill.results.count, mill.results_due);
    weft_runtime_release(mill.runtime);
    weft_channel_release(mill.relay);
}

TEST(mills_of_random_shapes)
{
    struct random random = {random_seed()};
    int rounds = under_valgrind() ? 25 : under_a_tool() ? 250 : 600;
    for (int i = 0; i < rounds; i++)
        round_of(random_next(&random));
    for (int i = 0; i < MEANS; i++)
        CHECK(uses[i] > 0);
}

/* ---- the same work, cut short: what runs and what is dropped add up */

struct short_life {
    atomic_uint_fast64_t ran, dropped, refused, accepted;
};

static void drop_unit(void *ctx, void *value)
{
    (void)value;
    atomic_fetch_add(&((struct short_life *)ctx)->dropped, 1);
}

static void spawn_two(weft_worker *worker, void *arg)
{
    struct short_life *life = arg;
    weft_spawn_options options;
    atomic_fetch_add(&life->ran, 1);
    OK(weft_spawn_options_init(&options, sizeof options));
    options.arg_drop = drop_unit;
    options.drop_ctx = life;
    for (int i = 0; i < 2; i++) {
        weft_status status = weft_spawn_with(weft_worker_runtime(worker), spawn_two, life, &options);
        CHECK(status == WEFT_OK || status == WEFT_SHUTDOWN);
        atomic_fetch_add(status == WEFT_OK ? &life->accepted : &life->refused, 1);
    }
}

TEST(discarded_in_full_flight)
{
    struct random random = {random_seed()};
    int rounds = under_a_tool() ? 50 : 200;
    for (int i = 0; i < rounds; i++) {
        struct short_life life = {0};
        weft_runtime *runtime = runtime_new((int32_t)(1 + random_below(&random, 3)));
        life.accepted = 1;
        OK(weft_spawn(runtime, spawn_two, &life));
        /* It would grow for ever; how far it comes is up to the scheduler. */
        OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));
        weft_runtime_stats stats = runtime_stats(runtime);
        CHECK_INT(life.ran + life.dropped, life.accepted);
        CHECK_INT(stats.spawned, life.accepted);
        CHECK_INT(stats.executed, life.ran);
        CHECK_INT(stats.discarded, life.dropped);
        weft_runtime_release(runtime);
    }
}
