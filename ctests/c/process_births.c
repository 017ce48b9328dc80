/* Process pools: where workers come from, and what if they do not. */
#include "processes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Answers with what the first bytes of the call ask for. */
static weft_status facts(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)arg;
    char text[4096] = "";
    struct rlimit limit;
    sigset_t blocked;
    struct sigaction action;
    switch (len > 0 ? *(const char *)data : 0) {
    case 'd':
        REQUIRE(getcwd(text, sizeof text) != NULL);
        break;
    case 'v': {
        const char *value = getenv("WEFT_TEST_VALUE");
        strcpy(text, value ? value : "none");
        break;
    }
    case 'n':
        errno = 0;
        text[0] = (char)('0' + getpriority(PRIO_PROCESS, 0) - (int)((const char *)data)[1]);
        break;
    case 'l':
        REQUIRE(getrlimit(RLIMIT_MSGQUEUE, &limit) == 0);
        strcpy(text, limit.rlim_cur == 4096 && limit.rlim_max == 8192 ? "limited" : "not");
        break;
    case 't': {
        FILE *file = fopen("/proc/self/cmdline", "r");
        REQUIRE(file != NULL && fgets(text, sizeof text, file) != NULL);
        fclose(file);
        break;
    }
    case 's':
        REQUIRE(sigprocmask(SIG_BLOCK, NULL, &blocked) == 0 && sigaction(SIGUSR1, NULL, &action) == 0);
        strcpy(text, sigisemptyset(&blocked) && action.sa_handler == SIG_DFL ? "clean" : "not");
        break;
    }
    return weft_bytes_new(text, strlen(text), reply);
}

CHILD_WITHOUT_LEAK_CHECK(tells_facts)
{
    alarm(0);
    CHECK_STATUS(weft_serve(-1, facts, NULL), WEFT_OK);
}

static void tells(weft_process_pool *pool, const char *what, const char *text)
{
    answers(call(pool, what, strlen(what)), text, strlen(text));
}

TEST(a_program_gets_what_it_is_to_have)
{
    const char *env[] = {"WEFT_TEST_VALUE=given", "PATH=/usr/bin:/bin", NULL};
    weft_process_limit limits[] = {{.resource = RLIMIT_MSGQUEUE, .soft = 4096, .hard = 8192}};
    weft_process_pool_options options = pool_options_of("tells_facts", 1);
    options.env = env;
    options.directory = "/";
    options.title = "a title of its own";
    options.nice = 3;
    options.limits = limits;
    options.limits_len = 1;
    struct rlimit core;
    REQUIRE(getrlimit(RLIMIT_MSGQUEUE, &core) == 0);
    signal(SIGUSR1, SIG_IGN);
    weft_process_pool *pool = pool_with(&options);
    char nice[3] = {'n', (char)getpriority(PRIO_PROCESS, 0), 0};
    tells(pool, "d", "/");
    tells(pool, "v", "given");
    if (core.rlim_max == RLIM_INFINITY || core.rlim_max >= 8192)
        tells(pool, "l", "limited");
    answers(call(pool, nice, 2), "3", 1);
    if (!under_valgrind())
        tells(pool, "t", "a title of its own");
    tells(pool, "s", "clean");
    signal(SIGUSR1, SIG_DFL);
    pool_end(pool);

    REQUIRE(setenv("WEFT_TEST_VALUE", "inherited", 1) == 0);
    options = pool_options_of("tells_facts", 1);
    pool = pool_with(&options);
    REQUIRE(unsetenv("WEFT_TEST_VALUE") == 0);
    tells(pool, "v", "inherited");
    pool_end(pool);
}

TEST(a_program_that_does_not_exist_is_told)
{
    const char *argv[] = {"/there/is/no/such/program", NULL};
    weft_process_pool_options options = pool_options(2);
    options.argv = argv;
    weft_process_pool *pool = pool_with(&options);
    weft_future *none = NULL;
    /* Calls that are made before it is known fail as well as those after that. */
    for (int i = 0; i < 3; i++) {
        weft_status status = weft_process_pool_call(pool, "e", 1, NULL, &none);
        if (status == WEFT_OK)
            fails(none, WEFT_DIED, "cannot start /there/is/no/such/program: No such file");
        else
            CHECK_STATUS(status, WEFT_DIED);
        CHECK_HAS(weft_error_message(), "cannot start /there/is/no/such/program: No such file");
    }
    CHECK_INT(pool_stats(pool).born, 0);
    pool_end(pool);
}

static weft_process_pool_options shell(const char *script)
{
    static const char *argv[] = {"sh", "-c", NULL, NULL};
    argv[2] = script;
    weft_process_pool_options options = pool_options(1);
    options.argv = argv;
    return options;
}

TEST(a_program_that_never_serves_is_given_up)
{
    weft_process_pool_options options = shell("exit 7");
    options.restart_limit = 3;
    weft_process_pool *pool = pool_with(&options);
    weft_future *future = NULL;
    for (int i = 0; i < 2; i++) {
        weft_status status = weft_process_pool_call(pool, "e", 1, NULL, &future);
        if (status == WEFT_OK)
            fails(future, WEFT_DIED, "exited with status 7");
        else
            CHECK_STATUS(status, WEFT_DIED);
    }
    weft_process_pool_stats stats = pool_stats(pool);
    CHECK(stats.born == 4 && stats.deaths == 4);
    /* Another chance. */
    OK(weft_process_pool_resize(pool, 1));
    POOL_UNTIL(pool, stats, stats.born == 8);
    pool_end(pool);
    no_children();
}

TEST(a_program_that_takes_too_long_to_serve_is_killed)
{
    weft_process_pool_options options = shell("exec sleep 1000");
    options.restart_limit = 0;
    options.start_timeout_ns = 10000000;
    weft_process_pool *pool = pool_with(&options);
    weft_future *future = NULL;
    weft_status status = weft_process_pool_call(pool, "e", 1, NULL, &future);
    if (status == WEFT_OK)
        fails(future, WEFT_DIED, "did not begin to serve in time");
    else
        CHECK_STATUS(status, WEFT_DIED);
    pool_end(pool);
    no_children();
}

/* ---- workers that the host forks */

static int32_t fork_worker(int32_t fd, void *arg)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    alarm(0);
    if (weft_after_fork() != WEFT_OK)
        _exit(9);
    _exit(weft_serve(fd, pool_handler, arg) == WEFT_OK ? 0 : 8);
}

static weft_process_pool *forking(uint32_t workers, int32_t anywhere)
{
    weft_process_pool_options options = pool_options(workers);
    options.argv = NULL;
    options.fork_fn = fork_worker;
    options.fork_anywhere = anywhere;
    return pool_with(&options);
}

static void tend(void *pool)
{
    weft_status status;
    while ((status = weft_process_pool_tend(pool, WEFT_FOREVER)) == WEFT_OK)
        ;
    CHECK_STATUS(status, WEFT_CLOSED);
}

TEST(a_host_forks_its_workers)
{
    if (under_thread_sanitizer())
        return; /* It knows no threads in children of programs with threads, and the log of a worker is one. */
    weft_process_pool *pool = forking(2, WEFT_OFF);
    struct thread thread;
    CHECK_STATUS(weft_process_pool_tend(NULL, 0), WEFT_INVALID);
    thread_start(&thread, tend, pool);
    for (int i = 0; i < 20; i++)
        answers(call(pool, "ehello", 6), "ehello", 6);
    fails(ask(pool, KILLED), WEFT_DIED, "signal 9");
    fails(ask(pool, EXITS), WEFT_DIED, "status 3");
    answers(call(pool, "eagain", 6), "eagain", 6);
    pool_end(pool);
    thread_join(&thread);
    no_children();
}

TEST(a_pool_that_nobody_tends_ends)
{
    weft_process_pool *pool = forking(2, WEFT_OFF);
    weft_future *future = call(pool, "ehello", 6);
    CHECK_STATUS(weft_process_pool_drain(pool, 1000000), WEFT_TIMEOUT);
    fails(future, WEFT_SHUTDOWN, "ended");
    CHECK_STATUS(weft_process_pool_tend(pool, WEFT_FOREVER), WEFT_CLOSED);
    pool_end(pool);
    pool = forking(1, WEFT_OFF);
    weft_process_pool_release(pool);
}

TEST(workers_are_forked_anywhere)
{
    if (under_thread_sanitizer())
        return; /* As above. */
    weft_process_pool *pool = forking(2, WEFT_ON);
    for (int i = 0; i < 20; i++)
        answers(call(pool, "ehello", 6), "ehello", 6);
    fails(ask(pool, KILLED), WEFT_DIED, "signal 9");
    answers(call(pool, "eagain", 6), "eagain", 6);
    pool_end(pool);
    no_children();
}

/* The parent of forked workers is killed: none of them keeps another one, or itself, from seeing that. */
CHILD_WITHOUT_LEAK_CHECK(forks_workers_and_dies)
{
    weft_process_pool *pool = forking(3, WEFT_ON);
    POOL_UNTIL(pool, stats, stats.ready == 3);
    kill(getpid(), SIGKILL);
}

TEST(forked_workers_end_with_their_parent)
{
    if (under_thread_sanitizer())
        return; /* As above. */
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    pid_t pid = child_start("forks_workers_and_dies", -1);
    int status = child_end(pid);
    close(ends[1]);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    /* The workers have the other end as long as they live. */
    char byte;
    CHECK(read(ends[0], &byte, 1) == 0);
    close(ends[0]);
}

/* What the library logs in a worker comes to the log here. */
static weft_status loses_a_mutex(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)data, (void)len, (void)reply, (void)arg;
    weft_cancel_token *token = NULL;
    OK(weft_cancel_token_new(NULL, &token));
    weft_link_options options;
    weft_link *link = NULL;
    int32_t fd = -1;
    struct rlimit none = {0, 0};
    OK(weft_link_options_init(&options, sizeof options));
    /* No memory file of any size: links fall back on their sockets, and say so. */
    signal(SIGXFSZ, SIG_IGN);
    REQUIRE(setrlimit(RLIMIT_FSIZE, &none) == 0);
    OK(weft_link_pair(&options, &link, &fd));
    close(fd);
    weft_link_release(link);
    weft_cancel_token_release(token);
    return WEFT_OK;
}

CHILD_WITHOUT_LEAK_CHECK(logs)
{
    alarm(0);
    CHECK_STATUS(weft_serve(-1, loses_a_mutex, NULL), WEFT_OK);
}

TEST(a_workers_log_comes_to_the_pools)
{
    OK(weft_log_set(NULL, NULL, WEFT_LOG_WARN));
    weft_process_pool_options options = pool_options_of("logs", 1);
    weft_process_pool *pool = pool_with(&options);
    answers(ask(pool, 'x'), NULL, 0);
    pool_end(pool);
    weft_log_record record = {.size = sizeof record};
    OK(weft_log_next(&record, WEFT_FOREVER));
    CHECK_INT(record.level, WEFT_LOG_WARN);
    CHECK_HAS(record.message, "pid ");
    CHECK_HAS(record.message, ": a link goes through its socket alone");
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
}

static int32_t refuse_to_fork(int32_t fd, void *arg)
{
    (void)fd;
    atomic_fetch_add((atomic_int *)arg, 1);
    weft_error_set(WEFT_OS, "no processes today");
    return -1;
}

TEST(a_fork_that_fails_is_told)
{
    atomic_int asked = 0;
    weft_process_pool_options options = pool_options(1);
    options.argv = NULL;
    options.fork_fn = refuse_to_fork;
    options.fork_arg = &asked;
    options.fork_anywhere = WEFT_ON;
    options.restart_limit = 2;
    weft_process_pool *pool = pool_with(&options);
    weft_future *future = NULL;
    weft_status status = weft_process_pool_call(pool, "e", 1, NULL, &future);
    if (status == WEFT_OK)
        fails(future, WEFT_DIED, "no processes today");
    else
        CHECK_STATUS(status, WEFT_DIED);
    CHECK_INT(asked, 3);
    pool_end(pool);
}

/* The number of a process that is not the function's own child. */
static int32_t tell_a_stranger(int32_t fd, void *arg)
{
    (void)fd;
    return *(pid_t *)arg;
}

TEST(a_stranger_is_left_alone)
{
    int ends[2];
    pid_t stranger = -1;
    REQUIRE(pipe(ends) == 0);
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        /* Its child is nobody's here. It has the end of the pipe for as long as it lives. */
        stranger = fork();
        if (stranger == 0) {
            stranger = getpid();
            REQUIRE(write(ends[1], &stranger, sizeof stranger) == sizeof stranger);
            alarm(300);
            for (;;)
                pause();
        }
        _exit(stranger > 0 ? 0 : 1);
    }
    REQUIRE(waitpid(pid, NULL, 0) == pid);
    REQUIRE(read(ends[0], &stranger, sizeof stranger) == sizeof stranger);
    close(ends[1]);
    weft_process_pool_options options = pool_options(1);
    options.argv = NULL;
    options.fork_fn = tell_a_stranger;
    options.fork_arg = &stranger;
    options.fork_anywhere = WEFT_ON;
    options.restart_limit = 1;
    weft_process_pool *pool = pool_with(&options);
    weft_future *future = NULL;
    weft_status status = weft_process_pool_call(pool, "e", 1, NULL, &future);
    if (status == WEFT_OK)
        fails(future, WEFT_DIED, "is no child");
    else
        CHECK_STATUS(status, WEFT_DIED);
    pool_end(pool);
    /* A zombie is there as well: who has closed the pipe has ended. */
    char byte;
    REQUIRE(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    CHECK(read(ends[0], &byte, 1) == -1 && errno == EAGAIN);
    kill(stranger, SIGKILL);
    REQUIRE(fcntl(ends[0], F_SETFL, 0) == 0);
    CHECK(read(ends[0], &byte, 1) == 0);
    close(ends[0]);
}

/* A program that reaps all children takes away how they ended, and nothing else. */
static void reap_all(void *arg)
{
    atomic_bool *stop = arg;
    while (!*stop) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        usleep(100);
    }
}

TEST(somebody_else_reaps)
{
    atomic_bool stop = false;
    struct thread thread;
    thread_start(&thread, reap_all, &stop);
    weft_process_pool *pool = pool_new(1);
    for (int i = 0; i < 10; i++) {
        fails(ask(pool, KILLED), WEFT_DIED, "process");
        answers(call(pool, "ehello", 6), "ehello", 6);
    }
    pool_end(pool);
    stop = true;
    thread_join(&thread);
    no_children();
}
