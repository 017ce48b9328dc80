/*
 * One run, as a task that starts the others:
 *
 *   walk --batch--> read ... read --full--> count ... count        then  merge (weft_reduce), sort (weft_join)
 *     ^               |    ^                  |
 *     +--- credits ---+    +----- spare ------+
 *
 * Why this shape is quick. Every stage is many short tasks, a millisecond at most, and all of them are alike to a worker: it takes
 * the newest of its own, so a chunk is usually counted where it was read, while it is in that core's cache; and it steals the
 * oldest of others, so one huge file is read by one worker and counted by all. Nobody has to find the right number of threads for
 * each stage. Only the walk ever waits, and seldom: credits for further batches come in lumps. A reader that finds no empty chunk
 * counts a full one instead of waiting. That matters because waking a thread costs as much as counting a few small files; and
 * because a thread that is woken goes on at once, beside the task that got its turn meanwhile: with a counter that waits for every
 * chunk, one worker would often have two threads running, and the speed-up over it would say little.
 * Each thread counts in a table of its own, so there is nothing to lock.
 *
 * Memory is bounded: `max_reads` batches, four chunks for each worker, which circulate, and the distinct words and files.
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

/* As many may wait as run: the walk, and readers in the rare case that others have all chunks in hand. Should more of them wait, no
 * further task starts until one goes on, which each of them does without any task being started. */
int max_threads(int workers)
{
    return 2 * workers + 2;
}

int max_reads(int workers)
{
    int reads = 16 * workers + 16;
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
    job->table_count = max_threads(workers);
    job->chunk_count = 4 * (size_t)workers;

    /* Room for all credits and all chunks that there are: sending them never waits. */
    weft_status status = channel_new(sizeof(int), 2, "credits", NULL, &job->credits);
    if (status == WEFT_OK)
        status = channel_new(sizeof(struct chunk *), job->chunk_count, "spare", NULL, &job->spare);
    if (status == WEFT_OK)
        status = channel_new(sizeof(struct chunk *), job->chunk_count, "full", NULL, &job->full);
    if (status == WEFT_OK)
        status = channel_new(sizeof(struct problem), MAX_PROBLEMS, "problems", problem_drop, &job->problems);
    if (status == WEFT_OK)
        status = chunks_new(job);
    if (status == WEFT_OK && !(job->tables = calloc((size_t)job->table_count, sizeof *job->tables)))
        status = weft_error_set(WEFT_NOMEM, "out of memory for tables");
    if (status != WEFT_OK)
        job_free(job);
    return status;
}

void job_free(struct job *job)
{
    for (int i = 0; job->tables && i < job->table_count; i++)
        table_free(&job->tables[i]);
    for (size_t i = 0; job->chunks && i < job->chunk_count; i++)
        free(job->chunks[i].text);
    free(job->tables);
    free(job->chunks);
    free(job->rank_memory);
    weft_channel_release(job->credits);
    weft_channel_release(job->spare);
    weft_channel_release(job->full);
    weft_channel_release(job->problems);
    *job = (struct job){0};
}

/* ---- running one */

/* A task of the job's other than the first, or the walk, has ended. The last one must not touch the job after it has told so. */
void job_task_ended(struct job *job)
{
    if (atomic_fetch_sub(&job->tasks, 1) == 1) {
        weft_promise *idle = job->idle;
        if (weft_promise_resolve(idle, NULL, NULL, NULL) != WEFT_OK)
            job_fail(job, WEFT_BUSY, "end");
        weft_promise_release(idle);
    }
}

bool job_spawn(struct job *job, weft_task_fn fn, void *arg, const char *name)
{
    weft_spawn_options options;
    weft_status status = weft_spawn_options_init(&options, sizeof options);
    options.name = name;
    atomic_fetch_add(&job->tasks, 1);
    if (status == WEFT_OK)
        status = weft_spawn_with(job->runtime, fn, arg, &options);
    if (status != WEFT_OK) {
        atomic_fetch_sub(&job->tasks, 1);       /* not the last one: the caller is a task, too */
        job_fail(job, status, name);
    }
    return status == WEFT_OK;
}

struct table *job_table(struct job *job, weft_worker *worker)
{
    return &job->tables[weft_worker_index(worker)];
}

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

bool count_next(struct job *job, struct table *table)
{
    struct chunk *chunk;
    weft_status status = weft_channel_recv(job->full, &chunk, 0);
    if (status != WEFT_OK) {
        if (status != WEFT_WOULD_BLOCK && status != WEFT_CLOSED)
            job_fail(job, status, "take a chunk");
        return false;
    }
    status = isolate_is_on() ? isolate_count(table, chunk->text, chunk->length) : table_count(table, chunk->text, chunk->length);
    if (status != WEFT_OK)
        job_fail(job, status, "count words");
    chunk_reset(chunk);
    status = weft_channel_send(job->spare, &chunk, WEFT_FOREVER);
    if (status != WEFT_OK && status != WEFT_CLOSED)
        job_fail(job, status, "give back a chunk");
    return true;
}

/* One for each chunk that is sent; a reader that was short of chunks may have been quicker. */
static void count(weft_worker *worker, void *arg)
{
    struct job *job = arg;
    count_next(job, job_table(job, worker));
    job_task_ended(job);
}

void count_later(struct job *job, struct chunk *chunk)
{
    weft_status status = weft_channel_send(job->full, &chunk, WEFT_FOREVER);
    if (status == WEFT_OK)
        job_spawn(job, count, job, "count");
    else if (status != WEFT_CLOSED)         /* closed: the job has failed already */
        job_fail(job, status, "send a chunk");
}

weft_status job_run(weft_worker *worker, void *arg, void **result)
{
    struct job *job = arg;
    weft_future *idle;
    weft_status status = weft_promise_new(&job->idle, &idle);
    if (status != WEFT_OK)
        return status;
    atomic_store(&job->tasks, 1);
    walk(job);
    job_task_ended(job);
    status = weft_future_wait(idle, WEFT_FOREVER);
    if (status != WEFT_OK)
        return status;
    weft_future_release(idle);

    if (!atomic_load(&job->failed)) {
        status = rank(worker, job);
        if (status != WEFT_OK)
            job_fail(job, status, "rank the words");
    }
    *result = job;
    return atomic_load(&job->failed) ? weft_error_set(job->failure, job->failure_text) : WEFT_OK;
}
