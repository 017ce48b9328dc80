/* A fault campaign: calls that end their workers in every way, from many threads, while workers are killed and stopped from outside,
 * pools grow and shrink, and are drained. Each call is answered once, with what it may be answered with, and nothing is left.
 *
 * WEFT_SOAK_SECONDS makes it longer: rounds, each with a seed of its own that is printed when it fails. WEFT_TEST_SEED begins with a
 * seed.
 */
#include "processes.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CALLERS = 4 };

/* What the callers of a round have seen. */
struct round {
    weft_process_pool *pool;
    uint64_t seed;
    int calls;
    bool outside;
    atomic_ullong made, right, failed, died, timed_out, cancelled, closed, odd;
    atomic_bool over;
};

static const char kinds[] = {ECHO, ECHO, ECHO, ECHO, ECHO, ECHO, ECHO, ECHO, PID, FAIL, RAISE, KILLED, ABORTS, EXITS, STOPPED, ATTEMPT};

static void settle(struct round *round, weft_future *future, char what, const unsigned char *data, size_t len, bool may_time_out)
{
    void *bytes = NULL;
    weft_status status = weft_future_get(future, WEFT_FOREVER, &bytes);
    bool fits = false;
    switch (status) {
    case WEFT_OK:
        round->right++;
        fits = what == PID || what == ATTEMPT
            || (what == ECHO && weft_bytes_len(bytes) == len && memcmp(weft_bytes_data(bytes), data, len) == 0);
        break;
    case 77:
    case WEFT_FAILED:
        round->failed++;
        fits = what == (status == 77 ? FAIL : RAISE);
        break;
    case WEFT_DIED:
        round->died++;
        fits = round->outside || what == KILLED || what == ABORTS || what == EXITS || what == ATTEMPT;
        break;
    case WEFT_TIMEOUT:
        round->timed_out++;
        fits = may_time_out;
        break;
    case WEFT_CANCELLED:
        round->cancelled++;
        fits = true;
        break;
    case WEFT_SHUTDOWN:
        round->closed++;
        fits = round->over;
        break;
    }
    if (!fits) {
        round->odd++;
        fprintf(stderr, "seed %llu: a call '%c' ended with %d: %s\n", (unsigned long long)round->seed, what, (int)status,
            weft_error_message());
    }
    weft_future_release(future);
}

static void make_calls(struct round *round, size_t index)
{
    struct random random = {round->seed + index};
    size_t most = (size_t)1 << 20;
    unsigned char *data = malloc(most);
    REQUIRE(data != NULL);
    for (size_t i = 0; i < most; i++)
        data[i] = (unsigned char)(i * 13 + index);
    for (int i = 0; i < round->calls; i++) {
        char what = kinds[random_below(&random, sizeof kinds)];
        size_t len = what != ECHO ? 2 : random_below(&random, 8) == 0 ? 2 + random_below(&random, most - 2) : 2 + random_below(&random, 500);
        data[0] = (unsigned char)what;
        data[1] = (unsigned char)(1 + random_below(&random, 4));
        /* What is stopped answers only to its timeout. */
        bool stops = what == STOPPED;
        weft_process_call_options options;
        weft_future *future = NULL;
        OK(weft_process_call_options_init(&options, sizeof options));
        options.attempts = 1 + (uint32_t)random_below(&random, 3);
        options.timeout_ns = stops ? 5000000 : WEFT_FOREVER;
        weft_status status = weft_process_pool_call(round->pool, data, len, &options, &future);
        if (status == WEFT_CLOSED)
            break;
        OK(status);
        round->made++;
        if (random_below(&random, 16) == 0)
            weft_future_cancel(future);
        settle(round, future, what, data, len, stops);
    }
    free(data);
}

/* Kills and stops workers, and changes how many there are. */
static void disturb(struct round *round)
{
    struct random random = {round->seed * 3 + 1};
    for (int i = 0; i < round->calls && !round->over; i++) {
        char data[2] = {PID, 0};
        weft_process_call_options options;
        weft_future *future = NULL;
        void *bytes = NULL;
        OK(weft_process_call_options_init(&options, sizeof options));
        options.timeout_ns = 2000000000;
        if (weft_process_pool_call(round->pool, data, 2, &options, &future) != WEFT_OK)
            break;
        round->made++;
        weft_status status = weft_future_get(future, WEFT_FOREVER, &bytes);
        if (status == WEFT_OK) {
            pid_t pid;
            round->right++;
            memcpy(&pid, weft_bytes_data(bytes), sizeof pid);
            if (round->outside)
                kill(pid, SIGKILL);
        } else {
            round->died += status == WEFT_DIED;
            round->timed_out += status == WEFT_TIMEOUT;
            round->closed += status == WEFT_SHUTDOWN;
        }
        weft_future_release(future);
        if (random_below(&random, 4) == 0)
            weft_process_pool_resize(round->pool, 1 + (uint32_t)random_below(&random, 4));
    }
}

static void drain_early(struct round *round)
{
    struct random random = {round->seed * 5 + 2};
    uint64_t after = random_below(&random, (uint64_t)round->calls * CALLERS);
    while (round->made < after && !round->over)
        usleep(100);
    /* From here on calls may fail with it. */
    round->over = true;
    weft_status status = weft_process_pool_drain(round->pool, (int64_t)random_below(&random, 3) * 1000000);
    CHECK(status == WEFT_OK || status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK);
}

static void take_part(size_t index, void *arg)
{
    struct round *round = arg;
    if (index < CALLERS)
        make_calls(round, index);
    else if (index == CALLERS)
        disturb(round);
    else
        drain_early(round);
}

static bool run(uint64_t seed)
{
    struct random random = {seed};
    int failures = harness_failures();
    weft_process_pool_options options = pool_options(1 + (uint32_t)random_below(&random, 3));
    options.window = random_below(&random, 2) ? 1 : 1 + (uint32_t)random_below(&random, 8);
    options.max_calls = random_below(&random, 3) ? 0 : 1 + random_below(&random, 10);
    options.restart_limit = UINT32_MAX;
    options.backoff_ns = 100000;
    options.backoff_max_ns = 1000000;
    options.grace_ns = 50000000;
    struct round round = {.pool = pool_with(&options), .seed = seed, .calls = under_a_tool() ? 10 : 40};
    round.outside = random_below(&random, 2);
    /* The last two: who disturbs, and who drains while the others call. */
    size_t threads = CALLERS + 1 + random_below(&random, 2);
    threads_together(threads, take_part, &round);
    round.over = true;
    weft_status status = weft_process_pool_drain(round.pool, WEFT_FOREVER);
    CHECK_STATUS(status, WEFT_OK);
    weft_process_pool_stats s = pool_stats(round.pool);
    CHECK_INT(round.odd, 0);
    CHECK_INT(round.made, s.calls);
    CHECK_INT(round.right, s.succeeded);
    CHECK_INT(round.died, s.died);
    CHECK_INT(round.timed_out, s.timed_out);
    CHECK_INT(round.closed, s.closed);
    CHECK_INT(round.failed + round.cancelled, s.failed + s.cancelled);
    CHECK_INT(s.calls, s.succeeded + s.failed + s.died + s.timed_out + s.cancelled + s.closed);
    CHECK_INT(s.born, s.deaths + s.left);
    weft_process_pool_release(round.pool);
    no_children();
    bool good = harness_failures() == failures;
    if (!good)
        fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    return good;
}

TEST(every_call_is_answered_once_whatever_happens)
{
    const char *soak = getenv("WEFT_SOAK_SECONDS");
    int64_t until = soak != NULL ? weft_deadline(atoll(soak) * 1000000000) : 0;
    struct random random = {random_seed()};
    pool_end(pool_new(1));
    size_t before = descriptors_open(), rounds = under_a_tool() ? 2 : 8;
    for (size_t i = 0; i < rounds || weft_now() < until; i++) {
        if (soak != NULL)
            alarm(600);
        if (!run(random_next(&random)))
            break;
    }
    CHECK_INT(descriptors_open(), before);
}
