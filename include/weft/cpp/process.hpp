// Pools of worker processes: pool.call(bytes) for the callers, weft::serve(handler) in the worker.
#ifndef WEFT_CPP_PROCESS_HPP
#define WEFT_CPP_PROCESS_HPP

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

#include "error.hpp"
#include "handle.hpp"
#include "time.hpp"

namespace weft {

/// What a call of a process pool comes to. Copies are the same call.
class answer {
public:
    /// Waits until there is an answer or a failure, whichever.
    void wait() const { detail::check(weft_future_wait(native(), WEFT_FOREVER)); }

    /// Waits at most this long; false if nothing has come by then.
    template <class Rep, class Period>
    [[nodiscard]] bool wait_for(const std::chrono::duration<Rep, Period> &timeout) const {
        const weft_status status = weft_future_wait(native(), detail::timeout_ns(timeout));
        if (status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK) return false;
        detail::check(status);
        return true;
    }

    /// Waits, then gives the bytes, which stay with the answer. Throws weft::error: the handler's failure, or WEFT_DIED and so on, see
    /// weft_process_pool_call.
    std::string_view view() const {
        void *bytes = nullptr;
        const weft_status status = weft_future_get(native(), WEFT_FOREVER, &bytes);
        if (status != WEFT_OK) {
            if (const weft_error *failure = weft_future_error(native())) throw error(*failure);
            detail::fail(status);
        }
        const auto *const native_bytes = static_cast<const weft_bytes *>(bytes);
        return {static_cast<const char *>(weft_bytes_data(native_bytes)), weft_bytes_len(native_bytes)};
    }

    /// The same, copied.
    std::string get() const { return std::string(view()); }

    /// Asks the call to stop: see weft_process_pool_call.
    void cancel() const { weft_future_cancel(native()); }

    /// How often it has been begun.
    std::uint32_t attempts() const noexcept { return weft_process_call_attempts(native()); }

    /// The C handle, borrowed: a future of a weft_bytes.
    weft_future *native() const noexcept { return handle_.get(); }

private:
    friend class process_pool;

    explicit answer(weft_future *owned) noexcept : handle_(owned) {}

    detail::future_handle handle_;
};

/// Worker processes that answer calls. Copies are the same pool, which ends with the last one.
class process_pool {
public:
    /// The defaults, to be changed where it matters: see weft_process_pool_options. argv or fork_fn has to be set.
    static weft_process_pool_options defaults() {
        weft_process_pool_options options;
        detail::check(weft_process_pool_options_init(&options, sizeof options));
        return options;
    }

    explicit process_pool(const weft_process_pool_options &options) {
        weft_process_pool *made = nullptr;
        detail::check(weft_process_pool_new(&options, &made));
        handle_ = detail::process_pool_handle(made);
    }

    /// How a call is made, to be changed where it matters: see weft_process_call_options.
    static weft_process_call_options call_defaults() {
        weft_process_call_options options;
        detail::check(weft_process_call_options_init(&options, sizeof options));
        return options;
    }

    /// Has a worker answer.
    answer call(std::string_view data) const { return made(data, nullptr); }
    answer call(std::string_view data, const weft_process_call_options &how) const { return made(data, &how); }

    /// Changes how many workers there are.
    void resize(std::uint32_t workers) const { detail::check(weft_process_pool_resize(get(), workers)); }

    /// Accepts nothing any more, finishes what there is for at most this long, and returns when all workers have gone; false: calls
    /// were open when the time was over, and have failed.
    template <class Rep, class Period>
    bool drain(const std::chrono::duration<Rep, Period> &timeout) const {
        const weft_status status = weft_process_pool_drain(get(), detail::timeout_ns(timeout));
        if (status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK) return false;
        detail::check(status);
        return true;
    }

    weft_process_pool_stats stats() const {
        weft_process_pool_stats stats{};
        stats.size = sizeof stats;
        detail::check(weft_process_pool_stats_get(get(), &stats));
        return stats;
    }

    weft_process_pool *get() const noexcept { return handle_.get(); }

private:
    answer made(std::string_view data, const weft_process_call_options *how) const {
        weft_future *future = nullptr;
        detail::check(weft_process_pool_call(get(), data.data(), data.size(), how, &future));
        return answer(future);
    }

    detail::process_pool_handle handle_;
};

namespace detail {

template <class F>
weft_status serve_entry(const void *data, std::size_t len, weft_bytes **reply, void *arg) {
    try {
        const std::string_view request(static_cast<const char *>(data), len);
        if constexpr (std::is_void_v<std::invoke_result_t<F &, std::string_view>>) {
            std::invoke(*static_cast<F *>(arg), request);
            return WEFT_OK;
        } else {
            const std::string text(std::invoke(*static_cast<F *>(arg), request));
            return weft_bytes_new(text.data(), text.size(), reply);
        }
    } catch (const error &failure) {
        return weft_error_set(failure.status(), failure.what());
    } catch (const std::exception &failure) {
        return weft_error_set(WEFT_FAILED, failure.what());
    } catch (...) {
        return weft_error_set(WEFT_FAILED, "an exception that is no std::exception");
    }
}

} // namespace detail

/// A worker's main loop: calls handler(std::string_view), which gives what a std::string is made of, or nothing. What it throws
/// becomes the call's failure: a weft::error with its status, others as WEFT_FAILED. Returns when the pool has said that it is enough, or
/// has ended; throws WEFT_DIED when its process has died. See weft_serve.
template <class F>
void serve(F &&handler, int fd = -1) {
    using callable = std::remove_reference_t<F>;
    using handler_type = std::remove_const_t<callable>;
    detail::check(weft_serve(fd, detail::serve_entry<callable>, const_cast<handler_type *>(std::addressof(handler))));
}

} // namespace weft

#endif
