/* The main function of every C test, and what harness.h declares.
 *
 * Failures are counted in one atomic, as checks fail on any thread; a test has failed when the count grew while it ran.
 * The watchdog is alarm(2) per test: a hang is the usual failure of a concurrent program, and a name is worth more than
 * the silence that a timeout from outside leaves. WEFT_TEST_SECONDS changes the limit (default 120; 0: none).
 *
 * A child without leak check is started with another first argument: valgrind is told by its options to leave such a
 * process alone, LeakSanitizer by a function it asks.
 */
#include "harness.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif

#define CHECKED_CHILD "--child"
#define UNCHECKED_CHILD "--child-without-leak-check"

extern char **environ;

static struct harness_case *first[HARNESS_KINDS];
static struct harness_case *last[HARNESS_KINDS];
static atomic_int failures;
static atomic_int passed;
static atomic_int failed;
static const char *volatile running = "";

/* Tests ask for more memory than there is, to see that refused; the sanitizers end the program for it unless told. And
 * ThreadSanitizer waits a second at each exit for late races, which adds up where a test makes dozens of children. */
#ifdef THREAD_SANITIZER
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1:atexit_sleep_ms=100";
}
#endif
#ifdef ADDRESS_SANITIZER
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static int leaks_say_nothing;

int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return leaks_say_nothing;
}
#endif

void harness_register(enum harness_kind kind, struct harness_case *which)
{
    if (last[kind] != NULL)
        last[kind]->next = which;
    else
        first[kind] = which;
    last[kind] = which;
}

const struct harness_case *harness_cases(enum harness_kind kind)
{
    return first[kind];
}

int harness_failures(void)
{
    return atomic_load(&failures);
}

bool under_valgrind(void)
{
#ifdef RUNNING_ON_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

bool under_thread_sanitizer(void)
{
#ifdef THREAD_SANITIZER
    return true;
#else
    return false;
#endif
}

bool under_a_tool(void)
{
#ifdef ADDRESS_SANITIZER
    return true;
#else
    return under_valgrind() || under_thread_sanitizer();
#endif
}

/* ---- checks */

static bool fail(const char *file, int line, const char *what)
{
    const char *slash = strrchr(file, '/');
    atomic_fetch_add(&failures, 1);
    /* One call, so that lines of several threads do not mix. */
    fprintf(stderr, "%s:%d: in %s: %s\n", slash != NULL ? slash + 1 : file, line, running, what);
    return false;
}

bool harness_check(bool held, const char *text, const char *file, int line)
{
    return held || fail(file, line, text);
}

static void give_up(void)
{
    printf("%d passed, %d failed (stopped in %s)\n", atomic_load(&passed), atomic_load(&failed) + 1, running);
    fflush(stdout);
    _exit(1);
}

void harness_require(bool held, const char *text, const char *file, int line)
{
    if (held)
        return;
    fail(file, line, text);
    give_up();
}

bool harness_check_int(intmax_t actual, intmax_t expected, const char *text, const char *file, int line)
{
    char what[512];
    if (actual == expected)
        return true;
    snprintf(what, sizeof what, "%s is %jd, expected %jd", text, actual, expected);
    return fail(file, line, what);
}

bool harness_check_str(const char *actual, const char *expected, const char *text, const char *file, int line)
{
    char what[1536];
    if (actual != NULL && strcmp(actual, expected) == 0)
        return true;
    snprintf(what, sizeof what, "%s is \"%s\", expected \"%s\"", text, actual != NULL ? actual : "(NULL)", expected);
    return fail(file, line, what);
}

bool harness_check_has(const char *actual, const char *part, const char *text, const char *file, int line)
{
    char what[1536];
    if (actual != NULL && strstr(actual, part) != NULL)
        return true;
    snprintf(what, sizeof what, "%s is \"%s\", which lacks \"%s\"", text, actual != NULL ? actual : "(NULL)", part);
    return fail(file, line, what);
}

bool harness_check_status(weft_status actual, weft_status expected, const char *text, const char *file, int line)
{
    char what[1536];
    if (actual == expected)
        return true;
    snprintf(what, sizeof what, "%s is %s (%d), expected %s; last message: %s", text, weft_status_name(actual), (int)actual,
             weft_status_name(expected), weft_error_message());
    return fail(file, line, what);
}

void harness_require_status(weft_status actual, const char *text, const char *file, int line)
{
    if (!harness_check_status(actual, WEFT_OK, text, file, line))
        give_up();
}

#define FORGOTTEN "(no message was set)"

void harness_forget_message(void)
{
    weft_error_set(WEFT_FAILED, FORGOTTEN);
}

bool harness_check_refused(weft_status actual, weft_status expected, const char *part, const char *text, const char *file, int line)
{
    return harness_check_status(actual, expected, text, file, line) && harness_check_has(weft_error_message(), part, text, file, line);
}

bool harness_check_neutral(intmax_t actual, intmax_t neutral, const char *part, const char *text, const char *file, int line)
{
    return harness_check_int(actual, neutral, text, file, line) && harness_check_has(weft_error_message(), part, text, file, line);
}

/* ---- child processes */

static const struct harness_case *find(enum harness_kind kind, const char *name)
{
    const struct harness_case *c = first[kind];
    while (c != NULL && strcmp(c->name, name) != 0)
        c = c->next;
    return c;
}

/* Starts this program again with that case; `output`, unless it is -1, is its standard output and error, `fd` is CHILD_FD. */
static pid_t start(const char *name, int output, int fd)
{
    char how[] = UNCHECKED_CHILD;
    if (find(HARNESS_CHILD, name) != NULL)
        strcpy(how, CHECKED_CHILD);
    else
        REQUIRE(find(HARNESS_CHILD_UNCHECKED, name) != NULL);

    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    REQUIRE(length > 0);
    self[length] = '\0';

    posix_spawn_file_actions_t actions;
    REQUIRE(posix_spawn_file_actions_init(&actions) == 0);
    if (output >= 0) {
        REQUIRE(posix_spawn_file_actions_adddup2(&actions, output, 1) == 0);
        REQUIRE(posix_spawn_file_actions_adddup2(&actions, output, 2) == 0);
    }
    if (fd >= 0)
        REQUIRE(posix_spawn_file_actions_adddup2(&actions, fd, CHILD_FD) == 0);

    char *arguments[] = {self, how, (char *)(uintptr_t)name, NULL};
    pid_t pid = -1;
    REQUIRE(posix_spawn(&pid, self, &actions, NULL, arguments, environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

pid_t child_start(const char *name, int fd)
{
    return start(name, -1, fd);
}

int child_end(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0)
        REQUIRE(errno == EINTR);
    return status;
}

struct child child_run(const char *name)
{
    struct child child = {0};
    int output = memfd_create("child", MFD_CLOEXEC);
    REQUIRE(output >= 0);
    child.status = child_end(start(name, output, -1));
    ssize_t got = pread(output, child.output, sizeof child.output - 1, 0);
    REQUIRE(got >= 0);
    close(output);
    return child;
}

void child_succeeds(const char *name)
{
    struct child child = child_run(name);
    char what[128];
    if (WIFEXITED(child.status) && WEXITSTATUS(child.status) == 0)
        return;
    if (WIFSIGNALED(child.status))
        snprintf(what, sizeof what, "child %s was ended by signal %d", name, WTERMSIG(child.status));
    else
        snprintf(what, sizeof what, "child %s exited with %d", name, WEXITSTATUS(child.status));
    fail(__FILE__, __LINE__, what);
    fprintf(stderr, "--- its output:\n%s---\n", child.output);
}

/* ---- main */

static unsigned seconds_per_test(void)
{
    const char *set = getenv("WEFT_TEST_SECONDS");
    return set != NULL ? (unsigned)strtoul(set, NULL, 10) : 120;
}

static void write_all(const char *text)
{
    ssize_t written = write(2, text, strlen(text));
    (void)written;
}

static void on_alarm(int signal)
{
    (void)signal;
    write_all("still running when its time was up: ");
    write_all(running);
    write_all("\n");
    _exit(1);
}

static void run(const struct harness_case *which)
{
    int before = atomic_load(&failures);
    running = which->name;
    alarm(seconds_per_test());
    which->run();
    alarm(0);
    bool good = atomic_load(&failures) == before;
    atomic_fetch_add(good ? &passed : &failed, 1);
    printf("%s %s\n", good ? "ok  " : "FAIL", which->name);
    fflush(stdout);
}

static int run_child(const struct harness_case *which)
{
    if (which == NULL)
        return 2;
    run(which);
    return atomic_load(&failures) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *filter = argc > 1 ? argv[1] : "";
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);

    if (argc > 2 && strcmp(filter, CHECKED_CHILD) == 0)
        return run_child(find(HARNESS_CHILD, argv[2]));
    if (argc > 2 && strcmp(filter, UNCHECKED_CHILD) == 0) {
#ifdef ADDRESS_SANITIZER
        leaks_say_nothing = 1;
#endif
        return run_child(find(HARNESS_CHILD_UNCHECKED, argv[2]));
    }
    for (int kind = HARNESS_TEST; kind <= HARNESS_MISUSE; kind++) {
        for (const struct harness_case *c = first[kind]; c != NULL; c = c->next) {
            if (strcmp(filter, "--list") == 0)
                puts(c->name);
            else if (strstr(c->name, filter) != NULL)
                run(c);
        }
    }
    if (strcmp(filter, "--list") == 0)
        return 0;
    if (atomic_load(&passed) + atomic_load(&failed) == 0) {
        fprintf(stderr, "no test's name contains \"%s\"\n", filter);
        return 2;
    }
    printf("%d passed, %d failed\n", atomic_load(&passed), atomic_load(&failed));
    return atomic_load(&failures) == 0 ? 0 : 1;
}
