/*
 * From the threads' tables to one list: merged by a parallel reduction over the shards, sorted by fork-join.
 *
 * The reduction. Shard number s of all tables is merged into the largest of these, and its words are written to the list. Each
 * stretch of shards has its own stretch of the list, long enough for the case that no two threads met the same word; the
 * reduction is ordered, it only ever combines neighbours, so combining two means to close the gap between them.
 *
 * The sort. A merge sort whose halves run in parallel, and whose merges do as well: the median of the longer side splits both.
 */
#include "corpus.h"

#include <stdlib.h>
#include <string.h>

enum { SERIAL = 4096, INSERTION = 16 };     /* words below which a task, or a recursion, costs more than it gives */

/* ---- merge */

struct merge {
    struct job *job;
    struct ranked *list;
    size_t begin[SHARDS];       /* in the list, of each shard */
};

struct stretch {
    size_t begin, length;       /* in the list */
    uint64_t total;
};

/* The first letters of a word, five bits for each: as numbers these compare as the words do. */
static uint64_t prefix_of(const struct word *word)
{
    if (word->length <= KEY_LETTERS)
        return word->key << 5 * (KEY_LETTERS - word->length);
    uint64_t prefix = 0;
    for (size_t i = 0; i < KEY_LETTERS; i++)
        prefix = prefix << 5 | (word->letters[i] & 31);
    return prefix;
}

static struct shard *largest_shard(const struct job *job, size_t number)
{
    struct shard *largest = &job->tables[0].shards[number];
    for (int i = 1; i < job->table_count; i++)
        if (job->tables[i].shards[number].used > largest->used)
            largest = &job->tables[i].shards[number];
    return largest;
}

static weft_status merge_shard(const struct job *job, size_t number, struct shard *into)
{
    for (int i = 0; i < job->table_count; i++) {
        const struct shard *from = &job->tables[i].shards[number];
        for (size_t at = 0; from != into && at < from->capacity; at++) {
            if (from->slots[at].count == 0)
                continue;
            weft_status status = shard_add(into, &from->slots[at]);
            if (status != WEFT_OK)
                return status;
        }
    }
    return WEFT_OK;
}

static weft_status merge_shards(weft_worker *worker, size_t begin, size_t end, void *acc, void *arg)
{
    (void)worker;
    const struct merge *merge = arg;
    struct stretch *stretch = acc;
    if (stretch->length == 0)
        stretch->begin = merge->begin[begin];
    for (size_t number = begin; number < end; number++) {
        struct shard *shard = largest_shard(merge->job, number);
        weft_status status = merge_shard(merge->job, number, shard);
        if (status != WEFT_OK)
            return status;
        for (size_t at = 0; at < shard->capacity; at++) {
            const struct word *word = &shard->slots[at];
            if (word->count == 0)
                continue;
            merge->list[stretch->begin + stretch->length++] = (struct ranked){
                .count = word->count, .prefix = prefix_of(word), .letters = word->letters, .length = word->length};
            stretch->total += word->count;
        }
    }
    return WEFT_OK;
}

static weft_status close_gap(weft_worker *worker, void *into, void *from, void *arg)
{
    (void)worker;
    const struct merge *merge = arg;
    struct stretch *left = into;
    const struct stretch *right = from;
    if (left->length == 0)
        left->begin = right->begin;
    else
        memmove(merge->list + left->begin + left->length, merge->list + right->begin, right->length * sizeof *merge->list);
    left->length += right->length;
    left->total += right->total;
    return WEFT_OK;
}

/* ---- sort */

struct sort {
    struct job *job;
    struct ranked *words, *scratch;
    size_t length;
    bool to_scratch;            /* where the sorted words shall be */
};

struct merge_sorted {
    struct job *job;
    const struct ranked *left, *right;
    size_t left_length, right_length;
    struct ranked *out;
};

static bool before(const struct ranked *a, const struct ranked *b)
{
    if (a->count != b->count)
        return a->count > b->count;
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix;
    size_t common = a->length < b->length ? a->length : b->length;
    int order = memcmp(a->letters, b->letters, common);
    return order ? order < 0 : a->length < b->length;
}

static void join(struct job *job, weft_worker *worker, weft_task_fn fn, void *a, void *b)
{
    weft_status status = weft_join(worker, fn, a, fn, b);
    if (status != WEFT_OK)
        job_fail(job, status, "sort");
}

static void merge_sorted(weft_worker *worker, void *arg)
{
    struct merge_sorted m = *(struct merge_sorted *)arg;
    if (m.left_length + m.right_length > SERIAL) {
        if (m.left_length < m.right_length) {
            const struct ranked *words = m.left;
            size_t length = m.left_length;
            m.left = m.right, m.left_length = m.right_length;
            m.right = words, m.right_length = length;
        }
        size_t half = m.left_length / 2, low = 0, high = m.right_length;
        while (low < high) {        /* all words differ: it makes no difference on which side the median falls */
            size_t middle = low + (high - low) / 2;
            if (before(&m.right[middle], &m.left[half]))
                low = middle + 1;
            else
                high = middle;
        }
        struct merge_sorted first = {m.job, m.left, m.right, half, low, m.out};
        struct merge_sorted second = {m.job, m.left + half, m.right + low, m.left_length - half, m.right_length - low, m.out + half + low};
        join(m.job, worker, merge_sorted, &first, &second);
        return;
    }
    while (m.left_length && m.right_length) {
        if (before(m.right, m.left))
            *m.out++ = *m.right++, m.right_length--;
        else
            *m.out++ = *m.left++, m.left_length--;
    }
    memcpy(m.out, m.left, m.left_length * sizeof *m.out);
    memcpy(m.out + m.left_length, m.right, m.right_length * sizeof *m.out);
}

static void insertion_sort(struct ranked *words, size_t length)
{
    for (size_t i = 1; i < length; i++) {
        struct ranked word = words[i];
        size_t at = i;
        for (; at > 0 && before(&word, &words[at - 1]); at--)
            words[at] = words[at - 1];
        words[at] = word;
    }
}

static void sort(weft_worker *worker, void *arg)
{
    const struct sort *s = arg;
    if (s->length <= INSERTION) {
        insertion_sort(s->words, s->length);
        if (s->to_scratch)
            memcpy(s->scratch, s->words, s->length * sizeof *s->words);
        return;
    }
    size_t half = s->length / 2;
    struct sort left = {s->job, s->words, s->scratch, half, !s->to_scratch};
    struct sort right = {s->job, s->words + half, s->scratch + half, s->length - half, !s->to_scratch};
    if (s->length > SERIAL) {
        join(s->job, worker, sort, &left, &right);
    } else {
        sort(worker, &left);
        sort(worker, &right);
    }
    const struct ranked *halves = s->to_scratch ? s->words : s->scratch;
    struct merge_sorted merge = {s->job, halves, halves + half, half, s->length - half, s->to_scratch ? s->scratch : s->words};
    merge_sorted(worker, &merge);
}

weft_status rank(weft_worker *worker, struct job *job)
{
    struct merge merge = {.job = job};
    size_t most = 0;
    for (int number = 0; number < SHARDS; number++) {
        merge.begin[number] = most;
        for (int i = 0; i < job->table_count; i++)
            most += job->tables[i].shards[number].used;
    }
    if (most == 0)
        return WEFT_OK;
    merge.list = malloc(most * sizeof *merge.list);
    if (!merge.list)
        return weft_error_set(WEFT_NOMEM, "out of memory for the list");
    job->rank_memory = merge.list;

    const struct stretch nothing = {0};
    struct stretch all;
    weft_status status = weft_reduce(job->runtime, 0, SHARDS, sizeof all, &nothing, merge_shards, close_gap, &merge, NULL, &all);
    if (status != WEFT_OK)
        return status;

    struct sort whole = {.job = job, .words = merge.list + all.begin, .length = all.length};
    whole.scratch = malloc(all.length * sizeof *whole.scratch);
    if (!whole.scratch)
        return weft_error_set(WEFT_NOMEM, "out of memory for the sort");
    sort(worker, &whole);
    free(whole.scratch);
    job->words = whole.words;
    job->distinct = all.length;
    job->total = all.total;
    return WEFT_OK;
}
