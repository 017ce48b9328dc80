/* Kinds of contexts that a program registers (here: a device with a queue of bounded length, and a thread), those that are not there,
 * and what is particular to TASK and ISOLATED.
 */
#include "contexts.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- a device: a queue of QUEUE jobs, and a thread that works them off: what it gets, doubled */

enum { QUEUE = 4 };

struct device {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    weft_context_job *queue[QUEUE], *current;
    size_t queued;
    bool closing, held, missing, killed;
    struct thread thread;
    int destroyed, stops, kills;
};

static weft_context_job *device_next(struct device *device)
{
    weft_context_job *job = NULL;
    pthread_mutex_lock(&device->mutex);
    while ((device->queued == 0 || device->held) && !device->closing)
        pthread_cond_wait(&device->changed, &device->mutex);
    if (device->queued > 0 && !device->held) {
        job = device->queue[0];
        memmove(device->queue, device->queue + 1, --device->queued * sizeof *device->queue);
    }
    pthread_mutex_unlock(&device->mutex);
    return job;
}

static void device_work(void *arg)
{
    struct device *device = arg;
    for (weft_context_job *job; (job = device_next(device)) != NULL;) {
        size_t len = 0;
        const unsigned char *data = weft_context_job_data(job, &len);
        if (weft_context_job_cancelled(job)) {
            OK(weft_context_job_finish(job, WEFT_CANCELLED, NULL, NULL));
        } else if (len > 0 && data[0] == 'f') {
            OK(weft_context_job_finish(job, 77, "the device is on fire", NULL));
        } else if (len > 0 && data[0] == 'd') {
            /* Forgotten. */
        } else if (len > 0 && data[0] == 'r') {
            OK(weft_context_job_run(job));
            CHECK_STATUS(weft_context_job_run(job), WEFT_BUSY);
        } else {
            weft_bytes *reply = NULL;
            unsigned char *twice = malloc(len + 1);
            REQUIRE(twice != NULL);
            for (size_t i = 0; i < len; i++)
                twice[i] = (unsigned char)(data[i] * 2);
            OK(weft_bytes_new(twice, len, &reply));
            free(twice);
            OK(weft_context_job_finish(job, WEFT_OK, NULL, reply));
            CHECK_STATUS(weft_context_job_finish(job, WEFT_OK, NULL, reply), WEFT_BUSY);
            weft_bytes_release(reply);
        }
        weft_context_job_release(job);
    }
}

static weft_status device_submit(void *arg, weft_context_job *job)
{
    struct device *device = arg;
    weft_status status = WEFT_OK;
    pthread_mutex_lock(&device->mutex);
    if (device->queued == QUEUE)
        status = weft_error_set(WEFT_WOULD_BLOCK, "the device's queue is full");
    else
        device->queue[device->queued++] = job;
    pthread_cond_broadcast(&device->changed);
    pthread_mutex_unlock(&device->mutex);
    return status;
}

/* Takes a job out of the queue. What is worked on cannot be stopped. */
static weft_status device_stop(void *arg, weft_context_job *job, int32_t kill)
{
    struct device *device = arg;
    weft_status status = WEFT_UNSUPPORTED;
    (void)job;
    pthread_mutex_lock(&device->mutex);
    device->stops += kill == 0;
    device->kills += kill != 0;
    weft_context_job *ended[QUEUE];
    size_t n = 0;
    if (kill) {
        n = device->queued;
        memcpy(ended, device->queue, n * sizeof *ended);
        device->queued = 0;
        status = n > 0 ? WEFT_OK : status;
    }
    pthread_mutex_unlock(&device->mutex);
    for (size_t i = 0; i < n; i++) {
        OK(weft_context_job_finish(ended[i], WEFT_CANCELLED, "thrown out of the queue", NULL));
        weft_context_job_release(ended[i]);
    }
    return status;
}

static weft_status device_probe(void *arg)
{
    return ((struct device *)arg)->missing ? weft_error_set(WEFT_NOT_FOUND, "no such device") : WEFT_OK;
}

static void device_destroy(void *arg)
{
    ((struct device *)arg)->destroyed++;
}

static int32_t device_start(struct device *device, const char *name)
{
    weft_context_vtable vtable;
    int32_t kind = -1, found = -1;
    memset(device, 0, sizeof *device);
    pthread_mutex_init(&device->mutex, NULL);
    pthread_cond_init(&device->changed, NULL);
    OK(weft_context_vtable_init(&vtable, sizeof vtable));
    vtable.arg = device;
    vtable.submit = device_submit;
    vtable.stop = device_stop;
    vtable.probe = device_probe;
    vtable.destroy = device_destroy;
    OK(weft_context_kind_register(name, &vtable, &kind));
    CHECK(kind >= WEFT_CONTEXT_REGISTERED);
    CHECK_STATUS(weft_context_kind_register(name, &vtable, &found), WEFT_BUSY);
    OK(weft_context_kind_find(name, &found));
    CHECK_INT(found, kind);
    thread_start(&device->thread, device_work, device);
    return kind;
}

static void device_hold(struct device *device, bool held)
{
    pthread_mutex_lock(&device->mutex);
    device->held = held;
    pthread_cond_broadcast(&device->changed);
    pthread_mutex_unlock(&device->mutex);
}

static void device_end(struct device *device, int32_t kind)
{
    OK(weft_context_kind_unregister(kind));
    CHECK_INVALID(weft_context_kind_unregister(kind), "kind");
    pthread_mutex_lock(&device->mutex);
    device->closing = true;
    pthread_cond_broadcast(&device->changed);
    pthread_mutex_unlock(&device->mutex);
    thread_join(&device->thread);
    CHECK_INT(device->destroyed, 1);
    pthread_mutex_destroy(&device->mutex);
    pthread_cond_destroy(&device->changed);
}

static void execute_on_device(weft_context *context, const char *text)
{
    OK(weft_context_execute(context, NULL, NULL, NULL, NULL, text, strlen(text)));
}

TEST(a_device_is_a_kind_of_context)
{
    struct device device;
    int32_t kind = device_start(&device, "device");
    weft_context *context = NULL;
    OK(weft_context_new(NULL, kind, NULL, &context));
    CHECK_INT(weft_context_kind(context), kind);
    execute_on_device(context, "\1\2\3");
    check_reply(context, "\2\4\6");
    CHECK_STATUS(weft_context_execute(context, NULL, NULL, NULL, NULL, NULL, 0), WEFT_BUSY);
    weft_context_release(context);

    OK(weft_context_new(NULL, kind, NULL, &context));
    execute_on_device(context, "fire");
    CHECK_REFUSED(weft_context_wait(context, WEFT_FOREVER, NULL), 77, "on fire");
    CHECK_HAS(weft_error_origin(weft_context_error(context)), "device");
    weft_context_release(context);

    OK(weft_context_new(NULL, kind, NULL, &context));
    execute_on_device(context, "dropped");
    CHECK_STATUS(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_BROKEN);
    weft_context_release(context);

    /* Its thread runs a function of the program's; without one there is nothing to be run. */
    OK(weft_context_new(NULL, kind, NULL, &context));
    execute_text(context, echo, "run there");
    check_reply(context, "run there");
    weft_context_release(context);
    OK(weft_context_new(NULL, kind, NULL, &context));
    execute_on_device(context, "run there");
    CHECK_STATUS(weft_context_wait(context, WEFT_FOREVER, NULL), WEFT_BROKEN);
    weft_context_release(context);
    device_end(&device, kind);
}

TEST(a_device_refuses_what_it_has_no_room_for)
{
    struct device device;
    int32_t kind = device_start(&device, "full device");
    weft_context *contexts[QUEUE + 1];
    device_hold(&device, true);
    for (int i = 0; i <= QUEUE; i++) {
        OK(weft_context_new(NULL, kind, NULL, &contexts[i]));
        if (i < QUEUE)
            execute_on_device(contexts[i], "\1");
    }
    CHECK_REFUSED(weft_context_execute(contexts[QUEUE], NULL, NULL, NULL, NULL, "\1", 1), WEFT_WOULD_BLOCK, "queue is full");
    CHECK(!weft_context_is_alive(contexts[QUEUE]));
    device_hold(&device, false);
    for (int i = 0; i < QUEUE; i++)
        check_reply(contexts[i], "\2");
    execute_on_device(contexts[QUEUE], "\1");
    check_reply(contexts[QUEUE], "\2");
    for (int i = 0; i <= QUEUE; i++)
        weft_context_release(contexts[i]);
    device_end(&device, kind);
}

TEST(a_device_is_asked_to_stop_and_then_made_to)
{
    struct device device;
    int32_t kind = device_start(&device, "slow device");
    weft_context *context = NULL;
    device_hold(&device, true);
    OK(weft_context_new(NULL, kind, NULL, &context));
    execute_on_device(context, "\1");
    OK(weft_context_terminate(context, 0));
    CHECK_REFUSED(weft_context_wait(context, 0, NULL), WEFT_CANCELLED, "thrown out");
    CHECK(device.stops == 1 && device.kills == 1);
    weft_context_release(context);
    /* One that heeds the request. */
    OK(weft_context_new(NULL, kind, NULL, &context));
    execute_on_device(context, "\1");
    CHECK_STATUS(weft_context_wait(context, 0, NULL), WEFT_WOULD_BLOCK);
    struct thread thread;
    thread_start(&thread, (void (*)(void *))weft_context_release, weft_context_retain(context));
    thread_join(&thread);
    device_hold(&device, false);
    OK(weft_context_terminate(context, WEFT_FOREVER));
    weft_status status = weft_context_wait(context, 0, NULL);
    CHECK(status == WEFT_OK || status == WEFT_CANCELLED);
    weft_context_release(context);
    device_end(&device, kind);
}

/* A kind goes with its last context. */
TEST(a_kind_that_was_taken_back_stays_for_its_contexts)
{
    struct device device;
    int32_t kind = device_start(&device, "brief device"), found = -1;
    weft_context *context = NULL, *late = SENTINEL;
    OK(weft_context_new(NULL, kind, NULL, &context));
    OK(weft_context_kind_unregister(kind));
    CHECK_INT(device.destroyed, 0);
    CHECK_INVALID(weft_context_new(NULL, kind, NULL, &late), "kind");
    CHECK_STATUS(weft_context_kind_find("brief device", &found), WEFT_NOT_FOUND);
    CHECK(late == SENTINEL && found == -1);
    execute_on_device(context, "\1");
    check_reply(context, "\2");
    weft_context_release(context);
    pthread_mutex_lock(&device.mutex);
    device.closing = true;
    pthread_cond_broadcast(&device.changed);
    pthread_mutex_unlock(&device.mutex);
    thread_join(&device.thread);
    CHECK_INT(device.destroyed, 1);
}

static void use_in_the_child(void *arg)
{
    weft_context_job *job = arg;
    weft_context_vtable vtable;
    int32_t kind = 77;
    CHECK_REFUSED(weft_context_job_run(job), WEFT_FORKED, "fork");
    CHECK_REFUSED(weft_context_job_finish(job, WEFT_OK, NULL, NULL), WEFT_FORKED, "fork");
    CHECK_NULL(weft_context_job_data(job, NULL), "fork");
    CHECK_NEUTRAL(weft_context_job_cancelled(job), false, "fork");
    CHECK_NULL(weft_context_job_retain(job), "fork");
    weft_context_job_release(job);
    OK(weft_context_vtable_init(&vtable, sizeof vtable));
    vtable.submit = device_submit;
    CHECK_REFUSED(weft_context_kind_register("child's", &vtable, &kind), WEFT_FORKED, "fork");
    CHECK_REFUSED(weft_context_kind_find("thread", &kind), WEFT_FORKED, "fork");
    CHECK_REFUSED(weft_context_kind_unregister(WEFT_CONTEXT_REGISTERED), WEFT_FORKED, "fork");
    /* The parent's kinds are not the child's. */
    OK(weft_after_fork());
    CHECK_STATUS(weft_context_kind_find("inherited device", &kind), WEFT_NOT_FOUND);
    CHECK_INT(kind, 77);
    OK(weft_context_kind_register("inherited device", &vtable, &kind));
}

CHILD_WITHOUT_LEAK_CHECK(inherits_a_job)
{
    struct device device;
    int32_t kind = device_start(&device, "inherited device");
    weft_context *context = NULL;
    device_hold(&device, true);
    OK(weft_context_new(NULL, kind, NULL, &context));
    execute_on_device(context, "\1");
    in_forked_child(use_in_the_child, device.queue[0]);
    device_hold(&device, false);
    check_reply(context, "\2");
    weft_context_release(context);
    device_end(&device, kind);
}

TEST(an_inherited_job_answers_forked) { child_succeeds("inherits_a_job"); }

/* ---- fallbacks */

static atomic_int warnings;

static void count_warnings(const weft_log_record *record, void *arg)
{
    if (strstr(record->message, arg) != NULL)
        atomic_fetch_add(&warnings, 1);
}

CHILD(has_no_device)
{
    struct device device;
    int32_t kind = device_start(&device, "rare device");
    weft_context_options options;
    weft_context *context = NULL, *exact = SENTINEL;
    OK(weft_log_set(count_warnings, "rare device", WEFT_LOG_WARN));
    device.missing = true;
    for (int i = 0; i < 3; i++) {
        OK(weft_context_new(NULL, kind, NULL, &context));
        CHECK_INT(weft_context_kind(context), WEFT_CONTEXT_THREAD);
        CHECK_INT(weft_context_kind_asked(context), kind);
        execute_text(context, echo, "on a thread");
        check_reply(context, "on a thread");
        weft_context_release(context);
    }
    OK(weft_context_options_init(&options, sizeof options));
    options.exact = WEFT_ON;
    CHECK_REFUSED(weft_context_new(NULL, kind, &options, &exact), WEFT_UNSUPPORTED, "no such device");
    CHECK(exact == SENTINEL);
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
    CHECK_INT(warnings, 1);
    device.missing = false;
    device_end(&device, kind);
}

TEST(a_kind_that_is_not_there_is_a_thread_and_said_once) { child_succeeds("has_no_device"); }

/* As an old kernel, or a sandbox: pidfd_open is no system call. */
static void take_pidfds_away(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

CHILD_WITHOUT_LEAK_CHECK(has_no_pidfds)
{
    weft_context_options options;
    weft_context *context = NULL, *exact = SENTINEL;
    take_pidfds_away();
    OK(weft_log_set(count_warnings, "fork", WEFT_LOG_WARN));
    for (int i = 0; i < 3; i++) {
        OK(weft_context_new(NULL, WEFT_CONTEXT_FORK, NULL, &context));
        CHECK_INT(weft_context_kind(context), WEFT_CONTEXT_THREAD);
        CHECK_INT(weft_context_kind_asked(context), WEFT_CONTEXT_FORK);
        execute_text(context, echo, "not forked");
        check_reply(context, "not forked");
        weft_context_release(context);
    }
    OK(weft_context_options_init(&options, sizeof options));
    options.exact = WEFT_ON;
    CHECK_REFUSED(weft_context_new(NULL, WEFT_CONTEXT_FORK, &options, &exact), WEFT_UNSUPPORTED, "fork");
    CHECK(exact == SENTINEL);
    OK(weft_log_set(NULL, NULL, WEFT_LOG_OFF));
    CHECK_INT(warnings, 1);
}

/* valgrind makes no filters. */
TEST(where_fork_is_not_there_it_is_a_thread)
{
    if (!under_valgrind())
        child_succeeds("has_no_pidfds");
}

TEST(kinds_have_names)
{
    static const char *const names[] = {"inline", "thread", "task", "fork", "isolated"};
    for (int i = 0; i < 5; i++) {
        int32_t kind = -1;
        OK(weft_context_kind_find(names[i], &kind));
        CHECK_INT(kind, context_kinds[i]);
    }
}

/* ---- TASK */

static weft_status execute_and_wait(weft_worker *worker, void *arg, void **result)
{
    weft_context *context = NULL;
    (void)worker, (void)arg, (void)result;
    OK(weft_context_new(NULL, WEFT_CONTEXT_TASK, NULL, &context));
    execute_text(context, echo, "in place");
    check_reply(context, "in place");
    weft_context_release(context);
    return WEFT_OK;
}

/* The only thread of a runtime waits for a context of its own. */
TEST(a_task_waits_for_a_task)
{
    weft_runtime *runtime = runtime_new_limited(1, 1);
    weft_future *future = NULL;
    OK(weft_async(runtime, execute_and_wait, NULL, NULL, &future));
    OK(weft_future_wait(future, WEFT_FOREVER));
    weft_future_release(future);
    runtime_end(runtime);
}

TEST(a_runtime_that_ends_drops_what_has_not_begun)
{
    weft_runtime *runtime = runtime_new(1);
    weft_context *first = NULL, *second = NULL, *third = NULL;
    gate began = GATE_INIT;
    OK(weft_context_new(runtime, WEFT_CONTEXT_TASK, NULL, &first));
    OK(weft_context_new(runtime, WEFT_CONTEXT_TASK, NULL, &second));
    OK(weft_context_new(runtime, WEFT_CONTEXT_TASK, NULL, &third));
    OK(weft_context_execute(first, wait_to_be_stopped, &began, NULL, NULL, NULL, 0));
    gate_wait(&began);
    OK(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DISCARD, WEFT_FOREVER));
    CHECK_STATUS(weft_context_wait(first, WEFT_FOREVER, NULL), WEFT_SHUTDOWN);
    CHECK_STATUS(weft_context_execute(second, echo, NULL, NULL, NULL, NULL, 0), WEFT_SHUTDOWN);
    CHECK_STATUS(weft_context_wait(second, 0, NULL), WEFT_INVALID);
    weft_runtime_release(runtime);
    CHECK_STATUS(weft_context_execute(third, echo, NULL, NULL, NULL, NULL, 0), WEFT_SHUTDOWN);
    weft_context_release(first);
    weft_context_release(second);
    weft_context_release(third);
}

/* What waits in a queue ends as soon as it is terminated. */
TEST(a_task_that_has_not_begun_is_terminated_at_once)
{
    weft_runtime *runtime = runtime_new_limited(1, 1);
    weft_context *first = NULL, *second = NULL;
    struct drops drops = {0};
    gate began = GATE_INIT;
    OK(weft_context_new(runtime, WEFT_CONTEXT_TASK, NULL, &first));
    OK(weft_context_new(runtime, WEFT_CONTEXT_TASK, NULL, &second));
    OK(weft_context_execute(first, wait_to_be_stopped, &began, NULL, NULL, NULL, 0));
    gate_wait(&began);
    OK(weft_context_execute(second, echo, NULL, drop_count, &drops, NULL, 0));
    OK(weft_context_terminate(second, 0));
    CHECK_REFUSED(weft_context_wait(second, 0, NULL), WEFT_CANCELLED, "terminated");
    CHECK_INT(drops.count, 1);
    OK(weft_context_terminate(first, WEFT_FOREVER));
    weft_context_release(first);
    weft_context_release(second);
    runtime_end(runtime);
}

/* ---- ISOLATED */

static void terminate_it(void *arg)
{
    OK(weft_context_terminate(arg, WEFT_FOREVER));
}

/* A terminate beside executes, at whatever moment: what was executed has an end, and what was refused was not called. */
TEST(a_terminate_beside_executes_of_an_isolated_context)
{
    for (int i = 0; i < (under_a_tool() ? 20 : 300); i++) {
        weft_context *context = context_new(WEFT_CONTEXT_ISOLATED, NULL);
        struct thread thread;
        weft_status status;
        execute_text(context, echo, "first");
        check_reply(context, "first");
        thread_start(&thread, terminate_it, context);
        while ((status = weft_context_execute(context, echo, NULL, NULL, NULL, "more", 4)) == WEFT_OK) {
            status = weft_context_wait(context, WEFT_FOREVER, NULL);
            CHECK(status == WEFT_OK || status == WEFT_CANCELLED);
        }
        CHECK_INT(status, WEFT_CLOSED);
        thread_join(&thread);
        weft_context_release(context);
    }
}

static _Thread_local uint64_t calls_here;

static weft_status count_calls(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    (void)data, (void)len;
    CHECK(arg == NULL);
    calls_here++;
    return weft_bytes_new(&calls_here, sizeof calls_here, reply);
}

/* The same thread each time, and another for each context. */
TEST(an_isolated_thread_stays)
{
    weft_context *contexts[2];
    for (int c = 0; c < 2; c++)
        contexts[c] = context_new(WEFT_CONTEXT_ISOLATED, "isolated");
    for (uint64_t i = 1; i <= 100; i++) {
        for (int c = 0; c < 2; c++)
            OK(weft_context_execute(contexts[c], count_calls, NULL, NULL, NULL, NULL, 0));
        for (int c = 0; c < 2; c++) {
            weft_bytes *reply = NULL;
            OK(weft_context_wait(contexts[c], WEFT_FOREVER, &reply));
            CHECK(memcmp(weft_bytes_data(reply), &i, sizeof i) == 0);
            weft_bytes_release(reply);
        }
    }
    CHECK_INT(calls_here, 0);
    for (int c = 0; c < 2; c++)
        weft_context_release(contexts[c]);
}

static weft_status give_the_same(const void *data, size_t len, weft_bytes **reply, void *arg)
{
    weft_bytes *bytes;
    (void)len, (void)arg;
    memcpy(&bytes, data, sizeof bytes);
    *reply = weft_bytes_retain(bytes);
    return WEFT_OK;
}

TEST(what_an_isolated_thread_gets_and_gives_are_copies)
{
    weft_context *context = context_new(WEFT_CONTEXT_ISOLATED, NULL);
    weft_bytes *bytes = NULL, *reply = NULL;
    char message[] = "before";
    CHECK_INVALID(weft_context_execute(context, echo, message, NULL, NULL, NULL, 0), "arg");
    execute_text(context, echo, message);
    memcpy(message, "after.", 6);
    check_reply(context, "before");
    OK(weft_bytes_new("shared", 6, &bytes));
    OK(weft_context_execute(context, give_the_same, NULL, NULL, NULL, &bytes, sizeof bytes));
    OK(weft_context_wait(context, WEFT_FOREVER, &reply));
    CHECK(weft_bytes_len(reply) == 6 && memcmp(weft_bytes_data(reply), "shared", 6) == 0);
    CHECK(weft_bytes_data(reply) != weft_bytes_data(bytes));
    weft_bytes_release(reply);
    weft_bytes_release(bytes);
    weft_context_release(context);
}
