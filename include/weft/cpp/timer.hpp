// Timers: callables that are queued as tasks when their time has come; and sleeping.
#ifndef WEFT_CPP_TIMER_HPP
#define WEFT_CPP_TIMER_HPP

#include <chrono>
#include <memory>
#include <type_traits>
#include <utility>

#include "carry.hpp"
#include "error.hpp"
#include "handle.hpp"
#include "task.hpp"
#include "time.hpp"
#include "worker.hpp"

namespace weft {

/// A callable that a timer runs, once or again and again. It goes on without its handles; copies of the handle are the same timer.
class timer {
public:
    /// An empty handle.
    timer() noexcept = default;

    /// Sees to it that the callable is not run any more. True: it will not run again, and has been destroyed. False: it runs right
    /// now, or is what calls this; it will not run again, and is destroyed after that. Twice is fine.
    bool stop() const {
        const weft_status status = weft_timer_stop(native());
        if (status == WEFT_BUSY) return false;
        detail::check(status);
        return true;
    }

    /// The C handle, borrowed.
    weft_timer *native() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

private:
    template <class F>
    struct timed_call {
        F callable;

        static void entry(weft_worker *native, void *arg) {
            try {
                static_cast<void>(detail::invoke(static_cast<timed_call *>(arg)->callable, native));
            } catch (...) {
                detail::report_unhandled("", detail::caught());
            }
        }

        static void drop(void *, void *arg) { delete static_cast<timed_call *>(arg); }
    };

    template <class F>
    static timer start(weft_runtime *runtime, std::int64_t delay_ns, std::int64_t period_ns, F &&callable) {
        using call_type = timed_call<std::decay_t<F>>;
        std::unique_ptr<call_type> call(new call_type{std::forward<F>(callable)});
        weft_timer *made = nullptr;
        detail::check(weft_timer_after(runtime, delay_ns, period_ns, call_type::entry, call.get(), call_type::drop, nullptr, &made));
        static_cast<void>(call.release()); // the timer's now
        timer timer;
        timer.handle_ = detail::timer_handle(made);
        return timer;
    }

    friend class runtime;

    template <class F, class Rep, class Period>
    static timer after(weft_runtime *runtime, const std::chrono::duration<Rep, Period> &delay, F &&callable) {
        return start(runtime, detail::timeout_ns(delay), 0, std::forward<F>(callable));
    }

    template <class F, class Rep, class Period>
    static timer every(weft_runtime *runtime, const std::chrono::duration<Rep, Period> &period, F &&callable) {
        const std::int64_t period_ns = detail::timeout_ns(period);
        if (period_ns == 0) throw error(WEFT_INVALID, "call_every: the period is zero or negative");
        return start(runtime, period_ns, period_ns, std::forward<F>(callable));
    }

    template <class Rep, class Period, class F>
    friend timer call_after(const std::chrono::duration<Rep, Period> &delay, F &&callable);
    template <class Rep, class Period, class F>
    friend timer call_every(const std::chrono::duration<Rep, Period> &period, F &&callable);

    detail::timer_handle handle_;
};

/// Runs a copy of the callable as a task once this long has passed, never before. It carries the cancel token of whoever calls this;
/// triggered, that stops the timer, and so does the runtime's shutdown. What the callable throws goes where a spawned task's goes.
template <class Rep, class Period, class F>
timer call_after(const std::chrono::duration<Rep, Period> &delay, F &&callable) {
    return timer::after(nullptr, delay, std::forward<F>(callable));
}

/// The same again and again, the first time after one period, without drift. It never runs beside itself: expiries that it is too slow
/// for are left out.
template <class Rep, class Period, class F>
timer call_every(const std::chrono::duration<Rep, Period> &period, F &&callable) {
    return timer::every(nullptr, period, std::forward<F>(callable));
}

/// Waits this long, never less. Inside a task another task runs meanwhile. Throws weft::error when the wait is cancelled or
/// interrupted.
template <class Rep, class Period>
void sleep_for(const std::chrono::duration<Rep, Period> &time) {
    detail::check(weft_sleep(detail::timeout_ns(time)));
}

} // namespace weft

#endif
