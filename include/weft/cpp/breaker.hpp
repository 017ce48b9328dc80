// Circuit breakers: whether to call at all. breaker.run(f) for what is a call; permits, which record themselves, for what is not.
#ifndef WEFT_CPP_BREAKER_HPP
#define WEFT_CPP_BREAKER_HPP

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "carry.hpp"
#include "error.hpp"
#include "future.hpp"
#include "handle.hpp"
#include "task.hpp"
#include "worker.hpp"

namespace weft {

enum class breaker_state : std::int32_t {
    closed = WEFT_BREAKER_CLOSED,
    open = WEFT_BREAKER_OPEN,
    half_open = WEFT_BREAKER_HALF_OPEN,
    forced_open = WEFT_BREAKER_FORCED_OPEN,
    disabled = WEFT_BREAKER_DISABLED,
    metrics_only = WEFT_BREAKER_METRICS_ONLY,
};

/// A call that was let through. Say once how it ended; destroyed before that, it has failed if an exception is on its way through,
/// and is abandoned otherwise.
class [[nodiscard]] permit {
public:
    permit(permit &&other) noexcept
        : breaker_(std::move(other.breaker_)), native_(std::exchange(other.native_, weft_permit{})), exceptions_(other.exceptions_) {}
    permit &operator=(permit &&other) noexcept {
        if (this != &other) {
            abandon();
            breaker_ = std::move(other.breaker_);
            native_ = std::exchange(other.native_, weft_permit{});
            exceptions_ = other.exceptions_;
        }
        return *this;
    }
    ~permit() { abandon(); }

    /// It went well.
    void ok() { record(WEFT_OUTCOME_OK); }
    /// It failed.
    void fail() { record(WEFT_OUTCOME_FAIL); }
    /// It says nothing.
    void ignore() { record(WEFT_OUTCOME_IGNORE); }
    /// A WEFT_OUTCOME_ constant. A second time throws WEFT_INVALID.
    void record(std::int32_t outcome) { detail::check(weft_breaker_record(breaker_.get(), &native_, outcome)); }

private:
    friend class breaker;

    permit(detail::breaker_handle breaker, const weft_permit &native) noexcept
        : breaker_(std::move(breaker)), native_(native), exceptions_(std::uncaught_exceptions()) {}

    void abandon() noexcept {
        if (native_.word[0] == 0) return;
        const bool thrown = std::uncaught_exceptions() > exceptions_;
        // In a forked child it is the parent's: nothing to be done.
        static_cast<void>(weft_breaker_record(breaker_.get(), &native_, thrown ? WEFT_OUTCOME_FAIL : WEFT_OUTCOME_ABANDONED));
    }

    detail::breaker_handle breaker_;
    weft_permit native_;
    int exceptions_;
};

/// A circuit breaker. Copies are the same breaker. It needs no runtime.
class breaker {
public:
    /// The defaults, to be changed where it matters: see weft_breaker_options.
    static weft_breaker_options defaults() {
        weft_breaker_options options;
        detail::check(weft_breaker_options_init(&options, sizeof options));
        return options;
    }

    breaker() : breaker(defaults()) {}
    explicit breaker(const weft_breaker_options &options) {
        weft_breaker *made = nullptr;
        detail::check(weft_breaker_new(&options, &made));
        handle_ = detail::breaker_handle(made);
    }

    /// A permit to call, or nothing: do not.
    std::optional<permit> try_acquire() const {
        weft_permit native;
        const weft_status status = weft_breaker_acquire(get(), &native);
        if (status == WEFT_REJECTED) return std::nullopt;
        detail::check(status);
        return permit(handle_, native);
    }
    /// A permit to call. Throws WEFT_REJECTED: do not.
    permit acquire() const {
        weft_permit native;
        detail::check(weft_breaker_acquire(get(), &native));
        return permit(handle_, native);
    }

    /// Calls the callable on this thread and gives what it gives. An exception has failed, unless it is a weft::error whose status
    /// counts as something else (weft_breaker_options::outcome), and comes out as it went in. Throws WEFT_REJECTED without calling.
    template <class F>
    auto run(F &&callable) const -> detail::invoked<F &> {
        guarded_call<std::remove_reference_t<F>> call{callable};
        const weft_status status = weft_breaker_call(get(), call.entry, &call, nullptr);
        if (call.exception) std::rethrow_exception(call.exception);
        detail::check(status);
        if constexpr (!std::is_void_v<detail::invoked<F &>>) return std::move(*call.result);
    }

    /// Asking changes nothing.
    breaker_state state() const {
        const std::int32_t state = weft_breaker_get_state(get());
        if (state < 0) detail::fail(WEFT_INVALID);
        return static_cast<breaker_state>(state);
    }
    /// How long calls will be rejected if nothing happens before; weft::forever: nobody knows.
    std::chrono::nanoseconds retry_after() const noexcept { return std::chrono::nanoseconds(weft_breaker_retry_after(get())); }
    /// Puts it into a state. In forced_open, disabled and metrics_only it stays.
    void force(breaker_state state) const { detail::check(weft_breaker_force(get(), static_cast<std::int32_t>(state))); }

    weft_breaker_stats stats() const {
        weft_breaker_stats stats{};
        stats.size = sizeof stats;
        detail::check(weft_breaker_stats_get(get(), &stats));
        return stats;
    }

    /// Calls the callable with (from, to) at each change of state, in their order, on a thread that brought one about. It must not
    /// block. What it throws goes where a spawned task's exception goes. watch::off is false while it runs.
    template <class F>
    watch on_change(F &&callable) const {
        using listener = change_call<std::decay_t<F>>;
        std::unique_ptr<listener> call(new listener{std::forward<F>(callable)});
        weft_watch *watching = nullptr;
        detail::check(weft_breaker_on_change(get(), listener::entry, call.get(), listener::drop, nullptr, &watching));
        static_cast<void>(call.release()); // the breaker's now
        return watch(detail::watch_handle(watching));
    }

    weft_breaker *get() const noexcept { return handle_.get(); }

private:
    template <class F>
    struct guarded_call {
        F &callable;
        std::optional<detail::stored<detail::invoked<F &>>> result = std::nullopt;
        std::exception_ptr exception = nullptr;

        static weft_status entry(weft_worker *native, void *arg, void **) {
            auto &call = *static_cast<guarded_call *>(arg);
            try {
                detail::invoke_into<detail::invoked<F &>>(call.result, call.callable, native);
                return WEFT_OK;
            } catch (...) {
                call.exception = detail::caught();
                return detail::describe(call.exception);
            }
        }
    };

    template <class F>
    struct change_call {
        F callable;

        static void entry(const weft_breaker_event *event, void *arg) {
            try {
                const auto state = [](std::int32_t number) { return static_cast<breaker_state>(number); };
                static_cast<void>(std::invoke(static_cast<change_call *>(arg)->callable, state(event->from), state(event->to)));
            } catch (...) {
                detail::report_unhandled("", detail::caught());
            }
        }

        static void drop(void *, void *arg) { delete static_cast<change_call *>(arg); }
    };

    detail::breaker_handle handle_;
};

} // namespace weft

#endif
