/* An idle runtime uses no CPU: its threads lie down once and are not woken to look.
 *
 * Observed as a fact about the threads, not about time: the kernel counts how often each thread gave up its CPU to wait (voluntary
 * switches) and whether it sleeps. A worker that polls gives it up again and again; one that spins does not sleep. The window
 * of the observation is made of many short waits of the main thread; how long they take in the end does not matter.
 */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WORKERS = 4, WAITS = 60 };

struct seen {
    pthread_mutex_t mutex;
    int n;
    pid_t threads[WORKERS * 4];
};

#define SEEN_INIT {PTHREAD_MUTEX_INITIALIZER, 0, {0}}

static void note_thread(weft_worker *worker, void *arg)
{
    struct seen *seen = arg;
    (void)worker;
    pthread_mutex_lock(&seen->mutex);
    REQUIRE(seen->n < WORKERS * 4);
    seen->threads[seen->n++] = (pid_t)syscall(SYS_gettid);
    pthread_mutex_unlock(&seen->mutex);
}

static int threads_seen(struct seen *seen)
{
    pthread_mutex_lock(&seen->mutex);
    int n = seen->n;
    pthread_mutex_unlock(&seen->mutex);
    return n;
}

struct thread_state {
    char state;
    long voluntary;
};

/* state '?' when the thread is gone. */
static struct thread_state state_of(pid_t thread)
{
    struct thread_state state = {'?', -1};
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", (int)thread);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return state;
    while (fgets(line, sizeof line, file) != NULL) {
        sscanf(line, "State: %c", &state.state);
        sscanf(line, "voluntary_ctxt_switches: %ld", &state.voluntary);
    }
    fclose(file);
    return state;
}

static void short_waits(void)
{
    weft_channel *never = channel_new(8, 1);
    uint64_t element;
    for (int i = 0; i < WAITS; i++)
        CHECK_STATUS(weft_channel_recv(never, &element, 5000000), WEFT_TIMEOUT);
    weft_channel_release(never);
}

static weft_status touch(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    (void)worker;
    for (size_t i = begin; i < end; i++)
        atomic_fetch_add((atomic_size_t *)arg, i);
    return WEFT_OK;
}

TEST(parked_threads_stay_parked)
{
    static struct seen seen = SEEN_INIT;
    struct thread_state before[WORKERS * 4];
    weft_runtime_options options;
    weft_runtime *runtime = NULL;
    atomic_size_t touched = 0;
    /* Its own scheduler makes every thread wait for every other. */
    if (under_valgrind())
        return;
    OK(weft_runtime_options_init(&options, sizeof options));
    options.workers = WORKERS;
    options.keep_alive_ns = WEFT_FOREVER;
    options.on_worker_start = note_thread;
    options.hook_arg = &seen;
    OK(weft_runtime_new(&options, &runtime));
    OK(weft_for(runtime, 0, 1000000, touch, &touched, NULL, NULL));
    short_waits();

    int threads = threads_seen(&seen);
    CHECK(threads >= 1);
    for (int i = 0; i < threads; i++)
        before[i] = state_of(seen.threads[i]);
    weft_runtime_stats stats = runtime_stats(runtime);
    short_waits();
    weft_runtime_stats later = runtime_stats(runtime);

    CHECK_INT(threads_seen(&seen), threads);
    /* The one a thread may have is for lying down, should the machine have kept it from that until now. */
    for (int i = 0; i < threads; i++) {
        struct thread_state now = state_of(seen.threads[i]);
        CHECK(now.voluntary >= 0 && now.voluntary - before[i].voluntary <= 1);
        CHECK_INT(now.state, 'S');
    }
    CHECK_INT(later.wakes, stats.wakes);
    CHECK(later.parks - stats.parks <= (uint64_t)threads);
    CHECK_INT(later.idle, later.threads);
    CHECK_INT(later.active, 0);
    runtime_end(runtime);
}

struct waiting {
    struct seen seen;
    struct tally started;
    weft_channel *channel;
};

static void wait_for_ever(weft_worker *worker, void *arg)
{
    struct waiting *waiting = arg;
    uint64_t element;
    note_thread(worker, &waiting->seen);
    tally_add(&waiting->started, 1);
    CHECK_STATUS(weft_channel_recv(waiting->channel, &element, WEFT_FOREVER), WEFT_CLOSED);
}

/* The same for threads that wait inside of tasks. */
TEST(waiting_tasks_stay_parked)
{
    struct waiting waiting = {.seen = SEEN_INIT, .started = TALLY_INIT, .channel = channel_new(8, 0)};
    struct thread_state before[WORKERS];
    if (under_valgrind()) {
        weft_channel_release(waiting.channel);
        return;
    }
    weft_runtime *runtime = runtime_new(WORKERS);
    for (int i = 0; i < WORKERS; i++)
        OK(weft_spawn(runtime, wait_for_ever, &waiting));
    tally_wait(&waiting.started, WORKERS);
    short_waits();
    for (int i = 0; i < WORKERS; i++)
        before[i] = state_of(waiting.seen.threads[i]);
    short_waits();
    for (int i = 0; i < WORKERS; i++) {
        struct thread_state now = state_of(waiting.seen.threads[i]);
        CHECK(now.voluntary >= 0 && now.voluntary - before[i].voluntary <= 1);
        CHECK_INT(now.state, 'S');
    }
    weft_channel_close(waiting.channel);
    runtime_end(runtime);
    weft_channel_release(waiting.channel);
}
