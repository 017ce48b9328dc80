/*
 * What the parts of corpus share. The program counts words in trees of text files:
 *
 *   walk.c     finds the files and hands them out in batches
 *   read.c     reads a batch into chunks of text that hold whole words only
 *   table.c    the words that one thread has counted
 *   isolate.c  counts in worker processes, if that is asked for
 *   job.c      one run from walk to ranking: the place to start reading
 *   rank.c     merges the threads' tables and sorts the words
 *   report.c   prints
 *   ../corpus.c  main: arguments, Ctrl-C, repeated runs for the speed-up
 */
#ifndef CORPUS_H
#define CORPUS_H

#define _POSIX_C_SOURCE 200809L

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <weft/weft.h>

enum {
    PROBE = 8 << 10,        /* a NUL byte in so much of its beginning makes a file binary */
    CHUNK = 256 << 10,      /* bytes of text in a chunk: worth a task, small enough for a core's cache */
    MAX_WORD = 64 << 20,    /* a chunk grows to hold a longer word than CHUNK, up to here */
    BATCH_FILES = 64,       /* files that one task reads at most; fewer when they fill a chunk */
    SHARDS = 64,            /* independent parts of a table, by hash: what a merge can do in parallel */
    KEY_LETTERS = 12,       /* of a word that fit its key */
    MAX_WORKERS = 1024,
    MAX_READS = 1024,       /* tasks that are reading or about to, whatever the number of workers */
    MAX_PROBLEMS = 100      /* problems that are named; the others are only counted */
};

/* What became of a directory entry, or happened to it. FILES are text files read to their end; EMPTY, SHRANK, GREW and
 * LONG_WORDS tell more about some of them. Every entry ends in exactly one of the others. */
enum tally {
    FILES, EMPTY, SHRANK, GREW, LONG_WORDS,
    BINARY, UNREADABLE, VANISHED, SPECIAL, BROKEN_LINKS, LINK_LOOPS, REPEATED,
    DIRECTORIES, UNREADABLE_DIRECTORIES,
    TALLIES
};
extern const char *const tally_names[TALLIES];      /* "unreadable_directories" */

/* ---- table.c: words and their counts. Used by one thread at a time. */

struct word {
    uint64_t key;           /* all of a word of up to KEY_LETTERS letters */
    uint64_t count;         /* 0: an empty slot */
    const char *letters;    /* in the arena of the table that met the word first; no final NUL */
    size_t length;
};

struct shard {              /* open addressing, at most three quarters full */
    struct word *slots;
    size_t capacity, used;
};

struct table {
    struct shard shards[SHARDS];
    struct arena *arena;
};

/* Counts the words of text, which must end in a byte that is no letter. Folds them to lower case in place. */
weft_status table_count(struct table *table, unsigned char *text, size_t length);
/* Adds a word that has been counted elsewhere: its letters, one at least, are folded. WEFT_PROTOCOL: they are none. */
weft_status table_add(struct table *table, const unsigned char *letters, size_t length, uint64_t count);
/* Adds to the count of a word whose letters outlive the shard. */
weft_status shard_add(struct shard *shard, const struct word *word);
void table_free(struct table *table);
bool is_letter(unsigned char byte);

/* ---- job.c: one run */

struct chunk {              /* text on its way from who reads to who counts; circulates */
    unsigned char *text;
    size_t length, capacity;
};

struct problem {
    enum tally tally;
    char *path;
    char reason[64];        /* the system's, or "" */
};

struct ranked {             /* a word in the result */
    uint64_t count;
    uint64_t prefix;        /* its first KEY_LETTERS letters as a number: most comparisons look no further */
    const char *letters;
    size_t length;
};

struct job {
    /* what to do */
    weft_runtime *runtime;
    char *const *roots;
    size_t root_count;
    int workers;
    int max_reads;

    /* how its tasks meet */
    weft_channel *credits;  /* int: so many more reads may begin */
    weft_channel *spare;    /* struct chunk *, empty */
    weft_channel *full;     /* struct chunk *, whole words only */
    weft_channel *problems; /* struct problem; what does not fit is only counted */
    struct chunk *chunks;
    size_t chunk_count;
    struct table *tables;   /* one for each thread, by weft_worker_index */
    int table_count;
    weft_promise *idle;     /* settled when no task is left */

    /* what is going on */
    _Atomic uint64_t tallies[TALLIES];
    _Atomic uint64_t bytes;                  /* of text, read */
    _Atomic uint64_t problem_count;
    atomic_int tasks;                        /* reads and counts that have not ended, and the walk */
    atomic_int reads_ended;
    int peak_reads;                          /* the most that had begun and not ended; written by the walk alone */
    atomic_bool failed;
    weft_status failure;                     /* set once, before all that notice `failed` have ended */
    char failure_text[256];

    /* the result */
    struct ranked *words;                    /* most frequent first, then by alphabet */
    size_t distinct;
    uint64_t total;
    struct ranked *rank_memory;              /* what `words` is a part of */
};

extern atomic_bool interrupted;              /* Ctrl-C: finish what was begun, begin nothing */

int max_reads(int workers);                  /* the limit on reads in flight */
int max_threads(int workers);                /* workers, and those that wait */
weft_status job_new(struct job *job, weft_runtime *runtime, char *const *roots, size_t root_count);
weft_status job_run(weft_worker *worker, void *job, void **result);   /* a task, for weft_async */
void job_free(struct job *job);

void job_fail(struct job *job, weft_status status, const char *doing);  /* the first failure stops the job; its text is this thread's message */
bool job_stopping(const struct job *job);                                /* failed, or interrupted */
void job_count(struct job *job, enum tally tally);
void job_problem(struct job *job, enum tally tally, const char *path, int error);  /* counts, and names the file */
bool job_spawn(struct job *job, weft_task_fn fn, void *arg, const char *name);     /* a task that calls job_task_ended last */
void job_task_ended(struct job *job);
struct table *job_table(struct job *job, weft_worker *worker);

/* ---- the stages */

struct batch {              /* files for one task to read */
    struct job *job;
    size_t files;
    off_t bytes;
    struct { off_t size; size_t path; } file[BATCH_FILES];    /* path: where it begins in `paths` */
    char *paths;
    size_t paths_length, paths_capacity;
};

void walk(struct job *job);                                  /* returns when every batch has been handed out */
void read_batch(weft_worker *worker, void *batch);           /* a task; frees the batch */
void batch_free(struct batch *batch);
void count_later(struct job *job, struct chunk *chunk);      /* by some worker, in a task of its own */
bool count_next(struct job *job, struct table *table);       /* here and now, the chunk that waits longest; false: none does */
weft_status rank(weft_worker *worker, struct job *job);      /* tables to words */

/* ---- isolate.c */

struct isolation {          /* what came of it */
    int processes;          /* 0: there was none */
    uint64_t calls, deaths, again;
};

bool isolate_is_worker(int argc, char **argv);               /* this process is one that isolate_start has made: */
int isolate_work(char **argv);                               /* then this is its main */
weft_status isolate_start(int workers, double chaos);        /* chaos: the chance that a worker dies over a chunk */
bool isolate_is_on(void);
weft_status isolate_count(struct table *table, const unsigned char *text, size_t length);   /* table_count, by a worker; text is as it was */
struct isolation isolate_end(void);

/* ---- report.c */

struct run {                /* measurements of one run */
    double seconds;
    uint64_t tasks, shared, steals, blocks;
};

struct report {
    const struct job *job;  /* the run whose words are shown */
    bool interrupted;
    bool partial;           /* the interrupted run is the one that is shown */
    bool changed;           /* a later run found other words: the files changed meanwhile */
    int workers;
    struct run run;         /* the median one */
    double single_seconds;  /* the median on one worker; 0 when it was not measured */
    int peak_reads;         /* of all runs */
    int repeats;
    struct isolation isolation;
};

void report_progress(const struct job *job, const char *label);
void report_progress_end(void);
bool report_text(const struct report *report, size_t top);   /* false: standard output failed; errno says why */
bool report_json(const struct report *report, size_t top);
#endif
