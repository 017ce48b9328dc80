// The log, pulled: kept for whoever asks. (By callback: weft_log_set of weft.h, with a function that does not throw.)
#ifndef WEFT_CPP_LOG_HPP
#define WEFT_CPP_LOG_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "error.hpp"
#include "time.hpp"

namespace weft {

/// How grave a message is.
enum class log_level : std::int32_t {
    off = WEFT_LOG_OFF,
    error = WEFT_LOG_ERROR,
    warn = WEFT_LOG_WARN,
    info = WEFT_LOG_INFO,
    debug = WEFT_LOG_DEBUG
};

/// One message.
struct log_record {
    log_level level;
    /// The worker's index, -1 outside.
    std::int32_t worker;
    /// When, in nanoseconds on CLOCK_MONOTONIC.
    std::int64_t time_ns;
    /// The runtime's and the task's name, or "".
    std::string runtime, task;
    /// What happened.
    std::string message;
};

/// From now on messages of this level and graver ones are kept for next_log; log_level::off: no more, what is kept can still be had.
inline void keep_log(log_level level) { detail::check(weft_log_set(nullptr, nullptr, static_cast<std::int32_t>(level))); }

namespace detail {

inline weft_status next_log(std::optional<log_record> &out, std::int64_t timeout_ns) {
    out.reset();
    weft_log_record record{};
    record.size = sizeof record;
    const weft_status status = weft_log_next(&record, timeout_ns);
    switch (status) {
    case WEFT_OK:
        out.emplace(log_record{static_cast<log_level>(record.level), record.worker, record.time_ns, record.runtime, record.task, record.message});
        return status;
    case WEFT_WOULD_BLOCK:
    case WEFT_TIMEOUT:
    case WEFT_CLOSED: return status;
    default: fail(status);
    }
}

} // namespace detail

/// The oldest message that is kept, waiting for one as long as it takes. Empty when there is none and none is kept. Each message goes
/// to one of those who ask. Throws weft::error: WEFT_BUSY when messages go to a callback.
[[nodiscard]] inline std::optional<log_record> next_log() {
    std::optional<log_record> out;
    static_cast<void>(detail::next_log(out, WEFT_FOREVER));
    return out;
}

/// The same, waiting at most this long: WEFT_OK and `out` holds it, or WEFT_TIMEOUT (WEFT_WOULD_BLOCK for no time) or WEFT_CLOSED, and
/// `out` is empty.
template <class Rep, class Period>
[[nodiscard]] weft_status next_log_for(std::optional<log_record> &out, const std::chrono::duration<Rep, Period> &timeout) {
    return detail::next_log(out, detail::timeout_ns(timeout));
}

} // namespace weft

#endif
