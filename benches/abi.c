/* What a C program pays: the common calls through the public ABI, in nanoseconds, each the median of several runs.
 * The first line is the price of an empty call into the library, to compare the others with. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <weft/weft.h>

enum { RUNS = 7 };

static void check(weft_status status, const char *what)
{
    if (status != WEFT_OK) {
        fprintf(stderr, "bench_abi: %s: %s: %s\n", what, weft_status_name(status), weft_error_message());
        exit(1);
    }
}

typedef struct bench {
    weft_runtime *runtime;
    size_t count;
} bench;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, void (*run)(bench *), weft_runtime *runtime, size_t count)
{
    double ns[RUNS];
    bench b = {runtime, count};
    run(&b);
    for (int i = 0; i < RUNS; i++) {
        int64_t begin = weft_now();
        run(&b);
        ns[i] = (double)(weft_now() - begin) / (double)count;
    }
    qsort(ns, RUNS, sizeof *ns, compare);
    printf("%-44s %10.1f\n", name, ns[RUNS / 2]);
}

static void empty_call(bench *b)
{
    for (size_t i = 0; i < b->count; i++)
        (void)weft_abi_version();
}

static weft_status no_result(weft_worker *worker, void *arg, void **result)
{
    (void)worker, (void)arg;
    *result = NULL;
    return WEFT_OK;
}

/* Tasks that are still to run; the last one opens the gate. */
typedef struct latch {
    _Atomic size_t left;
    weft_runtime *runtime;
    size_t count;
    weft_promise *promise;
} latch;

static void arrive(weft_worker *worker, void *arg)
{
    latch *l = arg;
    (void)worker;
    if (atomic_fetch_sub_explicit(&l->left, 1, memory_order_acq_rel) == 1)
        check(weft_promise_resolve(l->promise, NULL, NULL, NULL), "weft_promise_resolve");
}

static void spawn_all(weft_worker *worker, void *arg)
{
    latch *l = arg;
    (void)worker;
    for (size_t i = 0; i < l->count; i++)
        check(weft_spawn(l->runtime, arrive, l), "weft_spawn");
}

static void spawn_and_wait(bench *b, int from_a_task)
{
    latch l = {b->count, b->runtime, b->count, NULL};
    weft_future *done;
    check(weft_promise_new(&l.promise, &done), "weft_promise_new");
    if (from_a_task)
        check(weft_run(b->runtime, spawn_all, &l), "weft_run");
    else
        spawn_all(NULL, &l);
    check(weft_future_wait(done, WEFT_FOREVER), "weft_future_wait");
    weft_future_release(done);
    weft_promise_release(l.promise);
}

static void spawn_from_outside(bench *b)
{
    spawn_and_wait(b, 0);
}

static void spawn_from_a_task(bench *b)
{
    spawn_and_wait(b, 1);
}

/* As above, with tasks of the caller's. */
typedef struct owned {
    latch latch;
    weft_task *tasks;
} owned;

static void submit_all(weft_worker *worker, void *arg)
{
    owned *o = arg;
    (void)worker;
    for (size_t i = 0; i < o->latch.count; i++)
        check(weft_submit(o->latch.runtime, &o->tasks[i]), "weft_submit");
}

static void submit_and_wait(bench *b, int from_a_task)
{
    owned o = {{b->count, b->runtime, b->count, NULL}, malloc(b->count * sizeof *o.tasks)};
    weft_future *done;
    if (o.tasks == NULL)
        exit(1);
    for (size_t i = 0; i < b->count; i++)
        weft_task_init(&o.tasks[i], arrive, &o.latch);
    check(weft_promise_new(&o.latch.promise, &done), "weft_promise_new");
    if (from_a_task)
        check(weft_run(b->runtime, submit_all, &o), "weft_run");
    else
        submit_all(NULL, &o);
    check(weft_future_wait(done, WEFT_FOREVER), "weft_future_wait");
    weft_future_release(done);
    weft_promise_release(o.latch.promise);
    free(o.tasks);
}

static void submit_from_outside(bench *b)
{
    submit_and_wait(b, 0);
}

static void submit_from_a_task(bench *b)
{
    submit_and_wait(b, 1);
}

static void async_and_get(bench *b)
{
    for (size_t i = 0; i < b->count; i++) {
        weft_future *future;
        void *value;
        check(weft_async(b->runtime, no_result, NULL, NULL, &future), "weft_async");
        check(weft_future_get(future, WEFT_FOREVER, &value), "weft_future_get");
        weft_future_release(future);
    }
}

typedef struct tree {
    uint32_t depth;
} tree;

static void walk(weft_worker *worker, void *arg)
{
    tree *t = arg, left, right;
    if (t->depth == 0)
        return;
    left.depth = right.depth = t->depth - 1;
    check(weft_join(worker, walk, &left, walk, &right), "weft_join");
}

static void joins(bench *b)
{
    tree root = {0};
    while ((size_t)2 << root.depth <= b->count + 1)
        root.depth++;
    check(weft_run(b->runtime, walk, &root), "weft_run");
}

static weft_status add(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    (void)worker, (void)arg;
    for (size_t i = begin; i < end; i++)
        *(uint64_t *)acc += i;
    return WEFT_OK;
}

static weft_status sum(weft_worker *worker, void *into, void *from, void *arg)
{
    (void)worker, (void)arg;
    *(uint64_t *)into += *(uint64_t *)from;
    return WEFT_OK;
}

static void reduce(bench *b)
{
    uint64_t zero = 0, total;
    weft_loop_options options;
    check(weft_loop_options_init(&options, sizeof options), "weft_loop_options_init");
    options.grain = 1;
    check(weft_reduce(b->runtime, 0, b->count, sizeof total, &zero, add, sum, NULL, &options, &total), "weft_reduce");
    if (total != (uint64_t)b->count * (b->count - 1) / 2)
        abort();
}

static void timers(bench *b)
{
    for (size_t i = 0; i < b->count; i++) {
        weft_timer *timer;
        check(weft_timer_after(b->runtime, 30000000000, 0, arrive, NULL, NULL, NULL, &timer), "weft_timer_after");
        check(weft_timer_stop(timer), "weft_timer_stop");
        weft_timer_release(timer);
    }
}

static weft_channel *channel(size_t capacity)
{
    weft_channel_options options;
    weft_channel *channel;
    check(weft_channel_options_init(&options, sizeof options), "weft_channel_options_init");
    options.elem_size = sizeof(uint64_t);
    options.capacity = capacity;
    check(weft_channel_new(&options, &channel), "weft_channel_new");
    return channel;
}

static void send_and_receive_here(bench *b)
{
    weft_channel *c = channel(1024);
    for (uint64_t i = 0; i < b->count; i++) {
        uint64_t got;
        check(weft_channel_send(c, &i, 0), "weft_channel_send");
        check(weft_channel_recv(c, &got, 0), "weft_channel_recv");
    }
    weft_channel_release(c);
}

typedef struct stream {
    weft_channel *channel;
    size_t count;
} stream;

static weft_status produce(weft_worker *worker, void *arg, void **result)
{
    stream *s = arg;
    (void)worker, (void)result;
    for (uint64_t i = 0; i < s->count; i++)
        check(weft_channel_send(s->channel, &i, WEFT_FOREVER), "weft_channel_send");
    return WEFT_OK;
}

static void stream_through(bench *b, size_t capacity)
{
    stream s = {channel(capacity), b->count};
    weft_future *produced;
    check(weft_async(b->runtime, produce, &s, NULL, &produced), "weft_async");
    for (uint64_t i = 0, got; i < b->count; i++)
        check(weft_channel_recv(s.channel, &got, WEFT_FOREVER), "weft_channel_recv");
    check(weft_future_wait(produced, WEFT_FOREVER), "weft_future_wait");
    weft_future_release(produced);
    weft_channel_release(s.channel);
}

static void stream_bounded(bench *b)
{
    stream_through(b, 1024);
}

static void stream_unbounded(bench *b)
{
    stream_through(b, WEFT_UNBOUNDED);
}

static void stream_rendezvous(bench *b)
{
    stream_through(b, 0);
}

int main(void)
{
    for (int32_t workers = 1; workers <= 2; workers++) {
        weft_runtime_options options;
        weft_runtime *runtime;
        check(weft_runtime_options_init(&options, sizeof options), "weft_runtime_options_init");
        options.workers = workers;
        check(weft_runtime_new(&options, &runtime), "weft_runtime_new");
        printf("%s%" PRId32 " worker%s%43s\n", workers > 1 ? "\n" : "", workers, workers > 1 ? "s" : " ", "ns each");
        report("empty call (weft_abi_version)", empty_call, runtime, 10000000);
        report("weft_spawn from outside, and run it", spawn_from_outside, runtime, 1000000);
        report("weft_spawn from a task, and run it", spawn_from_a_task, runtime, 1000000);
        report("weft_submit from outside, and run it", submit_from_outside, runtime, 1000000);
        report("weft_submit from a task, and run it", submit_from_a_task, runtime, 1000000);
        report("weft_async and weft_future_get", async_and_get, runtime, 20000);
        report("weft_join, full binary tree", joins, runtime, 1000000);
        report("weft_reduce with grain 1, per index", reduce, runtime, 1000000);
        report("weft_timer_after, _stop and _release", timers, runtime, 1000000);
        report("weft_channel_send and _recv, one thread", send_and_receive_here, runtime, 1000000);
        report("channel of 1024 between two threads", stream_bounded, runtime, 1000000);
        report("unbounded channel between two threads", stream_unbounded, runtime, 1000000);
        report("rendezvous between two threads", stream_rendezvous, runtime, 50000);
        check(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER), "weft_runtime_shutdown");
        weft_runtime_release(runtime);
    }
    return 0;
}
