/* weft_reduce: ordered, so associativity is enough; the same tree on any number of workers; no accumulator leaks. */
#include "support.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static weft_loop_options with_grain(size_t grain)
{
    weft_loop_options options;
    OK(weft_loop_options_init(&options, sizeof options));
    options.grain = grain;
    return options;
}

/* ---- an operation that is associative but not commutative: x -> a x + b, composed */

struct affine {
    uint64_t a, b;
};

static const struct affine unchanged = {1, 0};

static struct affine after(struct affine first, struct affine second)
{
    return (struct affine){first.a * second.a, first.b * second.a + second.b};
}

static struct affine step(size_t i)
{
    return (struct affine){2 * i + 1, i * i + 3};
}

static weft_status fold_affine(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    struct affine *into = acc;
    (void)worker;
    (void)arg;
    CHECK_INT((uintptr_t)acc % 16, 0);
    for (size_t i = begin; i < end; i++)
        *into = after(*into, step(i));
    return WEFT_OK;
}

static weft_status combine_affine(weft_worker *worker, void *into, void *from, void *arg)
{
    struct affine *left = into, *right = from;
    (void)worker;
    (void)arg;
    CHECK(into != from);
    *left = after(*left, *right);
    return WEFT_OK;
}

TEST(order_is_kept)
{
    static const size_t lengths[] = {0, 1, 2, 5, 100, 12345};
    static const size_t grains[] = {0, 1, 3, 100, SIZE_MAX};
    for (int32_t workers = 1; workers <= 3; workers++) {
        weft_runtime *runtime = runtime_new(workers);
        for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++) {
            struct affine expected = unchanged;
            for (size_t i = 10; i < 10 + lengths[l]; i++)
                expected = after(expected, step(i));
            for (size_t g = 0; g < sizeof grains / sizeof grains[0]; g++) {
                weft_loop_options options = with_grain(grains[g]);
                struct affine out = {99, 99};
                OK(weft_reduce(runtime, 10, 10 + lengths[l], sizeof out, &unchanged, fold_affine, combine_affine, NULL, &options, &out));
                CHECK(out.a == expected.a && out.b == expected.b);
            }
        }
        runtime_end(runtime);
    }
}

/* ---- combine sees neighbours only */

struct span {
    size_t begin, end;
};

static weft_status fold_span(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    struct span *span = acc;
    const size_t *grain = arg;
    (void)worker;
    CHECK(end - begin <= *grain);
    if (span->begin == span->end)
        span->begin = begin;
    else
        CHECK_INT(span->end, begin);
    span->end = end;
    return WEFT_OK;
}

static weft_status combine_span(weft_worker *worker, void *into, void *from, void *arg)
{
    struct span *left = into, *right = from;
    (void)worker;
    (void)arg;
    if (right->begin == right->end)
        return WEFT_OK;
    if (left->begin == left->end)
        left->begin = left->end = right->begin;
    CHECK_INT(left->end, right->begin);
    left->end = right->end;
    return WEFT_OK;
}

TEST(only_neighbours_are_combined)
{
    size_t grain = 7;
    struct span none = {0, 0}, out = {1, 1};
    weft_loop_options options = with_grain(grain);
    weft_runtime *runtime = runtime_new(3);
    OK(weft_reduce(runtime, 3, 10003, sizeof out, &none, fold_span, combine_span, &grain, &options, &out));
    CHECK_INT(out.begin, 3);
    CHECK_INT(out.end, 10003);
    runtime_end(runtime);
}

/* ---- floats */

static weft_status fold_float(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    (void)worker;
    (void)arg;
    for (size_t i = begin; i < end; i++)
        *(float *)acc += 1.0f / (float)(i + 1);
    return WEFT_OK;
}

static weft_status combine_float(weft_worker *worker, void *into, void *from, void *arg)
{
    (void)worker;
    (void)arg;
    *(float *)into += *(float *)from;
    return WEFT_OK;
}

TEST(a_fixed_grain_gives_the_same_bits_on_any_number_of_workers)
{
    static const size_t grains[] = {1, 13, 1000};
    for (size_t g = 0; g < sizeof grains / sizeof grains[0]; g++) {
        weft_loop_options options = with_grain(grains[g]);
        uint32_t first = 0;
        for (int32_t workers = 1; workers <= 7; workers += 2) {
            weft_runtime *runtime = runtime_new(workers);
            for (int again = 0; again < 3; again++) {
                float zero = 0, sum = -1;
                uint32_t bits;
                OK(weft_reduce(runtime, 0, 30000, sizeof sum, &zero, fold_float, combine_float, NULL, &options, &sum));
                memcpy(&bits, &sum, sizeof bits);
                if (first == 0)
                    first = bits;
                CHECK_INT(bits, first);
            }
            runtime_end(runtime);
        }
    }
}

/* ---- sizes of accumulators, empty ranges */

struct wide {
    size_t acc_size;
};

static weft_status fold_wide(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    struct wide *wide = arg;
    unsigned char *bytes = acc;
    (void)worker;
    CHECK_INT((uintptr_t)acc % 16, 0);
    for (size_t i = 0; i < wide->acc_size; i++)
        bytes[i] = (unsigned char)(bytes[i] + (end - begin));
    return WEFT_OK;
}

static weft_status combine_wide(weft_worker *worker, void *into, void *from, void *arg)
{
    struct wide *wide = arg;
    unsigned char *left = into, *right = from;
    (void)worker;
    for (size_t i = 0; i < wide->acc_size; i++)
        left[i] = (unsigned char)(left[i] + right[i]);
    return WEFT_OK;
}

TEST(accumulators_of_any_size)
{
    static const size_t sizes[] = {1, 2, 7, 8, 16, 17, 100, 4096, 70000};
    weft_loop_options options = with_grain(3);
    weft_runtime *runtime = runtime_new(2);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct wide wide = {sizes[s]};
        unsigned char *zero = calloc(1, sizes[s]), *out = malloc(sizes[s]);
        size_t wrong = 0;
        REQUIRE(zero != NULL && out != NULL);
        OK(weft_reduce(runtime, 0, 100, sizes[s], zero, fold_wide, combine_wide, &wide, &options, out));
        for (size_t i = 0; i < sizes[s]; i++)
            wrong += out[i] != 100;
        CHECK_INT(wrong, 0);
        free(zero);
        free(out);
    }
    runtime_end(runtime);
}

TEST(an_empty_range_gives_the_identity)
{
    struct affine identity = {123, 456}, out = {0, 0};
    weft_runtime *runtime = runtime_new(1);
    OK(weft_reduce(runtime, 8, 8, sizeof out, &identity, fold_affine, combine_affine, NULL, NULL, &out));
    CHECK(out.a == 123 && out.b == 456);
    runtime_end(runtime);
}

/* The result may take the identity's place. */
TEST(out_may_be_the_identity)
{
    struct affine both = unchanged, expected = unchanged;
    weft_runtime *runtime = runtime_new(2);
    for (size_t i = 0; i < 500; i++)
        expected = after(expected, step(i));
    OK(weft_reduce(runtime, 0, 500, sizeof both, &both, fold_affine, combine_affine, NULL, NULL, &both));
    CHECK(both.a == expected.a && both.b == expected.b);
    runtime_end(runtime);
}

TEST(absurd_accumulator_sizes)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2 + 1, (size_t)1 << 60};
    struct affine identity = unchanged, out = {7, 7};
    weft_runtime *runtime = runtime_new(1);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        weft_status status = weft_reduce(runtime, 0, 10, sizes[i], &identity, fold_affine, combine_affine, NULL, NULL, &out);
        CHECK(status == WEFT_NOMEM || status == WEFT_TOO_LARGE || status == WEFT_INVALID);
    }
    CHECK_INVALID(weft_reduce(runtime, 0, 10, 0, &identity, fold_affine, combine_affine, NULL, NULL, &out), "acc_size");
    CHECK(out.a == 7 && out.b == 7);
    runtime_end(runtime);
}

/* ---- accumulators that own memory: a list per accumulator, and a failure somewhere */

struct list {
    size_t *items;
    size_t n;
};

struct failing {
    size_t fold_fails_at;      /* the index, or SIZE_MAX */
    int combine_fails_at;      /* the call, or -1 */
    atomic_int combines;
    atomic_int lists;          /* alive */
};

static void append(struct failing *failing, struct list *list, const size_t *items, size_t n)
{
    if (list->items == NULL && n > 0)
        atomic_fetch_add(&failing->lists, 1);
    list->items = realloc(list->items, (list->n + n + 1) * sizeof *items);
    REQUIRE(list->items != NULL);
    memcpy(list->items + list->n, items, n * sizeof *items);
    list->n += n;
}

static void drop_list(void *ctx, void *value)
{
    struct failing *failing = ctx;
    struct list *list = value;
    if (list->items != NULL)
        atomic_fetch_sub(&failing->lists, 1);
    free(list->items);
    list->items = NULL;
}

static weft_status fold_list(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    struct failing *failing = arg;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        if (i == failing->fold_fails_at)
            return weft_error_set(WEFT_FAILED, "this one cannot be folded");
        append(failing, acc, &i, 1);
    }
    return WEFT_OK;
}

static weft_status combine_list(weft_worker *worker, void *into, void *from, void *arg)
{
    struct failing *failing = arg;
    struct list *right = from;
    (void)worker;
    if (atomic_fetch_add(&failing->combines, 1) == failing->combine_fails_at)
        return weft_error_set(WEFT_NOT_FOUND, "these two cannot be combined");
    if (right->n > 0)
        append(failing, into, right->items, right->n);
    drop_list(failing, right);
    return WEFT_OK;
}

static void reduce_lists(struct failing *failing, weft_status expected, const char *message)
{
    enum { N = 2000 };
    for (int32_t workers = 1; workers <= 3; workers++) {
        weft_runtime *runtime = runtime_new(workers);
        weft_loop_options options = with_grain(16);
        struct list empty = {NULL, 0}, out = {SENTINEL, 77};
        options.acc_drop = drop_list;
        options.acc_drop_ctx = failing;
        failing->combines = 0;
        weft_status status = weft_reduce(runtime, 0, N, sizeof out, &empty, fold_list, combine_list, failing, &options, &out);
        CHECK_STATUS(status, expected);
        if (status == WEFT_OK) {
            size_t wrong = 0;
            CHECK_INT(out.n, N);
            for (size_t i = 0; i < out.n; i++)
                wrong += out.items[i] != i;
            CHECK_INT(wrong, 0);
            drop_list(failing, &out);
        } else {
            CHECK_HAS(weft_error_message(), message);
            CHECK(out.items == SENTINEL && out.n == 77);
        }
        /* Each list was moved into another or dropped, once. */
        CHECK_INT(failing->lists, 0);
        runtime_end(runtime);
    }
}

TEST(accumulators_that_own_memory)
{
    struct failing failing = {SIZE_MAX, -1, 0, 0};
    reduce_lists(&failing, WEFT_OK, "");
}

TEST(a_failing_fold_strands_no_accumulator)
{
    static const size_t at[] = {0, 1, 15, 16, 1000, 1999};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        struct failing failing = {at[i], -1, 0, 0};
        reduce_lists(&failing, WEFT_FAILED, "this one cannot be folded");
    }
}

TEST(a_failing_combine_strands_no_accumulator)
{
    static const int at[] = {0, 1, 5, 40};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        struct failing failing = {SIZE_MAX, at[i], 0, 0};
        reduce_lists(&failing, WEFT_NOT_FOUND, "these two cannot be combined");
    }
}

/* ---- nested */

static weft_status fold_nested(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        struct affine inner = unchanged;
        OK(weft_reduce(NULL, 0, 50, sizeof inner, &unchanged, fold_affine, combine_affine, arg, NULL, &inner));
        *(struct affine *)acc = after(*(struct affine *)acc, inner);
    }
    return WEFT_OK;
}

TEST(reductions_in_reductions)
{
    struct affine one = unchanged, expected = unchanged, out = unchanged;
    weft_loop_options options = with_grain(2);
    weft_runtime *runtime = runtime_new(2);
    for (size_t i = 0; i < 50; i++)
        one = after(one, step(i));
    for (size_t i = 0; i < 40; i++)
        expected = after(expected, one);
    OK(weft_reduce(runtime, 0, 40, sizeof out, &unchanged, fold_nested, combine_affine, NULL, &options, &out));
    CHECK(out.a == expected.a && out.b == expected.b);
    runtime_end(runtime);
}
