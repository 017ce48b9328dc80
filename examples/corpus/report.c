/*
 * Prints: the result as text for people or as JSON for programs, and the line that tells how far a run has come. File names are
 * arbitrary bytes; JSON is UTF-8, so what is not becomes U+FFFD there.
 */
#include "corpus.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_LETTERS = 60 };        /* of a word, in text */

/* ---- numbers and names */

/* 1234567 as 1,234,567; up to four results at a time may be in use. */
static const char *grouped(uint64_t number)
{
    static char buffers[4][32];
    static unsigned next;
    char *at = buffers[next++ % 4] + sizeof buffers[0];
    *--at = '\0';
    for (int digits = 0;; ) {
        *--at = (char)('0' + number % 10);
        number /= 10;
        if (number == 0)
            return at;
        if (++digits % 3 == 0)
            *--at = ',';
    }
}

static double megabytes(const struct job *job)
{
    return (double)job->bytes / 1e6;
}

/* Never infinite: nothing read in no time is no speed. */
static double per_second(double amount, double seconds)
{
    return seconds > 0 ? amount / seconds : 0;
}

/* Bytes of the UTF-8 character that text begins with, 0 if it begins with none. */
static size_t utf8_length(const unsigned char *text)
{
    unsigned lead = text[0];
    size_t length = lead < 0x80 ? 1 : lead >= 0xC2 && lead < 0xE0 ? 2 : (lead & 0xF0) == 0xE0 ? 3 : lead >= 0xF0 && lead < 0xF5 ? 4 : 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80)       /* stops at a final NUL as well */
            return 0;
    if ((lead == 0xE0 && text[1] < 0xA0) || (lead == 0xED && text[1] >= 0xA0))      /* too long; a surrogate */
        return 0;
    if ((lead == 0xF0 && text[1] < 0x90) || (lead == 0xF4 && text[1] >= 0x90))      /* too long; past U+10FFFF */
        return 0;
    return length;
}

static void json_string(const char *string)
{
    const unsigned char *text = (const unsigned char *)string;
    putchar('"');
    while (*text) {
        size_t length = utf8_length(text);
        if (length == 0)
            printf("\\ufffd");
        else if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if (*text < ' ' || *text == 0x7F)
            printf("\\u%04x", *text);
        else
            fwrite(text, 1, length, stdout);
        text += length ? length : 1;
    }
    putchar('"');
}

/* For a terminal: a name cannot make it do anything. */
static void plain_name(FILE *out, const char *name)
{
    for (const unsigned char *at = (const unsigned char *)name; *at; at++)
        putc(*at < ' ' || *at == 0x7F ? '?' : *at, out);
}

static const char *explain(const struct problem *problem)
{
    switch (problem->tally) {
    case LONG_WORDS: return "a word of more than 64 MiB is left out";
    case BROKEN_LINKS: return "broken link";
    case LINK_LOOPS: return "link that leads to itself";
    case VANISHED: return "vanished before it was read";
    default: return problem->reason;
    }
}

static bool next_problem(const struct job *job, struct problem *problem)
{
    return weft_channel_recv(job->problems, problem, 0) == WEFT_OK;     /* all is quiet: what is not there is not coming */
}

static bool written(void)
{
    return fflush(stdout) == 0 && !ferror(stdout);
}

/* ---- progress */

void report_progress(const struct job *job, const char *label)
{
    fprintf(stderr, "\r\033[K%s: %s files, %.0f MB", label, grouped(job->tallies[FILES]), megabytes(job));
}

void report_progress_end(void)
{
    fprintf(stderr, "\r\033[K");
}

/* ---- text */

static void text_words(const struct job *job, size_t top)
{
    for (size_t i = 0; i < job->distinct && i < top; i++) {
        const struct ranked *word = &job->words[i];
        if (word->length <= SHOWN_LETTERS)
            printf("%13s  %.*s\n", grouped(word->count), (int)word->length, word->letters);
        else
            printf("%13s  %.*s... (%s letters)\n", grouped(word->count), SHOWN_LETTERS, word->letters, grouped(word->length));
    }
}

/* "  left out: 3 binary, 2 broken links", of those that occurred. */
static void text_tallies(const struct job *job, const char *title, const enum tally *which, size_t length)
{
    const char *before = title;
    for (size_t i = 0; i < length; i++) {
        uint64_t number = job->tallies[which[i]];
        if (number == 0)
            continue;
        printf("%s %s ", before, grouped(number));
        for (const char *at = tally_names[which[i]]; *at; at++)
            putchar(*at == '_' ? ' ' : *at);
        before = ",";
    }
    if (before != title)
        putchar('\n');
}

static void text_problems(const struct job *job)
{
    struct problem problem;
    uint64_t named = 0;
    while (next_problem(job, &problem)) {
        fprintf(stderr, "corpus: ");
        plain_name(stderr, problem.path);
        fprintf(stderr, ": %s\n", explain(&problem));
        free(problem.path);
        named++;
    }
    if (job->problem_count > named)
        fprintf(stderr, "corpus: and %s more\n", grouped(job->problem_count - named));
}

bool report_text(const struct report *report, size_t top)
{
    const struct job *job = report->job;
    const struct run *run = &report->run;
    text_problems(job);
    text_words(job, top);
    printf("%s%s words, %s different, in %s files (%.1f MB) of %s directories\n", top && job->distinct ? "\n" : "",
           grouped(job->total), grouped(job->distinct), grouped(job->tallies[FILES]), megabytes(job), grouped(job->tallies[DIRECTORIES]));
    static const enum tally out[] = {BINARY, UNREADABLE, UNREADABLE_DIRECTORIES, VANISHED, SPECIAL, BROKEN_LINKS, LINK_LOOPS, REPEATED, LONG_WORDS};
    static const enum tally in[] = {EMPTY, SHRANK, GREW};
    text_tallies(job, "left out:", out, sizeof out / sizeof *out);
    text_tallies(job, "among the files:", in, sizeof in / sizeof *in);
    printf("%d worker%s: %.3f s, %.1f MB/s; %s tasks, %s halves shared, %s steals; at most %d reads in flight (limit %d)\n", report->workers,
           report->workers == 1 ? "" : "s", run->seconds, per_second(megabytes(job), run->seconds), grouped(run->tasks),
           grouped(run->shared), grouped(run->steals), report->peak_reads, job->max_reads);
    if (report->single_seconds > 0)
        printf("speed-up over one worker: %.2f (%.3f s; medians of %d runs each, warmed, in turn)\n",
               per_second(report->single_seconds, run->seconds), report->single_seconds, report->repeats);
    if (report->isolation.processes > 0)
        printf("counted in %d process%s: %s calls, %s deaths, %s sent again\n", report->isolation.processes,
               report->isolation.processes == 1 ? "" : "es", grouped(report->isolation.calls), grouped(report->isolation.deaths),
               grouped(report->isolation.again));
    if (report->changed)
        printf("the files changed while they were counted again; the words are those of the first run\n");
    if (report->partial)
        printf("INTERRUPTED: this is only a part of it\n");
    else if (report->interrupted)
        printf("interrupted while it was measured again: the words are complete\n");
    return written();
}

/* ---- JSON */

static void json_list(const char *name, char *const *strings, size_t length)
{
    printf("  \"%s\": [", name);
    for (size_t i = 0; i < length; i++) {
        printf("%s", i ? ", " : "");
        json_string(strings[i]);
    }
    printf("],\n");
}

static void json_problems(const struct job *job)
{
    struct problem problem;
    printf("  \"problems\": [");
    for (const char *before = "\n"; next_problem(job, &problem); before = ",\n") {
        printf("%s    {\"path\": ", before);
        json_string(problem.path);
        printf(", \"kind\": \"%s\", \"reason\": ", tally_names[problem.tally]);
        json_string(explain(&problem));
        putchar('}');
        free(problem.path);
    }
    printf("],\n  \"problem_count\": %" PRIu64 ",\n", job->problem_count);
}

bool report_json(const struct report *report, size_t top)
{
    const struct job *job = report->job;
    const struct run *run = &report->run;
    printf("{\n");
    json_list("roots", job->roots, job->root_count);
    printf("  \"interrupted\": %s,\n  \"partial\": %s,\n  \"changed\": %s,\n", report->interrupted ? "true" : "false",
           report->partial ? "true" : "false", report->changed ? "true" : "false");
    printf("  \"words\": %" PRIu64 ",\n  \"distinct\": %zu,\n  \"bytes\": %" PRIu64 ",\n", job->total, job->distinct, job->bytes);
    for (int i = 0; i < TALLIES; i++)
        printf("  \"%s\": %" PRIu64 ",\n", tally_names[i], job->tallies[i]);
    json_problems(job);
    printf("  \"workers\": %d,\n  \"seconds\": %.6f,\n  \"megabytes_per_second\": %.3f,\n", report->workers, run->seconds,
           per_second(megabytes(job), run->seconds));
    printf("  \"tasks\": %" PRIu64 ",\n  \"shared\": %" PRIu64 ",\n  \"steals\": %" PRIu64 ",\n  \"blocks\": %" PRIu64 ",\n", run->tasks,
           run->shared, run->steals, run->blocks);
    printf("  \"reads_peak\": %d,\n  \"reads_limit\": %d,\n", report->peak_reads, job->max_reads);
    if (report->single_seconds > 0)
        printf("  \"repeats\": %d,\n  \"single_seconds\": %.6f,\n  \"speedup\": %.3f,\n", report->repeats, report->single_seconds,
               per_second(report->single_seconds, run->seconds));
    else
        printf("  \"repeats\": %d,\n  \"single_seconds\": null,\n  \"speedup\": null,\n", report->repeats);
    printf("  \"processes\": %d,\n  \"calls\": %" PRIu64 ",\n  \"deaths\": %" PRIu64 ",\n  \"sent_again\": %" PRIu64 ",\n",
           report->isolation.processes, report->isolation.calls, report->isolation.deaths, report->isolation.again);
    printf("  \"top\": [");
    for (size_t i = 0; i < job->distinct && i < top; i++)
        printf("%s    {\"count\": %" PRIu64 ", \"word\": \"%.*s\"}", i ? ",\n" : "\n", job->words[i].count, (int)job->words[i].length,
               job->words[i].letters);
    printf("]\n}\n");
    return written();
}
