/* What fork-join costs a C program, inline and through calls into the library (WEFT_NO_INLINE): Fibonacci without a cut-off
 * and the sum of a full tree, nanoseconds per join, and two halves of a given length, as a multiple of one half (1 is perfect,
 * 2 is none at all). Medians. benches/peers/forkjoin.rs and forkjoin_tbb.cpp print the same lines for others. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <weft/weft.h>

enum { RUNS = 9, FIB = 32, DEPTH = 20, REGIONS = 2000 };

static const char *const how =
#ifdef WEFT_NO_INLINE
    "called";
#else
    "inline";
#endif

static void check(weft_status status, const char *what)
{
    if (status != WEFT_OK) {
        fprintf(stderr, "%s: %s: %s\n", what, weft_status_name(status), weft_error_message());
        exit(1);
    }
}

static void expect(int right, const char *what)
{
    if (!right) {
        fprintf(stderr, "wrong result: %s\n", what);
        exit(1);
    }
}

/* ---- Fibonacci */

struct fib {
    int n;
    long value;
};

static long fib(weft_worker *worker, int n);

static void fib_half(weft_worker *worker, void *arg)
{
    struct fib *f = arg;
    f->value = fib(worker, f->n);
}

static long fib(weft_worker *worker, int n)
{
    if (n < 2)
        return n;
    struct fib b = {n - 2, 0};
    weft_fork(worker, fib_half, &b);
    long a = fib(weft_next(worker), n - 1);
    if (weft_sync(worker))
        return a + fib(worker, n - 2);
    return a + b.value;
}

static void fib_join(weft_worker *worker, void *arg)
{
    struct fib *f = arg, a = {f->n - 1, 0}, b = {f->n - 2, 0};
    f->value = f->n;
    if (f->n < 2)
        return;
    weft_join(worker, fib_join, &a, fib_join, &b);
    f->value = a.value + b.value;
}

/* ---- the sum of a tree */

struct node {
    struct node *left, *right;
    long value;
};

static struct node *grow(int depth, struct node **free)
{
    struct node *node = (*free)++;
    node->value = 1;
    node->left = depth ? grow(depth - 1, free) : NULL;
    node->right = depth ? grow(depth - 1, free) : NULL;
    return node;
}

struct sum {
    const struct node *node;
    long value;
};

static long sum(weft_worker *worker, const struct node *node);

static void sum_half(weft_worker *worker, void *arg)
{
    struct sum *s = arg;
    s->value = sum(worker, s->node);
}

static long sum(weft_worker *worker, const struct node *node)
{
    if (!node->left)
        return node->value;
    struct sum right = {node->right, 0};
    weft_fork(worker, sum_half, &right);
    long left = sum(weft_next(worker), node->left);
    if (weft_sync(worker))
        return left + node->value + sum(worker, node->right);
    return left + node->value + right.value;
}

static void sum_join(weft_worker *worker, void *arg)
{
    struct sum *s = arg;
    s->value = s->node->value;
    if (!s->node->left)
        return;
    struct sum left = {s->node->left, 0}, right = {s->node->right, 0};
    weft_join(worker, sum_join, &left, sum_join, &right);
    s->value += left.value + right.value;
}

/* ---- two halves */

static void spin(weft_worker *worker, void *arg)
{
    int64_t until = weft_now() + *(int64_t *)arg;
    (void)worker;
    while (weft_now() < until) { }
}

static void halves(weft_worker *worker, void *arg)
{
    for (int i = 0; i < REGIONS; i++) {
        weft_fork(worker, spin, arg);
        spin(weft_next(worker), arg);
        if (weft_sync(worker))
            spin(worker, arg);
    }
}

/* ---- measuring */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(weft_runtime *runtime, weft_task_fn task, void *arg)
{
    double ns[RUNS];
    check(weft_run(runtime, task, arg), "weft_run");
    for (int i = 0; i < RUNS; i++) {
        int64_t begin = weft_now();
        check(weft_run(runtime, task, arg), "weft_run");
        ns[i] = (double)(weft_now() - begin);
    }
    qsort(ns, RUNS, sizeof *ns, compare);
    return ns[RUNS / 2];
}

int main(void)
{
    const double joins = 3524577 - 1, nodes = (2 << DEPTH) - 1; /* F(33) - 1 joins */
    struct node *trees = malloc((size_t)nodes * sizeof *trees), *free_nodes = trees;
    expect(trees != NULL, "memory");
    const struct node *root = grow(DEPTH, &free_nodes);
    for (int32_t workers = 1; workers <= 2; workers++) {
        weft_runtime_options options;
        weft_runtime *runtime;
        check(weft_runtime_options_init(&options, sizeof options), "weft_runtime_options_init");
        options.workers = workers;
        check(weft_runtime_new(&options, &runtime), "weft_runtime_new");
        struct fib f = {FIB, 0};
        printf("weft %s  workers %d  fib %.2f", how, (int)workers, median(runtime, fib_half, &f) / joins);
        expect(f.value == 2178309, "fib");
        printf("  weft_join %.2f", median(runtime, fib_join, &f) / joins);
        expect(f.value == 2178309, "fib_join");
        struct sum s = {root, 0};
        printf("  tree %.2f", median(runtime, sum_half, &s) / nodes);
        expect(s.value == (long)nodes, "sum");
        printf("  weft_join %.2f", median(runtime, sum_join, &s) / nodes);
        expect(s.value == (long)nodes, "sum_join");
        for (int64_t ns = 10000; workers == 2 && ns <= 50000; ns += 40000)
            printf("  halves of %d us %.2f", (int)(ns / 1000), median(runtime, halves, &ns) / REGIONS / (double)ns);
        printf("\n");
        weft_runtime_release(runtime);
    }
    free(trees);
    return 0;
}
