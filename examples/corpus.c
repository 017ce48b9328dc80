/*
 * corpus: word statistics over trees of text files, and a tour of Weft while doing real work: tasks, futures, channels,
 * reduction, fork-join, statistics. corpus/job.c is the heart; this file reads the arguments, runs the job, several times to
 * measure the speed-up over one worker, and turns Ctrl-C into an early but orderly end.
 */
#include "corpus/corpus.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEFAULT_TOP = 20, REPEATS = 3, REFRESH_MS = 100 };
enum { EXIT_TROUBLE = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

static const char usage[] = "usage: corpus [--workers N] [--top K|all] [--once] [--json] [--isolate N [--chaos P]] DIR...\n";
static const char help[] =
    "Counts the words in the text files under each DIR (or in a file named in its place).\n"
    "\n"
    "  --workers N    run on N workers, 1 to 1024; else as many as there are CPUs to use\n"
    "  --top K|all    print the K most frequent words (20), or all\n"
    "  --once         run once; else repeatedly, to measure the speed-up over one worker\n"
    "  --json         print one JSON object\n"
    "  --isolate N    count in N processes, 1 to 1024: what happens to them costs nothing but time\n"
    "  --chaos P      have such a process kill itself over a piece of text with probability P, below 1\n"
    "  --help         print this\n"
    "\n"
    "A word is a run of ASCII letters, folded to lower case. A file with a NUL byte in its first\n"
    "8 KiB is binary and left out. Symbolic links are followed. A file or directory counts once,\n"
    "however many names, links or arguments lead to it; the others count as repeated, or as link\n"
    "loops where a directory lies within itself. FIFOs, sockets and devices are not opened. A file\n"
    "is read up to the size it has when it is opened; one that cannot be read to there is taken as\n"
    "far as it goes. A word of more than 64 MiB is left out, and counted as a long word.\n"
    "Files are read in batches, of which 16 N + 16 at most, and never more than 1024, are in flight.\n"
    "\n"
    "Ctrl-C ends with what has been counted so far; a second one ends at once.\n"
    "Exit status: 0 done (also with files left out), 1 trouble, 2 wrong arguments, 130 Ctrl-C.\n";

struct options {
    int workers;            /* 0: let Weft choose */
    int isolate;            /* 0: no processes */
    double chaos;
    size_t top;
    bool once, json, progress;
    char *const *roots;
    size_t root_count;
};

atomic_bool interrupted;

static _Noreturn void give_up(const char *doing, const char *why)
{
    fprintf(stderr, "corpus: %s: %s\n", doing, why);
    exit(EXIT_TROUBLE);
}

/* What a full disk or a closed pipe has swallowed shows here at the latest. */
static void close_output(bool printed)
{
    if (!printed || fclose(stdout) != 0)
        give_up("standard output", strerror(errno));
}

/* ---- arguments */

static _Noreturn void refuse(const char *what, const char *argument)
{
    fprintf(stderr, "corpus: %s: %s\n%s", argument, what, usage);
    exit(EXIT_USAGE);
}

static unsigned long long number(const char *text, unsigned long long most, const char *complaint)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || value > most)
        refuse(complaint, text);
    return value;
}

static double probability(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (((text[0] < '0' || text[0] > '9') && text[0] != '.') || *end || !(value >= 0 && value < 1))
        refuse("--chaos takes a number from 0 to below 1", text);
    return value;
}

static struct options parse(int argc, char **argv)
{
    static const struct option known[] = {
        {"workers", required_argument, NULL, 'w'}, {"top", required_argument, NULL, 't'}, {"once", no_argument, NULL, 'o'},
        {"json", no_argument, NULL, 'j'},          {"help", no_argument, NULL, 'h'},      {"isolate", required_argument, NULL, 'i'},
        {"chaos", required_argument, NULL, 'c'},   {NULL, 0, NULL, 0},
    };
    struct options options = {.top = DEFAULT_TOP};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'w':
            options.workers = (int)number(optarg, MAX_WORKERS, "--workers takes a number from 1 to 1024");
            if (options.workers == 0)
                refuse("--workers takes a number from 1 to 1024", optarg);
            break;
        case 't':
            options.top = strcmp(optarg, "all") == 0 ? SIZE_MAX : (size_t)number(optarg, SIZE_MAX, "--top takes a number, or all");
            break;
        case 'o':
            options.once = true;
            break;
        case 'j':
            options.json = true;
            break;
        case 'i':
            options.isolate = (int)number(optarg, MAX_WORKERS, "--isolate takes a number from 1 to 1024");
            if (options.isolate == 0)
                refuse("--isolate takes a number from 1 to 1024", optarg);
            break;
        case 'c':
            options.chaos = probability(optarg);
            break;
        case 'h':
            printf("%s%s", usage, help);
            close_output(!ferror(stdout));
            exit(0);
        default:
            fputs(usage, stderr);
            exit(EXIT_USAGE);
        }
    }
    options.roots = argv + optind;
    options.root_count = (size_t)(argc - optind);
    if (options.root_count == 0) {
        fprintf(stderr, "corpus: which directories?\n%s", usage);
        exit(EXIT_USAGE);
    }
    for (size_t i = 0; i < options.root_count; i++) {
        struct stat found;
        if (stat(options.roots[i], &found) != 0)
            refuse(strerror(errno), options.roots[i]);
    }
    if (options.chaos > 0 && options.isolate == 0)
        refuse("needs --isolate", "--chaos");
    options.progress = isatty(STDERR_FILENO);
    return options;
}

/* ---- Ctrl-C */

static void on_interrupt(int signal)
{
    (void)signal;
    static const char message[] = "\ncorpus: ending early; once more to end at once\n";
    int error = errno;
    atomic_store(&interrupted, true);
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0) {
        /* then nobody reads it */
    }
    errno = error;
}

/* The second one finds the default action again. Ignored from the start, as under nohup, it stays ignored. */
static void watch_for_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)}, inherited;
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGINT, NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN)
        sigaction(SIGINT, &action, NULL);
}

/* ---- running */

static void check(weft_status status, const char *doing)
{
    if (status != WEFT_OK)
        give_up(doing, weft_error_message());
}

static weft_runtime *start(int workers)
{
    weft_topology *machine;
    check(weft_topology_new(&machine), "look at the machine");
    int32_t most = workers ? workers : (int32_t)weft_topology_cpus(machine);

    weft_runtime_options options;
    check(weft_runtime_options_init(&options, sizeof options), "start");
    options.name = "corpus";
    options.workers = workers;
    options.max_threads = max_threads(most);
    options.topology = machine;
    weft_runtime *runtime;
    check(weft_runtime_new(&options, &runtime), "start workers");
    weft_topology_release(machine);
    return runtime;
}

static void stop(weft_runtime *runtime)
{
    check(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER), "stop");
    weft_runtime_release(runtime);
}

static weft_runtime_stats statistics(weft_runtime *runtime)
{
    weft_runtime_stats stats = {.size = sizeof stats};
    check(weft_runtime_stats_get(runtime, &stats), "read statistics");
    return stats;
}

/* Waits for the end of the run, and on a terminal says from time to time how far it is. */
static void wait_for(weft_future *ended, const struct job *job, const struct options *options, const char *label)
{
    weft_status status;
    do {
        if (options->progress)
            report_progress(job, label);
        status = weft_future_wait(ended, options->progress ? REFRESH_MS * INT64_C(1000000) : WEFT_FOREVER);
    } while (status == WEFT_TIMEOUT);
    if (options->progress)
        report_progress_end();
    check(status, "wait");
}

/* Runs a new job, which the caller frees. */
static struct run run(weft_runtime *runtime, const struct options *options, const char *label, struct job *job)
{
    check(job_new(job, runtime, options->roots, options->root_count), "prepare");
    weft_spawn_options spawn;
    check(weft_spawn_options_init(&spawn, sizeof spawn), "prepare");
    spawn.name = "corpus";

    weft_runtime_stats before = statistics(runtime);
    int64_t begin = weft_now();
    weft_future *ended;
    check(weft_async(runtime, job_run, job, &spawn, &ended), "begin");
    wait_for(ended, job, options, label);
    int64_t end = weft_now();
    weft_runtime_stats after = statistics(runtime);

    const weft_error *error = weft_future_error(ended);
    if (error)
        give_up(label, weft_error_text(error));
    weft_future_release(ended);
    return (struct run){
        .seconds = (double)(end - begin) / 1e9,
        .tasks = after.spawned - before.spawned,
        .shared = after.shared - before.shared,
        .steals = after.steals - before.steals,
        .blocks = after.blocks - before.blocks,
    };
}

static int by_seconds(const void *a, const void *b)
{
    double x = ((const struct run *)a)->seconds, y = ((const struct run *)b)->seconds;
    return (x > y) - (x < y);
}

static struct run median(struct run *runs)
{
    qsort(runs, REPEATS, sizeof *runs, by_seconds);
    return runs[REPEATS / 2];
}

/* A run whose words are not shown, only compared. False: it was interrupted, and does not count. */
static bool again(weft_runtime *runtime, const struct options *options, const char *label, struct report *report, struct run *measured)
{
    struct job job;
    *measured = run(runtime, options, label, &job);
    bool whole = !atomic_load(&interrupted);
    if (whole && (job.total != report->job->total || job.distinct != report->job->distinct))
        report->changed = true;
    if (job.workers == report->workers && job.peak_reads > report->peak_reads)
        report->peak_reads = job.peak_reads;
    job_free(&job);
    return whole;
}

/* All runs but the first, which has warmed the caches and `all`: in turn, so that whatever else the machine does hits both. */
static bool measure(weft_runtime *all, weft_runtime *single, const struct options *options, struct report *report)
{
    struct run many[REPEATS], one[REPEATS];
    if (single && !again(single, options, "warming up", report, &one[0]))
        return false;
    for (int i = 0; i < REPEATS; i++) {
        char label[64];
        snprintf(label, sizeof label, "measuring, %d of %d", i + 1, REPEATS);
        if (!again(all, options, label, report, &many[i]) || (single && !again(single, options, label, report, &one[i])))
            return false;
    }
    report->run = median(many);
    report->single_seconds = single ? median(one).seconds : 0;
    report->repeats = REPEATS;
    return true;
}

int main(int argc, char **argv)
{
    if (isolate_is_worker(argc, argv))
        return isolate_work(argv);
    /* A closed standard output would be the number of the next file opened; a reader that has gone shall be an error like any other. */
    if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
        give_up("standard output", strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    struct options options = parse(argc, argv);
    watch_for_interrupt();

    if (options.isolate)
        check(isolate_start(options.isolate, options.chaos), "start processes");
    weft_runtime *all = start(options.workers);
    struct job first;
    struct report report = {.job = &first, .workers = weft_runtime_workers(all), .repeats = 1};
    report.run = run(all, &options, "counting", &first);
    report.peak_reads = first.peak_reads;
    report.partial = atomic_load(&interrupted);
    if (!options.once && !report.partial) {
        weft_runtime *single = report.workers > 1 ? start(1) : NULL;
        measure(all, single, &options, &report);
        if (single)
            stop(single);
    }
    report.interrupted = atomic_load(&interrupted);
    report.isolation = isolate_end();

    close_output(options.json ? report_json(&report, options.top) : report_text(&report, options.top));
    job_free(&first);
    stop(all);
    return report.interrupted ? EXIT_INTERRUPTED : 0;
}
