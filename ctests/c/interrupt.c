/* weft_thread_interruptible: whether a signal handler ends the thread's wait.
 *
 * A signal that arrives just before the wait begins is lost to it, so the tests use a timer that signals the waiting thread
 * again and again; how often does not matter. The handlers are installed without SA_RESTART.
 */
#include "support.h"

#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static sem_t handled;

static void on_signal(int signal)
{
    (void)signal;
    sem_post(&handled);
}

/* Signals the calling thread every millisecond until it is stopped. */
static timer_t signals_start(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct sigevent event;
    struct itimerspec every = {{0, 1000000}, {0, 1000000}};
    timer_t timer;
    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGUSR1;
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    REQUIRE(sem_init(&handled, 0, 0) == 0);
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    REQUIRE(timer_settime(timer, 0, &every, NULL) == 0);
    return timer;
}

TEST(the_setting_is_returned)
{
    CHECK_INT(weft_thread_interruptible(0), 0);
    CHECK_INT(weft_thread_interruptible(1), 0);
    CHECK_INT(weft_thread_interruptible(7), 1);
    CHECK_INT(weft_thread_interruptible(-1), 1);
    CHECK_INT(weft_thread_interruptible(0), 1);
    CHECK_INT(weft_thread_interruptible(0), 0);
}

static void not_interruptible_here(void *arg)
{
    (void)arg;
    CHECK_INT(weft_thread_interruptible(0), 0);
}

TEST(the_setting_belongs_to_the_thread)
{
    struct thread thread;
    CHECK_INT(weft_thread_interruptible(1), 0);
    thread_start(&thread, not_interruptible_here, NULL);
    thread_join(&thread);
    CHECK_INT(weft_thread_interruptible(0), 1);
}

TEST(a_signal_ends_an_interruptible_wait)
{
    weft_promise *promise = NULL;
    weft_future *future = NULL;
    weft_channel *channel = channel_new(8, 0);
    uint64_t element = 7;
    OK(weft_promise_new(&promise, &future));
    weft_thread_interruptible(1);
    timer_t timer = signals_start();
    CHECK_STATUS(weft_future_wait(future, WEFT_FOREVER), WEFT_INTERRUPTED);
    CHECK_STATUS(weft_channel_recv(channel, &element, WEFT_FOREVER), WEFT_INTERRUPTED);
    CHECK_INT(element, 7);
    CHECK_STATUS(weft_channel_send(channel, &element, WEFT_FOREVER), WEFT_INTERRUPTED);
    timer_delete(timer);
    weft_thread_interruptible(0);

    /* What was interrupted left nothing behind: nobody waits in the channel any more. */
    CHECK_STATUS(weft_channel_send(channel, &element, 0), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_channel_recv(channel, &element, 0), WEFT_WOULD_BLOCK);
    CHECK_INT(weft_channel_len(channel), 0);
    weft_promise_release(promise);
    weft_future_release(future);
    weft_channel_release(channel);
}

struct settler {
    weft_promise *promise;
    int signals;
};

static void settle_after_signals(void *arg)
{
    struct settler *settler = arg;
    for (int i = 0; i < settler->signals; i++)
        while (sem_wait(&handled) != 0)
            continue;
    OK(weft_promise_resolve(settler->promise, NULL, NULL, NULL));
}

TEST(signals_do_not_end_other_waits)
{
    /* ThreadSanitizer holds handlers back until the thread calls something that it intercepts, which a waiting one does not. */
    struct settler settler = {NULL, under_thread_sanitizer() ? 0 : 20};
    weft_future *future = NULL;
    struct thread thread;
    OK(weft_promise_new(&settler.promise, &future));
    weft_thread_interruptible(0);
    timer_t timer = signals_start();
    thread_start(&thread, settle_after_signals, &settler);
    CHECK_STATUS(weft_future_wait(future, WEFT_FOREVER), WEFT_OK);
    timer_delete(timer);
    thread_join(&thread);
    weft_promise_release(settler.promise);
    weft_future_release(future);
}

/* ---- what must finish is not interrupted, whatever the thread asked for */

static void outlast_signals(weft_worker *worker, void *arg)
{
    (void)worker;
    for (int i = 0; i < *(int *)arg; i++)
        while (sem_wait(&handled) != 0)
            continue;
}

static weft_status outlast_in_loop(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    (void)end;
    if (begin == 0)
        outlast_signals(worker, arg);
    return WEFT_OK;
}

TEST(run_and_loops_are_not_interrupted)
{
    int signals = under_thread_sanitizer() ? 0 : 20;
    weft_runtime *runtime = runtime_new(2);
    weft_thread_interruptible(1);
    timer_t timer = signals_start();
    OK(weft_run(runtime, outlast_signals, &signals));
    OK(weft_for(runtime, 0, 100, outlast_in_loop, &signals, NULL, NULL));
    timer_delete(timer);
    CHECK_INT(weft_thread_interruptible(0), 1);
    runtime_end(runtime);
}

/* A timeout is counted from the call: signals neither lengthen it for ever nor cut it short. */
TEST(signals_do_not_change_a_timeout)
{
    weft_promise *promise = NULL;
    weft_future *future = NULL;
    OK(weft_promise_new(&promise, &future));
    timer_t timer = signals_start();
    int64_t deadline = weft_deadline(30000000);
    CHECK_STATUS(weft_future_wait(future, 30000000), WEFT_TIMEOUT);
    CHECK(weft_now() >= deadline);
    timer_delete(timer);
    weft_promise_release(promise);
    weft_future_release(future);
}

/* ---- weft_thread_interrupt */

struct waiting {
    weft_thread *self;
    weft_channel *channel;
    gate begins;
    weft_status first, second;
};

static void wait_twice(void *arg)
{
    struct waiting *waiting = arg;
    uint64_t element = 7;
    waiting->self = weft_thread_self();
    gate_open(&waiting->begins);
    waiting->first = weft_channel_recv(waiting->channel, &element, WEFT_FOREVER);
    waiting->second = weft_channel_recv(waiting->channel, &element, WEFT_FOREVER);
}

TEST(an_interrupt_ends_the_current_or_next_wait_once)
{
    struct waiting waiting = {.begins = GATE_INIT, .channel = channel_new(8, 1)};
    struct thread thread;
    uint64_t element = 1;
    thread_start(&thread, wait_twice, &waiting);
    gate_wait(&waiting.begins);
    OK(weft_thread_interrupt(waiting.self));
    OK(weft_channel_send(waiting.channel, &element, WEFT_FOREVER));
    thread_join(&thread);
    /* Interrupted once; the element came to the other wait, or to both when the interrupt came last. */
    CHECK((waiting.first == WEFT_INTERRUPTED && waiting.second == WEFT_OK) ||
          (waiting.first == WEFT_OK && waiting.second == WEFT_INTERRUPTED));
    OK(weft_thread_interrupt(waiting.self));
    weft_thread_release(waiting.self);
    weft_channel_release(waiting.channel);
}

TEST(an_interrupt_waits_for_a_wait)
{
    weft_thread *self = weft_thread_self();
    weft_channel *channel = channel_new(8, 1);
    uint64_t element = 7;
    OK(weft_thread_interrupt(self));
    OK(weft_thread_interrupt(self));
    OK(weft_channel_send(channel, &element, WEFT_FOREVER));
    OK(weft_channel_recv(channel, &element, WEFT_FOREVER));
    CHECK_STATUS(weft_channel_recv(channel, &element, 0), WEFT_WOULD_BLOCK);
    CHECK_STATUS(weft_channel_recv(channel, &element, WEFT_FOREVER), WEFT_INTERRUPTED);
    CHECK_STATUS(weft_channel_recv(channel, &element, 1), WEFT_TIMEOUT);
    weft_thread_release(self);
    weft_channel_release(channel);
}

static void interrupt_self_then_block(weft_worker *worker, void *arg)
{
    weft_thread *self = weft_thread_self();
    uint64_t element;
    (void)worker;
    OK(weft_thread_interrupt(self));
    CHECK_STATUS(weft_channel_recv(arg, &element, WEFT_FOREVER), WEFT_INTERRUPTED);
    weft_thread_release(self);
}

TEST(a_task_is_interrupted_on_its_thread)
{
    weft_runtime *runtime = runtime_new(1);
    weft_channel *channel = channel_new(8, 1);
    OK(weft_run(runtime, interrupt_self_then_block, channel));
    weft_channel_release(channel);
    runtime_end(runtime);
}
