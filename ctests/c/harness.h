/* The test harness of the C tests: test registration, checks that work on any thread, child processes.
 *
 * Why our own: the packaged C test libraries (cmocka, check, criterion) report a failed assertion by longjmp or exit on the
 * thread that made it. Here most checks run on the library's workers, where a jump out of a callback is forbidden and
 * would tear the very thing under test. So a check here records, prints and goes on; only REQUIRE ends the program,
 * for what makes going on meaningless (a wait that would never end, a NULL that would be used).
 *
 * A file defines TEST(name) { ... } for each property; harness.c has the main function:
 *     ./test             runs all tests
 *     ./test close       runs those whose name contains "close"
 *     ./test --list      prints the names
 * and prints "N passed, M failed" at the end. A test that hangs is named before the program ends: see harness.c.
 *
 * CHILD(name) { ... } defines what a child process does: child_run("name") starts this program again (fork and exec) with
 * that case's name, for what can happen only once in a process or ends it.
 */
#ifndef WEFT_CTESTS_HARNESS_H
#define WEFT_CTESTS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <weft/weft.h>

/* ---- registration */

struct harness_case {
    const char *name;
    void (*run)(void);
    struct harness_case *next;
};

enum harness_kind { HARNESS_TEST, HARNESS_MISUSE, HARNESS_CHILD, HARNESS_CHILD_UNCHECKED, HARNESS_KINDS };

void harness_register(enum harness_kind kind, struct harness_case *which);
const struct harness_case *harness_cases(enum harness_kind kind);

#define HARNESS_CASE(kind, prefix, name)                                            \
    static void prefix##name(void);                                                 \
    __attribute__((constructor)) static void harness_register_##prefix##name(void)  \
    {                                                                               \
        static struct harness_case which = {#name, prefix##name, NULL};             \
        harness_register(kind, &which);                                             \
    }                                                                               \
    static void prefix##name(void)

#define TEST(name) HARNESS_CASE(HARNESS_TEST, test_, name)
#define CHILD(name) HARNESS_CASE(HARNESS_CHILD, child_, name)
/* A child whose leaks say nothing: it ends while its threads run, or forks, which leaves their memory behind. */
#define CHILD_WITHOUT_LEAK_CHECK(name) HARNESS_CASE(HARNESS_CHILD_UNCHECKED, child_, name)

/* ---- checks: each evaluates its arguments once and answers whether it held */

#define CHECK(condition) harness_check((condition), #condition, __FILE__, __LINE__)
#define REQUIRE(condition) harness_require((condition), #condition, __FILE__, __LINE__)
#define CHECK_INT(actual, expected) \
    harness_check_int((intmax_t)(actual), (intmax_t)(expected), #actual, __FILE__, __LINE__)
#define CHECK_STR(actual, expected) harness_check_str((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_HAS(text, part) harness_check_has((text), (part), #text, __FILE__, __LINE__)
#define CHECK_STATUS(call, expected) harness_check_status((call), (expected), #call, __FILE__, __LINE__)
#define OK(call) harness_require_status((call), #call, __FILE__, __LINE__)

/* A refused call: the message must come from this very call, so the one before is overwritten first. */
#define CHECK_REFUSED(call, expected, part) \
    (harness_forget_message(), harness_check_refused((call), (expected), (part), #call, __FILE__, __LINE__))
#define CHECK_INVALID(call, part) CHECK_REFUSED(call, WEFT_INVALID, part)
/* The same for functions that answer a number or a pointer: the neutral value and a message. */
#define CHECK_NEUTRAL(call, neutral, part) \
    (harness_forget_message(), harness_check_neutral((intmax_t)(call), (intmax_t)(neutral), (part), #call, __FILE__, __LINE__))
#define CHECK_NULL(call, part) CHECK_NEUTRAL((uintptr_t)(call), 0, part)

bool harness_check(bool held, const char *text, const char *file, int line);
void harness_require(bool held, const char *text, const char *file, int line);
bool harness_check_int(intmax_t actual, intmax_t expected, const char *text, const char *file, int line);
bool harness_check_str(const char *actual, const char *expected, const char *text, const char *file, int line);
bool harness_check_has(const char *actual, const char *part, const char *text, const char *file, int line);
bool harness_check_status(weft_status actual, weft_status expected, const char *text, const char *file, int line);
void harness_require_status(weft_status actual, const char *text, const char *file, int line);
void harness_forget_message(void);
bool harness_check_refused(weft_status actual, weft_status expected, const char *part, const char *text, const char *file, int line);
bool harness_check_neutral(intmax_t actual, intmax_t neutral, const char *part, const char *text, const char *file, int line);

/* Checks that have failed so far. */
int harness_failures(void);

/* ---- child processes */

struct child {
    int status;          /* as from waitpid */
    char output[16384];  /* what it wrote on standard output and standard error, cut there */
};

struct child child_run(const char *name);
/* The usual expectation: it exits with 0, which it does when none of its checks failed. */
void child_succeeds(const char *name);

/* The same beside this program: the child has a copy of `fd` as its descriptor CHILD_FD. child_end waits for it, and answers its
 * status as from waitpid. */
enum { CHILD_FD = 100 };
pid_t child_start(const char *name, int fd);
int child_end(pid_t pid);

/* ---- where the tests run: some facts cannot be observed under every tool */

bool under_valgrind(void);
bool under_thread_sanitizer(void);
/* Any tool that makes the program many times slower: tests then do less of the same. */
bool under_a_tool(void);

#endif
