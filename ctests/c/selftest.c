/* The harness itself: what fails here must be seen to fail, whatever thread it fails on. */
#include "support.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

static void fails_saying(const char *name, const char *words)
{
    struct child child = child_run(name);
    CHECK(WIFEXITED(child.status) && WEXITSTATUS(child.status) == 1);
    CHECK_HAS(child.output, words);
    CHECK_HAS(child.output, "selftest.c:");
}

CHILD(all_is_well)
{
    CHECK(1 + 1 == 2);
    CHECK_INT(3, 3);
    CHECK_STR("a", "a");
    CHECK_HAS("abc", "b");
    CHECK_STATUS(WEFT_OK, WEFT_OK);
    CHECK_INVALID(weft_error_set(WEFT_INVALID, "the word"), "word");
    CHECK_NEUTRAL((weft_error_set(WEFT_INVALID, "the word"), -1), -1, "word");
}

CHILD(wrong_condition) { CHECK(1 + 1 == 3); }
CHILD(wrong_number) { CHECK_INT(3, 4); }
CHILD(wrong_string) { CHECK_STR("a", "b"); }
CHILD(missing_string) { CHECK_STR(NULL, "b"); }
CHILD(missing_part) { CHECK_HAS("abc", "d"); }
CHILD(wrong_status) { CHECK_STATUS(WEFT_TIMEOUT, WEFT_OK); }
CHILD(wrong_refusal) { CHECK_INVALID(weft_error_set(WEFT_BUSY, "the word"), "word"); }
CHILD(wrong_word) { CHECK_INVALID(weft_error_set(WEFT_INVALID, "another"), "word"); }
CHILD(wrong_neutral) { CHECK_NEUTRAL((weft_error_set(WEFT_INVALID, "the word"), 0), -1, "word"); }

/* A message from before the call is none of the call's. */
CHILD(old_word)
{
    weft_error_set(WEFT_INVALID, "the word");
    CHECK_INVALID(WEFT_INVALID, "word");
}

CHILD_WITHOUT_LEAK_CHECK(required)
{
    REQUIRE(1 + 1 == 3);
    exit(0);
}

CHILD_WITHOUT_LEAK_CHECK(required_status)
{
    OK(WEFT_NOMEM);
    exit(0);
}

static void fail_here(void *arg)
{
    (void)arg;
    CHECK(!"on this thread");
}

CHILD(another_thread)
{
    struct thread thread;
    thread_start(&thread, fail_here, NULL);
    thread_join(&thread);
}

CHILD(failing_child) { child_succeeds("wrong_condition"); }

CHILD_WITHOUT_LEAK_CHECK(hangs)
{
    gate never = GATE_INIT;
    gate_wait(&never);
}

TEST(what_holds_passes) { child_succeeds("all_is_well"); }

TEST(what_does_not_hold_fails)
{
    fails_saying("wrong_condition", "1 + 1 == 3");
    fails_saying("wrong_number", "is 3, expected 4");
    fails_saying("wrong_string", "expected \"b\"");
    fails_saying("missing_string", "(NULL)");
    fails_saying("missing_part", "lacks \"d\"");
    fails_saying("wrong_status", "is timeout (2), expected ok");
    fails_saying("wrong_refusal", "is busy (21), expected invalid");
    fails_saying("wrong_word", "lacks \"word\"");
    fails_saying("wrong_neutral", "is 0, expected -1");
    fails_saying("old_word", "lacks \"word\"");
    fails_saying("required", "1 + 1 == 3");
    fails_saying("required_status", "out of memory");
    fails_saying("another_thread", "on this thread");
    fails_saying("failing_child", "exited with 1");
}

TEST(what_hangs_is_named)
{
    REQUIRE(setenv("WEFT_TEST_SECONDS", "1", 1) == 0);
    struct child child = child_run("hangs");
    REQUIRE(unsetenv("WEFT_TEST_SECONDS") == 0);
    CHECK(WIFEXITED(child.status) && WEXITSTATUS(child.status) == 1);
    CHECK_HAS(child.output, "still running when its time was up: hangs");
}
