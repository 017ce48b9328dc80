// Deadlocks, told to a handler.
#ifndef WEFT_CPP_DEADLOCK_HPP
#define WEFT_CPP_DEADLOCK_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "carry.hpp"
#include "error.hpp"
#include "task.hpp"

namespace weft {

/// A wait that is part of a deadlock.
struct deadlock_wait {
    /// The name of the task that waits and of its runtime, or "".
    std::string task, runtime;
    /// What it waits for, which is up to the next one.
    std::string awaited;
    /// The worker's index, -1 outside.
    std::int32_t worker;
    /// The system's number for its thread.
    std::int32_t thread;
};

/// A ring of waits, each for what the next one has, the last for what the first has.
struct deadlock {
    /// deadlock_count at that time.
    std::uint64_t number;
    /// At least 2.
    std::vector<deadlock_wait> waits;
    /// The same for people.
    std::string message;
};

/// Gets the deadlocks, one at a time, on a thread of its own. What it throws goes where a spawned task's exception goes.
using deadlock_handler = void (*)(const deadlock &found);

/// What is done about a deadlock, after the log has told it.
enum class deadlock_action : std::int32_t { report = WEFT_DEADLOCK_REPORT, abort = WEFT_DEADLOCK_ABORT };

namespace detail {

inline void tell_deadlock(const weft_deadlock *native, void *arg) {
    try {
        deadlock found{native->number, {}, native->message};
        found.waits.reserve(native->waits_len);
        for (std::size_t i = 0; i < native->waits_len; ++i) {
            const weft_deadlock_wait &wait = native->waits[i];
            found.waits.push_back({wait.task, wait.runtime, wait.awaited, wait.worker, wait.thread});
        }
        reinterpret_cast<deadlock_handler>(arg)(found);
    } catch (...) {
        report_unhandled("", caught());
    }
}

} // namespace detail

/// Says what is to be done about deadlocks, in the whole process: see weft_deadlock_watch of weft.h for what is one. Null: nobody is
/// called. When this returns, the handler before has got every earlier deadlock and never runs again.
inline void watch_deadlocks(deadlock_handler handler, deadlock_action action = deadlock_action::report) {
    detail::check(weft_deadlock_watch(handler ? detail::tell_deadlock : nullptr, reinterpret_cast<void *>(handler),
                                      static_cast<std::int32_t>(action)));
}

/// Deadlocks in this process so far.
inline std::uint64_t deadlock_count() noexcept { return weft_deadlock_count(); }

} // namespace weft

#endif
