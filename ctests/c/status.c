/* Status names, the thread's last message, version numbers, capabilities, the clock. */
#include "support.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct {
    weft_status status;
    const char *name;
} statuses[] = {
    {WEFT_OK, "ok"},
    {WEFT_WOULD_BLOCK, "would block"},
    {WEFT_TIMEOUT, "timeout"},
    {WEFT_CANCELLED, "cancelled"},
    {WEFT_INTERRUPTED, "interrupted"},
    {WEFT_CLOSED, "closed"},
    {WEFT_REJECTED, "rejected"},
    {WEFT_INVALID, "invalid"},
    {WEFT_BUSY, "busy"},
    {WEFT_UNSUPPORTED, "unsupported"},
    {WEFT_TOO_LARGE, "too large"},
    {WEFT_NOT_FOUND, "not found"},
    {WEFT_DEADLOCK, "deadlock"},
    {WEFT_NOMEM, "out of memory"},
    {WEFT_OS, "operating system error"},
    {WEFT_SHUTDOWN, "shutdown"},
    {WEFT_FORKED, "forked"},
    {WEFT_FAILED, "failed"},
    {WEFT_PANIC, "panic"},
    {WEFT_BROKEN, "broken promise"},
    {WEFT_DIED, "died"},
    {WEFT_PROTOCOL, "protocol error"},
};

TEST(every_status_has_a_name)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        CHECK_STR(weft_status_name(statuses[i].status), statuses[i].name);
}

TEST(other_numbers_are_unknown)
{
    size_t known = 0;
    for (weft_status status = -100; status < 200; status++)
        known += strcmp(weft_status_name(status), "unknown") != 0;
    CHECK_INT(known, sizeof statuses / sizeof statuses[0]);
    CHECK_STR(weft_status_name(INT32_MIN), "unknown");
    CHECK_STR(weft_status_name(INT32_MAX), "unknown");
}

static void fresh_thread(void *arg)
{
    (void)arg;
    CHECK_STR(weft_error_message(), "");
    CHECK_INVALID(weft_bytes_new("x", 1, NULL), "out");
}

TEST(messages_belong_to_their_thread)
{
    struct thread thread;
    CHECK_STATUS(weft_error_set(WEFT_FAILED, "mine"), WEFT_FAILED);
    thread_start(&thread, fresh_thread, NULL);
    thread_join(&thread);
    CHECK_STR(weft_error_message(), "mine");
}

TEST(a_success_keeps_the_message)
{
    weft_bytes *bytes = NULL;
    weft_error_set(WEFT_FAILED, "from before");
    OK(weft_bytes_new("x", 1, &bytes));
    CHECK_STR(weft_error_message(), "from before");
    weft_bytes_release(bytes);
}

TEST(error_set_answers_its_status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        CHECK_INT(weft_error_set(statuses[i].status, "text"), statuses[i].status);
        if (statuses[i].status == WEFT_OK)
            continue;
        CHECK_STR(weft_error_message(), "text");
        CHECK_INT(weft_error_set(statuses[i].status, NULL), statuses[i].status);
        CHECK_STR(weft_error_message(), statuses[i].name);
    }
    CHECK_INT(weft_error_set(12345, "no such status"), 12345);
}

TEST(long_messages_are_cut_at_511_bytes)
{
    char text[2000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    text[sizeof text - 1] = '\0';
    weft_error_set(WEFT_FAILED, text);
    CHECK_INT(strlen(weft_error_message()), 511);
    CHECK(strncmp(weft_error_message(), text, 511) == 0);

    text[511] = '\0';
    weft_error_set(WEFT_FAILED, text);
    CHECK_STR(weft_error_message(), text);

    weft_error_set(WEFT_FAILED, "");
    CHECK_STR(weft_error_message(), "");
}

/* A message may well be made from the one before. */
TEST(a_message_can_be_set_from_itself)
{
    weft_error_set(WEFT_FAILED, "inner: cause");
    weft_error_set(WEFT_FAILED, weft_error_message() + strlen("inner: "));
    CHECK_STR(weft_error_message(), "cause");
}

TEST(messages_take_any_bytes)
{
    weft_error_set(WEFT_FAILED, "\xff\xfe 100%s %n \x80");
    CHECK_HAS(weft_error_message(), " 100%s %n ");
}

TEST(versions_agree)
{
    uint32_t expected = (uint32_t)WEFT_VERSION_MAJOR << 24 | (uint32_t)WEFT_VERSION_MINOR << 16 | (uint32_t)WEFT_VERSION_PATCH << 8;
    CHECK_INT(weft_version(), expected);
    CHECK_INT(weft_abi_version(), WEFT_ABI_VERSION);
}

TEST(capabilities_are_plausible)
{
    uint64_t known = WEFT_CAP_FUTEX | WEFT_CAP_FORK | WEFT_CAP_AFFINITY | WEFT_CAP_NUMA | WEFT_CAP_MEMBARRIER;
    uint64_t have = weft_capabilities();
    CHECK_INT(have & ~known, 0);
    CHECK((have & WEFT_CAP_FUTEX) != 0);
    CHECK((have & WEFT_CAP_FORK) != 0);
    CHECK_INT(weft_capabilities(), have);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

TEST(now_is_the_monotonic_clock)
{
    int64_t before = now();
    int64_t ours = weft_now();
    int64_t after = now();
    CHECK(before <= ours && ours <= after);
}

TEST(a_deadline_is_now_plus_the_timeout)
{
    static const int64_t timeouts[] = {0, 1, -1, 1000000000, -5000000000, INT64_MIN};
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        /* As a timeout, 0 or less is now. */
        int64_t expected = timeouts[i] > 0 ? timeouts[i] : 0;
        int64_t before = now();
        int64_t deadline = weft_deadline(timeouts[i]);
        int64_t after = now();
        CHECK(before + expected <= deadline && deadline <= after + expected);
    }
}

TEST(deadlines_saturate)
{
    CHECK_INT(weft_deadline(WEFT_FOREVER), WEFT_FOREVER);
    CHECK_INT(weft_deadline(INT64_MAX - 1), INT64_MAX);
}

TEST(after_fork_in_a_process_that_was_not_forked)
{
    CHECK_STATUS(weft_after_fork(), WEFT_OK);
    CHECK_STATUS(weft_after_fork(), WEFT_OK);
}
