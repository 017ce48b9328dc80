// Tasks without a result to wait for (spawn), a callable run on a worker while the caller waits (run), and the handler for what a
// spawned task throws.
#ifndef WEFT_CPP_TASK_HPP
#define WEFT_CPP_TASK_HPP

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "cancel.hpp"
#include "carry.hpp"
#include "error.hpp"
#include "handle.hpp"
#include "worker.hpp"

namespace weft {

template <class T>
class future;

/// What comes first; see the WEFT_PRIORITY_ constants of weft.h.
enum class priority : std::int32_t {
    low = WEFT_PRIORITY_LOW,
    normal = WEFT_PRIORITY_NORMAL,
    high = WEFT_PRIORITY_HIGH,
    critical = WEFT_PRIORITY_CRITICAL
};

/// How a task is started. A name alone will do: weft::spawn(f, "resize").
struct task_options {
    task_options(const char *task_name = nullptr, weft::priority task_priority = weft::priority::normal) noexcept
        : name(task_name), priority(task_priority) {}

    /// For messages and logs. Copied.
    const char *name;
    weft::priority priority;
    /// The NUMA node whose workers look at it first.
    std::int32_t node = WEFT_ANY_NODE;
    /// False: the thread that spawns it runs it, as long as that does not block; see WEFT_HINT_NOT_STEALABLE.
    bool stealable = true;
    /// What it may be cancelled by; empty: what the task or thread that spawns it goes by. Cancelled before it has begun, it is
    /// dropped, and its future fails with WEFT_CANCELLED.
    cancel_token cancel{};
    /// It is queued when these are settled, whatever their outcome. See start_after.
    std::vector<detail::future_handle> after{};

    /// Has the task begin after these futures as well; it can look at their results without waiting.
    template <class... T>
    task_options &start_after(const future<T> &...futures) {
        (after.emplace_back(detail::future_handle(weft_future_retain(futures.native()))), ...);
        return *this;
    }
};

/// Options of a task that begins when these futures are settled: weft::async(sum, weft::after(left, right)).
template <class... T>
task_options after(const future<T> &...futures) {
    task_options options;
    return options.start_after(futures...);
}

/// Told of an exception that left a spawned task, on the worker that ran it; `task` is the task's name, "" if it has none. What the
/// handler itself throws ends the process.
using unhandled_handler = void (*)(const char *task, std::exception_ptr exception);

namespace detail {

inline std::atomic<unhandled_handler> unhandled{nullptr};

[[noreturn]] inline void terminate_on_unhandled(const char *task, const std::exception_ptr &exception) {
    const char *what = "an exception that is no std::exception";
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception &e) {
        what = e.what();
        std::fprintf(stderr, "weft: task \"%s\" ended with an exception: %s\n", task, what);
        std::terminate(); // inside the clause: what() lives there, and the C++ library can name the exception as well
    } catch (...) {
        std::fprintf(stderr, "weft: task \"%s\" ended with %s\n", task, what);
        std::terminate();
    }
}

/// The C options of a task, while `from` lives.
class native_options {
public:
    explicit native_options(const task_options &from) {
        check(weft_spawn_options_init(&options_, sizeof options_));
        options_.name = from.name;
        options_.priority = static_cast<std::int32_t>(from.priority);
        options_.node = from.node;
        options_.hints = from.stealable ? 0 : WEFT_HINT_NOT_STEALABLE;
        options_.cancel = from.cancel.get();
        if (from.after.empty()) return;
        after_.reserve(from.after.size());
        for (const future_handle &future : from.after) after_.push_back(future.get());
        options_.after = after_.data();
        options_.after_len = after_.size();
    }
    native_options(const native_options &) = delete;
    native_options &operator=(const native_options &) = delete;

    weft_spawn_options *operator->() noexcept { return &options_; }
    const weft_spawn_options *get() const noexcept { return &options_; }

private:
    weft_spawn_options options_;
    std::vector<weft_future *> after_{};
};

inline void report_unhandled(const char *task, std::exception_ptr exception) noexcept {
    if (const unhandled_handler handler = unhandled.load(std::memory_order_acquire)) {
        handler(task, std::move(exception));
    } else {
        terminate_on_unhandled(task, exception);
    }
}

/// A spawned callable on its way to a worker.
template <class F>
struct spawned_call {
    F callable;
    std::string name;

    static void entry(weft_worker *native, void *arg) {
        const std::unique_ptr<spawned_call> call(static_cast<spawned_call *>(arg));
        try {
            static_cast<void>(detail::invoke(std::move(call->callable), native));
        } catch (...) {
            report_unhandled(call->name.c_str(), caught());
        }
    }

    static void drop(void *, void *arg) { delete static_cast<spawned_call *>(arg); }
};

template <class F>
void spawn(weft_runtime *runtime, F &&callable, const task_options &how) {
    using call_type = spawned_call<std::decay_t<F>>;
    std::unique_ptr<call_type> call(new call_type{std::forward<F>(callable), how.name ? how.name : ""});
    native_options options(how);
    options->arg_drop = call_type::drop;
    check(weft_spawn_with(runtime, call_type::entry, call.get(), options.get()));
    static_cast<void>(call.release()); // the task owns it now, and may have ended already
}

template <class F>
auto run(weft_runtime *runtime, F &callable) -> invoked<F &> {
    borrowed_call<F> call{callable};
    const weft_status status = weft_run(runtime, call.entry, &call);
    call.rethrow();
    check(status);
    if constexpr (!std::is_void_v<invoked<F &>>) return std::move(*call.result);
}

} // namespace detail

/// Chooses what happens to exceptions that leave spawned tasks and returns the previous choice. Null: the default, which writes the
/// task's name and the exception to standard error and calls std::terminate.
inline unhandled_handler set_unhandled_handler(unhandled_handler handler) noexcept {
    return detail::unhandled.exchange(handler, std::memory_order_acq_rel);
}

/// Runs a copy of the callable on a worker, some time from now. Never blocks. The callable is destroyed right after it has run, or
/// unrun if the runtime is shut down in discard mode.
template <class F>
void spawn(F &&callable, const task_options &how = {}) {
    detail::spawn(nullptr, std::forward<F>(callable), how);
}

/// A callable in memory of the caller's: submitting it allocates nothing. It stays in place until it is not queued and the callable
/// has returned; it may be submitted again as soon as the callable has begun, by itself as well.
template <class F>
class task {
public:
    explicit task(F callable) : callable_(std::move(callable)) { weft_task_init(&native_, entry, this); }
    task(const task &) = delete;
    task &operator=(const task &) = delete;

    /// Queues it on the calling task's runtime or the default one. False: it is queued already. A shutdown does not drop it.
    [[nodiscard]] bool submit() { return submit_to(nullptr); }

    /// The C task.
    weft_task *native() noexcept { return &native_; }

private:
    friend class runtime;

    bool submit_to(weft_runtime *runtime) {
        const weft_status status = weft_submit(runtime, &native_);
        if (status == WEFT_BUSY) return false;
        detail::check(status);
        return true;
    }

    static void entry(weft_worker *native, void *arg) {
        try {
            static_cast<void>(detail::invoke(static_cast<task *>(arg)->callable_, native));
        } catch (...) {
            detail::report_unhandled("", detail::caught());
        }
    }

    weft_task native_;
    F callable_;
};

/// Runs the callable on a worker and waits for it; returns what it returns and throws what it throws. Inside a task it runs at once,
/// on this thread.
template <class F>
auto run(F &&callable) -> detail::invoked<std::remove_reference_t<F> &> {
    return detail::run(nullptr, callable);
}

} // namespace weft

#endif
