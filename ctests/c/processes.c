/* See processes.h. */
#include "processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BEGIN_FD = 101, END_FD = 102 };

static void say_begun(void)
{
    char byte = 1;
    REQUIRE(write(BEGIN_FD, &byte, 1) == 1);
}

static void occupy(size_t mib)
{
    char *memory = malloc(mib << 20);
    REQUIRE(memory != NULL);
    for (size_t i = 0; i < mib << 20; i += 4096)
        *(volatile char *)&memory[i] = 1;
}

weft_status pool_handler(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)arg;
    const unsigned char *bytes = data;
    pid_t pid = getpid();
    uint32_t attempt = weft_serve_attempt();
    weft_bytes *payload = NULL;
    weft_status status;
    switch (len > 0 ? bytes[0] : ECHO) {
    case ECHO:
        return weft_bytes_new(data, len, reply);
    case PID:
        return weft_bytes_new(&pid, sizeof pid, reply);
    case FAIL:
        OK(weft_bytes_new(data, len, &payload));
        status = weft_handler_fail(77, "it does not like that", "here\nthere", payload);
        weft_bytes_release(payload);
        return status;
    case RAISE:
        return WEFT_FAILED;
    case KILLED:
        kill(pid, SIGKILL);
        return WEFT_OK;
    case ABORTS:
        signal(SIGABRT, SIG_DFL);
        abort();
    case EXITS:
        _exit(3);
    case STOPPED:
        kill(pid, SIGSTOP);
        return WEFT_OK;
    case GROWS:
        occupy(bytes[1]);
        for (;;)
            pause();
    case GROWN:
        occupy(bytes[1]);
        return weft_bytes_new(&pid, sizeof pid, reply);
    case WAITS:
        say_begun();
        for (;;)
            pause();
    case STOPS:
        say_begun();
        while (!weft_serve_cancelled())
            usleep(100);
        return weft_error_set(WEFT_CANCELLED, "it has stopped");
    case ATTEMPT:
        if (attempt < bytes[1])
            kill(pid, SIGKILL);
        return weft_bytes_new(&attempt, sizeof attempt, reply);
    default:
        return weft_error_set(WEFT_INVALID, "no such thing");
    }
}

CHILD_WITHOUT_LEAK_CHECK(pool_worker)
{
    alarm(0);
    weft_status status = weft_serve(-1, pool_handler, NULL);
    CHECK(status == WEFT_OK || status == WEFT_DIED);
}

weft_process_pool_options pool_options_of(const char *child, uint32_t workers)
{
    static char self[4096];
    static const char *argv[8][4];
    static size_t used;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    REQUIRE(length > 0);
    self[length] = '\0';
    size_t i = 0;
    while (i < used && strcmp(argv[i][2], child) != 0)
        i++;
    REQUIRE(i < 8);
    used = i == used ? used + 1 : used;
    argv[i][0] = self, argv[i][1] = "--child-without-leak-check", argv[i][2] = child;

    weft_process_pool_options options;
    OK(weft_process_pool_options_init(&options, sizeof options));
    options.argv = argv[i];
    options.workers = workers;
    options.backoff_ns = 1000000;
    options.backoff_max_ns = 20000000;
    return options;
}

weft_process_pool_options pool_options(uint32_t workers)
{
    return pool_options_of("pool_worker", workers);
}

weft_process_pool *pool_with(const weft_process_pool_options *options)
{
    weft_process_pool *pool = NULL;
    OK(weft_process_pool_new(options, &pool));
    return pool;
}

weft_process_pool *pool_new(uint32_t workers)
{
    weft_process_pool_options options = pool_options(workers);
    return pool_with(&options);
}

void pool_end(weft_process_pool *pool)
{
    CHECK_STATUS(weft_process_pool_drain(pool, WEFT_FOREVER), WEFT_OK);
    weft_process_pool_stats s = pool_stats(pool);
    CHECK_INT(s.calls, s.succeeded + s.failed + s.died + s.timed_out + s.cancelled + s.closed + s.refused);
    CHECK_INT(s.born, s.deaths + s.left);
    CHECK(s.waiting == 0 && s.outstanding == 0 && s.ready == 0);
    weft_process_pool_release(pool);
}

weft_process_pool_stats pool_stats(weft_process_pool *pool)
{
    weft_process_pool_stats stats = {.size = sizeof stats};
    OK(weft_process_pool_stats_get(pool, &stats));
    return stats;
}

weft_future *call_with(weft_process_pool *pool, const void *data, size_t len, int64_t timeout_ns, uint32_t attempts)
{
    weft_process_call_options options;
    weft_future *future = NULL;
    OK(weft_process_call_options_init(&options, sizeof options));
    options.timeout_ns = timeout_ns;
    options.attempts = attempts;
    OK(weft_process_pool_call(pool, data, len, &options, &future));
    return future;
}

weft_future *call(weft_process_pool *pool, const void *data, size_t len)
{
    weft_future *future = NULL;
    OK(weft_process_pool_call(pool, data, len, NULL, &future));
    return future;
}

weft_future *ask(weft_process_pool *pool, char what)
{
    return call(pool, &what, 1);
}

void answers(weft_future *future, const void *data, size_t len)
{
    void *bytes = NULL;
    if (CHECK_STATUS(weft_future_get(future, WEFT_FOREVER, &bytes), WEFT_OK)) {
        CHECK_INT(weft_bytes_len(bytes), len);
        CHECK(weft_bytes_len(bytes) == len && (len == 0 || memcmp(weft_bytes_data(bytes), data, len) == 0));
    }
    weft_future_release(future);
}

void fails(weft_future *future, weft_status status, const char *part)
{
    void *bytes = NULL;
    CHECK_STATUS(weft_future_get(future, WEFT_FOREVER, &bytes), status);
    const weft_error *error = weft_future_error(future);
    if (CHECK(error != NULL))
        CHECK_HAS(weft_error_text(error), part);
    weft_future_release(future);
}

pid_t pid_of(weft_process_pool *pool)
{
    void *bytes = NULL;
    pid_t pid = -1;
    weft_future *future = ask(pool, PID);
    OK(weft_future_get(future, WEFT_FOREVER, &bytes));
    REQUIRE(weft_bytes_len(bytes) == sizeof pid);
    memcpy(&pid, weft_bytes_data(bytes), sizeof pid);
    weft_future_release(future);
    return pid;
}

void begin_pipe(void)
{
    static bool made;
    int ends[2];
    if (made)
        return;
    made = true;
    REQUIRE(pipe(ends) == 0);
    /* Workers inherit the one, under a number that they know. */
    REQUIRE(dup2(ends[1], BEGIN_FD) == BEGIN_FD);
    REQUIRE(dup3(ends[0], END_FD, O_CLOEXEC) == END_FD);
    close(ends[0]);
    close(ends[1]);
}

void begun(size_t n)
{
    char byte;
    while (n > 0) {
        ssize_t got = read(END_FD, &byte, 1);
        REQUIRE(got == 1 || errno == EINTR);
        n -= got == 1;
    }
}

size_t descriptors_open(void)
{
    DIR *directory = opendir("/proc/self/fd");
    REQUIRE(directory != NULL);
    size_t count = 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

void no_children(void)
{
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}
