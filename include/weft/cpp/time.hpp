// Timeouts: std::chrono durations become the C functions' nanoseconds, without overflow at either end.
#ifndef WEFT_CPP_TIME_HPP
#define WEFT_CPP_TIME_HPP

#include <chrono>
#include <cstdint>

#include "../weft.h"

namespace weft {

/// A timeout that never ends. Any duration too long for 64 bits of nanoseconds means the same.
inline constexpr std::chrono::nanoseconds forever = std::chrono::nanoseconds::max();

static_assert(forever.count() == WEFT_FOREVER, "nanoseconds are 64 bits wide");

namespace detail {

/// Rounds up, so that a wait is never shorter than asked for. A long double holds every int64_t exactly on the supported systems,
/// and counts of any width and fraction meet in it without overflow.
template <class Rep, class Period>
std::int64_t timeout_ns(const std::chrono::duration<Rep, Period> &duration) noexcept {
    const long double exact = std::chrono::duration<long double, std::nano>(duration).count();
    if (!(exact > 0)) return 0; // not a number included
    if (exact >= 9223372036854775807.0L) return WEFT_FOREVER;
    const auto whole = static_cast<std::int64_t>(exact);
    return static_cast<long double>(whole) < exact ? whole + 1 : whole;
}

} // namespace detail
} // namespace weft

#endif
