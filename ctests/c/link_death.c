/* Links to a process that ends, however it ends: what it had sent is received, then its death is told. */
#include "links.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static weft_link *adopted(void)
{
    weft_link *link = NULL;
    OK(weft_link_adopt(CHILD_FD, &link));
    return link;
}

/* Starts a child that has the far end. */
static weft_link *link_to(const char *child, int32_t transport, size_t ring_size, pid_t *pid)
{
    weft_link_options options = link_options(transport, ring_size);
    weft_link *link = NULL;
    int32_t fd = -1;
    OK(weft_link_pair(&options, &link, &fd));
    *pid = child_start(child, fd);
    close(fd);
    return link;
}

static void was_killed(pid_t pid)
{
    int status = child_end(pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

CHILD(echoes)
{
    weft_link *link = adopted();
    CHECK_STATUS(frames_echo(link), WEFT_CLOSED);
    weft_link_release(link);
}

TEST(frames_go_to_another_process_and_back)
{
    FOR_TRANSPORTS(transport) {
        pid_t pid;
        weft_link *link = link_to("echoes", transport, 0, &pid);
        for (size_t len = 1; len <= (under_a_tool() ? (size_t)1 << 20 : (size_t)16 << 20); len *= 4) {
            uint64_t id;
            size_t got;
            OK(frame_send(link, len, len - 1, WEFT_FOREVER));
            OK(frame_recv(link, &id, &got, WEFT_FOREVER));
            CHECK(id == len && got == len - 1);
        }
        weft_link_close(link);
        CHECK_INT(child_end(pid), 0);
        weft_link_release(link);
    }
}

enum { BEFORE_DEATH = 100 };

CHILD_WITHOUT_LEAK_CHECK(sends_and_is_killed)
{
    weft_link *link = adopted();
    for (uint64_t id = 0; id < BEFORE_DEATH; id++)
        OK(frame_send(link, id, id * 10, WEFT_FOREVER));
    kill(getpid(), SIGKILL);
}

TEST(frames_before_death_arrive)
{
    FOR_TRANSPORTS(transport) {
        for (int first = 0; first < 2; first++) {
            pid_t pid;
            weft_link *link = link_to("sends_and_is_killed", transport, 0, &pid);
            /* Where there is no ring the child cannot send all before somebody receives. */
            if (first && transport == WEFT_LINK_SHARED)
                was_killed(pid);
            for (uint64_t i = 0; i < BEFORE_DEATH; i++) {
                uint64_t id;
                size_t len;
                OK(frame_recv(link, &id, &len, WEFT_FOREVER));
                CHECK(id == i && len == i * 10);
            }
            uint64_t id;
            size_t len;
            CHECK_STATUS(frame_recv(link, &id, &len, WEFT_FOREVER), WEFT_DIED);
            CHECK_STATUS(frame_recv(link, &id, &len, 0), WEFT_DIED);
            CHECK_STATUS(frame_send(link, 1, 1, 0), WEFT_DIED);
            CHECK_STATUS(frame_send(link, 1, 1, WEFT_FOREVER), WEFT_DIED);
            if (!first || transport != WEFT_LINK_SHARED)
                was_killed(pid);
            weft_link_release(link);
        }
    }
}

CHILD_WITHOUT_LEAK_CHECK(does_nothing)
{
    weft_link *link = adopted();
    OK(frame_send(link, 1, 1, WEFT_FOREVER));
    for (;;)
        pause();
}

struct victim {
    weft_link *link;
    pid_t pid;
    bool sends;
    uint64_t slept;
};

static void kill_once_asleep(void *arg)
{
    struct victim *victim = arg;
    weft_link_stats stats;
    do
        stats = link_stats(victim->link);
    while ((victim->sends ? stats.send_waits : stats.receive_waits) == victim->slept);
    kill(victim->pid, SIGKILL);
}

TEST(a_death_ends_waits)
{
    FOR_TRANSPORTS(transport) {
        for (int sends = 0; sends < 2; sends++) {
            struct victim victim = {.sends = sends};
            struct thread thread;
            uint64_t id;
            size_t len;
            victim.link = link_to("does_nothing", transport, 1, &victim.pid);
            OK(frame_recv(victim.link, &id, &len, WEFT_FOREVER));
            if (sends)
                link_fill(victim.link, 900);
            victim.slept = sends ? link_stats(victim.link).send_waits : link_stats(victim.link).receive_waits;
            thread_start(&thread, kill_once_asleep, &victim);
            if (sends)
                CHECK_STATUS(frame_send(victim.link, 1, 900, WEFT_FOREVER), WEFT_DIED);
            else
                CHECK_STATUS(frame_recv(victim.link, &id, &len, WEFT_FOREVER), WEFT_DIED);
            thread_join(&thread);
            was_killed(victim.pid);
            weft_link_release(victim.link);
        }
    }
}

CHILD(says_goodbye)
{
    weft_link *link = adopted();
    OK(frame_send(link, 7, 70, WEFT_FOREVER));
    weft_link_release(link);
}

TEST(an_orderly_end_is_no_death)
{
    FOR_TRANSPORTS(transport) {
        pid_t pid;
        uint64_t id;
        size_t len;
        weft_link *link = link_to("says_goodbye", transport, 0, &pid);
        OK(frame_recv(link, &id, &len, WEFT_FOREVER));
        CHECK(id == 7 && len == 70);
        CHECK_STATUS(frame_recv(link, &id, &len, WEFT_FOREVER), WEFT_CLOSED);
        CHECK_INT(child_end(pid), 0);
        CHECK_STATUS(frame_recv(link, &id, &len, 0), WEFT_CLOSED);
        CHECK_STATUS(frame_send(link, 1, 1, 0), WEFT_CLOSED);
        weft_link_release(link);
    }
}

/* A child that never adopts. */
CHILD(ignores_its_link)
{
    close(CHILD_FD);
}

TEST(an_end_that_nobody_adopts)
{
    FOR_TRANSPORTS(transport) {
        pid_t pid;
        uint64_t id;
        size_t len;
        weft_link *link = link_to("ignores_its_link", transport, 0, &pid);
        CHECK_STATUS(frame_recv(link, &id, &len, WEFT_FOREVER), WEFT_DIED);
        CHECK_INT(child_end(pid), 0);
        weft_link_release(link);
    }
}

/* SIGPIPE would end this process. */
TEST(no_signal_tells_of_a_death)
{
    FOR_TRANSPORTS(transport) {
        weft_link_options options = link_options(transport, 0);
        weft_link *link = NULL;
        int32_t fd = -1;
        OK(weft_link_pair(&options, &link, &fd));
        close(fd);
        signal(SIGPIPE, SIG_DFL);
        weft_status status;
        while ((status = frame_send(link, 1, 1000, WEFT_FOREVER)) == WEFT_OK)
            ;
        CHECK_STATUS(status, WEFT_DIED);
        weft_link_release(link);
    }
}
