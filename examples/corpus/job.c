/*
 * One run, as a task that starts the others:
 *
 *              slots: a token for each reader
 *                  |
 *   walk --batch--> read ... read --full--> count ... count        then  merge (weft_reduce), sort (weft_join)
 *                         ^                    |
 *                         +------ spare -------+
 *
 * Why this shape is quick. Counting costs several times what reading does, and both are spread: readers are short tasks, which
 * any idle worker steals; counters, one for each worker, wait for whatever chunk comes next, so that even a single huge file is
 * counted by all. A task that has to wait passes its turn to another, so there is no right number of threads for each stage to
 * find: with nothing to count a worker reads, with nothing to read it walks. Whoever is woken goes on at once, beside the task
 * that has its turn until that task ends. Waking a counter for every small file would cost more than it counts, and would give
 * a single worker two threads half of the time; with a chunk of 256 KiB a turn is a millisecond, and the cost does not show.
 * Counters share nothing, so there is nothing to lock; walking, merging and sorting overlap or are parallel themselves.
 *
 * Memory is bounded: `max_reads` batches, twice as many chunks, which circulate, and the distinct words and files.
 */
#include "corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const tally_names[TALLIES] = {
    [FILES] = "files", [EMPTY] = "empty", [SHRANK] = "shrank", [GREW] = "grew", [LONG_WORDS] = "long_words",
    [BINARY] = "binary", [UNREADABLE] = "unreadable", [VANISHED] = "vanished", [SPECIAL] = "special",
    [BROKEN_LINKS] = "broken_links", [LINK_LOOPS] = "link_loops", [REPEATED] = "repeated",
    [DIRECTORIES] = "directories", [UNREADABLE_DIRECTORIES] = "unreadable_directories",
};

/* Two for each worker, so that one is ready when another ends, and two more so that the walk is not woken for every one. */
int max_reads(int workers)
{
    int reads = 2 * workers + 2;
    return reads < MAX_READS ? reads : MAX_READS;
}

void job_fail(struct job *job, weft_status status, const char *doing)
{
    bool first = false;
    if (atomic_compare_exchange_strong(&job->failed, &first, true)) {
        job->failure = status;
        snprintf(job->failure_text, sizeof job->failure_text, "%s: %s", doing, weft_error_message());
        weft_channel_close(job->spare);     /* whoever waits for a chunk, now or later, is told that there is no more */
        weft_channel_close(job->full);
    }
}

bool job_stopping(const struct job *job)
{
    return atomic_load_explicit(&interrupted, memory_order_relaxed) || atomic_load_explicit(&job->failed, memory_order_relaxed);
}

void job_count(struct job *job, enum tally tally)
{
    atomic_fetch_add_explicit(&job->tallies[tally], 1, memory_order_relaxed);
}

static void problem_drop(void *unused, void *element)
{
    (void)unused;
    free(((struct problem *)element)->path);
}

void job_problem(struct job *job, enum tally tally, const char *path, int error)
{
    job_count(job, tally);
    atomic_fetch_add_explicit(&job->problem_count, 1, memory_order_relaxed);
    struct problem problem = {.tally = tally, .path = strdup(path)};
    if (error == 0 || strerror_r(error, problem.reason, sizeof problem.reason) != 0)
        problem.reason[0] = '\0';
    if (!problem.path) {
        job_fail(job, weft_error_set(WEFT_NOMEM, "out of memory"), "name a problem");
        return;
    }
    weft_status status = weft_channel_send(job->problems, &problem, 0);
    if (status != WEFT_OK)
        free(problem.path);
    if (status != WEFT_OK && status != WEFT_WOULD_BLOCK)        /* would block: enough are named */
        job_fail(job, status, "name a problem");
}

bool job_receive(struct job *job, weft_channel *channel, void *out)
{
    weft_status status = weft_channel_recv(channel, out, WEFT_FOREVER);
    if (status != WEFT_OK && status != WEFT_CLOSED)
        job_fail(job, status, "receive");
    return status == WEFT_OK;
}

/* ---- making one */

static weft_status channel_new(size_t elem_size, size_t capacity, const char *name, weft_drop_fn drop, weft_channel **out)
{
    weft_channel_options options;
    weft_status status = weft_channel_options_init(&options, sizeof options);
    if (status != WEFT_OK)
        return status;
    options.elem_size = elem_size;
    options.capacity = capacity;
    options.name = name;
    options.drop = drop;
    return weft_channel_new(&options, out);
}

static weft_status chunks_new(struct job *job)
{
    job->chunks = calloc(job->chunk_count, sizeof *job->chunks);
    if (!job->chunks)
        return weft_error_set(WEFT_NOMEM, "out of memory for chunks");
    for (size_t i = 0; i < job->chunk_count; i++) {
        struct chunk *chunk = &job->chunks[i];
        chunk->capacity = CHUNK;
        chunk->text = malloc(CHUNK);
        if (!chunk->text)
            return weft_error_set(WEFT_NOMEM, "out of memory for chunks");
        weft_status status = weft_channel_send(job->spare, &chunk, 0);
        if (status != WEFT_OK)
            return status;
    }
    return WEFT_OK;
}

weft_status job_new(struct job *job, weft_runtime *runtime, char *const *roots, size_t root_count)
{
    int workers = weft_runtime_workers(runtime);
    if (workers < 0)
        return WEFT_INVALID;
    *job = (struct job){.runtime = runtime, .roots = roots, .root_count = root_count, .workers = workers};
    job->max_reads = max_reads(workers);
    job->chunk_count = 2 * (size_t)job->max_reads;

    weft_status status = channel_new(1, (size_t)job->max_reads, "slots", NULL, &job->slots);
    if (status == WEFT_OK)
        status = channel_new(sizeof(struct chunk *), job->chunk_count, "spare", NULL, &job->spare);
    if (status == WEFT_OK)
        status = channel_new(sizeof(struct chunk *), job->chunk_count, "full", NULL, &job->full);
    if (status == WEFT_OK)
        status = channel_new(sizeof(struct problem), MAX_PROBLEMS, "problems", problem_drop, &job->problems);
    if (status == WEFT_OK)
        status = chunks_new(job);
    if (status == WEFT_OK && !(job->tables = calloc((size_t)workers, sizeof *job->tables)))
        status = weft_error_set(WEFT_NOMEM, "out of memory for tables");
    if (status != WEFT_OK)
        job_free(job);
    return status;
}

void job_free(struct job *job)
{
    for (int i = 0; job->tables && i < job->workers; i++)
        table_free(&job->tables[i]);
    for (size_t i = 0; job->chunks && i < job->chunk_count; i++)
        free(job->chunks[i].text);
    free(job->tables);
    free(job->chunks);
    free(job->rank_memory);
    weft_channel_release(job->slots);
    weft_channel_release(job->spare);
    weft_channel_release(job->full);
    weft_channel_release(job->problems);
    *job = (struct job){0};
}

/* ---- running one */

struct counter {
    struct job *job;
    struct table *table;
    weft_future *ended;
};

/* Makes a chunk that held a long word small again; keeping it large is no harm when the memory cannot be had. */
static void chunk_reset(struct chunk *chunk)
{
    chunk->length = 0;
    if (chunk->capacity > CHUNK) {
        unsigned char *text = realloc(chunk->text, CHUNK);
        if (text) {
            chunk->text = text;
            chunk->capacity = CHUNK;
        }
    }
}

static weft_status count(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    struct counter *counter = arg;
    struct job *job = counter->job;
    struct chunk *chunk;
    while (job_receive(job, job->full, &chunk)) {
        weft_status status = table_count(counter->table, chunk->text, chunk->length);
        if (status != WEFT_OK)
            job_fail(job, status, "count words");
        chunk_reset(chunk);
        status = weft_channel_send(job->spare, &chunk, WEFT_FOREVER);
        if (status != WEFT_OK && status != WEFT_CLOSED)
            job_fail(job, status, "give back a chunk");
    }
    *result = NULL;
    return WEFT_OK;
}

/* How many were started: all, unless the job has failed. */
static int start_counters(struct job *job, struct counter *counters)
{
    weft_spawn_options options;
    weft_status status = weft_spawn_options_init(&options, sizeof options);
    options.name = "count";
    for (int i = 0; i < job->workers; i++) {
        counters[i] = (struct counter){.job = job, .table = &job->tables[i]};
        if (status == WEFT_OK)
            status = weft_async(job->runtime, count, &counters[i], &options, &counters[i].ended);
        if (status != WEFT_OK) {
            job_fail(job, status, "start a counter");
            return i;
        }
    }
    return job->workers;
}

/* Once every slot is ours nobody reads any more. */
static void wait_for_readers(struct job *job)
{
    const char token = 0;
    for (int i = 0; i < job->max_reads; i++) {
        weft_status status = weft_channel_send(job->slots, &token, WEFT_FOREVER);
        if (status != WEFT_OK)
            job_fail(job, status, "wait for the readers");
    }
}

weft_status job_run(weft_worker *worker, void *arg, void **result)
{
    struct job *job = arg;
    struct counter *counters = calloc((size_t)job->workers, sizeof *counters);
    if (!counters)
        return weft_error_set(WEFT_NOMEM, "out of memory for counters");
    int started = start_counters(job, counters);
    walk(job);
    wait_for_readers(job);
    weft_channel_close(job->full);
    for (int i = 0; i < started; i++) {
        weft_status status = weft_future_wait(counters[i].ended, WEFT_FOREVER);
        if (status != WEFT_OK)
            job_fail(job, status, "wait for a counter");
        weft_future_release(counters[i].ended);
    }
    free(counters);

    if (!atomic_load(&job->failed)) {
        weft_status status = rank(worker, job);
        if (status != WEFT_OK)
            job_fail(job, status, "rank the words");
    }
    *result = job;
    return atomic_load(&job->failed) ? weft_error_set(job->failure, job->failure_text) : WEFT_OK;
}
