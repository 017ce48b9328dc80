/* See support.h. */
#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void tally_add(struct tally *tally, uint64_t n)
{
    REQUIRE(pthread_mutex_lock(&tally->mutex) == 0);
    tally->count += n;
    /* Inside the lock: the waiter may own the tally and leave its frame as soon as it sees the count. */
    pthread_cond_broadcast(&tally->grew);
    REQUIRE(pthread_mutex_unlock(&tally->mutex) == 0);
}

void tally_wait(struct tally *tally, uint64_t at_least)
{
    REQUIRE(pthread_mutex_lock(&tally->mutex) == 0);
    while (tally->count < at_least)
        pthread_cond_wait(&tally->grew, &tally->mutex);
    REQUIRE(pthread_mutex_unlock(&tally->mutex) == 0);
}

uint64_t tally_count(struct tally *tally)
{
    REQUIRE(pthread_mutex_lock(&tally->mutex) == 0);
    uint64_t count = tally->count;
    REQUIRE(pthread_mutex_unlock(&tally->mutex) == 0);
    return count;
}

void gate_open(gate *gate)
{
    tally_add(gate, 1);
}

void gate_wait(gate *gate)
{
    tally_wait(gate, 1);
}

static void *thread_main(void *arg)
{
    struct thread *thread = arg;
    thread->run(thread->arg);
    return NULL;
}

void thread_start(struct thread *thread, void (*run)(void *arg), void *arg)
{
    thread->run = run;
    thread->arg = arg;
    REQUIRE(pthread_create(&thread->id, NULL, thread_main, thread) == 0);
}

void thread_join(struct thread *thread)
{
    REQUIRE(pthread_join(thread->id, NULL) == 0);
}

struct member {
    struct thread thread;
    size_t index;
    void (*run)(size_t index, void *arg);
    void *arg;
    pthread_barrier_t *start;
};

static void member_main(void *arg)
{
    struct member *member = arg;
    pthread_barrier_wait(member->start);
    member->run(member->index, member->arg);
}

void threads_together(size_t n, void (*run)(size_t index, void *arg), void *arg)
{
    pthread_barrier_t start;
    struct member *members = calloc(n, sizeof *members);
    REQUIRE(members != NULL && pthread_barrier_init(&start, NULL, (unsigned)n) == 0);
    for (size_t i = 0; i < n; i++) {
        members[i].index = i;
        members[i].run = run;
        members[i].arg = arg;
        members[i].start = &start;
        thread_start(&members[i].thread, member_main, &members[i]);
    }
    for (size_t i = 0; i < n; i++)
        thread_join(&members[i].thread);
    pthread_barrier_destroy(&start);
    free(members);
}

void drop_count(void *ctx, void *value)
{
    struct drops *drops = ctx;
    atomic_store(&drops->last, value);
    atomic_fetch_add(&drops->count, 1);
}

void drop_free(void *ctx, void *value)
{
    drop_count(ctx, value);
    free(value);
}

uint64_t random_seed(void)
{
    const char *set = getenv("WEFT_TEST_SEED");
    uint64_t seed;
    if (set != NULL) {
        seed = strtoull(set, NULL, 0);
    } else {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        seed = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    }
    printf("WEFT_TEST_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout);
    return seed;
}

uint64_t random_next(struct random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t random_below(struct random *random, uint64_t bound)
{
    return random_next(random) % bound;
}

weft_runtime *runtime_new_limited(int32_t workers, int32_t max_threads)
{
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = workers;
    options.max_threads = max_threads;
    OK(weft_runtime_new(&options, &runtime));
    return runtime;
}

void in_forked_child(void (*child)(void *arg), void *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        alarm(60);
        child(arg);
        exit(harness_failures() == 0 ? 0 : 1);
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0)
        REQUIRE(errno == EINTR);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

weft_runtime *runtime_new(int32_t workers)
{
    return runtime_new_limited(workers, 0);
}

void runtime_end(weft_runtime *runtime)
{
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER));
    weft_runtime_release(runtime);
}

weft_runtime_stats runtime_stats(weft_runtime *runtime)
{
    weft_runtime_stats stats = {.size = sizeof stats};
    OK(weft_runtime_stats_get(runtime, &stats));
    return stats;
}

weft_channel *channel_new(size_t elem_size, size_t capacity)
{
    weft_channel_options options;
    weft_channel *channel = NULL;
    OK(weft_channel_options_init(&options, sizeof options));
    options.elem_size = elem_size;
    options.capacity = capacity;
    OK(weft_channel_new(&options, &channel));
    return channel;
}
