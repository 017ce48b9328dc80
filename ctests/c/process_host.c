/* Process pools of a host that is not called: it takes up births and calls. */
#include "processes.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A worker. Calls are of the kinds of processes.h. */
static _Noreturn void serve(int32_t fd)
{
    weft_server *server = NULL;
    weft_bytes *call = NULL;
    weft_status status;
    alarm(0);
    if (weft_after_fork() != WEFT_OK || weft_server_new(fd, &server) != WEFT_OK)
        _exit(9);
    while ((status = weft_server_next(server, WEFT_FOREVER, &call)) == WEFT_OK) {
        const char *data = weft_bytes_data(call);
        size_t len = weft_bytes_len(call);
        char attempt = (char)weft_server_attempt(server);
        switch (data[0]) {
        case ECHO:
            status = weft_server_reply(server, data, len, WEFT_FOREVER);
            break;
        case FAIL:
            status = weft_server_fail(server, 77, "it failed", "here\nthere", call, WEFT_FOREVER);
            break;
        case STOPS:
            while (!weft_server_cancelled(server))
                ;
            status = weft_server_fail(server, WEFT_CANCELLED, "as you wish", NULL, NULL, WEFT_FOREVER);
            break;
        case ATTEMPT:
            if (attempt < data[1])
                _exit(3);
            status = weft_server_reply(server, &attempt, 1, WEFT_FOREVER);
            break;
        default:
            _exit(3);
        }
        if (status != WEFT_OK)
            _exit(8);
        weft_bytes_release(call);
    }
    weft_server_release(server);
    _exit(status == WEFT_CLOSED ? 0 : 7);
}

/* Forks workers as long as the pool needs some. */
static void bear(void *pool)
{
    weft_process_birth *birth = NULL;
    weft_status status;
    while ((status = weft_process_birth_begin(pool, WEFT_FOREVER, &birth)) == WEFT_OK) {
        int32_t fd = weft_process_birth_fd(birth);
        pid_t pid = fork();
        if (pid == 0)
            serve(fd);
        CHECK_STATUS(weft_process_birth_end(birth, pid), WEFT_OK);
        weft_process_birth_release(birth);
    }
    CHECK_STATUS(status, WEFT_CLOSED);
}

static weft_process_pool_options uncalled(uint32_t workers)
{
    weft_process_pool_options options = pool_options(workers);
    options.argv = NULL;
    options.fork_fn = weft_process_no_fork;
    return options;
}

TEST(births_and_calls_are_taken_up)
{
    if (under_thread_sanitizer())
        return; /* It knows no threads in children of programs with threads. */
    weft_process_pool_options options = uncalled(2);
    options.attempts = 2;
    weft_process_pool *pool = pool_with(&options);
    struct thread thread;
    thread_start(&thread, bear, pool);
    for (int i = 0; i < 20; i++)
        answers(call(pool, "ehello", 6), "ehello", 6);
    size_t size = (size_t)9 << 20;
    char *large = calloc(size, 1);
    REQUIRE(large != NULL);
    large[0] = ECHO;
    answers(call(pool, large, size), large, size);
    free(large);
    weft_future *future = ask(pool, FAIL);
    CHECK_STATUS(weft_future_wait(future, WEFT_FOREVER), WEFT_OK);
    const weft_error *error = weft_future_error(future);
    CHECK_STATUS(weft_error_status(error), 77);
    CHECK_STR(weft_error_text(error), "it failed");
    CHECK_STR(weft_error_backtrace(error), "here\nthere");
    size_t len = 0;
    CHECK(weft_error_payload(error, &len) != NULL && len == 1);
    weft_future_release(future);
    answers(call(pool, "n\2", 2), "\2", 1);
    fails(call(pool, "n\3", 2), WEFT_DIED, "status 3");
    future = ask(pool, STOPS);
    weft_future_cancel(future);
    fails(future, WEFT_CANCELLED, "");
    answers(call(pool, "eagain", 6), "eagain", 6);
    pool_end(pool);
    thread_join(&thread);
    no_children();
}

/* Workers that have done their share are replaced as long as calls wait, also when the pool is told to end. */
TEST(a_pool_that_ends_is_served_to_its_end)
{
    if (under_thread_sanitizer())
        return; /* As above. */
    weft_process_pool_options options = uncalled(2);
    options.max_calls = 1;
    weft_process_pool *pool = pool_with(&options);
    weft_future *futures[10];
    for (int i = 0; i < 10; i++)
        futures[i] = call(pool, "ehello", 6);
    struct thread thread;
    thread_start(&thread, bear, pool);
    CHECK_STATUS(weft_process_pool_drain(pool, WEFT_FOREVER), WEFT_OK);
    for (int i = 0; i < 10; i++)
        answers(futures[i], "ehello", 6);
    thread_join(&thread);
    pool_end(pool);
    no_children();
}

TEST(a_birth_that_is_given_up_is_asked_for_again)
{
    weft_process_pool_options options = uncalled(1);
    options.backoff_ns = 0;
    options.restart_limit = 2;
    weft_process_pool *pool = pool_with(&options);
    weft_future *future = ask(pool, ECHO);
    for (int i = 0; i < 3; i++) {
        weft_process_birth *birth = NULL;
        CHECK_STATUS(weft_process_birth_begin(pool, WEFT_FOREVER, &birth), WEFT_OK);
        weft_process_birth_release(birth);
    }
    fails(future, WEFT_DIED, "the host has forked no worker");
    weft_process_birth *birth = NULL;
    CHECK_STATUS(weft_process_birth_begin(pool, 0, &birth), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_process_birth_begin(pool, 1000, &birth), WEFT_TIMEOUT);
    weft_process_pool_close(pool);
    CHECK_STATUS(weft_process_birth_begin(pool, WEFT_FOREVER, &birth), WEFT_CLOSED);
    pool_end(pool);
}

TEST(programs_are_not_born)
{
    weft_process_pool *pool = pool_new(1);
    weft_process_birth *birth = NULL;
    CHECK_STATUS(weft_process_birth_begin(pool, WEFT_FOREVER, &birth), WEFT_UNSUPPORTED);
    pool_end(pool);
}
