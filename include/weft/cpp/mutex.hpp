// A mutex that knows tasks, with the members that std::lock_guard, std::unique_lock and std::scoped_lock call.
#ifndef WEFT_CPP_MUTEX_HPP
#define WEFT_CPP_MUTEX_HPP

#include <chrono>

#include "error.hpp"
#include "handle.hpp"
#include "time.hpp"

namespace weft {

/// Held by one task (outside tasks: one thread) at a time. A task that waits for it passes its thread's turn on. Not recursive, and
/// neither copied nor moved, as std::mutex. To be destroyed when nobody holds it or waits for it.
class mutex {
public:
    /// The name is for messages and reports of deadlocks.
    explicit mutex(const char *name = nullptr) {
        weft_mutex *made = nullptr;
        detail::check(weft_mutex_new(name, &made));
        handle_ = detail::mutex_handle(made);
    }
    mutex(const mutex &) = delete;
    mutex &operator=(const mutex &) = delete;

    /// Waits for it. Throws WEFT_DEADLOCK if this task holds it, and what else ended the wait (WEFT_CANCELLED, WEFT_SHUTDOWN,
    /// WEFT_INTERRUPTED): then it is not held.
    void lock() { detail::check(weft_mutex_lock(get(), WEFT_FOREVER)); }
    /// Whether it was free, and is held now.
    bool try_lock() { return locked(weft_mutex_lock(get(), 0)); }
    /// Whether it is held now; false when the time is up. Throws as lock does.
    template <class Rep, class Period>
    bool try_lock_for(const std::chrono::duration<Rep, Period> &timeout) {
        return locked(weft_mutex_lock(get(), detail::timeout_ns(timeout)));
    }
    template <class Clock, class Duration>
    bool try_lock_until(const std::chrono::time_point<Clock, Duration> &deadline) {
        return try_lock_for(deadline - Clock::now());
    }
    /// Throws WEFT_BUSY if this task does not hold it.
    void unlock() { detail::check(weft_mutex_unlock(get())); }

    weft_mutex *get() const noexcept { return handle_.get(); }

private:
    static bool locked(weft_status status) {
        if (status != WEFT_TIMEOUT && status != WEFT_WOULD_BLOCK) detail::check(status);
        return status == WEFT_OK;
    }

    detail::mutex_handle handle_;
};

} // namespace weft

#endif
