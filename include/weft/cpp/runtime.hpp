// The runtime: its threads, options, statistics and end; and everything the free functions do, on a runtime of one's own.
#ifndef WEFT_CPP_RUNTIME_HPP
#define WEFT_CPP_RUNTIME_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "descriptor.hpp"
#include "error.hpp"
#include "future.hpp"
#include "handle.hpp"
#include "join.hpp"
#include "loop.hpp"
#include "poll.hpp"
#include "task.hpp"
#include "time.hpp"
#include "timer.hpp"
#include "worker.hpp"

namespace weft {

/// The options of weft.h, with the defaults filled in. The hooks and on_stall are plain C callbacks: they must not throw.
struct runtime_options : weft_runtime_options {
    runtime_options() { detail::check(weft_runtime_options_init(this, sizeof(weft_runtime_options))); }
};

/// Told to on_stall: work is queued, and every thread is blocked inside a task. As in weft.h.
using stall = weft_stall;

/// Counters and gauges, as in weft.h.
using runtime_stats = weft_runtime_stats;

/// What one worker has done, as in weft.h.
using worker_stats = weft_worker_stats;

/// The part of attempts at theft that found something, of a runtime's or a worker's stats; 0 when none was made.
template <class Stats>
[[nodiscard]] double steal_efficiency(const Stats &stats) noexcept {
    return weft_steal_efficiency(stats.steals, stats.failed_steals);
}

/// The part of their time that threads spent with tasks, of a runtime's or a worker's stats; 0 when there was no time.
template <class Stats>
[[nodiscard]] double utilisation(const Stats &stats) noexcept {
    return weft_utilisation(stats.busy_ns, stats.idle_ns);
}

/// Nanoseconds for each task on average, of a runtime's or a worker's stats; 0 when there was none.
template <class Stats>
[[nodiscard]] double mean_task_ns(const Stats &stats) noexcept {
    return weft_mean_task_ns(stats.busy_ns, stats.executed);
}

/// What work mostly does.
enum class load : std::int32_t { cpu = WEFT_LOAD_CPU, io = WEFT_LOAD_IO, mixed = WEFT_LOAD_MIXED };

/// How many workers suit a kind of work on this machine.
[[nodiscard]] inline std::int32_t optimal_worker_count(load kind) {
    const std::int32_t workers = weft_optimal_worker_count(static_cast<std::int32_t>(kind));
    if (workers < 0) detail::fail(WEFT_INVALID);
    return workers;
}

/// Whose threads run a runtime's tasks (runtime_options::kind takes the constants of weft.h).
enum class runtime_kind : std::int32_t {
    /// Its own.
    multi = WEFT_KIND_MULTI,
    /// The thread that is in run_here.
    single = WEFT_KIND_SINGLE,
    /// The threads that are in lend.
    hosted = WEFT_KIND_HOSTED,
};

/// How long run_here goes on.
enum class run_mode : std::int32_t {
    until_idle = WEFT_RUN_UNTIL_IDLE,
    one_step = WEFT_RUN_ONE_STEP,
    until_shutdown = WEFT_RUN_UNTIL_SHUTDOWN,
};

/// What becomes of queued tasks in a shutdown.
enum class shutdown_mode : std::int32_t {
    /// They run, and what they spawn runs too.
    drain = WEFT_SHUTDOWN_DRAIN,
    /// They are destroyed unrun; their futures fail.
    discard = WEFT_SHUTDOWN_DISCARD,
};

namespace detail {

inline bool shutdown(weft_runtime *runtime, shutdown_mode mode, std::int64_t timeout_ns) {
    const weft_status status = weft_runtime_shutdown(runtime, static_cast<std::int32_t>(mode), timeout_ns);
    if (status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK) return false;
    check(status);
    return true;
}

} // namespace detail

/// Worker threads and their queues. Copies of the handle are the same runtime. When the last handle goes without a shutdown, tasks that
/// are still queued are discarded and the threads end in the background: call shutdown() to have everything run.
class runtime {
public:
    /// Starts a runtime.
    explicit runtime(const runtime_options &options = {}) {
        weft_runtime *made = nullptr;
        detail::check(weft_runtime_new(&options, &made));
        handle_ = detail::runtime_handle(made);
    }

    /// Starts a runtime with this many threads running at once; 0: one per CPU.
    explicit runtime(std::int32_t workers) : runtime(with_workers(workers)) {}

    /// Takes over a reference to a runtime made in C; null gives an empty handle.
    static runtime adopt(weft_runtime *owned) noexcept { return runtime(detail::runtime_handle(owned)); }

    /// As weft::spawn, on this runtime.
    template <class F>
    void spawn(F &&callable, const task_options &how = {}) const {
        detail::spawn(alive(), std::forward<F>(callable), how);
    }

    /// As task::submit, on this runtime.
    template <class F>
    [[nodiscard]] bool submit(task<F> &task) const {
        return task.submit_to(alive());
    }

    /// As weft::async, on this runtime.
    template <class F>
    auto async(F &&callable, const task_options &how = {}) const -> future<detail::invoked<std::decay_t<F>>> {
        return detail::async<detail::invoked<std::decay_t<F>>>(alive(), std::forward<F>(callable), how);
    }

    /// As weft::call_after, on this runtime.
    template <class Rep, class Period, class F>
    timer call_after(const std::chrono::duration<Rep, Period> &delay, F &&callable) const {
        return timer::after(alive(), delay, std::forward<F>(callable));
    }

    /// As weft::call_every, on this runtime.
    template <class Rep, class Period, class F>
    timer call_every(const std::chrono::duration<Rep, Period> &period, F &&callable) const {
        return timer::every(alive(), period, std::forward<F>(callable));
    }

    /// As weft::call_when_ready, on this runtime.
    template <class F>
    watch call_when_ready(int fd, std::int32_t events, F &&callable) const {
        return detail::descriptors::call_when_ready(alive(), fd, events, std::forward<F>(callable));
    }

    /// As weft::spawn_poll, on this runtime.
    template <class F>
    auto spawn_poll(F &&callable, const task_options &how = {}) const -> future<detail::polls::result<F>> {
        return detail::polls::spawn<detail::polls::result<F>>(alive(), std::forward<F>(callable), how);
    }

    /// As future::then, on this runtime.
    template <class T, class F>
    auto then(const future<T> &source, F &&callable, const task_options &how = {}) const -> future<detail::continued<T, std::decay_t<F>>> {
        return source.then_on(alive(), std::forward<F>(callable), how);
    }

    /// As weft::run, on this runtime: inside one of its tasks at once, elsewhere on one of its workers.
    template <class F>
    auto run(F &&callable) const -> detail::invoked<std::remove_reference_t<F> &> {
        return detail::run(alive(), callable);
    }

    /// As weft::join, on this runtime.
    template <class A, class B>
    auto join(A &&a, B &&b) const -> detail::joined<std::remove_reference_t<A>, std::remove_reference_t<B>> {
        auto both = [&](worker on) { return detail::join(on.native(), a, b); };
        return detail::run(alive(), both);
    }

    /// As weft::parallel_for, on this runtime.
    template <class F>
    void parallel_for(std::size_t begin, std::size_t end, F &&body, const loop_options &options = {}) const {
        detail::for_each(alive(), begin, end, body, options);
    }

    /// As weft::parallel_for_ranges, on this runtime.
    template <class F>
    void parallel_for_ranges(std::size_t begin, std::size_t end, F &&body, const loop_options &options = {}) const {
        detail::for_ranges(alive(), begin, end, body, options);
    }

    /// As weft::reduce, on this runtime.
    template <class T, class Fold, class Combine>
    T reduce(std::size_t begin, std::size_t end, const T &identity, Fold &&fold, Combine &&combine, const loop_options &options = {}) const {
        return detail::reduce(alive(), begin, end, identity, fold, combine, options);
    }

    /// As weft::reduce_ranges, on this runtime.
    template <class T, class Fold, class Combine>
    T reduce_ranges(std::size_t begin, std::size_t end, const T &identity, Fold &&fold, Combine &&combine, const loop_options &options = {}) const {
        return detail::reduce_ranges(alive(), begin, end, identity, fold, combine, options);
    }

    /// Makes the calling thread the worker of a single runtime. False: there was nothing to run for one_step. Throws weft::error:
    /// WEFT_BUSY when another thread is its worker, WEFT_UNSUPPORTED when it is of another kind.
    bool run_here(run_mode mode = run_mode::until_idle) const {
        const weft_status status = weft_runtime_run(alive(), static_cast<std::int32_t>(mode));
        if (status == WEFT_WOULD_BLOCK) return false;
        detail::check(status);
        return true;
    }

    /// Lends the calling thread to a hosted runtime until that ends. Throws weft::error: WEFT_BUSY when all seats are taken.
    void lend() const { detail::check(weft_runtime_lend(alive(), WEFT_FOREVER)); }

    /// The same for this long at most; zero: as long as there is something to run. False: the runtime goes on.
    template <class Rep, class Period>
    [[nodiscard]] bool lend_for(const std::chrono::duration<Rep, Period> &timeout) const {
        const weft_status status = weft_runtime_lend(alive(), detail::timeout_ns(timeout));
        if (status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK) return false;
        detail::check(status);
        return true;
    }

    /// Changes how many threads run at once.
    void resize(std::int32_t workers) const { detail::check(weft_runtime_resize(alive(), workers)); }

    /// Whose threads run the tasks.
    runtime_kind kind() const {
        const std::int32_t kind = weft_runtime_kind(alive());
        if (kind < 0) detail::fail(WEFT_INVALID);
        return static_cast<runtime_kind>(kind);
    }

    /// How many threads run at once.
    std::int32_t workers() const {
        const std::int32_t workers = weft_runtime_workers(alive());
        if (workers < 0) detail::fail(WEFT_INVALID);
        return workers;
    }

    /// What has happened so far.
    runtime_stats stats() const {
        runtime_stats stats{};
        stats.size = sizeof stats;
        detail::check(weft_runtime_stats_get(alive(), &stats));
        return stats;
    }

    /// What one worker has done so far; nothing when there has never been a worker of this number.
    std::optional<weft::worker_stats> worker_stats(std::uint32_t index) const {
        weft::worker_stats stats{};
        stats.size = sizeof stats;
        const weft_status status = weft_runtime_worker_stats_get(alive(), index, &stats);
        if (status == WEFT_NOT_FOUND) return std::nullopt;
        detail::check(status);
        return stats;
    }

    /// Reads again which CPUs this process may use, and has threads that are bound move accordingly.
    void refresh_topology() const { detail::check(weft_topology_refresh(alive())); }

    /// Refuses new work from outside, lets the queued tasks run (or discards them) and returns when all threads are gone. Twice is
    /// fine. From one of the runtime's own tasks: throws weft::error (WEFT_DEADLOCK).
    void shutdown(shutdown_mode mode = shutdown_mode::drain) const { static_cast<void>(detail::shutdown(alive(), mode, WEFT_FOREVER)); }

    /// The same, waiting at most this long. False: the shutdown goes on in the background.
    template <class Rep, class Period>
    [[nodiscard]] bool shutdown_for(const std::chrono::duration<Rep, Period> &timeout, shutdown_mode mode = shutdown_mode::drain) const {
        return detail::shutdown(alive(), mode, detail::timeout_ns(timeout));
    }

    /// The C handle, borrowed.
    weft_runtime *native() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

private:
    explicit runtime(detail::runtime_handle handle) noexcept : handle_(std::move(handle)) {}

    static runtime_options with_workers(std::int32_t workers) {
        runtime_options options;
        options.workers = workers;
        return options;
    }

    /// An empty handle must not silently mean the default runtime, as a null pointer does in C.
    weft_runtime *alive() const {
        if (!handle_) throw error(WEFT_INVALID, "runtime: the handle is empty");
        return native();
    }

    detail::runtime_handle handle_;
};

inline runtime worker::runtime() const {
    return weft::runtime::adopt(weft_runtime_retain(weft_worker_runtime(native_)));
}

/// Sets the options of the process-wide default runtime. Throws weft::error (WEFT_BUSY) once it runs.
inline void configure_default(const runtime_options &options) { detail::check(weft_runtime_configure_default(&options)); }

/// Ends the default runtime, as runtime::shutdown does; a later use starts a new one.
inline void shutdown_default(shutdown_mode mode = shutdown_mode::drain) { static_cast<void>(detail::shutdown(nullptr, mode, WEFT_FOREVER)); }

} // namespace weft

#endif
