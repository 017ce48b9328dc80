/*
 * Counting in other processes. A worker is this program again: it gets text, counts its words, and answers with them. What can go
 * wrong in a worker stays there: with --chaos it kills itself now and then, its text goes to another one, and the numbers stay right.
 * That is what `attempts` allows, and counting is what may be done twice: a worker that dies has told nobody anything.
 *
 * The answer is a row of words, each with its count. What comes from another process is checked before it is believed.
 */
#include "corpus.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char worker_argument[] = "--count-for-a-pool";
static weft_process_pool *pool;

/* ---- the worker */

struct entry {              /* followed by its letters */
    uint64_t count, length;
};

struct answer {
    unsigned char *bytes;
    size_t length, capacity;
};

static bool put(struct answer *answer, const void *bytes, size_t length)
{
    if (answer->capacity - answer->length < length) {
        size_t capacity = 2 * answer->capacity + length + 4096;
        unsigned char *more = realloc(answer->bytes, capacity);
        if (!more)
            return false;
        answer->bytes = more;
        answer->capacity = capacity;
    }
    if (length > 0)
        memcpy(answer->bytes + answer->length, bytes, length);
    answer->length += length;
    return true;
}

static void free_answer(void *unused, void *bytes)
{
    (void)unused;
    free(bytes);
}

static bool put_words(struct answer *answer, const struct table *table)
{
    for (int i = 0; i < SHARDS; i++) {
        const struct shard *shard = &table->shards[i];
        for (size_t at = 0; at < shard->capacity; at++) {
            const struct word *word = &shard->slots[at];
            struct entry entry = {word->count, word->length};
            if (word->count && !(put(answer, &entry, sizeof entry) && put(answer, word->letters, word->length)))
                return false;
        }
    }
    return true;
}

static weft_status count_words(const void *data, size_t length, weft_bytes **reply, void *chaos)
{
    struct table table = {0};
    struct answer answer = {0};
    unsigned char *text = malloc(length + 1);
    weft_status status = WEFT_NOMEM;
    if (text) {
        memcpy(text, data, length);
        status = table_count(&table, text, length);
    }
    if (status == WEFT_OK && !put_words(&answer, &table))
        status = WEFT_NOMEM;
    if (rand() < *(const double *)chaos * RAND_MAX)
        kill(getpid(), SIGKILL);
    if (status == WEFT_OK)
        status = weft_bytes_adopt(answer.bytes, answer.length, free_answer, NULL, reply);
    if (status != WEFT_OK)
        free(answer.bytes);
    free(text);
    table_free(&table);
    return status == WEFT_NOMEM ? weft_error_set(status, "out of memory for words") : status;
}

bool isolate_is_worker(int argc, char **argv)
{
    return argc == 3 && strcmp(argv[1], worker_argument) == 0;
}

int isolate_work(char **argv)
{
    double chaos = strtod(argv[2], NULL);
    srand((unsigned)getpid());
    signal(SIGINT, SIG_IGN);        /* Ctrl-C is for who has started us */
    return weft_serve(-1, count_words, &chaos) == WEFT_OK ? 0 : 1;
}

/* ---- who has text to be counted */

weft_status isolate_start(int workers, double chaos)
{
    char self[4096], share[32];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0)
        return weft_error_set(WEFT_OS, "cannot find this program");
    self[length] = '\0';
    snprintf(share, sizeof share, "%.17g", chaos);
    const char *argv[] = {self, worker_argument, share, NULL};

    weft_process_pool_options options;
    weft_status status = weft_process_pool_options_init(&options, sizeof options);
    if (status != WEFT_OK)
        return status;
    options.name = "corpus";
    options.argv = argv;
    options.workers = (uint32_t)workers;
    options.window = 2;             /* the next text is there when one has been counted */
    options.attempts = 1 << 20;
    options.backoff_ns = 0;
    if (chaos > 0)
        options.restart_limit = UINT32_MAX;
    return weft_process_pool_new(&options, &pool);
}

bool isolate_is_on(void)
{
    return pool != NULL;
}

static weft_status believe(struct table *table, const unsigned char *at, size_t left)
{
    while (left > 0) {
        struct entry entry;
        if (left < sizeof entry)
            return weft_error_set(WEFT_PROTOCOL, "a worker's answer ends within a word");
        memcpy(&entry, at, sizeof entry);
        at += sizeof entry, left -= sizeof entry;
        if (entry.length == 0 || entry.length > left || entry.count == 0)
            return weft_error_set(WEFT_PROTOCOL, "a worker's answer holds what is no word");
        weft_status status = table_add(table, at, (size_t)entry.length, entry.count);
        if (status != WEFT_OK)
            return status;
        at += entry.length, left -= (size_t)entry.length;
    }
    return WEFT_OK;
}

weft_status isolate_count(struct table *table, const unsigned char *text, size_t length)
{
    weft_future *future;
    void *answer;
    weft_status status = weft_process_pool_call(pool, text, length, NULL, &future);
    if (status != WEFT_OK)
        return status;
    status = weft_future_get(future, WEFT_FOREVER, &answer);
    if (status == WEFT_OK)
        status = believe(table, weft_bytes_data(answer), weft_bytes_len(answer));
    weft_future_release(future);
    return status;
}

struct isolation isolate_end(void)
{
    weft_process_pool_stats stats = {.size = sizeof stats};
    struct isolation isolation = {0};
    if (!pool)
        return isolation;
    if (weft_process_pool_drain(pool, WEFT_FOREVER) == WEFT_OK && weft_process_pool_stats_get(pool, &stats) == WEFT_OK)
        isolation = (struct isolation){(int)stats.workers, stats.calls, stats.deaths, stats.sent_again};
    weft_process_pool_release(pool);
    pool = NULL;
    return isolation;
}
