/* What ends the waits of a link: time, a token, an interrupt, a close, a release, a shutdown; and what a wait leaves to others. */
#include "links.h"

#include <stdlib.h>

TEST(timeouts)
{
    FOR_TRANSPORTS(transport) {
        struct ends ends = ends_new(transport, 1);
        uint64_t id;
        size_t len;
        CHECK_STATUS(frame_recv(ends.near, &id, &len, 0), WEFT_WOULD_BLOCK);
        CHECK_STATUS(frame_recv(ends.near, &id, &len, -5), WEFT_WOULD_BLOCK);
        CHECK_STATUS(frame_recv(ends.near, &id, &len, 1000000), WEFT_TIMEOUT);
        size_t sent = link_fill(ends.near, 500);
        CHECK(sent > 0);
        CHECK_STATUS(frame_send(ends.near, 1, 500, 1000000), WEFT_TIMEOUT);
        /* In pieces, some of which go. */
        CHECK_STATUS(frame_send(ends.near, 1, 1 << 20, 1000000), WEFT_TIMEOUT);
        for (size_t i = 0; i < sent; i++) {
            OK(frame_recv(ends.far, &id, &len, WEFT_FOREVER));
            CHECK(id == i && len == 500);
        }
        CHECK_STATUS(frame_recv(ends.far, &id, &len, 0), WEFT_WOULD_BLOCK);
        CHECK_STATUS(frame_send(ends.near, 1, 1 << 20, 1000000), WEFT_TIMEOUT);
        CHECK_STATUS(frame_recv(ends.far, &id, &len, 0), WEFT_WOULD_BLOCK);
        OK(frame_send(ends.near, 7, 3, WEFT_FOREVER));
        OK(frame_recv(ends.far, &id, &len, WEFT_FOREVER));
        CHECK(id == 7 && len == 3);
        ends_release(&ends);
    }
}

/* ---- a thread that waits, to send or to receive, and what ends that */

struct wait {
    weft_link *link;
    bool sends;
    weft_thread *thread;
    weft_cancel_token *token;
    weft_status status;
    gate begun;
};

static void wait_in_call(void *arg)
{
    struct wait *wait = arg;
    uint64_t id;
    size_t len;
    wait->thread = weft_thread_self();
    OK(weft_cancel_token_enter(wait->token));
    gate_open(&wait->begun);
    if (wait->sends)
        wait->status = frame_send(wait->link, 1, 900, WEFT_FOREVER);
    else
        wait->status = frame_recv(wait->link, &id, &len, WEFT_FOREVER);
    weft_cancel_token_leave(wait->token);
}

static void by_interrupt(struct wait *wait, struct ends *ends)
{
    (void)ends;
    weft_thread_interrupt(wait->thread);
}

static void by_token(struct wait *wait, struct ends *ends)
{
    (void)ends;
    weft_cancel_token_trigger(wait->token, "enough");
}

static void by_close(struct wait *wait, struct ends *ends)
{
    (void)wait;
    weft_link_close(ends->near);
}

static void by_peers_close(struct wait *wait, struct ends *ends)
{
    (void)wait;
    weft_link_close(ends->far);
}

static void by_release(struct wait *wait, struct ends *ends)
{
    (void)wait;
    weft_link_release(ends->near);
    ends->near = NULL;
}

static void ended(void (*end)(struct wait *, struct ends *), weft_status expected)
{
    FOR_TRANSPORTS(transport) {
        for (int sends = 0; sends < 2; sends++) {
            struct ends ends = ends_new(transport, 1);
            struct wait wait = {.link = ends.near, .sends = sends, .begun = GATE_INIT};
            struct thread thread;
            OK(weft_cancel_token_new(NULL, &wait.token));
            if (sends)
                link_fill(ends.near, 900);
            thread_start(&thread, wait_in_call, &wait);
            gate_wait(&wait.begun);
            if (sends)
                link_wait_for_sender(ends.near);
            else
                link_wait_for_receiver(ends.near);
            end(&wait, &ends);
            thread_join(&thread);
            CHECK_STATUS(wait.status, expected);
            weft_thread_release(wait.thread);
            weft_cancel_token_release(wait.token);
            ends_release(&ends);
        }
    }
}

TEST(an_interrupt_ends_a_wait)
{
    ended(by_interrupt, WEFT_INTERRUPTED);
}

TEST(a_token_ends_a_wait)
{
    ended(by_token, WEFT_CANCELLED);
}

TEST(a_close_ends_a_wait)
{
    ended(by_close, WEFT_CLOSED);
    ended(by_peers_close, WEFT_CLOSED);
}

TEST(the_last_release_ends_a_wait)
{
    ended(by_release, WEFT_CLOSED);
}

/* Those who wait for their turn behind another, too. */
static void wait_behind(size_t index, void *arg)
{
    struct ends *ends = arg;
    uint64_t id;
    size_t len;
    if (index == 0) {
        link_wait_for_receiver(ends->near);
        weft_link_close(ends->near);
    } else {
        CHECK_STATUS(frame_recv(ends->near, &id, &len, WEFT_FOREVER), WEFT_CLOSED);
    }
}

TEST(a_close_ends_all_waits)
{
    FOR_TRANSPORTS(transport) {
        struct ends ends = ends_new(transport, 1);
        threads_together(4, wait_behind, &ends);
        ends_release(&ends);
    }
}

/* ---- tasks */

struct talk {
    struct ends ends;
    weft_status received;
};

static void receive_in_task(weft_worker *worker, void *arg)
{
    struct talk *talk = arg;
    uint64_t id;
    size_t len;
    (void)worker;
    talk->received = frame_recv(talk->ends.near, &id, &len, WEFT_FOREVER);
}

static void send_in_task(weft_worker *worker, void *arg)
{
    struct talk *talk = arg;
    (void)worker;
    OK(frame_send(talk->ends.far, 1, 10, WEFT_FOREVER));
}

/* One worker: the task that sends can run only because the one that waits gives its turn away. */
TEST(a_task_that_waits_lets_others_run)
{
    FOR_TRANSPORTS(transport) {
        weft_runtime *runtime = runtime_new(1);
        struct talk talk = {.ends = ends_new(transport, 1), .received = -1};
        OK(weft_spawn(runtime, receive_in_task, &talk));
        link_wait_for_receiver(talk.ends.near);
        OK(weft_spawn(runtime, send_in_task, &talk));
        runtime_end(runtime);
        CHECK_STATUS(talk.received, WEFT_OK);
        ends_release(&talk.ends);
    }
}

TEST(a_discarding_shutdown_ends_a_wait)
{
    FOR_TRANSPORTS(transport) {
        weft_runtime *runtime = runtime_new(1);
        struct talk talk = {.ends = ends_new(transport, 1), .received = -1};
        OK(weft_spawn(runtime, receive_in_task, &talk));
        link_wait_for_receiver(talk.ends.near);
        OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));
        CHECK_STATUS(talk.received, WEFT_SHUTDOWN);
        weft_runtime_release(runtime);
        ends_release(&talk.ends);
    }
}

/* ---- many threads on both ends */

enum { SENDERS = 3, EACH = 400 };

struct crowd {
    struct ends ends;
    _Atomic uint64_t seen[SENDERS * EACH];
};

static void crowd_member(size_t index, void *arg)
{
    struct crowd *crowd = arg;
    uint64_t each = under_a_tool() ? 60 : EACH, id;
    size_t len;
    for (uint64_t i = 0; i < each; i++) {
        if (index < SENDERS) {
            OK(frame_send(crowd->ends.near, index * EACH + i, i % 7 * 300, WEFT_FOREVER));
        } else {
            OK(frame_recv(crowd->ends.far, &id, &len, WEFT_FOREVER));
            REQUIRE(id < SENDERS * EACH);
            CHECK_INT(len, id % EACH % 7 * 300);
            CHECK_INT(atomic_fetch_add(&crowd->seen[id], 1), 0);
        }
    }
}

TEST(a_crowd_loses_and_doubles_nothing)
{
    FOR_TRANSPORTS(transport) {
        struct crowd *crowd = calloc(1, sizeof *crowd);
        REQUIRE(crowd != NULL);
        crowd->ends = ends_new(transport, 1);
        threads_together(2 * SENDERS, crowd_member, crowd);
        ends_release(&crowd->ends);
        free(crowd);
    }
}
