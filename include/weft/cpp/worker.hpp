// The worker a callable runs on, and how callables are invoked: with the worker in front if they want it, without if not.
#ifndef WEFT_CPP_WORKER_HPP
#define WEFT_CPP_WORKER_HPP

#include <cstdint>
#include <functional>
#include <type_traits>
#include <utility>

#include "../weft.h"

namespace weft {

class runtime;

/// A view of the worker that runs the current task. Cheap to copy, valid only inside that task and on its thread. Passing it on to
/// join saves looking it up.
class worker {
public:
    /// The empty view, as outside any task.
    worker() noexcept = default;
    explicit worker(weft_worker *native) noexcept : native_(native) {}

    /// The worker that runs the calling task; empty outside any task.
    static worker current() noexcept { return worker(weft_worker_current()); }

    /// This thread's seat, below the runtime's max_threads; -1 for the empty view. Two tasks that run at the same time never share
    /// it, so that it can index per-worker data.
    std::int32_t index() const noexcept { return weft_worker_index(native_); }

    /// The runtime this worker belongs to; an empty handle for the empty view.
    weft::runtime runtime() const;

    weft_worker *native() const noexcept { return native_; }
    explicit operator bool() const noexcept { return native_ != nullptr; }

private:
    weft_worker *native_ = nullptr;
};

/// The scope of a call that Weft does not know and that may block, such as a read: another thread may run in the task's place
/// meanwhile. Outside any task it does nothing.
class [[nodiscard]] blocking {
public:
    blocking() noexcept { weft_blocking_begin(nullptr); }
    ~blocking() { weft_blocking_end(nullptr); }
    blocking(const blocking &) = delete;
    blocking &operator=(const blocking &) = delete;
};

/// For long work without calls of Weft: shares what the calling task has forked with threads that have asked, and yields the CPU.
inline void yield() noexcept { weft_yield(nullptr); }

namespace detail {

template <class F, class... Args>
inline constexpr bool wants_worker = std::is_invocable_v<F, worker, Args...>;

template <class F, class... Args>
decltype(auto) invoke(F &&callable, weft_worker *native, Args &&...args) {
    if constexpr (wants_worker<F, Args...>) {
        return std::invoke(std::forward<F>(callable), worker(native), std::forward<Args>(args)...);
    } else {
        static_assert(std::is_invocable_v<F, Args...>, "the callable does not take these arguments, with or without a weft::worker in front");
        return std::invoke(std::forward<F>(callable), std::forward<Args>(args)...);
    }
}

/// What invoke() gives for a callable and its arguments.
template <class F, class... Args>
using invoked = decltype(detail::invoke(std::declval<F>(), std::declval<weft_worker *>(), std::declval<Args>()...));

} // namespace detail
} // namespace weft

#endif
