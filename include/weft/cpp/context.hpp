// Contexts: where something runs, and pools of them. context.execute(f, data), then context.wait().
#ifndef WEFT_CPP_CONTEXT_HPP
#define WEFT_CPP_CONTEXT_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "carry.hpp"
#include "error.hpp"
#include "handle.hpp"
#include "task.hpp"
#include "time.hpp"

namespace weft {

/// See the WEFT_CONTEXT_ constants of weft.h. Registered kinds are other numbers.
enum class context_kind : std::int32_t {
    on_caller = WEFT_CONTEXT_INLINE,
    thread = WEFT_CONTEXT_THREAD,
    task = WEFT_CONTEXT_TASK,
    fork = WEFT_CONTEXT_FORK,
    isolated = WEFT_CONTEXT_ISOLATED,
    process = WEFT_CONTEXT_PROCESS,
};

/// The options of weft.h, with the defaults filled in.
struct context_options : weft_context_options {
    context_options(const char *context_name = nullptr) {
        detail::check(weft_context_options_init(this, sizeof(weft_context_options)));
        name = context_name;
    }
};

namespace detail {

/// What left a callable in this process, for who waits.
struct context_exception {
    std::exception_ptr exception;
};

/// A callable on its way to where it runs, which the context's drop destroys.
template <class F>
struct context_call {
    F callable;
    std::shared_ptr<context_exception> thrown;

    static weft_status entry(const void *data, std::size_t len, weft_bytes **reply, void *arg) {
        auto &call = *static_cast<context_call *>(arg);
        try {
            const std::string_view message(static_cast<const char *>(data), len);
            if constexpr (std::is_void_v<std::invoke_result_t<F &, std::string_view>>) {
                std::invoke(call.callable, message);
                return WEFT_OK;
            } else {
                const std::string text(std::invoke(call.callable, message));
                return weft_bytes_new(text.data(), text.size(), reply);
            }
        } catch (...) {
            call.thrown->exception = caught();
            return describe(call.thrown->exception);
        }
    }

    static void drop(void *, void *arg) { delete static_cast<context_call *>(arg); }
};

} // namespace detail

/// Where something runs. Copies are the same context. Released while it runs, it runs on.
class context {
public:
    /// An empty handle.
    context() noexcept = default;

    explicit context(context_kind kind, const context_options &options = {}, weft_runtime *runtime = nullptr)
        : context(static_cast<std::int32_t>(kind), options, runtime) {}
    /// Of a registered kind.
    explicit context(std::int32_t kind, const context_options &options = {}, weft_runtime *runtime = nullptr) {
        weft_context *made = nullptr;
        detail::check(weft_context_new(runtime, kind, &options, &made));
        handle_ = detail::context_handle(made);
    }

    /// Has callable(std::string_view) called once, where contexts of this kind have it called. It gives what a std::string is made of,
    /// or nothing; what it throws comes out of wait. Of a FORK the child calls a copy: what that throws is a weft::error here. Not for
    /// ISOLATED, which takes a function alone, nor for PROCESS, which takes none.
    template <class F, class = std::enable_if_t<!std::is_convertible_v<F, weft_handler_fn>>>
    void execute(F &&callable, std::string_view data = {}) const {
        using call_type = detail::context_call<std::decay_t<F>>;
        auto thrown = std::make_shared<detail::context_exception>();
        std::unique_ptr<call_type> call(new call_type{std::forward<F>(callable), thrown});
        detail::check(weft_context_execute(native(), call_type::entry, call.get(), call_type::drop, nullptr, data.data(), data.size()));
        static_cast<void>(call.release()); // the run's now, or gone already
        *state_ = std::move(thrown);
    }

    /// The same for a function that C could call, without an argument.
    void execute(weft_handler_fn function, std::string_view data = {}) const {
        detail::check(weft_context_execute(native(), function, nullptr, nullptr, nullptr, data.data(), data.size()));
        state_->reset();
    }

    /// For kinds that need no function.
    void execute(std::string_view data) const { execute(static_cast<weft_handler_fn>(nullptr), data); }

    /// Waits for the end of the run and gives its reply. Throws what the callable has thrown, or weft::error; the same each time.
    std::string wait() const {
        weft_bytes *reply = nullptr;
        over(weft_context_wait(native(), WEFT_FOREVER, &reply));
        const detail::bytes_handle owned(reply);
        return std::string(static_cast<const char *>(weft_bytes_data(reply)), weft_bytes_len(reply));
    }

    /// Waits at most this long for the end of the run; false if it goes on.
    template <class Rep, class Period>
    [[nodiscard]] bool wait_for(const std::chrono::duration<Rep, Period> &timeout) const {
        const weft_status status = weft_context_wait(native(), detail::timeout_ns(timeout), nullptr);
        if (weft_context_is_alive(native()) && (status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK)) return false;
        if (status == WEFT_INTERRUPTED || status == WEFT_INVALID || status == WEFT_DEADLOCK) detail::check(status);
        return true;
    }

    /// Ends it: asks, and after this long kills what can be killed. False: it runs on.
    template <class Rep, class Period>
    bool terminate(const std::chrono::duration<Rep, Period> &grace) const {
        const weft_status status = weft_context_terminate(native(), detail::timeout_ns(grace));
        if (status == WEFT_TIMEOUT) return false;
        detail::check(status);
        return true;
    }

    bool is_alive() const noexcept { return weft_context_is_alive(native()); }
    /// What it is; may be another than was asked for, see context_options::exact.
    context_kind kind() const noexcept { return static_cast<context_kind>(weft_context_kind(native())); }
    context_kind kind_asked() const noexcept { return static_cast<context_kind>(weft_context_kind_asked(native())); }
    std::string name() const { return weft_context_name(native()); }

    weft_context_stats stats() const {
        weft_context_stats stats{};
        stats.size = sizeof stats;
        detail::check(weft_context_stats_get(native(), &stats));
        return stats;
    }

    /// The C handle, borrowed.
    weft_context *native() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

private:
    friend class context_pool;

    explicit context(weft_context *owned) noexcept : handle_(owned) {}

    void over(weft_status status) const {
        if (status == WEFT_OK) return;
        const weft_error *const failure = weft_context_error(native());
        // The wait itself may have failed: then there is none, or it says something else.
        if (weft_context_is_alive(native()) || failure == nullptr || weft_error_status(failure) != status) detail::fail(status);
        if (*state_ && (*state_)->exception) std::rethrow_exception((*state_)->exception);
        throw error(*failure);
    }

    detail::context_handle handle_;
    /// What the last callable has thrown; of all copies.
    std::shared_ptr<std::shared_ptr<detail::context_exception>> state_ = std::make_shared<std::shared_ptr<detail::context_exception>>();
};

/// Contexts of which so many run at once. Copies are the same pool.
class context_pool {
public:
    /// max_size 0: what is usual for the kind.
    explicit context_pool(context_kind kind, std::uint32_t max_size = 0, const context_options &options = {}, weft_runtime *runtime = nullptr) {
        weft_context_pool *made = nullptr;
        detail::check(weft_context_pool_new(runtime, static_cast<std::int32_t>(kind), max_size, &options, &made));
        handle_ = detail::context_pool_handle(made);
    }

    /// A context whose execute waits for a place.
    context acquire(const char *name = nullptr) const { return acquired(name, WEFT_OFF, priority::normal, WEFT_FOREVER); }

    /// A context with a place; throws WEFT_TIMEOUT or WEFT_WOULD_BLOCK if there is none in time.
    template <class Rep, class Period>
    context acquire_strictly(const std::chrono::duration<Rep, Period> &timeout, priority order = priority::normal) const {
        return acquired(nullptr, WEFT_ON, order, detail::timeout_ns(timeout));
    }

    /// Waits for all that were executed. Throws the first failure, when all are over.
    void wait_all() const { detail::check(weft_context_pool_wait_all(native(), WEFT_FOREVER, nullptr, nullptr)); }

    /// Ends all. False: some run on.
    template <class Rep, class Period>
    bool terminate_all(const std::chrono::duration<Rep, Period> &grace) const {
        const weft_status status = weft_context_pool_terminate_all(native(), detail::timeout_ns(grace), nullptr, nullptr);
        if (status == WEFT_TIMEOUT) return false;
        detail::check(status);
        return true;
    }

    void close() const noexcept { weft_context_pool_close(native()); }

    weft_context_pool_stats stats() const {
        weft_context_pool_stats stats{};
        stats.size = sizeof stats;
        detail::check(weft_context_pool_stats_get(native(), &stats));
        return stats;
    }

    /// The C handle, borrowed.
    weft_context_pool *native() const noexcept { return handle_.get(); }

private:
    context acquired(const char *name, std::int32_t strict, priority order, std::int64_t timeout_ns) const {
        weft_context_acquire_options options;
        weft_context *made = nullptr;
        detail::check(weft_context_acquire_options_init(&options, sizeof options));
        options.name = name;
        options.strict = strict;
        options.priority = static_cast<std::int32_t>(order);
        options.timeout_ns = timeout_ns;
        detail::check(weft_context_pool_acquire(native(), &options, &made));
        return context(made);
    }

    detail::context_pool_handle handle_;
};

} // namespace weft

#endif
