// Tasks without a result to wait for (spawn), a callable run on a worker while the caller waits (run), and the handler for what a
// spawned task throws.
#ifndef WEFT_CPP_TASK_HPP
#define WEFT_CPP_TASK_HPP

#include <atomic>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "carry.hpp"
#include "error.hpp"
#include "worker.hpp"

namespace weft {

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
void spawn(weft_runtime *runtime, F &&callable, const char *name) {
    using call_type = spawned_call<std::decay_t<F>>;
    std::unique_ptr<call_type> call(new call_type{std::forward<F>(callable), name ? name : ""});
    weft_spawn_options options;
    check(weft_spawn_options_init(&options, sizeof options));
    options.name = name;
    options.arg_drop = call_type::drop;
    check(weft_spawn_with(runtime, call_type::entry, call.get(), &options));
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

/// Runs a copy of the callable on a worker, some time from now. Never blocks. `name` appears in messages and logs; it is copied. The
/// callable is destroyed right after it has run, or unrun if the runtime is shut down in discard mode.
template <class F>
void spawn(F &&callable, const char *name = nullptr) {
    detail::spawn(nullptr, std::forward<F>(callable), name);
}

/// Runs the callable on a worker and waits for it; returns what it returns and throws what it throws. Inside a task it runs at once,
/// on this thread.
template <class F>
auto run(F &&callable) -> detail::invoked<std::remove_reference_t<F> &> {
    return detail::run(nullptr, callable);
}

} // namespace weft

#endif
