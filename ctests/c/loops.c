/* weft_for: every index exactly once, pieces no larger than the grain, the first failure stops the rest. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

static weft_loop_options with_grain(size_t grain)
{
    weft_loop_options options;
    OK(weft_loop_options_init(&options, sizeof options));
    options.grain = grain;
    return options;
}

struct visits {
    size_t begin, grain;
    atomic_uchar *seen;
    atomic_size_t calls;
};

static weft_status visit(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    struct visits *visits = arg;
    CHECK(worker != NULL);
    CHECK(begin < end);
    CHECK(visits->grain == 0 || end - begin <= visits->grain);
    for (size_t i = begin; i < end; i++)
        atomic_fetch_add(&visits->seen[i - visits->begin], 1);
    atomic_fetch_add(&visits->calls, 1);
    return WEFT_OK;
}

static void every_index_once(weft_runtime *runtime, size_t begin, size_t end, size_t grain)
{
    size_t n = end - begin, wrong = 0;
    struct visits visits = {begin, grain, calloc(n + 1, 1), 0};
    weft_loop_options options = with_grain(grain);
    weft_loop_report report = {.size = sizeof report};
    REQUIRE(visits.seen != NULL);
    OK(weft_for(runtime, begin, end, visit, &visits, &options, &report));
    for (size_t i = 0; i < n; i++)
        wrong += visits.seen[i] != 1;
    CHECK_INT(wrong, 0);
    CHECK_INT(report.done, n);
    CHECK_INT(report.failed, 0);
    CHECK_INT(report.skipped, 0);
    if (grain != 0)
        CHECK(visits.calls >= (n + grain - 1) / grain);
    free(visits.seen);
}

TEST(every_index_exactly_once)
{
    static const size_t lengths[] = {1, 2, 3, 7, 64, 1000, 65537};
    static const size_t grains[] = {0, 1, 2, 3, 64, 1000, 1000000, SIZE_MAX};
    for (int32_t workers = 1; workers <= 3; workers++) {
        weft_runtime *runtime = runtime_new(workers);
        for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++)
            for (size_t g = 0; g < sizeof grains / sizeof grains[0]; g++)
                every_index_once(runtime, l * 17, l * 17 + lengths[l], grains[g]);
        runtime_end(runtime);
    }
}

TEST(a_million_indices_of_grain_zero)
{
    weft_runtime *runtime = runtime_new(2);
    every_index_once(runtime, 0, under_a_tool() ? 100000 : 1000000, 0);
    runtime_end(runtime);
}

TEST(at_the_end_of_the_number_range)
{
    weft_runtime *runtime = runtime_new(2);
    every_index_once(runtime, SIZE_MAX - 1000, SIZE_MAX, 7);
    every_index_once(runtime, SIZE_MAX - 1, SIZE_MAX, 0);
    runtime_end(runtime);
}

struct huge {
    atomic_size_t indices;
};

static weft_status add_length(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    struct huge *huge = arg;
    (void)worker;
    atomic_fetch_add(&huge->indices, end - begin);
    return WEFT_OK;
}

/* The loop itself must cost by its pieces, not by its length. */
TEST(the_largest_range_there_is)
{
    struct huge huge = {0};
    weft_loop_options options = with_grain(SIZE_MAX / 8);
    weft_runtime *runtime = runtime_new(2);
    OK(weft_for(runtime, 0, SIZE_MAX, add_length, &huge, &options, NULL));
    CHECK_INT(huge.indices, SIZE_MAX);
    huge.indices = 0;
    OK(weft_for(runtime, 0, SIZE_MAX, add_length, &huge, NULL, NULL));
    CHECK_INT(huge.indices, SIZE_MAX);
    runtime_end(runtime);
}

TEST(an_empty_range_calls_nothing)
{
    struct huge huge = {0};
    weft_loop_report report = {sizeof report, 9, 9, 9, 9, 9};
    weft_runtime *runtime = runtime_new(1);
    OK(weft_for(runtime, 5, 5, add_length, &huge, NULL, &report));
    OK(weft_for(runtime, SIZE_MAX, SIZE_MAX, add_length, &huge, NULL, NULL));
    CHECK_INT(huge.indices, 0);
    CHECK_INT(report.done + report.failed + report.skipped, 0);
    runtime_end(runtime);
}

TEST(a_range_backwards_is_invalid)
{
    struct huge huge = {0};
    weft_loop_report report = {sizeof report, 9, 9, 9, 9, 9};
    weft_runtime *runtime = runtime_new(1);
    CHECK_INVALID(weft_for(runtime, 6, 5, add_length, &huge, NULL, &report), "begin");
    CHECK_INVALID(weft_for(runtime, SIZE_MAX, 0, add_length, &huge, NULL, &report), "begin");
    CHECK_INT(huge.indices, 0);
    CHECK_INT(report.done, 9);
    CHECK_INT(report.failed, 9);
    CHECK_INT(report.skipped, 9);
    runtime_end(runtime);
}

/* ---- failures */

struct failing {
    size_t at;
    atomic_size_t visited;
    atomic_int failures;
};

static weft_status fail_at(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    struct failing *failing = arg;
    (void)worker;
    atomic_fetch_add(&failing->visited, end - begin);
    if (begin <= failing->at && failing->at < end) {
        atomic_fetch_add(&failing->failures, 1);
        return weft_error_set(WEFT_NOT_FOUND, "index seventy-seven");
    }
    return WEFT_OK;
}

TEST(the_first_failure_is_returned_and_counted)
{
    enum { N = 10000 };
    weft_loop_options options = with_grain(10);
    for (int32_t workers = 1; workers <= 3; workers++) {
        weft_runtime *runtime = runtime_new(workers);
        struct failing failing = {77, 0, 0};
        weft_loop_report report = {.size = sizeof report};
        CHECK_REFUSED(weft_for(runtime, 0, N, fail_at, &failing, &options, &report), WEFT_NOT_FOUND, "index seventy-seven");
        CHECK_INT(failing.failures, 1);
        CHECK(report.failed >= 1 && report.failed <= 10);
        CHECK_INT(report.done + report.failed, failing.visited);
        CHECK_INT(report.done + report.failed + report.skipped, N);
        CHECK(report.skipped > 0);
        runtime_end(runtime);
    }
}

static weft_status fail_always(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    struct failing *failing = arg;
    (void)worker;
    atomic_fetch_add(&failing->visited, end - begin);
    atomic_fetch_add(&failing->failures, 1);
    return 4711;
}

TEST(when_every_piece_fails)
{
    weft_loop_options options = with_grain(1);
    weft_loop_report report = {.size = sizeof report};
    struct failing failing = {0, 0, 0};
    weft_runtime *runtime = runtime_new(3);
    CHECK_STATUS(weft_for(runtime, 0, 5000, fail_always, &failing, &options, &report), 4711);
    CHECK_INT(report.done, 0);
    CHECK_INT(report.failed, failing.visited);
    CHECK_INT(report.skipped, 5000 - failing.visited);
    /* What had not begun was stopped: no more than what the threads had in hand. */
    CHECK(failing.failures >= 1 && failing.failures <= 3);
    runtime_end(runtime);
}

TEST(report_and_options_sizes)
{
    struct {
        weft_loop_options options;
        unsigned char later[24];
    } larger;
    struct huge huge = {0};
    weft_loop_report report = {.size = 0};
    weft_runtime *runtime = runtime_new(1);
    CHECK_INVALID(weft_for(runtime, 0, 10, add_length, &huge, NULL, &report), "report");
    report.size = sizeof(size_t);
    CHECK_INVALID(weft_for(runtime, 0, 10, add_length, &huge, NULL, &report), "report");

    memset(&larger, 0xff, sizeof larger);
    OK(weft_loop_options_init(&larger.options, sizeof larger));
    CHECK_INT(larger.options.size, sizeof larger);
    CHECK_INT(larger.options.grain, 0);
    CHECK(larger.options.acc_drop == NULL && larger.options.acc_drop_ctx == NULL);
    OK(weft_for(runtime, 0, 10, add_length, &huge, &larger.options, NULL));
    larger.later[5] = 1;
    CHECK_INVALID(weft_for(runtime, 0, 10, add_length, &huge, &larger.options, NULL), "options");
    larger.options.size = 0;
    CHECK_INVALID(weft_for(runtime, 0, 10, add_length, &huge, &larger.options, NULL), "size");
    CHECK_INT(huge.indices, 10);
    runtime_end(runtime);
}

/* ---- nesting, and from everywhere */

struct matrix {
    size_t columns;
    atomic_uchar *cells;
};

struct row {
    struct matrix *matrix;
    size_t row;
};

static weft_status visit_cells(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    struct row *row = arg;
    (void)worker;
    for (size_t column = begin; column < end; column++)
        atomic_fetch_add(&row->matrix->cells[row->row * row->matrix->columns + column], 1);
    return WEFT_OK;
}

static weft_status visit_rows(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    struct matrix *matrix = arg;
    weft_loop_options options = with_grain(5);
    (void)worker;
    for (size_t r = begin; r < end; r++) {
        struct row row = {matrix, r};
        OK(weft_for(NULL, 0, matrix->columns, visit_cells, &row, &options, NULL));
    }
    return WEFT_OK;
}

static void loop_over_matrix(weft_runtime *runtime)
{
    enum { ROWS = 60, COLUMNS = 70 };
    struct matrix matrix = {COLUMNS, calloc(ROWS * COLUMNS, 1)};
    weft_loop_options options = with_grain(1);
    size_t wrong = 0;
    REQUIRE(matrix.cells != NULL);
    OK(weft_for(runtime, 0, ROWS, visit_rows, &matrix, &options, NULL));
    for (size_t i = 0; i < ROWS * COLUMNS; i++)
        wrong += matrix.cells[i] != 1;
    CHECK_INT(wrong, 0);
    free(matrix.cells);
}

static void loop_in_task(weft_worker *worker, void *arg)
{
    (void)arg;
    loop_over_matrix(weft_worker_runtime(worker));
}

static void loop_in_thread(size_t index, void *arg)
{
    (void)index;
    loop_over_matrix(arg);
}

TEST(loops_in_loops_from_everywhere)
{
    for (int32_t workers = 1; workers <= 3; workers++) {
        weft_runtime *runtime = runtime_new(workers);
        loop_over_matrix(runtime);
        OK(weft_run(runtime, loop_in_task, NULL));
        threads_together(3, loop_in_thread, runtime);
        runtime_end(runtime);
    }
}

static weft_status fail_inside(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    weft_loop_options options = with_grain(3);
    (void)worker;
    (void)begin;
    (void)end;
    return weft_for(NULL, 0, 100, fail_at, arg, &options, NULL);
}

TEST(a_failure_passes_through_nested_loops)
{
    struct failing failing = {77, 0, 0};
    weft_loop_options options = with_grain(1);
    weft_runtime *runtime = runtime_new(2);
    CHECK_REFUSED(weft_for(runtime, 0, 4, fail_inside, &failing, &options, NULL), WEFT_NOT_FOUND, "index seventy-seven");
    runtime_end(runtime);
}

/* ---- failures repaired, loops out of time, serial loops, weft_map */

struct once {
    atomic_int failures_left;
    atomic_int calls[1000];
};

static weft_status fail_once(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    struct once *once = arg;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        if (i == 500 && atomic_fetch_sub(&once->failures_left, 1) > 0)
            return weft_error_set(WEFT_FAILED, "five hundred");
        atomic_fetch_add(&once->calls[i], 1);
    }
    return WEFT_OK;
}

TEST(failures_are_repaired_as_asked)
{
    static const int32_t modes[] = {WEFT_ON_FAILURE_REDO, WEFT_ON_FAILURE_REDO_ALL};
    for (int32_t workers = 1; workers <= 3; workers++) {
        weft_runtime *runtime = runtime_new(workers);
        for (int m = 0; m < 2; m++) {
            struct once *once = calloc(1, sizeof *once);
            weft_loop_options options = with_grain(1);
            weft_loop_report report = {.size = sizeof report};
            REQUIRE(once != NULL);
            once->failures_left = 1;
            options.on_failure = modes[m];
            OK(weft_for(runtime, 0, 1000, fail_once, once, &options, &report));
            CHECK_INT(report.done, 1000);
            CHECK_INT(report.failed + report.skipped, 0);
            CHECK_INT(report.fell_back, 1);
            CHECK(m == 0 ? report.redone >= 1 : report.redone == 1000);
            for (int i = 0; i < 1000; i++)
                CHECK(once->calls[i] == 1 || (m == 1 && once->calls[i] == 2)); /* redone only what had failed or not begun */
            /* And a failure that stays. */
            once->failures_left = 1000;
            CHECK_REFUSED(weft_for(runtime, 0, 1000, fail_once, once, &options, &report), WEFT_FAILED, "five hundred");
            CHECK_INT(report.failed, 1);
            CHECK_INT(report.fell_back, 1);
            CHECK_INT(report.done + report.failed + report.skipped, 1000);
            free(once);
        }
        runtime_end(runtime);
    }
}

static weft_status sleep_in_the_first(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    int64_t until = weft_deadline(5000000);
    (void)worker;
    (void)end;
    (void)arg;
    while (begin == 0 && weft_now() < until) { }
    return WEFT_OK;
}

TEST(a_loop_out_of_time)
{
    weft_runtime *runtime = runtime_new(1);
    weft_loop_options options = with_grain(1);
    weft_loop_report report = {.size = sizeof report};
    options.timeout_ns = 1000000;
    CHECK_STATUS(weft_for(runtime, 0, 100, sleep_in_the_first, NULL, &options, &report), WEFT_TIMEOUT);
    CHECK(report.done <= 1 && report.skipped >= 99);
    options.timeout_ns = 0;
    CHECK_STATUS(weft_for(runtime, 0, 100, sleep_in_the_first, NULL, &options, &report), WEFT_TIMEOUT);
    CHECK_INT(report.skipped, 100);
    options.timeout_ns = 60000000000;
    OK(weft_for(runtime, 0, 100, sleep_in_the_first, NULL, &options, &report));
    CHECK_INT(report.done, 100);
    runtime_end(runtime);
}

static weft_status note_seats(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    (void)begin;
    (void)end;
    atomic_fetch_or((atomic_int *)arg, 1 << weft_worker_index(worker));
    return WEFT_OK;
}

TEST(short_loops_stay_on_one_worker)
{
    weft_runtime *runtime = runtime_new(4);
    weft_loop_options options = with_grain(1);
    options.serial_below = 200;
    for (int i = 0; i < 50; i++) {
        atomic_int seats = 0;
        OK(weft_for(runtime, 0, 200, note_seats, &seats, &options, NULL));
        CHECK(seats != 0 && (seats & (seats - 1)) == 0);
    }
    runtime_end(runtime);
}

static weft_status square(weft_worker *worker, const void *in, void *out, void *arg)
{
    int32_t value = *(const int32_t *)in;
    (void)worker;
    if (arg && value == 777)
        return weft_error_set(WEFT_FAILED, "unlucky");
    *(int64_t *)out = (int64_t)value * value;
    return WEFT_OK;
}

TEST(a_map_keeps_the_order)
{
    enum { N = 10000 };
    int32_t *in = malloc(N * sizeof *in);
    int64_t *out = calloc(N, sizeof *out);
    REQUIRE(in != NULL && out != NULL);
    for (int32_t i = 0; i < N; i++)
        in[i] = i;
    for (int32_t workers = 1; workers <= 3; workers++) {
        weft_runtime *runtime = runtime_new(workers);
        weft_loop_report report = {.size = sizeof report};
        OK(weft_map(runtime, in, sizeof *in, out, sizeof *out, N, square, NULL, NULL, &report));
        for (int64_t i = 0; i < N; i++)
            CHECK(out[i] == i * i);
        CHECK_INT(report.done, N);
        CHECK_REFUSED(weft_map(runtime, in, sizeof *in, out, sizeof *out, N, square, in, NULL, &report), WEFT_FAILED, "unlucky");
        CHECK(report.failed > 0);
        CHECK_INT(report.done + report.failed + report.skipped, N);
        runtime_end(runtime);
    }
    free(in);
    free(out);
}

TEST(a_grain_for_every_cost)
{
    CHECK_INT(weft_optimal_grain(1000000, 4, 1), 10000);
    CHECK_INT(weft_optimal_grain(1000000, 4, 0), 31250);
    CHECK_INT(weft_optimal_grain(10, 4, 1000), 1);
    CHECK_INT(weft_optimal_grain(0, 0, -1), 1);
}
