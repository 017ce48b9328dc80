/* Native functions for the Ruby tests to run on workers: they succeed, fail, count, and wait until the test lets them
 * go on by writing to a pipe. And what the C compiler knows of the structs that Ruby describes by hand. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <weft/weft.h>

weft_status fixture_square(weft_worker *worker, void *arg, void **result);
weft_status fixture_fail(weft_worker *worker, void *arg, void **result);
weft_status fixture_status(weft_worker *worker, void *arg, void **result);
weft_status fixture_on_worker(weft_worker *worker, void *arg, void **result);
weft_status fixture_read(weft_worker *worker, void *arg, void **result);
weft_status fixture_recv_late(weft_channel *channel, void *elem, int64_t timeout_ns);
weft_status fixture_block(weft_worker *worker, void *arg, void **result);
weft_status fixture_cancelled(weft_worker *worker, void *arg, void **result);
weft_status fixture_repair(weft_worker *worker, void *arg, void **result);
weft_status fixture_lock_both(weft_worker *worker, void *arg, void **result);
void fixture_count(weft_worker *worker, void *arg);
void fixture_relieve(const weft_stall *stall, void *arg);
extern const size_t fixture_layout_runtime_options[];
extern const size_t fixture_layout_runtime_stats[];
extern const size_t fixture_layout_worker_stats[];
extern const size_t fixture_layout_spawn_options[];
extern const size_t fixture_layout_channel_options[];
extern const size_t fixture_layout_log_record[];
extern const size_t fixture_layout_breaker_options[];
extern const size_t fixture_layout_breaker_stats[];
extern const size_t fixture_layout_breaker_event[];
extern const size_t fixture_layout_permit[];
extern const size_t fixture_layout_process_limit[];
extern const size_t fixture_layout_process_pool_options[];
extern const size_t fixture_layout_process_call_options[];
extern const size_t fixture_layout_process_pool_stats[];

/* Squares the number at arg in place and gives arg back. */
weft_status fixture_square(weft_worker *worker, void *arg, void **result)
{
    int64_t *number = arg;
    (void)worker;
    *number *= *number;
    *result = number;
    return WEFT_OK;
}

weft_status fixture_fail(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    (void)arg;
    (void)result;
    return weft_error_set(WEFT_FAILED, "this function always fails");
}

/* Returns the status at arg. */
weft_status fixture_status(weft_worker *worker, void *arg, void **result)
{
    (void)worker;
    (void)result;
    return *(const int32_t *)arg;
}

/* Whether the worker handed in is the one that runs here: 1 or 0. */
weft_status fixture_on_worker(weft_worker *worker, void *arg, void **result)
{
    (void)arg;
    *result = (void *)(uintptr_t)(worker != NULL && weft_worker_current() == worker);
    return WEFT_OK;
}

/* Waits for a byte from the file descriptor at arg, adds it to the number behind it and gives it back. */
weft_status fixture_read(weft_worker *worker, void *arg, void **result)
{
    int64_t *memory = arg;
    unsigned char byte;
    ssize_t got;
    (void)worker;
    do {
        /* Ruby's pipes do not block. */
        struct pollfd pipe = {.fd = (int)memory[0], .events = POLLIN, .revents = 0};
        got = poll(&pipe, 1, -1) < 0 ? -1 : read((int)memory[0], &byte, 1);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    if (got != 1)
        return weft_error_set(WEFT_OS, "the pipe has no byte");
    memory[1] += byte;
    *result = (void *)(uintptr_t)byte;
    return WEFT_OK;
}

/* weft_channel_recv for a thread that gets its first signal before it waits. */
weft_status fixture_recv_late(weft_channel *channel, void *elem, int64_t timeout_ns)
{
    poll(NULL, 0, -1);
    return weft_channel_recv(channel, elem, timeout_ns);
}

/* Locks one mutex, tells so on one channel, waits for the same on the other, and locks the other mutex. */
weft_status fixture_lock_both(weft_worker *worker, void *arg, void **result)
{
    void **all = arg;
    uint64_t held = 0;
    (void)worker;
    (void)result;
    weft_status status = weft_mutex_lock(all[0], WEFT_FOREVER);
    if (status != WEFT_OK)
        return status;
    if ((status = weft_channel_send(all[2], &held, WEFT_FOREVER)) == WEFT_OK &&
        (status = weft_channel_recv(all[3], &held, WEFT_FOREVER)) == WEFT_OK &&
        (status = weft_mutex_lock(all[1], WEFT_FOREVER)) == WEFT_OK)
        weft_mutex_unlock(all[1]);
    weft_mutex_unlock(all[0]);
    return status;
}


/* Adds one to the number at arg, from any thread. */
void fixture_count(weft_worker *worker, void *arg)
{
    (void)worker;
    __atomic_fetch_add((int64_t *)arg, 1, __ATOMIC_RELAXED);
}

/* fixture_read, as a call that the library is told of. */
weft_status fixture_block(weft_worker *worker, void *arg, void **result)
{
    weft_blocking_begin(worker);
    weft_status status = fixture_read(worker, arg, result);
    weft_blocking_end(worker);
    return status;
}

/* Told of a stall: adds one to the second number at arg and lets a fixture_block go on, by the descriptor that is the first. */
void fixture_relieve(const weft_stall *stall, void *arg)
{
    int64_t *memory = arg;
    if (stall->queued > 0)
        __atomic_fetch_add(&memory[1], 1, __ATOMIC_RELAXED);
    while (write((int)memory[0], "\1", 1) < 0 && errno == EINTR)
        continue;
}

/* Whether the task has been asked to stop: 1 or 0. */
weft_status fixture_cancelled(weft_worker *worker, void *arg, void **result)
{
    (void)arg;
    *result = (void *)(uintptr_t)weft_cancelled(worker);
    return WEFT_OK;
}

static weft_status fail_at_first(weft_worker *worker, size_t begin, size_t end, void *arg)
{
    (void)worker;
    (void)begin;
    (void)end;
    return (*(int *)arg)++ == 0 ? weft_error_set(WEFT_FAILED, "on purpose") : WEFT_OK;
}

/* Runs a loop that fails and is repaired, which logs one warning. */
weft_status fixture_repair(weft_worker *worker, void *arg, void **result)
{
    int calls = 0;
    weft_loop_options options;
    weft_status status = weft_loop_options_init(&options, sizeof options);
    (void)arg;
    (void)result;
    options.on_failure = WEFT_ON_FAILURE_REDO;
    return status == WEFT_OK ? weft_for(weft_worker_runtime(worker), 0, 1, fail_at_first, &calls, &options, NULL) : status;
}

/* Where the compiler puts the members of the structs that the binding describes by hand: the whole size, then each
 * member's offset, in the order of the header. */
const size_t fixture_layout_runtime_options[] = {
    sizeof(weft_runtime_options), offsetof(weft_runtime_options, size), offsetof(weft_runtime_options, name),
    offsetof(weft_runtime_options, workers), offsetof(weft_runtime_options, max_threads),
    offsetof(weft_runtime_options, stack_size), offsetof(weft_runtime_options, keep_alive_ns),
    offsetof(weft_runtime_options, placement), offsetof(weft_runtime_options, topology),
    offsetof(weft_runtime_options, on_worker_start), offsetof(weft_runtime_options, on_worker_stop),
    offsetof(weft_runtime_options, hook_arg), offsetof(weft_runtime_options, kind),
    offsetof(weft_runtime_options, on_stall)
};
const size_t fixture_layout_runtime_stats[] = {
    sizeof(weft_runtime_stats), offsetof(weft_runtime_stats, size), offsetof(weft_runtime_stats, workers),
    offsetof(weft_runtime_stats, threads), offsetof(weft_runtime_stats, threads_peak),
    offsetof(weft_runtime_stats, active), offsetof(weft_runtime_stats, idle), offsetof(weft_runtime_stats, blocked),
    offsetof(weft_runtime_stats, spawned), offsetof(weft_runtime_stats, executed),
    offsetof(weft_runtime_stats, discarded), offsetof(weft_runtime_stats, panicked),
    offsetof(weft_runtime_stats, shared), offsetof(weft_runtime_stats, local_hits),
    offsetof(weft_runtime_stats, steals), offsetof(weft_runtime_stats, remote_steals),
    offsetof(weft_runtime_stats, failed_steals), offsetof(weft_runtime_stats, parks),
    offsetof(weft_runtime_stats, wakes), offsetof(weft_runtime_stats, blocks), offsetof(weft_runtime_stats, busy_ns),
    offsetof(weft_runtime_stats, idle_ns), offsetof(weft_runtime_stats, blocked_ns),
    offsetof(weft_runtime_stats, ceiling_hits), offsetof(weft_runtime_stats, spares_started),
    offsetof(weft_runtime_stats, spares_retired), offsetof(weft_runtime_stats, start_failures),
    offsetof(weft_runtime_stats, pin_failures), offsetof(weft_runtime_stats, stalls),
    offsetof(weft_runtime_stats, replaced), offsetof(weft_runtime_stats, queued), offsetof(weft_runtime_stats, lanes)
};
const size_t fixture_layout_lane_stats[] = {
    sizeof(weft_lane_stats), offsetof(weft_lane_stats, queued), offsetof(weft_lane_stats, peak),
    offsetof(weft_lane_stats, taken), offsetof(weft_lane_stats, waited_ns)
};
const size_t fixture_layout_worker_stats[] = {
    sizeof(weft_worker_stats), offsetof(weft_worker_stats, size), offsetof(weft_worker_stats, cpu),
    offsetof(weft_worker_stats, node), offsetof(weft_worker_stats, spawned), offsetof(weft_worker_stats, executed),
    offsetof(weft_worker_stats, discarded), offsetof(weft_worker_stats, panicked), offsetof(weft_worker_stats, shared),
    offsetof(weft_worker_stats, local_hits), offsetof(weft_worker_stats, steals),
    offsetof(weft_worker_stats, remote_steals), offsetof(weft_worker_stats, failed_steals),
    offsetof(weft_worker_stats, parks), offsetof(weft_worker_stats, wakes), offsetof(weft_worker_stats, blocks),
    offsetof(weft_worker_stats, busy_ns), offsetof(weft_worker_stats, idle_ns), offsetof(weft_worker_stats, blocked_ns)
};
const size_t fixture_layout_spawn_options[] = {
    sizeof(weft_spawn_options), offsetof(weft_spawn_options, size), offsetof(weft_spawn_options, name),
    offsetof(weft_spawn_options, arg_drop), offsetof(weft_spawn_options, result_drop),
    offsetof(weft_spawn_options, drop_ctx), offsetof(weft_spawn_options, priority), offsetof(weft_spawn_options, node),
    offsetof(weft_spawn_options, hints), offsetof(weft_spawn_options, cancel),
    offsetof(weft_spawn_options, after), offsetof(weft_spawn_options, after_len)
};
const size_t fixture_layout_channel_options[] = {
    sizeof(weft_channel_options), offsetof(weft_channel_options, size), offsetof(weft_channel_options, elem_size),
    offsetof(weft_channel_options, elem_align), offsetof(weft_channel_options, capacity),
    offsetof(weft_channel_options, single_producer), offsetof(weft_channel_options, single_consumer),
    offsetof(weft_channel_options, drop), offsetof(weft_channel_options, drop_ctx),
    offsetof(weft_channel_options, name)
};
const size_t fixture_layout_log_record[] = {
    sizeof(weft_log_record), offsetof(weft_log_record, size), offsetof(weft_log_record, level),
    offsetof(weft_log_record, worker), offsetof(weft_log_record, time_ns), offsetof(weft_log_record, runtime),
    offsetof(weft_log_record, task), offsetof(weft_log_record, message)
};
const size_t fixture_layout_breaker_options[] = {
    sizeof(weft_breaker_options), offsetof(weft_breaker_options, size), offsetof(weft_breaker_options, name),
    offsetof(weft_breaker_options, window), offsetof(weft_breaker_options, minimum_calls),
    offsetof(weft_breaker_options, window_ns), offsetof(weft_breaker_options, failure_rate),
    offsetof(weft_breaker_options, slow_ns), offsetof(weft_breaker_options, slow_rate),
    offsetof(weft_breaker_options, consecutive), offsetof(weft_breaker_options, probes),
    offsetof(weft_breaker_options, probes_to_close), offsetof(weft_breaker_options, abandoned),
    offsetof(weft_breaker_options, open_wait_ns), offsetof(weft_breaker_options, open_wait_max_ns),
    offsetof(weft_breaker_options, backoff), offsetof(weft_breaker_options, jitter),
    offsetof(weft_breaker_options, probe_wait_ns), offsetof(weft_breaker_options, outcome),
    offsetof(weft_breaker_options, outcome_arg)
};
const size_t fixture_layout_breaker_stats[] = {
    sizeof(weft_breaker_stats), offsetof(weft_breaker_stats, size), offsetof(weft_breaker_stats, state),
    offsetof(weft_breaker_stats, attempt), offsetof(weft_breaker_stats, generation), offsetof(weft_breaker_stats, ok),
    offsetof(weft_breaker_stats, failed), offsetof(weft_breaker_stats, ignored), offsetof(weft_breaker_stats, slow),
    offsetof(weft_breaker_stats, rejected), offsetof(weft_breaker_stats, late),
    offsetof(weft_breaker_stats, abandoned), offsetof(weft_breaker_stats, opened),
    offsetof(weft_breaker_stats, window_calls), offsetof(weft_breaker_stats, window_failed),
    offsetof(weft_breaker_stats, window_slow), offsetof(weft_breaker_stats, consecutive),
    offsetof(weft_breaker_stats, probes)
};
const size_t fixture_layout_breaker_event[] = {
    sizeof(weft_breaker_event), offsetof(weft_breaker_event, from), offsetof(weft_breaker_event, to),
    offsetof(weft_breaker_event, time_ns), offsetof(weft_breaker_event, generation)
};
const size_t fixture_layout_permit[] = {
    sizeof(weft_permit), offsetof(weft_permit, word)
};
const size_t fixture_layout_process_limit[] = {
    sizeof(weft_process_limit), offsetof(weft_process_limit, resource), offsetof(weft_process_limit, reserved),
    offsetof(weft_process_limit, soft), offsetof(weft_process_limit, hard)
};
const size_t fixture_layout_process_pool_options[] = {
    sizeof(weft_process_pool_options), offsetof(weft_process_pool_options, size),
    offsetof(weft_process_pool_options, name), offsetof(weft_process_pool_options, workers),
    offsetof(weft_process_pool_options, window), offsetof(weft_process_pool_options, argv),
    offsetof(weft_process_pool_options, env), offsetof(weft_process_pool_options, directory),
    offsetof(weft_process_pool_options, title), offsetof(weft_process_pool_options, nice),
    offsetof(weft_process_pool_options, fork_anywhere), offsetof(weft_process_pool_options, limits),
    offsetof(weft_process_pool_options, limits_len), offsetof(weft_process_pool_options, fork_fn),
    offsetof(weft_process_pool_options, fork_arg), offsetof(weft_process_pool_options, call_timeout_ns),
    offsetof(weft_process_pool_options, max_waiting), offsetof(weft_process_pool_options, max_calls),
    offsetof(weft_process_pool_options, max_rss), offsetof(weft_process_pool_options, attempts),
    offsetof(weft_process_pool_options, restart_limit), offsetof(weft_process_pool_options, reserved),
    offsetof(weft_process_pool_options, restart_window_ns), offsetof(weft_process_pool_options, backoff_ns),
    offsetof(weft_process_pool_options, backoff_max_ns), offsetof(weft_process_pool_options, start_timeout_ns),
    offsetof(weft_process_pool_options, grace_ns), offsetof(weft_process_pool_options, ring_size),
    offsetof(weft_process_pool_options, max_frame)
};
const size_t fixture_layout_process_call_options[] = {
    sizeof(weft_process_call_options), offsetof(weft_process_call_options, size),
    offsetof(weft_process_call_options, timeout_ns), offsetof(weft_process_call_options, cancel),
    offsetof(weft_process_call_options, attempts), offsetof(weft_process_call_options, reserved)
};
const size_t fixture_layout_process_pool_stats[] = {
    sizeof(weft_process_pool_stats), offsetof(weft_process_pool_stats, size),
    offsetof(weft_process_pool_stats, workers), offsetof(weft_process_pool_stats, ready),
    offsetof(weft_process_pool_stats, waiting), offsetof(weft_process_pool_stats, outstanding),
    offsetof(weft_process_pool_stats, calls), offsetof(weft_process_pool_stats, succeeded),
    offsetof(weft_process_pool_stats, failed), offsetof(weft_process_pool_stats, died),
    offsetof(weft_process_pool_stats, timed_out), offsetof(weft_process_pool_stats, cancelled),
    offsetof(weft_process_pool_stats, closed), offsetof(weft_process_pool_stats, refused),
    offsetof(weft_process_pool_stats, sent_again), offsetof(weft_process_pool_stats, late),
    offsetof(weft_process_pool_stats, born), offsetof(weft_process_pool_stats, deaths),
    offsetof(weft_process_pool_stats, left), offsetof(weft_process_pool_stats, resident)
};
